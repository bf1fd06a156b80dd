"""Encrypted layers: sums with plain weights in either layout, constants per output, batches put together.

    feature-major   x is a batch (K,), one ciphertext per feature, slot j belonging to row j: a weighted sum of
                    ciphertexts, without keys.
    records         x is one ciphertext, row r in slots r K' .. r K' + K - 1 (K' >= K a power of two): a product with
                    the weights of each output, repeated all along, then log2 K' rotations. The sum of row r stands in
                    slot r K'. The slots between hold sums that take some features from one row and some from the
                    next: `Schema.slot_range` has them, so no polynomial that follows leaves its interval.

Either way the result is a batch (M,), one ciphertext per output, and all later layers are weighted sums.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.meta import meta_of

__all__ = ["FEATURE_MAJOR", "RECORDS", "add_each", "groups", "join", "linear", "record_width", "stack"]

FEATURE_MAJOR, RECORDS = "feature-major", "records"

Floats = NDArray[np.float64]

GROUP = 16
"""Units of a layer that are computed together: a polynomial holds all its powers for each of them."""


def record_width(features: int) -> int:
    """Return K', the slots that one row takes in the records layout: the next power of two."""
    return 1 << (features - 1).bit_length()


def linear(evaluator: Evaluator, x: Ciphertext, weights: Floats, bias: Floats, layout: str | None = None) -> Ciphertext:
    """Return weights @ x + bias, a batch (M,), one level lower; in [-1, 1] by the caller's promise.

    Args:
        evaluator: with rotation keys 1, 2, .. K'/2 for the records layout.
        x: a batch (K,), or one ciphertext in the records layout.
        weights, bias: (M, K) and (M,).
        layout: of x; None for what an earlier layer gave.
    """
    if layout == RECORDS:
        u = _by_records(evaluator, x, weights, 1.0 + float(np.abs(bias).max()))
    else:
        u = evaluator.weighted_sum(x, weights)
    return evaluator.with_bound(add_each(evaluator, u, bias), 1.0)


def _by_records(evaluator: Evaluator, x: Ciphertext, weights: Floats, known: float) -> Ciphertext:
    slots, width = meta_of(x).slots, record_width(weights.shape[1])
    if slots % width:
        raise SlotError(f"records of {width} slots in {slots}; needed a ring degree of {2 * width} or more")
    padded = np.pad(weights, ((0, 0), (0, width - weights.shape[1])))
    products = evaluator.multiply(x, np.tile(padded, slots // width))
    # What is known is a bound on the sum, 1 and what the bias moves it by; each slot is given its share.
    reach = min(known, float(np.abs(weights).sum(axis=1).max()) or known)
    products = evaluator.with_bound(products, reach / width)
    return evaluator.sum_slots(products, width)


def add_each(evaluator: Evaluator, x: Ciphertext, constants: Floats) -> Ciphertext:
    """Return x[m] + constants[m], for a batch (M,) whose slots are all in use."""
    meta = meta_of(x)
    known = min(meta.bound, 1.0 + float(np.abs(constants).max(initial=0.0)))  # of a sum whose value is in [-1, 1]
    x = evaluator.with_bound(x, known, min(meta.rms, known))
    return stack([evaluator.add(x[m], float(c)) for m, c in enumerate(constants)])


def groups(count: int) -> list[slice]:
    """Return the slices of a layer's units that are computed together."""
    return [slice(start, min(start + GROUP, count)) for start in range(0, count, GROUP)]


def join(parts: Sequence[Ciphertext]) -> Ciphertext:
    """Return the batch (M,) that consists of these batches, one after the other."""
    return parts[0] if len(parts) == 1 else stack([part[i] for part in parts for i in range(part.shape[0])])


def stack(cts: Sequence[Ciphertext]) -> Ciphertext:
    """Return a batch of ciphertexts of one level, scale and packing; what is said of it covers each of them."""
    first = cts[0]
    alike = {(ct.level, ct.parts, ct.shape, meta_of(ct).scale, meta_of(ct).slots) for ct in cts}
    if len(alike) != 1:
        raise SlotError(f"a batch of ciphertexts that differ in level, scale or shape: {sorted(map(str, alike))}")
    words = kernels.empty((len(cts), *first.words.shape))
    for place, ct in zip(words, cts, strict=True):
        place[...] = ct.words
    metas, noises = [meta_of(ct) for ct in cts], [ct.noise for ct in cts]
    meta = metas[0].but(
        length=max(m.length for m in metas),
        real=all(m.real for m in metas),
        bound=max(m.bound for m in metas),
        rms=max(m.rms for m in metas),
    )
    noise = noises[0].resized(max(n.std for n in noises), max(n.bound for n in noises))
    return Ciphertext.of(first.params, words, first.level, meta, noise)
