"""Arithmetic modulo an odd q < 2^61 on uint64 scalars, with 128-bit products.

Ranges are stated wherever they are not [0, q). No branch depends on a residue: conditional subtractions are minima
of unsigned integers, where a wrapped difference is the larger one.
"""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba.cache import helper
from ckks.kernels._numba.lanes import high_word, low_word, mulhi, wide

_ONE = np.uint64(1)
_LAST_SHIFT = np.uint64(63)

GROUP = 32
"""How many products of residues fit in 128 bits: 32 (2^61 - 1)^2 + 2^61 < 2^127 + 2^61 < 2^128."""


@helper
def subtract_once(x, q):  # type: ignore[no-untyped-def]
    """Return x - q if x >= q, else x: [0, 2 q) to [0, q), for q <= 2^63."""
    return min(x, x - q)


@helper
def shoup_lazy(y, w, quotient, q):  # type: ignore[no-untyped-def]
    """Return w y mod q in [0, 2q) for any word y and w in [0, q), quotient = floor(w 2^64 / q) ([Har12, Sec. 2]).

    w/q - quotient/2^64 < 2^-64, so 0 <= w y/q - floor(quotient y/2^64) < y 2^-64 + 1 < 2.
    """
    return w * y - mulhi(quotient, y) * q


@helper
def shoup(y, w, quotient, q):  # type: ignore[no-untyped-def]
    """Return w y mod q in [0, q) for any word y."""
    return subtract_once(shoup_lazy(y, w, quotient, q), q)


@helper
def barrett_lazy(x, quotient, q):  # type: ignore[no-untyped-def]
    """Return x mod q in [0, 2q) for any word x, quotient = floor(2^64 / q): `shoup_lazy` with w = 1."""
    return x - mulhi(quotient, x) * q


@helper
def mulmod(x, y, q, shift, quotient):  # type: ignore[no-untyped-def]
    """Return x y mod q in [0, q); with b the bit length of q, shift = b - 2 and quotient = floor(2^(64 + b - 2)/q).

    z = x y < 2^(2b), c = floor(z / 2^(b-2)) < 2^(b+2) <= 2^63, k = floor(c quotient / 2^64). Then
    z/q - k = (z - c 2^(b-2))/q + c (2^(b-2)/q - quotient/2^64) + frac  <  1/2 + c/2^64 + 1  <=  2,
    since 2^(b-2)/q <= 1/2. So z - k q is in [0, 2q): one subtraction ([Bar86], with two guard bits).
    """
    z = wide(x, y)
    low = low_word(z)
    c = (high_word(z) << _ONE) << (_LAST_SHIFT - shift) | low >> shift
    return subtract_once(low - mulhi(c, quotient) * q, q)


@helper
def reduce_wide(z, q, quotient, power, power_quotient):  # type: ignore[no-untyped-def]
    """Return the double word z mod q in [0, q).

    quotient = floor(2^64/q), power = 2^64 mod q with its Shoup quotient. z = high 2^64 + low; each half in [0, 2q),
    the sum below 4 q < 2^63.
    """
    r = shoup_lazy(high_word(z), power, power_quotient, q) + barrett_lazy(low_word(z), quotient, q)
    return subtract_once(subtract_once(r, q + q), q)
