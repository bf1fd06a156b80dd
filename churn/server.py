"""The model owner's end: a folder of models, hosted. Imports nothing that could decrypt.

python -m churn serve --models DIR
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette

from churn.circuit import LOGIT, OutputKind
from churn.errors import ModelError
from churn.hosting import logs
from churn.hosting.accept import Acceptor
from churn.hosting.app import create_app
from churn.hosting.http import Gate
from churn.hosting.limits import Limits
from churn.hosting.protocol import ANSWERS, LOOPBACK_HOSTS
from churn.hosting.registry import Versioned
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import Quota, Storage
from churn.hosting.tenants import Tenants
from churn.hosting.work.child import Launcher
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.inline import Inline
from churn.hosting.work.workers import Workers
from churn.hosting.work.workplace import WorkPlace
from churn.launch import launch
from churn.offer import Model, host, load_models, offer

__all__ = ["Settings", "build", "load_models", "serve"]

MOST_WORKERS = 16


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Args:
        models: folder of model files.
        keys: folder for what clients store.
        output, flooded, answers: what models give, see `Score.of`; `answers` of each model to each tenant.
        host, port: to listen on; port 0 takes a free one.
        tenants: file of tenants; without one, only this machine is served, and everybody on it is one tenant.
        tls_cert, tls_key: PEM files.
        plain_http: serve other machines without TLS.
        as_root: serve other machines although this user may do anything.
        workers: processes; one per processor unless given; 0 computes in threads of this process.
        threads: of one evaluation, at most.
        limits: see `Limits`.
    """

    models: Path
    keys: Path
    output: OutputKind = LOGIT
    flooded: bool = True
    answers: int = ANSWERS
    host: str = "127.0.0.1"
    port: int = 8000
    tenants: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plain_http: bool = False
    as_root: bool = False
    workers: int | None = None
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Raise ModelError for settings that would expose more than somebody asked for."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ModelError("one of --tls-cert and --tls-key is given", "both or none are needed", "Give the other")
        if self.host in LOOPBACK_HOSTS:
            return
        beyond = f"{self.host} is not an address of this machine alone"
        if self.tls_cert is None and not self.plain_http:
            raise ModelError(
                beyond,
                "without TLS everybody on the way can read tokens and answers",
                "Give --tls-cert and --tls-key; or put a TLS proxy in front and add --plain-http; or use "
                "--host 127.0.0.1",
            )
        if self.tenants is None:
            raise ModelError(
                beyond,
                "without --tenants everybody who reaches it is let in",
                "Add a tenant with 'python -m churn tenants add --file FILE NAME', and give --tenants FILE",
            )
        if hasattr(os, "geteuid") and os.geteuid() == 0 and not self.as_root:
            raise ModelError(
                f"{beyond}, and this user may do anything to it (root)",
                "a user of its own, without rights, is needed",
                "Run it as another user; or add --as-root, in a container for instance",
            )


def build(
    models: Iterable[Model],
    store: Storage | str | Path,
    *,
    output: OutputKind = LOGIT,
    flooded: bool = True,
    tenants: Tenants | None = None,
    limits: Limits = Limits(),
) -> Starlette:
    """Return the service for models as an ASGI application that computes in its own process.

    Args:
        models: to host.
        store: of what clients send, and of what they used up; or a folder for both.
        output, flooded: see `Score.of`.
        tenants: who is let in; whoever knows the token "local" unless given.
        limits: see `Limits`.
    """
    if isinstance(store, str | Path):
        store = FileStore(store, quota=_quota(limits))
    hosted = [host(model, output, flooded=flooded) for model in models]
    work = Inline(Engine(hosted, limits.resident_keys, limits.resident_blocks))
    return create_app(hosted, store, work, tenants or Tenants.open_loopback(), limits)


def serve(
    settings: Settings,
    *,
    launcher: Launcher | None = None,
    ready: Callable[[str, Iterable[Versioned]], None] | None = None,
    until_stdin_closes: bool = False,
) -> None:
    """Serve until interrupted. `ready` is given the URL and the models when the first request can come.

    A worker starts first, and loads while this process does; `launcher` may have started it already. With
    `until_stdin_closes` the service also ends when whoever started it is gone. Raises ModelError, or another
    ChurnError, for what keeps it from starting.
    """
    settings.check()
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        if launcher is None and settings.workers != 0 and os.name != "nt":
            launcher = stack.enter_context(launch(settings.models, settings.output, settings.flooded, settings.answers))
        tls = _tls(settings)
        tenants = Tenants.open_loopback() if settings.tenants is None else Tenants.load(settings.tenants)
        store = FileStore(settings.keys, quota=_quota(settings.limits))
        stack.callback(store.close)
        models = offer(settings.models, settings.output, flooded=settings.flooded, queries=settings.answers)
        limits = settings.limits
        work = _workers(settings, launcher) or Inline(Engine(models, limits.resident_keys, limits.resident_blocks))
        app = create_app(models, store, work, tenants, settings.limits)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"{'https' if tls else 'http'}://{host}:{listener.getsockname()[1]}"
        server = _Server(app, settings.limits, work, tls, lambda: ready(url, models) if ready is not None else None)
        if until_stdin_closes:
            threading.Thread(target=server.watch_stdin, daemon=True).start()
        logs.configure()
        with suppress(KeyboardInterrupt):  # uvicorn has shut down; that is what was asked for
            server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn with our connections, which waits for a worker before it takes any."""

    def __init__(
        self,
        app: Starlette,
        limits: Limits,
        work: WorkPlace,
        tls: ssl.SSLContext | None,
        ready: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(limits.stop_seconds)),
            )
        )
        self._gate, self._work, self._tls, self._ready = Gate(limits), work, tls, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for a worker, then accept connections in our own way."""
        await self._work.start()
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise ModelError("the service did not start", "its log says why", "Read that")
        assert sockets is not None

        def connection() -> asyncio.Protocol:
            return self._gate.connection(self.config, self.server_state, self.lifespan.state)

        self.servers = cast(Any, [Acceptor(listener, connection, self._tls) for listener in sockets])
        self.started = True
        self._ready()

    def watch_stdin(self) -> None:
        """End the service when standard input ends."""
        sys.stdin.buffer.read()
        self.should_exit = True


def _quota(limits: Limits) -> Quota:
    return Quota(limits.key_objects, limits.key_bytes, limits.gallery_blocks, limits.gallery_bytes, limits.galleries)


def _workers(settings: Settings, launcher: Launcher | None) -> Workers | None:
    if launcher is None:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = settings.workers or min(processors, MOST_WORKERS)
    return Workers(
        launcher,
        count,
        resident_keys=settings.limits.resident_keys // count,
        resident_blocks=settings.limits.resident_blocks // count,
        processors=processors,
        most_threads=settings.threads,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ModelError(
            f"{settings.tls_cert} and {settings.tls_key} cannot be used ({type(error).__name__})",
            "a certificate and its private key, in PEM and without a passphrase, are needed",
            "Name other files",
        ) from error
    return context


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ModelError(
            f"port {port} of {host} cannot be listened on ({error.strerror or error})",
            "a free port of this machine is needed",
            "Name another with --port; 0 takes any that is free",
        ) from error
    return listener
