"""Connections: what is read, and for how long anybody is waited for. Raw bytes over real sockets, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import uvicorn
from conftest import Figure

from churn.hosting import accept
from churn.hosting.http import Gate
from churn.hosting.limits import Limits
from churn.hosting.protocol import Problem

QUICK = Limits(
    header_seconds=0.4, grace_seconds=0.4, idle_seconds=0.6, body_rate=1000, connections=8, connections_per_peer=6
)
SECONDS = 10.0
"""Far more than any wait above, also on a machine that is busy."""

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


async def answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Paths: /echo gives the body back, /refuse reads nothing, /ascii reads as any ASGI application does."""
    if scope["path"] == "/echo":
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        place = memoryview(bytearray(length))
        try:
            half = length // 2
            await scope["extensions"]["connection"].read_into(place[:half])
            await scope["extensions"]["connection"].read_into(place[half:])
        except Problem as problem:
            await answer(send, problem.status, problem.title.encode())
            return
        await answer(send, 200, bytes(place))
    elif scope["path"] == "/asgi":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await answer(send, 200, body)
    elif scope["path"] == "/large":
        await answer(send, 200, bytes(64 << 20))
    elif scope["path"] == "/fail":
        raise RuntimeError("a detail that is nobody's business")
    elif scope["path"] == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise RuntimeError("too late")
    elif scope["path"] == "/refuse":
        await answer(send, 403, b"no")
    else:
        await answer(send, 200, scope["path"].encode())


