"""Negacyclic NTT modulo q < 2^50 on float64 lanes: [LN16, Alg. 1 and 2], two layers to a pass.

A polynomial is transformed in its output row, which holds float64 residues between passes. Layer m = 1, 2, 4, ..
N/2 of the forward transform has m blocks of N/m words, block i with twiddle W[m + i] = psi^brv(m + i). A pass merges
layers m and 2m: four quarters x0..x3 of each block,

    y0, y2 = x0 +- W[m+i] x2     y1, y3 = x1 +- W[m+i] x3
    out0, out1 = y0 +- W[2(m+i)] y1     out2, out3 = y2 +- W[2(m+i)+1] y3

The first pass (of one layer, when their number is odd) reads words. Passes over the whole row follow until blocks
fit in the first-level cache, then all remaining passes over one block before the next is touched. In the last two
layers blocks are four words long: a 4 x 4 transposition brings four of them into lanes. That pass and the final
reduction are loops of their own, because a longer chain of dependent instructions per iteration ran slower.

The inverse runs backwards through the same tables, since the mirror image of a twiddle is its negated inverse:
brv(m + i) + brv(m + (m-1-i)) = N, so W[m+i]^-1 = psi^-brv(m+i) = -psi^(N - brv(m+i)) = -W[2m-1-i]. The minus sign
turns (u - v) w into (v - u) w.

Ranges, in units of q, by the bounds of `floating`, u(A) = 1/2 + A/16 for a product with input up to A <= 4; a test
recomputes them:

  forward  words enter the first pass below 1; every pass leaves |x| < 2 and takes as much.
           radix 2 on words        1 + u(1) = 1.57
           radix 4                 x0 reduced to 1/2; y0, y2 <= 1/2 + u(2) = 1.13; x1 +- W x3 <= 2 + u(2) = 2.63;
                                   out <= 1.13 + u(2.63) = 1.79
           last two layers         x0 not reduced: y0, y2 <= 2 + u(2) = 2.63, out <= 2.63 + u(2.63) = 3.29,
                                   then reduced and stored
  inverse  every pass takes and leaves |x| <= 1.
           radix 4                 sums of two <= 2, products of their differences u(2) = 0.63;
                                   out0 <= 4 and out1 <= 1.25 reduced to 1/2; out2 <= u(4) = 0.75, out3 <= u(1.25)
           last pass               all outputs are products of inputs up to 4, so below 0.75: stored as they are
"""

from __future__ import annotations

from ckks.kernels._numba import floating
from ckks.kernels._numba.cache import helper
from ckks.kernels._numba.constants import INVERSE, LAST, REAL_Q, SCALE, TWIDDLES, Q
from ckks.kernels._numba.lanes import (
    LANES,
    load_int,
    load_real,
    load_reals,
    load_word,
    load_words,
    spread,
    store_reals,
    store_words,
    transpose,
)

SMALLEST_N = 16
"""The last pass takes sixteen words at a time."""

_NEAR = 2048
"""Blocks of so many words (16 KiB) are finished one at a time: half a first-level cache, twiddles beside them."""

_mulmod, _reduce, _to_reals, _to_words = floating.mulmod, floating.reduce, floating.to_reals, floating.to_words


@helper
def forward(row, n, x, out):  # type: ignore[no-untyped-def]
    """Transform n >= 16 words at x, coefficients in [0, q), into words in [0, q) at out (which may be x)."""
    w = load_int(row, TWIDDLES)
    layers = 0
    while (16 << layers) < n:
        layers += 1
    if layers & 1:
        _forward_words_2(row, n, w, x, out)
        m = 2
    elif layers:
        _forward_words_4(row, n, w, x, out)
        m = 4
    else:
        _load(n, x, out)
        m = 1
    size = n // m  # words per block
    while size > _NEAR:
        _forward_pass(row, n, w, out, m, size, 0, m)
        m, size = 4 * m, size // 4
    for block in range(m):
        first, last, layer, part = block, block + 1, m, size
        while part > 4:
            _forward_pass(row, n, w, out, layer, part, first, last)
            first, last, layer, part = 4 * first, 4 * last, 4 * layer, part // 4
        _forward_quads(row, n, w, out, first, last)
        _store(row, size, out + 8 * size * block)


