"""What the benchmarks share: parameter sets by name, keys made once, operands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ckks import Ciphertext, CKKSParams, Decryptor, Encryptor, Evaluator, KeyGenerator, SecretKey, kernels
from ckks.errors import BackendError

SETS = ("S13", "S14", "S15")
BACKENDS = ("native", "numba")


def choose(backend: str) -> Any:
    """Switch the process to a backend, or tell asv to skip."""
    try:
        kernels.load(backend)
    except BackendError as error:
        raise NotImplementedError(str(error)) from None
    context = kernels.use(backend)
    context.__enter__()
    return context


class Timed:
    """A class of benchmarks on each backend; what has more parameters names them, the backend first."""

    params: tuple[tuple[Any, ...], ...] = (BACKENDS,)
    param_names: tuple[str, ...] = ("backend",)
    warmup_time = 0.2

    def setup(self, backend: str, *_: Any) -> None:
        self.context = choose(backend)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)


@dataclass(frozen=True)
class Machinery:
    """Keys for one circuit, and what works with them."""

    encryptor: Encryptor
    evaluator: Evaluator

    @classmethod
    def of(
        cls, params: CKKSParams, *, relin: bool = False, rotations: Iterable[int] = (), conjugation: bool = False
    ) -> Machinery:
        generator = KeyGenerator(params)
        secret = generator.secret_key()
        keys = generator.evaluation_keys(secret, relin=relin, rotations=rotations, conjugation=conjugation)
        return cls(Encryptor(params, secret), Evaluator(params, keys))


@dataclass(frozen=True)
class World:
    """Keys and operands of one parameter set."""

    params: CKKSParams
    keygen: KeyGenerator
    secret: SecretKey
    encryptor: Encryptor
    seeded: Encryptor
    decryptor: Decryptor
    evaluator: Evaluator
    values: np.ndarray
    ct: Ciphertext


@cache
def world(name: str) -> World:
    """Return everything one set needs, generated once in a process."""
    return world_of(CKKSParams.preset(name))


@cache
def deep_world() -> World:
    """Return what circuits of up to 14 levels need: N = 2^15."""
    return world_of(CKKSParams.for_depth(14, precision_bits=16, value_range=256.0))


def world_of(params: CKKSParams) -> World:
    """Return keys and operands of any set."""
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    encryptor = Encryptor(params, keygen.public_key(secret))
    values = np.cos(np.arange(params.slots))
    return World(
        params,
        keygen,
        secret,
        encryptor,
        Encryptor(params, secret),
        Decryptor(params, secret),
        Evaluator(params, keygen.evaluation_keys(secret, rotations=[1, 2, 4, 8], conjugation=True)),
        values,
        encryptor.encrypt(values),
    )
