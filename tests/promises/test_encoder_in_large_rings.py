"""Encoding and decoding against 60 digits in rings as large as those in use (L3).

The oracle of tests/scheme/test_encoder.py takes N^2 steps; here it is asked for single coefficients and slots, by
their definition as sums, in integers of 200 fractional bits:

    m_k = 2/N Re sum_j z_j zeta^(-k 5^j),        z_j = sum_k m_k zeta^(k 5^j)
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import sqrt

import mpmath
import numpy as np
import pytest
from params import insecure_small

from ckks import Encoder
from ckks.scheme.meta import meta_of

BITS = 200
SCALES = (20, 27, 34, 40, 45, 50)
KINDS = ("real", "complex", "ends", "constant", "single", "decades", "sparse")


@lru_cache(maxsize=2)
def cosines(n: int) -> list[int]:
    """cos(pi e / N) 2^200 for e below 2N."""
    with mpmath.workprec(BITS + 20):
        return [int(mpmath.nint(mpmath.ldexp(mpmath.cospi(mpmath.mpf(e) / n), BITS))) for e in range(2 * n)]


def exponents(n: int) -> np.ndarray:
    """5^j modulo 2N for every slot."""
    out = np.ones(n // 2, dtype=np.int64)
    for j in range(1, n // 2):
        out[j] = out[j - 1] * 5 % (2 * n)
    return out


def fixed(values: np.ndarray) -> list[int]:
    """Doubles as integers over 2^120: exactly, as far as they are zero or above 2^-60."""
    return [int(Fraction(float(v)) * 2**120) for v in values]


def exact_coefficient(z: np.ndarray, k: int, n: int) -> int:
    """m_k 2^320."""
    table, angles = cosines(n), (k * exponents(n)) % (2 * n)
    quarter = n // 2  # sin(x) = cos(x - pi/2)
    total = 0
    for re, im, e in zip(fixed(z.real), fixed(z.imag), angles.tolist(), strict=True):
        total += re * table[e] + im * table[(e - quarter) % (2 * n)]
    return 2 * total // n


def exact_slot(coefficients: list[int], j: int, n: int) -> complex:
    """z_j of integer coefficients, rounded to double at the end."""
    table, g = cosines(n), int(exponents(n)[j])
    angles = [k * g % (2 * n) for k in range(n)]
    re = sum(c * table[e] for c, e in zip(coefficients, angles, strict=True))
    im = sum(c * table[(e - n // 2) % (2 * n)] for c, e in zip(coefficients, angles, strict=True))
    with mpmath.workprec(BITS):
        return complex(float(mpmath.ldexp(re, -BITS)), float(mpmath.ldexp(im, -BITS)))


def vector(kind: str, slots: int) -> np.ndarray:
    g = np.random.default_rng(3)
    return {
        "real": lambda: g.uniform(-1, 1, slots),
        "complex": lambda: g.uniform(0.01, 1, slots) * np.exp(2j * np.pi * g.random(slots)),
        "ends": lambda: g.choice([-1.0, 1.0], slots),
        "constant": lambda: np.full(slots, -0.7310585786300049),
        "single": lambda: np.where(np.arange(slots) == slots // 3, 1.0, 0.0),
        "decades": lambda: g.choice([-1.0, 1.0], slots) * 10.0 ** np.linspace(-6, 6, slots),
        "sparse": lambda: g.uniform(-1, 1, 16),
    }[kind]()


@pytest.mark.parametrize(
    ("n", "asked"),
    [
        (2**9, 12),
        *(pytest.param(n, 40, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]) for n in (2**12, 2**13, 2**15)),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_and_slots(kind, n, asked, figure):
    """Each scale: coefficients off by at most 1 + 2^-48 of theirs, slots by 1e-12 range sqrt(N).

    Where coefficients pass 2^50 (twelve decades), what a double transform loses is relative to the largest.
    """
    values = vector(kind, n // 2)
    reach = max(1.0, float(np.abs(values).max()))
    z = np.tile(values, n // 2 // len(values)).astype(complex)
    gap = n // 2 // len(values)
    g = np.random.default_rng(4)
    chosen = sorted({0, gap, n // 2, n - gap, *(gap * g.integers(0, n // gap, asked)).tolist()})
    exact = {k: exact_coefficient(z, k, n) for k in chosen}
    encoder, worst, worst_slot = Encoder(insecure_small(n, depth=2)), 0.0, 0.0
    for bits in SCALES:
        plain = encoder.encode(values, scale=2**bits, bound=reach, slots=len(values))
        found = [int(c) for c in plain.poly.to_integers()]
        largest = max(map(abs, found))
        for k, m in exact.items():
            true = m / 2 ** (320 - bits)
            against = abs(true) if largest <= 2**50 else largest
            off = abs((found[k] << (320 - bits)) - m) / 2 ** (320 - bits)
            worst = max(worst, off / (1 + 2.0**-48 * against))
        decoded = encoder.decode(plain.with_(meta=meta_of(plain).but(real=False)))
        for j in g.integers(0, len(values), 4).tolist():
            slot = exact_slot(found, j, n) / 2.0**bits
            worst_slot = max(worst_slot, abs(decoded[j] - slot) / (1e-12 * reach * sqrt(n)))
    figure(
        "L3",
        f"N = {n}, {kind}, scales 2^20 to 2^50: coefficients {worst:.2f}, slots {worst_slot:.0e} of what is allowed",
    )
    assert worst <= 1 and worst_slot <= 1
