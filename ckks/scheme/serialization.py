"""CKKS objects as bytes and back: the frames of `rlwe.frame`, plus scale and layout in their scheme field.

The scheme field, 64 bytes, little endian. Parameters:

      scheme, 1 (CKKS) (1) | zeros (7) | value range, IEEE double (8) | scale, text (48)

Ciphertexts and plaintexts:

      scheme, 1 (CKKS) (1) | flags (1): bit 0 real | degree (2) | slots (4) | length (4) | zeros (4) | scale, text (48)

Degree 1 or 2 says that the scale is the canonical one of level and degree, and the text is empty;
degree 0 that the text holds it. The text of a scale is its decimal digits, E, and an exponent, in
ASCII, filled up with zero bytes: 1073741824E0.

How large values and errors are is not part of the format: a number from the wire would have to be
believed. The receiver states both, or gets those of a fresh encryption.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from math import isfinite
from typing import Any

from ckks.errors import ParameterError, SerializationError
from ckks.rlwe import serialization as wire
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.frame import HEAD_BYTES, NO_SCHEME, Buffer, Header, Kind, read_header
from ckks.rlwe.keys import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.noise import Noise, fresh_public, fresh_secret
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.serialization_params import load_params, params_length
from ckks.rlwe.serialization_params import params_to_bytes as rlwe_params_to_bytes
from ckks.scheme.encoder import Encoder
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT, CKKSParams

__all__ = [
    "HEAD_BYTES",
    "Header",
    "Kind",
    "ciphertext_from_bytes",
    "ciphertext_length",
    "evaluation_keys_from_bytes",
    "evaluation_keys_length",
    "legal_length",
    "params_from_bytes",
    "params_length",
    "plaintext_from_bytes",
    "plaintext_length",
    "public_key_from_bytes",
    "public_key_length",
    "read_header",
    "seeded_from_bytes",
    "seeded_to_bytes",
    "switching_key_from_bytes",
    "switching_key_length",
    "to_bytes",
]

_CKKS = 1
_REAL = 1
_PARAMS = struct.Struct("<B7sd48s")
_META = struct.Struct("<BBHIII48s")
_SCALE = re.compile(rb"([1-9][0-9]{0,39}E(?:0|-?[1-9][0-9]{0,2}))\0*")
_SMALLEST_SCALE, _LARGEST_SCALE = Decimal(2) ** -256, Decimal(2) ** 256


# Storing


def to_bytes(
    obj: CKKSParams | PublicKey | SwitchingKey | EvaluationKeys | Ciphertext | Plaintext,
) -> bytes:
    """Return a public object as bytes, as compact as it can be: keys with seeds for their uniform halves.

    A plaintext is not encrypted. Secret keys have functions of their own in `rlwe.secret`.

    Raises:
        TypeError: not a public object of this library, or a value without CKKS metadata.
        SerializationError: it cannot be stored: a transparent ciphertext, a seed that does not belong to its key,
            Galois keys of several levels in one object, a batch of more than four axes.
    """
    if isinstance(obj, CKKSParams):
        return rlwe_params_to_bytes(obj, _params_field(obj))
    if isinstance(obj, PublicKey):
        return wire.public_key_to_bytes(obj)
    if isinstance(obj, SwitchingKey):
        return wire.switching_key_to_bytes(obj)
    if isinstance(obj, EvaluationKeys):
        return wire.evaluation_keys_to_bytes(obj)
    if isinstance(obj, Ciphertext):
        return wire.ciphertext_to_bytes(obj, _meta_field(obj))
    if isinstance(obj, Plaintext):
        return wire.plaintext_to_bytes(obj, _meta_field(obj))
    raise TypeError(
        f"{type(obj).__name__} is not stored by to_bytes; it takes parameters, public and evaluation keys, "
        "ciphertexts and plaintexts"
    )


def seeded_to_bytes(ct: Ciphertext, seed: bytes) -> bytes:
    """Return what `Encryptor.encrypt_seeded` made as bytes, at half the size of `to_bytes(ct)`."""
    return wire.seeded_ciphertext_to_bytes(ct, seed, _meta_field(ct))


# Loading


def params_from_bytes(
    data: Buffer, *, allow_insecure: bool = False, largest_ring_degree: int = 2**17
) -> CKKSParams:
    """Return parameters, validated by their constructor.

    Args:
        data: a whole frame.
        allow_insecure: accept parameters that are marked insecure, for teaching and tests only.
        largest_ring_degree: refuse larger rings at once: a service need not do a stranger's work.

    Raises:
        SerializationError: anything wrong with them.
    """

    def build(arguments: dict[str, Any], field: bytes) -> CKKSParams:
        scheme, _, value_range, text = _PARAMS.unpack(field)
        if scheme != _CKKS:
            raise SerializationError(f"parameters of scheme {scheme}; needed {_CKKS} (CKKS)")
        scale = _scale_from_text(text)
        if not Decimal(2) ** 10 <= scale <= Decimal(2) ** 100 or not isfinite(value_range):
            raise SerializationError(
                f"parameters: scale {scale:.6g}, value range {value_range:g}; needed a scale of 2^10 "
                "to 2^100 and a finite range"
            )
        return CKKSParams(**arguments, scale=scale, value_range=value_range)

    return load_params(
        data,
        build,
        to_bytes,
        allow_insecure=allow_insecure,
        largest_ring_degree=largest_ring_degree,
    )


def public_key_from_bytes(data: Buffer, params: RLWEParams) -> PublicKey:
    """Return a public key of `params`; raise SerializationError for anything else."""
    return wire.public_key_from_bytes(data, params)


def switching_key_from_bytes(data: Buffer, params: RLWEParams) -> SwitchingKey:
    """Return a switching key of `params`; raise SerializationError for anything else."""
    return wire.switching_key_from_bytes(data, params)


def evaluation_keys_from_bytes(data: Buffer, params: RLWEParams) -> EvaluationKeys:
    """Return evaluation keys of `params`; raise SerializationError for anything else."""
    return wire.evaluation_keys_from_bytes(data, params)


def ciphertext_from_bytes(
    data: Buffer, params: CKKSParams, *, bound: float | None = None, noise: Noise | None = None
) -> Ciphertext:
    """Return a ciphertext of `params`, stored in full or seeded.

    Args:
        data: a whole frame.
        params: the parameters it must belong to.
        bound: |value| stays below this at every slot, as the receiver has it from the sender's promise or from
            the circuit that it asked for; params.value_range unless given.
        noise: size of its error; that of a fresh encryption unless given. For the result of a computation, give
            what a dry run of that computation says.

    Raises:
        SerializationError: anything wrong with it, and products (three parts, or a scale that is not that of its
            level), which cannot be fresh, when `noise` is not given.
        ParameterError: `bound` is not a positive finite number.
    """
    return seeded_from_bytes(data, params, bound=bound, noise=noise)[0]


def seeded_from_bytes(
    data: Buffer, params: CKKSParams, *, bound: float | None = None, noise: Noise | None = None
) -> tuple[Ciphertext, bytes | None]:
    """Return a ciphertext as `ciphertext_from_bytes` does, and its seed, None when it was stored in full."""
    header = read_header(data, params, Kind.CIPHERTEXT, Kind.SEEDED_CIPHERTEXT)
    meta = _meta_from_field(header, params, bound)
    if noise is None:
        if header.parts != 2 or meta.scale != params.scale_at(header.level):
            raise SerializationError(
                f"{header.kind} of {header.parts} parts, scale {meta.scale:.6g}: not a fresh encryption; "
                "state the size of its error: pass noise=..."
            )
        fresh = fresh_secret if header.kind is Kind.SEEDED_CIPHERTEXT else fresh_public
        noise = Encoder(params).rounding(meta) + fresh(params)
    return wire.seeded_ciphertext_from_bytes(data, params, meta=meta, noise=noise)


def plaintext_from_bytes(
    data: Buffer, params: CKKSParams, *, bound: float | None = None, noise: Noise | None = None
) -> Plaintext:
    """Return a plaintext of `params`, with the noise of encoding unless `noise` is given.

    Arguments and errors are those of `ciphertext_from_bytes`.
    """
    header = read_header(data, params, Kind.PLAINTEXT)
    meta = _meta_from_field(header, params, bound)
    noise = Encoder(params).rounding(meta) if noise is None else noise
    return wire.plaintext_from_bytes(data, params, meta=meta, noise=noise)


# Lengths, known before anything is read


def legal_length(head: Buffer, params: RLWEParams) -> int:
    """Return the one legal length of the frame that starts with these HEAD_BYTES (or more) bytes.

    For every kind but parameters, which have `params_length(head)`.

    Raises:
        SerializationError: wrong magic, version, kind, parameters or header.
    """
    return read_header(head, params).frame_length(params)


def ciphertext_length(
    params: RLWEParams,
    level: int | None = None,
    batch: tuple[int, ...] = (),
    seeded: bool = False,
    *,
    parts: int = 2,
) -> int:
    """Return the bytes of a stored ciphertext, or batch; `level` is the top unless given."""
    kind = Kind.SEEDED_CIPHERTEXT if seeded else Kind.CIPHERTEXT
    return Header(kind=kind, level=_level(params, level), batch=batch, parts=parts).frame_length(
        params
    )


def plaintext_length(
    params: RLWEParams, level: int | None = None, batch: tuple[int, ...] = ()
) -> int:
    """Return the bytes of a stored plaintext, or batch; `level` is the top unless given."""
    return Header(kind=Kind.PLAINTEXT, level=_level(params, level), batch=batch).frame_length(
        params
    )


def public_key_length(params: RLWEParams, *, seeded: bool = True) -> int:
    """Return the bytes of a stored public key."""
    return Header(kind=Kind.PUBLIC_KEY, level=params.top_level, seeded=seeded).frame_length(params)


def switching_key_length(
    params: RLWEParams, level: int | None = None, *, seeded: bool = True
) -> int:
    """Return the bytes of one stored switching key; `level` is the top unless given."""
    return Header(kind=Kind.SWITCHING_KEY, level=_level(params, level), seeded=seeded).frame_length(
        params
    )


def evaluation_keys_length(
    params: RLWEParams,
    relin: bool = True,
    galois_count: int = 0,
    level: int | None = None,
    *,
    relin_level: int | None = None,
    seeded: bool = True,
) -> int:
    """Return the bytes of stored evaluation keys.

    Args:
        params: their parameters.
        relin: with a relinearisation key.
        galois_count: how many Galois keys.
        level: of the Galois keys, the top unless given, and of the relinearisation key unless `relin_level` is.
        relin_level: of the relinearisation key.
        seeded: with seeds for their uniform halves, as generated keys have.
    """
    level = _level(params, level)
    header = Header(
        kind=Kind.EVALUATION_KEYS,
        level=level if galois_count else 0,
        relin=relin,
        relin_level=_level(params, level if relin_level is None else relin_level) if relin else 0,
        galois_count=galois_count,
        seeded=seeded and (relin or galois_count > 0),
    )
    return header.frame_length(params)


def _level(params: RLWEParams, level: int | None) -> int:
    return params.top_level if level is None else params.check_level(level)


# The scheme field


def _params_field(params: CKKSParams) -> bytes:
    return _PARAMS.pack(_CKKS, bytes(7), params.value_range, _scale_text(params.scale))


def _meta_field(value: Ciphertext | Plaintext) -> bytes:
    params, meta = value.params, meta_of(value)
    if not isinstance(params, CKKSParams):
        raise TypeError(f"{value!r} belongs to {type(params).__name__}; needed CKKSParams")
    degree = next((d for d in (1, 2) if meta.scale == params.scale_at(value.level, d)), 0)
    text = bytes(48) if degree else _scale_text(_normalised(meta.scale))
    return _META.pack(_CKKS, _REAL * meta.real, degree, meta.slots, meta.length, 0, text)


def _meta_from_field(header: Header, params: CKKSParams, bound: float | None) -> Meta:
    """Return checked metadata; the receiver's bound stands for the rms as well, as it does when encoding."""
    bound = params.value_range if bound is None else float(bound)
    if not (bound > 0 and isfinite(bound)):
        raise ParameterError(f"bound {bound!r}; needed a positive finite number")
    kind = header.kind
    if header.scheme == NO_SCHEME:
        raise SerializationError(f"{kind} without CKKS metadata; needed scale and slots")
    scheme, flags, degree, slots, length, zero, text = _META.unpack(header.scheme)
    if scheme != _CKKS or flags & ~_REAL or zero:
        raise SerializationError(
            f"{kind}: scheme {scheme}, flags {flags}; needed {_CKKS} (CKKS), 0 or 1, and zeros"
        )
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
        raise SerializationError(
            f"scale {scale:.6g} of {len(digits)} digits; needed a positive one of at most 40"
        )
    return text


def _scale_from_text(text: bytes) -> Decimal:
    found = _SCALE.fullmatch(text)
    if found is None:
        raise SerializationError("scale text is not of the form digits, E, exponent, zero bytes")
    return Decimal(found[1].decode("ascii"))