@contextlib.contextmanager
def serving(limits: Limits, app: App = app) -> Iterator[tuple[str, int]]:
    """A server in a thread; its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        cast(Any, app), http=cast(Any, Gate(limits).connection), lifespan="off", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(QUICK) as address:
        yield address


@pytest.fixture(scope="module")
def patient() -> Iterator[tuple[str, int]]:
    """The limits that are the default."""
    with serving(Limits()) as address:
        yield address


def request(path: str, body: bytes = b"", *, method: str = "POST", version: str = "1.1", **headers: str) -> bytes:
    named = {"Host": "x", **({"Content-Length": str(len(body))} if body else {})}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Peer:
    """A connection by hand."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=SECONDS)
        self.socket.settimeout(SECONDS)
        self.rest = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # it may be gone, that is for the reader to find
            self.socket.sendall(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self.rest:
            data = self.socket.recv(1 << 16)
            assert data, self.rest
            self.rest += data
        found, self.rest = (
            self.rest[: self.rest.index(mark) + len(mark)],
            self.rest[self.rest.index(mark) + len(mark) :],
        )
        return found

    def reply(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        length = 0 if head else int(headers.get("content-length", "0"))
        while len(self.rest) < length:
            data = self.socket.recv(1 << 16)
            assert data, "cut short"
            self.rest += data
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), headers, body

    def ask(self, data: bytes, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        self.send(data)
        return self.reply(head=head)

    def is_closed(self, seconds: float = SECONDS) -> bool:
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


# ---- bodies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/echo", "/asgi"])
@pytest.mark.parametrize("size", [1, 2, 1000, (16 << 10) + 1, 1 << 20])
def test_bodies_arrive_whole_on_one_connection(patient: tuple[str, int], path: str, size: int) -> None:
    with Peer(patient) as peer:
        for turn in range(3):
            body = bytes([turn + 1]) * (size - 1) + b"!"
            status, headers, found = peer.ask(request(path, body))
            assert status == 200 and found == body and "connection" not in headers


def test_a_body_in_crumbs_and_requests_in_one_piece(patient: tuple[str, int]) -> None:
    bodies = [f"body {k}".encode() * (k + 1) for k in range(20)]
    together = b"".join(request("/echo", body) for body in bodies) + request("/end", method="GET")
    with Peer(patient) as peer:
        peer.send(together)
        assert [peer.reply()[2] for _ in bodies] == bodies and peer.reply()[2] == b"/end"
    with Peer(patient) as peer:
        for k in range(0, len(together), 7):
            peer.send(together[k : k + 7])
        assert [peer.reply()[2] for _ in bodies] == bodies and peer.reply()[2] == b"/end"


def test_what_is_refused_is_not_read(patient: tuple[str, int], figure: Figure) -> None:
    """The answer comes although the body is still on its way, and the connection ends."""
    with Peer(patient) as peer:
        status, headers, body = peer.ask(request("/refuse", Content_Length="9000000000"))
        assert (status, body, headers["connection"]) == (403, b"no", "close")
    with Peer(patient) as peer:
        peer.send(request("/refuse", bytes(1 << 20)))
        assert peer.reply()[0] == 403
        assert peer.is_closed()
    figure("S2", "a request of 9 GB is refused for its header alone")


def test_continue_is_said_to_whose_body_is_wanted(patient: tuple[str, int]) -> None:
    with Peer(patient) as peer:
        peer.send(request("/echo", Content_Length="6", Expect="100-continue"))
        assert peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"wanted")
        assert peer.reply()[2] == b"wanted"
    with Peer(patient) as peer:
        status, headers, _ = peer.ask(request("/refuse", Content_Length="6", Expect="100-continue"))
        assert status == 403 and headers["connection"] == "close"


def test_a_body_that_ends_early(patient: tuple[str, int]) -> None:
    with Peer(patient) as peer:
        peer.send(request("/echo", b"half", Content_Length="8"))
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.reply()[::2] == (400, b"cut short")
        assert peer.is_closed()


def test_a_whole_request_is_answered_to_a_peer_that_has_said_all(patient: tuple[str, int]) -> None:
    with Peer(patient) as peer:
        peer.send(request("/echo", b"all"))
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.reply()[::2] == (200, b"all")


# ---- slowness ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [b"", b"G", b"GET /x HTTP/1.1\r\nHost: x\r\n"])
def test_a_header_that_does_not_come_is_not_waited_for(address: tuple[str, int], begin: bytes) -> None:
    with Peer(address) as peer:
        start = time.monotonic()
        peer.send(begin)
        status, _, body = peer.reply()
        assert status == 408 and "0.4 s" in json.loads(body)["detail"]
        assert time.monotonic() - start >= 0.3 and peer.is_closed()


def test_a_header_in_crumbs_gets_no_more_time(address: tuple[str, int]) -> None:
    with Peer(address) as peer:
        start, data = time.monotonic(), iter(request("/x", method="GET"))
        peer.socket.settimeout(0.05)
        found = b""
        while not found and time.monotonic() - start < SECONDS:
            peer.send(bytes([next(data)]))
            with contextlib.suppress(TimeoutError):
                found = peer.socket.recv(12)
        assert found == b"HTTP/1.1 408"


@pytest.mark.parametrize("burst", [0, 30_000])
def test_a_body_that_crawls_is_not_waited_for(address: tuple[str, int], burst: int) -> None:
    """However fast it began: what is there already buys no time."""
    with Peer(address) as peer:
        start = time.monotonic()
        peer.send(request("/echo", Content_Length="100000"))
        time.sleep(0.1)
        peer.send(bytes(burst))
        assert peer.reply()[::2] == (408, b"too slow")
        assert time.monotonic() - start >= 0.3 and peer.is_closed()


def test_a_body_at_its_rate_is_waited_for(address: tuple[str, int]) -> None:
    """1000 bytes a second are asked for: twice as fast, for longer than the grace."""
    body = bytes(range(256)) * 8
    with Peer(address) as peer:
        peer.send(request("/echo", Content_Length=str(len(body))))
        for k in range(0, len(body), 128):
            peer.send(body[k : k + 128])
            time.sleep(0.06)
        assert peer.reply()[::2] == (200, body)


def test_an_idle_connection_is_closed(address: tuple[str, int]) -> None:
    with Peer(address) as peer:
        assert peer.ask(request("/x", method="GET"))[0] == 200
        start = time.monotonic()
        assert peer.is_closed() and time.monotonic() - start >= 0.4


def test_a_peer_that_does_not_read_its_answer_is_dropped(address: tuple[str, int]) -> None:
    with Peer(address) as peer:
        peer.send(request("/large", method="GET"))
        time.sleep(2.0)
        got = 0
        with contextlib.suppress(ConnectionError):
            while data := peer.socket.recv(1 << 20):
                got += len(data)
        assert got < 64 << 20


# ---- what is no request ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\0\1\2\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\n\r\n", 400),  # no host
        (request("/x", Content_Length="-1"), 400),
        (request("/x", Content_Length="1e3"), 400),
        (request("/x", Content_Length="9" * 30), 400),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (request("/x", Transfer_Encoding="chunked"), 411),
        (request("/x", Transfer_Encoding="gzip, chunked"), 400),
        (request("/x", Transfer_Encoding="chunked", Content_Length="5"), 411),
        (request("/" + "x" * 70_000), 431),
        (request("/x", Much="x" * 70_000), 431),
    ],
)
def test_what_is_no_request_is_refused(patient: tuple[str, int], data: bytes, status: int) -> None:
    with Peer(patient) as peer:
        found, headers, body = peer.ask(data)
        assert found == status and headers["connection"] == "close"
        assert json.loads(body)["status"] == status
        assert peer.is_closed()


def test_old_and_closing_requests_end_the_connection(patient: tuple[str, int]) -> None:
    for data in (request("/x", version="1.0", method="GET"), request("/x", method="GET", Connection="Close")):
        with Peer(patient) as peer:
            assert peer.ask(data)[::2] == (200, b"/x")
            assert peer.is_closed()


