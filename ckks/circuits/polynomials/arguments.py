"""What callers say of an approximation, checked in one place: interval, degree, wanted error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ckks.errors import ParameterError, RangeError

__all__ = ["Interval", "check_degree", "check_interval", "check_wanted_error"]

Interval = float | Sequence[float]
"""(a, b), or B for (-B, B)."""


def check_interval(interval: Interval) -> tuple[float, float]:
    """Return (a, b) as floats with a < b, both finite and b - a finite.

    Raises RangeError for an infinite or NaN end, ParameterError for anything else that is no
    interval.
    """
    ends = _reals(interval)
    if ends is None or ends.ndim > 1:
        raise ParameterError(f"no interval: {interval!r}; pass (lower, upper), or B for (-B, B)")
    if ends.ndim == 0:
        ends = np.array([-ends, ends])
    if len(ends) != 2:
        raise ParameterError(f"an interval has two ends, got {len(ends)} numbers; pass (lower, upper)")
    a, b = ends.tolist()
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(b - a)):
        raise RangeError(f"the interval [{a}, {b}] is not finite; choose finite bounds")
    if a >= b:
        kind = "empty" if a == b else "reversed"
        raise ParameterError(f"the interval [{a}, {b}] is {kind}; pass (lower, upper)")
    return a, b


def check_degree(degree: int) -> int:
    """Return the degree, a non-negative integer, or raise ParameterError."""
    if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)):
        raise ParameterError(f"a degree is an integer, got {degree!r}")
    if degree < 0:
        raise ParameterError(f"the degree {degree} is negative; a constant has degree 0")
    return int(degree)


def check_wanted_error(max_abs_error: float) -> float:
    """Return the error to be reached, a finite number above 0, or raise RangeError."""
    wanted = _reals(max_abs_error)
    if wanted is None or wanted.ndim or not (math.isfinite(wanted) and wanted > 0):
        raise RangeError(f"max_abs_error is {max_abs_error}; pass a finite number > 0")
    return float(wanted)


def _reals(given: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """As a float64 array; None for what holds anything but real numbers."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # ragged, or encrypted
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None
