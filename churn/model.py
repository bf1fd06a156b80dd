"""The model that is hosted: a logistic regression as plain numbers.

    logit = bias + weights . x,    probability = 1 / (1 + exp(-logit)),

x being the encoded features of `churn.schema`. Training is in `churn.training`; this file needs
neither scikit-learn nor pandas, and a model travels as JSON, never as a pickle.

**On which interval must an encrypted sigmoid hold?** Encrypted, the sigmoid is a polynomial, good
on an interval [-B, B] and useless outside: there it runs off to infinity. Two intervals offer
themselves:

- *observed*: the largest |logit| of the training rows, and a margin. Narrow, but nothing keeps
  the next employee inside, and nobody would notice: the client does not know the weights, the
  server does not see the logit.
- *proved*: the largest |logit| of any record that the schema lets through. The client itself
  enforces it, by clipping and by refusing unknown categories, without knowing a weight.

The proved one is used, always, rounded up to a quarter: no value lies outside, so no row can turn
into nonsense. The observed one really fails: over fifteen splits of the synthetic employees and of
a small real table, held-out rows went beyond it in five. The proved one is 1.6 to 2.1 times as wide
(8 against 5, and 16 against 8), which costs six to ten polynomial degrees, one level at most.
Three things keep it narrow: numbers are clipped to their training range, a categorical column
counts with one weight and not their sum, and training shrinks weights that the data do not support.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.errors import ModelError
from churn.identity import LAST_VERSION, check_format, check_identity, fresh_salt
from churn.schema import MAX_FEATURES, Schema

__all__ = ["INTERVAL_STEP", "LinearModel", "interval_for"]

Floats = npt.NDArray[np.float64]

FORMAT = "linear-model/1"
INTERVAL_STEP = 0.25
_PARTS = (
    "format",
    "name",
    "version",
    "target",
    "positive",
    "schema",
    "weights",
    "bias",
    "logit_interval",
    "observed_logit",
    "salt",
)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A logistic regression ready to be hosted. Immutable; `weights` is read-only.

    name, version      what a client asks for; see `churn.identity`, for the salt too
    target, positive   the label: the model gives the probability that `target` is `positive`
    schema             the columns, and how they become features
    weights, bias      float64 (d,) and a float
    logit_interval     B: every logit of every record the schema accepts lies in [-B, B]
    observed_logit     the largest |logit| among the training rows; for information

    Raises ModelError for parts that do not fit together, a B that is too small included.
    """

    name: str
    version: int
    target: str
    positive: str
    schema: Schema
    weights: Floats
    bias: float
    logit_interval: float
    observed_logit: float
    salt: str = field(default_factory=fresh_salt, repr=False)

    def __post_init__(self) -> None:
        """Check every part; copy the weights and lock them."""
        check_identity(self.name, self.version, self.salt, "model")
        plain.text(self.target, "the target's name")
        plain.text(self.positive, "the positive label")
        weights = np.array(self.weights, np.float64)
        if weights.shape != (self.schema.width,) or not np.isfinite(weights).all():
            raise ModelError(
                f"the weights have shape {weights.shape}, {int(np.isfinite(weights).sum())} finite",
                f"the schema needs {self.schema.width} finite ones",
                "Train the model again",
            )
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        for part in ("bias", "logit_interval", "observed_logit"):
            object.__setattr__(self, part, plain.number(getattr(self, part), f"the model's {part}"))
        proved = max(-self.logit_range[0], self.logit_range[1])
        if not proved <= self.logit_interval:
            raise ModelError(
                f"the model claims that no logit exceeds {self.logit_interval:g}",
                f"a record within its own schema reaches {proved:g}",
                f"Use logit_interval={interval_for(self.schema, weights, self.bias):g} or more",
            )
        if not 0 <= self.observed_logit <= self.logit_interval:
            raise ModelError(
                f"the model claims an observed logit of {self.observed_logit:g}",
                f"0 to {self.logit_interval:g} is possible",
                "Train the model again",
            )

    @property
    def logit_range(self) -> tuple[float, float]:
        """Least and greatest logit of any record that the schema accepts: proved and attained."""
        return self.schema.dot_range(self.weights, self.bias)

    def logits(self, x: npt.ArrayLike) -> Floats:
        """Return bias + x @ weights, (rows,), for encoded features x (rows, d)."""
        features = np.asarray(x, np.float64)
        if features.ndim != 2 or features.shape[1] != self.schema.width:
            raise ModelError(
                f"the features have shape {features.shape}",
                f"(rows, {self.schema.width}) is needed",
                "Encode the records with schema.transform(records)",
            )
        result: Floats = features @ self.weights + self.bias
        return result

    def probabilities(self, x: npt.ArrayLike) -> Floats:
        """Return the sigmoid of the logits, (rows,) in [0, 1]."""
        # (1 + tanh(z / 2)) / 2 is the sigmoid, without overflow at either end
        result: Floats = (1 + np.tanh(self.logits(x) / 2)) / 2
        return result

    def describe(self) -> dict[str, object]:
        """Return, as plain values, what a client may know: everything but the numbers learned."""
        return {
            "name": self.name,
            "version": self.version,
            "target": self.target,
            "positive": self.positive,
            "schema": self.schema.to_dict(),
            "logit_interval": self.logit_interval,
        }

    def to_dict(self) -> dict[str, object]:
        """Return the whole model as plain values, for JSON; floats survive to the last bit."""
        return {
            "format": FORMAT,
            **self.describe(),
            "weights": self.weights.tolist(),
            "bias": self.bias,
            "observed_logit": self.observed_logit,
            "salt": self.salt,
        }

    @classmethod
    def from_dict(cls, value: object) -> LinearModel:
        """Return the model that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the model", _PARTS)
        check_format(parts["format"], FORMAT, "model")
        weights = plain.items(parts["weights"], "the list of weights", MAX_FEATURES)
        return cls(
            name=plain.text(parts["name"], "the model's name"),
            version=plain.whole(parts["version"], "the model's version", 1, LAST_VERSION),
            target=plain.text(parts["target"], "the target's name"),
            positive=plain.text(parts["positive"], "the positive label"),
            schema=Schema.from_dict(parts["schema"]),
            weights=np.array([plain.number(w, f"weight {k}") for k, w in enumerate(weights)]),
            bias=plain.number(parts["bias"], "the model's bias"),
            logit_interval=plain.number(parts["logit_interval"], "the model's logit_interval"),
            observed_logit=plain.number(parts["observed_logit"], "the model's observed_logit"),
            salt=plain.text(parts["salt"], "the model's salt"),
        )


def interval_for(schema: Schema, weights: npt.ArrayLike, bias: float) -> float:
    """Return the least multiple of 1/4, at least 1, that no logit of any record exceeds."""
    low, high = schema.dot_range(weights, bias)
    return max(1.0, math.ceil(max(-low, high) / INTERVAL_STEP) * INTERVAL_STEP)
