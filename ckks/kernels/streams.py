"""Between residues and what they are made of or stored as: key streams, small and real numbers, packed bits."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch, RangeError
from ckks.kernels import shapes
from ckks.kernels.backends import active, source_for
from ckks.kernels.interface import Plan, Words, row_bytes
from ckks.kernels.shapes import check_residues, fold_out, of_shape
from ckks.kernels.threads import run


def take_below(q: int, x: Words, out: Words) -> int:
    """Write the words of a public stream, cut to bits(q) bits and passed over unless below q, to the row out.

    Returns:
        How many were written, at most len(out); what lies behind them is undefined.
    """
    return active().take_below(q, x, out)


def take_ternary(x: NDArray[np.uint8], out: NDArray[np.int8]) -> int:
    """Write c - 1 for the 2-bit candidates c of a stream, 3 passed over, to the row out; return as `take_below`."""
    return active().take_ternary(x, out)


def binomial(x: Words, out: NDArray[np.int8]) -> None:
    """Write the centred binomial value in [-21, 21] of every word of a stream to the row out, of equal length."""
    active().binomial(x, out)


def small(plan: Plan, x: NDArray[np.int8], out: Words | None = None) -> Words:
    """Return the residues (..., L, N) of int8 values x, (..., N)."""
    kernel = source_for(plan.n).small
    values, out, o = _plane(plan, x, np.dtype(np.int8), out)
    run(lambda s: kernel(plan[s], values, o[:, s]), len(plan), o.size)
    return out


def rounded(plan: Plan, x: NDArray[np.float64], scale: float, out: Words | None = None) -> Words:
    """Return the residues (..., L, N) of the integers nearest to scale x, x float64 (..., N), |scale x| < 2^62.

    The product is rounded to a float64, and that to an integer, halves to even, as `numpy.rint` does.
    """
    kernel = source_for(plan.n).rounded
    values, out, o = _plane(plan, x, np.dtype(np.float64), out)
    if shapes.CHECKING and not (np.abs(values * scale) < 2.0**62).all():
        raise RangeError("a number to round is not below 2^62")
    run(lambda s: kernel(plan[s], values, scale, o[:, s]), len(plan), o.size)
    return out


def pack(plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
    """Write residues (B, L, N) to out, (B, sum of `row_bytes`): bits(q) bits a word; see `Kernels.pack`."""
    kernel, spans = source_for(plan.n).pack, _packed(plan, x, out)
    check_residues(plan, x)
    run(lambda s: kernel(plan[s], x[:, s], out[:, spans[s.start] : spans[s.stop]]), len(plan), x.size)


def unpack(plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
    """Undo `pack`; tell whether every word that was read is below its modulus and all padding is zero."""
    kernel, spans = source_for(plan.n).unpack, _packed(plan, out, x)
    canonical: list[bool] = []
    run(
        lambda s: canonical.append(kernel(plan[s], x[:, spans[s.start] : spans[s.stop]], out[:, s])),
        len(plan),
        out.size,
    )
    return all(canonical)


def _plane(plan: Plan, x: NDArray[Any], dtype: np.dtype[Any], out: Words | None) -> tuple[NDArray[Any], Words, Words]:
    """Return x as (B, N), the result, and the result as (B, L, N)."""
    if x.shape[-1:] != (plan.n,) or x.dtype != dtype:
        raise BasisMismatch(f"numbers of shape {x.shape} and type {x.dtype}; needed (..., {plan.n}) of {dtype}")
    out = of_shape((*x.shape[:-1], len(plan), plan.n), out)
    return np.ascontiguousarray(x).reshape(-1, plan.n), out, fold_out(out)


def _packed(plan: Plan, words: Words, data: NDArray[np.uint8]) -> list[int]:
    """Check the shapes of `pack`; return where the row of each limb starts, and where the last one ends."""
    spans = list(accumulate((row_bytes(q, plan.n) for q in plan.moduli), initial=0))
    if words.ndim != 3 or words.shape[1:] != (len(plan), plan.n) or words.dtype != np.uint64:
        raise BasisMismatch(f"words of shape {words.shape}; needed (items, {len(plan)}, {plan.n}) of uint64")
    if data.shape != (len(words), spans[-1]) or data.dtype != np.uint8:
        raise BasisMismatch(f"bytes of shape {data.shape}; needed ({len(words)}, {spans[-1]}) of uint8")
    return spans
