"""Reading a table of records from a CSV file, with errors that say which line or name is wrong.

load_csv       to learn from: with a label in every row
load_records   to be scored by a model of one label: with that label's column, if it is there
load_table     all columns as they are
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.errors import CategoryError, ColumnError, DataError, nearest

__all__ = ["load_csv", "load_records", "load_table"]

Bools = npt.NDArray[np.bool_]


def load_csv(path: str | Path, target: str, positive: str) -> tuple[pd.DataFrame, Bools]:
    """Read a comma-separated UTF-8 table (a byte-order mark is tolerated) with a label column.

    Returns the other columns, types inferred, and the labels, (rows,): True where column `target`
    holds `positive`. Only an empty cell counts as missing; "NA" or "None" is text like any other.
    Raises DataError for a file that is missing, empty, not CSV, or of one class; ColumnError for an
    unknown `target` or doubled names; CategoryError for a `positive` that does not occur.
    """
    table = load_table(path, target)
    names = [str(name) for name in table.columns]
    if target not in names:
        raise ColumnError(
            f"{path} has no column {target!r}{nearest(target, names)}",
            f"the label column must be one of {_some(names)}",
            _separator_hint(names) or "Name one of these columns as the target",
        )
    others = [name for name in names if name != target]
    if not others:
        raise DataError(
            f"{path} has no column beside the label {target!r}",
            "at least one attribute is needed to learn from",
            "Check that the file is separated by commas and holds the attributes",
        )
    cells = table[target].str.strip().to_numpy(dtype=object)
    return table[others], _labels(cells, target, positive.strip())


def load_records(path: str | Path, target: str, positive: str) -> tuple[pd.DataFrame, Bools | None]:
    """Read a table like `load_csv` does, for scoring: with labels, (rows,), if it has them.

    Labels are True where column `target` holds `positive`; None when there is no such column, or an
    empty cell in it. Any mixture of labels will do, one class included.
    """
    table = load_table(path, target)
    if target not in table:
        return table, None
    cells = table.pop(target).str.strip().to_numpy(dtype=object)
    return table, None if (cells == "").any() else np.asarray(cells == positive, np.bool_)


def load_table(path: str | Path, label: str | None = None) -> pd.DataFrame:
    """Read a table with all its columns, types inferred, an empty cell missing; DataError for what is no CSV file.

    Column `label`, if there is such a one, is text throughout, and its empty cells are empty text.
    """
    text = _read_text(Path(path))
    names = _check_shape(text, str(path))
    return pd.read_csv(
        io.StringIO(text),
        keep_default_na=False,
        dtype={} if label is None else {label: str},
        na_values={name: [""] for name in names if name != label},
        low_memory=False,
    )


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error})",
            "an existing CSV file is needed",
            "Check the path",
        ) from error
    if not raw.strip():
        raise DataError(f"{path} is empty", "a header line and at least two rows are needed", "Export the table again")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start} is 0x{raw[error.start]:02x})",
            "a CSV file in UTF-8 is needed",
            "Save the table as 'CSV UTF-8'; spreadsheets themselves are not read",
        ) from error
    if "\0" in text:
        raise DataError(
            f"{path} holds zero bytes, so it is not text", "a CSV file is needed", "Save the table as 'CSV UTF-8'"
        )
    return text


def _check_shape(text: str, path: str) -> list[str]:
    """Return the column names after checking that every row has one cell for each."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    rows = 0
    try:
        for cells in reader:
            if not cells:
                continue
            if not names:
                names = cells
                continue
            rows += 1
            if len(cells) != len(names):
                raise DataError(
                    f"line {reader.line_num} of {path} has {len(cells)} cells",
                    f"the header names {len(names)} columns",
                    "Check that line for a comma that should be inside quotes, and that this is a comma-separated file",
                )
    except csv.Error as error:
        raise DataError(
            f"{path} is not valid CSV near line {reader.line_num} ({error})",
            "a comma-separated table is needed",
            "Check the quotes around that line",
        ) from error
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled or "" in names:
        raise ColumnError(
            f"{path} has "
            + (f"more than one column {doubled[0]!r}" if doubled else f"no name for column {names.index('') + 1}"),
            "every column needs a name of its own",
            "Correct the header line",
        )
    if not rows:
        raise DataError(f"{path} has a header line only", "rows of data are needed", "Export the table again")
    return names


def _labels(cells: npt.NDArray[np.object_], target: str, positive: str) -> Bools:
    empty = np.flatnonzero(cells == "")
    if empty.size:
        raise DataError(
            f"the label column {target!r} is empty in {empty.size} rows, first in row {empty[0]} (counting from 0)",
            "every row needs a label",
            "Fill in these labels or remove the rows",
        )
    values = sorted(set(cells.tolist()))
    if positive not in values:
        raise CategoryError(
            f"{positive!r} does not occur in column {target!r}{nearest(positive, values)}",
            f"the values that occur are {_some(values)}",
            "Name one of these as the positive label",
        )
    if len(values) == 1:
        raise DataError(
            f"every row of column {target!r} holds {positive!r}",
            "both labels are needed to learn the difference",
            "Add rows of the other class",
        )
    return np.asarray(cells == positive, dtype=np.bool_)


def _separator_hint(names: list[str]) -> str:
    for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            return f"The file seems to be separated by {called}: save it with commas"
    return ""


def _some(values: list[str], most: int = 40) -> str:
    shown = ", ".join(repr(value[:60]) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")
