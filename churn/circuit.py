"""The encrypted score: one dot product, one polynomial. The encrypted twin of `churn.model`.

    u = (bias + weights . x) / B,    probability = p(u),    |p(u) - 1 / (1 + exp(-B u))| <= error,

on the interval [-B, B] that the model proves for every record its schema accepts. Two layouts:

    feature-major   x is d ciphertexts, one per feature, slot j belonging to row j: a weighted sum of
                    ciphertexts, no rotation, N/2 rows at once. For tables.
    record          x is one ciphertext, slot k holding feature k, in d' >= d slots (a power of two):
                    one product with the weights, log2 d' rotations. For a single employee, at a d-th
                    of the upload. Every slot of the result holds the score, none a partial sum.

Or the polynomial is left out, and the logit goes back for the key holder to apply the exact sigmoid
to: one level instead of five, and no approximation. What is returned is then more telling of the
weights; but d + 1 well-chosen rows tell them in either case.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from churn.errors import ModelError
from churn.hosting.model import Layout, Output
from churn.model import LinearModel
from ckks.circuits import Polynomial, approximate, evaluate_normalised, logistic
from ckks.errors import ParameterError
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Evaluator

__all__ = [
    "FEATURE_MAJOR",
    "LOGIT",
    "MAX_ABS_ERROR",
    "PROBABILITY",
    "RECORD",
    "OutputKind",
    "Score",
    "parameters_for",
    "sigmoid_polynomial",
]

FEATURE_MAJOR, RECORD = "feature-major", "record"
OutputKind = Literal["probability", "logit"]
PROBABILITY: OutputKind = "probability"
LOGIT: OutputKind = "logit"

MAX_ABS_ERROR = 2.0**-9
"""What the polynomial may be off, at most, unless asked otherwise."""

PRECISION_BITS = 22
"""Of each product: four digits more than the polynomial has."""

_MARGIN = 0.05  # damage is off by a factor of 10^10, not by a twentieth
_SPARE = 8.0  # `for_depth` leaves so much room above value_range in the last modulus


def sigmoid_polynomial(interval: float, max_abs_error: float = MAX_ABS_ERROR) -> Polynomial:
    """Return the minimax polynomial of the sigmoid on [-interval, interval].

    Of the least depth that keeps the error within `max_abs_error`, and the highest degree that this
    depth allows. Raises ModelError when the interval is too wide for any degree up to 127.
    """
    try:
        return approximate(logistic, (-interval, interval), max_abs_error=max_abs_error, fill_depth=True)
    except ParameterError as error:
        raise ModelError(
            f"logits may reach {interval:g}, and {error}",
            f"an error of {max_abs_error:.2g} is wanted",
            "Return logits instead (--mode logit), or train with stronger regularisation",
        ) from error


def parameters_for(model: LinearModel, polynomial: Polynomial | None) -> CKKSParams:
    """Return the smallest 128-bit parameters: one level for the weights, then the polynomial's.

    The value range is a power of two that covers features and results, and lets the declared size
    of the sum, sum |w| max |x|, fit the last modulus.
    """
    depth = 1 + (0 if polynomial is None else math.ceil(math.log2(polynomial.degree + 1)))
    divisor, bound = _divisor(model, polynomial), _bound(model)
    declared = float(np.abs(model.weights).sum()) * bound / divisor
    needed = max(1.0, bound, declared / _SPARE, 2 * model.logit_interval / divisor / _SPARE)
    return CKKSParams.for_depth(depth, precision_bits=PRECISION_BITS, value_range=2.0 ** math.ceil(math.log2(needed)))


@dataclass(frozen=True, eq=False)
class Score:
    """A `LinearModel` ready to be evaluated encrypted; a `hosting.HostedModel`.

    Make it with `Score.of(model)`. `polynomial` is None when the logit is what goes back.
    """

    model: LinearModel
    polynomial: Polynomial | None
    params: CKKSParams

    @classmethod
    def of(
        cls,
        model: LinearModel,
        output: OutputKind = PROBABILITY,
        *,
        max_abs_error: float = MAX_ABS_ERROR,
        params: CKKSParams | None = None,
    ) -> Score:
        """Choose polynomial and parameters for a model; `params` instead of those chosen."""
        polynomial = sigmoid_polynomial(model.logit_interval, max_abs_error) if output == PROBABILITY else None
        return cls(model, polynomial, params or parameters_for(model, polynomial))

    # ---- the circuit -----------------------------------------------------------------------------

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the encrypted probability, or logit, of every row (or of the one record).

        x is a batch: (d,) ciphertexts of up to N/2 rows each, or (1,) of d features in d' slots.
        Its rows are taken to come from the schema: only then does |u| <= 1 hold.
        """
        weights, bias = self.model.weights / self.divisor, self.model.bias / self.divisor
        reach = self.model.logit_interval / self.divisor
        if layout == FEATURE_MAJOR:
            u = evaluator.weighted_sum(x, weights)
        else:
            slots = self.layouts[RECORD].slots
            padded = np.concatenate([weights, np.zeros(slots - len(weights))])
            products = evaluator.multiply(x[0], padded)
            # What is known is a bound on the sum, 2 reach; each slot is given its share of it.
            u = evaluator.sum_slots(evaluator.with_bound(products, 2 * reach / slots), slots)
        u = evaluator.add(evaluator.with_bound(u, reach + abs(bias)), bias)
        u = evaluator.with_bound(u, reach)
        return u if self.polynomial is None else evaluate_normalised(evaluator, u, self.polynomial)

    def in_the_clear(self, x: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return what `evaluate` computes, as probabilities without encryption error, (rows,)."""
        if self.polynomial is None:
            return self.model.probabilities(x)
        return np.asarray(self.polynomial(self.model.logits(x)), np.float64)

    # ---- what it needs ---------------------------------------------------------------------------

    @property
    def divisor(self) -> float:
        """B where a polynomial follows, which wants [-1, 1]; 1 for the logit itself."""
        return _divisor(self.model, self.polynomial)

    @cached_property
    def layouts(self) -> Mapping[str, Layout]:
        """`feature-major`, and `record` unless the parameters have no key switching."""
        width, relin = self.model.schema.width, self.polynomial is not None
        bound, slots = _bound(self.model), 1 << (width - 1).bit_length()
        layouts = {FEATURE_MAJOR: Layout(width, self.params.slots, bound, relin)}
        if self.params.num_special and slots <= self.params.slots:
            rotations = tuple(1 << k for k in range(slots.bit_length() - 1))
            layouts[RECORD] = Layout(1, slots, bound, relin, rotations)
        return layouts

    # ---- what is said about it -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def version(self) -> int:
        """The model's version."""
        return self.model.version

    @property
    def output(self) -> Output:
        """Probabilities with the polynomial's error, or logits within the interval."""
        if self.polynomial is None:
            reach = self.model.logit_interval + _MARGIN
            return Output(LOGIT, -reach, reach)
        margin = (self.polynomial.max_abs_error or 0.0) + _MARGIN
        return Output(PROBABILITY, -margin, 1 + margin)

    def about(self) -> dict[str, object]:
        """Return schema and label, and the polynomial with its interval and largest error."""
        p = self.polynomial
        return {
            **self.model.describe(),
            "polynomial": None
            if p is None
            else {
                "basis": p.basis,
                "interval": list(p.interval),
                "degree": p.degree,
                "coefficients": list(p.coefficients),
                "max_abs_error": p.max_abs_error,
            },
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over weights, polynomial and parameters: another digest, another result."""
        text = json.dumps([self.model.to_dict(), self.about(), self.params.digest.hex()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _divisor(model: LinearModel, polynomial: Polynomial | None) -> float:
    return 1.0 if polynomial is None else model.logit_interval


def _bound(model: LinearModel) -> float:
    """The largest |feature| of any record that the schema accepts."""
    return float(np.abs(model.schema.encoded_ranges()).max())
