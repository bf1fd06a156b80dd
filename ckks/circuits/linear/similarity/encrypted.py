"""Similarities with encrypted vectors, feature-major: no rotation, one relinearisation and one rescale a block.

Ciphertext j of a block holds feature j of all its items, and the query is e ciphertexts with q_j in every slot
(`spread`): sums of tensor products. For a query in the clear see `weighted_similarities`.
"""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
import numpy.typing as npt

from ckks import kernels
from ckks.circuits.linear.similarity.fitting import check_level, product_meta
from ckks.circuits.promises import promise
from ckks.errors import SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.meta import meta_of

__all__ = ["encrypted_similarities", "weighted_similarities"]

_FEATURES = 16  # of encrypted vectors, that are summed at a time


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
    check_level(x, rescale)
    evaluator.keys.relin_key()
    meta = product_meta(params, level, a, b.scale, norm**2)
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
    size = (e + f).resized(
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
