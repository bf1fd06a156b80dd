"""The best odd polynomial for the sign function: 1 on [low, high], hence -1 on [-high, -low]; no cryptography.

The odd Chebyshev polynomials T_1, T_3, ... T_{2k-1} form a Haar system on [low, high] when low > 0, so the exchange
algorithm (`circuits.polynomials.remez`) applies to them with k + 1 points, and the levelled error on those points again
never exceeds the least possible error. Two things make it quick here. The derivative has at most k - 1 positive zeros,
which are the eigenvalues of a matrix of that size, so all extremes are found without a search; and 1 - p has k sign
changes on the k + 1 points, so between ends and zeros nothing else is left: the extremes are the next points.

The best polynomial rises from 0 to 1 - error on [0, low], without a turn, and then swings between 1 - error and
1 + error: it stays bounded by 1 + error on all of [-high, high].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from ckks.circuits.polynomials.measure import Reals
from ckks.errors import ParameterError, RangeError

__all__ = ["LEAST_ERROR", "OddFit", "asymptotic_error", "least_degree", "odd_minimax", "value_range"]

LEAST_ERROR = 2.0**-44
"""Below this, errors have no reliable sign in double precision: no fit claims less."""

_EXCHANGES = 50
_CONVERGED = 2.0**-20  # gap between largest and levelled error, relative to it, or to 1 less it where that is small
_GRID = 32  # points per degree that are looked at besides the extremes


@dataclass(frozen=True)
class OddFit:
    """Coefficients of T_0, T_1, ... (exact zeros at even places), and the largest |p - 1| on the interval.

    levelled  what no odd polynomial of this degree falls below on the interval, up to rounding
    """

    coefficients: tuple[float, ...]
    max_abs_error: float
    levelled: float


@lru_cache(maxsize=4096)
def odd_minimax(low: float, high: float, degree: int) -> OddFit:
    """Return the odd polynomial of this degree whose largest distance to 1 on [low, high] is least.

    T_k are those of [-1, 1]; `high` may exceed 1 by a little. The error is measured at the ends, at all extremes and on
    a grid, and is an upper estimate, rounding included; it is never stated below `LEAST_ERROR`.

    Raises:
        RangeError: not 0 < low < high <= 2.
        ParameterError: an even or negative degree, or one above 127; an exchange that does not converge.
    """
    if not 0 < low < high <= 2:
        raise RangeError(f"an interval [{low:g}, {high:g}]; needed 0 < low < high <= 2")
    if degree % 2 == 0 or not 0 < degree <= 127:
        raise ParameterError(f"degree {degree} for an odd polynomial; choose an odd number from 1 to 127")
    count = (degree + 1) // 2
    angles = np.arange(count + 1) * (math.pi / count)
    reference = np.sqrt(low**2 + (high**2 - low**2) * np.sin(angles / 2) ** 2)
    signs = (-1.0) ** np.arange(count + 1)
    best: OddFit | None = None
    for _ in range(_EXCHANGES):
        columns = chebyshev.chebvander(reference, degree)[:, 1::2]
        try:
            solution = np.linalg.solve(np.column_stack([columns, signs]), np.ones(count + 1))
        except np.linalg.LinAlgError:  # a tiny interval, an error far below what can be told: any solution is good
            solution = np.linalg.lstsq(np.column_stack([columns, signs]), np.ones(count + 1), rcond=None)[0]
        c = np.zeros(degree + 1)
        c[1::2] = solution[:-1]
        points = np.concatenate([[low], _extremes(c, low, high), [high]])
        error, levelled = _largest_error(c, points, low, high), abs(float(solution[-1]))
        if best is None or error < best.max_abs_error:
            best = OddFit(tuple(c.tolist()), max(error, LEAST_ERROR), levelled)
        gap, unit = error - levelled, 2 * _rounding(c)
        converged = gap <= max(_CONVERGED * min(error, 1 - levelled), unit)
        if converged or error <= LEAST_ERROR or len(points) != count + 1:
            break
        reference = points
    assert best is not None
    if best.max_abs_error - best.levelled > 2.0**-7 * best.max_abs_error and best.max_abs_error > 16 * LEAST_ERROR:
        raise ParameterError(
            f"no convergence for degree {degree} on [{low:g}, {high:g}]: error {best.max_abs_error:.3g}, lower bound "
            f"{best.levelled:.3g}; choose a lower degree"
        )
    return best


def value_range(coefficients: tuple[float, ...], low: float, high: float) -> tuple[float, float]:
    """Return what an odd polynomial's values on [low, high] do not leave: measured at ends, extremes and on a grid.

    Rounding is taken off on either side.
    """
    c = np.asarray(coefficients)
    points = np.concatenate([_grid(len(c) - 1, low, high), _extremes(c, low, high)])
    values, unit = chebyshev.chebval(points, c), _rounding(c)
    return float(values.min()) - unit, float(values.max()) + unit


def asymptotic_error(low: float, degree: int) -> float:
    """Return the least error of odd polynomials of this degree on [low, 1], for large degrees ([EY07, Theorem 1]).

    With degree 2m + 1: (1 - low)/sqrt(pi low m) ((1 - low)/(1 + low))^m. From low m = 1 on, up to 15 % too much.
    """
    m = (degree - 1) / 2
    if m <= 0:
        return 1.0
    return min(1.0, math.exp(m * (math.log1p(-low) - math.log1p(low))) * (1 - low) / math.sqrt(math.pi * low * m))


def least_degree(low: float, max_abs_error: float) -> int:
    """Return the odd degree that any polynomial needs to be within `max_abs_error` of the sign on [low, 1].

    By `asymptotic_error`; so no circuit of fewer than log2 of it multiplications in a row can do it, whatever its form.
    """
    below, enough = 0, 1  # degree 2m + 1
    while asymptotic_error(low, 2 * enough + 1) > max_abs_error:
        below, enough = enough, 2 * enough
    while enough - below > 1:
        m = (below + enough) // 2
        below, enough = (below, m) if asymptotic_error(low, 2 * m + 1) <= max_abs_error else (m, enough)
    return 2 * enough + 1


def _extremes(c: Reals, low: float, high: float) -> Reals:
    """Stationary points inside (low, high), ascending: the even derivative is a series in T_j(w), w = 2 x^2 - 1."""
    slope = chebyshev.chebtrim(chebyshev.chebder(c)[0::2])
    if len(slope) < 2:
        return np.zeros(0)
    roots = chebyshev.chebroots(slope)
    w = np.sort(roots.real[np.abs(roots.imag) < 1e-9])
    x = np.sqrt(np.maximum((1 + w) / 2, 0))
    return np.asarray(x[(x > low) & (x < high)], dtype=np.float64)


def _grid(degree: int, low: float, high: float) -> Reals:
    """Points as the extremes lie, denser towards both ends, the ends among them."""
    angles = np.linspace(0.0, math.pi, _GRID * (degree + 1) + 1)
    x = np.sqrt(low**2 + (high**2 - low**2) * np.sin(angles / 2) ** 2)
    return np.asarray(np.clip(x, low, high), dtype=np.float64)


def _largest_error(c: Reals, points: Reals, low: float, high: float) -> float:
    everywhere = np.concatenate([points, _grid(len(c) - 1, low, high)])
    return float(np.abs(chebyshev.chebval(everywhere, c) - 1).max()) + _rounding(c)


def _rounding(c: Reals) -> float:
    """Bound on what Clenshaw's rule loses: first order, eps sum_k (2k + 2) |c_k|."""
    return float(np.finfo(np.float64).eps * ((2 * np.arange(len(c)) + 2) * np.abs(c)).sum())
