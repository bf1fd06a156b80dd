"""Base conversion, `reference.convert` word for word, in two steps on tiles of columns.

1. y_i = [x_i (D/d_i)^-1] mod d_i for every source prime, kept in scratch, and the overflow count v.
2. For every target prime p_j: sum_i y_i [D/d_i] - v [D] mod p_j, summed as in `sums`, the last term with weight
   [-D] mod p_j.

Float64 throughout when source and target primes are below 2^50; any larger source prime sends everything to the
128-bit integers, any larger target prime its own row.

The overflow fraction t = floor(s r / 2^52) of `reference.overflow_fraction`, for d < 2^50 with bit length b: s = y
2^(52-b), so t = floor(y g) with g = r 2^-b, a float64 since r < 2^52. y g < 2^51, because r <= 2^(51+b)/d. Hence
m = fma(y, g, 2^52) is 2^52 plus the integer nearest to y g, with one rounding, and e = fma(y, g, 2^52 - m) is exact:
a multiple of 2^-52 in [-1/2, 1/2] (y r 2^-b = s r 2^-52). So t = m - 2^52 where e >= 0, one less where e < 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ckks.kernels._numba import floating, integer, sums
from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import (
    FAST,
    INVERSE,
    PRODUCT_QUOTIENT,
    REAL_Q,
    ROW,
    SHIFT,
    Q,
    Table,
    prime_table,
    real_bits,
)
from ckks.kernels._numba.lanes import (
    LANES,
    bits_of,
    fma,
    from_bits,
    high_word,
    load_int,
    load_real,
    load_reals,
    load_word,
    load_words,
    low_word,
    mask_negative,
    shift_right,
    spread,
    store_reals,
    store_word,
    store_words,
    wide,
)
from ckks.kernels.interface import Conversion

STEP = 2 * LANES
"""The number of columns is a multiple of this."""

# Columns of a source row.
_WORD, _REAL, _QUOTIENT = 0, 1, 2  # (D/d_i)^-1 mod d_i: as a word; centred, as float64; fl(that / d_i)
_FRACTION = 3  # g = r 2^-b, float64
_RECIPROCAL = 4  # r
_LEFT, _RIGHT = 5, 6  # the shift from y to s: 52 - b to the left, or b - 52 to the right
_SOURCE = 8 * 8  # bytes

# Columns of a weight: as a word; centred, as float64; fl(that / p_j).
_WEIGHT = 3 * 8  # bytes

_OFFSET, _OFFSET_BITS = floating.OFFSET, floating.OFFSET_BITS
_V_SHIFT = np.uint64(51)
_TWELVE, _FRACTION_SHIFT = np.uint64(12), np.uint64(52)
_GROUP, _GROUP_WIDE = floating.GROUP, integer.GROUP

_mulmod, _to_reals = floating.mulmod, floating.to_reals
_mulmod_wide = integer.mulmod
_reduce_sums, _finish_sums = sums.reduce_sums, sums.finish_sums
_clear_wide, _add_wide, _reduce_wide_sums, _wipe = sums.clear_wide, sums.add_wide, sums.reduce_wide_sums, sums.wipe


class ConversionTable:
    """The constants of a `Conversion` as the kernel reads them."""

    __slots__ = ("arguments", "tables", "tile")

    def __init__(self, table: Conversion, fast_limit: int) -> None:
        """Tabulate; primes below `fast_limit` run on the float64 kernels."""
        # 2048 words of y, 16 KiB, and never tiles so narrow that the loops over them do not pay.
        self.tile = min(512, max(64, 2048 // len(table.source) // STEP * STEP))
        sources = np.zeros((len(table.source), _SOURCE // 8), dtype=np.uint64)
        for row, d, w, r in zip(sources, table.source, table.punctured_inverse, table.reciprocal, strict=True):
            b = d.bit_length()
            row[_WORD], row[_REAL], row[_QUOTIENT] = _operand(w, d)
            row[_FRACTION], row[_RECIPROCAL] = real_bits(float(r) * 2.0**-b), r
            row[_LEFT], row[_RIGHT] = max(52 - b, 0), max(b - 52, 0)
        weights = np.zeros((len(table.target), len(table.source) + 1, _WEIGHT // 8), dtype=np.uint64)
        for columns, p, punctured, product in zip(weights, table.target, table.punctured, table.product, strict=True):
            for column, w in zip(columns, (*punctured, -product % p), strict=True):
                column[:] = _operand(w, p)
        source_rows, target_rows = prime_table(table.source, fast_limit), prime_table(table.target, fast_limit)
        self.tables = source_rows, Table(sources), target_rows, Table(weights)
        real = max(table.source) < fast_limit
        addresses = [made.address for made in self.tables]
        a, b = len(table.source), len(table.target)
        self.arguments = (int(real), table.offset, *addresses, a, b, self.tile)
        """The first arguments of `convert`, in its order; the addresses are those of `tables`."""


def _operand(w: int, q: int) -> tuple[int, np.uint64, np.uint64]:
    centred = w - q if w > q // 2 else w
    return w, real_bits(float(centred)), real_bits(centred / q)


@lru_cache(maxsize=4096)
def conversion_table(table: Conversion, fast_limit: int) -> ConversionTable:
    """Return the (cached) constants of a conversion."""
    return ConversionTable(table, fast_limit)


@kernel
def convert(  # type: ignore[no-untyped-def]
    real, offset, source_rows, sources, target_rows, weights, a, b, tile, batch, n, x, x_b, x_l, out, o_b, o_l, scratch
):
    """See `Kernels.convert`: `a` source and `b` target primes; scratch holds a + 2 tiles."""
    count = scratch + 8 * tile * a  # the overflow counts, as words
    high = count + 8 * tile
    for item in range(batch):
        for start in range(0, n, tile):
            width = min(tile, n - start)
            u, o = x + item * x_b + 8 * start, out + item * o_b + 8 * start
            if real:
                _sources(source_rows, sources, a, offset, width, tile, u, x_l, scratch, count)
            else:
                _sources_wide(source_rows, sources, a, offset, width, tile, u, x_l, scratch, count)
            done = 0  # target rows that run on reals; the others follow, once the y_i are words
            for j in range(b):
                row, constants = target_rows + ROW * j, weights + _WEIGHT * (a + 1) * j
                if real and load_int(row, FAST):
                    _target(row, constants, a, width, tile, scratch, count, o + j * o_l)
                    done += 1
            if done < b:
                if real:
                    _as_words(a * tile, scratch)
                for j in range(b):
                    row, constants = target_rows + ROW * j, weights + _WEIGHT * (a + 1) * j
                    if not (real and load_int(row, FAST)):
                        _target_wide(row, constants, a, width, tile, scratch, count, high, o + j * o_l)
    _wipe(scratch, tile * (a + 2))


# ---- step 1 ----------------------------------------------------------------------------------------------------


@helper
def _sources(rows, sources, a, offset, width, tile, x, x_l, y, count):  # type: ignore[no-untyped-def]
    """y_i as reals in [0, d_i), and the counts."""
    # Each m contributes the bits of 2^52 to the sum; they are taken off at the start.
    zero = np.uint64(offset) - np.uint64(a) * _OFFSET_BITS
    for k in range(0, width, LANES):
        store_words(count, k, spread(zero))
    shifted = spread(_OFFSET)
    for i in range(a):
        d = spread(load_real(rows + ROW * i, REAL_Q))
        constants, u, o = sources + _SOURCE * i, x + i * x_l, y + 8 * tile * i
        w, v = spread(load_real(constants, _REAL)), spread(load_real(constants, _QUOTIENT))
        g = spread(load_real(constants, _FRACTION))
        for k in range(0, width, LANES):
            r = _mulmod(_to_reals(load_words(u, k)), w, v, d)  # in (-d, d)
            r = r + from_bits(bits_of(d) & mask_negative(r))
            store_reals(o, k, r)
            m = fma(r, g, shifted)
            e = fma(r, g, shifted - m)
            store_words(count, k, load_words(count, k) + bits_of(m) + mask_negative(e))
    for k in range(0, width, LANES):
        store_words(count, k, shift_right(load_words(count, k), _V_SHIFT))


@helper
def _sources_wide(rows, sources, a, offset, width, tile, x, x_l, y, count):  # type: ignore[no-untyped-def]
    """y_i as words in [0, d_i), and the counts."""
    for k in range(width):
        store_word(count, k, np.uint64(offset))
    for i in range(a):
        row, constants, u, o = rows + ROW * i, sources + _SOURCE * i, x + i * x_l, y + 8 * tile * i
        d, shift, quotient = load_word(row, Q), load_word(row, SHIFT), load_word(row, PRODUCT_QUOTIENT)
        w, reciprocal = load_word(constants, _WORD), load_word(constants, _RECIPROCAL)
        left, right = load_word(constants, _LEFT), load_word(constants, _RIGHT)
        for k in range(width):
            r = _mulmod_wide(load_word(u, k), w, d, shift, quotient)
            store_word(o, k, r)
            z = wide(r << left >> right, reciprocal)  # s r < 2^104
            t = high_word(z) << _TWELVE | low_word(z) >> _FRACTION_SHIFT
            store_word(count, k, load_word(count, k) + t)
    for k in range(width):
        store_word(count, k, load_word(count, k) >> _V_SHIFT)


# ---- step 2 ----------------------------------------------------------------------------------------------------


@helper
def _target(row, weights, a, width, tile, y, count, out):  # type: ignore[no-untyped-def]
    """One target row from y_i as reals: the term of v <= 1024 first, then those of y_i.

    y_i < 2^50 whatever the size of p, which `mulmod` allows. Keeping the sum in registers instead of the output
    tile, with the loop over i inside, takes up to twice as long: short dependent loops.
    """
    p, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    constants = weights + _WEIGHT * a
    w, v = spread(load_real(constants, 1)), spread(load_real(constants, 2))
    for k in range(0, width, LANES):
        store_reals(out, k, _mulmod(_to_reals(load_words(count, k)), w, v, p))
    for i in range(a):
        if i > 0 and i % _GROUP == 0:
            _reduce_sums(width, out, p, inverse)
        constants, u = weights + _WEIGHT * i, y + 8 * tile * i
        w, v = spread(load_real(constants, 1)), spread(load_real(constants, 2))
        for k in range(0, width, LANES):
            store_reals(out, k, load_reals(out, k) + _mulmod(load_reals(u, k), w, v, p))
    _finish_sums(row, width, out)


@helper
def _target_wide(row, weights, a, width, tile, y, count, high, out):  # type: ignore[no-untyped-def]
    """One target row from y_i as words."""
    _clear_wide(width, out, high)
    for i in range(a + 1):
        if i > 0 and i % _GROUP_WIDE == 0:
            _reduce_wide_sums(row, width, out, high)
        _add_wide(width, y + 8 * tile * i if i < a else count, load_word(weights + _WEIGHT * i, 0), out, high)
    _reduce_wide_sums(row, width, out, high)


@helper
def _as_words(count, y):  # type: ignore[no-untyped-def]
    """Replace reals y in [0, 2^52) by words."""
    for k in range(0, count, LANES):
        store_words(y, k, bits_of(load_reals(y, k) + spread(_OFFSET)) - spread(_OFFSET_BITS))
