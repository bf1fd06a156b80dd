"""The table of plans: its page, inputs that are hard, and a row whose figures are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rich")

from benchmarks.plan import CASES, HEADS, MARKS, PAGE, inputs, row


def test_the_page_has_the_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(MARKS[0]) == text.count(MARKS[1]) == 1
    table = text.partition(MARKS[0])[2].partition(MARKS[1])[0]
    assert "| " + " | ".join(HEADS) + " |" in table, "the table was written by this version of the command"
    assert all(f"| {case.title} |" in table for case in CASES)
    cells = [
        dict(zip(HEADS, line.strip("| ").split(" | "), strict=True)) for line in table.splitlines()[3 : 3 + len(CASES)]
    ]
    for one in cells:
        assert 0.7 < float(one["ratio"]) < 1.3
        assert 0 <= float(one["worst"]) - float(one["forecast"]) <= 2


def test_inputs_are_hard():
    found = list(inputs((2, 64)))
    assert all(x.shape == (2, 64) and np.abs(x).max() <= 1 for x in found)
    assert {tuple(np.unique(x)) for x in found if len(np.unique(x)) < 3} == {
        (1.0,),
        (-1.0,),
        (0.0,),
        (0.0, 1.0),
        (-1.0, 1.0),
    }


def test_a_row():
    found = dict(zip(HEADS, row(CASES[0], 3), strict=True))
    assert (found["computation"], found["levels"], found["rotations"]) == ("product", "1", "0")
    assert 20 <= float(found["forecast"]) <= float(found["worst"])
    assert min(float(found[name]) for name in ("ms", "ratio", "ms to estimate", "MiB of keys")) > 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_functions_and_their_plain_twins_agree_in_shape(case):
    assert case.plain(np.zeros(case.shape)).shape in (case.shape, case.shape[1:])
