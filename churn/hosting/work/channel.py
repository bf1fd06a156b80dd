"""A pair of sockets between the service and one worker, and the JSON messages on it: length (4 bytes), text."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

__all__ = ["Channel", "ChannelClosed"]

_LENGTH = struct.Struct("<I")


class ChannelClosed(Exception):
    """The other process has ended."""


class Channel:
    """One end. Used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Take a connected socket."""
        self.socket = sock

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; ChannelClosed when nobody is there."""
        data = json.dumps(message).encode()
        try:
            self.socket.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as error:
            raise ChannelClosed from error

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """Wait for a message; ChannelClosed when the other process ends, TimeoutError when nothing comes in time."""
        self.socket.settimeout(seconds)
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        value = json.loads(self._exactly(length))
        assert isinstance(value, dict)
        return value

    def close(self) -> None:
        """Let the other end know."""
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                chunk = self.socket.recv(count - len(data))
            except TimeoutError:
                raise
            except OSError as error:
                raise ChannelClosed from error
            if not chunk:
                raise ChannelClosed
            data += chunk
        return bytes(data)
