"""The stages of multiplication + relinearisation + rescale, each alone, on the basic kernels.

The shapes are those of the operation itself at its level. What the operation does in fewer, fused calls is faster than
the sum of these by what fusing saves: passes over memory and results that never leave the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.profile.counts import Counts
from ckks import kernels
from ckks.kernels import make_conversion
from ckks.rlwe import Ciphertext, RLWEParams, SwitchingKey

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
    slices = params.digits(level)
    product = kernels.empty((3, limbs, n))
    coefficients = kernels.intt(basis.plan, a.words[1])
    digits = kernels.empty((len(slices), len(joint), n))
    for digit in digits:
        digit[k:], digit[:k] = a.words[1], key.words[0, 0, :k]
    acc = kernels.empty((2, len(joint), n))
    acc[:] = key.words[0, :, : len(joint)]
    rows = key.words[: len(slices), :, : len(joint)]
    first, end = k, k + counts.kept
    dropped = kernels.empty((2, counts.divisor, n))
    dropped[:, :first], dropped[:, first:] = acc[:, :first], acc[:, end:]
    kept = joint.plan[first:end]
    remainder = kernels.empty((2, counts.kept, n))
    table = make_conversion(joint.moduli[:first] + joint.moduli[end:], kept.moduli)
    scalars, inverses = _scalars(params, level), kept.q - np.uint64(2)
    x, y = a.words, b.words

    def others(own: slice) -> list[slice]:
        both = slice(0, k + own.start), slice(k + own.stop, len(joint))
        return [s for s in both if s.start < s.stop]

    def tensor() -> None:
        kernels.mul(basis.plan, x[0], y[0], product[0])
        kernels.dot(basis.plan, x, y[::-1], product[1])
        kernels.mul(basis.plan, x[1], y[1], product[2])

    def convert_digits() -> None:
        for digit, own in zip(digits, slices, strict=True):
            for where in others(own):
                lift = make_conversion(params.moduli[own], joint[where].moduli, params.centred_digits)
                kernels.convert(lift, coefficients[own], digit[where])

    def transform_digits() -> None:
        for digit, own in zip(digits, slices, strict=True):
            for where in others(own):
                kernels.ntt(joint[where].plan, digit[where], digit[where])

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
        "add P (c_0, c_1)": lambda: kernels.mul_scalar_add(basis.plan, product[:2], scalars, acc[:, k:], acc[:, k:]),
        "inverse NTT of what is divided out": divided_out,
        "convert the remainder": lambda: kernels.convert(table, dropped, remainder),
        "NTT of the remainder": lambda: kernels.ntt(kept, remainder, remainder),
        "subtract and scale": lambda: kernels.sub_mul_scalar(kept, acc[:, first:end], remainder, inverses),
    }
    return {name: made[name] for name in KINDS}


def _scalars(params: RLWEParams, level: int) -> np.ndarray:
    return np.array([params.special_modulus % q for q in params.basis(level).moduli], dtype=np.uint64)
