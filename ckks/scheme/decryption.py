"""Decryptor: for the holder of the secret key."""

from __future__ import annotations

import math
from operator import index
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import BasisMismatch, QueriesSpent, RangeError
from ckks.kernels import wiping
from ckks.ring import Rng, wide_gaussian
from ckks.ring.gaussian import Bell
from ckks.rlwe import Ciphertext, Plaintext, flooding_std
from ckks.rlwe.flooding import QUERIES
from ckks.rlwe.noise import random_poly
from ckks.rlwe.secret import SecretKey, decrypt
from ckks.scheme.encoder import Encoder
from ckks.scheme.meta import expected_error, meta_of
from ckks.scheme.params import CKKSParams


class Decryptor:
    """Decrypts and decodes with one secret key.

    Args:
        params: the parameter set.
        secret: the key.
        public_queries: how many results `decrypt_public` gives in all, up to 2^40; the more, the more noise in each.
        statistical_bits: how well it hides the key, 30 to 64.
        rng: where its noise comes from; the operating system unless a test passes its own.
    """

    def __init__(
        self,
        params: CKKSParams,
        secret: SecretKey,
        *,
        public_queries: int = QUERIES,
        statistical_bits: float = 30,
        rng: Rng | None = None,
    ) -> None:
        """Keep the key."""
        if not isinstance(secret, SecretKey):
            raise TypeError(f"expected a SecretKey, found {type(secret).__name__}; KeyGenerator.secret_key makes one")
        if secret.params != params:
            raise BasisMismatch("the secret key belongs to other parameters than this decryptor")
        self.params = params
        self.encoder = Encoder(params)
        self._secret = secret
        self._rng = rng or Rng()
        self._flooding = flooding_std(1.0, queries=public_queries, statistical_bits=statistical_bits)
        self._queries, self._spent, self._lock = public_queries, 0, Lock()

    @property
    def queries_left(self) -> int:
        """How many more results `decrypt_public` gives."""
        return self._queries - self._spent

    def decrypt(self, ct: Ciphertext) -> NDArray[Any]:
        """Return the values, float64 (complex128 if complex values went in), shape (..., n).

        **For the key holder only.** The last bits of these numbers carry the encryption error, which together with
        the ciphertext gives the secret key away ([LM21]): do not show them to anybody else. What is to be shown goes
        through `decrypt_public`.
        """
        ct, low = self._checked(ct)
        with wiping():  # message plus error is as good as the key
            return self.encoder.decode(decrypt(ct.at_level(low), self._secret))

    def decrypt_public(self, ct: Ciphertext, precision_bits: int | None = None) -> NDArray[Any]:
        """Return values that may be shown to others, shape (..., n): flooded with noise, then rounded.

        The decrypted polynomial gets noise of deviation sqrt(12 tau) 2^(s/2) (B + sqrt(N)/2), where B is the bound on
        its error that the operations carried along, tau = `public_queries` and s = `statistical_bits` ([LMSS22]);
        sqrt(N)/2 is for rounding the exact result to integers. What comes out then tells as much about the key as
        exact results would, which is nothing, up to s statistical bits over all tau queries. That costs s/2 +
        log2(12 tau)/2 bits of precision, 21.8 by default, which the scale has to have to spare. Each item of a batch is
        a query, and so is each further decryption of the same ciphertext. A query that was counted stays counted,
        even if it fails.

        What it needs, and what it does not promise:

        - The bound has to be true. It is for ciphertexts that this library encrypted and computed with here, within
          the ranges declared for their values, except with probability 2^-40 for each source of noise. A bound given
          to `ciphertext_from_bytes(noise=...)`, or left out there for what is no fresh encryption, is taken on trust.
          If a ciphertext has more noise than it says, nothing is promised, and an evaluator that runs another circuit
          than the one agreed on can arrange for that ([GNSJ24], [AAMP24]).
        - Queries are counted by this object. Two decryptors of one key, or one made anew, count on their own.
        - What the values tell about the data, they tell.

        Args:
            ct: a ciphertext, or an EncryptedVector.
            precision_bits: round to multiples of 2^-precision_bits; if not given, of the least power of two that is not
                below the expected error.

        Raises:
            RangeError: the noise is unknown, or so large that less than `precision_bits` survive, or no bit of the
                values does.
            QueriesSpent: fewer queries are left than results asked for.
        """
        ct, low = self._checked(ct)
        n, meta, bound = self.params.ring_degree, meta_of(ct), ct.noise.bound
        if not 0 < bound < math.inf:
            raise RangeError(
                f"the error of this ciphertext is stated to be at most {bound!r}; decryption in public needs a true "
                "bound: encrypt the values, or state the bound when reading bytes (noise=...)"
            )
        std = self._flooding * (bound + math.sqrt(n) / 2)
        noise = ct.noise + random_poly(n, Bell.at_least(std).std)
        bits = self._surviving(ct.with_(noise=noise), low, precision_bits)
        self._spend(math.prod(ct.shape))
        with wiping():
            plain = decrypt(ct.at_level(low), self._secret)
            flooded = wide_gaussian(plain.basis, self._rng, std, ct.shape).residues
            words = kernels.add(plain.basis.plan, flooded, plain.words)
            values = self.encoder.decode(Plaintext.of(self.params, words, low, meta, noise))
        step = math.ldexp(1.0, -bits)
        rounded: NDArray[Any] = np.rint(values / step) * step
        return rounded

    def _checked(self, ct: Ciphertext) -> tuple[Ciphertext, int]:
        """Return the ciphertext, and the level at which it has as many limbs as decoding it takes."""
        ct = getattr(ct, "ciphertext", ct)  # an EncryptedVector will do
        if not isinstance(ct, Ciphertext):
            raise TypeError(f"cannot decrypt {type(ct).__name__}; needed a Ciphertext or EncryptedVector")
        if ct.params != self.params:
            raise BasisMismatch("the ciphertext belongs to other parameters than this decryptor")
        limbs = self.encoder.limbs_needed(ct.level, meta_of(ct))
        return ct, next(level for level in range(ct.level + 1) if self.params.limbs(level) >= limbs)

    def _surviving(self, flooded: Ciphertext, level: int, wanted: int | None) -> int:
        """Return the bits behind the point to round to, having checked that they, and the whole value, survive."""
        meta, surviving = meta_of(flooded), math.floor(-math.log2(expected_error(flooded)))
        advice = "use a larger scale or fewer public_queries"
        if wanted is not None and index(wanted) > surviving:
            raise RangeError(f"{surviving} bits of the values survive flooding, {wanted} were asked for; {advice}")
        if 2.0**-surviving >= meta.bound:
            raise RangeError(
                f"no bit of values up to {meta.bound:.3g} survives flooding with errors of 2^{-surviving}; {advice}"
            )
        size, room = math.log2(meta.message.bound + flooded.noise.bound), self.params.room(level)
        if size >= room:
            raise RangeError(
                f"values and noise up to 2^{size:.1f} exceed the modulus of level {level} (2^{room:.1f} with sign); "
                "decrypt at a higher level, or declare a smaller bound"
            )
        return surviving if wanted is None else index(wanted)

    def _spend(self, count: int) -> None:
        with self._lock:
            if count > self.queries_left:
                raise QueriesSpent(
                    f"{count} public decryptions, but {self.queries_left} of {self._queries} are left; decrypt for the "
                    "key holder alone, or make a new key (and a decryptor with more public_queries)"
                )
            self._spent += count
