"""Fits: published tables, the theorems that characterise each kind of fit, honest error estimates."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckks.circuits.polynomials.approximation import (
    approximate,
    chebyshev_interpolant,
    least_squares,
    logistic,
    minimax,
)
from ckks.circuits.polynomials.measure import maximum_error
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import ParameterError, RangeError

# Minimax fits of the sigmoid on [-B, B]: B -> degree -> (error, coefficients of (x/B)^1, 3, 5, 7), as text, so
# that the number of printed digits is part of the expectation.
SIGMOID = {
    4: {
        3: ("2.28e-2", "0.858146 -0.398892"),
        5: ("5.35e-3", "0.955916 -0.832809 0.364259"),
        7: ("1.26e-3", "0.987061 -1.107252 0.943477 -0.342537"),
        15: ("3.9e-6", ""),
    },
    6: {
        3: ("5.61e-2", "1.090804 -0.649397"),
        5: ("2.03e-2", "1.310686 -1.691852 0.899035"),
        7: ("7.43e-3", "1.415932 -2.682577 3.058901 -1.302161"),
        15: ("1.3e-4", ""),
    },
    8: {
        3: ("8.95e-2", "1.246647 -0.836443"),
        5: ("4.09e-2", "1.572772 -2.468421 1.436168"),
        7: ("1.89e-2", "1.764458 -4.380432 5.713779 -2.617033"),
        9: ("8.8e-3", ""),
        11: ("4.1e-3", ""),
        13: ("1.9e-3", ""),
        15: ("8.8e-4", ""),
    },
    12: {
        3: ("1.44e-1", "1.453469 -1.097598"),
        5: ("8.32e-2", "1.932212 -3.678964 2.329942"),
        7: ("4.90e-2", "2.271267 -7.376222 10.900964 -5.345014"),
        15: ("6.1e-3", ""),
    },
    16: {
        3: ("1.85e-1", "1.59314 -1.277854"),
        5: ("1.20e-1", "2.177303 -4.569187 3.011626"),
        7: ("7.95e-2", "2.623706 -9.742852 15.266486 -7.726864"),
        15: ("1.6e-2", ""),
    },
    32: {
        3: ("2.78e-1", "1.898931 -1.676748"),
        5: ("2.15e-1", "2.735155 -6.684721 4.66433"),
        7: ("1.70e-1", "3.434195 -15.684075 26.690399 -14.110559"),
        15: ("7.3e-2", ""),
    },
}

FUNCTIONS = {
    "exp": (np.exp, (-1.0, 1.0)),
    "reciprocal": (lambda x: 1 / x, (1.0, 30.0)),
    "logistic": (logistic, (-8.0, 8.0)),
    "shifted logistic": (logistic, (-3.0, 9.0)),
    "runge": (lambda x: 1 / (1 + 25 * x * x), (-1.0, 1.0)),
    "sine": (np.sin, (-3.0, 3.0)),
}


def agrees(value: float, printed: str, unit: float = 1.0) -> bool:
    """Within `unit` of the last printed digit."""
    mantissa, _, exponent = printed.partition("e")
    digits = len(mantissa.partition(".")[2])
    return abs(value - float(printed)) <= unit * 10.0 ** (int(exponent or 0) - digits)


def errors_on(f, p: Polynomial, points: int = 20011) -> np.ndarray:
    """f - p on a grid that shares no structure with the library's."""
    return f(x := np.linspace(*p.interval, points)) - p(x)


def rounding_of(f, p: Polynomial) -> float:
    """Bound on the rounding of a computed f - p: f to 3 units, Clenshaw's rule, and a rounded argument."""
    of_p = sum(2 * (k + 1) ** 2 * abs(c) for k, c in enumerate(p.coefficients))
    return 2.0**-52 * (of_p + 4 * float(np.abs(f(np.linspace(*p.interval, 101))).max()))


@pytest.mark.parametrize(("bound", "degree"), [(b, n) for b, table in SIGMOID.items() for n in table])
def test_published_minimax_sigmoids(bound, degree):
    error, coefficients = SIGMOID[bound][degree]
    p = minimax(logistic, (-bound, bound), degree)
    assert p.degree == degree
    assert p.is_odd_up_to_constant
    assert p.coefficients[0] == 0.5
    assert agrees(p.max_abs_error, error, 0.55)  # rounded when printed
    scaled = [c * bound**k for k, c in enumerate(p.to_power().coefficients)][1::2]
    for value, printed in zip(scaled, coefficients.split(), strict=False):
        assert agrees(value, printed), (value, printed)


