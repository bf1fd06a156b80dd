"""Every kernel as plain Python integers: the definition that all others are held to, word for word.

Slow, and meant to be read: one function, one formula. Works for every N >= 2 and every prime below 2^61.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.arith import bit_reversed_powers, inverse
from ckks.kernels.interface import Conversion, Plan, Words, row_bytes

name = "reference"
smallest_n = 2


def describe() -> dict[str, Any]:
    """Return facts for the doctor."""
    return {"variant": "python", "variants": ["python"]}


# ---- transforms ------------------------------------------------------------------------------------------------


def forward(a: list[int], q: int, psi: int) -> list[int]:
    """Negacyclic NTT of one polynomial: natural order in, bit-reversed out ([LN16, Alg. 1], Cooley-Tukey).

    out[i] = a(psi^(2 brv(i) + 1)). Stage m splits each of m blocks in two halves with the block's one twiddle
    W[m + i] = psi^brv(m + i); the negacyclic weights psi^j are merged into the twiddles.

    >>> forward([1, 0, 0, 0, 0, 0, 0, 0], 17, 3)
    [1, 1, 1, 1, 1, 1, 1, 1]
    >>> forward([0, 1, 0, 0, 0, 0, 0, 0], 17, 3)     # the odd powers of psi, in bit-reversed order
    [3, 14, 5, 12, 10, 7, 11, 6]
    """
    a, n = list(a), len(a)
    w = _twiddles(n, q, psi)
    m, t = 1, n // 2
    while m < n:
        for i in range(m):
            for j in range(2 * i * t, 2 * i * t + t):
                u, v = a[j], w[m + i] * a[j + t] % q
                a[j], a[j + t] = (u + v) % q, (u - v) % q
        m, t = 2 * m, t // 2
    return a


def backward(a: list[int], q: int, psi: int) -> list[int]:
    """Inverse negacyclic NTT: bit-reversed order in, natural out ([LN16, Alg. 2], Gentleman-Sande).

    >>> backward([3, 14, 5, 12, 10, 7, 11, 6], 17, 3)
    [0, 1, 0, 0, 0, 0, 0, 0]
    """
    a, n = list(a), len(a)
    w = _twiddles(n, q, inverse(psi, q))
    m, t = n // 2, 1
    while m >= 1:
        for i in range(m):
            for j in range(2 * i * t, 2 * i * t + t):
                u, v = a[j], a[j + t]
                a[j], a[j + t] = (u + v) % q, (u - v) * w[m + i] % q
        m, t = m // 2, 2 * t
    n_inverse = inverse(n, q)
    return [x * n_inverse % q for x in a]


@lru_cache(maxsize=256)
def _twiddles(n: int, q: int, psi: int) -> list[int]:
    return bit_reversed_powers(psi, n, q)


def ntt(plan: Plan, x: Words, out: Words) -> None:
    """See `Kernels.ntt`."""
    for b, limb, q in _rows(plan, out):
        out[b, limb] = forward(_ints(x[b, limb]), q, plan.roots[limb])


def intt(plan: Plan, x: Words, out: Words) -> None:
    """See `Kernels.intt`."""
    for b, limb, q in _rows(plan, out):
        out[b, limb] = backward(_ints(x[b, limb]), q, plan.roots[limb])


# ---- word by word ----------------------------------------------------------------------------------------------


def add(plan: Plan, x: Words, y: Words, out: Words) -> None:
    """See `Kernels.add`."""
    _pointwise(plan, out, lambda q, limb, a, b: (a + b) % q, x, y)


def sub(plan: Plan, x: Words, y: Words, out: Words) -> None:
    """See `Kernels.sub`."""
    _pointwise(plan, out, lambda q, limb, a, b: (a - b) % q, x, y)


def neg(plan: Plan, x: Words, out: Words) -> None:
    """See `Kernels.neg`."""
    _pointwise(plan, out, lambda q, limb, a: -a % q, x)


def mul(plan: Plan, x: Words, y: Words, out: Words) -> None:
    """See `Kernels.mul`."""
    _pointwise(plan, out, lambda q, limb, a, b: a * b % q, x, y)


def mul_scalar(plan: Plan, x: Words, w: Words, out: Words) -> None:
    """See `Kernels.mul_scalar`."""
    s = _ints(w)
    _pointwise(plan, out, lambda q, limb, a: s[limb] * a % q, x)


def add_scalar(plan: Plan, x: Words, w: Words, out: Words) -> None:
    """See `Kernels.add_scalar`."""
    s = _ints(w)
    _pointwise(plan, out, lambda q, limb, a: (a + s[limb]) % q, x)


def mul_scalar_add(plan: Plan, x: Words, w: Words, y: Words, out: Words) -> None:
    """See `Kernels.mul_scalar_add`."""
    s = _ints(w)
    _pointwise(plan, out, lambda q, limb, a, b: (s[limb] * a + b) % q, x, y)


def sub_mul_scalar(plan: Plan, x: Words, y: Words, w: Words, out: Words) -> None:
    """See `Kernels.sub_mul_scalar`."""
    s = _ints(w)
    _pointwise(plan, out, lambda q, limb, a, b: s[limb] * (a - b) % q, x, y)


def dot(plan: Plan, x: Words, y: Words, out: Words) -> None:
    """See `Kernels.dot`."""
    for b, limb, q in _rows(plan, out):
        terms = [(_ints(x[k, b, limb]), _ints(y[k, b, limb])) for k in range(len(x))]
        out[b, limb] = [sum(u[j] * v[j] for u, v in terms) % q for j in range(plan.n)]


def weighted_sum(plan: Plan, x: Words, w: Words, out: Words) -> None:
    """See `Kernels.weighted_sum`."""
    for b, limb, q in _rows(plan, out):
        terms = [(_ints(x[k, b, limb]), int(w[k, limb])) for k in range(len(x))]
        out[b, limb] = [sum(u[j] * s for u, s in terms) % q for j in range(plan.n)]


# ---- between moduli --------------------------------------------------------------------------------------------


def convert(table: Conversion, x: Words, out: Words) -> None:
    """Base conversion with an exact overflow count ([HPS18, Sec. 2.2] with integers in place of doubles).

    For x in [0, D) given by residues x_i:  y_i = [x_i (D/d_i)^-1] mod d_i  gives  x = sum_i y_i D/d_i - v D, where
    v = floor(sum_i y_i/d_i), or the nearest integer when the representative in (-D/2, D/2] is wanted.
    Each y_i/d_i is taken as a 51-bit fixed-point fraction (`overflow_fraction`), so that all sources agree; their sum
    starts from `Conversion.offset`.

    Centred results are exact for every x whose distance from D/2 exceeds 3 a D 2^-51, a the number of source
    primes; within that band either neighbour (x or x - D) may come out. Uncentred results are exact unless x lies
    that close below D.
    """
    for b in range(len(out)):
        columns = [_ints(row) for row in x[b]]  # (a, N)
        result: list[list[int]] = [[] for _ in table.target]
        for j in range(out.shape[2]):
            y = [c[j] * inv % d for c, inv, d in zip(columns, table.punctured_inverse, table.source, strict=True)]
            fractions = map(overflow_fraction, y, table.source, table.reciprocal)
            v = (sum(fractions) + table.offset) >> 51
            for row, p, weights, big_d in zip(result, table.target, table.punctured, table.product, strict=True):
                row.append((sum(map(int.__mul__, y, weights)) - v * big_d) % p)
        out[b] = result


def overflow_fraction(y: int, d: int, reciprocal: int) -> int:
    """Return y/d in units of 2^-51, rounded down by less than 3 units (2 when d < 2^52).

    With b the bit length of d:  s = y 2^(52-b) < 2^52 (bits shifted out when b > 52)  and
    t = floor(s r / 2^52) with r = floor(2^(51+b)/d): one 52-bit high product.
    """
    shift = 52 - d.bit_length()
    s = y << shift if shift >= 0 else y >> -shift
    return s * reciprocal >> 52


def signed(plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None, out: Words) -> None:
    """See `Kernels.signed`."""
    for b, limb, q in _rows(plan, out):
        values = _ints(low[b])
        if high is not None:
            values = [u + (v << 52) for u, v in zip(values, _ints(high[b]), strict=True)]
        out[b, limb] = [v % q for v in values]


# ---- permutations ----------------------------------------------------------------------------------------------


def gather(x: Words, index: NDArray[np.int64], out: Words) -> None:
    """See `Kernels.gather`."""
    out[...] = x[..., index]


def gather_signed(plan: Plan, x: Words, index: NDArray[np.int64], out: Words) -> None:
    """See `Kernels.gather_signed`."""
    n = plan.n
    for b, limb, q in _rows(plan, out):
        row = _ints(x[b, limb])
        out[b, limb] = [row[j] if j < n else -row[j - n] % q for j in _ints(index)]


def mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
    """See `Kernels.mul_add`."""
    _pointwise(plan, out, lambda q, limb, a, b, c: (a * b + c) % q, x, y, z)


def neg_mul_add(plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
    """See `Kernels.neg_mul_add`."""
    _pointwise(plan, out, lambda q, limb, a, b, c: (c - a * b) % q, x, y, z)


# ---- sampling, rounding, packing -------------------------------------------------------------------------------


def take_below(q: int, x: Words, out: Words) -> int:
    """See `Kernels.take_below`."""
    mask = (1 << q.bit_length()) - 1
    accepted = [word & mask for word in _ints(x) if word & mask < q][: len(out)]
    out[: len(accepted)] = accepted
    return len(accepted)


def take_ternary(x: NDArray[np.uint8], out: NDArray[np.int8]) -> int:
    """See `Kernels.take_ternary`."""
    candidates = [byte >> shift & 3 for byte in _ints(x) for shift in (0, 2, 4, 6)]
    accepted = [c - 1 for c in candidates if c != 3][: len(out)]
    out[: len(accepted)] = accepted
    return len(accepted)


def binomial(x: Words, out: NDArray[np.int8]) -> None:
    """See `Kernels.binomial`."""
    mask = (1 << 21) - 1
    out[...] = [(word & mask).bit_count() - (word >> 21 & mask).bit_count() for word in _ints(x)]


def small(plan: Plan, x: NDArray[np.int8], out: Words) -> None:
    """See `Kernels.small`."""
    for b, limb, q in _rows(plan, out):
        out[b, limb] = [v % q for v in _ints(x[b])]


def rounded(plan: Plan, x: NDArray[np.float64], scale: float, out: Words) -> None:
    """See `Kernels.rounded`; Python rounds halves to even, and to an integer of any size."""
    for b, limb, q in _rows(plan, out):
        reals: list[float] = x[b].tolist()
        out[b, limb] = [round(v * scale) % q for v in reals]


def pack(plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
    """See `Kernels.pack`: a row is one integer, word i at bit i bits(q), its bytes lowest first."""
    for b, limb, q in _rows(plan, x):
        row = sum(word << i * q.bit_length() for i, word in enumerate(_ints(x[b, limb])))
        out[b, _span(plan, limb)] = np.frombuffer(row.to_bytes(row_bytes(q, plan.n), "little"), dtype=np.uint8)


def unpack(plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
    """See `Kernels.unpack`."""
    canonical = True
    for b, limb, q in _rows(plan, out):
        bits, row = q.bit_length(), int.from_bytes(x[b, _span(plan, limb)].tobytes(), "little")
        words = [row >> i * bits & ((1 << bits) - 1) for i in range(plan.n)]
        canonical &= max(words) < q and row >> plan.n * bits == 0
        out[b, limb] = words
    return canonical


def _span(plan: Plan, limb: int) -> slice:
    """Where the packed row of a limb lies within a polynomial."""
    start = sum(row_bytes(q, plan.n) for q in plan.moduli[:limb])
    return slice(start, start + row_bytes(plan.moduli[limb], plan.n))


# ---- helpers ---------------------------------------------------------------------------------------------------


def _ints(row: NDArray[Any]) -> list[int]:
    values: list[int] = row.tolist()
    return values


def _rows(plan: Plan, out: Words) -> Iterator[tuple[int, int, int]]:
    """Yield (batch index, limb index, modulus)."""
    for b in range(out.shape[0]):
        for limb, q in enumerate(plan.moduli):
            yield b, limb, q


def _pointwise(plan: Plan, out: Words, f: Callable[..., int], *operands: Words) -> None:
    for b, limb, q in _rows(plan, out):
        rows = [_ints(x[b, limb]) for x in operands]
        out[b, limb] = [f(q, limb, *words) for words in zip(*rows, strict=True)]
