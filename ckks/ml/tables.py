"""Reading tables by column, whether arrays, lists of rows or DataFrames; nothing of pandas is imported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError, SlotError

__all__ = ["cells", "shape_and_names"]


def shape_and_names(X: Any) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """Return the shape of a table, and its columns' names if they are all texts."""
    if hasattr(X, "toarray"):
        raise ModelError("a sparse matrix; pass X.toarray(): every feature is encrypted, zeros included")
    if hasattr(X, "columns"):
        names = list(X.columns)
        return tuple(X.shape), tuple(names) if all(isinstance(name, str) for name in names) else None
    try:
        return np.shape(X), None
    except ValueError:
        raise SlotError("a list of rows of different lengths; needed a table: as many cells in each row") from None


def cells(X: Any, column: int) -> NDArray[Any]:
    """Return one column of a table, (rows,)."""
    if hasattr(X, "iloc"):
        return np.asarray(X.iloc[:, column])
    return np.asarray(X)[:, column] if not isinstance(X, list) else np.asarray([row[column] for row in X])
