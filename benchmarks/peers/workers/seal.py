"""Microsoft SEAL through the package `seal-python`, as a worker."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import ROTATIONS, Case, Regression, operands


class Seal:
    """One special prime, one digit per prime: SEAL has no other key switching."""

    def __init__(self) -> None:
        import seal

        if not hasattr(seal, "SEALContext"):
            raise ImportError("another module is called seal")
        self.seal: Any = seal

    def describe(self) -> dict[str, Any]:
        return {"version": version("seal-python"), "runs": "SEAL as the wheel was built", "threads": 1}

    def prepare(self, case: Case) -> Prepared:
        seal = self.seal
        parms = seal.EncryptionParameters(seal.scheme_type.ckks)
        parms.set_poly_modulus_degree(case.ring_degree)
        parms.set_coeff_modulus(seal.CoeffModulus.Create(case.ring_degree, case.prime_bits))
        context = seal.SEALContext(parms, True, seal.sec_level_type.tc128)
        if not context.parameters_set():
            raise ValueError(context.parameter_error_message())
        bits = [modulus.bit_count() for modulus in parms.coeff_modulus()]
        described = {
            "N": case.ring_degree,
            "levels": case.depth,
            "q_bits": bits[:-1],
            "p_bits": bits[-1:],
            "log2_qp": round(float(sum(np.log2([m.value() for m in parms.coeff_modulus()]))), 1),
            "digits": len(bits) - 1,
            "log2_scale": case.scale_bits,
            "security": 128,
            "secret": "uniform ternary",
        }
        make = self._regression if case.is_regression else self._operations
        return make(case, context, described)

    def _operations(self, case: Case, context: Any, described: dict[str, Any]) -> Prepared:
        seal, scale = self.seal, 2.0**case.scale_bits
        keygen = seal.KeyGenerator(context)
        secret, relin, galois = keygen.secret_key(), keygen.create_relin_keys(), seal.GaloisKeys()
        keygen.create_galois_keys(list(ROTATIONS), galois)
        encryptor = seal.Encryptor(context, keygen.create_public_key(), secret)
        decryptor, evaluator = seal.Decryptor(context, secret), seal.Evaluator(context)
        encoder = seal.CKKSEncoder(context)
        x, y = operands(case.slots)
        plain, other = encoder.encode(x, scale), encoder.encode(y, scale)
        a, b = encryptor.encrypt(plain), encryptor.encrypt(other)
        opened = decryptor.decrypt(a)

        def off(expected: np.ndarray) -> Callable[[Any], float]:
            return lambda ct: np.abs(encoder.decode(decryptor.decrypt(ct)) - expected).max()

        def rotated_off(results: Any) -> float:
            return max(off(np.roll(x, -k))(ct) for k, ct in zip(ROTATIONS, results, strict=True))

        def multiply() -> Any:
            product = evaluator.multiply(a, b)
            evaluator.relinearize_inplace(product, relin)
            evaluator.rescale_to_next_inplace(product)
            return product

        def multiply_vector() -> Any:
            product = evaluator.multiply_plain(a, encoder.encode(y, scale))
            evaluator.rescale_to_next_inplace(product)
            return product

        operations = {
            "encode": Operation(lambda: encoder.encode(x, scale), lambda p: np.abs(encoder.decode(p) - x).max()),
            "encrypt_pk": Operation(lambda: encryptor.encrypt(plain), off(x)),
            "encrypt_sk": Operation(lambda: encryptor.encrypt_symmetric(plain), off(x)),
            "encode_encrypt_pk": Operation(lambda: encryptor.encrypt(encoder.encode(x, scale)), off(x)),
            "encode_encrypt_sk": Operation(lambda: encryptor.encrypt_symmetric(encoder.encode(x, scale)), off(x)),
            "decrypt": Operation(lambda: decryptor.decrypt(a)),
            "decode": Operation(lambda: encoder.decode(opened)),
            "decrypt_decode": Operation(lambda: encoder.decode(decryptor.decrypt(a))),
            "add": Operation(lambda: evaluator.add(a, b), off(x + y)),
            "multiply_plain": Operation(lambda: evaluator.multiply_plain(a, other), off(x * y)),
            "multiply_vector": Operation(multiply_vector, off(x * y)),
            "multiply": Operation(multiply, off(x * y)),
            "rotate": Operation(lambda: evaluator.rotate_vector(a, 1, galois), off(np.roll(x, -1))),
            "rotate_8": Operation(lambda: [evaluator.rotate_vector(a, k, galois) for k in ROTATIONS], rotated_off),
            "relin_keygen": Operation(keygen.create_relin_keys),
        }
        sizes = {
            "ciphertext": len(a.to_string()),
            "ciphertext_sk": len(encryptor.encrypt_symmetric(plain).to_string()),
            "relin_key": len(relin.to_string()),
        }
        return Prepared(operations, described, sizes)

    def _regression(self, case: Case, context: Any, described: dict[str, Any]) -> Prepared:
        seal, scale = self.seal, 2.0**case.scale_bits
        keygen = seal.KeyGenerator(context)
        secret, relin = keygen.secret_key(), keygen.create_relin_keys()
        encryptor = seal.Encryptor(context, keygen.create_public_key(), secret)
        decryptor, evaluator = seal.Decryptor(context, secret), seal.Evaluator(context)
        encoder = seal.CKKSEncoder(context)
        work = Regression.of(case.slots)
        weights, bias, linear, constant = work.factored()
        encoded = [encoder.encode(float(w), scale) for w in weights]  # known before the request

        def add_constant(ct: Any, value: float) -> None:
            plain = encoder.encode(value, ct.scale())
            evaluator.mod_switch_to_inplace(plain, ct.parms_id())
            evaluator.add_plain_inplace(ct, plain)

        def product_of(product: Any) -> Any:
            evaluator.relinearize_inplace(product, relin)
            evaluator.rescale_to_next_inplace(product)
            return product

        def server(columns: list[Any]) -> Any:
            v = evaluator.multiply_plain(columns[0], encoded[0])
            for column, weight in zip(columns[1:], encoded[1:], strict=True):
                evaluator.add_inplace(v, evaluator.multiply_plain(column, weight))
            evaluator.rescale_to_next_inplace(v)
            add_constant(v, bias)
            square = product_of(evaluator.square(v))
            add_constant(square, linear)
            evaluator.mod_switch_to_inplace(v, square.parms_id())
            result = product_of(evaluator.multiply(v, square))
            add_constant(result, constant)
            return result

        def off(ct: Any) -> float:
            return np.abs(encoder.decode(decryptor.decrypt(ct)) - work.expected()).max()

        encrypts = {
            "columns_sk": lambda: [encryptor.encrypt_symmetric(encoder.encode(row, scale)) for row in work.features],
            "columns_pk": lambda: [encryptor.encrypt(encoder.encode(row, scale)) for row in work.features],
        }
        operations = {}
        for way, encrypt in encrypts.items():
            columns = encrypt()
            result = server(columns)
            operations[f"{way}.encrypt"] = Operation(encrypt)
            operations[f"{way}.server"] = Operation(lambda columns=columns: server(columns), off)
            operations[f"{way}.decrypt"] = Operation(lambda result=result: encoder.decode(decryptor.decrypt(result)))
        return Prepared(operations, described, rows=dict.fromkeys(encrypts, case.slots))


if __name__ == "__main__":
    serve(Seal)
