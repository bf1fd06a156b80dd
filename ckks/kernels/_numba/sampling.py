"""Keystreams to small integers, small integers and reals to residues. No branch or index depends on a secret."""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba import floating, integer
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import FAST, INVERSE, MULTIPLE, QUOTIENT, REAL_Q, ROW, Q
from ckks.kernels._numba.lanes import (
    LANES,
    fma,
    load_byte,
    load_int,
    load_real,
    load_reals,
    load_small,
    load_word,
    spread,
    store_small,
    store_word,
    store_words,
)

_ONE, _ROUNDER = np.uint64(1), floating.ROUNDER
_LAST, _SMALL_LIMIT = np.uint64(63), np.uint64(128)
_DOWN, _UP, _POWER = 2.0**-26, 2.0**26, np.uint64(2**26)
_fixed, _mulmod, _reduce, _to_words = floating.fixed, floating.mulmod, floating.reduce, floating.to_words
_barrett_lazy, _subtract_once = integer.barrett_lazy, integer.subtract_once


@kernel
def take_below(modulus, count, x, room, out):  # type: ignore[no-untyped-def]
    """See `Kernels.take_below`; the modulus comes as int64."""
    q, mask = np.uint64(modulus), _ONE
    while mask < q:
        mask = (mask << _ONE) | _ONE
    filled = np.int64(0)
    for j in range(count):
        if filled == room:
            break
        candidate = load_word(x, j) & mask
        store_word(out, filled, candidate)
        filled += np.int64((candidate - q) >> _LAST)
    return filled


@kernel
def take_ternary(count, x, room, out):  # type: ignore[no-untyped-def]
    """See `Kernels.take_ternary`."""
    filled = np.int64(0)
    for j in range(count):
        crumbs = np.int64(load_byte(x, j))
        for shift in range(0, 8, 2):
            if filled == room:
                return filled
            candidate = crumbs >> shift & 3
            store_small(out, filled, np.int8(candidate - 1))
            filled += 1 - (candidate & candidate >> 1)
    return filled


_HIGH_BITS, _BITS = np.uint64(((1 << 21) - 1) << 21), np.uint64((1 << 42) - 1)
_M1, _M2, _M4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_SUM, _TWO, _FOUR, _TOP = np.uint64(0x0101010101010101), np.uint64(2), np.uint64(4), np.uint64(56)


@kernel
def binomial(count, x, out):  # type: ignore[no-untyped-def]
    """See `Kernels.binomial`: the bits counted in the word are the low ones, and the high ones flipped, less 21."""
    for j in range(count):
        v = (load_word(x, j) ^ _HIGH_BITS) & _BITS
        v -= v >> _ONE & _M1
        v = (v & _M2) + (v >> _TWO & _M2)
        v = (v + (v >> _FOUR)) & _M4
        store_small(out, j, np.int8(np.int64(v * _SUM >> _TOP) - 21))


@kernel
def small(rows, limbs, batch, n, x, x_b, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.small`."""
    for limb in range(limbs):
        row = rows + ROW * limb
        q, multiple, quotient = load_word(row, Q), load_word(row, MULTIPLE), load_word(row, QUOTIENT)
        for b in range(batch):
            u, o = x + b * x_b, out + b * o_b + limb * o_l
            if q > _SMALL_LIMIT:  # x lies in (-q, q)
                for i in range(n):
                    v = np.uint64(np.int64(load_small(u, i)))
                    store_word(o, i, v + (q & (np.uint64(0) - (v >> _LAST))))
            else:
                for i in range(n):
                    v = np.uint64(np.int64(load_small(u, i))) + multiple
                    store_word(o, i, _subtract_once(_barrett_lazy(v, quotient, q), q))


@kernel
def rounded(rows, limbs, batch, n, x, x_b, scale, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.rounded`; `scale` is an address."""
    factor = load_real(scale, 0)
    for limb in range(limbs):
        row = rows + ROW * limb
        for b in range(batch):
            u, o = x + b * x_b, out + b * o_b + limb * o_l
            if load_int(row, FAST):
                _rounded_row(row, n, u, factor, o)
            else:
                _rounded_row_wide(row, n, u, factor, o)


@helper
def _rounded_row(row, n, x, factor, out):  # type: ignore[no-untyped-def]
    """For q < 2^50. v = factor x is h 2^26 + r with h = v 2^-26 rounded, |h| <= 2^36, |r| <= 2^25.

    v - h 2^26 is exact: both are multiples of the last bit of v, or of 2^26. As h 2^26 is even, r rounds to even as
    v does. `mulmod` takes |h| <= 2^50 to at most 0.57 q, so the sum is far below 2^53.
    """
    q, inverse, whole = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE)), spread(load_word(row, Q))
    w, v = _fixed(_POWER % load_word(row, Q), q, inverse)
    magic, down, up, scale = spread(_ROUNDER), spread(_DOWN), spread(_UP), spread(factor)
    for i in range(0, n, LANES):
        value = load_reals(x, i) * scale
        h = (value * down + magic) - magic
        low = (fma(-h, up, value) + magic) - magic
        store_words(out, i, _to_words(_reduce(_mulmod(h, w, v, q) + low, q, inverse), whole))


@helper
def _rounded_row_wide(row, n, x, factor, out):  # type: ignore[no-untyped-def]
    """For q < 2^61: h 2^26 + r in 64 bits, then as `permute.signed`."""
    q, multiple, quotient = load_word(row, Q), load_word(row, MULTIPLE), load_word(row, QUOTIENT)
    for i in range(n):
        value = load_real(x, i) * factor
        h = (value * _DOWN + _ROUNDER) - _ROUNDER
        low = ((value - h * _UP) + _ROUNDER) - _ROUNDER
        whole = np.uint64(np.int64(h)) * _POWER + np.uint64(np.int64(low))
        store_word(out, i, _subtract_once(_barrett_lazy(whole + multiple, quotient, q), q))
