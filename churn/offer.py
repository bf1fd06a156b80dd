"""What a folder of model files offers to clients: read by the service, and by each of its workers.

Imports nothing that could decrypt, and nothing that speaks HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from churn.circuit import LOGIT, OutputKind, Score
from churn.errors import ModelError
from churn.hosting.protocol import ANSWERS
from churn.hosting.registry import load_folder
from churn.match.index import INDEX_FORMAT, VectorIndex
from churn.match.room import ROOM_FORMAT, EncryptedSimilarity, Room
from churn.match.similarity import Similarity
from churn.model import LinearModel
from churn.predict.predictor import Predictor
from churn.predict.trained import TRAINED_FORMAT, TrainedModel

__all__ = ["Hosted", "Model", "host", "load_models", "loader", "offer"]

Model = LinearModel | TrainedModel | VectorIndex | Room
"""What a file of the folder may hold."""

Hosted = Score | Predictor | Similarity | EncryptedSimilarity
"""The same, ready to be hosted."""


def loader(folder: str | Path) -> Callable[[object], Model]:
    """Return what makes a model, or an index, of the values in a JSON file of this folder."""

    def load(value: object) -> Model:
        kind = value.get("format") if isinstance(value, Mapping) else None
        if kind == INDEX_FORMAT:
            return VectorIndex.from_dict(value, Path(folder))
        if kind == ROOM_FORMAT:
            return Room.from_dict(value)
        if kind == TRAINED_FORMAT:
            return TrainedModel.from_dict(value)
        return LinearModel.from_dict(value)

    return load


def load_models(folder: str | Path) -> list[Model]:
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
    return [model for _, model in load_folder(folder, loader(folder))]


def host(model: Model, output: OutputKind = LOGIT, *, flooded: bool = True, queries: int = ANSWERS) -> Hosted:
    """Return a model, or an index, ready to be hosted; see `Score.of`. `output` is for churn scores alone."""
    if isinstance(model, TrainedModel):
        return Predictor.of(model, flooded=flooded, queries=queries)
    if isinstance(model, VectorIndex):
        return Similarity.of(model, flooded=flooded, queries=queries)
    if isinstance(model, Room):
        return EncryptedSimilarity.of(model)
    return Score.of(model, output, flooded=flooded, queries=queries)


def offer(
    folder: str | Path,
    output: OutputKind = LOGIT,
    *,
    flooded: bool = True,
    queries: int = ANSWERS,
    evaluating: bool = False,
) -> list[Hosted]:
    """Return the models of a folder ready to be hosted; with `evaluating`, to be evaluated without further delay."""
    hosted = [host(model, output, flooded=flooded, queries=queries) for model in load_models(folder)]
    for one in hosted:
        if evaluating and isinstance(one, Similarity):
            one.encoded()
    return hosted
