"""Key switching and division by primes, as what they are: compositions of the kernels.

This is their definition. A source may have functions of its own under these names that go through memory once
(native/src/switch.c); they return the same words, and `ckks.kernels` calls them where there are any.

Words are in NTT form throughout. Leading axes are a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ckks.kernels as kernels
from ckks.kernels.gadgets import Gadget, Quotient
from ckks.kernels.interface import Words


def decompose(gadget: Gadget, x: Words) -> Words:
    """Return the digits of x over the joint basis: (..., l, N) to (digits, ..., k + l, N).

    Digit d is the residue of x modulo the primes that d owns, lifted to all the others.
    """
    k, joint = gadget.special, gadget.plan
    coefficients = kernels.intt(gadget.kept, x)
    out = kernels.empty((len(gadget), *x.shape[:-2], len(joint), joint.n))
    for digit, table, (first, last) in zip(out, gadget.lifts, pairwise(gadget.bounds), strict=True):
        digit[..., first:last, :] = x[..., first - k : last - k, :]
        lifted = kernels.convert(table, coefficients[..., first - k : last - k, :])
        kernels.ntt(joint[:first], lifted[..., :first, :], digit[..., :first, :])
        if last < len(joint):
            kernels.ntt(joint[last:], lifted[..., first:, :], digit[..., last:, :])
    return out


def inner(gadget: Gadget, digits: Words, key: Words, addend: Words | None = None) -> Words:
    """Return sum_d digit_d key_d + P addend over the joint basis, (2, ..., k + l, N).

    Args:
        gadget: the gadget.
        digits: (digits, ..., k + l, N).
        key: (digits, 2, k + l, N).
        addend: (1 or 2, ..., l, N), added to the first part or to both; it vanishes modulo the special primes.
    """
    out = kernels.empty((2, *digits.shape[1:]))
    for part in (0, 1):
        kernels.dot(gadget.plan, digits, key[:, part], out[part])
    if addend is not None:
        for sums, x in zip(out, addend, strict=False):
            top = sums[..., gadget.special :, :]
            kernels.mul_scalar_add(gadget.kept, x, gadget.weights, top, top)
    return out


def divide(quotient: Quotient, x: Words, index: NDArray[np.int64] | None = None) -> Words:
    """Return round(x / D), D the product of the dropped primes, over those that remain; permuted by `index`.

    out = (x - [x]_D) D^-1 with [x]_D the centred remainder, lifted from the dropped primes to the others.
    """
    plan, first, last = quotient.plan, quotient.first, quotient.last
    end = len(plan) - last
    dropped = kernels.empty((*x.shape[:-2], first + last, plan.n))
    if first:
        kernels.intt(plan[:first], x[..., :first, :], dropped[..., :first, :])
    if last:
        kernels.intt(plan[end:], x[..., end:, :], dropped[..., first:, :])
    remainder = kernels.convert(quotient.lift, dropped)
    kernels.ntt(quotient.kept, remainder, remainder)
    out = kernels.sub_mul_scalar(quotient.kept, x[..., first:end, :], remainder, quotient.weights)
    return out if index is None else kernels.gather(out, index)


def tensor(plan: kernels.Plan, x: Words, y: Words) -> Words:
    """Return the product (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1), (3, ..., l, N), of two elements of two parts each."""
    shape = np.broadcast_shapes(x.shape[1:], y.shape[1:])
    out = kernels.empty((3, *shape))
    kernels.mul(plan, x[0], y[0], out[0])
    kernels.dot(plan, x, y[::-1], out[1])
    kernels.mul(plan, x[1], y[1], out[2])
    return out


def switch(
    gadget: Gadget, x: Words, key: Words, quotient: Quotient, addend: Words | None, index: NDArray[np.int64] | None
) -> Words:
    """Return divide(inner(decompose(x), key, addend)): x s' as a ciphertext under s, plus the addend, over Q_l."""
    return divide(quotient, inner(gadget, decompose(gadget, x), key, addend), index)


def switch_digits(
    gadget: Gadget, digits: Words, key: Words, quotient: Quotient, addend: Words | None, index: NDArray[np.int64] | None
) -> Words:
    """Return divide(inner(digits, key, addend)): `switch` of digits that serve several keys."""
    return divide(quotient, inner(gadget, digits, key, addend), index)


