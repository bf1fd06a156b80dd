"""Parameter sets by the aim that names them, and keys and operands for one, which die with their last reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import ckks
from benchmarks.peers.workers.ours import parameters_of
from benchmarks.peers.workload import CASES, operands

generate, preset = ckks.CKKSParams.generate, ckks.CKKSParams.preset

SETS: dict[str, Callable[[], ckks.CKKSParams]] = {
    "T3": lambda: parameters_of(CASES["N13"]),
    "T4": lambda: preset("S14"),
    # 16 limbs and 4 special primes have 43 bits each below the 868 that N = 2^15 allows.
    "T5": lambda: generate(ring_degree=2**15, depth=15, scale_bits=42, base_bits=46, num_special=4, special_bits=46),
    "T6": lambda: generate(ring_degree=2**16, depth=25, scale_bits=45, base_bits=50, num_special=5, special_bits=50),
    # Encryption does not use the special prime: one, so that the set is one that could be used.
    "T9": lambda: generate(ring_degree=2**14, depth=8, scale_bits=40, base_bits=46, special_bits=46),
}
"""Aim -> its parameters: T3 to T6 products (and all that needs keys of that size), T9 encryption."""


def parameters(aim: str) -> ckks.CKKSParams:
    """Return the set of an aim."""
    return SETS[aim]()


def describe(params: ckks.CKKSParams) -> str:
    """Return N, limbs, digits and log2 QP in words."""
    digits = len(params.digits(params.top_level))
    return (
        f"N = 2^{params.ring_degree.bit_length() - 1}, {len(params.moduli)} + {params.num_special} limbs, "
        f"{digits} digit{'s' * (digits != 1)}, log2 QP = {params.log2_qp:.0f}"
    )


@dataclass(frozen=True)
class World:
    """Keys and two ciphertexts of full vectors, at the top level."""

    params: ckks.CKKSParams
    keygen: Any
    secret: Any
    encryptor: ckks.Encryptor
    evaluator: ckks.Evaluator
    a: ckks.Ciphertext
    b: ckks.Ciphertext

    @classmethod
    def of(
        cls, params: ckks.CKKSParams, *, relin: bool = True, rotations: Iterable[int] = (), batch: tuple[int, ...] = ()
    ) -> World:
        """Make them; the ciphertexts are encrypted with the secret key, and batches of equal vectors if asked."""
        keygen = ckks.KeyGenerator(params)
        secret = keygen.secret_key()
        encryptor = ckks.Encryptor(params, secret)
        keys = keygen.evaluation_keys(secret, relin=relin, rotations=rotations)
        a, b = (encryptor.encrypt(np.broadcast_to(v, (*batch, params.slots))) for v in operands(params.slots))
        return cls(params, keygen, secret, encryptor, ckks.Evaluator(params, keys), a, b)