@pytest.mark.parametrize(
    ("degree", "printed"),
    [
        (3, "1.20096 -0.81562"),
        (5, "1.530439 -2.353179 1.383798"),
        (7, "1.735165 -4.195716 5.437381 -2.509360"),
    ],
)
def test_published_least_squares_sigmoids(degree, printed):
    p = least_squares(logistic, (-8, 8), degree)
    scaled = [c * 8.0**k for k, c in enumerate(p.to_power().coefficients)][1::2]
    assert p.coefficients[0] == 0.5
    assert p.is_odd_up_to_constant
    for value, text in zip(scaled, printed.split(), strict=True):
        # the degree-3 row is the published one, derived from 3 digits in x: two units of its last digit
        assert agrees(value, text, 2.0 if degree == 3 else 1.0), (value, text)


@pytest.mark.parametrize(
    ("bound", "degree", "printed"),
    [(8, 27, "1.4e-5"), (8, 59, "6.6e-11"), (16, 27, "2.7e-3"), (16, 59, "5.2e-6"), (32, 59, "1.8e-3")],
)
def test_published_interpolation_errors(bound, degree, printed):
    assert agrees(chebyshev_interpolant(logistic, (-bound, bound), degree).max_abs_error, printed, 0.55)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("degree", [0, 1, 4, 7, 12])
def test_minimax_errors_alternate(name, degree):
    """Chebyshev's theorem: n + 2 alternating extremes of equal size, and only the best polynomial has them."""
    f, interval = FUNCTIONS[name]
    p = minimax(f, interval, degree)
    errors = errors_on(f, p)
    # a grid of 20011 points misses a smooth extreme by less than a thousandth; the rest is rounding
    level = 0.999 * np.abs(errors).max() - 2 * rounding_of(f, p)
    signs = [s for s in np.sign(np.where(np.abs(errors) >= level, errors, 0.0)) if s]
    alternations = 1 + sum(a != b for a, b in itertools.pairwise(signs))
    assert alternations >= degree + 2


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("degree", [2, 15, 40])
@pytest.mark.parametrize("fit", [minimax, chebyshev_interpolant, least_squares])
def test_the_stated_error_is_an_upper_estimate_and_a_close_one(name, degree, fit):
    f, interval = FUNCTIONS[name]
    p = fit(f, interval, degree)
    seen = float(np.abs(errors_on(f, p, 100_003)).max())
    assert seen <= p.max_abs_error
    assert p.max_abs_error <= seen * 1.001 + 4 * rounding_of(f, p)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("degree", [3, 8, 21])
def test_nothing_beats_minimax_and_interpolation_is_near(name, degree):
    f, interval = FUNCTIONS[name]
    best = minimax(f, interval, degree).max_abs_error
    interpolant = chebyshev_interpolant(f, interval, degree).max_abs_error
    floor = 1e-13  # where minimax stops improving, for functions of size up to e
    assert best <= interpolant + floor
    assert best <= least_squares(f, interval, degree).max_abs_error + floor
    assert interpolant <= (2 + 2 / math.pi * math.log(degree + 1)) * best + floor


def test_least_squares_is_the_orthogonal_projection():
    """Its error is orthogonal, with the weight, to every polynomial of the degree: integrals by mpmath."""

    def weight(x):
        return 1.0 + x * x

    p = least_squares(logistic, (-2, 3), 4, weight)
    exact = [mpmath.mpf(c) for c in p.to_power().coefficients]

    def value(x):
        return mpmath.fsum(c * x**i for i, c in enumerate(exact))

    with mpmath.workdps(25):
        for k in range(5):
            moment = mpmath.quad(
                lambda x, k=k: (1 / (1 + mpmath.exp(-x)) - value(x)) * weight(x) * x**k,
                [-2, 0, 3],
            )
            assert abs(moment) < 1e-12 * 3**k


@pytest.mark.parametrize("degree", [31, 63])
@pytest.mark.parametrize("bound", [4, 8, 32])
def test_minimax_at_high_degree(bound, degree):
    """Errors fall like rho^-n, rho = s + sqrt(s^2 + 1), s = pi / B: the sigmoid's poles are at +-i pi."""
    p = minimax(logistic, (-bound, bound), degree)
    s = math.pi / bound
    rate = (s + math.sqrt(s * s + 1)) ** -degree
    assert p.is_odd_up_to_constant
    assert p.max_abs_error <= max(2 * rate, 1e-13)


