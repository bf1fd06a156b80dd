"""Flooding and re-randomisation: what a ciphertext goes through before its computation may stay private.

Whoever decrypts a result sees message + error, and the error depends on how the message was computed; c_1 of a product
with a plaintext is that plaintext times c_1 of the input. `protect` takes both away:

    re-randomise   a fresh encryption of zero under the receiver's public key is added, which makes c_1 look uniform;
    flood          an error of deviation sqrt(12 tau) 2^(s/2) B is added to c_0, in which any error of l2 norm up to B
                   over the N coefficients disappears ([LMSS22]): in each of tau results, for s statistical bits. The
                   error of the fresh encryption has to disappear as well, so B is the bound on both together.

Sizes. `Noise.bound` bounds |e(zeta)| at every primitive 2N-th root of unity zeta. By Parseval, the squares of these N
values have the sum N ||e||^2 (the transform is sqrt(N) times a unitary one), so ||e||_2 <= max |e(zeta)| <= bound: it
is a bound on the l2 norm, and flooding takes it as it is. A result that was exact would still be rounded to integers,
so B has to leave room for sqrt(N)/2 besides; the error of any encryption is far larger.

What holds then. For c_0 it is statistical: the noise diverges from itself shifted by e by at most
||e||^2 / (2 sigma^2) <= 2^-s / (24 tau) (`ring.gaussian`). Divergences add up over the tau results, whatever the
receiver chooses in between, to 2^-s / 24. These are the s bits of [LMSS22]; as a statistical distance (Pinsker) it is
2^-(s/2 + 2.8), over all results of a key: 2^-17.8 at s = 30, 2^-34.8 at s = 64. The sampler is 2^-100 a coefficient off
its description, less than 2^-43 in all. For c_1 it is computational: uniform under RLWE, to the receiver as well, since
what the decrypted zero tells about its own randomness is flooded too.

What this needs. The bound has to hold, for inputs that the receiver made as declared and for the circuit that was
evaluated; the carried one does except with probability 2^-40 for each source of noise. The keys have to be honest
ones: under a public key of zeros, an encryption of zero hides nothing. And only the *error* disappears: the message
says about the computation what it says.

Flooding belongs before the last rescales, where the message is large; they are then part of what anybody could do.
"""

from __future__ import annotations

import math

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, ParameterError, RangeError
from ckks.ring import Rng, wide_gaussian
from ckks.ring.gaussian import Bell
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext
from ckks.rlwe.encryption import encrypt_zero
from ckks.rlwe.keys import PublicKey
from ckks.rlwe.noise import Noise
from ckks.rlwe.params import RLWEParams

LEAST_STATISTICAL_BITS, MOST_STATISTICAL_BITS = 30, 64
"""Fewer hide too little; for more, the noise itself is not close enough to its description (2^-100 a coefficient)."""

QUERIES = 1024
"""How many results one key gives away, unless told otherwise."""

MOST_QUERIES = 2**40
"""For more, it is not close enough either: 2^17 coefficients in each come to 2^-43."""


def flooding_std(bound: float, *, queries: int, statistical_bits: float = LEAST_STATISTICAL_BITS) -> float:
    """Return sqrt(12 tau) 2^(s/2) B, the deviation of the noise that hides an error ([LMSS22]).

    Args:
        bound: B, on the l2 norm of the error over the N coefficients.
        queries: tau, how many results one key gives away, up to 2^40.
        statistical_bits: s, 30 to 64.

    Raises:
        ParameterError: an argument out of range.
    """
    if not 0 < bound < math.inf:
        raise ParameterError(f"bound {bound!r} on the error; needed a positive finite number that no error exceeds")
    if isinstance(queries, bool) or not isinstance(queries, int) or not 1 <= queries <= MOST_QUERIES:
        raise ParameterError(f"{queries!r} queries; needed an integer, 1 to 2^40: how often a result is given away")
    if not LEAST_STATISTICAL_BITS <= statistical_bits <= MOST_STATISTICAL_BITS:
        raise ParameterError(
            f"{statistical_bits!r} statistical bits; needed {LEAST_STATISTICAL_BITS} to {MOST_STATISTICAL_BITS}"
        )
    return bound * math.sqrt(12 * queries) * math.exp2(statistical_bits / 2)


