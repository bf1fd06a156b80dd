"""Similarities: inner products of one encrypted vector, the query, with many others, plain or encrypted.

Vectors of length 1 make them cosines: normalise in the clear. Each product x . q uses one level and nothing else, so
the ring is small, and thousands of products share a ciphertext.

Two real items share a slot. Complex slots a + ib times a real q are a q + i b q, so a block of items has twice as many
as a ciphertext has slots: the first half in the real parts, the second half in the imaginary ones (`packed`,
`unpacked`). The query has to be real, in every slot.

`plain_similarities`: the vectors are plain, the query is one ciphertext. Its slots are q repeated, q[k mod e] in slot k
(`repeated`). The rotation by i has q[(r + i) mod e] in slot r, so generalised diagonals d_i[r] = x_r[(r + i) mod e]
give ([HS18, Sec. 4])

    x_r . q  =  sum over i < e of  d_i[r] rotation_i(q)[r].

No rotation depends on the items, so all blocks share them, and each pays e products with plaintexts and one rescale.
They come from few keys: i = g b + t is a giant step, then a baby step, both hoisted (`rotation_steps`). Nothing is
padded: where e does not divide the slots, the last e - 1 slots, to which the end of the vector comes round wrongly,
stay empty.

`encrypted_similarities`: the items are encrypted, feature-major: ciphertext j of a block holds feature j of all its
items, and the query is e ciphertexts with q_j in every slot (`spread`). Sums of tensor products, then one
relinearisation and one rescale a block; no rotation. For a query in the clear see `weighted_similarities`.

Sizes of errors follow from Cauchy-Schwarz over the features: |sum d_i e_i| <= |d| |e|, where |d| is the length of an
item's vector, whatever its numbers are: a length that is promised, since nothing encrypted can be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, hypot, isqrt, log2, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ckks import kernels
from ckks.circuits.promises import promise
from ckks.errors import BasisMismatch, ParameterError, RangeError, SlotError
from ckks.kernels import Words
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe.noise import ROUNDING_STD, random_poly
from ckks.scheme import CKKSParams, Evaluator, Meta
from ckks.scheme.align import too_deep
from ckks.scheme.embedding import slots_to_coefficients
from ckks.scheme.encoder import check_magnitude, checked_scale
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

__all__ = [
    "PlainVectors",
    "block_rows",
    "encrypted_similarities",
    "packed",
    "plain_similarities",
    "repeated",
    "rotation_steps",
    "spread",
    "unpacked",
    "weighted_similarities",
]

Floats = npt.NDArray[np.floating[Any]]
Complex = npt.NDArray[np.complex128]

_SLACK = 1 + 1e-5  # times `norm`: what is as long as that but for rounding, in single precision, is not refused
_BATCH = 64  # polynomials that are encoded at a time
_FEATURES = 16  # of encrypted vectors, that are summed at a time


# ---- where numbers lie -----------------------------------------------------------------------------------------------


def block_rows(slots: int, dimension: int) -> int:
    """Return how many slots of a block of plain vectors hold items: all, or all but the last `dimension` - 1."""
    if not 1 <= dimension <= slots:
        raise ParameterError(f"vectors of {dimension} numbers for {slots} slots; needed 1 to {slots}")
    return slots if slots % dimension == 0 else slots - dimension + 1


def rotation_steps(dimension: int) -> tuple[int, ...]:
    """Return the rotations that `plain_similarities` needs keys for: about 2 sqrt(dimension) of them, sorted."""
    baby = _baby(dimension)
    return tuple(sorted({*range(1, min(baby, dimension)), *range(baby, dimension, baby)}))


def repeated(query: npt.ArrayLike, slots: int) -> npt.NDArray[np.float64]:
    """Return the slots of a query (..., e): its numbers one after the other, again and again, (..., slots)."""
    q = np.asarray(query, np.float64)
    block_rows(slots, q.shape[-1])
    return np.asarray(q[..., np.arange(slots) % q.shape[-1]])


def spread(query: npt.ArrayLike, slots: int) -> npt.NDArray[np.float64]:
    """Return a query (e,) with each of its numbers in all slots of a row of its own, (e, slots)."""
    q = np.asarray(query, np.float64)
    return np.repeat(q[:, None], slots, axis=1)


def packed(vectors: npt.ArrayLike, rows: int) -> Complex:
    """Return items (n, e) as complex slots, feature-major: (e, blocks, rows); item 2 b rows + r is in block b.

    It is the real part of slot r, for r < rows, else the imaginary part of slot r - rows. Missing items are zeros.
    """
    x = np.asarray(vectors)
    if x.ndim != 2 or not x.size or rows < 1:
        raise SlotError(f"items of shape {x.shape}; needed (items, dimension), one of each at least")
    blocks = ceil(len(x) / (2 * rows))
    whole = np.zeros((2 * rows * blocks, x.shape[1]))
    whole[: len(x)] = x
    pairs = whole.reshape(blocks, 2, rows, -1)
    return np.ascontiguousarray(np.moveaxis(pairs[:, 0] + 1j * pairs[:, 1], -1, 0))


def unpacked(values: npt.ArrayLike, items: int, rows: int) -> npt.NDArray[np.float64]:
    """Return the numbers of `items` items, (items,), from complex slots (blocks, at least `rows`)."""
    z = np.asarray(values)
    if z.ndim != 2 or z.shape[1] < rows or not 0 < items <= 2 * rows * len(z):
        raise SlotError(f"slots of shape {z.shape} for {items} items; needed (blocks, {rows} or more), two to a slot")
    z = z[:, :rows]
    return np.stack([z.real, z.imag], axis=1).reshape(-1)[:items]


def _baby(dimension: int) -> int:
    """The number of baby steps: the least b with b^2 >= dimension."""
    return isqrt(dimension - 1) + 1 if dimension > 1 else 1


# ---- plain vectors ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PlainVectors:
    """Plain vectors as the integer coefficients of their diagonals. Make them with `PlainVectors.encode`.

    A scale of 2^24 keeps seven digits, and coefficients are small then: four bytes hold one (two, below 2^15). So an
    item takes little more than 8 bytes a number (the polynomial has two coefficients to a slot, a slot two items),
    and words, which take 8 bytes a limb and coefficient, are made when they are needed: that costs two transforms for
    each product, and is worth a fourth or less of the memory.

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

    def words(self, block: int, diagonals: slice, level: int) -> Words:
        """Return some diagonals of a block in NTT form, (diagonals, limbs, N)."""
        plan = self.params.basis(level).plan
        words = kernels.signed(plan, self.coefficients[block, diagonals])
        return kernels.ntt(plan, words, words)


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
    _check_level(query, rescale)
    summed = _product_meta(params, query.level, meta, vectors.scale, vectors.norm * norm)
    plan, dimension = params.basis(query.level).plan, vectors.dimension
    totals, turned = kernels.empty((vectors.blocks, *query.words.shape)), query.noise
    for first, noise, turns in _rotations(evaluator, query, dimension):
        turned = Noise(max(turned.std, noise.std), max(turned.bound, noise.bound))
        diagonals = slice(first, first + len(turns))
        for block, total in enumerate(totals):
            words = vectors.words(block, diagonals, query.level)[:, None]
            if first:
                kernels.add(plan, total, kernels.dot(plan, turns, words), total)
            else:
                kernels.dot(plan, turns, words, total)
    size = _plain_noise(evaluator, turned, vectors, norm * float(meta.scale))
    products = Ciphertext.of(params, totals, query.level, summed, size)
    return evaluator.rescale(products) if rescale else products


