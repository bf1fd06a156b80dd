"""Training in the clear: split, fit, measure. scikit-learn does the work.

    numeric columns      clip to the training range -> standardise
    categorical columns  one-hot, the first category as reference
    both                 -> LogisticRegression -> LinearModel

What is fitted is then written down as a `LinearModel`; the pipeline is returned beside it so that
the two can be compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from churn.errors import ColumnError, DataError
from churn.model import LinearModel, interval_for
from churn.schema import CategoricalColumn, Column, NumericColumn, Schema

__all__ = ["Metrics", "Split", "Trained", "measure", "split", "train"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_CATEGORIES = 50
# Stronger than scikit-learn's 1.0: on small tables it generalises as well or better and narrows the
# interval of the logits by a sixth; on large ones the data outweigh it.
REGULARISATION = 0.25
_ID_WORDS = {"id", "ids", "uuid", "guid", "key", "number", "nr", "no", "code", "index", "row"}


class Split(NamedTuple):
    """Records to learn from and records held out, with their labels, True for positive."""

    train: pd.DataFrame
    test: pd.DataFrame
    train_labels: Bools
    test_labels: Bools


@dataclass(frozen=True)
class Trained:
    """A model, the scikit-learn pipeline it was read from, and notes on columns left out."""

    model: LinearModel
    pipeline: Pipeline
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Metrics:
    """Quality of predictions; `majority` is the accuracy of always naming the commoner label."""

    accuracy: float
    balanced_accuracy: float
    roc_auc: float
    majority: float


def split(records: pd.DataFrame, labels: npt.ArrayLike, held_out: float = 0.25, seed: int = 0) -> Split:
    """Hold out the fraction `held_out`, or that many rows if it is 1 or more, at random.

    Both parts have the same share of positive labels. The same seed gives the same parts.
    """
    y = _labels(records, labels)
    rows = round(held_out if held_out >= 1 else held_out * len(y))
    if min(rows, len(y) - rows, int(y.sum()), int((~y).sum())) < 2:
        raise DataError(
            f"{rows} of {len(y)} rows were to be held out, {int(y.sum())} rows are positive",
            "both parts need two rows at least, and each label two",
            "Give more rows or another held_out",
        )
    train, test, y_train, y_test = train_test_split(records, y, test_size=rows, stratify=y, random_state=seed)
    return Split(train, test, y_train, y_test)


def train(
    records: pd.DataFrame,
    labels: npt.ArrayLike,
    *,
    name: str,
    target: str,
    positive: str,
    version: int = 1,
    regularisation: float = REGULARISATION,
    vocabulary: pd.DataFrame | None = None,
) -> Trained:
    """Fit a logistic regression that says how probable it is that `target` is `positive`.

    `labels` (rows,) are True for positive. Numbers and texts of few values are used; columns that
    are constant, that look like identifiers or that have more than 50 categories are left out, and
    `Trained.notes` says so. `vocabulary` may be the table from which `records` were split: its
    categories are then known to the model even where no training row has them (with weight 0), and
    its cells are checked too, so that an error names the row of the table that somebody has.
    Raises DataError for empty cells (column and row), numbers mixed with text, a single class, the
    label among the records, and for a table without any usable column.
    """
    y = _labels(records, labels)
    _check_names(records, target)
    if y.all() or not y.any():
        raise DataError(
            f"all {len(y)} labels are {'positive' if y.all() else 'negative'}",
            "both are needed to learn the difference",
            "Add rows of the other class",
        )
    if vocabulary is not None:
        _usable(vocabulary)
    numeric, categorical, notes = _usable(records)
    known = [sorted({*cells, *_texts(vocabulary, column)}) for column, cells in categorical.items()]
    pipeline = Pipeline(
        [
            (
                "encode",
                ColumnTransformer(
                    [
                        (
                            "numeric",
                            Pipeline([("clip", ClipToTrainingRange()), ("standardise", StandardScaler())]),
                            list(numeric),
                        ),
                        (
                            "categorical",
                            OneHotEncoder(categories=known, drop="first", sparse_output=False),
                            list(categorical),
                        ),
                    ]
                ),
            ),
            ("classify", LogisticRegression(C=regularisation, solver="newton-cholesky", tol=1e-8)),
        ]
    )
    with threadpool_limits(1):  # the problem is small, and the weights depend on no core count
        pipeline.fit(pd.DataFrame({**numeric, **categorical}), y)
    schema = _schema_of(pipeline, list(numeric), list(categorical))
    classifier = pipeline["classify"]
    weights, bias = classifier.coef_[0], float(classifier.intercept_[0])
    observed = np.abs(schema.transform(records) @ weights + bias).max()
    model = LinearModel(
        name=name,
        version=version,
        target=target,
        positive=positive,
        schema=schema,
        weights=weights,
        bias=bias,
        logit_interval=interval_for(schema, weights, bias),
        observed_logit=float(observed),
    )
    return Trained(model, pipeline, tuple(notes))


def measure(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Metrics:
    """Return accuracy (positive from 0.5 on), balanced accuracy, area under the ROC curve."""
    y, p = np.asarray(labels, np.bool_), np.asarray(probabilities, np.float64)
    if y.ndim != 1 or y.shape != p.shape or not np.isfinite(p).all():
        raise DataError(
            f"{y.shape} labels and {p.shape} probabilities, {int(np.isfinite(p).sum())} finite",
            "one finite probability per label is needed",
            "Check what was scored",
        )
    if y.all() or not y.any():
        raise DataError(
            f"all {y.size} labels are the same",
            "both are needed to measure",
            "Measure on a part of the data that holds both",
        )
    said = p >= 0.5
    return Metrics(
        float(accuracy_score(y, said)),
        float(balanced_accuracy_score(y, said)),
        float(roc_auc_score(y, p)),
        float(max(y.mean(), 1 - y.mean())),
    )


class ClipToTrainingRange(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip each column to the least and greatest value seen in training."""

    def fit(self, x: pd.DataFrame, y: object = None) -> ClipToTrainingRange:
        """Remember the range of each column."""
        values = np.asarray(x, np.float64)
        self.lower_, self.upper_ = values.min(axis=0), values.max(axis=0)
        self.n_features_in_ = values.shape[1]
        return self

    def transform(self, x: pd.DataFrame) -> Floats:
        """Return the values, clipped."""
        return np.clip(np.asarray(x, np.float64), self.lower_, self.upper_)


