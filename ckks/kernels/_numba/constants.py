"""The constants of each prime, as rows of words that kernels read by address.

A row holds words and, bit for bit, float64 values; `Q`, `REAL_Q`, ... number its columns. A kernel gets the address
of the first row and steps by `ROW` bytes from limb to limb.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.arith import barrett_quotient, shoup_quotient
from ckks.errors import ParameterError
from ckks.kernels.interface import WORD_LIMIT, Plan

COLUMNS = 24
ROW = 8 * COLUMNS

Q = 0  # the modulus
FAST = 1  # 1: float64 kernels, 0: integer kernels
REAL_Q = 2  # q as float64
INVERSE = 3  # fl(1/q)
SHIFT = 4  # bit length of q, less 2
PRODUCT_QUOTIENT = 5  # floor(2^(64 + shift) / q), for integer.mulmod
QUOTIENT = 6  # floor(2^64 / q), for integer.barrett_lazy
POWER = 7  # 2^64 mod q, for integer.reduce_wide
POWER_QUOTIENT = 8  # ... and its Shoup quotient
MULTIPLE = 9  # the least multiple of q from 2^62 up: this and the next five for `permute.signed`
HIGH = 10  # 2^52 mod q
HIGH_QUOTIENT = 11  # ... and its Shoup quotient
POWER_31 = 12  # 2^31 mod q
POWER_83 = 13  # 2^83 mod q
MINUS_BIAS = 14  # -2^62 mod q
MINUS_BIASES = 15  # -2^62 - 2^114 mod q
TWIDDLES = 16  # address of the NTT tables, 0 where there are none
SCALE = 17  # N^-1 with its quotient in the next column: see `twiddles`
LAST = 19  # the last inverse twiddle times N^-1, and its quotient


@lru_cache(maxsize=4096)
def prime_row(q: int, fast: bool) -> NDArray[np.uint64]:
    """Return the row of one prime, without NTT tables; `fast` needs q < 2^50."""
    if not 2 < q < WORD_LIMIT or q % 2 == 0:
        raise ParameterError(f"modulus {q}; needed an odd number from 3 to 2^61")
    row = np.zeros(COLUMNS, dtype=np.uint64)
    shift = max(q.bit_length() - 2, 0)
    row[Q], row[FAST], row[SHIFT] = q, fast, shift
    row[PRODUCT_QUOTIENT] = barrett_quotient(q, 64 + shift)
    row[QUOTIENT] = barrett_quotient(q)
    row[POWER] = 2**64 % q
    row[POWER_QUOTIENT] = shoup_quotient(2**64 % q, q, 64)
    row[MULTIPLE] = -(-(2**62) // q) * q
    row[HIGH] = 2**52 % q
    row[HIGH_QUOTIENT] = shoup_quotient(2**52 % q, q, 64)
    row[POWER_31], row[POWER_83] = 2**31 % q, 2**83 % q
    row[MINUS_BIAS], row[MINUS_BIASES] = -(2**62) % q, (-(2**62) - 2**114) % q
    row[REAL_Q], row[INVERSE] = real_bits(q), real_bits(1 / q)
    row.flags.writeable = False
    return row


def real_bits(x: float) -> Any:
    """Return the IEEE bits of a float64 as a word."""
    return np.float64(x).view(np.uint64)


class Table:
    """An array whose address kernels are given, with whatever else has to live as long."""

    __slots__ = ("address", "array", "others")

    def __init__(self, array: NDArray[Any], others: Any = None) -> None:
        """Keep a C-contiguous copy of the array, and `others` alive beside it."""
        self.array = np.ascontiguousarray(array)
        self.others = others
        self.address = int(self.array.ctypes.data)


@lru_cache(maxsize=4096)
def prime_table(moduli: tuple[int, ...], fast_limit: int) -> Table:
    """Return the rows of these primes; those below `fast_limit` run on the float64 kernels."""
    return Table(np.stack([prime_row(q, q < fast_limit) for q in moduli]))


@lru_cache(maxsize=8192)
def plan_table(plan: Plan, fast_limit: int) -> Table:
    """Return the rows of a plan's limbs."""
    if plan.n < 8 or plan.n & (plan.n - 1):
        raise ParameterError(f"ring degree {plan.n}; needed a power of two from 8 up (CKKS_BACKEND=reference has 2)")
    return prime_table(plan.moduli, fast_limit)
