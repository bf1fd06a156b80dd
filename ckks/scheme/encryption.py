"""Encryptor: numbers in, ciphertexts out; with a public key, or smaller and less noisy with the secret key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from ckks.errors import BasisMismatch
from ckks.kernels import wiping
from ckks.ring import Domain, RingPoly, Rng
from ckks.rlwe import Ciphertext, Plaintext, PublicKey, encrypt
from ckks.scheme.encoder import Encoder
from ckks.scheme.params import CKKSParams

if TYPE_CHECKING:
    from ckks.rlwe.secret import SecretKey


class Encryptor:
    """Encrypts vectors of numbers under one key.

    Args:
        params: the parameter set.
        key: a PublicKey, or a SecretKey (`encrypt_seeded` then stores ciphertexts at half the size).
        rng: where randomness comes from; the operating system unless a test passes its own.
    """

    def __init__(self, params: CKKSParams, key: PublicKey | SecretKey, rng: Rng | None = None) -> None:
        """Keep the key."""
        if key.params != params:
            raise BasisMismatch("the key belongs to other parameters than this encryptor")
        self.params = params
        self.encoder = Encoder(params)
        self._key = key
        self._rng = rng or Rng()

    def encrypt(self, values: ArrayLike | Plaintext, **encoding: Any) -> Ciphertext:
        """Return an encryption of `values`, shape (..., n): a batch of ciphertexts of n values each.

        Keyword arguments (level, bound, slots, scale) go to `Encoder.encode`, which also says what is refused.
        """
        if isinstance(self._key, PublicKey):
            return encrypt(self._plaintext(values, encoding), self._key, self._rng)
        return self.encrypt_seeded(values, **encoding)[0]

    def encrypt_seeded(self, values: ArrayLike | Plaintext, **encoding: Any) -> tuple[Ciphertext, bytes]:
        """Return (ciphertext, seed); its second half is what the public 32-byte seed expands to. Needs a SecretKey."""
        if isinstance(self._key, PublicKey):
            raise TypeError("seeded encryption needs the secret key; make the Encryptor with it, or use encrypt()")
        from ckks.rlwe.secret import encrypt_poly, encrypt_secret  # only in a process that holds a secret key

        if isinstance(values, Plaintext):
            return encrypt_secret(self._plaintext(values, encoding), self._key, self._rng)
        with wiping():
            words, level, meta = self.encoder.message(values, **encoding)
        message = RingPoly.of(self.params.basis(level), words, Domain.COEFFICIENT)
        noise = self.encoder.rounding(meta)
        return encrypt_poly(self.params, level, message, self._key, self._rng, meta=meta, noise=noise)

    def _plaintext(self, values: ArrayLike | Plaintext, encoding: dict[str, Any]) -> Plaintext:
        if not isinstance(values, Plaintext):
            with wiping():
                return self.encoder.encode(values, **encoding)
        if encoding:
            raise TypeError(f"a Plaintext is encoded already; leave out {', '.join(encoding)} or pass the numbers")
        return values
