"""Finds a secret key in bytes, in whatever form somebody may have written it.

A form (the key as int8, as residues of one prime, ...) is cut into windows, each long enough that chance does not
produce it. Each window is looked for as it is, in base64 at all three alignments, and in hex. So a leak need not be
whole to be found: a 64th of a form, or `STRIDE` bytes and a window where that is more, are enough.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.rlwe.packing import item_bytes, pack
from ckks.rlwe.secret import SecretKey

STRIDE = 1024
_PIECE, _OVERLAP = 1 << 20, 1 << 12  # bytes; no window is as long as the overlap
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Form:
    """One way of writing a secret: all of its bytes, and how many in a row have 100 bits of the secret in them."""

    name: str
    data: bytes
    window: int


def forms(secret: SecretKey) -> Iterator[Form]:
    """Go through every form of a secret key: as small numbers, packed, as text, as residues modulo each prime."""
    s, params = secret.coefficients(), secret.params
    for size in (1, 2, 4, 8):
        for order in "<>" if size > 1 else "<":
            yield Form(f"int{8 * size}{order}", s.astype(f"{order}i{size}").tobytes(), 64 * size)
    crumbs = (s + 1).astype(np.uint8).reshape(-1, 4)
    for name, digits in (("2 bits", crumbs), ("2 bits, negative as 3", s.astype(np.uint8).reshape(-1, 4) & 3)):
        for shifts in ([0, 2, 4, 6], [6, 4, 2, 0]):
            packed = np.bitwise_or.reduce(digits << np.array(shifts, np.uint8), axis=1).astype(np.uint8)
            yield Form(f"{name}{'<>'[shifts[0] == 6]}", packed.tobytes(), 32)
    for between in (",", ", ", " "):
        yield Form(f"text with {between!r}", between.join(map(str, s.tolist())).encode(), 192)
    basis = params.basis_qp
    transformed = secret.ntt(basis)
    for row, q in enumerate(basis.moduli):
        small, big = s.astype(np.int64) % q, transformed[row].astype(object)
        for domain, words, window in (("coefficients", small.astype(object), 512), ("NTT", big, 32)):
            for factor in ("", "2^64", "2^52"):
                r = 1 if not factor else 1 << int(factor[2:])
                values = (words * r % q).astype(np.uint64)
                for order in "<>":
                    yield Form(f"{domain} {factor} mod {q} {order}", values.astype(f"{order}u8").tobytes(), window)
    for domain, rows in (("coefficients", kernels.small(basis.plan, s)), ("NTT", transformed)):
        tight = np.zeros((1, item_bytes(basis.moduli, basis.n)), np.uint8)
        pack(basis, np.ascontiguousarray(rows)[None], tight)
        yield Form(f"{domain}, packed as on the wire", tight.tobytes(), 512)


def written(window: bytes) -> Iterator[tuple[str, bytes]]:
    """Go through the ways in which bytes appear: raw, hex, base64 at each alignment, both alphabets."""
    yield "raw", window
    yield "hex", window.hex().encode()
    yield "HEX", window.hex().upper().encode()
    for skip in range(3):
        whole = window[skip : skip + 3 * ((len(window) - skip) // 3)]
        plain, safe = base64.b64encode(whole), base64.urlsafe_b64encode(whole)
        yield f"base64+{skip}", plain
        if safe != plain:
            yield f"base64url+{skip}", safe


class Searcher:
    """All windows of all forms of some secrets, by eight of their bytes, then by where these are and by length."""

    def __init__(self, *secrets: SecretKey, extra: Iterable[Form] = ()) -> None:
        """Cut the forms; `extra` ones are looked for like those of the secrets."""
        self._windows: dict[int, dict[tuple[int, int], dict[bytes, str]]] = defaultdict(lambda: defaultdict(dict))
        self.count = 0
        for form in [*(form for secret in secrets for form in forms(secret)), *extra]:
            self._add(form)
        keys = np.array(sorted(self._windows), np.uint64)
        self._keys, self._bits = keys, max(10, len(keys).bit_length() + 5)
        self._table = np.zeros(1 << self._bits, bool)
        self._table[self._slot(keys)] = True

    def _add(self, form: Form) -> None:
        last = len(form.data) - form.window
        stride = max(STRIDE, len(form.data) // 64 // 8 * 8)
        for start in sorted({*range(0, last + 1, stride), max(0, last)}):
            for how, text in written(form.data[start : start + form.window]):
                anchor = _anchor(text)
                if anchor is None:
                    continue
                key = int.from_bytes(text[anchor : anchor + 8], "little")
                self._windows[key][anchor, len(text)][text] = f"{form.name}, {how}, at {start}"
                self.count += 1

    def search(self, data: bytes) -> list[str]:
        """Return what was found, a description per find."""
        found: list[str] = []
        for start in range(0, len(data), _PIECE):
            found += self._search(data[start : start + _PIECE + _OVERLAP])
        return sorted(set(found))

    def _search(self, data: bytes) -> list[str]:
        found = []
        for shift in range(min(8, max(0, len(data) - 7))):
            words = np.frombuffer(data, "<u8", (len(data) - shift) // 8, shift)
            maybe = np.flatnonzero(self._table[self._slot(words)])
            nearest = np.minimum(np.searchsorted(self._keys, words[maybe]), len(self._keys) - 1)
            for index in maybe[self._keys[nearest] == words[maybe]].tolist():
                position = 8 * index + shift
                for (anchor, length), texts in self._windows[int(words[index])].items():
                    begin = position - anchor
                    what = texts.get(data[begin : begin + length]) if begin >= 0 else None
                    if what is not None:
                        found.append(what)
        return found

    def _slot(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (words * _MIX) >> np.uint64(64 - self._bits)


def _anchor(text: bytes) -> int | None:
    """Return where eight bytes of a window are that are seldom elsewhere; None for a window of one byte, repeated."""
    places = range(0, min(len(text) - 7, 512), 8)
    variety = [len(set(text[k : k + 8])) for k in places]
    most = max(variety)
    return places[variety.index(most)] if most > 1 else None
