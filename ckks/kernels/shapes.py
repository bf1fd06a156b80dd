"""Arrays on their way to a kernel: leading axes folded into one batch, results allocated, contracts checked."""

from __future__ import annotations

import os
from math import prod

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch, RangeError
from ckks.kernels.interface import Plan, Words
from ckks.kernels.memory import empty

CHECKING = os.environ.get("CKKS_CHECK", "") not in ("", "0")
"""Whether every word that enters a kernel is held to its modulus (CKKS_CHECK=1)."""

_UNSIGNED = np.dtype(np.uint64)


def fold(x: Words, keep: int) -> Words:
    """Merge the axes between the first `keep` and the last two into one; a view wherever strides allow."""
    check_type(x)
    batch = x.ndim - keep - 2
    if batch == 1:
        return x
    if batch == 0:
        return x[:, None] if keep else x[None]
    # Sizes are spelled out, since -1 is ambiguous for empty arrays.
    return x.reshape(*x.shape[:keep], prod(x.shape[keep:-2]), *x.shape[-2:])


def fold_out(out: Words) -> Words:
    """Merge the leading axes of a result; never a copy, which would lose what is written to it."""
    if not out.flags.writeable:
        raise BasisMismatch(f"the result array of shape {out.shape} is read-only; pass one of kernels.empty(...)")
    if out.ndim == 3 or out.ndim == 2:
        return fold(out, 0)
    try:
        view = out.reshape(prod(out.shape[:-2]), *out.shape[-2:], copy=False)
    except ValueError:
        raise BasisMismatch(f"out of strides {out.strides} cannot be viewed with one batch axis") from None
    return fold(view, 0)


def result_for(plan: Plan, shape: tuple[int, ...], out: Words | None) -> Words:
    """Return `out`, or a new array, having checked that the shape ends with (limbs, N) of the plan."""
    if shape[-2:] != plan.shape:
        raise BasisMismatch(f"operands of shape {shape}; needed (..., {len(plan)}, {plan.n}) for this basis")
    return of_shape(shape, out)


def of_shape(shape: tuple[int, ...], out: Words | None) -> Words:
    """Return `out`, which must have this shape, or a new array of it."""
    if out is None:
        return empty(shape)
    if out.shape != shape:
        raise BasisMismatch(f"out has shape {out.shape}; needed {shape}")
    return out


def broadcast_shape(x: Words, y: Words) -> tuple[int, ...]:
    """Return the shape of x and y with their leading axes broadcast; limbs and N must agree."""
    if x.shape == y.shape:
        return x.shape
    try:
        shape = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise BasisMismatch(f"shapes {x.shape} and {y.shape} do not broadcast over their leading axes") from None
    if x.shape[-2:] != y.shape[-2:]:
        raise BasisMismatch(f"shapes {x.shape} and {y.shape} differ in limbs or ring degree")
    return (*shape, *x.shape[-2:])


def broadcast_terms(x: Words, shape: tuple[int, ...]) -> Words:
    """Broadcast the axes after the first of (K, ..., L, N) to `shape`."""
    if x.shape[1:] == shape:
        return x
    missing = len(shape) + 1 - x.ndim
    return np.broadcast_to(x[(slice(None), *(None,) * missing)], (len(x), *shape))


def check_type(x: Words) -> None:
    """Demand native uint64, contiguous along the last axis."""
    # Identity first: comparing two dtype objects costs more than all else here.
    if (x.dtype is not _UNSIGNED and x.dtype != _UNSIGNED) or (x.strides[-1] != 8 and x.shape[-1] > 1 and x.size):
        raise BasisMismatch(
            f"words of type {x.dtype} with a stride of {x.strides[-1]} bytes; needed native uint64, contiguous along N"
        )


def check_scalars(plan: Plan, w: Words) -> None:
    """Demand one scalar per limb, uint64 (L,)."""
    if w.shape != (len(plan),) or (w.dtype is not _UNSIGNED and w.dtype != _UNSIGNED):
        raise BasisMismatch(f"scalars of shape {w.shape} and type {w.dtype}; needed ({len(plan)},) of uint64")
    if CHECKING:
        check_below(plan.q, w[:, None])


def check_index(index: NDArray[np.int64], n: int) -> None:
    """Demand a permutation's indices, contiguous int64 (N,); their values are taken modulo N, or 2N with signs."""
    if index.shape != (n,) or index.dtype != np.int64 or not index.flags.c_contiguous:
        raise BasisMismatch(f"index of shape {index.shape} and type {index.dtype}; needed ({n},) of contiguous int64")


def check_residues(plan: Plan, *operands: Words) -> None:
    """With CKKS_CHECK=1, demand that every operand is fully reduced; a kernel's contract otherwise."""
    if CHECKING:
        for x in operands:
            check_below(plan.q, x)


def check_below(moduli: Words, x: Words) -> None:
    """Raise RangeError, naming the first word of x, (..., L, N), that is not below its modulus."""
    bad = x >= moduli[:, None]
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise RangeError(f"word {int(x[where])} at {where} is not below its modulus {int(moduli[where[-2]])}")
