"""Reading a table to be scored: with its label column, if it has one, or without."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.tables import _check_shape, _read_text

__all__ = ["load_records", "load_table"]


def load_records(path: str | Path, target: str, positive: str) -> tuple[pd.DataFrame, npt.NDArray[np.bool_] | None]:
    """Read a table like `load_csv` does, for scoring: with labels, (rows,), if it has them.

    Labels are True where column `target` holds `positive`; None when there is no such column, or an
    empty cell in it. Any mixture of labels will do, one class included.
    """
    text = _read_text(Path(path))
    names = _check_shape(text, str(path))
    table = pd.read_csv(
        io.StringIO(text),
        keep_default_na=False,
        dtype={target: str},
        na_values={name: [""] for name in names if name != target},
        low_memory=False,
    )
    if target not in names:
        return table, None
    cells = table.pop(target).str.strip().to_numpy(dtype=object)
    return table, None if (cells == "").any() else np.asarray(cells == positive, np.bool_)


def load_table(path: str | Path) -> pd.DataFrame:
    """Read a table with all its columns, an empty cell missing; DataError for what is no CSV file."""
    text = _read_text(Path(path))
    names = _check_shape(text, str(path))
    return pd.read_csv(
        io.StringIO(text), keep_default_na=False, na_values={name: [""] for name in names}, low_memory=False
    )
