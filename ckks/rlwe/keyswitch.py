"""Operations that need a switching key: each is decompose, gadget product, mod down, from `gadget`, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError
from ckks.kernels import Gadget, Quotient, Words, make_quotient
from ckks.ring.automorphism import ntt_permutation
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext
from ckks.rlwe.gadget import check_limbs, decompose, gadget_of, key_rows, quotient_of
from ckks.rlwe.keys import EvaluationKeys, SwitchingKey
from ckks.rlwe.noise import Noise
from ckks.rlwe.params import RLWEParams

_MOST_TERMS = 1024
"""Of one `kernels.dot`."""


def switch(words: Words, key: SwitchingKey, level: int) -> Words:
    """Return (2, ..., l, N), a ciphertext under s of x s', for the words x of a ring element (..., l, N)."""
    params = key.params
    check_limbs(words, params.limbs(level), level)
    return kernels.switch(gadget_of(params, level), words, key_rows(key, level), quotient_of(params, level))


def relinearise(ct: Ciphertext, key: SwitchingKey, *, rescale: bool = False) -> Ciphertext:
    """Return a two-part ciphertext of the same message, from one of three parts.

    c_0 + c_1 s + c_2 s^2: the last term is switched with the key for s^2. With `rescale`, the division by the
    primes of the level is merged into the mod down; metadata is the caller's business.
    """
    params, level = ct.params, ct.level
    _check(ct, key)
    if ct.parts == 2:
        return ct if not rescale else divide_by_level(ct)
    if ct.parts != 3:
        raise BasisMismatch(f"relinearisation of {ct.parts} parts; needed 3 (relinearise after each product)")
    gadget, quotient = _constants(params, level, rescale)
    parts = _parts_first(ct)
    words = kernels.switch(gadget, parts[2], key_rows(key, level), quotient, parts[:2])
    return _switched(ct, words, ct.noise, rescale)


def multiply(a: Ciphertext, b: Ciphertext, key: SwitchingKey, size: Noise, *, rescale: bool = False) -> Ciphertext:
    """Return relinearise(tensor(a, b, size), key, rescale=rescale), without the three parts in between."""
    _check_factors(a, b)
    _check(a, key)
    gadget, quotient = _constants(a.params, a.level, rescale)
    x, y = _parts_first(a), _parts_first(b)
    words = kernels.switch_product(gadget, x, y, key_rows(key, a.level), quotient)
    return _switched(a, words, size, rescale)


def _constants(params: RLWEParams, level: int, rescale: bool) -> tuple[Gadget, Quotient]:
    if rescale and level == 0:
        raise LevelError("cannot rescale at level 0: no level is left to drop")
    return gadget_of(params, level), quotient_of(params, level, rescale=rescale)


def _switched(ct: Ciphertext, words: Words, size: Noise, rescale: bool) -> Ciphertext:
    params, level = ct.params, ct.level
    size = size + noise.key_switch(params, level)
    if rescale:
        size = size.scaled(1 / params.level_modulus(level))
    return Ciphertext.of(params, _parts_last(words), level - rescale, ct.meta, size + noise.rounding(params))


def divide_by_level(ct: Ciphertext) -> Ciphertext:
    """Return round(ct / q), q the primes of its level: one level lower, any number of parts."""
    params = ct.params
    if ct.level == 0:
        raise LevelError("cannot rescale at level 0: no level is left to drop")
    words = kernels.divide(make_quotient(ct.basis.plan, 0, len(params.levels[ct.level])), ct.words)
    size = ct.noise.scaled(1 / params.level_modulus(ct.level)) + noise.rounding(params, ct.parts)
    return Ciphertext.of(params, words, ct.level - 1, ct.meta, size)


def apply_automorphism(ct: Ciphertext, g: int, keys: EvaluationKeys) -> Ciphertext:
    """Return a ciphertext of m(X^g): switch from s to s(X^(1/g)), then permute both parts, which leads back to s."""
    return hoisted_automorphisms(ct, (g,), keys)[g]


def hoisted_automorphisms(ct: Ciphertext, elements: tuple[int, ...], keys: EvaluationKeys) -> Mapping[int, Ciphertext]:
    """Return {g: ct of m(X^g)}; the digits are made once for all of them ([HS18, Sec. 5]).

    The same words as one by one: the key acts before the permutation, on digits that do not depend on g.
    """
    params, level = ct.params, ct.level
    if ct.parts != 2:
        raise BasisMismatch(f"automorphism of a ciphertext with {ct.parts} parts; relinearise it first")
    wanted = {g: keys.galois_key(g) for g in elements if g % (2 * params.ring_degree) != 1}
    for key in wanted.values():
        _check(ct, key)
    result = {g: ct for g in elements if g not in wanted}
    if not wanted:
        return result
    gadget, quotient = _constants(params, level, False)
    parts = _parts_first(ct)
    digits = decompose(params, parts[1], level) if len(wanted) > 1 else None
    for g, key in wanted.items():
        rows, index = key_rows(key, level), ntt_permutation(params.ring_degree, g % (2 * params.ring_degree))
        if digits is None:
            words = kernels.switch(gadget, parts[1], rows, quotient, parts[:1], index)
        else:
            words = kernels.switch_digits(gadget, digits, rows, quotient, parts[:1], index)
        result[g] = _switched(ct, words, ct.noise.moved(g, 2 * params.ring_degree), False)
    return result


