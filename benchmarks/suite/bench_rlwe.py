"""Keys and key switching."""

from __future__ import annotations

import numpy as np

from ckks import CKKSParams, Encryptor, KeyGenerator, ring, rlwe

from .common import BACKENDS, SETS, choose, world


class KeySwitching:
    """The pieces of a key switch, and the whole."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")
    warmup_time = 0.2

    def setup(self, backend: str, name: str) -> None:
        self.context = choose(backend)
        self.world = world(name)
        self.level = self.world.params.top_level
        self.key = self.world.evaluator.keys.relin_key()
        self.c1 = self.world.ct.words[1]
        self.digits = rlwe.decompose(self.world.params, self.c1, self.level)
        self.acc = rlwe.gadget_product(self.digits, self.key, self.level)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_decompose(self, *_: object) -> None:
        rlwe.decompose(self.world.params, self.c1, self.level)

    def time_gadget_product(self, *_: object) -> None:
        rlwe.gadget_product(self.digits, self.key, self.level)

    def time_mod_down(self, *_: object) -> None:
        rlwe.mod_down(self.world.params, self.acc, self.level)

    def time_switch(self, *_: object) -> None:
        rlwe.switch(self.c1, self.key, self.level)


class Keys:
    """Key generation."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")
    warmup_time = 0.2

    def setup(self, backend: str, name: str) -> None:
        self.context = choose(backend)
        self.keygen = KeyGenerator(CKKSParams.preset(name))
        self.secret = self.keygen.secret_key()
        self.source = self.secret.ntt(self.keygen.params.basis(self.keygen.params.top_level))

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_secret_key(self, *_: object) -> None:
        self.keygen.secret_key()

    def time_switching_key(self, *_: object) -> None:
        self.keygen.switching_key(self.secret, self.source)

    def time_galois_key(self, *_: object) -> None:
        self.keygen.galois_key(self.secret, 5)

    def time_evaluation_keys_of_2_rotations(self, *_: object) -> None:
        self.keygen.evaluation_keys(self.secret, rotations=[1, 2])

    def time_public_key(self, *_: object) -> None:
        self.keygen.public_key(self.secret)

    def time_relin_key(self, *_: object) -> None:
        self.keygen.relin_key(self.secret)

    def track_relin_key_bytes(self, *_: object) -> int:
        return self.keygen.relin_key(self.secret).nbytes


class Protection:
    """What a result goes through before it is given away: three limbs, as before the last two rescales of a score."""

    params = (BACKENDS, SETS)
    param_names = ("backend", "set")
    warmup_time = 0.2

    def setup(self, backend: str, name: str) -> None:
        self.context = choose(backend)
        params = CKKSParams.preset(name)
        keygen = KeyGenerator(params)
        self.key = keygen.public_key(keygen.secret_key())
        self.ct = Encryptor(params, self.key).encrypt(np.cos(np.arange(params.slots)), level=2, scale=2.0**80)
        self.bound, self.rng = 2.0**50, ring.Rng()
        self.std = rlwe.flooding_std(self.bound, queries=1024)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_rerandomise(self, *_: object) -> None:
        rlwe.rerandomise(self.ct, self.key, self.rng)

    def time_flood(self, *_: object) -> None:
        rlwe.flood(self.ct, self.std, self.rng)

    def time_protect(self, *_: object) -> None:
        rlwe.protect(self.ct, self.key, self.rng, bound=self.bound)
