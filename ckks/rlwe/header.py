"""The header of stored keys, ciphertexts and plaintexts, and the one legal length that follows from it.

The 28 header bytes of a frame, little endian:

      0  level                                               2
      2  level of the relinearisation key (evaluation keys)  2
      4  parts (ciphertexts)                                 1
      5  number of batch axes, 0 to 4                        1
      6  flags: bit 0 seeded, bit 1 relinearisation key      2
      8  number of Galois keys (evaluation keys)             4
     12  batch shape, unused axes 0                      4 x 4
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from math import prod

from ckks.errors import SerializationError
from ckks.ring.csprng import SEED_BYTES
from ckks.rlwe.frame import CHECKSUM_BYTES, HEAD_BYTES, NO_SCHEME, Buffer, Head, Kind, read_head
from ckks.rlwe.packing import item_bytes
from ckks.rlwe.params import RLWEParams

MAX_AXES = 4
"""Batches of more axes than this are not stored; flatten them."""


_FIELDS = struct.Struct("<HHBBHI4I")
_SEEDED, _RELIN = 1, 2

_USED = {
    Kind.PUBLIC_KEY: {"level", "seeded"},
    Kind.SWITCHING_KEY: {"level", "seeded"},
    Kind.EVALUATION_KEYS: {"level", "seeded", "relin", "relin_level", "galois_count"},
    Kind.CIPHERTEXT: {"level", "parts", "batch", "scheme"},
    Kind.SEEDED_CIPHERTEXT: {"level", "parts", "batch", "scheme"},
    Kind.PLAINTEXT: {"level", "batch", "scheme"},
}
_PARTS = {Kind.CIPHERTEXT: range(2, 256), Kind.SEEDED_CIPHERTEXT: range(2, 3)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What an object's length follows from. What its kind does not use keeps its default.

    Args:
        kind: any but PARAMETERS and MODEL.
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
        kind = self.kind
        for name, default in _DEFAULTS:
            if name not in _USED[kind] and getattr(self, name) != default:
                raise SerializationError(f"{kind} header: {name} is set; needed zeros")
        for level in (self.level, self.relin_level):
            if not 0 <= level <= params.top_level:
                raise SerializationError(f"{kind} header: level {level}; needed 0 to {params.top_level}")
        if len(self.batch) > MAX_AXES or not all(0 < size < 2**32 for size in self.batch):
            raise SerializationError(f"{kind} header: batch {self.batch}; needed at most {MAX_AXES} axes of at least 1")
        if kind in _PARTS and self.parts not in _PARTS[kind]:
            needed = "2" if kind is Kind.SEEDED_CIPHERTEXT else "2 to 255"
            raise SerializationError(f"{kind} header: {self.parts} parts; needed {needed}")
        if kind is Kind.SWITCHING_KEY and not params.special_moduli:
            raise SerializationError(f"{kind}: parameters without special primes have none")
        if kind is Kind.EVALUATION_KEYS:
            self._check_keys(params)

    def _check_keys(self, params: RLWEParams) -> None:
        if self.galois_count > params.ring_degree:
            raise SerializationError(
                f"{self.kind} header: {self.galois_count} Galois keys; needed at most {params.ring_degree}"
            )
        if (self.relin or self.galois_count) and not params.special_moduli:
            raise SerializationError(f"{self.kind}: parameters without special primes have none")
        absent = (
            self.relin_level if not self.relin else 0,
            self.level if not self.galois_count else 0,
            self.seeded if not self.relin and not self.galois_count else 0,
        )
        if any(absent):
            raise SerializationError(f"{self.kind} header: level or flag of an absent key; needed zeros")

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
        """Return the one legal length of the whole frame; raise SerializationError as `check`."""
        self.check(params)
        return HEAD_BYTES + self.body_length(params) + CHECKSUM_BYTES

    def pack(self) -> bytes:
        """Return the 28 bytes of the header, after `check`."""
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
            raise SerializationError(f"{head.kind} header: {axes} batch axes; needed at most {MAX_AXES}")
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
        if header.pack() != head.fields:
            raise SerializationError(f"{head.kind} header: an unused flag or batch axis is set; needed 0")
        return header


_DEFAULTS = tuple((field.name, field.default) for field in fields(Header)[1:])


def read_header(data: Buffer, params: RLWEParams, *kinds: Kind) -> Header:
    """Return the checked header of an object of `params`, which is all that its length needs.

    Args:
        data: a frame, or its first HEAD_BYTES bytes.
        params: the parameters that the object must belong to.
        kinds: the kinds that are welcome; any but PARAMETERS and MODEL, which have no such header, when none is given.

    Raises:
        SerializationError: wrong magic, version, kind, parameters, header or body length.
    """
    head = read_head(data)
    if head.kind not in _USED or (kinds and head.kind not in kinds):
        wanted = " or ".join(map(str, kinds)) if kinds else "a key, ciphertext or plaintext"
        raise SerializationError(f"found {head.kind}; needed {wanted}")
    head.check_digest(params.digest)
    header = Header.of(head)
    header.check(params)
    if head.body_length != (needed := header.body_length(params)):
        raise SerializationError(f"{head.kind}: body length {head.body_length}; this header needs {needed}")
    return header
