"""Kernels that go word by word. Arguments: see `source`; every row function works on one limb of one polynomial.

Sums need no multiplication and run on integer lanes for every prime; products run on float64 lanes below 2^50 and
on 128-bit scalars above.
"""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba import floating, integer
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import FAST, INVERSE, PRODUCT_QUOTIENT, REAL_Q, ROW, SHIFT, Q
from ckks.kernels._numba.lanes import (
    LANES,
    load_int,
    load_real,
    load_word,
    load_words,
    mask_negative,
    spread,
    store_word,
    store_words,
)

_ZERO = np.uint64(0)

# Numba resolves names at compile time, attributes of modules among them.
_to_reals, _to_words, _mulmod_words = floating.to_reals, floating.to_words, floating.mulmod_words
_mulmod, _fixed = floating.mulmod, floating.fixed
_mulmod_wide, _subtract_once = integer.mulmod, integer.subtract_once


@helper
def add_lanes(x, y, q):  # type: ignore[no-untyped-def]
    """Return x + y mod q for words in [0, q), q < 2^62."""
    d = x + y - q
    return d + (q & mask_negative(d))


@helper
def subtract_lanes(x, y, q):  # type: ignore[no-untyped-def]
    """Return x - y mod q for words in [0, q), q < 2^63."""
    d = x - y
    return d + (q & mask_negative(d))


