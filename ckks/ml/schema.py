"""What a model reads from a table, and how that becomes numbers in [-1, 1]: the client's half, without the model.

A numeric column with the declared range [low, high] gives one feature,

    e = (x - center) / radius,    center = (low + high) / 2,    radius = (high - low) / 2,

and a categorical column one feature for each category that the model tells apart: 1 for the category of the cell, 0
for the others. So every feature lies in a known interval, and so does everything that is computed from them.

A schema is public, and it is all that a client needs to know of the data a model was trained on: column numbers and
names, ranges, categories. It holds no code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.errors import ModelError, RangeError, SlotError
from ckks.ml import plain
from ckks.ml.tables import cells, differences, shape_and_names
from ckks.ml.tables import numbers as as_numbers

__all__ = ["CategoricalColumn", "NumericColumn", "Outside", "Schema"]

Floats = NDArray[np.float64]
Outside = Literal["refuse", "clip"]
"""What becomes of a number outside its declared range, or of a category that is unknown."""

MAX_COLUMNS = 1 << 16


@dataclass(frozen=True)
class NumericColumn:
    """A number per row, in [low, high]. A column of one value is allowed, and tells nothing."""

    column: int
    low: float
    high: float

    kind: ClassVar[str] = "numeric"

    def __post_init__(self) -> None:
        """Refuse what is no interval."""
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            raise ModelError(
                f"column {self.column} has the range [{self.low:g}, {self.high:g}]; needed finite numbers, low <= high"
            )

    @property
    def width(self) -> int:
        """One feature."""
        return 1

    @property
    def center(self) -> float:
        """Middle of the range."""
        return self.low / 2 + self.high / 2

    @property
    def radius(self) -> float:
        """Half the length of the range; 1 where that is 0."""
        return (self.high / 2 - self.low / 2) or 1.0

    def reach(self, weights: Floats) -> tuple[Floats, Floats]:
        """Least and greatest weights * feature, weights (M, 1): two arrays (M,)."""
        size = np.abs(weights[:, 0]) * (self.high > self.low)
        return -size, size

    def reach_anywhere(self, weights: Floats) -> tuple[Floats, Floats]:
        """The same: 0 is among them."""
        return self.reach(weights)

    def encode(self, values: NDArray[Any], name: str, outside: Outside) -> tuple[Floats, int]:
        """Return (rows, 1) features, and how many were clipped; RangeError names the first that was not."""
        numbers = as_numbers(values, name)
        if (bad := np.flatnonzero(~np.isfinite(numbers))).size:
            raise RangeError(f"{name}, row {bad[0]}, holds {numbers[bad[0]]}; needed a finite number in every row")
        off = (numbers < self.low) | (numbers > self.high)
        if off.any() and outside == "refuse":
            row = int(np.flatnonzero(off)[0])
            raise RangeError(
                f"{name}, row {row}, holds {numbers[row]:g}, and {int(off.sum())} rows in all lie outside the declared "
                f'range [{self.low:g}, {self.high:g}]; declare a wider range, or pass outside="clip"'
            )
        features = (np.clip(numbers, self.low, self.high) - self.center) / self.radius
        return np.clip(features, -1.0, 1.0)[:, None], int(off.sum())  # rounding may lead an ulp beyond

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"kind": self.kind, "column": self.column, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class CategoricalColumn:
    """One of several categories per row, as features 0 and 1; `dropped` is the category without a feature, if any.

    unknown_is_zero  a category that is not in the list gives zeros, as the model was trained to read it
    """

    column: int
    categories: tuple[Any, ...]
    dropped: int | None = None
    unknown_is_zero: bool = False

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        """Refuse categories that cannot be told apart, or written down."""
        plainly = all(isinstance(c, bool | int | float | str) and c == c for c in self.categories)
        if not plainly or len(set(self.categories)) != len(self.categories) or not self.categories:
            raise ModelError(
                f"column {self.column} has the categories {self.categories[:5]}...; needed different texts or numbers"
            )
        if self.dropped is not None and not 0 <= self.dropped < len(self.categories):
            raise ModelError(f"column {self.column} drops category {self.dropped} of {len(self.categories)}")

    @property
    def kept(self) -> tuple[Any, ...]:
        """The categories that have a feature."""
        return tuple(c for k, c in enumerate(self.categories) if k != self.dropped)

    @property
    def width(self) -> int:
        """A feature for each category that is kept."""
        return len(self.kept)

    def reach(self, weights: Floats) -> tuple[Floats, Floats]:
        """Least and greatest sum of weights * features, weights (M, width): one feature is 1, or none."""
        if not self.always_one:
            weights = np.pad(weights, ((0, 0), (0, 1)))
        return weights.min(axis=1), weights.max(axis=1)

    def reach_anywhere(self, weights: Floats) -> tuple[Floats, Floats]:
        """Least and greatest sum where no feature is 1, or one, or two: some of one row and the rest of another."""
        ordered = np.sort(np.pad(weights, ((0, 0), (0, 2))), axis=1)
        return ordered[:, :2].sum(axis=1), ordered[:, -2:].sum(axis=1)

    @property
    def always_one(self) -> bool:
        """Whether one of the features is 1 in every row."""
        return self.dropped is None and not self.unknown_is_zero and self.width > 0

    def encode(self, values: NDArray[Any], name: str, outside: Outside) -> tuple[Floats, int]:
        """Return (rows, width) of 0 and 1, and how many cells were set to no category."""
        place = {c: k for k, c in enumerate(self.categories)}
        positions = np.array([place.get(v, -1) for v in values.tolist()], dtype=np.int64)
        unknown = np.flatnonzero(positions < 0)
        if unknown.size and not self.unknown_is_zero:
            raise RangeError(
                f"{name}, row {unknown[0]}, holds {values.tolist()[unknown[0]]!r}, in {unknown.size} rows no category "
                f"that the model knows; they are {', '.join(map(repr, self.categories[:8]))}"
            )
        features = np.zeros((len(values), len(self.categories) + 1))
        features[np.arange(len(values)), positions] = 1.0  # the last column takes the unknown ones
        kept = [k for k in range(len(self.categories)) if k != self.dropped]
        return features[:, kept], 0

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "kind": self.kind,
            "column": self.column,
            "categories": list(self.categories),
            "dropped": self.dropped,
            "unknown_is_zero": self.unknown_is_zero,
        }


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Schema:
    """The columns that a model reads, in the order of their features.

    n_columns  of the tables it accepts; not all of them need be read
    names      of the columns, where the model was trained on a table that has names
    """

    n_columns: int
    names: tuple[str, ...] | None
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Refuse columns that no table of this width has."""
        if self.names is not None and len(self.names) != self.n_columns:
            raise ModelError(f"{len(self.names)} names for {self.n_columns} columns")
        wrong = [c.column for c in self.columns if not 0 <= c.column < self.n_columns]
        if wrong or not self.width:
            raise ModelError(f"columns {wrong} of {self.n_columns}, {self.width} features; needed one feature or more")

    @cached_property
    def width(self) -> int:
        """Number of features, K."""
        return sum(c.width for c in self.columns)

    def encode(self, X: Any, outside: Outside = "refuse") -> tuple[Floats, int]:
        """Return the features (rows, K), and how many cells were moved to an end of their range.

        Args:
            X: a table (rows, n_columns): an array, a list of rows, or a DataFrame.
            outside: "refuse" raises RangeError for the first cell outside its declared range, "clip" moves them all.
        """
        if outside not in ("refuse", "clip"):
            raise ModelError(f'outside={outside!r}; needed "refuse" or "clip"')
        shape, names = shape_and_names(X)
        if names is not None and self.names is not None and names != self.names:
            raise SlotError(f"the table's columns differ from the model's, {differences(names, self.names)}")
        if len(shape) != 2 or shape[1] != self.n_columns:
            hint = "; pass table[names] for one column, X[:1] for one row" if len(shape) == 1 else ""
            raise SlotError(f"a table of shape {shape}; needed (rows, {self.n_columns}){hint}")
        blocks, clipped = [], 0
        for one in self.columns:
            block, count = one.encode(cells(X, one.column), self._name(one.column), outside)
            blocks.append(block)
            clipped += count
        return np.concatenate(blocks, axis=1), clipped

    def dot_range(self, weights: ArrayLike, bias: ArrayLike) -> tuple[Floats, Floats]:
        """Return least and greatest weights @ features + bias, (M,) each: proven and attained. weights are (M, K)."""
        return self._range(weights, bias, [one.reach for one in self.columns])

    def slot_range(self, weights: ArrayLike, bias: ArrayLike) -> tuple[Floats, Floats]:
        """Return the same for all that may stand in a slot: a row, zeros where there is none, or parts of two rows.

        Layouts leave such slots between rows and behind the last one (`ml.layers`). Their values mean nothing, but a
        polynomial takes them too, and beyond its interval it runs off to infinity.
        """
        return self._range(weights, bias, [one.reach_anywhere for one in self.columns])

    def centred(self, weights: ArrayLike, bias: ArrayLike) -> tuple[Floats, Floats]:
        """Return weights (M, K) and bias (M,) that give every row the same, categories weighed about their middle.

        As one feature of a category is 1 in each row, weights may have any constant in common that the bias takes
        back: with this one, `slot_range` is at most twice as long as `dot_range`.
        """
        w, b = np.array(weights, np.float64), np.array(bias, np.float64)
        start = 0
        for one in self.columns:
            if isinstance(one, CategoricalColumn) and one.always_one:
                low, high = one.reach(w[:, start : start + one.width])
                w[:, start : start + one.width] -= (low / 2 + high / 2)[:, None]
                b += low / 2 + high / 2
            start += one.width
        return w, b

    def _range(
        self, weights: ArrayLike, bias: ArrayLike, reaches: Sequence[Callable[[Floats], tuple[Floats, Floats]]]
    ) -> tuple[Floats, Floats]:
        w = np.asarray(weights, np.float64)
        low, high = (np.array(bias, np.float64) for _ in range(2))
        start = 0
        for one, reach in zip(self.columns, reaches, strict=True):
            below, above = reach(w[:, start : start + one.width])
            low, high, start = low + below, high + above, start + one.width
        return low, high

    def _name(self, column: int) -> str:
        return f"column {column}" if self.names is None else f"column {self.names[column]!r}"

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "n_columns": self.n_columns,
            "names": None if self.names is None else list(self.names),
            "columns": [c.to_dict() for c in self.columns],
        }

    @classmethod
    def from_dict(cls, value: object) -> Schema:
        """Return the schema that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the schema", ("n_columns", "names", "columns"))
        names = plain.optional(parts["names"], plain.items, "the columns' names", MAX_COLUMNS)
        return cls(
            plain.whole(parts["n_columns"], "the number of columns", 1, MAX_COLUMNS),
            None if names is None else tuple(plain.text(name, "a column's name") for name in names),
            tuple(_column(one) for one in plain.items(parts["columns"], "the columns", MAX_COLUMNS)),
        )


def _column(value: Any) -> Column:
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == NumericColumn.kind:
        parts = plain.fields(value, "a numeric column", ("kind", "column", "low", "high"))
        column = plain.whole(parts["column"], "a column's number", 0, MAX_COLUMNS)
        low, high = (plain.number(parts[end], f"{end} of column {column}") for end in ("low", "high"))
        return NumericColumn(column, low, high)
    parts = plain.fields(value, "a categorical column", ("kind", "column", "categories", "dropped", "unknown_is_zero"))
    categories: Sequence[Any] = plain.items(parts["categories"], "the categories", MAX_COLUMNS)
    return CategoricalColumn(
        plain.whole(parts["column"], "a column's number", 0, MAX_COLUMNS),
        tuple(categories),
        plain.optional(parts["dropped"], plain.whole, "a dropped category", 0, MAX_COLUMNS),
        parts["unknown_is_zero"] is True,
    )