def test_head_has_no_body(patient: tuple[str, int]) -> None:
    with Peer(patient) as peer:
        for _ in range(2):
            status, headers, _ = peer.ask(request("/x", method="HEAD"), head=True)
            assert status == 200 and headers["content-length"] == "2"
        assert peer.ask(request("/x", method="GET"))[2] == b"/x"


def test_a_failing_application_shows_nothing(patient: tuple[str, int]) -> None:
    with Peer(patient) as peer:
        status, _, body = peer.ask(request("/fail", method="GET"))
        assert status == 500 and b"business" not in body
        assert peer.is_closed()
    with Peer(patient) as peer:
        peer.send(request("/half", method="GET"))
        assert peer.is_closed()
    with Peer(patient) as peer:
        assert peer.ask(request("/x", method="GET"))[0] == 200


# ---- how many ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [QUICK, replace(QUICK, connections=6, connections_per_peer=100)])
def test_no_more_connections_than_allowed(limits: Limits) -> None:
    with serving(replace(limits, header_seconds=SECONDS)) as address:
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(address)) for _ in range(6)]
            for peer in peers:
                assert peer.ask(request("/x", method="GET"))[0] == 200
            with Peer(address) as one_more:
                status, _, body = one_more.reply()
                assert status == 503 and "connections" in json.loads(body)["detail"]
                assert one_more.is_closed()
            assert peers[0].ask(request("/x", method="GET"))[0] == 200
        time.sleep(0.2)
        with Peer(address) as peer:
            assert peer.ask(request("/x", method="GET"))[0] == 200


def test_a_stop_lets_requests_finish_and_closes_idle_connections() -> None:
    begun, go = threading.Event(), threading.Event()

    async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
        import anyio

        begun.set()
        while not go.is_set():
            await anyio.sleep(0.01)
        await answer(send, 200, b"finished")

    with contextlib.ExitStack() as stack:
        with serving(Limits(), slow) as address:
            working, idle = stack.enter_context(Peer(address)), stack.enter_context(Peer(address))
            working.send(request("/x", method="GET"))
            assert begun.wait(SECONDS)
            threading.Timer(0.5, go.set).start()
        assert working.reply()[::2] == (200, b"finished") and working.is_closed()
        assert idle.is_closed()


# ---- accepting ---------------------------------------------------------------------------------------


class Accepting:
    """An `Acceptor` on a loop in a thread; its connections answer with their number."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.listener, self.tls = socket.socket(), tls
        self.listener.bind(("127.0.0.1", 0))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.acceptor = asyncio.run_coroutine_threadsafe(self._begin(), self.loop).result(SECONDS)

    async def _begin(self) -> accept.Acceptor:
        return accept.Acceptor(self.listener, Greeting, self.tls)

    async def _end(self) -> None:
        self.acceptor.close()
        await self.acceptor.wait_closed()

    def __enter__(self) -> Accepting:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.listener.close()

    def greeting(self) -> bytes:
        with socket.create_connection(self.listener.getsockname(), timeout=SECONDS) as peer:
            try:
                return peer.recv(100)
            except ConnectionError:
                return b""


class Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"welcome")
        transport.close()


def test_the_last_handles_are_not_for_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with Accepting() as server:
        assert server.greeting() == b"welcome"
        monkeypatch.setattr(accept, "_handles", lambda: 25.0)  # fewer than this process has open, and the reserve
        assert server.greeting() == b""
        monkeypatch.undo()
        assert server.greeting() == b"welcome"


def test_a_peer_that_does_not_greet_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "_HANDSHAKE_SECONDS", 0.3)
    with Accepting(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as server:
        start = time.monotonic()
        assert server.greeting() == b"" and time.monotonic() - start >= 0.25
        with socket.create_connection(server.listener.getsockname(), timeout=SECONDS) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")  # no TLS: an alert, at most
            assert b"HTTP" not in peer.recv(100)


def test_accepting_rests_when_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with Accepting() as server:
        calls: list[float] = []

        def refuse(_: object) -> object:
            calls.append(time.monotonic())
            raise OSError(errno.EMFILE, "no handles")

        monkeypatch.setattr(accept, "_REST_SECONDS", 0.3)
        monkeypatch.setattr(socket.socket, "accept", refuse)
        with socket.create_connection(server.listener.getsockname(), timeout=SECONDS) as waiting:
            deadline = time.monotonic() + SECONDS
            while len(calls) < 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert min(b - a for a, b in itertools.pairwise(calls)) >= 0.25  # once each time, not over and over
            monkeypatch.undo()
            assert waiting.recv(100) == b"welcome"
