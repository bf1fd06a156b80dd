"""Plaintext factors over QP in compact form: what a sparse vector looks like in NTT form, without its repetitions.

A vector of S slots is a polynomial in X^(N/2S). Modulo X^N + 1 such polynomials are a copy of the ring of degree 2S,
with psi^(N/2S) for psi: they are encoded there, at the price of small transforms, and in the order of `kernels.ntt`
each word of the small ring stands for N/2S equal ones, side by side, of the large one. `kernels.combine` takes them as
they are.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import log2, sqrt

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import RangeError
from ckks.kernels import Words
from ckks.ring import RNSBasis
from ckks.rlwe import Noise
from ckks.rlwe.noise import ROUNDING_STD, random_poly
from ckks.scheme.embedding import slots_to_coefficients
from ckks.scheme.encoder import FFT_ERROR, LOG2_LARGEST, integer_residues
from ckks.scheme.params import CKKSParams

__all__ = ["compact_factors", "rounding_of_factors"]


def compact_factors(params: CKKSParams, values: NDArray[np.inexact], level: int, scale: Decimal) -> Words:
    """Return words over (p_1..p_k, q_0..q_l), (..., k + l, 2S), of integer polynomials whose slots are scale x values.

    Args:
        params: the parameter set.
        values: real or complex, finite, (..., S), S a power of two up to N/2.
        level: whose joint basis is meant.
        scale: the factor.

    Raises:
        RangeError: values so large that double precision ends.
    """
    slots = values.shape[-1]
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    if log2(largest) + log2(scale) >= LOG2_LARGEST:
        raise RangeError(
            f"factors up to {largest:g} at scale 2^{log2(scale):.1f}; double precision needs less than "
            f"2^{LOG2_LARGEST}: use a smaller scale, or smaller factors"
        )
    basis = _subring(params, level, slots)
    coefficients = slots_to_coefficients(values, 2 * slots, slots=slots)
    words = integer_residues(basis, coefficients, float(scale), 2.0 * largest)
    return kernels.ntt(basis.plan, words, words)


def rounding_of_factors(params: CKKSParams, slots: int, largest: float, scale: Decimal) -> Noise:
    """Return the error of one factor: rounding to integers, and the FFT before it.

    It lies in the subring, where sparse decoding, which keeps a share of other errors, keeps all of it: so the
    deviation is that of all N coefficients, of which the share is taken later, and the bound that of 2S.
    """
    n, fft = params.ring_degree, largest * float(scale) * FFT_ERROR
    rounding = Noise(random_poly(n, ROUNDING_STD).std, random_poly(2 * slots, ROUNDING_STD).bound)
    return rounding + Noise(fft * sqrt(n / (2 * slots)), 32 * fft)


@lru_cache(maxsize=256)
def _subring(params: CKKSParams, level: int, slots: int) -> RNSBasis:
    whole, gap = params.extended_basis(level), params.ring_degree // (2 * slots)
    return RNSBasis(2 * slots, whole.moduli, [pow(r, gap, q) for r, q in zip(whole.roots, whole.moduli, strict=True)])
