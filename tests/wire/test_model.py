"""Descriptions of models: JSON in one form, bounded before it is parsed."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import objects
from wire.independent import write_model

from ckks.errors import SerializationError
from ckks.scheme.serialization import (
    HEAD_BYTES,
    Kind,
    legal_length,
    model_from_bytes,
    model_length,
    model_to_bytes,
    read_header,
)
from ckks.scheme.serialization_model import MAX_BYTES, MAX_DEPTH, MAX_VALUES

P = objects.tiny()


def framed(body: bytes) -> bytes:
    return objects.with_body(objects.stored("model"), body)


def load(body: bytes) -> dict[str, Any]:
    return model_from_bytes(framed(body), P)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


@settings(max_examples=60)
@given(st.dictionaries(keys, values, max_size=5))
def test_descriptions_come_back_and_have_one_form(description: dict[str, Any]) -> None:
    try:
        data = model_to_bytes(description, P)
    except SerializationError as error:
        assert "nested" in str(error)
        return
    back = model_from_bytes(data, P)
    assert repr(sorted_keys(back)) == repr(sorted_keys(description))  # repr tells -0.0 from 0, and 1 from 1.0 and True
    assert model_to_bytes(back, P) == data
    assert data[144:-32].decode() == write_model(description)


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value


def test_lengths_and_heads() -> None:
    data = objects.stored("model")
    assert legal_length(data[:HEAD_BYTES], P) == model_length(data[:HEAD_BYTES], P) == len(data)
    with pytest.raises(SerializationError, match="found model; needed a key"):
        read_header(data, P)
    with pytest.raises(SerializationError, match="found plaintext; needed model"):
        model_length(objects.stored("plaintext"), P)
    with pytest.raises(SerializationError, match="field is set"):
        model_length(objects.with_bytes(data, 71, b"\1"), P)
    for length in (0, 1, MAX_BYTES + 1, 2**64 - 1):
        with pytest.raises(SerializationError, match=f"body length {length}; needed 2 to"):
            model_length(data[:136] + length.to_bytes(8, "little"), P)
    assert data[10] == Kind.MODEL == 8


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"12", b'"text"', b"null", b"  ", b"{ }", b"{}\n", b"\xef\xbb\xbf{}", b"{}{}", b"{} ",
        b'{"a": 1}', b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"b":1,"a":2}', b'{"a":1,}', b"{'a':1}", b'{"a"}', b'{1:2}',
        b'{"a":01}', b'{"a":+1}', b'{"a":-0}', b'{"a":1.}', b'{"a":.5}', b'{"a":1e5}', b'{"a":1E5}', b'{"a":100000.00}',
        b'{"a":1e+05}', b'{"a":0.10}', b'{"a":0.1000000000000000055511151231257827}', b'{"a":1e400}', b'{"a":-1e400}',
        b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":nan}', b'{"a":True}', b'{"a":0x10}',
        b'{"a":9007199254740992}', b'{"a":-9007199254740992}', b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\u0061"}', b'{"a":"\\/"}', b'{"a":"\\u000a"}', b'{"a":"\\u00E9"}', b'{"a":"\\u00e9"}', b'{"a":"\t"}',
        b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}',
        b'{"\\ud800":1}', b'{"a":"x}', b'{"a":"x\\"}', b'{"a":"\\x"}', b"{/**/}", b"{", b"}", b"{}]", b'{"a":[1,2}',
    ],
)  # fmt: skip
def test_every_other_form_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationError) as caught:
        load(body)
    text = str(caught.value)
    assert len(text) < 200 and (not body[6:] or body[6:].decode("latin-1") not in text)  # nothing of it is quoted


@pytest.mark.parametrize(
    "description",
    [
        [], "text", None, 1, {1: 2}, {None: 1}, {("a",): 1}, {"a": {1: 1}}, {"a": {1, 2}}, {"a": b"x"}, {"a": 1j},
        {"a": float("nan")}, {"a": [float("inf")]}, {"a": 2**53}, {"a": -(2**53)}, {"a": "\ud800"}, {"\udfff": 1},
        {"a": np.int64(1)}, {"a": np.zeros(2)}, {"a": object()},
    ],
    ids=repr,
)  # fmt: skip
def test_what_has_no_place_in_json_is_not_stored(description: Any) -> None:
    with pytest.raises(SerializationError):
        model_to_bytes(description, P)


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value} if depth % 2 else [value]
    return value if isinstance(value, dict) else {"a": value}


def test_nesting_is_bounded_on_both_ways() -> None:
    deepest = {"a": nested(MAX_DEPTH - 1)}
    assert model_from_bytes(model_to_bytes(deepest, P), P) == deepest
    endless: dict[str, Any] = {}
    endless["a"] = endless
    for too_deep in ({"a": nested(MAX_DEPTH)}, nested(5000), endless):
        with pytest.raises(SerializationError, match=r"nested \d+ deep; needed at most 16"):
            model_to_bytes(too_deep, P)
    for body in (
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * MAX_BYTES,
        b'{"a":' * 200_000,
        b'{"\\"":' + b"[" * 17,
        b'{"a":"\\\\","b":' + b"[" * 17,
    ):
        with pytest.raises(SerializationError, match="deep; needed at most 16"):
            load(body)
    brackets = {"a" * 5 + "[{" * 1000: '"[[' + "\\" * 7 + '"{{' * 50}  # within texts they nest nothing
    assert model_from_bytes(model_to_bytes(brackets, P), P) == brackets


def test_the_bounds_are_those_of_the_format() -> None:
    """By heart, as docs/wire-format.md states them: another library has no module to ask."""
    assert (MAX_BYTES, MAX_DEPTH, MAX_VALUES) == (2**20, 16, 2**15)


def test_values_and_bytes_are_bounded_on_both_ways() -> None:
    most = {"a": [0] * (MAX_VALUES - 2)}  # { : [ and a comma less than there are zeros: MAX_VALUES
    assert model_from_bytes(model_to_bytes(most, P), P) == most
    with pytest.raises(SerializationError, match=f"{MAX_VALUES + 1} values"):
        model_to_bytes({"a": [0] * (MAX_VALUES - 1)}, P)
    with pytest.raises(SerializationError, match=f"{MAX_VALUES + 1} values"):
        load(json.dumps({"a": [0] * (MAX_VALUES - 1)}, separators=(",", ":")).encode())
    longest = {"a": "x" * (MAX_BYTES - 8)}
    assert (
        len(model_to_bytes(longest, P)) == MAX_BYTES + 176
        and model_from_bytes(model_to_bytes(longest, P), P) == longest
    )
    with pytest.raises(SerializationError, match="needed at most 1048576"):
        model_to_bytes({"a": "x" * (MAX_BYTES - 7)}, P)


def timed(call: Callable[[], None]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


FULL = MAX_BYTES - 16
HOSTILE: dict[str, bytes] = {
    "opening brackets": b"[" * MAX_BYTES,
    "quotes": b'"' * MAX_BYTES,
    "a text without end": b'"' + b'\\"' * (FULL // 2),
    "backslashes": b"\\" * MAX_BYTES,
    "commas": b"," * MAX_BYTES,
    "a long integer": b'{"a":' + b"9" * FULL + b"}",
    "a long fraction": b'{"a":0.' + b"0" * FULL + b"1}",
    "empty lists": b'{"a":[' + b"[]," * (MAX_VALUES // 2 - 4) + b"[]]}",
    "small objects": b'{"a":[' + b'{"a":0},' * (MAX_VALUES // 3 - 4) + b"0]}",
    "keys": b"{" + b",".join(b'"%05x":0' % i for i in range(MAX_VALUES // 2 - 1)) + b"}",
    "numbers": b'{"a":[' + b"0.1," * (MAX_VALUES - 4) + b"0.1]}",
    "texts": b'{"a":[' + b",".join(b'"%05x"' % i for i in range(MAX_VALUES - 4)) + b"]}",
    "one wide character": b'{"a":"' + b"x" * FULL + "\U0001f600".encode() + b'"}',
    "escapes and a wide character": b'{"a":"' + b'\\"' * (FULL // 2 - 2) + "\U0001f600".encode() + b'"}',
    "control characters": b'{"a":"' + b"\\u0001" * (FULL // 6) + b'"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_cost_little(name: str, figure: Any) -> None:
    """W1: 100 ms of processor time, and the frame's length and 16 MiB."""
    data = framed(HOSTILE[name])

    def read() -> None:
        with contextlib.suppress(SerializationError):
            model_from_bytes(data, P)

    seconds = min(timed(read) for _ in range(3))  # a collection of all that the tests hold is not the reader's
    tracemalloc.start()
    read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.1 and peak < len(data) + 2**24
    figure("W1", f"model of {len(data)} bytes, {name}: {seconds * 1e3:.0f} ms, {peak / 2**20:.1f} MiB")
