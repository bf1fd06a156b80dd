"""Dividing polynomials by a power, exactly as their coefficients are split into blocks.

Coefficients are a list of rows: row k belongs to T_k or u^k and has one number per polynomial, so that several of them
are divided alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.polynomial import Parity

__all__ = ["Row", "Rows", "degree_of", "divide_chebyshev", "divide_power", "parity_of"]

Row = NDArray[np.float64]
Rows = list[Row]


def degree_of(c: Sequence[Row]) -> int:
    """Index of the last row with a nonzero number; 0 for none."""
    return max((k for k, row in enumerate(c) if row.any()), default=0)


def parity_of(c: Sequence[Row]) -> Parity:
    """Parity by exact zeros: "odd" up to a constant, "even" up to a linear term.

    Constants are added at any time; u itself is there at every depth. Neither asks for a power or a product.
    """
    if not any(row.any() for row in c[3::2]):
        return "even"
    return "none" if any(row.any() for row in c[2::2]) else "odd"


def divide_chebyshev(c: Sequence[Row], k: int) -> tuple[Rows, Rows]:
    """(q, r) with p = q T_k + r, degree of r below k, from T_{k+j} = 2 T_k T_j - T_{|k-j|}."""
    rest = list(c)
    quotient = [np.zeros_like(c[0])] * (len(c) - k)
    for j in range(len(c) - 1 - k, 0, -1):
        leading = rest[k + j]
        quotient[j] = 2 * leading
        rest[abs(k - j)] = rest[abs(k - j)] - leading
    quotient[0] = rest[k]
    return quotient, rest[:k]


def divide_power(c: Sequence[Row], k: int) -> tuple[Rows, Rows]:
    """(q, r) with p = q u^k + r, degree of r below k."""
    return list(c[k:]), list(c[:k])
