"""A trained scikit-learn model as a file of the models folder: `ckks.ml` made it, plain numbers hold it.

    model = ckks.ml.from_sklearn(pipeline, X=X_train)
    publish(model, "models", "wine")                     models/wine.json, and `python -m churn serve` hosts it

No pickle is read, here or anywhere: whoever has one trains, converts and publishes in a process of their own.
`churn.predictor` evaluates the model encrypted, `churn.predicting` is its client's half.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from churn import plain
from churn.errors import ModelError
from churn.hosting.registry import Record, latest_version, load_folder, register
from ckks.errors import HEError
from ckks.ml.model import Model

__all__ = ["TRAINED_FORMAT", "TrainedModel", "publish"]

TRAINED_FORMAT = "trained-model/1"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SALT = re.compile(r"[0-9a-f]{64}")
_PARTS = ("format", "name", "version", "target", "model", "salt")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model of `ckks.ml` under a name.

    name, version   what a client asks for: [a-z0-9._-], at most 64 characters; 1, 2, ...
    model           what is evaluated; its parameters are those for answers that are not flooded
    target          the column that holds the label in tables that have one, "" if nobody knows
    salt            64 random hex digits: with them in it, a digest of the model confirms no guess of its weights

    Raises ModelError for parts that cannot be hosted.
    """

    name: str
    version: int
    model: Model
    target: str = ""
    salt: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    def __post_init__(self) -> None:
        """Check every part but the model, which has checked itself."""
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise ModelError(
                f"the model's name is {str(self.name)[:80]!r}",
                "1 to 64 of a-z, 0-9 and '.', '_', '-' inside are needed",
                "Choose such a name",
            )
        plain.whole(self.version, "the model's version", 1, 1 << 31)
        if self.target != "" and not plain.text(self.target, "the target's name").isprintable():
            raise ModelError("the target's name cannot be shown", "printable text is needed", "Rename the column")
        if not (isinstance(self.salt, str) and _SALT.fullmatch(self.salt)):
            raise ModelError("the model's salt is no 64 hex digits", "random ones are needed", "Publish it again")

    def to_dict(self) -> dict[str, object]:
        """Return what is in the JSON file."""
        return {
            "format": TRAINED_FORMAT,
            "name": self.name,
            "version": self.version,
            "target": self.target,
            "model": self.model.to_dict(),
            "salt": self.salt,
        }

    @classmethod
    def from_dict(cls, value: object) -> TrainedModel:
        """Return the model that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the model", _PARTS)
        if parts["format"] != TRAINED_FORMAT:
            raise ModelError(
                f"the model's format is {str(parts['format'])[:40]!r}", f"{TRAINED_FORMAT!r} is needed", "Publish again"
            )
        try:
            model = Model.from_dict(parts["model"])
        except HEError as error:
            raise ModelError(
                f"the model cannot be used ({error})", "one that `publish` wrote is needed", "Publish it again"
            ) from error
        target = parts["target"]
        return cls(
            name=plain.text(parts["name"], "the model's name"),
            version=plain.whole(parts["version"], "the model's version", 1, 1 << 31),
            model=model,
            target="" if target == "" else plain.text(target, "the target's name"),
            salt=plain.text(parts["salt"], "the model's salt"),
        )


def publish(model: Model, folder: str | Path, name: str, *, target: str = "") -> Record:
    """Add a model to a folder that `churn serve` hosts, made where there is none; return version and file.

    What the latest of its name is already is that one again; another becomes the next version, and what is there stays.

    Args:
        model: what `ckks.ml.from_sklearn` returned.
        folder: of model files.
        name: what clients ask for.
        target: the label's column, for clients whose tables have it: it is not sent, but compared with.

    Raises ModelError for a name that cannot be one, and for a model that differs from a registered one of its version.
    """
    from churn.offer import loader  # which reads this format among others

    folder = Path(folder)
    trained, load = TrainedModel(name, 1, model, target), loader(folder)
    folder.mkdir(parents=True, exist_ok=True)
    latest = latest_version(folder, name, load)
    for record, there in load_folder(folder, load) if any(folder.glob("*.json")) else ():
        if (record.name, record.version) == (name, latest) and isinstance(there, TrainedModel):
            again = replace(trained, version=latest, salt=there.salt)
            if again.to_dict() == there.to_dict():
                return record
    return register(folder, replace(trained, version=latest + 1).to_dict(), load, file=f"{name}.json")
