"""Inverses, centred representatives and the quotients that kernels precompute, against their definitions."""

from __future__ import annotations

from math import gcd

import naive
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckks.arith import barrett_quotient, centred, inverse, shoup_quotient
from ckks.errors import HEError, ParameterError

moduli = st.integers(2, 2**61)


@given(a=st.integers(-(2**130), 2**130), q=moduli)
def test_inverse_times_number_is_one(a, q):
    assume(gcd(a, q) == 1)
    found = inverse(a, q)
    assert 0 <= found < q
    assert a * found % q == 1


@pytest.mark.parametrize(("a", "q"), [(0, 97), (97, 97), (6, 9), (-2 * 97, 97 * 193), (2**60, 2**61)])
def test_inverse_refuses_a_shared_factor(a, q):
    with pytest.raises(ParameterError, match="coprime") as caught:
        inverse(a, q)
    assert str(a) in str(caught.value) and str(q) in str(caught.value)
    assert isinstance(caught.value, HEError | ValueError)


@given(a=st.integers(-(2**130), 2**130), q=moduli)
def test_centred_is_the_nearest_representative(a, q):
    found = centred(a, q)
    assert found == naive.centred(a, q)
    assert (a - found) % q == 0
    assert -q < 2 * found <= q


@pytest.mark.parametrize("q", [2, 3, 8, 97, 98])
def test_centred_is_half_open(q):
    """(-q/2, q/2]: of an even modulus the upper end is taken."""
    assert sorted(centred(a, q) for a in range(q)) == list(range(-((q - 1) // 2), q // 2 + 1))


@given(data=st.data(), bits=st.sampled_from([52, 64]))
def test_shoup_operand_leaves_less_than_two_moduli(data, bits):
    q = data.draw(st.integers(2, 2 ** (bits - 2)))
    w = data.draw(st.integers(0, q - 1) | st.sampled_from([0, 1, q - 1]))
    y = data.draw(st.integers(0, 2**bits - 1) | st.sampled_from([0, q - 1, q, 4 * q - 1, 2**bits - 1]))
    quotient = shoup_quotient(w, q, bits)
    assert quotient * q <= w << bits < (quotient + 1) * q
    remainder = w * y - (quotient * y >> bits) * q
    assert 0 <= remainder < 2 * q
    assert (remainder - w * y) % q == 0


@given(data=st.data(), bits=st.sampled_from([52, 64, 128]))
def test_barrett_quotient_leaves_less_than_two_moduli(data, bits):
    q = data.draw(st.integers(2, 2 ** (bits - 2)))
    x = data.draw(st.integers(0, 2**bits - 1) | st.sampled_from([0, q - 1, q, 2**bits - 1]))
    mu = barrett_quotient(q, bits)
    assert mu * q <= 1 << bits < (mu + 1) * q
    assert 0 <= x - (x * mu >> bits) * q < 2 * q


def test_barrett_quotient_is_for_words_by_default():
    assert barrett_quotient(97) == 2**64 // 97