def _rotations(evaluator: Evaluator, query: Ciphertext, dimension: int) -> Iterator[tuple[int, Noise, Words]]:
    """Yield (first, their largest error, words (count, 2, limbs, N)): the rotations by first, first + 1, ...

    One giant step's share at a time: they stay in the cache while all blocks use them.
    """
    baby = _baby(dimension)
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
    return Noise(turned.std * length, turned.bound * length * sqrt(terms)) + rounding


# ---- encrypted vectors -----------------------------------------------------------------------------------------------


def encrypted_similarities(
    evaluator: Evaluator, vectors: Ciphertext, query: Ciphertext, *, norm: float = 1.0, rescale: bool = True
) -> Ciphertext:
    """Return a batch (blocks,): the inner products of an encrypted query with encrypted vectors.

    Args:
        evaluator: with a relinearisation key.
        vectors: a batch (e, blocks), its slots as `packed` arranges them, of size sqrt(2) `norm` at most.
        query: a batch (e,), its slots as `spread` arranges them.
        norm: neither a vector nor a query is longer: a promise of whoever encrypted them.
        rescale: else the level stays, and the scales are multiplied.

    Raises:
        MissingKey, LevelError, RangeError: as `Evaluator.dot`.
        SlotError: other shapes, or slots that differ in number.
    """
    evaluator.check(vectors, query)
    promise(query, (-norm, norm), "similarities with encrypted vectors")
    if len(vectors.shape) != 2 or query.shape != vectors.shape[:1] or not all(vectors.shape):
        raise SlotError(f"vectors {vectors.shape} and a query {query.shape}; needed (e, blocks) and (e,)")
    params, level = evaluator.params, min(vectors.level, query.level)
    x, q = vectors.at_level(level), query.at_level(level)
    a, b = meta_of(x), meta_of(q)
    if a.slots != b.slots:
        raise SlotError(f"operands with {a.slots} and {b.slots} slots; pack both alike")
    _check_level(x, rescale)
    evaluator.keys.relin_key()
    meta = _product_meta(params, level, a, b.scale, norm**2)
    plan = params.basis(level).plan
    # The query's parts times both parts of the items, (2, blocks, 2, l, N); a few features at a time stay in the cache.
    sums = kernels.empty((2, vectors.shape[1], *x.words.shape[-3:]))
    for k in range(0, query.shape[0], _FEATURES):
        some = slice(k, k + _FEATURES)
        for block in range(vectors.shape[1]):
            for part, total in enumerate(sums[:, block]):
                item, factor = x.words[some, block], q.words[some, part, None]
                if k:
                    kernels.add(plan, total, kernels.dot(plan, item, factor), total)
                else:
                    kernels.dot(plan, item, factor, total)
    words = kernels.empty((vectors.shape[1], 3, *x.words.shape[-2:]))
    words[:, 0], words[:, 2] = sums[0, :, 0], sums[1, :, 1]
    kernels.add(plan, sums[0, :, 1], sums[1, :, 0], words[:, 1])
    terms, of_item, of_query = query.shape[0], sqrt(2) * norm * float(a.scale), norm * float(b.scale)
    e, f = x.noise, q.noise
    size = Noise(
        hypot(of_item * f.std, of_query * e.std, sqrt(terms) * e.std * f.std),
        sqrt(terms) * (of_item * f.bound + of_query * e.bound) + terms * e.bound * f.bound,
    )
    return evaluator.relinearise(Ciphertext.of(params, words, level, meta, size), rescale=rescale)


