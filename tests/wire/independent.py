"""The wire format a second time, from docs/wire-format.md alone: plain integers, nothing of the library.

Slow and simple. `read` and `write` for every kind of frame (parameters: `read_parameters`, `write_parameters` of `independent_parts`),
`read_secret` and `write_secret` for key files; whatever the page tells a reader to refuse raises `Refused`.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from wire.independent_parts import (
    EVALUATION,
    EXACT,
    FULL,
    MODEL,
    PARAMETERS,
    PLAINTEXT,
    PUBLIC,
    SEEDED,
    SWITCHING,
    Parameters,
    Poly,
    Refused,
    body_of,
    close_frame,
    expand_poly,
    from_text,
    need,
    number,
    open_frame,
    read_row,
    row_bytes,
    to_text,
    write_poly,
)

# ---- kinds 2 to 7 ---------------------------------------------------------------------------------------------------


@dataclass
class Key:
    """(b, a) of each digit, and the seed of all a where it is known."""

    pairs: list[tuple[Poly, Poly]]
    seed: bytes | None


@dataclass
class Object:
    """Kinds 2 to 7. `keys`: the key, or relinearisation key first and then Galois keys. `items`: parts of each."""

    kind: int
    level: int
    relin_level: int | None = None
    elements: list[int] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    batch: tuple[int, ...] = ()
    items: list[list[Poly]] = field(default_factory=list)
    seed: bytes | None = None
    meta: dict[str, Any] | None = None

    @property
    def parts(self) -> int:
        return len(self.items[0]) if self.kind in (FULL, SEEDED) else 0


def read(data: bytes, p: Parameters) -> Object | dict[str, Any]:
    """Return an object of kinds 2 to 8."""
    kind, digest, fields, scheme, length = open_frame(data)
    need(kind != PARAMETERS, "kind")
    need(digest == p.digest, "digest")
    if kind == MODEL:
        need(not any(fields) and not any(scheme) and 2 <= length <= 2**20, "header")
        return read_model(body_of(data, length))
    level, relin_level, parts, axes, flags, galois, *shape = struct.unpack("<HHBBHI4I", fields)
    seeded, relin = flags & 1, flags >> 1
    need(axes <= 4 and flags < 4 and level < len(p.levels) and relin_level < len(p.levels) and galois <= p.n, "range")
    batch = tuple(shape[:axes])
    need(all(batch) and not any(shape[axes:]), "batch")
    is_key = kind in (PUBLIC, SWITCHING, EVALUATION)
    need(not (is_key and (axes or parts or any(scheme))) and (is_key or not seeded), "unused")
    need(kind == EVALUATION or not (relin_level or relin or galois), "unused")
    need(parts >= 2 if kind == FULL else parts == 2 * (kind == SEEDED), "parts")
    if kind == EVALUATION:
        need((relin or not relin_level) and (galois or not level) and (relin or galois or not seeded), "absent key")
    need(p.special or not (kind == SWITCHING or relin or galois), "special primes")
    item = sum(row_bytes(p.n, q) for q, _ in p.limbs(level, key=False))

    def half(lev: int, rows: int) -> int:
        joint = sum(row_bytes(p.n, q) for q, _ in p.limbs(lev, key=True))
        return 32 + rows * joint if seeded else 2 * rows * joint

    need(length == {
        PUBLIC: half(level, 1),
        SWITCHING: half(level, p.digit_count(level)),
        EVALUATION: galois * (4 + half(level, p.digit_count(level))) + relin * half(relin_level, p.digit_count(relin_level)),
        FULL: math.prod(batch) * parts * item,
        SEEDED: 32 + math.prod(batch) * item,
        PLAINTEXT: math.prod(batch) * item,
    }[kind], "body length")  # fmt: skip
    rest = memoryview(body_of(data, length))
    found = Object(kind, level, relin_level if relin else None, batch=batch)
    found.meta = read_meta(scheme, p, level)

    def take(size: int) -> bytes:
        nonlocal rest
        part, rest = rest[:size].tobytes(), rest[size:]
        return part

    def poly(lev: int, *, uniform: bool) -> Poly:
        rows = [read_row(take(row_bytes(p.n, q)), p.n, q) for q, _ in p.limbs(lev, key=is_key)]
        need(not uniform or all(len(set(row)) > 1 for row in rows), "constant row")
        return rows

    def key(lev: int, rows: int, label: str) -> Key:
        seed = take(32) if seeded else None
        pairs = []
        for digit in range(rows):
            b = poly(lev, uniform=True)
            a = expand_poly(seed, label, digit, p.n, p.limbs(lev, key=True)) if seed else poly(lev, uniform=True)
            pairs.append((b, a))
        return Key(pairs, seed)

    if kind == PUBLIC:
        found.keys = [key(level, 1, "public key")]
    elif is_key:
        found.elements = list(struct.unpack(f"<{galois}I", take(4 * galois)))
        pairwise = zip([-1, *found.elements], found.elements)
        need(all(a < b < 2 * p.n and b % 2 for a, b in pairwise), "Galois elements")
        levels = [relin_level] * relin + [level] * (1 if kind == SWITCHING else galois)
        found.keys = [key(lev, p.digit_count(lev), "switching key") for lev in levels]
    elif kind == SEEDED:
        found.seed = take(32)
        halves = [poly(level, uniform=False) for _ in range(math.prod(batch))]
        limbs = p.limbs(level, key=False)
        found.items = [[c0, expand_poly(found.seed, "ciphertext", i, p.n, limbs)] for i, c0 in enumerate(halves)]
    else:
        count = parts or 1
        found.items = [[poly(level, uniform=i > 0) for i in range(count)] for _ in range(math.prod(batch))]
    assert not rest
    return found


def write(obj: Object | dict[str, Any], p: Parameters) -> bytes:
    """Return the bytes of an object of kinds 2 to 8."""
    if isinstance(obj, dict):
        return close_frame(MODEL, p.digest, bytes(28), bytes(64), write_model(obj).encode())
    seeded = bool(obj.keys) and all(key.seed is not None for key in obj.keys)
    relin = obj.relin_level is not None
    shape = [*obj.batch, 0, 0, 0, 0][:4]
    fields = struct.pack(
        "<HHBBHI4I", obj.level, obj.relin_level or 0, obj.parts, len(obj.batch), seeded + 2 * relin, len(obj.elements), *shape
    )  # fmt: skip
    body = struct.pack(f"<{len(obj.elements)}I", *obj.elements)
    for i, key in enumerate(obj.keys):
        limbs = p.limbs(obj.relin_level if relin and i == 0 else obj.level, key=True)  # type: ignore[arg-type]
        if seeded:
            assert key.seed is not None
            body += key.seed
        for b, a in key.pairs:
            body += write_poly(b, limbs) + (b"" if seeded else write_poly(a, limbs))
    if obj.seed is not None:
        body += obj.seed
    for item in obj.items:
        for part in item[:1] if obj.seed is not None else item:
            body += write_poly(part, p.limbs(obj.level, key=False))
    return close_frame(obj.kind, p.digest, fields, write_meta(obj.meta), body)


META = struct.Struct("<BBHII4s48s")


def read_meta(scheme: bytes, p: Parameters, level: int) -> dict[str, Any] | None:
    if not any(scheme):
        return None
    one, flags, degree, slots, length, zero, text = META.unpack(scheme)
    need(one == 1 and flags < 2 and degree < 3 and not any(zero), "scheme")
    need(slots and slots & (slots - 1) == 0 and slots <= p.n // 2 and length <= slots, "slots")
    canonical = [p.scales[level], EXACT.multiply(p.scales[level], p.scales[level])]
    if degree:
        need(not any(text), "text")
        scale = canonical[degree - 1]
    else:
        scale = from_text(text)
        least = EXACT.divide(Decimal(1), Decimal(2**256))
        need(least <= scale <= 2**256 and scale not in canonical, "scale")
    return dict(real=flags == 1, degree=degree, slots=slots, length=length, scale=scale)


def write_meta(meta: dict[str, Any] | None) -> bytes:
    if meta is None:
        return bytes(64)
    text = bytes(48) if meta["degree"] else to_text(meta["scale"])
    return META.pack(1, meta["real"], meta["degree"], meta["slots"], meta["length"], bytes(4), text)


# ---- models ---------------------------------------------------------------------------------------------------------

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def write_model(value: Any) -> str:
    """The canonical text of a value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        need(abs(value) < 2**53, "integer")
        return str(value)
    if isinstance(value, float):
        need(math.isfinite(value), "number")
        return number(value)
    if isinstance(value, str):
        return '"' + "".join(ESCAPES.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(write_model, value)) + "]"
    members = sorted(value.items(), key=lambda member: member[0].encode())
    return "{" + ",".join(f"{write_model(key)}:{write_model(inner)}" for key, inner in members) + "}"


