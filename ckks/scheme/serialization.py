"""CKKS objects as bytes and back: the frames of `rlwe.frame`, plus scale and layout in their scheme field.

How large values and errors are is not part of the format: a number from the wire would have to be
believed. The receiver states both, or gets those of a fresh encryption.
"""

from __future__ import annotations

from typing import Any

from ckks.errors import SerializationError
from ckks.rlwe import serialization as wire
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.frame import HEAD_BYTES, Buffer, Kind, read_head
from ckks.rlwe.header import Header, read_header
from ckks.rlwe.keys import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.noise import Noise, fresh_public, fresh_secret
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.serialization_params import load_params, params_length
from ckks.rlwe.serialization_params import params_to_bytes as rlwe_params_to_bytes
from ckks.scheme.encoder import Encoder
from ckks.scheme.params import CKKSParams
from ckks.scheme.serialization_meta import (
    meta_field,
    meta_from_field,
    params_field,
    params_from_field,
)
from ckks.scheme.serialization_model import model_from_bytes, model_length, model_to_bytes

__all__ = [
    "HEAD_BYTES",
    "Header",
    "Kind",
    "ciphertext_from_bytes",
    "ciphertext_length",
    "evaluation_keys_from_bytes",
    "evaluation_keys_length",
    "legal_length",
    "model_from_bytes",
    "model_length",
    "model_to_bytes",
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
        return rlwe_params_to_bytes(obj, params_field(obj))
    if isinstance(obj, PublicKey):
        return wire.public_key_to_bytes(obj)
    if isinstance(obj, SwitchingKey):
        return wire.switching_key_to_bytes(obj)
    if isinstance(obj, EvaluationKeys):
        return wire.evaluation_keys_to_bytes(obj)
    if isinstance(obj, Ciphertext):
        return wire.ciphertext_to_bytes(obj, meta_field(obj))
    if isinstance(obj, Plaintext):
        return wire.plaintext_to_bytes(obj, meta_field(obj))
    raise TypeError(
        f"{type(obj).__name__} is not stored by to_bytes; it takes parameters, public and evaluation keys, "
        "ciphertexts and plaintexts"
    )


def seeded_to_bytes(ct: Ciphertext, seed: bytes) -> bytes:
    """Return what `Encryptor.encrypt_seeded` made as bytes, at half the size of `to_bytes(ct)`."""
    return wire.seeded_ciphertext_to_bytes(ct, seed, meta_field(ct))


# Loading


def params_from_bytes(data: Buffer, *, allow_insecure: bool = False, largest_ring_degree: int = 2**17) -> CKKSParams:
    """Return parameters, validated by their constructor.

    Args:
        data: a whole frame.
        allow_insecure: accept parameters that are marked insecure, for teaching and tests only.
        largest_ring_degree: refuse larger rings at once: a service need not do a stranger's work.

    Raises:
        SerializationError: anything wrong with them.
    """

    def build(arguments: dict[str, Any], field: bytes) -> CKKSParams:
        scale, value_range = params_from_field(field)
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
    meta = meta_from_field(header, params, bound)
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
    meta = meta_from_field(header, params, bound)
    noise = Encoder(params).rounding(meta) if noise is None else noise
    return wire.plaintext_from_bytes(data, params, meta=meta, noise=noise)


# Lengths, known before anything is read


def legal_length(head: Buffer, params: RLWEParams) -> int:
    """Return the one legal length of the frame that starts with these HEAD_BYTES (or more) bytes.

    For every kind but parameters, which have `params_length(head)`. That of a model is what its head says, within
    the bound on models.

    Raises:
        SerializationError: wrong magic, version, kind, parameters or header.
    """
    if read_head(head).kind is Kind.MODEL:
        return model_length(head, params)
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
    return Header(kind=kind, level=_level(params, level), batch=batch, parts=parts).frame_length(params)


def plaintext_length(params: RLWEParams, level: int | None = None, batch: tuple[int, ...] = ()) -> int:
    """Return the bytes of a stored plaintext, or batch; `level` is the top unless given."""
    return Header(kind=Kind.PLAINTEXT, level=_level(params, level), batch=batch).frame_length(params)


def public_key_length(params: RLWEParams, *, seeded: bool = True) -> int:
    """Return the bytes of a stored public key."""
    return Header(kind=Kind.PUBLIC_KEY, level=params.top_level, seeded=seeded).frame_length(params)


def switching_key_length(params: RLWEParams, level: int | None = None, *, seeded: bool = True) -> int:
    """Return the bytes of one stored switching key; `level` is the top unless given."""
    return Header(kind=Kind.SWITCHING_KEY, level=_level(params, level), seeded=seeded).frame_length(params)


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
