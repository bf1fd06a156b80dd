"""from_sklearn: a fitted estimator or pipeline becomes a `Model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.errors import ModelError
from ckks.ml.fold import Columns, fold
from ckks.ml.forest import Forest, planted
from ckks.ml.intervals import Dense, normalised
from ckks.ml.layers import FEATURE_MAJOR, RECORDS
from ckks.ml.model import Model, parameters_for
from ckks.ml.network import Network
from ckks.ml.outputs import Output
from ckks.ml.schema import CategoricalColumn, NumericColumn, Schema
from ckks.ml.tables import cells, differences, numbers, shape_and_names
from ckks.ml.trained import Trained, read
from ckks.scheme import CKKSParams

__all__ = ["from_sklearn"]

Floats = NDArray[np.float64]

DEGREE = 31
"""Of the polynomials in place of activations, unless asked otherwise: five levels each."""


def from_sklearn(
    model: Any,
    X: Any = None,
    *,
    ranges: ArrayLike | Mapping[Any, Sequence[float]] | None = None,
    margin: float = 0.0,
    output: Literal["score", "probability"] = "score",
    degree: int | None = None,
    max_abs_error: float | None = None,
    resolution: float = 2.0**-6,
    precision_bits: float = 24,
    security: int = 128,
    layouts: Sequence[str] = (FEATURE_MAJOR, RECORDS),
    params: CKKSParams | None = None,
) -> Model:
    """Return a fitted scikit-learn estimator, or pipeline, ready to be evaluated encrypted.

    Scalers, PCA and selections of columns are folded into the first layer's weights, one-hot encoders become part of
    the schema that the client encodes by. Linear models then take one level. Activations of small networks become
    polynomials, on intervals that are proven from the weights and the input ranges.

    Args:
        model: see `ckks.ml.supported()`.
        X: the training data, for the range of every numeric column: [least, greatest] value.
        ranges: declared ranges instead, (n_features, 2), or {name or number of a column: (low, high)} for some of them.
        margin: ranges taken from X are widened by this share of their length, on either side.
        output: "score" sends logits back, and the key holder applies sigmoid or softmax exactly. "probability" has the
            sigmoid of two classes evaluated encrypted, by a polynomial.
        degree: of the polynomials in place of activations, 31 unless given; raised to 2^k - 1, which costs no level.
        max_abs_error: of each activation, as a share of half its values' range, instead: the least degree that reaches
            it, up to 127 or `degree`.
        resolution: for trees: how close to a threshold, as a share of the feature's range, a comparison may err.
        precision_bits: of values scaled to [-1, 1].
        security: 128, 192 or 256 bits.
        layouts: which the server accepts; without "records" linear models need no evaluation keys at all.
        params: parameters instead of those chosen.

    Raises:
        ModelError: an estimator or transformer that cannot be evaluated encrypted, or is not fitted; ranges that are
            missing; polynomials that cannot reach the error asked for.
    """
    if isinstance(layouts, str):
        raise ModelError(f"layouts={layouts!r} is one text; needed a sequence of them: [{layouts!r}]")
    steps, estimator, targets = _unwrapped(model)
    trained = read(estimator)
    for transformer in reversed(targets):
        trained = _untransformed(trained, transformer)
    n_columns, names = _width(model, (*steps, estimator), X)
    columns = Columns.of(n_columns, names)
    for step in steps:
        columns = fold(step, columns)
    schema, weights, shift = _encoded(columns, n_columns, names, X, ranges, margin)
    degree = DEGREE if degree is None and max_abs_error is None else degree
    trained = _with_output(trained, output)
    program: Network | Forest
    if trained.trees:
        assert trained.start is not None
        program = planted(trained.trees, trained.start, weights, shift, schema, resolution)
    else:
        first = trained.layers[0]
        if first.weights.shape[1] != len(shift):
            raise ModelError(f"an estimator of {first.weights.shape[1]} features after steps that give {len(shift)}")
        folded = Dense(first.weights @ weights, first.weights @ shift + first.bias, first.activation)
        program = normalised((folded, *trained.layers[1:]), schema, degree=degree, max_abs_error=max_abs_error)
    if params is None:
        switching = program.relinearisation or RECORDS in layouts
        params = parameters_for(
            program, precision_bits=precision_bits, security=security, key_switching=bool(switching)
        )
    return Model(program, schema, trained.output, params, tuple(layouts))


def _unwrapped(model: Any) -> tuple[list[Any], Any, list[Any]]:
    """The transformers before the estimator, the estimator, and the transformers of its targets, outermost first."""
    steps: list[Any] = []
    targets: list[Any] = []
    while True:
        name = type(model).__name__
        if name == "Pipeline":
            steps += [step for _, step in model.steps[:-1]]
            model = model.steps[-1][1]
        elif name == "FrozenEstimator":
            model = model.estimator
        elif name == "TransformedTargetRegressor" and hasattr(model, "regressor_"):
            targets.append(model.transformer_)
            model = model.regressor_
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            return steps, model, targets


def _untransformed(trained: Trained, transformer: Any) -> Trained:
    """The same regression with its outputs taken back through an affine transformation of the targets."""
    if trained.output.kind != "value" or not trained.layers:
        raise ModelError("a TransformedTargetRegressor of trees; train them on the targets as they are")
    *layers, last = trained.layers
    scaled = fold(transformer, Columns.of(len(last.bias), None))
    try:
        inverse = np.linalg.inv(scaled.weights)
    except np.linalg.LinAlgError:
        raise ModelError("a transformation of targets that has no inverse") from None
    layers.append(Dense(inverse @ last.weights, inverse @ (last.bias - scaled.shift)))
    return Trained(trained.output, tuple(layers))


def _width(model: Any, parts: Sequence[Any], X: Any) -> tuple[int, tuple[str, ...] | None]:
    """Number and names of the columns: of the first part that knows (a step 'passthrough' does not)."""
    knowing = [one for one in (model, *parts) if hasattr(one, "n_features_in_")]
    if not knowing:
        raise ModelError(f"this {type(model).__name__} is not fitted; call fit first")
    count, names = int(knowing[0].n_features_in_), getattr(knowing[0], "feature_names_in_", None)
    if X is not None and (shape := shape_and_names(X)[0])[1:] != (count,):
        raise ModelError(f"X of shape {shape} for a model of {count} features; pass the data that it was trained on")
    if X is not None and names is not None and (found := shape_and_names(X)[1]) not in (None, tuple(names)):
        raise ModelError(f"the columns of X differ from the model's, {differences(found, tuple(map(str, names)))}")
    return count, None if names is None else tuple(map(str, names))


def _with_output(trained: Trained, output: str) -> Trained:
    if output == "score":
        return trained
    if output != "probability":
        raise ModelError(f'output={output!r}; needed "score" or "probability"')
    if trained.output.kind != "logistic" or not trained.layers:
        raise ModelError(
            'output="probability" is for classifiers of two classes with a sigmoid; leave it out: predict_proba gives '
            "the key holder exact probabilities from the scores"
        )
    *layers, last = trained.layers
    layers.append(Dense(last.weights, last.bias, "logistic"))
    return Trained(Output("probability", trained.output.classes, True), tuple(layers))


def _encoded(
    columns: Columns,
    n_columns: int,
    names: tuple[str, ...] | None,
    X: Any,
    ranges: Any,
    margin: float,
) -> tuple[Schema, Floats, Floats]:
    """The schema, and the present columns as weights @ features + shift."""
    read_numbers = [
        (i, atom.column) for i, atom in enumerate(columns.atoms) if atom.encoder is None and columns.weights[:, i].any()
    ]
    numbers = _ranges([column for _, column in read_numbers], n_columns, names, X, ranges, margin)
    groups: dict[CategoricalColumn, list[int]] = {}
    for i, atom in enumerate(columns.atoms):
        if atom.encoder is not None:
            groups.setdefault(atom.encoder, []).append(i)
    schema = Schema(n_columns, names, (*numbers, *groups))
    center = np.array([one.center for one in numbers])
    radius = np.array([one.radius for one in numbers])
    of_numbers = columns.weights[:, [i for i, _ in read_numbers]]
    of_categories = [
        columns.weights[:, sorted(group, key=lambda i: columns.atoms[i].place)] for group in groups.values()
    ]
    weights = np.concatenate([of_numbers * radius, *of_categories], axis=1)
    return schema, weights, columns.shift + of_numbers @ center


def _ranges(
    numeric: list[int], n_columns: int, names: tuple[str, ...] | None, X: Any, ranges: Any, margin: float
) -> list[NumericColumn]:
    if not (np.isfinite(margin) and margin >= 0):
        raise ModelError(f"margin={margin!r}; needed a number from 0 up")
    declared: dict[int, tuple[float, float]] = {}
    if isinstance(ranges, Mapping):
        for key, ends in ranges.items():
            column = names.index(key) if names and key in names else key
            if isinstance(column, bool) or not isinstance(column, int) or not 0 <= column < n_columns:
                raise ModelError(f"a range for column {key!r}; the model has {names or n_columns} columns")
            declared[column] = float(ends[0]), float(ends[1])
    elif ranges is not None:
        array = np.asarray(ranges, np.float64)
        if array.shape != (n_columns, 2):
            raise ModelError(f"ranges of shape {array.shape}; needed ({n_columns}, 2): low and high for each column")
        declared = {j: (float(low), float(high)) for j, (low, high) in enumerate(array)}
    found = []
    for column in numeric:
        if column not in declared and X is None:
            shown = names[column] if names else column
            raise ModelError(
                f"no range for column {shown!r}; pass the training data, X=..., or declare ranges=...: what is "
                "computed encrypted is right for values inside only"
            )
        if column in declared:
            low, high = declared[column]
        else:
            shown = f"column {names[column]!r}" if names else f"column {column}"
            values = numbers(cells(X, column), f"{shown} of X")
            if (bad := np.flatnonzero(~np.isfinite(values))).size:
                raise ModelError(
                    f"{shown} of X, row {bad[0]}, holds {values[bad[0]]}, and has no range; leave such rows out, or "
                    "declare ranges=..."
                )
            low, high = float(values.min()), float(values.max())
            spare = margin * (high - low)
            low, high = low - spare, high + spare
        found.append(NumericColumn(column, low, high))
    return found
