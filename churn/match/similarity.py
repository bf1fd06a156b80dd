"""The encrypted similarity: one encrypted query in, its inner products with all vectors of an index out.

`Similarity` is a `churn.match.index.VectorIndex` ready to be hosted, as `churn.circuit.Score` is for a model:

    query    one ciphertext, a vector of length 1 again and again in its slots (`ckks.circuits.linear.similarity`)
    answer   a batch of ciphertexts, two similarities in each slot, in one limb

Answers are flooded like scores are. The query comes at a scale of 2^72, the vectors are encoded at 2^24; their products
are flooded at 2^96, which 98 bits of modulus hold, and one rescale afterwards brings them to 2^48. Rounding the vectors
to 2^-24 and the flooding, for 1024 answers of 14 ciphertexts each, both cost about 2^-16 of a similarity.

What an answer tells is the similarities, and those are linear: d answers to independent queries of d numbers tell all
vectors, to as many digits as similarities have. Flooding hides how an answer was computed, not what it says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt

from churn.hosting.model import Flooding, Layout, Output
from churn.hosting.protocol import ANSWERS
from churn.hosting.work.rehearsal import Rehearsal
from churn.match.index import LONGEST, VectorIndex
from ckks.circuits.linear.similarity import PlainVectors, block_rows, plain_similarities, rotation_steps
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Encoder, Evaluator, Meta

__all__ = ["QUERY", "SIMILARITY", "Similarity", "index_parameters"]

QUERY, SIMILARITY = "query", "similarity"
QUERY_SCALE, VECTOR_SCALE = Decimal(2**72), Decimal(2**24)


def index_parameters() -> CKKSParams:
    """Return 128-bit parameters: one level, and a modulus that holds similarities at 2^96.

    One digit and two special primes: the smallest keys, and a key switch that costs no more error than its rounding.
    """
    return CKKSParams.generate(
        ring_degree=2**13, depth=1, scale_bits=48, base_bits=50, num_special=2, special_bits=50, digit_size=2
    )


@dataclass(frozen=True, eq=False)
class Similarity:
    """A `VectorIndex` ready to be evaluated encrypted; a `hosting.HostedModel`. Make it with `Similarity.of(index)`."""

    index: VectorIndex
    params: CKKSParams
    flooded: bool = True
    queries: int = ANSWERS
    _lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def of(
        cls,
        index: VectorIndex,
        *,
        flooded: bool = True,
        queries: int = ANSWERS,
        params: CKKSParams | None = None,
    ) -> Similarity:
        """Take the usual parameters for an index, or others; `flooded` and `queries` are those of `Score.of`."""
        return cls(index, params or index_parameters(), flooded, queries)

    # ---- the circuit -----------------------------------------------------------------------------

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the encrypted similarities of the query x (1,) with all vectors, a batch unless one block holds them.

        The query is taken to have a length of 1 at most: only then do its similarities fit.
        """
        y = plain_similarities(evaluator, x[0], self.encoded(), rescale=False)
        return y if self.blocks > 1 else y[0]

    def finish(self, evaluator: Evaluator, y: Ciphertext) -> Ciphertext:
        """Return what `evaluate` returned at level 0: the rescale that was left for after the flooding."""
        while y.level:
            y = evaluator.rescale(y)
        return y

    def encoded(self) -> PlainVectors:
        """Return the vectors as they are evaluated, from the first call on: that one takes seconds for 10^5 of them."""
        with self._lock:
            return self._encoded

    @cached_property
    def _encoded(self) -> PlainVectors:
        return PlainVectors.encode(self.params, self.index.vectors, scale=VECTOR_SCALE)

    def in_the_clear(self, queries: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the exact similarities of queries (n, dimension) with all vectors, (n, items)."""
        return np.asarray(np.asarray(queries, np.float64) @ np.asarray(self.index.vectors, np.float64).T)

    @property
    def blocks(self) -> int:
        """How many ciphertexts an answer is."""
        return -(-len(self.index.vectors) // (2 * block_rows(self.params.slots, self.dimension)))

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.index.vectors.shape[1])

    # ---- what it needs ---------------------------------------------------------------------------

    @cached_property
    def layouts(self) -> Mapping[str, Layout]:
        """`query`: numbers of size 1 at most, and the rotations of a vector of this dimension."""
        steps = rotation_steps(self.dimension)
        top = self.params.top_level
        return {QUERY: Layout(1, self.params.slots, 1.0, top, rotations=steps, scale=QUERY_SCALE)}

    @cached_property
    def flooding(self) -> Flooding | None:
        """Sized by the largest error that any index of this dimension can have."""
        return Flooding(self._rehearsal.log2_bound, self.queries) if self.flooded else None

    @cached_property
    def _rehearsal(self) -> Rehearsal:
        return Rehearsal(_AnyIndex(self.index, self.params, self.flooded, self.queries), QUERY)

    # ---- what is said about it -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The index's name."""
        return self.index.name

    @property
    def version(self) -> int:
        """The index's version."""
        return self.index.version

    @cached_property
    def output(self) -> Output:
        """Similarities; their error has the rounding of the vectors in it."""
        level, scale, error = self._rehearsal.answer(self.flooding, self.blocks)
        slots, encoder = self.params.slots, Encoder(self.params)
        rounded = encoder.rounding(Meta(VECTOR_SCALE, slots, slots, False, 1.0, 1.0)).bound / float(VECTOR_SCALE)
        error += rounded + self._rehearsal.encoding_error * self.dimension**0.5
        return Output(SIMILARITY, -LONGEST - error, LONGEST + error, 0.0, error, level, scale, self.blocks)

    def about(self) -> dict[str, object]:
        """Return how many vectors there are, of which dimension, and what made them."""
        return {
            "items": len(self.index.vectors),
            "dimension": self.dimension,
            "embedding": self.index.embedding,
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over vectors, parameters and flooding: another digest, another result."""
        flooded = self.queries if self.flooded else 0
        text = json.dumps([self.index.to_dict(), self.params.digest.hex(), flooded, str(VECTOR_SCALE)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class _AnyIndex(Similarity):
    """Stands for every index of this dimension, which is public: errors depend on nothing else."""

    @property
    def blocks(self) -> int:
        """One is as good as many."""
        return 1

    @cached_property
    def _encoded(self) -> PlainVectors:
        zeros = np.broadcast_to(np.zeros(1, np.int16), (1, self.dimension, self.params.ring_degree))
        return PlainVectors(self.params, zeros, 1, VECTOR_SCALE)
