"""Loops over uint64 residue arrays: the only place that knows there are several backends.

Functions here take arrays of any leading shape, (..., limbs, N), allocate the result, fold the leading axes into
one batch axis, split the work between threads and call the active source. The words that come back depend on
nothing but the operands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch, RangeError
from ckks.kernels import composed
from ckks.kernels import threads as _threads
from ckks.kernels.backends import NAMES, active, available, load, source_for, use
from ckks.kernels.gadgets import Gadget, Quotient, make_gadget, make_quotient
from ckks.kernels.interface import (
    FAST_LIMIT,
    WORD_LIMIT,
    Conversion,
    Kernels,
    Plan,
    Words,
    make_conversion,
    make_plan,
    row_bytes,
)
from ckks.kernels.memory import (
    MemoryReport,
    empty,
    kept_bytes,
    memory_report,
    release,
    reset_peak,
    wiping,
    zeros,
)
from ckks.kernels.threads import num_threads, set_num_threads, threads

__all__ = [
    "FAST_LIMIT",
    "NAMES",
    "WORD_LIMIT",
    "Conversion",
    "Gadget",
    "Kernels",
    "MemoryReport",
    "Plan",
    "Quotient",
    "Words",
    "active",
    "add",
    "add_scalar",
    "available",
    "binomial",
    "convert",
    "decompose",
    "divide",
    "dot",
    "empty",
    "gather",
    "gather_signed",
    "inner",
    "intt",
    "kept_bytes",
    "load",
    "make_conversion",
    "make_gadget",
    "make_plan",
    "make_quotient",
    "memory_report",
    "mul",
    "mul_add",
    "mul_scalar",
    "mul_scalar_add",
    "neg",
    "neg_mul_add",
    "ntt",
    "num_threads",
    "pack",
    "release",
    "reset_peak",
    "rounded",
    "row_bytes",
    "set_num_threads",
    "signed",
    "small",
    "sub",
    "sub_mul_scalar",
    "switch",
    "switch_digits",
    "switch_product",
    "switch_sum",
    "take_below",
    "take_ternary",
    "tensor",
    "threads",
    "unpack",
    "use",
    "warmup",
    "weighted_sum",
    "wiping",
    "zeros",
]


def warmup() -> None:
    """Compile every kernel of the active source now; returns at once where there is nothing to compile."""
    compile_all = getattr(active(), "warmup", None)
    if compile_all is not None:
        compile_all()


_CHECKING = os.environ.get("CKKS_CHECK", "") not in ("", "0")
_ALL = slice(None)
_TRANSFORM = 8
"""How many sums an NTT of as many words is about as long as: what `threads.run` weighs."""
_UNSIGNED = np.dtype(np.uint64)


def ntt(plan: Plan, x: Words, out: Words | None = None) -> Words:
    """Return the forward NTT of (..., L, N) coefficients, in bit-reversed order."""
    return _unary(plan, x, out, source_for(plan.n).ntt, passes=_TRANSFORM)


def intt(plan: Plan, x: Words, out: Words | None = None) -> Words:
    """Return the coefficients whose NTT is x, shape (..., L, N)."""
    return _unary(plan, x, out, source_for(plan.n).intt, passes=_TRANSFORM)


def neg(plan: Plan, x: Words, out: Words | None = None) -> Words:
    """Return -x."""
    return _unary(plan, x, out, source_for(plan.n).neg)


def add(plan: Plan, x: Words, y: Words, out: Words | None = None) -> Words:
    """Return x + y; leading axes broadcast."""
    return _binary(plan, x, y, out, source_for(plan.n).add)


def sub(plan: Plan, x: Words, y: Words, out: Words | None = None) -> Words:
    """Return x - y; leading axes broadcast."""
    return _binary(plan, x, y, out, source_for(plan.n).sub)


def mul(plan: Plan, x: Words, y: Words, out: Words | None = None) -> Words:
    """Return x y word by word (the ring product in NTT form); leading axes broadcast."""
    return _binary(plan, x, y, out, source_for(plan.n).mul)


def add_scalar(plan: Plan, x: Words, w: Words, out: Words | None = None) -> Words:
    """Return x + w, one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).add_scalar
    _check_scalars(plan, w)
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, w[s], o), by_limb=True)


