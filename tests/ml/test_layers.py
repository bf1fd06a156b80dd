"""Encrypted layers against numpy, in both layouts, at the edges: one feature, full slots, one row too many."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from ml_kit import FAR, insecure_params

from ckks.errors import MissingKey, ModelError, SlotError
from ckks.ml.layers import FEATURE_MAJOR, RECORDS, groups, join, linear, record_width, stack
from ckks.ml.layout import Packing
from ckks.scheme import error_bound, expected_error

BOTH = (FEATURE_MAJOR, RECORDS)


@cache
def kit() -> Kit:
    return make_kit(insecure_params(2))


def normalised(outputs, features, seed):
    """Weights and bias whose sums stay in [-1, 1] for features in [-1, 1]."""
    values = np.random.default_rng(seed)
    weights, bias = values.uniform(-1, 1, (outputs, features)), values.uniform(-1, 1, outputs)
    size = np.abs(weights).sum(axis=1) + np.abs(bias)
    return weights / size[:, None], bias / size


@pytest.mark.parametrize("layout", BOTH)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("features", [1, 2, 5, 8, 128])
def test_a_layer_is_what_numpy_makes_of_it(features, outputs, layout):
    k = kit()
    packing = Packing(features, k.params.slots, BOTH)
    rows = packing.rows_in(layout)
    x = np.random.default_rng(1).uniform(-1, 1, (rows, features))
    weights, bias = normalised(outputs, features, 2)
    (values,) = packing.pack(x, layout)
    y = linear(k.evaluator, k.encrypt(values, bound=1.0), weights, bias, layout)
    assert y.shape == (outputs,) and y.level == 1 and y.meta.bound == 1.0
    found = packing.unpack([k.decrypt(y)], rows, layout)
    error = np.abs(found - (x @ weights.T + bias)).max()
    assert error <= error_bound(y) and error <= FAR * expected_error(y)


def test_slots_between_records_hold_rows_of_the_box_too():
    """What stands between the records stays in [-1, 1]: polynomials that follow are asked for nothing else."""
    k = kit()
    packing = Packing(5, k.params.slots, BOTH)
    x = np.random.default_rng(1).choice([-1.0, 1.0], (packing.rows_in(RECORDS), 5))
    weights, bias = normalised(2, 5, 3)
    (values,) = packing.pack(x, RECORDS)
    y = linear(k.evaluator, k.encrypt(values, bound=1.0), weights, bias, RECORDS)
    assert np.abs(k.decrypt(y)).max() <= 1 + error_bound(y)


def test_packing_is_undone():
    packing = Packing(3, 16, BOTH)
    assert (packing.rows_in(FEATURE_MAJOR), packing.rows_in(RECORDS), packing.rotations) == (16, 4, (1, 2))
    for layout in BOTH:
        size = packing.rows_in(layout)
        for rows in (0, 1, size - 1, size, size + 1, 3 * size):
            x = np.arange(3.0 * rows).reshape(rows, 3)
            chunks = list(packing.pack(x, layout))
            assert len(chunks) == packing.chunks(rows, layout)
            if layout == FEATURE_MAJOR:
                assert all(chunk.shape == (3, 16) for chunk in chunks)
                found = packing.unpack(chunks, rows, layout) if rows else x
            else:
                assert all(chunk.shape == (16,) for chunk in chunks)
                # what the sums leave in slot r K' is here simply what stands there: the first feature
                found = packing.unpack([chunk[None] for chunk in chunks], rows, layout) if rows else x[:, :1]
            assert np.array_equal(found, x[:, : found.shape[1]])


def test_the_layout_follows_the_rows():
    packing = Packing(3, 16, BOTH)
    assert [packing.layout_for(rows) for rows in (1, 4, 5, 1000)] == [RECORDS, RECORDS, FEATURE_MAJOR, FEATURE_MAJOR]
    assert Packing(3, 16, (RECORDS,)).layout_for(99) == RECORDS
    assert Packing(3, 16, (FEATURE_MAJOR,)).layout_for(1) == FEATURE_MAJOR
    assert Packing(3, 16, (FEATURE_MAJOR,)).rotations == ()
    assert [record_width(k) for k in (1, 2, 3, 4, 5, 64, 65)] == [1, 2, 4, 4, 8, 64, 128]
    for wrong in ((), ("rows",), (RECORDS, RECORDS)):
        with pytest.raises(ModelError, match="layouts"):
            Packing(3, 16, wrong)
    with pytest.raises(SlotError, match="17 features in 16 slots"):
        Packing(17, 16, BOTH)
    with pytest.raises(ModelError, match="the model has 'records'"):
        Packing(3, 16, (RECORDS,)).rows_in(FEATURE_MAJOR)


def test_batches_are_put_together():
    k = kit()
    x = [k.encrypt([0.1 * i, -0.2], bound=b) for i, b in enumerate((0.5, 1.0, 0.25))]
    whole = stack(x)
    assert whole.shape == (3,) and whole.meta.bound == 1.0
    assert np.array_equal(k.decrypt(whole), [k.decrypt(one) for one in x])
    assert np.array_equal(k.decrypt(join([whole[:2], whole[2:]])), k.decrypt(whole))
    with pytest.raises(SlotError, match="differ"):
        stack([x[0], k.encrypt([0.1], level=0)])
    assert [list(range(50))[s] for s in groups(50)] == [[*range(16)], [*range(16, 32)], [*range(32, 48)], [48, 49]]


def test_records_say_which_rotation_they_lack():
    k = make_kit(insecure_params(2), rotations=[1])
    with pytest.raises(MissingKey, match="rotation by 2 slots"):
        linear(k.evaluator, k.encrypt(np.zeros(128), bound=1.0), np.full((1, 4), 0.2), np.zeros(1), RECORDS)
