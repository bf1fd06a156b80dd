"""CKKS from scratch: arithmetic on encrypted vectors of numbers, with native kernels.

    params = ckks.CKKSParams.for_depth(4, precision_bits=24, value_range=16)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    public, evaluation = keygen.public_key(secret), keygen.evaluation_keys(secret, rotations=[1, 2, 4])

    x = ckks.EncryptedVector(ckks.Encryptor(params, public).encrypt(features), ckks.Evaluator(params, evaluation))
    score = ckks.sigmoid(weights @ x + bias, interval=8)
    ckks.Decryptor(params, secret).decrypt(score)

The layers, each built from the one before and public on its own:

    arith      numbers modulo a prime, in plain Python integers
    kernels    loops over uint64 arrays: reference, numba, native C; equal words from all
    ring       Z_Q[X]/(X^N + 1): elements, base conversion, automorphisms, samplers
    rlwe       keys, encryption, key switching, noise
    scheme     encoding, evaluator, levels and scales
    circuits   polynomials, functions, comparisons, linear algebra: on ciphertexts
    vector     operators for users, with hints; functions, comparisons, linear (algebra) of vectors
    planning   what a computation needs, before any key exists
    ml         trained models, evaluated encrypted

Keys and ciphertexts become bytes in `ckks.scheme.serialization`; errors are in `ckks.errors`.

Names load on first use, so that importing this package costs little and a process that only evaluates never
loads the code that decrypts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckks.circuits.linear.matrix import LinearMap
    from ckks.circuits.polynomials.approximation import approximate
    from ckks.circuits.polynomials.polynomial import Polynomial
    from ckks.functions import function, sigmoid
    from ckks.planning import Plan, plan
    from ckks.ring import Rng
    from ckks.rlwe import Ciphertext, EvaluationKeys, Plaintext, PublicKey
    from ckks.rlwe.secret import KeyGenerator, SecretKey
    from ckks.scheme import CKKSParams, Encoder, Encryptor, Evaluator
    from ckks.scheme.decryption import Decryptor
    from ckks.scheme.meta import error_bound, expected_error, precision_bits
    from ckks.vector import EncryptedVector, polynomial

_HOME = {
    "CKKSParams": "ckks.scheme",
    "Ciphertext": "ckks.rlwe",
    "Decryptor": "ckks.scheme.decryption",
    "EncryptedVector": "ckks.vector",
    "Encoder": "ckks.scheme",
    "Encryptor": "ckks.scheme",
    "EvaluationKeys": "ckks.rlwe",
    "Evaluator": "ckks.scheme",
    "KeyGenerator": "ckks.rlwe.secret",
    "LinearMap": "ckks.circuits.linear.matrix",
    "Plaintext": "ckks.rlwe",
    "Plan": "ckks.planning",
    "Polynomial": "ckks.circuits.polynomials.polynomial",
    "PublicKey": "ckks.rlwe",
    "Rng": "ckks.ring",
    "SecretKey": "ckks.rlwe.secret",
    "approximate": "ckks.circuits.polynomials.approximation",
    "error_bound": "ckks.scheme.meta",
    "expected_error": "ckks.scheme.meta",
    "function": "ckks.functions",
    "plan": "ckks.planning",
    "polynomial": "ckks.vector",
    "precision_bits": "ckks.scheme.meta",
    "sigmoid": "ckks.functions",
}
_LAYERS = {
    "arith", "circuits", "comparisons", "errors", "functions", "kernels", "linear", "ml", "planning", "ring", "rlwe",
    "scheme", "vector",
}  # fmt: skip

__version__ = "0.1.0"
__all__ = [
    "CKKSParams",
    "Ciphertext",
    "Decryptor",
    "Encoder",
    "EncryptedVector",
    "Encryptor",
    "EvaluationKeys",
    "Evaluator",
    "KeyGenerator",
    "LinearMap",
    "Plaintext",
    "Plan",
    "Polynomial",
    "PublicKey",
    "Rng",
    "SecretKey",
    "approximate",
    "error_bound",
    "expected_error",
    "function",
    "plan",
    "polynomial",
    "precision_bits",
    "sigmoid",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _LAYERS:
        return import_module(f"ckks.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
