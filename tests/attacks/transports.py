"""Networks that do more than carry: they record answers, exchange them, and count what goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx


@dataclass(frozen=True)
class Recorded:
    """An answer as it went by."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def response(self) -> httpx.Response:
        """Return it once more."""
        return httpx.Response(self.status, headers=list(self.headers), stream=httpx.ByteStream(self.body))

    def header(self, name: str) -> str:
        """Return the value of a header."""
        return next(value for key, value in self.headers if key.lower() == name.lower())

    def with_header(self, name: str, value: str | None) -> Recorded:
        """Return a copy with another value, or without the header."""
        rest = tuple((key, kept) for key, kept in self.headers if key.lower() != name.lower())
        return replace(self, headers=rest if value is None else (*rest, (name, value)))

    def with_body(self, body: bytes) -> Recorded:
        """Return a copy with another body."""
        return replace(self, body=body).with_header("content-length", str(len(body)))


Answer = Callable[[httpx.Request, Callable[[], Recorded]], Recorded]
"""Given a request, and a way to have it answered by the service, returns what the client shall get."""


class Network(httpx.BaseTransport):
    """Carries everything, except that `answer`, if set, says what comes back for an evaluation."""

    def __init__(self) -> None:
        self._carrier = httpx.HTTPTransport()
        self.answer: Answer | None = None
        self.last: Recorded | None = None
        self.requests: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        if self.answer is None or not request.url.path.endswith(":evaluate"):
            self.last = self._ask(request)
            return self.last.response()
        return self.answer(request, lambda: self._ask(request)).response()

    def _ask(self, request: httpx.Request) -> Recorded:
        response = self._carrier.handle_request(request)
        body = response.read()
        return Recorded(response.status_code, tuple(response.headers.items()), body)

    def close(self) -> None:
        self._carrier.close()
