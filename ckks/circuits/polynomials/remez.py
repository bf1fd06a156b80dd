"""Minimax approximation: the polynomial of given degree with the smallest largest error.

A polynomial of degree n is the best one exactly when its error takes its largest size, with
alternating signs, at n + 2 points (Chebyshev; Powell, Approximation Theory and Methods, 1981,
chapters 7 to 9). The exchange algorithm (Remez 1934) looks for those points: solve for the
polynomial whose error alternates, levelled, on the points held; replace them by the extremes of
its error; repeat. The levelled error never exceeds the minimax error, which never exceeds the
largest error (de la Vallee Poussin), so every step brackets the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ckks.circuits.polynomials.arguments import Interval, check_degree, check_interval
from ckks.circuits.polynomials.measure import (
    Function,
    Reals,
    maximum_error,
    rounding_unit,
    sample,
    symmetry,
)
from ckks.circuits.polynomials.polynomial import Parity, Polynomial
from ckks.errors import ParameterError

__all__ = ["minimax"]

_MAX_EXCHANGES = 100
_CONVERGED = 2.0**-30  # relative gap between largest and levelled error: they agree to nine digits
_ACCEPTABLE = 2.0**-7  # with a larger gap after all exchanges, the result is not called minimax
_PATIENCE = 10  # exchanges granted to errors near the floor
_FLOOR = 16  # errors below this many rounding units have no reliable sign pattern


def minimax(f: Function, interval: Interval, degree: int) -> Polynomial:
    """Polynomial of at most this degree whose largest error on the interval is least.

    Chebyshev basis. When the interval is symmetric about 0 and f - f(0) is odd, or f is even, only
    the coefficients of that parity are solved for, on half of the interval; all others are exact
    zeros.

    `max_abs_error` is measured (see `maximum_error`) and within 0.8 % of the least possible,
    normally within 1e-6 of it, until it comes near the floor of double precision, about 1e-14 of
    max|f| at low degree. There the errors have no clean extremes left; the best polynomial met on
    the way is returned, with its measured error: nothing better can be computed in float64. Meant
    for degrees up to about 63 and smooth functions.

    Raises RangeError where f is not finite, ParameterError when the exchange does not converge.
    """
    a, b = check_interval(interval)
    problem = _pose(f, (a, b), check_degree(degree))
    coefficients, proven = _exchange(problem)
    best = problem.polynomial(coefficients)
    error = maximum_error(f, best)
    floor = _FLOOR * rounding_unit(best, float(np.abs(problem.values).max()))
    if error.measured - proven > max(_ACCEPTABLE * error.measured, floor):
        raise ParameterError(
            f"the exchange for degree {degree} on [{a}, {b}] did not converge: error "
            f"{error.measured:.4g}, proven lower bound {proven:.4g}; use method 'chebyshev' or "
            "'least_squares', a lower degree, or an interval on which the function is smooth"
        )
    return replace(best, max_abs_error=error.upper)


@dataclass(frozen=True)
class _Problem:
    """The function on a grid, and which T_k may be used.

    angles run over [0, pi] (or [0, pi/2] when there is a parity: u in [0, 1]), u = cos(angle), and
    values = f - offset there; offset is f(0) for odd functions, whose constant is not fitted.
    """

    function: Function
    interval: tuple[float, float]
    indices: Reals  # of the T_k that are fitted; float64, as the angles they multiply
    angles: Reals
    values: Reals
    offset: float

    def targets(self, angles: Reals) -> Reals:
        """f - offset at u = cos(angles)."""
        a, b = self.interval
        x = 0.5 * a + 0.5 * b + 0.5 * (b - a) * np.cos(angles)
        return sample(self.function, np.clip(x, a, b)) - self.offset

    def polynomial(self, coefficients: Reals) -> Polynomial:
        """The polynomial with these coefficients at `indices` and the offset as constant."""
        full = np.zeros(int(self.indices[-1]) + 1)
        full[self.indices.astype(np.intp)] = coefficients
        full[0] += self.offset
        return Polynomial(tuple(full.tolist()), "chebyshev", self.interval)

    def first_reference(self) -> Reals:
        """Extremes of the first T_k that is not fitted: optimal up to higher terms."""
        halved = self.angles[-1] < math.pi
        following = self.indices[-1] + (2 if halved else 1)
        points = np.arange(len(self.indices) + 1, dtype=np.float64)
        return points * (math.pi / float(following))


def _pose(f: Function, interval: tuple[float, float], degree: int) -> _Problem:
    parity: Parity
    parity, middle = symmetry(f, interval)
    if parity == "odd" and degree == 0:
        parity, middle = "none", 0.0
    first, step = {"odd": (1, 2), "even": (0, 2), "none": (0, 1)}[parity]
    indices = np.arange(first, degree + 1, step, dtype=np.float64)
    end = math.pi if parity == "none" else math.pi / 2
    angles = np.linspace(0.0, end, max(1024, 32 * (degree + 2)) + 1)
    offset = middle if parity == "odd" else 0.0
    posed = _Problem(f, interval, indices, angles, angles, offset)
    return _Problem(f, interval, indices, angles, posed.targets(angles), offset)


def _exchange(problem: _Problem) -> tuple[Reals, float]:
    """Coefficients of the best polynomial met; the largest levelled error, a proven lower bound."""
    count = len(problem.indices) + 1
    alternation = ((-1.0) ** np.arange(count)).astype(np.float64)
    reference = problem.first_reference()
    basis_on_grid = np.cos(np.outer(problem.angles, problem.indices))
    scale = float(np.abs(problem.values).max())
    best, least, proven = np.zeros(count - 1), math.inf, 0.0
    for exchanges in range(_MAX_EXCHANGES):
        system = np.column_stack([np.cos(np.outer(reference, problem.indices)), alternation])
        try:
            solution = np.linalg.solve(system, problem.targets(reference))
        except np.linalg.LinAlgError:
            break
        coefficients, levelled = solution[:-1], float(solution[-1])
        errors = problem.values - basis_on_grid @ coefficients
        angles, extremes = _refined_extremes(problem, coefficients, errors)
        largest = float(np.abs(extremes).max(initial=0.0))
        proven = max(proven, abs(levelled))
        if largest < least:
            best, least = coefficients, largest
        floor = _FLOOR * rounding_unit(problem.polynomial(coefficients), scale)
        if largest - abs(levelled) <= _CONVERGED * largest:
            break
        if exchanges >= _PATIENCE and least - proven <= floor:
            break
        if len(extremes) >= count:
            reference = np.asarray(angles[_alternating_subset(extremes, count)], dtype=np.float64)
        elif largest <= floor:
            break
        else:
            worst = int(np.abs(extremes).argmax())
            held = math.copysign(1.0, levelled) * alternation
            sign = math.copysign(1.0, extremes[worst])
            reference = _with_one_exchanged(reference, held, float(angles[worst]), sign)
    return best, min(proven, least)


def _refined_extremes(problem: _Problem, coefficients: Reals, errors: Reals) -> tuple[Reals, Reals]:
    """Angle and value of the error's largest extreme in each run of equal sign, in order of angle.

    Each grid extreme is moved to the vertex of the parabola through it and its neighbours, thrice,
    with spacing a tenth of the last; moves that do not increase the error are not made.
    """
    signs = np.sign(errors)
    cuts = np.flatnonzero(signs[1:] != signs[:-1]) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, len(errors))
    runs = [(s, e) for s, e in zip(starts, ends, strict=True) if signs[s] != 0]
    peaks = np.array([s + int(np.abs(errors[s:e]).argmax()) for s, e in runs], dtype=np.intp)
    angles: Reals = problem.angles[peaks]
    values: Reals = errors[peaks]
    sign, step = np.sign(values), float(problem.angles[1] - problem.angles[0])

    def error_at(theta: Reals) -> Reals:
        return problem.targets(theta) - np.cos(np.outer(theta, problem.indices)) @ coefficients

    if not len(peaks):
        return angles, values
    for _ in range(3):
        low, high = np.maximum(angles - step, 0.0), np.minimum(angles + step, problem.angles[-1])
        below, above = sign * error_at(low), sign * error_at(high)
        bend = below - 2 * sign * values + above
        shift = np.where(bend < 0, 0.5 * (below - above) / np.where(bend < 0, bend, 1.0), 0.0)
        candidate = np.clip(angles + step * np.clip(shift, -1, 1), low, high)
        moved = error_at(candidate)
        better = sign * moved > sign * values
        angles, values = np.where(better, candidate, angles), np.where(better, moved, values)
        step /= 10
    return angles, values


def _alternating_subset(extremes: Reals, count: int) -> list[int]:
    """Positions of `count` extremes with alternating signs, the largest one among them.

    Smallest ones go first: alone from either end, elsewhere together with the smaller neighbour.
    """
    keep = list(range(len(extremes)))
    size = np.abs(extremes)
    while len(keep) > count:
        if len(keep) == count + 1:
            del keep[0 if size[keep[0]] <= size[keep[-1]] else -1]
            break
        i = int(np.argmin(size[keep]))
        if 0 < i < len(keep) - 1:
            neighbour = i - 1 if size[keep[i - 1]] <= size[keep[i + 1]] else i + 1
            i, neighbour = max(i, neighbour), min(i, neighbour)
            del keep[i]
            i = neighbour
        del keep[i]
    return keep


def _with_one_exchanged(reference: Reals, signs: Reals, angle: float, sign: float) -> Reals:
    """Put one point with this sign of error into the reference, so that the signs still alternate.

    The single exchange of Remez's first algorithm, for the rare errors with too few sign changes
    (a levelled error of 0): the levelled error grows with every such step.
    """
    i = int(np.searchsorted(reference, angle))
    for neighbour in (i - 1, i):
        if 0 <= neighbour < len(reference) and signs[neighbour] == sign:
            return np.sort(np.append(np.delete(reference, neighbour), angle))
    # before the first or after the last point, with the opposite sign: the far end goes
    return np.sort(np.append(np.delete(reference, -1 if i == 0 else 0), angle))
