"""Reading tables by column, whether arrays, lists of rows or DataFrames; nothing of pandas is imported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError, RangeError, SlotError

__all__ = ["cells", "differences", "numbers", "shape_and_names"]


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


def differences(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """Return how the column names of a table differ from those of a model, and what to do; "" if they do not."""
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    parts = [
        f"{word} {', '.join(map(repr, names[:5]))}{' ...' * (len(names) > 5)}"
        for word, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    if parts:
        return f"{'; '.join(parts)}: pass the columns that the model was trained on"
    if found != wanted:
        at = next((k for k, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(wanted))
        place = f"column {at} is {found[at]!r}"
        needed = f", needed {wanted[at]!r}" if at < len(wanted) else ", which was there already"
        return f"{place}{needed}: reorder them, table[names], with the model's feature_names_in_"
    return ""


def numbers(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return a column as float64; RangeError names the column, and the first cell that is no number."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    if values.dtype.kind in "cmM":
        raise RangeError(f"{name} holds {values.dtype} values; needed real numbers: convert it as for training")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        row, cell = next((k, v) for k, v in enumerate(values.tolist()) if not _is_number(v))
        raise RangeError(
            f"{name}, row {row}, holds {str(cell)[:40]!r}, which is no number, in a column of {values.dtype} values "
            "that the model reads as numbers: fill in, or leave the row out"
        ) from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def cells(X: Any, column: int) -> NDArray[Any]:
    """Return one column of a table, (rows,)."""
    if hasattr(X, "iloc"):
        return np.asarray(X.iloc[:, column])
    return np.asarray(X)[:, column] if not isinstance(X, list) else np.asarray([row[column] for row in X])
