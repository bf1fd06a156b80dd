"""Adding models to a folder that is hosted: what is there stays, and what is there already is not added again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from churn.hosting.registry import Record, folder_of, latest_if, register
from churn.model import LinearModel
from churn.offer import loader
from churn.predict.trained import TrainedModel

__all__ = ["add_version"]


def add_version(model: LinearModel | TrainedModel, path: Path) -> Record:
    """Add a model to the folder of a path, made where there is none; return its version and its file.

    What differs from the latest of its name in nothing but the salt is that one again. Another gets the next version
    and, if the path is in use, a file named by it. Raises ModelError for a path that is no model file's.
    """
    folder, load = folder_of(path, "model"), loader(path.parent)

    def same(there: object) -> bool:
        if not isinstance(there, type(model)):
            return False
        return replace(model, version=there.version, salt=there.salt).to_dict() == there.to_dict()

    latest, again = latest_if(folder, model.name, load, same)
    return again or register(folder, replace(model, version=latest + 1).to_dict(), load, file=path.name)
