"""From trained layers to layers whose every value is proven to lie in [-1, 1].

Ranges go forward from the features: those of a first layer are exact, taken over every row the schema accepts, and over
all that stands in slots between rows where an activation follows; those of a later one take each input at its own
range. An activation f is replaced by a polynomial on the union [a, b] of its arguments' ranges (relu, which commutes
with factors, on each unit's own), and what that is off, at most, goes forward too: an argument off by d makes a value
off by fit + L d (L the Lipschitz constant of f), and weights w of such values a sum off by |w| @ (fit + L d).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.approximation import Method, approximate, logistic
from ckks.circuits.polynomials.polynomial import Polynomial
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
    """A function that never decreases.

    odd          up to a constant, so that a symmetric interval saves half the terms
    homogeneous  f(r x) = r f(x) for r > 0, so that each unit may have a radius of its own
    """

    f: Callable[[Floats], Floats]
    lipschitz: float
    odd: bool = False
    homogeneous: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(lambda x: np.maximum(x, 0.0), 1.0, homogeneous=True),
    "tanh": Activation(np.tanh, 1.0, odd=True),
    "logistic": Activation(logistic, 0.25, odd=True),
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
        max_abs_error: of each activation, as a share of half the length of its values' range; instead of a degree, or
            with the highest that is tried.

    Raises:
        ModelError: no degree reaches the error on the proven interval, or the layers do not fit.
    """
    merged = _merged(dense)
    first = merged[0]
    weights, bias = schema.centred(first.weights, first.bias)  # of values in [-1, 1]
    ends = schema.dot_range if first.activation == "identity" else schema.slot_range
    low, high = ends(weights, bias)
    low, high = np.atleast_1d(low), np.atleast_1d(high)
    off = np.zeros(len(low))  # of the arguments, by the polynomials before
    layers: list[Layer] = []
    for k, layer in enumerate(merged):
        if layer.activation == "identity":
            scale = _power_of_two(max(float(np.abs(np.concatenate([low, high])).max()), _LEAST_SCALE))
            layers.append(Layer(weights / scale, bias / scale))
            return Network(tuple(layers), scale, off)
        last, f = k + 1 == len(merged), ACTIVATIONS[layer.activation]
        unit = _unit(f, low, high, centred=not last)
        polynomial = _fitted(layer.activation, *unit.fit, degree, max_abs_error)
        layers.append(Layer(weights / unit.radius[:, None], (bias - unit.center) / unit.radius, polynomial))
        fit = unit.half * (polynomial.max_abs_error or 0.0)
        low, high = f.f(low) - fit, f.f(high) + fit
        off = fit + f.lipschitz * off
        if last:
            return Network(tuple(layers), float(unit.half[0]), off)
        following = merged[k + 1]
        weights, bias = following.weights * unit.half, following.bias + following.weights @ unit.middle
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


@dataclass(frozen=True, eq=False)
class _Unit:
    """f(center + radius u) = middle + half g(u), unit by unit; g is one function on [-1, 1], named by `fit`."""

    center: float
    radius: Floats
    middle: Floats
    half: Floats
    fit: tuple[float, float, float, float]


def _unit(f: Activation, low: Floats, high: Floats, *, centred: bool) -> _Unit:
    """Choose g with values in [-1, 1] for arguments in [low, high]; middle 0 where no layer follows to undo it."""
    spare = _MARGIN * max(float((high - low).max()), 1.0)
    if f.homogeneous:
        radius = np.maximum(np.abs(low), np.abs(high)) + spare
        a, b = -1.0, 1.0
    else:
        a, b = float(low.min()) - spare, float(high.max()) + spare
        if f.odd:
            a, b = min(a, -b), max(b, -a)
        radius = np.full(len(low), (b - a) / 2)
    least, greatest = (float(v) for v in f.f(np.array([a, b])))
    middle, half = (least + greatest) / 2, (greatest - least) / 2 or 1.0
    if not centred:
        middle, half = 0.0, _power_of_two(max(abs(least), abs(greatest), _LEAST_SCALE))
    size = radius if f.homogeneous else np.ones(len(low))
    return _Unit((a + b) / 2, radius, middle * size, half * size, (a, b, middle, half))


@lru_cache(maxsize=256, typed=True)
def _fitted(
    name: str, a: float, b: float, middle: float, half: float, degree: int | None, max_abs_error: float | None
) -> Polynomial:
    """(f(x) - middle) / half as a polynomial in u on [-1, 1], x = (a + b) / 2 + u (b - a) / 2."""
    f, center, radius = ACTIVATIONS[name].f, (a + b) / 2, (b - a) / 2

    def fit(method: Method) -> Polynomial:
        return approximate(
            lambda u: (f(center + radius * u) - middle) / half,
            (-1.0, 1.0),
            degree=degree,
            max_abs_error=max_abs_error,
            method=method,
            fill_depth=True,
        )

    try:
        try:
            return fit("minimax")
        except ParameterError:  # steep functions defeat the exchange; interpolation is worse by a small factor only
            return fit("chebyshev")
    except ParameterError as error:
        raise ModelError(
            f"arguments of {name} may lie anywhere in [{a:.4g}, {b:.4g}], and {error}. Declare narrower input ranges, "
            "train with stronger regularisation, or allow a larger error (degree=..., max_abs_error=...)"
        ) from error


def _power_of_two(size: float) -> float:
    return 2.0 ** ceil(log2(size))
