"""Room for encrypted galleries: vectors that their owner encrypts, stores at a host, and asks encrypted queries of.

`churn.match.similarity` hosts vectors that the host may see. Here it sees none: an HR department encrypts its
candidates' vectors once, and its recruiters, who have the same key, ask for the best ones for a vacancy.

    block    e ciphertexts: feature j of N items in ciphertext j, two items to a slot (`packed`)
    query    e ciphertexts: q_j in every slot of ciphertext j (`spread`)
    answer   one ciphertext for each block: sums of tensor products, one relinearisation, no rescale

A `Room` is what is hosted: for vectors of e numbers, and galleries up to a size. The galleries themselves are its
clients' business: `churn.hosting.galleries` stores them, `churn.match.keeping` makes and sends them.

Parameters. An upload has N log2(Q) bits for each of e numbers of N items: log2(Q) e bits an item, whatever N is; a
query has N times that. So both want a small modulus, and the query a small ring. Nothing follows the one product, so it
is not rescaled: numbers at 2^30, products at 2^60, in a modulus of 62 bits. That leaves 44 bits for the special prime
within the 106 that N = 2^12 allows, enough for digits of one prime of 31 bits. An item of 384 numbers then takes 2976
bytes, twice what it takes as float32. Inputs have to be encryptions under the secret key, with a seed in place of their
uniform halves (`Layout.seeded`): half as large, and with an error that is 25 times smaller as far as bounds tell.

Answers are not flooded. What flooding hides from a client is how its answer was computed, and here it owns all of that:
query, gallery and answer are under one key, and who has the key can read the gallery itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from churn import plain
from churn.errors import ModelError
from churn.hosting.model import Flooding, Layout, Output
from churn.hosting.protocol import GALLERY_NAME
from churn.hosting.registry import Record, folder_of, latest_if, register
from churn.hosting.work.rehearsal import Rehearsal
from churn.match.index import LONGEST, MOST_DIMENSIONS
from churn.match.similarity import QUERY, SIMILARITY
from ckks import kernels
from ckks.circuits.linear.similarity import encrypted_similarities
from ckks.rlwe import Ciphertext
from ckks.rlwe.noise import fresh_secret
from ckks.scheme import CKKSParams, Encoder, Evaluator, Meta

__all__ = [
    "MOST_GALLERY_ITEMS",
    "ROOM_FORMAT",
    "EncryptedSimilarity",
    "Room",
    "gallery_parameters",
    "register_room",
]

ROOM_FORMAT = "gallery-room/1"
MOST_GALLERY_ITEMS = 1_000_000
_PARTS = ("format", "name", "version", "items", "dimension")


def gallery_parameters() -> CKKSParams:
    """Return 128-bit parameters for one product at 2^60, as small as they can be: see above."""
    return CKKSParams.generate(
        ring_degree=2**12, depth=0, scale_bits=30, base_bits=62, num_special=1, special_bits=44, digit_size=1
    )


@dataclass(frozen=True)
class Room:
    """What a host offers: to compare with encrypted galleries of up to `items` vectors of `dimension` numbers.

    Raises ModelError for what cannot be offered.
    """

    name: str
    version: int
    items: int
    dimension: int

    def __post_init__(self) -> None:
        """Check every part."""
        if not (isinstance(self.name, str) and GALLERY_NAME.fullmatch(self.name)):
            raise ModelError(
                f"the room's name is {str(self.name)[:80]!r}",
                "1 to 64 of a-z, 0-9 and '.', '_', '-' inside are needed",
                "Choose such a name",
            )
        plain.whole(self.version, "the room's version", 1, 1 << 31)
        plain.whole(self.items, "the number of vectors", 1, MOST_GALLERY_ITEMS)
        plain.whole(self.dimension, "their dimension", 1, MOST_DIMENSIONS)

    def to_dict(self) -> dict[str, object]:
        """Return what is in the JSON file."""
        return {"format": ROOM_FORMAT, **vars(self)}

    @classmethod
    def from_dict(cls, value: object) -> Room:
        """Return the room that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the room", _PARTS)
        if parts["format"] != ROOM_FORMAT:
            raise ModelError(
                f"the room's format is {str(parts['format'])[:40]!r}", f"{ROOM_FORMAT!r} is needed", "Write it again"
            )
        return cls(
            name=plain.text(parts["name"], "the room's name"),
            version=plain.whole(parts["version"], "the room's version", 1, 1 << 31),
            items=plain.whole(parts["items"], "the number of vectors", 1, MOST_GALLERY_ITEMS),
            dimension=plain.whole(parts["dimension"], "their dimension", 1, MOST_DIMENSIONS),
        )


