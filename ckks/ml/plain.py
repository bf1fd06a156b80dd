"""Checked reading of plain values: what JSON gives, and no more than was announced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError

__all__ = ["fields", "items", "matrix", "number", "optional", "text", "whole"]

MAX_TEXT = 1000
MAX_ITEMS = 1 << 20
_REMEDY = "use a description written by to_dict() of the same version"


def fields(value: object, what: str, names: Iterable[str]) -> Mapping[str, Any]:
    """Return `value` as a mapping with exactly the keys `names`; ModelError otherwise."""
    wanted = sorted(names)
    if not isinstance(value, Mapping) or sorted(map(str, value)) != wanted:
        found = sorted(map(str, value))[:20] if isinstance(value, Mapping) else f"a {type(value).__name__}"
        raise ModelError(f"{what}: found {found}; needed exactly {wanted}: {_REMEDY}")
    return value


def items(value: object, what: str, most: int = MAX_ITEMS) -> list[Any]:
    """Return `value` as a list of at most `most` entries; ModelError otherwise."""
    if not isinstance(value, list | tuple) or len(value) > most:
        raise ModelError(f"{what}: found {_kind(value)}; needed a list of at most {most}: {_REMEDY}")
    return list(value)


def text(value: object, what: str) -> str:
    """Return `value` as text of at most 1000 characters; ModelError otherwise."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ModelError(f"{what}: found {_kind(value)}; needed text of at most {MAX_TEXT} characters: {_REMEDY}")
    return value


def number(value: object, what: str) -> float:
    """Return `value` as a finite float (True and False are no numbers); ModelError otherwise."""
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ModelError(f"{what}: found {_kind(value)}; needed a finite number: {_REMEDY}")
    return found


def whole(value: object, what: str, low: int, high: int) -> int:
    """Return `value` as an integer from low to high; ModelError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ModelError(f"{what}: found {_kind(value)}; needed an integer from {low} to {high}: {_REMEDY}")
    return value


def optional(value: Any, read: Any, *arguments: Any) -> Any:
    """Return None for None, else read(value, *arguments)."""
    return None if value is None else read(value, *arguments)


def matrix(value: object, what: str, columns: int | None = None) -> NDArray[np.float64]:
    """Return a list of rows of finite numbers as an array, read-only; (columns,) numbers where rows are no lists."""
    rows = items(value, what)
    try:
        found = np.array(rows)
    except ValueError:  # rows of different lengths
        found = np.array(None)
    array = found.astype(np.float64) if found.dtype.kind in "if" else np.full(1, np.nan)
    wrong_width = columns is not None and (not array.ndim or array.shape[-1] != columns)
    if array.ndim not in (1, 2) or not array.size or not np.isfinite(array).all() or wrong_width:
        raise ModelError(
            f"{what}: found {_kind(value)} of shape {array.shape}; needed finite numbers"
            + (f", {columns} a row" if columns is not None else "")
            + f": {_REMEDY}"
        )
    array.flags.writeable = False
    return array


def _kind(value: object) -> str:
    if isinstance(value, int | float | str):
        return repr(value)[:60]
    return "nothing" if value is None else f"a {type(value).__name__}"
