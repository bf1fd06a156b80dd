"""The frame around every stored object, and its header, from which the one legal length follows.

Layout, little endian, offsets in bytes:

      0  magic "CKKSWIRE"                                    8
      8  format version, 1                                   2
     10  kind, see `Kind`                                    2
     12  digest of the parameter set                        32
     44  fields of the kind                                 28   parameters: see `serialization`; all others:
             level                                           2
             relin level (evaluation keys)                   2
             parts (ciphertexts)                             1
             batch axes, 0 to 4                              1
             flags: bit 0 seeded, bit 1 relin key present    2
             count of Galois keys (evaluation keys)          4
             batch shape, unused axes 0                  4 x 4
     72  room for the scheme above, zero when there is none 64
    136  body length                                         8
    144  body
    end  SHA-256 of everything before it                    32

A receiver reads the first HEAD_BYTES, learns the total length from them and the parameters it
already has, and only then reads, or refuses, the rest. Whatever a kind does not use is zero. The
checksum finds accidents; it does not tell who sent the object.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from ckks.errors import SerializationError
from ckks.rlwe.packing import Bytes, item_bytes
from ckks.rlwe.params import RLWEParams

MAGIC = b"CKKSWIRE"
VERSION = 1
SCHEME_BYTES = 64
NO_SCHEME = bytes(SCHEME_BYTES)
MAX_AXES = 4
"""Batches of more axes than this are not stored; flatten them."""

_HEAD = struct.Struct(f"<8sHH32s28s{SCHEME_BYTES}sQ")
_FIELDS = struct.Struct("<HHBBHI4I")
HEAD_BYTES = _HEAD.size
"""144: how much of a frame has to be read before its length is known."""

CHECKSUM_BYTES = 32
SEED_BYTES = 32
_SEEDED, _RELIN = 1, 2

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

    def __str__(self) -> str:
        """Return the kind in words."""
        return self.name.lower().replace("_", " ")


_USED = {
    Kind.PUBLIC_KEY: {"level", "seeded"},
    Kind.SWITCHING_KEY: {"level", "seeded"},
    Kind.EVALUATION_KEYS: {"level", "seeded", "relin", "relin_level", "galois_count"},
    Kind.CIPHERTEXT: {"level", "parts", "batch"},
    Kind.SEEDED_CIPHERTEXT: {"level", "parts", "batch"},
    Kind.PLAINTEXT: {"level", "batch"},
}


@dataclass(frozen=True, slots=True)
class Head:
    """The first HEAD_BYTES of a frame, not yet held against any parameters."""

    kind: Kind
    digest: bytes
    fields: bytes
    scheme: bytes
    body_length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What an object's length follows from. What its kind does not use keeps its default.

    Args:
        kind: any but PARAMETERS.
        level: of the words; for evaluation keys that of the Galois keys (0 without any).
        relin_level: level of the relinearisation key of evaluation keys.
        parts: of a ciphertext, 2 or more.
        batch: batch shape of a ciphertext or plaintext, at most MAX_AXES axes of at least 1.
        seeded: keys whose uniform halves are given as seeds.
        relin: evaluation keys with a relinearisation key.
        galois_count: how many Galois keys.
        scheme: what the scheme above added, SCHEME_BYTES bytes.
    """

    kind: Kind
    level: int = 0
    relin_level: int = 0
    parts: int = 0
    batch: tuple[int, ...] = ()
    seeded: bool = False
    relin: bool = False
    galois_count: int = 0
    scheme: bytes = NO_SCHEME

    def check(self, params: RLWEParams) -> None:
        """Raise SerializationError unless an object of these parameters can have this header."""
        kind, n = self.kind, params.ring_degree
        for name in ("level", "relin_level", "parts", "batch", "seeded", "relin", "galois_count"):
            if name not in _USED[kind] and getattr(self, name):
                raise SerializationError(
                    f"{kind} header: {name} is set; needed 0, this kind has none"
                )
        for name, level in (("level", self.level), ("relin_level", self.relin_level)):
            if level > params.top_level:
                raise SerializationError(
                    f"{kind} header: {name} {level}; these parameters have levels 0 to {params.top_level}"
                )
        if (
            kind is Kind.CIPHERTEXT
            and not 2 <= self.parts < 256
            or kind is Kind.SEEDED_CIPHERTEXT
            and self.parts != 2
        ):
            raise SerializationError(
                f"{kind} header: {self.parts} parts; needed 2 (or more, unless seeded)"
            )
        if len(self.batch) > MAX_AXES or not all(0 < size < 2**32 for size in self.batch):
            raise SerializationError(
                f"{kind} header: batch shape {self.batch}; needed at most {MAX_AXES} axes of at least 1"
            )
        if kind in (Kind.SWITCHING_KEY, Kind.EVALUATION_KEYS):
            self._check_keys(params, n)

    def _check_keys(self, params: RLWEParams, n: int) -> None:
        if not params.special_moduli and (
            self.kind is Kind.SWITCHING_KEY or self.relin or self.galois_count
        ):
            raise SerializationError(
                f"{self.kind}: parameters without special primes have no such keys"
            )
        if self.galois_count > n:
            raise SerializationError(
                f"{self.kind} header: {self.galois_count} Galois keys; needed at most {n}"
            )
        if self.kind is Kind.SWITCHING_KEY:
            return
        empty = not self.relin and not self.galois_count
        if (
            not self.relin
            and self.relin_level
            or not self.galois_count
            and self.level
            or empty
            and self.seeded
        ):
            raise SerializationError(
                f"{self.kind} header: level or flag of an absent key; needed 0"
            )

    def key_bytes(self, params: RLWEParams, level: int, rows: int) -> int:
        """Return the bytes of a key of `rows` (b, a) pairs: seed and b, or both halves."""
        half = rows * item_bytes(params.extended_basis(level).moduli, params.ring_degree)
        return SEED_BYTES + half if self.seeded else 2 * half

    def body_length(self, params: RLWEParams) -> int:
        """Return the one legal length of the body, after `check`."""
        kind = self.kind
        if kind is Kind.PUBLIC_KEY:
            return self.key_bytes(params, self.level, 1)
        if kind in (Kind.SWITCHING_KEY, Kind.EVALUATION_KEYS):
            each = self.key_bytes(params, self.level, len(params.digits(self.level)))
            if kind is Kind.SWITCHING_KEY:
                return each
            relin = self.key_bytes(params, self.relin_level, len(params.digits(self.relin_level)))
            return self.galois_count * (4 + each) + self.relin * relin
        item = item_bytes(params.basis(self.level).moduli, params.ring_degree)
        stored = {Kind.CIPHERTEXT: self.parts, Kind.SEEDED_CIPHERTEXT: 1, Kind.PLAINTEXT: 1}[kind]
        return prod(self.batch) * stored * item + SEED_BYTES * (kind is Kind.SEEDED_CIPHERTEXT)

    def frame_length(self, params: RLWEParams) -> int:
        """Return the one legal length of the whole frame; raise SerializationError for an impossible header."""
        self.check(params)
        return HEAD_BYTES + self.body_length(params) + CHECKSUM_BYTES

    def fields(self) -> bytes:
        """Return the 28 bytes of the header."""
        shape = (*self.batch, *(0,) * (MAX_AXES - len(self.batch)))
        flags = _SEEDED * self.seeded | _RELIN * self.relin
        return _FIELDS.pack(
            self.level,
            self.relin_level,
            self.parts,
            len(self.batch),
            flags,
            self.galois_count,
            *shape,
        )

    @classmethod
    def of(cls, head: Head) -> Header:
        """Return the header of a head; raise SerializationError where unused bytes are not zero."""
        level, relin_level, parts, axes, flags, count, *shape = _FIELDS.unpack(head.fields)
        if axes > MAX_AXES:
            raise SerializationError(
                f"{head.kind} header: {axes} batch axes; needed at most {MAX_AXES}"
            )
        header = cls(
            kind=head.kind,
            level=level,
            relin_level=relin_level,
            parts=parts,
            batch=tuple(shape[:axes]),
            seeded=bool(flags & _SEEDED),
            relin=bool(flags & _RELIN),
            galois_count=count,
            scheme=head.scheme,
        )
        if header.fields() != head.fields:
            raise SerializationError(
                f"{head.kind} header: an unused flag or batch axis is set; needed 0"
            )
        return header


