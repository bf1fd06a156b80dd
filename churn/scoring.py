"""What a client knows of a hosted churn model, and what it gets from it. No keys, no cryptography."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.circuit import FEATURE_MAJOR, LOGIT, PROBABILITY
from churn.errors import ModelError
from churn.hosting.model import Description, Layout
from churn.hosting.remote import RequestRefused
from churn.schema import Schema

__all__ = ["Scores", "ScoringModel", "Usage"]

Floats = npt.NDArray[np.float64]

_WIDEST: dict[str, tuple[float, float]] = {PROBABILITY: (-0.5, 1.5), LOGIT: (-1e4, 1e4)}
"""A host declares the range of its results; one that would let anything pass is not believed."""

_LARGEST_ERROR = 0.25
"""Nor is one whose answers could be off by more than this."""


@dataclass
class Usage:
    """What it took so far: seconds by step, bytes by direction.

    `evaluate` counts from request to answer; `evaluate_server` and `protect_server` are what the service says of its
    own computing, and of re-randomising and flooding the result. `upload_gallery` and `bytes_gallery` are of vectors
    that were stored encrypted.
    """

    keygen: float = 0.0
    upload_keys: float = 0.0
    encrypt: float = 0.0
    evaluate: float = 0.0
    evaluate_server: float = 0.0
    protect_server: float = 0.0
    decrypt: float = 0.0
    upload_gallery: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_keys: int = 0
    bytes_gallery: int = 0


@dataclass(frozen=True, eq=False)
class Scores:
    """The result for a table, in row order.

    probabilities  (rows,) in about [0, 1]: as they came, or the exact sigmoid of the logits
    logits         (rows,), or None where the model gives probabilities
    model          its description
    usage          what this call took
    """

    probabilities: Floats
    logits: Floats | None
    model: Description
    usage: Usage


@dataclass(frozen=True, eq=False)
class ScoringModel:
    """A hosted churn model as its client knows it: the description, and the schema inside it."""

    description: Description
    schema: Schema
    target: str
    positive: str

    @classmethod
    def of(cls, description: Description) -> ScoringModel:
        """Read schema and label out of a description; ModelError when they are not there."""
        about, output = description.about, description.output
        widest = _WIDEST.get(output.kind)
        believable = (
            widest is not None
            and widest[0] <= output.low < output.high <= widest[1]
            and output.low <= output.unused <= output.high
            and output.error <= _LARGEST_ERROR
        )
        if not believable:
            raise ModelError(
                f"model {description.name!r} returns {output.kind[:40]!r} from {output.low:g} to {output.high:g}, off "
                f"by {output.error:g} at most",
                f"{PROBABILITY!r} or {LOGIT!r} in a range that means something is needed",
                "Ask the model's owner; or, of an index ('similarity'), use 'python -m churn match ask'",
            )
        schema = Schema.from_dict(about.get("schema"))
        target = plain.text(about.get("target"), "the target's name")
        positive = plain.text(about.get("positive"), "the positive label")
        if not (target.isprintable() and positive.isprintable()):
            raise ModelError(
                f"the label of model {description.name!r} is {target!r}, {positive!r}",
                "text that can be shown is needed",
                "Ask the model's owner",
            )
        return cls(description, schema, target, positive)

    def layout(self, name: str) -> Layout:
        """Return a layout, after checking that it fits the schema."""
        layout = self.description.layouts.get(name)
        bound = float(np.abs(self.schema.encoded_ranges()).max())
        fits = (
            layout is not None
            and layout.bound >= bound
            and (
                layout.items == self.schema.width
                if name == FEATURE_MAJOR
                else layout.items == 1 and layout.slots >= self.schema.width
            )
        )
        if layout is None or not fits:
            raise RequestRefused(
                f"model {self.description.name!r} "
                + (
                    f"has no layout {name!r}"
                    if layout is None
                    else f"describes a layout {name!r} that does not fit its own schema"
                ),
                f"its layouts are {', '.join(self.description.layouts)}",
                "Use one of the others, or ask the model's owner",
            )
        return layout
