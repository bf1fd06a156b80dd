"""The inequalities behind the compiled kernels, at their extremes: native/bounds.py."""

from __future__ import annotations

import pytest
from kernels import native_builds

NAMES = (
    "shoup_products",
    "barrett_words",
    "barrett_products",
    "folded_sums",
    "lazy_butterflies",
    "overflow_fractions",
    "overflow_counts",
    "floating_products",
    "floating_reductions",
    "floating_sums",
    "floating_fractions",
    "rounded_reals",
    "counted_bits",
    "planned_reductions",
    "lifted_sums",
    "permuted_sums",
    "few_combined",
    "montgomery_products",
    "montgomery_sums",
    "montgomery_joined",
)


@pytest.mark.parametrize("name", NAMES)
def test_claim(name: str) -> None:
    """Each claim holds for every operand tried."""
    bounds = native_builds.native_module("bounds")
    assert tuple(claim.__name__ for claim in bounds.CLAIMS) == NAMES
    getattr(bounds, name)()
