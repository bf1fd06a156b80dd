"""What CKKS remembers of a value besides its words: scale, layout, and how large the numbers are."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import hypot, log2, sqrt
from typing import Any

from ckks.errors import SerializationError
from ckks.rlwe import Noise
from ckks.rlwe.elements import Ciphertext, Plaintext


@dataclass(frozen=True, slots=True)
class Meta:
    """Metadata of one plaintext or ciphertext (of every item of a batch alike).

    Args:
        scale: the factor between a slot and the number it stands for, exact to 40 digits.
        slots: how many slots the polynomial has, a power of two up to N/2 (fewer: they repeat).
        length: how many of them hold values of the user's vector.
        real: decryption returns float64 rather than complex128.
        bound: |value| stays below this at every slot. Declared, then propagated; not computed from secret data.
        rms: expected root mean square of the values.
    """

    scale: Decimal
    slots: int
    length: int
    real: bool
    bound: float
    rms: float

    def but(
        self,
        *,
        scale: Decimal | None = None,
        length: int | None = None,
        real: bool | None = None,
        bound: float | None = None,
        rms: float | None = None,
    ) -> Meta:
        """Return a copy with some fields changed."""
        return Meta(
            self.scale if scale is None else scale,
            self.slots,
            self.length if length is None else length,
            self.real if real is None else real,
            self.bound if bound is None else bound,
            self.rms if rms is None else rms,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as fields that are looked at on the way back."""
        return _unpickled, (self.scale, self.slots, self.length, self.real, self.bound, self.rms)

    @property
    def message(self) -> Noise:
        """Size of the encoded values, in units of the polynomial."""
        scale = float(self.scale)
        return Noise(self.rms * scale, self.bound * scale)

    def plus(self, other: Meta) -> Meta:
        """Metadata of a sum; scales are equal already."""
        bound = self.bound + other.bound
        rms = min(bound, hypot(self.rms, other.rms))
        length, real = max(self.length, other.length), self.real and other.real
        return Meta(self.scale, self.slots, length, real, bound, rms)

    def times(self, other: Meta, scale: Decimal) -> Meta:
        """Metadata of a product."""
        length, real = max(self.length, other.length), self.real and other.real
        return Meta(scale, self.slots, length, real, self.bound * other.bound, self.rms * other.rms)

    def times_constant(self, value: complex, scale: Decimal) -> Meta:
        """Metadata of a product with a constant."""
        size = abs(value)
        return self.but(
            scale=scale, real=self.real and complex(value).imag == 0, bound=self.bound * size, rms=self.rms * size
        )

    def summary(self, value: Ciphertext | Plaintext) -> str:
        """Return 'scale 2^40.0, ~27 bits' for a repr."""
        bits = precision_bits(value)
        shown = "exact" if bits == float("inf") else f"~{bits:.0f} bits"
        return f"{self.length} values, scale 2^{log2(float(self.scale)):.1f}, {shown}"


def _unpickled(scale: Decimal, slots: int, length: int, real: bool, bound: float, rms: float) -> Meta:
    """Return the metadata of a pickle; raise SerializationError for what no value has."""
    if not (isinstance(scale, Decimal) and scale.is_finite() and scale > 0):
        raise SerializationError(f"pickled metadata: scale {scale!r}; needed a positive finite Decimal")
    if not all(isinstance(count, int) for count in (slots, length)) or not 0 <= length <= slots or slots < 1:
        raise SerializationError(f"pickled metadata: {length!r} values in {slots!r} slots; needed no more than slots")
    if not isinstance(real, bool) or not all(isinstance(size, int | float) and size >= 0 for size in (bound, rms)):
        raise SerializationError(f"pickled metadata: bound {bound!r}, rms {rms!r}; needed numbers from 0 up")
    return Meta(scale, slots, length, real, bound, rms)


def precision_bits(value: Ciphertext | Plaintext) -> float:
    """Return -log2 of the expected rms error of a slot (inf when exact)."""
    error = expected_error(value)
    return -log2(error) if error > 0 else float("inf")


def expected_error(value: Ciphertext | Plaintext) -> float:
    """Return the expected rms slot error of a value, in its own units.

    Decoding n slots keeps 2n of N coefficients, and with them that share of the error's power.
    """
    meta = meta_of(value)
    share = 2 * meta.slots / value.params.ring_degree
    return float(value.noise.std * sqrt(share) / float(meta.scale))


def error_bound(value: Ciphertext | Plaintext) -> float:
    """Return the bound on the slot error of a value, in its own units (see `rlwe.noise` for its meaning).

    Taking n of N/2 slots averages over the others, which never makes the largest value larger."""
    return float(value.noise.bound / float(meta_of(value).scale))


def meta_of(value: Ciphertext | Plaintext) -> Meta:
    """Return the CKKS metadata; raise TypeError for objects that another scheme made."""
    if not isinstance(value.meta, Meta):
        raise TypeError(f"{value!r} carries no CKKS metadata; make it with ckks.Encryptor or give it a scheme.Meta")
    return value.meta
