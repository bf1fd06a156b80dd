"""OpenFHE as a worker: hybrid key switching with as few digits as its own security check lets it have."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from math import log2
from typing import Any

import numpy as np

from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import ROTATIONS, Case, Regression, operands

AUXILIARY_BITS = 60
"""Size of OpenFHE's special primes, which cannot be chosen."""

PRODUCT_DIGIT, ROTATION_DIGIT = 17, 8
"""Bits of a digit in key switching without special primes (BV). A product is rescaled afterwards, which divides its
noise; a rotation is not, and needs smaller digits for the same use."""


class OpenFhe:
    """FIXEDMANUAL scaling: as in SEAL, the caller rescales."""

    def __init__(self) -> None:
        import openfhe

        self.o: Any = openfhe

    def describe(self) -> dict[str, Any]:
        return {"version": version("openfhe"), "runs": "OpenFHE as the wheel was built", "threads": None}

    def context(self, case: Case, digits: int | None = None, digit_bits: int = 0) -> Any:
        """Return a context with `digits` hybrid digits, or with BV digits of `digit_bits`; raise as OpenFHE does."""
        o = self.o
        p = o.CCParamsCKKSRNS()
        p.SetSecretKeyDist(o.UNIFORM_TERNARY)
        p.SetSecurityLevel(o.HEStd_128_classic)
        p.SetRingDim(case.ring_degree)
        p.SetBatchSize(case.slots)
        p.SetScalingTechnique(o.FIXEDMANUAL)
        p.SetScalingModSize(case.scale_bits)
        p.SetFirstModSize(case.first_bits)
        p.SetMultiplicativeDepth(case.depth)
        if digits is None:
            p.SetKeySwitchTechnique(o.BV)
            p.SetDigitSize(digit_bits)
        else:
            p.SetKeySwitchTechnique(o.HYBRID)
            p.SetNumLargeDigits(digits)
        made = o.GenCryptoContext(p)
        for feature in (o.PKE, o.KEYSWITCH, o.LEVELEDSHE, o.ADVANCEDSHE):
            made.Enable(feature)
        return made

    def contexts(self, case: Case) -> tuple[Any, Any, int | None]:
        """Return (context for products, for rotations, hybrid digits): the fewest digits that pass, else BV."""
        for digits in range(1, case.depth + 2):
            try:
                made = self.context(case, digits)
            except RuntimeError:  # not secure at this ring degree, or no such split of the primes
                continue
            return made, made, digits
        return self.context(case, digit_bits=PRODUCT_DIGIT), self.context(case, digit_bits=ROTATION_DIGIT), None

    def prepare(self, case: Case) -> Prepared:
        self.o.ClearEvalMultKeys()
        context, rotating, digits = self.contexts(case)
        q_bits = [case.first_bits, *[case.scale_bits] * case.depth]
        special = 0
        if digits is not None:
            size = -(-len(q_bits) // digits)
            largest = max(sum(q_bits[i : i + size]) for i in range(0, len(q_bits), size))
            special = -(-largest // AUXILIARY_BITS)
        described = {
            "N": context.GetRingDimension(),
            "levels": case.depth,
            "q_bits": q_bits,
            "p_bits": [AUXILIARY_BITS] * special,
            "log2_qp": round(log2(context.GetModulus()) + AUXILIARY_BITS * special, 1),
            "digits": digits or f"BV, {PRODUCT_DIGIT} bits each for products, {ROTATION_DIGIT} for rotations",
            "log2_scale": case.scale_bits,
            "security": 128,
            "secret": "uniform ternary",
        }
        if case.is_regression:
            return self._regression(case, context, described)
        return self._operations(case, context, rotating, described)

    def _operations(self, case: Case, context: Any, rotating: Any, described: dict[str, Any]) -> Prepared:
        o, pair = self.o, context.KeyGen()
        public, secret = pair.publicKey, pair.secretKey
        context.EvalMultKeyGen(secret)
        other_pair = pair if rotating is context else rotating.KeyGen()
        rotating.EvalRotateKeyGen(other_pair.secretKey, list(ROTATIONS))
        x, y = operands(case.slots)
        encode = context.MakeCKKSPackedPlaintext
        plain, other = encode(x), encode(y)
        a, b = context.Encrypt(public, plain), context.Encrypt(public, other)
        turning = (
            a if rotating is context else rotating.Encrypt(other_pair.publicKey, rotating.MakeCKKSPackedPlaintext(x))
        )
        order = 2 * case.ring_degree

        def values(plaintext: Any) -> np.ndarray:
            return np.array(plaintext.GetRealPackedValueArray())[: case.slots]

        def off(expected: np.ndarray, who: Any = context, key: Any = secret) -> Callable[[Any], float]:
            return lambda ct: np.abs(values(who.Decrypt(key, ct)) - expected).max()

        def rotated_off(results: Any) -> float:
            each = zip(ROTATIONS, results, strict=True)
            return max(off(np.roll(x, -k), rotating, other_pair.secretKey)(ct) for k, ct in each)

        def rotate_8() -> list[Any]:
            digits = rotating.EvalFastRotationPrecompute(turning)
            return [rotating.EvalFastRotation(turning, k, order, digits) for k in ROTATIONS]

        def forget() -> None:
            o.ClearEvalMultKeys()  # a key that exists is not made again

        operations = {
            "encode": Operation(lambda: encode(x)),
            "encrypt_pk": Operation(lambda: context.Encrypt(public, plain), off(x)),
            "encrypt_sk": Operation(lambda: context.Encrypt(secret, plain), off(x)),
            "encode_encrypt_pk": Operation(lambda: context.Encrypt(public, encode(x)), off(x)),
            "encode_encrypt_sk": Operation(lambda: context.Encrypt(secret, encode(x)), off(x)),
            "decrypt_decode": Operation(lambda: values(context.Decrypt(secret, a))),
            "add": Operation(lambda: context.EvalAdd(a, b), off(x + y)),
            "multiply_plain": Operation(lambda: context.EvalMult(a, other), off(x * y)),
            "multiply_vector": Operation(lambda: context.Rescale(context.EvalMult(a, encode(y))), off(x * y)),
            "multiply": Operation(lambda: context.Rescale(context.EvalMult(a, b)), off(x * y)),
            "rotate": Operation(lambda: rotating.EvalRotate(turning, 1), lambda ct: rotated_off_one(ct)),
            "rotate_8": Operation(rotate_8, rotated_off),
            "relin_keygen": Operation(lambda: context.EvalMultKeyGen(secret), before=forget),
        }

        def rotated_off_one(ct: Any) -> float:
            return off(np.roll(x, -1), rotating, other_pair.secretKey)(ct)

        sizes = {
            "ciphertext": len(o.Serialize(a, o.BINARY)),
            "ciphertext_sk": len(o.Serialize(context.Encrypt(secret, plain), o.BINARY)),
            "relin_key": len(o.SerializeEvalMultKeyString(o.BINARY, "")),
        }
        missing = dict.fromkeys(("decrypt", "decode"), "OpenFHE decrypts and decodes in one step")
        return Prepared(operations, described, sizes, missing)

    def _regression(self, case: Case, context: Any, described: dict[str, Any]) -> Prepared:
        pair = context.KeyGen()
        context.EvalMultKeyGen(pair.secretKey)
        work = Regression.of(case.slots)
        weights, bias, linear, constant = work.factored()
        listed = [float(w) for w in weights]

        def server(columns: list[Any]) -> Any:
            v = context.EvalAdd(context.EvalLinearWSum(columns, listed), bias)
            square = context.EvalAdd(context.Rescale(context.EvalSquare(v)), linear)
            return context.EvalAdd(context.Rescale(context.EvalMult(v, square)), constant)

        def opened(ct: Any) -> np.ndarray:
            return np.array(context.Decrypt(pair.secretKey, ct).GetRealPackedValueArray())[: case.slots]

        def off(ct: Any) -> float:
            return np.abs(opened(ct) - work.expected()).max()

        def encrypt(key: Any) -> list[Any]:
            return [context.Encrypt(key, context.MakeCKKSPackedPlaintext(row)) for row in work.features]

        operations = {}
        keys = {"columns_sk": pair.secretKey, "columns_pk": pair.publicKey}
        for way, key in keys.items():
            columns = encrypt(key)
            result = server(columns)
            operations[f"{way}.encrypt"] = Operation(lambda key=key: encrypt(key))
            operations[f"{way}.server"] = Operation(lambda columns=columns: server(columns), off)
            operations[f"{way}.decrypt"] = Operation(lambda result=result: opened(result))
        return Prepared(operations, described, rows=dict.fromkeys(keys, case.slots))


def load() -> OpenFhe:
    """Return the library, with the reason spelled out where its wheel does not fit the interpreter."""
    try:
        return OpenFhe()
    except ImportError as error:
        if re.search(r"undefined symbol|cpython|circular import", str(error)):
            raise ImportError(f"its wheel works on CPython 3.10 only, whatever its tag says ({error})") from None
        raise


if __name__ == "__main__":
    serve(load)
