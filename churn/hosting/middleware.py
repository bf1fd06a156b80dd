"""What happens around every request: a line in the log, and an answer whatever goes wrong."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churn.hosting.logs import RequestLog, where
from churn.hosting.problems import problem_of
from churn.hosting.protocol import PROBLEM_JSON, Problem

__all__ = ["Failed", "Logged", "log_of", "refuse"]

_log = logging.getLogger("churn.hosting")


class Failed(Exception):
    """Something broke in a worker: where, as it said."""


class Logged:
    """Writes a line for each request, and answers with 500 what nobody meant to raise, without a word about it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        log = scope["log"] = RequestLog(method=scope["method"][:16])

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                log.status = message["status"]
            else:
                log.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as error:
            _log.error("failed: %s", error if isinstance(error, Failed) else where(error))
            if log.status:  # too late to say anything: the connection ends
                raise
            problem = Problem(500, "internal error", "the service failed; its log says more")
            await _response(problem)(scope, receive, counted)
        finally:
            log.write()


def log_of(request: Request) -> RequestLog:
    """Return what will be written of a request."""
    log = request.scope["log"]
    assert isinstance(log, RequestLog)
    return log


def refuse(request: Request, error: Exception) -> Response:
    """Return the answer that stands for an error: Starlette's exception handler."""
    if isinstance(error, HTTPException):
        detail = f"{error.detail}; the paths and methods are those of churn.hosting.protocol"
        problem = Problem(error.status_code, "refused", detail, headers=error.headers)
    else:
        found = problem_of(error)
        if found is None:
            raise error
        problem = found
    log_of(request).note = problem.title
    return _response(problem)


def _response(problem: Problem) -> Response:
    return JSONResponse(problem.as_dict(), status_code=problem.status, headers=problem.headers, media_type=PROBLEM_JSON)
