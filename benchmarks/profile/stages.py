"""The stages of multiplication + relinearisation + rescale, each alone, on the basic kernels.

The shapes are those of the operation itself at its level. What the operation does in fewer, fused calls is faster than
the sum of these by what fusing saves: passes over memory and results that never leave the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from benchmarks.profile.counts import Counts
from ckks import kernels
from ckks.rlwe import Ciphertext, SwitchingKey
from ckks.rlwe.gadget import gadget_of, key_rows, quotient_of

TRANSFORM, CONVERSION, PRODUCT, TENSOR, OTHER = "NTT", "conversion", "inner product", "tensor", "other"

KINDS = {
    "tensor": TENSOR,
    "inverse NTT of c_2": TRANSFORM,
    "convert digits": CONVERSION,
    "NTT of digits": TRANSFORM,
    "inner product": PRODUCT,
    "add P (c_0, c_1)": OTHER,
    "inverse NTT of what is divided out": TRANSFORM,
    "convert the remainder": CONVERSION,
    "NTT of the remainder": TRANSFORM,
    "subtract and scale": OTHER,
}
"""Stage -> what kind of work it is, in the order of the operation."""


def stages(a: Ciphertext, b: Ciphertext, key: SwitchingKey) -> dict[str, Callable[[], object]]:
    """Return one callable for each of KINDS, on buffers of its own, filled with words of the right moduli."""
    params, level = a.params, a.level
    counts = Counts.of(params, level)
    limbs, k, n = counts.limbs, counts.special, params.ring_degree
    basis, joint = params.basis(level), params.extended_basis(level)
    gadget, quotient = gadget_of(params, level), quotient_of(params, level, rescale=True)
    product = kernels.empty((3, limbs, n))
    coefficients = kernels.intt(basis.plan, a.words[1])
    digits = kernels.empty((len(gadget), len(joint), n))
    for digit in digits:
        digit[k:], digit[:k] = a.words[1], key.words[0, 0, :k]
    acc = kernels.empty((2, len(joint), n))
    acc[:] = key.words[0, :, : len(joint)]
    rows = key_rows(key, level)
    first, end = k, k + counts.kept
    dropped = kernels.empty((2, counts.divisor, n))
    dropped[:, :first], dropped[:, first:] = acc[:, :first], acc[:, end:]
    kept = quotient.kept
    remainder = kernels.empty((2, counts.kept, n))
    lifted = [kernels.empty((len(lift.target), n)) for lift in gadget.lifts]
    x, y = a.words, b.words

    def tensor() -> None:
        kernels.mul(basis.plan, x[0], y[0], product[0])
        kernels.dot(basis.plan, x, y[::-1], product[1])
        kernels.mul(basis.plan, x[1], y[1], product[2])

    def convert_digits() -> None:
        for out, lift, (start, stop) in zip(lifted, gadget.lifts, pairwise(gadget.bounds), strict=True):
            kernels.convert(lift, coefficients[start - k : stop - k], out)

    def transform_digits() -> None:
        for digit, out, (start, stop) in zip(digits, lifted, pairwise(gadget.bounds), strict=True):
            kernels.ntt(joint[:start].plan, out[:start], digit[:start])
            if stop < len(joint):
                kernels.ntt(joint[stop:].plan, out[start:], digit[stop:])

    def inner_product() -> None:
        for part in (0, 1):
            kernels.dot(joint.plan, digits, rows[:, part], acc[part])

    def divided_out() -> None:
        kernels.intt(joint.plan[:first], acc[:, :first], dropped[:, :first])
        kernels.intt(joint.plan[end:], acc[:, end:], dropped[:, first:])

    made: dict[str, Callable[[], object]] = {
        "tensor": tensor,
        "inverse NTT of c_2": lambda: kernels.intt(basis.plan, x[1], coefficients),
        "convert digits": convert_digits,
        "NTT of digits": transform_digits,
        "inner product": inner_product,
        "add P (c_0, c_1)": lambda: kernels.mul_scalar_add(
            basis.plan, product[:2], gadget.weights, acc[:, k:], acc[:, k:]
        ),
        "inverse NTT of what is divided out": divided_out,
        "convert the remainder": lambda: kernels.convert(quotient.lift, dropped, remainder),
        "NTT of the remainder": lambda: kernels.ntt(kept, remainder, remainder),
        "subtract and scale": lambda: kernels.sub_mul_scalar(kept, acc[:, first:end], remainder, quotient.weights),
    }
    return {name: made[name] for name in KINDS}
