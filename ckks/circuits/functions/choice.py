"""Any function on an interval: which approximation to take, and evaluating whichever it is.

    a = fit("sigmoid", (-200, 200), max_abs_error=1e-3)
    describe(a)                     # what was chosen, its levels, products and measured error
    evaluate_function(evaluator, x, a)

Three kinds of approximation, in the order in which they are tried: a polynomial, as long as one of degree 127 or less
is accurate enough, has the fewest levels. Beyond, `circuits.functions.newton` for 1/x, 1/sqrt(x) and sqrt(x) on
intervals above 0, and `circuits.functions.extension` for functions that level off, on intervals symmetric about 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ckks.circuits.functions.catalogue import CATALOGUE, Named
from ckks.circuits.functions.extension import Extension, evaluate_extension, extend
from ckks.circuits.functions.newton import Newton, evaluate_newton, refine
from ckks.circuits.polynomials.approximation import MAX_DEGREE, approximate
from ckks.circuits.polynomials.arguments import Interval, check_degree, check_interval, check_wanted_error
from ckks.circuits.polynomials.evaluation import evaluate_normalised, evaluate_polynomial
from ckks.circuits.polynomials.measure import Function, Reals, sample, symmetry
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.powers import least_depth
from ckks.errors import ParameterError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator

__all__ = ["Approximation", "depth_of", "describe", "evaluate_function", "fit", "multiplications_of"]

Approximation = Polynomial | Newton | Extension


def fit(
    f: Function | str,
    interval: Interval | None = None,
    *,
    degree: int | None = None,
    max_abs_error: float | None = None,
) -> Approximation:
    """Choose an approximation of f on an interval.

    Args:
        f: maps a float64 array elementwise, or a name of `CATALOGUE`.
        interval: (a, b), or B for (-B, B), which has to hold every value that can occur; that of the catalogue unless
            given.
        degree: of the polynomial; together with an error, the largest that is tried. For a name, that of the catalogue
            unless one of the two is given.
        max_abs_error: wanted. The one reached is measured on the interval, and is `max_abs_error` of the result.

    Results are kept: the same function object on the same interval is not fitted twice.

    Raises:
        ParameterError: an unknown name, or no function at all; neither degree nor error for an f without defaults; or
            nothing reaches the error (the best is named).
        RangeError: an error that is not above 0; f is not finite somewhere on the interval.
    """
    if not (isinstance(f, str) or callable(f)):
        raise ParameterError(
            f"{f!r} is no function; pass a callable on float64 arrays, or one of {', '.join(CATALOGUE)}"
        )
    named = _named(f) if isinstance(f, str) else None
    if interval is None:
        if named is None:
            raise ParameterError("a function of your own has no default interval; pass interval=(lower, upper)")
        interval = named.interval
    if degree is None and max_abs_error is None and named is not None:
        degree = named.degree
    degree = None if degree is None else check_degree(degree)
    max_abs_error = None if max_abs_error is None else check_wanted_error(max_abs_error)
    return _fit(f, check_interval(interval), degree, max_abs_error)


@lru_cache(maxsize=128, typed=True)
def _fit(
    f: Function | str, interval: tuple[float, float], degree: int | None, max_abs_error: float | None
) -> Approximation:
    named = CATALOGUE[f] if isinstance(f, str) else None
    function = named.f if named else f
    assert callable(function)
    try:
        return _polynomial(function, interval, degree, max_abs_error)
    except ParameterError as no_polynomial:
        if max_abs_error is None or degree is not None:
            raise
        try:
            if named is not None and named.newton is not None and interval[0] > 0:
                return refine(named.newton, interval, max_abs_error=max_abs_error)
            if interval[0] == -interval[1] and (named is None or named.levels_off):
                return extend(function, interval, max_abs_error=max_abs_error)
        except ParameterError as nothing_else:
            raise ParameterError(f"{no_polynomial}. And {nothing_else}") from None
        raise


def _polynomial(
    f: Function, interval: tuple[float, float], degree: int | None, max_abs_error: float | None
) -> Polynomial:
    """A minimax polynomial; for a line plus an even function (ReLU, softplus, GELU), the line plus an even polynomial.

    By symmetry the best polynomial has that form anyway; known to be even, it needs fewer powers.
    """
    a, b = interval
    if a == -b:
        slope = float(np.diff(sample(f, np.array([a, b])))[0]) / (2 * b)

        def rest(x: Reals) -> Reals:
            return np.asarray(f(x)) - slope * x

        if slope and symmetry(rest, interval)[0] == "even":
            even = approximate(rest, interval, degree=degree, max_abs_error=max_abs_error)
            coefficients = [*even.coefficients, 0.0][: max(2, len(even.coefficients))]
            coefficients[1] = slope * b
            assert even.max_abs_error is not None
            return Polynomial(
                tuple(coefficients), "chebyshev", interval, even.max_abs_error + 2.0**-50 * abs(slope) * b
            )
    return approximate(f, interval, degree=degree, max_abs_error=max_abs_error)


def _named(name: str) -> Named:
    try:
        return CATALOGUE[name]
    except KeyError:
        raise ParameterError(
            f"no function named {name!r}; there are {', '.join(CATALOGUE)}, or pass a callable"
        ) from None


def depth_of(approximation: Approximation) -> int:
    """Levels it takes from (x - center)/radius; that division may take one more."""
    return least_depth(approximation.degree) if isinstance(approximation, Polynomial) else approximation.depth


def multiplications_of(approximation: Approximation) -> int:
    """Products of two ciphertexts."""
    if isinstance(approximation, Polynomial):
        return evaluation_plan(approximation).multiplications
    return approximation.multiplications


def describe(approximation: Approximation) -> str:
    """Say in one line what was chosen, why where it is no polynomial, and what it costs and reaches."""
    if isinstance(approximation, Polynomial):
        kind = f"polynomial of degree {approximation.degree}"
    elif isinstance(approximation, Newton):
        kind = (
            f"polynomial of degree {approximation.start.degree} and {approximation.steps} Newton steps, as no "
            f"polynomial of degree up to {MAX_DEGREE} is accurate enough"
        )
    else:
        kind = (
            f"{approximation.steps} cubics that narrow the interval {approximation.ratio:.2f} times each and a "
            f"polynomial of degree {approximation.base.degree}, as no polynomial of degree up to {MAX_DEGREE} on the "
            "whole interval is accurate enough"
        )
    error, (a, b) = approximation.max_abs_error, approximation.interval
    reached = "unknown error" if error is None else f"off by at most {error:.2g}"
    return (
        f"{kind}: {depth_of(approximation)} levels, {multiplications_of(approximation)} products, {reached} on "
        f"[{a:g}, {b:g}]; a level more where x is no linear form"
    )


def evaluate_function(
    evaluator: Evaluator, x: Ciphertext, approximation: Approximation, *, normalised: bool = False
) -> Ciphertext:
    """Return the approximation's value at x, `depth_of` levels lower (and one where the radius cannot be declared).

    Args:
        evaluator: with a relinearisation key.
        x: values inside the interval, the caller's promise; or, with `normalised`, (x - center)/radius of them.
        approximation: from `fit`.
        normalised: the division then costs nothing; polynomials have to be in the Chebyshev basis.

    Raises:
        ParameterError: something else than an approximation.
        LevelError: not enough levels left (says how many would do).
    """
    if isinstance(approximation, Extension):
        return evaluate_extension(evaluator, x, approximation, normalised=normalised)
    if isinstance(approximation, Newton):
        return evaluate_newton(evaluator, x, approximation, normalised=normalised)
    if not isinstance(approximation, Polynomial):
        raise ParameterError(f"{approximation!r} is no approximation; needed what `fit(f, interval, ...)` returns")
    evaluate = evaluate_normalised if normalised else evaluate_polynomial
    return evaluate(evaluator, x, approximation)
