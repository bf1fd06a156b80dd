"""The service: `create_app(models, store)` returns an ASGI application.

A request's length is checked before its body is read, its meaning before anything is computed, and
computing happens in threads, so that the service answers while it works. Refusals are 4xx with the
text of the error; see `protocol`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from churn.errors import ModelError, nearest
from churn.hosting import protocol
from churn.hosting.keyring import KeyRing
from churn.hosting.limits import Limits, input_lengths, key_lengths, receive
from churn.hosting.model import Description, HostedModel, Layout
from churn.hosting.problems import answer
from churn.hosting.protocol import DIGEST, Problem
from churn.hosting.store import KeyStore
from ckks import kernels
from ckks.errors import HEError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import (
    ciphertext_from_bytes,
    evaluation_keys_from_bytes,
    to_bytes,
)

__all__ = ["create_app"]

_log = logging.getLogger("churn.hosting")


def create_app(models: Iterable[HostedModel], store: KeyStore, limits: Limits = Limits()) -> Starlette:
    """Return the service that hosts `models` with keys in `store`."""
    return _Service(models, store, limits).app()


class _Service:
    """The routes and what they share. One per application."""

    def __init__(self, models: Iterable[HostedModel], store: KeyStore, limits: Limits) -> None:
        self.models: dict[str, HostedModel] = {}
        for model in models:
            if model.name in self.models:
                raise ModelError(
                    f"two models are named {model.name!r}", "every model needs a name of its own", "Rename one"
                )
            self.models[model.name] = model
            _check_size(model, limits)
        self.descriptions = {name: Description.of(model).to_dict() for name, model in self.models.items()}
        self.params = {model.params.digest.hex(): model.params for model in self.models.values()}
        self.key_lengths = {digest: key_lengths(params, self.models.values()) for digest, params in self.params.items()}
        self.store, self.limits = store, limits
        self.ring = KeyRing(store, limits.resident_keys)
        self.turns = anyio.CapacityLimiter(limits.evaluations)
        self.requests = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(protocol.HEALTH, self.health),
                Route(protocol.MODELS, self.list_models),
                Route(protocol.MODELS + "/{name}" + protocol.EVALUATE, self.evaluate, methods=["POST"]),
                Route(protocol.MODELS + "/{name}", self.describe),
                Route(protocol.KEYS + "/{digest}", self.has_keys, methods=["HEAD"]),
                Route(protocol.KEYS + "/{digest}", self.put_keys, methods=["PUT"]),
                Route(protocol.KEYS + "/{digest}", self.delete_keys, methods=["DELETE"]),
            ],
            exception_handlers={
                Problem: answer,
                HEError: answer,
                HTTPException: answer,
                ClientDisconnect: answer,
                MemoryError: answer,
                OSError: answer,
                Exception: answer,
            },
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        kernels.active()  # fails here, not at the first request, if the kernels cannot run
        yield

    # ---- what is offered -------------------------------------------------------------------------

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "models": len(self.models), "backend": kernels.active().name})

    async def list_models(self, _: Request) -> Response:
        return JSONResponse(
            {
                "models": [
                    {"name": model.name, "version": model.version, "digest": model.digest, "output": model.output.kind}
                    for model in self.models.values()
                ]
            }
        )

    async def describe(self, request: Request) -> Response:
        return JSONResponse(self.descriptions[self._model(request).name])

    # ---- keys ------------------------------------------------------------------------------------

    async def has_keys(self, request: Request) -> Response:
        size = await run_sync(self.store.size, _digest(request))
        return Response(status_code=404 if size is None else 204)

    async def delete_keys(self, request: Request) -> Response:
        digest = _digest(request)
        self.ring.forget(digest)
        if not await run_sync(self.store.delete, digest):
            raise Problem(404, "unknown keys", "there are no keys of this digest")
        return Response(status_code=204)

    async def put_keys(self, request: Request) -> Response:
        digest = _digest(request)
        stated = request.headers.get(protocol.PARAMETERS_HEADER, "")
        params = self.params.get(stated)
        if params is None or not self.key_lengths[stated]:
            raise Problem(
                409,
                "parameter mismatch",
                f"no model here needs keys for the parameters that the header "
                f"{protocol.PARAMETERS_HEADER} names; send the parameters_digest of the model's "
                "description",
                have=stated[:64],
                need=sorted(self.params),
            )
        with self._admitted():
            new = await run_sync(self.store.size, digest) is None
            if new and await run_sync(self.store.count) >= self.limits.key_sets:
                raise Problem(
                    507,
                    "store full",
                    f"{self.limits.key_sets} key sets are stored, "
                    "more are not allowed; delete some that are no longer used",
                    need=self.limits.key_sets,
                )
            upload = await run_sync(self.store.receive)
            try:
                await receive(request, self.key_lengths[stated], "evaluation keys", upload.write)
                if upload.digest() != digest:
                    raise Problem(
                        422,
                        "digest mismatch",
                        "the SHA-256 of the bytes is not the digest in the path; send the bytes again, unchanged",
                        have=upload.digest(),
                        need=digest,
                    )
                keys = await run_sync(lambda: evaluation_keys_from_bytes(upload.contents(), params), limiter=self.turns)
                await run_sync(upload.commit)
            finally:
                upload.discard()
        self.ring.remember(digest, keys)
        size = await run_sync(self.store.size, digest)
        _log.info("keys stored: %d bytes", size or 0)
        return JSONResponse({"digest": digest, "bytes": size}, status_code=201 if new else 200)

    # ---- evaluation ------------------------------------------------------------------------------

    async def evaluate(self, request: Request) -> Response:
        model = self._model(request)
        layout_name, layout = _layout(model, request)
        stated = request.headers.get(protocol.PARAMETERS_HEADER, "")
        if stated != model.params.digest.hex():
            raise Problem(
                409,
                "parameter mismatch",
                f"the header {protocol.PARAMETERS_HEADER} names other "
                "parameters than the model's; encrypt under those of the model's description",
                have=stated[:64],
                need=model.params.digest.hex(),
            )
        digest = request.headers.get(protocol.KEYS_HEADER)
        if digest is not None and not DIGEST.fullmatch(digest):
            raise Problem(
                422,
                "bad digest",
                f"the header {protocol.KEYS_HEADER} is no digest; send the SHA-256 of the stored keys, 64 hex digits",
            )
        if layout.needs_keys:
            await run_sync(self.ring.check_stored, digest, layout)
        with self._admitted():
            body = bytearray()
            await receive(request, input_lengths(model.params, layout), "input", body.extend)
            result, seconds = await run_sync(self._compute, model, layout_name, digest, body, limiter=self.turns)
        _log.info(
            "%s %s: %d bytes in, %d bytes out, %.3f s",
            model.name,
            layout_name,
            len(body),
            len(result),
            sum(seconds.values()),
        )
        timing = ", ".join(f"{name};dur={1e3 * spent:.3f}" for name, spent in seconds.items())
        return Response(
            result, media_type=protocol.OCTETS, headers={protocol.MODEL_HEADER: model.digest, "Server-Timing": timing}
        )

    def _compute(
        self, model: HostedModel, layout_name: str, digest: str | None, body: bytearray
    ) -> tuple[bytes, dict[str, float]]:
        """Parse, check, evaluate, serialise; seconds of each. Runs in a thread."""
        clock = [time.perf_counter()]
        layout = model.layouts[layout_name]
        keys = self.ring.get(digest, model.params, layout) if layout.needs_keys else None
        x = ciphertext_from_bytes(body, model.params, bound=layout.bound)
        _check_input(x, layout)
        clock.append(time.perf_counter())
        result = model.evaluate(Evaluator(model.params, keys), x, layout_name)
        clock.append(time.perf_counter())
        data = to_bytes(result)
        clock.append(time.perf_counter())
        return data, dict(zip(("read", "evaluate", "write"), (b - a for a, b in pairwise(clock)), strict=True))

    # ---- helpers ---------------------------------------------------------------------------------

    def _model(self, request: Request) -> HostedModel:
        name = request.path_params["name"]
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models)) or "none"
            raise Problem(
                404,
                "unknown model",
                f"there is no model {name[:64]!r}{nearest(name[:64], self.models)}; the models here are: {known[:500]}",
                have=name[:64],
                need=sorted(self.models)[:32],
            ) from None

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Hold one of the places for requests with a body; Problem 503 when all are taken."""
        if self.requests >= self.limits.requests:
            raise Problem(
                503,
                "busy",
                f"{self.requests} requests are being served, more are not accepted; try again in a moment",
                headers={"Retry-After": "1"},
            )
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1