def mul_scalar(plan: Plan, x: Words, w: Words, out: Words | None = None) -> Words:
    """Return w x, one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).mul_scalar
    _check_scalars(plan, w)
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, w[s], o), by_limb=True)


def mul_scalar_add(plan: Plan, x: Words, w: Words, y: Words, out: Words | None = None) -> Words:
    """Return w x + y, one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).mul_scalar_add
    _check_scalars(plan, w)
    return _binary(plan, x, y, out, lambda p, s, u, v, o: kernel(p, u, w[s], v, o), by_limb=True)


def sub_mul_scalar(plan: Plan, x: Words, y: Words, w: Words, out: Words | None = None) -> Words:
    """Return w (x - y), one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).sub_mul_scalar
    _check_scalars(plan, w)
    return _binary(plan, x, y, out, lambda p, s, u, v, o: kernel(p, u, v, w[s], o), by_limb=True)


def dot(plan: Plan, x: Words, y: Words, out: Words | None = None) -> Words:
    """Return sum over k of x[k] y[k]: x and y are (K, ..., L, N), the axes after K broadcast; K <= 1024."""
    if x.ndim < 3 or y.ndim < 3 or len(x) != len(y) or not 1 <= len(x) <= 1024:
        raise BasisMismatch(
            f"dot of shapes {x.shape} and {y.shape}; needed (K, ..., limbs, N) with equally many terms, 1 to 1024"
        )
    kernel = source_for(plan.n).dot
    shape = _broadcast_shape(x[0], y[0])
    out = _result(plan, shape, out)
    u, v, o = _fold(_broadcast_terms(x, shape), 1), _fold(_broadcast_terms(y, shape), 1), _fold_out(out)
    _check_residues(plan, u, v)
    if num_threads() == 1:
        kernel(plan, u, v, o)
    else:
        _threads.run(lambda s: kernel(plan[s], u[:, :, s], v[:, :, s], o[:, s]), len(plan), u.size)
    return out


def weighted_sum(plan: Plan, x: Words, w: Words, out: Words | None = None) -> Words:
    """Return sum over k of w[k] x[k]: x is (K, ..., L, N), w is (K, L) in [0, q); K <= 2^16."""
    if x.ndim < 3 or w.shape != (len(x), len(plan)) or not 1 <= len(x) <= 2**16 or w.dtype != _UNSIGNED:
        raise BasisMismatch(
            f"weights of shape {w.shape} and type {w.dtype} for terms {x.shape}; needed uint64 (K, {len(plan)}) and "
            "(K, ..., limbs, N), 1 <= K <= 2^16"
        )
    kernel = source_for(plan.n).weighted_sum
    out = _result(plan, x.shape[1:], out)
    u, o = _fold(x, 1), _fold_out(out)
    _check_residues(plan, u, w[:, :, None])
    if num_threads() == 1:
        kernel(plan, u, w, o)
    else:
        _threads.run(lambda s: kernel(plan[s], u[:, :, s], w[:, s], o[:, s]), len(plan), u.size)
    return out


def convert(table: Conversion, x: Words, out: Words | None = None) -> Words:
    """Return the coefficients x, (..., a, N) modulo table.source, as (..., b, N) modulo table.target."""
    if x.ndim < 2 or x.shape[-2] != len(table.source) or x.shape[-1] & (x.shape[-1] - 1):
        raise BasisMismatch(f"shape {x.shape} to convert; needed (..., {len(table.source)}, N), N a power of two")
    n = x.shape[-1]
    kernel = source_for(n).convert
    shape = (*x.shape[:-2], len(table.target), n)
    out = _of_shape(shape, out)
    u, o = _fold(x, 0), _fold_out(out)
    if _CHECKING:
        _check_below(np.array(table.source, dtype=np.uint64), u)
    if num_threads() == 1:
        kernel(table, u, o)
        return out
    # Columns are independent of each other; blocks of 8 keep them aligned for vector loads.
    blocks = max(1, n // 8)
    width = n // blocks

    def work(s: slice) -> None:
        columns = slice(s.start * width, s.stop * width)
        kernel(table, u[..., columns], o[..., columns])

    _threads.run(work, blocks, len(table.source) * o.size)
    return out


def gather(x: Words, index: NDArray[np.int64], out: Words | None = None) -> Words:
    """Return x[..., index]: an automorphism of (..., L, N) values in NTT form."""
    if x.ndim < 2:
        raise BasisMismatch(f"shape {x.shape} to permute; needed (..., limbs, N)")
    _check_index(index, x.shape[-1])
    kernel = source_for(x.shape[-1]).gather
    out = _of_shape(x.shape, out)
    u, o = _fold(x, 0), _fold_out(out)
    if num_threads() == 1:
        kernel(u, index, o)
    else:
        _threads.run(lambda s: kernel(u[:, s], index, o[:, s]), u.shape[1], o.size)
    return out


def gather_signed(plan: Plan, x: Words, index: NDArray[np.int64], out: Words | None = None) -> Words:
    """Return the automorphism of (..., L, N) coefficients: x[index], negated where index >= N (then index - N)."""
    _check_index(index, plan.n)
    kernel = source_for(plan.n).gather_signed
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, index, o), by_limb=True)


def signed(plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None = None) -> Words:
    """Return the residues (..., L, N) of the signed integers high 2^52 + low, both (..., N) in (-2^62, 2^62)."""
    for values in (low, high):
        if values is not None and (
            values.dtype.kind not in "iu"
            or values.dtype == np.uint64
            or values.shape[-1:] != (plan.n,)
            or values.shape != low.shape
        ):
            raise BasisMismatch(
                f"integers of shape {values.shape} and type {values.dtype}; needed signed ones, (..., {plan.n})"
            )
    kernel = source_for(plan.n).signed
    out = empty((*low.shape[:-1], len(plan), plan.n))
    lo, hi = (None if v is None else np.ascontiguousarray(v, dtype=np.int64).reshape(-1, plan.n) for v in (low, high))
    assert lo is not None
    o = _fold_out(out)
    _threads.run(lambda s: kernel(plan[s], lo, hi, o[:, s]), len(plan), o.size)
    return out


# ---- fused: compositions of the above, which a source may have as one (see `composed`) --------------------------


def decompose(gadget: Gadget, x: Words) -> Words:
    """Return the digits of x over the joint basis: (..., l, N) to (digits, ..., k + l, N)."""
    _check_operand("x", gadget.kept, x)
    result: Words = _fused("decompose", gadget.plan.n)(gadget, x)
    return result


def inner(gadget: Gadget, digits: Words, key: Words, addend: Words | None = None) -> Words:
    """Return sum_d digit_d key_d + P addend over the joint basis, (2, ..., k + l, N); see `composed.inner`."""
    batch = _check_operand("digits", gadget.plan, digits, len(gadget))
    _check_switching(gadget, batch, key, addend)
    return composed.inner(gadget, digits, key, addend)


def tensor(plan: Plan, x: Words, y: Words) -> Words:
    """Return (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1), (3, ..., l, N), of two elements (2, ..., l, N)."""
    _check_factors(plan, x, y)
    result: Words = _fused("tensor", plan.n)(plan, x, y)
    return result


def divide(quotient: Quotient, x: Words, index: NDArray[np.int64] | None = None) -> Words:
    """Return round(x / D) over the primes that remain, permuted by `index`: (..., limbs, N) to (..., kept, N)."""
    _check_operand("x", quotient.plan, x)
    if index is not None:
        _check_index(index, quotient.plan.n)
    result: Words = _fused("divide", quotient.plan.n)(quotient, x, index)
    return result


def switch(
    gadget: Gadget,
    x: Words,
    key: Words,
    quotient: Quotient,
    addend: Words | None = None,
    index: NDArray[np.int64] | None = None,
) -> Words:
    """Return x s' + addend as a ciphertext under s, (2, ..., kept, N), for x of (..., l, N); see `composed.switch`."""
    _check_switching(gadget, _check_operand("x", gadget.kept, x), key, addend, quotient, index)
    result: Words = _fused("switch", gadget.plan.n)(gadget, x, key, quotient, addend, index)
    return result


