"""The second story in one run: index vacancies, host them, ask for the best matches of résumés encrypted, compare.

The owner of the vacancies fits the embedding, publishes it and hosts the vectors, in a process of its own that cannot
decrypt; the owner of the résumés, this process, has the keys. For once both know everything, so that what was found
encrypted can be held against what is found in the clear.

Or one owner has both and trusts the host with neither: then the vacancies' vectors are stored there encrypted, and the
host brings nothing but room for them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from churn.client import Client
from churn.demo import Step
from churn.errors import DataError
from churn.hosting.registry import Record
from churn.match.client import KnownIndex, Matches, Searchable, checked_texts, match, same_up_to_ties
from churn.match.embedding import Embedding, fit_embedding
from churn.match.index import register_index
from churn.match.keeping import GalleryNote, KnownGallery, upload_gallery
from churn.match.room import MOST_GALLERY_ITEMS, register_room
from churn.match.similarity import QUERY
from churn.match.texts import Text
from churn.match.vectors import read_vectors, unit
from churn.offer import loader
from churn.process import ServiceProcess
from churn.scoring import Usage

__all__ = ["ROOM", "Collection", "Comparison", "compare_matches", "embedded", "keep", "publish", "vector_files"]

Vectors = npt.NDArray[np.float32]

INDEX, ROOM = "vacancies", "room"


@dataclass(frozen=True, eq=False)
class Collection:
    """Vectors with a title each; the embedding that made them, unless they came as they are.

    `unknown` of the `words` of its texts, counted once a text, are none of the embedding's.
    """

    titles: Sequence[str]
    vectors: Vectors
    embedding: Embedding | None = None
    unknown: int = 0
    words: int = 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was found encrypted, and in the clear.

    vacancies, resumes   what was compared
    known                the index, or gallery, as its client knows it
    found                encrypted
    exact                (resumes, vacancies) similarities in the clear, of the numbers that were hosted
    recall               share of the exact top k that was found
    same                 for each résumé: whether the top k is the exact one, up to ties within the stated error
    backend              kernels of the service
    seconds              by step; usage has the rest
    upload               what it took to encrypt and store the vacancies, if that was done
    """

    vacancies: Collection
    resumes: Collection
    known: Searchable
    found: Matches
    exact: npt.NDArray[np.float64]
    recall: float
    same: tuple[bool, ...]
    backend: str
    seconds: dict[str, float]
    upload: Usage | None = None

    @property
    def largest_error(self) -> float:
        """Of any score."""
        return float(np.abs(self.found.similarities - self.exact).max())


def embedded(
    vacancies: Sequence[Text], resumes: Sequence[Text], dimension: int, seed: int = 0
) -> tuple[Collection, Collection]:
    """Return the vectors of both, under an embedding fitted to the vacancies."""
    embedding = fit_embedding([text.body for text in vacancies], dimension, seed=seed)
    sought = _embedded(resumes, embedding)
    checked_texts(sought.titles, sought.vectors)
    return _embedded(vacancies, embedding), sought


def vector_files(vacancies: Path, resumes: Path) -> tuple[Collection, Collection]:
    """Return the vectors of two .npy files, made 1 long; they are called by their numbers."""
    items, queries = read_vectors(vacancies), read_vectors(resumes)
    if items.shape[1] != queries.shape[1]:
        raise DataError(
            f"{vacancies} has {items.shape[1]} numbers in a row, {resumes} has {queries.shape[1]}",
            "vectors of one embedding can be compared",
            "Make both with the same embedding",
        )
    return (
        Collection([f"vacancy {k}" for k in range(len(items))], unit(items).astype(np.float32)),
        Collection([f"resume {k}" for k in range(len(queries))], unit(queries).astype(np.float32)),
    )


def _embedded(texts: Sequence[Text], embedding: Embedding) -> Collection:
    vectors = embedding.vectors([text.body for text in texts]).astype(np.float32)
    told = [embedding.unknown(text.body) for text in texts]
    unknown, words = sum(len(some) for some, _ in told), sum(count for _, count in told)
    return Collection([text.title for text in texts], vectors, embedding, unknown, words)


def publish(vacancies: Collection, index: Path, published: Path | None = None) -> Record:
    """Write the index that is hosted and, to a folder, what clients need: the embedding and the titles."""
    digest = vacancies.embedding.digest if vacancies.embedding is not None else ""
    record = register_index(index, vacancies.vectors, loader(index.parent), embedding=digest)
    if published is not None:
        _hand_out(vacancies, published)
    return record


def keep(vacancies: Collection, gallery: KnownGallery, folder: Path) -> None:
    """Write to a folder what those need who ask a gallery: which one it is, the embedding and the titles."""
    _hand_out(vacancies, folder)
    GalleryNote(gallery.stored.name, gallery.gallery).save(folder)


def _hand_out(vacancies: Collection, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if vacancies.embedding is not None:
        vacancies.embedding.save(folder / "embedding.json")
    (folder / "titles.txt").write_text("".join(f"{title}\n" for title in vacancies.titles), encoding="utf-8")


def compare_matches(
    vacancies: Collection,
    resumes: Collection,
    k: int,
    *,
    flooded: bool = True,
    encrypted: bool = False,
    threads: int | None,
    step: Step,
) -> Comparison:
    """Host the vacancies, `encrypted` or not, ask for the k best of each résumé; `step` is told what is going on."""
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churn-")))
        start = time.perf_counter()
        models = folder / "models"
        with step("make room for a gallery" if encrypted else "write the index"):
            if encrypted:
                dimension = vacancies.vectors.shape[1]
                register_room(models / f"{ROOM}.json", MOST_GALLERY_ITEMS, dimension, loader(models))
            else:
                publish(vacancies, models / f"{INDEX}.json")
        seconds["index"] = time.perf_counter() - start
        start = time.perf_counter()
        with step("start the service"):
            service = stack.enter_context(
                ServiceProcess(models, folder / "keys", flooded=flooded, threads=threads, workers=1)
            )
        seconds["start"] = time.perf_counter() - start
        client = stack.enter_context(Client(service.url))
        backend = str(client.remote.health().get("backend"))
        known: Searchable
        upload = None
        if encrypted:
            with step("encrypt and send the vacancies") as sent:
                known = upload_gallery(client, INDEX, vacancies.vectors, room=ROOM, progress=sent)
            upload = Usage(**vars(client.usage))
        else:
            known = KnownIndex.of(client.remote.describe(INDEX))
            known.check(resumes.vectors.shape[1], resumes.embedding.digest if resumes.embedding is not None else "")
        with step("make and send the keys"):
            client.prepare(known, QUERY)
        with step("match encrypted") as progress:
            found = match(client, known, resumes.vectors, k, progress=progress)
        found.usage.keygen, found.usage.upload_keys = client.usage.keygen, client.usage.upload_keys
        found.usage.bytes_keys = client.usage.bytes_keys
        with step("compare"):
            exact = unit(resumes.vectors) @ np.asarray(vacancies.vectors, np.float64).T
    top = [np.argsort(-row, kind="stable")[: found.items.shape[1]] for row in exact]
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(top, found.items, strict=True)]
    same = tuple(same_up_to_ties(items, row, found.error) for items, row in zip(found.items, exact, strict=True))
    recall = sum(hits) / found.items.size
    return Comparison(vacancies, resumes, known, found, exact, recall, same, backend, seconds, upload)
