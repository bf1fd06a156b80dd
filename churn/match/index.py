"""An index that is hosted: vectors to be compared with, as plain numbers. What they stand for is no business of it.

    NAME.json            what it is called, how many vectors of which dimension, and the digest of
    NAME@VERSION.npy     the vectors, float32, mapped into memory by every process that serves them

`churn.match.similarity` evaluates it encrypted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.errors import DataError, ModelError
from churn.hosting.registry import Record, folder_of, latest_if, latest_version, register
from churn.identity import LAST_VERSION, check_format, check_identity, check_name, fresh_salt, is_digest
from churn.match.vectors import file_digest, read_vectors, write_vectors

__all__ = ["INDEX_FORMAT", "LONGEST", "MOST_DIMENSIONS", "MOST_ITEMS", "VectorIndex", "register_index"]

INDEX_FORMAT = "vector-index/1"
MOST_DIMENSIONS, MOST_ITEMS = 1024, 10_000_000
LONGEST = 1 + 5e-6
"""Of a vector: 1, but for rounding in single precision."""

_FILE = re.compile(r"[a-z0-9][a-z0-9._@-]{0,95}\.npy")
_PARTS = ("format", "name", "version", "items", "dimension", "vectors", "sha256", "embedding", "salt")
_CHUNK = 1 << 14


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """Vectors to be compared with, none longer than 1, under a name.

    name, version   what a client asks for; see `churn.identity`, for the salt too
    vectors         (items, dimension), float32 or float64, in the file `path`
    sha256          of that file
    embedding       what made them, for clients to know theirs by: 64 hex digits, or nothing

    Raises ModelError for parts that do not fit together.
    """

    name: str
    version: int
    vectors: npt.NDArray[np.floating[Any]]
    path: Path
    sha256: str
    embedding: str = ""
    salt: str = field(default_factory=fresh_salt, repr=False)

    def __post_init__(self) -> None:
        """Check every part."""
        check_identity(self.name, self.version, self.salt, "index")
        if not (is_digest(self.sha256) and (self.embedding == "" or is_digest(self.embedding))):
            raise ModelError("a digest of the index is no 64 hex digits", "these are needed", "Make it again")
        items, dimension = self.vectors.shape
        if not (1 <= items <= MOST_ITEMS and 1 <= dimension <= MOST_DIMENSIONS):
            raise ModelError(
                f"the index has {items} vectors of {dimension} numbers",
                f"up to {MOST_ITEMS} of up to {MOST_DIMENSIONS} can be hosted",
                "Use a shorter embedding, or several indices",
            )
        for start in range(0, items, _CHUNK):
            part = np.asarray(self.vectors[start : start + _CHUNK], np.float64)
            squares = np.einsum("ij,ij->i", part, part)
            fits = squares <= LONGEST**2  # NaN does not
            if not bool(fits.all()):
                k = start + int(np.argmin(fits))
                raise ModelError(
                    f"vector {k} of the index {self.name!r} is longer than 1, or not finite",
                    "similarities are of vectors of length 1",
                    "Normalise the vectors first",
                )

    def to_dict(self) -> dict[str, object]:
        """Return what is in the JSON file."""
        items, dimension = self.vectors.shape
        return {
            "format": INDEX_FORMAT,
            "name": self.name,
            "version": self.version,
            "items": items,
            "dimension": dimension,
            "vectors": self.path.name,
            "sha256": self.sha256,
            "embedding": self.embedding,
            "salt": self.salt,
        }

    @classmethod
    def from_dict(cls, value: object, folder: Path) -> VectorIndex:
        """Return the index that `to_dict` described, its vectors from `folder`; ModelError for anything else."""
        parts = plain.fields(value, "the index", _PARTS)
        check_format(parts["format"], INDEX_FORMAT, "index")
        name = plain.text(parts["vectors"], "the file of the vectors")
        if not _FILE.fullmatch(name):
            raise ModelError(
                f"the vectors are in {name!r}", "an .npy file beside the index is needed", "Write it again"
            )
        path = folder / name
        vectors = read_vectors(path)
        items = plain.whole(parts["items"], "the number of vectors", 1, MOST_ITEMS)
        dimension = plain.whole(parts["dimension"], "their dimension", 1, MOST_DIMENSIONS)
        sha256, found = plain.text(parts["sha256"], "the vectors' digest"), file_digest(path)
        if vectors.shape != (items, dimension) or found != sha256:
            raise ModelError(
                f"{path} has {vectors.shape[0]} vectors of {vectors.shape[1]} numbers, digest {found[:16]}...",
                f"the index was made with {items} of {dimension}, digest {sha256[:16]}...",
                "Restore that file, or make the index again under its next version",
            )
        embedding = parts["embedding"]
        return cls(
            name=plain.text(parts["name"], "the index's name"),
            version=plain.whole(parts["version"], "the index's version", 1, LAST_VERSION),
            vectors=vectors,
            path=path,
            sha256=sha256,
            embedding="" if embedding == "" else plain.text(embedding, "the embedding's digest"),
            salt=plain.text(parts["salt"], "the index's salt"),
        )


def register_index(
    path: Path, vectors: npt.ArrayLike, load: Callable[[object], Any], *, name: str = "", embedding: str = ""
) -> Record:
    """Add vectors to the folder of a path under a name (the file's unless given); return version and file.

    What the latest of its name holds already is that one again; else it becomes the next version, and what is there
    stays. `load` is what reads the files of the folder: `churn.offer.loader(folder)`. Raises ModelError for a name or
    vectors that cannot be hosted.
    """
    name = name or path.stem
    check_name(name, "index")
    folder = folder_of(path, "index")
    version = latest_version(folder, name, load) + 1
    file = folder / f"{name}@{version}.npy"
    if file.exists():
        raise ModelError(f"{file} is there, but no index of that version", "a free name is needed", "Move it away")
    write_vectors(file, vectors, mode=0o400)
    try:
        index = VectorIndex(name, version, read_vectors(file), file, file_digest(file), embedding)

        def same(there: object) -> bool:
            if not isinstance(there, VectorIndex):
                return False
            return replace(index, version=there.version, path=there.path, salt=there.salt).to_dict() == there.to_dict()

        _, again = latest_if(folder, name, load, same)
        if again is not None:
            file.unlink()
            return again
        return register(folder, index.to_dict(), load, file=path.name)
    except (ModelError, DataError):
        file.unlink(missing_ok=True)
        raise
