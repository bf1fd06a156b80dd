"""Arithmetic modulo one integer, and the precomputed quotients that kernels use."""

from __future__ import annotations

from ckks.errors import ParameterError


def inverse(a: int, q: int) -> int:
    """Return a^-1 mod q in [0, q); raise ParameterError when gcd(a, q) != 1."""
    try:
        return pow(a, -1, q)
    except ValueError:
        raise ParameterError(
            f"{a} has no inverse modulo {q}: they share a factor; use moduli that are coprime"
        ) from None


def centred(a: int, q: int) -> int:
    """Return the representative of a mod q in (-q/2, q/2].

    >>> [centred(a, 5) for a in range(5)]
    [0, 1, 2, -2, -1]
    """
    a %= q
    return a - q if 2 * a > q else a


def shoup_quotient(w: int, q: int, bits: int) -> int:
    """Return floor(w 2^bits / q), the second half of a Shoup operand ([Har12, Sec. 2]).

    With w in [0, q) and w' this quotient, h = floor(w' y / 2^bits) gives w y - h q in [0, 2q) for every
    0 <= y < 2^bits: one high product, two low products, no division.
    """
    return (w << bits) // q


def barrett_quotient(q: int, bits: int = 64) -> int:
    """Return floor(2^bits / q): x - floor(x mu / 2^bits) q lies in [0, 2q) for 0 <= x < 2^bits."""
    return (1 << bits) // q
