"""Primality, and the search for primes q = 1 mod 2N, which have the roots of unity that the NTT needs."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import count, islice, takewhile

from ckks.errors import ParameterError

# The least strong pseudoprime to the first twelve prime bases is about 3.18e23 ([SW17]), far beyond 64 bits.
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(n: int) -> bool:
    """Miller-Rabin with the first twelve prime bases: deterministic for n < 2^78.

    >>> [n for n in range(20) if is_prime(n)]
    [2, 3, 5, 7, 11, 13, 17, 19]
    """
    if n < 2:
        return False
    for p in _BASES:
        if n % p == 0:
            return n == p
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _BASES:
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def nearest_primes(target: int, *, n: int) -> Iterator[int]:
    """Yield the primes q = 1 mod 2n in order of distance from `target` (the smaller first on a tie)."""
    step = 2 * n
    start = (target - 1) // step * step + 1  # the largest candidate <= target, or 1
    below = range(start, step, -step)
    above = takewhile(lambda q: q < 4 * target + 64 * step, count(max(start, 1) + step, step))
    for q in merge(below, above, key=lambda q: (abs(q - target), q)):
        if is_prime(q):
            yield q


def primes_below(limit: int, *, n: int) -> Iterator[int]:
    """Yield the primes q = 1 mod 2n below `limit`, largest first."""
    step = 2 * n
    return (q for q in range((limit - 2) // step * step + 1, step, -step) if is_prime(q))


def ntt_primes(*, bits: int, count: int, n: int, avoid: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return `count` distinct primes q = 1 mod 2n of exactly `bits` bits, largest first.

    Args:
        bits: bit length of each prime, 3..61; 2^(bits-1) < q < 2^bits.
        count: how many.
        n: ring degree, a power of two >= 2.
        avoid: primes already in use.

    Raises:
        ParameterError: there are not that many such primes.

    >>> ntt_primes(bits=5, count=1, n=8)
    (17,)
    """
    check_ring_degree(n)
    if not 3 <= bits <= 61:
        raise ParameterError(f"prime size of {bits} bits; needed 3..61 (kernels hold residues below 2^61)")
    step = 2 * n
    candidates = (q for q in primes_below(2**bits, n=n) if q not in avoid)
    found = tuple(islice(takewhile(lambda q: q > 2 ** (bits - 1), candidates), count))
    if len(found) < count:
        raise ParameterError(
            f"only {len(found)} primes of {bits} bits are 1 mod {step}, needed {count}: "
            "use larger primes or a smaller ring degree"
        )
    return found


def check_ring_degree(n: int) -> None:
    """Raise ParameterError unless n is a power of two in 2..2^17."""
    if not isinstance(n, int) or n < 2 or n & (n - 1) or n > 2**17:
        raise ParameterError(f"ring degree {n!r}; needed a power of two from 2 to 2^17")