@kernel
def add(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.add`."""
    for limb in range(limbs):
        q = spread(load_word(rows + ROW * limb, Q))
        for b in range(batch):
            u, v, o = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, out + b * o_b + limb * o_l
            for i in range(0, n, LANES):
                store_words(o, i, add_lanes(load_words(u, i), load_words(v, i), q))


@kernel
def add_scalar(rows, limbs, batch, n, x, x_b, x_l, w, w_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.add_scalar`; w is a column with stride w_l."""
    for limb in range(limbs):
        q, s = spread(load_word(rows + ROW * limb, Q)), spread(load_word(w + limb * w_l, 0))
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            for i in range(0, n, LANES):
                store_words(o, i, add_lanes(load_words(u, i), s, q))


@kernel
def sub(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.sub`."""
    for limb in range(limbs):
        q = spread(load_word(rows + ROW * limb, Q))
        for b in range(batch):
            u, v, o = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, out + b * o_b + limb * o_l
            for i in range(0, n, LANES):
                store_words(o, i, subtract_lanes(load_words(u, i), load_words(v, i), q))


@kernel
def neg(rows, limbs, batch, n, x, x_b, x_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.neg`."""
    zero = spread(_ZERO)
    for limb in range(limbs):
        q = spread(load_word(rows + ROW * limb, Q))
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            for i in range(0, n, LANES):
                store_words(o, i, subtract_lanes(zero, load_words(u, i), q))


@kernel
def mul(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.mul`."""
    for limb in range(limbs):
        for b in range(batch):
            _mul_row(
                rows + ROW * limb, n, x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, out + b * o_b + limb * o_l
            )


@helper
def _mul_row(row, n, x, y, out):  # type: ignore[no-untyped-def]
    if load_int(row, FAST):
        q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
        whole = spread(load_word(row, Q))
        for i in range(0, n, LANES):
            r = _mulmod_words(_to_reals(load_words(x, i)), _to_reals(load_words(y, i)), q, inverse)
            store_words(out, i, _to_words(r, whole))
    else:
        p, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        for i in range(n):
            store_word(out, i, _mulmod_wide(load_word(x, i), load_word(y, i), p, shift, quotient))


@kernel
def mul_add(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, z, z_b, z_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.mul_add`."""
    for limb in range(limbs):
        for b in range(batch):
            u, v, w = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, z + b * z_b + limb * z_l
            _mul_add_row(rows + ROW * limb, n, u, v, w, out + b * o_b + limb * o_l, False)


@kernel
def neg_mul_add(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, z, z_b, z_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.neg_mul_add`."""
    for limb in range(limbs):
        for b in range(batch):
            u, v, w = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, z + b * z_b + limb * z_l
            _mul_add_row(rows + ROW * limb, n, u, v, w, out + b * o_b + limb * o_l, True)


@helper
def _mul_add_row(row, n, x, y, z, out, negative):  # type: ignore[no-untyped-def]
    if load_int(row, FAST):
        q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
        whole = spread(load_word(row, Q))
        for i in range(0, n, LANES):
            r = _mulmod_words(_to_reals(load_words(x, i)), _to_reals(load_words(y, i)), q, inverse)
            if negative:
                store_words(out, i, subtract_lanes(load_words(z, i), _to_words(r, whole), whole))
            else:
                store_words(out, i, add_lanes(load_words(z, i), _to_words(r, whole), whole))
    else:
        p, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        for i in range(n):
            r = _mulmod_wide(load_word(x, i), load_word(y, i), p, shift, quotient)
            if negative:
                r = p - r
            store_word(out, i, _subtract_once(r + load_word(z, i), p))


@kernel
def mul_scalar(rows, limbs, batch, n, x, x_b, x_l, w, w_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.mul_scalar`; w is a column with stride w_l."""
    for limb in range(limbs):
        s = load_word(w + limb * w_l, 0)
        for b in range(batch):
            _mul_scalar_row(rows + ROW * limb, n, x + b * x_b + limb * x_l, s, out + b * o_b + limb * o_l)


@helper
def _mul_scalar_row(row, n, x, s, out):  # type: ignore[no-untyped-def]
    if load_int(row, FAST):
        q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
        w, v = _fixed(s, q, spread(load_real(row, INVERSE)))
        for i in range(0, n, LANES):
            store_words(out, i, _to_words(_mulmod(_to_reals(load_words(x, i)), w, v, q), whole))
    else:
        p, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        for i in range(n):
            store_word(out, i, _mulmod_wide(load_word(x, i), s, p, shift, quotient))


@kernel
def mul_scalar_add(rows, limbs, batch, n, x, x_b, x_l, w, w_l, y, y_b, y_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.mul_scalar_add`."""
    for limb in range(limbs):
        s = load_word(w + limb * w_l, 0)
        for b in range(batch):
            u, v, o = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, out + b * o_b + limb * o_l
            _mul_scalar_add_row(rows + ROW * limb, n, u, s, v, o)


@helper
def _mul_scalar_add_row(row, n, x, s, y, out):  # type: ignore[no-untyped-def]
    if load_int(row, FAST):
        q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
        w, v = _fixed(s, q, spread(load_real(row, INVERSE)))
        for i in range(0, n, LANES):
            r = _to_words(_mulmod(_to_reals(load_words(x, i)), w, v, q), whole)
            store_words(out, i, add_lanes(r, load_words(y, i), whole))
    else:
        p, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        for i in range(n):
            r = _mulmod_wide(load_word(x, i), s, p, shift, quotient) + load_word(y, i)
            store_word(out, i, _subtract_once(r, p))


@kernel
def sub_mul_scalar(rows, limbs, batch, n, x, x_b, x_l, y, y_b, y_l, w, w_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.sub_mul_scalar`."""
    for limb in range(limbs):
        s = load_word(w + limb * w_l, 0)
        for b in range(batch):
            u, v, o = x + b * x_b + limb * x_l, y + b * y_b + limb * y_l, out + b * o_b + limb * o_l
            _sub_mul_scalar_row(rows + ROW * limb, n, u, v, s, o)


@helper
def _sub_mul_scalar_row(row, n, x, y, s, out):  # type: ignore[no-untyped-def]
    if load_int(row, FAST):
        q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
        w, v = _fixed(s, q, spread(load_real(row, INVERSE)))
        for i in range(0, n, LANES):
            difference = _to_reals(load_words(x, i)) - _to_reals(load_words(y, i))  # in (-q, q)
            store_words(out, i, _to_words(_mulmod(difference, w, v, q), whole))
    else:
        p, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        for i in range(n):
            difference = _subtract_once(load_word(x, i) + p - load_word(y, i), p)
            store_word(out, i, _mulmod_wide(difference, s, p, shift, quotient))
