"""A trained scikit-learn model as a file of the models folder: `ckks.ml` made it, plain numbers hold it.

    model = ckks.ml.from_sklearn(pipeline, X=X_train)
    publish(model, "models", "wine")                     models/wine.json, and `python -m churn serve` hosts it

No pickle is read, here or anywhere: whoever has one trains, converts and publishes in a process of their own.
`churn.predict.predictor` evaluates the model encrypted, `churn.predict.client` is its client's half.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from churn import plain
from churn.errors import ModelError
from churn.hosting.registry import Record
from churn.identity import LAST_VERSION, check_format, check_identity, fresh_salt
from ckks.errors import HEError
from ckks.ml.model import Model

__all__ = ["TRAINED_FORMAT", "TrainedModel", "publish"]

TRAINED_FORMAT = "trained-model/1"

_PARTS = ("format", "name", "version", "target", "model", "salt")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model of `ckks.ml` under a name.

    name, version   what a client asks for; see `churn.identity`, for the salt too
    model           what is evaluated; its parameters are those for answers that are not flooded
    target          the column that holds the label in tables that have one, "" if nobody knows

    Raises ModelError for parts that cannot be hosted.
    """

    name: str
    version: int
    model: Model
    target: str = ""
    salt: str = field(default_factory=fresh_salt, repr=False)

    def __post_init__(self) -> None:
        """Check every part but the model, which has checked itself."""
        check_identity(self.name, self.version, self.salt, "model")
        if self.target != "" and not plain.text(self.target, "the target's name").isprintable():
            raise ModelError("the target's name cannot be shown", "printable text is needed", "Rename the column")

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
        check_format(parts["format"], TRAINED_FORMAT, "model")
        try:
            model = Model.from_dict(parts["model"])
        except HEError as error:
            raise ModelError(
                f"the model cannot be used ({error})", "one that `publish` wrote is needed", "Publish it again"
            ) from error
        target = parts["target"]
        return cls(
            name=plain.text(parts["name"], "the model's name"),
            version=plain.whole(parts["version"], "the model's version", 1, LAST_VERSION),
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
    from churn.versions import add_version  # which reads this format among others

    return add_version(TrainedModel(name, 1, model, target), Path(folder) / f"{name}.json")
