"""What a folder of model files offers to clients: read by the service, and by each of its workers.

Imports nothing that could decrypt, and nothing that speaks HTTP.
"""

from __future__ import annotations

from pathlib import Path

from churn.circuit import LOGIT, OutputKind, Score
from churn.errors import ModelError
from churn.hosting.protocol import ANSWERS
from churn.hosting.registry import load_folder
from churn.model import LinearModel

__all__ = ["load_models", "offer"]


def load_models(folder: str | Path) -> list[LinearModel]:
    """Return the models of a folder: every *.json in it, in order of file name.

    Raises ModelError for a folder that is missing or holds no model, a file that is none (its name
    is in the message), and for two different models of one name and version.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.glob("*.json")):
        raise ModelError(
            f"{folder} " + ("holds no *.json" if folder.is_dir() else "is no folder"),
            "a folder with one model file at least is needed",
            f"Make one with 'python -m churn train --out {folder}/churn.json'",
        )
    return [model for _, model in load_folder(folder, LinearModel.from_dict)]


def offer(
    folder: str | Path, output: OutputKind = LOGIT, *, flooded: bool = True, queries: int = ANSWERS
) -> list[Score]:
    """Return the models of a folder ready to be hosted; see `Score.of`."""
    return [Score.of(model, output, flooded=flooded, queries=queries) for model in load_models(folder)]
