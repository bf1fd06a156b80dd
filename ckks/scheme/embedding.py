"""The canonical embedding: slots to coefficients and back, in double precision ([CKKS17, Sec. 3.2]).

Slot j of a real polynomial m is m(zeta^(g^j)), zeta = exp(i pi / N), with g = 5 (g = 3 for SEAL's data).
The exponents g^j and their negatives are all odd residues modulo 2N, so N/2 slots determine N real coefficients.

Both directions cost one complex FFT of N/2 points. Folding c_k = m_k + i m_{k+N/2} gives, at every exponent 4t + 1
(where zeta^((4t+1) N/2) = i),

    m(zeta^(4t+1)) = sum_k c_k zeta^k exp(2 pi i t k / (N/2)),

a twist by zeta^k and a transform; exponents 4t + 3 = -(4t' + 1) hold the complex conjugates.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def slots_to_coefficients(values: Complex, ring_degree: int, *, generator: int = 5) -> Real:
    """Return the real polynomial with these slots, shape (..., n) complex to (..., N) float64.

    n is a power of two up to N/2; fewer slots than N/2 give a polynomial in X^(N/(2n)), whose slots repeat with
    period n.
    """
    n = values.shape[-1]
    small = 2 * n
    order, conjugated, twist = _tables(small, generator)
    spectrum = np.empty(values.shape, dtype=np.complex128)
    spectrum[..., order] = np.where(conjugated, values.conj(), values)
    folded = np.fft.fft(spectrum, axis=-1) * (twist.conj() / n)
    coefficients = np.concatenate([folded.real, folded.imag], axis=-1)
    if small == ring_degree:
        return coefficients
    gap = ring_degree // small
    spread = np.zeros((*values.shape[:-1], ring_degree))
    spread[..., ::gap] = coefficients
    return spread


def coefficients_to_slots(coefficients: Real, slots: int, *, generator: int = 5) -> Complex:
    """Return the first `slots` slots of real polynomials, shape (..., N) float64 to (..., slots) complex.

    With fewer slots than N/2 the polynomial is taken modulo the coefficients that sparse packing leaves at zero.
    """
    gap = coefficients.shape[-1] // (2 * slots)
    packed = coefficients[..., ::gap]
    order, conjugated, twist = _tables(2 * slots, generator)
    folded = (packed[..., :slots] + 1j * packed[..., slots:]) * twist
    values = np.fft.ifft(folded, axis=-1, norm="forward")[..., order]
    return np.where(conjugated, values.conj(), values)


@lru_cache(maxsize=64)
def _tables(ring_degree: int, generator: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], Complex]:
    """For ring degree N: the index t of each slot, whether it holds the conjugate, and zeta^k for k < N/2."""
    n, m = ring_degree // 2, 2 * ring_degree
    exponents = np.empty(n, dtype=np.int64)
    e = 1
    for j in range(n):
        exponents[j] = e
        e = e * generator % m
    conjugated = exponents % 4 == 3
    order = np.where(conjugated, m - exponents, exponents) // 4
    # The argument stays below pi/2, where exp is accurate to the last bit or two.
    twist = np.exp(1j * np.pi * np.arange(n) / ring_degree)
    for table in (order, conjugated, twist):
        table.flags.writeable = False
    return order, conjugated, twist
