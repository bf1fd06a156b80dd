"""One call for parameters, keys and everything that works with them: what nearly every test of the scheme starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from params import insecure_small

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


LARGE = 256
"""Ring degree that `kit_for` gives to compiled backends: 128 slots. The noise of a product with the secret has a
variance that differs from slot to slot like |s(zeta)|^2, exponentially distributed, so the mean square over 64
independent slots (one of each conjugate pair) is off by 1/sqrt(64) = 12 % in one standard deviation, its root by 6 %:
a factor of 2 is far."""

_kits: dict[object, Kit] = {}


def kit_for(backend: str, make: Callable[..., CKKSParams] = insecure_small, **changes: Any) -> Kit:
    """Keys for a backend's ring degree: the same words on every backend, hence made once."""
    key = make, backend == "reference", tuple(changes.items())
    if key not in _kits:
        _kits[key] = make_kit(make(32 if backend == "reference" else LARGE, **changes))
    return _kits[key]


def draw(shape: tuple[int, ...], kind: str, seed: int) -> NDArray[Any]:
    """Return values of size 1, "real" or "complex"."""
    return at_the_ends(np.random.default_rng(seed), shape, real=kind != "complex")


def fingerprint(*cts: Ciphertext) -> list[object]:
    """Everything that an operation on these must leave as it is."""
    return [(hashlib.sha256(np.ascontiguousarray(c.words)).digest(), c.level, c.meta, c.noise) for c in cts]
