"""Who owns the résumés and the secret key: asks an index, or a gallery, for the vectors most similar to its own.

    with Client("http://127.0.0.1:8000", key_file="my.key") as client:
        found = match(client, "vacancies", embedding.vectors([resume]), 10)
        found.items[0], found.scores[0]                   # the ten best, the best one first

A query is one small ciphertext, whatever the size of the index; an answer holds the similarity to every vector of it,
so who asks sees all scores, and the service sees none, nor which were the best. Scores are right to `found.error`:
places whose scores are closer than twice that may be swapped.

An index is a stranger's, in the clear at the host; a gallery is the asker's own, encrypted (`churn.match.keeping`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.client import Client, Read
from churn.errors import DataError, ModelError
from churn.hosting.model import Description, Layout
from churn.hosting.remote import RequestRefused
from churn.match.index import MOST_DIMENSIONS, MOST_ITEMS
from churn.match.similarity import QUERY, SIMILARITY
from churn.match.vectors import unit
from churn.scoring import Usage
from ckks.circuits.linear.similarity import block_rows, repeated, unpacked

__all__ = [
    "KnownIndex",
    "Matches",
    "Searchable",
    "believed",
    "best",
    "checked_dimension",
    "checked_texts",
    "match",
    "same_up_to_ties",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LARGEST_ERROR = 2.0**-6
"""A host whose similarities could be off by more than this is not believed to be of use."""


class Searchable(Protocol):
    """What can be asked for its most similar vectors."""

    @property
    def description(self) -> Description:
        """Of the model that is evaluated."""

    @property
    def items(self) -> int:
        """How many vectors."""

    @property
    def dimension(self) -> int:
        """Of how many numbers."""

    @property
    def rows(self) -> int:
        """How many slots of an answer's ciphertexts hold items."""

    @property
    def gallery(self) -> str | None:
        """The digest of a gallery, None for an index."""

    def layout(self, name: str) -> Layout:
        """Return a layout; RequestRefused for one that takes no query."""

    def check(self, dimension: int) -> None:
        """Raise DataError unless vectors of this dimension can be compared."""

    def packed(self, query: Floats) -> Floats:
        """Return the slots (ciphertexts, slots) of a query (dimension,)."""


