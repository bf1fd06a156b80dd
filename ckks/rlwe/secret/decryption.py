"""Decryption, and the error that only the key holder can measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import BasisMismatch
from ckks.kernels import wiping
from ckks.ring import Domain, RingPoly
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.secret.key import SecretKey


def decrypt(ct: Ciphertext, secret: SecretKey) -> Plaintext:
    """Return message + error: c_0 + c_1 s + c_2 s^2 + ..., for the key holder only.

    The error is linear in the secret: whoever sees a ciphertext and its exact decryption can solve for the key
    ([LM21]). Do not publish this value, nor anything that depends on its last bits.
    """
    if secret.params != ct.params:
        raise BasisMismatch("the secret key belongs to other parameters than the ciphertext")
    plan = ct.basis.plan
    with wiping():
        s = secret.ntt(ct.basis)
        parts = np.moveaxis(ct.words, -3, 0)
        value = parts[-1]
        for part in parts[-2::-1]:  # Horner's rule in s
            value = kernels.mul_add(plan, value, s, part)
    return Plaintext.of(ct.params, value, ct.level, ct.meta, ct.noise)


def measured_error(ct: Ciphertext, secret: SecretKey, message: RingPoly) -> NDArray[np.object_]:
    """Return the error polynomial's coefficients as integers: phase minus `message` (same basis)."""
    phase = decrypt(ct, secret)
    with wiping():
        difference = RingPoly.of(ct.basis, phase.words, Domain.NTT) - message.to_ntt()
        return difference.to_integers()
