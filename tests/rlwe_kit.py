"""Toy parameter sets of every digit grouping, and key switching in big integers: what the RLWE tests share."""

from __future__ import annotations

from functools import cache
from typing import Any

import naive
import numpy as np
from draws import residues

from ckks import kernels
from ckks.ring import Domain, RingPoly, RNSBasis, ntt_primes
from ckks.rlwe import Plaintext, RLWEParams

FAST = ntt_primes(bits=40, count=8, n=64)
SPECIAL = ntt_primes(bits=50, count=3, n=64)
WIDE = ntt_primes(bits=61, count=3, n=64)
SMALL = (193, 257, 449)  # 1 mod 64

GROUPINGS: dict[str, dict[str, Any]] = {
    "one prime per digit": dict(levels=(1, 1, 1, 1), special=SPECIAL[:1], digit_sizes=(1, 1, 1, 1)),
    "last digit cut": dict(levels=(1, 1, 1, 1, 1), special=SPECIAL[:2], digit_sizes=(2, 2, 1)),
    "single digit": dict(levels=(1, 1, 1), special=SPECIAL, digit_sizes=(3,)),
    "uneven digits": dict(levels=(1, 2, 1, 1), special=SPECIAL, digit_sizes=(1, 3, 1)),
    "two primes a level": dict(levels=(1, 2, 2), special=SPECIAL[:2], digit_sizes=(2, 2, 1)),
    "uncentred": dict(levels=(1, 1, 1, 1), special=SPECIAL[:2], digit_sizes=(2, 2), centred_digits=False),
    "uncentred, one prime per digit": dict(
        levels=(1, 1, 1), special=SPECIAL[:1], digit_sizes=(1, 1, 1), centred_digits=False
    ),
    "wide and small primes": dict(
        levels=(1, 1, 1), special=WIDE[:2], digit_sizes=(2, 1), primes=(SMALL[1], WIDE[2], FAST[0])
    ),
}
"""Levels by their number of primes; P exceeds every digit, so that keys work as well as they are exact."""


@cache
def grouped(name: str, n: int) -> RLWEParams:
    """Return the parameter set of a grouping; its primes serve every n <= 32."""
    settings = dict(GROUPINGS[name])
    primes = iter(settings.pop("primes", FAST))
    levels = tuple(tuple(next(primes) for _ in range(count)) for count in settings.pop("levels"))
    return RLWEParams.insecure(ring_degree=n, levels=levels, special_moduli=settings.pop("special"), **settings)


def groups(params: RLWEParams, level: int) -> list[tuple[int, ...]]:
    """Return the primes of each digit at a level."""
    return [params.moduli[own] for own in params.digits(level)]


def random_words(basis: RNSBasis, seed: int, shape: tuple[int, ...] = ()) -> Any:
    """Return uniform residues (*shape, limbs, N)."""
    return residues(basis.moduli, basis.n, seed=seed, shape=shape)


# ---- exact key switching ---------------------------------------------------------------------------------------


@cache
def transform(n: int, q: int, psi: int) -> tuple[Any, Any]:
    """Return the matrices (N, N) of the NTT, psi^((2 brv(i) + 1) k) at (i, k), and of its inverse."""
    exponents, n_inverse = naive.ntt_exponents(n), pow(n, -1, q)
    forward = [[pow(psi, e * k, q) for k in range(n)] for e in exponents]
    backward = [[n_inverse * pow(psi, -e * k, q) % q for e in exponents] for k in range(n)]
    return np.array(forward, dtype=object), np.array(backward, dtype=object)


def coefficient_rows(basis: RNSBasis, words: Any) -> list[list[int]]:
    """Return (limbs, N) coefficients of NTT words, by definition."""
    rows = zip(np.asarray(words, dtype=object), basis.moduli, basis.roots, strict=True)
    return [(transform(basis.n, q, psi)[1] @ row % q).tolist() for row, q, psi in rows]


def ntt_rows(basis: RNSBasis, coefficients: Any) -> list[list[int]]:
    """Return (limbs, N) NTT words of an integer polynomial, by definition."""
    x = np.asarray(coefficients, dtype=object)
    return [(transform(basis.n, q, psi)[0] @ x % q).tolist() for q, psi in zip(basis.moduli, basis.roots, strict=True)]


def decompose_exactly(params: RLWEParams, words: Any, level: int) -> list[list[list[int]]]:
    """Return (digits, k + l, N): integer digits, reduced modulo every prime of the joint basis."""
    rows = coefficient_rows(params.basis(level), words)
    digits = naive.gadget_decompose(rows, groups(params, level), centre=params.centred_digits)
    return [ntt_rows(params.extended_basis(level), digit) for digit in digits]


def product_exactly(params: RLWEParams, digits: Any, key: Any, level: int) -> list[list[list[int]]]:
    """Return (2, k + l, N): sum over the digits of digit times key, word by word."""
    q = np.array(params.extended_basis(level).moduli, dtype=object)[:, None]
    exact = np.asarray(digits, dtype=object)
    rows = key[: len(exact), :, : len(q)].astype(object)
    return [((exact * rows[:, part]).sum(axis=0) % q).tolist() for part in (0, 1)]


def mod_down_exactly(params: RLWEParams, words: Any, level: int, *, rescale: bool = False) -> list[list[int]]:
    """Return (l, N): round(x / P), or round(x / (P q)), of the integers behind words (k + l, N)."""
    joint = params.extended_basis(level)
    drop = params.special_moduli + (params.levels[level] if rescale else ())
    rows = naive.mod_down(coefficient_rows(joint, words), joint.moduli, drop)
    kept = params.basis(level - rescale)
    limbs = zip(rows, kept.moduli, kept.roots, strict=True)
    return [(transform(kept.n, q, psi)[0] @ np.array(row, dtype=object) % q).tolist() for row, q, psi in limbs]


# ---- polynomials -----------------------------------------------------------------------------------------------


def poly(basis: RNSBasis, words: Any) -> RingPoly:
    """Return the ring element of NTT words."""
    return RingPoly(basis, words, Domain.NTT)


def plaintext(params: RLWEParams, coefficients: Any, level: int) -> Plaintext:
    """Return integer coefficients (..., N) as a plaintext."""
    words = RingPoly.from_integers(params.basis(level), coefficients).to_ntt().residues
    return Plaintext(params=params, words=words, level=level)


def integers(plaintext: Plaintext) -> Any:
    """Return the centred integer coefficients (..., N)."""
    return plaintext.poly.to_integers()


def small_integers(poly: RingPoly) -> Any:
    """Return the coefficients (..., N) of an element far smaller than its first prime, as int64: one limb says all."""
    words = poly.to_coefficient().residues
    q = poly.basis.moduli[0]
    values = words[..., 0, :].astype(np.int64)
    values[values > q // 2] -= q
    assert np.array_equal(kernels.signed(poly.basis.plan, values), words), "the limbs hold different integers"
    return values


def at_roots(coefficients: Any) -> Any:
    """Return e(zeta^(2j+1)), j = 0..N-1, zeta = exp(i pi / N), of real coefficients (..., N)."""
    x = np.asarray(coefficients, dtype=np.float64)
    n = x.shape[-1]
    return np.fft.ifft(x * np.exp(1j * np.pi * np.arange(n) / n)) * n
