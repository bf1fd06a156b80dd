"""Models whose features are the numbers of their records, so that a test knows what every answer has to be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from churn.model import LinearModel, interval_for
from churn.schema import NumericColumn, Schema

REACH = 4.0
"""Numbers of a record lie in [-REACH, REACH]."""


def numbers_model(name: str, weights: Sequence[float], bias: float = 0.25, version: int = 1) -> LinearModel:
    """A model with one number per weight: x0, x1, ..., encoded as they are."""
    schema = Schema(tuple(NumericColumn(f"x{k}", 0.0, 1.0, -REACH, REACH) for k in range(len(weights))))
    learned = np.array(weights, np.float64)
    return LinearModel(
        name=name,
        version=version,
        target="left",
        positive="Yes",
        schema=schema,
        weights=learned,
        bias=bias,
        logit_interval=interval_for(schema, learned, bias),
        observed_logit=1.0,
    )


def table(rows: ArrayLike) -> pd.DataFrame:
    """Records (rows, d) as a table for the models above."""
    values = np.atleast_2d(np.asarray(rows, np.float64))
    return pd.DataFrame({f"x{k}": column for k, column in enumerate(values.T)})


def random_rows(rows: int, width: int, seed: int) -> NDArray[np.float64]:
    """Rows (rows, width) of uniform numbers within reach."""
    return np.random.default_rng(seed).uniform(-REACH, REACH, (rows, width))


def write_models(folder: Path, models: Iterable[LinearModel]) -> Path:
    """Write models as files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        (folder / f"{model.name}@{model.version}.json").write_text(json.dumps(model.to_dict()))
    return folder
