"""The frame around every stored object.

Layout, little endian, offsets in bytes:

      0  magic "CKKSWIRE"                                    8
      8  format version, 1                                   2
     10  kind, see `Kind`                                    2
     12  digest of the parameter set                        32
     44  what the kind needs: see `serialization_params`
         for parameters, `header` for all that is made of
         residues; nothing for models                      28
     72  room for the scheme above, zero when there is none 64
    136  body length                                         8
    144  body
    end  SHA-256 of everything before it                    32

A receiver reads the first HEAD_BYTES, learns the total length from them and the parameters it
already has, and only then reads, or refuses, the rest. Whatever a kind does not use is zero. The
checksum finds accidents; it does not tell who sent the object. docs/wire-format.md describes every
kind to the byte, for readers and writers in other languages.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ckks import kernels
from ckks.errors import SerializationError
from ckks.rlwe.packing import Bytes

MAGIC = b"CKKSWIRE"
VERSION = 1
SCHEME_BYTES = 64
NO_SCHEME = bytes(SCHEME_BYTES)
_HEAD = struct.Struct(f"<8sHH32s28s{SCHEME_BYTES}sQ")
HEAD_BYTES = _HEAD.size
"""144: how much of a frame has to be read before its length is known."""

CHECKSUM_BYTES = 32

Buffer = bytes | bytearray | memoryview


class Kind(enum.IntEnum):
    """What a frame holds."""

    PARAMETERS = 1
    PUBLIC_KEY = 2
    SWITCHING_KEY = 3
    EVALUATION_KEYS = 4
    CIPHERTEXT = 5
    SEEDED_CIPHERTEXT = 6
    PLAINTEXT = 7
    MODEL = 8

    def __str__(self) -> str:
        """Return the kind in words."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Head:
    """The first HEAD_BYTES of a frame, not yet held against any parameters."""

    kind: Kind
    digest: bytes
    fields: bytes
    scheme: bytes
    body_length: int

    def check_digest(self, digest: bytes) -> None:
        """Raise SerializationError unless the object belongs to the parameters of this digest."""
        if self.digest != digest:
            raise SerializationError(
                f"{self.kind} belongs to the parameters {self.digest.hex()[:16]}...; needed {digest.hex()[:16]}..."
            )


def read_head(data: Buffer) -> Head:
    """Return the head of a frame, of which only the first HEAD_BYTES are looked at.

    Raises:
        SerializationError: too short, wrong magic, unknown version or kind.
    """
    view = memoryview(data).cast("B")
    if len(view) < HEAD_BYTES:
        raise SerializationError(f"frame of {len(view)} bytes is cut short; needed at least {HEAD_BYTES}")
    magic, version, kind, digest, fields, scheme, length = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise SerializationError("not an object of this library: wrong magic bytes")
    if version != VERSION:
        raise SerializationError(f"format version {version}; this release reads version {VERSION}")
    if kind not in Kind._value2member_map_:
        raise SerializationError(f"kind {kind}; needed one of 1 to {max(Kind)}")
    return Head(Kind(kind), digest, fields, scheme, length)


def write_frame(
    kind: Kind,
    digest: bytes,
    fields: bytes,
    scheme: bytes,
    length: int,
    fill: Callable[[Bytes], None],
) -> bytes:
    """Return a frame whose body is written by `fill`, all `length` bytes of it."""
    if len(scheme) != SCHEME_BYTES:
        raise SerializationError(f"scheme field of {len(scheme)} bytes; needed {SCHEME_BYTES}")
    total = HEAD_BYTES + length + CHECKSUM_BYTES
    frame = kernels.empty((-(-total // 8),)).view(np.uint8)[:total]  # kept for the next one: no new pages each time
    head = _HEAD.pack(MAGIC, VERSION, kind, digest, fields, scheme, length)
    frame[:HEAD_BYTES] = np.frombuffer(head, dtype=np.uint8)
    fill(frame[HEAD_BYTES:-CHECKSUM_BYTES])
    checksum = hashlib.sha256(frame[:-CHECKSUM_BYTES].data).digest()
    frame[-CHECKSUM_BYTES:] = np.frombuffer(checksum, dtype=np.uint8)
    return frame.tobytes()


def read_body(data: Buffer, kind: Kind, length: int) -> Bytes:
    """Return the body of a frame (a view) whose total length and checksum are right."""
    view = memoryview(data).cast("B")
    needed = HEAD_BYTES + length + CHECKSUM_BYTES
    if len(view) != needed:
        raise SerializationError(f"{kind}: frame of {len(view)} bytes; needed exactly {needed}")
    if hashlib.sha256(view[:-CHECKSUM_BYTES]).digest() != view[-CHECKSUM_BYTES:]:
        raise SerializationError(f"{kind}: the checksum does not match; the object was damaged on its way")
    return np.frombuffer(view, dtype=np.uint8)[HEAD_BYTES:-CHECKSUM_BYTES]
