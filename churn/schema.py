"""From employee records to numbers: the client's half of a model, without the model.

A schema lists the columns that a model looks at, and turns a table into the matrix x (rows, d) of
*encoded features* whose dot product with the weights is the logit:

- a numeric column gives one feature, (clip(v, lower, upper) - mean) / scale;
- a categorical column with c categories gives c - 1 features, each 0 or 1: feature k says whether
  the cell is category k + 1. The first category is the reference, all its features are 0.

The clip makes every feature bounded, so the logit is bounded, by a number that the owner of the
weights can compute (`Schema.dot_range`) and that holds for every record, seen or not.

A schema is public: whoever scores records on a model is given it. It tells the training data's
means, ranges and category names, not its rows; `lower` and `upper` are values of single rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.errors import CategoryError, ColumnError, DataError, ModelError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_FEATURES", "CategoricalColumn", "Column", "NumericColumn", "Schema"]

Floats = npt.NDArray[np.float64]

MAX_FEATURES = 4096
_EPS = 2.0**-52


@dataclass(frozen=True)
class NumericColumn:
    """A number per record, clipped to [lower, upper], then (v - mean) / scale."""

    name: str
    mean: float
    scale: float
    lower: float
    upper: float

    kind: ClassVar[str] = "numeric"
    width: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Raise ModelError for values that no training could have given."""
        plain.text(self.name, "a column's name")
        for part in ("mean", "scale", "lower", "upper"):
            value = plain.number(getattr(self, part), f"{part} of column {self.name!r}")
            object.__setattr__(self, part, value)
        if not (self.scale > 0 and self.lower <= self.upper and np.isfinite(self.encoded_range).all()):
            raise ModelError(
                f"column {self.name!r} has scale {self.scale:g}, lower {self.lower:g}, upper {self.upper:g}",
                "scale > 0 and lower <= upper are needed, and a finite range once scaled",
                "Train the model again",
            )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's own name."""
        return (self.name,)

    @property
    def encoded_range(self) -> tuple[float, float]:
        """Least and greatest encoded value; exact, since rounding keeps the order of numbers."""
        return (self.lower - self.mean) / self.scale, (self.upper - self.mean) / self.scale

    def encode(self, cells: pd.Series) -> Floats:
        """Return (rows, 1) encoded values. DataError names the first cell that is no number."""
        values = self._numbers(cells)
        return ((np.clip(values, self.lower, self.upper) - self.mean) / self.scale)[:, None]

    def clipped(self, cells: pd.Series) -> int:
        """Return how many cells `encode` moves to an end of the range."""
        values = self._numbers(cells)
        return int(np.count_nonzero((values < self.lower) | (values > self.upper)))

    def dot_range(self, weights: Floats) -> tuple[float, float]:
        """Return least and greatest weight * feature."""
        ends = [float(weights[0]) * end for end in self.encoded_range]
        return min(ends), max(ends)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "mean": self.mean,
            "scale": self.scale,
            "lower": self.lower,
            "upper": self.upper,
        }

    def _numbers(self, cells: pd.Series) -> Floats:
        if cells.dtype.kind in "iufb" and not cells.hasnans:
            values = cells.to_numpy(dtype=np.float64)
        else:
            missing = cells.isna().to_numpy()
            values = np.array(
                [np.nan if gone else _number(cell) for cell, gone in zip(cells.tolist(), missing, strict=True)],
                np.float64,
            )
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise DataError(
                f"column {self.name!r}, {_row(bad[0])}, holds {_cell(cells, bad[0])}",
                "a finite number is needed in every row of this column",
                "Fill in the cell or leave out the row",
            )
        return values


