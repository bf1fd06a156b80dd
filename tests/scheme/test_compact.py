"""Compact factors: each word stands for equal ones, side by side, of what the encoder makes."""

from __future__ import annotations

import numpy as np
import pytest
from kit import at_the_ends
from params import insecure_pairs, insecure_small, insecure_wide_primes

from ckks import Encoder
from ckks.errors import RangeError
from ckks.scheme.compact import compact_factors, rounding_of_factors
from ckks.scheme.embedding import coefficients_to_slots


@pytest.mark.parametrize("make", [insecure_small, insecure_pairs, insecure_wide_primes])
@pytest.mark.parametrize("real", [True, False])
def test_equals_the_encoder(make, real, backend):
    params = make(64)
    encoder, rng = Encoder(params), np.random.default_rng(1)
    for level in (0, params.top_level):
        for slots in (1, 2, 8, 32):
            values = at_the_ends(rng, (2, slots), real=real)
            found = compact_factors(params, values, level, params.scale_at(level))
            assert found.shape == (2, len(params.extended_basis(level)), 2 * slots)
            whole = encoder.encode(values, level=level, slots=slots).words
            spread = np.repeat(found, 64 // (2 * slots), axis=-1)
            assert np.array_equal(spread[:, params.num_special :], whole)


def test_the_special_limbs_are_of_the_same_integers():
    params = insecure_small(64)
    values = np.random.default_rng(2).uniform(-1, 1, 8)
    words = compact_factors(params, values, 0, params.scale_at(0))
    other = compact_factors(params, values, params.top_level, params.scale_at(0))
    assert np.array_equal(words, other[: len(words)])


def test_the_rounding_is_as_stated():
    """The error of integers against the exact coefficients, at the slots: its deviation and its bound."""
    params = insecure_small(256)
    for slots in (4, 128):
        values = np.random.default_rng(3).uniform(-1, 1, (50, slots))
        scale = params.scale_at(0)
        level, q = 0, params.moduli[0]
        from ckks import kernels
        from ckks.scheme.compact import _subring

        basis = _subring(params, level, slots)
        words = kernels.intt(basis.plan, compact_factors(params, values, level, scale))[:, -1].astype(object)
        integers = np.where(words > q // 2, words - q, words).astype(np.float64)
        error = np.abs(coefficients_to_slots(integers, slots) - float(scale) * values)
        stated = rounding_of_factors(params, slots, 1.0, scale)
        assert error.max() <= stated.bound
        share = np.sqrt(2 * slots / params.ring_degree)
        assert np.sqrt((error**2).mean()) == pytest.approx(stated.std * share, rel=0.15)


def test_what_double_precision_cannot_hold():
    params = insecure_small(64)
    with pytest.raises(RangeError, match="double precision"):
        compact_factors(params, np.full(4, 1e300), 0, params.scale_at(0))
    assert not compact_factors(params, np.zeros(4), 0, params.scale_at(0)).any()
