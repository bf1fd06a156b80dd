"""Whole operations from one seed: equal words from every source of kernels, and from every release.

A digest here changes only when a format does: parameter generation, seed expansion, samplers, NTT order, limb order,
base conversion, the order in which randomness is drawn. Then it is changed on purpose, with stored objects in mind.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from conftest import ring_degrees
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes
from rlwe_kit import plaintext

from ckks import kernels
from ckks.ring import Rng
from ckks.rlwe import (
    RLWEParams,
    apply_automorphism,
    divide_by_level,
    encrypt,
    hoisted_automorphisms,
    relinearise,
    tensor,
)
from ckks.rlwe.noise import EXACT
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret

SETS = {
    "insecure_small": insecure_small,
    "insecure_pairs": insecure_pairs,
    "insecure_single_digit": insecure_single_digit,
    "insecure_wide_primes": insecure_wide_primes,
}


def digest(words: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(words, dtype="<u8").tobytes()).hexdigest()[:16]


def transcript(params: RLWEParams) -> dict[str, str]:
    """Every step of a small computation and the digest of its words."""
    rng, n, top = Rng(2024), params.ring_degree, params.top_level
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    public = keygen.public_key(secret)
    keys = keygen.evaluation_keys(secret, rotations=[1, -3], conjugation=True)
    low = keygen.relin_key(secret, level=1)
    m = (np.arange(2 * n).reshape(2, n) - n) * 2**25
    a = encrypt(plaintext(params, m, top), public, rng)
    b, _ = encrypt_secret(plaintext(params, m[::-1], top), secret, rng)
    product = tensor(a, b, EXACT)
    rescaled = relinearise(product, keys.relin_key(), rescale=True)
    turned = apply_automorphism(rescaled, pow(5, 1, 2 * n), keys)
    hoisted = hoisted_automorphisms(turned, (pow(5, -3, 2 * n), -1), keys)
    below = tensor(turned.at_level(1), hoisted[-1].at_level(1), EXACT)
    steps = {
        "secret": secret.ntt(params.basis_qp),
        "public key": public.words,
        "relinearisation key": keys.relin_key().words,
        "Galois keys": np.stack([keys.galois[g].words for g in sorted(keys.galois)]),
        "key of level 1": low.words,
        "public encryption": a.words,
        "secret encryption": b.words,
        "product": product.words,
        "relinearised": relinearise(product, keys.relin_key()).words,
        "relinearised and rescaled": rescaled.words,
        "rescaled": divide_by_level(a).words,
        "rotated": turned.words,
        "rotated back and conjugated": np.stack([hoisted[g].words for g in hoisted]),
        "product at level 1": relinearise(below, low, rescale=True).words,
        "decrypted": decrypt(hoisted[-1], secret).words,
    }
    return {name: digest(words) for name, words in steps.items()}


GOLDEN = {
    ("insecure_small", 64): "05022877eb5c24894bda7e652d4ffb99",
    ("insecure_small", 1024): "e2a3bce842b94602e085e66f161ecf43",
    ("insecure_small", 8192): "97813f280d725c4b07c9feda8d62d24e",
    ("insecure_pairs", 64): "0bea670c5309e965ab0a48e4ec98bf8f",
    ("insecure_pairs", 1024): "16dc2feb4c31dc13d2522e8c41ae7f77",
    ("insecure_pairs", 8192): "c79708b07a66c7b3a224a7a70e8ed6d4",
    ("insecure_single_digit", 64): "6d578eb80046f1de939ff1bc8ac40565",
    ("insecure_single_digit", 1024): "9d7e6feb184604f902d97b9e82e4622f",
    ("insecure_single_digit", 8192): "abef512cf35491827f8d9678c2be4130",
    ("insecure_wide_primes", 64): "ab1c34912b6795ab53843be3536db3af",
    ("insecure_wide_primes", 1024): "6b8a1686281d33e471b1227951133efc",
    ("insecure_wide_primes", 8192): "76f0654f8d9a0a9f03d0f3bc21156da0",
}
"""SHA-256 of all steps by set and ring degree; computed once on the reference (N = 64) and the compiled sources."""


def whole(steps: dict[str, str]) -> str:
    return hashlib.sha256("".join(steps.values()).encode()).hexdigest()[:32]


@pytest.fixture(scope="module")
def first() -> dict[tuple[str, int], tuple[str, dict[str, str]]]:
    """The transcript of the first source that ran each case: names the step at which another one parts."""
    return {}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("n", [64, 2**10, 2**13])
def test_words_of_whole_operations(backend, first, name, n):
    if n not in ring_degrees(backend, n):
        pytest.skip("the reference is asked for small rings only")
    steps = transcript(SETS[name](n))
    source, expected = first.setdefault((name, n), (backend, steps))
    for step, found in steps.items():
        assert found == expected[step], f"{step}: {backend} and {source} differ"
    assert whole(steps) == GOLDEN[name, n]


@pytest.mark.parametrize("count", [2, 3])
def test_words_do_not_depend_on_threads(backend, count):
    params = insecure_small(64)
    single = transcript(params)
    with kernels.threads(count):
        assert transcript(params) == single


def test_every_step_has_words_of_its_own():
    """Guards the digests: nothing is empty, nothing was compared with itself."""
    steps = transcript(insecure_small(64))
    assert len(set(steps.values())) == len(steps) == 15
