"""The encrypted score: one dot product, one polynomial. The encrypted twin of `churn.model`.

    u = (bias + weights . x) / B,    probability = p(u),    |p(u) - 1 / (1 + exp(-B u))| <= error,

on the interval [-B, B] that the model proves for every record its schema accepts. Two layouts:

    feature-major   x is d ciphertexts, one per feature, slot j belonging to row j: a weighted sum of
                    ciphertexts, no rotation, N/2 rows at once. For tables.
    record          x is one ciphertext, slot k holding feature k, in d' >= d slots (a power of two):
                    one product with the weights, log2 d' rotations. For a single employee, at a d-th
                    of the upload. Every slot of the result holds the score, none a partial sum.

What comes back is the logit, to which the key holder applies the exact sigmoid: one product with
plain numbers, the smallest ring. Or the probability: the polynomial is evaluated encrypted.

Answers are flooded before they leave (`hosting.model.Flooding`), and that wants the error far below
the values at that moment. So features come at a scale of 2^84, weights at 2^32; the sum is flooded
at 2^116, and two rescales afterwards bring it to one limb at 2^36: they only round, and what
flooding cost is gone in their rounding. Probabilities have levels of two primes and a scale of 2^80
throughout. `flooded=False` leaves all of this out, scales as canonical and small as precision
allows: then a single answer can give the weights away, to whoever has the secret key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from churn.errors import ModelError
from churn.hosting.model import Flooding, Layout, Output
from churn.hosting.protocol import ANSWERS
from churn.hosting.work.rehearsal import Rehearsal
from churn.model import LinearModel
from ckks.circuits import Polynomial, approximate, evaluate_normalised, logistic
from ckks.errors import ParameterError
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.meta import meta_of

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

FEATURE_SCALE, WEIGHT_SCALE = Decimal(2**84), Decimal(2**32)
"""Of logits that are flooded: at 2^116 the flooding is 2^-28 of a logit, and 2^116 |logit| fits 128 bits."""

PROBABILITY_SCALE_BITS = 80
"""Of probabilities that are flooded, throughout."""

_FINEST_WEIGHT = 2.0**-60
_LEAST_RANGE = 2.0**-10

_MARGIN = 0.05  # of unflooded answers: damage is off by a factor of 10^5 at least, not by a twentieth
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


def parameters_for(model: LinearModel, polynomial: Polynomial | None, *, flooded: bool = True) -> CKKSParams:
    """Return 128-bit parameters: one level for the weights, then the polynomial's.

    The value range is a power of two that covers features and results. Where nothing is flooded it also lets the
    declared size of the sum, sum |w| max |x|, fit the last modulus; where answers are, parameters depend on schema and
    interval alone, as everything does that is published. Logits that are flooded have a chain of their own: 48 bits for
    the answer, two rescales of 40.
    """
    depth = 1 + (0 if polynomial is None else math.ceil(math.log2(polynomial.degree + 1)))
    divisor, bound = _divisor(model, polynomial), _bound(model)
    needed = max(1.0, bound, 2 * model.logit_interval / divisor / _SPARE)
    if not flooded:
        needed = max(needed, float(np.abs(model.weights).sum()) * bound / divisor / _SPARE)
    value_range = 2.0 ** math.ceil(math.log2(needed))
    if not flooded:
        return CKKSParams.for_depth(depth, precision_bits=PRECISION_BITS, value_range=value_range)
    if polynomial is not None:
        return CKKSParams.for_scale(depth, scale_bits=PROBABILITY_SCALE_BITS, value_range=value_range)
    return CKKSParams.generate(
        ring_degree=2**13, depth=2, scale_bits=40, base_bits=48, special_bits=50, value_range=value_range
    )


@dataclass(frozen=True, eq=False)
class Score:
    """A `LinearModel` ready to be evaluated encrypted; a `hosting.HostedModel`.

    Make it with `Score.of(model)`. `polynomial` is None when the logit is what goes back.
    """

    model: LinearModel
    polynomial: Polynomial | None
    params: CKKSParams
    flooded: bool = True
    queries: int = ANSWERS

    @classmethod
    def of(
        cls,
        model: LinearModel,
        output: OutputKind = LOGIT,
        *,
        flooded: bool = True,
        queries: int = ANSWERS,
        max_abs_error: float = MAX_ABS_ERROR,
        params: CKKSParams | None = None,
    ) -> Score:
        """Choose polynomial and parameters for a model; `params` instead of those chosen.

        Answers are flooded for `queries` of them to one client, unless `flooded` is False.
        """
        polynomial = sigmoid_polynomial(model.logit_interval, max_abs_error) if output == PROBABILITY else None
        return cls(model, polynomial, params or parameters_for(model, polynomial, flooded=flooded), flooded, queries)

    # ---- the circuit -----------------------------------------------------------------------------

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the encrypted probability, or logit, of every row (or of the one record).

        x is a batch: (d,) ciphertexts of up to N/2 rows each, or (1,) of d features in d' slots.
        Its rows are taken to come from the schema: only then does |u| <= 1 hold.
        """
        weights, bias = self.weights, self.bias
        reach = self.model.logit_interval / self.divisor
        scale = WEIGHT_SCALE if self._raw else None
        if layout == FEATURE_MAJOR:
            if self.flooded:  # what is known is a bound on the sum; features are given their shares of it
                total = float(np.abs(weights).sum())
                x = evaluator.with_bound(x, min(meta_of(x).bound, 2 * reach / total if total else math.inf))
            u = evaluator.weighted_sum(x, weights, scale=scale, rescale=not self._raw)
        else:
            slots = self.layouts[RECORD].slots
            padded = np.concatenate([weights, np.zeros(slots - len(weights))])
            if self._raw:
                plain = evaluator.encoder.encode(
                    padded, level=x.level, scale=scale, slots=slots, bound=max(float(np.abs(weights).max()), 2.0**-32)
                )
                products = evaluator.multiply(x[0], plain, rescale=False)
            else:
                products = evaluator.multiply(x[0], padded)
            # What is known is a bound on the sum, 2 reach; each slot is given its share of it.
            u = evaluator.sum_slots(evaluator.with_bound(products, 2 * reach / slots), slots)
        u = evaluator.add(evaluator.with_bound(u, reach + abs(bias)), bias)
        u = evaluator.with_bound(u, reach)
        return u if self.polynomial is None else evaluate_normalised(evaluator, u, self.polynomial)

    def finish(self, evaluator: Evaluator, y: Ciphertext) -> Ciphertext:
        """Return what `evaluate` returned at level 0: no more limbs than the answer needs.

        For flooded logits these are the two rescales that were left for after the flooding.
        """
        if not self._raw:
            return evaluator.bring(y, 0)
        while y.level:
            y = evaluator.rescale(y)
        return y

    def in_the_clear(self, x: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return what `evaluate` computes, as probabilities without encryption error, (rows,)."""
        if self.polynomial is None:
            return self.model.probabilities(x)
        return np.asarray(self.polynomial(self.model.logits(x)), np.float64)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """The weights of u, (d,): 0 for features that cannot move; where answers are flooded, exactly as encoded."""
        weights = np.where(self._ranges > 0, self.model.weights, 0.0) / self.divisor
        if not self.flooded:
            return weights
        return np.asarray(np.rint(weights / self._weight_step) * self._weight_step)

    @cached_property
    def bias(self) -> float:
        """The bias of u, with what features that cannot move add to it."""
        fixed = np.where(self._ranges > 0, 0.0, self.model.schema.encoded_ranges()[:, 0])
        return (self.model.bias + float(fixed @ self.model.weights)) / self.divisor

    @cached_property
    def _ranges(self) -> npt.NDArray[np.float64]:
        """How far each feature can move, (d,)."""
        ranges = np.ptp(self.model.schema.encoded_ranges(), axis=1)
        if self.flooded and ((ranges > 0) & (ranges < _LEAST_RANGE)).any():
            raise ModelError(
                f"a feature of model {self.name!r} moves by {ranges[ranges > 0].min():.3g} at most",
                f"{_LEAST_RANGE:g} is needed, or none at all: any weight may stand behind so little",
                "Leave its column out, or scale it",
            )
        return np.asarray(ranges)

    @property
    def _weight_step(self) -> float:
        return 1 / float(WEIGHT_SCALE) if self._raw else _FINEST_WEIGHT

    @property
    def _raw(self) -> bool:
        """Whether scales are those of a flooded logit, not the canonical ones."""
        return self.flooded and self.polynomial is None

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
        top, scale = self.params.top_level, FEATURE_SCALE if self._raw else None
        layouts = {FEATURE_MAJOR: Layout(width, self.params.slots, bound, top, relin, scale=scale)}
        if self.params.num_special and slots <= self.params.slots:
            rotations = tuple(1 << k for k in range(slots.bit_length() - 1))
            layouts[RECORD] = Layout(1, slots, bound, top, relin, rotations, scale)
        return layouts

    @cached_property
    def flooding(self) -> Flooding | None:
        """Sized by the largest error that any model of this schema and interval can have, in any layout."""
        if not self.flooded:
            return None
        return Flooding(max(one.log2_bound for one in self._rehearsals), self.queries)

    @cached_property
    def _rehearsals(self) -> list[Rehearsal]:
        return [Rehearsal(self._heaviest, name) for name in self.layouts]

    @cached_property
    def _heaviest(self) -> Score:
        return _Heaviest(self.model, self.polynomial, self.params, self.flooded, self.queries)

    # ---- what is said about it -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def version(self) -> int:
        """The model's version."""
        return self.model.version

    @cached_property
    def output(self) -> Output:
        """Probabilities with the polynomial's error, or logits within the interval."""
        error, level, scale = _MARGIN, 0, None
        if self.flooded:
            answers = [one.answer(self.flooding) for one in self._rehearsals]
            (level, scale), *others = {(level, scale) for level, scale, _ in answers}
            assert not others, "all layouts lead to one level and scale"
            # Encoding features and rounding weights move a logit by no more than this, and a probability by less.
            steepest = float(self._heaviest.weights.sum()) * self.divisor
            moved = max(one.encoding_error for one in self._rehearsals) * steepest
            moved += self.model.schema.width * _bound(self.model) * self._weight_step / 2 * self.divisor
            error = max(error for _, _, error in answers) + moved
        if self.polynomial is None:
            reach = self.model.logit_interval + error
            return Output(LOGIT, -reach, reach, 0.0, error, level, scale)
        margin = (self.polynomial.max_abs_error or 0.0) + error
        return Output(PROBABILITY, -margin, 1 + margin, 0.0, error, level, scale)

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
        """SHA-256 over weights, polynomial, parameters and flooding: another digest, another result."""
        flooded = self.queries if self.flooded else 0
        text = json.dumps([self.model.to_dict(), self.about(), self.params.digest.hex(), flooded], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class _Heaviest(Score):
    """Stands for every model of this schema, interval and polynomial, which are public: its errors are the largest.

    Some record goes through the whole range of feature k while the others stay, and no two logits differ by more than
    2 B: so |w_k| <= 2 B / range.
    """

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        moving = self._ranges > 0
        largest = 2 * self.model.logit_interval / self.divisor / np.where(moving, self._ranges, np.inf)
        return np.asarray(np.ceil(largest / self._weight_step) * self._weight_step)


def _divisor(model: LinearModel, polynomial: Polynomial | None) -> float:
    return 1.0 if polynomial is None else model.logit_interval


def _bound(model: LinearModel) -> float:
    """The largest |feature| of any record that the schema accepts."""
    return float(np.abs(model.schema.encoded_ranges()).max())
