"""How errors made on the way through a plan reach its result: first-order sensitivities, in floating point.

A plan computes powers v_k of u and blocks w_i. Let each carry an error of its own (the rounding and the key switch that
made it), e_k and d_i, on top of the error e of u. To first order the result is off by

    p'(u) e  +  sum_k  (dp/dv_k) e_k  +  sum_i  (dp/dw_i) d_i,

the derivatives taken through everything that follows. The errors are independent of each other, so their squares add
up; within one of them everything is correlated, and is summed as it stands. Multiplying deviations step by step
instead would take p'(u) e, which reaches the result along many paths, for many independent errors: T_k would be
expected to multiply an error by about k^1.5 where it multiplies it by T_k'(1) = k^2 at the end of the interval, and a
sigmoid, whose terms cancel, by more than its slope.

Derivatives are taken backwards along the plan (one pass, whatever the number of steps) on a grid of u, and what is
expected of the result is the worst of the grid: nobody knows which values come in, and all of them may stand at the
worst place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.plan import EvaluationPlan

__all__ = ["Derivatives", "Sensitivities", "derivatives", "expected_std", "sensitivities"]

_OVERSAMPLED = 8


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of a plan's result at some u, and the result itself; arrays of shape (points,).

    of_input   p'(u)
    of_powers  index -> derivative by that power, index 2 and more
    of_blocks  derivative by each block, the last one's being 1
    value      p(u)
    """

    of_input: NDArray[np.float64]
    of_powers: Mapping[int, NDArray[np.float64]]
    of_blocks: tuple[NDArray[np.float64], ...]
    value: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """The rms error of the result at each u when every rescale on the way adds an rms error of 1."""
        square = sum(by**2 for by in (*self.of_powers.values(), *self.of_blocks))
        return np.asarray(np.sqrt(square))


@dataclass(frozen=True)
class Sensitivities(Derivatives):
    """Derivatives on a grid over [-1, 1], and how large the result becomes.

    largest  max |p(u)| over [-1, 1], not underestimated
    """

    largest: float


@lru_cache(maxsize=256)
def sensitivities(plan: EvaluationPlan) -> Sensitivities:
    """Differentiate a plan's result by everything that it is made of.

    The grid has the 8 n + 1 points cos(j pi / 8n) for degree n. A polynomial of degree n is nowhere larger than
    1/cos(pi/16) = 1.02 times its largest value there [EZ64].
    """
    degree = max(1, plan.degree)
    found = derivatives(plan, np.cos(np.linspace(0.0, math.pi, _OVERSAMPLED * degree + 1)))
    largest = float(np.abs(found.value).max()) / math.cos(math.pi / (2 * _OVERSAMPLED))
    largest = min(largest, plan.blocks[-1].magnitude)
    return Sensitivities(found.of_input, found.of_powers, found.of_blocks, found.value, largest)


def derivatives(plan: EvaluationPlan, u: NDArray[np.float64]) -> Derivatives:
    """Differentiate a plan's result, at each u, by everything that it is made of: forward for values, then backward."""
    factor = 2.0 if plan.basis == "chebyshev" else 1.0
    powers = {1: u}
    for power in plan.powers:
        product = factor * powers[power.left] * powers[power.right]
        if plan.basis == "chebyshev":
            product = product - (1.0 if power.is_square else powers[power.left - power.right])
        powers[power.index] = product
    values: list[NDArray[np.float64]] = []
    for block in plan.blocks:
        value = np.full_like(u, block.constant)
        for part in block.products:
            value = value + values[part.block] * powers[part.giant]
        for index, coefficient in block.terms:
            value = value + coefficient * powers[index]
        values.append(value)

    by_power = {index: np.zeros_like(u) for index in powers}
    by_block = [np.zeros_like(u) for _ in plan.blocks]
    by_block[-1] += 1.0
    for block, own in zip(reversed(plan.blocks), reversed(by_block), strict=True):
        for part in block.products:
            by_block[part.block] += own * powers[part.giant]
            by_power[part.giant] += own * values[part.block]
        for index, coefficient in block.terms:
            by_power[index] += own * coefficient
    for power in reversed(plan.powers):
        own = factor * by_power[power.index]
        by_power[power.left] += own * powers[power.right]
        by_power[power.right] += own * powers[power.left]
        if plan.basis == "chebyshev" and not power.is_square:
            by_power[power.left - power.right] -= by_power[power.index]
    of_input = by_power.pop(1)
    return Derivatives(of_input, by_power, tuple(by_block), values[-1])


def expected_std(
    plan: EvaluationPlan, of_input: float, of_powers: Mapping[int, float], of_blocks: Sequence[float]
) -> float:
    """Deviation of the result at the worst u, from the deviations of u and of what each step adds by itself.

    All in units of the values. Powers that the plan does not use do not count.
    """
    s = sensitivities(plan)
    square = (s.of_input * of_input) ** 2
    for index, derivative in s.of_powers.items():
        square = square + (derivative * of_powers[index]) ** 2
    for derivative, own in zip(s.of_blocks, of_blocks, strict=True):
        square = square + (derivative * own) ** 2
    return math.sqrt(float(square.max()))
