"""Fitting polynomials to functions of one real variable; no cryptography.

    f = approximation.logistic
    p = approximation.minimax(f, (-8, 8), 7)                 # smallest largest error at degree 7
    p = approximation.approximate(f, (-8, 8), max_abs_error=1e-3)
    p.max_abs_error                                          # measured, an upper estimate

Three ways to fit. `minimax` has the smallest largest error: the choice when any argument may
occur. `least_squares` has the smallest mean square error: better on average, several times worse
at the ends. `chebyshev_interpolant` needs degree + 1 values of the function and no iteration, and
is never worse than minimax by more than the factor 2 + (2 / pi) log(degree + 1), below 4.7 up to
degree 63 (Rivlin, The Chebyshev Polynomials, 1974).

All three return Chebyshev coefficients with exact zeros where the function is even, or odd up to a
constant, on an interval symmetric about 0. Mind that the polynomial is a fit on its interval only:
outside, it leaves for infinity, so the interval must hold every argument that can occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ckks.circuits.polynomials.arguments import Interval, check_degree, check_interval, check_wanted_error
from ckks.circuits.polynomials.measure import Function, Reals, maximum_error, sample, symmetry
from ckks.circuits.polynomials.polynomial import Parity, Polynomial
from ckks.circuits.polynomials.remez import minimax
from ckks.errors import ParameterError, RangeError

__all__ = [
    "MAX_DEGREE",
    "Method",
    "approximate",
    "chebyshev_interpolant",
    "least_squares",
    "logistic",
    "minimax",
]

Method = Literal["minimax", "chebyshev", "least_squares"]

MAX_DEGREE = 127
"""Largest degree `approximate` tries on its own: seven levels."""

_PANELS = 64  # of 16 Gauss-Legendre nodes each: degree 31 is integrated exactly on each panel
_NODES = 16


def logistic(x: ArrayLike) -> Reals:
    """The sigmoid 1 / (1 + exp(-x)), any shape; exp never overflows as it only sees -|x|."""
    x = np.asarray(x, dtype=np.float64)
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def chebyshev_interpolant(f: Function, interval: Interval, degree: int) -> Polynomial:
    """Interpolate f at the degree + 1 zeros of T_{degree+1}, moved to the interval.

    c_k = (2 - [k = 0]) / (n + 1) sum_j f(x_j) cos(k t_j), t_j = (j + 1/2) pi / (n + 1), with n
    the degree.

    Raises RangeError where f is not finite.
    """
    a, b = check_interval(interval)
    count = check_degree(degree) + 1
    angles = (np.arange(count) + 0.5) * math.pi / count
    x = np.clip(0.5 * a + 0.5 * b + 0.5 * (b - a) * np.cos(angles), a, b)
    coefficients = np.cos(np.outer(np.arange(count), angles)) @ sample(f, x) * (2.0 / count)
    coefficients[0] /= 2
    parity, middle = symmetry(f, (a, b))
    return _finished(f, (a, b), _with_exact_zeros(coefficients, parity, middle))


def least_squares(f: Function, interval: Interval, degree: int, weight: Function | None = None) -> Polynomial:
    """Minimise the integral of weight * (p - f)^2 over the interval; weight >= 0, 1 unless given.

    The integral is a Gauss-Legendre sum over 64 panels of 16 nodes, exact for integrands that are
    polynomials of degree 31 on each panel; the linear least-squares problem is solved in the
    Chebyshev basis.

    Raises RangeError where f or the weight is not finite, or the weight negative; ParameterError
    when the weight leaves too few points to determine the polynomial.
    """
    a, b = check_interval(interval)
    count = check_degree(degree) + 1
    nodes, node_weights = np.polynomial.legendre.leggauss(_NODES)
    middles = (2.0 * np.arange(_PANELS) + 1.0) / _PANELS - 1.0
    u = (middles[:, None] + nodes / _PANELS).ravel()
    mass = np.tile(node_weights / _PANELS, _PANELS)
    x = np.clip(0.5 * a + 0.5 * b + 0.5 * (b - a) * u, a, b)
    parity, middle = symmetry(f, (a, b))
    if weight is not None:
        given = sample(weight, x)
        if (given < 0).any():
            worst = int(given.argmin())
            raise RangeError(f"the weight is {given[worst]} at x = {x[worst]}; weights are >= 0")
        mass = mass * given
        if symmetry(weight, (a, b))[0] != "even":
            parity = "none"
    if count > mass.size or np.count_nonzero(mass) < count:
        raise ParameterError(
            f"degree {degree} needs {count} points of positive weight, the quadrature has "
            f"{np.count_nonzero(mass)}; lower the degree or widen the weight"
        )
    columns = np.polynomial.chebyshev.chebvander(u, count - 1)
    root = np.sqrt(mass / mass.max())
    coefficients = np.linalg.lstsq(columns * root[:, None], sample(f, x) * root, rcond=None)[0]
    return _finished(f, (a, b), _with_exact_zeros(coefficients, parity, middle))


def approximate(
    f: Function,
    interval: Interval,
    *,
    degree: int | None = None,
    max_abs_error: float | None = None,
    method: Method = "minimax",
    fill_depth: bool = False,
) -> Polynomial:
    """Fit f by the given degree, or by the least one whose largest error is low enough.

    fill_depth  raise the degree found to the next 2^d - 1: the highest that evaluates at the same
                multiplicative depth, so a smaller error for a few multiplications and no level

    interval    (a, b), or B for (-B, B)

    With both a degree and an error, the degree is the highest that is tried; otherwise MAX_DEGREE
    is. Raises ParameterError when neither is given, when the method is unknown, or when no degree
    reaches the error (it says what was reached); RangeError where f is not finite.
    """
    fit = _METHODS.get(method)
    if fit is None:
        known = ", ".join(sorted(_METHODS))
        raise ParameterError(f"unknown method {method!r}; choose one of {known}")
    limit = None if degree is None else check_degree(degree)
    if max_abs_error is None:
        if limit is None:
            raise ParameterError("neither degree nor max_abs_error is given; pass one of them")
        return fit(f, interval, _filled(limit) if fill_depth else limit)
    max_abs_error = check_wanted_error(max_abs_error)
    top = MAX_DEGREE if limit is None else limit
    least = _least_degree(fit, f, interval, max_abs_error, top, monotone=method == "minimax")
    filled = min(_filled(least.degree), max(top, least.degree))
    if not fill_depth or filled == least.degree:
        return least
    return min(fit(f, interval, filled), least, key=_error)


_Fit = Callable[[Function, Interval, int], Polynomial]


_METHODS: dict[str, _Fit] = {
    "minimax": minimax,
    "chebyshev": chebyshev_interpolant,
    "least_squares": least_squares,
}


def _least_degree(fit: _Fit, f: Function, interval: Interval, wanted: float, top: int, *, monotone: bool) -> Polynomial:
    """First fit good enough among degrees 0..top: by bisection when more degrees never hurt."""
    if not monotone:
        tried = []
        for n in range(top + 1):
            tried.append(fit(f, interval, n))
            if _error(tried[-1]) <= wanted:
                return tried[-1]
        raise _unreachable(wanted, min(tried, key=_error), top)
    too_low, good = -1, 0
    best = found = fit(f, interval, 0)
    while _error(found) > wanted:
        if good == top:
            raise _unreachable(wanted, best, top)
        too_low, good = good, min(2 * good + 1, top)
        found = fit(f, interval, good)
        best = min(best, found, key=_error)
    while good - too_low > 1:
        n = (too_low + good) // 2
        candidate = fit(f, interval, n)
        if _error(candidate) <= wanted:
            found, good = candidate, n
        else:
            too_low = n
    return found


def _unreachable(wanted: float, best: Polynomial, top: int) -> ParameterError:
    return ParameterError(
        f"no degree up to {top} approximates the function within {wanted:.3g} on {best.interval}; "
        f"the best is {_error(best):.3g} at degree {best.degree}. Shorten the interval, allow a "
        "larger error" + (", or allow a higher degree" if top < MAX_DEGREE else "")
    )


def _error(p: Polynomial) -> float:
    return math.inf if p.max_abs_error is None else p.max_abs_error


def _filled(degree: int) -> int:
    """Next 2^d - 1 from the degree upwards (0 stays 0)."""
    return int((1 << degree.bit_length()) - 1)


def _with_exact_zeros(coefficients: Reals, parity: Parity, middle: float) -> Reals:
    """Set what the symmetry of f makes zero, and f's odd part's constant, exactly."""
    if parity == "even":
        coefficients[1::2] = 0.0
    elif parity == "odd":
        coefficients[0::2] = 0.0
        coefficients[0] = middle
    return coefficients


def _finished(f: Function, interval: tuple[float, float], coefficients: Reals) -> Polynomial:
    p = Polynomial(tuple(coefficients.tolist()), "chebyshev", interval)
    return replace(p, max_abs_error=maximum_error(f, p).upper)
