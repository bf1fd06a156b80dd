"""CKKS itself: approximate arithmetic on vectors of numbers ([CKKS17], in RNS form [CHKKS18]).

`params` chooses primes and scales, `encoder` (with `embedding`) turns numbers into polynomials, `encryption` and
`decryption` join that with `rlwe`; `evaluator` computes, `align` brings two operands to one level and scale, `meta` is
what a value knows of itself, `compact` encodes plain factors that repeat. `serialization` has all stored forms: `_meta`
those of values, `_model` descriptions of hosted models.
"""

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
