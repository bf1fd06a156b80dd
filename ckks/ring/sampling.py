"""The distributions of RLWE, one function each. Every sample comes from `csprng`, never from numpy.random.

Uniform words are sampled in NTT form directly (the NTT is a bijection of the uniform distribution), limb by limb
from streams of their own, so that an object used at a lower level expands only the limbs it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import BasisMismatch, ParameterError
from ckks.kernels import Words
from ckks.ring.basis import RNSBasis
from ckks.ring.csprng import Keystream, Rng
from ckks.ring.poly import Domain, RingPoly

Small = NDArray[np.int8]

ERROR_BOUND = 21
"""Errors lie in [-21, 21]."""

ERROR_STD = math.sqrt(10.5)
"""Standard deviation of an error coefficient: 42 fair bits of variance 1/4 each (3.24; [BCC+24] assumes 3.19)."""


def uniform(basis: RNSBasis, rng: Rng, shape: tuple[int, ...] = ()) -> RingPoly:
    """Return uniform elements of R_Q in NTT form, batch shape `shape`, from a fresh public seed."""
    return expand_uniform(basis, rng.public_seed(), shape=shape)


def expand_uniform(
    basis: RNSBasis,
    seed: bytes,
    *,
    label: str = "uniform",
    shape: tuple[int, ...] = (),
    first_limb: int = 0,
    out: Words | None = None,
) -> RingPoly:
    """Return the uniform elements (NTT form) that a public 32-byte seed stands for.

    Word i of limb l of batch item b (in C order) is the i-th candidate below q_l of stream (seed, label, b, l); a
    candidate is one stream word reduced to its bits(q_l) lowest bits. `first_limb` is the stream index of limb 0.
    The words go to `out`, (*shape, limbs, N) of any outer strides, where that is given.
    """
    words = kernels.empty((*shape, len(basis), basis.n)) if out is None else out
    if words.shape != (*shape, len(basis), basis.n):
        raise BasisMismatch(f"out has shape {words.shape}; needed {(*shape, len(basis), basis.n)}")
    stream = Keystream(seed, label)
    with kernels.wiping():  # public, but a free block that is not zero has to be a row of a public object
        candidates = kernels.empty((min(_CHUNK, 2 * basis.n + 4 * math.isqrt(basis.n) + 16),))
    for b, item in enumerate(np.ndindex(shape)):
        for limb, q in enumerate(basis.moduli):
            stream.restart(batch=b, limb=first_limb + limb)
            _fill_below(stream, q, words[(*item, limb)], candidates)
    return RingPoly.of(basis, words if out is None else words[...], Domain.NTT)


_CHUNK = 17 * 2**10
"""Stream words made at once: they stay in the second-level cache until they are used. A row of 2^14 words takes one
round when nearly all candidates are accepted."""


def _fill_below(stream: Keystream, q: int, out: Words, candidates: Words) -> None:
    """Fill a row with the stream's candidates below q, in their order."""
    filled = 0
    while filled < len(out):
        missing = len(out) - filled
        # A few more than expected to be enough; how many are read at once does not change the result.
        count = missing * (1 << q.bit_length()) // q + 4 * math.isqrt(missing) + 16
        some = candidates[:count]
        stream.read_words(some)
        filled += kernels.take_below(q, some, out[filled:])


def ternary(basis: RNSBasis, rng: Rng, shape: tuple[int, ...] = (), *, domain: Domain = Domain.NTT) -> RingPoly:
    """Return elements whose coefficients are uniform in {-1, 0, 1}."""
    return _from_small(basis, _ternary_values, rng, shape, domain)


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
    signs = np.frombuffer(stream.read(weight), dtype=np.uint8).astype(np.int8) & 1
    coefficients = np.zeros(n, dtype=np.int8)
    coefficients[np.argsort(ranks)[:weight]] = 2 * signs - 1
    return _from_small(basis, lambda _rng, _shape: coefficients, rng, (), domain)


def error(
    basis: RNSBasis,
    rng: Rng,
    shape: tuple[int, ...] = (),
    *,
    domain: Domain = Domain.NTT,
    out: Words | None = None,
) -> RingPoly:
    """Return elements with centred binomial coefficients: 21 fair bits minus 21 fair bits (ERROR_STD).

    The words go to `out`, (*shape, limbs, N), where that is given.
    """
    return _from_small(basis, _error_values, rng, shape, domain, out)


def ternary_coefficients(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return int64 values uniform in {-1, 0, 1}: each stream byte holds four 2-bit candidates, low bits first;
    a candidate of 3 is rejected (which tells nothing about the accepted ones)."""
    with kernels.wiping():
        return _ternary_values(rng, shape).astype(np.int64)


def error_coefficients(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return int64 centred binomial values: popcount(bits 0..20) - popcount(bits 21..41) of one stream word each."""
    with kernels.wiping():
        return _error_values(rng, shape).astype(np.int64)


def _ternary_values(rng: Rng, shape: tuple[int, ...]) -> Small:
    """`ternary_coefficients` as int8; to be called inside `wiping()`."""
    stream, out = Keystream(rng.secret_seed(), "ternary"), _small(math.prod(shape))
    filled, room = 0, _bytes(_CHUNK)
    while filled < len(out):
        missing = len(out) - filled
        candidates = room[: missing // 3 + 2 * math.isqrt(missing) + 16]
        stream.read_into(candidates)
        filled += kernels.take_ternary(candidates, out[filled:])
    return out.reshape(shape)


def _error_values(rng: Rng, shape: tuple[int, ...]) -> Small:
    """`error_coefficients` as int8; to be called inside `wiping()`."""
    stream, out = Keystream(rng.secret_seed(), "error"), _small(math.prod(shape))
    room = kernels.empty((min(len(out), _CHUNK),))
    for start in range(0, len(out), _CHUNK):
        some = out[start : start + _CHUNK]
        words = room[: len(some)]
        stream.read_words(words)
        kernels.binomial(words, some)
    return out.reshape(shape)


def _bytes(count: int) -> NDArray[np.uint8]:
    """Memory for bytes that `wiping()` covers."""
    return kernels.empty((-(-count // 8),)).view(np.uint8)[:count]


def _small(count: int) -> Small:
    return _bytes(count).view(np.int8)


def _from_small(
    basis: RNSBasis,
    draw: Callable[[Rng, tuple[int, ...]], Small],
    rng: Rng,
    shape: tuple[int, ...],
    domain: Domain,
    out: Words | None = None,
) -> RingPoly:
    words = kernels.empty((*shape, len(basis), basis.n)) if out is None else out
    with kernels.wiping():
        kernels.small(basis.plan, draw(rng, (*shape, basis.n)), words)
    if domain is Domain.NTT:
        kernels.ntt(basis.plan, words, words)
    return RingPoly.of(basis, words if out is None else words[...], domain)
