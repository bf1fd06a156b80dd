"""The canonical embedding: slots to coefficients and back, in double precision ([CKKS17, Sec. 3.2]).

Slot j of a real polynomial m is m(zeta^(g^j)), zeta = exp(i pi / N), with g = 5 (g = 3 for SEAL's data).
The exponents g^j and their negatives are all odd residues modulo 2N, so N/2 slots determine N real coefficients.

Both directions cost one complex FFT of n = N/2 points. Folding c_k = m_k + i m_{k+n} gives, at every exponent 4t + 1
(where zeta^((4t+1) n) = i),

    m(zeta^(4t+1)) = sum_k c_k zeta^k exp(2 pi i t k / n),

a twist by zeta^k and a transform; exponents 4t + 3 = -(4t' + 1) hold the complex conjugates.

Real slots cost half of that, a real FFT: they are those of the polynomials with m(1/X) = m(X), that is
m_{N-k} = -m_k, so that c_k for k <= n/2 says all; and the real parts of any slots are the slots of
(m(X) + m(1/X)) / 2.

Temporaries come from the pool of residue arrays: they are zeroed inside `wiping()`, as what they hold is a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks import kernels

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def slots_to_coefficients(
    values: NDArray[Any], ring_degree: int, *, slots: int | None = None, generator: int = 5
) -> Real:
    """Return the real polynomial with these slots, shape (..., k) float64 or complex128 to (..., N) float64.

    Slots behind the k given ones are zero. `slots` (k unless given) is a power of two up to N/2; fewer than N/2 give
    a polynomial in X^(N/(2 slots)), whose slots repeat with that period.
    """
    count = values.shape[-1]
    n = count if slots is None else slots
    table, leading = _tables(2 * n, generator), values.shape[:-1]
    coefficients = reals((*leading, 2 * n))
    if values.dtype.kind == "c":
        spectrum = complexes((*leading, n))
        spectrum[..., table.order[count:]] = 0.0
        spectrum[..., table.order[:count]] = table.conjugate(values)
        folded = np.fft.fft(spectrum, axis=-1, out=spectrum)
        folded *= table.untwist
        coefficients[..., :n], coefficients[..., n:] = folded.real, folded.imag
    else:
        half, line = n // 2, reals((*leading, n))
        line[..., table.order[count:]] = 0.0
        line[..., table.order[:count]] = values
        folded = np.fft.rfft(line, axis=-1, out=complexes((*leading, half + 1)))
        folded *= table.untwist[: half + 1]
        low, high = coefficients[..., :n], coefficients[..., n:]
        low[..., : half + 1], high[..., : half + 1] = folded.real, folded.imag
        np.negative(high[..., half - 1 : 0 : -1], out=low[..., half + 1 :])
        np.negative(low[..., half - 1 : 0 : -1], out=high[..., half + 1 :])
    if 2 * n == ring_degree:
        return coefficients
    spread = reals((*leading, ring_degree))
    spread.fill(0.0)
    spread[..., :: ring_degree // (2 * n)] = coefficients
    return spread


def coefficients_to_slots(
    coefficients: Real, slots: int, *, length: int | None = None, real: bool = False, generator: int = 5
) -> NDArray[Any]:
    """Return the first `length` (all unless given) slots of real polynomials, (..., N) float64 to (..., length).

    complex128, or their real parts as float64. With fewer slots than N/2 the polynomial is taken modulo the
    coefficients that sparse packing leaves at zero.
    """
    n = slots
    packed = coefficients[..., :: coefficients.shape[-1] // (2 * n)]
    table, leading = _tables(2 * n, generator), packed.shape[:-1]
    order = table.order[:length]
    if real:
        half = n // 2
        folded = complexes((*leading, half + 1))
        np.subtract(packed[..., n : n + half + 1], packed[..., n : n - half - 1 : -1], out=folded.imag)
        np.subtract(packed[..., 1 : half + 1], packed[..., : 2 * n - half - 1 : -1], out=folded.real[..., 1:])
        np.multiply(packed[..., 0], 2.0, out=folded.real[..., 0])
        folded *= table.half_twist
        line = np.fft.irfft(folded, n, axis=-1, norm="forward", out=reals((*leading, n)))
        return np.take(line, order, axis=-1)
    folded = complexes((*leading, n))
    folded.real, folded.imag = packed[..., :n], packed[..., n:]
    folded *= table.twist
    values = np.take(np.fft.ifft(folded, axis=-1, norm="forward", out=folded), order, axis=-1)
    return table.conjugate(values)


def reals(shape: tuple[int, ...]) -> Real:
    """Return uninitialised float64 memory that `wiping()` covers."""
    return kernels.empty(shape).view(np.float64)


def complexes(shape: tuple[int, ...]) -> Complex:
    """Return uninitialised complex128 memory that `wiping()` covers."""
    return kernels.empty((*shape[:-1], 2 * shape[-1])).view(np.complex128)


@dataclass(frozen=True)
class _Tables:
    """What the transforms of one ring degree N = 2n need."""

    order: NDArray[np.int64]
    """The index t of each slot."""
    conjugated: NDArray[np.bool_] | None
    """Whether each slot holds the conjugate; None when no slot does."""
    twist: Complex
    """zeta^k for k < n."""
    untwist: Complex
    """zeta^-k / n for k < n."""
    half_twist: Complex
    """zeta^k / 2 for k <= n/2."""

    def conjugate(self, values: Complex) -> Complex:
        """Return the slots (..., k) with those conjugated that are."""
        if self.conjugated is None:
            return values
        return np.where(self.conjugated[: values.shape[-1]], values.conj(), values)


@lru_cache(maxsize=64)
def _tables(ring_degree: int, generator: int) -> _Tables:
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
    tables = _Tables(
        order, conjugated if conjugated.any() else None, twist, twist.conj() / n, 0.5 * twist[: n // 2 + 1]
    )
    for table in (order, conjugated, twist, tables.untwist, tables.half_twist):
        table.flags.writeable = False
    return tables
