"""The weight of a model of one feature, from one answer's c_1: what S7 is there to prevent."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ckks.ring import Domain, RingPoly
from ckks.rlwe import Ciphertext

Integers = NDArray[np.object_]


def halves(asked: Ciphertext, answered: Ciphertext) -> tuple[Integers, Integers, int, int]:
    """Return the coefficients of c_1 as sent and as it came back, the modulus Q of the input, and the divisor D.

    An answer W c_1 that was rescaled is (W c_1 - r) / D with |r| <= D / 2, D being the product of the dropped primes.
    """
    sent = asked.part(1).to_coefficient().to_integers()
    back = answered.part(1).to_coefficient().to_integers()
    modulus = asked.basis.modulus
    return sent, back, modulus, modulus // answered.basis.modulus


def weight_of(asked: Ciphertext, answered: Ciphertext, bits: int) -> int | None:
    """Return W, |W| < 2^bits, if the answer is W times the input, rescaled; None when there is no such number.

    W a - D b is small modulo Q: the lattice of (Q, 0) and (a, K) has a vector near (D b, 0), found by rounding in a
    reduced basis. All other coefficients say whether it was the right one.
    """
    sent, back, modulus, divisor = halves(asked, answered)
    weight = divisor >> bits or 1  # K: both parts of the vector are about D / 2 then
    for j in range(8):
        basis = _reduced((modulus, 0), (int(sent[j]), weight))
        near = _nearest(basis, (divisor * int(back[j]), 0))
        found = near[1] // weight
        if found and np.abs(_centred(found * sent - divisor * back, modulus)).max() <= 4 * divisor:
            return found
    return None


def ratio(asked: Ciphertext, answered: Ciphertext) -> NDArray[np.float64]:
    """Return c_1 of the answer over c_1 of the input in the transform domain, modulo the first prime q.

    As coefficients over q, in [-1/2, 1/2]: small ones if a small polynomial is all that was done to the input.
    """
    basis = answered.basis[:1]
    (q,) = basis.moduli
    sent, back = asked.part(1).residues[0].astype(object), answered.part(1).residues[0].astype(object)
    quotient = [int(b) * pow(int(a), -1, q) % q for a, b in zip(sent, back, strict=True)]
    coefficients = RingPoly(basis, np.array([quotient], np.uint64), Domain.NTT).to_coefficient().to_integers()
    return np.array([float(Fraction(int(c), q)) for c in coefficients])


def _centred(values: Integers, modulus: int) -> Integers:
    return (values + modulus // 2) % modulus - modulus // 2


Vector = tuple[int, int]


def _reduced(u: Vector, v: Vector) -> tuple[Vector, Vector]:
    """Lagrange's reduction of a basis in two dimensions."""
    while True:
        if _dot(u, u) < _dot(v, v):
            u, v = v, u
        k = _rounded(_dot(u, v), _dot(v, v))
        if k == 0:
            return v, u
        u = (u[0] - k * v[0], u[1] - k * v[1])


def _nearest(basis: tuple[Vector, Vector], target: Vector) -> Vector:
    """Babai's rounding: a lattice vector near the target."""
    (a, b), (c, d) = basis
    determinant = a * d - b * c
    x, y = target
    s, t = _rounded(x * d - y * c, determinant), _rounded(a * y - b * x, determinant)
    return s * a + t * c, s * b + t * d


def _dot(u: Vector, v: Vector) -> int:
    return u[0] * v[0] + u[1] * v[1]


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