def switch_digits(
    gadget: Gadget,
    digits: Words,
    key: Words,
    quotient: Quotient,
    addend: Words | None = None,
    index: NDArray[np.int64] | None = None,
) -> Words:
    """`switch` from digits made once for several keys by `decompose`."""
    batch = _check_operand("digits", gadget.plan, digits, len(gadget))
    _check_switching(gadget, batch, key, addend, quotient, index)
    result: Words = _fused("switch_digits", gadget.plan.n)(gadget, digits, key, quotient, addend, index)
    return result


def switch_sum(
    gadget: Gadget,
    x: Words,
    digits: Words,
    keys: Sequence[Words | None],
    quotient: Quotient,
    indices: Sequence[NDArray[np.int64] | None],
    factors: Sequence[Words | None],
) -> Words:
    """Return a sum of automorphisms of x, (2, ..., l, N), times factors, divided once; see `composed.switch_sum`."""
    batch = _check_operand("digits", gadget.plan, digits, len(gadget))
    if _check_operand("x", gadget.kept, x, 2) != batch or not 1 <= len(keys) == len(indices) == len(factors):
        raise BasisMismatch(
            f"{len(keys)} keys, {len(indices)} indices and {len(factors)} factors for x of shape {x.shape} and digits "
            f"of shape {digits.shape}; needed one of each for every term, at least one term, and one batch"
        )
    for key, index, factor in zip(keys, indices, factors, strict=True):
        _check_switching(gadget, batch, key, None, quotient, index)
        if factor is not None:
            _check_broadcast("factor", _check_operand("factor", gadget.plan, factor), batch)
    result: Words = _fused("switch_sum", gadget.plan.n)(gadget, x, digits, keys, quotient, indices, factors)
    return result