def _digest(request: Request) -> str:
    digest = str(request.path_params["digest"])
    if not DIGEST.fullmatch(digest):
        raise Problem(
            422, "bad digest", "the path holds no digest; send the SHA-256 of the keys' bytes, 64 lower-case hex digits"
        )
    return digest


def _layout(model: HostedModel, request: Request) -> tuple[str, Layout]:
    name = request.headers.get(protocol.LAYOUT_HEADER) or next(iter(model.layouts))
    layout = model.layouts.get(name)
    if layout is None:
        raise Problem(
            422,
            "unknown layout",
            f"model {model.name!r} has no layout {name[:64]!r}"
            f"{nearest(name[:64], model.layouts)}; it has {', '.join(model.layouts)}",
            have=name[:64],
            need=list(model.layouts),
        )
    return name, layout


def _check_size(model: HostedModel, limits: Limits) -> None:
    """Refuse to host what could never be sent here."""
    longest = max(
        *(max(input_lengths(model.params, layout)) for layout in model.layouts.values()),
        *key_lengths(model.params, [model]),
        0,
    )
    if longest > limits.body:
        raise ModelError(
            f"inputs or keys of model {model.name!r} have up to {longest} bytes",
            f"one request may have {limits.body}",
            "Allow more with Limits(body=...)",
        )


def _check_input(x: Ciphertext, layout: Layout) -> None:
    """Refuse a ciphertext that is valid but not packed as the layout says."""
    have = {"items": list(x.shape), "slots": meta_of(x).slots, "level": x.level, "parts": x.parts}
    need = {"items": [layout.items], "slots": layout.slots, "level": x.params.top_level, "parts": 2}
    if have != need:
        raise Problem(
            422,
            "wrong layout",
            "the input is a valid ciphertext, but not of this layout: "
            + ", ".join(
                f"{part} {have[part]} where {need[part]} is needed" for part in need if have[part] != need[part]
            ),
            have=have,
            need=need,
        )