def _schema_of(pipeline: Pipeline, numeric: list[str], categorical: list[str]) -> Schema:
    fitted = pipeline["encode"].named_transformers_
    columns: list[Column] = []
    if numeric:
        clip, scaler = fitted["numeric"]["clip"], fitted["numeric"]["standardise"]
        columns += [
            NumericColumn(*parts)
            for parts in zip(
                numeric,
                scaler.mean_.tolist(),
                scaler.scale_.tolist(),
                clip.lower_.tolist(),
                clip.upper_.tolist(),
                strict=True,
            )
        ]
    if categorical:
        columns += [
            CategoricalColumn(name, tuple(str(c) for c in found))
            for name, found in zip(categorical, fitted["categorical"].categories_, strict=True)
        ]
    return Schema(tuple(columns))


def _labels(records: pd.DataFrame, labels: npt.ArrayLike) -> Bools:
    y = np.asarray(labels)
    if y.dtype != np.bool_ or y.shape != (len(records),):
        raise DataError(
            f"labels of type {y.dtype} and shape {y.shape} for {len(records)} records",
            "one True or False per record is needed",
            "Compare the label column with the positive label first",
        )
    return y


def _check_names(records: pd.DataFrame, target: str) -> None:
    names = [str(name) for name in records.columns]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ColumnError(
            f"the table has more than one column {doubled!r}",
            "every column needs a name of its own",
            "Remove or rename the others",
        )
    if target in names:
        raise ColumnError(
            f"the label {target!r} is among the columns to learn from",
            "a model that sees the answer learns nothing else",
            f"Leave it out: records.drop(columns={target!r})",
        )