def switch_product(gadget: Gadget, x: Words, y: Words, key: Words, quotient: Quotient) -> Words:
    """Return the product of two ciphertexts (2, ..., l, N), relinearised and divided, (2, ..., kept, N)."""
    _check_switching(gadget, _check_factors(gadget.kept, x, y), key, None, quotient)
    result: Words = _fused("switch_product", gadget.plan.n)(gadget, x, y, key, quotient)
    return result


def _fused(name: str, n: int) -> Callable[..., Words]:
    chosen: Callable[..., Words] = getattr(source_for(n), name, None) or getattr(composed, name)
    return chosen


def _check_operand(what: str, plan: Plan, x: Words, *leading: int) -> tuple[int, ...]:
    """Demand words (*leading, ..., limbs, N) over a plan; return the batch axes in between."""
    given = len(leading)
    if x.ndim < given + 2 or x.shape[-2:] != plan.shape or x.shape[:given] != leading:
        needed = ", ".join(map(str, (*leading, "...", *plan.shape)))
        raise BasisMismatch(f"{what} of shape {x.shape}; needed ({needed})")
    _check_type(x)
    _check_residues(plan, x)
    return x.shape[given:-2]


def _check_factors(plan: Plan, x: Words, y: Words) -> tuple[int, ...]:
    """Demand two elements of two parts each; return the batch axes of their product."""
    left, right = _check_operand("x", plan, x, 2), _check_operand("y", plan, y, 2)
    if left == right:
        return left
    try:
        return np.broadcast_shapes(left, right)
    except ValueError:
        raise BasisMismatch(f"batches {left} and {right} of two factors do not broadcast") from None


def _check_switching(
    gadget: Gadget,
    batch: tuple[int, ...],
    key: Words | None,
    addend: Words | None,
    quotient: Quotient | None = None,
    index: NDArray[np.int64] | None = None,
) -> None:
    """Demand that all else fits what is switched, of which `batch` are the batch axes."""
    if key is not None and _check_operand("key", gadget.plan, key, len(gadget), 2):
        raise BasisMismatch(f"key of shape {key.shape}; a batch shares one key, of four axes")
    if addend is not None:
        parts = 2 if addend.shape[:1] == (2,) else 1
        _check_broadcast("addend", _check_operand("addend", gadget.kept, addend, parts), batch)
    if quotient is not None and quotient.plan is not gadget.plan and quotient.plan != gadget.plan:
        raise BasisMismatch(
            f"a quotient over {len(quotient.plan)} limbs that are not the joint basis of the gadget, "
            f"{len(gadget.plan)} limbs; make it with make_quotient(gadget.plan, ...)"
        )
    if index is not None:
        _check_index(index, gadget.plan.n)


def _check_broadcast(what: str, axes: tuple[int, ...], batch: tuple[int, ...]) -> None:
    if axes == batch:
        return
    try:
        fits = np.broadcast_shapes(axes, batch) == batch
    except ValueError:
        fits = False
    if not fits:
        raise BasisMismatch(f"{what} with the batch axes {axes}, which do not broadcast to {batch}")


def mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words | None = None) -> Words:
    """Return x y + z; leading axes broadcast."""
    return _product_sum(plan, x, y, z, out, source_for(plan.n).mul_add)


def neg_mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words | None = None) -> Words:
    """Return -x y + z; leading axes broadcast."""
    return _product_sum(plan, x, y, z, out, source_for(plan.n).neg_mul_add)


def _product_sum(plan: Plan, x: Words, y: Words, z: Words, out: Words | None, kernel: Callable[..., None]) -> Words:
    shape = _broadcast_shape(np.broadcast_to(x, _broadcast_shape(x, y)), z)
    out = _result(plan, shape, out)
    u, v, w = (_fold(a if a.shape == shape else np.broadcast_to(a, shape), 0) for a in (x, y, z))
    o = _fold_out(out)
    _check_residues(plan, u, v, w)
    _threads.run(lambda s: kernel(plan[s], u[:, s], v[:, s], w[:, s], o[:, s]), len(plan))
    return out


