"""Models by name and version: `name@version` means one thing for ever.

A model is data: one JSON file, which says nothing until a loader has made a model of its values. Reading it runs
nothing, a person can read it too, and a float64 written by `json` comes back to the last bit; that it takes some 20
bytes instead of 8 is no matter for numbers that were learned once. (An .npy file would need a reader of our own, since
numpy's may be talked into unpickling.)

    FOLDER/*.json        models, whatever the files are called
    FOLDER/DIGESTS       what was registered: SHA-256 and name@version of each, one a line

A folder without DIGESTS is fine: then only contradictions between its own files are noticed. With it, a version that
was registered is refused in any other form. To change a model is to register its next version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from churn.errors import ModelError
from churn.hosting.files import Lock, replace_file

__all__ = [
    "Record",
    "Registry",
    "Versioned",
    "folder_of",
    "latest_if",
    "latest_version",
    "load_file",
    "load_folder",
    "register",
]

_DIGESTS = "DIGESTS"
_MODEL_BYTES = 64 << 20
_NAME = re.compile(r"[a-z0-9._-]{1,200}")
_REFERENCE = re.compile(r"([a-z0-9._-]{1,200})(?:@([1-9][0-9]{0,9}))?")
_LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9._-]{1,200}@[1-9][0-9]{0,9})")


class Versioned(Protocol):
    """Something that has a name [a-z0-9._-] and a version 1, 2, ..."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def version(self) -> int:
        """Which one of that name."""


class _Hosted(Versioned, Protocol):
    @property
    def digest(self) -> str:
        """Differs for any two that may give different results."""


V = TypeVar("V", bound=Versioned)
H = TypeVar("H", bound=_Hosted)


@dataclass(frozen=True)
class Record:
    """A model's file: `digest` is the SHA-256 (hex) of its values, however they are spaced and ordered in the file."""

    name: str
    version: int
    digest: str
    path: Path

    @property
    def reference(self) -> str:
        """name@version."""
        return _reference(self)


class Registry(Generic[H]):
    """The models of a service; never changes."""

    def __init__(self, models: Iterable[H]) -> None:
        """Take models; ModelError for two different ones of one name and version (the same one twice is one)."""
        self._models: dict[str, H] = {}
        self._latest: dict[str, H] = {}
        for model in models:
            known = self._models.setdefault(_reference(model), model)
            if known.digest != model.digest:
                raise _contradiction(_reference(model), "two different models have this name and version")
            if model.version > self._latest.setdefault(model.name, known).version:
                self._latest[model.name] = model

    def find(self, reference: str) -> H | None:
        """Return the model "name@version", or the latest one "name"; None when there is none."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        return self._latest.get(match[1]) if match[2] is None else self._models.get(reference)

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return sorted(self._latest)

    def __iter__(self) -> Iterator[H]:
        """Go through all models, by name, the oldest version first."""
        return iter(sorted(self._models.values(), key=lambda model: (model.name, model.version)))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._models)


def load_folder(folder: str | Path, loader: Callable[[object], V]) -> list[tuple[Record, V]]:
    """Return the models of a folder: what `loader` makes of the values in each *.json, in order of file name.

    Raises ModelError for a folder that is missing or holds no model, a file that is none (its path is in the message),
    two different models of one name and version, and one that is not what was registered. The same model in two files
    counts once.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder", "a folder with one model file at least is needed", "Make a model")
    found = _load(folder, loader)
    if not found:
        raise ModelError(f"{folder} holds no *.json", "one model file at least is needed", "Make a model")
    return list(found.values())


def load_file(path: str | Path, loader: Callable[[object], V]) -> V:
    """Return the model of one file: what `loader` makes of its values. ModelError for a file that is none."""
    return _made(Path(path), _values(Path(path)), loader)


def latest_version(folder: str | Path, name: str, loader: Callable[[object], V]) -> int:
    """Return the latest version of a name that was registered in a folder or is there; 0 when there is none."""
    parts = (reference.rpartition("@") for reference in (*_registered(Path(folder)), *_load(Path(folder), loader)))
    return max((int(version) for known, _, version in parts if known == name), default=0)


def folder_of(path: Path, kind: str) -> Path:
    """Return the folder of a file to be, made where there is none; ModelError for a name that `serve` would not read.

    `kind` is what the file describes, for the message: "model", "index".
    """
    if path.suffix != ".json":
        raise ModelError(f"{path} does not end in .json", f"the file of a {kind} does", "Choose such a name")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