@dataclass(frozen=True, eq=False)
class KnownIndex:
    """A hosted index as its client knows it.

    description        as the service gave it
    items, dimension   how many vectors, and of how many numbers
    embedding          the digest of what made them, or nothing: that of the client's own has to agree
    """

    description: Description
    items: int
    dimension: int
    embedding: str

    @classmethod
    def of(cls, description: Description) -> KnownIndex:
        """Read what a description says of an index; ModelError where it is none, or none that can be believed."""
        about, output, slots = description.about, description.output, description.params.slots
        believed(description)
        if description.gallery is not None:
            raise ModelError(
                f"model {description.name!r} is room for galleries", "an index is needed", "Name a gallery in it"
            )
        items = plain.whole(about.get("items"), "the number of vectors", 1, MOST_ITEMS)
        dimension = plain.whole(about.get("dimension"), "their dimension", 1, min(MOST_DIMENSIONS, slots))
        blocks = -(-items // (2 * block_rows(slots, dimension)))
        if output.items != blocks:
            raise ModelError(
                f"index {description.name!r} of {items} vectors answers in {output.items} ciphertexts",
                f"{blocks} are needed",
                "Ask the index's owner, or use another client",
            )
        embedding = about.get("embedding")
        return cls(description, items, dimension, embedding if isinstance(embedding, str) else "")

    @property
    def rows(self) -> int:
        """How many slots of a block hold items."""
        return block_rows(self.description.params.slots, self.dimension)

    @property
    def gallery(self) -> None:
        """None: its vectors are the host's."""
        return None

    def packed(self, query: Floats) -> Floats:
        """Return the slots (1, slots) of a query (dimension,)."""
        return repeated(query, self.description.params.slots)[None]

    def layout(self, name: str) -> Layout:
        """Return a layout, after checking that a query fits it."""
        layout = self.description.layouts.get(name)
        if layout is None or (layout.items, layout.slots) != (1, self.description.params.slots) or layout.bound < 1:
            raise RequestRefused(
                f"index {self.description.name!r} has no layout {name!r} that takes a query",
                f"its layouts are {', '.join(self.description.layouts)}",
                "Ask the index's owner",
            )
        return layout

    def check(self, dimension: int, embedding: str = "") -> None:
        """Raise DataError unless vectors of this dimension, made by this embedding (if known), can be compared."""
        if embedding and self.embedding and embedding != self.embedding:
            raise DataError(
                f"the embedding here has digest {embedding[:16]}..., the index was made with {self.embedding[:16]}...",
                "vectors of one embedding can be compared",
                "Get the embedding that the index's owner publishes",
            )
        checked_dimension(dimension, self.dimension, f"index {self.description.name!r}")


@dataclass(frozen=True, eq=False)
class Matches:
    """What came of some queries, in their order.

    items          (queries, k) which vectors are the most similar, the best one first
    scores         (queries, k) how similar
    similarities   (queries, all items)
    error          no score is further off than this
    usage          what the call took
    """

    items: Integers
    scores: Floats
    similarities: Floats
    error: float
    usage: Usage


def believed(description: Description) -> None:
    """Raise ModelError for what does not return similarities, or none that mean something."""
    output = description.output
    if output.kind != SIMILARITY:
        raise ModelError(
            f"model {description.name!r} returns {output.kind[:40]!r}",
            f"an index, which returns {SIMILARITY!r}, is needed",
            "Name an index (see 'python -m churn models'), or use 'python -m churn score'",
        )
    fits = -1.5 <= output.low < output.high <= 1.5 and output.unused == 0
    if not fits or not 0 <= output.error <= _LARGEST_ERROR:
        raise ModelError(
            f"index {description.name!r} answers from {output.low:g} to {output.high:g}, off by up to {output.error:g}",
            "similarities that mean something are needed",
            "Ask the index's owner, or use another client",
        )


def checked_dimension(
    found: int, needed: int, what: str, remedy: str = "Use the embedding that those were made with"
) -> None:
    """Raise DataError unless vectors have as many numbers as those of `what`."""
    if found != needed:
        raise DataError(
            f"the queries or vectors have {found} numbers each",
            f"the vectors of {what} have {needed}",
            remedy,
        )


def checked_texts(names: Sequence[str], vectors: npt.NDArray[np.floating[Any]]) -> None:
    """Raise DataError, naming the text, unless every vector of a text (n, e) has a direction."""
    empty = np.flatnonzero(~np.asarray(vectors).any(axis=1))
    if empty.size:
        raise DataError(
            f"{names[empty[0]]!r} has no word that the embedding knows",
            "one at least that is in the texts it was fitted to is needed",
            "Add words, or leave this text out",
        )


def match(
    client: Client,
    index: str | Searchable,
    queries: npt.ArrayLike,
    k: int = 10,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Matches:
    """Return the k items of an index or gallery that are most similar to each of some queries, all asked encrypted.

    Args:
        client: of the service that hosts it.
        index: the name of an index, or what is known of an index or of a gallery.
        queries: (n, dimension), of any length but zero.
        k: how many to return.
        progress: is told how many queries were answered, of how many.

    Raises DataError for queries that cannot be asked, ServiceError for what goes wrong at the other end, BadAnswer for
    an answer that is damaged.
    """
    known: Searchable = KnownIndex.of(client.remote.describe(index)) if isinstance(index, str) else index
    q = np.asarray(queries, np.float64)
    if q.ndim != 2 or not len(q) or not np.isfinite(q).all():
        raise DataError(
            f"queries of shape {q.shape}", "finite numbers, (queries, dimension), are needed", "Give one row for each"
        )
    known.check(q.shape[1])
    q = np.clip(unit(q), -1.0, 1.0)
    empty = np.flatnonzero(~q.any(axis=1))
    if empty.size:
        raise DataError(
            f"query {empty[0]} is all zeros",
            "a direction is needed",
            "Check that its text has words the embedding knows: those of the texts that it was fitted to",
        )
    reads: list[Read] = [partial(_similarities, known=known)] * len(q)
    chunks = [known.packed(one) for one in q]
    values, usage = client.ask(
        known, QUERY, chunks, reads, lambda done: progress and progress(done, len(q)), gallery=known.gallery
    )
    found = np.stack(values)
    items = np.stack([best(row, k) for row in found])
    return Matches(items, np.take_along_axis(found, items, axis=1), found, known.description.output.error, usage)


def best(scores: npt.ArrayLike, k: int) -> Integers:
    """Return the places of the k highest scores (items,), the highest first; of equal ones, the first."""
    s = np.asarray(scores)
    k = min(k, len(s))
    candidates = np.flatnonzero(s >= np.partition(s, len(s) - k)[len(s) - k]) if k else np.zeros(0, np.int64)
    return np.asarray(candidates[np.argsort(-s[candidates], kind="stable")][:k], np.int64)


def same_up_to_ties(items: npt.ArrayLike, exact: npt.ArrayLike, error: float) -> bool:
    """Tell whether `items` are a top k of exact scores (all items,), as far as scores that are off by `error` tell.

    They are when no item that was left out beats one that was taken by more than 2 `error`, nor one that comes later
    one that comes before.
    """
    taken, scores = np.asarray(items), np.asarray(exact, np.float64)
    rest = np.delete(scores, taken)
    order = scores[taken]
    later = np.maximum.accumulate(order[::-1])[::-1]
    return bool((later <= order + 2 * error).all()) and not bool((rest > order.min() + 2 * error).any())


def _similarities(values: npt.NDArray[np.complex128], *, known: Searchable) -> Floats | None:
    """Return the similarities in all slots of an answer, if they can be one."""
    output, rows = known.description.output, known.rows
    blocks = np.atleast_2d(values)
    room = 2 * rows * len(blocks)
    if not np.isfinite(blocks).all():
        return None
    places = unpacked(blocks, room, rows)
    numbers, unused = places[: known.items], np.concatenate([places[known.items :], np.abs(blocks[:, rows:]).ravel()])
    within = bool(((numbers >= output.low) & (numbers <= output.high)).all()) and bool(
        (np.abs(unused) <= output.error).all()
    )
    return numbers if within else None
