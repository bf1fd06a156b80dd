"""Polynomials, vectors with operators, and the logistic regression of the churn package."""

from __future__ import annotations

from typing import Any

import numpy as np

import ckks
from ckks import approximate, comparisons
from ckks.circuits import (
    LinearMap,
    evaluate_normalised,
    evaluate_per_slot,
    evaluate_polynomials,
    extend,
    logistic,
    refine,
)
from ckks.circuits.functions.choice import evaluate_function

from .common import BACKENDS, choose, deep_world, world


class _OnBackend:
    """What all classes here begin and end with."""

    params: tuple[tuple[object, ...], ...] = (BACKENDS,)
    param_names: tuple[str, ...] = ("backend",)
    warmup_time = 0.2

    def setup(self, backend: str, *parameters: object) -> None:
        self.context = choose(backend)
        self.prepare(*parameters)

    def prepare(self, *parameters: Any) -> None:
        """Make what is measured; the parameters after the backend are passed on."""
        raise NotImplementedError

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)


class Sigmoid(_OnBackend):
    """Minimax sigmoids on [-8, 8], one full ciphertext."""

    params = (BACKENDS, (3, 7, 15))
    param_names = ("backend", "degree")

    def prepare(self, degree: int) -> None:
        self.world = world("S14")
        self.polynomial = approximate(logistic, (-8, 8), degree=degree)

    def time_sigmoid(self, *_: object) -> None:
        evaluate_normalised(self.world.evaluator, self.world.ct, self.polynomial)


class Several(_OnBackend):
    """Three polynomials of degree 15 of one input: together, and one of them for each slot."""

    def prepare(self) -> None:
        self.world = world("S14")
        self.polynomials = [approximate(f, (-1, 1), degree=15) for f in (logistic, np.exp, np.sinh)]
        self.which = np.arange(self.world.ct.meta.length) % 3

    def time_polynomials(self, *_: object) -> None:
        evaluate_polynomials(self.world.evaluator, self.world.ct, self.polynomials)

    def time_per_slot(self, *_: object) -> None:
        evaluate_per_slot(self.world.evaluator, self.world.ct, self.polynomials, self.which)


class WideInterval(_OnBackend):
    """Functions that no polynomial of practical degree follows: by Newton's iteration, and on a narrowed interval."""

    def prepare(self) -> None:
        self.world = deep_world()
        self.newton = refine("inverse", (0.005, 1.0), max_abs_error=1e-5)
        self.extension = extend(logistic, 200, max_abs_error=1e-3)

    def time_newton(self, *_: object) -> None:
        evaluate_function(self.world.evaluator, self.world.ct, self.newton, normalised=True)

    def time_extension(self, *_: object) -> None:
        evaluate_function(self.world.evaluator, self.world.ct, self.extension, normalised=True)


class Comparison(_OnBackend):
    """Signs and maxima of a full ciphertext: one level for each bit of resolution, and some more."""

    params = (BACKENDS, (4, 8))
    param_names = ("backend", "resolution_bits")

    def prepare(self, resolution_bits: int) -> None:
        self.resolution = 2.0**-resolution_bits
        self.x = ckks.EncryptedVector(deep_world().ct, deep_world().evaluator)

    def time_sign(self, *_: object) -> None:
        comparisons.sign(self.x, resolution=self.resolution)

    def time_maximum(self, *_: object) -> None:
        comparisons.maximum(self.x, 0.25, resolution=self.resolution, radius=0.5)


class WeightedSum(_OnBackend):
    """30 feature columns of N/2 rows times plain weights."""

    def prepare(self) -> None:
        self.world = world("S13")
        self.features = self.world.encryptor.encrypt(np.tile(self.world.values, (30, 1)))
        self.weights = np.linspace(-1, 1, 30)

    def time_weighted_sum(self, *_: object) -> None:
        self.world.evaluator.weighted_sum(self.features, self.weights)


class Matrix(_OnBackend):
    """A dense plaintext matrix times an encrypted vector, one level above the last."""

    params = (BACKENDS, (32, 128))
    param_names = ("backend", "size")

    def prepare(self, size: int) -> None:
        params = ckks.CKKSParams.preset("S13", depth=1)
        self.map = LinearMap(np.random.default_rng(1).uniform(-1, 1, (size, size)))
        generator = ckks.KeyGenerator(params)
        secret = generator.secret_key()
        keys = generator.evaluation_keys(secret, rotations=self.map.rotations, conjugation=self.map.conjugation)
        self.evaluator = ckks.Evaluator(params, keys)
        encryptor = ckks.Encryptor(params, generator.public_key(secret))
        self.ct = encryptor.encrypt(np.ones(size), slots=size)

    def time_apply(self, *_: object) -> None:
        self.map.apply(self.evaluator, self.ct)


class Vectors(_OnBackend):
    """`EncryptedVector`, the outermost layer: what operators and functions add to the evaluator beneath."""

    def prepare(self) -> None:
        self.world = world("S14")
        evaluator, encryptor = self.world.evaluator, self.world.encryptor
        self.x = ckks.EncryptedVector(self.world.ct, evaluator)
        self.features = ckks.EncryptedVector(encryptor.encrypt(np.tile(self.world.values, (4, 1))), evaluator)
        self.weights = np.linspace(-1, 1, 4)
        self.cubic = approximate(logistic, (-8, 8), degree=3)

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
