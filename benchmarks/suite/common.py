"""What the benchmarks share: parameter sets by name, keys made once, operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ckks import Ciphertext, CKKSParams, Decryptor, Encryptor, Evaluator, KeyGenerator, kernels
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


@dataclass(frozen=True)
class World:
    """Keys and operands of one parameter set."""

    params: CKKSParams
    encryptor: Encryptor
    seeded: Encryptor
    decryptor: Decryptor
    evaluator: Evaluator
    values: np.ndarray
    ct: Ciphertext


@cache
def world(name: str) -> World:
    """Return everything one set needs, generated once in a process."""
    params = CKKSParams.preset(name)
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    encryptor = Encryptor(params, keygen.public_key(secret))
    values = np.cos(np.arange(params.slots))
    return World(
        params,
        encryptor,
        Encryptor(params, secret),
        Decryptor(params, secret),
        Evaluator(params, keygen.evaluation_keys(secret, rotations=[1, 2, 4, 8])),
        values,
        encryptor.encrypt(values),
    )
