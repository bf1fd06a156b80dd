"""Residues as bytes: each word takes as many bits as its prime has, so no bit is always zero.

Bit layout. A row is the N words of one limb of one polynomial. With w = bits(q), word i takes the
bits [i w, (i+1) w) of its row, lowest bit first; bit k of a row is bit k mod 8 (0 is the lowest) of
byte k // 8. A row is padded with zero bits to whole bytes. Rows follow each other in the C order of
the array, limbs of different width as they come.

Every word below its modulus has one form and every other form is refused, padding included.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ckks.errors import SerializationError
from ckks.kernels import Words
from ckks.ring import RNSBasis

Bytes = NDArray[np.uint8]

_CHUNK = 2**16
"""Words handled at once: keeps the temporaries within the cache."""


def row_bytes(q: int, n: int) -> int:
    """Return the bytes of one row: n words of bits(q) bits each, padded to whole bytes."""
    return (n * q.bit_length() + 7) // 8


def item_bytes(moduli: Sequence[int], n: int) -> int:
    """Return the bytes of one polynomial over these moduli."""
    return sum(row_bytes(q, n) for q in moduli)


def pack(basis: RNSBasis, words: Words, out: Bytes) -> None:
    """Write words (items, limbs, N), any outer strides, into out, contiguous, of items x item_bytes bytes."""
    rows = out.reshape(len(words), item_bytes(basis.moduli, basis.n))
    for limb, span in enumerate(_spans(basis)):
        bits = basis.moduli[limb].bit_length()
        for chunk in _chunks(len(words), basis.n):
            rows[chunk, span] = _pack_rows(words[chunk, limb], bits)


def unpack(basis: RNSBasis, data: Bytes, out: Words, *, what: str) -> None:
    """Read what `pack` wrote into out, shape (items, limbs, N), any outer strides.

    `what` names the object in errors, whose positions count polynomials and limbs of this call.

    Raises:
        SerializationError: a residue is not below its modulus, or a padding bit is set.
    """
    rows = data.reshape(len(out), item_bytes(basis.moduli, basis.n))
    for limb, span in enumerate(_spans(basis)):
        q = basis.moduli[limb]
        for chunk in _chunks(len(out), basis.n):
            values = _unpack_rows(rows[chunk, span], q.bit_length(), basis.n)
            if values[:, basis.n :].any():
                raise SerializationError(f"{what}: padding bits of limb {limb} are set; needed zeros")
            bad = values[:, : basis.n] >= np.uint64(q)
            if bad.any():
                item, word = (int(i) for i in np.argwhere(bad)[0])
                raise SerializationError(
                    f"{what}: word {word} of limb {limb}, polynomial {chunk.start + item}, is not a "
                    f"residue; needed less than the modulus {q}"
                )
            out[chunk, limb] = values[:, : basis.n]


def _spans(basis: RNSBasis) -> list[slice]:
    """Where each limb's row lies inside a polynomial."""
    spans, start = [], 0
    for q in basis.moduli:
        spans.append(slice(start, start + row_bytes(q, basis.n)))
        start = spans[-1].stop
    return spans


def _chunks(items: int, n: int) -> list[slice]:
    step = max(1, _CHUNK // n)
    return [slice(i, min(i + step, items)) for i in range(0, items, step)]


def _period(bits: int, n: int) -> tuple[int, int, int]:
    """After how many w-bit words, and how many 64-bit words, the layout repeats, and how often in a row."""
    inner = 64 // gcd(bits, 64)
    return inner, bits * inner // 64, -(-n // inner)


def _pack_rows(values: Words, bits: int) -> Bytes:
    """Rows (R, n) of words below 2^bits as bytes (R, row_bytes)."""
    count, n = values.shape
    inner, outer, groups = _period(bits, n)
    if n % inner:
        values = np.concatenate([values, np.zeros((count, groups * inner - n), dtype=np.uint64)], axis=1)
    columns = np.ascontiguousarray(values.reshape(count * groups, inner).T)
    packed = np.zeros((outer, count * groups), dtype=np.uint64)
    shifted = np.empty(count * groups, dtype=np.uint64)
    for i in range(inner):
        k, shift = divmod(i * bits, 64)
        packed[k] |= np.left_shift(columns[i], np.uint64(shift), out=shifted)
        if shift + bits > 64:
            packed[k + 1] |= np.right_shift(columns[i], np.uint64(64 - shift), out=shifted)
    flat = np.ascontiguousarray(packed.T).astype("<u8", copy=False).view(np.uint8)
    return flat.reshape(count, groups * outer * 8)[:, : (n * bits + 7) // 8]


def _unpack_rows(packed: Bytes, bits: int, n: int) -> Words:
    """Inverse of `_pack_rows`, (R, n or more): the words behind the first n hold the padding."""
    count = len(packed)
    inner, outer, groups = _period(bits, n)
    padded = np.zeros((count, groups * outer * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    words = padded.view("<u8").reshape(count * groups, outer).astype(np.uint64, copy=False)
    columns = np.ascontiguousarray(words.T)
    values = np.empty((inner, count * groups), dtype=np.uint64)
    shifted = np.empty(count * groups, dtype=np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for i in range(inner):
        k, shift = divmod(i * bits, 64)
        np.right_shift(columns[k], np.uint64(shift), out=values[i])
        if shift + bits > 64:
            values[i] |= np.left_shift(columns[k + 1], np.uint64(64 - shift), out=shifted)
        values[i] &= mask
    return np.ascontiguousarray(values.T).reshape(count, groups * inner)
