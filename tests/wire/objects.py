"""Small objects of every kind, and how each is loaded and stored: what the tests of the wire format share.

N = 8, and no two rows of one width, so that "every bit" and "every word" are few and nothing fits by accident.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from ckks import CKKSParams, Encoder, Encryptor, EvaluationKeys, KeyGenerator
from ckks.ring import Rng, nearest_primes, ntt_primes
from ckks.rlwe import PublicKey, SwitchingKey
from ckks.rlwe.frame import Kind
from ckks.rlwe.noise import Noise
from ckks.rlwe.secret import SecretKey, secret_key_from_bytes, secret_key_to_bytes
from ckks.scheme import serialization as scheme
from ckks.scheme.meta import meta_of

VALUES = (0.5, -0.25, 0.125)
DESCRIPTION = {
    "name": "churn é \U0001f600",
    "version": 3,
    "scale": "1267650600228229401496703205376",
    "weights": [0.5, -1.25e-07, 1e22, -0.0],
    "layout": {"slots": 4, "rotations": [], "needs": None, "flooded": True},
}


@cache
def tiny(n: int = 8) -> CKKSParams:
    """Primes of 41, 31 and 30 bits and a special one of 45; one digit for each."""
    base, below, special = (ntt_primes(bits=bits, count=1, n=n)[0] for bits in (41, 30, 45))
    above = next(q for q in nearest_primes(2**30, n=n) if q > 2**30)
    return CKKSParams.insecure(
        ring_degree=n,
        levels=((base,), (below,), (above,)),
        special_moduli=(special,),
        digit_sizes=(1, 1, 1),
        scale=Decimal(2**30),
    )


@cache
def secret(n: int = 8) -> SecretKey:
    return KeyGenerator(tiny(n), Rng(2)).secret_key()


def keygen(n: int = 8) -> KeyGenerator:
    return KeyGenerator(tiny(n), Rng(1))


def bare(key: Any) -> Any:
    """The same key, its seed forgotten."""
    if isinstance(key, EvaluationKeys):
        return EvaluationKeys(key.params, key.relin and bare(key.relin), {g: bare(k) for g, k in key.galois.items()})
    return type(key)(key.params, key.words, key.level)


def public_key() -> PublicKey:
    return keygen().public_key(secret())


def switching_key(level: int = 1) -> SwitchingKey:
    return keygen().relin_key(secret(), level)


def evaluation_keys(level: int = 0) -> EvaluationKeys:
    return keygen().evaluation_keys(secret(), rotations=[1], conjugation=True, level=level)


def encrypted(values: Any = VALUES, n: int = 8, **encoding: Any) -> Any:
    return Encryptor(tiny(n), keygen(n).public_key(secret(n)), Rng(3)).encrypt(np.array(values), **encoding)


def seeded(values: Any = VALUES, n: int = 8, **encoding: Any) -> Any:
    return Encryptor(tiny(n), secret(n), Rng(4)).encrypt_seeded(np.array(values), **encoding)


def encoded(values: Any = VALUES, n: int = 8, **encoding: Any) -> Any:
    return Encoder(tiny(n)).encode(np.array(values), **encoding)


@dataclass(frozen=True)
class Case:
    """One kind: an object of it as bytes, and the functions that read and write it.

    Args:
        kind: None for the secret key file, which is no frame.
        make: returns the bytes.
        load: from bytes and parameters; objects that are not fresh are taken too.
        store: what `load` returned, back to bytes.
    """

    kind: Kind | None
    make: Callable[[], bytes]
    load: Callable[[bytes, CKKSParams], Any]
    store: Callable[[Any, CKKSParams], bytes]


def _store(obj: Any, _: CKKSParams) -> bytes:
    return scheme.to_bytes(obj)


def _ciphertext(data: bytes, params: CKKSParams) -> Any:
    return scheme.ciphertext_from_bytes(data, params, noise=Noise())


CASES: dict[str, Case] = {
    "parameters": Case(
        Kind.PARAMETERS,
        lambda: scheme.to_bytes(tiny()),
        lambda data, _: scheme.params_from_bytes(data, allow_insecure=True),
        _store,
    ),
    "public key": Case(Kind.PUBLIC_KEY, lambda: scheme.to_bytes(public_key()), scheme.public_key_from_bytes, _store),
    "switching key": Case(
        Kind.SWITCHING_KEY, lambda: scheme.to_bytes(switching_key()), scheme.switching_key_from_bytes, _store
    ),
    "evaluation keys": Case(
        Kind.EVALUATION_KEYS, lambda: scheme.to_bytes(evaluation_keys()), scheme.evaluation_keys_from_bytes, _store
    ),
    "ciphertext": Case(Kind.CIPHERTEXT, lambda: scheme.to_bytes(encrypted()), _ciphertext, _store),
    "seeded ciphertext": Case(
        Kind.SEEDED_CIPHERTEXT,
        lambda: scheme.seeded_to_bytes(*seeded()),
        lambda data, params: scheme.seeded_from_bytes(data, params, noise=Noise()),
        lambda pair, _: scheme.to_bytes(pair[0]) if pair[1] is None else scheme.seeded_to_bytes(*pair),
    ),
    "plaintext": Case(Kind.PLAINTEXT, lambda: scheme.to_bytes(encoded()), scheme.plaintext_from_bytes, _store),
    "model": Case(
        Kind.MODEL,
        lambda: scheme.model_to_bytes(DESCRIPTION, tiny()),
        scheme.model_from_bytes,
        scheme.model_to_bytes,
    ),
    "secret key": Case(
        None,
        lambda: secret_key_to_bytes(secret()),
        secret_key_from_bytes,
        lambda key, _: secret_key_to_bytes(key),
    ),
}


@cache
def stored(name: str) -> bytes:
    """One small object of a kind, always the same."""
    return CASES[name].make()


def resealed(data: bytes | bytearray) -> bytes:
    """The same object with the checksum that belongs to it: what a sender of ill will would send."""
    return bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest()


def with_bytes(data: bytes, offset: int, new: bytes) -> bytes:
    """Some bytes changed under a fitting checksum."""
    return resealed(data[:offset] + new + data[offset + len(new) :])


def with_body(data: bytes, body: bytes) -> bytes:
    """Another body under a fitting length and checksum."""
    return resealed(data[:136] + struct.pack("<Q", len(body)) + body + bytes(32))


__all__ = [
    "CASES",
    "DESCRIPTION",
    "VALUES",
    "Case",
    "bare",
    "encoded",
    "encrypted",
    "evaluation_keys",
    "keygen",
    "meta_of",
    "public_key",
    "resealed",
    "secret",
    "seeded",
    "stored",
    "switching_key",
    "tiny",
    "with_body",
    "with_bytes",
]
