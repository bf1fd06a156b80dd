"""A request's body, read piece by piece into places that the application names."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from churn.hosting.http import Connection
from churn.hosting.logs import RequestLog
from churn.hosting.protocol import Problem

__all__ = ["Body"]


class Body:
    """The body of one request: `length` bytes, as its Content-Length says."""

    def __init__(self, request: Request, length: int) -> None:
        """Read nothing yet."""
        connection = request.scope.get("extensions", {}).get("connection")
        self._connection = connection if isinstance(connection, Connection) else None
        self._log: RequestLog = request.scope["log"]
        self._stream: AsyncIterator[bytes] | None = None
        self._rest = memoryview(b"")
        self._request, self.left = request, length

    async def into(self, place: memoryview) -> None:
        """Fill `place` with the next bytes; Problem 400 when there are fewer, 408 when they come too slowly."""
        if self._connection is not None:
            await self._connection.read_into(place)
        else:
            await self._copy_into(place)
        self.left -= len(place)
        self._log.bytes_in += len(place)

    async def _copy_into(self, place: memoryview) -> None:
        """Do so over ASGI alone, on a server that is not ours."""
        if self._stream is None:
            self._stream = self._request.stream()
        while place:
            if not self._rest:
                try:
                    self._rest = memoryview(await anext(self._stream))
                except (StopAsyncIteration, ClientDisconnect):
                    raise Problem(400, "cut short", "the body ended early; send it again") from None
            count = min(len(place), len(self._rest))
            place[:count] = self._rest[:count]
            place, self._rest = place[count:], self._rest[count:]
