"""Parameter sets as bytes and back, in the frame of `frame`; what a stranger sends is bounded before it is built.

Header fields, 28 bytes, little endian: N (4) | levels (2) | primes of Q (2) | special primes (2) | digits (2) |
security in bits, 0 when insecure (2) | flags (2): bit 0 centred digits, bit 1 own roots | zeros (12).

Body: primes per level (1 byte each, from the bottom) | primes of Q (8 each) | special primes (8 each) | digit sizes
(2 each) | own roots, if flagged, of the special primes and then Q (8 each).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from ckks.errors import HEError, SerializationError
from ckks.ring import RNSBasis
from ckks.rlwe.frame import (
    CHECKSUM_BYTES,
    HEAD_BYTES,
    NO_SCHEME,
    Buffer,
    Kind,
    read_body,
    read_head,
    write_frame,
)
from ckks.rlwe.packing import Bytes
from ckks.rlwe.params import RLWEParams

MAX_PRIMES = 128
"""Parameters of more primes than this, special ones included, are neither stored nor loaded."""

_FIELDS = struct.Struct("<I6H12s")
_CENTRED, _ROOTS = 1, 2
_P = TypeVar("_P", bound=RLWEParams)


def params_to_bytes(params: RLWEParams, scheme: bytes = NO_SCHEME) -> bytes:
    """Return a parameter set as bytes; `scheme` is what the scheme above adds."""
    digits, roots = params.digit_sizes or (), params.roots or ()
    if roots == RNSBasis(params.ring_degree, params.basis_qp.moduli).roots:
        roots = ()  # the least ones, which are found again
    levels, primes, special = len(params.levels), len(params.moduli), params.num_special
    if primes + special > MAX_PRIMES:
        raise SerializationError(f"parameters of {primes}+{special} primes; at most {MAX_PRIMES} can be stored")
    flags = _CENTRED * params.centred_digits | _ROOTS * bool(roots)
    fields = _FIELDS.pack(
        params.ring_degree,
        levels,
        primes,
        special,
        len(digits),
        params.security or 0,
        flags,
        bytes(12),
    )
    body = struct.pack(
        f"<{levels}B{primes + special}Q{len(digits)}H{len(roots)}Q",
        *map(len, params.levels),
        *params.moduli,
        *params.special_moduli,
        *digits,
        *roots,
    )

    def fill(out: Bytes) -> None:
        out[:] = np.frombuffer(body, dtype=np.uint8)

    return write_frame(Kind.PARAMETERS, params.digest, fields, scheme, len(body), fill)


def params_length(head: Buffer) -> int:
    """Return the one legal frame length of parameters, from at least the first HEAD_BYTES bytes of their frame.

    Raises:
        SerializationError: no frame, not parameters, or counts that cannot be.
    """
    found = read_head(head)
    if found.kind is not Kind.PARAMETERS:
        raise SerializationError(f"found {found.kind}; needed parameters")
    _, levels, primes, special, digits, _, flags, _ = _FIELDS.unpack(found.fields)
    if primes + special > MAX_PRIMES or not 0 < levels <= primes or not 0 < digits <= primes:
        raise SerializationError(
            f"parameters of {levels} levels, {primes}+{special} primes and {digits} digits; needed at most "
            f"{MAX_PRIMES} primes, at least one of Q, and no more levels or digits than those"
        )
    length = levels + 8 * (primes + special) * (2 if flags & _ROOTS else 1) + 2 * digits
    if found.body_length != length:
        raise SerializationError(f"parameters: body length {found.body_length}; this header needs {length}")
    return HEAD_BYTES + int(length) + CHECKSUM_BYTES


def params_from_bytes(data: Buffer, *, allow_insecure: bool = False, largest_ring_degree: int = 2**17) -> RLWEParams:
    """Return plain RLWE parameters from bytes; see `load_params` for arguments and errors."""

    def build(arguments: dict[str, Any], scheme: bytes) -> RLWEParams:
        if scheme != NO_SCHEME:
            raise SerializationError("parameters of a scheme above RLWE; load them with that scheme's function")
        return RLWEParams(**arguments)

    return load_params(
        data,
        build,
        params_to_bytes,
        allow_insecure=allow_insecure,
        largest_ring_degree=largest_ring_degree,
    )


def load_params(
    data: Buffer,
    build: Callable[[dict[str, Any], bytes], _P],
    store: Callable[[_P], bytes],
    *,
    allow_insecure: bool,
    largest_ring_degree: int,
) -> _P:
    """Return the parameters that `build` makes of checked constructor arguments and the scheme field.

    Args:
        data: a whole frame.
        build: calls the constructor, which validates everything.
        store: how such parameters are stored: they are accepted only if that gives `data` again.
        allow_insecure: accept parameters marked insecure (teaching and tests only).
        largest_ring_degree: refuse larger rings before any work is done. The root of unity of a prime takes N
            multiplications to find, once in a process: some 1 ms at N = 2^14, 4 ms at 2^17.

    Raises:
        SerializationError: anything wrong with them.
    """
    length = params_length(data) - HEAD_BYTES - CHECKSUM_BYTES
    head = read_head(data)
    n, levels, primes, special, digits, security, flags, _ = _FIELDS.unpack(head.fields)
    if n > largest_ring_degree:
        raise SerializationError(f"parameters of ring degree {n}; needed at most {largest_ring_degree}")
    if not security and not allow_insecure:
        raise SerializationError("parameters are marked insecure; allow_insecure=True loads them, for tests only")
    body = read_body(data, Kind.PARAMETERS, length).tobytes()
    roots = primes + special if flags & _ROOTS else 0
    values = iter(struct.unpack(f"<{levels}B{primes + special}Q{digits}H{roots}Q", body))

    def take(count: int) -> tuple[int, ...]:
        return tuple(next(values) for _ in range(count))

    groups, q = take(levels), take(primes)
    if sum(groups) != primes or min(groups) < 1:
        raise SerializationError(f"parameters: the levels do not cover the {primes} primes of Q exactly")
    arguments: dict[str, Any] = dict(
        ring_degree=n,
        levels=tuple(q[end - size : end] for end, size in zip(accumulate(groups), groups, strict=True)),
        special_moduli=take(special),
        digit_sizes=take(digits),
        centred_digits=bool(flags & _CENTRED),
        security=security or None,
        roots=take(roots) or None,
    )
    try:
        params = build(arguments, head.scheme)
        same = store(params) == bytes(data)  # its digest among them
    except SerializationError:
        raise
    except (HEError, ArithmeticError) as error:
        # Cut short: the text may list every prime, and a log is not a place for what strangers choose.
        raise SerializationError(f"parameters refused, {type(error).__name__}: {str(error)[:160]}") from None
    if not same:
        raise SerializationError("parameters: digest or form differs from what this library writes for them")
    return params