def flood(ct: Ciphertext, std: float, rng: Rng) -> Ciphertext:
    """Return the ciphertext with noise of deviation `std` (or up to 1.5 % more) added to c_0, item by item.

    Raises:
        ParameterError: a deviation out of range.
        RangeError: message and noise would exceed the modulus of this level.
    """
    size = ct.noise + noise.random_poly(ct.params.ring_degree, Bell.at_least(std).std)
    message = getattr(ct.meta, "message", noise.EXACT)  # what the scheme above says of it, if anything
    room = ct.basis.modulus // 2
    if message.bound + size.bound >= room:
        raise RangeError(
            f"a message up to 2^{_log2(message.bound):.1f} and noise up to 2^{_log2(size.bound):.1f} exceed the "
            f"modulus of level {ct.level} (2^{_log2(room):.1f} with sign); flood at a higher level, or a smaller error"
        )
    parts = np.moveaxis(ct.words, -3, 0)
    words = kernels.empty(parts.shape)
    try:
        wide_gaussian(ct.basis, rng, std, ct.shape, out=words[0])  # stays in this memory, and is covered in it
        kernels.add(ct.basis.plan, words[0], parts[0], words[0])
    except BaseException:  # interrupted: the noise is not covered yet
        words[0].fill(0)
        raise
    words[1:] = parts[1:]
    return Ciphertext.of(ct.params, np.moveaxis(words, 0, -3), ct.level, ct.meta, size)


def rerandomise(ct: Ciphertext, public_key: PublicKey, rng: Rng) -> Ciphertext:
    """Return the ciphertext plus a fresh encryption of zero under the receiver's public key, item by item.

    To everybody without the randomness of that encryption, c_1 is then uniform under RLWE, the receiver included.

    Raises:
        BasisMismatch: the key belongs to other parameters.
        ParameterError: the ciphertext has more than two parts; relinearise it first.
    """
    if public_key.params != ct.params:
        raise BasisMismatch("the public key belongs to other parameters than the ciphertext")
    if ct.parts != 2:
        raise ParameterError(f"{ct.parts} parts cannot be covered by an encryption of two; relinearise first")
    words = encrypt_zero(public_key, ct.level, ct.shape, rng)
    kernels.add(ct.basis.plan, words, np.moveaxis(ct.words, -3, 0), words)
    size = ct.noise + noise.fresh_public(ct.params)
    return Ciphertext.of(ct.params, np.moveaxis(words, 0, -3), ct.level, ct.meta, size)


def protected_noise(
    ct: Ciphertext, *, bound: float, queries: int = QUERIES, statistical_bits: float = LEAST_STATISTICAL_BITS
) -> Noise:
    """Return the size of the error that `protect` with these arguments leaves in `ct`, without doing it.

    Raises:
        ParameterError: an argument out of range.
    """
    std = _covering_std(ct.params, bound, queries, statistical_bits)
    return ct.noise + noise.fresh_public(ct.params) + noise.random_poly(ct.params.ring_degree, Bell.at_least(std).std)


def protect(
    ct: Ciphertext,
    public_key: PublicKey,
    rng: Rng,
    *,
    bound: float,
    queries: int = QUERIES,
    statistical_bits: float = LEAST_STATISTICAL_BITS,
) -> Ciphertext:
    """Return the ciphertext re-randomised and flooded: to be rescaled, if at all, and given away.

    Each item of a batch is a result of its own and counts as a query.

    Args:
        ct: two parts; its noise must be what was computed, not what a stranger claims.
        public_key: of the receiver, generated as it should be.
        rng: where the seeds come from.
        bound: on the l2 norm of its error; public, so not computed from what is to be hidden. What re-randomising adds
            to the error is not in it: the flood is made for both together.
        queries: tau, how many results under this key are given away in all, up to 2^40.
        statistical_bits: s, 30 to 64.

    Raises:
        RangeError: the noise of `ct` may exceed `bound`, or the flooded error the modulus.
        ParameterError: fewer than 30 statistical bits, or another argument out of range; more than two parts.
        BasisMismatch: the key belongs to other parameters.
    """
    std = _covering_std(ct.params, bound, queries, statistical_bits)
    if not ct.noise.bound <= bound:
        raise RangeError(
            f"an error up to 2^{_log2(ct.noise.bound):.2f}, but 2^{_log2(bound):.2f} is what it is flooded for; "
            "declare a larger bound, or keep to the circuit it was declared for"
        )
    return flood(rerandomise(ct, public_key, rng), std, rng)


def _covering_std(params: RLWEParams, bound: float, queries: int, statistical_bits: float) -> float:
    """Return the deviation that hides an error up to `bound`, and that of the encryption of zero which is added."""
    if not bound > 0:  # else the sum would be
        raise ParameterError(f"bound {bound!r} on the error; needed a positive number that no error exceeds")
    both = bound + noise.fresh_public(params).bound
    return flooding_std(both, queries=queries, statistical_bits=statistical_bits)


def _log2(size: float) -> float:
    return math.log2(size) if size > 0 else -math.inf
