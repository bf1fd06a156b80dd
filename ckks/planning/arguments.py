"""What `plan` was given, looked at before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from ckks.errors import ParameterError, RangeError, SlotError
from ckks.rlwe import Ciphertext
from ckks.rlwe.security import LARGEST_LOG2_QP
from ckks.scheme import CKKSParams
from ckks.vector import EncryptedVector

__all__ = ["Function", "Wanted", "checked"]

Function = Callable[..., Any]

_MOST_SLOTS = 2 ** (max(LARGEST_LOG2_QP[128]) - 1)
"""Of the largest ring that is known to be secure."""


@dataclass(frozen=True)
class Wanted:
    """A function, with shapes (..., n) and ranges of its inputs, and the slots they are given (None: all there are)."""

    function: Function
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[float, ...]
    declared_slots: int | None = None

    @property
    def slots(self) -> int:
        """How many a ciphertext has to have at least."""
        return self.declared_slots or max(shape[-1] for shape in self.shapes)


def checked(
    function: Function,
    shapes: Sequence[Any],
    ranges: Any,
    slots: Any,
    precision_bits: Any,
    security: Any,
    params: Any,
) -> Wanted:
    """Return what is wanted; raise SlotError, RangeError or ParameterError for what makes no sense."""
    if not callable(function):
        raise ParameterError(
            f"a function of type {type(function).__name__}; needed one of encrypted vectors, then shapes"
        )
    found = tuple(map(_shape, shapes))
    if not found:
        raise SlotError("no shapes; needed one for each input of the function, (..., n): batch axes, then n values")
    _check_count(function, len(found))
    if params is not None and not isinstance(params, CKKSParams):
        raise ParameterError(
            f"params={_shown(params)}; needed CKKSParams, or nothing: the smallest ring is found, and slots=n asks for "
            "one that holds n values"
        )
    if not _is_number(precision_bits) or not precision_bits > 0:
        raise ParameterError(f"precision_bits={_shown(precision_bits)}; needed a number above 0, 20 for errors of 1e-6")
    if not _is_integer(security) or security not in LARGEST_LOG2_QP:
        raise ParameterError(f"security={_shown(security)}; needed 128, 192 or 256 bits")
    wanted = Wanted(function, found, _ranges(ranges, len(found)), _slots(slots, found))
    if params is None and wanted.slots > _MOST_SLOTS:
        raise SlotError(
            f"{wanted.slots} values in a ciphertext; the largest ring, 2^17, has {_MOST_SLOTS} slots: split them into "
            f"chunks, as leading axis of a batch, ({-(-wanted.slots // _MOST_SLOTS)}, {_MOST_SLOTS}) say"
        )
    return wanted


def _shape(given: Any) -> tuple[int, ...]:
    if isinstance(given, (np.ndarray, EncryptedVector, Ciphertext)):
        raise SlotError(
            f"a {type(given).__name__} of shape {given.shape} in place of a shape: ckks.plan(function, {given.shape}); "
            "values play no part"
        )
    axes = (given,) if _is_integer(given) else given
    if not isinstance(axes, (tuple, list)) or not axes or not all(_is_integer(n) and n >= 1 for n in axes):
        raise SlotError(
            f"shape {_shown(given)}; needed (..., n), integers from 1: batch axes, then n values; or n alone"
        )
    return tuple(map(int, axes))


def _ranges(given: Any, count: int) -> tuple[float, ...]:
    several = isinstance(given, (tuple, list, np.ndarray))
    each = tuple(given) if several else (given,) * count
    if len(each) == 2 and all(map(_is_number, each)) and each[0] <= 0 < each[1]:
        most = max(-each[0], each[1])
        raise RangeError(
            f"ranges={_shown(given)}, which look like two ends; needed one bound on |value| for each input: "
            f"ranges={most:g}"
        )
    if len(each) != count or not all(_is_number(r) and 0 < r < float("inf") for r in each):
        raise RangeError(
            f"ranges={_shown(given)} for {count} input{'s' * (count > 1)}; needed one positive number, a bound on "
            "|value|, or one for each input"
        )
    return tuple(map(float, each))


def _slots(given: Any, shapes: tuple[tuple[int, ...], ...]) -> int | None:
    if given is None:
        return None
    if not _is_integer(given) or given < max(shape[-1] for shape in shapes) or given & (given - 1):
        raise SlotError(f"slots={_shown(given)} for inputs {shapes}; needed a power of two that holds their last axis")
    return int(given)


def _check_count(function: Function, count: int) -> None:
    """Refuse a function that does not take so many inputs; one whose signature is unknown is simply called."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        raise ParameterError(
            f"{count} shape{'s' * (count > 1)} for {name}{signature}: {error}; needed one shape for each input (fix "
            "other arguments with functools.partial)"
        ) from None


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and isfinite(value)


def _shown(value: Any) -> str:
    """Its repr, if that is short."""
    text = repr(value)
    return text if len(text) <= 60 else f"<{type(value).__name__}>"
