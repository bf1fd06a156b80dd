"""The polynomial value: evaluation and conversion against mpmath, parity, validation."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckks.circuits.polynomials.arguments import check_degree, check_interval
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import HEError, ParameterError, RangeError

ULP = 2.0**-52
coefficient_lists = st.lists(st.floats(-4, 4, allow_subnormal=False), min_size=1, max_size=24)
intervals = st.sampled_from([(-1.0, 1.0), (-8.0, 8.0), (0.0, 1.0), (-3.0, 5.5), (0.1, 0.3)])
bases = st.sampled_from(["power", "chebyshev"])


def exact_value(p: Polynomial, x: float) -> mpmath.mpf:
    """The definition in the module's docstring, at the working precision of mpmath."""
    x = mpmath.mpf(x)
    if p.basis == "power":
        return mpmath.fsum(c * x**k for k, c in enumerate(p.coefficients))
    u = (x - mpmath.mpf(p.center)) / mpmath.mpf(p.radius)
    return mpmath.fsum(c * mpmath.chebyt(k, u) for k, c in enumerate(p.coefficients))


def reach_sum(p: Polynomial, grow: bool = False) -> float:
    """sum |c_k| max|basis_k| on the interval; `grow`: weighted by 2 (k + 1)^2, the rounding of values."""
    reach = 1.0 if p.basis == "chebyshev" else p.reach
    return sum((2 * (k + 1) ** 2 if grow else 1) * abs(c) * reach**k for k, c in enumerate(p.coefficients))


@settings(max_examples=60)
@given(coefficient_lists, bases, intervals, st.floats(0, 1))
def test_values_agree_with_the_definition(coefficients, basis, interval, t):
    p = Polynomial(tuple(coefficients), basis, interval)
    x = min(interval[0] + t * (interval[1] - interval[0]), interval[1])
    with mpmath.workdps(60):
        difference = abs(exact_value(p, x) - mpmath.mpf(float(p(x))))
    assert difference <= ULP * reach_sum(p, grow=True)


@settings(max_examples=40)
@given(coefficient_lists, bases, intervals)
def test_conversion_moves_no_value_further_than_rounding_the_coefficients_does(coefficients, basis, interval):
    p = Polynomial(tuple(coefficients), basis, interval, max_abs_error=0.25)
    q = p.to_power() if basis == "chebyshev" else p.to_chebyshev()
    assert q.basis != p.basis
    assert q.interval == p.interval
    # half a unit per coefficient, and what snapping below 2^-60 of the largest term may drop
    bound = (2.0**-53 + 2.0**-59 * len(coefficients)) * reach_sum(q)
    with mpmath.workdps(120):
        for x in np.linspace(*interval, 7):
            assert abs(exact_value(p, x) - exact_value(q, x)) <= bound
    assert 0.25 <= q.max_abs_error <= 0.25 + 2.0**-52 * reach_sum(q) + 2.0**-54


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 30])
def test_conversion_of_single_chebyshev_polynomials(degree):
    """T_n has integer coefficients, exact in a float up to degree 30 and beyond."""
    p = Polynomial((0.0,) * degree + (1.0,))
    expected = np.polynomial.chebyshev.cheb2poly([0] * degree + [1]) if degree else [1.0]
    assert p.to_power().coefficients == tuple(expected)
    assert p.to_power().to_chebyshev() == p


def test_conversion_to_the_same_basis_is_the_identity():
    p = Polynomial((1.0, 2.0))
    assert p.to_chebyshev() is p
    assert p.to_power().to_power() == p.to_power()


def test_the_documented_cost_of_powers():
    """A function bounded by 1 on [-1, 1] written in powers: the module's three numbers are upper estimates."""
    for degree, cost in ((10, 1e-12), (20, 1e-8), (30, 1e-4)):
        p = Polynomial((0.0,) * degree + (1.0,), max_abs_error=0.0)
        q = p.to_power()
        assert 2.0**-53 * sum(abs(c) for c in q.coefficients) <= q.max_abs_error <= cost


