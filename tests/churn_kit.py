"""A small hosted model, a service without sockets, and records: what the tests of the churn service start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import anyio.abc
import anyio.from_thread
import httpx
import numpy as np
import pandas as pd
from toy_models import N, insecure_flooded, insecure_params, linear_model, score

from churn.hosting.app import create_app
from churn.hosting.limits import Limits
from churn.hosting.mac import Exchange
from churn.hosting.model import HostedModel
from churn.hosting.protocol import (
    GALLERY_HEADER,
    KEYS_HEADER,
    LAYOUT_HEADER,
    LOOPBACK_TOKEN,
    MAC_HEADER,
    MODEL_HEADER,
    NONCE_HEADER,
    PARAMETERS_HEADER,
    PUBLIC_KEY_HEADER,
)
from churn.hosting.remote import Remote
from churn.hosting.store.filestore import FileStore, TemporaryStore
from churn.hosting.store.keystore import KeyStore, Storage
from churn.hosting.tenants import Tenant, Tenants, mac_key_of
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.inline import Inline

__all__ = [
    "AppTransport",
    "N",
    "Run",
    "Seen",
    "Service",
    "employees",
    "exchange_of",
    "insecure_flooded",
    "insecure_params",
    "linear_model",
    "score",
]

Run = Callable[..., tuple[int, str, str]]
"""What the fixture `run` gives: runs the command line; returns exit code, output, errors."""


def employees(rows: int, seed: int = 1) -> pd.DataFrame:
    """Records that the toy model takes, some beyond its ranges."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(15, 70, rows),
            "pay": rng.normal(100.0, 15.0, rows),
            "travel": rng.choice(["Monthly", "Rare", "Weekly"], rows),
        }
    )


@dataclass(frozen=True)
class Seen:
    """One request as the service saw it."""

    method: str
    path: str
    length: int


class AppTransport(httpx.BaseTransport):
    """Carries requests to an ASGI application, without sockets.

    `tamper` may change each answer's bytes. The answer is authenticated again afterwards, under the key of the token
    "local": it is the service that lies, not the network.
    """

    def __init__(self, portal: anyio.abc.BlockingPortal, app: object) -> None:
        self.portal, self.app = portal, app
        self.seen: list[Seen] = []
        self.tamper: Callable[[bytes], bytes] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        self.seen.append(Seen(request.method, request.url.path, len(content)))

        async def call() -> tuple[int, httpx.Headers, bytes]:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)  # type: ignore[arg-type]
            copy = httpx.Request(request.method, request.url, headers=request.headers, content=content)
            response = await transport.handle_async_request(copy)
            return response.status_code, response.headers, await response.aread()

        status, headers, body = self.portal.call(call)
        if self.tamper is not None and request.url.path.endswith(":evaluate"):
            body = self.tamper(body)
            headers = httpx.Headers([(k, v) for k, v in headers.items() if k != "content-length"])
            headers[MAC_HEADER] = exchange_of(request, headers).mac(mac_key_of(LOOPBACK_TOKEN), body)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    def count(self, method: str) -> int:
        """How many requests of a method the service saw."""
        return sum(1 for one in self.seen if one.method == method)


def exchange_of(request: httpx.Request, answer: httpx.Headers) -> Exchange:
    """What an answer to a request is authenticated with."""
    sent = request.headers
    return Exchange(
        nonce=sent[NONCE_HEADER],
        model=answer[MODEL_HEADER],
        params=sent[PARAMETERS_HEADER],
        layout=sent[LAYOUT_HEADER],
        public=sent.get(PUBLIC_KEY_HEADER),
        keys=sent.get(KEYS_HEADER),
        request=request.read()[-32:],
        gallery=sent.get(GALLERY_HEADER),
    )


class Narrow:
    """Of a store only what the service may ask for: any other `Storage` could stand here."""

    def __init__(self, store: Storage) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or name not in {**vars(KeyStore), **vars(Storage)}:
            raise AttributeError(f"{name} is not in the protocol")
        return getattr(self._store, name)


class Service:
    """A service under test, and ways to talk to it."""

    def __init__(
        self,
        portal: anyio.abc.BlockingPortal,
        models: Iterable[HostedModel],
        *,
        store: FileStore | None = None,
        tenants: dict[str, str] | None = None,
        limits: Limits = Limits(),
    ) -> None:
        """Host models; `tenants` are names and their tokens, one of both is "local" unless given."""
        self.portal, self.store = portal, store if store is not None else TemporaryStore()
        models = list(models)
        known = tenants or {"local": LOOPBACK_TOKEN}
        self.tenants = {name: Tenant.of(name, token) for name, token in known.items()}
        people = Tenants(self.tenants)
        storage = cast(Storage, Narrow(self.store))
        self.app = create_app(
            models, storage, Inline(Engine(models, limits.resident_keys, limits.resident_blocks)), people, limits
        )

    def stored(self, tenant: str = "local") -> int:
        """How many keys a tenant has stored."""
        return self.store.usage(self.tenants[tenant].account).objects

    def transport(self) -> AppTransport:
        """A new transport, with a record of its own."""
        return AppTransport(self.portal, self.app)

    def remote(self, transport: httpx.BaseTransport | None = None, token: str | None = None) -> Remote:
        """The calls of `hosting.remote`, insecure parameters allowed."""
        return Remote("http://service", token=token, transport=transport or self.transport(), allow_insecure=True)

    def http(self, token: str | None = LOOPBACK_TOKEN) -> httpx.Client:
        """Plain HTTP, for requests that no honest client sends."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url="http://service", transport=self.transport(), headers=headers)

    def raw(self, method: str, path: str, headers: dict[str, str], chunks: Iterator[bytes]) -> tuple[int, bytes, int]:
        """Send a body of chunks, told apart from a whole one; return status, body, and chunks taken."""
        taken, status, body = 0, 0, b""

        async def receive() -> dict[str, object]:
            nonlocal taken
            chunk = next(chunks, None)
            if chunk is None:
                return {"type": "http.request", "body": b"", "more_body": False}
            taken += 1
            return {"type": "http.request", "body": chunk, "more_body": True}

        async def send(message: dict[str, object]) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = int(message["status"])  # type: ignore[call-overload]
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")  # type: ignore[operator]

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "client": ("test", 1),
            "server": ("service", 80),
        }

        async def call() -> None:
            await self.app(scope, receive, send)  # type: ignore[arg-type]

        self.portal.call(call)
        return status, body, taken