@helper
def backward(row, n, x, out):  # type: ignore[no-untyped-def]
    """Undo `forward`."""
    w = load_int(row, TWIDDLES)
    layers = 0
    while (16 << layers) < n:
        layers += 1
    m = 2 if layers & 1 else 4 if layers else 1
    while n // m > _NEAR:
        m *= 4
    size = n // m
    count = size // 4
    for block in range(m):
        first, last, layer, part = block * count, (block + 1) * count, n // 4, 4
        _backward_quads(row, n, w, x, out, first, last)
        while part < size:
            first, last, layer, part = first // 4, last // 4, layer // 4, part * 4
            _backward_pass(row, n, w, out, layer, part, first, last)
    while m > 4:
        m, size = m // 4, size * 4
        _backward_pass(row, n, w, out, m, size, 0, m)
    if m == 4:
        _backward_words_4(row, n, w, out)
    elif m == 2:
        _backward_words_2(row, n, w, out)
    else:
        _scale(row, n, out)


# ---- forward ---------------------------------------------------------------------------------------------------


@helper
def _split(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q):  # type: ignore[no-untyped-def]
    """Return the four outputs of the forward butterfly drawn above."""
    a, b = _mulmod(x2, w1, v1, q), _mulmod(x3, w1, v1, q)
    y1, y3 = _mulmod(x1 + b, w2, v2, q), _mulmod(x1 - b, w3, v3, q)
    y0, y2 = x0 + a, x0 - a
    return y0 + y1, y0 - y1, y2 + y3, y2 - y3


@helper
def _load(n, x, out):  # type: ignore[no-untyped-def]
    for i in range(0, n, LANES):
        store_reals(out, i, _to_reals(load_words(x, i)))


@helper
def _forward_words_2(row, n, w, x, out):  # type: ignore[no-untyped-def]
    q = spread(load_real(row, REAL_Q))
    w1, v1 = spread(load_real(w, 1)), spread(load_real(w, n + 1))
    t = n // 2
    for i in range(0, t, LANES):
        x0, x1 = _to_reals(load_words(x, i)), _to_reals(load_words(x, i + t))
        y = _mulmod(x1, w1, v1, q)
        store_reals(out, i, x0 + y)
        store_reals(out, i + t, x0 - y)


@helper
def _forward_words_4(row, n, w, x, out):  # type: ignore[no-untyped-def]
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    w1, w2, w3 = spread(load_real(w, 1)), spread(load_real(w, 2)), spread(load_real(w, 3))
    v1, v2, v3 = spread(load_real(w, n + 1)), spread(load_real(w, n + 2)), spread(load_real(w, n + 3))
    t = n // 4
    for i in range(0, t, LANES):
        x0 = _reduce(_to_reals(load_words(x, i)), q, inverse)
        x1 = _to_reals(load_words(x, i + t))
        x2 = _to_reals(load_words(x, i + 2 * t))
        x3 = _to_reals(load_words(x, i + 3 * t))
        y0, y1, y2, y3 = _split(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q)
        store_reals(out, i, y0)
        store_reals(out, i + t, y1)
        store_reals(out, i + 2 * t, y2)
        store_reals(out, i + 3 * t, y3)


