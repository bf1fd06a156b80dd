"""CKKS itself: approximate arithmetic on vectors of numbers ([CKKS17], in RNS form [CHKKS18])."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckks.scheme.encoder import Encoder
from ckks.scheme.encryption import Encryptor
from ckks.scheme.evaluator import Evaluator
from ckks.scheme.meta import Meta, error_bound, expected_error, precision_bits
from ckks.scheme.params import PRESETS, CKKSParams

if TYPE_CHECKING:
    from ckks.scheme.decryption import Decryptor

__all__ = [
    "PRESETS",
    "CKKSParams",
    "Decryptor",
    "Encoder",
    "Encryptor",
    "Evaluator",
    "Meta",
    "error_bound",
    "expected_error",
    "precision_bits",
]


def __getattr__(name: str) -> Any:
    """Load Decryptor on first use: it needs the secret-key package, which evaluating processes never import."""
    if name == "Decryptor":
        from ckks.scheme.decryption import Decryptor

        return Decryptor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
