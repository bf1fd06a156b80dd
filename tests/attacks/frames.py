"""Frames that are wrong in one place, with their checksum made right again: only the check of that place finds them."""

from __future__ import annotations

import hashlib
import random
import struct

from ckks.scheme.serialization import HEAD_BYTES

CHECKSUM_BYTES = 32
FIELDS = {
    "magic": (0, 8),
    "version": (8, 2),
    "kind": (10, 2),
    "parameters": (12, 32),
    "level": (44, 2),
    "relinearisation level": (46, 2),
    "parts": (48, 1),
    "axes": (49, 1),
    "flags": (50, 2),
    "count": (52, 4),
    "batch 0": (56, 4),
    "batch 1": (60, 4),
    "batch 2": (64, 4),
    "batch 3": (68, 4),
    "scheme": (72, 1),
    "scheme flags": (73, 1),
    "degree": (74, 2),
    "slots": (76, 4),
    "values": (80, 4),
    "zeros": (84, 4),
    "scale": (88, 48),
    "body length": (136, 8),
}
"""Offset and size of each field of the head, docs/wire-format.md."""


def repaired(frame: bytes | bytearray) -> bytes:
    """Return a frame with the checksum of what is in it."""
    rest = bytes(frame[:-CHECKSUM_BYTES])
    return rest + hashlib.sha256(rest).digest()


def mutated(frame: bytes, other: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return what was done to a frame, and the result; `other` is a frame to take parts from."""
    way = rng.choice((_field, _field, _field, _bits, _bits, _fill, _cut, _grow, _splice))
    what, data = way(bytearray(frame), other, rng)
    if rng.random() < 0.8 and len(data) > CHECKSUM_BYTES:
        return what, repaired(data)
    return f"{what}, checksum as it was", bytes(data)


def _field(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    name = rng.choice(list(FIELDS))
    offset, size = FIELDS[name]
    if size > 8:
        frame[offset + rng.randrange(size)] ^= 1 << rng.randrange(8)
        return name, frame
    most, now = (1 << 8 * size) - 1, int.from_bytes(frame[offset : offset + size], "little")
    value = rng.choice((0, 1, 2, 3, most, most >> 1, now + 1, now - 1, 2 * now, rng.randint(0, most))) & most
    frame[offset : offset + size] = value.to_bytes(size, "little")
    return name, frame


def _bits(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    for _ in range(rng.choice((1, 1, 8, 1000))):
        frame[rng.randrange(HEAD_BYTES, len(frame) - CHECKSUM_BYTES)] ^= 1 << rng.randrange(8)
    return "bits of the body", frame


def _fill(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    """Fill a part with zeros or ones: residues beyond their primes, transparent halves, seeds of zeros."""
    start = rng.choice((HEAD_BYTES, rng.randrange(HEAD_BYTES, len(frame))))
    end = min(start + rng.choice((8, 32, 1 << 12, 1 << 20)), len(frame) - CHECKSUM_BYTES)
    frame[start:end] = rng.choice((b"\0", b"\xff", b"\x01")) * max(0, end - start)
    return "filled", frame


def _cut(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    keep = rng.choice((0, 1, HEAD_BYTES - 1, HEAD_BYTES, len(frame) - 1, rng.randrange(len(frame))))
    return "cut", frame[:keep]


def _grow(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    extra = rng.randbytes(rng.choice((1, 8, 1000)))
    where = rng.choice((len(frame), len(frame) - CHECKSUM_BYTES, HEAD_BYTES))
    return "grown", frame[:where] + extra + frame[where:]


def _splice(frame: bytearray, other: bytes, rng: random.Random) -> tuple[str, bytearray]:
    where = rng.choice((12, 44, 72, HEAD_BYTES, rng.randrange(len(frame))))
    spliced = frame[:where] + other[where:]
    if rng.random() < 0.5 and len(spliced) > HEAD_BYTES + CHECKSUM_BYTES:  # and the body's length made to fit
        struct.pack_into("<Q", spliced, 136, len(spliced) - HEAD_BYTES - CHECKSUM_BYTES)
    return "spliced", spliced
