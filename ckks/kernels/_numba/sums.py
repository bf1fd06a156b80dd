"""Sums of products: the inner product of two stacks, and a stack weighted by scalars.

The row is cut into tiles of `TILE` columns, and all terms of a tile are added before the next tile; the sum lives
in the output tile, which stays in the first-level cache while the terms stream by. Within a tile the batch comes
before the next tile too, so that operands which a whole batch shares are read from memory once.
"""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba import floating, integer
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import FAST, INVERSE, POWER, POWER_QUOTIENT, QUOTIENT, REAL_Q, ROW, Q
from ckks.kernels._numba.lanes import (
    LANES,
    high_word,
    join,
    load_int,
    load_real,
    load_reals,
    load_word,
    load_words,
    low_word,
    spread,
    store_reals,
    store_word,
    store_words,
    wide,
)

TILE = 512
"""Columns per tile: 4 KiB of output, as much of each term."""

_ZERO = np.uint64(0)
_GROUP, _GROUP_WIDE = floating.GROUP, integer.GROUP
_fixed, _mulmod, _mulmod_words, _reduce = floating.fixed, floating.mulmod, floating.mulmod_words, floating.reduce
_to_reals, _to_words = floating.to_reals, floating.to_words
_reduce_wide = integer.reduce_wide


@kernel
def dot(rows, limbs, terms, batch, n, x, x_k, x_b, x_l, y, y_k, y_b, y_l, out, o_b, o_l, scratch):  # type: ignore[no-untyped-def]
    """See `Kernels.dot`; scratch holds `TILE` words."""
    for limb in range(limbs):
        row = rows + ROW * limb
        for start in range(0, n, TILE):
            width, skip = min(TILE, n - start), 8 * start
            for b in range(batch):
                u, v = x + b * x_b + limb * x_l + skip, y + b * y_b + limb * y_l + skip
                o = out + b * o_b + limb * o_l + skip
                if load_int(row, FAST):
                    _dot_tile(row, width, terms, u, x_k, v, y_k, o)
                else:
                    _dot_tile_wide(row, width, terms, u, x_k, v, y_k, o, scratch)
    wipe(scratch, TILE)


@helper
def _dot_tile(row, width, terms, x, x_k, y, y_k, out):  # type: ignore[no-untyped-def]
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    for i in range(0, width, LANES):
        store_reals(out, i, _mulmod_words(_to_reals(load_words(x, i)), _to_reals(load_words(y, i)), q, inverse))
    for k in range(1, terms):
        u, v = x + k * x_k, y + k * y_k
        if k % _GROUP == 0:
            reduce_sums(width, out, q, inverse)
        for i in range(0, width, LANES):
            r = _mulmod_words(_to_reals(load_words(u, i)), _to_reals(load_words(v, i)), q, inverse)
            store_reals(out, i, load_reals(out, i) + r)
    finish_sums(row, width, out)


@helper
def _dot_tile_wide(row, width, terms, x, x_k, y, y_k, out, high):  # type: ignore[no-untyped-def]
    clear_wide(width, out, high)
    for k in range(terms):
        u, v = x + k * x_k, y + k * y_k
        if k > 0 and k % _GROUP_WIDE == 0:
            reduce_wide_sums(row, width, out, high)
        for i in range(width):
            z = join(load_word(high, i), load_word(out, i)) + wide(load_word(u, i), load_word(v, i))
            store_word(out, i, low_word(z))
            store_word(high, i, high_word(z))
    reduce_wide_sums(row, width, out, high)


@kernel
def weighted_sum(rows, limbs, terms, batch, n, x, x_k, x_b, x_l, w, w_k, w_l, out, o_b, o_l, scratch):  # type: ignore[no-untyped-def]
    """See `Kernels.weighted_sum`; scratch holds `TILE` words."""
    for limb in range(limbs):
        row = rows + ROW * limb
        for start in range(0, n, TILE):
            width, skip = min(TILE, n - start), 8 * start
            for b in range(batch):
                u, o = x + b * x_b + limb * x_l + skip, out + b * o_b + limb * o_l + skip
                if load_int(row, FAST):
                    _weighted_tile(row, width, terms, u, x_k, w + limb * w_l, w_k, o)
                else:
                    _weighted_tile_wide(row, width, terms, u, x_k, w + limb * w_l, w_k, o, scratch)
    wipe(scratch, TILE)


@helper
def _weighted_tile(row, width, terms, x, x_k, weights, w_k, out):  # type: ignore[no-untyped-def]
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    w, v = _fixed(load_word(weights, 0), q, inverse)
    for i in range(0, width, LANES):
        store_reals(out, i, _mulmod(_to_reals(load_words(x, i)), w, v, q))
    for k in range(1, terms):
        u = x + k * x_k
        w, v = _fixed(load_word(weights + k * w_k, 0), q, inverse)
        if k % _GROUP == 0:
            reduce_sums(width, out, q, inverse)
        for i in range(0, width, LANES):
            store_reals(out, i, load_reals(out, i) + _mulmod(_to_reals(load_words(u, i)), w, v, q))
    finish_sums(row, width, out)


@helper
def _weighted_tile_wide(row, width, terms, x, x_k, weights, w_k, out, high):  # type: ignore[no-untyped-def]
    clear_wide(width, out, high)
    for k in range(terms):
        if k > 0 and k % _GROUP_WIDE == 0:
            reduce_wide_sums(row, width, out, high)
        add_wide(width, x + k * x_k, load_word(weights + k * w_k, 0), out, high)
    reduce_wide_sums(row, width, out, high)


# ---- sums of reals, in place -----------------------------------------------------------------------------------


@helper
def reduce_sums(width, data, q, inverse):  # type: ignore[no-untyped-def]
    """Reduce sums |x| <= 8 q to |x| <= (q + 1)/2."""
    for i in range(0, width, LANES):
        store_reals(data, i, _reduce(load_reals(data, i), q, inverse))


@helper
def finish_sums(row, width, data):  # type: ignore[no-untyped-def]
    """Turn sums |x| <= 8 q into words in [0, q)."""
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    whole = spread(load_word(row, Q))
    for i in range(0, width, LANES):
        store_words(data, i, _to_words(_reduce(load_reals(data, i), q, inverse), whole))


# ---- sums of 128 bits: low words in one row, high words in another ---------------------------------------------


@helper
def clear_wide(width, low, high):  # type: ignore[no-untyped-def]
    """Set all sums to zero."""
    for i in range(width):
        store_word(low, i, _ZERO)
        store_word(high, i, _ZERO)


@helper
def add_wide(width, x, w, low, high):  # type: ignore[no-untyped-def]
    """Add w x, for a scalar word w."""
    for i in range(width):
        z = join(load_word(high, i), load_word(low, i)) + wide(load_word(x, i), w)
        store_word(low, i, low_word(z))
        store_word(high, i, high_word(z))


@helper
def reduce_wide_sums(row, width, low, high):  # type: ignore[no-untyped-def]
    """Reduce all sums to [0, q)."""
    q, quotient = load_word(row, Q), load_word(row, QUOTIENT)
    power, power_quotient = load_word(row, POWER), load_word(row, POWER_QUOTIENT)
    for i in range(width):
        z = join(load_word(high, i), load_word(low, i))
        store_word(low, i, _reduce_wide(z, q, quotient, power, power_quotient))
        store_word(high, i, _ZERO)


@helper
def wipe(data, count):  # type: ignore[no-untyped-def]
    """Zero scratch words, which may have held secrets, before their memory is given back."""
    for i in range(count):
        store_word(data, i, _ZERO)
