"""Decryption and secret-key encryption, by definition."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from params import insecure_pairs, insecure_small, insecure_wide_primes
from rlwe_kit import GROUPINGS, coefficient_rows, grouped, integers, plaintext, poly, random_words

from ckks.errors import BasisMismatch
from ckks.ring import Domain, RingPoly, Rng, error
from ckks.rlwe import Ciphertext, Plaintext, seeds
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret, measured_error

every_grouping = pytest.mark.parametrize("name", GROUPINGS)


@every_grouping
def test_decryption_in_integers(backend, name, rng):
    """c_0 + c_1 s + c_2 s^2 + ..., by schoolbook products modulo Q."""
    params = grouped(name, 8)
    secret = KeyGenerator(params, rng).secret_key()
    s = secret.coefficients().tolist()
    for level, parts in ((0, 3), (params.top_level, 2), (params.top_level, 3), (params.top_level, 4)):
        basis = params.basis(level)
        q = basis.modulus
        ct = Ciphertext(params=params, words=random_words(basis, level, (2, parts)), level=level)
        for item, found in zip(ct.words, integers(decrypt(ct, secret)), strict=True):
            total, power = [0] * 8, [1] + [0] * 7
            for part in item:
                c = naive.compose_poly(coefficient_rows(basis, part), basis.moduli)
                total = [a + b for a, b in zip(total, naive.negacyclic_multiply(c, power, q), strict=True)]
                power = naive.negacyclic_multiply(power, s, q)
            assert found.tolist() == [naive.centred(c, q) for c in total]


@every_grouping
def test_secret_key_encryption_by_definition(backend, name):
    """(-a s + e + m, a), a from the public seed, from the same randomness; c_0 and the seed are all of it."""
    params = grouped(name, 8)
    secret = KeyGenerator(params, Rng(1)).secret_key()
    for level in {0, params.top_level}:
        basis = params.basis(level)
        plain = Plaintext(params=params, words=random_words(basis, 3, (2,)), level=level)
        ct, seed = encrypt_secret(plain, secret, Rng(2))
        rng = Rng(2)
        assert seed == rng.public_seed()
        a = RingPoly(basis, seeds.ciphertext_half(params, level, (2,), seed), Domain.NTT)
        s = poly(basis, secret.ntt(basis))
        assert ct.part(1) == a
        assert ct.part(0) == -(a * s) + error(basis, rng, (2,)) + plain.poly


def test_every_encryption_is_fresh(rng):
    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    plain = plaintext(params, np.zeros((3, 64), dtype=int), 2)
    made = [encrypt_secret(plain, secret, generator) for generator in (rng, rng, Rng(), Rng())]
    assert len({seed for _, seed in made}) == 4
    assert len({part.tobytes() for ct, _ in made for item in ct.words for part in item}) == 24


def test_decryption_carries_what_is_known(rng):
    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    ct, _ = encrypt_secret(plaintext(params, np.arange(64), 3).with_(meta="scale"), secret, rng)
    plain = decrypt(ct, secret)
    assert (plain.level, plain.meta, plain.noise) == (3, "scale", ct.noise)
    assert not plain.words.flags.writeable


def test_measured_errors_are_exact(backend, rng):
    """Phase minus message, as integers of any size, for a message in either form."""
    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    plain = plaintext(params, np.arange(64) << 20, 2)
    e = np.arange(64) - 32
    ct, _ = encrypt_secret(plain, secret, rng)
    before = measured_error(ct, secret, plain.poly)
    shifted = RingPoly.from_integers(params.basis(2), (np.arange(64) << 20) - e)
    assert np.array_equal(measured_error(ct, secret, shifted), before + e)
    assert np.array_equal(measured_error(ct, secret, shifted.to_ntt()), before + e)
    assert max(abs(c) for c in before) <= 21


def test_keys_of_other_parameters(rng):
    params = insecure_small()
    ct = Ciphertext(params=params, words=random_words(params.basis(2), 1, (2,)), level=2)
    plain = plaintext(params, np.zeros(64, dtype=int), 2)
    for other in (insecure_pairs(), insecure_wide_primes(), insecure_small(128)):
        foreign = KeyGenerator(other, rng).secret_key()
        for act in (
            lambda s=foreign: decrypt(ct, s),
            lambda s=foreign: encrypt_secret(plain, s, rng),
            lambda s=foreign: measured_error(ct, s, plain.poly),
        ):
            with pytest.raises(BasisMismatch, match="secret key belongs to other parameters"):
                act()


def test_messages_of_another_level(rng):
    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    ct = Ciphertext(params=params, words=random_words(params.basis(2), 1, (2,)), level=2)
    with pytest.raises(BasisMismatch):
        measured_error(ct, secret, plaintext(params, np.zeros(64, dtype=int), 1).poly)
