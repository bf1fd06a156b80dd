"""What calls cost on the wire: connections, and how bodies travel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from churn_kit import score

from churn.hosting import remote
from churn.hosting.model import Description
from churn.hosting.remote import Remote, ServiceUnavailable

KNOWN, UNKNOWN = "a" * 64, "b" * 64


@dataclass
class Peer:
    """A server that has the keys KNOWN, and what it saw."""

    url: str = ""
    connections: int = 0
    bodies: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def peer() -> Iterator[Peer]:
    seen = Peer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            seen.connections += 1

        def do_HEAD(self) -> None:
            self.answer(204 if self.path.endswith(KNOWN) else 404)

        def do_DELETE(self) -> None:
            self.answer(204)

        def do_PUT(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.bodies.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.answer(201, b"{}")

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_port}"
        yield seen
        server.shutdown()
        thread.join()


def test_https_to_a_service_without_tls_says_so(peer: Peer) -> None:
    with Remote(peer.url.replace("http:", "https:")) as service, pytest.raises(ServiceUnavailable, match="no TLS"):
        service.has_keys(KNOWN)


def test_a_file_of_certificates_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="No such file"):
        Remote("https://127.0.0.1:9", ca=tmp_path / "none.pem")


def test_calls_share_a_connection(peer: Peer) -> None:
    with Remote(peer.url) as service:
        for _ in range(3):
            assert service.has_keys(KNOWN)
            assert not service.has_keys(UNKNOWN)
            service.delete_keys(KNOWN)
            service.upload_keys(b"bytes", Description.of(score()))
    assert peer.connections == 1


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 4500])
def test_a_body_in_pieces_is_one_body(peer: Peer, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(remote, "_PIECE_BYTES", 1000)
    body = bytes(k % 251 for k in range(size))
    with Remote(peer.url) as service:
        service.upload_keys(body, Description.of(score()))
    ((headers, came),) = peer.bodies
    assert came == body
    assert "transfer-encoding" not in headers
