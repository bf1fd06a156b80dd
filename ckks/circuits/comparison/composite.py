"""The sign function as a composition of odd polynomials; no cryptography.

A single polynomial needs a degree of about ln(1/error)/t to tell -t from t. A composition p_k(...p_2(p_1(x))) reaches
the product of its degrees with the sum of their multiplications. [LLNK20]: among compositions of given degrees the best
one takes for each p_i the best polynomial on the interval that its predecessors leave. So, with the sign's interval
[t_1, 1] in, p_1 is within e_1 of 1 there; divided by 1 + e_1 its values lie in [t_2, 1], t_2 = (1 - e_1)/(1 + e_1), and
p_2 is made for that; and so on. The last one is not divided: its e_k is the error of the whole. On [0, t_1] all p_i
rise, so values that are too small to be decided stay inside [-1, 1] and do no harm.

Margins. Encrypted values are off. Every p_i is made for [t_i - m_i, 1 + m_i] instead, so the stated error holds for the
composition of polynomials each of whose arguments is off by up to its margin m_i: noise that comes in at one step
cannot be amplified by the later ones; it only moves the argument inside an interval where all values are good. m_1 must
be well below t_1. Later intervals lie further from 0, and their margins are larger (`stage_margin`).

Degrees. The search for them is in `circuits.comparison.degrees`: least depth, then the least `EvaluationPlan.cost`
(products, and mostly key switches), over all sequences of the odd degrees up to 31, and 39, 47, 55, 63.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.comparison.degrees import DEGREES, LARGEST_DEPTH, best_degrees, stage_margin
from ckks.circuits.comparison.odd_minimax import odd_minimax, value_range
from ckks.circuits.polynomials.plan import EvaluationPlan, evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import ParameterError, RangeError

__all__ = ["Composite", "classical_composite", "compose", "default_margin", "minimax_composite"]

LEAST_RESOLUTION = 2.0**-32
_LEAST_WANTED = 2.0**-40


@dataclass(frozen=True, repr=False)
class Composite:
    """Odd polynomials to be applied one after the other, and what is certain of the result.

    stages         first to last, Chebyshev basis on [-1, 1]; each maps [-1, 1] into it, but for the last
    resolution     t: arguments with t <= |x| <= 1 are decided
    max_abs_error  for those, the result is this near to the value of their sign
    margins        the error holds when each stage's argument is off by up to its margin
    intervals      [t_i, 1] of each stage: where decided arguments lie, without the margin
    values         what negative and positive arguments become: (-1, 1) for the sign, (0, 1) for a step

    Arguments with |x| < t give something between the two values, rising with x until it is within the error; 0 gives
    the middle.
    """

    stages: tuple[Polynomial, ...]
    resolution: float
    max_abs_error: float
    margins: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    values: tuple[float, float] = (-1.0, 1.0)

    @property
    def margin(self) -> float:
        """How far arguments of the composite itself may be off."""
        return self.margins[0]

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degree of each stage."""
        return tuple(stage.degree for stage in self.stages)

    @property
    def plans(self) -> tuple[EvaluationPlan, ...]:
        """How each stage is evaluated."""
        return tuple(evaluation_plan(stage) for stage in self.stages)

    @property
    def depth(self) -> int:
        """Levels used."""
        return sum(plan.depth for plan in self.plans)

    @property
    def products(self) -> int:
        """Products of two ciphertexts."""
        return sum(plan.multiplications for plan in self.plans)

    @property
    def key_switches(self) -> int:
        """Relinearisations: fewer than products, as sums of products share one."""
        return sum(plan.relinearisations for plan in self.plans)

    def __repr__(self) -> str:
        """Return a line with degrees, depth, resolution and values."""
        degrees = " ".join(map(str, self.degrees))
        low, high = self.values
        return (
            f"<Composite of degrees {degrees}, {self.depth} levels, {low:g} or {high:g} from a resolution of "
            f"{self.resolution:.2g} on>"
        )

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Values at x, any shape, |x| <= 1."""
        value = np.asarray(x, dtype=np.float64)
        for stage in self.stages:
            value = stage(value)
        return value

    @property
    def loss(self) -> float:
        """A bound on x (1 - s) for the signs s of this composite (of values -1, 1), 0 <= x <= 1, margins included.

        What x s(x) is off |x| by: well below the resolution, since s is nearly 1 before x reaches that.
        """
        return _loss(self)

    def affine(self, factor: float, constant: float) -> Composite:
        """Return factor * self + constant: folded into the last stage, so it costs nothing. No factor 0."""
        if not (math.isfinite(factor) and factor and math.isfinite(constant)):
            raise RangeError(f"factor {factor} and constant {constant}; needed finite numbers, the factor not 0")
        c = [factor * v for v in self.stages[-1].coefficients]
        c[0] += constant
        low, high = (factor * v + constant for v in self.values)
        return replace(
            self,
            stages=(*self.stages[:-1], Polynomial(tuple(c))),
            max_abs_error=self.max_abs_error * abs(factor),
            values=(low, high),
        )

    def step(self) -> Composite:
        """Return the composite for 0 (negative) and 1 (positive), at the same cost."""
        return self.affine(0.5, 0.5)


def default_margin(resolution: float) -> float:
    """Return a 32nd of the resolution, no more than 2^-10: it makes the resolution 3 % finer."""
    return min(2.0**-10, resolution / 32)


@lru_cache(maxsize=256)
def minimax_composite(
    resolution: float, max_abs_error: float = 2.0**-20, *, margin: float | None = None, largest_degree: int = 63
) -> Composite:
    """Return the composite of least depth, then least cost, for a resolution and an error ([LLNK20]).

    Args:
        resolution: 2^-32 to 1/2; |x| >= resolution is decided.
        max_abs_error: wanted on decided values, 2^-40 to 1/2. What is reached is in the result.
        margin: noise that arguments may have (at least); `default_margin` unless given.
        largest_degree: of a stage, 3 to 63. With 31 or 15 the depth is sometimes one more, for fewer products.

    Raises:
        RangeError: an argument out of range, a margin that is not well below the resolution.
        ParameterError: no composite found: the margin is too large for this error.
    """
    resolution, max_abs_error, margin = _checked(resolution, max_abs_error, margin)
    if largest_degree % 2 == 0 or not 3 <= largest_degree <= 63:
        raise RangeError(f"largest degree {largest_degree}; choose an odd number from 3 to 63")
    degrees = [d for d in DEGREES if d <= largest_degree]
    for slack in (1.0, 1 - 2.0**-10, 1 - 2.0**-5, 0.5):  # the search reads a table; what it finds is made and measured
        found = _made(best_degrees(resolution, slack * max_abs_error, margin, degrees), resolution, margin)
        if found.max_abs_error <= max_abs_error:
            return found
    raise ParameterError(f"an error of {max_abs_error:.3g} is out of reach of double precision; allow a larger one")


def _made(degrees: tuple[int, ...], resolution: float, margin: float) -> Composite:
    """Return the composite of the best polynomials of these degrees, each for what the one before leaves."""
    stages: list[Polynomial] = []
    low = resolution
    for degree in degrees:
        around = stage_margin(margin, low)
        fit = odd_minimax(low - around, 1 + around, degree)
        scale = 1.0 if len(stages) == len(degrees) - 1 else 1 / (1 + fit.max_abs_error)
        stages.append(Polynomial(tuple(scale * v for v in fit.coefficients)))
        low = (1 - fit.max_abs_error) / (1 + fit.max_abs_error)
    return compose(stages, resolution, margin=margin)


@lru_cache(maxsize=256)
def classical_composite(
    resolution: float, max_abs_error: float = 2.0**-20, *, n: int = 3, margin: float | None = None
) -> Composite:
    """Return f_n o ... o f_n o g_n o ... o g_n with the fewest levels, then the fewest g_n ([CKK19]).

    f_n is flat at +-1 and brings values there together; g_n has a steeper slope at 0 and no such limit. n is 1, 3 or 4
    (degree 3, 7, 9). (g_2 as printed leaves [-1, 1].) Simple, and a third deeper than `minimax_composite`.
    """
    if margin is None:  # f_1 squares the distance to 1, margin included
        margin = min(default_margin(resolution), 0.125 * math.sqrt(abs(max_abs_error)))
    resolution, max_abs_error, margin = _checked(resolution, max_abs_error, margin)
    if n not in _F:
        raise ParameterError(f"n is {n}; choose one of {sorted(_F)}")
    f, g = (_odd_powers(table[n]) for table in (_F, _G))
    for length in range(1, LARGEST_DEPTH):
        for count in range(length + 1):
            try:
                found = compose([g] * count + [f] * (length - count), resolution, margin=margin)
            except ParameterError:
                continue
            if found.max_abs_error <= max_abs_error:
                return found
    raise ParameterError(
        f"no composite of f_{n} and g_{n} reaches {max_abs_error:.3g}; allow a larger error or a smaller margin"
    )


def compose(stages: Iterable[Polynomial], resolution: float, *, margin: float | None = None) -> Composite:
    """Return the composite of any odd polynomials on [-1, 1], its error measured.

    From [resolution, 1] on, the range of every stage over its interval and the margin around it, by all its extremes,
    is the interval of the next; the last range gives the error.

    Raises:
        ParameterError: a polynomial that is not odd or not in Chebyshev form on [-1, 1], an intermediate value that
            may leave [-1, 1], or decided values that come to lie near 0.
    """
    parts = tuple(stages)
    _check_resolution(resolution)
    margin = default_margin(resolution) if margin is None else margin
    low, high = resolution, 1.0
    intervals, margins, error = [], [], math.inf
    for i, stage in enumerate(parts):
        if stage.basis != "chebyshev" or stage.interval != (-1.0, 1.0) or any(stage.coefficients[0::2]):
            raise ParameterError(f"stage {i} is no odd polynomial in Chebyshev form on [-1, 1]")
        around = stage_margin(margin, low)
        intervals.append((low, high))
        margins.append(around)
        bottom, top = value_range(stage.coefficients, low - around, high + around)
        error = max(1 - bottom, top - 1)
        small = value_range(stage.coefficients, 0.0, low)
        if i < len(parts) - 1:
            slack = 2.0**-40
            if max(top, small[1]) > 1 + slack or small[0] < -slack:
                raise ParameterError(
                    f"stage {i} maps [0, 1] to [{small[0]:.6g}, {max(top, small[1]):.6g}]; needed [0, 1]"
                )
            if bottom <= 2 * around:
                raise ParameterError(f"stage {i} maps decided values to {bottom:.3g}, with a margin of {around:.3g}")
        low, high = bottom, min(top, 1.0)
    if not parts:
        raise ParameterError("no stages; a composite has at least one")
    return Composite(parts, resolution, error, tuple(margins), tuple(intervals))


@lru_cache(maxsize=256)
def _loss(composite: Composite) -> float:
    """On a grid: between two points s is no less than at the lower one, with every argument a margin too low, until it
    comes within the error; from the resolution on x is up to 1."""
    low, high = composite.values
    x = np.linspace(0.0, composite.resolution, 4097)
    s = x
    for stage, margin in zip(composite.stages, composite.margins, strict=True):
        s = stage(s - margin)
    s = np.minimum((s - (low + high) / 2) * 2 / (high - low), 1 - composite.max_abs_error * 2 / abs(high - low))
    return max(float((x[1:] * (1 - s[:-1])).max()), composite.max_abs_error * 2 / abs(high - low))


def _check_resolution(resolution: float) -> None:
    if not LEAST_RESOLUTION <= resolution <= 0.5:
        raise RangeError(
            f"resolution {resolution}; needed 2^-32 to 1/2: the share of the largest size from which on values are "
            "told apart from 0"
        )


def _checked(resolution: float, max_abs_error: float, margin: float | None) -> tuple[float, float, float]:
    _check_resolution(resolution)
    if not _LEAST_WANTED <= max_abs_error <= 0.5:
        raise RangeError(f"max_abs_error {max_abs_error}; needed 2^-40 to 1/2")
    margin = default_margin(resolution) if margin is None else float(margin)
    if not 0 <= margin <= resolution / 4:
        raise RangeError(f"margin {margin} for a resolution of {resolution:.3g}; needed 0 to a quarter of it")
    return float(resolution), float(max_abs_error), margin


_F = {1: ((3, -1), 2), 3: ((35, -35, 21, -5), 16), 4: ((315, -420, 378, -180, 35), 128)}
_G = {
    1: ((2126, -1359), 2**10),
    3: ((4589, -16577, 25614, -12860), 2**10),
    4: ((5850, -34974, 97015, -113492, 46623), 2**10),
}
"""Numerators of x, x^3, x^5, ... and their denominator, as printed in [CKK19]."""


def _odd_powers(table: tuple[tuple[int, ...], int]) -> Polynomial:
    numerators, denominator = table
    c = [0.0] * (2 * len(numerators))
    c[1::2] = [v / denominator for v in numerators]
    return Polynomial(tuple(c), "power").to_chebyshev()