def read_model(body: bytes) -> dict[str, Any]:
    depth = deepest = count = 0
    inside = escaped = False
    for c in body.decode("utf-8", "replace"):
        if inside:
            inside, escaped = c != '"' or escaped, c == "\\" and not escaped
        elif c == '"':
            inside = True
        else:
            depth += (c in "[{") - (c in "]}")
            deepest, count = max(deepest, depth), count + (c in "[{,:")
    need(deepest <= 16 and count <= 2**15, "structure")
    try:
        value = json.loads(body.decode("utf-8"))
        need(isinstance(value, dict) and write_model(value).encode("utf-8") == body, "canonical form")
    except ValueError as error:
        raise Refused(f"JSON: {error}") from None
    return dict(value)


# ---- secret key file ------------------------------------------------------------------------------------------------

SECRET = struct.Struct("<8sHH32sI16s12s")


def read_secret(data: bytes, p: Parameters) -> list[int]:
    """Return the coefficients of an unsealed key."""
    need(len(data) == 76 + -(-p.n // 4) + 32, "length")
    magic, version, flags, digest, n, salt, nonce = SECRET.unpack_from(data)
    need((magic, version, flags, digest, n) == (b"CKKSSKEY", 1, 0, p.digest, p.n), "header")
    need(not any(salt) and not any(nonce), "salt, nonce")
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], "checksum")
    packed = int.from_bytes(data[76:-32], "little")
    values = [packed >> 2 * i & 3 for i in range(n)]
    need(max(values) < 3 and packed >> 2 * n == 0, "payload")
    weight = n - values.count(1)
    need(not p.security or abs(weight - 2 * n / 3) <= 10 * math.sqrt(2 * n / 9), "weight")
    return [value - 1 for value in values]


def write_secret(secret: list[int], p: Parameters) -> bytes:
    packed = sum(value + 1 << 2 * i for i, value in enumerate(secret))
    data = SECRET.pack(b"CKKSSKEY", 1, 0, p.digest, p.n, bytes(16), bytes(12)) + packed.to_bytes(-(-p.n // 4), "little")
    return data + hashlib.sha256(data).digest()
