"""Negacyclic NTT modulo q < 2^61 on 64-bit words: [LN16, Alg. 1 and 2] with the lazy butterflies of [Har12, Sec. 3].

Twiddles and their mirrored use in the inverse: as in `ntt_floating`, but W and the Shoup quotients of W are plain
tables of N words each. Values stay below 4 q < 2^63 in the forward transform and below 2 q in the inverse. The two
layers within four neighbours are one loop, so that no inner loop is shorter than four.
"""

from __future__ import annotations

from ckks.kernels._numba import integer
from ckks.kernels._numba.cache import helper
from ckks.kernels._numba.constants import LAST, SCALE, TWIDDLES, Q
from ckks.kernels._numba.lanes import load_int, load_word, store_word

_shoup, _shoup_lazy, _subtract_once = integer.shoup, integer.shoup_lazy, integer.subtract_once


@helper
def forward(row, n, x, out):  # type: ignore[no-untyped-def]
    """Transform n >= 8 words at x, coefficients in [0, q), into words in [0, q) at out (which may be x)."""
    q, w = load_word(row, Q), load_int(row, TWIDDLES)
    v = w + 8 * n
    source, m, t = x, 1, n // 2
    while t > 2:
        for block in range(m):
            w1, v1 = load_word(w, m + block), load_word(v, m + block)
            low = 2 * t * block
            for j in range(low, low + t):
                a, b = _split(load_word(source, j), load_word(source, j + t), w1, v1, q)
                store_word(out, j, a)
                store_word(out, j + t, b)
        source, m, t = out, 2 * m, t // 2
    two = q + q
    for block in range(m):  # blocks of four: layers m = N/4 and N/2
        i, k, j = m + block, 2 * (m + block), 4 * block
        w1, v1 = load_word(w, i), load_word(v, i)
        x0, x2 = _split(load_word(out, j), load_word(out, j + 2), w1, v1, q)
        x1, x3 = _split(load_word(out, j + 1), load_word(out, j + 3), w1, v1, q)
        x0, x1 = _split(x0, x1, load_word(w, k), load_word(v, k), q)
        x2, x3 = _split(x2, x3, load_word(w, k + 1), load_word(v, k + 1), q)
        store_word(out, j, _subtract_once(_subtract_once(x0, two), q))
        store_word(out, j + 1, _subtract_once(_subtract_once(x1, two), q))
        store_word(out, j + 2, _subtract_once(_subtract_once(x2, two), q))
        store_word(out, j + 3, _subtract_once(_subtract_once(x3, two), q))


@helper
def _split(x, y, w, v, q):  # type: ignore[no-untyped-def]
    """Return x + w y and x - w y in [0, 4q), for x, y in [0, 4q)."""
    x = _subtract_once(x, q + q)  # [0, 2q)
    r = _shoup_lazy(y, w, v, q)  # [0, 2q)
    return x + r, x - r + q + q


@helper
def backward(row, n, x, out):  # type: ignore[no-untyped-def]
    """Undo `forward`."""
    q, w = load_word(row, Q), load_int(row, TWIDDLES)
    v = w + 8 * n
    m = n // 4
    for block in range(m):
        i, j = 2 * m - 1 - block, 4 * block
        k = 2 * i
        x0, x1 = _merge(load_word(x, j), load_word(x, j + 1), load_word(w, k + 1), load_word(v, k + 1), q)
        x2, x3 = _merge(load_word(x, j + 2), load_word(x, j + 3), load_word(w, k), load_word(v, k), q)
        w1, v1 = load_word(w, i), load_word(v, i)
        x0, x2 = _merge(x0, x2, w1, v1, q)
        x1, x3 = _merge(x1, x3, w1, v1, q)
        store_word(out, j, x0)
        store_word(out, j + 1, x1)
        store_word(out, j + 2, x2)
        store_word(out, j + 3, x3)
    m, t = m // 2, 4
    while m > 1:
        for block in range(m):
            i, low = 2 * m - 1 - block, 2 * t * block
            w1, v1 = load_word(w, i), load_word(v, i)
            for j in range(low, low + t):
                a, b = _merge(load_word(out, j), load_word(out, j + t), w1, v1, q)
                store_word(out, j, a)
                store_word(out, j + t, b)
        m, t = m // 2, 2 * t
    w0, v0, w1, v1 = load_word(row, SCALE), load_word(row, SCALE + 1), load_word(row, LAST), load_word(row, LAST + 1)
    for j in range(t):
        a, b = load_word(out, j), load_word(out, j + t)
        store_word(out, j, _shoup(a + b, w0, v0, q))
        store_word(out, j + t, _shoup(b - a + q + q, w1, v1, q))


@helper
def _merge(x, y, w, v, q):  # type: ignore[no-untyped-def]
    """Return x + y and w (y - x) in [0, 2q), for x, y in [0, 2q)."""
    return _subtract_once(x + y, q + q), _shoup_lazy(y - x + q + q, w, v, q)
