"""What `independent` is made of: the frame, parameters, numbers, residues and seeds, from docs/wire-format.md alone."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cache, cached_property

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

EXACT = Context(prec=40)  # rounds half to even
WIDE = Context(prec=2000)  # enough for every double
SECURE = {
    128: {10: 26, 11: 53, 12: 106, 13: 214, 14: 430, 15: 868, 16: 1747, 17: 3523},
    192: {11: 36, 12: 73, 13: 147, 14: 297, 15: 597, 16: 1199, 17: 2411},
    256: {11: 27, 12: 56, 13: 114, 14: 230, 15: 462, 16: 929, 17: 1866},
}
PARAMETERS, PUBLIC, SWITCHING, EVALUATION, FULL, SEEDED, PLAINTEXT, MODEL = range(1, 9)
FRAME = struct.Struct("<8sHH32s28s64sQ")
Row = list[int]
Poly = list[Row]


class Refused(ValueError):
    """The page says that this must be refused."""


def need(condition: object, what: str) -> None:
    if not condition:
        raise Refused(what)


# ---- the frame ------------------------------------------------------------------------------------------------------


def open_frame(data: bytes) -> tuple[int, bytes, bytes, bytes, int]:
    """Return kind, digest, header fields, scheme field and body length."""
    need(len(data) >= 144, "short")
    magic, version, kind, digest, fields, scheme, length = FRAME.unpack_from(data)
    need(magic == b"CKKSWIRE", "magic")
    need(version == 1, f"version {version}")
    need(1 <= kind <= 8, f"kind {kind}")
    return kind, digest, fields, scheme, length


def body_of(data: bytes, length: int) -> bytes:
    need(len(data) == 144 + length + 32, "length")
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], "checksum")
    return data[144:-32]


def close_frame(kind: int, digest: bytes, fields: bytes, scheme: bytes, body: bytes) -> bytes:
    data = FRAME.pack(b"CKKSWIRE", 1, kind, digest, fields, scheme, len(body)) + body
    return data + hashlib.sha256(data).digest()


# ---- parameters -----------------------------------------------------------------------------------------------------


@cache
def is_prime(q: int) -> bool:
    """Miller-Rabin to the first twelve primes: right below 2^64."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if q < 2 or any(q % p == 0 for p in bases):
        return q in bases
    odd, twos = q - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(pow(base, odd, q) == 1 or any(pow(base, odd << i, q) == q - 1 for i in range(twos)) for base in bases)


