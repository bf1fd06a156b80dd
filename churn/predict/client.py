"""Who owns the rows and the secret key: asks a hosted trained model for labels, probabilities or numbers.

    with Client("http://127.0.0.1:8000", key_file="my.key") as client:
        found = predict(client, "wine", table)            # an array, or a DataFrame, of any number of rows
        found.labels, found.probabilities                  # as scikit-learn's predict and predict_proba give them

The schema encodes the rows, and sigmoid, softmax and the greatest score are applied to what was decrypted: the halves
of `ckks.ml` that are the client's. Keys, requests and the checks of answers are those of `churn.client`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from churn.client import Client, Read
from churn.errors import DataError, ModelError
from churn.hosting.model import Description, Layout
from churn.hosting.remote import RequestRefused
from churn.predict.predictor import PREDICTIONS
from churn.scoring import Usage
from ckks.errors import HEError
from ckks.ml.layers import FEATURE_MAJOR
from ckks.ml.model import Description as Described
from ckks.ml.schema import Outside
from ckks.scheme.serialization import to_bytes

__all__ = ["KnownPredictor", "Predictions", "predict", "values_of"]

Floats = npt.NDArray[np.float64]

_LARGEST_ERROR = 0.25
_WIDEST = 2.0
"""A host whose values could be off by more than a quarter, or beyond [-2, 2], is not believed to be of use."""


@dataclass(frozen=True, eq=False)
class KnownPredictor:
    """A hosted trained model as its client knows it.

    description   as the service gave it
    model         what `ckks.ml` tells a client: schema, packing, what scores stand for
    target        the label's column, "" if nobody knows
    """

    description: Description
    model: Described
    target: str

    @classmethod
    def of(cls, description: Description) -> KnownPredictor:
        """Read what a description says of the model; ModelError where it is none, or none that can be believed."""
        about, output, params = description.about, description.output, description.params
        if output.kind != PREDICTIONS:
            raise ModelError(
                f"model {description.name!r} returns {output.kind[:40]!r}",
                f"a trained model, which returns {PREDICTIONS!r}, is needed",
                "Name such a model (see 'python -m churn models'), or use what its kind is for",
            )
        told, target = about.get("model"), about.get("target")
        try:
            if not isinstance(told, dict) or "parameters" in told:
                raise ModelError("it says nothing of the model", "a description is needed", "Ask the model's owner")
            # The parameters were read and judged already.
            model = Described.from_dict({**told, "parameters": to_bytes(params).hex()}, allow_insecure=True)
        except (HEError, ModelError) as error:
            raise ModelError(
                f"the description of model {description.name!r} cannot be used ({error})",
                "what `ckks.ml` says of a model is needed",
                "Ask the model's owner",
            ) from error
        fits = output.items == model.outputs and 0 <= output.error <= _LARGEST_ERROR
        if not fits or not -_WIDEST <= output.low < output.high <= _WIDEST:
            raise ModelError(
                f"model {description.name!r} of {model.outputs} scores answers in {output.items} ciphertexts, from "
                f"{output.low:g} to {output.high:g}, off by {output.error:g} at most",
                f"as many ciphertexts, of values that mean something within [-{_WIDEST:g}, {_WIDEST:g}], are needed",
                "Ask the model's owner, or use another client",
            )
        if not (isinstance(target, str) and (not target or target.isprintable())):
            raise ModelError("the label's column has no name", "printable text is needed", "Ask the model's owner")
        return cls(description, model, target)

    def layout(self, name: str) -> Layout:
        """Return a layout, after checking that the rows fit it."""
        layout, packing = self.description.layouts.get(name), self.model.packing
        items = packing.features if name == FEATURE_MAJOR else 1
        known = layout is not None and name in packing.layouts
        if layout is None or not known or (layout.items, layout.slots) != (items, packing.slots) or layout.bound < 1:
            raise RequestRefused(
                f"model {self.description.name!r} has no layout {name!r} that takes its rows",
                f"its layouts are {', '.join(self.description.layouts)}",
                "Ask the model's owner",
            )
        return layout


@dataclass(frozen=True, eq=False)
class Predictions:
    """The result for a table, in row order.

    labels         (rows,) classes; or the numbers of a regression, (rows,) or (rows, targets)
    probabilities  (rows, classes), None where the model gives none
    scores         (rows, M) what was decrypted
    error          no score is further from the trained model's own than this
    clipped        how many cells lay outside their range and were moved to its end
    known          the model
    usage          what the call took
    """

    labels: npt.NDArray[Any]
    probabilities: Floats | None
    scores: Floats
    error: float
    clipped: int
    known: KnownPredictor
    usage: Usage


def predict(
    client: Client,
    model: str | KnownPredictor,
    table: Any,
    *,
    outside: Outside = "refuse",
    layout: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Return labels, probabilities or numbers for each row of a table, scored encrypted.

    Args:
        client: of the service that hosts the model.
        model: its name, or what is known of it.
        table: (rows, columns), an array or a DataFrame, as scikit-learn takes it.
        outside: what becomes of cells outside their declared range: "refuse" (an error) or "clip" (counted).
        layout: chosen by the number of rows unless given.
        progress: is told how many rows were scored, of how many.

    Raises DataError for an empty table, HEError for rows that the schema refuses, ServiceError for what goes wrong at
    the other end, BadAnswer for an answer that is damaged.
    """
    known = KnownPredictor.of(client.remote.describe(model)) if isinstance(model, str) else model
    told = known.model
    features, clipped = told.schema.encode(table, outside)
    rows = len(features)
    if not rows:
        raise DataError("the table has no rows", "one at least is needed", "Add rows")
    layout = layout or told.packing.layout_for(rows)
    size = told.packing.rows_in(layout)
    chunks = [np.atleast_2d(chunk) for chunk in told.packing.pack(features, layout)]
    reads: list[Read] = [
        partial(values_of, known=known, rows=min(size, rows - start), layout=layout) for start in range(0, rows, size)
    ]
    values, usage = client.ask(
        known, layout, chunks, reads, lambda done: progress and progress(min(done * size, rows), rows)
    )
    scores = told.scale * np.concatenate(values)
    has_probabilities = told.output.kind not in ("value", "margin")
    return Predictions(
        told.output.predictions(scores),
        told.output.probabilities(scores) if has_probabilities else None,
        scores,
        told.score_error,
        clipped,
        known,
        usage,
    )


def values_of(slots: npt.NDArray[np.complex128], *, known: KnownPredictor, rows: int, layout: str) -> Floats | None:
    """Return the values (rows, M) in all slots of an answer, if they can be one."""
    output, batch = known.description.output, np.atleast_2d(slots)
    if not np.isfinite(batch).all():
        return None
    values = known.model.packing.unpack([batch.real], rows, layout)
    within = bool(((values >= output.low) & (values <= output.high)).all())
    return values if within and bool((np.abs(batch.imag) <= output.error).all()) else None
