"""Public and evaluation keys as data: validated, frozen, complete or saying what is missing."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from params import insecure_pairs, insecure_small
from rlwe_kit import random_words

from ckks.errors import BasisMismatch, HEError, LevelError, MissingKey, ParameterError, RangeError
from ckks.ring import Rng
from ckks.rlwe import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.secret import KeyGenerator

PARAMS = insecure_small()
TOP = PARAMS.top_level


@pytest.fixture(scope="module")
def keygen() -> KeyGenerator:
    return KeyGenerator(PARAMS, Rng(6))


@pytest.fixture(scope="module")
def secret(keygen):
    return keygen.secret_key()


@pytest.fixture(scope="module")
def public(keygen, secret) -> PublicKey:
    return keygen.public_key(secret)


@pytest.fixture(scope="module")
def keys(keygen, secret) -> EvaluationKeys:
    return keygen.evaluation_keys(secret, rotations=[1, 2], conjugation=True)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "s" * 32, bytearray(32), 32])
def test_seeds_of_keys_are_32_bytes(public, seed):
    with pytest.raises(ParameterError, match="a seed that is not 32 bytes"):
        PublicKey(PARAMS, public.words, TOP, seed)
    assert PublicKey(PARAMS, public.words, TOP, bytes(32)).seed == bytes(32)


def test_words_are_validated_and_copied(public, keys):
    for key in (public, keys.relin):
        words = key.words.copy()
        made = type(key)(PARAMS, words, TOP)
        words[...] = 0
        assert np.array_equal(made.words, key.words) and not made.words.flags.writeable
        assert made.seed is None and made.basis == PARAMS.basis_qp
        for limb, q in enumerate(PARAMS.basis_qp.moduli):
            bad = key.words.copy()
            bad[..., limb, -1] = q
            with pytest.raises(RangeError, match=f"{q} at index .* is not below its modulus {q}"):
                type(key)(PARAMS, bad, TOP)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (PublicKey, (3, 7, 64)),
        (PublicKey, (7, 64)),
        (PublicKey, (2, 6, 64)),
        (PublicKey, (2, 7, 32)),
        (PublicKey, (1, 2, 7, 64)),
        (SwitchingKey, (2, 7, 64)),
        (SwitchingKey, (2, 2, 7, 64)),
        (SwitchingKey, (4, 2, 7, 64)),
        (SwitchingKey, (3, 1, 7, 64)),
        (SwitchingKey, (3, 2, 5, 64)),
        (SwitchingKey, (1, 3, 2, 7, 64)),
    ],
)
def test_words_have_the_shape_of_their_kind(kind, shape):
    """Digits, parts, limbs and degree all follow from parameters and level: (2, 7, 64) and (3, 2, 7, 64)."""
    with pytest.raises(BasisMismatch, match="needed"):
        kind(PARAMS, np.zeros(shape, dtype=np.uint64), TOP)


def test_levels_exist():
    for level in (-1, TOP + 1):
        with pytest.raises(LevelError):
            PublicKey(PARAMS, np.zeros((2, 7, 64), dtype=np.uint64), level)


def test_parameters_are_parameters(public):
    with pytest.raises(ParameterError, match="needed RLWEParams"):
        PublicKey("S12", public.words, TOP)


def test_keys_are_frozen(public, keys):
    for key in (public, keys.relin, keys):
        with pytest.raises(FrozenInstanceError):
            key.params = insecure_pairs()
    with pytest.raises(ValueError, match="read-only"):
        public.words[0, 0, 0] = 1
    with pytest.raises(TypeError):
        keys.galois[5] = keys.relin


def test_pickles(public, keys):
    for key in (public, keys.relin, keys.galois[5]):
        twin = pickle.loads(pickle.dumps(key))
        assert type(twin) is type(key) and twin.params == key.params and twin.level == key.level
        assert np.array_equal(twin.words, key.words) and twin.seed == key.seed
    twin = pickle.loads(pickle.dumps(keys))
    assert set(twin.galois) == set(keys.galois) and np.array_equal(twin.relin.words, keys.relin.words)


def test_pickles_of_views_are_whole(keys):
    low = SwitchingKey.of(PARAMS, keys.relin.words[:1, :, :3], 0)
    twin = pickle.loads(pickle.dumps(low))
    assert np.array_equal(twin.words, low.words) and twin.words.base is not low.words.base


def test_summaries(public, keys):
    assert "PublicKey" in repr(public) and "N=64" in repr(public)
    assert "SwitchingKey" in repr(keys.relin) and f"level {TOP}" in repr(keys.relin)
    assert "relin" in repr(keys) and "3 Galois" in repr(keys)
    assert "no relin" in repr(EvaluationKeys(PARAMS))
    assert keys.nbytes == 4 * keys.relin.nbytes == 4 * 3 * 2 * 7 * 64 * 8
    assert EvaluationKeys(PARAMS).nbytes == 0


def test_a_set_of_keys_is_normalised(keys):
    made = EvaluationKeys(PARAMS, None, {-1: keys.galois[127], 128 + 5: keys.galois[5]})
    assert set(made.galois) == {127, 5}
    assert made.galois_key(5 - 128) is keys.galois[5]


def test_missing_keys_say_what_is_there(keys):
    with pytest.raises(MissingKey) as caught:
        EvaluationKeys(PARAMS).relin_key()
    assert isinstance(caught.value, KeyError) and isinstance(caught.value, HEError)
    assert "no relinearisation key" in str(caught.value) and "relin=True" in str(caught.value)
    with pytest.raises(MissingKey) as caught:
        keys.galois_key(3)
    text = str(caught.value)
    assert "element 3" in text and "5, 25, 127" in text and "rotations=" in text
    assert not text.startswith("'")  # KeyError would show its repr
    with pytest.raises(MissingKey, match="keys for: none"):
        EvaluationKeys(PARAMS).galois_key(5)


def test_keys_of_other_parameters_are_no_set(keys):
    others = insecure_pairs()
    words = random_words(others.basis_qp, 1, (len(others.digits(others.top_level)), 2))
    foreign = SwitchingKey(others, words, others.top_level)
    for made in (lambda: EvaluationKeys(PARAMS, foreign), lambda: EvaluationKeys(PARAMS, None, {5: foreign})):
        with pytest.raises(BasisMismatch, match="other parameters"):
            made()


@pytest.mark.parametrize(
    "made", [{"relin": "a key"}, {"relin": PARAMS}, {"galois": {5: "a key"}}, {"galois": {5: None}}]
)
def test_keys_are_keys(made):
    with pytest.raises(ParameterError, match="needed SwitchingKey"):
        EvaluationKeys(PARAMS, **made)


def test_even_elements_are_no_keys(keys):
    with pytest.raises(ParameterError, match="odd"):
        EvaluationKeys(PARAMS, None, {4: keys.relin})
    with pytest.raises(ParameterError, match="odd"):
        keys.galois_key(4)
