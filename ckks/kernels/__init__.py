"""Loops over uint64 residue arrays: the only place that knows there are several backends.

Functions here take arrays of any leading shape, (..., limbs, N), allocate the result, fold the leading axes into
one batch axis, split the work between threads and call the active source. The words that come back depend on
nothing but the operands. The loops are here; `fused` has those that are compositions, `streams` those from and to
anything but residues, `shapes` what all of them do with arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch
from ckks.kernels import shapes
from ckks.kernels import threads as _threads
from ckks.kernels.backends import NAMES, active, available, load, source_for, use
from ckks.kernels.fused import (
    combine,
    decompose,
    divide,
    inner,
    lift_switch,
    lift_terms,
    small_products,
    switch,
    switch_digits,
    switch_product,
    switch_sum,
    tensor,
)
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
    apart,
    empty,
    kept_bytes,
    memory_report,
    release,
    reset_peak,
    wiping,
    zeros,
)
from ckks.kernels.shapes import (
    broadcast_shape,
    broadcast_terms,
    check_below,
    check_index,
    check_residues,
    check_scalars,
    fold,
    fold_out,
    of_shape,
    result_for,
)
from ckks.kernels.streams import binomial, pack, rounded, small, take_below, take_ternary, unpack
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
    "apart",
    "available",
    "binomial",
    "combine",
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
    "lift_switch",
    "lift_terms",
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
    "small_products",
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
    check_scalars(plan, w)
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, w[s], o), by_limb=True)


def mul_scalar(plan: Plan, x: Words, w: Words, out: Words | None = None) -> Words:
    """Return w x, one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).mul_scalar
    check_scalars(plan, w)
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, w[s], o), by_limb=True)


def mul_scalar_add(plan: Plan, x: Words, w: Words, y: Words, out: Words | None = None) -> Words:
    """Return w x + y, one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).mul_scalar_add
    check_scalars(plan, w)
    return _binary(plan, x, y, out, lambda p, s, u, v, o: kernel(p, u, w[s], v, o), by_limb=True)


def sub_mul_scalar(plan: Plan, x: Words, y: Words, w: Words, out: Words | None = None) -> Words:
    """Return w (x - y), one scalar per limb: w of shape (L,) in [0, q)."""
    kernel = source_for(plan.n).sub_mul_scalar
    check_scalars(plan, w)
    return _binary(plan, x, y, out, lambda p, s, u, v, o: kernel(p, u, v, w[s], o), by_limb=True)


def dot(plan: Plan, x: Words, y: Words, out: Words | None = None) -> Words:
    """Return sum over k of x[k] y[k]: x and y are (K, ..., L, N), the axes after K broadcast; K <= 1024."""
    if x.ndim < 3 or y.ndim < 3 or len(x) != len(y) or not 1 <= len(x) <= 1024:
        raise BasisMismatch(
            f"dot of shapes {x.shape} and {y.shape}; needed (K, ..., limbs, N) with equally many terms, 1 to 1024"
        )
    kernel = source_for(plan.n).dot
    shape = broadcast_shape(x[0], y[0])
    out = result_for(plan, shape, out)
    u, v, o = fold(broadcast_terms(x, shape), 1), fold(broadcast_terms(y, shape), 1), fold_out(out)
    check_residues(plan, u, v)
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
    out = result_for(plan, x.shape[1:], out)
    u, o = fold(x, 1), fold_out(out)
    check_residues(plan, u, w[:, :, None])
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
    out = of_shape(shape, out)
    u, o = fold(x, 0), fold_out(out)
    if shapes.CHECKING:
        check_below(np.array(table.source, dtype=np.uint64), u)
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
    check_index(index, x.shape[-1])
    kernel = source_for(x.shape[-1]).gather
    out = of_shape(x.shape, out)
    u, o = fold(x, 0), fold_out(out)
    if num_threads() == 1:
        kernel(u, index, o)
    else:
        _threads.run(lambda s: kernel(u[:, s], index, o[:, s]), u.shape[1], o.size)
    return out


def gather_signed(plan: Plan, x: Words, index: NDArray[np.int64], out: Words | None = None) -> Words:
    """Return the automorphism of (..., L, N) coefficients: x[index], negated where index >= N (then index - N)."""
    check_index(index, plan.n)
    kernel = source_for(plan.n).gather_signed
    return _unary(plan, x, out, lambda p, s, u, o: kernel(p, u, index, o), by_limb=True)


def signed(
    plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None = None, out: Words | None = None
) -> Words:
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
    out = of_shape((*low.shape[:-1], len(plan), plan.n), out)
    lo, hi = (None if v is None else np.ascontiguousarray(v, dtype=np.int64).reshape(-1, plan.n) for v in (low, high))
    assert lo is not None
    o = fold_out(out)
    _threads.run(lambda s: kernel(plan[s], lo, hi, o[:, s]), len(plan), o.size)
    return out


def mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words | None = None) -> Words:
    """Return x y + z; leading axes broadcast."""
    return _product_sum(plan, x, y, z, out, source_for(plan.n).mul_add)


def neg_mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words | None = None) -> Words:
    """Return -x y + z; leading axes broadcast."""
    return _product_sum(plan, x, y, z, out, source_for(plan.n).neg_mul_add)


def _product_sum(plan: Plan, x: Words, y: Words, z: Words, out: Words | None, kernel: Callable[..., None]) -> Words:
    shape = broadcast_shape(np.broadcast_to(x, broadcast_shape(x, y)), z)
    out = result_for(plan, shape, out)
    u, v, w = (fold(a if a.shape == shape else np.broadcast_to(a, shape), 0) for a in (x, y, z))
    o = fold_out(out)
    check_residues(plan, u, v, w)
    _threads.run(lambda s: kernel(plan[s], u[:, s], v[:, s], w[:, s], o[:, s]), len(plan), o.size)
    return out


# ---- loops -----------------------------------------------------------------------------------------------------


def _unary(
    plan: Plan, x: Words, out: Words | None, kernel: Callable[..., None], *, by_limb: bool = False, passes: int = 1
) -> Words:
    out = result_for(plan, x.shape, out)
    u, o = fold(x, 0), fold_out(out)
    check_residues(plan, u)
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
    shape = broadcast_shape(x, y)
    out = result_for(plan, shape, out)
    u = fold(x if x.shape == shape else np.broadcast_to(x, shape), 0)
    v = fold(y if y.shape == shape else np.broadcast_to(y, shape), 0)
    o = fold_out(out)
    check_residues(plan, u, v)
    if num_threads() == 1:
        kernel(plan, _ALL, u, v, o) if by_limb else kernel(plan, u, v, o)
    elif by_limb:
        _threads.run(lambda s: kernel(plan[s], s, u[:, s], v[:, s], o[:, s]), len(plan), o.size)
    else:
        _threads.run(lambda s: kernel(plan[s], u[:, s], v[:, s], o[:, s]), len(plan), o.size)
    return out
