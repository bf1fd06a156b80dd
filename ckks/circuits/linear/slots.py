"""Moving and adding up slots: sums, masks, permutations, and what a ciphertext is told of its packing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ckks.circuits.linear.diagonals import doublings
from ckks.circuits.linear.matrix import Keys, LinearMap
from ckks.errors import SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.meta import Meta, meta_of

__all__ = ["keep", "permutation", "repeating", "sum_apart", "sum_rotations", "transposition"]


def sum_apart(evaluator: Evaluator, a: Ciphertext, apart: int = 1, end: int | None = None) -> Ciphertext:
    """Return, in every slot j, the sum of a[j + apart k] for apart k < end (cyclic): no level, log4 sums of rotations.

    Args:
        evaluator: with keys for `sum_rotations(apart, end)`.
        a: a ciphertext or a batch.
        apart, end: powers of two. With end = all slots (unless given) every slot gets the sum over its class modulo
            apart.
    """
    slots = meta_of(a).slots
    end = slots if end is None else end
    _check_powers(apart, end, slots)
    for steps in doublings(apart, end):
        a = evaluator.rotate_sum(a, steps)
    return a


def sum_rotations(apart: int, end: int) -> tuple[int, ...]:
    """Return the rotation steps that `sum_apart` needs keys for."""
    _check_powers(apart, end, end)
    return tuple(step for steps in doublings(apart, end) for step in steps if step)


def keep(evaluator: Evaluator, a: Ciphertext, chosen: Sequence[int] | np.ndarray) -> Ciphertext:
    """Return a in the chosen slots, 0 elsewhere: one level.

    Args:
        evaluator: needs no keys.
        a: a ciphertext or a batch.
        chosen: positions; or a boolean for every slot.
    """
    slots = meta_of(a).slots
    array = np.asarray(chosen)
    if array.dtype == np.bool_ and array.shape == (slots,):
        mask = array.astype(np.float64)
    else:
        if array.size and (array.dtype.kind not in "iu" or array.ndim != 1 or array.min() < 0 or array.max() >= slots):
            raise SlotError(f"slots {array} to keep; needed positions from 0 to {slots - 1}, or {slots} booleans")
        mask = np.zeros(slots)
        mask[array.astype(np.int64)] = 1.0
    return evaluator.multiply(a, mask)


def permutation(places: Sequence[int] | np.ndarray, *, keys: Keys = "hoisted") -> LinearMap:
    """Return the map with out[r] = x[places[r]], or 0 where that is -1: one product for every distance that occurs.

    Args:
        places: integers, a power of two of them, each below their number; slots may be read more than once.
        keys: see LinearMap.
    """
    array = np.asarray(places)
    slots = len(array) if array.ndim == 1 else 0
    if not slots or slots & (slots - 1) or array.dtype.kind not in "iu" or array.min() < -1 or array.max() >= slots:
        raise SlotError(
            f"places of shape {array.shape} and type {array.dtype}; needed one axis, a power of two of integers from "
            "-1 to their number - 1"
        )
    row = np.arange(slots)
    steps = np.where(array >= 0, (array - row) % slots, -1)
    found = np.unique(steps[steps >= 0]).tolist() or [0]
    return LinearMap.of_diagonals({i: (steps == i).astype(np.float64) for i in found}, keys=keys)


def transposition(rows: int, columns: int, *, keys: Keys = "hoisted") -> LinearMap:
    """Return the map from a matrix (rows, columns), row after row in the slots, to its transpose; powers of two."""
    if rows < 1 or columns < 1 or rows & (rows - 1) or columns & (columns - 1):
        raise SlotError(f"a matrix of {rows} x {columns} slots; needed powers of two (pad it)")
    return permutation(np.arange(rows * columns).reshape(rows, columns).T.ravel(), keys=keys)


def repeating(a: Ciphertext, slots: int) -> Ciphertext:
    """Return the same ciphertext under a promise of yours: its slots repeat with period `slots`, a power of two.

    As `np.tile(x, ...)` makes them. (What `encrypt(x, slots=...)` makes needs no promise.)
    """
    meta = meta_of(a)
    if slots < 1 or slots & (slots - 1) or slots > a.params.ring_degree // 2:
        raise SlotError(f"{slots} slots; needed a power of two up to {a.params.ring_degree // 2}")
    return a.with_(meta=Meta(meta.scale, slots, min(meta.length, slots), meta.real, meta.bound, meta.rms))


def _check_powers(apart: int, end: int, slots: int) -> None:
    if apart < 1 or apart & (apart - 1) or end & (end - 1) or not apart <= end <= slots:
        raise SlotError(
            f"a sum of slots {apart} apart, below {end}, of {slots}; needed powers of two, none above the next"
        )
