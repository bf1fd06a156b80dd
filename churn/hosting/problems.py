"""From errors to refusals. Deliberate errors show their own text, all others nothing at all."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from churn.hosting.protocol import PROBLEM_JSON, Problem
from ckks.errors import BasisMismatch, HEError, MissingKey, ParameterError

__all__ = ["answer", "problem_of"]

_log = logging.getLogger("churn.hosting")


def answer(_: Request, error: Exception) -> Response:
    """Return the answer that stands for an error: Starlette's exception handler."""
    problem = problem_of(error)
    return JSONResponse(problem.as_dict(), status_code=problem.status, headers=problem.headers, media_type=PROBLEM_JSON)


def problem_of(error: Exception) -> Problem:
    """Return what to say about an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(
            error.status_code,
            "refused",
            f"{error.detail}; the paths are those of churn.hosting.protocol",
            headers=error.headers,
        )
    if isinstance(error, MissingKey):
        return Problem(428, "keys missing", str(error))
    if isinstance(error, (BasisMismatch, ParameterError)):
        return Problem(409, "parameter mismatch", str(error))
    if isinstance(error, HEError):
        return Problem(422, "malformed", str(error))
    if isinstance(error, ClientDisconnect):
        return Problem(400, "cut short", "the body ended early; send it again")
    if isinstance(error, (MemoryError, OSError)):
        _log.error("out of resources: %s", type(error).__name__)
        return Problem(
            503,
            "out of resources",
            "the service has no memory or disk left for this; try again later",
            headers={"Retry-After": "5"},
        )
    return Problem(500, "internal error", "the service failed; its log says more")
