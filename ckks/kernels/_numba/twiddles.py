"""NTT tables: made by the kernels themselves, shared by all plans that hold the same prime."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ckks.arith import bit_reversed_powers, inverse, shoup_quotient
from ckks.errors import ParameterError
from ckks.kernels._numba import ntt_floating
from ckks.kernels._numba.constants import LAST, SCALE, TWIDDLES, Table, plan_table, prime_row, prime_table, real_bits
from ckks.kernels._numba.lanes import LANES
from ckks.kernels._numba.pointwise import mul_scalar
from ckks.kernels.interface import Plan


@lru_cache(maxsize=8192)
def ntt_table(plan: Plan, fast_limit: int) -> Table:
    """Return the rows of a plan's limbs, NTT tables included."""
    plan_table(plan, fast_limit)  # raises what is to be raised about n and the moduli
    if not all(plan.roots):
        raise ParameterError("this plan has no NTT roots; make one with make_plan to transform")
    fast = [q < fast_limit and plan.n >= ntt_floating.SMALLEST_N for q in plan.moduli]
    tables = [_ntt_tables(plan.n, q, psi, f) for q, psi, f in zip(plan.moduli, plan.roots, fast, strict=True)]
    return Table(np.stack([row for row, _ in tables]), tables)


@lru_cache(maxsize=1024)
def _ntt_tables(n: int, q: int, psi: int, fast: bool) -> tuple[NDArray[np.uint64], NDArray[np.generic]]:
    """Return a prime's row with its NTT columns, and the table these point to: W, then the quotients of W.

    float64: W centred, quotients fl(W/q); in the upper half, the last layer, every eight neighbours are stored as
    four even ones and four odd ones. Words: W, Shoup quotients floor(W 2^64 / q).
    """
    powers = _bit_reversed_powers(n, q, psi)
    w = powers.tolist()
    row = prime_row(q, fast).copy()
    n_inverse = inverse(n, q)
    last = w[1] * n_inverse % q
    table: NDArray[np.generic]
    if fast:
        signed = powers.astype(np.int64)
        signed[signed > q // 2] -= q
        signed[n // 2 :] = signed[n // 2 :].reshape(-1, LANES, 2).transpose(0, 2, 1).reshape(-1)
        table = np.concatenate([signed.astype(np.float64), signed / q])
        for column, value in ((SCALE, n_inverse), (LAST, last)):
            value -= q if value > q // 2 else 0
            row[column], row[column + 1] = real_bits(value), real_bits(value / q)
    else:
        table = np.array(w + [shoup_quotient(x, q, 64) for x in w], dtype=np.uint64)
        for column, value in ((SCALE, n_inverse), (LAST, last)):
            row[column], row[column + 1] = value, shoup_quotient(value, q, 64)
    row[TWIDDLES] = table.ctypes.data
    return row, table


def _bit_reversed_powers(n: int, q: int, psi: int) -> NDArray[np.uint64]:
    """Return `arith.bit_reversed_powers` as words, by doubling: W[m + i] = W[i] psi^(N/(2m)) for i < m."""
    w = np.empty(n, dtype=np.uint64)
    known = min(n, 2 * LANES)
    w[:known] = bit_reversed_powers(pow(psi, n // known, q), known, q)
    rows = prime_table((q,), 0)
    factor = np.empty(1, dtype=np.uint64)
    while known < n:
        factor[0] = pow(psi, n // (2 * known), q)
        data = w.ctypes.data
        mul_scalar(rows.address, 1, 1, known, data, 0, 0, factor.ctypes.data, 0, data + 8 * known, 0, 0)
        known *= 2
    return w
