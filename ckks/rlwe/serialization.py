"""Keys, ciphertexts and plaintexts as bytes and back. No compression, no pickle.

The frame is described in `frame`, the bits of residues in `packing`, the expansion of seeds in `seeds`. Bodies:

    public key         seed (32) | b             or, without a seed, b | a
    switching key      seed (32) | b of each digit        or b | a of each digit
    evaluation keys    Galois elements (4 each, increasing) | relin key, if flagged | Galois keys in that order,
                       each like a switching key; seeded when all of them are
    ciphertext         its parts, batch outermost
    seeded ciphertext  seed (32) | c_0 of each batch item
    plaintext          its polynomials

What is loaded was checked first: length, checksum, every residue, every zero. Storing what was loaded gives the
same bytes. Errors on loading are SerializationError and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ckks import kernels
from ckks.errors import SerializationError
from ckks.kernels import Words
from ckks.ring.csprng import SEED_BYTES
from ckks.rlwe import noise as sizes
from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.frame import NO_SCHEME, Buffer, Kind, read_body, write_frame
from ckks.rlwe.header import Header, read_header
from ckks.rlwe.keys import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.noise import Noise
from ckks.rlwe.packing import Bytes, pack, unpack
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.seeds import ciphertext_half, is_expansion, made_from, public_key_half, switching_key_halves

# Keys


def public_key_to_bytes(key: PublicKey) -> bytes:
    """Return a public key as bytes: b, and the seed of a where it is known."""
    header = Header(kind=Kind.PUBLIC_KEY, level=key.level, seeded=key.seed is not None)
    return _store(key.params, header, lambda out: _write_key(key, key.words[None], header.seeded, out))


def public_key_from_bytes(data: Buffer, params: RLWEParams) -> PublicKey:
    """Return a public key of `params`; raise SerializationError for anything else."""
    header, body = _load(data, params, Kind.PUBLIC_KEY)
    words, seed = _read_key(params, header, header.level, 1, body, "public key")
    if seed is not None:
        public_key_half(params, header.level, seed, out=words[0, 1])
    return PublicKey.of(params, words[0], header.level, seed)


def switching_key_to_bytes(key: SwitchingKey) -> bytes:
    """Return one switching key as bytes."""
    header = Header(kind=Kind.SWITCHING_KEY, level=key.level, seeded=key.seed is not None)
    return _store(key.params, header, lambda out: _write_key(key, key.words, header.seeded, out))


def switching_key_from_bytes(data: Buffer, params: RLWEParams) -> SwitchingKey:
    """Return a switching key of `params`; raise SerializationError for anything else."""
    header, body = _load(data, params, Kind.SWITCHING_KEY)
    return _read_switching_key(params, header, header.level, body, "switching key")


def evaluation_keys_to_bytes(keys: EvaluationKeys) -> bytes:
    """Return relinearisation and Galois keys as bytes; all Galois keys must have one level."""
    params, galois = keys.params, sorted(keys.galois.items())
    levels = {key.level for _, key in galois}
    if len(levels) > 1:
        raise SerializationError(
            f"Galois keys of the levels {sorted(levels)} in one object; needed one level: store them apart"
        )
    relin = () if keys.relin is None else (keys.relin,)
    ordered = (*relin, *(key for _, key in galois))
    header = Header(
        kind=Kind.EVALUATION_KEYS,
        level=max(levels, default=0),
        relin_level=keys.relin.level if keys.relin is not None else 0,
        relin=keys.relin is not None,
        galois_count=len(galois),
        seeded=bool(ordered) and all(key.seed is not None for key in ordered),
    )

    def fill(out: Bytes) -> None:
        start = 4 * len(galois)
        out[:start].view("<u4")[:] = [g for g, _ in galois]
        for key in ordered:
            size = header.key_bytes(params, key.level, len(key.words))
            _write_key(key, key.words, header.seeded, out[start : start + size])
            start += size

    return _store(params, header, fill)


def evaluation_keys_from_bytes(data: Buffer, params: RLWEParams) -> EvaluationKeys:
    """Return evaluation keys of `params`; raise SerializationError for anything else."""
    header, body = _load(data, params, Kind.EVALUATION_KEYS)
    start, n = 4 * header.galois_count, params.ring_degree
    elements = body[:start].view("<u4").tolist()
    if any(g % 2 == 0 or g >= 2 * n for g in elements) or any(a >= b for a, b in pairwise(elements)):
        raise SerializationError(f"evaluation keys: Galois elements must be odd, increasing and below {2 * n}")

    def take(level: int, what: str) -> SwitchingKey:
        nonlocal start
        size = header.key_bytes(params, level, len(params.digits(level)))
        start += size
        return _read_switching_key(params, header, level, body[start - size : start], what)

    relin = take(header.relin_level, "relinearisation key") if header.relin else None
    return EvaluationKeys(params, relin, {g: take(header.level, f"Galois key {g}") for g in elements})


def _write_key(key: PublicKey | SwitchingKey, words: Words, seeded: bool, out: Bytes) -> None:
    """Write (digits, 2, limbs, N), or seed and first halves."""
    _refuse_constant_rows(words, type(key).__name__)
    if not seeded:
        pack(key.basis, words.reshape(-1, *words.shape[-2:]), out)
        return
    assert key.seed is not None
    public = isinstance(key, PublicKey)
    expected = (public_key_half if public else switching_key_halves)(key.params, key.level, key.seed)
    if not np.array_equal(words[:, 1], expected[None] if public else expected):
        raise SerializationError(f"{key!r}: its seed does not expand to its uniform half; store it without the seed")
    out[:SEED_BYTES] = np.frombuffer(key.seed, dtype=np.uint8)
    pack(key.basis, words[:, 0], out[SEED_BYTES:])


def _read_key(
    params: RLWEParams, header: Header, level: int, rows: int, body: Bytes, what: str
) -> tuple[Words, bytes | None]:
    """Return words (rows, 2, limbs, N), second halves still to be expanded when there is a seed, and the seed."""
    basis = params.extended_basis(level)
    words = kernels.empty((rows, 2, len(basis), basis.n))
    if header.seeded:
        unpack(basis, body[SEED_BYTES:], words[:, 0], what=what)
        _refuse_constant_rows(words[:, 0], what)
        return words, body[:SEED_BYTES].tobytes()
    unpack(basis, body, words.reshape(-1, *words.shape[-2:]), what=what)
    _refuse_constant_rows(words, what)
    return words, None


def _read_switching_key(params: RLWEParams, header: Header, level: int, body: Bytes, what: str) -> SwitchingKey:
    words, seed = _read_key(params, header, level, len(params.digits(level)), body, what)
    if seed is not None:
        switching_key_halves(params, level, seed, out=words[:, 1])
    return SwitchingKey.of(params, words, level, seed)


# Ciphertexts and plaintexts


def ciphertext_to_bytes(ct: Ciphertext, scheme: bytes = NO_SCHEME) -> bytes:
    """Return all parts of a ciphertext as bytes; `scheme` is what the scheme above adds."""
    header = Header(kind=Kind.CIPHERTEXT, level=ct.level, parts=ct.parts, batch=ct.shape, scheme=scheme)
    _refuse_constant_rows(ct.words[..., 1:, :, :], "ciphertext")
    return _store(ct.params, header, lambda out: pack(ct.basis, _flat(ct.words), out))


def seeded_ciphertext_to_bytes(ct: Ciphertext, seed: bytes, scheme: bytes = NO_SCHEME) -> bytes:
    """Return a secret-key encryption at half the size: c_0 and the seed that c_1 was expanded from."""
    header = Header(kind=Kind.SEEDED_CIPHERTEXT, level=ct.level, parts=ct.parts, batch=ct.shape, scheme=scheme)
    header.check(ct.params)
    if not is_expansion(ct, seed):
        raise SerializationError("the seed does not expand to the second half of this ciphertext; store it in full")

    def fill(out: Bytes) -> None:
        out[:SEED_BYTES] = np.frombuffer(seed, dtype=np.uint8)
        pack(ct.basis, _flat(ct.words[..., 0, :, :]), out[SEED_BYTES:])

    return _store(ct.params, header, fill)


def ciphertext_from_bytes(
    data: Buffer, params: RLWEParams, *, meta: Any = None, noise: Noise | None = None
) -> Ciphertext:
    """Return a ciphertext of `params`, stored in full or seeded.

    Args:
        data: a whole frame.
        params: the parameters it must belong to.
        meta: what the scheme above remembers of it, if any.
        noise: the size of its error, which is never taken from the bytes; that of a fresh encryption unless given.

    Raises:
        SerializationError: anything wrong with it, transparent ciphertexts (a constant row of c_1) included.
    """
    return seeded_ciphertext_from_bytes(data, params, meta=meta, noise=noise)[0]


def seeded_ciphertext_from_bytes(
    data: Buffer, params: RLWEParams, *, meta: Any = None, noise: Noise | None = None
) -> tuple[Ciphertext, bytes | None]:
    """Return a ciphertext as `ciphertext_from_bytes` does, and its seed, None when it was stored in full."""
    header, body = _load(data, params, Kind.CIPHERTEXT, Kind.SEEDED_CIPHERTEXT)
    basis, shape = (
        params.basis(header.level),
        (header.parts, params.limbs(header.level), params.ring_degree),
    )
    words = kernels.empty((prod(header.batch), *shape))
    seed: bytes | None = None
    if header.kind is Kind.CIPHERTEXT:
        unpack(basis, body, words.reshape(-1, *shape[1:]), what="ciphertext")
        _refuse_constant_rows(words[:, 1:], "ciphertext")
    else:
        seed = body[:SEED_BYTES].tobytes()
        unpack(basis, body[SEED_BYTES:], words[:, 0], what="seeded ciphertext")
        ciphertext_half(params, header.level, (len(words),), seed, out=words[:, 1])
    if noise is None:
        noise = sizes.fresh_public(params) if seed is None else sizes.fresh_secret(params)
    ct = Ciphertext.of(params, words.reshape(*header.batch, *shape), header.level, meta, noise)
    return (ct if seed is None else made_from(ct, seed)), seed


def plaintext_to_bytes(plaintext: Plaintext, scheme: bytes = NO_SCHEME) -> bytes:
    """Return a plaintext as bytes. It is not encrypted: whoever has the bytes has the values."""
    header = Header(kind=Kind.PLAINTEXT, level=plaintext.level, batch=plaintext.shape, scheme=scheme)
    return _store(plaintext.params, header, lambda out: pack(plaintext.basis, _flat(plaintext.words), out))


def plaintext_from_bytes(
    data: Buffer, params: RLWEParams, *, meta: Any = None, noise: Noise | None = None
) -> Plaintext:
    """Return a plaintext of `params`; raise SerializationError for anything else."""
    header, body = _load(data, params, Kind.PLAINTEXT)
    basis = params.basis(header.level)
    words = kernels.empty((*header.batch, len(basis), basis.n))
    unpack(basis, body, _flat(words), what="plaintext")
    return Plaintext.of(params, words, header.level, meta, noise or Noise())


# Common parts


def _store(params: RLWEParams, header: Header, fill: Callable[[Bytes], None]) -> bytes:
    header.check(params)
    return write_frame(header.kind, params.digest, header.pack(), header.scheme, header.body_length(params), fill)


def _load(data: Buffer, params: RLWEParams, *kinds: Kind) -> tuple[Header, Bytes]:
    header = read_header(data, params, *kinds)
    return header, read_body(data, header.kind, header.body_length(params))


def _flat(words: Words) -> Words:
    """All polynomials in C order, (items, limbs, N): a view where strides allow."""
    return words.reshape(prod(words.shape[:-2]), *words.shape[-2:])


def _refuse_constant_rows(words: Words, what: str) -> None:
    """Raise SerializationError when a row that has to look uniform is zero, or all one value.

    A ciphertext whose c_1 is zero modulo a prime shows its message modulo that prime.
    """
    suspects = np.argwhere(words[..., 0] == words[..., -1])
    for where in map(tuple, suspects):
        if (words[where] == words[where][0]).all():
            raise SerializationError(
                f"{what}: limb {int(where[-1])} of a uniform part is constant; a transparent or empty object hides "
                "nothing, encrypt again"
            )
