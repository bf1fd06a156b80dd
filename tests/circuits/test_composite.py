"""Composites for the sign: best odd polynomials, what their composition is certain of, and how few levels it takes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from ckks.circuits import Polynomial, evaluation_plan
from ckks.circuits.comparison.composite import (
    Composite,
    classical_composite,
    compose,
    default_margin,
    minimax_composite,
)
from ckks.circuits.comparison.degrees import stage_margin
from ckks.circuits.comparison.odd_minimax import LEAST_ERROR, asymptotic_error, least_degree, odd_minimax, value_range
from ckks.circuits.polynomials.plan import execute
from ckks.errors import ParameterError, RangeError

ULP = 2.0**-40
"""Far above what double precision loses in these evaluations (2^-52 times a few hundred), far below all errors asked."""


def exactly(coefficients: tuple[float, ...], x: float) -> float:
    """sum_k c_k T_k(x) in fractions, by T_{k+1} = 2 x T_k - T_{k-1}; rounded once."""
    u, before, now, total = Fraction(x), Fraction(1), Fraction(x), Fraction(coefficients[0])
    for c in coefficients[1:]:
        total += Fraction(c) * now
        before, now = now, 2 * u * now - before
    return float(total)


def dense(low: float, high: float, count: int) -> np.ndarray:
    """Points in equal ratios and in equal steps, both ends among them, and their neighbours."""
    x = np.concatenate([np.geomspace(low, high, count), np.linspace(low, high, count)])
    x = np.concatenate([x, [low, np.nextafter(low, 1), high, np.nextafter(high, 0)]])
    return np.clip(x, low, high)


# ---- the best odd polynomial -----------------------------------------------------------------------------------------

INTERVALS = [(2.0**-20, 1.0), (2.0**-12, 1.0 + 2.0**-17), (2.0**-6, 1.0), (0.1, 1.0), (0.5, 1.001), (0.9, 1.0)]


@pytest.mark.parametrize("degree", [1, 3, 5, 7, 9, 13, 15, 27, 31, 63])
@pytest.mark.parametrize("interval", INTERVALS, ids=str)
def test_alternation(interval, degree):
    """Best exactly if the error takes its largest size k + 1 times with alternating signs ((degree + 1)/2 = k)."""
    low, high = interval
    fit = odd_minimax(low, high, degree)
    x = np.sort(dense(low, high, 4000))
    d = 1 - chebyshev.chebval(x, np.array(fit.coefficients))
    assert np.abs(d).max() <= fit.max_abs_error
    assert not any(fit.coefficients[0::2])
    if fit.max_abs_error <= 16 * LEAST_ERROR:
        return  # at the floor of double precision no sign is reliable
    large = d[np.abs(d) >= 0.99 * fit.max_abs_error]  # the grid misses an extreme by less than that
    alternations = 1 + int((np.sign(large[1:]) != np.sign(large[:-1])).sum())
    assert alternations == (degree + 1) // 2 + 1
    assert fit.levelled <= fit.max_abs_error <= fit.levelled * (1 + 2.0**-10)


@pytest.mark.parametrize("low", [2.0**-30, 2.0**-10, 0.3, 0.99])
def test_degree_one_is_known(low):
    """c x is best where it is as much below 1 at `low` as above at 1."""
    fit = odd_minimax(low, 1.0, 1)
    assert fit.coefficients[1] == pytest.approx(2 / (1 + low), rel=1e-12)
    assert fit.max_abs_error == pytest.approx((1 - low) / (1 + low), abs=1e-12)


@pytest.mark.parametrize("degree", [3, 7, 15, 31, 63])
@pytest.mark.parametrize("low", [2.0**-16, 2.0**-4, 0.5])
def test_undecided_values_rise_and_stay_inside(low, degree):
    fit = odd_minimax(low, 1.0, degree)
    x = np.linspace(0.0, low, 1000)
    p = chebyshev.chebval(x, np.array(fit.coefficients))
    assert (np.diff(p) > -1e-14).all() and p[0] == 0
    bottom, top = value_range(fit.coefficients, 0.0, 1.0)
    assert -1e-12 <= bottom and top <= 1 + fit.max_abs_error + 1e-12


@pytest.mark.parametrize(("low", "degree"), [(0.05, 63), (0.1, 31), (0.2, 27), (0.3, 25), (0.5, 31)])
def test_the_formula_for_large_degrees(low, degree):
    """Up to 15 % too much from low m = 1 on, which is what the search and the figures in the pages lean on."""
    assert 1.0 <= asymptotic_error(low, degree) / odd_minimax(low, 1.0, degree).max_abs_error <= 1.15


def test_least_degree():
    for low, error in ((0.1, 0.02), (0.3, 1e-5), (0.5, 1e-8)):
        n = least_degree(low, error)
        assert n % 2 == 1
        assert asymptotic_error(low, n) <= error < asymptotic_error(low, n - 2)
        assert odd_minimax(low, 1.0, n).max_abs_error <= error <= 1.15 * odd_minimax(low, 1.0, n - 2).max_abs_error


@pytest.mark.parametrize("bad", [(0.0, 1.0, 3), (-0.5, 1.0, 3), (0.5, 0.5, 3), (0.5, 3.0, 3)])
def test_bad_intervals(bad):
    with pytest.raises(RangeError, match="interval"):
        odd_minimax(*bad)


@pytest.mark.parametrize("degree", [-1, 0, 2, 30, 129])
def test_bad_degrees(degree):
    with pytest.raises(ParameterError, match="odd"):
        odd_minimax(0.5, 1.0, degree)


# ---- composites --------------------------------------------------------------------------------------------------------

CASES = [
    (1, 2.0**-10),
    (4, 2.0**-20),
    (8, 2.0**-20),
    (8, 2.0**-35),
    (12, 2.0**-20),
    (16, 2.0**-20),
    (20, 2.0**-6),
    (30, 2.0**-10),
    (6, 2.0**-40),
]


def worst(composite: Composite, x: np.ndarray, share: float, *, exact: bool) -> float:
    """Largest distance to 1 when each stage's argument is off by a share of its margin, up or down, in all ways."""
    found = 0.0
    for signs in itertools.product((-1, 1), repeat=len(composite.stages)):
        value = x
        for sign, stage, margin in zip(signs, composite.stages, composite.margins, strict=True):
            moved = value + sign * share * margin
            value = np.array([exactly(stage.coefficients, v) for v in moved]) if exact else stage(moved)
        found = max(found, float(np.abs(value - composite.values[1]).max()))
    return found


