"""RNSBasis: construction, slices, equality."""

from __future__ import annotations

import copy
import pickle
from math import prod

import naive
import numpy as np
import pytest

from ckks.errors import BasisMismatch, HEError, ParameterError
from ckks.ring import RNSBasis, ntt_primes

PRIMES = (97, 193, 257, 353)
OTHER_ROOTS = tuple(q - naive.least_root(16, q) for q in PRIMES)


@pytest.fixture
def basis() -> RNSBasis:
    return RNSBasis(16, PRIMES)


def test_what_a_basis_knows(basis):
    assert (basis.n, basis.moduli, len(basis)) == (16, PRIMES, 4)
    assert basis.modulus == prod(PRIMES)
    assert basis.roots == tuple(naive.least_root(16, q) for q in PRIMES)
    assert repr(basis) == f"<RNSBasis N=16, 4 limbs, {prod(PRIMES).bit_length()} bits>"


def test_moduli_may_come_from_any_sequence(basis):
    assert RNSBasis(16, list(PRIMES)) == RNSBasis(16, np.array(PRIMES)) == basis


@pytest.mark.parametrize("moduli", [[97.5], [97.0], ["97"], [None]])
def test_moduli_are_integers(moduli):
    """97.5 is not 97, and nothing is cut off silently."""
    with pytest.raises((HEError, TypeError)):
        RNSBasis(16, moduli)


def test_given_roots_are_kept(basis):
    other = RNSBasis(16, PRIMES, OTHER_ROOTS)
    assert other.roots == OTHER_ROOTS
    assert other != basis and hash(other) != hash(basis)
    assert RNSBasis(16, PRIMES, basis.roots) == basis


@pytest.mark.parametrize(
    ("n", "moduli", "roots"),
    [(16, (), None), (16, (97, 97), None), (12, PRIMES, None), (16, (98,), None), (16, PRIMES, OTHER_ROOTS[:3])],
)
def test_bases_that_cannot_work(n, moduli, roots):
    with pytest.raises(ParameterError):
        RNSBasis(n, moduli, roots)


def test_slices(basis):
    for part in (slice(2), slice(1, None), slice(1, 3), slice(None), slice(None, None, -1)):
        assert basis[part] == RNSBasis(16, PRIMES[part], basis.roots[part])
    kept = RNSBasis(16, PRIMES, OTHER_ROOTS)[1:3]
    assert kept.roots == OTHER_ROOTS[1:3]


@pytest.mark.parametrize("index", [0, -1, 4, 1.0, "0", (0, 1), None])
def test_one_limb_is_a_slice_too(basis, index):
    """basis[0] is neither a modulus nor a basis, and a loop over a basis has no meaning."""
    with pytest.raises((HEError, TypeError), match="slice"):
        basis[index]


def test_a_basis_is_not_iterable(basis):
    with pytest.raises((HEError, TypeError)):
        list(basis)


def test_take(basis):
    assert basis.take([2, 0]) == RNSBasis(16, (257, 97))
    assert RNSBasis(16, PRIMES, OTHER_ROOTS).take([3, 1]).roots == (OTHER_ROOTS[3], OTHER_ROOTS[1])
    with pytest.raises((HEError, IndexError)):
        basis.take([4])
    with pytest.raises(ParameterError, match="distinct"):
        basis.take([0, 0])
    with pytest.raises(ParameterError):
        basis.take([])


def test_joining(basis):
    assert basis[2:] + basis[:2] == RNSBasis(16, PRIMES[2:] + PRIMES[:2])
    other = RNSBasis(16, PRIMES, OTHER_ROOTS)
    assert (basis[:1] + other[1:]).roots == (basis.roots[0], *OTHER_ROOTS[1:])
    with pytest.raises(BasisMismatch, match="16 and 32"):
        basis + RNSBasis(32, (449,))
    with pytest.raises(ParameterError, match="distinct"):
        basis + basis[:1]


def test_equality_and_hash(basis):
    same = RNSBasis(16, PRIMES)
    assert same == basis and hash(same) == hash(basis) and len({same, basis}) == 1
    different = [basis[:3], basis[::-1], RNSBasis(8, PRIMES), RNSBasis(16, PRIMES, OTHER_ROOTS)]
    assert all(x != basis for x in different)
    assert basis != PRIMES and basis != None  # noqa: E711


def test_copies_and_pickles(basis):
    for original in (basis, RNSBasis(16, PRIMES, OTHER_ROOTS), basis[1:]):
        for twin in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
            assert twin == original and twin.roots == original.roots


def test_a_forged_pickle_is_validated(basis):
    forged = pickle.dumps(basis).replace(b"K\x61", b"K\x62")  # 97, one byte, becomes 98
    assert forged != pickle.dumps(basis)
    with pytest.raises(ParameterError, match="98"):
        pickle.loads(forged)


@pytest.mark.parametrize("log_n", [1, 3, 10, 17])
def test_ring_degrees(log_n):
    n = 2**log_n
    assert RNSBasis(n, ntt_primes(bits=50, count=1, n=n)).n == n
