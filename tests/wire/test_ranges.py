"""Words, scales and levels at the ends of their ranges and beyond, under a checksum that fits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from wire import objects

from ckks.errors import SerializationError
from ckks.scheme import serialization as scheme

OBJECTS: dict[str, tuple[str, bytes]] = {
    "public key": ("public key", objects.stored("public key")),
    "public key in full": ("public key", scheme.to_bytes(objects.bare(objects.public_key()))),
    "switching key": ("switching key", objects.stored("switching key")),
    "switching key in full": ("switching key", scheme.to_bytes(objects.bare(objects.switching_key()))),
    "evaluation keys": ("evaluation keys", objects.stored("evaluation keys")),
    "evaluation keys in full": ("evaluation keys", scheme.to_bytes(objects.bare(objects.evaluation_keys(1)))),
    "ciphertext": ("ciphertext", objects.stored("ciphertext")),
    "batch": ("ciphertext", scheme.to_bytes(objects.encrypted([objects.VALUES] * 3, level=1))),
    "seeded ciphertext": ("seeded ciphertext", objects.stored("seeded ciphertext")),
    "seeded batch": ("seeded ciphertext", scheme.seeded_to_bytes(*objects.seeded([objects.VALUES] * 2))),
    "plaintext": ("plaintext", objects.stored("plaintext")),
}


def rows(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, prime) of every row of words: N = 8, so that a row has as many bytes as its prime has bits."""
    params = objects.tiny()
    header = scheme.read_header(data, params)
    bases = {level: params.basis(level).moduli for level in range(3)}
    at = 144
    if header.kind > 4:
        at += 32 * (header.kind == 6)
        polys = [(bases[header.level], None)] * (
            (len(data) - 32 - at) // sum(q.bit_length() for q in bases[header.level])
        )
    else:
        at += 4 * header.galois_count
        levels = [header.relin_level] * header.relin + [header.level] * (header.galois_count or header.kind < 4)
        polys = []
        for level in levels:
            joint = params.extended_basis(level).moduli
            pairs = 1 if header.kind == 2 else len(params.digits(level))
            polys += [(joint, i == 0) for i in range(pairs * (1 if header.seeded else 2))]
    for moduli, begins_key in polys:
        at += 32 * (header.kind < 5 and header.seeded and bool(begins_key))
        for q in moduli:
            yield at, q
            at += q.bit_length()
    assert at == len(data) - 32


def with_word(data: bytes, at: int, q: int, position: int, value: int) -> bytes:
    bits = q.bit_length()
    row = int.from_bytes(data[at : at + bits], "little") & ~((2**bits - 1) << bits * position)
    return objects.with_bytes(data, at, (row | value << bits * position).to_bytes(bits, "little"))


CHECKED: dict[str, int] = {}


@pytest.mark.parametrize("name", OBJECTS)
def test_every_word_is_less_than_its_prime(name: str, figure: Any) -> None:
    """q - 1 is taken and stored as it was; q and all ones are refused; first, middle and last word of every row."""
    kind, data = OBJECTS[name]
    case, params, count = objects.CASES[kind], objects.tiny(), 0
    for at, q in rows(data):
        for position in (0, 3, 7):
            top = with_word(data, at, q, position, q - 1)
            assert case.store(case.load(top, params), params) == top
            for value in (q, 2 ** q.bit_length() - 1):
                with pytest.raises(SerializationError, match=rf"word {position} of limb.*less than the modulus {q}"):
                    case.load(with_word(data, at, q, position, value), params)
            count += 3
    CHECKED[name] = count
    if len(CHECKED) == len(OBJECTS):
        figure("W3", f"{sum(CHECKED.values())} words at q - 1, q and all ones, in every row of {len(OBJECTS)} objects")


@pytest.mark.parametrize("name", OBJECTS)
def test_a_body_of_ones_is_refused(name: str) -> None:
    """2^64 - 1 wherever a word is looked for."""
    kind, data = OBJECTS[name]
    start = 144 + 4 * scheme.read_header(data, objects.tiny()).galois_count
    with pytest.raises(SerializationError, match="not a residue"):
        objects.CASES[kind].load(objects.with_bytes(data, start, b"\xff" * (len(data) - start - 32)), objects.tiny())


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("more", [-8, -1, 1, 8])
def test_a_body_of_another_length_is_refused(name: str, more: int) -> None:
    """The checksum fits, and the header says what it said: the length is looked at for itself."""
    kind, data = OBJECTS[name]
    body = data[:-32] + bytes(more) if more > 0 else data[: -32 + more]
    with pytest.raises(SerializationError, match=f"frame of {len(data) + more} bytes; needed exactly {len(data)}"):
        objects.CASES[kind].load(objects.resealed(body + bytes(32)), objects.tiny())


