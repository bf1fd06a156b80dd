"""One call for parameters, keys and everything that works with them: what nearly every test of the scheme starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks import CKKSParams, Decryptor, Encoder, Encryptor, Evaluator, KeyGenerator, SecretKey
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, EvaluationKeys, PublicKey


@dataclass(frozen=True)
class Kit:
    """Keys of one parameter set, deterministic, and the objects that use them."""

    params: CKKSParams
    secret: SecretKey
    public: PublicKey
    keys: EvaluationKeys
    encryptor: Encryptor
    evaluator: Evaluator
    decryptor: Decryptor

    @property
    def encoder(self) -> Encoder:
        """The encoder of these parameters."""
        return self.evaluator.encoder

    def encrypt(self, values: Any, level: int | None = None, **encoding: Any) -> Ciphertext:
        """Return an encryption; with a level below the top, brought there by the evaluator as a circuit would."""
        ct = self.encryptor.encrypt(values, **encoding)
        return ct if level is None else self.evaluator.bring(ct, level)

    def decrypt(self, ct: Any) -> NDArray[Any]:
        """Return the values."""
        return self.decryptor.decrypt(ct)

    def error(self, ct: Ciphertext, wanted: Any) -> float:
        """Return the largest error of any value; the shapes have to agree exactly."""
        found = self.decrypt(ct)
        assert found.shape == np.shape(wanted)
        return float(np.abs(found - wanted).max(initial=0.0))


def make_kit(params: CKKSParams, seed: int = 1, *, rotations: Any = None, conjugation: bool = True) -> Kit:
    """Return a kit with a relinearisation key, and Galois keys for rotations by 1, 2, 4, ... unless told otherwise."""
    generator = KeyGenerator(params, Rng(seed))
    secret = generator.secret_key()
    public = generator.public_key(secret)
    if params.special_moduli:
        steps = [1 << i for i in range(params.slots.bit_length() - 1)] if rotations is None else rotations
        keys = generator.evaluation_keys(secret, rotations=steps, conjugation=conjugation)
    else:
        keys = EvaluationKeys(params)
    return Kit(
        params,
        secret,
        public,
        keys,
        Encryptor(params, public, Rng(seed + 10**6)),
        Evaluator(params, keys),
        Decryptor(params, secret),
    )


def at_the_ends(
    values: np.random.Generator, shape: tuple[int, ...], bound: float = 1.0, *, real: bool = True
) -> NDArray[Any]:
    """Return values of size `bound`: random signs, or random phases (a few ulp below, so that rounding obeys it)."""
    if real:
        return np.asarray(values.choice([-bound, bound], shape))
    return np.asarray((1 - 2.0**-50) * bound * np.exp(2j * np.pi * values.random(shape)))
