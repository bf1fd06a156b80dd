"""Public-key encryption of polynomials: needs no secret, and so lives outside `rlwe.secret`."""

from __future__ import annotations

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.kernels import wiping
from ckks.ring import Rng, error, ternary
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.gadget import quotient_of
from ckks.rlwe.keys import PublicKey


def encrypt(plaintext: Plaintext, key: PublicKey, rng: Rng) -> Ciphertext:
    """Return an encryption of `plaintext` (or of each polynomial of a batch) under a public key.

    (b u + e_0, a u + e_1) is formed over QP and divided by P with rounding before the message is added, which
    leaves an error of rounding only (std sqrt((1 + 2N/3)/12) instead of sigma sqrt(4N/3 + 1)).
    """
    params, level = plaintext.params, plaintext.level
    if key.params != params:
        raise BasisMismatch("the public key belongs to other parameters than the plaintext")
    basis = params.extended_basis(level)
    with wiping():
        u = ternary(basis, rng, plaintext.shape)
        zero = kernels.empty((2, *u.residues.shape))
        for part in (0, 1):
            error(basis, rng, plaintext.shape, out=zero[part])
            kernels.mul_add(basis.plan, u.residues, key.words[part, : len(basis)], zero[part], zero[part])
        out = kernels.divide(quotient_of(params, level), zero) if params.num_special else zero
        kernels.add(params.basis(level).plan, out[0], plaintext.words, out[0])
    size = plaintext.noise + noise.fresh_public(params)
    return Ciphertext.of(params, np.moveaxis(out, 0, -3), level, plaintext.meta, size)
