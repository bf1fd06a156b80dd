"""The pieces of `benchmarks.functions` that could tell a wrong figure."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from kit import make_kit
from params import insecure_small

from benchmarks.functions import (
    HEADS,
    MARKS,
    PAGE,
    PLAN_HEADS,
    PLAN_MARKS,
    Machinery,
    Timed,
    cells,
    composed_degree,
    formed,
    inputs,
    least_products,
    measure,
    plans,
)
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


def test_counts_of_the_page_are_those_of_the_plans():
    """All but the times, which are read for being there."""
    table = PAGE.read_text(encoding="utf-8").split(PLAN_MARKS[0])[1].split(PLAN_MARKS[1])[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == list(PLAN_HEADS)
    times = [i for i, head in enumerate(PLAN_HEADS) if head.startswith("ms")]
    for row, counted in zip(rows[1:], plans([], 0), strict=True):
        assert [cell for i, cell in enumerate(row) if i not in times] == [
            cell for i, cell in enumerate(counted) if i not in times
        ]


@pytest.mark.parametrize(("degree", "least"), [(3, 2), (7, 3), (15, 4), (31, 6), (63, 8)])
def test_least_products(degree, least):
    """The root of the degree, or the levels if these are more; for odd ones, that of half the degree."""
    assert least_products(formed(degree, "dense")) == least
    odd = formed(degree, "odd")
    assert odd.parity == "odd" and odd.degree == degree
    assert least_products(odd) <= least
    assert formed(degree - 1, "even").parity == "even"


def test_plans_are_timed():
    kit = make_kit(insecure_small(64, depth=6), rotations=[], conjugation=False)
    machinery = Machinery(kit.params, kit.encryptor, Timed(kit.params, kit.keys), kit.decryptor)
    rows = plans([machinery], 1)
    assert len(rows) == 15 and all(len(row) == len(PLAN_HEADS) for row in rows)
    for row in rows:
        assert float(row[5]) > 0 and float(row[7]) > 0
        assert (row[5] == row[7]) or row[4] != row[6], "one plan is timed as one"
