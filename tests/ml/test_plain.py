"""Readers of plain values take what they announce, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ckks.errors import ModelError
from ckks.ml import plain

GOOD = [
    (plain.fields, ({"a": 1}, "x", ["a"]), {"a": 1}),
    (plain.items, ([1, 2], "x", 2), [1, 2]),
    (plain.items, ((), "x"), []),
    (plain.text, ("", "x"), ""),
    (plain.number, (3, "x"), 3.0),
    (plain.whole, (0, "x", 0, 0), 0),
    (plain.optional, (None, plain.whole, "x", 0, 0), None),
    (plain.optional, (0, plain.whole, "x", 0, 0), 0),
]
BAD = [
    (plain.fields, ({}, "x", ["a"])),
    (plain.fields, ({"a": 1, "b": 2}, "x", ["a"])),
    (plain.fields, ([("a", 1)], "x", ["a"])),
    (plain.items, ([1, 2, 3], "x", 2)),
    (plain.items, ("ab", "x", 2)),
    (plain.items, (None, "x", 2)),
    (plain.text, (5, "x")),
    (plain.text, ("a" * 1001, "x")),
    (plain.number, (True, "x")),
    (plain.number, ("1", "x")),
    (plain.number, (float("nan"), "x")),
    (plain.number, (float("-inf"), "x")),
    (plain.number, (10**400, "x")),
    (plain.whole, (True, "x", 0, 5)),
    (plain.whole, (1.0, "x", 0, 5)),
    (plain.whole, (6, "x", 0, 5)),
    (plain.whole, (-1, "x", 0, 5)),
    (plain.matrix, ([], "x")),
    (plain.matrix, ([[]], "x")),
    (plain.matrix, ([[1.0], [1.0, 2.0]], "x")),
    (plain.matrix, ([[[1.0]]], "x")),
    (plain.matrix, (["a"], "x")),
    (plain.matrix, (["1.5"], "x")),
    (plain.matrix, ([True, False], "x")),
    (plain.matrix, ([10**30], "x")),
    (plain.matrix, ([None], "x")),
    (plain.matrix, ([float("inf")], "x")),
    (plain.matrix, ([1.0, 2.0], "x", 3)),
    (plain.matrix, (5.0, "x")),
]


@pytest.mark.parametrize(("read", "arguments", "wanted"), GOOD)
def test_what_is_announced(read, arguments, wanted):
    assert read(*arguments) == wanted


@pytest.mark.parametrize(("read", "arguments"), BAD)
def test_what_is_not(read, arguments):
    with pytest.raises(ModelError, match="x: found"):
        read(*arguments)


def test_arrays_cannot_be_written_to():
    array = plain.matrix([[1, 2], [3, 4]], "x", 2)
    assert array.dtype == np.float64 and array.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0