def weighted_similarities(
    evaluator: Evaluator, vectors: Ciphertext, query: npt.ArrayLike, *, norm: float = 1.0, rescale: bool = True
) -> Ciphertext:
    """Return a batch (blocks,): the inner products of a query in the clear, (e,), with encrypted vectors; no keys.

    `vectors` are those of `encrypted_similarities`, none longer than `norm`. Raises what `Evaluator.weighted_sum` does.
    """
    evaluator.check(vectors)
    q = np.asarray(query, np.float64)
    if len(vectors.shape) != 2 or q.shape != vectors.shape[:1] or not all(vectors.shape):
        raise SlotError(f"vectors {vectors.shape} and a query {q.shape}; needed (e, blocks) and (e,)")
    # What is known is a bound on the sum; features are given their shares of it.
    total, reach = float(np.abs(q).sum()), sqrt(2) * norm * sqrt(float(q @ q))
    share = min(meta_of(vectors).bound, reach / total if total else float("inf"))
    x = evaluator.with_bound(vectors, share)
    # Block by block, each a view: all at once, kernels would copy what lies in memory part by part.
    sums = [evaluator.weighted_sum(x[:, block], q, rescale=rescale) for block in range(vectors.shape[1])]
    words = kernels.empty((len(sums), *sums[0].words.shape))
    for one, result in zip(sums, words, strict=True):
        result[...] = one.words
    return Ciphertext.of(evaluator.params, words, sums[0].level, sums[0].meta, sums[0].noise)


def _product_meta(params: CKKSParams, level: int, meta: Meta, scale: Decimal, norm: float) -> Meta:
    """The metadata of similarities up to `norm` before any rescale; RangeError where they do not fit the modulus."""
    bound, product = sqrt(2) * norm, EXACT.multiply(meta.scale, scale)
    if log2(bound) + log2(float(product)) > params.room(level):
        raise RangeError(
            f"similarities may reach {norm:g} at scale 2^{log2(float(product)):.1f}, two to a slot, beyond the modulus "
            f"of level {level} (2^{params.room(level):.1f} with sign); use smaller scales"
        )
    return Meta(product, meta.slots, meta.slots, False, bound, bound)


def _check_level(x: Ciphertext, rescale: bool) -> None:
    if rescale and x.level == 0:
        raise too_deep("similarities", 1, x)
