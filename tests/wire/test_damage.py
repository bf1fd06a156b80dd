"""Any change to a stored object is noticed: the checksum sees what the other checks would let pass."""

from __future__ import annotations

import random
from typing import Any

import pytest
from wire import objects

from ckks.errors import BasisMismatch, SerializationError

REFUSALS = (SerializationError, BasisMismatch)
"""The second only from a secret key file, whose digest was changed into that of other parameters."""


def assert_refused(name: str, data: bytes) -> None:
    expected = REFUSALS if name == "secret key" else SerializationError
    with pytest.raises(expected) as caught:
        objects.CASES[name].load(data, objects.tiny())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", objects.CASES)
def test_every_flipped_bit_is_refused(name: str, figure: Any) -> None:
    data = bytearray(objects.stored(name))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        assert_refused(name, bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    figure("W2", f"{name}: each of {8 * len(data)} bits flipped: all refused")


@pytest.mark.parametrize("name", objects.CASES)
def test_every_cut_is_refused(name: str) -> None:
    data = objects.stored(name)
    for length in range(len(data)):
        assert_refused(name, data[:length])
        assert_refused(name, data[length + 1 :])
    assert_refused(name, data + b"\0")
    assert_refused(name, b"\0" + data)
    assert_refused(name, data + data)


def flip(data: bytearray, source: random.Random) -> None:
    for _ in range(source.choice((1, 2, 3, 8, 64))):
        bit = source.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8


def cut(data: bytearray, source: random.Random) -> None:
    first = source.randrange(len(data))
    del data[first : first + source.choice((1, 2, 8, 32, len(data)))]


def insert(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data) + 1)
    data[at:at] = source.choice((source.randbytes(source.randrange(1, 40)), bytes(8), data[at : at + 32] or b"\1"))


def swap(data: bytearray, source: random.Random) -> None:
    size = source.choice((1, 2, 4, 8, 31, 32))
    a, b = source.randrange(len(data) - size + 1), source.randrange(len(data) - size + 1)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def splice(data: bytearray, source: random.Random) -> None:
    """With an object of any kind, or another of the same kind, at one place or at two."""
    other = objects.stored(source.choice(tuple(objects.CASES))) if source.random() < 0.5 else source.choice(RELATED)
    at = source.randrange(min(len(data), len(other)))
    if source.random() < 0.5:
        data[at:] = other[at:]
    else:
        data[at : at + 64] = other[at : at + 64]


RELATED = [
    objects.scheme.to_bytes(objects.encrypted((1, 0, -1))),
    objects.scheme.seeded_to_bytes(*objects.seeded((1, 0, -1))),
    objects.scheme.to_bytes(objects.encoded((1, 0, -1))),
    objects.scheme.to_bytes(objects.bare(objects.public_key())),
    objects.scheme.to_bytes(objects.switching_key(0)),
    objects.scheme.to_bytes(objects.evaluation_keys(2)),
    objects.scheme.model_to_bytes({"name": "another"}, objects.tiny()),
]


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_changes_are_refused(count: int, figure: Any) -> None:
    """Flips, cuts, insertions, swaps, splices, one to three on top of each other; only what gives an object back is none."""
    source, refused, same = random.Random(8), 0, 0
    untouched = {*map(objects.stored, objects.CASES), *RELATED}
    names = tuple(objects.CASES)
    while refused < count:
        name = names[refused % len(names)]
        data = bytearray(objects.stored(name))
        for _ in range(source.choice((1, 1, 2, 3))):
            source.choice((flip, cut, insert, swap, splice))(data, source)
            if len(data) < 64:
                break
        if bytes(data) in untouched:
            same += 1
            continue
        assert_refused(name, bytes(data))
        refused += 1
    assert same < count / 10
    figure("W2", f"{count} random flips, cuts, insertions, swaps and splices: {refused} refused")