SCALES = [b"1E0", b"1E77", b"1E-77", b"15E-1", b"1" * 40 + b"E0"]
BAD_SCALES = [b"0E0", b"-1E0", b"NaN", b"Infinity", b"1E78", b"1E-78", b"1E999", b"1E-999", b"1E1000", b"", b"9" * 48]


@pytest.mark.parametrize("kind", ["ciphertext", "seeded ciphertext", "plaintext"])
def test_scales_are_positive_finite_and_in_range(kind: str, figure: Any) -> None:
    data, case = objects.stored(kind), objects.CASES[kind]

    def scaled(text: bytes) -> bytes:
        return objects.with_bytes(objects.with_bytes(data, 74, bytes(2)), 88, text.ljust(48, b"\0"))

    for text in SCALES:
        obj = case.load(scaled(text), objects.tiny())
        assert case.store(obj, objects.tiny()) == scaled(text)
        assert objects.meta_of(obj[0] if isinstance(obj, tuple) else obj).scale > 0
    for text in BAD_SCALES:
        with pytest.raises(SerializationError, match="scale"):
            case.load(scaled(text), objects.tiny())
    figure("W3", f"{kind}: {len(SCALES)} scales taken, {len(BAD_SCALES)} refused")


@pytest.mark.parametrize("text", [*BAD_SCALES, b"1E3", b"1E31"])
def test_scales_of_parameters_too(text: bytes) -> None:
    data = objects.with_bytes(objects.stored("parameters"), 88, text.ljust(48, b"\0"))
    with pytest.raises(SerializationError, match="scale"):
        objects.CASES["parameters"].load(data, objects.tiny())


@pytest.mark.parametrize("name", OBJECTS)
def test_levels_are_in_range(name: str) -> None:
    kind, data = OBJECTS[name]
    for level in (3, 4, 255, 256, 65535):
        for at in (44, 46) if kind == "evaluation keys" else (44,):
            with pytest.raises(SerializationError, match=f"level {level}; needed 0 to 2"):
                objects.CASES[kind].load(objects.with_bytes(data, at, struct.pack("<H", level)), objects.tiny())


# Rows that have to look uniform


UNIFORM = {
    **{name: lambda i: True for name in OBJECTS if "key" in name},
    "ciphertext": lambda i: i >= 3,  # three rows of c_0, three of c_1
    "batch": lambda i: i % 4 >= 2,
}


@pytest.mark.parametrize("name", UNIFORM)
def test_constant_rows_are_refused_where_they_would_show_the_message(name: str, figure: Any) -> None:
    """c_1 zero, or one value, modulo a single prime: the phase modulo that prime is the message."""
    kind, data = OBJECTS[name]
    case, count = objects.CASES[kind], 0
    for i, (at, q) in enumerate(rows(data)):
        for value in (0, 1, q - 1):
            row = sum(value << q.bit_length() * j for j in range(8)).to_bytes(q.bit_length(), "little")
            changed = objects.with_bytes(data, at, row)
            if UNIFORM[name](i):
                count += 1
                with pytest.raises(SerializationError, match="constant"):
                    case.load(changed, objects.tiny())
            else:
                assert case.store(case.load(changed, objects.tiny()), objects.tiny()) == changed
        almost = objects.with_bytes(data, at, (1).to_bytes(q.bit_length(), "little"))  # one word differs
        assert case.store(case.load(almost, objects.tiny()), objects.tiny()) == almost
    figure("W5", f"{name}: {count} rows of one value refused, in every prime row of a uniform part")


def test_three_parts_are_looked_at_as_well() -> None:
    data = objects.scheme.to_bytes(three_parts())
    for i, (at, q) in enumerate(rows(data)):
        changed = objects.with_bytes(data, at, bytes(q.bit_length()))
        if i < 3:
            objects.CASES["ciphertext"].load(changed, objects.tiny())
        else:
            with pytest.raises(SerializationError, match="constant"):
                objects.CASES["ciphertext"].load(changed, objects.tiny())


def three_parts() -> Any:
    from ckks import Evaluator

    x = objects.encrypted()
    return Evaluator(objects.tiny()).tensor(x, x)


@pytest.mark.parametrize("kind", ["public key", "switching key", "evaluation keys", "ciphertext"])
def test_what_would_show_its_message_is_not_stored_either(kind: str) -> None:
    case = objects.CASES[kind]
    obj = case.load(objects.stored(kind), objects.tiny())
    part = obj[0] if isinstance(obj, tuple) else obj.relin if kind == "evaluation keys" else obj
    words = part.words.copy()
    words[..., 1, 1, :] = 7
    if kind == "ciphertext":
        changed: Any = type(part)(params=part.params, words=words, level=part.level, meta=part.meta)
    else:
        changed = type(part)(part.params, words, part.level)
    if kind == "evaluation keys":
        changed = type(obj)(obj.params, changed, obj.galois)
    with pytest.raises(SerializationError, match="constant"):
        scheme.to_bytes(changed)