@pytest.mark.parametrize(("bits", "error"), CASES)
def test_decided_values(bits, error):
    """Within the stated error over all of [2^-bits, 1], with noise of the margin's size at every stage."""
    c = minimax_composite(2.0**-bits, error)
    assert c.resolution == 2.0**-bits and c.max_abs_error <= error
    x = dense(c.resolution, 1.0, 2000)
    assert np.abs(c(x) - 1).max() <= c.max_abs_error
    assert np.abs(c(-x) + 1).max() <= c.max_abs_error
    assert worst(c, x, 1.0, exact=False) <= c.max_abs_error + ULP
    # Not more than it has to be: the error is reached, margins included.
    assert worst(c, x, 1.0, exact=False) >= 0.5 * c.max_abs_error


@pytest.mark.parametrize(("bits", "error"), [(4, 2.0**-20), (8, 2.0**-30)])
def test_decided_values_in_exact_arithmetic(bits, error):
    c = minimax_composite(2.0**-bits, error)
    x = dense(c.resolution, 1.0, 25)
    assert worst(c, x, 1.0, exact=True) <= c.max_abs_error + ULP
    assert worst(c, x, 0.0, exact=True) <= c.max_abs_error


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_undecided_values(bits):
    """Odd, rising until the value is within the error, inside [-1, 1] up to it: a tie is 0, exactly."""
    c = minimax_composite(2.0**-bits)
    x = np.linspace(0.0, c.resolution, 3000)
    assert c(0.0) == 0.0
    rising = int(np.argmax(c(x) >= 1 - c.max_abs_error))
    assert rising > 2000
    assert (np.diff(c(x[:rising])) > 0).all()
    assert np.abs(c(np.linspace(-1, 1, 20001))).max() <= 1 + c.max_abs_error
    np.testing.assert_array_equal(c(-x), -c(x))


