"""Encoder: numbers to integer polynomials and back.

Floating point ends here: what `encode` returns is an exact integer polynomial, and everything after it is exact.
"""

from __future__ import annotations

from decimal import Decimal
from math import ceil, ldexp, log2, prod
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import kernels
from ckks.errors import BasisMismatch, ParameterError, RangeError, SlotError
from ckks.kernels import Words
from ckks.ring import RNSBasis
from ckks.rlwe import Noise, Plaintext
from ckks.rlwe.noise import ROUNDING_STD, random_poly
from ckks.scheme.embedding import coefficients_to_slots, reals, slots_to_coefficients
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT, CKKSParams

MAX_FLOAT = float(np.finfo(np.float64).max)

LOG2_LARGEST = 960
"""Values times scale stay below 2^960: with sums over all slots and the sizes of errors, within double precision."""

FFT_ERROR = 2.0**-51
"""Expected rms error of one special FFT in double precision, against the largest slot (worst slot measured: 2^-49.7
at N = 2^16); the bound is 32 times that."""


class Encoder:
    """Encodes vectors of numbers as plaintexts of one parameter set, and back. Holds no state; share it freely.

    Args:
        params: the parameter set.
        generator: slot j is the value at zeta^(generator^j): 5, or 3 for SEAL's data.
    """

    def __init__(self, params: CKKSParams, *, generator: int = 5) -> None:
        """Keep the parameters."""
        if generator not in (3, 5):
            raise ParameterError(f"slot generator {generator!r}; needed 5 (usual) or 3 (SEAL)")
        self.params = params
        self.generator = generator

    def encode(
        self,
        values: ArrayLike,
        *,
        level: int | None = None,
        scale: Decimal | float | None = None,
        slots: int | None = None,
        bound: float | None = None,
    ) -> Plaintext:
        """Return the plaintext whose slots are round(scale x values) / scale, nearly.

        Args:
            values: real or complex, shape (..., n) with n <= slots; missing slots are zero. Leading axes are a batch.
            level: the level; the top unless given.
            scale: the scale; the canonical one of the level unless given.
            slots: a power of two up to N/2; fewer than N/2 pack sparsely and repeat.
            bound: largest |value| allowed, and declared for noise estimates; params.value_range unless given.

        Raises:
            SlotError: more values than slots.
            RangeError: NaN, infinity, or a value beyond the bound (its position is named); a bound that at this scale
                is beyond the modulus, or 2^960.
        """
        words, level, meta = self.message(values, level=level, scale=scale, slots=slots, bound=bound)
        words = kernels.ntt(self.params.basis(level).plan, words, words)
        return Plaintext.of(self.params, words, level, meta, self.rounding(meta))

    def message(
        self,
        values: ArrayLike,
        *,
        level: int | None = None,
        scale: Decimal | float | None = None,
        slots: int | None = None,
        bound: float | None = None,
    ) -> tuple[Words, int, Meta]:
        """Return the words of `encode` before the NTT, coefficients (..., limbs, N), with their level and metadata.

        For encryption, which adds an error to them first. Arguments and errors are those of `encode`.
        """
        params = self.params
        level = params.check_level(params.top_level if level is None else level)
        exact_scale = params.scale_at(level) if scale is None else checked_scale(scale)
        slots = self._slots(slots)
        bound = params.value_range if bound is None else checked_bound(bound)
        array = as_numbers(values)
        if array.ndim == 0:
            raise SlotError("a single number cannot be encoded as a vector; give an array, e.g. [3.5]")
        if array.shape[-1] > slots:
            raise SlotError(
                f"{array.shape[-1]} values for {slots} slots; split them into chunks of at most {slots} "
                "(as leading axis of a batch), or use a larger ring degree"
            )
        check_magnitude(array, bound)
        room, size = params.room(level), log2(bound) + log2(exact_scale)
        if size >= room:
            raise RangeError(
                f"values up to {bound:g} at scale 2^{log2(float(exact_scale)):.1f} exceed the modulus of level {level} "
                f"(2^{room:.1f} with sign); use a smaller scale or bound"
            )
        if size >= LOG2_LARGEST:
            raise RangeError(
                f"values up to {bound:g} at scale 2^{log2(exact_scale):.1f} make 2^{size:.1f}; double precision needs "
                f"less than 2^{LOG2_LARGEST}: use a smaller scale or bound"
            )
        coefficients = slots_to_coefficients(array, params.ring_degree, slots=slots, generator=self.generator)
        # No coefficient exceeds the largest slot, but for the error of the FFT, which a factor of two allows for.
        words = integer_residues(params.basis(level), coefficients, float(exact_scale), 2.0 * bound)
        real = array.dtype.kind != "c"
        meta = Meta(exact_scale, slots, array.shape[-1], real, bound, bound)
        return words, level, meta

    def rounding(self, meta: Meta) -> Noise:
        """Return the error of rounding to integers, and of the FFT before it."""
        fft = meta.bound * float(meta.scale) * FFT_ERROR
        return random_poly(self.params.ring_degree, ROUNDING_STD) + Noise(fft, 32 * fft)

    def decode(self, plaintext: Plaintext) -> NDArray[Any]:
        """Return the numbers of a plaintext: float64 (complex128 if complex values went in), shape (..., length)."""
        if plaintext.params != self.params:
            raise BasisMismatch("the plaintext belongs to other parameters than this encoder")
        meta = meta_of(plaintext)
        limbs = self.limbs_needed(plaintext.level, meta)
        basis = plaintext.basis[:limbs]
        residues = kernels.intt(basis.plan, plaintext.words[..., :limbs, :])
        coefficients = centred_floats(basis, residues, meta.scale)
        return coefficients_to_slots(
            coefficients, meta.slots, length=meta.length, real=meta.real, generator=self.generator
        )

    def constant_words(self, value: complex, scale: Decimal, level: int) -> Words:
        """Return NTT words (limbs, N) of the constant polynomial round(scale value); all slots hold `value`.

        A complex value a + bi is a + b X^(N/2), since zeta^(N/2 (4t+1)) = i.
        """
        params, basis = self.params, self.params.basis(level)
        if self.generator != 5:
            raise ParameterError("complex constants are defined for slot generator 5 only")
        real, imaginary = (exact_round(part, scale) for part in (complex(value).real, complex(value).imag))
        words = kernels.zeros((len(basis), params.ring_degree))
        for i, q in enumerate(basis.moduli):
            words[i, 0], words[i, params.ring_degree // 2] = real % q, imaginary % q
        return kernels.ntt(basis.plan, words, words)

    def _slots(self, slots: int | None) -> int:
        if slots is None:
            return self.params.slots
        if slots < 1 or slots & (slots - 1) or slots > self.params.slots:
            raise SlotError(f"{slots} slots; needed a power of two from 1 to {self.params.slots}")
        return slots

    def limbs_needed(self, level: int, meta: Meta) -> int:
        """Return how many limbs `decode` reads: the declared size and 12 bits to spare, at least those of level 0."""
        wanted = log2(float(meta.scale)) + max(0.0, log2(max(meta.bound, 2.0**-1000))) + 12
        limbs, moduli = self.params.limbs(0), self.params.basis(level).moduli
        while limbs < len(moduli) and log2(prod(moduli[:limbs])) < wanted:
            limbs += 1
        return limbs


def as_numbers(values: ArrayLike) -> NDArray[Any]:
    """Return `values` as float64 or complex128, a sparse matrix as a dense one.

    Raises:
        TypeError: strings and other objects that are no numbers.
        SlotError: rows of different lengths.
        RangeError: a Python number beyond double precision.
    """
    if hasattr(values, "toarray"):  # scipy.sparse, without importing it
        values = values.toarray()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise SlotError("rows of different lengths; needed an array, as many numbers in each row") from error
    if array.dtype.kind == "O":
        array = _of_objects(array)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind == "c":
        return array.astype(np.complex128, copy=False)
    raise TypeError(f"values of type {array.dtype}; needed real or complex numbers")


def _of_objects(array: NDArray[Any]) -> NDArray[Any]:
    """An array of Python's numbers as one of floats: integers beyond 64 bits, fractions, decimals."""
    for where, value in np.ndenumerate(array):
        if not isinstance(value, Number):
            at = f" at index {where}" if where else ""
            raise TypeError(f"a value of type {type(value).__name__}{at}; needed real or complex numbers")
    try:
        return array.astype(np.complex128 if any(isinstance(v, complex) for v in array.flat) else np.float64)
    except OverflowError:
        raise RangeError("an integer beyond double precision; needed numbers up to 1.7e308 in size") from None


def check_magnitude(array: NDArray[Any], bound: float) -> None:
    """Raise RangeError, naming the first position, unless all values are finite and at most `bound` in size."""
    if array.size == 0:
        return
    if array.dtype.kind == "c":
        fits = bool(np.abs(array).max() <= min(bound, MAX_FLOAT))
    else:  # NaN passes through min and max, and compares false
        fits = bool(-min(bound, MAX_FLOAT) <= array.min() and array.max() <= min(bound, MAX_FLOAT))
    if fits:
        return
    good = np.isfinite(array) & (np.abs(array) <= bound)
    if good.all():  # a complex number whose size overflows, and no bound
        return
    where = tuple(int(i) for i in np.argwhere(~good)[0])
    value = array[where]
    if not np.isfinite(value):
        raise RangeError(f"value {value} at index {where}; only finite numbers can be encoded: clean the data first")
    raise RangeError(
        f"value {value:g} at index {where} exceeds the declared range {bound:g}; scale the data, pass bound=..., "
        "or make parameters with a larger value_range"
    )


def checked_scale(scale: Decimal | float) -> Decimal:
    """Return a scale to 40 digits; raise ParameterError unless it is a number from 2^-20 to 2^400."""
    try:
        exact = EXACT.create_decimal(scale)
    except (TypeError, ValueError):
        raise ParameterError(f"scale {scale!r}; needed a number") from None
    if not (exact.is_finite() and Decimal("1e-6") <= exact <= Decimal("1e120")):
        raise ParameterError(f"scale {scale!r}; needed a positive finite number, 1e-6 to 1e120")
    return exact


def checked_bound(bound: float) -> float:
    """Return a declared bound; raise RangeError unless it is positive and finite."""
    value = float(bound)
    if not 0 < value < float("inf"):
        raise RangeError(f"bound {bound!r}; needed a positive finite number that no |value| exceeds")
    return value


def exact_round(value: float, scale: Decimal) -> int:
    """Return the integer nearest scale x value, computed without a rounding in between."""
    return int(EXACT.to_integral_value(EXACT.multiply(EXACT.create_decimal(value), scale)))


def integer_residues(basis: RNSBasis, coefficients: NDArray[np.float64], scale: float, largest: float) -> Words:
    """Return residues of integers near scale x coefficients, (..., N), none above `largest` in size.

    The nearest integers while they stay below 2^61. Beyond, they are 2^k times the nearest integers at scale / 2^k, of
    61 bits: half of 2^k is 2^-62 of the largest, less than the error of the FFT that made the coefficients.
    """
    k = max(0, ceil(log2(largest) + log2(scale)) - 61)  # the product may be no double
    words = kernels.rounded(basis.plan, coefficients, ldexp(scale, -k))
    if not k:
        return words
    return kernels.mul_scalar(basis.plan, words, np.array([pow(2, k, q) for q in basis.moduli], dtype=np.uint64), words)


def centred_floats(basis: RNSBasis, residues: Words, scale: Decimal) -> NDArray[np.float64]:
    """Return the centred integers behind residues (..., limbs, N), divided by `scale`, as float64 (..., N).

    Garner's algorithm with balanced digits: x = b_0 + q_0 (b_1 + q_1 (b_2 + ...)), |b_i| <= q_i/2. Digits are exact
    and the leading one dominates, so that the result is right to the last bits even where Q is far larger than x.
    The residues are overwritten.
    """
    shape = (*residues.shape[:-2], residues.shape[-1])
    total, term = reals(shape), reals(shape)
    digits: list[NDArray[np.int64]] = []
    weight = 1
    for i, q in enumerate(basis.moduli):
        one, rest = basis[i : i + 1].plan, residues[..., i : i + 1, :]
        for j, digit in enumerate(digits):  # rest = (rest - b_j) / q_j mod q
            inverse = np.array([pow(basis.moduli[j], -1, q)], dtype=np.uint64)
            kernels.sub_mul_scalar(one, rest, kernels.signed(one, digit), inverse, rest)
        digits.append(_balance(rest[..., 0, :].view(np.int64), q))
        factor = float(EXACT.divide(Decimal(weight), scale))
        np.multiply(digits[-1], factor, out=term if i else total)
        if i:
            total += term
        weight *= q
    return total


def _balance(residues: NDArray[np.int64], q: int) -> NDArray[np.int64]:
    """Turn residues in [0, q) into those in (-q/2, q/2), in place and without a branch."""
    above = kernels.empty(residues.shape).view(np.int64)  # wiped, where the caller wipes
    np.subtract(q // 2, residues, out=above)  # negative where a residue is above q/2
    above >>= 63
    above &= q
    residues -= above
    return residues
