"""The Chinese remainder theorem, against Garner's way of building the integer."""

from __future__ import annotations

from math import prod

import naive
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckks.arith import compose, split
from ckks.errors import ParameterError

PRIMES = (17, 97, 193, 2**31 - 1, 2**50 - 27, 2**61 - 1)
bases = st.lists(st.sampled_from(PRIMES), min_size=1, max_size=len(PRIMES), unique=True)


@given(bases, st.integers(-(2**300), 2**300))
def test_split_then_compose(moduli, x):
    q = prod(moduli)
    residues = split(x, moduli)
    assert residues == naive.split(x, moduli)
    assert all(0 <= r < m for r, m in zip(residues, moduli, strict=True))
    assert compose(residues, moduli) == naive.centred(x, q)
    assert compose(residues, moduli, centre=False) == x % q


@given(bases, st.data())
def test_compose_agrees_with_the_oracle(moduli, data):
    residues = [data.draw(st.integers(0, q - 1) | st.sampled_from([0, 1, q // 2, q - 1])) for q in moduli]
    for centre in (True, False):
        assert compose(residues, moduli, centre=centre) == naive.compose(residues, moduli, centre=centre)


@pytest.mark.parametrize("moduli", [(17,), (17, 97), (97, 193, 2**50 - 27), (4, 9)])
def test_ends_of_the_ranges(moduli):
    q = prod(moduli)
    for x in (0, 1, q // 2 - 1, q // 2, q // 2 + 1, q - 1):
        assert compose(split(x, moduli), moduli, centre=False) == x
        assert compose(split(x, moduli), moduli) == (x - q if 2 * x > q else x)


@pytest.mark.parametrize(("residues", "moduli"), [([], []), ([1], []), ([1, 2], [17]), ([1], [17, 97])])
def test_as_many_residues_as_moduli(residues, moduli):
    with pytest.raises(ParameterError, match=f"{len(residues)} residues for {len(moduli)} moduli"):
        compose(residues, moduli)


def test_moduli_have_to_be_coprime():
    with pytest.raises(ParameterError, match="coprime"):
        compose([1, 2], [6, 9])
