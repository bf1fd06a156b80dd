"""Compositions of kernels, which a source may have as one call of its own; their definition is `composed`.

Arguments are checked here, so that a source, compiled or not, gets none that it could read beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch
from ckks.kernels import composed
from ckks.kernels.backends import source_for
from ckks.kernels.gadgets import Gadget, Quotient
from ckks.kernels.interface import Plan, Words
from ckks.kernels.shapes import check_index, check_residues, check_type


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
        check_index(index, quotient.plan.n)
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


def lift_terms(
    gadget: Gadget,
    x: Words,
    digits: Words,
    keys: Sequence[Words | None],
    indices: Sequence[NDArray[np.int64] | None],
) -> Words:
    """Return the terms of `switch_sum` one by one and undivided, (T, 2, ..., k + l, N); see `composed.lift_terms`."""
    batch = _check_operand("digits", gadget.plan, digits, len(gadget))
    if _check_operand("x", gadget.kept, x, 2) != batch or not 1 <= len(keys) == len(indices):
        raise BasisMismatch(
            f"{len(keys)} keys and {len(indices)} indices for x of shape {x.shape} and digits of shape {digits.shape}; "
            "needed one of each for every term, at least one term, and one batch"
        )
    for key, index in zip(keys, indices, strict=True):
        _check_switching(gadget, batch, key, None, None, index)
    result: Words = _fused("lift_terms", gadget.plan.n)(gadget, x, digits, keys, indices)
    return result


def lift_switch(gadget: Gadget, x: Words, key: Words, joint: Words, index: NDArray[np.int64]) -> Words:
    """Return what `switch` divides, with `joint` (..., k + l, N) added to its first part: `composed.lift_switch`."""
    batch = _check_operand("x", gadget.kept, x)
    _check_switching(gadget, batch, key, None, None, index)
    if _check_operand("joint", gadget.plan, joint) != batch:
        raise BasisMismatch(f"joint of shape {joint.shape} for x of shape {x.shape}; needed one batch")
    result: Words = _fused("lift_switch", gadget.plan.n)(gadget, x, key, joint, index)
    return result


def combine(plan: Plan, x: Words, y: Words) -> Words:
    """Return sum over k of y[m, k] x[k], (M, ..., L, N), of x (K, ..., L, N) and y (M, K, L, n); `composed.combine`."""
    n, limbs = plan.n, len(plan)
    if x.ndim < 3 or x.shape[-2:] != (limbs, n) or not 1 <= len(x) <= 1024:
        raise BasisMismatch(f"terms of shape {x.shape}; needed (K, ..., {limbs}, {n}), 1 <= K <= 1024")
    if y.ndim != 4 or y.shape[1:3] != (len(x), limbs) or not y.shape[3] or n % y.shape[3]:
        raise BasisMismatch(f"factors of shape {y.shape} for {len(x)} terms; needed (M, {len(x)}, {limbs}, n), n | {n}")
    check_type(x)
    check_type(y)
    check_residues(plan, x, y)
    result: Words = _fused("combine", n)(plan, x, y)
    return result


def small_products(plan: Plan, x: Words, y: NDArray[np.signedinteger[Any]], total: Words | None = None) -> Words:
    """Return sum over k of y[m, k] x[k], (M, 2, L, N): ciphertexts x (K, 2, L, N), integer coefficients y (M, K, N).

    Transforms of y are made as they are needed and not kept. With `total` the sums are added to it, in place.
    See `composed.small_products`.
    """
    if x.ndim != 4 or x.shape[1:] != (2, *plan.shape) or not 1 <= len(x) <= 1024:
        raise BasisMismatch(f"terms of shape {x.shape}; needed (K, 2, {len(plan)}, {plan.n}), 1 <= K <= 1024")
    if y.ndim != 3 or y.shape[1:] != (len(x), plan.n) or y.dtype.kind != "i":
        raise BasisMismatch(
            f"integers of shape {y.shape} and type {y.dtype} for {len(x)} terms; needed signed ones, "
            f"(M, {len(x)}, {plan.n})"
        )
    check_type(x)
    check_residues(plan, x)
    if total is not None:
        if total.shape != (len(y), *x.shape[1:]):
            raise BasisMismatch(f"total of shape {total.shape}; needed {(len(y), *x.shape[1:])}")
        check_type(total)
        check_residues(plan, total)
    if y.itemsize > 4:
        return composed.small_products(plan, x, y, total)
    result: Words = _fused("small_products", plan.n)(plan, x, y, total)
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
    check_type(x)
    check_residues(plan, x)
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
        check_index(index, gadget.plan.n)


def _check_broadcast(what: str, axes: tuple[int, ...], batch: tuple[int, ...]) -> None:
    if axes == batch:
        return
    try:
        fits = np.broadcast_shapes(axes, batch) == batch
    except ValueError:
        fits = False
    if not fits:
        raise BasisMismatch(f"{what} with the batch axes {axes}, which do not broadcast to {batch}")
