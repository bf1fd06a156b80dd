"""Operations that need a switching key: each is decompose, gadget product, mod down, from `gadget`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError
from ckks.kernels import Words
from ckks.ring import automorphism
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext
from ckks.rlwe.gadget import add_lifted, decompose, gadget_product, mod_down
from ckks.rlwe.keys import EvaluationKeys, SwitchingKey
from ckks.rlwe.noise import Noise


def switch(words: Words, key: SwitchingKey, level: int) -> Words:
    """Return (2, ..., l, N), a ciphertext under s of x s', for the words x of a ring element (..., l, N)."""
    acc = gadget_product(decompose(key.params, words, level), key, level)
    return mod_down(key.params, acc, level)


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
    if rescale and level == 0:
        raise LevelError("cannot rescale at level 0: no level is left to drop")
    acc = gadget_product(decompose(params, ct.words[..., 2, :, :], level), key, level)
    add_lifted(params, acc, np.moveaxis(ct.words, -3, 0)[:2], level)
    size = ct.noise + noise.key_switch(params, level)
    if rescale:
        size = size.scaled(1 / params.level_modulus(level))
    words = _parts_last(mod_down(params, acc, level, rescale=rescale))
    return Ciphertext.of(params, words, level - rescale, ct.meta, size + noise.rounding(params))


def divide_by_level(ct: Ciphertext) -> Ciphertext:
    """Return round(ct / q), q the primes of its level: one level lower, any number of parts."""
    from ckks.ring.convert import divide_words

    params = ct.params
    if ct.level == 0:
        raise LevelError("cannot rescale at level 0: no level is left to drop")
    words = divide_words(ct.basis, ct.words, 0, len(params.levels[ct.level]))
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
    digits = decompose(params, ct.words[..., 1, :, :], level)
    size = ct.noise + noise.key_switch(params, level) + noise.rounding(params)
    for g, key in wanted.items():
        acc = gadget_product(digits, key, level)
        add_lifted(params, acc[0], ct.words[..., 0, :, :], level)
        switched = mod_down(params, acc, level)
        words = _parts_last(automorphism(ct.basis, switched, g, ntt_form=True))
        result[g] = Ciphertext.of(params, words, level, ct.meta, size)
    return result


def tensor(a: Ciphertext, b: Ciphertext, size: Noise) -> Ciphertext:
    """Return the three-part product (a_0 b_0, a_0 b_1 + a_1 b_0, a_1 b_1) at their common level."""
    if a.params != b.params or a.level != b.level or a.parts != 2 or b.parts != 2:
        raise BasisMismatch(f"a product needs two parts each, one level and one parameter set; found {a} and {b}")
    plan = a.basis.plan
    x, y = (np.moveaxis(c.words, -3, 0) for c in (a, b))  # (2, ..., l, N)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise BasisMismatch(f"batches {a.shape} and {b.shape} do not broadcast") from None
    out = kernels.empty((*shape, 3, *a.words.shape[-2:]))
    kernels.mul(plan, x[0], y[0], out[..., 0, :, :])
    kernels.dot(plan, x, y[::-1], out[..., 1, :, :])
    kernels.mul(plan, x[1], y[1], out[..., 2, :, :])
    return Ciphertext.of(a.params, out, a.level, None, size)


def _check(ct: Ciphertext, key: SwitchingKey) -> None:
    if ct.params != key.params:
        raise BasisMismatch("the switching key belongs to other parameters than the ciphertext")


def _parts_last(words: Words) -> Words:
    """Move the part axis from the front to its place before the limbs (a view)."""
    return np.moveaxis(words, 0, -3)
