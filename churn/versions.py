"""Adding models to a folder that is hosted: what is there stays, and what is there already is not added again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from churn.errors import ModelError
from churn.hosting.registry import Record, latest_version, load_folder, register
from churn.model import LinearModel
from churn.offer import loader
from churn.predict.trained import TrainedModel

__all__ = ["add_version"]


def add_version(model: LinearModel | TrainedModel, path: Path) -> Record:
    """Add a model to the folder of a path, made where there is none; return its version and its file.

    What differs from the latest of its name in nothing but the salt is that one again. Another gets the next version
    and, if the path is in use, a file named by it. Raises ModelError for a path that is no model file's.
    """
    if path.suffix != ".json":
        raise ModelError(f"{path} does not end in .json", "a model's file does", "Choose such a name")
    folder, load = path.parent, loader(path.parent)
    folder.mkdir(parents=True, exist_ok=True)
    latest = latest_version(folder, model.name, load)
    for record, there in load_folder(folder, load) if any(folder.glob("*.json")) else ():
        if (record.name, record.version) == (model.name, latest) and isinstance(there, type(model)):
            again = replace(model, version=latest, salt=there.salt)
            if again.to_dict() == there.to_dict():
                return record
    return register(folder, replace(model, version=latest + 1).to_dict(), load, file=path.name)
