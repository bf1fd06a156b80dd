"""Comparisons of encrypted vectors: sign, step, threshold, maximum, argmax.

    top = ckks.comparisons.maximum(x, y, resolution=2**-8, radius=4)  # differences from 8/2^8 up are told apart
    hits = ckks.comparisons.threshold(scores, 0.8, resolution=1e-3)   # 1 above, 0 below, 1/2 at the threshold

What all of them share (`ckks.circuits.comparison.operations` has the details):

resolution     with values declared within +-radius, differences from this share of their largest possible size on
               (radius for sign, step and absolute, radius + |at| for a threshold, 2 radius for two values) are decided;
               smaller ones give something in between, ties the middle; 2^-12 unless chosen otherwise
max_abs_error  how far decided results may be from -1, 0, 1; 2^-20 unless chosen otherwise
radius         the promise about the values, 1 unless given
composite      of one's own, in place of resolution and max_abs_error
b              a vector, or plain numbers

A level is spent on the division by what a difference can reach, unless that is at most 1, or the vector is a linear
form that was not computed yet (`weights @ x + bias`): then it is folded into the weights.
"""

from __future__ import annotations

from typing import Any

from ckks.circuits.comparison import operations as comparison
from ckks.circuits.comparison.composite import Composite, minimax_composite
from ckks.errors import ParameterError
from ckks.vector import EncryptedVector, checked_vector, normalised

__all__ = ["absolute", "argmax", "compare", "largest", "maximum", "minimum", "sign", "step", "threshold"]

RESOLUTION = 2.0**-12
MAX_ABS_ERROR = 2.0**-20


def sign(
    x: EncryptedVector,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    decided: bool = False,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return -1, 0 or 1 by the sign of x: within `max_abs_error` for |x| >= radius resolution, in between below that.

    decided: a promise that there are no smaller ones, ties included; the result's error bound is then small.
    """
    return _of_difference(x, 0.0, _composite(composite, resolution, max_abs_error), radius, decided)


def step(
    x: EncryptedVector,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    decided: bool = False,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return 1 for positive x, 0 for negative, 1/2 for 0; as `sign`, and within half of its error."""
    return _of_difference(x, 0.0, _composite(composite, resolution, max_abs_error).step(), radius, decided)


def threshold(
    x: EncryptedVector,
    at: float,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    decided: bool = False,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return 1 where x > at, 0 where x < at, 1/2 where equal; decided from (radius + |at|) resolution on."""
    at = _number("at", at)
    return _of_difference(x, at, _composite(composite, resolution, max_abs_error).step(), radius, decided)


def compare(
    a: EncryptedVector,
    b: Any,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    decided: bool = False,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return 1 where a > b, 0 where a < b, 1/2 where equal; decided from 2 radius resolution on."""
    a = checked_vector(a)
    chosen = _composite(composite, resolution, max_abs_error)
    found = comparison.compare(a.evaluator, a.ciphertext, _plain(b), chosen, radius=radius, decided=decided)
    return EncryptedVector(found, a.evaluator)


def absolute(
    x: EncryptedVector,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return |x|, off by no more than radius max(resolution/9, max_abs_error)."""
    x = checked_vector(x)
    chosen = _composite(composite, resolution, max_abs_error)
    return EncryptedVector(comparison.absolute(x.evaluator, x.ciphertext, chosen, radius=radius), x.evaluator)


def maximum(
    a: EncryptedVector,
    b: Any,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return the larger of a and b, slot by slot, off by no more than radius max(resolution/9, max_abs_error).

    Ties are exact. maximum(x, 0.0) is the rectifier.
    """
    a = checked_vector(a)
    chosen = _composite(composite, resolution, max_abs_error)
    return EncryptedVector(comparison.maximum(a.evaluator, a.ciphertext, _plain(b), chosen, radius=radius), a.evaluator)


def minimum(
    a: EncryptedVector,
    b: Any,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return the smaller of a and b; as `maximum`."""
    a = checked_vector(a)
    chosen = _composite(composite, resolution, max_abs_error)
    return EncryptedVector(comparison.minimum(a.evaluator, a.ciphertext, _plain(b), chosen, radius=radius), a.evaluator)


def largest(
    x: EncryptedVector,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return the maximum over the first batch axis, ceil(log2 K) rounds of `maximum` deep."""
    x = checked_vector(x)
    chosen = _composite(composite, resolution, max_abs_error)
    return EncryptedVector(comparison.largest(x.evaluator, x.ciphertext, chosen, radius=radius), x.evaluator)


def argmax(
    x: EncryptedVector,
    *,
    resolution: float = RESOLUTION,
    max_abs_error: float = MAX_ABS_ERROR,
    radius: float = 1.0,
    decided: bool = False,
    composite: Composite | None = None,
) -> EncryptedVector:
    """Return the place of the maximum over the first batch axis, one-hot along it; for a few values.

    m values that share the maximum get 2^-(m - 1) each.
    """
    x = checked_vector(x)
    chosen = _composite(composite, resolution, max_abs_error)
    found = comparison.argmax(x.evaluator, x.ciphertext, chosen, radius=radius, decided=decided)
    return EncryptedVector(found, x.evaluator)


def _composite(given: Composite | None, resolution: float, max_abs_error: float) -> Composite:
    if given is None:
        return minimax_composite(_number("resolution", resolution), _number("max_abs_error", max_abs_error))
    if not isinstance(given, Composite):
        raise ParameterError(f"composite {given!r}; needed a Composite, as minimax_composite(resolution) returns it")
    return given


def _of_difference(
    x: EncryptedVector, at: float, composite: Composite, radius: float, decided: bool
) -> EncryptedVector:
    """The composite of x - at, |x| <= radius; what a linear form still waits for is folded into its weights."""
    x = checked_vector(x)
    reach = _number("radius", radius) + abs(at)
    u, divided = normalised(x, at, reach), None
    if u is not None:
        reach, divided = 1.0, (at - reach, at + reach)
    else:
        u = x - at if at else x
    found = comparison.sign(x.evaluator, u.ciphertext, composite, radius=reach, decided=decided, divided=divided)
    return EncryptedVector(found, x.evaluator)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} is {value!r}; needed one plain number") from None


def _plain(b: Any) -> Any:
    return b.ciphertext if isinstance(b, EncryptedVector) else b