# ---- sampling, rounding, packing -------------------------------------------------------------------------------


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
    _threads.run(lambda s: kernel(plan[s], values, o[:, s]), len(plan))
    return out


def rounded(plan: Plan, x: NDArray[np.float64], scale: float, out: Words | None = None) -> Words:
    """Return the residues (..., L, N) of the integers nearest to scale x, x float64 (..., N), |scale x| < 2^62.

    The product is rounded to a float64, and that to an integer, halves to even, as `numpy.rint` does.
    """
    kernel = source_for(plan.n).rounded
    values, out, o = _plane(plan, x, np.dtype(np.float64), out)
    if _CHECKING and not (np.abs(values * scale) < 2.0**62).all():
        raise RangeError("a number to round is not below 2^62")
    _threads.run(lambda s: kernel(plan[s], values, scale, o[:, s]), len(plan))
    return out


def pack(plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
    """Write residues (B, L, N) to out, (B, sum of `row_bytes`): bits(q) bits a word; see `Kernels.pack`."""
    kernel, spans = source_for(plan.n).pack, _packed(plan, x, out)
    _check_residues(plan, x)
    _threads.run(lambda s: kernel(plan[s], x[:, s], out[:, spans[s.start] : spans[s.stop]]), len(plan))


def unpack(plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
    """Undo `pack`; tell whether every word that was read is below its modulus and all padding is zero."""
    kernel, spans = source_for(plan.n).unpack, _packed(plan, out, x)
    canonical: list[bool] = []
    _threads.run(
        lambda s: canonical.append(kernel(plan[s], x[:, spans[s.start] : spans[s.stop]], out[:, s])), len(plan)
    )
    return all(canonical)


def _plane(plan: Plan, x: NDArray[Any], dtype: np.dtype[Any], out: Words | None) -> tuple[NDArray[Any], Words, Words]:
    """Return x as (B, N), the result, and the result as (B, L, N)."""
    if x.shape[-1:] != (plan.n,) or x.dtype != dtype:
        raise BasisMismatch(f"numbers of shape {x.shape} and type {x.dtype}; needed (..., {plan.n}) of {dtype}")
    out = _of_shape((*x.shape[:-1], len(plan), plan.n), out)
    return np.ascontiguousarray(x).reshape(-1, plan.n), out, _fold_out(out)


def _packed(plan: Plan, words: Words, data: NDArray[np.uint8]) -> list[int]:
    """Check the shapes of `pack`; return where the row of each limb starts, and where the last one ends."""
    spans = list(accumulate((row_bytes(q, plan.n) for q in plan.moduli), initial=0))
    if words.ndim != 3 or words.shape[1:] != (len(plan), plan.n) or words.dtype != np.uint64:
        raise BasisMismatch(f"words of shape {words.shape}; needed (items, {len(plan)}, {plan.n}) of uint64")
    if data.shape != (len(words), spans[-1]) or data.dtype != np.uint8:
        raise BasisMismatch(f"bytes of shape {data.shape}; needed ({len(words)}, {spans[-1]}) of uint8")
    return spans


# ---- folding, splitting, checking ------------------------------------------------------------------------------


def _fold(x: Words, keep: int) -> Words:
    """Merge the axes between the first `keep` and the last two into one; a view wherever strides allow."""
    _check_type(x)
    batch = x.ndim - keep - 2
    if batch == 1:
        return x
    if batch == 0:
        return x[:, None] if keep else x[None]
    # Sizes are spelled out, since -1 is ambiguous for empty arrays.
    return x.reshape(*x.shape[:keep], prod(x.shape[keep:-2]), *x.shape[-2:])


def _fold_out(out: Words) -> Words:
    """Merge the leading axes of a result; never a copy, which would lose what is written to it."""
    if not out.flags.writeable:
        raise BasisMismatch(f"the result array of shape {out.shape} is read-only; pass one of kernels.empty(...)")
    if out.ndim == 3 or out.ndim == 2:
        return _fold(out, 0)
    try:
        view = out.reshape(prod(out.shape[:-2]), *out.shape[-2:], copy=False)
    except ValueError:
        raise BasisMismatch(f"out of strides {out.strides} cannot be viewed with one batch axis") from None
    return _fold(view, 0)


def _result(plan: Plan, shape: tuple[int, ...], out: Words | None) -> Words:
    if shape[-2:] != plan.shape:
        raise BasisMismatch(f"operands of shape {shape}; needed (..., {len(plan)}, {plan.n}) for this basis")
    return _of_shape(shape, out)


def _of_shape(shape: tuple[int, ...], out: Words | None) -> Words:
    if out is None:
        return empty(shape)
    if out.shape != shape:
        raise BasisMismatch(f"out has shape {out.shape}; needed {shape}")
    return out


def _broadcast_shape(x: Words, y: Words) -> tuple[int, ...]:
    if x.shape == y.shape:
        return x.shape
    try:
        shape = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise BasisMismatch(f"shapes {x.shape} and {y.shape} do not broadcast over their leading axes") from None
    if x.shape[-2:] != y.shape[-2:]:
        raise BasisMismatch(f"shapes {x.shape} and {y.shape} differ in limbs or ring degree")
    return (*shape, *x.shape[-2:])


def _broadcast_terms(x: Words, shape: tuple[int, ...]) -> Words:
    """Broadcast the axes after the first of (K, ..., L, N) to `shape`."""
    if x.shape[1:] == shape:
        return x
    missing = len(shape) + 1 - x.ndim
    return np.broadcast_to(x[(slice(None), *(None,) * missing)], (len(x), *shape))


def _unary(
    plan: Plan, x: Words, out: Words | None, kernel: Callable[..., None], *, by_limb: bool = False, passes: int = 1
) -> Words:
    out = _result(plan, x.shape, out)
    u, o = _fold(x, 0), _fold_out(out)
    _check_residues(plan, u)
    if num_threads() == 1:
        kernel(plan, _ALL, u, o) if by_limb else kernel(plan, u, o)
    elif by_limb:
        _threads.run(lambda s: kernel(plan[s], s, u[:, s], o[:, s]), len(plan), passes * o.size)
    else:
        _threads.run(lambda s: kernel(plan[s], u[:, s], o[:, s]), len(plan), passes * o.size)
    return out


def _binary(
    plan: Plan, x: Words, y: Words, out: Words | None, kernel: Callable[..., None], *, by_limb: bool = False
) -> Words:
    shape = _broadcast_shape(x, y)
    out = _result(plan, shape, out)
    u = _fold(x if x.shape == shape else np.broadcast_to(x, shape), 0)
    v = _fold(y if y.shape == shape else np.broadcast_to(y, shape), 0)
    o = _fold_out(out)
    _check_residues(plan, u, v)
    if num_threads() == 1:
        kernel(plan, _ALL, u, v, o) if by_limb else kernel(plan, u, v, o)
    elif by_limb:
        _threads.run(lambda s: kernel(plan[s], s, u[:, s], v[:, s], o[:, s]), len(plan), o.size)
    else:
        _threads.run(lambda s: kernel(plan[s], u[:, s], v[:, s], o[:, s]), len(plan), o.size)
    return out


def _check_type(x: Words) -> None:
    # Identity first: comparing two dtype objects costs more than all else here.
    if (x.dtype is not _UNSIGNED and x.dtype != _UNSIGNED) or (x.strides[-1] != 8 and x.shape[-1] > 1 and x.size):
        raise BasisMismatch(
            f"words of type {x.dtype} with a stride of {x.strides[-1]} bytes; needed native uint64, contiguous along N"
        )


def _check_scalars(plan: Plan, w: Words) -> None:
    if w.shape != (len(plan),) or (w.dtype is not _UNSIGNED and w.dtype != _UNSIGNED):
        raise BasisMismatch(f"scalars of shape {w.shape} and type {w.dtype}; needed ({len(plan)},) of uint64")
    if _CHECKING:
        _check_below(plan.q, w[:, None])


def _check_index(index: NDArray[np.int64], n: int) -> None:
    if index.shape != (n,) or index.dtype != np.int64 or not index.flags.c_contiguous:
        raise BasisMismatch(f"index of shape {index.shape} and type {index.dtype}; needed ({n},) of contiguous int64")


def _check_residues(plan: Plan, *operands: Words) -> None:
    """With CKKS_CHECK=1, demand that every operand is fully reduced; a kernel's contract otherwise."""
    if _CHECKING:
        for x in operands:
            _check_below(plan.q, x)


def _check_below(moduli: Words, x: Words) -> None:
    bad = x >= moduli[:, None]
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise RangeError(f"word {int(x[where])} at {where} is not below its modulus {int(moduli[where[-2]])}")
