"""The distributions of RLWE, one function each. Every sample comes from `csprng`, never from numpy.random.

Uniform words are sampled in NTT form directly (the NTT is a bijection of the uniform distribution), limb by limb
from streams of their own, so that an object used at a lower level expands only the limbs it needs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import ParameterError
from ckks.kernels import Words
from ckks.ring.basis import RNSBasis
from ckks.ring.csprng import Keystream, Rng
from ckks.ring.poly import Domain, RingPoly

ERROR_BOUND = 21
"""Errors lie in [-21, 21]."""

ERROR_STD = math.sqrt(10.5)
"""Standard deviation of an error coefficient: 42 fair bits of variance 1/4 each (3.24; [BCC+24] assumes 3.19)."""


def uniform(basis: RNSBasis, rng: Rng, shape: tuple[int, ...] = ()) -> RingPoly:
    """Return uniform elements of R_Q in NTT form, batch shape `shape`, from a fresh public seed."""
    return expand_uniform(basis, rng.public_seed(), shape=shape)


def expand_uniform(
    basis: RNSBasis, seed: bytes, *, label: str = "uniform", shape: tuple[int, ...] = (), first_limb: int = 0
) -> RingPoly:
    """Return the uniform elements (NTT form) that a public 32-byte seed stands for.

    Word i of limb l of batch item b (in C order) is the i-th candidate below q_l of stream (seed, label, b, l); a
    candidate is one stream word reduced to its bits(q_l) lowest bits. `first_limb` is the stream index of limb 0.
    """
    words = kernels.empty((*shape, len(basis), basis.n))
    rows = words.reshape(-1, len(basis), basis.n)
    for b in range(len(rows)):
        for limb, q in enumerate(basis.moduli):
            stream = Keystream(seed, label, batch=b, limb=first_limb + limb)
            _fill_below(stream, q, rows[b, limb])
    return RingPoly.of(basis, words, Domain.NTT)


def _fill_below(stream: Keystream, q: int, out: Words) -> None:
    """Fill a row with the stream's candidates below q, in their order."""
    bits = q.bit_length()
    mask, bound = np.uint64((1 << bits) - 1), np.uint64(q)
    filled = 0
    while filled < len(out):
        missing = len(out) - filled
        # A few more than expected to be enough; how many are read at once does not change the result.
        count = missing * (1 << bits) // q + 4 * math.isqrt(missing) + 16
        candidates = np.frombuffer(stream.read(8 * count), dtype="<u8") & mask
        accepted = candidates[candidates < bound][:missing]
        out[filled : filled + len(accepted)] = accepted
        filled += len(accepted)


def ternary(basis: RNSBasis, rng: Rng, shape: tuple[int, ...] = (), *, domain: Domain = Domain.NTT) -> RingPoly:
    """Return elements whose coefficients are uniform in {-1, 0, 1}."""
    return _from_signed(basis, ternary_coefficients(rng, (*shape, basis.n)), domain)


def ternary_fixed_weight(basis: RNSBasis, rng: Rng, weight: int, *, domain: Domain = Domain.NTT) -> RingPoly:
    """Return an element with exactly `weight` nonzero coefficients, each -1 or 1, uniform among those.

    Sparse secrets weaken RLWE: the security table does not cover them ([BCC+24]); for encapsulated keys only.
    """
    n = basis.n
    if not 1 <= weight <= n:
        raise ParameterError(f"weight {weight} for {n} coefficients; needed 1 to {n}")
    stream = Keystream(rng.secret_seed(), "fixed weight")
    while True:
        ranks = np.frombuffer(stream.read(8 * n), dtype="<u8")
        if len(np.unique(ranks)) == n:  # ties would favour low positions; one in 2^31 at most
            break
    signs = np.frombuffer(stream.read(weight), dtype=np.uint8).astype(np.int64) & 1
    coefficients = np.zeros(n, dtype=np.int64)
    coefficients[np.argsort(ranks)[:weight]] = 2 * signs - 1
    return _from_signed(basis, coefficients, domain)


def error(basis: RNSBasis, rng: Rng, shape: tuple[int, ...] = (), *, domain: Domain = Domain.NTT) -> RingPoly:
    """Return elements with centred binomial coefficients: 21 fair bits minus 21 fair bits (ERROR_STD)."""
    return _from_signed(basis, error_coefficients(rng, (*shape, basis.n)), domain)


def ternary_coefficients(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return int64 values uniform in {-1, 0, 1}: each stream byte holds four 2-bit candidates, low bits first;
    a candidate of 3 is rejected (which tells nothing about the accepted ones)."""
    stream = Keystream(rng.secret_seed(), "ternary")
    out = np.empty(math.prod(shape), dtype=np.int64)
    filled = 0
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)
    while filled < len(out):
        missing = len(out) - filled
        count = missing // 3 + 2 * math.isqrt(missing) + 16
        crumbs = (np.frombuffer(stream.read(count), dtype=np.uint8)[:, None] >> shifts & 3).ravel()
        accepted = crumbs[crumbs != 3][:missing]
        out[filled : filled + len(accepted)] = accepted
        filled += len(accepted)
    out -= 1
    return out.reshape(shape)


def error_coefficients(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return int64 centred binomial values: popcount(bits 0..20) - popcount(bits 21..41) of one stream word each."""
    stream = Keystream(rng.secret_seed(), "error")
    words = np.frombuffer(stream.read(8 * math.prod(shape)), dtype="<u8")
    mask = np.uint64((1 << 21) - 1)
    plus = np.bitwise_count(words & mask).astype(np.int64)
    minus = np.bitwise_count(words >> np.uint64(21) & mask).astype(np.int64)
    coefficients: NDArray[np.int64] = (plus - minus).reshape(shape)
    return coefficients


def _from_signed(basis: RNSBasis, coefficients: NDArray[np.int64], domain: Domain) -> RingPoly:
    poly = RingPoly.of(basis, kernels.signed(basis.plan, coefficients), Domain.COEFFICIENT)
    return poly.to_ntt() if domain is Domain.NTT else poly