def latest_if(
    folder: Path, name: str, loader: Callable[[object], V], same: Callable[[V], bool]
) -> tuple[int, Record | None]:
    """Return the latest version of a name, as `latest_version`; and its record, if it is there and `same` says so.

    So what is added twice becomes no second version.
    """
    latest = latest_version(folder, name, loader)
    for record, there in load_folder(folder, loader) if any(folder.glob("*.json")) else ():
        if (record.name, record.version) == (name, latest) and same(there):
            return latest, record
    return latest, None


def register(folder: str | Path, value: object, loader: Callable[[object], V], *, file: str | None = None) -> Record:
    """Add the model that `value` (plain values, for JSON) describes to a folder, made where there is none.

    Its file is `file`, or NAME@VERSION.json when that name is not given or in use: no file is written over.
    Registering a model again changes nothing. ModelError for values that `loader` refuses, and for another model
    of a name and version that were registered or are there, even if the file is gone since.
    """
    folder, model = Path(folder), loader(value)
    if not _NAME.fullmatch(model.name):
        raise ModelError(
            f"the model's name is {model.name[:64]!r}", "a-z, 0-9, '.', '_' and '-' may be in it", "Rename it"
        )
    data, reference = _canonical(value), _reference(model)
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder / ".registry.lock", wait=True):
        registered, there = _registered(folder), _load(folder, loader).get(reference)
        digest = hashlib.sha256(data).hexdigest()
        record = there[0] if there else Record(model.name, model.version, digest, _free(folder, reference, file))
        if {digest, record.digest, registered.get(reference, digest)} != {digest}:
            raise _contradiction(reference, f"{folder} has another model of this name and version")
        if there is None:
            replace_file(record.path, data, mode=0o400)
        if reference not in registered:
            lines = [f"{digest}  {name}\n" for name, digest in sorted({**registered, reference: digest}.items())]
            replace_file(folder / _DIGESTS, "".join(lines).encode())
    return record


def _free(folder: Path, reference: str, file: str | None) -> Path:
    names = [f"{reference}.json"] if file is None else [file, f"{reference}.json"]
    for path in (folder / name for name in names):
        if not path.exists():
            return path
    raise ModelError(f"{path} is there already, and is another model", "a free name is needed", "Move that file away")


def _load(folder: Path, loader: Callable[[object], V]) -> dict[str, tuple[Record, V]]:
    registered = _registered(folder)
    found: dict[str, tuple[Record, V]] = {}
    for path in sorted(folder.glob("*.json")):
        value = _values(path)
        model = _made(path, value, loader)
        record = Record(model.name, model.version, hashlib.sha256(_canonical(value)).hexdigest(), path)
        other = found.setdefault(record.reference, (record, model))[0]
        if other.digest != record.digest:
            raise _contradiction(record.reference, f"{other.path} and {path} are different models of this version")
        if registered.get(record.reference, record.digest) != record.digest:
            raise _contradiction(record.reference, f"{path} is not what was registered under this version")
    return found


def _made(path: Path, value: object, loader: Callable[[object], V]) -> V:
    try:
        return loader(value)
    except ModelError as error:
        raise ModelError(f"{path}: {error.found}", error.needed, error.remedy) from error


def _values(path: Path) -> object:
    """Read a JSON file strictly: no part twice, no NaN, no more than a model has."""
    try:
        size = path.stat().st_size
        if size > _MODEL_BYTES:
            raise ModelError(f"{path} has {size} bytes", "a model has far fewer", "Check that this is a model file")
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except ModelError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read as JSON ({error})", "a model file is needed", "Write the model again"
        ) from error


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    parts = dict(pairs)
    if len(parts) < len(pairs):
        raise ValueError("a part is there twice")
    return parts


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no number")


def _canonical(value: object) -> bytes:
    """Return the one text that stands for these values."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the model cannot be written as JSON ({error})", "plain values are needed", "Use to_dict()"
        ) from error


def _registered(folder: Path) -> dict[str, str]:
    """name@version -> digest, of every model ever registered here."""
    try:
        lines = (folder / _DIGESTS).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / _DIGESTS} cannot be read", "a list of digests is needed", "Restore it") from error
    matches = [_LINE.fullmatch(line) for line in lines]
    entries = {match[2]: match[1] for match in matches if match}
    if len(entries) < len(lines):
        raise ModelError(
            f"{folder / _DIGESTS} has a line that is none of register()'s",
            "a SHA-256, two blanks and name@version are needed, each name@version once",
            "Restore it",
        )
    return entries


def _reference(model: Versioned) -> str:
    return f"{model.name}@{model.version}"


def _contradiction(reference: str, found: str) -> ModelError:
    return ModelError(
        f"{reference}: {found}", "a version means one model for ever", "Give the changed model its next version"
    )
