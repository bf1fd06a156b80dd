"""TenSEAL as a worker: vectors over SEAL, where encoding and encrypting are one step and nothing rotates."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import FEW_ROWS, Case, Regression, operands

COUPLED = "TenSEAL encodes and encrypts in one step"
DECODES = "TenSEAL decrypts and decodes in one step"
MISSING = {
    "encode": COUPLED,
    "encrypt_pk": COUPLED,
    "encrypt_sk": COUPLED,
    "decrypt": DECODES,
    "decode": DECODES,
    "multiply_plain": "TenSEAL encodes a plain operand at every use",
    "rotate": "TenSEAL has no rotation in its interface",
    "rotate_8": "TenSEAL has no rotation in its interface",
}


class TenSeal:
    """SEAL's key switching: one special prime, one digit per prime."""

    def __init__(self) -> None:
        import tenseal

        if not hasattr(tenseal, "ckks_vector"):
            raise ImportError("another module is called tenseal")
        self.ts: Any = tenseal
        self.threads = int(os.environ.get("OMP_NUM_THREADS", "1"))

    def describe(self) -> dict[str, Any]:
        return {"version": version("tenseal"), "runs": "SEAL as the wheel was built", "threads": self.threads}

    def context(self, case: Case, kind: str) -> Any:
        """Return a context of `case` with relinearisation keys; ASYMMETRIC or SYMMETRIC encryption."""
        made = self.ts.context(
            self.ts.SCHEME_TYPE.CKKS,
            case.ring_degree,
            coeff_mod_bit_sizes=case.prime_bits,
            encryption_type=self.ts.ENCRYPTION_TYPE[kind],
            n_threads=self.threads,
        )
        made.global_scale = 2.0**case.scale_bits
        made.generate_relin_keys()
        return made

    def prepare(self, case: Case) -> Prepared:
        described = {
            "N": case.ring_degree,
            "levels": case.depth,
            "q_bits": case.prime_bits[:-1],
            "p_bits": case.prime_bits[-1:],
            "log2_qp": float(sum(case.prime_bits)),
            "digits": case.depth + 1,
            "log2_scale": case.scale_bits,
            "security": 128,
            "secret": "uniform ternary",
        }
        return (self._regression if case.is_regression else self._operations)(case, described)

    def _operations(self, case: Case, described: dict[str, Any]) -> Prepared:
        vector, context, symmetric = (
            self.ts.ckks_vector,
            self.context(case, "ASYMMETRIC"),
            self.context(case, "SYMMETRIC"),
        )
        x, y = operands(case.slots)
        a, b = vector(context, x), vector(context, y)
        plain = self.ts.plain_tensor(y)

        def off(expected: np.ndarray) -> Callable[[Any], float]:
            return lambda ct: np.abs(np.array(ct.decrypt()) - expected).max()

        operations = {
            "encode_encrypt_pk": Operation(lambda: vector(context, x), off(x)),
            "encode_encrypt_sk": Operation(lambda: vector(symmetric, x), off(x)),
            "decrypt_decode": Operation(a.decrypt),
            "add": Operation(lambda: a + b, off(x + y)),
            "multiply_vector": Operation(lambda: a * plain, off(x * y)),
            "multiply": Operation(lambda: a * b, off(x * y)),
            "relin_keygen": Operation(context.generate_relin_keys),
        }
        none = dict(save_public_key=False, save_secret_key=False, save_galois_keys=False)
        with_key, without = (len(context.serialize(**none, save_relin_keys=keys)) for keys in (True, False))
        sizes = {
            "ciphertext": len(a.serialize()),
            "ciphertext_sk": len(vector(symmetric, x).serialize()),
            "relin_key": with_key - without,
        }
        return Prepared(operations, described, sizes, MISSING)

    def _regression(self, case: Case, described: dict[str, Any]) -> Prepared:
        vector = self.ts.ckks_vector
        contexts = {"columns_sk": self.context(case, "SYMMETRIC"), "columns_pk": self.context(case, "ASYMMETRIC")}
        work = Regression.of(case.slots)
        weights, power = [float(w) for w in work.weights], [float(c) for c in work.power()]
        operations = {}

        def off(ct: Any) -> float:
            return np.abs(np.array(ct.decrypt()) - work.expected()).max()

        def by_columns(columns: list[Any]) -> Any:
            z = columns[0] * weights[0]
            for column, weight in zip(columns[1:], weights[1:], strict=True):
                z += column * weight
            return (z + work.bias).polyval(power)

        def by_rows(rows: list[Any]) -> list[Any]:
            return [(row.dot(weights) + work.bias).polyval(power) for row in rows]

        for way, context in contexts.items():
            columns = [vector(context, row) for row in work.features]
            result = by_columns(columns)
            operations[f"{way}.encrypt"] = Operation(lambda c=context: [vector(c, row) for row in work.features])
            operations[f"{way}.server"] = Operation(lambda columns=columns: by_columns(columns), off)
            operations[f"{way}.decrypt"] = Operation(result.decrypt)
        context = contexts["columns_pk"]
        context.generate_galois_keys()
        few = np.ascontiguousarray(work.features[:, :FEW_ROWS].T)
        rows = [vector(context, row) for row in few]
        results, expected = by_rows(rows), work.expected()[:FEW_ROWS]

        def rows_off(found: list[Any]) -> float:
            return max(abs(ct.decrypt()[0] - want) for ct, want in zip(found, expected, strict=True))

        operations["rows_pk.encrypt"] = Operation(lambda: [vector(context, row) for row in few])
        operations["rows_pk.server"] = Operation(lambda: by_rows(rows), rows_off)
        operations["rows_pk.decrypt"] = Operation(lambda: [ct.decrypt() for ct in results])
        counts = {**dict.fromkeys(contexts, case.slots), "rows_pk": FEW_ROWS}
        return Prepared(operations, described, rows=counts)


if __name__ == "__main__":
    serve(TenSeal)
