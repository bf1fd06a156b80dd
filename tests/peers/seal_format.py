"""Read and write the saved objects of Microsoft SEAL 4.x as plain ``uint64`` arrays.

Nothing here needs SEAL itself, nor ``ckks``: bytes in, numpy out. Layouts were read off objects
saved by SEAL 4.1, 4.3 and 4.4; any other version is refused. All integers are little-endian.

Every object, nested ones included, is a 16-byte header followed by its members::

    header       u16 magic 0xA15E | u8 header size 16 | u8 major | u8 minor
                 | u8 compression (0 none, 1 zlib, 2 zstd) | u16 reserved
                 | u64 size of the whole object, header included
    Array        header | u64 count | count x u64
    Modulus      header | u64 value
    Parameters   header | u8 scheme (2 = CKKS) | u64 N | u64 count
                 | count x Modulus (q_0..q_L, p) | Modulus (plain modulus, 0 in CKKS)
    Plaintext    header | 4 x u64 parms id | u64 coefficient count | f64 scale
                 | Array (limbs x N)
    SecretKey    a Plaintext over all moduli, q_0..q_L, p, NTT form
    Ciphertext   header | 4 x u64 parms id | u8 NTT form | u64 parts | u64 N | u64 limbs
                 | f64 scale | u64 correction factor (1 in CKKS) | Array (parts x limbs x N)
    PublicKey    a Ciphertext of two parts over all moduli
    KSwitchKeys  header | 4 x u64 parms id | u64 slots
                 | for each slot: u64 digits, digits x PublicKey
    RelinKeys    KSwitchKeys; slot k switches s^(k+2)
    GaloisKeys   KSwitchKeys with N slots; slot (g-1)/2 switches s(X^g), absent ones have 0 digits

A parms id is BLAKE2b-256 of the words (scheme, N, moduli..., plain modulus). It names a level: the
keys carry the one over q_0..q_L, p; data carry the one over q_0..q_l (p is never part of data).

Seeded objects. SEAL may store a symmetric encryption, and so each digit of a switching key, as its
first part and an 81-byte generator record (header, u8 kind, 64-byte seed) in place of the second.
They are recognised by their array of half the words and refused: expanding them needs SEAL's own
stream. Ask SEAL for the expanded form (the ``destination`` overloads) and save that.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

CKKS_SCHEME = 2
SUPPORTED_VERSIONS = ((4, 1), (4, 3), (4, 4))

_MAGIC = 0xA15E
_HEADER = struct.Struct("<HBBBBHQ")
_COMPRESSION = {1: "zlib", 2: "zstd"}
_MAX_RING_DEGREE = 131072
_MAX_MODULI = 64
_MAX_PARTS = 16


class SealFormatError(ValueError):
    """Bytes that are not an object of the kind asked for, or a form this reader does not take."""


@dataclass(frozen=True)
class SealParameters:
    """N and the moduli in SEAL's order q_0..q_L, p: the special prime is the last one."""

    ring_degree: int
    moduli: tuple[int, ...]
    scheme: int = CKKS_SCHEME

    @property
    def special(self) -> int:
        """The special prime p, present in keys and never in data."""
        return self.moduli[-1]

    @property
    def data_moduli(self) -> tuple[int, ...]:
        """q_0..q_L."""
        return self.moduli[:-1]

    def parms_id(self, limbs: int) -> bytes:
        """Return the 32 bytes that name data of ``limbs`` limbs; all moduli name the keys."""
        if not 1 <= limbs <= len(self.moduli):
            raise SealFormatError(f"found {limbs} limbs, need 1..{len(self.moduli)}")
        words = (self.scheme, self.ring_degree, *self.moduli[:limbs], 0)
        return hashlib.blake2b(struct.pack(f"<{len(words)}Q", *words), digest_size=32).digest()

    def limbs_of(self, parms_id: bytes) -> int:
        """Return the limb count that ``parms_id`` names."""
        for limbs in range(1, len(self.moduli) + 1):
            if self.parms_id(limbs) == parms_id:
                return limbs
        raise SealFormatError("the object belongs to other parameters (unknown parms id)")


@dataclass(frozen=True)
class SealPlaintext:
    """Words of shape (limbs, N), NTT form, each row in [0, q_i)."""

    words: Words
    scale: float