@pytest.mark.parametrize("degrees", [(3, 5, 7), (3, 5, 7, 9, 11, 13, 15)])
@pytest.mark.parametrize(("bits", "error"), [(2, 2.0**-8), (3, 2.0**-12), (5, 2.0**-10)])
def test_the_search_finds_the_best(bits, error, degrees):
    """Against all sequences of these degrees, one after the other."""
    found, costs = [], {}
    for d in degrees:
        plan = evaluation_plan(Polynomial(odd_minimax(0.3, 1.0, d).coefficients))
        costs[d] = np.array([plan.depth, plan.cost])
    best = minimax_composite(2.0**-bits, error, largest_degree=degrees[-1])
    reached = (best.depth, sum(plan.cost for plan in best.plans))

    def follow(low, path, spent):
        margin = stage_margin(default_margin(2.0**-bits), low)
        for d in degrees:
            total = spent + costs[d]
            if tuple(total) > reached:
                continue
            e = odd_minimax(low - margin, 1 + margin, d).max_abs_error
            if e <= error:
                found.append((tuple(total), (*path, d)))
            elif (1 - e) / (1 + e) > 2 * margin:
                follow((1 - e) / (1 + e), (*path, d), total)

    follow(2.0**-bits, (), np.zeros(2, dtype=int))
    assert min(found)[0] == reached


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_what_undecided_values_lose(bits):
    """x sign(x) against |x|, with noise of the margin's size at every stage: a ninth of the resolution."""
    c = minimax_composite(2.0**-bits)
    x = dense(c.resolution * 1e-3, 1.0, 4000)
    noisy = x
    for stage, margin in zip(c.stages, c.margins, strict=True):
        noisy = stage(noisy - margin)
    reached = (x * (1 - noisy)).max()
    assert reached <= c.loss + ULP and c.loss <= 1.01 * reached + c.max_abs_error
    assert c.loss <= max(c.resolution / 9, c.max_abs_error)
    assert c.affine(0.5, 0.0).loss == pytest.approx(c.loss, rel=1e-9) == c.affine(-3.0, 1.0).loss


DEPTHS = {4: 9, 8: 13, 12: 17, 16: 21, 20: 25}
"""Levels at error 2^-20: what the pages say; a change is a change of the table."""


@pytest.mark.parametrize("bits", DEPTHS)
def test_depths(bits):
    """Within 2 of what any circuit needs, and a quarter below small fixed polynomials."""
    c = minimax_composite(2.0**-bits)
    assert c.depth == DEPTHS[bits]
    assert c.depth == sum(math.ceil(math.log2(d + 1)) for d in c.degrees)
    bound = math.ceil(math.log2(least_degree(2.0**-bits, 2.0**-20)))
    assert bound <= c.depth <= bound + 2
    assert c.depth <= 0.75 * classical_composite(2.0**-bits).depth


@pytest.mark.parametrize("error", [2.0**-6, 2.0**-12, 2.0**-20, 2.0**-30])
def test_finer_is_never_cheaper(error):
    depths = [minimax_composite(2.0**-bits, error).depth for bits in range(1, 13)]
    assert depths == sorted(depths)


def test_plans_compute_the_stages():
    c = minimax_composite(2.0**-8)
    x = dense(c.resolution, 1.0, 50)
    value = x
    for plan in c.plans:
        value = execute(plan, value)
    np.testing.assert_allclose(value, c(x), atol=1e-9)
    assert c.products == sum(plan.multiplications for plan in c.plans) >= c.key_switches


def test_folded_maps_cost_nothing():
    c = minimax_composite(2.0**-6)
    s, x = c.step(), np.linspace(-1, 1, 401)
    np.testing.assert_allclose(s(x), (c(x) + 1) / 2, atol=1e-12)
    assert (
        s.values == (0.0, 1.0)
        and s.max_abs_error == c.max_abs_error / 2
        and s.depth == c.depth
        and s.products == c.products
    )
    assert worst(s, dense(c.resolution, 1.0, 500), 1.0, exact=False) <= s.max_abs_error + ULP
    t = c.affine(-3.0, 1.0)
    np.testing.assert_allclose(t(x), 1 - 3 * c(x), atol=1e-12)
    assert t.values == (4.0, -2.0) and t.max_abs_error == 3 * c.max_abs_error
    for factor, constant in ((0.0, 1.0), (math.nan, 0.0), (1.0, math.inf)):
        with pytest.raises(RangeError, match="finite"):
            c.affine(factor, constant)


# ---- fixed polynomials -----------------------------------------------------------------------------------------------

