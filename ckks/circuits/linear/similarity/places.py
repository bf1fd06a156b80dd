"""Where numbers lie in the slots of items, of queries, and of similarities.

Two real items share a slot. Complex slots a + ib times a real q are a q + i b q, so a block of items has twice as many
as a ciphertext has slots: the first half in the real parts, the second half in the imaginary ones (`packed`,
`unpacked`). The query has to be real, in every slot.
"""

from __future__ import annotations

from math import ceil, isqrt

import numpy as np
import numpy.typing as npt

from ckks.errors import ParameterError, SlotError

__all__ = ["baby_steps", "block_rows", "packed", "repeated", "rotation_steps", "spread", "unpacked"]

Complex = npt.NDArray[np.complex128]


def block_rows(slots: int, dimension: int) -> int:
    """Return how many slots of a block of plain vectors hold items: all, or all but the last `dimension` - 1."""
    if not 1 <= dimension <= slots:
        raise ParameterError(f"vectors of {dimension} numbers for {slots} slots; needed 1 to {slots}")
    return slots if slots % dimension == 0 else slots - dimension + 1


def rotation_steps(dimension: int) -> tuple[int, ...]:
    """Return the rotations that `plain_similarities` needs keys for: about 2 sqrt(dimension) of them, sorted."""
    baby = baby_steps(dimension)
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


def baby_steps(dimension: int) -> int:
    """Return the number of baby steps: the least b with b^2 >= dimension."""
    return isqrt(dimension - 1) + 1 if dimension > 1 else 1