@dataclass(frozen=True)
class SealCiphertext:
    """Words of shape (parts, limbs, N), each row in [0, q_i); NTT form unless asked otherwise."""

    words: Words
    scale: float


class _Reader:
    """A cursor over one object's bytes; no length is used before it is known to fit."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        """Read the fields of a little-endian ``struct`` layout."""
        size = struct.calcsize("<" + layout)
        return struct.unpack("<" + layout, self._take(size))

    def number(self) -> int:
        """Read one u64."""
        return self.unpack("Q")[0]

    def real(self) -> float:
        """Read one f64."""
        return float(self.unpack("d")[0])

    def raw(self, size: int) -> bytes:
        """Read ``size`` bytes."""
        return bytes(self._take(size))

    def open(self) -> _Reader:
        """Read the header of the object that starts here; return a reader of its members."""
        magic, header_size, major, minor, compression, reserved, size = self.unpack("HBBBBHQ")
        if magic != _MAGIC or header_size != _HEADER.size or reserved:
            raise SealFormatError("not an object saved by SEAL 4 (its header is missing)")
        _check_version((major, minor))
        if compression:
            name = _COMPRESSION.get(compression, f"mode {compression}")
            raise SealFormatError(f"compressed with {name}; save it with compression mode none")
        if size < _HEADER.size:
            raise SealFormatError(f"an object of {size} bytes is shorter than its header")
        return _Reader(self._take(size - _HEADER.size))

    def array(self, expected: int, *, seeded: int = -1) -> Words:
        """Read an Array of ``expected`` words; ``seeded`` is the count that betrays a seed."""
        body = self.open()
        count = body.number()
        if count == seeded:
            raise SealFormatError(
                "a seeded object (its second part is a 64-byte seed); have SEAL expand it, "
                "with the overload that fills a destination, and save that"
            )
        if count != expected:
            raise SealFormatError(f"found {count} words, need {expected}")
        words = np.frombuffer(body._take(8 * count), dtype="<u8").astype(np.uint64)
        body.close()
        return words

    def close(self) -> None:
        """Refuse members that nobody asked for."""
        if self._at != len(self._data):
            raise SealFormatError(f"{len(self._data) - self._at} bytes left over in an object")

    def _take(self, size: int) -> memoryview:
        if size > len(self._data) - self._at:
            raise SealFormatError(f"truncated: need {size} bytes, {len(self._data) - self._at} left")
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece


def _check_version(version: tuple[int, int]) -> None:
    if version not in SUPPORTED_VERSIONS:
        known = ", ".join(f"{a}.{b}" for a, b in SUPPORTED_VERSIONS)
        raise SealFormatError(f"SEAL {version[0]}.{version[1]}; layouts are known for {known}")


def _in_range(words: Words, moduli: tuple[int, ...]) -> Words:
    """Return ``words`` (..., limbs, N) after checking that row i is below q_i."""
    if not (words < np.array(moduli, dtype=np.uint64)[:, None]).all():
        raise SealFormatError("a word is not reduced by its modulus")
    return words


def _open_whole(data: bytes) -> _Reader:
    outer = _Reader(data)
    body = outer.open()
    outer.close()
    return body


def read_parameters(data: bytes) -> SealParameters:
    """Return N and the moduli q_0..q_L, p of a saved ``EncryptionParameters`` (CKKS only)."""
    body = _open_whole(data)
    scheme, ring_degree, count = body.unpack("BQQ")
    if scheme != CKKS_SCHEME:
        raise SealFormatError(f"scheme {scheme}; need {CKKS_SCHEME} (CKKS)")
    if not 2 <= ring_degree <= _MAX_RING_DEGREE or ring_degree & (ring_degree - 1):
        raise SealFormatError(f"ring degree {ring_degree} is not a power of two in 2..131072")
    if not 2 <= count <= _MAX_MODULI:
        raise SealFormatError(f"{count} moduli; need 2..{_MAX_MODULI}, the last one special")
    values = [_read_modulus(body) for _ in range(count + 1)]
    body.close()
    if values[-1]:
        raise SealFormatError(f"plain modulus {values[-1]}; CKKS has none")
    if any(not 1 < q < 1 << 61 or q % (2 * ring_degree) != 1 for q in values[:-1]):
        raise SealFormatError("a modulus is not 1 modulo 2N, or does not fit in 61 bits")
    return SealParameters(ring_degree, tuple(values[:-1]))


def _read_modulus(body: _Reader) -> int:
    inner = body.open()
    value = inner.number()
    inner.close()
    return value


def read_plaintext(data: bytes, parameters: SealParameters) -> SealPlaintext:
    """Return the words (limbs, N) and the scale of a saved ``Plaintext`` in NTT form."""
    body = _open_whole(data)
    limbs = parameters.limbs_of(body.raw(32))
    count, scale = body.number(), body.real()
    if count != limbs * parameters.ring_degree:
        raise SealFormatError(f"{count} coefficients; need {limbs} x {parameters.ring_degree}")
    words = body.array(count).reshape(limbs, parameters.ring_degree)
    body.close()
    return SealPlaintext(_in_range(words, parameters.moduli[:limbs]), scale)


def read_secret_key(data: bytes, parameters: SealParameters) -> Words:
    """Return s as (limbs, N), NTT form, over all moduli q_0..q_L, p."""
    words = read_plaintext(data, parameters).words
    if len(words) != len(parameters.moduli):
        raise SealFormatError(f"{len(words)} limbs; a secret key has {len(parameters.moduli)}")
    return words


def read_ciphertext(data: bytes, parameters: SealParameters, *, is_ntt: bool = True) -> SealCiphertext:
    """Return the words (parts, limbs, N) and the scale of a saved ``Ciphertext``.

    Another domain than ``is_ntt`` says is an error; CKKS works in NTT form throughout.
    """
    outer = _Reader(data)
    ciphertext = _read_ciphertext(outer, parameters, is_ntt)
    outer.close()
    if ciphertext.words.shape[-2] == len(parameters.moduli):
        raise SealFormatError("found the special prime among the limbs: a key, not data")
    return ciphertext


def _read_ciphertext(outer: _Reader, parameters: SealParameters, is_ntt: bool = True) -> SealCiphertext:
    body = outer.open()
    limbs = parameters.limbs_of(body.raw(32))
    ntt_flag, parts, ring_degree, found_limbs = body.unpack("BQQQ")
    scale, correction = body.real(), body.number()
    if ntt_flag != is_ntt or correction != 1:
        raise SealFormatError(f"NTT flag {ntt_flag}, correction factor {correction}; need {int(is_ntt)} and 1")
    if (ring_degree, found_limbs) != (parameters.ring_degree, limbs):
        raise SealFormatError(
            f"N = {ring_degree}, {found_limbs} limbs; the parms id says N = {parameters.ring_degree}, {limbs} limbs"
        )
    if not 2 <= parts <= _MAX_PARTS:
        raise SealFormatError(f"{parts} parts; need 2..{_MAX_PARTS}")
    words = body.array(parts * limbs * ring_degree, seeded=limbs * ring_degree)
    body.close()
    words = words.reshape(parts, limbs, ring_degree)
    return SealCiphertext(_in_range(words, parameters.moduli[:limbs]), scale)


def _read_public_key(outer: _Reader, parameters: SealParameters) -> Words:
    words = _read_ciphertext(outer, parameters).words
    if words.shape[:2] != (2, len(parameters.moduli)):
        raise SealFormatError(
            f"{words.shape[0]} parts of {words.shape[1]} limbs; a public key has 2 of {len(parameters.moduli)}"
        )
    return words


def read_public_key(data: bytes, parameters: SealParameters) -> Words:
    """Return (b, a) as (2, limbs, N), NTT form, over all moduli: b + a s is small."""
    outer = _Reader(data)
    words = _read_public_key(outer, parameters)
    outer.close()
    return words


def _read_switching_keys(data: bytes, parameters: SealParameters) -> dict[int, Words]:
    """Return slot -> (digits, 2, limbs, N) for the slots that hold a key."""
    body = _open_whole(data)
    if parameters.limbs_of(body.raw(32)) != len(parameters.moduli):
        raise SealFormatError("the keys are not over all moduli")
    slots = body.number()
    if slots > parameters.ring_degree:
        raise SealFormatError(f"{slots} key slots; at most N = {parameters.ring_degree} exist")
    keys = {}
    for slot in range(slots):
        digits = body.number()
        if digits == 0:
            continue
        if digits != len(parameters.data_moduli):
            raise SealFormatError(f"{digits} digits; need one for each of q_0..q_L")
        keys[slot] = np.stack([_read_public_key(body, parameters) for _ in range(digits)])
    body.close()
    return keys


def read_relin_key(data: bytes, parameters: SealParameters) -> Words:
    """Return the key for s^2 as (digits, 2, limbs, N), NTT form, limbs q_0..q_L, p."""
    keys = _read_switching_keys(data, parameters)
    if 0 not in keys:
        raise SealFormatError("no key for s^2 in these relinearisation keys")
    return keys[0]


def read_galois_keys(data: bytes, parameters: SealParameters) -> dict[int, Words]:
    """Return Galois element g -> key for s(X^g), each (digits, 2, limbs, N), NTT form."""
    keys = _read_switching_keys(data, parameters)
    return {2 * slot + 1: words for slot, words in keys.items()}


def special_first(words: Words) -> Words:
    """Reorder the limbs of a key, (..., limbs, N), from q_0..q_L, p to p, q_0..q_L."""
    return np.roll(words, 1, axis=-2)


def special_last(words: Words) -> Words:
    """Reorder the limbs of a key, (..., limbs, N), from p, q_0..q_L to q_0..q_L, p."""
    return np.roll(words, -1, axis=-2)


def _wrap(members: bytes, version: tuple[int, int]) -> bytes:
    _check_version(version)
    size = _HEADER.size + len(members)
    return _HEADER.pack(_MAGIC, _HEADER.size, *version, 0, 0, size) + members


def _write_array(words: Words, version: tuple[int, int]) -> bytes:
    raw = np.ascontiguousarray(words, dtype="<u8").tobytes()
    return _wrap(struct.pack("<Q", words.size) + raw, version)


def _check_words(words: Words, parameters: SealParameters, limbs: int) -> None:
    if words.dtype != np.uint64 or words.shape[-2:] != (limbs, parameters.ring_degree):
        raise SealFormatError(
            f"found {words.dtype} words of shape {words.shape}; need uint64 (..., {limbs}, {parameters.ring_degree})"
        )
    _in_range(words, parameters.moduli[:limbs])


def version_of(data: bytes) -> tuple[int, int]:
    """Return the (major, minor) version of the SEAL that saved ``data``, whatever it holds."""
    major, minor = _Reader(data).unpack("HBBBBHQ")[2:4]
    return major, minor


def write_ciphertext(words: Words, scale: float, parameters: SealParameters, version: tuple[int, int]) -> bytes:
    """Return bytes that SEAL loads as a ``Ciphertext``; words (parts, limbs, N), NTT form.

    ``version`` is that of the SEAL that will load them (``version_of`` anything it saved): up to
    4.3 it accepts its own minor version only, 4.4 also earlier ones.
    """
    if words.ndim != 3 or not 2 <= words.shape[0] <= _MAX_PARTS:
        raise SealFormatError(f"found shape {words.shape}; need (parts, limbs, N), 2..16 parts")
    parts, limbs, ring_degree = words.shape
    if limbs > len(parameters.data_moduli):
        raise SealFormatError(f"{limbs} limbs; data have at most {len(parameters.data_moduli)}")
    _check_words(words, parameters, limbs)
    members = parameters.parms_id(limbs)
    members += struct.pack("<BQQQdQ", 1, parts, ring_degree, limbs, scale, 1)
    return _wrap(members + _write_array(words, version), version)


def write_secret_key(words: Words, parameters: SealParameters, version: tuple[int, int]) -> bytes:
    """Return bytes that SEAL loads as a ``SecretKey``; words (limbs, N) over q_0..q_L, p.

    ``version`` as for ``write_ciphertext``.
    """
    if words.ndim != 2:
        raise SealFormatError(f"found shape {words.shape}; need (limbs, N)")
    _check_words(words, parameters, len(parameters.moduli))
    members = parameters.parms_id(len(parameters.moduli))
    members += struct.pack("<Qd", words.size, 1.0)
    return _wrap(members + _write_array(words, version), version)
