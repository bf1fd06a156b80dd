"""What a server evaluates for linear models and small networks: layers in which every value lies in [-1, 1].

    u = weights @ e + bias,    e = p(u) (a polynomial) or u,    layer by layer;    score = scale * (last u, or p(u))

The features e of a record lie in [-1, 1] (`ml.schema`); that every later value does too is arranged and proven when
the layers are made (`ml.intervals`). So one scale and one small modulus serve all models, and no polynomial is ever
asked for a value outside its interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials.evaluation import evaluate_normalised
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import ModelError
from ckks.ml import plain
from ckks.ml.layers import groups, join, linear
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator

__all__ = ["Layer", "Network", "levels_of"]

Floats = NDArray[np.float64]

MAX_LAYERS = 64


def levels_of(polynomial: Polynomial | None) -> int:
    """Return how many levels a polynomial takes: 0 for none."""
    return 0 if polynomial is None else ceil(log2(polynomial.degree + 1))


@dataclass(frozen=True, eq=False)
class Layer:
    """u = weights @ e + bias, then the polynomial, if there is one; weights (M, K), bias (M,)."""

    weights: Floats
    bias: Floats
    polynomial: Polynomial | None = None

    def __post_init__(self) -> None:
        """Copy and lock the numbers."""
        weights, bias = (np.array(v, np.float64) for v in (self.weights, self.bias))
        if weights.ndim != 2 or bias.shape != weights.shape[:1] or not weights.size:
            raise ModelError(f"a layer with weights {weights.shape} and bias {bias.shape}; needed (M, K) and (M,)")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ModelError("a layer with weights that are not finite; train the model again")
        for name, value in (("weights", weights), ("bias", bias)):
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @property
    def depth(self) -> int:
        """Levels used: one for the weights, then the polynomial's."""
        return 1 + levels_of(self.polynomial)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        p = self.polynomial
        described = None if p is None else {"coefficients": list(p.coefficients), "max_abs_error": p.max_abs_error}
        return {"weights": self.weights.tolist(), "bias": self.bias.tolist(), "polynomial": described}

    @classmethod
    def from_dict(cls, value: object) -> Layer:
        """Return the layer that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "a layer", ("weights", "bias", "polynomial"))
        weights = plain.matrix(parts["weights"], "a layer's weights")
        return cls(
            weights,
            plain.matrix(parts["bias"], "a layer's bias", len(weights)),
            plain.optional(parts["polynomial"], _polynomial),
        )


@dataclass(frozen=True, eq=False)
class Network:
    """Layers, from features to scores; one layer without a polynomial is a linear model.

    layers  at least one, widths fitting
    scale   a score is this times the last layer's value
    error   how far the scores may be from those of the model it stands for, by its polynomials, (M,)
    """

    layers: tuple[Layer, ...]
    scale: float
    error: Floats

    kind: ClassVar[str] = "network"

    def __post_init__(self) -> None:
        """Refuse layers that do not fit together."""
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ModelError(f"a network of {len(self.layers)} layers; needed 1 to {MAX_LAYERS}")
        for one, other in zip(self.layers, self.layers[1:], strict=False):
            if len(one.bias) != other.weights.shape[1]:
                raise ModelError(f"a layer of {len(one.bias)} outputs before one of {other.weights.shape[1]} inputs")
        error = np.array(np.broadcast_to(np.asarray(self.error, np.float64), len(self.layers[-1].bias)))
        if not (np.isfinite(self.scale) and self.scale > 0 and (error >= 0).all()):
            raise ModelError(f"a network with scale {self.scale!r}, errors {error}; needed numbers above 0")
        object.__setattr__(self, "error", error)

    @property
    def width(self) -> int:
        """Number of features, K."""
        return int(self.layers[0].weights.shape[1])

    @property
    def outputs(self) -> int:
        """Number of scores of a record, M."""
        return len(self.layers[-1].bias)

    @cached_property
    def depth(self) -> int:
        """Levels that an evaluation uses."""
        return sum(layer.depth for layer in self.layers)

    @property
    def relinearisation(self) -> bool:
        """Whether ciphertexts are multiplied with each other: then the relinearisation key is needed."""
        return any(levels_of(layer.polynomial) > 1 for layer in self.layers)

    @property
    def row_weight(self) -> float:
        """The largest sum of |weights| of one output: how far sums may exceed [-1, 1] by what their terms tell."""
        return max(float(np.abs(layer.weights).sum(axis=1).max()) for layer in self.layers)

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return scores / scale, a batch (M,), for features packed in `layout` (see `ml.layout`)."""
        for k, layer in enumerate(self.layers):
            packed = None if k else layout
            p = layer.polynomial
            if p is None:
                x = linear(evaluator, x, layer.weights, layer.bias, packed)
                continue
            units = [
                evaluate_normalised(evaluator, linear(evaluator, x, layer.weights[i], layer.bias[i], packed), p)
                for i in groups(len(layer.bias))
            ]
            x = join(units)
        return x

    def in_the_clear(self, features: ArrayLike) -> Floats:
        """Return the scores (rows, M) that `evaluate` would give without any encryption error."""
        e = np.asarray(features, np.float64)
        for layer in self.layers:
            e = e @ layer.weights.T + layer.bias
            if layer.polynomial is not None:
                e = layer.polynomial(e)
        return self.scale * e

    def reference(self, features: ArrayLike) -> Floats:
        """Return the scores (rows, M) that those of an evaluation are within `error` of, encryption apart: the same.

        Those of the model it stands for are within `error` of them too.
        """
        return self.in_the_clear(features)

    def decided(self, features: ArrayLike) -> NDArray[np.bool_]:
        """Return for which rows the error holds: all of them."""
        return np.ones(len(np.asarray(features)), dtype=bool)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "kind": self.kind,
            "layers": [layer.to_dict() for layer in self.layers],
            "scale": self.scale,
            "error": self.error.tolist(),
        }

    @classmethod
    def from_dict(cls, value: object) -> Network:
        """Return the network that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the network", ("kind", "layers", "scale", "error"))
        layers = tuple(Layer.from_dict(one) for one in plain.items(parts["layers"], "the layers", MAX_LAYERS))
        return cls(
            layers,
            plain.number(parts["scale"], "the network's scale"),
            plain.matrix(parts["error"], "the network's errors"),
        )


def _polynomial(value: Any) -> Polynomial:
    parts = plain.fields(value, "a polynomial", ("coefficients", "max_abs_error"))
    coefficients = plain.matrix(parts["coefficients"], "a polynomial's coefficients")
    error = plain.optional(parts["max_abs_error"], plain.number, "a polynomial's error")
    return Polynomial(tuple(coefficients.ravel().tolist()), "chebyshev", (-1.0, 1.0), error)