@dataclass(frozen=True)
class CategoricalColumn:
    """One of two or more known values per record; the first is the reference."""

    name: str
    categories: tuple[str, ...]

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        """Raise ModelError for fewer than two categories, or doubled or empty ones."""
        plain.text(self.name, "a column's name")
        for category in self.categories:
            plain.text(category, f"a category of column {self.name!r}")
        if not 2 <= len(set(self.categories)) == len(self.categories) <= MAX_FEATURES:
            raise ModelError(
                f"column {self.name!r} has {len(self.categories)} categories, "
                f"{len(set(self.categories))} of them different",
                f"2 to {MAX_FEATURES} different ones are needed",
                "Train the model again",
            )

    @property
    def width(self) -> int:
        """The number of encoded features."""
        return len(self.categories) - 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per encoded feature, "column=category"."""
        return tuple(f"{self.name}={category}" for category in self.categories[1:])

    @property
    def encoded_range(self) -> tuple[float, float]:
        """Least and greatest encoded value of each feature; at most one feature is 1."""
        return 0.0, 1.0

    @cached_property
    def _place(self) -> dict[str, int]:
        return {category: k for k, category in enumerate(self.categories)}

    def encode(self, cells: pd.Series) -> Floats:
        """Return (rows, categories - 1) of 0 and 1. CategoryError names the first unknown value."""
        missing = cells.isna().to_numpy()
        codes = np.array(
            [
                -1 if gone else self._place.get(str(cell), -1)
                for cell, gone in zip(cells.tolist(), missing, strict=True)
            ],
            np.int64,
        )
        bad = np.flatnonzero(codes < 0)
        if bad.size:
            hint = "" if missing[bad[0]] else nearest(str(cells.iloc[bad[0]]), self.categories)
            raise CategoryError(
                f"column {self.name!r}, {_row(bad[0])}, holds {_cell(cells, bad[0])}{hint}",
                "the categories known to the model are " + ", ".join(repr(category) for category in self.categories),
                "Correct the value, or leave out the row",
            )
        features = np.arange(1, len(self.categories))
        return np.asarray(codes[:, None] == features, np.float64)

    def dot_range(self, weights: Floats) -> tuple[float, float]:
        """Return least and greatest sum of weight * feature: one weight at most, or 0."""
        return min(0.0, float(weights.min())), max(0.0, float(weights.max()))

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"kind": self.kind, "name": self.name, "categories": list(self.categories)}


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Schema:
    """The columns a model looks at, in the order of its features."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Raise ModelError for no column, doubled names, or more than 4096 features."""
        names = [column.name for column in self.columns]
        doubled = next((name for k, name in enumerate(names) if name in names[:k]), None)
        if not names or doubled is not None or self.width > MAX_FEATURES:
            found = (
                "no column"
                if not names
                else (f"{self.width} features" if doubled is None else f"two columns {doubled!r}")
            )
            raise ModelError(
                f"the schema has {found}",
                f"columns with different names and 1 to {MAX_FEATURES} features altogether are needed",
                "Train the model again",
            )

    @property
    def width(self) -> int:
        """d, the number of encoded features."""
        return sum(column.width for column in self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The d names of the encoded features."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def transform(self, records: pd.DataFrame) -> Floats:
        """Return the encoded features of `records`, float64 (rows, d), C-contiguous.

        Columns are found by name; others are ignored. Raises ColumnError for a missing or doubled
        column, CategoryError for a category the model has not seen, DataError for a cell that is
        empty or not a number; each names column and row (counting from 0).
        """
        present = [str(name) for name in records.columns]
        missing = [c.name for c in self.columns if c.name not in present]
        if missing:
            raise ColumnError(
                "the table lacks " + ", ".join(f"{name!r}{nearest(name, present)}" for name in missing),
                f"the model looks at {len(self.columns)} columns: "
                + ", ".join(repr(column.name) for column in self.columns),
                "Rename or add the missing ones",
            )
        doubled = [c.name for c in self.columns if present.count(c.name) > 1]
        if doubled:
            raise ColumnError(
                f"the table has more than one column {doubled[0]!r}", "one is needed", "Remove or rename the others"
            )
        records = records.set_axis(present, axis="columns")  # names that are numbers become text
        x = np.empty((len(records), self.width), np.float64)  # (rows, d)
        start = 0
        for column in self.columns:
            x[:, start : start + column.width] = column.encode(records[column.name])
            start += column.width
        return x

    def clipped(self, records: pd.DataFrame) -> dict[str, int]:
        """Return how many cells of each numeric column `transform` moves to an end of the range; none for most."""
        numeric = [column for column in self.columns if isinstance(column, NumericColumn)]
        counts = {column.name: column.clipped(records[column.name]) for column in numeric}
        return {name: count for name, count in counts.items() if count}

    def encoded_ranges(self) -> Floats:
        """Return (d, 2): the least and greatest value each encoded feature can take."""
        return np.array([column.encoded_range for column in self.columns for _ in column.feature_names], np.float64)

    def dot_range(self, weights: npt.ArrayLike, bias: float = 0.0) -> tuple[float, float]:
        """Return bounds on bias + weights . x over *every* record that `transform` accepts.

        The columns are free of each other, so the extremes are sums of each column's own; within a
        categorical column one feature at most is 1, so it adds its best weight, not their sum. Both
        ends are attained, up to a last step outwards that covers every order of rounding: a sum of
        d products differs from the exact one by at most (d + 2) 2^-52 times the sum of their sizes.
        """
        w = np.asarray(weights, np.float64)
        low = high = bias
        size, start = abs(bias), 0
        for column in self.columns:
            part = w[start : start + column.width]
            least, greatest = column.dot_range(part)
            low, high = low + least, high + greatest
            size += float(np.abs(part).sum()) * max(abs(end) for end in column.encoded_range)
            start += column.width
        slack = 2 * (self.width + 2) * _EPS * size  # the bound's own rounding, and the logit's
        return low - slack, high + slack

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, value: object) -> Schema:
        """Return the schema that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the schema", ["columns"])
        described = plain.items(parts["columns"], "the list of columns", MAX_FEATURES)
        return cls(tuple(_column(one, k) for k, one in enumerate(described)))


def _column(value: object, k: int) -> Column:
    what = f"column {k} of the schema"
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == NumericColumn.kind:
        names = ["name", "mean", "scale", "lower", "upper"]
        parts = plain.fields(value, what, ["kind", *names])
        numbers = [plain.number(parts[part], f"{part} of {what}") for part in names[1:]]
        return NumericColumn(plain.text(parts["name"], f"the name of {what}"), *numbers)
    if kind == CategoricalColumn.kind:
        parts = plain.fields(value, what, ["kind", "name", "categories"])
        listed = plain.items(parts["categories"], f"the categories of {what}", MAX_FEATURES)
        return CategoricalColumn(
            plain.text(parts["name"], f"the name of {what}"),
            tuple(plain.text(category, f"a category of {what}") for category in listed),
        )
    raise ModelError(
        f"{what} is of kind {str(kind)[:40]!r}",
        "'numeric' or 'categorical' is needed",
        "Use a schema written by to_dict()",
    )


def _number(cell: object) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _row(row: np.intp) -> str:
    return f"row {row} (counting from 0)"


def _cell(cells: pd.Series, row: np.intp) -> str:
    if cells.isna().iloc[row]:
        return "nothing"
    return repr(str(cells.iloc[row])[:60])
