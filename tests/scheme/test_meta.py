"""What a value says about itself: how precise it is, and in which words."""

from __future__ import annotations

from decimal import Decimal
from math import inf, sqrt

import pytest
from params import insecure_small
from rlwe_kit import random_words

from ckks.rlwe import Noise, Plaintext
from ckks.scheme.meta import Meta, error_bound, expected_error, meta_of, precision_bits

N = 64
PARAMS = insecure_small(N)


def plaintext(noise: Noise, scale: int = 2**40, slots: int = N // 2) -> Plaintext:
    meta = Meta(Decimal(scale), slots, slots, True, 1.0, 1.0)
    return Plaintext(params=PARAMS, words=random_words(PARAMS.basis(1), 1), level=1, meta=meta, noise=noise)


@pytest.mark.parametrize("slots", [1, 4, N // 2])
def test_errors_in_units_of_the_values(slots):
    """All N/2 slots have the error of the roots of unity; n of them that share of its power."""
    value = plaintext(Noise(2.0**20, 2.0**24), slots=slots)
    assert expected_error(value) == pytest.approx(2.0**-20 * sqrt(2 * slots / N), rel=1e-12)
    assert error_bound(value) == 2.0**-16


@pytest.mark.parametrize(("std", "bits"), [(2.0**20, 20), (2.0**39, 1), (2.0**40, 0), (2.0**45, -5), (0.0, inf)])
def test_bits_of_precision(std, bits):
    """None where the error is as large as 1, and fewer than none beyond."""
    assert precision_bits(plaintext(Noise(std, 16 * std))) == bits


@pytest.mark.parametrize(("std", "shown"), [(2.0**20, "~20 bits"), (2.0**45, "~-5 bits"), (0.0, "exact")])
def test_the_summary_of_a_value(std, shown):
    value = plaintext(Noise(std, std))
    assert meta_of(value).summary(value) == f"32 values, scale 2^40.0, {shown}"