@dataclass(frozen=True, eq=False)
class EncryptedSimilarity:
    """A `Room` ready to be hosted; a `hosting.GalleryModel`. Make it with `EncryptedSimilarity.of(room)`."""

    room: Room
    params: CKKSParams

    @classmethod
    def of(cls, room: Room, *, params: CKKSParams | None = None) -> EncryptedSimilarity:
        """Take the usual parameters, or others."""
        return cls(room, params or gallery_parameters())

    # ---- the circuit -----------------------------------------------------------------------------

    def compare(self, evaluator: Evaluator, x: Ciphertext, blocks: Iterable[Ciphertext]) -> Ciphertext:
        """Return the similarities of the query x (e,) with the items of all blocks, each (e,).

        A batch (blocks,), unless there is only one. Neither an item nor the query may be longer than 1.
        """
        answers = []
        for block in blocks:
            answers.append(encrypted_similarities(evaluator, block[:, None], x, norm=LONGEST, rescale=False))
            del block  # before the next one is read
        first = answers[0]
        if len(answers) == 1:
            return first[0]
        words = kernels.empty((len(answers), *first.words.shape[1:]))
        for one, answer in zip(words, answers, strict=True):
            one[...] = answer.words[0]
        return Ciphertext.of(self.params, words, first.level, first.meta, first.noise)

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Compare with one block of zeros, for a rehearsal; errors are those of encryptions under the secret key."""
        params, gallery = self.params, self.gallery
        one = kernels.zeros((2, params.limbs(gallery.level), params.ring_degree))
        words = np.broadcast_to(one, (gallery.items, *one.shape))
        meta = Meta(gallery.scale_in(params), gallery.slots, gallery.slots, False, gallery.bound, gallery.bound)
        noise = fresh_secret(params) + Encoder(params).rounding(meta)
        zeros = Ciphertext.of(params, words, gallery.level, meta, noise)
        return self.compare(evaluator, x.with_(noise=noise), [zeros])

    def finish(self, evaluator: Evaluator, y: Ciphertext) -> Ciphertext:
        """Return it as it is: nothing is flooded, and nothing is to be rescaled."""
        return y

    # ---- what it needs ---------------------------------------------------------------------------

    @cached_property
    def gallery(self) -> Layout:
        """A block: complex slots, of size sqrt(2) at most as no item is longer than 1."""
        return Layout(self.room.dimension, self.params.slots, sqrt(2) * LONGEST, self.params.top_level, seeded=True)

    @cached_property
    def layouts(self) -> Mapping[str, Layout]:
        """`query`: numbers of size 1 at most, and the relinearisation key."""
        top = self.params.top_level
        return {QUERY: Layout(self.room.dimension, self.params.slots, 1.0, top, relinearisation=True, seeded=True)}

    @property
    def flooding(self) -> Flooding | None:
        """None: there is nobody to hide anything from."""
        return None

    # ---- what is said about it -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The room's name."""
        return self.room.name

    @property
    def version(self) -> int:
        """The room's version."""
        return self.room.version

    @cached_property
    def output(self) -> Output:
        """Similarities; in their error is what encoding rounded of query and items. An answer of the most blocks."""
        level, scale, error = Rehearsal(self, QUERY).answer(None)
        blocks = -(-self.room.items // (2 * self.params.slots))
        return Output(SIMILARITY, -LONGEST - error, LONGEST + error, 0.0, error, level, scale, blocks)

    def about(self) -> dict[str, object]:
        """Return how many vectors a gallery may have, and of which dimension."""
        return {"items": self.room.items, "dimension": self.room.dimension}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over room and parameters: another digest, another result."""
        text = json.dumps([self.room.to_dict(), self.params.digest.hex()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def register_room(path: Path, items: int, dimension: int, load: Callable[[object], Any]) -> Record:
    """Add a room to the folder of a path, under the file's name; return version and file.

    What the latest of its name is already is that one again; else it becomes the next version, and what is there stays.
    `load` is what reads the files of the folder: `churn.offer.loader(folder)`. ModelError for what cannot be offered.
    """
    room, folder = Room(path.stem, 1, items, dimension), folder_of(path, "room")
    latest, again = latest_if(folder, room.name, load, lambda there: there == replace(room, version=there.version))
    return again or register(folder, replace(room, version=latest + 1).to_dict(), load, file=path.name)
