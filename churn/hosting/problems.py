"""From errors to refusals. Deliberate errors show their own text, all others nothing at all."""

from __future__ import annotations

from churn.hosting.protocol import Problem
from churn.hosting.store.keystore import QuotaExceeded, StoreError, StoreFailed, StoreFull
from ckks.errors import BasisMismatch, HEError, MissingKey, ParameterError

__all__ = ["problem_of"]


def problem_of(error: Exception) -> Problem | None:
    """Return what to say about an error; None for one that nobody meant to raise."""
    match error:
        case Problem():
            return error
        case QuotaExceeded():
            return Problem(429, "quota reached", str(error))
        case StoreFull():
            return Problem(507, "store full", str(error), headers={"Retry-After": "30"})
        case StoreFailed():
            return Problem(
                503, "store unavailable", "the store cannot be used now; try again later", headers={"Retry-After": "30"}
            )
        case StoreError():
            return Problem(422, "not stored", str(error))
        case MissingKey():
            return Problem(428, "keys missing", str(error))
        case BasisMismatch() | ParameterError():
            return Problem(409, "parameter mismatch", str(error))
        case HEError():
            return Problem(422, "malformed", str(error))
        case MemoryError() | OSError():
            return Problem(
                503,
                "out of resources",
                "the service has no memory, disk or file handle left for this; try again later",
                headers={"Retry-After": "5"},
            )
    return None
