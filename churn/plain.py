"""Checked reading of plain values: what JSON gives, and no more than was announced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from churn.errors import ModelError, nearest

__all__ = ["MAX_TEXT", "fields", "items", "number", "text", "whole"]

MAX_TEXT = 200  # characters in a name, a category or a label


def fields(value: object, what: str, names: Iterable[str]) -> Mapping[str, object]:
    """Return `value` as a mapping that has exactly the keys `names`; ModelError otherwise."""
    wanted = list(names)
    needed = "exactly these are needed: " + ", ".join(wanted)
    remedy = "Use a description written by to_dict() of the same version"
    if not isinstance(value, Mapping):
        raise ModelError(f"{what} is {_kind(value)}, not named parts", needed, remedy)
    missing = [name for name in wanted if name not in value]
    unknown = [str(key)[:MAX_TEXT] for key in value if key not in wanted]
    if missing:
        hint = nearest(missing[0], unknown).replace("known name", "name present")
        raise ModelError(f"{what} lacks {missing[0]!r}{hint}", needed, remedy)
    if unknown:
        raise ModelError(f"{what} has an unknown part {unknown[0]!r}{nearest(unknown[0], wanted)}", needed, remedy)
    return value


def items(value: object, what: str, most: int) -> list[object]:
    """Return `value` as a list of 1 .. `most` entries; ModelError otherwise."""
    if not isinstance(value, list):
        raise _wrong(what, _kind(value), "a list")
    if not 1 <= len(value) <= most:
        raise _wrong(what, f"a list of {len(value)} entries", f"1 to {most} entries")
    return value


def text(value: object, what: str) -> str:
    """Return `value` as text of 1 .. 200 characters; ModelError otherwise."""
    if not isinstance(value, str):
        raise _wrong(what, _kind(value), "text")
    if not 1 <= len(value) <= MAX_TEXT:
        raise _wrong(what, f"text of {len(value)} characters", f"1 to {MAX_TEXT} characters")
    return value


def number(value: object, what: str) -> float:
    """Return `value` as a finite float (True and False are not numbers); ModelError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(what, _kind(value), "a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise _wrong(what, "not finite", "a finite number")
    return result


def whole(value: object, what: str, low: int, high: int) -> int:
    """Return `value` as an integer in [low, high]; ModelError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(what, _kind(value), "a whole number")
    if not low <= value <= high:
        raise _wrong(what, str(value) if abs(value) < 1 << 64 else "a huge number", f"{low} to {high}")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _wrong(what: str, found: str, needed: str) -> ModelError:
    return ModelError(
        f"{what} is {found}", f"{needed} is needed", "Correct it, or use a description written by to_dict()"
    )
