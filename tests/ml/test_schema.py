"""What the client encodes: ranges, refusals and counts, categories, and sums over everything the schema accepts."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from ckks.errors import ModelError, RangeError, SlotError
from ckks.ml.schema import CategoricalColumn, NumericColumn, Schema

AGE = NumericColumn(0, 20.0, 60.0)
PLACE = CategoricalColumn(2, ("north", "south", "west"))
MIXED = Schema(4, ("age", "idle", "place", "level"), (AGE, NumericColumn(3, -1.0, 3.0), PLACE))


def frame(*rows):
    return pd.DataFrame(rows, columns=["age", "idle", "place", "level"])


def test_features_are_what_the_docstring_says():
    features, clipped = MIXED.encode(frame((20, "x", "south", 3), (60, "y", "north", -1), (40, "z", "west", 0)))
    assert features.tolist() == [[-1, 1, 0, 1, 0], [1, -1, 1, 0, 0], [0, -0.5, 0, 0, 1]]
    assert clipped == 0 and MIXED.width == 5


def test_cells_outside_are_refused_or_clipped_and_counted():
    rows = frame((19.9, 0, "south", 1), (70, 0, "south", 5), (30, 0, "west", 0))
    with pytest.raises(RangeError, match=r"'age', row 0, holds 19.9, and 2 rows in all .* \[20, 60\]"):
        MIXED.encode(rows)
    features, clipped = MIXED.encode(rows, "clip")
    assert clipped == 3
    assert features[:, 0].tolist() == [-1, 1, -0.5] and features[:, 1].tolist() == [0, 1, -0.5]


@pytest.mark.parametrize("ends", [(0.1, 0.3), (-1e9, 1e-9), (3.3, 3.3000000000000007), (-0.1, 0.7), (1e-300, 2e-300)])
def test_no_feature_leaves_the_interval_by_rounding(ends):
    low, high = ends
    inside = np.clip(np.linspace(low, high, 101), low, high)
    features, clipped = Schema(1, None, (NumericColumn(0, low, high),)).encode(inside[:, None])
    assert clipped == 0 and features.min() >= -1 and features.max() <= 1


def test_a_column_of_one_value():
    schema = Schema(2, None, (NumericColumn(0, 5.0, 5.0), NumericColumn(1, 0.0, 1.0)))
    assert schema.encode([[5.0, 1.0]])[0].tolist() == [[0, 1]]
    assert [v.tolist() for v in schema.dot_range([[100.0, 1.0]], [0.5])] == [[-0.5], [1.5]]
    with pytest.raises(RangeError, match="declared range"):
        schema.encode([[5.1, 1.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(bad):
    schema = Schema(2, None, (NumericColumn(0, 0.0, 1.0), NumericColumn(1, 0.0, 1.0)))
    with pytest.raises(RangeError, match=r"column 1, row 2, holds (nan|inf|-inf)"):
        schema.encode(np.array([[0, 0], [0, 0], [0, bad]]), "clip")
    with pytest.raises(RangeError, match="is no number"):
        schema.encode(np.array([["a", "b"]], dtype=object))


def test_categories():
    kept = CategoricalColumn(0, ("a", "b", "c"), dropped=1)
    ignoring = CategoricalColumn(0, (1, 2), unknown_is_zero=True)
    assert Schema(1, None, (kept,)).encode([["a"], ["b"], ["c"]])[0].tolist() == [[1, 0], [0, 0], [0, 1]]
    assert Schema(1, None, (ignoring,)).encode(np.array([[2.0], [3.0]]))[0].tolist() == [[0, 1], [0, 0]]
    with pytest.raises(RangeError, match=r"row 1, holds 'd', in 2 rows no category .* 'a', 'b', 'c'"):
        Schema(1, None, (kept,)).encode([["a"], ["d"], ["e"]], "clip")


def test_tables_of_another_shape_are_refused():
    schema = Schema(2, ("a", "b"), (NumericColumn(0, 0.0, 1.0),))
    for wrong in (np.zeros(2), np.zeros((3, 3)), np.zeros((1, 2, 2))):
        with pytest.raises(SlotError, match=r"needed \(rows, 2\)"):
            schema.encode(wrong)
    with pytest.raises(SlotError, match="different lengths"):
        schema.encode([[0.0, 0.0], [0.0]])
    with pytest.raises(ModelError, match=r"X.toarray\(\)"):
        schema.encode(csr_array(np.zeros((1, 2))))
    with pytest.raises(SlotError, match="column 0 is 'b', needed 'a'"):
        schema.encode(pd.DataFrame({"b": [0.0], "a": [0.0]}))
    with pytest.raises(ModelError, match="outside='ignore'"):
        schema.encode(np.zeros((1, 2)), "ignore")


def test_no_rows():
    features, clipped = MIXED.encode(frame())
    assert features.shape == (0, 5) and clipped == 0


@pytest.mark.parametrize("dropped", [None, 0])
@pytest.mark.parametrize("unknown", [True, False])
def test_ranges_are_attained_and_not_exceeded(dropped, unknown):
    """Against every corner of what the schema accepts, written out."""
    place = CategoricalColumn(2, ("north", "south", "west"), dropped, unknown)
    schema = Schema(3, None, (AGE, NumericColumn(1, -1.0, 1.0), place))
    values = np.random.default_rng(3)
    weights, bias = values.normal(size=(4, schema.width)), values.normal(size=4)
    cells = itertools.product([20, 60], [-1, 1], ["north", "south", "west", *(["east"] if unknown else [])])
    corners, _ = schema.encode(np.array(list(cells), dtype=object))
    sums = corners @ weights.T + bias
    low, high = schema.dot_range(weights, bias)
    np.testing.assert_allclose(low, sums.min(axis=0), rtol=1e-14)
    np.testing.assert_allclose(high, sums.max(axis=0), rtol=1e-14)


@pytest.mark.parametrize("dropped", [None, 0])
@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("categories", [1, 2, 3, 4])
def test_what_stands_between_rows_is_allowed_for(dropped, unknown, categories):
    """Against every pair of corners, cut at every feature, and against no row at all."""
    place = CategoricalColumn(1, tuple(range(categories)), dropped, unknown)
    schema = Schema(2, None, (NumericColumn(0, -1.0, 1.0), place))
    values = np.random.default_rng(categories)
    weights, bias = values.normal(size=(5, schema.width)) + 1.0, values.normal(size=5)
    cells = [[a, c] for a in (-1, 1) for c in range(categories + unknown)]
    corners, _ = schema.encode(np.array(cells, dtype=object))
    mixed = [[*f[:o], *g[o:]] for f in corners for g in corners for o in range(schema.width + 1)]
    sums = np.array([np.zeros(schema.width), *mixed]) @ weights.T + bias
    low, high = schema.slot_range(weights, bias)
    assert (low <= sums.min(axis=0) + 1e-12).all() and (high >= sums.max(axis=0) - 1e-12).all()
    if categories > 2 and dropped is None:
        np.testing.assert_allclose(high, sums.max(axis=0), rtol=1e-12)
    inside = schema.dot_range(weights, bias)
    other, shift = schema.centred(weights, bias)
    np.testing.assert_allclose(corners @ other.T + shift, corners @ weights.T + bias, atol=1e-12)
    low, high = schema.slot_range(other, shift)
    assert (high - low <= 2 * (inside[1] - inside[0]) + 1e-12).all() or not place.always_one


def test_a_schema_survives_json():
    assert Schema.from_dict(json.loads(json.dumps(MIXED.to_dict()))) == MIXED


BAD = [
    lambda d: d.pop("names"),
    lambda d: d.update(extra=1),
    lambda d: d.update(n_columns=0),
    lambda d: d.update(n_columns=True),
    lambda d: d.update(names=["a"]),
    lambda d: d.update(columns=[]),
    lambda d: d["columns"][0].update(column=9),
    lambda d: d["columns"][0].update(low=float("nan")),
    lambda d: d["columns"][0].update(low=1e9),
    lambda d: d["columns"][0].update(kind="other"),
    lambda d: d["columns"][2].update(categories=["a", "a"]),
    lambda d: d["columns"][2].update(categories=[["a"]]),
    lambda d: d["columns"][2].update(categories=[float("nan")]),
    lambda d: d["columns"][2].update(dropped=7),
]


@pytest.mark.parametrize("break_it", BAD)
def test_a_damaged_description_is_refused(break_it):
    value = json.loads(json.dumps(MIXED.to_dict()))
    break_it(value)
    with pytest.raises(ModelError):
        Schema.from_dict(value)
