"""Statistics of encrypted tables against numpy's."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, at_the_ends, make_kit
from params import insecure_small

from ckks import error_bound
from ckks.circuits.linear.statistics import (
    centred,
    covariance,
    covariance_rotations,
    mean,
    total,
    total_rotations,
    variance,
)
from ckks.errors import DomainError, LevelError, SlotError
from ckks.scheme.meta import meta_of

SLOTS = 64
TABLES = {"full": (64, 3), "not full": (41, 5), "one row": (1, 2), "one column": (64, 1), "eight columns": (50, 8)}


@cache
def kit_of(columns: int) -> Kit:
    """Exactly the keys that are listed."""
    rotations = covariance_rotations(columns, SLOTS)
    return make_kit(insecure_small(2 * SLOTS, depth=4, value_range=2.0), rotations=rotations)


def tables(name: str) -> list[np.ndarray]:
    """Random, at the ends of the range, constant, and far from zero beside how much it varies."""
    rng, shape = np.random.default_rng(1), TABLES[name]
    return [
        rng.uniform(-1, 1, shape),
        at_the_ends(rng, shape, 2.0),
        np.full(shape, 2.0),
        1.9 + rng.uniform(0, 0.1, shape),
    ]


def close(kit: Kit, result, wanted: np.ndarray) -> None:
    assert meta_of(result).scale == kit.params.scale_at(result.level)
    found = kit.decrypt(result)
    assert found.shape == wanted.shape and found.dtype == np.float64
    assert np.abs(found - wanted).max() <= error_bound(result) <= 2.0**-10
    assert np.abs(wanted).max() <= meta_of(result).bound * (1 + 1e-9)
    assert meta_of(result).rms <= meta_of(result).bound


@pytest.mark.parametrize("name", TABLES)
def test_every_statistic(name):
    """Slots without rows do not count, and are zero again where rows come out."""
    for table in tables(name):
        rows, columns = table.shape
        kit = kit_of(columns)
        e, ct = kit.evaluator, kit.encrypt(table.T)

        def everywhere(values: np.ndarray) -> np.ndarray:
            return np.repeat(values[:, None], SLOTS, axis=1)

        close(kit, total(e, ct), everywhere(table.sum(axis=0)))
        close(kit, mean(e, ct), everywhere(table.mean(axis=0)))
        deviations = centred(e, ct)
        close(kit, deviations, (table - table.mean(axis=0)).T)
        filled = kit.decrypt(e.rotate_many(deviations, (0,))[0].with_(meta=meta_of(deviations).but(length=SLOTS)))
        assert np.abs(filled[:, rows:]).max(initial=0.0) <= error_bound(deviations)
        for ddof in (0, 1) if rows > 1 else (0,):
            result = variance(e, ct, ddof=ddof)
            assert result.level == ct.level - 3
            close(kit, result, everywhere(table.var(axis=0, ddof=ddof)))
            result = covariance(e, ct, ddof=ddof)
            assert result.shape == () and result.level == ct.level - 3
            width = 1 << (columns - 1).bit_length()
            wanted = np.zeros((width, width))
            wanted[:columns, :columns] = np.cov(table.T, ddof=ddof)
            close(kit, result, wanted.ravel())
        close(kit, variance(e, ct[0]), np.full(SLOTS, table[:, 0].var()))


def test_half_the_relinearisations():
    """d (d + 1) / 2 products, two to a ciphertext, for real columns: counted at the key."""
    kit, table = kit_of(8), tables("eight columns")[0]
    counted: list[int] = []
    keys = kit.keys
    key = keys.relin_key

    class Counting(type(keys)):
        def relin_key(self):
            counted.append(1)
            return key()

    evaluator = type(kit.evaluator)(kit.params, Counting(kit.params, keys.relin, dict(keys.galois)))
    batches: list[tuple[int, ...]] = []
    multiply = type(evaluator).multiply

    def noted(self, a, b, **options):
        if type(b) is type(a):
            batches.append(a.shape)
        return multiply(self, a, b, **options)

    evaluator.multiply = noted.__get__(evaluator)
    covariance(evaluator, kit.encrypt(table.T))
    assert batches == [(20,)] and len(counted) == 1  # 8 columns: 4 + 4 + 3 + 3 + 2 + 2 + 1 + 1


def test_refusals():
    kit = kit_of(2)
    ct = kit.encrypt(np.ones((2, 10)))
    with pytest.raises(SlotError, match="ddof=10 for 10 rows"):
        covariance(kit.evaluator, ct, ddof=10)
    with pytest.raises(SlotError, match="ddof=-1"):
        variance(kit.evaluator, ct, ddof=-1)
    with pytest.raises(SlotError, match="a ciphertext for each column"):
        covariance(kit.evaluator, ct[0])
    with pytest.raises(SlotError, match="split the columns"):
        covariance_rotations(9, SLOTS)
    with pytest.raises(DomainError, match="complex"):
        covariance(kit.evaluator, kit.encrypt(1j * np.ones((2, 10))))
    with pytest.raises(SlotError, match="without rows"):
        mean(kit.evaluator, kit.encrypt(np.ones((2, 0))))
    for what, levels in ((mean, 1), (centred, 1), (variance, 3), (covariance, 3)):
        with pytest.raises(LevelError):
            what(kit.evaluator, kit.evaluator.bring(ct, levels - 1))
    assert set(total_rotations(SLOTS)) <= set(covariance_rotations(2, SLOTS))
