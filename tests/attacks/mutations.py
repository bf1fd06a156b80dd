"""Requests that are almost right: each has one thing changed, from the request line to the last bit of the body."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from attacks.frames import mutated
from attacks.live import Prepared

from churn.hosting.protocol import digest_of

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Attempt:
    """What to send, whether the peer may wait for more of it, whether the answer has a body, and what was changed."""

    data: bytes
    whole: bool
    head: bool
    what: str


@dataclass
class _Request:
    method: str
    path: str
    headers: Headers
    body: bytes

    def bytes(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + self.body

    def set(self, name: str, value: str) -> None:
        self.headers = [(key, value if key == name else kept) for key, kept in self.headers]


_METHODS = (
    "GET",
    "HEAD",
    "PUT",
    "POST",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "X" * 300,
    "P\0ST",
)
_PATHS = (
    *("/", "", "*", "//", "/v1", "/v1/", "/v1/models/", "/v1/keys", "/v1/keys/", "/docs", "/openapi.json", "/debug"),
    *("/v1/models/%00", "/v1/models/%ff%fe", "/v1/models/..%2f..%2fetc%2fpasswd", "/v1/keys/../../etc/passwd"),
    *("/v1/models/toy@0:evaluate", "/v1/models/toy@99999999999999999999", "/v1/models/toy@1@2", "/v1/models/:evaluate"),
    *("/v1/models/toy%0d%0aX: y", "/v1/models/" + "a" * 5000, "/v1/models/" + "%41" * 3000, "/v1/health?" + "q" * 4000),
    *("/v1/keys/" + "0" * 63, "/v1/keys/" + "0" * 65, "/v1/keys/" + "G" * 64, "/v1/keys/" + "\xe9" * 64),
    *(
        "http://elsewhere/v1/health",
        "/v1/models/toy:evaluate:evaluate",
        "/v1/models/toy;x=y",
        "/v1/models/toy#x",
        "/ v1",
    ),
)
_VALUES = (
    *(
        "",
        " ",
        "0",
        "-1",
        "+1",
        "1.5",
        "0x10",
        "1e9",
        "9" * 19,
        "9" * 25,
        str(2**63),
        str(2**64),
        "NaN",
        "null",
        "\xe9",
    ),
    *("a" * 8000, "\x01\x02", "\t", "{}", "../..", "'; DROP TABLE keys; --", "%s%n", "0" * 32, "0" * 64, "f" * 64),
    *(
        "chunked",
        "100-continue",
        "close",
        "gzip",
        "bytes=0-",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "\u0661".encode().decode("latin-1"),
    ),
)
_LENGTHS = (-(1 << 20), -33, -1, 1, 7, 1 << 20, 2**31, 2**63)


class Mutator:
    """An endless supply of attempts; the same for the same seed, but for nonces."""

    def __init__(self, prepared: Prepared, key: bytes, full: bytes, seed: int) -> None:
        """Start from a tenant's valid request, its public key's bytes, and an input that is not seeded."""
        self._rng, self._prepared = random.Random(seed), prepared
        self._frames = (prepared.body, full, key)
        self._key = key
        token = prepared.live.tokens[prepared.tenant]
        self._known: Headers = [("Host", "service"), ("Authorization", f"Bearer {token}")]
        self._params = prepared.scoring.description.params.digest.hex()
        self._ways: tuple[tuple[int, Callable[[_Request], tuple[str, bool, bytes]]], ...] = (
            (1, self._method),
            (2, self._path),
            (3, self._header),
            (2, self._length),
            (4, self._frame),
            (2, self._bytes),
            (1, self._nothing),
        )

    def attempt(self) -> Attempt:
        """Return the next one."""
        request = self._valid()
        way = self._rng.choices([way for _, way in self._ways], [share for share, _ in self._ways])[0]
        what, whole, data = way(request)
        return Attempt(data, whole, data.startswith(b"HEAD "), f"{request.method} {request.path[:60]}: {what}")

    def _valid(self) -> _Request:
        rng, prepared = self._rng, self._prepared
        kind = rng.randrange(10)
        if kind < 3:
            return _Request("POST", prepared.path, list(prepared.headers().items()), prepared.body)
        if kind < 6:
            headers = [*self._known, ("CKKS-Parameters", self._params), ("Content-Length", str(len(self._key)))]
            return _Request("PUT", f"/v1/keys/{digest_of(self._key)}", headers, self._key)
        some = f"/v1/keys/{rng.choice((digest_of(self._key), '0' * 64, secrets.token_hex(32)))}"
        method, path = rng.choice(
            (
                ("GET", "/v1/health"),
                ("GET", "/v1/models"),
                ("GET", "/v1/models/toy@1"),
                ("HEAD", some),
                ("DELETE", some),
            )
        )
        return _Request(method, path, list(self._known), b"")

    # ---- ways of spoiling a request ----------------------------------------------------------------

    def _nothing(self, request: _Request) -> tuple[str, bool, bytes]:
        return "as it should be", True, request.bytes()

    def _method(self, request: _Request) -> tuple[str, bool, bytes]:
        request.method = self._rng.choice(_METHODS)
        return "method", False, request.bytes()

    def _path(self, request: _Request) -> tuple[str, bool, bytes]:
        rng = self._rng
        if rng.random() < 0.6:
            request.path = rng.choice(_PATHS)
        else:
            at = rng.randrange(len(request.path))
            request.path = request.path[:at] + chr(rng.randrange(1, 256)) + request.path[at + rng.randrange(2) :]
        return "path", False, request.bytes()

    def _header(self, request: _Request) -> tuple[str, bool, bytes]:
        rng = self._rng
        at = rng.randrange(len(request.headers))
        name, value = request.headers[at]
        way = rng.randrange(6)
        if way == 0:
            del request.headers[at]
        elif way == 1:
            request.headers.insert(at, (name, rng.choice((value, *_VALUES))))
        elif way == 2 and value:
            spoilt = list(value)
            spoilt[rng.randrange(len(spoilt))] = chr(rng.randrange(256))
            request.headers[at] = (name, "".join(spoilt))
        elif way == 3:
            request.headers += [(f"X-{k}", "y" * rng.choice((1, 100))) for k in range(rng.choice((10, 500)))]
        elif way == 4:
            extra = ("Transfer-Encoding", "Expect", "Connection", "Content-Encoding", "Range", "Upgrade", "X\0Y", "")
            request.headers.append((rng.choice(extra), rng.choice(_VALUES)))
        else:
            request.headers[at] = (name, rng.choice(_VALUES))
        return f"header {name}", False, request.bytes()

    def _length(self, request: _Request) -> tuple[str, bool, bytes]:
        length = len(request.body) + self._rng.choice(_LENGTHS)
        request.set("Content-Length", str(length))
        return f"length {length}", False, request.bytes()

    def _frame(self, request: _Request) -> tuple[str, bool, bytes]:
        """Spoil the body, the length in the header being right, and its digest too where one is named."""
        if not request.body:
            request.headers.append(("Content-Length", "5"))
            request.body = b"12345"
            return "a body", False, request.bytes()
        body = request.body if self._rng.random() < 0.7 else self._rng.choice(self._frames)
        what, request.body = mutated(body, self._rng.choice(self._frames), self._rng)
        if request.method == "PUT":
            request.path = f"/v1/keys/{digest_of(request.body)}"
        request.set("Content-Length", str(len(request.body)))
        return f"frame, {what}", True, request.bytes()

    def _bytes(self, request: _Request) -> tuple[str, bool, bytes]:
        """Spoil the bytes of the head, line ends included, or send something else altogether."""
        rng, data = self._rng, bytearray(request.bytes())
        end = data.index(b"\r\n\r\n") + 4
        way = rng.randrange(5)
        if way == 0:
            for _ in range(rng.choice((1, 3, 20))):
                data[rng.randrange(end)] = rng.randrange(256)
        elif way == 1:
            data = data[: rng.randrange(end)]
        elif way == 2:
            at = rng.randrange(end)
            data[at:at] = rng.choice((b"\r\n", b"\n", b"\0", b"\r", b" ", b"\r\n\r\n", b"\r\n x", rng.randbytes(100)))
        elif way == 3:
            data = data.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\n\r")))
        else:
            data = bytearray(
                rng.choice((rng.randbytes(rng.choice((1, 100, 20000))), b"\x16\x03\x01\x02\x00\x01\x00", b"A" * 70000))
            )
        return "bytes of the head", False, bytes(data)
