"""What a real function's values tell: checked samples, symmetry, distance to a polynomial.

Functions are called with a float64 array and return an array of the same shape (or one number, for
a constant). Warnings raised inside them are silenced: every value is checked here instead, and an
infinite or NaN one is refused together with its position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.polynomial import Parity, Polynomial
from ckks.errors import ParameterError, RangeError

__all__ = ["FitError", "Function", "Reals", "maximum_distance", "maximum_error", "rounding_unit", "sample", "symmetry"]

Reals = NDArray[np.float64]
Function = Callable[[Reals], Any]

_EPS = float(np.finfo(np.float64).eps)
_SLACK = 2.0**-20  # relative width at which the search for the maximum stops: a millionth
_SUBDIVIDE = 8
_MAX_ROUNDS = 18  # 8^18 = 2^54 parts of a starting cell: narrower than any cell that is divided
_MAX_CELLS = 1 << 16


def sample(f: Function, x: Reals) -> Reals:
    """Values of f at x (1-D); RangeError or ParameterError names the first place that is bad."""
    if not callable(f):
        raise ParameterError(f"{f!r} is no function; pass a callable on float64 arrays (fit() takes names too)")
    with np.errstate(all="ignore"):
        values = np.asarray(f(x))
    if values.shape == ():
        values = np.broadcast_to(values, x.shape)
    if values.shape != x.shape:
        raise ParameterError(
            f"the function returned shape {values.shape} for {x.shape} arguments; it must map "
            "arrays elementwise (numpy.vectorize makes it so)"
        )
    if values.dtype.kind not in "biuf":
        raise ParameterError(f"the function returned {values.dtype}; real numbers are needed")
    values = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise RangeError(
            f"the function is {values[bad[0]]} at x = {float(x[bad[0]])!r}; choose an interval on "
            "which it is finite, or define it there"
        )
    return values


def symmetry(f: Function, interval: tuple[float, float]) -> tuple[Parity, float]:
    """Whether f is even, or odd up to the constant f(0), on a symmetric interval; and f(0).

    Returns ("odd", f(0)), ("even", f(0)) or ("none", f(0)). Decided on 256 pairs +-x to within 16
    units in the last place of max|f|: what rounding makes of a true symmetry. f(0) is 0 when the
    interval is not symmetric about 0: it is not evaluated then.
    """
    a, b = interval
    if a != -b:
        return "none", 0.0
    x = b * np.sin(np.linspace(0.0, math.pi / 2, 257))[1:]
    right, left = sample(f, x), sample(f, -x)
    middle = float(sample(f, np.zeros(1))[0])
    tolerance = 16 * _EPS * max(float(np.abs(right).max()), float(np.abs(left).max()), abs(middle))
    if np.abs(right - left).max() <= tolerance:
        return "even", middle
    if np.abs((right - middle) + (left - middle)).max() <= tolerance:
        return "odd", middle
    return "none", middle


def rounding_unit(polynomial: Polynomial, max_abs_value: float) -> float:
    """Bound on what float64 rounding adds to a computed value of f - p on the interval.

    For p: first-order bounds eps sum_k (2k + 2) |c_k| max|basis_k| for Clenshaw's and Horner's
    rule, and eps sum_k k^2 |c_k| for the rounded argument u, as |T_k'| <= k^2; together at most
    2 eps sum_k (k + 1)^2 |c_k| max|basis_k|. For f and the subtraction: 4 eps max|f|, of a
    function good to three units in the last place.
    """
    reach = 1.0 if polynomial.basis == "chebyshev" else polynomial.reach
    of_p = sum((k + 1) ** 2 * abs(c) * reach**k for k, c in enumerate(polynomial.coefficients))
    return _EPS * (2 * of_p + 4 * max_abs_value)


@dataclass(frozen=True)
class FitError:
    """Distance between a function and a polynomial on the polynomial's interval.

    measured  the largest |f - p| seen
    upper     what |f - p| does not exceed anywhere on the interval (see `maximum_error`)
    position  where `measured` was seen
    """

    measured: float
    upper: float
    position: float


def maximum_error(f: Function, polynomial: Polynomial) -> FitError:
    """Largest |f - p| on the interval of p, bracketed by `maximum_distance` from at least 2048 cells."""
    cells = max(2048, 64 * (polynomial.degree + 1))
    values = sample(f, _ends_of_cells(polynomial.interval, cells))
    unit = rounding_unit(polynomial, float(np.abs(values).max()))
    return maximum_distance(f, polynomial, polynomial.interval, cells=cells, rounding=unit)


def maximum_distance(
    f: Function, g: Function, interval: tuple[float, float], *, cells: int, rounding: float
) -> FitError:
    """Largest |f - g| on the interval, bracketed by branch and bound.

    Start from `cells` cells between Chebyshev points. With d the error at equally spaced
    points and s = |d_{i-1} - 2 d_i + d_{i+1}|, an error that is smooth between points i and i+1
    exceeds the larger of |d_i|, |d_{i+1}| by at most about s/8 (a parabola's vertex), and one with
    a kink there by at most s/2. So a cell is settled when max(|d_i|, |d_{i+1}|) + s/2 is not above
    the largest |d| seen, within one part in 2^20 and the rounding of the values; other cells are
    divided by 8 until they are, or, at a jump, until they are four units in the last place of the
    interval's larger end wide. `upper` is the largest such sum over all settled cells plus the
    rounding: an upper bound for every function without a feature narrower than a starting cell.
    """
    a, b = interval
    x = _ends_of_cells(interval, cells)[None, :]
    d = sample(f, x[0])[None, :] - g(x)
    narrowest = 4 * np.spacing(max(abs(a), abs(b)))
    measured, position, settled = 0.0, a, 0.0
    for _ in range(_MAX_ROUNDS):
        at = np.unravel_index(int(np.abs(d).argmax()), d.shape)
        if abs(d[at]) >= measured:
            measured, position = float(abs(d[at])), float(x[at])
        bend = np.abs(np.diff(d, 2, axis=1))
        bend = np.pad(bend, ((0, 0), (1, 1)), mode="edge")
        left, right = x[:, :-1], x[:, 1:]
        reach = np.maximum(np.abs(d[:, :-1]), np.abs(d[:, 1:]))
        excess = np.maximum(bend[:, :-1], bend[:, 1:]) / 2
        reach = reach + np.where(right - left <= narrowest, 0.0, excess)
        is_open = reach > measured * (1 + _SLACK) + 2 * rounding
        if is_open.sum() > _MAX_CELLS:  # noise above its bound: accept the cells as they are
            is_open[:] = False
        if not is_open.all():
            settled = max(settled, float(reach[~is_open].max()))
        if not is_open.any():
            break
        left, right = left[is_open][:, None], right[is_open][:, None]
        x = left + (right - left) * np.linspace(0.0, 1.0, _SUBDIVIDE + 1)
        x[:, -1] = right[:, 0]
        d = sample(f, x.ravel()).reshape(x.shape) - g(x)
    else:
        settled = max(settled, float(reach.max()))
    return FitError(measured, max(settled, measured) + rounding, position)


def _ends_of_cells(interval: tuple[float, float], cells: int) -> Reals:
    a, b = interval
    u = np.cos(np.linspace(math.pi, 0.0, cells + 1))
    x = np.clip(0.5 * a + 0.5 * b + 0.5 * (b - a) * u, a, b)
    x[0], x[-1] = a, b
    return x
