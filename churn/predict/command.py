"""`python -m churn score` with a trained model: the table it reads, what it prints and writes."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from churn.errors import ColumnError, DataError, nearest
from churn.predict.client import KnownPredictor, Predictions, predict
from churn.tables import load_table
from churn.terminal import line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from churn.client import Client, Progress

__all__ = ["predict_file", "print_predictions", "read_rows", "write_labels"]


def predict_file(
    client: Client, known: KnownPredictor, data: Path, record: int | None, progress: Progress | None
) -> tuple[Predictions, npt.NDArray[Any] | None]:
    """Score a CSV file, or one row of it; numbers outside their range count as its nearest end.

    Returns what came back, and the truth, where the table has it: (rows,).
    """
    table, truth = read_rows(data, known)
    if record is not None:
        if record >= len(table):
            raise DataError(
                f"row {record} was asked for", f"{data} has rows 0 to {len(table) - 1}", "Name one of these"
            )
        table, truth = table.iloc[record : record + 1], None if truth is None else truth[record : record + 1]
    return predict(client, known, table, outside="clip", progress=progress), truth


def read_rows(path: Path, known: KnownPredictor) -> tuple[pd.DataFrame, npt.NDArray[Any] | None]:
    """Return the columns that a model reads from a CSV file, in its order, and the label's, where it is there."""
    table, names = load_table(path), known.model.schema.names
    truth = np.asarray(table.pop(known.target)) if known.target in table else None
    if names is not None:
        missing = [name for name in names if name not in table]
        if missing:
            raise ColumnError(
                f"{path} has no column {missing[0]!r}{nearest(missing[0], map(str, table.columns))}",
                f"model {known.description.name!r} reads {len(names)} columns by name",
                "Add it, or correct the header line",
            )
        table = table[list(names)]
    return table, None if truth is None or _empty(truth) else truth


def print_predictions(found: Predictions, truth: npt.NDArray[Any] | None, record: int | None, console: Console) -> None:
    """Print how good a table's predictions are, if the truth is there; or those of one row."""
    if found.clipped:
        line(console, "outside", f"{found.clipped:,} numbers beyond their range count as its nearest end")
    if record is not None:
        chances = "" if found.probabilities is None else f" with probability {found.probabilities[0].max():.3f}"
        really = "" if truth is None else f"; really: {truth[0]}"
        line(console, "score", f"row {record}: {_shown(found)[0]}{chances}{really}")
    elif truth is not None and found.known.model.output.classes:
        right = float((found.labels.astype(str) == truth.astype(str)).mean())
        _, counts = np.unique(truth.astype(str), return_counts=True)
        line(console, "accuracy", f"{right:.4f} on {len(truth):,} rows (majority {counts.max() / len(truth):.4f})")
    elif truth is not None and found.labels.size == len(truth):
        off = np.asarray(truth, np.float64) - found.labels.ravel()
        spread = float(((truth - np.mean(truth)) ** 2).sum())
        r2 = f", R² {1 - float((off**2).sum()) / spread:.4f}" if spread else ""
        line(console, "error", f"rms {math.sqrt(float((off**2).mean())):.4g} on {len(truth):,} rows{r2}")


def write_labels(path: Path, found: Predictions, first: int) -> None:
    """Write rows from number `first` on: what is predicted, and the probability of each class to four digits.

    Numbers are rounded to the error that is stated: further digits must not leave the key holder [LM21].
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shown, chances = _shown(found), found.probabilities
    classes = [] if chances is None else [f"probability of {label}" for label in found.known.model.output.classes]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *(["predicted"] if shown.ndim == 1 else map(str, range(shown.shape[1]))), *classes])
        for i, one in enumerate(shown):
            rest = [] if chances is None else [f"{p:.4f}" for p in chances[i]]
            writer.writerow([first + i, *np.atleast_1d(one).tolist(), *rest])


def _shown(found: Predictions) -> npt.NDArray[Any]:
    if found.known.model.output.classes or not found.error:
        return found.labels
    return np.asarray(np.round(found.labels, math.floor(-math.log10(found.error))))


def _empty(cells: npt.NDArray[Any]) -> bool:
    return any(cell is None or cell == "" or cell != cell for cell in cells.tolist())
