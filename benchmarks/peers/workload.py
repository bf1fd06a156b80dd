"""What is measured: parameter sets, operands and operations, the same for every library.

Needs numpy alone and Python 3.10, since workers import it under the interpreters of other libraries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One parameter set that all libraries share.

    name          N12 .. N15 for single operations, R13 and R14 for the logistic regression
    log_n         log2 of the ring degree N
    depth         levels: how many rescales a fresh ciphertext has
    scale_bits    log2 of the scale, and the size of every prime that a rescale drops
    first_bits    size of the prime that stays (all libraries)
    special_bits  size of the special prime of libraries that have exactly one (SEAL); the others choose theirs
    """

    name: str
    log_n: int
    depth: int
    scale_bits: int
    first_bits: int
    special_bits: int

    @property
    def ring_degree(self) -> int:
        return 1 << self.log_n

    @property
    def slots(self) -> int:
        return self.ring_degree // 2

    @property
    def prime_bits(self) -> list[int]:
        """Bits of (q_0, .., q_L, p) for libraries with one special prime."""
        return [self.first_bits, *[self.scale_bits] * self.depth, self.special_bits]

    @property
    def is_regression(self) -> bool:
        return self.name.startswith("R")


CASES = {
    case.name: case
    for case in (
        Case("N12", 12, 1, 32, 34, 38),
        Case("N13", 13, 2, 40, 46, 60),
        Case("N14", 14, 7, 40, 46, 60),
        Case("N15", 15, 14, 45, 50, 60),
        Case("R13", 13, 3, 36, 46, 60),
        Case("R14", 14, 3, 40, 46, 60),
    )
}

OPERATIONS = {
    "encode": "encode",
    "encrypt_pk": "encrypt (public key)",
    "encrypt_sk": "encrypt (secret key)",
    "encode_encrypt_pk": "encode + encrypt (public key)",
    "encode_encrypt_sk": "encode + encrypt (secret key)",
    "decrypt": "decrypt",
    "decode": "decode",
    "decrypt_decode": "decrypt + decode",
    "add": "add",
    "multiply_plain": "multiply by an encoded plaintext",
    "multiply_vector": "encode + multiply + rescale",
    "multiply": "multiply + relinearise + rescale",
    "rotate": "rotate by 1",
    "rotate_8": "8 rotations of one ciphertext",
    "relin_keygen": "relinearisation key",
}
"""Name -> label, in the order of the report. All at the top level, on vectors of N/2 real numbers."""

ROTATIONS = (1, 2, 3, 4, 5, 6, 7, 8)

STAGES = ("encrypt", "server", "decrypt")
"""Of a regression: encode and encrypt; weighted sum and polynomial; decrypt and decode."""

WAYS = {
    "columns_sk": "one ciphertext per feature, secret key",
    "columns_pk": "one ciphertext per feature, public key",
    "rows_pk": "one ciphertext per row, public key",
}
"""Layouts of a regression. Rates of `rows_pk` are those of a few rows."""

FEATURES, INTERVAL, FEW_ROWS = 30, 8.0, 4


def operands(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two vectors of numbers in [-1, 1] without pattern."""
    index = np.arange(count)
    return np.cos(index), np.sin(1.3 * index + 0.5)


@dataclass(frozen=True)
class Regression:
    """p(weights . x + bias) for every column of `features`, p a cubic near the logistic function on [-8, 8].

    features   (30, rows), in [-1, 1]
    weights    (30,), with sum |w| + |bias| < 8
    cubic      Chebyshev coefficients (c_0, .., c_3) of p in u = z / 8, c_2 = 0
    """

    features: np.ndarray
    weights: np.ndarray
    bias: float
    cubic: np.ndarray

    @classmethod
    def of(cls, rows: int) -> Regression:
        """Return the regression that every library computes."""
        features = np.cos(np.outer(np.arange(1, FEATURES + 1), np.arange(rows) + 0.5))
        weights = np.cos(np.arange(1.0, FEATURES + 1))
        weights *= 7.5 / np.abs(weights).sum()
        cubic = np.polynomial.chebyshev.chebinterpolate(lambda u: 1 / (1 + np.exp(-INTERVAL * u)), 3)
        cubic[2] = 0.0  # the function minus 1/2 is odd; what interpolation leaves there is rounding
        return cls(features, weights, 0.25, cubic)

    def expected(self) -> np.ndarray:
        """Return the probabilities that the cubic gives, (rows,)."""
        z = self.weights @ self.features + self.bias
        return np.polynomial.chebyshev.chebval(z / INTERVAL, self.cubic)

    def power(self) -> np.ndarray:
        """Return the coefficients of p in powers of z."""
        in_u = np.polynomial.chebyshev.cheb2poly(self.cubic)
        return in_u / INTERVAL ** np.arange(4)

    def factored(self) -> tuple[np.ndarray, float, float, float]:
        """Return (w, b, a, c) with p = c + v (v^2 + a) for v = w . x + b: two products, three levels with the sum."""
        c0, c1, _, c3 = self.power()
        root = float(np.cbrt(c3))
        return root * self.weights, root * self.bias, float(c1 / root), float(c0)
