"""The diagonals of a matrix as plaintext factors over QP, grouped as they are used, and kept."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from math import sqrt

import numpy as np

from ckks import kernels
from ckks.circuits.linear.diagonals import Diagonals, Schedule
from ckks.kernels import Words
from ckks.rlwe import Noise
from ckks.scheme import CKKSParams
from ckks.scheme.compact import compact_factors, rounding_of_factors

__all__ = ["MOST_KEPT", "EncodedDiagonals", "Groups"]

MOST_KEPT = 16
"""Parameter sets, levels and scales whose factors are kept; beyond, the oldest go: scales may come from strangers."""

Groups = list[tuple[slice | list[int], list[int]]]
"""Baby steps (by position) with the giant steps (by position) that have a diagonal for exactly those."""


class EncodedDiagonals:
    """What `LinearMap` keeps: encoded diagonals for each parameter set, level and scale that were asked for.

    Args:
        diagonals: of the matrix.
        plan: the order of its steps.
    """

    def __init__(self, diagonals: Diagonals, plan: Schedule) -> None:
        """Begin with nothing encoded."""
        self._diagonals, self._plan = diagonals, plan
        self._kept: dict[tuple[CKKSParams, int, Decimal], list[list[list[Words]]]] = {}

    def __len__(self) -> int:
        """Return for how many parameter sets, levels and scales there is something."""
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def nbytes(self, params: CKKSParams, level: int) -> int:
        """Return how many bytes the factors of a level take: 2S words for each diagonal and limb."""
        return 16 * self._diagonals.count * self._diagonals.slots * len(params.extended_basis(level))

    @cached_property
    def groups(self) -> list[list[Groups]]:
        """For each block (r, c) its groups: each is one call of `kernels.combine`."""
        plan, values = self._plan, self._diagonals.values
        rows, columns = self._diagonals.blocks
        found: list[list[Groups]] = []
        for r in range(rows):
            found.append([])
            for c in range(columns):
                by_babies: dict[tuple[int, ...], list[int]] = {}
                for at, j in enumerate(plan.giants):
                    steps = [plan.step(t, j) for t in plan.babies]
                    used = tuple(k for k, i in enumerate(steps) if i in values and values[i][r, c].any())
                    if used:
                        by_babies.setdefault(used, []).append(at)
                found[r].append([(_as_slice(used), giants) for used, giants in by_babies.items()])
        return found

    def factors(self, params: CKKSParams, level: int, scale: Decimal) -> list[list[list[Words]]]:
        """Return for each block and group its factors (giant steps, baby steps, k + l, 2S).

        A diagonal of giant step j is turned back by j, since what it is multiplied by is turned afterwards.
        """
        key = params, level, scale
        if key in self._kept:
            return self._kept[key]
        encoded = [
            [[self._encoded(params, level, scale, r, c, *group) for group in groups] for c, groups in enumerate(row)]
            for r, row in enumerate(self.groups)
        ]
        if kernels.active().name in kernels.NAMES:  # words of a source that computes nothing are not to be kept
            while len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = encoded
        return encoded

    def _encoded(
        self,
        params: CKKSParams,
        level: int,
        scale: Decimal,
        r: int,
        c: int,
        which: slice | list[int],
        giants: list[int],
    ) -> Words:
        plan, values = self._plan, self._diagonals.values
        babies = np.array(plan.babies)[which].tolist()
        shape = len(params.extended_basis(level)), 2 * self._diagonals.slots
        out = kernels.empty((len(giants), len(babies), *shape))
        for words, at in zip(out, giants, strict=True):
            j = plan.giants[at]
            turned = [np.roll(values[plan.step(t, j)][r, c], plan.turn(j)) for t in babies]
            words[...] = compact_factors(params, np.stack(turned), level, scale)
        return out

    @cached_property
    def _largest(self) -> tuple[float, int]:
        """The largest factor, and how many diagonals meet in a block row."""
        values = self._diagonals.values.values()
        there = sum(np.any(d, axis=-1).sum(axis=1) for d in values)  # (R,)
        return max(float(np.abs(d).max()) for d in values), int(np.max(there))

    def rounding(self, params: CKKSParams, scale: Decimal) -> Noise:
        """Return the error of all factors of a row together."""
        largest, count = self._largest
        one = rounding_of_factors(params, self._diagonals.slots, largest, scale)
        return Noise(one.std * sqrt(count), one.bound * count)


def _as_slice(used: tuple[int, ...]) -> slice | list[int]:
    """Positions as a slice where they are consecutive: then nothing is copied."""
    start, stop = used[0], used[-1] + 1
    return slice(start, stop) if stop - start == len(used) else list(used)
