"""A proxy between client and service that keeps every byte, both ways."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Recorder:
    """Listens on a port of its own, passes everything on to a service, and remembers it.

    up, down    what clients sent, and what they were sent, connection after connection
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._kept: list[tuple[bytearray, bytearray]] = []
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Recorder:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def up(self) -> bytes:
        return b"".join(bytes(sent) for sent, _ in self._kept)

    @property
    def down(self) -> bytes:
        return b"".join(bytes(got) for _, got in self._kept)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            service = socket.create_connection(self._target)
            kept = (bytearray(), bytearray())
            self._kept.append(kept)
            self._sockets += [client, service]
            for source, sink, memory in ((client, service, kept[0]), (service, client, kept[1])):
                thread = threading.Thread(target=_pass_on, args=(source, sink, memory))
                self._threads.append(thread)
                thread.start()


def _pass_on(source: socket.socket, sink: socket.socket, memory: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 18):
            memory += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
