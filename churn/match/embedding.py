"""From texts to vectors of length 1: weighted counts of words, in fewer dimensions.

Whoever owns the vacancies fits an embedding to them and publishes it, as data: a vocabulary, a weight for each word,
and for each word its place in space. Whoever owns a résumé applies it at home. Words that are not in the vocabulary do
not count.

    weight of a word  =  (1 + log of its count) idf(word)        of length 1 over all words of the text
    vector            =  sum over words of weight x components[word]      made 1 long

These are TF-IDF and truncated singular values, latent semantic analysis, as scikit-learn fits them; applying them
needs neither it nor a pickle. Any other embedding will do as well: give its vectors as an .npy file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from churn import plain
from churn.errors import DataError, ModelError
from churn.hosting.files import replace_file
from churn.match.vectors import read_vectors, unit, write_vectors

__all__ = ["Embedding", "fit_embedding"]

FORMAT = "embedding/1"
MOST_WORDS = 50_000

_WORD = re.compile(r"\b\w\w+\b")
_JSON_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class Embedding:
    """How texts become vectors. Immutable.

    vocabulary   words, in order
    idf          (words,) a weight for each
    components   (words, dimension), float32: where each word lies
    """

    vocabulary: tuple[str, ...]
    idf: npt.NDArray[np.float64]
    components: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        words = len(self.vocabulary)
        if not 1 <= words <= MOST_WORDS or len(set(self.vocabulary)) != words:
            raise ModelError(
                f"an embedding of {words} words, {len(set(self.vocabulary))} of them different",
                f"1 to {MOST_WORDS} different ones are needed",
                "Fit it again",
            )
        if self.idf.shape != (words,) or self.components.ndim != 2 or len(self.components) != words:
            raise ModelError(
                f"an embedding of {words} words, weights {self.idf.shape} and components {self.components.shape}",
                "one weight and one row for each word are needed",
                "Fit it again",
            )
        if not (np.isfinite(self.idf).all() and np.isfinite(self.components).all()):
            raise ModelError("a number of the embedding is not finite", "finite ones are needed", "Fit it again")

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.components.shape[1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it, 64 hex digits: what an index says that its vectors were made with."""
        state = hashlib.sha256(json.dumps([FORMAT, self.vocabulary, self.idf.tolist()]).encode())
        state.update(np.ascontiguousarray(self.components, "<f4").tobytes())
        return state.hexdigest()

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the vectors of texts, (texts, dimension), of length 1; of length 0 for texts without a known word."""
        result = np.zeros((len(texts), self.dimension))
        for k, text in enumerate(texts):
            counts = Counter(self._index[word] for word in _WORD.findall(text.lower()) if word in self._index)
            if counts:
                words = np.fromiter(counts, np.int64, len(counts))
                weights = np.array([1 + math.log(counts[w]) for w in words.tolist()]) * self.idf[words]
                result[k] = unit(weights) @ np.asarray(self.components[words], np.float64)
        return unit(result)

    def unknown(self, text: str) -> tuple[list[str], int]:
        """Return the words of a text that do not count, sorted, and how many different words it has."""
        words = set(_WORD.findall(text.lower()))
        return sorted(word for word in words if word not in self._index), len(words)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: k for k, word in enumerate(self.vocabulary)}

    def save(self, path: Path) -> None:
        """Write it to a JSON file, and its components to an .npy file of the same name beside that."""
        if path.suffix != ".json":
            raise ModelError(f"{path} does not end in .json", "an embedding's file does", "Choose such a name")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_vectors(path.with_suffix(".npy"), self.components, mode=0o644)
        value = {"format": FORMAT, "vocabulary": list(self.vocabulary), "idf": self.idf.tolist(), "digest": self.digest}
        replace_file(path, json.dumps(value).encode(), 0o644)

    @classmethod
    def load(cls, path: Path) -> Embedding:
        """Return the embedding that `save` wrote; DataError or ModelError for anything else."""
        try:
            if path.stat().st_size > _JSON_BYTES:
                raise DataError(f"{path} has {path.stat().st_size} bytes", "an embedding has fewer", "Check the path")
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{path} cannot be read as an embedding ({error})", "a JSON file is needed", "Check the path"
            ) from error
        parts = plain.fields(value, "the embedding", ["format", "vocabulary", "idf", "digest"])
        if parts["format"] != FORMAT:
            raise ModelError(f"the format is {str(parts['format'])[:40]!r}", f"{FORMAT!r} is needed", "Fit it again")
        words = plain.items(parts["vocabulary"], "the vocabulary", MOST_WORDS)
        weights = plain.items(parts["idf"], "the weights", MOST_WORDS)
        found = cls(
            tuple(plain.text(word, "a word") for word in words),
            np.array([plain.number(w, "a weight") for w in weights]),
            read_vectors(path.with_suffix(".npy")),
        )
        if found.digest != parts["digest"]:
            raise ModelError(
                f"{path} and its .npy file do not belong together", "both of one fit are needed", "Copy both"
            )
        return found


def fit_embedding(texts: Sequence[str], dimension: int, *, seed: int = 0, words: int = 20_000) -> Embedding:
    """Return an embedding fitted to texts, of `dimension` at most: a few texts have fewer directions.

    Args:
        texts: what is to be found later.
        dimension: of the vectors.
        seed: of the randomised singular value decomposition.
        words: the most frequent ones that count.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < 2 or dimension < 1:
        raise DataError(
            f"{len(texts)} texts for {dimension} dimensions",
            "two texts and one dimension are needed",
            "Give more texts",
        )
    weighting = TfidfVectorizer(sublinear_tf=True, max_features=words, token_pattern=_WORD.pattern)
    try:
        weights = weighting.fit_transform(texts)
    except ValueError as error:
        raise DataError("the texts have no words", "words of two letters or more are needed", "Check them") from error
    components = TruncatedSVD(min(dimension, *weights.shape), random_state=seed, algorithm="randomized").fit(weights)
    return Embedding(
        tuple(map(str, weighting.get_feature_names_out())),
        np.asarray(weighting.idf_, np.float64),
        np.ascontiguousarray(components.components_.T, np.float32),
    )
