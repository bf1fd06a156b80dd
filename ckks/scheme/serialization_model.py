"""Descriptions of hosted models as bytes: a frame of kind MODEL, whose body is JSON in one canonical form.

The form, and every bound, is in docs/wire-format.md: UTF-8, an object at the top, keys sorted, no space, each number
and text written in one way, at most MAX_BYTES bytes, MAX_VALUES values and keys, MAX_DEPTH objects and arrays within
each other. Whatever differs from what `model_to_bytes` writes is refused. What a description says is up to its user.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import numpy as np

from ckks.errors import SerializationError
from ckks.rlwe.frame import CHECKSUM_BYTES, HEAD_BYTES, NO_SCHEME, Buffer, Kind, read_body, read_head, write_frame
from ckks.rlwe.packing import Bytes
from ckks.rlwe.params import RLWEParams

MAX_BYTES = 2**20
"""A longer description is neither stored nor loaded."""

MAX_VALUES = 2**15
"""Commas, colons and opening brackets outside of texts: no more values and keys than that."""

MAX_DEPTH = 16
"""Objects and arrays within each other, the outermost included."""

LARGEST_INTEGER = 2**53 - 1
"""Larger integers, of either sign, are written as texts: many readers hold numbers in doubles."""

_NO_FIELDS = bytes(28)
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_COUNTED = np.zeros(256, dtype=np.bool_)
_COUNTED[list(b"[{,:")] = True


def model_to_bytes(description: dict[str, Any], params: RLWEParams) -> bytes:
    """Return a description, made of dict, list, str, int, float, bool and None, as bytes; not encrypted.

    Raises:
        SerializationError: it holds something else, a number that is not finite or too large, keys that are not
            text, text that is not Unicode, or exceeds a bound of this module.
    """
    _check_values(description)
    body = _canonical(description)
    _check_structure(body)
    if len(body) > MAX_BYTES:
        raise SerializationError(f"{Kind.MODEL}: {len(body)} bytes; needed at most {MAX_BYTES}")

    def fill(out: Bytes) -> None:
        out[:] = np.frombuffer(body, dtype=np.uint8)

    return write_frame(Kind.MODEL, params.digest, _NO_FIELDS, NO_SCHEME, len(body), fill)


def model_from_bytes(data: Buffer, params: RLWEParams) -> dict[str, Any]:
    """Return the description of a model for `params`; raise SerializationError for anything else."""
    body = read_body(data, Kind.MODEL, model_length(data, params) - HEAD_BYTES - CHECKSUM_BYTES).tobytes()
    _check_structure(body)
    try:
        description = _DECODER.decode(body.decode("utf-8"))
        same = isinstance(description, dict) and _canonical(description) == body
    except SerializationError:
        raise
    except ValueError as error:  # what is no JSON or no UTF-8; the reason alone, not the text
        raise SerializationError(f"{Kind.MODEL}: not JSON in UTF-8, {type(error).__name__}") from None
    if not same:
        raise SerializationError(
            f"{Kind.MODEL}: not the canonical form of an object: sorted keys, each once, no space, shortest numbers"
        )
    found: dict[str, Any] = description
    return found


def model_length(head: Buffer, params: RLWEParams) -> int:
    """Return the length of the frame of a description, from at least the first HEAD_BYTES bytes of it.

    Raises:
        SerializationError: no frame, another kind or other parameters, or a body beyond MAX_BYTES.
    """
    found = read_head(head)
    if found.kind is not Kind.MODEL:
        raise SerializationError(f"found {found.kind}; needed {Kind.MODEL}")
    found.check_digest(params.digest)
    if found.fields != _NO_FIELDS or found.scheme != NO_SCHEME:
        raise SerializationError(f"{Kind.MODEL} header: a field is set; needed zeros")
    if not 2 <= found.body_length <= MAX_BYTES:
        raise SerializationError(f"{Kind.MODEL}: body length {found.body_length}; needed 2 to {MAX_BYTES}")
    return HEAD_BYTES + found.body_length + CHECKSUM_BYTES


def _canonical(description: dict[str, Any]) -> bytes:
    try:
        return json.dumps(
            description, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode("utf-8")
    except ValueError:
        raise SerializationError(f"{Kind.MODEL}: a number that is not finite, or text that is not Unicode") from None


def _check_structure(body: bytes) -> None:
    """Bound nesting and number of values before anything is built from them, in a few passes over the bytes.

    Without its escaped backslashes and quotes, a byte lies within a text when the number of quotes before it is odd.
    A parser that is fooled has met a backslash outside of a text, and stopped there.
    """
    signs = np.frombuffer(body.replace(rb"\\", b"").replace(rb"\"", b""), dtype=np.uint8)
    outside = signs[np.cumsum(signs == ord('"'), dtype=np.uint8) % 2 == 0]
    depth = int(np.cumsum(_STEP[outside], dtype=np.int32).max(initial=0))
    if depth > MAX_DEPTH:
        raise SerializationError(f"{Kind.MODEL}: nested {depth} deep; needed at most {MAX_DEPTH}")
    values = np.count_nonzero(_COUNTED[outside])
    if values > MAX_VALUES:
        raise SerializationError(f"{Kind.MODEL}: {values} values and keys; needed at most {MAX_VALUES}")


def _check_values(description: dict[str, Any]) -> None:
    """Refuse what has no place in JSON, or comes back as something else; no recursion."""
    if not isinstance(description, dict):
        raise SerializationError(f"{Kind.MODEL}: {type(description).__name__}; needed a dict")
    pending: list[tuple[Any, int]] = [(description, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, dict | list | tuple):
            if depth > MAX_DEPTH:
                raise SerializationError(f"{Kind.MODEL}: nested {depth} deep; needed at most {MAX_DEPTH}")
            if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
                raise SerializationError(f"{Kind.MODEL}: a key that is not text; needed str")
            inner = value.values() if isinstance(value, dict) else value
            pending += [(item, depth + 1) for item in inner]
        elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise SerializationError(f"{Kind.MODEL}: an integer beyond 2^53 - 1; write it as text")
        elif isinstance(value, float) and not isfinite(value):
            raise SerializationError(f"{Kind.MODEL}: the number {value}; needed finite ones")
        elif not (value is None or isinstance(value, str | int | float)):
            raise SerializationError(
                f"{Kind.MODEL}: a value of type {type(value).__name__}; "
                "needed dict, list, str, int, float, bool or None"
            )


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > LARGEST_INTEGER:
        raise SerializationError(f"{Kind.MODEL}: an integer beyond 2^53 - 1; needed text")
    return number


def _real(text: str) -> float:
    if len(text) > 24:  # no double needs more
        raise SerializationError(f"{Kind.MODEL}: a number of {len(text)} characters; needed the shortest form")
    return float(text)


def _no_number(text: str) -> float:
    raise SerializationError(f"{Kind.MODEL}: the number {text}; needed finite ones")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_no_number)
