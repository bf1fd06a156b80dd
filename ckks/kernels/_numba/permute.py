"""Automorphisms as gathers, and signed integers to residues."""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba import floating, integer
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import (
    FAST,
    HIGH,
    HIGH_QUOTIENT,
    INVERSE,
    MINUS_BIAS,
    MINUS_BIASES,
    MULTIPLE,
    POWER_31,
    POWER_83,
    QUOTIENT,
    REAL_Q,
    ROW,
    Q,
)
from ckks.kernels._numba.lanes import (
    LANES,
    load_int,
    load_real,
    load_word,
    load_words,
    shift_right,
    spread,
    store_word,
    store_words,
)
from ckks.kernels._numba.sums import wipe

_BIAS, _SPLIT, _LOW_MASK = np.uint64(2**62), np.uint64(31), np.uint64(2**31 - 1)
_fixed, _mulmod, _reduce = floating.fixed, floating.mulmod, floating.reduce
_to_reals, _to_words = floating.to_reals, floating.to_words
_barrett_lazy, _shoup_lazy, _subtract_once = integer.barrett_lazy, integer.shoup_lazy, integer.subtract_once


@kernel
def gather(limbs, batch, n, x, x_b, x_l, index, out, o_b, o_l, scratch):  # type: ignore[no-untyped-def]
    """See `Kernels.gather`; n a power of two, scratch holds n words, or is 0 where x and out differ."""
    for limb in range(limbs):
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            if scratch:
                u = _copy(n, u, scratch)
            for i in range(n):
                store_word(o, i, load_word(u, load_int(index, i) & (n - 1)))
    if scratch:
        wipe(scratch, n)


@kernel
def gather_signed(rows, limbs, batch, n, x, x_b, x_l, index, out, o_b, o_l, scratch):  # type: ignore[no-untyped-def]
    """See `Kernels.gather_signed`; scratch as for `gather`."""
    for limb in range(limbs):
        q = load_word(rows + ROW * limb, Q)
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            if scratch:
                u = _copy(n, u, scratch)
            for i in range(n):
                j = load_int(index, i)
                value = load_word(u, j & (n - 1))
                if j >= n:  # known to everybody, unlike the value
                    value = _subtract_once(q - value, q)
                store_word(o, i, value)
    if scratch:
        wipe(scratch, n)


@helper
def _copy(n, x, scratch):  # type: ignore[no-untyped-def]
    for i in range(n):
        store_word(scratch, i, load_word(x, i))
    return scratch


@kernel
def signed(rows, limbs, batch, n, low, l_b, high, h_b, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.signed`; high is 0 where there is none."""
    for limb in range(limbs):
        row = rows + ROW * limb
        for b in range(batch):
            u, v, o = low + b * l_b, high + b * h_b, out + b * o_b + limb * o_l
            if load_int(row, FAST):
                _signed_row(row, n, u, v if high else 0, o)
            else:
                _signed_row_wide(row, n, u, v if high else 0, o)


@helper
def _signed_row(row, n, low, high, out):  # type: ignore[no-untyped-def]
    """For q < 2^50: x + 2^62 = a 2^31 + b, so x = a [2^31] + b - [2^62], and 2^52 times that for the high part.

    0 < x + 2^62 < 2^63, so a < 2^32 and b < 2^31. Residues [.] are centred; with products of at most 0.57 q each,
    the sum is below 2^31 + (3 (0.57) + 1/2) q < 2^53.
    """
    q, inverse, whole = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE)), spread(load_word(row, Q))
    w0, v0 = _fixed(load_word(row, POWER_31), q, inverse)
    w1, v1 = _fixed(load_word(row, POWER_83), q, inverse)
    w2, v2 = _fixed(load_word(row, HIGH), q, inverse)
    bias, mask = spread(_BIAS), spread(_LOW_MASK)
    if high:
        constant, _ = _fixed(load_word(row, MINUS_BIASES), q, inverse)
        for i in range(0, n, LANES):
            x, y = load_words(low, i) + bias, load_words(high, i) + bias
            r = _mulmod(_to_reals(shift_right(x, _SPLIT)), w0, v0, q) + _to_reals(x & mask) + constant
            r = r + _mulmod(_to_reals(shift_right(y, _SPLIT)), w1, v1, q)
            r = r + _mulmod(_to_reals(y & mask), w2, v2, q)
            store_words(out, i, _to_words(_reduce(r, q, inverse), whole))
    else:
        constant, _ = _fixed(load_word(row, MINUS_BIAS), q, inverse)
        for i in range(0, n, LANES):
            x = load_words(low, i) + bias
            r = _mulmod(_to_reals(shift_right(x, _SPLIT)), w0, v0, q) + _to_reals(x & mask) + constant
            store_words(out, i, _to_words(_reduce(r, q, inverse), whole))


@helper
def _signed_row_wide(row, n, low, high, out):  # type: ignore[no-untyped-def]
    """For q < 2^61: MULTIPLE, the least multiple of q from 2^62 up, lies below 2^62 + 2^61, so the sum in (0, 2^64)."""
    q, multiple, quotient = load_word(row, Q), load_word(row, MULTIPLE), load_word(row, QUOTIENT)
    if high:
        w, w_quotient = load_word(row, HIGH), load_word(row, HIGH_QUOTIENT)
        for i in range(n):
            r = _barrett_lazy(load_word(low, i) + multiple, quotient, q)
            r += _shoup_lazy(load_word(high, i) + multiple, w, w_quotient, q)  # [0, 4q)
            store_word(out, i, _subtract_once(_subtract_once(r, q + q), q))
    else:
        for i in range(n):
            store_word(out, i, _subtract_once(_barrett_lazy(load_word(low, i) + multiple, quotient, q), q))
