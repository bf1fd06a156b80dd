"""Functions by name and of any callable: what is chosen, what is promised, what comes out of a decryption."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import EncryptedVector, error_bound, expected_error, functions
from ckks.circuits import Polynomial, approximate, chebyshev_interpolant
from ckks.circuits.functions.catalogue import CATALOGUE
from ckks.circuits.functions.choice import depth_of, describe, evaluate_function, fit, multiplications_of
from ckks.circuits.functions.extension import Extension
from ckks.circuits.functions.newton import Newton
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.promises import listening
from ckks.errors import LevelError, ParameterError, RangeError

NAIVE = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "exp": math.exp,
    "log": math.log,
    "inverse": lambda x: 1 / x,
    "sqrt": math.sqrt,
    "inverse_sqrt": lambda x: x**-0.5,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def naive(name: str, x: np.ndarray) -> np.ndarray:
    return np.array([NAIVE[name](float(v)) for v in x.ravel()]).reshape(x.shape)


@cache
def kit_for(n: int, depth: int = 8) -> Kit:
    return make_kit(insecure_small(n, depth=depth, value_range=256.0), rotations=[], conjugation=False)


def vector(kit: Kit, x: np.ndarray, level: int | None = None) -> EncryptedVector:
    return EncryptedVector(kit.encrypt(x, level=level), kit.evaluator)


# ---- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE)
def test_defaults_are_as_good_as_promised(name):
    """The catalogue's error holds on points of the test's own, is not twice too large, and the docstring repeats it."""
    assert set(NAIVE) == set(CATALOGUE)
    entry, p = CATALOGUE[name], fit(name)
    assert isinstance(p, Polynomial) and p.degree <= entry.degree and p.interval == entry.interval
    x = np.linspace(*entry.interval, 20011)
    measured = np.abs(p(x) - naive(name, x)).max()
    assert measured <= p.max_abs_error <= entry.max_abs_error <= 1.1 * measured
    said = re.search(
        r"on \(([-\d.]+), ([\d.]+)\), off by at most ([\d.e-]+) \(degree (\d+), (\d) levels\)",
        getattr(functions, name).__doc__,
    )
    assert (float(said[1]), float(said[2])) == entry.interval
    assert (float(said[3]), int(said[4]), int(said[5])) == (entry.max_abs_error, entry.degree, depth_of(p))


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
        (dict(f="tanh", max_abs_error=-1.0), RangeError, "max_abs_error"),
        (dict(f=lambda x: x[:3], interval=(0.0, 1.0), degree=3), ParameterError, "elementwise"),
    ],
)
def test_wishes_that_cannot_be_met(wish, kind, message):
    with pytest.raises(kind, match=message):
        fit(**wish)


# ---- encrypted -------------------------------------------------------------------------------------------------------


def adversarial(interval: tuple[float, float], n: int) -> dict[str, np.ndarray]:
    a, b = interval
    spike = np.full(n, b)
    spike[3] = a
    middle = 0.0 if a < 0 else (a + b) / 2
    return {
        "left end": np.full(n, a),
        "right end": np.full(n, b),
        "middle": np.full(n, middle),
        "spike": spike,
        "spread": np.linspace(a, b, n),
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_function_on_adversarial_inputs(name):
    """Against the naive function: the fit's error and the bound together; and against the fit: 7 times what is expected."""
    kit, p = kit_for(512), fit(name)
    for case, x in adversarial(p.interval, 256).items():
        result = getattr(functions, name)(vector(kit, x))
        decrypted, ct = kit.decrypt(result), result.ciphertext
        assert ct.level == 8 - 1 - depth_of(p), case
        assert np.abs(decrypted - naive(name, x)).max() <= CATALOGUE[name].max_abs_error + error_bound(ct), case
        assert np.abs(decrypted - p(x)).max() <= 7 * expected_error(ct), case
        assert np.sqrt(np.mean((decrypted - p(x)) ** 2)) <= expected_error(ct), case


@pytest.mark.parametrize(
    ("name", "interval", "error"),
    [("sigmoid", (-150.0, 150.0), 5e-3), ("inverse", (0.01, 1.0), 1e-1), ("tanh", (-3.0, 3.0), 1e-3)],
)
def test_intervals_are_folded_into_linear_forms(name, interval, error):
    """weights @ x takes one level, the function its own depth, the interval none; all kinds of approximation alike."""
    kit = kit_for(64, 12)
    g = np.random.default_rng(1)
    a, b = interval
    features, weights = g.uniform(-1, 1, (3, 32)), np.array([0.5, 0.3, 0.2]) * (b - a) / 2
    scores = weights @ features + (a + b) / 2
    chosen = (
        Newton("inverse", approximate(lambda x: 1 / x, interval, degree=31), 1)
        if name == "inverse"
        else fit(name, interval, max_abs_error=error)
    )
    assert isinstance(chosen, {"sigmoid": Extension, "inverse": Newton, "tanh": Polynomial}[name])
    result = functions.function(weights @ vector(kit, features) + (a + b) / 2, chosen)
    assert result.ciphertext.level == 12 - 1 - depth_of(chosen)
    assert kit.error(result.ciphertext, chosen(scores)) <= error_bound(result.ciphertext)


