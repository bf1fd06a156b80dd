"""Sums, masks and permutations of slots."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import error_bound
from ckks.circuits.linear.slots import keep, permutation, repeating, sum_apart, sum_rotations, transposition
from ckks.errors import SlotError
from ckks.scheme.meta import meta_of


@cache
def kit_of(rotations: tuple[int, ...]) -> Kit:
    return make_kit(insecure_small(64), rotations=rotations)


@pytest.mark.parametrize(("apart", "end"), [(1, 32), (1, 1), (1, 4), (4, 32), (2, 16), (32, 32), (16, 32)])
def test_sums(apart, end):
    """With exactly the keys that are listed, over batches."""
    kit, x = kit_of(sum_rotations(apart, end)), np.random.default_rng(1).uniform(-1, 1, (2, 32))
    result = sum_apart(kit.evaluator, kit.encrypt(x), apart, end)
    wanted = sum(np.roll(x, -k, axis=-1) for k in range(0, end, apart))
    assert result.level == kit.params.top_level
    assert np.abs(kit.decrypt(result) - wanted).max() <= error_bound(result)
    if end == 32:
        assert np.abs(kit.decrypt(sum_apart(kit.evaluator, kit.encrypt(x), apart)) - wanted).max() <= error_bound(
            result
        )


def test_masks():
    kit, x = kit_of(()), np.random.default_rng(2).uniform(-1, 1, 32)
    chosen = np.array([0, 5, 31])
    wanted = np.zeros(32)
    wanted[chosen] = x[chosen]
    for which in (chosen, chosen.tolist(), wanted != 0):
        result = keep(kit.evaluator, kit.encrypt(x), which)
        assert np.abs(kit.decrypt(result) - wanted).max() <= error_bound(result)
    assert np.abs(kit.decrypt(keep(kit.evaluator, kit.encrypt(x), []))).max() <= error_bound(result)
    for bad in ([32], [-1], [0.5], np.ones(16, dtype=bool)):
        with pytest.raises(SlotError, match="positions from 0 to 31"):
            keep(kit.evaluator, kit.encrypt(x), bad)


def test_permutations():
    rng = np.random.default_rng(3)
    for places in (rng.permutation(16), rng.integers(-1, 16, 16), np.full(16, -1), (np.arange(16) + 3) % 16):
        linear, x = permutation(places), rng.uniform(-1, 1, 16)
        kit = make_kit(insecure_small(64), rotations=linear.rotations, conjugation=linear.conjugation)
        result = linear.apply(kit.evaluator, kit.encrypt(x, slots=16))
        wanted = np.where(places >= 0, x[places], 0)
        assert np.abs(kit.decrypt(result) - wanted).max() <= error_bound(result)
        distances = {int(p - r) % 16 for r, p in enumerate(places) if p >= 0}
        assert linear.diagonals <= max(1, len(distances))
    for bad in ([0, 1, 2], [0, 2], [[0, 1]], [0.0, 1.0], [-2, 0], []):
        with pytest.raises(SlotError, match="needed one axis"):
            permutation(bad)


def test_transposes():
    matrix = np.random.default_rng(4).uniform(-1, 1, (4, 8))
    linear = transposition(4, 8)
    kit = make_kit(insecure_small(64), rotations=linear.rotations, conjugation=linear.conjugation)
    result = linear.apply(kit.evaluator, kit.encrypt(matrix.ravel(), slots=32))
    assert np.abs(kit.decrypt(result).reshape(8, 4) - matrix.T).max() <= error_bound(result)
    with pytest.raises(SlotError, match="powers of two"):
        transposition(3, 4)


def test_a_promised_period():
    kit, x = kit_of((1, 2)), np.random.default_rng(5).uniform(-1, 1, 8)
    a = repeating(kit.encrypt(np.tile(x, 4)), 8)
    assert meta_of(a).slots == 8
    assert np.abs(kit.decrypt(a) - x).max() <= error_bound(a)
    assert np.abs(kit.decrypt(kit.evaluator.rotate(a, 1)) - np.roll(x, -1)).max() <= error_bound(a) * 4
    for bad in (0, 3, 64):
        with pytest.raises(SlotError, match="power of two up to 32"):
            repeating(a, bad)


def test_refusals():
    kit = kit_of((1, 2))
    ct = kit.encrypt(np.ones(32))
    for apart, end in ((3, 32), (1, 64), (8, 4), (1, 12), (0, 4)):
        with pytest.raises(SlotError, match="powers of two"):
            sum_apart(kit.evaluator, ct, apart, end)