def test_minimax_stops_at_the_floor_of_double_precision_and_says_so():
    for f, degree in ((np.exp, 40), (lambda x: x**3 - x, 3), (lambda x: x**3 - x, 9), (lambda x: 2.0, 5)):
        p = minimax(f, (0, 1), degree)
        assert p.max_abs_error < 1e-13
        assert np.abs(errors_on(lambda x, f=f: f(x) + 0 * x, p)).max() <= p.max_abs_error


def test_minimax_when_the_levelled_error_starts_at_zero():
    """x^3 - x vanishes at both ends of [0, 1]: the first reference sees no error at all."""
    p = minimax(lambda x: x**3 - x, (0, 1), 0)
    assert p.max_abs_error == pytest.approx(1 / math.sqrt(27), rel=1e-5)  # half of the minimum, 2 / sqrt 27


def test_minimax_of_functions_that_are_not_smooth():
    """Best degree-2 fit of |x| is x^2 + 1/8; a step inside an interval has no fit better than half of it."""
    p = minimax(np.abs, (-1, 1), 3)
    assert p.to_power().coefficients == pytest.approx((0.125, 0.0, 1.0), abs=1e-6)
    assert p.max_abs_error == pytest.approx(0.125, rel=1e-5)
    step = chebyshev_interpolant(lambda x: np.where(x > 0.3, 1.0, 0.0), (-1, 1), 15)
    assert 0.5 <= step.max_abs_error < 1
    with pytest.raises(ParameterError, match="did not converge"):
        minimax(lambda x: np.where(x > 0.3, 1.0, 0.0), (-1, 1), 15)


@pytest.mark.parametrize("fit", [minimax, chebyshev_interpolant, least_squares])
@pytest.mark.parametrize("degree", [0, 1, 6, 7, 20])
def test_symmetric_functions_get_exact_zeros(fit, degree):
    assert fit(np.cos, (-2, 2), degree).parity == "even"
    if degree:
        assert fit(np.sin, (-2, 2), degree).parity == "odd"
        assert fit(lambda x: 1 / (1 + np.exp(-x)), (-5, 5), degree).is_odd_up_to_constant
    if degree > 2:
        assert fit(np.exp, (-2, 2), degree).parity == "none"
        assert fit(np.cos, (-2, 2.5), degree).parity == "none"


@pytest.mark.parametrize("fit", [minimax, chebyshev_interpolant, least_squares])
def test_nearly_symmetric_functions_are_not_symmetric(fit):
    p = fit(lambda x: np.sin(x) + 1e-11 * x * x, (-2, 2), 5)
    assert p.parity == "none"
    assert not p.is_odd_up_to_constant


def test_an_asymmetric_weight_breaks_the_symmetry():
    assert least_squares(np.sin, (-2, 2), 3, np.exp).parity == "none"
    assert least_squares(np.sin, (-2, 2), 3, np.cosh).parity == "odd"


@settings(max_examples=25)
@given(
    st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=1, max_size=9),
    st.sampled_from([(-1.0, 1.0), (-4.0, 4.0), (0.5, 2.0)]),
    st.sampled_from([minimax, chebyshev_interpolant, least_squares]),
)
def test_polynomials_are_reproduced(coefficients, interval, fit):
    p = Polynomial(tuple(coefficients), "chebyshev", interval)
    q = fit(p, interval, p.degree)
    size = sum(abs(c) for c in coefficients)
    # solving and evaluating at degree <= 8, with basis matrices of condition below 100
    assert np.abs(errors_on(p, q, 501)).max() <= 1e4 * 2.0**-52 * size
    assert q.max_abs_error <= 1e4 * 2.0**-52 * size


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 3), st.floats(-2, 2), st.integers(1, 9))
def test_scaling_and_shifting_the_function_scales_and_shifts_the_fit(factor, shift, degree):
    p = minimax(np.exp, (-1, 1), degree)
    q = minimax(lambda x: factor * np.exp(x) + shift, (-1, 1), degree)
    expected = [factor * c for c in p.coefficients]
    expected[0] += shift
    # both agree with the best fit to the convergence tolerance of the exchange
    assert q.coefficients == pytest.approx(expected, abs=1e-6 * factor * p.max_abs_error + 1e-13)
    assert q.max_abs_error == pytest.approx(factor * p.max_abs_error, rel=1e-5, abs=1e-13)


