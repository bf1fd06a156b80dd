"""From trained layers to layers whose every value is proven to lie in [-1, 1].

Ranges go forward from the features: those of a first layer are exact, taken over every row the schema accepts; those
of a later one take each input at its own range. An activation f is replaced by a polynomial on the union [a, b] of
its arguments' ranges, and what that is off, at most, goes forward too: an argument off by d makes a value off by
fit + L d (L the Lipschitz constant of f), and weights w of such values a sum off by |w| @ (fit + L d).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.approximation import approximate, logistic
from ckks.circuits.polynomials import Polynomial
from ckks.errors import ModelError, ParameterError
from ckks.ml.network import Layer, Network
from ckks.ml.schema import Schema

__all__ = ["ACTIVATIONS", "Dense", "normalised"]

Floats = NDArray[np.float64]

_MARGIN = 2.0**-16
"""Intervals are longer than the proven ranges by this share: encryption errors are smaller."""

_LEAST_SCALE = 2.0**-40


@dataclass(frozen=True)
class Activation:
    """A function that never decreases; `odd`: up to a constant, so that a symmetric interval saves half the terms."""

    f: Callable[[Floats], Floats]
    lipschitz: float
    odd: bool


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(lambda x: np.maximum(x, 0.0), 1.0, False),
    "tanh": Activation(np.tanh, 1.0, True),
    "logistic": Activation(logistic, 0.25, True),
}


@dataclass(frozen=True, eq=False)
class Dense:
    """A trained layer: activation(weights @ x + bias), weights (M, K); "identity" or a name of ACTIVATIONS."""

    weights: Floats
    bias: Floats
    activation: str = "identity"


def normalised(
    dense: Sequence[Dense], schema: Schema, *, degree: int | None = None, max_abs_error: float | None = None
) -> Network:
    """Return the network of these layers on the features of a schema.

    Args:
        dense: from the features to the scores.
        schema: the features.
        degree: of the polynomials in place of activations; raised to the highest of its depth.
        max_abs_error: of each activation (before the weights that follow), instead of a degree or below it.

    Raises:
        ModelError: no degree reaches the error on the proven interval, or the layers do not fit.
    """
    merged = _merged(dense)
    low, high = schema.dot_range(merged[0].weights, merged[0].bias)
    low, high = np.atleast_1d(low), np.atleast_1d(high)
    off = np.zeros(len(low))  # of the arguments, by the polynomials before
    layers: list[Layer] = []
    weights, bias = merged[0].weights, merged[0].bias  # of values in [-1, 1]
    for k, layer in enumerate(merged):
        if layer.activation == "identity":
            scale = _power_of_two(max(float(np.abs(np.concatenate([low, high])).max()), _LEAST_SCALE))
            layers.append(Layer(weights / scale, bias / scale))
            return Network(tuple(layers), scale, off)
        f = ACTIVATIONS[layer.activation]
        a, b = _interval(low, high, f.odd)
        center, radius = (a + b) / 2, (b - a) / 2
        last = k + 1 == len(merged)
        middle, half = _frame(f, a, b, centred=not last)
        polynomial = _fitted(layer.activation, a, b, middle, half, degree, max_abs_error)
        layers.append(Layer(weights / radius, (bias - center) / radius, polynomial))
        fit = half * (polynomial.max_abs_error or 0.0)
        low, high = f.f(low) - fit, f.f(high) + fit
        off = fit + f.lipschitz * off
        if last:
            return Network(tuple(layers), half, off)
        following = merged[k + 1]
        weights = following.weights * half
        bias = following.bias + following.weights @ np.full(len(low), middle)
        low, high = _through(following, low, high)
        off = np.abs(following.weights) @ off
    raise ModelError("a network without a last layer")  # pragma: no cover - the loop returns


def _merged(dense: Sequence[Dense]) -> list[Dense]:
    """The same layers with linear ones that follow each other multiplied out."""
    merged: list[Dense] = []
    for layer in dense:
        if layer.activation != "identity" and layer.activation not in ACTIVATIONS:
            known = ", ".join(["identity", *ACTIVATIONS])
            raise ModelError(f"activation {layer.activation!r}; there are polynomials for {known}")
        if merged and merged[-1].activation == "identity":
            last = merged.pop()
            layer = Dense(layer.weights @ last.weights, layer.weights @ last.bias + layer.bias, layer.activation)
        merged.append(layer)
    return merged


def _through(layer: Dense, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The range of a layer's sums for inputs in [low, high], each anywhere in its own range."""
    center, radius = (low + high) / 2, (high - low) / 2
    middle, reach = layer.weights @ center + layer.bias, np.abs(layer.weights) @ radius
    return middle - reach, middle + reach


def _interval(low: Floats, high: Floats, odd: bool) -> tuple[float, float]:
    a, b = float(low.min()), float(high.max())
    if odd:
        a, b = min(a, -b), max(b, -a)
    spare = _MARGIN * max(b - a, abs(a), abs(b), 1.0)
    return a - spare, b + spare


def _frame(f: Activation, a: float, b: float, *, centred: bool) -> tuple[float, float]:
    """(middle, half) with (f - middle) / half in [-1, 1] on [a, b]; middle 0 where nothing follows to undo it."""
    low, high = (float(v) for v in f.f(np.array([a, b])))
    if not centred:
        return 0.0, _power_of_two(max(abs(low), abs(high), _LEAST_SCALE))
    return (low + high) / 2, (high - low) / 2 or 1.0


@lru_cache(maxsize=256, typed=True)
def _fitted(
    name: str, a: float, b: float, middle: float, half: float, degree: int | None, max_abs_error: float | None
) -> Polynomial:
    """(f(center + radius u) - middle) / half as a polynomial in u on [-1, 1]."""
    f, center, radius = ACTIVATIONS[name].f, (a + b) / 2, (b - a) / 2
    try:
        return approximate(
            lambda u: (f(center + radius * u) - middle) / half,
            (-1.0, 1.0),
            degree=degree,
            max_abs_error=None if max_abs_error is None else max_abs_error / half,
            fill_depth=True,
        )
    except ParameterError as error:
        raise ModelError(
            f"arguments of {name} may lie anywhere in [{a:.4g}, {b:.4g}], and {error}. Declare narrower input ranges, "
            "train with stronger regularisation, or allow a larger error (degree=..., max_abs_error=...)"
        ) from error


def _power_of_two(size: float) -> float:
    return 2.0 ** ceil(log2(size))
