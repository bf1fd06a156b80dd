"""The service's end of an HTTP/1.1 connection, for uvicorn. Nothing is read unasked, nobody is waited for.

uvicorn's own classes read a body as fast as it comes and copy it five times on its way; they wait for ever for the rest
of a header or a body. Here the header goes through h11, up to a limit and within a time. Of the body nothing is taken
from the connection until the application says where it shall go (`Connection.read_into`); then it goes there straight
from the socket, and has to keep up a rate. So an application that refuses a request for its header has read no more
than one buffer, and one that has memory for a body prepared needs no other.

Bodies have a Content-Length; chunked ones are refused. A request's `scope["extensions"]["connection"]` is this object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import h11
from uvicorn.config import Config
from uvicorn.server import ServerState

from churn.hosting.limits import Limits
from churn.hosting.logs import RequestLog, where
from churn.hosting.protocol import PROBLEM_JSON, Problem

__all__ = ["Connection", "Gate"]

_SCRATCH_BYTES = 16 << 10
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 16 << 20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger("churn.hosting")


class Gate:
    """What all connections of a service share: the limits, and how many connections there are."""

    def __init__(self, limits: Limits) -> None:
        """Start with none."""
        self.limits = limits
        self.peers: Counter[str] = Counter()

    def connection(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """Return the protocol object of a new connection: what uvicorn takes as its `http` class."""
        return cast(asyncio.Protocol, Connection(self, config, server_state, app_state))

    def full(self, peer: str) -> bool:
        """Tell whether one more connection is too many."""
        return self.peers.total() > self.limits.connections or self.peers[peer] > self.limits.connections_per_peer


class Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time. All of it happens on the event loop."""

    def __init__(self, gate: Gate, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        """Prepare; `connection_made` begins."""
        if not config.loaded:
            config.load()
        self._gate, self._limits, self._app, self._state = gate, gate.limits, config.loaded_app, app_state
        self._server, self._loop = server_state, asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._peer = "?"
        self._scratch = memoryview(bytearray(_SCRATCH_BYTES))
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._keep = True  # whether another request may follow
        self._busy = False  # whether the application has a request
        self._turn = 0  # which one
        self._lingering = -1  # bytes still thrown away before the end; -1 before that
        self._begin()

    def _begin(self) -> None:
        """Be ready for a request."""
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.header_bytes)
        self._rest = b""  # what came behind the header: the beginning of the body, or the next request
        self._left = 0  # of the body, not yet read
        self._target: memoryview | None = None  # where the body goes just now
        self._filled: asyncio.Future[None] | None = None
        self._expects = self._head = self._started = False
        self._quiet = True  # nothing of it has come
        self._pending = b""  # of the answer, not yet written

    # ---- what asyncio and uvicorn call -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and turn it away if there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) and address else "?"
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio does so only for sockets that name TCP as their protocol; without it answers wait for 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(cast(Any, self))
        self._gate.peers[self._peer] += 1
        if self._gate.full(self._peer):
            self._refuse(503, "too many connections", "more connections are not accepted; try again later")
        else:
            self._arm(self._limits.header_seconds, self._late_header)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget everything; whoever waits for the body learns of it."""
        self._disarm()
        self._server.connections.discard(cast(Any, self))
        self._gate.peers[self._peer] -= 1
        if not self._gate.peers[self._peer]:
            del self._gate.peers[self._peer]
        self._gone.set()
        self._fail_body(_cut_short())

    def eof_received(self) -> bool:
        """Take the end of what the peer sends: a request that is whole still gets its answer."""
        self._keep = False
        self._fail_body(_cut_short())
        return self._busy

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: into the body's place, or a small buffer."""
        return self._scratch if self._target is None else self._target

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that came."""
        if self._lingering >= 0:
            self._lingering -= nbytes
            if self._lingering < 0:
                self._transport.abort()
        elif self._target is not None:
            self._take(nbytes)
        elif self._busy:  # not asked for: reading is paused
            self._rest += self._scratch[:nbytes]
        else:
            self._receive_header(bytes(self._scratch[:nbytes]))

    def pause_writing(self) -> None:
        """Nothing: answers are small and written whole; a peer that does not read them is dropped when idle."""

    def resume_writing(self) -> None:
        """Nothing, as above."""

    def shutdown(self) -> None:
        """Finish: what is under way is answered, what is idle closed."""
        self._keep = False
        if not self._busy:
            self._transport.close()

    # ---- header ----------------------------------------------------------------------------------

    def _receive_header(self, data: bytes) -> None:
        if self._quiet:
            self._quiet = False
            self._arm(self._limits.header_seconds, self._late_header)
        try:
            self._h11.receive_data(data)
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint if error.error_status_hint < 500 else 400  # 501: a transfer coding
            self._refuse(status, "bad request", "this is no HTTP/1.1 request that is understood")
            return
        if isinstance(event, h11.Request):
            self._disarm()
            self._rest, _ = self._h11.trailing_data
            if event.http_version in (b"1.0", b"1.1"):
                self._start(event)
            else:
                self._refuse(400, "bad request", "this is no version of HTTP that is understood; use HTTP/1.1")

    def _start(self, request: h11.Request) -> None:
        """Hand a request to the application."""
        headers = [(bytes(name), bytes(value)) for name, value in request.headers]
        named = dict(headers)
        self._head = request.method == b"HEAD"
        if b"transfer-encoding" in named:
            self._refuse(411, "length required", "chunked bodies are not taken; send the body with a Content-Length")
            return
        self._left = int(named.get(b"content-length", b"0"))
        self._expects = named.get(b"expect", b"").lower() == b"100-continue"
        self._keep &= request.http_version == b"1.1" and b"close" not in named.get(b"connection", b"").lower()
        raw_path, _, query = bytes(request.target).partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": bytes(request.http_version).decode("ascii"),
            "server": None,
            "client": (self._peer, 0),
            "scheme": "https" if self._transport.get_extra_info("sslcontext") else "http",
            "method": bytes(request.method).decode("ascii"),
            "root_path": "",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "state": self._state.copy(),
            "extensions": {"connection": self},
        }
        self._busy, self._turn = True, self._turn + 1
        self._transport.pause_reading()  # until somebody wants the body, or the next request
        task = self._loop.create_task(self._run(scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run(self, scope: dict[str, Any]) -> None:
        turn = self._turn
        try:
            await cast(Any, self._app)(scope, self._receive, self._send)
        except Exception as error:
            _log.error("failed: %s", where(error))
            if self._busy and self._turn == turn and not self._started:
                self._refuse(500, "internal error", "the service failed; its log says more")
        finally:
            if self._busy and self._turn == turn:  # cancelled, or no whole answer was given
                self._transport.abort()

    # ---- body ------------------------------------------------------------------------------------

    async def read_into(self, place: memoryview) -> None:
        """Fill `place`, bytes in one dimension, with the next bytes of the body.

        Raises Problem: 400 when the body ends before, 408 when it comes too slowly.
        """
        if len(place) > self._left or self._gone.is_set():
            raise _cut_short()
        if self._expects:
            self._expects = False
            self._transport.write(_CONTINUE)
        count = min(len(self._rest), len(place))
        place[:count] = self._rest[:count]
        self._rest, self._left = self._rest[count:], self._left - count
        if count == len(place):
            return
        self._target, self._filled = place[count:], self._loop.create_future()
        self._due = self._loop.time() + self._limits.grace_seconds
        self._arm(self._limits.grace_seconds, self._check_rate)
        self._transport.resume_reading()
        try:
            await self._filled
        finally:
            self._disarm()
            self._target = self._filled = None
            self._transport.pause_reading()

    def _take(self, count: int) -> None:
        """Count bytes that came into the body's place; each gives the next ones their time."""
        assert self._target is not None and self._filled is not None
        self._target, self._left = self._target[count:], self._left - count
        latest = self._loop.time() + self._limits.grace_seconds
        self._due = min(self._due + count / self._limits.body_rate, latest)
        if not self._target:
            self._target = None
            self._transport.pause_reading()
            if not self._filled.done():
                self._filled.set_result(None)

    def _check_rate(self) -> None:
        """End a body that is behind, else look again when it could be."""
        early = self._due - self._loop.time()
        if early > 0:
            self._arm(early, self._check_rate)
        else:
            self._fail_body(
                Problem(408, "too slow", f"the body came at less than {self._limits.body_rate} bytes a second")
            )

    def _fail_body(self, problem: Problem) -> None:
        if self._filled is not None and not self._filled.done():
            self._keep = False
            self._filled.set_exception(problem)

    async def _receive(self) -> dict[str, Any]:
        """ASGI's channel, for an application that does not know `read_into`."""
        if self._left:
            chunk = bytearray(min(self._left, 1 << 16))
            try:
                await self.read_into(memoryview(chunk))
            except Problem:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": bytes(chunk), "more_body": self._left > 0}
        if not self._started:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    # ---- answer ----------------------------------------------------------------------------------

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._busy:
            return
        if message["type"] == "http.response.start":
            self._started = True
            self._keep &= not self._left
            headers = [*self._server.default_headers, *message.get("headers", [])]
            if not self._keep:
                headers.append((b"connection", b"close"))
            self._pending = self._h11.send(h11.Response(status_code=message["status"], headers=headers)) or b""
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            if body and not self._head:
                self._pending += self._h11.send(h11.Data(data=body)) or b""
            if not message.get("more_body"):
                self._pending += self._h11.send(h11.EndOfMessage()) or b""
                self._transport.write(self._pending)
                self._finish()

    def _finish(self) -> None:
        """Go on to the next request, or to the end."""
        self._busy = False
        self._server.total_requests += 1
        if self._gone.is_set():
            return
        if not self._keep:
            self._linger()
            return
        rest = self._rest
        self._begin()
        if rest:
            self._receive_header(rest)
        else:
            self._arm(self._limits.idle_seconds, self._late)
        if not self._busy:
            self._transport.resume_reading()

    def _refuse(self, status: int, title: str, detail: str) -> None:
        """Answer in place of the application, and end the connection."""
        problem = Problem(status, title, detail)
        log = RequestLog(status=status, note=title)
        log.write()
        body = json.dumps(problem.as_dict()).encode()
        head = f"HTTP/1.1 {status} {title.title()}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        self._transport.write(head.encode() + b"connection: close\r\n\r\n" + (b"" if self._head else body))
        self._busy = False
        self._linger()

    # ---- ends ------------------------------------------------------------------------------------

    def _linger(self) -> None:
        """Close after the answer. What the peer is still sending is thrown away for a moment: to close with bytes
        unread would reset the connection, and the peer might never see the answer.
        """
        self._keep, self._lingering = False, _LINGER_BYTES
        self._arm(_LINGER_SECONDS, self._late)
        with contextlib.suppress(OSError, NotImplementedError):
            if self._transport.can_write_eof():
                self._transport.write_eof()
        self._transport.resume_reading()

    def _late_header(self) -> None:
        self._refuse(408, "too slow", f"the header was not complete within {self._limits.header_seconds:g} s")

    def _late(self) -> None:
        """End a connection that is idle, or does not take its answer."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _cut_short() -> Problem:
    return Problem(400, "cut short", "the body ended early; send it again")