def switch_sum(
    gadget: Gadget,
    x: Words,
    digits: Words,
    keys: Sequence[Words | None],
    quotient: Quotient,
    indices: Sequence[NDArray[np.int64] | None],
    factors: Sequence[Words | None],
) -> Words:
    """Return divide(sum over t of factor_t permuted_t(sums_t)): automorphisms of one ciphertext, divided once.

    Args:
        gadget: the gadget.
        x: the ciphertext, (2, ..., l, N).
        digits: those of its second part, from `decompose`.
        keys: for each term (digits, 2, k + l, N), whose sums are inner(digits, key, x_0); or None for P x itself.
        quotient: the division of the total.
        indices: for each term the permutation of its sums, or None.
        factors: for each term words over the joint basis, (..., k + l, N), or None.
    """
    total: Words | None = None
    for key, index, factor in zip(keys, indices, factors, strict=True):
        sums = _term(gadget, x, digits, key, index)
        if factor is not None:
            sums = kernels.mul(gadget.plan, sums, factor)
        total = sums if total is None else kernels.add(gadget.plan, total, sums)
    assert total is not None
    return divide(quotient, total)


def switch_product(gadget: Gadget, x: Words, y: Words, key: Words, quotient: Quotient) -> Words:
    """Return the product of two ciphertexts, (2, ..., l, N) each, its third part switched, divided."""
    product = tensor(gadget.kept, x, y)
    return switch(gadget, product[2], key, quotient, product[:2], None)


def combine(plan: kernels.Plan, x: Words, y: Words) -> Words:
    """Return sum over k of y[m, k] x[k] for every m: several dot products that share one operand.

    Args:
        plan: the moduli.
        x: (K, ..., L, N).
        y: (M, K, L, n), n a divisor of N: each word stands for N / n equal ones side by side, as those of an element
            of the subring of polynomials in X^(N/n) are in NTT form.

    Returns:
        (M, ..., L, N).
    """
    out = kernels.empty((len(y), *x.shape[1:]))
    batch = (slice(None), *(None,) * (x.ndim - 3))
    for factors, result in zip(y, out, strict=True):
        whole = factors if factors.shape[-1] == plan.n else np.repeat(factors, plan.n // factors.shape[-1], axis=-1)
        kernels.dot(plan, x, whole[batch], result)
    return out


def small_products(plan: kernels.Plan, x: Words, y: NDArray[np.signedinteger[Any]], total: Words | None) -> Words:
    """Return sum over k of y[m, k] x[k] for every m: ciphertexts times polynomials that are given by coefficients.

    Args:
        plan: the moduli.
        x: (K, 2, L, N), NTT form.
        y: (M, K, N), integers in (-2^62, 2^62): coefficients, which no one keeps in NTT form.
        total: (M, 2, L, N), what the sums are added to, in place; or None.

    Returns:
        (M, 2, L, N); `total`, if it was given.
    """
    sums = kernels.empty((len(y), *x.shape[1:]))
    for integers, result in zip(y, sums, strict=True):
        words = kernels.signed(plan, integers)
        kernels.dot(plan, x, kernels.ntt(plan, words, words)[:, None], result)
    return sums if total is None else kernels.add(plan, total, sums, total)


def lift_terms(
    gadget: Gadget,
    x: Words,
    digits: Words,
    keys: Sequence[Words | None],
    indices: Sequence[NDArray[np.int64] | None],
) -> Words:
    """Return the terms of `switch_sum` one by one, without factors and undivided: (T, 2, ..., k + l, N).

    Args:
        gadget: the gadget.
        x: the ciphertext, (2, ..., l, N).
        digits: those of its second part, from `decompose`.
        keys: for each term (digits, 2, k + l, N), whose sums are inner(digits, key, x_0); or None for P x itself.
        indices: for each term the permutation of its sums, or None.
    """
    out = kernels.empty((len(keys), 2, *digits.shape[1:]))
    for result, key, index in zip(out, keys, indices, strict=True):
        result[...] = _term(gadget, x, digits, key, index)
    return out


def _term(gadget: Gadget, x: Words, digits: Words, key: Words | None, index: NDArray[np.int64] | None) -> Words:
    """Return one automorphism of x, undivided, (2, ..., k + l, N)."""
    if key is None:
        sums = kernels.zeros((2, *digits.shape[1:]))
        kernels.mul_scalar(gadget.kept, x, gadget.weights, sums[..., gadget.special :, :])
    else:
        sums = inner(gadget, digits, key, x[:1])
    return sums if index is None else kernels.gather(sums, index)


def lift_switch(gadget: Gadget, x: Words, key: Words, joint: Words, index: NDArray[np.int64]) -> Words:
    """Return inner(decompose(x), key) plus `joint` in its first part, permuted, undivided: (2, ..., k + l, N).

    Args:
        gadget: the gadget.
        x: (..., l, N).
        key: (digits, 2, k + l, N).
        joint: over the joint basis, (..., k + l, N).
        index: a permutation.
    """
    sums = inner(gadget, decompose(gadget, x), key)
    kernels.add(gadget.plan, sums[0], joint, sums[0])
    return kernels.gather(sums, index)
