"""Objects as bytes and back."""

from __future__ import annotations

from ckks.rlwe.secret import secret_key_from_bytes, secret_key_to_bytes
from ckks.scheme import serialization as wire

from .common import BACKENDS, SETS, Timed, world


class Serialization(Timed):
    """One object of each kind; keys and fresh ciphertexts with seeds, as they are sent."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")

    def setup(self, backend: str, name: str) -> None:
        super().setup(backend)
        w = self.world = world(name)
        self.own = w.params
        self.plain = w.encryptor.encoder.encode(w.values)
        self.pair = w.seeded.encrypt_seeded(self.plain)
        self.public, self.keys = w.keygen.public_key(w.secret), w.keygen.evaluation_keys(w.secret)
        self.relin = self.keys.relin_key()
        (
            self.stored_params,
            self.stored_ct,
            self.stored_plain,
            self.stored_public,
            self.stored_keys,
            self.stored_relin,
        ) = (wire.to_bytes(item) for item in (self.own, w.ct, self.plain, self.public, self.keys, self.relin))
        self.stored_pair = wire.seeded_to_bytes(*self.pair)
        layout = {"slots": w.params.slots, "rotations": [1, 2, 4, 8], "scale": str(w.params.scale)}
        self.description = {"name": "a model", "version": 1, "layout": layout, "weights": w.values[:30].tolist()}
        self.stored_model = wire.model_to_bytes(self.description, self.own)
        self.stored_secret = secret_key_to_bytes(w.secret)

    def time_store_ciphertext(self, *_: object) -> None:
        wire.to_bytes(self.world.ct)

    def time_load_ciphertext(self, *_: object) -> None:
        wire.ciphertext_from_bytes(self.stored_ct, self.own)

    def time_store_seeded(self, *_: object) -> None:
        wire.seeded_to_bytes(*self.pair)

    def time_load_seeded(self, *_: object) -> None:
        wire.seeded_from_bytes(self.stored_pair, self.own)

    def time_load_plaintext(self, *_: object) -> None:
        wire.plaintext_from_bytes(self.stored_plain, self.own)

    def time_load_params(self, *_: object) -> None:
        wire.params_from_bytes(self.stored_params)

    def time_load_public_key(self, *_: object) -> None:
        wire.public_key_from_bytes(self.stored_public, self.own)

    def time_store_evaluation_keys(self, *_: object) -> None:
        wire.to_bytes(self.keys)

    def time_load_evaluation_keys(self, *_: object) -> None:
        wire.evaluation_keys_from_bytes(self.stored_keys, self.own)

    def time_load_switching_key(self, *_: object) -> None:
        wire.switching_key_from_bytes(self.stored_relin, self.own)

    def time_store_model(self, *_: object) -> None:
        wire.model_to_bytes(self.description, self.own)

    def time_load_model(self, *_: object) -> None:
        wire.model_from_bytes(self.stored_model, self.own)

    def time_store_secret_key(self, *_: object) -> None:
        secret_key_to_bytes(self.world.secret)

    def time_load_secret_key(self, *_: object) -> None:
        secret_key_from_bytes(self.stored_secret, self.own)

    def track_ciphertext_bytes(self, *_: object) -> int:
        return len(self.stored_ct)

    def track_seeded_ciphertext_bytes(self, *_: object) -> int:
        return len(self.stored_pair)

    def track_public_key_bytes(self, *_: object) -> int:
        return len(self.stored_public)

    def track_evaluation_key_bytes(self, *_: object) -> int:
        return len(self.stored_keys)
