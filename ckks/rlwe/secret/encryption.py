"""Secret-key encryption: half of the ciphertext is expanded from a public seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.ring import Domain, RingPoly, Rng, error
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.noise import EXACT, Noise, fresh_secret
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.secret.key import SecretKey
from ckks.rlwe.seeds import ciphertext_half, made_from


def encrypt_secret(plaintext: Plaintext, secret: SecretKey, rng: Rng) -> tuple[Ciphertext, bytes]:
    """Return (ciphertext, seed): (-a s + e + m, a) with a expanded from the 32-byte public seed.

    Storing c_0 and the seed is enough: see `rlwe.seeds`. The error is e alone, the smallest there is.
    """
    return encrypt_poly(
        plaintext.params, plaintext.level, plaintext.poly, secret, rng, meta=plaintext.meta, noise=plaintext.noise
    )


def encrypt_poly(
    params: RLWEParams,
    level: int,
    message: RingPoly,
    secret: SecretKey,
    rng: Rng,
    *,
    meta: Any = None,
    noise: Noise = EXACT,
) -> tuple[Ciphertext, bytes]:
    """Return what `encrypt_secret` does, for a message in either domain over the basis of `level`.

    A message that is given by its coefficients is transformed together with the error: one NTT in place of two.
    """
    basis = params.basis(level)
    if secret.params != params:
        raise BasisMismatch("the secret key belongs to other parameters than the plaintext")
    if message.basis != basis:
        raise BasisMismatch(f"message over {message.basis}; needed {basis} at level {level}")
    seed = rng.public_seed()
    s = secret.ntt(basis)  # fails for a closed key, and then before anything is written
    words = kernels.empty((2, *message.residues.shape))
    c0, a = words
    ciphertext_half(params, level, message.shape, seed, out=a)
    try:
        error(basis, rng, message.shape, domain=message.domain, out=c0)  # stays in this memory, and is covered in it
        kernels.add(basis.plan, message.residues, c0, c0)
        if message.domain is Domain.COEFFICIENT:
            kernels.ntt(basis.plan, c0, c0)
        kernels.neg_mul_add(basis.plan, a, s, c0, c0)
    except BaseException:  # interrupted: message and error are not covered yet
        c0.fill(0)
        raise
    ct = Ciphertext.of(params, np.moveaxis(words, 0, -3), level, meta, noise + fresh_secret(params))
    return made_from(ct, seed), seed
