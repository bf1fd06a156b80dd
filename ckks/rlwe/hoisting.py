"""Automorphisms that stay over QP, undivided: many of them, and sums of them with factors, cost one division by P.

What is lifted is P times a ciphertext under s, words (2, ..., k + l, N) over the joint basis, in NTT form. A plaintext
matrix is applied in this form throughout (double hoisting, [BMTH20, Sec. 4]):

    lifted = lifted_automorphisms(ct, elements, keys)          # (T, 2, ..., k + l, N): digits made once, no division
    total  = kernels.combine(plan, lifted, factors)            # products with plaintexts over QP, added up
    total  = turn_lifted(params, level, total, g, keys)        # an automorphism of what is lifted: one division, of c_1
    words  = lower(params, level, total, rescale=True)         # the division of both parts, merged with a rescale
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.kernels import Words
from ckks.ring.automorphism import ntt_permutation
from ckks.rlwe.elements import Ciphertext
from ckks.rlwe.gadget import check_limbs, gadget_of, key_rows, quotient_of
from ckks.rlwe.keys import EvaluationKeys
from ckks.rlwe.params import RLWEParams


def lift(ct: Ciphertext) -> Words:
    """Return P ct over QP, (2, ..., k + l, N)."""
    lifted: Words = lifted_automorphisms(ct, (1,), EvaluationKeys(ct.params))[0]
    return lifted


def lifted_automorphisms(ct: Ciphertext, elements: Sequence[int], keys: EvaluationKeys) -> Words:
    """Return P m(X^g) for each element g, lifted: (T, 2, ..., k + l, N); the digits of ct are made once.

    Args:
        ct: two parts.
        elements: Galois elements; 1 stands for the ciphertext itself and needs no key.
        keys: a key for every other element.
    """
    params, level = ct.params, ct.level
    if ct.parts != 2 or not elements:
        raise BasisMismatch(f"{len(elements)} automorphisms of {ct.parts} parts; needed at least one, of two parts")
    _check(params, keys)
    m = 2 * params.ring_degree
    wanted = [None if g % m == 1 else keys.galois_key(g) for g in elements]
    gadget = gadget_of(params, level)
    parts = np.moveaxis(ct.words, -3, 0)
    if all(key is None for key in wanted):
        out = kernels.zeros((len(elements), *parts.shape[:-2], *gadget.plan.shape))
        for result in out:
            kernels.mul_scalar(gadget.kept, parts, gadget.weights, result[..., gadget.special :, :])
        return out
    rows = [None if key is None else key_rows(key, level) for key in wanted]
    indices = [None if g % m == 1 else ntt_permutation(m // 2, g % m) for g in elements]
    return kernels.lift_terms(gadget, parts, kernels.decompose(gadget, parts[1]), rows, indices)


def lifted_powers(ct: Ciphertext, g: int, count: int, keys: EvaluationKeys) -> Words:
    """Return P m(X^(g^t)) for t < count, lifted, (count, 2, ..., k + l, N): each from the one before, with one key."""
    if count < 1:
        raise BasisMismatch(f"{count} powers of an automorphism; needed at least one")
    first = lift(ct)
    out = kernels.empty((count, *first.shape))
    out[0] = first
    for t in range(1, count):
        out[t] = turn_lifted(ct.params, ct.level, out[t - 1], g, keys)
    return out


def turn_lifted(params: RLWEParams, level: int, x: Words, g: int, keys: EvaluationKeys) -> Words:
    """Return the automorphism X -> X^g of something lifted, (2, ..., k + l, N): its second part alone is divided."""
    _check(params, keys)
    check_limbs(x, len(params.extended_basis(level)), level)
    gadget, key = gadget_of(params, level), keys.galois_key(g)
    index = ntt_permutation(params.ring_degree, g % (2 * params.ring_degree))
    second = kernels.divide(quotient_of(params, level), x[1])
    return kernels.lift_switch(gadget, second, key_rows(key, level), x[0], index)


def lower(params: RLWEParams, level: int, x: Words, *, rescale: bool = False) -> Words:
    """Return what was lifted as words of a ciphertext, (..., 2, l, N): divided by P, or by P and the level's primes."""
    check_limbs(x, len(params.extended_basis(level)), level)
    words = kernels.divide(quotient_of(params, level, rescale=rescale), x)
    return np.moveaxis(words, 0, -3)


def _check(params: RLWEParams, keys: EvaluationKeys) -> None:
    if keys.params != params:
        raise BasisMismatch("the evaluation keys belong to other parameters than the ciphertext")