def _texts(vocabulary: pd.DataFrame | None, column: str) -> set[str]:
    if vocabulary is None or column not in vocabulary:
        return set()
    texts = vocabulary[column].dropna().astype(str)
    return set(texts[texts.str.strip() != ""])


def _usable(
    records: pd.DataFrame,
) -> tuple[dict[str, pd.Series], dict[str, pd.Series], list[str]]:
    """Return numeric columns as floats, categorical ones as text, and notes on the rest."""
    numeric: dict[str, pd.Series] = {}
    categorical: dict[str, pd.Series] = {}
    notes = []
    for name in records.columns:
        column = records[name]
        reason = _useless(str(name), column)
        if reason:
            notes.append(f"column {str(name)!r} is left out: {reason}")
            continue
        empty = column.isna()
        if not pd.api.types.is_numeric_dtype(column):
            empty |= column.astype(str).str.strip() == ""
        gone = np.flatnonzero(empty)
        if gone.size:
            raise DataError(
                f"column {str(name)!r} is empty in {gone.size} rows, first in row {gone[0]} (counting from 0)",
                "every cell of a column that is used must be filled",
                "Fill in the cells, leave out the rows, or leave out the column",
            )
        numbers = _as_numbers(str(name), column)
        if numbers is not None:
            numeric[str(name)] = numbers
        elif column.nunique() > MAX_CATEGORIES:
            notes.append(
                f"column {str(name)!r} is left out: {column.nunique()} different texts, "
                f"more than {MAX_CATEGORIES}, are too many for categories"
            )
        else:
            categorical[str(name)] = column.astype(str).astype(object)
    if not numeric and not categorical:
        raise DataError(
            "no column of the table can be learned from",
            "one column of numbers or categories that differ is needed",
            "; ".join(notes) or "Check the table",
        )
    return numeric, categorical, notes


def _useless(name: str, column: pd.Series) -> str:
    """Return why a column carries no information, or ""."""
    different = column.nunique()
    if different == 0:
        return "it has no values"
    if different == 1 and not column.hasnans:
        return f"every row holds {str(column.iloc[0])!r}"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "dates are not used"
    if different == len(column) >= 50:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_.-]+", " ", name).casefold().split()
        if not pd.api.types.is_numeric_dtype(column):
            if _share_of_numbers(column) < 0.5:
                return "a text that differs in every row looks like an identifier"
        elif (column == column.round()).all() and (
            _ID_WORDS & set(words) or column.max() - column.min() < 2 * len(column)
        ):
            return "a whole number that differs in every row looks like an identifier"
    return ""


def _share_of_numbers(column: pd.Series) -> float:
    return float(pd.to_numeric(column, errors="coerce").notna().mean())


def _as_numbers(name: str, column: pd.Series) -> pd.Series | None:
    """Return the column as float64 if it is one of numbers, None if it is one of categories."""
    if pd.api.types.is_bool_dtype(column):
        return None
    numbers: Any = (
        column.astype(np.float64)
        if pd.api.types.is_numeric_dtype(column)
        else pd.to_numeric(column.astype(object), errors="coerce").astype(np.float64)
    )
    bad = np.flatnonzero(~np.isfinite(numbers))
    if not bad.size:
        return pd.Series(numbers)
    if len(bad) <= 0.5 * len(column):
        raise DataError(
            f"column {name!r} holds numbers, but row {bad[0]} (counting from 0) holds "
            f"{str(column.iloc[bad[0]])[:60]!r}",
            "a column holds finite numbers or texts, not both",
            "Correct the cell, leave out the row, or leave out the column",
        )
    return None
