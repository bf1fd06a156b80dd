"""No seed of any encryption is ever used twice (L8): many encryptions, and many threads at it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kit import make_kit
from params import insecure_small

from ckks import Encryptor, KeyGenerator
from ckks.ring import Rng
from ckks.rlwe import RLWEParams, encrypt
from ckks.rlwe.secret import encrypt_secret

THREADS = 8


class Listening(Rng):
    """The system's generator, which keeps what it gave."""

    __slots__ = ("given",)

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []

    def public_seed(self) -> bytes:
        self.given.append(super().public_seed())
        return self.given[-1]

    def secret_seed(self) -> bytes:
        self.given.append(super().secret_seed())
        return self.given[-1]


@pytest.mark.parametrize("count", [400, pytest.param(10**6, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_encryptions_never_share_a_seed(count, figure):
    """Half with the public key (seeds of u, e_0, e_1), half with the secret one (seeds of a and e); all seeds apart."""
    params = RLWEParams.insecure(ring_degree=8, levels=((97,), (113,)), special_moduli=(193,))
    keygen = KeyGenerator(params, Rng(1))
    secret = keygen.secret_key()
    public, rng = keygen.public_key(secret), Listening()
    from rlwe_kit import plaintext

    message = plaintext(params, np.zeros(8, dtype=int), 1)
    for _ in range(count // 2):
        encrypt(message, public, rng)
        encrypt_secret(message, secret, rng)
    assert len(rng.given) == 5 * (count // 2)
    different = len(set(rng.given))
    figure("L8", f"{count:,} encryptions: {len(rng.given):,} seeds, {different:,} different")
    assert different == len(rng.given)


@pytest.mark.parametrize("each", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_threads_never_share_an_a(each, figure):
    """Eight threads with one encryptor: no two uniform halves are equal, nor any masks of public-key encryption."""
    kit = make_kit(insecure_small(32), rotations=[], conjugation=False)
    by_secret, by_public = Encryptor(kit.params, kit.secret, Rng()), Encryptor(kit.params, kit.public, Rng())
    barrier = threading.Barrier(THREADS)

    def work(_: int) -> list[bytes]:
        barrier.wait(timeout=60)
        made = []
        for _ in range(each):
            ct, seed = by_secret.encrypt_seeded(np.zeros(16))
            made += [seed, ct.words[1].tobytes(), by_public.encrypt(np.zeros(16)).words[1].tobytes()]
        return made

    with ThreadPoolExecutor(THREADS) as pool:
        made = [thing for things in pool.map(work, range(THREADS)) for thing in things]
    different = len(set(made))
    figure("L8", f"{THREADS} threads, {len(made):,} seeds and uniform halves: {different:,} different")
    assert different == len(made) == 3 * THREADS * each


@pytest.mark.parametrize("key", ["public", "secret"])
def test_without_entropy_nothing_is_encrypted(key, monkeypatch):
    kit = make_kit(insecure_small(32), rotations=[], conjugation=False)
    encryptor = Encryptor(kit.params, getattr(kit, key))

    def broken(n: int) -> bytes:
        raise OSError("no entropy")

    monkeypatch.setattr("os.urandom", broken)
    with pytest.raises(OSError, match="no entropy"):
        encryptor.encrypt(np.zeros(16))