def test_conversion_out_of_range_is_refused():
    p = Polynomial((0.0,) * 40 + (1.0,), "chebyshev", (0.0, 1e-20))
    with pytest.raises(RangeError, match="beyond the range"):
        p.to_power()


@pytest.mark.parametrize(
    ("coefficients", "parity", "odd_up_to_constant"),
    [
        ((0.0,), "even", False),
        ((3.0,), "even", False),
        ((0.0, 1.0), "odd", True),
        ((0.5, 1.0, 0.0, 2.0), "none", True),
        ((0.5, 0.0, 1.0), "even", False),
        ((0.0, 1.0, 1.0), "none", False),
        ((0.0, 1.0, 2.0**-61, 0.5), "odd", True),  # snapped
        ((0.0, 1.0, 2.0**-59, 0.5), "none", False),  # not snapped
    ],
)
def test_parity_by_exact_zeros(coefficients, parity, odd_up_to_constant):
    p = Polynomial(coefficients)
    assert p.parity == parity
    assert p.is_odd_up_to_constant == odd_up_to_constant


def test_snapping_and_trimming():
    p = Polynomial((1.0, 2.0**-70, 1.0, 2.0**-61, 0.0))
    assert p.coefficients == (1.0, 0.0, 1.0)
    assert p.degree == 2
    assert Polynomial((0.0, 0.0, -0.0)).coefficients == (0.0,)


def test_small_power_coefficients_on_wide_intervals_survive():
    """c_7 x^7 = 1 at the end of [-2^10, 2^10]: its coefficient is 2^-70 of the largest, and matters."""
    p = Polynomial((1.0, 0, 0, 0, 0, 0, 0, 2.0**-70), "power", (-1024.0, 1024.0))
    assert p.degree == 7
    assert p(1024.0) == 2.0


def test_values_of_any_shape_and_complex():
    p = Polynomial((1.0, 2.0, 3.0), "power")
    assert p(2).shape == ()
    assert p([[1, 2], [3, 4]]).tolist() == [[6.0, 17.0], [34.0, 57.0]]
    assert p(1j) == pytest.approx(1 + 2j - 3)
    u = Polynomial((0.0, 0.0, 1.0), "chebyshev", (2.0, 6.0))  # T_2((x - 4) / 2)
    assert u(np.array([2.0, 4.0, 6.0])).tolist() == [1.0, -1.0, 1.0]


def test_is_an_immutable_value():
    p = Polynomial((1.0, 2.0))
    assert p == Polynomial((1.0, 2.0, 0.0))
    assert hash(p) == hash(Polynomial((1.0, 2.0)))
    with pytest.raises(FrozenInstanceError):
        p.basis = "power"


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (((1.0,), "legendre"), ParameterError, "legendre"),
        (((),), ParameterError, "no coefficients"),
        (((1.0, math.nan),), RangeError, "coefficient 1 is nan"),
        (((1.0,), "power", (1.0, 1.0)), ParameterError, "empty"),
        (((1.0,), "power", (2.0, 1.0)), ParameterError, "reversed"),
        (((1.0,), "power", (0.0, math.inf)), RangeError, "not finite"),
        (((1.0,), "power", (-1e308, 1e308)), RangeError, "not finite"),
        (((1.0,), "power", (0.0, 1.0, 2.0)), ParameterError, "two ends"),
        (((1.0, 2j),), ParameterError, "needed real numbers"),
        (("ab",), ParameterError, "needed real numbers"),
        ((3.0,), ParameterError, "needed real numbers"),
        (((1.0,), "power", (0.0, 1.0), -1.0), RangeError, "max_abs_error"),
    ],
)
def test_invalid_polynomials_are_refused(arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        Polynomial(*arguments)
    assert isinstance(caught.value, HEError)
    assert isinstance(caught.value, ValueError)


def test_degrees_are_checked():
    assert check_degree(np.int64(3)) == 3
    for bad in (-1, 1.5, True, "3"):
        with pytest.raises(ParameterError):
            check_degree(bad)
    assert check_interval([np.float64(0), 1]) == (0.0, 1.0)
