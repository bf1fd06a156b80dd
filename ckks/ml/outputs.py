"""From decrypted scores to what scikit-learn returns: the key holder's half, exact functions of plain numbers.

Sigmoid, softmax and the greatest score cost nothing and err by nothing here; under encryption each costs levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.approximation import logistic
from ckks.errors import ModelError
from ckks.ml import plain

__all__ = ["KINDS", "Output"]

Floats = NDArray[np.float64]

KINDS = {
    "value": "numbers, as they are",
    "margin": "one score per class, or one for two classes; the greatest wins, and there are no probabilities",
    "logistic": "log odds of the second class",
    "softmax": "one score per class, probabilities by softmax",
    "probability": "the probability of the second class, computed encrypted",
    "vote": "the probability of each class",
}
"""What scores stand for."""


@dataclass(frozen=True)
class Output:
    """What the scores of a record stand for.

    kind     one of KINDS
    classes  labels, in the order of the scores; () for regressions
    single   whether scores lose their last axis, as scikit-learn has it: one target, or two classes
    """

    kind: str
    classes: tuple[Any, ...] = ()
    single: bool = False

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.kind not in KINDS or (self.kind == "value") != (not self.classes):
            raise ModelError(f"output {self.kind!r} with {len(self.classes)} classes; kinds: {', '.join(KINDS)}")
        if self.classes and len(self.classes) < 2:
            raise ModelError("a classifier with a single class; needed two or more")
        if not all(isinstance(c, bool | int | float | str) for c in self.classes):
            raise ModelError(f"classes {self.classes[:3]}...; needed texts or numbers")

    def check(self, scores: int) -> None:
        """Raise ModelError unless a record has so many scores."""
        count = len(self.classes)
        if self.kind in ("logistic", "probability") or (self.kind == "margin" and count == 2):
            fits, needed = scores == 1 and count == 2, "one, for two classes"
        elif self.classes:
            fits, needed = scores == count, "one for each class"
        else:
            fits, needed = scores == 1 if self.single else scores > 0, "one" if self.single else "one or more"
        if not fits:
            raise ModelError(f"{scores} scores of kind {self.kind!r} and {count} classes; needed {needed}")

    def shaped(self, scores: Floats) -> Floats:
        """Return scores (rows, M) with the shape that scikit-learn gives them."""
        return scores[:, 0] if self.single else scores

    def probabilities(self, scores: Floats) -> Floats:
        """Return (rows, classes) from scores (rows, M); ModelError where the model has none."""
        if self.kind in ("logistic", "probability"):
            second = logistic(scores[:, 0]) if self.kind == "logistic" else np.clip(scores[:, 0], 0.0, 1.0)
            return np.stack([1 - second, second], axis=1)
        if self.kind == "softmax":
            powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        if self.kind == "vote":
            votes = np.clip(scores, 0.0, 1.0)
            return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))
        raise ModelError(f"this model gives {KINDS[self.kind]}; use decision_function or predict")

    def predictions(self, scores: Floats) -> NDArray[Any]:
        """Return labels, or numbers for a regression.

        The second of two classes is what lies above the threshold, and not at it; of several the first of the greatest
        wins: as scikit-learn has it, but for boosted trees of two classes, whose ties go to the second. No encrypted
        score is a tie but by chance: `certain` speaks for none of them.
        """
        if not self.classes:
            return self.shaped(scores)
        labels = np.array(self.classes)
        if scores.shape[1] == 1:
            threshold = 0.5 if self.kind == "probability" else 0.0
            return np.asarray(labels[(scores[:, 0] > threshold).astype(np.int64)])
        return np.asarray(labels[scores.argmax(axis=1)])

    def certain(self, scores: Floats, error: Floats) -> NDArray[np.bool_]:
        """Return for which rows of exact scores no error of this size changes the label: the margin exceeds it."""
        if not self.classes:
            return np.zeros(len(scores), dtype=bool)
        if scores.shape[1] == 1:
            return np.asarray(np.abs(scores[:, 0] - (0.5 if self.kind == "probability" else 0.0)) > error[0])
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        lead = scores[rows, best][:, None] - scores - (error[best][:, None] + error)
        lead[rows, best] = np.inf
        return np.asarray((lead > 0).all(axis=1))

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"kind": self.kind, "classes": list(self.classes), "single": self.single}

    @classmethod
    def from_dict(cls, value: object) -> Output:
        """Return the output that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the output", ("kind", "classes", "single"))
        classes = tuple(plain.items(parts["classes"], "the classes"))
        return cls(plain.text(parts["kind"], "the output's kind"), classes, parts["single"] is True)
