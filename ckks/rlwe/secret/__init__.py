"""Everything that touches a secret key: its type, key generation, secret-key encryption, decryption, export.

A process that only evaluates never imports this package; a test holds the service to that.
"""

from __future__ import annotations

from ckks.rlwe.secret.decryption import decrypt, measured_error
from ckks.rlwe.secret.encryption import encrypt_poly, encrypt_secret
from ckks.rlwe.secret.export import (
    load_secret_key,
    save_secret_key,
    secret_key_from_bytes,
    secret_key_to_bytes,
)
from ckks.rlwe.secret.key import SecretKey
from ckks.rlwe.secret.keygen import KeyGenerator

__all__ = [
    "KeyGenerator",
    "SecretKey",
    "decrypt",
    "encrypt_poly",
    "encrypt_secret",
    "load_secret_key",
    "measured_error",
    "save_secret_key",
    "secret_key_from_bytes",
    "secret_key_to_bytes",
]
