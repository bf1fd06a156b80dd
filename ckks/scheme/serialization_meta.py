"""What CKKS adds to a frame: scale and layout, in the 64 bytes that `rlwe.frame` leaves to the scheme.

The scheme field, 64 bytes, little endian. Parameters:

      scheme, 1 (CKKS) (1) | zeros (7) | value range, IEEE double (8) | scale, text (48)

Ciphertexts and plaintexts:

      scheme, 1 (CKKS) (1) | flags (1): bit 0 real | degree (2) | slots (4) | length (4) | zeros (4) | scale, text (48)

Degree 1 or 2 says that the scale is the canonical one of level and degree, and the text is empty;
degree 0 that the text holds it. The text of a scale is its decimal digits, E, and an exponent, in
ASCII, filled up with zero bytes: 1073741824E0.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from math import isfinite

from ckks.errors import ParameterError, SerializationError
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.frame import NO_SCHEME
from ckks.rlwe.header import Header
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT, CKKSParams

_CKKS = 1
_REAL = 1
_PARAMS = struct.Struct("<B7sd48s")
_META = struct.Struct("<BBHIII48s")
_SCALE = re.compile(rb"([1-9][0-9]{0,39}E(?:0|-?[1-9][0-9]{0,2}))\0*")
_SMALLEST_SCALE, _LARGEST_SCALE = EXACT.divide(Decimal(1), Decimal(2**256)), Decimal(2**256)


def params_field(params: CKKSParams) -> bytes:
    """Return the scheme field of parameters."""
    return _PARAMS.pack(_CKKS, bytes(7), params.value_range, _scale_text(params.scale))


def params_from_field(field: bytes) -> tuple[Decimal, float]:
    """Return scale and value range of parameters, roughly checked: their constructor does the rest."""
    scheme, _, value_range, text = _PARAMS.unpack(field)
    if scheme != _CKKS:
        raise SerializationError(f"parameters of scheme {scheme}; needed {_CKKS} (CKKS)")
    scale = _scale_from_text(text)
    if not 2**10 <= scale <= 2**100 or not isfinite(value_range):
        raise SerializationError(
            f"parameters: scale {scale:.6g}, value range {value_range:g}; needed a scale of 2^10 to "
            "2^100 and a finite range"
        )
    return scale, value_range


def meta_field(value: Ciphertext | Plaintext) -> bytes:
    """Return the scheme field of a value; TypeError when it carries no CKKS metadata."""
    params, meta = value.params, meta_of(value)
    if not isinstance(params, CKKSParams):
        raise TypeError(f"{value!r} belongs to {type(params).__name__}; needed CKKSParams")
    degree = next((d for d in (1, 2) if meta.scale == params.scale_at(value.level, d)), 0)
    text = bytes(48) if degree else _scale_text(_normalised(meta.scale))
    return _META.pack(_CKKS, _REAL * meta.real, degree, meta.slots, meta.length, 0, text)


def meta_from_field(header: Header, params: CKKSParams, bound: float | None) -> Meta:
    """Return checked metadata; the receiver's bound stands for the rms as well, as it does when encoding."""
    bound = params.value_range if bound is None else float(bound)
    if not (bound > 0 and isfinite(bound)):
        raise ParameterError(f"bound {bound!r}; needed a positive finite number")
    kind = header.kind
    if header.scheme == NO_SCHEME:
        raise SerializationError(f"{kind} without CKKS metadata; needed scale and slots")
    scheme, flags, degree, slots, length, zero, text = _META.unpack(header.scheme)
    if scheme != _CKKS or flags & ~_REAL or zero:
        raise SerializationError(f"{kind}: scheme {scheme}, flags {flags}; needed {_CKKS} (CKKS), 0 or 1, and zeros")
    if not 0 < slots <= params.slots or slots & (slots - 1) or length > slots:
        raise SerializationError(
            f"{kind}: {length} values in {slots} slots; needed a power of two of slots, at most "
            f"{params.slots}, and no more values than that"
        )
    canonical = [params.scale_at(header.level, d) for d in (1, 2)]
    if degree in (1, 2):
        if any(text):
            raise SerializationError(f"{kind}: scale text beside degree {degree}; needed zeros")
        scale = canonical[degree - 1]
    elif degree:
        raise SerializationError(f"{kind}: scale degree {degree}; needed 0, 1 or 2")
    else:
        scale = _scale_from_text(text)
        if scale in canonical or _scale_text(_normalised(scale)) != text:
            raise SerializationError(f"{kind}: scale {scale:.6g} is not in its one form")
    return Meta(scale, slots, length, bool(flags & _REAL), bound, bound)


def _normalised(scale: Decimal) -> Decimal:
    """Return the same number without trailing zeros; refuse what no polynomial can be scaled by."""
    if not scale.is_finite() or not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE:
        raise SerializationError(f"scale {scale:.6g}; needed 2^-256 to 2^256")
    digits = "".join(map(str, scale.as_tuple().digits)).rstrip("0")
    if len(digits) > 40:
        raise SerializationError(f"scale {scale:.6g} of {len(digits)} digits; needed at most 40")
    return scale.normalize(EXACT)


def _scale_text(scale: Decimal) -> bytes:
    """Return digits, E, exponent in 48 bytes; raise SerializationError for more than 40 digits."""
    sign, digits, exponent = scale.as_tuple()
    text = f"{''.join(map(str, digits))}E{exponent}".encode("ascii").ljust(48, b"\0")
    if sign or not _SCALE.fullmatch(text):
        raise SerializationError(f"scale {scale:.6g} of {len(digits)} digits; needed a positive one of at most 40")
    return text


def _scale_from_text(text: bytes) -> Decimal:
    found = _SCALE.fullmatch(text)
    if found is None:
        raise SerializationError("scale text is not of the form digits, E, exponent, zero bytes")
    return Decimal(found[1].decode("ascii"))