def test_functions_of_ones_own():
    kit = kit_for(64)
    x = np.linspace(0, 10, 32)
    result = functions.function(vector(kit, x), lambda v: v * np.exp(-v), interval=(0, 10), max_abs_error=1e-3)
    assert np.abs(kit.decrypt(result) - x * np.exp(-x)).max() <= 1e-3 + error_bound(result.ciphertext)
    even = functions.function(vector(kit, x / 10), np.cos, interval=1, degree=7)
    assert np.abs(kit.decrypt(even) - np.cos(x / 10)).max() <= 1e-6


def test_several_and_by_column():
    kit = kit_for(64)
    x = np.linspace(-4, 4, 32)
    chosen = [fit("tanh", (-4, 4), degree=15), fit("relu", (-4, 4), degree=15)]
    both = functions.polynomials(vector(kit, x), chosen)
    for p, result in zip(chosen, both, strict=True):
        assert kit.error(result.ciphertext, p(x)) <= error_bound(result.ciphertext)
    column = np.arange(32) % 2
    result = functions.per_slot(vector(kit, x), chosen, column)
    assert kit.error(result.ciphertext, np.where(column, chosen[1](x), chosen[0](x))) <= error_bound(result.ciphertext)


def test_several_of_a_linear_form():
    """The interval is folded into the weights here too: one level for them, four for degree 15."""
    kit = kit_for(64)
    features = np.random.default_rng(2).uniform(-1, 1, (3, 32))
    weights, x = np.array([2.0, 1.0, 0.5]), vector(kit, features)
    scores = weights @ features + 0.25
    chosen = [fit("tanh", (-4, 4), degree=15), fit("relu", (-4, 4), degree=15)]
    column = np.arange(32) % 2
    wanted = [p(scores) for p in chosen]
    results = [
        *functions.polynomials(weights @ x + 0.25, chosen),
        functions.per_slot(weights @ x + 0.25, chosen, column),
    ]
    for result, values in zip(results, [*wanted, np.where(column, wanted[1], wanted[0])], strict=True):
        assert result.ciphertext.level == 8 - 1 - 4
        assert kit.error(result.ciphertext, values) <= error_bound(result.ciphertext)


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


def test_levels_are_named_before_any_work():
    kit = kit_for(64)
    with pytest.raises(LevelError, match="needs 6 levels, the ciphertext has 5"):
        functions.relu(vector(kit, np.zeros(8), level=5))
    functions.relu(vector(kit, np.zeros(8), level=6))


def test_costs():
    p = fit("relu")
    assert (depth_of(p), multiplications_of(p)) == (5, evaluation_plan(p).multiplications)
    wide = fit("sigmoid", (-200, 200), max_abs_error=1e-3)
    assert depth_of(wide) == 2 * wide.steps + depth_of(wide.base)
    assert multiplications_of(wide) == 2 * wide.steps + multiplications_of(wide.base)


def test_the_guide_runs(capsys):
    """The snippet of docs/functions.md, as it stands there."""
    page = Path(__file__).resolve().parents[2] / "docs" / "functions.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    kit = kit_for(64, 12)
    space = {"x": vector(kit, np.linspace(0, 1, 96).reshape(3, 32)), "weights": np.array([1.0, 2.0, -1.0]), "bias": 0.5}
    exec(code, space)
    assert capsys.readouterr().out == describe(space["chosen"]) + "\n"
    wanted = naive("sigmoid", np.linspace(0, 1, 96).reshape(3, 32))
    assert kit.error(space["score"].ciphertext, wanted) <= 1e-3 + error_bound(space["score"].ciphertext)


def test_figures_of_the_guide():
    """What it says of a sigmoid on [-200, 200]."""
    wide = fit("sigmoid", (-200, 200), max_abs_error=1e-3)
    assert (depth_of(wide), multiplications_of(wide)) == (10, 21)
    direct = chebyshev_interpolant(CATALOGUE["sigmoid"].f, (-200, 200), 511)
    assert 1e-4 < direct.max_abs_error < 2.5e-4
    assert (depth_of(direct), multiplications_of(direct)) == (9, 42)
