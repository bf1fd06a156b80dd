"""The operations of CKKS, their memory, bytes and precision."""

from __future__ import annotations

import numpy as np

from .common import BACKENDS, SETS, choose, world


class Operations:
    """One operation on full vectors at the top level."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")
    warmup_time = 0.2

    def setup(self, backend: str, name: str) -> None:
        self.context = choose(backend)
        w = self.world = world(name)
        self.plain = w.encryptor.encoder.encode(w.values)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_encode(self, *_: object) -> None:
        self.world.encryptor.encoder.encode(self.world.values)

    def time_decode(self, *_: object) -> None:
        self.world.encryptor.encoder.decode(self.plain)

    def time_encrypt_public(self, *_: object) -> None:
        self.world.encryptor.encrypt(self.plain)

    def time_encrypt_seeded(self, *_: object) -> None:
        self.world.seeded.encrypt_seeded(self.plain)

    def time_decrypt_and_decode(self, *_: object) -> None:
        self.world.decryptor.decrypt(self.world.ct)

    def time_add(self, *_: object) -> None:
        self.world.evaluator.add(self.world.ct, self.world.ct)

    def time_multiply_plain(self, *_: object) -> None:
        self.world.evaluator.multiply(self.world.ct, self.plain)

    def time_multiply(self, *_: object) -> None:
        self.world.evaluator.multiply(self.world.ct, self.world.ct)

    def time_rescale(self, *_: object) -> None:
        self.world.evaluator.rescale(self.world.ct)

    def time_rotate(self, *_: object) -> None:
        self.world.evaluator.rotate(self.world.ct, 1)

    def time_rotate_4_hoisted(self, *_: object) -> None:
        self.world.evaluator.rotate_many(self.world.ct, (1, 2, 4, 8))

    def peakmem_multiply(self, *_: object) -> None:
        self.world.evaluator.multiply(self.world.ct, self.world.ct)

    def track_precision_bits_multiply(self, *_: object) -> float:
        w = self.world
        product = w.decryptor.decrypt(w.evaluator.multiply(w.ct, w.ct))
        return float(-np.log2(np.abs(product - w.values**2).max()))

    def track_ciphertext_bytes(self, *_: object) -> int:
        return self.world.ct.nbytes

    def track_evaluation_key_bytes(self, *_: object) -> int:
        return self.world.evaluator.keys.nbytes


Operations.track_precision_bits_multiply.unit = "bits"  # type: ignore[attr-defined]
