"""The ring R_Q = Z_Q[X]/(X^N + 1) in residue form: elements, base conversion, automorphisms, samplers.

    basis = ring.RNSBasis(n=8192, moduli=ring.ntt_primes(bits=50, count=4, n=8192))
    rng = ring.Rng()
    a, s, e = ring.uniform(basis, rng), ring.ternary(basis, rng), ring.error(basis, rng)
    b = -(a * s) + e                                   # RLWE, on one line, as on the page

Stable for people who build schemes of their own: nothing here knows about keys, scales or slots.
"""

from __future__ import annotations

from ckks.arith import nearest_primes, ntt_primes, primes_below
from ckks.ring.automorphism import automorphism, check_galois_element, compose_galois, inverse_galois
from ckks.ring.basis import RNSBasis
from ckks.ring.convert import convert_basis, divide_and_round
from ckks.ring.csprng import Keystream, Rng
from ckks.ring.gaussian import wide_gaussian
from ckks.ring.poly import Domain, RingPoly
from ckks.ring.sampling import (
    ERROR_BOUND,
    ERROR_STD,
    error,
    expand_uniform,
    ternary,
    ternary_fixed_weight,
    uniform,
)

__all__ = [
    "ERROR_BOUND",
    "ERROR_STD",
    "Domain",
    "Keystream",
    "RNSBasis",
    "RingPoly",
    "Rng",
    "automorphism",
    "check_galois_element",
    "compose_galois",
    "convert_basis",
    "divide_and_round",
    "error",
    "expand_uniform",
    "inverse_galois",
    "nearest_primes",
    "ntt_primes",
    "primes_below",
    "ternary",
    "ternary_fixed_weight",
    "uniform",
    "wide_gaussian",
]
