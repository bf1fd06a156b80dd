"""Functions by name and of any callable: what is chosen, what is promised, what comes out of a decryption."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small
from plain_functions import PLAIN, plain

from ckks.circuits import Polynomial, approximate, chebyshev_interpolant
from ckks.circuits.functions.catalogue import CATALOGUE
from ckks.circuits.functions.choice import depth_of, describe, evaluate_function, fit, multiplications_of
from ckks.circuits.functions.extension import Extension
from ckks.circuits.functions.newton import Newton
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.promises import listening
from ckks.errors import ParameterError, RangeError


@cache
def kit_for(n: int, depth: int = 8) -> Kit:
    return make_kit(insecure_small(n, depth=depth, value_range=256.0), rotations=[], conjugation=False)


# ---- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE)
def test_defaults_are_as_good_as_promised(name):
    """The catalogue's error holds on points of the test's own, is not much too large."""
    assert set(PLAIN) == set(CATALOGUE)
    entry, p = CATALOGUE[name], fit(name)
    assert isinstance(p, Polynomial) and p.degree <= entry.degree and p.interval == entry.interval
    x = np.linspace(*entry.interval, 20011)
    measured = np.abs(p(x) - plain(name, x)).max()
    assert measured <= p.max_abs_error <= entry.max_abs_error <= 1.1 * measured


def test_what_is_chosen():
    """A polynomial as long as degree 127 is enough; beyond, Newton's iteration or an extension where they apply."""
    assert isinstance(fit("sigmoid", (-32, 32), max_abs_error=1e-5), Polynomial)
    assert isinstance(fit("sigmoid", (-200, 200), max_abs_error=1e-3), Extension)
    assert isinstance(fit(np.tanh, (-200, 200), max_abs_error=1e-3), Extension)
    for name in ("inverse", "inverse_sqrt", "sqrt"):
        assert isinstance(fit(name, (1.0, 4.0), max_abs_error=1e-6), Polynomial)
        way = fit(name, (1e-4, 1.0), max_abs_error=1e-6)
        assert isinstance(way, Newton) and way.kind == name
    with pytest.raises(ParameterError, match=r"no degree up to 127 .*(?s:.)*And the function still changes"):
        fit(np.exp, (-9.0, 9.0), max_abs_error=1e-12)
    with pytest.raises(ParameterError, match=r"no degree up to 127 approximates .* within 0.001 "):
        fit("relu", (-100.0, 100.0), max_abs_error=1e-3)
    with pytest.raises(ParameterError, match=r"no degree up to 15 "):
        fit("inverse", (1e-4, 1.0), degree=15, max_abs_error=1e-3)


@pytest.mark.parametrize("name", ["relu", "gelu", "softplus"])
def test_lines_plus_even_functions(name):
    """x/2 plus an even polynomial: as good as the best polynomial of any form, with fewer products."""
    interval = CATALOGUE[name].interval
    p, plain = fit(name, interval, degree=31), approximate(CATALOGUE[name].f, interval, degree=31)
    assert not any(p.coefficients[3::2]) and p.coefficients[1] == interval[1] / 2
    assert p.max_abs_error <= plain.max_abs_error * (1 + 1e-5)
    assert multiplications_of(p) < multiplications_of(plain)
    line = fit(lambda x: 3 * x + 1, (-2, 2), max_abs_error=1e-9)
    assert line.degree == 1 and line.max_abs_error < 1e-12
    np.testing.assert_allclose(line([-2.0, 0.5]), [-5.0, 2.5])


def test_fits_are_kept():
    def f(x):
        return x * np.exp(-x)

    assert fit(f, (0, 10), degree=9) is fit(f, (0.0, 10.0), degree=9)
    assert fit("tanh", (-3, 3), max_abs_error=1e-3) is fit("tanh", [-3, 3], max_abs_error=1e-3)
    assert fit("tanh", (-3, 3), max_abs_error=1e-3) == approximate(np.tanh, (-3, 3), max_abs_error=1e-3)
    assert fit("exp", (-3, 3), degree=5) == approximate(np.exp, (-3, 3), degree=5)


def test_descriptions():
    assert describe(fit("sigmoid")) == (
        "polynomial of degree 7: 3 levels, 5 products, off by at most 0.019 on [-8, 8]; a level more where x is no "
        "linear form"
    )
    text = describe(fit("sigmoid", (-200, 200), max_abs_error=1e-3))
    assert re.search(r"^\d cubics .* no polynomial of degree up to 127 .*: \d+ levels, \d+ products", text)
    text = describe(fit("inverse", (1e-4, 1.0), max_abs_error=1e-6))
    assert re.search(r"degree 127 and \d Newton steps, as no polynomial .*: \d+ levels, \d+ products", text)
    assert "unknown error" in describe(Polynomial((0.0, 1.0)))


