"""This library as a worker."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import numpy as np

import ckks
from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import INTERVAL, ROTATIONS, Case, Regression, operands
from ckks import kernels
from ckks.rlwe.secret import decrypt
from ckks.scheme.serialization import seeded_to_bytes, to_bytes

PRESETS = {"N12": "S12", "N14": "S14", "N15": "S15"}
"""Cases that are one of the library's own sets."""

DIGITS = {"N13": 1, "R13": 1, "R14": 2}
"""Primes per digit, and special primes, of the others."""


def parameters_of(case: Case) -> ckks.CKKSParams:
    """Return this library's parameters for a case: ring degree, depth and scale as given, digits of its own."""
    if case.name in PRESETS:
        return ckks.CKKSParams.preset(PRESETS[case.name])
    digit = DIGITS[case.name]
    return ckks.CKKSParams.generate(
        ring_degree=case.ring_degree,
        depth=case.depth,
        scale_bits=case.scale_bits,
        base_bits=case.first_bits,
        num_special=digit,
        special_bits=case.first_bits,
        digit_size=digit,
    )


class Ours:
    """CKKS with the kernels that CKKS_BACKEND names, or the best of this machine."""

    def describe(self) -> dict[str, Any]:
        source = kernels.active()
        return {
            "version": ckks.__version__,
            "runs": f"{source.name} ({source.describe()['variant']})",
            "threads": kernels.num_threads(),
        }

    def prepare(self, case: Case) -> Prepared:
        kernels.warmup()
        params = parameters_of(case)
        described = {
            "N": params.ring_degree,
            "levels": params.top_level,
            "q_bits": [round(log2(q)) for q in params.moduli],
            "p_bits": [round(log2(p)) for p in params.special_moduli],
            "log2_qp": round(params.log2_qp, 1),
            "digits": len(params.digits(params.top_level)),
            "log2_scale": round(log2(float(params.scale)), 2),
            "security": params.security,
            "secret": "uniform ternary",
        }
        keygen = ckks.KeyGenerator(params)
        secret = keygen.secret_key()
        make = _regression if case.is_regression else _operations
        return make(case, params, keygen, secret, described)


def _operations(case: Case, params: Any, keygen: Any, secret: Any, described: dict[str, Any]) -> Prepared:
    keys = keygen.evaluation_keys(secret, rotations=ROTATIONS)
    encryptor = ckks.Encryptor(params, keygen.public_key(secret))
    seeded, decryptor = ckks.Encryptor(params, secret), ckks.Decryptor(params, secret)
    evaluator, encoder = ckks.Evaluator(params, keys), ckks.Encoder(params)
    x, y = operands(case.slots)
    plain, other = encoder.encode(x), encoder.encode(y)
    a, b = encryptor.encrypt(plain), encryptor.encrypt(other)
    opened = decrypt(a, secret)

    def off(expected: np.ndarray) -> Callable[[Any], float]:
        return lambda ct: np.abs(decryptor.decrypt(ct) - expected).max()

    def rotated_off(results: Any) -> float:
        return max(off(np.roll(x, -k))(ct) for k, ct in zip(ROTATIONS, results, strict=True))

    operations = {
        "encode": Operation(lambda: encoder.encode(x), lambda p: np.abs(encoder.decode(p) - x).max()),
        "encrypt_pk": Operation(lambda: encryptor.encrypt(plain), off(x)),
        "encrypt_sk": Operation(lambda: seeded.encrypt_seeded(plain), lambda pair: off(x)(pair[0])),
        "encode_encrypt_pk": Operation(lambda: encryptor.encrypt(x), off(x)),
        "encode_encrypt_sk": Operation(lambda: seeded.encrypt_seeded(x), lambda pair: off(x)(pair[0])),
        "decrypt": Operation(lambda: decrypt(a, secret)),
        "decode": Operation(lambda: encoder.decode(opened)),
        "decrypt_decode": Operation(lambda: decryptor.decrypt(a)),
        "add": Operation(lambda: evaluator.add(a, b), off(x + y)),
        "multiply_plain": Operation(lambda: evaluator.multiply(a, other, rescale=False), off(x * y)),
        "multiply_vector": Operation(lambda: evaluator.multiply(a, y), off(x * y)),
        "multiply": Operation(lambda: evaluator.multiply(a, b), off(x * y)),
        "rotate": Operation(lambda: evaluator.rotate(a, 1), off(np.roll(x, -1))),
        "rotate_8": Operation(lambda: evaluator.rotate_many(a, ROTATIONS), rotated_off),
        "relin_keygen": Operation(lambda: keygen.relin_key(secret)),
    }
    sizes = {
        "ciphertext": len(to_bytes(a)),
        "ciphertext_sk": len(seeded_to_bytes(*seeded.encrypt_seeded(plain))),
        "relin_key": len(to_bytes(keys.relin_key())),
    }
    return Prepared(operations, described, sizes)


def _regression(case: Case, params: Any, keygen: Any, secret: Any, described: dict[str, Any]) -> Prepared:
    work = Regression.of(case.slots)
    cubic = ckks.Polynomial(tuple(map(float, work.cubic)), basis="chebyshev", interval=(-INTERVAL, INTERVAL))
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
    public, seeded = ckks.Encryptor(params, keygen.public_key(secret)), ckks.Encryptor(params, secret)
    decryptor = ckks.Decryptor(params, secret)

    def serve_rows(ct: Any) -> Any:
        return ckks.polynomial(work.weights @ ckks.EncryptedVector(ct, evaluator) + work.bias, cubic)

    def off(result: Any) -> float:
        return np.abs(decryptor.decrypt(result) - work.expected()).max()

    operations = {}
    encrypts: dict[str, Callable[[], Any]] = {
        "columns_sk": lambda: seeded.encrypt_seeded(work.features)[0],
        "columns_pk": lambda: public.encrypt(work.features),
    }
    for way, encrypt in encrypts.items():
        ct = encrypt()
        result = serve_rows(ct)
        operations[f"{way}.encrypt"] = Operation(encrypt)
        operations[f"{way}.server"] = Operation(lambda ct=ct: serve_rows(ct), off)
        operations[f"{way}.decrypt"] = Operation(lambda result=result: decryptor.decrypt(result))
    return Prepared(operations, described, rows=dict.fromkeys(encrypts, case.slots))


if __name__ == "__main__":
    serve(Ours)
