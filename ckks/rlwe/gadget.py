"""The RNS gadget: a ring element as a vector of small digits, and its product with a switching key ([HK19]).

Three public pieces that key switching, hoisting and schemes of one's own put together:

    digits = decompose(params, c, level)               # (digits, ..., k + l, N)
    acc    = gadget_product(digits, key, level)        # (2, ..., k + l, N), over QP
    out    = mod_down(params, acc, level)              # (2, ..., l, N): divided by P

All words are in NTT form; the joint basis is (p_1..p_k, q_0..q_l).
"""

from __future__ import annotations

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError, ParameterError
from ckks.kernels import Words, make_conversion
from ckks.ring.convert import divide_words
from ckks.rlwe.keys import SwitchingKey
from ckks.rlwe.params import RLWEParams


def decompose(params: RLWEParams, x: Words, level: int) -> Words:
    """Return the digits of x, each lifted from its own primes to all of QP.

    Digit d is [x]_{D_d}, the residue of x modulo the product of the primes of digit d, as an integer in (-D_d/2, D_d/2]
    (in [0, D_d) with `centred_digits=False`); sum_d digit_d g_d = x modulo Q_l.

    Args:
        params: the parameter set; it must have special primes.
        x: NTT form, (..., l, N).
        level: the level of x.

    Returns:
        (digits, ..., k + l, N) in NTT form.
    """
    if not params.special_moduli:
        raise ParameterError("these parameters have no special primes, so no key switching; add special_moduli")
    k, n, basis = params.num_special, params.ring_degree, params.extended_basis(level)
    limbs, slices = params.limbs(level), params.digits(level)
    _check_limbs(x, limbs, level)
    coefficients = kernels.intt(params.basis(level).plan, x)
    out = kernels.empty((len(slices), *x.shape[:-2], k + limbs, n))
    for digit, own in zip(out, slices, strict=True):
        digit[..., k + own.start : k + own.stop, :] = x[..., own, :]
        for others in (slice(0, k + own.start), slice(k + own.stop, k + limbs)):
            target = basis[others]
            if len(target):
                lifted = digit[..., others, :]
                table = make_conversion(params.moduli[own], target.moduli, params.centred_digits)
                kernels.convert(table, coefficients[..., own, :], lifted)
                kernels.ntt(target.plan, lifted, lifted)
    return out


def gadget_product(digits: Words, key: SwitchingKey, level: int) -> Words:
    """Return (sum_d digit_d b_d, sum_d digit_d a_d) over QP: a ciphertext of P x s' under s.

    Args:
        digits: from `decompose`, (digits, ..., k + l, N).
        key: of this level or a higher one.
        level: the level of the digits.

    Returns:
        (2, ..., k + l, N) in NTT form, not yet divided by P.
    """
    params = key.params
    _check_limbs(digits, len(params.extended_basis(level)), level)
    if level > key.level:
        raise LevelError(
            f"a switching key of level {key.level} cannot act at level {level}; generate it for that level"
        )
    basis = params.extended_basis(level)
    rows = key.words[: len(digits), :, : len(basis)]  # the prefix that this level uses
    acc = kernels.empty((2, *digits.shape[1:]))
    for part in (0, 1):
        kernels.dot(basis.plan, digits, rows[:, part], acc[part])
    return acc


def lift(params: RLWEParams, x: Words, level: int) -> Words:
    """Return P x over QP: words (..., l, N) to (..., k + l, N). The limbs modulo p_j are 0."""
    k = params.num_special
    _check_limbs(x, params.limbs(level), level)
    out = kernels.zeros((*x.shape[:-2], k + x.shape[-2], x.shape[-1]))
    basis = params.basis(level)
    kernels.mul_scalar(basis.plan, x, special_scalars(params, level), out[..., k:, :])
    return out


def add_lifted(params: RLWEParams, acc: Words, x: Words, level: int) -> None:
    """Add P x to acc in place; see `lift`. acc (..., k + l, N) must be the caller's own array."""
    top = acc[..., params.num_special :, :]
    kernels.mul_scalar_add(params.basis(level).plan, x, special_scalars(params, level), top, top)


def _check_limbs(words: Words, needed: int, level: int) -> None:
    if words.ndim < 2 or words.shape[-2] != needed:
        raise BasisMismatch(f"words of shape {words.shape} at level {level}; needed {needed} limbs there")


def special_scalars(params: RLWEParams, level: int) -> Words:
    """Return P mod q_i for the primes of a level."""
    return np.array([params.special_modulus % q for q in params.basis(level).moduli], dtype=np.uint64)


def mod_down(params: RLWEParams, acc: Words, level: int, *, rescale: bool = False) -> Words:
    """Return round(acc / P), or round(acc / (P q)) with q the primes of the last level when `rescale`.

    The merged division saves the transforms of a rescale of its own and one of two roundings.
    """
    _check_limbs(acc, len(params.extended_basis(level)), level)
    last = len(params.levels[level]) if rescale else 0
    return divide_words(params.extended_basis(level), acc, params.num_special, last)