def test_maximum_error_finds_narrow_peaks_and_jumps():
    zero = Polynomial((0.0,))
    found = maximum_error(lambda x: np.exp(-(((x - 0.1234) / 1e-3) ** 2)), zero)
    assert found.measured == pytest.approx(1, abs=2e-6)
    assert found.measured <= 1 <= found.upper <= 1 + 1e-5
    assert found.position == pytest.approx(0.1234, abs=1e-5)
    jump = maximum_error(lambda x: np.where(x < 1 / 3, x, 0.0), zero)
    assert jump.upper == pytest.approx(1.0)  # at x = -1
    sawtooth = maximum_error(lambda x: np.where(x < 1 / 3, x + 1, 0.0), zero)
    assert sawtooth.measured <= 4 / 3 <= sawtooth.upper <= 4 / 3 + 1e-5


def test_approximate_finds_the_least_degree():
    p = approximate(logistic, (-8, 8), max_abs_error=0.002)
    assert p.degree == 13
    assert minimax(logistic, (-8, 8), 12).max_abs_error > 0.002 >= p.max_abs_error
    filled = approximate(logistic, (-8, 8), max_abs_error=0.002, fill_depth=True)
    assert filled.degree == 15
    assert filled.max_abs_error < p.max_abs_error


@pytest.mark.parametrize("method", ["minimax", "chebyshev", "least_squares"])
@pytest.mark.parametrize("wanted", [0.3, 1e-2, 1e-5])
def test_approximate_reaches_what_is_asked_and_not_with_less(method, wanted):
    fits = {"minimax": minimax, "chebyshev": chebyshev_interpolant, "least_squares": least_squares}
    p = approximate(np.exp, (-1, 1), max_abs_error=wanted, method=method)
    assert p.max_abs_error <= wanted
    assert all(fits[method](np.exp, (-1, 1), n).max_abs_error > wanted for n in range(p.degree))


def test_approximate_by_degree():
    assert approximate(np.exp, (-1, 1), degree=5) == minimax(np.exp, (-1, 1), 5)
    assert approximate(np.exp, (-1, 1), degree=5, fill_depth=True).degree == 7
    assert approximate(np.exp, (-1, 1), degree=5, method="chebyshev") == chebyshev_interpolant(np.exp, (-1, 1), 5)


def test_approximate_refuses_what_it_cannot_do():
    with pytest.raises(ParameterError, match=r"no degree up to 127 .* the best is .* at degree"):
        approximate(np.exp, (-1, 1), max_abs_error=1e-30)
    with pytest.raises(ParameterError, match=r"up to 5 .* allow a higher degree"):
        approximate(np.exp, (-1, 1), max_abs_error=1e-9, degree=5)
    with pytest.raises(ParameterError, match="no degree up to 4"):
        approximate(np.exp, (-1, 1), max_abs_error=1e-9, degree=4, method="least_squares")
    with pytest.raises(ParameterError, match="neither"):
        approximate(np.exp, (-1, 1))
    with pytest.raises(ParameterError, match="unknown method 'taylor'"):
        approximate(np.exp, (-1, 1), degree=3, method="taylor")
    with pytest.raises(RangeError, match="max_abs_error"):
        approximate(np.exp, (-1, 1), max_abs_error=0.0)


@pytest.mark.parametrize("fit", [minimax, chebyshev_interpolant, least_squares])
def test_bad_functions_and_arguments_are_named(fit):
    with pytest.raises(RangeError, match=r"the function is (nan|-?inf) at x = -?0"):
        fit(lambda x: 1 / x, (-1, 1), 4)
    with pytest.raises(RangeError, match=r"the function is nan at x = -"):
        fit(np.log, (-1, 1), 4)
    with pytest.raises(ParameterError, match="shape"):
        fit(lambda x: x[:3], (-1, 1), 4)
    with pytest.raises(ParameterError, match="complex"):
        fit(lambda x: x * 1j, (-1, 1), 4)
    for interval, error in (((1, 1), ParameterError), ((2, 1), ParameterError), ((0, math.inf), RangeError)):
        with pytest.raises(error):
            fit(np.exp, interval, 3)
    with pytest.raises(ParameterError, match="negative"):
        fit(np.exp, (0, 1), -1)


def test_bad_weights_are_named():
    with pytest.raises(RangeError, match="weight is -"):
        least_squares(np.exp, (-1, 1), 2, lambda x: x)
    with pytest.raises(ParameterError, match="positive weight"):
        least_squares(np.exp, (-1, 1), 2, lambda x: 0 * x)


def test_logistic_is_stable_and_accurate():
    assert logistic([-1e308, -800, 0, 800, 1e308]).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert logistic(np.zeros((2, 3))).shape == (2, 3)
    with mpmath.workdps(40):
        for x in np.linspace(-700, 700, 57):
            exact = 1 / (1 + mpmath.exp(-mpmath.mpf(float(x))))
            assert abs(float(logistic(x)) - exact) <= 4 * 2.0**-53 * exact
