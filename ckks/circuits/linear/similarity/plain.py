"""Similarities with plain vectors: the query is one ciphertext, and is rotated.

Its slots are q repeated, q[k mod e] in slot k (`repeated`). The rotation by i has q[(r + i) mod e] in slot r, so
generalised diagonals d_i[r] = x_r[(r + i) mod e] give ([HS18, Sec. 4])

    x_r . q  =  sum over i < e of  d_i[r] rotation_i(q)[r].

No rotation depends on the items, so all blocks share them, and each pays e products with plaintexts and one rescale.
They come from few keys: i = g b + t is a giant step, then a baby step, both hoisted (`rotation_steps`). Nothing is
padded: where e does not divide the slots, the last e - 1 slots, to which the end of the vector comes round wrongly,
stay empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, log2, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ckks import kernels
from ckks.circuits.linear.similarity.fitting import check_level, product_meta
from ckks.circuits.linear.similarity.places import baby_steps, block_rows
from ckks.circuits.promises import promise
from ckks.errors import BasisMismatch, RangeError, SlotError
from ckks.kernels import Words
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe.noise import ROUNDING_STD, random_poly
from ckks.scheme import CKKSParams, Evaluator, Meta
from ckks.scheme.embedding import slots_to_coefficients
from ckks.scheme.encoder import check_magnitude, checked_scale
from ckks.scheme.meta import meta_of

__all__ = ["PlainVectors", "plain_similarities"]

_SLACK = 1 + 1e-5  # times `norm`: what is as long as that but for rounding, in single precision, is not refused
_BATCH = 64  # polynomials that are encoded at a time


@dataclass(frozen=True, eq=False)
class PlainVectors:
    """Plain vectors as the integer coefficients of their diagonals. Make them with `PlainVectors.encode`.

    A scale of 2^24 keeps seven digits, and coefficients are small then: four bytes hold one (two, below 2^15). So an
    item takes little more than 8 bytes a number (the polynomial has two coefficients to a slot, a slot two items),
    and words, which take 8 bytes a limb and coefficient, are made when they are needed and never stored: that costs two
    transforms for each product, and is worth a fourth or less of the memory.

    Args:
        params: the parameter set.
        coefficients: (blocks, dimension, N), integers.
        items: how many vectors.
        scale: of the coefficients.
        norm: no vector is longer.
    """

    params: CKKSParams
    coefficients: npt.NDArray[np.signedinteger[Any]]
    items: int
    scale: Decimal
    norm: float = 1.0

    @classmethod
    def encode(
        cls, params: CKKSParams, vectors: npt.ArrayLike, *, scale: Decimal | float = 2.0**24, norm: float = 1.0
    ) -> PlainVectors:
        """Return the vectors (items, dimension), none longer than `norm` (by more than rounding), encoded.

        Raises:
            SlotError: no vectors.
            RangeError: NaN, infinity, or a longer vector; coefficients beyond 2^62.
            ParameterError: more numbers than slots; a scale that is none.
        """
        x, exact = np.asarray(vectors), checked_scale(scale)
        if x.ndim != 2 or not x.size or x.dtype.kind not in "fiu":
            raise SlotError(f"vectors of shape {x.shape} and type {x.dtype}; needed real (items, dimension)")
        rows, dimension = block_rows(params.slots, x.shape[1]), x.shape[1]
        longest = 0.0
        for start in range(0, len(x), 2 * rows):
            part = np.asarray(x[start : start + 2 * rows], np.float64)
            check_magnitude(part, float("inf"))
            longest = max(longest, sqrt(float(np.einsum("ij,ij->i", part, part).max())))
        if longest > norm * _SLACK:
            raise RangeError(f"a vector of length {longest:.6g}; needed at most {norm:g}: normalise them first")
        if norm * float(exact) * sqrt(2) >= 2.0**62:
            raise RangeError(f"a scale of 2^{log2(float(exact)):.1f} for vectors of length {norm:g}; needed below 2^61")
        blocks = ceil(len(x) / (2 * rows))
        kind = np.int32 if norm * float(exact) * sqrt(2) < 2.0**31 else np.int64
        out = np.empty((blocks, dimension, params.ring_degree), kind)
        for b, into in enumerate(out):
            _encode_block(np.asarray(x[2 * b * rows : 2 * (b + 1) * rows], np.float64), rows, float(exact), into)
        largest = max(int(out.max()), -int(out.min()))
        if largest < 2**15:
            out = out.astype(np.int16)
        out.flags.writeable = False
        return cls(params, out, len(x), exact, norm)

    @property
    def blocks(self) -> int:
        """How many ciphertexts the similarities with one query are."""
        return len(self.coefficients)

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.coefficients.shape[1])

    @property
    def rows(self) -> int:
        """How many slots of a block hold items."""
        return block_rows(self.params.slots, self.dimension)

    @property
    def nbytes(self) -> int:
        """Bytes of the coefficients."""
        return self.coefficients.nbytes

    def products(self, turns: Words, diagonals: slice, level: int, total: Words | None) -> Words:
        """Return the sums of some diagonals of each block times `turns`, (blocks, 2, limbs, N), added to `total`."""
        plan = self.params.basis(level).plan
        return kernels.small_products(plan, turns, self.coefficients[:, diagonals], total)


def _encode_block(x: npt.NDArray[np.float64], rows: int, scale: float, out: npt.NDArray[Any]) -> None:
    """Write the coefficients of the diagonals of up to 2 `rows` items (n, e) to `out` (e, N)."""
    dimension, degree = out.shape
    whole = np.zeros((2 * rows, dimension))
    whole[: len(x)] = x
    pairs = whole[:rows] + 1j * whole[rows:]
    r = np.arange(rows)
    for first in range(0, dimension, _BATCH):
        i = np.arange(first, min(first + _BATCH, dimension))[:, None]
        coefficients = slots_to_coefficients(pairs[r, (r + i) % dimension], degree, slots=degree // 2)
        np.rint(coefficients * scale, out=coefficients)
        out[first : first + _BATCH] = coefficients


def plain_similarities(
    evaluator: Evaluator, query: Ciphertext, vectors: PlainVectors, *, norm: float = 1.0, rescale: bool = True
) -> Ciphertext:
    """Return a batch (blocks,): the inner products of a query with all vectors; read by `unpacked(..., vectors.rows)`.

    Args:
        evaluator: with Galois keys for `rotation_steps(dimension)`.
        query: one ciphertext with the slots that `repeated` gives, real.
        vectors: to compare it with.
        norm: no query is longer: a promise of whoever encrypted it.
        rescale: else the level stays, and the scales are multiplied.

    Raises:
        MissingKey, LevelError, RangeError: as `Evaluator.multiply`.
        SlotError: a batch, or another number of slots than N/2.
        BasisMismatch: vectors of other parameters.
    """
    evaluator.check(query)
    promise(query, (-norm, norm), "similarities with plain vectors")
    params, meta = evaluator.params, meta_of(query)
    if vectors.params != params:
        raise BasisMismatch("the vectors were encoded for other parameters than this evaluator")
    if query.shape or meta.slots != params.slots:
        raise SlotError(
            f"a query of shape {query.shape} with {meta.slots} slots; needed one ciphertext with {params.slots}"
        )
    check_level(query, rescale)
    summed = product_meta(params, query.level, meta, vectors.scale, vectors.norm * norm)
    totals: Words | None = None
    turned = query.noise
    for first, noise, turns in _rotations(evaluator, query, vectors.dimension):
        turned = turned.resized(max(turned.std, noise.std), max(turned.bound, noise.bound))
        totals = vectors.products(turns, slice(first, first + len(turns)), query.level, totals)
    assert totals is not None
    size = _plain_noise(evaluator, turned, vectors, norm * float(meta.scale))
    products = Ciphertext.of(params, totals, query.level, summed, size)
    return evaluator.rescale(products) if rescale else products


def _rotations(evaluator: Evaluator, query: Ciphertext, dimension: int) -> Iterator[tuple[int, Noise, Words]]:
    """Yield (first, their largest error, words (count, 2, limbs, N)): the rotations by first, first + 1, ...

    One giant step's share at a time: they stay in the cache while all blocks use them.
    """
    baby = baby_steps(dimension)
    starts = range(0, dimension, baby)
    for first, giant in zip(starts, evaluator.rotate_many(query, starts), strict=True):
        turns = evaluator.rotate_many(giant, range(min(baby, dimension - first)))
        words = kernels.empty((len(turns), *query.words.shape))
        for one, turn in zip(words, turns, strict=True):
            one[...] = turn.words
        largest = Noise(max(turn.noise.std for turn in turns), max(turn.noise.bound for turn in turns))
        yield first, largest, words


def _plain_noise(evaluator: Evaluator, turned: Noise, vectors: PlainVectors, query: float) -> Noise:
    """The error of sum d_i turned_i: |d| |errors|, and what rounding the d_i adds, which is independent of the query.

    Two items share a slot, hence sqrt(2). Rounding errors, taken with the numbers of a query of length 1, are as one
    rounding error again.
    """
    n, terms = vectors.params.ring_degree, vectors.dimension
    length = sqrt(2) * _SLACK * vectors.norm * float(vectors.scale) + sqrt(terms) * random_poly(n, ROUNDING_STD).bound
    meta = Meta(vectors.scale, n // 2, n // 2, False, vectors.norm, vectors.norm)
    rounding = evaluator.encoder.rounding(meta).scaled(query)
    return turned.resized(turned.std * length, turned.bound * length * sqrt(terms)) + rounding