def read_head(data: Buffer) -> Head:
    """Return the head of a frame, of which only the first HEAD_BYTES are looked at.

    Raises:
        SerializationError: too short, wrong magic, unknown version or kind.
    """
    view = memoryview(data).cast("B")
    if len(view) < HEAD_BYTES:
        raise SerializationError(
            f"frame of {len(view)} bytes is cut short; needed at least {HEAD_BYTES}"
        )
    magic, version, kind, digest, fields, scheme, length = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise SerializationError("not an object of this library: wrong magic bytes")
    if version != VERSION:
        raise SerializationError(f"format version {version}; this release reads version {VERSION}")
    if kind not in Kind._value2member_map_:
        raise SerializationError(
            f"kind {kind}; needed one of {', '.join(f'{k.value} ({k})' for k in Kind)}"
        )
    return Head(Kind(kind), digest, fields, scheme, length)


def read_header(data: Buffer, params: RLWEParams, *kinds: Kind) -> Header:
    """Return the checked header of an object of `params`: enough to know its length, from HEAD_BYTES bytes.

    Args:
        data: a frame, or its first HEAD_BYTES bytes.
        params: the parameters that the object must belong to.
        kinds: the kinds that are welcome; any but PARAMETERS when none is given.

    Raises:
        SerializationError: wrong magic, version, kind, parameters, header or body length.
    """
    head = read_head(data)
    if head.kind is Kind.PARAMETERS or kinds and head.kind not in kinds:
        wanted = " or ".join(map(str, kinds)) if kinds else "a key, ciphertext or plaintext"
        raise SerializationError(f"found {head.kind}; needed {wanted}")
    if head.digest != params.digest:
        raise SerializationError(
            f"{head.kind} belongs to the parameters {head.digest.hex()[:16]}...; "
            f"needed {params.digest.hex()[:16]}..."
        )
    header = Header.of(head)
    header.check(params)
    if head.body_length != (needed := header.body_length(params)):
        raise SerializationError(
            f"{head.kind}: body length {head.body_length}; this header needs {needed}"
        )
    return header


def write_frame(
    kind: Kind,
    digest: bytes,
    fields: bytes,
    scheme: bytes,
    length: int,
    fill: Callable[[Bytes], None],
) -> bytes:
    """Return a frame whose body of `length` bytes is written by `fill` into a zeroed array."""
    if len(scheme) != SCHEME_BYTES:
        raise SerializationError(f"scheme field of {len(scheme)} bytes; needed {SCHEME_BYTES}")
    frame = np.zeros(HEAD_BYTES + length + CHECKSUM_BYTES, dtype=np.uint8)
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
        raise SerializationError(
            f"{kind}: the checksum does not match; the object was damaged on its way"
        )
    return np.frombuffer(view, dtype=np.uint8)[HEAD_BYTES:-CHECKSUM_BYTES]
