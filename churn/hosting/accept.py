"""Accepting connections, also when the system has nothing left for them.

asyncio's own loop, out of file handles, reports the same failure thousands of times a second and serves nobody
meanwhile. Here connections that would take the last handles are closed at once, so that those for files and workers
remain; and when the system refuses all the same, accepting rests for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Callable

if sys.platform != "win32":
    import resource

__all__ = ["Acceptor"]

_AT_ONCE = 64
_BACKLOG = 512
_HANDSHAKE_SECONDS = 5.0  # a peer that begins TLS and says no more would be waited for a minute
_REST_SECONDS = 0.5
_RESERVE = 24
"""File handles that connections leave to others: uploads, the store's files, workers that are started again."""

_log = logging.getLogger("churn.hosting")


class Acceptor:
    """A listening socket and its connections; what uvicorn calls a server.

    Args:
        listener: bound, not listening yet; closed by its owner.
        connection: makes the protocol object of a new connection.
        tls: None for plain HTTP.
    """

    def __init__(
        self, listener: socket.socket, connection: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        """Begin; on the running event loop."""
        self._listener, self._connection, self._tls = listener, connection, tls
        self._loop = asyncio.get_running_loop()
        self._greeting: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more; connections stay."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Return when no connection is being made any more."""
        if self._greeting:
            await asyncio.wait(self._greeting)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                _log.error("no connection can be accepted: %s", error.strerror or type(error).__name__)
                self._loop.remove_reader(self._listener)
                self._resting = self._loop.call_later(
                    _REST_SECONDS, self._loop.add_reader, self._listener, self._accept
                )
                return
            if sock.fileno() >= _handles() - _RESERVE:
                sock.close()
                continue
            sock.setblocking(False)
            task = self._loop.create_task(self._greet(sock))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, sock: socket.socket) -> None:
        """Make a connection of a socket; a peer that fails at TLS is forgotten."""
        seconds = None if self._tls is None else _HANDSHAKE_SECONDS
        try:
            await self._loop.connect_accepted_socket(
                self._connection, sock, ssl=self._tls, ssl_handshake_timeout=seconds
            )
        except (OSError, ssl.SSLError):
            with contextlib.suppress(OSError):
                sock.close()


def _handles() -> float:
    """Return how many file handles this process may have; they are numbered from 0, and the lowest is taken first."""
    if sys.platform == "win32":
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft
