"""Stand-in keys have the shapes of real ones, next to no memory, and know what was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from kit import make_kit
from params import insecure_pairs, insecure_small

from ckks import Evaluator
from ckks.errors import MissingKey, ParameterError
from ckks.kernels.recording import recording
from ckks.rlwe.standins import AskedKeys, key_ring, stand_in_keys
from ckks.scheme import CKKSParams


@pytest.mark.parametrize("make", [insecure_small, insecure_pairs])
def test_shapes_are_those_of_real_keys(make):
    kit = make_kit(make(64), rotations=[1])
    g = 5
    keys = stand_in_keys(kit.params, relin=True, elements=[g])
    for found, real in ((keys.relin_key(), kit.keys.relin_key()), (keys.galois_key(g), kit.keys.galois_key(g))):
        assert (found.words.shape, found.level, found.nbytes) == (real.words.shape, real.level, real.nbytes)
        assert not found.words.flags.writeable and not any(found.words.strides[:-1]), "one row of memory"


def test_only_the_keys_that_were_wanted():
    params = insecure_small(64)
    keys = stand_in_keys(params, elements=[5])
    with pytest.raises(MissingKey):
        keys.relin_key()
    with pytest.raises(MissingKey):
        keys.galois_key(25)
    assert stand_in_keys(params).nbytes == 0


def test_what_is_asked_for_is_noted():
    kit = make_kit(insecure_small(64))
    keys = AskedKeys(kit.params)
    evaluator, x = Evaluator(kit.params, keys), kit.encrypt(np.ones(4))
    with recording():
        assert not keys.relinearised and not keys.elements
        evaluator.rotate(x, 1)
        evaluator.conjugate(x)
        assert not keys.relinearised and keys.elements == {5, 127}
        evaluator.multiply(x, x)
    assert keys.relinearised and keys.elements == {5, 127}
    assert keys.galois_key(5) is keys.galois_key(5 + 128)
    with pytest.raises(ParameterError, match="even"):
        keys.galois_key(4)


def test_parameters_without_special_primes_have_none():
    params = CKKSParams.for_depth(1, key_switching=False)
    for keys in (lambda: AskedKeys(params).relin_key(), lambda: stand_in_keys(params, relin=True)):
        with pytest.raises(MissingKey, match="special_moduli"):
            keys()
    assert stand_in_keys(params).relin is None


def test_keys_with_words_of_their_own_until_there_are_enough():
    params = insecure_small(64)
    one = stand_in_keys(params, relin=True).relin_key()
    keys = AskedKeys(params, key_ring(3 * one.nbytes))
    words = [keys.galois_key(pow(5, k, 128)).words for k in range(7)]
    assert not any(np.shares_memory(words[i], words[j]) for i in range(3) for j in range(i))
    assert all(np.shares_memory(words[k], words[k + 3]) for k in range(4)) and not words[0].any()
    assert words[0].shape == one.words.shape
    tiny = AskedKeys(params, key_ring(0))
    assert np.shares_memory(tiny.relin_key().words, tiny.galois_key(5).words)
