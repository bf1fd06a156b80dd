"""Polynomials, vectors with operators, and the logistic regression of the churn package."""

from __future__ import annotations

import numpy as np

import ckks
from ckks import approximate
from ckks.circuits import LinearMap, evaluate_normalised, evaluate_per_slot, evaluate_polynomials, logistic

from .common import BACKENDS, choose, world


class Sigmoid:
    """Minimax sigmoids on [-8, 8], one full ciphertext."""

    params = (BACKENDS, (3, 7, 15))
    param_names = ("backend", "degree")
    warmup_time = 0.2

    def setup(self, backend: str, degree: int) -> None:
        self.context = choose(backend)
        self.world = world("S14")
        self.polynomial = approximate(logistic, (-8, 8), degree=degree)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_sigmoid(self, *_: object) -> None:
        evaluate_normalised(self.world.evaluator, self.world.ct, self.polynomial)


class Several:
    """Three polynomials of degree 15 of one input: together, and one of them for each slot."""

    params = (BACKENDS,)
    param_names = ("backend",)
    warmup_time = 0.2

    def setup(self, backend: str) -> None:
        self.context = choose(backend)
        self.world = world("S14")
        self.polynomials = [approximate(f, (-1, 1), degree=15) for f in (logistic, np.exp, np.sinh)]
        self.which = np.arange(self.world.ct.meta.length) % 3

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_polynomials(self, *_: object) -> None:
        evaluate_polynomials(self.world.evaluator, self.world.ct, self.polynomials)

    def time_per_slot(self, *_: object) -> None:
        evaluate_per_slot(self.world.evaluator, self.world.ct, self.polynomials, self.which)


class WeightedSum:
    """30 feature columns of N/2 rows times plain weights."""

    params = (BACKENDS,)
    param_names = ("backend",)
    warmup_time = 0.2

    def setup(self, backend: str) -> None:
        self.context = choose(backend)
        self.world = world("S13")
        self.features = self.world.encryptor.encrypt(np.tile(self.world.values, (30, 1)))
        self.weights = np.linspace(-1, 1, 30)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_weighted_sum(self, *_: object) -> None:
        self.world.evaluator.weighted_sum(self.features, self.weights)


class Matrix:
    """A dense plaintext matrix times an encrypted vector, one level above the last."""

    params = (BACKENDS, (32, 128))
    param_names = ("backend", "size")
    warmup_time = 0.2

    def setup(self, backend: str, size: int) -> None:
        self.context = choose(backend)
        params = ckks.CKKSParams.preset("S13", depth=1)
        self.map = LinearMap(np.random.default_rng(1).uniform(-1, 1, (size, size)))
        generator = ckks.KeyGenerator(params)
        secret = generator.secret_key()
        keys = generator.evaluation_keys(secret, rotations=self.map.rotations, conjugation=self.map.conjugation)
        self.evaluator = ckks.Evaluator(params, keys)
        encryptor = ckks.Encryptor(params, generator.public_key(secret))
        self.ct = encryptor.encrypt(np.ones(size), slots=size)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_apply(self, *_: object) -> None:
        self.map.apply(self.evaluator, self.ct)


class Vectors:
    """`EncryptedVector`, the outermost layer: what operators and functions add to the evaluator beneath."""

    params = (BACKENDS,)
    param_names = ("backend",)
    warmup_time = 0.2

    def setup(self, backend: str) -> None:
        self.context = choose(backend)
        self.world = world("S14")
        evaluator, encryptor = self.world.evaluator, self.world.encryptor
        self.x = ckks.EncryptedVector(self.world.ct, evaluator)
        self.features = ckks.EncryptedVector(encryptor.encrypt(np.tile(self.world.values, (4, 1))), evaluator)
        self.weights = np.linspace(-1, 1, 4)
        self.cubic = approximate(logistic, (-8, 8), degree=3)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_add(self, *_: object) -> None:
        _ = self.x + self.x

    def time_multiply(self, *_: object) -> None:
        _ = self.x * self.x

    def time_power_4(self, *_: object) -> None:
        _ = self.x**4

    def time_rotate(self, *_: object) -> None:
        _ = self.x << 1

    def time_sigmoid(self, *_: object) -> None:
        ckks.sigmoid(self.x, interval=8)

    def time_polynomial_of_linear_form(self, *_: object) -> None:
        ckks.polynomial(self.weights @ self.features + 0.25, self.cubic)
