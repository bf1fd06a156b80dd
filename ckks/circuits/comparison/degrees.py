"""Which degrees a composite for the sign should have: least depth first, then least cost; no cryptography.

Let A = atanh t describe the interval [t, 1] (`circuits.comparison.composite`): the best odd polynomial of degree n has
an error e = exp(-2 A') there and leaves [tanh A', 1]. For small A, A'/A tends to a constant near n; for large A to (n +
1)/2; in between it varies slowly. So log(A'/A) is tabulated over log A for each degree, by some 30 best polynomials,
and read by cubic interpolation: good to 4e-4 of A' at worst. With that a step of the search costs microseconds instead
of the milliseconds of an exchange, and what it finds is made, and measured, with true best polynomials.

The search is exact, given the table. The larger A, the better for everything that follows, so at every depth only the
sequences that no other beats in both cost and A are kept. Backwards, `_needed` is the least A from which the remaining
levels still suffice; what lies below is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ckks.circuits.comparison.odd_minimax import LEAST_ERROR, odd_minimax
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import ParameterError

__all__ = ["DEGREES", "LARGEST_DEPTH", "best_degrees", "cost_of", "gained", "stage_margin"]

DEGREES = (*range(3, 32, 2), 39, 47, 55, 63)
LARGEST_DEPTH = 60

_FIRST, _STEP, _COUNT = -9.0, 0.4, 30  # log A of the table: A from 1e-4, below which A'/A hardly changes, to 13
_LARGEST = -0.5 * math.log(LEAST_ERROR)


def stage_margin(margin: float, low: float) -> float:
    """Return the margin of a stage made for [low, 1]: the composite's, or more where a 512th of the interval's distance
    from 0, or of its length, is more."""
    return max(margin, min(low, 1 - low) / 512)


@lru_cache(maxsize=64)
def cost_of(degree: int) -> tuple[int, int]:
    """(depth, `EvaluationPlan.cost`) of a dense odd polynomial, without coefficients that cancel."""
    c = [(k % 2) / (k + 0.3) for k in range(degree + 1)]
    plan = evaluation_plan(Polynomial(tuple(c)))
    return plan.depth, plan.cost


def gained(degree: int, a: float) -> float:
    """Return A' = -log(e)/2 for the least error e of an odd polynomial of this degree on [tanh a, 1]."""
    table = _table(degree)
    place = (math.log(a) - _FIRST) / _STEP
    if place <= 0:
        return a * math.exp(table[0])
    i = min(max(int(place), 1), len(table) - 3)
    x = place - i  # cubic through the nodes i - 1 to i + 2
    near = (
        -x * (x - 1) * (x - 2) / 6 * table[i - 1]
        + (x + 1) * (x - 1) * (x - 2) / 2 * table[i]
        - (x + 1) * x * (x - 2) / 2 * table[i + 1]
        + (x + 1) * x * (x - 1) / 6 * table[i + 2]
    )
    return a * math.exp(near)


@lru_cache(maxsize=64)
def _table(degree: int) -> tuple[float, ...]:
    """log(A'/A) at each node; beyond what double precision can tell, A' continues on a straight line over A."""
    arguments = [math.exp(_FIRST + i * _STEP) for i in range(_COUNT)]
    values: list[float] = []
    for a in arguments:
        known = len(values)
        if known < 2 or values[-1] < 0.9 * _LARGEST:
            error = odd_minimax(math.tanh(a), 1.0, degree).max_abs_error if math.tanh(a) < 1 - 2.0**-40 else LEAST_ERROR
            if known < 2 or error > 2 * LEAST_ERROR:
                values.append(-0.5 * math.log(error))
                continue
        slope = (values[-1] - values[-2]) / (arguments[known - 1] - arguments[known - 2])
        values.append(values[-1] + slope * (a - arguments[known - 1]))
    return tuple(math.log(value / a) for value, a in zip(values, arguments, strict=True))


class _Sequence(NamedTuple):
    """Degrees so far, their cost, and A of the interval that they leave."""

    cost: int
    a: float
    degrees: tuple[int, ...]


def best_degrees(low: float, max_abs_error: float, margin: float, degrees: Sequence[int] = DEGREES) -> tuple[int, ...]:
    """Return degrees of the stages that take [low, 1] to within `max_abs_error` of 1.

    Each is made for the margin around its interval.

    Raises:
        ParameterError: no sequence does, of whatever depth: the margin is too large.
    """
    wanted = -0.5 * math.log(max_abs_error)
    by_depth: dict[int, int] = {}
    for degree in degrees:
        levels = cost_of(degree)[0]
        by_depth[levels] = max(degree, by_depth.get(levels, 0))
    depth = _least_depth(math.atanh(low), wanted, margin, by_depth)
    needed = _needed(depth, wanted, margin, by_depth)
    kept: list[list[_Sequence]] = [[] for _ in range(depth + 1)]
    kept[0].append(_Sequence(0, math.atanh(low), ()))
    for done in range(depth):
        for sequence in _undominated(kept[done]):
            for degree in degrees:
                levels, cost = cost_of(degree)
                if done + levels > depth:
                    continue
                a = _after(degree, sequence.a, margin)
                if a >= needed[depth - done - levels]:
                    kept[done + levels].append(_Sequence(sequence.cost + cost, a, (*sequence.degrees, degree)))
    return min(kept[depth]).degrees


def _after(degree: int, a: float, margin: float) -> float:
    """A' of the best polynomial for t = tanh a and the margin around [t, 1]; 0 when nothing is left."""
    low = math.tanh(a)
    margin = stage_margin(margin, low)
    low = (low - margin) / (1 + margin)
    return gained(degree, math.atanh(low)) if low > 0 else 0.0


def _least_depth(a: float, wanted: float, margin: float, by_depth: dict[int, int]) -> int:
    """Levels until A reaches what is wanted: by the largest degree of each depth alone."""
    best = [a] + [0.0] * LARGEST_DEPTH
    for depth in range(1, LARGEST_DEPTH + 1):
        for levels, degree in by_depth.items():
            if levels <= depth and best[depth - levels]:
                best[depth] = max(best[depth], _after(degree, best[depth - levels], margin))
        if best[depth] >= wanted:
            return depth
    raise ParameterError(
        f"no composite reaches an error of {math.exp(-2 * wanted):.3g} on [{math.tanh(a):.3g}, 1] with margin "
        f"{margin:.3g}; allow a larger error, or a smaller margin (and a larger scale, so that noise stays below it)"
    )


def _needed(depth: int, wanted: float, margin: float, by_depth: dict[int, int]) -> list[float]:
    """The least A from which so many further levels lead to what is wanted: by bisection, as A' rises with A."""
    needed = [wanted * (1 - 1e-9)]
    for left in range(1, depth + 1):
        best = needed[0]
        for levels, degree in by_depth.items():
            if levels > left:
                continue
            low, high = 1e-12, best
            if _after(degree, high, margin) < needed[left - levels]:
                continue
            while high - low > 1e-6 * high:
                middle = math.sqrt(low * high)
                reached = _after(degree, middle, margin) >= needed[left - levels]
                low, high = (low, middle) if reached else (middle, high)
            best = min(best, high)
        needed.append(best * (1 - 1e-5))
    return needed


def _undominated(sequences: list[_Sequence]) -> list[_Sequence]:
    """Those that no other beats in both cost and A."""
    best: list[_Sequence] = []
    for sequence in sorted(sequences, key=lambda s: (s.cost, -s.a)):
        if not best or sequence.a > best[-1].a:
            best.append(sequence)
    return best
