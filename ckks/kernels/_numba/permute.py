"""Automorphisms as gathers, and signed integers to residues."""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba import integer
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import BIAS, HIGH, HIGH_QUOTIENT, QUOTIENT, ROW, Q
from ckks.kernels._numba.lanes import load_int, load_word, store_word
from ckks.kernels._numba.sums import wipe

_ZERO = np.uint64(0)
_barrett_lazy, _shoup_lazy, _subtract_once = integer.barrett_lazy, integer.shoup_lazy, integer.subtract_once


@kernel
def gather(limbs, batch, n, x, x_b, x_l, index, out, o_b, o_l, scratch):  # type: ignore[no-untyped-def]
    """See `Kernels.gather`; scratch holds n words, or is 0 where x and out differ."""
    for limb in range(limbs):
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            if scratch:
                u = _copy(n, u, scratch)
            for i in range(n):
                store_word(o, i, load_word(u, load_int(index, i)))
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
    """See `Kernels.signed`; high is 0 where there is none.

    bias, the least multiple of q from 2^62 up, lies below 2^62 + 2^61, so bias + low is in (0, 2^63 + 2^61).
    """
    for limb in range(limbs):
        row = rows + ROW * limb
        q, bias, quotient = load_word(row, Q), load_word(row, BIAS), load_word(row, QUOTIENT)
        w, w_quotient = load_word(row, HIGH), load_word(row, HIGH_QUOTIENT)
        for b in range(batch):
            u, v, o = low + b * l_b, high + b * h_b, out + b * o_b + limb * o_l
            if high:
                for i in range(n):
                    r = _barrett_lazy(load_word(u, i) + bias, quotient, q)
                    r += _shoup_lazy(load_word(v, i) + bias, w, w_quotient, q)  # [0, 4q)
                    store_word(o, i, _subtract_once(_subtract_once(r, q + q), q))
            else:
                for i in range(n):
                    store_word(o, i, _subtract_once(_barrett_lazy(load_word(u, i) + bias, quotient, q), q))
