"""Primitive 2N-th roots of unity modulo a prime, and the bit-reversed order of the NTT."""

from __future__ import annotations

from functools import lru_cache

from ckks.arith.primes import check_ring_degree
from ckks.errors import ParameterError


def bit_reverse(i: int, bits: int) -> int:
    """Return brv(i): the lowest `bits` bits of i in reverse order.

    >>> [bit_reverse(i, 3) for i in range(8)]
    [0, 4, 2, 6, 1, 5, 3, 7]
    """
    result = 0
    for _ in range(bits):
        result, i = result << 1 | i & 1, i >> 1
    return result


def is_primitive_root(psi: int, n: int, q: int) -> bool:
    """Tell whether psi is a primitive 2n-th root of unity mod q: psi^n = -1 (n a power of two)."""
    return 0 < psi < q and pow(psi, n, q) == q - 1


def some_root(n: int, q: int) -> int:
    """Return a primitive 2n-th root of unity modulo the prime q = 1 mod 2n, whichever is found first."""
    check_ring_degree(n)
    if (q - 1) % (2 * n):
        raise ParameterError(
            f"q = {q} is not 1 mod {2 * n}, so it has no primitive {2 * n}-th root: "
            f"take primes from ntt_primes(n={n}, ...)"
        )
    for g in range(2, q):
        psi = pow(g, (q - 1) // (2 * n), q)
        if is_primitive_root(psi, n, q):
            return psi
    raise ParameterError(f"q = {q} has no primitive {2 * n}-th root: it is not prime")  # pragma: no cover


@lru_cache(maxsize=4096)
def least_root(n: int, q: int) -> int:
    """Return the least primitive 2n-th root of unity modulo the prime q = 1 mod 2n.

    All primitive roots are the odd powers of one of them, so the least is found by walking n powers.

    >>> least_root(8, 17)
    3
    """
    psi = some_root(n, q)
    square, least, power = psi * psi % q, psi, psi
    for _ in range(n - 1):
        power = power * square % q
        least = min(least, power)
    return least


def bit_reversed_powers(psi: int, n: int, q: int) -> list[int]:
    """Return W with W[i] = psi^brv(i) mod q, i = 0..n-1: the twiddles in the order the NTT reads them."""
    powers = [1]
    for _ in range(n - 1):
        powers.append(powers[-1] * psi % q)
    bits = n.bit_length() - 1
    return [powers[bit_reverse(i, bits)] for i in range(n)]
