"""Decryptor: for the holder of the secret key."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ckks.errors import BasisMismatch
from ckks.kernels import wiping
from ckks.rlwe import Ciphertext
from ckks.rlwe.secret import SecretKey, decrypt
from ckks.scheme.encoder import Encoder
from ckks.scheme.meta import meta_of
from ckks.scheme.params import CKKSParams


class Decryptor:
    """Decrypts and decodes with one secret key."""

    def __init__(self, params: CKKSParams, secret: SecretKey) -> None:
        """Keep the key."""
        if secret.params != params:
            raise BasisMismatch("the secret key belongs to other parameters than this decryptor")
        self.params = params
        self.encoder = Encoder(params)
        self._secret = secret

    def decrypt(self, ct: Ciphertext) -> NDArray[Any]:
        """Return the values, float64 (complex128 if complex values went in), shape (..., n).

        **For the key holder only.** The last bits of these numbers carry the encryption error, which together with
        the ciphertext gives the secret key away ([LM21]): do not show them to anybody else.
        """
        ct = getattr(ct, "ciphertext", ct)  # an EncryptedVector will do
        if not isinstance(ct, Ciphertext):
            raise TypeError(f"cannot decrypt {type(ct).__name__}; needed a Ciphertext or EncryptedVector")
        if ct.params != self.params:
            raise BasisMismatch("the ciphertext belongs to other parameters than this decryptor")
        limbs = self.encoder.limbs_needed(ct.level, meta_of(ct))
        low = next(level for level in range(ct.level + 1) if self.params.limbs(level) >= limbs)
        with wiping():  # message plus error is as good as the key
            return self.encoder.decode(decrypt(ct.at_level(low), self._secret))
