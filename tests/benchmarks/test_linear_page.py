"""The page on linear algebra: its counts are those of the maps, its command measures what it says."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

pytest.importorskip("typer")

from params import insecure_small

from benchmarks.linear import HEADINGS, MARKS, PAGE, WAYS, covariance_row, matrix_row, product_row
from ckks.circuits import LinearMap

TEXT = PAGE.read_text(encoding="utf-8")


def test_counts_are_those_of_the_maps():
    table = TEXT.split(MARKS[0])[1].split(MARKS[1])[0]
    assert "| " + " | ".join(HEADINGS) + " |" in table
    for n in (128, 1024):
        matrix = np.random.default_rng(1).uniform(-1, 1, (n, n)) * sqrt(3 / n)
        for way, options in WAYS.items():
            linear = LinearMap(matrix, **options)
            steps = f"{linear.diagonals} diagonals, {linear.steps[0]} baby and {linear.steps[1]} giant steps"
            assert f"| {n} x {n}, {way}: {steps} |" in table
            assert f"| {len(linear.rotations) + linear.conjugation}, " in table


def test_the_command_measures():
    """On toy rings: every row runs, its results are right to the stated bound, and it has a cell for each heading."""
    params = insecure_small(128, depth=3, value_range=4.0)
    rows = [matrix_row(params, 16, way) for way in WAYS]
    rows += [product_row(params, 4), covariance_row(params, 60, 4)]
    for row in rows:
        row.measure()
        assert len(row.cells()) == len(HEADINGS)
        assert min(row.bits.values()) >= row.bound
        assert row.rotations > 0 and row.keys > 0
