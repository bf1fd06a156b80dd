"""The RNS gadget: a ring element as a vector of small digits, and its product with a switching key ([HK19]).

Three public pieces that key switching, hoisting and schemes of one's own put together:

    digits = decompose(params, c, level)               # (digits, ..., k + l, N)
    acc    = gadget_product(digits, key, level)        # (2, ..., k + l, N), over QP
    out    = mod_down(params, acc, level)              # (2, ..., l, N): divided by P

All words are in NTT form; the joint basis is (p_1..p_k, q_0..q_l).
"""

from __future__ import annotations

from functools import lru_cache

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError, ParameterError
from ckks.kernels import Gadget, Quotient, Words, make_gadget, make_quotient
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
    check_limbs(x, params.limbs(level), level)
    return kernels.decompose(gadget_of(params, level), x)


def gadget_product(digits: Words, key: SwitchingKey, level: int) -> Words:
    """Return (sum_d digit_d b_d, sum_d digit_d a_d) over QP: a ciphertext of P x s' under s.

    Args:
        digits: from `decompose`, (digits, ..., k + l, N).
        key: of this level or a higher one.
        level: the level of the digits.

    Returns:
        (2, ..., k + l, N) in NTT form, not yet divided by P.
    """
    check_limbs(digits, len(key.params.extended_basis(level)), level)
    return kernels.inner(gadget_of(key.params, level), digits, key_rows(key, level))


def key_rows(key: SwitchingKey, level: int) -> Words:
    """Return the prefix of a switching key that a level uses, (digits, 2, k + l, N)."""
    if level > key.level:
        raise LevelError(
            f"a switching key of level {key.level} cannot act at level {level}; generate it for that level"
        )
    gadget = gadget_of(key.params, level)
    return key.words[: len(gadget), :, : len(gadget.plan)]


def mod_down(params: RLWEParams, acc: Words, level: int, *, rescale: bool = False) -> Words:
    """Return round(acc / P), or round(acc / (P q)) with q the primes of the last level when `rescale`.

    The merged division saves the transforms of a rescale of its own and one of two roundings.
    """
    check_limbs(acc, len(params.extended_basis(level)), level)
    return kernels.divide(quotient_of(params, level, rescale=rescale), acc)


@lru_cache(maxsize=1024)
def gadget_of(params: RLWEParams, level: int) -> Gadget:
    """Return the gadget of a level: its joint basis, and the limbs of each digit in it."""
    if not params.special_moduli:
        raise ParameterError("these parameters have no special primes, so no key switching; add special_moduli")
    k = params.num_special
    bounds = (k, *(k + own.stop for own in params.digits(level)))
    return make_gadget(params.extended_basis(level).plan, k, bounds, params.centred_digits)


@lru_cache(maxsize=1024)
def quotient_of(params: RLWEParams, level: int, *, rescale: bool = False) -> Quotient:
    """Return the division by the special primes, and with `rescale` by the primes of the level as well."""
    last = len(params.levels[level]) if rescale else 0
    return make_quotient(params.extended_basis(level).plan, params.num_special, last)


def check_limbs(words: Words, needed: int, level: int) -> None:
    """Raise BasisMismatch unless words have as many limbs as the level needs."""
    if words.ndim < 2 or words.shape[-2] != needed:
        raise BasisMismatch(f"words of shape {words.shape} at level {level}; needed {needed} limbs there")
