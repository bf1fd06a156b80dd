"""Encryption with either key: words by definition, batches, refusals. Noise is in test_noise.py."""

from __future__ import annotations

import numpy as np
import pytest
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes
from rlwe_kit import GROUPINGS, grouped, integers, plaintext, random_words

from ckks.errors import BasisMismatch, HEError
from ckks.ring import Domain, RingPoly, Rng, divide_and_round, error, expand_uniform, ternary
from ckks.rlwe import Plaintext, PublicKey, RLWEParams, encrypt
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_poly, encrypt_secret


def bare(n: int = 32) -> RLWEParams:
    """Without special primes."""
    params = grouped("last digit cut", n)
    return RLWEParams.insecure(ring_degree=n, levels=params.levels)


SETS = {name: lambda name=name: grouped(name, 32) for name in GROUPINGS} | {
    "insecure_small": insecure_small,
    "insecure_pairs": insecure_pairs,
    "insecure_single_digit": insecure_single_digit,
    "insecure_wide_primes": insecure_wide_primes,
    "no special primes": bare,
}
every_set = pytest.mark.parametrize("name", SETS)


@every_set
def test_by_definition(backend, name):
    """((b u + e_0, a u + e_1) over QP) / P + (m, 0), rounded, from the same randomness."""
    params = SETS[name]()
    keygen = KeyGenerator(params, Rng(1))
    key = keygen.public_key(keygen.secret_key())
    for level in {0, params.top_level}:
        plain = Plaintext(params=params, words=random_words(params.basis(level), 5, (2,)), level=level)
        found = encrypt(plain, key, Rng(2))
        rng, joint = Rng(2), params.extended_basis(level)
        u, e0, e1 = ternary(joint, rng, (2,)), error(joint, rng, (2,)), error(joint, rng, (2,))
        b, a = (RingPoly(joint, words[: len(joint)], Domain.NTT) for words in key.words)
        c0, c1 = (divide_and_round(x, first=params.num_special) for x in (b * u + e0, a * u + e1))
        assert found.part(0) == c0 + plain.poly and found.part(1) == c1
        assert found.level == level and found.shape == (2,) and found.meta is None


@every_set
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,)], ids=str)
def test_with_the_secret_key_by_definition(backend, name, shape):
    """(-a s + e + m, a) from the same randomness, whichever form the message comes in."""
    params = SETS[name]()
    secret = KeyGenerator(params, Rng(1)).secret_key()
    for level in {0, params.top_level}:
        basis = params.basis(level)
        plain = Plaintext(params=params, words=random_words(basis, 5, shape), level=level)
        found, seed = encrypt_secret(plain, secret, Rng(2))
        rng = Rng(2)
        assert seed == rng.public_seed()
        a, e = expand_uniform(basis, seed, label="ciphertext", shape=shape), error(basis, rng, shape)
        assert found.part(1) == a
        s = RingPoly(basis, np.broadcast_to(secret.ntt(basis), a.residues.shape), Domain.NTT)
        assert found.part(0) == e + plain.poly - a * s
        again, same = encrypt_poly(params, level, plain.poly.to_coefficient(), secret, Rng(2))
        assert same == seed and np.array_equal(again.words, found.words)


def test_a_message_over_another_basis_is_refused():
    params = insecure_small()
    secret = KeyGenerator(params, Rng(1)).secret_key()
    poly = RingPoly.from_integers(params.basis(0), np.zeros(params.ring_degree, dtype=int))
    with pytest.raises(BasisMismatch, match="at level 1"):
        encrypt_poly(params, 1, poly, secret, Rng(2))


@every_set
def test_messages_come_back(backend, name):
    """A message of 2^25 under errors of a few hundred at most: half of what divides it comes back exactly."""
    params = SETS[name]()
    n = params.ring_degree
    if params.basis(0).modulus < 2**30:
        pytest.skip("the base is too small for this message")
    keygen = KeyGenerator(params, Rng(1))
    secret = keygen.secret_key()
    m = (np.arange(2 * n).reshape(2, n) - n) << 20
    for level in range(params.top_level + 1):
        ct = encrypt(plaintext(params, m, level), keygen.public_key(secret), Rng(level))
        found = integers(decrypt(ct, secret))
        assert max(abs(c) for c in (found - m).ravel()) < 2**19
        assert np.array_equal((found + 2**19) >> 20 << 20, m)


def test_every_encryption_is_fresh(rng):
    """Equal messages, equal batch items: unequal words in both parts."""
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    key = keygen.public_key(keygen.secret_key())
    plain = plaintext(params, np.zeros((4, 64), dtype=int), 2)
    parts = [part.tobytes() for ct in (encrypt(plain, key, rng), encrypt(plain, key, rng)) for part in ct.words
             for part in part]  # fmt: skip
    assert len(set(parts)) == 16
    from_the_system = [encrypt(plain, key, Rng()).words.tobytes() for _ in range(3)]
    assert len(set(from_the_system)) == 3


def test_batches_of_any_shape(rng):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    for shape in ((), (1,), (2, 3)):
        m = (np.arange(int(np.prod(shape)) * 64).reshape(*shape, 64)) << 20
        ct = encrypt(plaintext(params, m, 3), keygen.public_key(secret), rng)
        assert ct.shape == shape and ct.words.shape == (*shape, 2, 4, 64)
        assert np.array_equal((integers(decrypt(ct, secret)) + 2**19) >> 20 << 20, m)


def test_metadata_is_passed_on(rng):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    plain = plaintext(params, np.zeros(64, dtype=int), 3).with_(meta=("scale", 1))
    assert encrypt(plain, keygen.public_key(keygen.secret_key()), rng).meta == ("scale", 1)


def test_keys_of_other_parameters(rng):
    keygen = KeyGenerator(insecure_pairs(), rng)
    key = keygen.public_key(keygen.secret_key())
    with pytest.raises(BasisMismatch, match="public key belongs to other parameters than the plaintext"):
        encrypt(plaintext(insecure_small(), np.zeros(64, dtype=int), 2), key, rng)


def test_keys_of_a_lower_level(rng):
    """A public key may be level-limited as well; it then encrypts up to its level."""
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    whole = keygen.public_key(secret)
    low = PublicKey(params, whole.words[:, : len(params.extended_basis(2))], 2)
    m = np.arange(64) << 20
    for level in (0, 1, 2):
        a, b = (encrypt(plaintext(params, m, level), key, Rng(4)) for key in (low, whole))
        assert np.array_equal(a.words, b.words)
    with pytest.raises(HEError):
        encrypt(plaintext(params, m, 3), low, rng)