@cache
def least_root(n: int, q: int) -> int:
    psi = next(r for r in (pow(g, (q - 1) // (2 * n), q) for g in range(2, q)) if pow(r, n, q) == q - 1)
    return min(pow(psi, k, q) for k in range(1, 2 * n, 2))


@dataclass(frozen=True)
class Parameters:
    """What kind 1 holds; roots are those of the special primes and then Q."""

    n: int
    levels: tuple[tuple[int, ...], ...]
    special: tuple[int, ...]
    digits: tuple[int, ...]
    roots: tuple[int, ...]
    centred: bool
    security: int
    scale: Decimal | None = None
    value_range: float = 0.0

    @cached_property
    def primes(self) -> tuple[int, ...]:
        return sum(self.levels, ())

    def count(self, level: int) -> int:
        return sum(map(len, self.levels[: level + 1]))

    def digit_count(self, level: int) -> int:
        return sum(sum(self.digits[:i]) < self.count(level) for i in range(len(self.digits)))

    def limbs(self, level: int, *, key: bool) -> list[tuple[int, int]]:
        """(prime, root) of each row of a polynomial."""
        joint = list(zip(self.special + self.primes, self.roots))
        return joint[: len(self.special) + self.count(level)][0 if key else len(self.special) :]

    @cached_property
    def scales(self) -> list[Decimal]:
        assert self.scale is not None
        found = [self.scale]
        for group in reversed(self.levels[1:]):
            found.insert(0, EXACT.divide(EXACT.multiply(found[0], found[0]), Decimal(math.prod(group))))
        return found

    @cached_property
    def digest(self) -> bytes:
        levels = ";".join(",".join(map(str, group)) for group in self.levels)
        lists = [",".join(map(str, x)) for x in (self.special, self.digits, self.roots)]
        words = ["centred" if self.centred else "uncentred", str(self.security or "insecure"), "ternary", "cbd21"]
        text = "|".join(["ckks rlwe 1", str(self.n), levels, *lists, *words])
        inner = hashlib.sha256(text.encode()).digest()
        if self.scale is None:
            return inner
        return hashlib.sha256(f"ckks scheme 1|{self.scale:f}|{number(self.value_range)}|".encode() + inner).digest()

    def check(self) -> None:
        n, every = self.n, self.special + self.primes
        need(n & (n - 1) == 0 and 2 <= n <= 2**17, "N")
        need(len(set(every)) == len(every), "equal primes")
        need(all(2 < q < 2**61 and is_prime(q) and q % (2 * n) == 1 for q in every), "primes")
        need(all(0 < r < q and pow(r, n, q) == q - 1 for r, q in zip(self.roots, every)), "roots")
        if self.security:
            log_n = n.bit_length() - 1
            need(log_n in SECURE.get(self.security, ()), "security")
            need(math.prod(every) <= 2 ** SECURE[self.security][log_n], "insecure modulus")
        if self.scale is not None:
            need(0 < self.value_range < 2.0**200, "value range")
            need(2**10 <= self.scale <= 2**100, "scale")
            need(all(self.scale / 2 < s < 2 * self.scale for s in self.scales), "scale drifts")
            need(math.prod(self.levels[0]) >= 2 * self.scales[0], "base modulus")


def read_parameters(data: bytes, *, insecure: bool = True) -> Parameters:
    kind, digest, fields, scheme, length = open_frame(data)
    need(kind == PARAMETERS, "kind")
    n, g, m, k, d, security, flags, rest = struct.unpack("<I6H12s", fields)
    need(1 <= g <= m and 1 <= d <= m and m + k <= 128 and flags < 4 and not any(rest), "header")
    own = flags >> 1
    need(length == g + 8 * (m + k) + 2 * d + 8 * (m + k) * own, "body length")
    need(security or insecure, "insecure")
    body = body_of(data, length)
    values = list(struct.unpack(f"<{g}B{m + k}Q{d}H{(m + k) * own}Q", body))
    sizes, primes, special = values[:g], values[g : g + m], values[g + m : g + m + k]
    digits, roots = values[g + m + k : g + m + k + d], values[g + m + k + d :]
    need(min(sizes) >= 1 and sum(sizes) == m and min(digits) >= 1 and sum(digits) == m, "sizes")
    ends = [sum(sizes[: i + 1]) for i in range(g)]
    scale, value_range = None, 0.0
    if any(scheme):
        one, zero, value_range, text = struct.unpack("<B7sd48s", scheme)
        need(one == 1 and not any(zero), "scheme")
        scale = from_text(text)
    need(n & (n - 1) == 0 and 2 <= n <= 2**17 and all(2 < q < 2**61 and q % (2 * n) == 1 for q in special + primes), "")
    need(all(map(is_prime, special + primes)), "prime")
    least = [least_root(n, q) for q in special + primes]
    need(roots != least, "least roots stored")
    found = Parameters(
        n,
        tuple(tuple(primes[end - size : end]) for size, end in zip(sizes, ends)),
        tuple(special),
        tuple(digits),
        tuple(roots or least),
        bool(flags & 1),
        security,
        scale,
        value_range,
    )
    found.check()
    need(found.digest == digest, "digest")
    return found


def write_parameters(p: Parameters) -> bytes:
    every = p.special + p.primes
    own = p.roots != tuple(least_root(p.n, q) for q in every)
    counts = (p.n, len(p.levels), len(p.primes), len(p.special), len(p.digits), p.security, p.centred + 2 * own)
    body = bytes(map(len, p.levels)) + struct.pack(f"<{len(every)}Q", *p.primes, *p.special)
    body += struct.pack(f"<{len(p.digits)}H", *p.digits) + (struct.pack(f"<{len(every)}Q", *p.roots) if own else b"")
    scheme = bytes(64) if p.scale is None else struct.pack("<B7xd48s", 1, p.value_range, to_text(p.scale))
    return close_frame(PARAMETERS, p.digest, struct.pack("<I6H12x", *counts), scheme, body)


def from_text(text: bytes) -> Decimal:
    bare = text.rstrip(b"\0")
    need(re.fullmatch(rb"[1-9][0-9]{0,39}E(0|-?[1-9][0-9]{0,2})", bare), "scale text")
    need(not bare.split(b"E")[0].endswith(b"0"), "trailing zero")
    return Decimal(bare.decode())


def to_text(scale: Decimal) -> bytes:
    _, digits, exponent = scale.as_tuple()
    text = "".join(map(str, digits))
    short = text.rstrip("0")
    return f"{short}E{int(exponent) + len(text) - len(short)}".encode().ljust(48, b"\0")


def number(x: float) -> str:
    """The shortest text of a double: fewest digits that read back, then the layout of the page."""
    sign = "-" if math.copysign(1, x) < 0 else ""
    if x == 0:
        return sign + "0.0"
    exact = Decimal(abs(x))
    found: list[tuple[Decimal, int, str, int]] = []
    for count in range(1, 18):
        unit = exact.adjusted() - count + 1
        below = int(exact.scaleb(-unit, WIDE).to_integral_value(ROUND_FLOOR, WIDE))
        for digits in (below, below + 1):
            text = f"{digits}E{unit}"
            if float(text) == abs(x):
                off = WIDE.abs(WIDE.subtract(Decimal(text), exact))
                found.append((off, digits % 2, str(digits), unit + len(str(digits)) - 1))
        if found:
            break
    _, _, places, e = min(found)
    places = places.rstrip("0")
    if not -4 <= e < 16:
        return f"{sign}{places[0]}{'.' + places[1:] if places[1:] else ''}e{'-' if e < 0 else '+'}{abs(e):02}"
    if e < 0:
        return f"{sign}0.{'0' * (-e - 1)}{places}"
    return f"{sign}{places[: e + 1].ljust(e + 1, '0')}.{places[e + 1 :] or '0'}"


# ---- residues and seeds ---------------------------------------------------------------------------------------------


def row_bytes(n: int, q: int) -> int:
    return -(-n * q.bit_length() // 8)


def read_row(data: bytes, n: int, q: int) -> Row:
    packed, w = int.from_bytes(data, "little"), q.bit_length()
    words = [packed >> i * w & ((1 << w) - 1) for i in range(n)]
    need(packed >> n * w == 0, "padding")
    need(max(words) < q, "word")
    return words


def write_row(words: Row, q: int) -> bytes:
    packed = sum(word << i * q.bit_length() for i, word in enumerate(words))
    return packed.to_bytes(row_bytes(len(words), q), "little")


def write_poly(poly: Poly, limbs: list[tuple[int, int]]) -> bytes:
    return b"".join(write_row(row, q) for row, (q, _) in zip(poly, limbs, strict=True))


def expand(seed: bytes, label: str, batch: int, limb: int, q: int, n: int) -> Row:
    key = hashlib.sha256(b"ckks keystream 1\0" + label.encode("ascii") + b"\0" + seed).digest()
    aes = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()

    def candidates() -> Iterator[int]:
        j = 0
        while True:
            block = aes.update(batch.to_bytes(8, "big") + limb.to_bytes(4, "big") + j.to_bytes(4, "big"))
            for word in struct.unpack("<2Q", block):
                yield word & ((1 << q.bit_length()) - 1)
            j += 1

    accepted = (c for c in candidates() if c < q)
    return [next(accepted) for _ in range(n)]


def expand_poly(seed: bytes, label: str, batch: int, n: int, limbs: list[tuple[int, int]]) -> Poly:
    return [expand(seed, label, batch, i, q, n) for i, (q, _) in enumerate(limbs)]


def brv(i: int, bits: int) -> int:
    return int(f"{i:0{bits}b}"[::-1], 2)


def coefficients(row: Row, q: int, psi: int) -> Row:
    """Back from NTT form, by the definition."""
    n = len(row)
    bits = n.bit_length() - 1
    powers = [2 * brv(i, bits) + 1 for i in range(n)]
    return [pow(n, -1, q) * sum(x * pow(psi, -e * k, q) for x, e in zip(row, powers)) % q for k in range(n)]


def ntt(a: Row, q: int, psi: int) -> Row:
    """The definition."""
    bits = len(a).bit_length() - 1
    return [sum(x * pow(psi, (2 * brv(i, bits) + 1) * k, q) for k, x in enumerate(a)) % q for i in range(len(a))]