CLASSICAL = {8: 6, 12: 8, 16: 10}
"""Number of g_3 and f_3 together for error 2^-20."""


@pytest.mark.parametrize("bits", CLASSICAL)
def test_classical_composites(bits):
    c = classical_composite(2.0**-bits)
    assert c.degrees == (7,) * CLASSICAL[bits] and c.depth == 3 * CLASSICAL[bits]
    count = c.stages.count(c.stages[0])
    assert c.stages == (c.stages[0],) * count + (c.stages[-1],) * (len(c.stages) - count)
    assert worst(c, dense(c.resolution, 1.0, 300), 1.0, exact=False) <= c.max_abs_error + ULP <= 2.0**-20


@pytest.mark.parametrize("n", [1, 3, 4])
def test_classical_polynomials(n):
    """f_n(1) = 1 with n flat derivatives; both map [0, 1] into it."""
    c = classical_composite(2.0**-6, n=n)
    f, g = c.stages[-1].to_power(), c.stages[0].to_power()
    assert f.degree == g.degree == 2 * n + 1
    p = np.polynomial.Polynomial(f.coefficients)
    assert p(1.0) == pytest.approx(1.0, abs=1e-12)
    for order in range(1, n + 1):
        assert p.deriv(order)(1.0) == pytest.approx(0.0, abs=1e-9)
    x = np.linspace(0, 1, 10001)
    for q in (f, g):
        assert q(x).min() >= 0 and q(x).max() <= 1 + 1e-12
    assert g.coefficients[1] > f.coefficients[1]  # the steeper start is what g is for


def test_own_stages():
    """Any odd polynomials: the error is measured; what would leave [-1, 1] is refused."""
    f = Polynomial((0.0, 1.5, 0.0, -0.5), "power").to_chebyshev()
    c = compose([f] * 6, 0.25, margin=0.0)
    x = dense(0.25, 1.0, 500)
    assert np.abs(c(x) - 1).max() <= c.max_abs_error <= worst(c, x, 1.0, exact=False) * 1.01 + ULP
    with pytest.raises(ParameterError, match="stage 0 maps"):
        compose([Polynomial((0.0, 1.2)), f], 0.25)
    with pytest.raises(ParameterError, match="margin"):
        compose([Polynomial((0.0, 1e-3)), f], 0.25)
    with pytest.raises(ParameterError, match="no odd polynomial"):
        compose([Polynomial((0.1, 0.5))], 0.25)
    with pytest.raises(ParameterError, match="no odd polynomial"):
        compose([Polynomial((0.0, 0.5), interval=(-2.0, 2.0))], 0.25)
    with pytest.raises(ParameterError, match="at least one"):
        compose([], 0.25)


@pytest.mark.parametrize("resolution", [0.75, 2.0**-33, math.nan, -0.1, 0.0, 12])
def test_bad_resolution(resolution):
    """Among others a number of bits, which it is not."""
    f = Polynomial((0.0, 1.5, 0.0, -0.5), "power").to_chebyshev()
    for make in (minimax_composite, classical_composite, lambda t: compose([f] * 6, t)):
        with pytest.raises(RangeError, match="resolution"):
            make(resolution)


def test_the_margin_is_a_share_of_the_resolution():
    assert default_margin(2.0**-8) == 2.0**-13 == minimax_composite(2.0**-8).margin
    assert default_margin(0.25) == 2.0**-10


def test_bad_arguments():
    for error in (0.6, 2.0**-41, 0.0, math.nan):
        with pytest.raises(RangeError, match="error"):
            minimax_composite(2.0**-8, error)
    for margin in (-1e-9, 2.0**-9, math.nan):
        with pytest.raises(RangeError, match="margin"):
            minimax_composite(2.0**-8, margin=margin)
    for degree in (1, 8, 65):
        with pytest.raises(RangeError, match="degree"):
            minimax_composite(2.0**-8, largest_degree=degree)
    with pytest.raises(ParameterError, match="n is 2"):
        classical_composite(2.0**-8, n=2)


def test_margins_that_cannot_be_met():
    """With degree 3 alone the last stage leaves about the square of the margin."""
    with pytest.raises(ParameterError, match="margin"):
        minimax_composite(2.0**-2, 2.0**-30, margin=2.0**-6, largest_degree=3)
