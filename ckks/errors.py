"""Every error this library raises on purpose.

    HEError
    |-- ParameterError        (ValueError)   a parameter set or argument that cannot work
    |   `-- InsecureParameters               ... that would work, but not at the stated security
    |-- LevelError            (ValueError)   no rescale left for what was asked
    |-- ScaleError            (ValueError)   two scales that cannot be brought together
    |-- SlotError             (ValueError)   too many values, or shapes that do not fit
    |-- RangeError            (ValueError)   NaN, infinity, or a value outside its declared range
    |-- DomainError           (ValueError)   coefficient form where NTT form is needed, or the reverse
    |-- BasisMismatch         (ValueError)   operands over different moduli or parameters
    |-- MissingKey            (KeyError)     an evaluation key that was never generated or sent
    |-- SerializationError    (ValueError)   bytes that are not a valid object of ours
    |-- ModelError            (ValueError)   a trained model, or its description, that cannot be evaluated encrypted
    |-- MissingPackage        (ImportError)  an optional package that is not installed
    |-- QueriesSpent          (RuntimeError) more decryptions to be published than a key was set up for
    `-- BackendError          (RuntimeError) a kernel source that is unknown or not available here

A message says what was found, what was needed, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "BasisMismatch",
    "DomainError",
    "HEError",
    "InsecureParameters",
    "LevelError",
    "MissingKey",
    "MissingPackage",
    "ModelError",
    "ParameterError",
    "PrecisionWarning",
    "QueriesSpent",
    "RangeError",
    "ScaleError",
    "SerializationError",
    "SlotError",
]


class HEError(Exception):
    """Base class of every deliberate error of this library."""


class ParameterError(HEError, ValueError):
    """A parameter set, or an argument, that cannot work."""


class InsecureParameters(ParameterError):
    """Parameters that would work, but not at the stated security level."""


class LevelError(HEError, ValueError):
    """An operation needs more levels (rescales) than its operand has left."""


class ScaleError(HEError, ValueError):
    """Two scales that cannot be brought together, or a scale out of bounds."""


class SlotError(HEError, ValueError):
    """Too many values for the slots, or shapes that do not fit together."""


class RangeError(HEError, ValueError):
    """NaN, infinity, or a number outside the range declared for it."""


class DomainError(HEError, ValueError):
    """Coefficient form where NTT form is needed, or the reverse."""


class BasisMismatch(HEError, ValueError):
    """Operands that live over different moduli, rings or parameter sets."""


class MissingKey(HEError, KeyError):
    """An evaluation key that was never generated, or never sent."""

    def __str__(self) -> str:
        """Return the message itself (KeyError would print its repr)."""
        return str(self.args[0]) if self.args else ""


class SerializationError(HEError, ValueError):
    """Bytes that are not a valid object of this library."""


class ModelError(HEError, ValueError):
    """A trained model, or a description of one, that cannot be evaluated encrypted."""


class MissingPackage(HEError, ImportError):
    """An optional package that is not installed."""


class QueriesSpent(HEError, RuntimeError):
    """More decryptions to be published than the noise that hides the key was sized for."""


class BackendError(HEError, RuntimeError):
    """A kernel source that is unknown, or not available on this machine."""


class PrecisionWarning(UserWarning):
    """A constant or value loses most of its digits at the scale it is encoded with."""
