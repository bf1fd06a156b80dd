"""Linear algebra of the circuits: similarities, products of encrypted matrices, statistics of an encrypted table."""

from __future__ import annotations

import numpy as np

from ckks import CKKSParams
from ckks.circuits import MatrixProduct
from ckks.circuits.linear import similarity, statistics

from .common import BACKENDS, Machinery, Timed

SIZE = 8
"""Of matrices."""

COLUMNS = 4
"""Of a table."""


class Similarities(Timed):
    """One query against two full blocks of vectors, which are plain, or encrypted as well."""

    params = (BACKENDS, (16, 64))
    param_names = ("backend", "dimension")

    def setup(self, backend: str, dimension: int) -> None:
        super().setup(backend)
        params = CKKSParams.generate(ring_degree=2**13, depth=1, scale_bits=40, base_bits=50, special_bits=50)
        made = Machinery.of(params, relin=True, rotations=similarity.rotation_steps(dimension))
        self.evaluator = made.evaluator
        vectors = np.random.default_rng(1).normal(size=(2 * params.ring_degree, dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.plain = similarity.PlainVectors.encode(params, vectors)
        self.query = made.encryptor.encrypt(similarity.repeated(vectors[0], params.slots))
        self.encrypted = made.encryptor.encrypt(similarity.packed(vectors, params.slots), bound=1.5)
        self.features = made.encryptor.encrypt(similarity.spread(vectors[0], params.slots))

    def time_plain(self, *_: object) -> None:
        similarity.plain_similarities(self.evaluator, self.query, self.plain)

    def time_encrypted(self, *_: object) -> None:
        similarity.encrypted_similarities(self.evaluator, self.encrypted, self.features)

    def track_bytes_of_plain_vectors(self, *_: object) -> int:
        return self.plain.nbytes


class Products(Timed):
    """Encrypted matrices times encrypted matrices."""

    params = (BACKENDS, ("hoisted", "minimal"))
    param_names = ("backend", "keys")

    def setup(self, backend: str, keys: str) -> None:
        super().setup(backend)
        params = CKKSParams.preset("S13")
        self.product = MatrixProduct(SIZE, keys=keys)
        made = Machinery.of(params, relin=True, rotations=self.product.rotations, conjugation=self.product.conjugation)
        self.evaluator = made.evaluator
        matrix = np.random.default_rng(1).uniform(-1, 1, (SIZE, SIZE)) / SIZE
        self.ct = made.encryptor.encrypt(self.product.pack(matrix), slots=SIZE**2)

    def time_multiply(self, *_: object) -> None:
        self.product.multiply(self.evaluator, self.ct, self.ct)


class Statistics(Timed):
    """Covariances of an encrypted table, its columns full ciphertexts."""

    def setup(self, backend: str) -> None:
        super().setup(backend)
        params = CKKSParams.preset("S13")
        rotations = statistics.covariance_rotations(COLUMNS, params.slots)
        made = Machinery.of(params, relin=True, rotations=rotations, conjugation=True)
        self.evaluator = made.evaluator
        self.columns = made.encryptor.encrypt(np.random.default_rng(1).uniform(-1, 1, (COLUMNS, params.slots)))

    def time_covariance(self, *_: object) -> None:
        statistics.covariance(self.evaluator, self.columns)
