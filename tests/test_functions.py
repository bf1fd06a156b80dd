"""`ckks.functions`: what comes out of a decryption, what it costs in levels, and what a wrong argument is told."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small
from plain_functions import plain

from ckks import EncryptedVector, error_bound, expected_error, functions, polynomial
from ckks.circuits import Polynomial, approximate
from ckks.circuits.functions.catalogue import CATALOGUE
from ckks.circuits.functions.choice import depth_of, describe, fit
from ckks.circuits.functions.extension import Extension
from ckks.circuits.functions.newton import Newton
from ckks.errors import LevelError, ParameterError


@cache
def kit_for(n: int, depth: int = 8) -> Kit:
    return make_kit(insecure_small(n, depth=depth, value_range=256.0), rotations=[], conjugation=False)


def vector(kit: Kit, x: np.ndarray, level: int | None = None) -> EncryptedVector:
    return EncryptedVector(kit.encrypt(x, level=level), kit.evaluator)


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
def test_docstrings_repeat_the_catalogue(name):
    entry = CATALOGUE[name]
    said = re.search(
        r"on \(([-\d.]+), ([\d.]+)\), off by at most ([\d.e-]+) \(degree (\d+), (\d) levels\)",
        getattr(functions, name).__doc__,
    )
    assert (float(said[1]), float(said[2])) == entry.interval
    assert (float(said[3]), int(said[4]), int(said[5])) == (entry.max_abs_error, entry.degree, depth_of(fit(name)))


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_function_on_adversarial_inputs(name):
    """Against the naive function: the fit's error and the bound together; and against the fit: 7 times what is expected."""
    kit, p = kit_for(512), fit(name)
    for case, x in adversarial(p.interval, 256).items():
        result = getattr(functions, name)(vector(kit, x))
        decrypted, ct = kit.decrypt(result), result.ciphertext
        assert ct.level == 8 - 1 - depth_of(p), case
        assert np.abs(decrypted - plain(name, x)).max() <= CATALOGUE[name].max_abs_error + error_bound(ct), case
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


def test_levels_are_named_before_any_work():
    kit = kit_for(64)
    with pytest.raises(LevelError, match="needs 6 levels, the ciphertext has 5"):
        functions.relu(vector(kit, np.zeros(8), level=5))
    functions.relu(vector(kit, np.zeros(8), level=6))


def test_the_guide_runs(capsys):
    """The snippet of docs/functions.md, as it stands there."""
    page = Path(__file__).resolve().parents[1] / "docs" / "functions.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    kit = kit_for(64, 12)
    space = {"x": vector(kit, np.linspace(0, 1, 96).reshape(3, 32)), "weights": np.array([1.0, 2.0, -1.0]), "bias": 0.5}
    exec(code, space)
    assert capsys.readouterr().out == describe(space["chosen"]) + "\n"
    wanted = plain("sigmoid", np.linspace(0, 1, 96).reshape(3, 32))
    assert kit.error(space["score"].ciphertext, wanted) <= 1e-3 + error_bound(space["score"].ciphertext)


@pytest.mark.parametrize("what", ["array", "number", "ciphertext"])
@pytest.mark.parametrize("name", [*CATALOGUE, "function", "polynomials", "per_slot", "polynomial"])
def test_anything_but_a_vector_is_told_how_to_become_one(name, what):
    kit, p = kit_for(64), Polynomial((0.0, 1.0))
    x = {"array": np.ones(4), "number": 1.0, "ciphertext": kit.encrypt(np.ones(4))}[what]
    call = {
        "function": lambda: functions.function(x, p),
        "polynomials": lambda: functions.polynomials(x, [p]),
        "per_slot": lambda: functions.per_slot(x, [p], [0, 0, 0, 0]),
        "polynomial": lambda: polynomial(x, p),
    }.get(name, lambda: getattr(functions, name)(x))
    remedy = "ciphertext" if what == "ciphertext" else r"encryptor.encrypt\(values\)"
    with pytest.raises(TypeError, match=rf"found {type(x).__name__}, .*EncryptedVector\({remedy}, evaluator\)"):
        call()


def test_anything_but_an_approximation():
    x = vector(kit_for(64), np.ones(4))
    with pytest.raises(ParameterError, match="no function named 'tan'; there are sigmoid, tanh"):
        functions.function(x, "tan")
    with pytest.raises(ParameterError, match="3 is no function; pass a callable on float64 arrays, or one of sigmoid"):
        functions.function(x, 3)
    for several in (["tanh"], [Polynomial((1.0,)), 2], Polynomial((1.0,))):
        with pytest.raises(ParameterError, match="needed a list of Polynomials"):
            functions.polynomials(x, several)
        with pytest.raises(ParameterError, match="needed a list of Polynomials"):
            functions.per_slot(x, several, [0, 0, 0, 0])
    with pytest.raises(ParameterError, match="none at all"):
        functions.polynomials(x, [])
    with pytest.raises(TypeError, match="found str, needed a Polynomial"):
        polynomial(x, "tanh")
