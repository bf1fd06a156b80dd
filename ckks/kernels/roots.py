"""`arith.least_root` for large rings: the N powers are made by doubling, in arrays.

Parameters that come from elsewhere name their primes, and each prime's root has to be found before their digest can be
compared: a reader's time is spent here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ckks.arith import least_root as least_root_by_walking
from ckks.arith import shoup_quotient
from ckks.arith.roots import some_root

SMALLEST = 256
"""Below this ring degree walking is as fast."""

_CHUNK = 4096
"""Words at once, so that what lies between stays in the second-level cache."""

_LOW, _HALF = np.uint64(2**32 - 1), np.uint64(32)


@lru_cache(maxsize=4096)
def least_root(n: int, q: int) -> int:
    """Return the least primitive 2n-th root of unity modulo the prime q = 1 mod 2n, q < 2^61."""
    if n < SMALLEST:
        return least_root_by_walking(n, q)
    psi = some_root(n, q)
    powers, made = np.empty(n, dtype=np.uint64), 1
    powers[0], step = psi, psi * psi % q
    while made < n:  # psi^1, psi^3, ..., of which the first half times psi^(twice their number) is the second
        for start in range(0, made, _CHUNK):
            some = powers[start : min(start + _CHUNK, made)]
            powers[made + start : made + start + len(some)] = _times(some, step, q)
        made, step = 2 * made, step * step % q
    return int(powers.min())


def _times(x: NDArray[np.uint64], w: int, q: int) -> NDArray[np.uint64]:
    """Return x w mod q, words below q, by the quotient of w ([Har12, Sec. 2])."""
    quotient = shoup_quotient(w, q, 64)
    low, high = np.uint64(quotient & (2**32 - 1)), np.uint64(quotient >> 32)
    x_low, x_high = x & _LOW, x >> _HALF
    cross_a, cross_b = low * x_high, high * x_low
    carry = (low * x_low >> _HALF) + (cross_a & _LOW) + (cross_b & _LOW)
    h = high * x_high + (cross_a >> _HALF) + (cross_b >> _HALF) + (carry >> _HALF)
    product = x * np.uint64(w) - h * np.uint64(q)  # modulo 2^64, and below 2q
    least: NDArray[np.uint64] = np.minimum(product, product - np.uint64(q))
    return least