def automorphism_sum(
    ct: Ciphertext,
    elements: Sequence[int],
    keys: EvaluationKeys,
    factors: Sequence[tuple[Words, Noise] | None] | None = None,
) -> Ciphertext:
    """Return the sum over t of f_t m(X^(g_t)), divided by P once, after the sum ([BMTH20, Sec. 4]: double hoisting).

    A row of diagonals of a plaintext matrix, or a sum of rotations, at the price of one division and one decomposition.

    Args:
        ct: two parts.
        elements: Galois elements g_t; 1 stands for the ciphertext itself and needs no key.
        keys: a key for every other element.
        factors: for each element the words of f_t over the joint basis, NTT form, (..., k + l, N), with the size of f_t
            in the canonical embedding, or None for 1. An error of f_t itself, such as that of rounding it, is the
            caller's to add.
    """
    params, level = ct.params, ct.level
    if ct.parts != 2:
        raise BasisMismatch(f"automorphisms of a ciphertext with {ct.parts} parts; relinearise it first")
    if not elements or (factors is not None and len(factors) != len(elements)):
        raise BasisMismatch(
            f"{len(elements)} elements with {len(factors or ())} factors; needed one each, or no factors"
        )
    m = 2 * params.ring_degree
    wanted = [None if g % m == 1 else keys.galois_key(g) for g in elements]
    for key in wanted:
        if key is not None:
            _check(ct, key)
    given = factors if factors is not None else [None] * len(elements)
    gadget, quotient = _constants(params, level, False)
    parts = _parts_first(ct)
    words = kernels.switch_sum(
        gadget,
        parts,
        decompose(params, parts[1], level),
        [None if key is None else key_rows(key, level) for key in wanted],
        quotient,
        [None if key is None else ntt_permutation(m // 2, g % m) for g, key in zip(elements, wanted, strict=True)],
        [None if f is None else f[0] for f in given],
    )
    # The errors of one automorphism are the same error, however often it is asked for; those of two are uncorrelated,
    # though they stem from one ciphertext: the sum of zeta^((a-b)k) over k vanishes for distinct roots.
    factor_sizes: dict[int, Noise] = {}
    for g, f in zip(elements, given, strict=True):
        before, one = factor_sizes.get(g % m, Noise()), Noise(1.0, 1.0) if f is None else f[1]
        factor_sizes[g % m] = Noise(before.std + one.std, before.bound + one.bound)
    size = Noise()
    for g, factor in factor_sizes.items():
        one = ct.noise if g == 1 else ct.noise.moved(g, m) + noise.key_switch(params, level)
        size = size + one.times(factor)
    return Ciphertext.of(params, _parts_last(words), level, ct.meta, size + noise.rounding(params))


def tensor(a: Ciphertext, b: Ciphertext, size: Noise) -> Ciphertext:
    """Return the three-part product (a_0 b_0, a_0 b_1 + a_1 b_0, a_1 b_1) at their common level."""
    _check_factors(a, b)
    x, y = _parts_first(a), _parts_first(b)
    return Ciphertext.of(a.params, _parts_last(kernels.tensor(a.basis.plan, x, y)), a.level, None, size)


def tensor_sum(a: Ciphertext, b: Ciphertext, size: Noise) -> Ciphertext:
    """Return the sum over k of tensor(a[k], b[k], ...) along the first batch axis, without those products in between.

    The axes after the first broadcast. size: of the error of the sum.
    """
    _check_factors(a[0], b[0])
    x, y, plan = _parts_first(a), _parts_first(b), a.basis.plan
    total = kernels.empty((3, *np.broadcast_shapes(a.shape[1:], b.shape[1:]), *plan.shape))
    for start in range(0, a.shape[0], _MOST_TERMS):
        u, v = x[:, start : start + _MOST_TERMS], y[:, start : start + _MOST_TERMS]
        for out, terms in zip(total, (((0, 0),), ((0, 1), (1, 0)), ((1, 1),)), strict=True):
            for i, j in terms:
                if start == 0 and i <= j:
                    kernels.dot(plan, u[i], v[j], out)
                else:
                    kernels.add(plan, out, kernels.dot(plan, u[i], v[j]), out)
    return Ciphertext.of(a.params, _parts_last(total), a.level, None, size)


def _check_factors(a: Ciphertext, b: Ciphertext) -> None:
    """Raise unless the product of these exists."""
    if a.params != b.params or a.level != b.level or a.parts != 2 or b.parts != 2:
        raise BasisMismatch(f"a product needs two parts each, one level and one parameter set; found {a} and {b}")
    try:
        if a.shape != b.shape:
            np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise BasisMismatch(f"batches {a.shape} and {b.shape} do not broadcast") from None


def _check(ct: Ciphertext, key: SwitchingKey) -> None:
    if ct.params != key.params:
        raise BasisMismatch("the switching key belongs to other parameters than the ciphertext")


def _parts_first(ct: Ciphertext) -> Words:
    """The words as (parts, ..., limbs, N) (a view)."""
    words = ct.words
    return words if words.ndim == 3 else np.moveaxis(words, -3, 0)


def _parts_last(words: Words) -> Words:
    """Move the part axis from the front to its place before the limbs (a view)."""
    return words if words.ndim == 3 else np.moveaxis(words, 0, -3)
