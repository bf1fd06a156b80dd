"""Changes to stored objects that get past length and checksum, to where the fields are looked at.

A change picks fields, words, rows, numbers or tokens of the kind at hand and then, mostly, puts body length, digest
and checksum right. Everything comes from one `random.Random`.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Callable
from math import prod

from wire import objects

from ckks.errors import SerializationError
from ckks.rlwe.frame import read_head
from ckks.rlwe.header import Header

LARGEST = 4096
"""No mutated object is longer, in bytes."""

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    64,
    127,
    128,
    129,
    192,
    255,
    256,
    65535,
    2**17,
    2**31,
    2**63,
    -1,
    -2,
)
COMMON = ((44, 2), (46, 2), (48, 1), (49, 1), (50, 2), (52, 4), (56, 4), (60, 4), (64, 4), (68, 4))
META = ((72, 1), (73, 1), (74, 2), (76, 4), (80, 4), (84, 4), (88, 1))
FIELDS = {
    "parameters": ((44, 4), *((at, 2) for at in range(48, 60, 2)), (71, 1), (72, 1), (79, 1), (80, 8), (86, 2)),
    "model": ((44, 4), (60, 1), (72, 1), (135, 1)),
    "secret key": ((8, 2), (10, 2), (44, 4), (48, 1), (75, 1), (76, 1), (77, 1)),
}
TEXTS = (
    *(b"1E3", b"15E-1", b"7E0", b"70E0", b"07E0", b"1E-99", b"1E999", b"NaN", b"", b"E", b"1073741824E0", b"1E30"),
    *(
        b"1" * 40 + b"E0",
        b"9" * 48,
        b"1267650600228229401496703205376E0",
        b"12676506002282294014967032053760E0",
        b"1024E0",
    ),
)
TOKENS = (
    *'{}[],:"\\01- \n\x00é\ud800\U0001f600',
    *("-0", "-1", "01", "0.5", "1.0", "1e5", "1E5", "1e+22", "1e400", "5e-324", "9007199254740991", "9007199254740992"),
    *("NaN", "Infinity", "-Infinity", "null", "true", "false", '"a"', '"a":1', r'"\u0000"', r'"\ud800"', r'"\u00e9"'),
    *("[[", "]]", "[" * 16, '{"a":{}}', "[]", "{}", r"\n", r"\\"),
)
SMALL_PRIMES = (17, 97, 113, 193, 12289, 2**61 - 1, 2**61 + 1, 25, 289, 2**31 - 1)


class Mutator:
    """Changes objects of one kind.

    Args:
        name: the kind, of `objects.CASES`.
        others: objects to splice with.
        any_bytes: changes bytes without knowing what they are; a fuzzer's own, where there is one.
    """

    def __init__(self, name: str, others: list[bytes], any_bytes: Callable[[bytes, int], bytes] | None = None) -> None:
        """Prepare; nothing is random here."""
        self.name, self.others, self._any_bytes = name, others, any_bytes
        self.start = 76 if name == "secret key" else 144
        self.params = objects.tiny()
        self.limbs = self.params.basis_qp.moduli
        body = {"parameters": self._prime, "model": self._token, "secret key": self._bit}.get(name, self._word)
        self.steps = (self._field, self._field, self._bit, self._bytes, self._splice, body, body, body)

    def change(self, data: bytes, source: random.Random) -> bytes:
        """Return a changed object."""
        self.source = source
        if len(data) < self.start + 32:
            data = source.choice(self.others)
        work = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 3))):
            source.choice(self.steps)(work)
            if len(work) < self.start + 32:
                work = bytearray(source.choice(self.others))
        del work[LARGEST:]
        if source.random() < 0.06:
            return bytes(work)
        return self._repaired(work)

    # Steps: each changes `work` in place.

    def _field(self, work: bytearray) -> None:
        if self.name not in ("model", "secret key") and self.source.random() < 0.15:
            work[88:136] = self.source.choice(TEXTS).ljust(48, b"\0")
            if self.name != "parameters":
                work[74:76] = bytes(2)
            return
        at, size = self.source.choice(FIELDS.get(self.name, COMMON + META))
        old = int.from_bytes(work[at : at + size], "little")
        new = self.source.choice((*NUMBERS, old + 1, old - 1, old ^ 1 << self.source.randrange(8 * size)))
        work[at : at + size] = (new % 2 ** (8 * size)).to_bytes(size, "little")

    def _bit(self, work: bytearray) -> None:
        bit = self.source.randrange(8 * self.start, max(8 * (len(work) - 32), 8 * self.start + 1))
        work[bit // 8] ^= 1 << bit % 8

    def _bytes(self, work: bytearray) -> None:
        first = self.source.randrange(self.start, len(work) - 31)
        last = min(first + self.source.choice((0, 1, 2, 4, 8, 32, 64)), len(work) - 32)
        some = bytes(work[first:last])
        if self._any_bytes is not None and some:
            work[first:last] = self._any_bytes(some, len(some) + 16)
            return
        work[first:last] = self.source.choice(
            (b"", some + some, bytes(len(some)), b"\xff" * len(some), self.source.randbytes(len(some)), some[::-1])
        )

    def _splice(self, work: bytearray) -> None:
        other = self.source.choice(self.others)
        cut = self.source.randrange(min(len(work), len(other)))
        work[cut:] = other[cut:]

    def _word(self, work: bytearray) -> None:
        """A word at or beyond the edge of its range, or a row of equal words."""
        seeded = 32 * (work[10] == 6 or (work[10] < 5 and work[50] & 1)) + (4 * work[52] if work[10] == 4 else 0)
        moduli = self.limbs if work[10] < 5 else self.limbs[1:]
        at, rows = self.start + seeded, []
        while at < len(work) - 32 and len(rows) < 64:
            q = moduli[len(rows) % len(moduli)]
            rows.append((at, q))
            at += q.bit_length()  # N = 8: a row has as many bytes as its prime has bits
        if not rows:
            return
        at, q = self.source.choice(rows)
        bits = q.bit_length()
        value = self.source.choice((0, 1, q - 1, q, q + 1, 2**bits - 1))
        if self.source.random() < 0.3:
            row = sum(value << i * bits for i in range(8))
        else:
            shift = bits * self.source.randrange(8)
            row = int.from_bytes(work[at : at + bits], "little") & ~((2**bits - 1) << shift) | value << shift
        room = len(work) - 32 - at
        work[at : min(at + bits, len(work) - 32)] = row.to_bytes(bits, "little")[:room]

    def _prime(self, work: bytearray) -> None:
        """One of the numbers in the body of parameters."""
        levels, count = work[48], max(1, (len(work) - 176) // 8)
        if self.source.random() < 0.2:
            work[144 + self.source.randrange(min(max(1, levels), len(work) - 175))] = self.source.choice(
                (0, 1, 2, 3, 255)
            )
            return
        at = 144 + levels + 8 * self.source.randrange(count)
        old = int.from_bytes(work[at : at + 8], "little")
        new = self.source.choice((old + 16, old - 16, old + 1, 0, 1, 2**64 - 1, *SMALL_PRIMES, *self.limbs))
        work[at : at + 8] = (new % 2**64).to_bytes(8, "little")

    def _token(self, work: bytearray) -> None:
        first = self.source.randrange(144, len(work) - 31)
        last = min(first + self.source.choice((0, 0, 1, 2, 5)), len(work) - 32)
        work[first:last] = self.source.choice(TOKENS).encode("utf-8", "surrogatepass")

    # Repairs

    def _repaired(self, work: bytearray) -> bytes:
        if self.name == "secret key":
            return bytes(work[:-32]) + hashlib.sha256(work[:-32]).digest()
        if self.source.random() < 0.97:
            work[:12] = struct.pack("<8sHH", b"CKKSWIRE", 1, objects.CASES[self.name].kind)  # type: ignore[arg-type]
            if self.name != "parameters":
                work[12:44] = self.params.digest
        body = bytes(work[144:-32])
        length = self._legal(work, len(body))
        if length <= LARGEST:
            body = (body + self.source.randbytes(max(0, length - len(body))))[:length]
        frame = bytes(work[:136]) + length.to_bytes(8, "little") + body
        return frame + hashlib.sha256(frame).digest()

    def _legal(self, work: bytearray, now: int) -> int:
        """Body length that the header asks for; the present one where it asks for none."""
        if self.name == "parameters":
            _, levels, primes, special, digits, _, flags = struct.unpack_from("<I6H", work, 44)
            return int(levels + 8 * (primes + special) * (1 + (flags >> 1 & 1)) + 2 * digits)
        if self.name == "model" or work[10] not in range(2, 8):
            return now
        try:
            header = Header.of(read_head(bytes(work[:144])))
            header.check(self.params)
        except SerializationError:
            return now
        length = header.body_length(self.params)
        return length if length < 2**64 and prod(header.batch) < 2**40 else now
