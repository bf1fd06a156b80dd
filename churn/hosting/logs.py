"""What the service writes about its work: one line of JSON for each request, and for whatever else happens.

A line says who, when, which route, how large, how long, how it ended. It never says what: no body, no value, no token,
no header; digests not at all. Text from outside is cut and its control characters are escaped, so that no line can be
forged, and none is longer than LINE_BYTES.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

__all__ = ["LINE_BYTES", "RequestLog", "configure", "where"]

LINE_BYTES = 1024
_TEXT = 100
_log = logging.getLogger("churn.hosting")


@dataclass
class RequestLog:
    """What is known of one request so far; `write` makes a line of it.

    Args:
        method, route: of the request; the route is the template that matched, not the path.
        tenant: by name, "-" before it is known.
        bytes_in, bytes_out: of the bodies.
        seconds: of each step.
    """

    method: str = "-"
    route: str = "-"
    tenant: str = "-"
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure how long the block lasts."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start

    def write(self) -> None:
        """Write the line; called once, when the answer is on its way."""
        if not _log.isEnabledFor(logging.INFO):
            return
        event: dict[str, object] = {
            "request": self.id,
            "tenant": self.tenant,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "in": self.bytes_in,
            "out": self.bytes_out,
            "seconds": {
                "all": round(time.perf_counter() - self.started, 6),
                **{name: round(spent, 6) for name, spent in self.seconds.items()},
            },
        }
        if self.note:
            event["note"] = self.note
        _log.info("request", extra={"event": event})


def where(error: BaseException) -> str:
    """Return the type of an error and the place it came from; never its text, which may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


def configure(level: int = logging.INFO, stream: IO[str] | None = None) -> None:
    """Send the lines of the service, and what its libraries say from warnings on, to `stream` (standard error)."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(_Lines())
    for name, least in (("churn.hosting", level), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)


class _Lines(logging.Formatter):
    """A record as one line of JSON. Libraries' errors are named, not shown: their text may quote what was sent."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        event: Mapping[str, object] = getattr(record, "event", {})
        parts: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "what": _clean(record.getMessage().splitlines()[0] if record.getMessage() else ""),
            **{name: _clean(value) if isinstance(value, str) else value for name, value in event.items()},
        }
        if record.exc_info and record.exc_info[1] is not None:
            parts["error"] = where(record.exc_info[1])
        line = json.dumps(parts, ensure_ascii=True)
        while len(line) >= LINE_BYTES:
            parts.popitem()  # the last parts are the least needed
            line = json.dumps(parts, ensure_ascii=True)
        return line


def _clean(text: str) -> str:
    """Return text with everything but printable ASCII escaped, cut to a length."""
    shown = text[:_TEXT].encode("unicode_escape").decode("ascii")
    return "".join(c if c.isprintable() else "?" for c in shown)[: 2 * _TEXT]
