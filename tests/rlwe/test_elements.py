"""Plaintexts and ciphertexts as values."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from params import insecure_small
from rlwe_kit import random_words

from ckks.errors import BasisMismatch, HEError, LevelError, ParameterError, RangeError
from ckks.ring import Domain
from ckks.rlwe import Ciphertext, Noise, Plaintext
from ckks.rlwe.noise import EXACT

PARAMS = insecure_small()
TOP = PARAMS.top_level


def words(level: int = TOP, *lead: int) -> np.ndarray:
    return random_words(PARAMS.basis(level), level, lead)


def ciphertext(level: int = TOP, *lead: int, parts: int = 2, **facts) -> Ciphertext:
    return Ciphertext(params=PARAMS, words=words(level, *lead, parts), level=level, **facts)


@pytest.mark.parametrize("kind", [Plaintext, Ciphertext])
def test_words_are_validated_and_copied(kind):
    given = words(2, 2)
    made = kind(params=PARAMS, words=given, level=2)
    before = given.copy()
    given[...] = 0
    assert np.array_equal(made.words, before) and not made.words.flags.writeable
    assert made.noise == EXACT and made.meta is None and made.basis == PARAMS.basis(2)
    for limb, q in enumerate(PARAMS.basis(2).moduli):
        bad = before.copy()
        bad[-1, limb, 0] = q
        with pytest.raises(RangeError, match=f"is not below its modulus {q}"):
            kind(params=PARAMS, words=bad, level=2)


@pytest.mark.parametrize("kind", [Plaintext, Ciphertext])
def test_shapes(kind):
    for shape in ((5, 64, 2), (2, 4, 64), (2, 5, 32), (64,), ()):
        with pytest.raises(BasisMismatch):
            kind(params=PARAMS, words=np.zeros(shape, dtype=np.uint64), level=TOP)
    with pytest.raises(BasisMismatch):  # words of one level under the name of another
        kind(params=PARAMS, words=words(2, 2), level=3)
    for level in (-1, 5):
        with pytest.raises(LevelError):
            kind(params=PARAMS, words=words(2, 2), level=level)
    with pytest.raises(ParameterError, match="needed RLWEParams"):
        kind(params=None, words=words(2, 2), level=2)


@pytest.mark.parametrize("facts", [{"level": 2.0}, {"level": "2"}, {"level": None}, {"noise": None}, {"noise": 1.0}])
@pytest.mark.parametrize("kind", [Plaintext, Ciphertext])
def test_level_and_noise_are_of_their_types(kind, facts):
    with pytest.raises(ParameterError, match="needed an integer and a Noise"):
        kind(**{"params": PARAMS, "words": words(2, 2), "level": 2, **facts})


def test_ciphertexts_have_two_parts_or_more():
    for lead in ((), (1,), (3, 1)):
        with pytest.raises(BasisMismatch, match="parts >= 2"):
            Ciphertext(params=PARAMS, words=words(TOP, *lead), level=TOP)
    assert ciphertext(parts=4).parts == 4


def test_batches():
    assert ciphertext().shape == () and ciphertext(TOP, 3, 4).shape == (3, 4)
    ct = ciphertext(1, 3, 4, parts=3)
    assert ct.parts == 3 and ct.part(2).shape == (3, 4)
    assert np.array_equal(ct.part(2).residues, ct.words[:, :, 2]) and ct.part(0).domain is Domain.NTT
    part = ct[1]
    assert part.shape == (4,) and np.array_equal(part.words, ct.words[1]) and np.shares_memory(part.words, ct.words)
    assert ct[:, 2].shape == (3,) and ct[None].shape == (1, 3, 4) and ct[[2, 0]].shape == (2, 4)
    assert ct[1, 2].shape == () and ct[1, 2].meta is ct.meta and ct[1, 2].level == 1
    for bad in (3, (0, 4), (0, 0, 0)):
        with pytest.raises(IndexError):
            ct[bad]


def test_plaintexts_are_ring_elements():
    pt = Plaintext(params=PARAMS, words=words(1, 3), level=1)
    assert pt.shape == (3,) and pt.poly.basis == PARAMS.basis(1) and pt.poly.domain is Domain.NTT
    assert np.array_equal(pt.poly.residues, pt.words)


def test_lower_levels_are_views():
    ct = ciphertext(TOP, 2, meta="scale", noise=Noise(1.0, 2.0))
    for level in range(TOP + 1):
        low = ct.at_level(level)
        assert low.level == level and np.shares_memory(low.words, ct.words)
        assert np.array_equal(low.words, ct.words[..., : PARAMS.limbs(level), :])
        assert low.meta == "scale" and low.noise == Noise(1.0, 2.0)
    with pytest.raises(HEError, match="cannot raise a ciphertext from level 1 to 2"):
        ct.at_level(1).at_level(2)
    for level in (-1, 5):
        with pytest.raises(LevelError):
            ct.at_level(level)


def test_other_metadata():
    ct = ciphertext(meta="a", noise=Noise(1.0, 2.0))
    assert ct.with_(meta="b").meta == "b" and ct.with_(meta="b").noise == ct.noise
    assert ct.with_(noise=Noise(3.0, 4.0)).noise == Noise(3.0, 4.0) and ct.with_(noise=EXACT).noise == EXACT
    assert ct.with_().words is ct.words and ct.meta == "a"


def test_values_are_frozen():
    for made in (ciphertext(), Plaintext(params=PARAMS, words=words(), level=TOP)):
        for name in ("words", "level", "params", "noise", "meta"):
            with pytest.raises(FrozenInstanceError):
                setattr(made, name, None)
        with pytest.raises(ValueError, match="read-only"):
            made.words[..., 0] = 1


def test_numpy_is_kept_out():
    """A ciphertext is no array of numbers: nothing may treat its words as values."""
    for made in (ciphertext(), Plaintext(params=PARAMS, words=words(), level=TOP)):
        with pytest.raises(TypeError, match="is not an array of values"):
            np.asarray(made)
        for operation in (lambda x=made: np.ones(3) * x, lambda x=made: x + np.ones(3), lambda x=made: np.sin(x)):
            with pytest.raises(TypeError):
                operation()


def test_equality_is_identity():
    a, b = ciphertext(), ciphertext()
    assert a == a and a != b and len({a, b}) == 2


@pytest.mark.parametrize("kind", [Plaintext, Ciphertext])
def test_pickles_and_copies(kind):
    made = kind(params=PARAMS, words=words(2, 3, 2), level=2, meta=("m", 1), noise=Noise(1.0, 2.0))
    for original in (made, made[1:] if kind is Ciphertext else made):
        for twin in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
            assert type(twin) is kind and np.array_equal(twin.words, original.words)
            assert (twin.params, twin.level, twin.meta, twin.noise) == (PARAMS, 2, ("m", 1), Noise(1.0, 2.0))


def test_summaries():
    assert repr(ciphertext(2, 3, parts=3)).startswith("<Ciphertext INSECURE, N=64, level 2/4, 3 parts, batch (3,)")
    assert repr(Plaintext(params=PARAMS, words=words(), level=TOP)).startswith("<Plaintext")
    assert ciphertext().nbytes == 2 * 5 * 64 * 8
