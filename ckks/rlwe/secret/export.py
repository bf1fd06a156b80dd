"""Secret keys as bytes and files: the one deliberate way out of memory.

Layout, little endian: magic "CKKSSKEY" (8) | version (2) | flags (2: bit 0 = encrypted) | parameter digest (32) |
N (4) | salt (16) | nonce (12) | payload | SHA-256 of all before (32).
Payload: one byte per four coefficients (value + 1 in 2 bits each, low bits first); with a passphrase it is sealed by
AES-256-GCM (tag of 16 bytes behind it) under scrypt(passphrase, salt, n = 2^17, r = 8, p = 1), header authenticated.
Without one, salt, nonce and what is left of the last byte are zero, so that an unsealed key has one form.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ckks.errors import BasisMismatch, RangeError, SerializationError
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.secret.key import SecretKey

_MAGIC = b"CKKSSKEY"
_VERSION = 1
_HEADER = struct.Struct("<8sHH32sI16s12s")
_SHIFTS = np.array([0, 2, 4, 6], dtype=np.uint8)


def secret_key_to_bytes(secret: SecretKey, passphrase: str | None = None) -> bytes:
    """Return the secret key itself, sealed when a passphrase is given. Whoever reads it can decrypt everything."""
    _check_passphrase(passphrase)
    params = secret.params
    crumbs = (secret.coefficients() + 1).astype(np.uint8)
    crumbs = np.concatenate([crumbs, np.zeros(-len(crumbs) % 4, dtype=np.uint8)])
    payload: bytes = np.bitwise_or.reduce(crumbs.reshape(-1, 4) << _SHIFTS, axis=1).tobytes()
    sealed = passphrase is not None
    salt, nonce = (os.urandom(16), os.urandom(12)) if sealed else (bytes(16), bytes(12))
    header = _HEADER.pack(_MAGIC, _VERSION, int(sealed), params.digest, params.ring_degree, salt, nonce)
    if passphrase is not None:
        payload = AESGCM(_derive(passphrase, salt)).encrypt(nonce, payload, header)
    body = header + payload
    return body + hashlib.sha256(body).digest()


def secret_key_from_bytes(data: bytes, params: RLWEParams, passphrase: str | None = None) -> SecretKey:
    """Return the secret key of `params` from `secret_key_to_bytes`.

    Raises:
        BasisMismatch: it belongs to other parameters.
        SerializationError: anything else that is wrong with it: damage, a passphrase that is wrong or missing.
    """
    _check_passphrase(passphrase)
    if len(data) < _HEADER.size + 32:
        raise SerializationError(f"secret key of {len(data)} bytes is cut short; needed at least {_HEADER.size + 32}")
    magic, version, flags, digest, n, salt, nonce = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise SerializationError("not a secret key file of this library (wrong magic bytes)")
    if version != _VERSION or flags > 1:
        raise SerializationError(f"secret key format version {version}, flags {flags}; this release reads version 1")
    if digest != params.digest or n != params.ring_degree:
        raise BasisMismatch("the secret key file belongs to other parameters; load it with those it was made for")
    expected = _HEADER.size + (n + 3) // 4 + 16 * flags + 32
    if len(data) != expected:
        raise SerializationError(f"secret key of {len(data)} bytes; needed exactly {expected}")
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise SerializationError("secret key file is damaged: its checksum does not match")
    payload = data[_HEADER.size : -32]
    if passphrase is not None and not flags:
        raise SerializationError("this secret key file is not sealed, but a passphrase was given: wrong file?")
    if not flags and (any(salt) or any(nonce)):
        raise SerializationError("unsealed secret key file: salt or nonce is set; needed zeros")
    if flags:
        if passphrase is None:
            raise SerializationError("this secret key file is sealed; give its passphrase")
        try:
            payload = AESGCM(_derive(passphrase, salt)).decrypt(nonce, payload, data[: _HEADER.size])
        except InvalidTag:
            raise SerializationError("wrong passphrase for this secret key file") from None
    crumbs = (np.frombuffer(payload, dtype=np.uint8)[:, None] >> _SHIFTS & 3).ravel()
    if crumbs[:n].max() > 2:
        raise SerializationError("secret key payload holds a value outside {-1, 0, 1}")
    if crumbs[n:].any():
        raise SerializationError("secret key payload: bits behind the last coefficient are set; needed zeros")
    try:
        return SecretKey(params, crumbs[:n].astype(np.int8) - np.int8(1))
    except RangeError as error:
        raise SerializationError(f"secret key file: {error}") from None


def save_secret_key(path: str | os.PathLike[str], secret: SecretKey, passphrase: str | None = None) -> None:
    """Write a key file readable by its owner only (mode 0600), all or nothing; never over an existing file."""
    target = Path(path)
    if target.exists():
        raise FileExistsError(f"{target} exists; a key file is never overwritten (move it away first)")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")  # mode 0600, a name of its own
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secret_key_to_bytes(secret, passphrase))
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, target)  # fails, rather than replaces, when somebody else was faster
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def load_secret_key(path: str | os.PathLike[str], params: RLWEParams, passphrase: str | None = None) -> SecretKey:
    """Return the secret key of a key file."""
    return secret_key_from_bytes(Path(path).read_bytes(), params, passphrase)


def _check_passphrase(passphrase: str | None) -> None:
    if not (passphrase is None or isinstance(passphrase, str)):
        raise TypeError(f"passphrase of type {type(passphrase).__name__}; needed text (str), or None for no seal")


def _derive(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(passphrase.encode())
