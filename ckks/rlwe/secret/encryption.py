"""Secret-key encryption: half of the ciphertext is expanded from a public seed."""

from __future__ import annotations

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.kernels import wiping
from ckks.ring import Rng, error
from ckks.rlwe import noise
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.secret.key import SecretKey
from ckks.rlwe.seeds import ciphertext_half


def encrypt_secret(plaintext: Plaintext, secret: SecretKey, rng: Rng) -> tuple[Ciphertext, bytes]:
    """Return (ciphertext, seed): (-a s + e + m, a) with a expanded from the 32-byte public seed.

    Storing c_0 and the seed is enough: see `rlwe.seeds`. The error is e alone, the smallest there is.
    """
    params, basis = plaintext.params, plaintext.basis
    if secret.params != params:
        raise BasisMismatch("the secret key belongs to other parameters than the plaintext")
    seed = rng.public_seed()
    a = ciphertext_half(params, plaintext.level, plaintext.shape, seed)
    with wiping():
        e = error(basis, rng, plaintext.shape)
        masked = kernels.add(basis.plan, plaintext.words, e.residues)
        product = kernels.mul(basis.plan, a, secret.ntt(basis))
        c0 = kernels.sub(basis.plan, masked, product)
    words = kernels.empty((2, *a.shape))
    words[0], words[1] = c0, a
    size = plaintext.noise + noise.fresh_secret(params)
    return Ciphertext.of(params, np.moveaxis(words, 0, -3), plaintext.level, plaintext.meta, size), seed
