"""X -> X^g in both domains: against the definition, and as a group."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from draws import residues

from ckks.errors import ParameterError
from ckks.ring import (
    Domain,
    RingPoly,
    RNSBasis,
    automorphism,
    check_galois_element,
    compose_galois,
    inverse_galois,
    ntt_primes,
)
from ckks.ring.automorphism import bit_reversal, coefficient_permutation, ntt_permutation

DEGREES = (2, 4, 8, 16, 32)
MODULI = ntt_primes(bits=50, count=1, n=64) + ntt_primes(bits=61, count=1, n=64)


def elements(n: int) -> range:
    """All odd numbers modulo 2n."""
    return range(1, 2 * n, 2)


@pytest.mark.parametrize("n", DEGREES)
def test_coefficient_form_by_definition(backend, n):
    basis = RNSBasis(n, MODULI)
    x = residues(MODULI, n, shape=(2,))
    for g in elements(n):
        found = automorphism(basis, x, g, ntt_form=False)
        expected = [[naive.automorphism(row, g, q) for row, q in zip(item, MODULI, strict=True)] for item in x]
        naive.first_difference(found, expected)


@pytest.mark.parametrize("n", DEGREES)
def test_ntt_form_by_definition(backend, n):
    basis = RNSBasis(n, MODULI)
    x = residues(MODULI, n, shape=(2,))
    for g in elements(n):
        naive.first_difference(automorphism(basis, x, g, ntt_form=True), x[..., naive.automorphism_gather(n, g)])


@pytest.mark.parametrize("n", DEGREES)
def test_both_forms_agree(backend, n):
    """The one through the other: the strongest check, since neither shares code with the transform."""
    basis = RNSBasis(n, MODULI)
    poly = RingPoly(basis, residues(MODULI, n), Domain.COEFFICIENT)
    for g in elements(n):
        assert poly.automorphism(g).to_ntt() == poly.to_ntt().automorphism(g)


@pytest.mark.parametrize("n", [8, 16])
def test_group_law(backend, n):
    basis = RNSBasis(n, MODULI)
    for domain in Domain:
        a = RingPoly(basis, residues(MODULI, n), domain)
        assert a.automorphism(1) == a
        assert a.automorphism(-1).automorphism(-1) == a
        for g in elements(n):
            assert a.automorphism(g).automorphism(inverse_galois(n, g)) == a
            assert a.automorphism(g + 2 * n) == a.automorphism(g - 4 * n) == a.automorphism(g)
            for h in (3, 5, 2 * n - 1):
                assert a.automorphism(g).automorphism(h) == a.automorphism(compose_galois(n, g, h))


@pytest.mark.parametrize("n", DEGREES)
def test_galois_arithmetic(n):
    for g in elements(n):
        assert compose_galois(n, g, inverse_galois(n, g)) == 1 % (2 * n)
        assert check_galois_element(n, g - 2 * n) == g
    rotations = {pow(5, k, 2 * n) for k in range(n)}
    assert rotations | {-g % (2 * n) for g in rotations} == set(elements(n))  # 5 and -1 generate the group


@pytest.mark.parametrize("g", [0, 2, -4, 2**40])
def test_even_exponents_are_no_automorphisms(g):
    basis = RNSBasis(8, MODULI)
    with pytest.raises(ParameterError, match=f"{g} is even.*odd modulo 16"):
        RingPoly(basis, residues(MODULI, 8), Domain.NTT).automorphism(g)
    for function in (check_galois_element, inverse_galois):
        with pytest.raises(ParameterError):
            function(8, g)


@pytest.mark.parametrize("n", [1, *DEGREES, 1024])
def test_bit_reversal(n):
    bits = n.bit_length() - 1
    assert bit_reversal(n).tolist() == [naive.bit_reverse(i, bits) for i in range(n)]


def test_tables_are_shared_and_stay_as_they_are():
    for table in (bit_reversal(8), ntt_permutation(8, 3), coefficient_permutation(8, 3)):
        assert table.dtype == np.int64 and not table.flags.writeable
    assert ntt_permutation(8, 3) is ntt_permutation(8, 3)
