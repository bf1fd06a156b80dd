"""Rows of residues as bits, and back: eight words take bits(q) bytes, so that rings of 8 or more need no padding."""

from __future__ import annotations

import numpy as np

from ckks.kernels._numba.cache import helper, kernel
from ckks.kernels._numba.constants import ROW, SHIFT, Q
from ckks.kernels._numba.lanes import load_byte, load_bytes, load_word, store_byte, store_bytes, store_word

_ONE, _TOP, _BYTE, _ZERO = np.uint64(1), np.uint64(63), np.uint64(8), np.uint64(0)


@kernel
def pack(rows, limbs, batch, n, x, x_b, x_l, out, o_b):  # type: ignore[no-untyped-def]
    """See `Kernels.pack`."""
    start = 0
    for limb in range(limbs):
        bits = np.int64(load_word(rows + ROW * limb, SHIFT)) + 2
        for b in range(batch):
            _pack_row(n, bits, x + b * x_b + limb * x_l, out + b * o_b + start)
        start += n // 8 * bits


@helper
def _pack_row(n, bits, x, out):  # type: ignore[no-untyped-def]
    """`held` has `count` < 64 bits that are not written yet; count is a matter of the position only."""
    held, count, at = _ZERO, 0, 0
    for i in range(n):
        word = load_word(x, i)
        held |= word << np.uint64(count)
        count += bits
        if count >= 64:
            store_bytes(out, at, held)
            at += 8
            count -= 64
            held = word >> np.uint64(bits - count)
    while count > 0:
        store_byte(out, at, np.uint8(held & np.uint64(255)))
        held = held >> _BYTE
        at += 1
        count -= 8


@kernel
def unpack(rows, limbs, batch, n, x, x_b, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.unpack`; 1 when all words are below their modulus, else 0."""
    start, bad = 0, _ZERO
    for limb in range(limbs):
        q, bits = load_word(rows + ROW * limb, Q), np.int64(load_word(rows + ROW * limb, SHIFT)) + 2
        for b in range(batch):
            bad |= _unpack_row(n, bits, q, x + b * x_b + start, out + b * o_b + limb * o_l)
        start += n // 8 * bits
    return np.int64(_ONE - (bad >> _TOP))


@helper
def _unpack_row(n, bits, q, x, out):  # type: ignore[no-untyped-def]
    """Return a word whose top bit is set when one is not below q."""
    mask, bad = (_ONE << np.uint64(bits)) - _ONE, _ZERO
    total, last = n // 8 * bits, q - _ONE
    safe = max(0, min(n, (8 * (total - 9)) // bits))  # word i reads up to byte i bits / 8 + 8
    for i in range(safe):
        at, down = i * bits >> 3, np.uint64(i * bits & 7)
        # The ninth byte counts where shift + bits > 64; two shifts, since one of 64 is undefined.
        word = load_bytes(x, at) >> down | (np.uint64(load_byte(x, at + 8)) << _ONE) << (_TOP - down)
        word &= mask
        bad |= last - word
        store_word(out, i, word)
    for i in range(safe, n):  # byte by byte, up to the end of the row
        at, shift, word = i * bits >> 3, i * bits & 7, _ZERO
        word |= np.uint64(load_byte(x, at)) >> np.uint64(shift)
        for k in range(1, min(9 if shift else 8, total - at)):  # a shift of 64 would be undefined
            word |= np.uint64(load_byte(x, at + k)) << np.uint64(8 * k - shift)
        word &= mask
        bad |= last - word
        store_word(out, i, word)
    return bad
