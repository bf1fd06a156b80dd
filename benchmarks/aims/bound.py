"""The least time of a transform on this core: how many instructions its arithmetic is, and what the ports take.

A butterfly on doubles (native/src/avx2/fp64.h) multiplies a residue by a twiddle, reduces, adds and subtracts: four
multiply-adds and four additions for each vector of four. Two pipes that multiply and add, and two more that add, take
four such operations a cycle: two cycles for four butterflies. AMD cores since Zen 2 have these pipes; where additions
share a port with multiply-adds, as on Intel's, the true bound is higher.
"""

from __future__ import annotations

import time

import numba
import numpy as np

CYCLES_PER_BUTTERFLY = 0.5
MULTIPLY_LATENCY = 3
"""Cycles until a 64-bit integer product can be used: x86 cores, but the first Zen and small ones."""


@numba.njit(cache=False)  # type: ignore[untyped-decorator]
def _squares(x: np.uint64, steps: int) -> np.uint64:
    for _ in range(steps):
        x = x * x
    return x


def gigahertz(steps: int = 300_000, repeats: int = 9) -> float:
    """Return cycles per nanosecond of this core, from a chain of products that each wait for the one before."""
    _squares(np.uint64(3), 1)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        _squares(np.uint64(3), steps)
        best = min(best, time.perf_counter() - start)
    return 1e-9 * MULTIPLY_LATENCY * steps / best


def butterflies(n: int) -> int:
    """Return (N/2) log2 N."""
    return n // 2 * (n.bit_length() - 1)


def least_microseconds(n: int, frequency: float) -> float:
    """Return the port bound of a forward transform of N points at so many GHz."""
    return 1e-3 * CYCLES_PER_BUTTERFLY * butterflies(n) / frequency
