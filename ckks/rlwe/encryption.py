"""Public-key encryption of polynomials: needs no secret, and so lives outside `rlwe.secret`."""

from __future__ import annotations

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.kernels import Words, wiping
from ckks.ring import Rng, error, ternary
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.gadget import quotient_of
from ckks.rlwe.keys import PublicKey


def encrypt(plaintext: Plaintext, key: PublicKey, rng: Rng) -> Ciphertext:
    """Return an encryption of `plaintext` (or of each polynomial of a batch) under a public key."""
    params, level = plaintext.params, plaintext.level
    if key.params != params:
        raise BasisMismatch("the public key belongs to other parameters than the plaintext")
    out = encrypt_zero(key, level, plaintext.shape, rng)
    kernels.add(params.basis(level).plan, out[0], plaintext.words, out[0])
    size = plaintext.noise + noise.fresh_public(params)
    return Ciphertext.of(params, np.moveaxis(out, 0, -3), level, plaintext.meta, size)


def encrypt_zero(key: PublicKey, level: int, shape: tuple[int, ...], rng: Rng) -> Words:
    """Return the words (2, *shape, limbs, N) of a fresh encryption of zero for each item of a batch.

    (b u + e_0, a u + e_1) is formed over QP and divided by P with rounding, which leaves an error of rounding only (std
    sqrt((1 + 2N/3)/12) instead of sigma sqrt(4N/3 + 1)).
    """
    params = key.params
    basis = params.extended_basis(level)
    with wiping():
        u = ternary(basis, rng, shape)
        zero = kernels.empty((2, *u.residues.shape))
        for part in (0, 1):
            error(basis, rng, shape, out=zero[part])
            kernels.mul_add(basis.plan, u.residues, key.words[part, : len(basis)], zero[part], zero[part])
        return kernels.divide(quotient_of(params, level), zero) if params.num_special else zero
