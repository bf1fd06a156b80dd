"""Seeds that stand for uniform halves: the keystream label of each object, and how its half is laid out.

All of this is public. A stored key or seeded ciphertext holds 32 bytes where the uniform half would
be; whoever loads it expands them here, without any secret. The stream itself is defined in
`ring.csprng`, the words drawn from it in `ring.sampling.expand_uniform`. The labels are part of the
stored format: with another label, stored objects would expand to other words. The words go to `out`, of any outer
strides, where that is given.
"""

from __future__ import annotations

import numpy as np

from ckks.kernels import Words
from ckks.ring import expand_uniform
from ckks.rlwe.elements import Ciphertext
from ckks.rlwe.params import RLWEParams

PUBLIC_KEY_LABEL = "public key"
"""Keystream label of the uniform half of a public key; limbs in joint order, special primes first."""

SWITCHING_KEY_LABEL = "switching key"
"""Keystream label of the uniform halves of a switching key; its digits are the stream's batch index."""

CIPHERTEXT_LABEL = "ciphertext"
"""Keystream label of the uniform half of a secret-key encryption; items are the stream's batch index."""


def public_key_half(params: RLWEParams, level: int, seed: bytes, out: Words | None = None) -> Words:
    """Return a, NTT form, (limbs, N) over (p_1..p_k, q_0..q_level): a public key's second half."""
    return expand_uniform(params.extended_basis(level), seed, label=PUBLIC_KEY_LABEL, out=out).residues


def switching_key_halves(params: RLWEParams, level: int, seed: bytes, out: Words | None = None) -> Words:
    """Return (a_d) for all digits d, NTT form, (digits, limbs, N) over (p_1..p_k, q_0..q_level).

    At a lower level these are a prefix of the limbs, and of the digits, of a higher one.
    """
    basis, shape = params.extended_basis(level), (len(params.digits(level)),)
    return expand_uniform(basis, seed, label=SWITCHING_KEY_LABEL, shape=shape, out=out).residues


def ciphertext_half(
    params: RLWEParams, level: int, batch: tuple[int, ...], seed: bytes, out: Words | None = None
) -> Words:
    """Return c_1, NTT form, (*batch, limbs, N) over (q_0..q_level): the second half of a seeded ciphertext."""
    return expand_uniform(params.basis(level), seed, label=CIPHERTEXT_LABEL, shape=batch, out=out).residues


def made_from(ct: Ciphertext, seed: bytes) -> Ciphertext:
    """Return the ciphertext, having noted that this seed was just expanded to its c_1.

    The note is with this object alone: neither operations nor copies pass it on.
    """
    vars(ct)[_NOTE] = seed
    return ct


def is_expansion(ct: Ciphertext, seed: bytes) -> bool:
    """Tell whether c_1 is what the seed expands to; it is expanded again unless that was noted."""
    if vars(ct).get(_NOTE) == seed:
        return True
    return np.array_equal(ct.words[..., 1, :, :], ciphertext_half(ct.params, ct.level, ct.shape, seed))


_NOTE = "_expanded_from"
