"""Arithmetic modulo an odd q < 2^50 in float64 with fused multiply-add, four lanes at a time.

A residue is an integer held exactly in a float64, signed, of magnitude up to a few q; its range is stated wherever
it is not [0, q). Notation: u = 2^-53; fl(.) rounds to nearest, so fl(x) = x (1 + d) with |d| <= u.

Rounding to an integer. With C = 1.5 2^52, for real x with |x| <= 2^51 the sum x + C lies in [2^52, 2^53], where the
floats are the integers: fma(a, b, C) - C is the integer nearest to a b, with one rounding (the subtraction is
exact). Outside |x| <= 2^51 floats near the sum are 1/2 or 2 apart and the result is WRONG, though random operands
rarely show it. So every use below states its range ([HLQ14]; [FLINT], fft_small).
"""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba.cache import helper
from ckks.kernels._numba.lanes import bits_of, fma, from_bits, mask_negative, spread

ROUNDER = 1.5 * 2.0**52
"""C above."""

_ROUNDER_BITS = np.uint64(0x4338_0000_0000_0000)
"""The bits of C; those of C + i are these plus i, for integers |i| < 2^51."""

OFFSET = 2.0**52
OFFSET_BITS = np.uint64(0x4330_0000_0000_0000)
"""The bits of 2^52; those of 2^52 + i are these plus i, for integers 0 <= i < 2^52."""

GROUP = 8
"""How many products `mulmod` and `mulmod_words` may be added up before `reduce`: see there."""


@helper
def to_reals(x):  # type: ignore[no-untyped-def]
    """Return words x < 2^52 as reals, exactly."""
    return from_bits(x | spread(OFFSET_BITS)) - spread(OFFSET)


@helper
def to_words(r, q):  # type: ignore[no-untyped-def]
    """Return the residues in [0, q), as words, of integers r in (-q, q); q as words.

    The branch on the sign is a mask, since r may be secret.
    """
    i = bits_of(r + spread(ROUNDER)) - spread(_ROUNDER_BITS)  # two's complement
    return i + (q & mask_negative(i))


@helper
def mulmod(y, w, v, q):  # type: ignore[no-untyped-def]
    """Return r = y w mod q for a fixed w with |w| <= q/2 and v = fl(w/q).

    For |y| <= A q, A <= 4:  |r| <= (1/2 + A/16) q.  For |y| <= 2^50:  |r| <= (1/2 + 1/16) q.

    k: |y v| <= 4 q/2 (1 + u) <= 2 (2^50 - 1)(1 + u) < 2^51 in either case, so k is the integer nearest to y v, and
    |y w/q - k| <= 1/2 + |y w/q - y v| <= 1/2 + u |y w| / q.
    r = y w - k q:  |r| <= q/2 + u |y| |w| <= q/2 + 2^-53 |y| q/2, where |y| <= A q < A 2^50.
    Exactness: h + l = y w exactly, with |l| <= ulp(2^101)/2 = 2^48; h - k q = r - l is an integer below 2^53, so
    the second fma does not round; nor does the sum, r itself. r is never -0, since l is not.
    """
    h = y * w
    k = fma(y, v, spread(ROUNDER)) - spread(ROUNDER)
    return fma(-k, q, h) + fma(y, w, -h)


@helper
def mulmod_words(x, y, q, inverse):  # type: ignore[no-untyped-def]
    """Return r = x y mod q for x in [-q, q] and y in [0, q], inverse = fl(1/q): |r| < 0.76 q.

    h = x y (1 + d), so |h inverse - x y/q| <= ((1 + u)^2 - 1) |x y|/q < 2^-52 (1 + u) q < 1/4 + 2^-50.
    k: |h inverse| < q + 1 < 2^51, so |x y/q - k| <= 1/2 + 1/4 + 2^-50, and |r| <= (3/4 + 2^-50) q.
    Exactness as in `mulmod`, with |l| <= ulp(q^2)/2 <= 2^46.
    """
    h = x * y
    k = fma(h, inverse, spread(ROUNDER)) - spread(ROUNDER)
    return fma(-k, q, h) + fma(x, y, -h)


@helper
def reduce(x, q, inverse):  # type: ignore[no-untyped-def]
    """Return r = x mod q for integers |x| <= 2^53 with |x| < 2^50 q, inverse = fl(1/q): |r| <= (q + 1)/2.

    |x inverse| < 2^50 (1 + u) < 2^51; |x inverse - x/q| <= u |x|/q, so |r| <= q/2 + u |x| <= q/2 + 1; r is an
    integer and q odd, so |r| <= (q + 1)/2. Sums of `GROUP` products and one reduced term are well within:
    8 (0.76 q) + (q + 1)/2 < 8 q < 2^53.
    """
    k = fma(x, inverse, spread(ROUNDER)) - spread(ROUNDER)
    return fma(-k, q, x)


@helper
def fixed(w, q, inverse):  # type: ignore[no-untyped-def]
    """Return (w, v), the operands of `mulmod` in every lane, for a scalar word w in [0, q).

    `reduce` of |x| < q errs by less than 1/8, so |w| <= (q - 1)/2; the division rounds correctly, so v = fl(w/q).
    """
    centred = reduce(to_reals(spread(w)), q, inverse)
    return centred, centred / q
