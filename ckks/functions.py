"""Functions of encrypted values, for users: any callable on an interval, and ten by name.

    y = functions.sigmoid(weights @ x + bias)                                  # the defaults: (-8, 8), degree 7
    y = functions.tanh(x, interval=3, max_abs_error=1e-4)                      # the least degree that reaches the error
    y = functions.function(x, lambda v: v * np.exp(-v), interval=(0, 10), max_abs_error=1e-3)
    print(functions.describe(functions.fit("sigmoid", (-200, 200), max_abs_error=1e-3)))

An approximation is right on its interval only, and nobody can look whether encrypted values lie in it: the interval is
the caller's promise. The errors promised below are those of the approximation; that of the encrypted computation comes
on top, and is stated by `ckks.expected_error` and `ckks.error_bound`. All take the depth that `fit(...)` says, and one
level more to divide by the radius of the interval, unless x is a linear form (`weights @ features + bias`), into which
the division is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.functions.choice import Approximation, describe, evaluate_function, fit
from ckks.circuits.polynomials import arguments
from ckks.circuits.polynomials.evaluation import evaluate_per_slot, evaluate_polynomials
from ckks.circuits.polynomials.plan import check_alike
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.rlwe import Ciphertext
from ckks.vector import EncryptedVector, checked_vector, normalised

__all__ = [
    "describe",
    "exp",
    "fit",
    "function",
    "gelu",
    "inverse",
    "inverse_sqrt",
    "log",
    "per_slot",
    "polynomials",
    "relu",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
]

Interval = arguments.Interval | None
"""(a, b), or B for (-B, B); None for that of the catalogue."""


def function(
    x: EncryptedVector,
    f: Callable[[NDArray[np.float64]], Any] | str | Approximation,
    *,
    interval: Interval = None,
    degree: int | None = None,
    max_abs_error: float | None = None,
) -> EncryptedVector:
    """Return nearly f(x) for x in the interval.

    Args:
        x: values inside the interval; outside it the approximation means nothing.
        f: a callable on float64 arrays, a name of the catalogue ("tanh"), or what `fit` returned.
        interval: (a, b), or B for (-B, B).
        degree: of the polynomial.
        max_abs_error: wanted accuracy: the least degree that reaches it, or beyond degree 127 other means, see `fit`.
            `fit(f, interval, ...).max_abs_error` is what was reached.

    Raises:
        TypeError: x is no EncryptedVector.
        ParameterError, RangeError: see `fit`.
        LevelError: not enough levels left (says how many would do).
    """
    x = checked_vector(x)
    approximation = f if isinstance(f, Approximation) else fit(f, interval, degree=degree, max_abs_error=max_abs_error)
    ct, folded = _folded(x, approximation)
    return EncryptedVector(evaluate_function(x.evaluator, ct, approximation, normalised=folded), x.evaluator)


def _folded(x: EncryptedVector, approximation: Approximation) -> tuple[Ciphertext, bool]:
    """The ciphertext, and whether it is in units of the interval: so for linear forms that are not computed yet."""
    u = None
    if not isinstance(approximation, Polynomial) or approximation.basis == "chebyshev":
        u = normalised(x, approximation.center, approximation.radius)
    return (x.ciphertext, False) if u is None else (u.ciphertext, True)


def polynomials(x: EncryptedVector, several: Sequence[Polynomial]) -> list[EncryptedVector]:
    """Return [p(x), q(x), ...] for polynomials on one interval, computing the powers of x once."""
    x = checked_vector(x)
    check_alike(several)
    ct, folded = _folded(x, several[0])
    results = evaluate_polynomials(x.evaluator, ct, several, normalised=folded)
    return [EncryptedVector(result, x.evaluator) for result in results]


def per_slot(x: EncryptedVector, polynomials: Sequence[Polynomial], which: ArrayLike) -> EncryptedVector:
    """Return polynomials[which[j]](x[j]) for every value, with the key switches of one polynomial."""
    x = checked_vector(x)
    check_alike(polynomials)
    ct, folded = _folded(x, polynomials[0])
    return EncryptedVector(evaluate_per_slot(x.evaluator, ct, polynomials, which, normalised=folded), x.evaluator)


def sigmoid(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly 1/(1 + exp(-x)) for x in the interval; on (-8, 8), off by at most 0.019 (degree 7, 3 levels).

    Wide intervals, up to hundreds, are narrowed first.
    """
    return function(x, "sigmoid", interval=interval, degree=degree, max_abs_error=max_abs_error)


def tanh(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly tanh(x) for x in the interval; on (-4, 4), off by at most 1.8e-3 (degree 15, 4 levels).

    Wide intervals, up to hundreds, are narrowed first.
    """
    return function(x, "tanh", interval=interval, degree=degree, max_abs_error=max_abs_error)


def exp(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly exp(x) for x in the interval; on (-4, 4), off by at most 8.1e-9 (degree 15, 4 levels).

    Values reach exp(b): the parameters' value_range has to hold them.
    """
    return function(x, "exp", interval=interval, degree=degree, max_abs_error=max_abs_error)


def log(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly log(x) for x in the interval; on (0.1, 10), off by at most 2.8e-4 (degree 31, 5 levels).

    The interval lies above 0; the degree grows with the root of the ratio of its ends.
    """
    return function(x, "log", interval=interval, degree=degree, max_abs_error=max_abs_error)


def inverse(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly 1/x for x in the interval; on (0.1, 10), off by at most 1.7e-5 (degree 63, 6 levels).

    The interval lies above 0; Newton's iteration where its ends are far apart.
    """
    return function(x, "inverse", interval=interval, degree=degree, max_abs_error=max_abs_error)


def sqrt(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly sqrt(x) for x in the interval; on (0, 10), off by at most 0.015 (degree 31, 5 levels).

    The error sits at 0 and halves with each level; above 0, Newton's iteration where a polynomial is not enough.
    """
    return function(x, "sqrt", interval=interval, degree=degree, max_abs_error=max_abs_error)


def inverse_sqrt(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly 1/sqrt(x) for x in the interval; on (0.1, 10), off by at most 9.2e-4 (degree 31, 5 levels).

    The interval lies above 0; Newton's iteration where its ends are far apart.
    """
    return function(x, "inverse_sqrt", interval=interval, degree=degree, max_abs_error=max_abs_error)


def relu(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly max(x, 0) for x in the interval; on (-4, 4), off by at most 0.019 (degree 31, 5 levels).

    The error sits at the corner, grows with the interval and halves with each level.
    """
    return function(x, "relu", interval=interval, degree=degree, max_abs_error=max_abs_error)


def gelu(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly x Phi(x), Phi the normal distribution; on (-8, 8), off by at most 4.9e-5 (degree 31, 5 levels)."""
    return function(x, "gelu", interval=interval, degree=degree, max_abs_error=max_abs_error)


def softplus(
    x: EncryptedVector, *, interval: Interval = None, degree: int | None = None, max_abs_error: float | None = None
) -> EncryptedVector:
    """Return nearly log(1 + exp(x)) for x in the interval; on (-8, 8), off by at most 6.6e-4 (degree 15, 4 levels)."""
    return function(x, "softplus", interval=interval, degree=degree, max_abs_error=max_abs_error)
