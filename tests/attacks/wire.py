"""HTTP by hand over a socket: for requests that no library would send, and answers nobody has touched."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

CLOSED = 0
"""In place of a status, when the peer closed the connection and said nothing."""


@dataclass(frozen=True)
class Reply:
    """One answer: status (or CLOSED), headers in the order they came, body."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the value of a header, None where it is missing."""
        return next((value for key, value in self.headers if key == name.lower()), None)


class Wire:
    """One connection, opened when it is needed."""

    def __init__(self, url: str, seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self.address, self._seconds = (parts.hostname, parts.port), seconds
        self._socket: socket.socket | None = None
        self._read = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._socket is not None

    @property
    def socket(self) -> socket.socket:
        """The socket, connected."""
        if self._socket is None:
            self._socket = socket.create_connection(self.address, self._seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._read = bytearray()
        return self._socket

    def close(self) -> None:
        """Close; the next request opens another connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, data: bytes, *, head: bool = False, whole: bool = True) -> Reply:
        """Send bytes and return the answer; `whole=False` tells the peer that no more will come."""
        try:
            self.socket.sendall(data)
            if not whole:
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused and closed before everything was sent: the answer is there
        reply = self.reply(head=head)
        if not whole or reply.status == CLOSED or reply.header("connection") == "close":
            self.close()
        return reply

    def reply(self, *, head: bool = False) -> Reply:
        """Read an answer; `head` says that it has no body, whatever its length says."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                assert not self._read, f"half an answer: {bytes(self._read[:200])!r}"
                return Reply(CLOSED)
        top, _, rest = bytes(self._read).partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        status = int(line.split()[1])
        self._read = bytearray(rest)
        if status == 100:
            return self.reply(head=head)
        length = int(dict(headers).get("content-length", "0"))
        if head or status in (204, 304):
            length = 0
        while len(self._read) < length:
            assert self._more(), f"{len(self._read)} bytes of an answer of {length}"
        body = bytes(self._read[:length])
        del self._read[:length]
        return Reply(status, headers, body)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            return False
        self._read += data
        return bool(data)


def seconds_until_closed(connection: socket.socket, most: float) -> float:
    """Return after how many seconds the peer closed a connection; raise TimeoutError if it did not in `most`."""
    start = time.perf_counter()
    while (left := start + most - time.perf_counter()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(1 << 16):
                break
        except ConnectionError:
            break
    else:
        raise TimeoutError(f"still open after {most} s")
    return time.perf_counter() - start