@helper
def _forward_pass(row, n, w, data, m, size, first, last):  # type: ignore[no-untyped-def]
    """Layers m and 2m on blocks first..last-1, of `size` words each."""
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    t = size // 4
    for block in range(first, last):
        i, j = m + block, 2 * (m + block)
        w1, w2, w3 = spread(load_real(w, i)), spread(load_real(w, j)), spread(load_real(w, j + 1))
        v1, v2, v3 = spread(load_real(w, n + i)), spread(load_real(w, n + j)), spread(load_real(w, n + j + 1))
        a = data + 8 * size * block
        b, c, d = a + 8 * t, a + 16 * t, a + 24 * t
        for k in range(0, t, LANES):
            x0 = _reduce(load_reals(a, k), q, inverse)
            x1, x2, x3 = load_reals(b, k), load_reals(c, k), load_reals(d, k)
            y0, y1, y2, y3 = _split(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q)
            store_reals(a, k, y0)
            store_reals(b, k, y1)
            store_reals(c, k, y2)
            store_reals(d, k, y3)


@helper
def _forward_quads(row, n, w, data, first, last):  # type: ignore[no-untyped-def]
    """The last two layers on blocks first..last-1, of four words each; both multiples of four.

    The twiddles of the last layer are kept in groups of eight, even ones before odd ones, so that both kinds load
    as vectors: see `twiddles`.
    """
    q = spread(load_real(row, REAL_Q))
    m = n // 4
    for block in range(first, last, LANES):
        i, j = m + block, 2 * (m + block)
        w1, w2, w3 = load_reals(w, i), load_reals(w, j), load_reals(w, j + 4)
        v1, v2, v3 = load_reals(w, n + i), load_reals(w, n + j), load_reals(w, n + j + 4)
        a = data + 32 * block
        x0, x1, x2, x3 = transpose(load_reals(a, 0), load_reals(a, 4), load_reals(a, 8), load_reals(a, 12))
        y0, y1, y2, y3 = _split(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q)
        x0, x1, x2, x3 = transpose(y0, y1, y2, y3)
        store_reals(a, 0, x0)
        store_reals(a, 4, x1)
        store_reals(a, 8, x2)
        store_reals(a, 12, x3)


@helper
def _store(row, n, data):  # type: ignore[no-untyped-def]
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    whole = spread(load_word(row, Q))
    for i in range(0, n, LANES):
        store_words(data, i, _to_words(_reduce(load_reals(data, i), q, inverse), whole))


# ---- inverse ---------------------------------------------------------------------------------------------------


@helper
def _merge(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q, inverse):  # type: ignore[no-untyped-def]
    """Return the four outputs of the inverse butterfly: twiddles are the mirror images, signs swapped."""
    y0, y2 = x0 + x1, x2 + x3
    y1, y3 = _mulmod(x1 - x0, w3, v3, q), _mulmod(x3 - x2, w2, v2, q)
    z0, z1 = _reduce(y0 + y2, q, inverse), _reduce(y1 + y3, q, inverse)
    return z0, z1, _mulmod(y2 - y0, w1, v1, q), _mulmod(y3 - y1, w1, v1, q)


@helper
def _backward_quads(row, n, w, x, data, first, last):  # type: ignore[no-untyped-def]
    """The first two layers, from words at x to reals at data: `_forward_quads` in a mirror.

    Vectors go into the transposition last one first, which mirrors the lanes, as the twiddles require.
    """
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    m = n // 4
    for block in range(first, last, LANES):
        mirror = 2 * m - LANES - block
        i, j = mirror, 2 * mirror
        w1, w2, w3 = load_reals(w, i), load_reals(w, j), load_reals(w, j + 4)
        v1, v2, v3 = load_reals(w, n + i), load_reals(w, n + j), load_reals(w, n + j + 4)
        a = x + 32 * block
        x3, x2 = _to_reals(load_words(a, 0)), _to_reals(load_words(a, 4))
        x1, x0 = _to_reals(load_words(a, 8)), _to_reals(load_words(a, 12))
        y0, y1, y2, y3 = transpose(x0, x1, x2, x3)
        x0, x1, x2, x3 = _merge(y0, y1, y2, y3, w1, v1, w2, v2, w3, v3, q, inverse)
        y3, y2, y1, y0 = transpose(x0, x1, x2, x3)
        a = data + 32 * block
        store_reals(a, 0, y0)
        store_reals(a, 4, y1)
        store_reals(a, 8, y2)
        store_reals(a, 12, y3)