@pytest.mark.parametrize(
    ("wish", "kind", "message"),
    [
        (dict(f="sine"), ParameterError, "no function named 'sine'; there are sigmoid, tanh"),
        (dict(f=np.sin), ParameterError, "no default interval"),
        (dict(f=np.sin, interval=(0.0, 1.0)), ParameterError, "neither degree nor max_abs_error"),
        (dict(f="log", interval=(0.0, 1.0)), RangeError, "the function is -inf at x = 0.0"),
        (dict(f="tanh", interval=(1.0, 0.0)), ParameterError, "reversed"),
        (dict(f="tanh", interval=(0.0, float("inf"))), RangeError, "not finite"),
        (dict(f="tanh", degree=-1), ParameterError, "negative"),
        (dict(f="tanh", interval=-3), ParameterError, "reversed"),
        (dict(f="tanh", interval=0), ParameterError, "empty"),
        (dict(f="tanh", interval=(1.0, 1.0)), ParameterError, "empty"),
        (dict(f="tanh", interval=(0.0, 1.0, 2.0)), ParameterError, "two ends, got 3"),
        (dict(f="tanh", interval=float("nan")), RangeError, "not finite"),
        (dict(f="tanh", interval="wide"), ParameterError, "no interval: 'wide'; pass .lower, upper., or B"),
        (dict(f="tanh", interval=(0, "x")), ParameterError, "no interval"),
        (dict(f="tanh", interval=((0, 1), 2)), ParameterError, "no interval"),
        (dict(f="tanh", interval=[[0, 1]]), ParameterError, "no interval"),
        (dict(f="tanh", interval=True), ParameterError, "no interval"),
        (dict(f="tanh", degree=2.5), ParameterError, "a degree is an integer, got 2.5"),
        (dict(f="tanh", degree=np.array([3])), ParameterError, "a degree is an integer"),
        (dict(f="tanh", max_abs_error=0), RangeError, "max_abs_error is 0"),
        (dict(f="tanh", max_abs_error=float("nan")), RangeError, "max_abs_error is nan"),
        (dict(f="tanh", max_abs_error="small"), RangeError, "max_abs_error is small"),
        (dict(f=3, interval=1.0), ParameterError, "3 is no function; .* one of sigmoid, tanh"),
        (dict(f=None), ParameterError, "None is no function"),
        (dict(f="tanh", max_abs_error=-1.0), RangeError, "max_abs_error"),
        (dict(f=lambda x: x[:3], interval=(0.0, 1.0), degree=3), ParameterError, "elementwise"),
    ],
)
def test_wishes_that_cannot_be_met(wish, kind, message):
    with pytest.raises(kind, match=message):
        fit(**wish)


def test_a_number_is_an_interval():
    """B stands for (-B, B), wherever an interval is asked for."""
    assert fit("sigmoid", 8) == fit("sigmoid", (-8, 8)) == fit("sigmoid", np.float32(8)) == fit("sigmoid", np.array(8))
    assert fit("sigmoid", np.array([-8, 8])) == fit("sigmoid", (-8, 8))
    assert fit("sigmoid", degree=0).degree == 0
    assert approximate(np.tanh, 3, degree=5) == approximate(np.tanh, (-3, 3), degree=5)
    assert Polynomial((1.0, 2.0), interval=3).interval == (-3.0, 3.0)


def test_approximations_are_told_from_their_names():
    kit = kit_for(64)
    for wrong in ("tanh", np.tanh, 3):
        with pytest.raises(ParameterError, match="is no approximation; needed what `fit"):
            evaluate_function(kit.evaluator, kit.encrypt([1.0]), wrong)
    with pytest.raises(ParameterError, match="'tanh' is no function; pass a callable"):
        approximate("tanh", 3, degree=5)


# ---- encrypted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "wide", "inverse"])
def test_promises_begin_with_the_interval(name):
    kit = kit_for(64, 12)
    chosen = {
        "tanh": lambda: fit("tanh"),
        "wide": lambda: fit("tanh", (-100, 100), max_abs_error=1e-2),
        "inverse": lambda: Newton("inverse", approximate(lambda x: 1 / x, (0.1, 2.0), degree=7), 1),
    }[name]()
    with listening() as found:
        evaluate_function(kit.evaluator, kit.encrypt([1.0]), chosen)
    assert found[0].interval == chosen.interval and not found[0].proven


def test_costs():
    p = fit("relu")
    assert (depth_of(p), multiplications_of(p)) == (5, evaluation_plan(p).multiplications)
    wide = fit("sigmoid", (-200, 200), max_abs_error=1e-3)
    assert depth_of(wide) == 2 * wide.steps + depth_of(wide.base)
    assert multiplications_of(wide) == 2 * wide.steps + multiplications_of(wide.base)


def test_figures_of_the_guide():
    """What it says of a sigmoid on [-200, 200]."""
    wide = fit("sigmoid", (-200, 200), max_abs_error=1e-3)
    assert (depth_of(wide), multiplications_of(wide)) == (10, 21)
    direct = chebyshev_interpolant(CATALOGUE["sigmoid"].f, (-200, 200), 511)
    assert 1e-4 < direct.max_abs_error < 2.5e-4
    assert (depth_of(direct), multiplications_of(direct)) == (9, 42)
