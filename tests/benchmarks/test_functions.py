"""The pieces of `benchmarks.functions` that could tell a wrong figure."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from kit import make_kit
from params import insecure_small

from benchmarks.functions import HEADS, MARKS, PAGE, Machinery, Timed, cells, composed_degree, inputs, measure
from ckks.circuits import approximate, logistic
from ckks.circuits.functions.choice import fit
from ckks.circuits.functions.extension import Extension
from ckks.circuits.functions.newton import Newton


def test_the_page_has_a_place_for_the_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(MARKS[0]) == text.count(MARKS[1]) == 1
    assert "| " + " | ".join(HEADS) + " |" in text, "the table was written by this version of the command"


def test_inputs_reach_both_ends():
    for u in inputs(32).values():
        assert u.shape == (32,) and np.abs(u).max() <= 1
    assert {tuple(np.unique(u)) for u in inputs(32).values()} >= {(1.0,), (-1.0,), (0.0,), (0.0, 1.0), (-1.0, 1.0)}


@pytest.mark.parametrize(
    "chosen",
    [
        approximate(logistic, (-1, 1), degree=7),
        Newton("inverse", approximate(lambda x: 1 / x, (1, 2), degree=3), 2),
        Newton("inverse_sqrt", approximate(lambda x: x**-0.5, (1, 2), degree=3), 1),
        Newton("sqrt", approximate(lambda x: x**-0.5, (1, 2), degree=3), 1),
        Extension((-4.0, 4.0), 2.0, 1, approximate(logistic, (-2, 2), degree=3)),
    ],
    ids=str,
)
def test_composed_degree(chosen):
    """Interpolated in as many points as that degree needs, the whole is that polynomial; in one fewer, it is not."""
    degree = composed_degree(chosen)
    x = chosen.center + chosen.radius * np.linspace(-1, 1, 1001)
    errors = []
    for n in (degree, degree - 1):
        nodes = np.cos((np.arange(n + 1) + 0.5) * np.pi / (n + 1))
        p = np.polynomial.chebyshev.chebfit(nodes, chosen(chosen.center + chosen.radius * nodes), n)
        errors.append(np.abs(np.polynomial.chebyshev.chebval((x - chosen.center) / chosen.radius, p) - chosen(x)).max())
    assert errors[0] < 1e-12 * max(1.0, np.abs(chosen(x)).max()) < errors[1]


def test_a_row():
    kit = make_kit(insecure_small(64, depth=4), rotations=[], conjugation=False)
    machinery = Machinery(kit.params, kit.encryptor, Timed(kit.params, kit.keys), kit.decryptor)
    row = measure(machinery, "sigmoid", fit("sigmoid"), 3)
    assert (row.levels, row.least, row.products) == (3, 3, 5)
    assert 0 < row.of_products < row.total
    assert row.measured > row.forecast > 10
    assert len(cells(row)) == len(HEADS)
