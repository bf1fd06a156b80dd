"""Who owns vectors that a host must not see: encrypts them, keeps them there, and asks them encrypted queries.

    with Client("http://127.0.0.1:8000", key_file="my.key") as client:
        gallery = upload_gallery(client, "candidates", vectors, room="room")
    ...
    with Client("http://127.0.0.1:8000", key_file="my.key") as client:      # the same key: a recruiter's copy of it
        found = match(client, KnownGallery.of(client, "candidates"), queries, 10)

Vectors travel in blocks of one ciphertext's items each, every one a request of its own. The gallery exists when the
last step, one small request, has named all of them; before that the blocks are nothing, and are taken back if something
breaks. What a block held cannot be told from another: it is encrypted anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.client import Client
from churn.errors import DataError, ModelError
from churn.hosting.files import replace_file
from churn.hosting.model import Description, Layout
from churn.hosting.protocol import GALLERY_NAME
from churn.hosting.remote import RequestRefused, ServiceError, StoredAt, UnknownGallery
from churn.match.client import believed, checked_dimension
from churn.match.index import MOST_DIMENSIONS
from churn.match.room import MOST_GALLERY_ITEMS
from churn.match.vectors import unit
from ckks.circuits.linear.similarity import packed

__all__ = ["GalleryNote", "KnownGallery", "upload_gallery"]

Floats = npt.NDArray[np.float64]

_NOTE, _FORMAT, _NOTE_BYTES = "gallery.json", "gallery/1", 1 << 16


@dataclass(frozen=True)
class GalleryNote:
    """Which gallery it is, for those who ask it: its name, and its digest, so that it is that one still."""

    name: str
    digest: str

    def save(self, folder: Path) -> None:
        """Write it to a file of a folder, which is made where there is none."""
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / _NOTE, json.dumps({"format": _FORMAT, **vars(self)}).encode(), 0o644)

    @classmethod
    def load(cls, folder: Path) -> GalleryNote:
        """Return what `save` wrote; DataError for anything else."""
        path = folder / _NOTE
        try:
            parts = plain.fields(json.loads(path.read_bytes()[:_NOTE_BYTES]), "the note", ["format", "name", "digest"])
            if parts["format"] != _FORMAT:
                raise ValueError(f"not of format {_FORMAT!r}")
            return cls(plain.text(parts["name"], "the name"), plain.text(parts["digest"], "the digest"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(
                f"{path} cannot be read as a note of a gallery ({error})",
                "the folder that 'python -m churn match gallery' wrote is needed",
                "Check the path",
            ) from error


@dataclass(frozen=True, eq=False)
class KnownGallery:
    """A stored gallery as its owner's clients know it.

    description   of the room that it is in, its output that of this gallery
    stored        what the service says of the gallery; its digest covers number of vectors and blocks
    dimension     of its vectors
    """

    description: Description
    stored: StoredAt
    dimension: int

    @classmethod
    def of(cls, client: Client, name: str, digest: str | None = None) -> KnownGallery:
        """Ask for a gallery by name; with the digest that `upload_gallery` returned, none but that one is taken.

        Raises UnknownGallery where there is none, or another one; ModelError where what is said of it cannot be.
        """
        stored = client.remote.gallery(name)
        if digest is not None and stored.digest != digest:
            raise UnknownGallery(
                f"gallery {name!r} has digest {stored.digest[:16]}..., {digest[:16]}... was uploaded",
                "the gallery of that time is needed",
                "It was replaced since: get what its owner wrote then, or upload it again",
            )
        if stored.model is None:
            raise UnknownGallery(
                f"the room of gallery {name!r} is not hosted any more", "its model is needed", "Ask the host"
            )
        description = client.remote.describe(stored.model)
        if description.digest != stored.model_digest:
            raise ModelError(
                f"gallery {name!r} was made for another room of the name {stored.model}",
                "a version means one model for ever",
                "Ask the host, or upload it again",
            )
        return cls._within(description, stored)

    @classmethod
    def _within(cls, description: Description, stored: StoredAt) -> KnownGallery:
        _, dimension = _room(description)
        blocks, room = len(stored.blocks), 2 * description.params.slots
        if not (blocks - 1) * room < stored.items <= min(blocks * room, MOST_GALLERY_ITEMS):
            raise ModelError(
                f"gallery {stored.name!r} of {stored.items} vectors has {blocks} blocks",
                f"{-(-stored.items // room)} of up to {room} vectors each are needed",
                "Ask the host, or upload it again",
            )
        return cls(replace(description, output=replace(description.output, items=blocks)), stored, dimension)

    @property
    def items(self) -> int:
        """How many vectors."""
        return self.stored.items

    @property
    def rows(self) -> int:
        """How many slots of a block hold items: all."""
        return self.description.params.slots

    @property
    def gallery(self) -> str:
        """The digest by which it is asked."""
        return self.stored.digest

    def layout(self, name: str) -> Layout:
        """Return a layout, after checking that a query fits it."""
        return _layout(self.description, self.description.layouts.get(name), self.dimension, 1.0)

    def check(self, dimension: int) -> None:
        """Raise DataError unless vectors of this dimension can be compared."""
        checked_dimension(dimension, self.dimension, f"gallery {self.stored.name!r}")

    def packed(self, query: Floats) -> Floats:
        """Return the slots (e, slots) of the ciphertexts of a query (e,): views of its numbers."""
        return np.broadcast_to(query[:, None], (len(query), self.rows))


def upload_gallery(
    client: Client,
    name: str,
    vectors: npt.ArrayLike,
    *,
    room: str = "room",
    progress: Callable[[int, int], None] | None = None,
) -> KnownGallery:
    """Encrypt vectors and have a service keep them as a gallery, in place of the one of that name if there is one.

    Args:
        client: with a key file: without its key nobody can read or ask a gallery, so that one of a client without a
            file is deleted when the client is closed.
        name: [a-z0-9._-], the tenant's own; the host sees it.
        vectors: (items, dimension), of any length but zero; they are made 1 long.
        room: the model that is to compare with them, as the host named it.
        progress: is told how many vectors were sent, of how many.

    Raises DataError for vectors or a name that cannot be used, ModelError for what is no room, ServiceError for what
    goes wrong at the other end: nothing is kept then, of the blocks as far as the service can be reached.
    """
    if not GALLERY_NAME.fullmatch(name):
        raise DataError(
            f"the gallery's name is {name[:80]!r}", "a-z, 0-9, '.', '_' and '-' may be in it, up to 64", "Rename it"
        )
    x, description = np.asarray(vectors), client.remote.describe(room)
    items, dimension = _room(description)
    if x.ndim != 2 or not 1 <= len(x) <= items or x.dtype.kind not in "fiu":
        raise DataError(
            f"vectors of shape {x.shape} and type {x.dtype}",
            f"real numbers, (items, dimension), up to {items} items are needed in this room",
            "Give one row for each, or ask the host for a larger room",
        )
    remedy = f"Name another room, or have one made: 'python -m churn match room --dimensions {x.shape[1]}'"
    if x.shape[1] > dimension:
        remedy += f"; or, of texts, make vectors of fewer numbers: --dimensions {dimension}"
    checked_dimension(x.shape[1], dimension, f"room {room!r}", remedy)
    packing = _layout(description, description.gallery, dimension, 2**0.5)
    slots, blocks, listed = description.params.slots, list[str](), False
    try:
        for start in range(0, len(x), 2 * slots):
            part = np.asarray(x[start : start + 2 * slots], np.float64)
            bad = ~(np.isfinite(part).all(axis=1) & part.any(axis=1))
            if bad.any():
                raise DataError(
                    f"vector {start + int(np.argmax(bad))} is all zeros, or not finite",
                    "a direction is needed",
                    "Leave it out, or check that its text has words the embedding knows",
                )
            blocks.append(client.send_block(description, packing, packed(unit(part), slots)[:, 0]))
            if progress is not None:
                progress(min(start + 2 * slots, len(x)), len(x))
        listed = True
        stored = client.send_gallery(name, description, len(x), blocks)
    except BaseException as error:
        # Without an answer to the list we do not know whether there is a gallery now; if not, its blocks go in a day.
        if not listed or (isinstance(error, ServiceError) and error.status is not None):
            for block in blocks:
                with suppress(ServiceError):
                    client.remote.delete_block(block)
        raise
    return KnownGallery._within(description, stored)


def _room(description: Description) -> tuple[int, int]:
    """Return how many vectors of which dimension a room takes; ModelError for what is none, or cannot be believed."""
    output, about = description.output, description.about
    if description.gallery is None:
        raise ModelError(
            f"model {description.name!r} has no room for galleries",
            "one that 'python -m churn match room' made is needed",
            "Name a room (see 'python -m churn models')",
        )
    believed(description)
    dimension = plain.whole(about.get("dimension"), "the dimension", 1, MOST_DIMENSIONS)
    items = plain.whole(about.get("items"), "the number of vectors", 1, MOST_GALLERY_ITEMS)
    if output.items != -(-items // (2 * description.params.slots)):
        raise ModelError(
            f"room {description.name!r} for {items} vectors answers in up to {output.items} ciphertexts",
            "one for each block is needed",
            "Ask the host",
        )
    return items, dimension


def _layout(description: Description, layout: Layout | None, dimension: int, bound: float) -> Layout:
    slots = description.params.slots
    if layout is None or (layout.items, layout.slots) != (dimension, slots) or layout.bound < bound:
        raise RequestRefused(
            f"room {description.name!r} has no layout that takes vectors of {dimension} numbers",
            f"its layouts are {', '.join(description.layouts)}",
            "Ask the host",
        )
    return layout
