"""The operations of CKKS, their memory, bytes and precision."""

from __future__ import annotations

import numpy as np

from ckks import Decryptor

from .common import BACKENDS, SETS, Timed, world

BATCH = 4


class _Operations(Timed):
    """Operands of one parameter set, made on the first use of the process, all at the top level."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")

    def setup(self, backend: str, name: str) -> None:
        super().setup(backend)
        w = self.world = world(name)
        self.encoder, self.evaluator = w.encryptor.encoder, w.evaluator
        self.encryptor, self.seeded, self.decryptor = w.encryptor, w.seeded, w.decryptor
        self.ct, self.values = w.ct, w.values
        self.plain = self.encoder.encode(self.values)
        self.other = self.encryptor.encrypt(self.plain)
        self.scale = w.params.scale


class Client(_Operations):
    """What the owner of the data does."""

    def setup(self, backend: str, name: str) -> None:
        super().setup(backend, name)
        self.decryptor = Decryptor(self.world.params, self.world.secret, public_queries=2**20)
        self.precise = self.encryptor.encrypt(self.values, scale=2.0**55)

    def time_encode(self, *_: object) -> None:
        self.encoder.encode(self.values)

    def time_decode(self, *_: object) -> None:
        self.encoder.decode(self.plain)

    def time_constant_words(self, *_: object) -> None:
        self.encoder.constant_words(0.25, self.scale, self.ct.level)

    def time_encrypt_public(self, *_: object) -> None:
        self.encryptor.encrypt(self.plain)

    def time_encrypt_seeded(self, *_: object) -> None:
        self.seeded.encrypt_seeded(self.plain)

    def time_decrypt_and_decode(self, *_: object) -> None:
        self.decryptor.decrypt(self.ct)

    def time_decrypt_public(self, *_: object) -> None:
        self.decryptor.decrypt_public(self.precise)

    def track_precision_bits_fresh(self, *_: object) -> float:
        return float(-np.log2(np.abs(self.decryptor.decrypt(self.ct) - self.values).max()))


class Operations(_Operations):
    """What an evaluator does, on full vectors."""

    def setup(self, backend: str, name: str) -> None:
        super().setup(backend, name)
        self.product = self.evaluator.tensor(self.ct, self.other)
        self.unscaled = self.evaluator.multiply(self.ct, self.other, rescale=False)

    def time_add(self, *_: object) -> None:
        self.evaluator.add(self.ct, self.other)

    def time_add_plain(self, *_: object) -> None:
        self.evaluator.add(self.ct, self.plain)

    def time_add_number(self, *_: object) -> None:
        self.evaluator.add(self.ct, 0.25)

    def time_subtract(self, *_: object) -> None:
        self.evaluator.subtract(self.ct, self.other)

    def time_negate(self, *_: object) -> None:
        self.evaluator.negate(self.ct)

    def time_multiply(self, *_: object) -> None:
        self.evaluator.multiply(self.ct, self.other)

    def time_multiply_plain(self, *_: object) -> None:
        self.evaluator.multiply(self.ct, self.plain)

    def time_multiply_number(self, *_: object) -> None:
        self.evaluator.multiply(self.ct, 0.25)

    def time_multiply_integer(self, *_: object) -> None:
        self.evaluator.multiply(self.ct, 3)

    def time_square(self, *_: object) -> None:
        self.evaluator.square(self.ct)

    def time_tensor(self, *_: object) -> None:
        self.evaluator.tensor(self.ct, self.other)

    def time_relinearise(self, *_: object) -> None:
        self.evaluator.relinearise(self.product)

    def time_relinearise_and_rescale(self, *_: object) -> None:
        self.evaluator.relinearise(self.product, rescale=True)

    def time_rescale(self, *_: object) -> None:
        self.evaluator.rescale(self.unscaled)

    def time_drop(self, *_: object) -> None:
        self.evaluator.drop(self.ct, 0)

    def time_bring(self, *_: object) -> None:
        self.evaluator.bring(self.ct, self.ct.level - 1)

    def time_with_scale(self, *_: object) -> None:
        self.evaluator.with_scale(self.ct, 2 * self.scale)

    def time_with_bound(self, *_: object) -> None:
        self.evaluator.with_bound(self.ct, 0.5)

    def time_rotate(self, *_: object) -> None:
        self.evaluator.rotate(self.ct, 1)

    def time_rotate_4_hoisted(self, *_: object) -> None:
        self.evaluator.rotate_many(self.ct, (1, 2, 4, 8))

    def time_rotate_sum_of_4(self, *_: object) -> None:
        self.evaluator.rotate_sum(self.ct, (1, 2, 4, 8))

    def time_times_i(self, *_: object) -> None:
        self.evaluator.times_i(self.ct)

    def time_conjugate(self, *_: object) -> None:
        self.evaluator.conjugate(self.ct)

    def time_sum_16_slots(self, *_: object) -> None:
        self.evaluator.sum_slots(self.ct, 16)

    def peakmem_multiply(self, *_: object) -> None:
        self.evaluator.multiply(self.ct, self.other)

    def track_precision_bits_multiply(self, *_: object) -> float:
        product = self.decryptor.decrypt(self.evaluator.multiply(self.ct, self.other))
        return float(-np.log2(np.abs(product - self.values**2).max()))

    def track_ciphertext_bytes(self, *_: object) -> int:
        return self.ct.nbytes

    def track_evaluation_key_bytes(self, *_: object) -> int:
        return self.evaluator.keys.nbytes


class Batches(_Operations):
    """Four ciphertexts at once: what shares a key, a decomposition or a pass with the others."""

    def setup(self, backend: str, name: str) -> None:
        super().setup(backend, name)
        self.batch = self.encryptor.encrypt(np.tile(self.values, (BATCH, 1)))
        self.weights = np.linspace(-1, 1, BATCH)

    def time_multiply_batch(self, *_: object) -> None:
        self.evaluator.multiply(self.batch, self.batch)

    def time_sum(self, *_: object) -> None:
        self.evaluator.sum(self.batch)

    def time_dot(self, *_: object) -> None:
        self.evaluator.dot(self.batch, self.batch)

    def time_weighted_sum(self, *_: object) -> None:
        self.evaluator.weighted_sum(self.batch, self.weights)


Client.track_precision_bits_fresh.unit = "bits"  # type: ignore[attr-defined]
Operations.track_precision_bits_multiply.unit = "bits"  # type: ignore[attr-defined]