@helper
def _backward_pass(row, n, w, data, m, size, first, last):  # type: ignore[no-untyped-def]
    """Undo layers 2m and m on blocks first..last-1, of `size` words each."""
    q, inverse = spread(load_real(row, REAL_Q)), spread(load_real(row, INVERSE))
    t = size // 4
    for block in range(first, last):
        mirror = 2 * m - 1 - block
        i, j = mirror, 2 * mirror
        w1, w2, w3 = spread(load_real(w, i)), spread(load_real(w, j)), spread(load_real(w, j + 1))
        v1, v2, v3 = spread(load_real(w, n + i)), spread(load_real(w, n + j)), spread(load_real(w, n + j + 1))
        a = data + 8 * size * block
        b, c, d = a + 8 * t, a + 16 * t, a + 24 * t
        for k in range(0, t, LANES):
            x0, x1, x2, x3 = load_reals(a, k), load_reals(b, k), load_reals(c, k), load_reals(d, k)
            y0, y1, y2, y3 = _merge(x0, x1, x2, x3, w1, v1, w2, v2, w3, v3, q, inverse)
            store_reals(a, k, y0)
            store_reals(b, k, y1)
            store_reals(c, k, y2)
            store_reals(d, k, y3)


@helper
def _backward_words_4(row, n, w, data):  # type: ignore[no-untyped-def]
    """Undo layers 2 and 1, divide by N and store words."""
    q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
    w2, w3 = spread(load_real(w, 2)), spread(load_real(w, 3))
    v2, v3 = spread(load_real(w, n + 2)), spread(load_real(w, n + 3))
    scale_w, scale_v = spread(load_real(row, SCALE)), spread(load_real(row, SCALE + 1))
    last_w, last_v = spread(load_real(row, LAST)), spread(load_real(row, LAST + 1))
    t = n // 4
    for i in range(0, t, LANES):
        x0, x1 = load_reals(data, i), load_reals(data, i + t)
        x2, x3 = load_reals(data, i + 2 * t), load_reals(data, i + 3 * t)
        y0, y2 = x0 + x1, x2 + x3
        y1, y3 = _mulmod(x1 - x0, w3, v3, q), _mulmod(x3 - x2, w2, v2, q)
        store_words(data, i, _to_words(_mulmod(y0 + y2, scale_w, scale_v, q), whole))
        store_words(data, i + t, _to_words(_mulmod(y1 + y3, scale_w, scale_v, q), whole))
        store_words(data, i + 2 * t, _to_words(_mulmod(y2 - y0, last_w, last_v, q), whole))
        store_words(data, i + 3 * t, _to_words(_mulmod(y3 - y1, last_w, last_v, q), whole))


@helper
def _backward_words_2(row, n, w, data):  # type: ignore[no-untyped-def]
    """Undo layer 1, divide by N and store words."""
    q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
    scale_w, scale_v = spread(load_real(row, SCALE)), spread(load_real(row, SCALE + 1))
    last_w, last_v = spread(load_real(row, LAST)), spread(load_real(row, LAST + 1))
    t = n // 2
    for i in range(0, t, LANES):
        x0, x1 = load_reals(data, i), load_reals(data, i + t)
        store_words(data, i, _to_words(_mulmod(x0 + x1, scale_w, scale_v, q), whole))
        store_words(data, i + t, _to_words(_mulmod(x1 - x0, last_w, last_v, q), whole))


@helper
def _scale(row, n, data):  # type: ignore[no-untyped-def]
    q, whole = spread(load_real(row, REAL_Q)), spread(load_word(row, Q))
    w, v = spread(load_real(row, SCALE)), spread(load_real(row, SCALE + 1))
    for i in range(0, n, LANES):
        store_words(data, i, _to_words(_mulmod(load_reals(data, i), w, v, q), whole))
