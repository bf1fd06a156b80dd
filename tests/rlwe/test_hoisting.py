"""Automorphisms over QP: divided, they are those of `keyswitch`, or within their error of them."""

from __future__ import annotations

from functools import cache

import naive
import numpy as np
import pytest
from params import insecure_pairs, insecure_single_digit, insecure_small
from rlwe_kit import at_roots, plaintext

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError, MissingKey
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, EvaluationKeys, automorphism_sum, hoisted_automorphisms, noise
from ckks.rlwe.hoisting import lift, lifted_automorphisms, lifted_powers, lower, turn_lifted
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret

SETS = {"one prime": insecure_small, "two primes": insecure_pairs, "one digit": insecure_single_digit}
every_set = pytest.mark.parametrize("name", SETS)
N = 32
G = 5


@cache
def toy(name: str):
    params = SETS[name](N)
    generator = KeyGenerator(params, Rng(3))
    secret = generator.secret_key()
    keys = generator.evaluation_keys(secret, rotations=[1, 2, 3, 5], conjugation=True)
    m = np.arange(N, dtype=object) * 2**25 - 2**28
    ct, _ = encrypt_secret(plaintext(params, m, params.top_level), secret, Rng(4))
    return params, secret, keys, ct


def phase(params, words, level, secret):
    return np.array(decrypt(Ciphertext.of(params, words, level), secret).poly.to_integers())


@every_set
def test_lowered_they_are_the_hoisted_ones(backend, name):
    """Word for word: the same sums, divided. Batches and lower levels included."""
    params, _, keys, ct = toy(name)
    two = Ciphertext(params=params, words=np.stack([ct.words, ct.words[:, ::-1][:, ::-1]]), level=ct.level)
    for one in (ct, two, ct.at_level(1)):
        elements = (1, *keys.galois)
        lifted = lifted_automorphisms(one, elements, keys)
        assert lifted.shape == (len(elements), 2, *one.shape, len(params.extended_basis(one.level)), N)
        wanted = hoisted_automorphisms(one, elements, keys)
        for g, words in zip(elements, lifted, strict=True):
            naive.first_difference(lower(params, one.level, words), wanted[g].words)


@every_set
def test_sums_are_divided_once(backend, name):
    """With factors 1 it is `automorphism_sum`, word for word."""
    params, _, keys, ct = toy(name)
    elements = (1, *list(keys.galois)[:3])
    lifted = lifted_automorphisms(ct, elements, keys)
    joint = params.extended_basis(ct.level)
    ones = np.ones((1, len(elements), len(joint), 2), dtype=np.uint64)
    total = kernels.combine(joint.plan, lifted, ones)[0]
    naive.first_difference(lower(params, ct.level, total), automorphism_sum(ct, elements, keys).words)


@every_set
def test_lifting_is_undone(backend, name):
    params, _, _, ct = toy(name)
    naive.first_difference(lower(params, ct.level, lift(ct)), ct.words)


@every_set
def test_turning_what_is_lifted(backend, name):
    """The message is turned; the error grows by one key switch and one rounding at most. Also for its powers."""
    params, secret, keys, ct = toy(name)
    level = ct.level
    before = phase(params, ct.words, level, secret)
    each = noise.key_switch(params, level) + noise.rounding(params)
    for t, words in enumerate(lifted_powers(ct, G, 4, keys)):
        exact = np.array(naive.automorphism(before.tolist(), pow(G, t, 2 * N)))
        found = phase(params, lower(params, level, words), level, secret)
        assert np.abs(at_roots(found - exact)).max() <= t * each.bound + noise.rounding(params).bound
    turned = turn_lifted(params, level, lift(ct), 2 * N - 1, keys)
    found = phase(params, lower(params, level, turned), level, secret)
    exact = np.array(naive.automorphism(before.tolist(), 2 * N - 1))
    assert np.abs(at_roots(found - exact)).max() <= each.bound + noise.rounding(params).bound
    assert np.abs(at_roots(found - before)).max() > each.bound  # it does something


@every_set
def test_lowering_with_a_rescale(backend, name):
    params, secret, keys, ct = toy(name)
    words = lower(params, ct.level, lifted_automorphisms(ct, (G,), keys)[0], rescale=True)
    assert words.shape == (2, params.limbs(ct.level - 1), N)
    exact = np.array(naive.automorphism(phase(params, ct.words, ct.level, secret).tolist(), G))
    found = phase(params, words, ct.level - 1, secret)
    q = params.level_modulus(ct.level)
    bound = noise.key_switch(params, ct.level).bound / q + noise.rounding(params).bound
    assert np.abs(at_roots(found - exact / q)).max() <= bound


def test_refusals():
    params, _, keys, ct = toy("one prime")
    with pytest.raises(BasisMismatch, match="at least one"):
        lifted_automorphisms(ct, (), keys)
    with pytest.raises(BasisMismatch, match="at least one"):
        lifted_powers(ct, G, 0, keys)
    three = Ciphertext.of(params, np.concatenate([ct.words, ct.words[:1]]), ct.level)
    with pytest.raises(BasisMismatch, match="of 3 parts"):
        lifted_automorphisms(three, (1,), keys)
    with pytest.raises(MissingKey):
        lifted_automorphisms(ct, (7,), keys)
    with pytest.raises(BasisMismatch, match="limbs"):
        turn_lifted(params, ct.level, ct.words, G, keys)
    with pytest.raises(BasisMismatch, match="limbs"):
        lower(params, ct.level, ct.words)
    top = keys.galois[G]
    low = type(top)(params, top.words[:1, :, : len(params.extended_basis(0))], 0)
    with pytest.raises(LevelError):
        lifted_automorphisms(ct, (G,), EvaluationKeys(params, None, {G: low}))


def test_keys_of_other_parameters_are_refused():
    params, _, _, ct = toy("one prime")
    foreign = toy("one digit")[2]
    lifted = lift(ct)
    for call in (
        lambda: lifted_automorphisms(ct, (G,), foreign),
        lambda: turn_lifted(params, ct.level, lifted, G, foreign),
    ):
        with pytest.raises(BasisMismatch, match="other parameters"):
            call()
