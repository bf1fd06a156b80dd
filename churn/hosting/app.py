"""The service: `create_app(...)` returns an ASGI application.

Who asks is known first; then the header is held against the model, then a place is found, and only then is the body
read, straight into the memory that a worker computes on. Refusals are 4xx with the text of the error; see `protocol`.
Whatever a tenant names is looked up among what that tenant has: what is another's does not exist.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from churn.errors import ChurnError, ModelError, nearest
from churn.hosting import protocol
from churn.hosting.asks import digest_of, gallery_named, key_named, layout_of, nonce_of
from churn.hosting.body import Body
from churn.hosting.galleries import GalleryRoutes, unknown_gallery
from churn.hosting.limits import Admission, Limits, check_length, input_lengths, key_lengths, longest_answer
from churn.hosting.mac import Exchange, checksum_of
from churn.hosting.middleware import Logged, log_of, refuse
from churn.hosting.model import Description, HostedModel, Layout, comparing
from churn.hosting.protocol import Problem
from churn.hosting.registry import Registry
from churn.hosting.store.keystore import BLOCK, Storage
from churn.hosting.tenants import Tenant, Tenants
from churn.hosting.uploads import Incoming, Uploads, done
from churn.hosting.work.evaluation import check_header
from churn.hosting.work.jobs import Check, Evaluate, KeyFile
from churn.hosting.work.keyring import missing_keys
from churn.hosting.work.workplace import WorkPlace
from ckks.errors import HEError
from ckks.scheme.serialization import HEAD_BYTES, Kind, read_header

__all__ = ["create_app"]

_SWEEP_SECONDS = 3600.0
_log = logging.getLogger("churn.hosting")


def create_app(
    models: Iterable[HostedModel],
    store: Storage,
    work: WorkPlace,
    tenants: Tenants,
    limits: Limits = Limits(),
) -> Starlette:
    """Return the service that hosts `models` for `tenants`, remembering in `store`, computing in `work`."""
    return _Service(models, store, work, tenants, limits).app()


class _Service:
    """The routes and what they share. One per application."""

    def __init__(
        self,
        models: Iterable[HostedModel],
        store: Storage,
        work: WorkPlace,
        tenants: Tenants,
        limits: Limits,
    ) -> None:
        self.models = Registry(models)
        self.store, self.work, self.tenants, self.limits = store, work, tenants, limits
        self.descriptions = {model.digest: Description.of(model).to_dict() for model in self.models}
        self.params = {model.params.digest.hex(): model.params for model in self.models}
        self.key_lengths = {digest: key_lengths(params, self.models) for digest, params in self.params.items()}
        self.admission = Admission(limits, work.count)
        self.uploads = Uploads(store, work, limits.seconds)
        self.galleries = GalleryRoutes(self.models, store, self.uploads, self.admission, self._tenant)
        size = max(_longest(model, limits) for model in self.models)
        work.prepare([model.digest for model in self.models], size, self.admission.places)

    def app(self) -> Starlette:
        handlers: dict[Any, Callable[[Request, Exception], Response]] = dict.fromkeys(
            (Problem, HEError, HTTPException, ChurnError, MemoryError, OSError), refuse
        )
        one, keys = protocol.MODELS + "/{name}", protocol.KEYS + "/{digest}"
        blocks, gallery = protocol.BLOCKS + "/{digest}", protocol.GALLERIES + "/{name}"
        app = Starlette(
            routes=[
                _route(protocol.HEALTH, self.health),
                _route(protocol.MODELS, self.list_models),
                _route(one + protocol.EVALUATE, self.evaluate, "POST"),
                _route(one, self.describe),
                _route(keys, self.has_keys, "HEAD"),
                _route(keys, self.put_keys, "PUT"),
                _route(keys, self.delete_keys, "DELETE"),
                _route(blocks, self.galleries.has_block, "HEAD"),
                _route(blocks, self.galleries.put_block, "PUT"),
                _route(blocks, self.galleries.delete_block, "DELETE"),
                _route(protocol.GALLERIES, self.galleries.list_galleries),
                _route(gallery, self.galleries.describe_gallery),
                _route(gallery, self.galleries.put_gallery, "PUT"),
                _route(gallery, self.galleries.delete_gallery, "DELETE"),
            ],
            middleware=[Middleware(Logged)],
            exception_handlers=handlers,
            lifespan=self.lifespan,
        )
        app.router.redirect_slashes = False  # a path is one of ours, or it is not
        return app

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.get_running_loop().create_task(self._sweep())
        try:
            await self.work.start()
            yield
        finally:
            sweeping.cancel()
            await self.work.stop()

    async def _sweep(self) -> None:
        """Let expired keys go, every now and then."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await run_sync(self.store.sweep)
            except (ChurnError, OSError) as error:
                _log.error("expired keys could not be removed: %s", type(error).__name__)

    # ---- what is offered -------------------------------------------------------------------------

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "models": len(self.models), **self.work.state()})

    async def list_models(self, request: Request) -> Response:
        self._tenant(request)
        return JSONResponse(
            {
                "models": [
                    {"name": model.name, "version": model.version, "digest": model.digest, "output": model.output.kind}
                    for model in self.models
                ]
            }
        )

    async def describe(self, request: Request) -> Response:
        self._tenant(request)
        return JSONResponse(self.descriptions[self._model(request).digest])

    # ---- keys ------------------------------------------------------------------------------------

    async def has_keys(self, request: Request) -> Response:
        tenant, digest = self._tenant(request), digest_of(request)
        return Response(status_code=204 if await self._has(tenant, digest) else 404)

    async def delete_keys(self, request: Request) -> Response:
        tenant, digest = self._tenant(request), digest_of(request)
        if not (await self._has(tenant, digest) and await run_sync(self.store.delete, tenant.account, digest)):
            raise Problem(404, "unknown keys", "there are no keys of this digest")
        return Response(status_code=204)

    async def put_keys(self, request: Request) -> Response:
        tenant, digest = self._tenant(request), digest_of(request)
        stated = request.headers.get(protocol.PARAMETERS_HEADER, "")
        params = self.params.get(stated)
        if params is None or not self.key_lengths[stated]:
            raise Problem(
                409,
                "parameter mismatch",
                f"no model here needs keys for the parameters that the header {protocol.PARAMETERS_HEADER} names; "
                "send the parameters_digest of the model's description",
                need=sorted(self.params),
            )
        with self.admission.admitted(tenant.name):
            length = check_length(request.headers.get("content-length"), self.key_lengths[stated], "a key")
            new = not await self._has(tenant, digest)

            def kind_of(head: bytes) -> str:
                header = read_header(head, params, Kind.PUBLIC_KEY, Kind.EVALUATION_KEYS)
                if header.frame_length(params) != length:
                    raise Problem(
                        422,
                        "wrong length",
                        f"the header is of {header.kind} of {header.frame_length(params)} bytes, the request has "
                        f"{length}",
                        have=length,
                        need=header.frame_length(params),
                    )
                return str(header.kind)

            what = Incoming(digest, stated, kind_of, lambda file: Check(file, stated))
            await self.uploads.take(Body(request, length), tenant, what)
        return JSONResponse({"digest": digest, "bytes": length}, status_code=201 if new else 200)

    # ---- evaluation ------------------------------------------------------------------------------

    async def evaluate(self, request: Request) -> Response:
        tenant, model = self._tenant(request), self._model(request)
        params = model.params
        layout_name, layout = layout_of(request, model)
        stated = request.headers.get(protocol.PARAMETERS_HEADER, "")
        if stated != params.digest.hex():
            raise Problem(
                409,
                "parameter mismatch",
                f"the header {protocol.PARAMETERS_HEADER} names other parameters than the model's; encrypt under those "
                "of the model's description",
                need=params.digest.hex(),
            )
        public = key_named(request, protocol.PUBLIC_KEY_HEADER, model.flooding is not None, None)
        keys = key_named(request, protocol.KEYS_HEADER, layout.needs_keys, layout)
        gallery = gallery_named(request) if comparing(model) is not None else None
        nonce, sent_at = nonce_of(request)
        log = log_of(request)
        with self.admission.admitted(tenant.name):
            length = check_length(request.headers.get("content-length"), input_lengths(params, layout), "an input")
            with log.step("claim"):
                blocks = await run_sync(self._blocks, tenant, model, gallery)
                files = await run_sync(self._claim, tenant, model, layout, public, keys, nonce, sent_at)
            with self.work.block() as block:
                with log.step("receive"):
                    body = Body(request, length)
                    await body.into(block.view[:HEAD_BYTES])
                    check_header(bytes(block.view[:HEAD_BYTES]), params, layout, length)
                    await body.into(block.view[HEAD_BYTES:length])
                    checksum = checksum_of(block.view[:length])
                job = Evaluate(model.digest, layout_name, length, files[1], files[0], model.flooding, blocks)
                with log.step("work"):
                    reply = done(await self.work.run(job, block, self.limits.seconds))
                    data = bytes(block.view[: reply.length])
            if model.flooding is not None:
                with log.step("count"):
                    await run_sync(self._spend, tenant, model)
        log.seconds.update(reply.seconds)
        exchange = Exchange(nonce, model.digest, stated, layout_name, public, keys, checksum, gallery)
        return Response(
            data,
            media_type=protocol.OCTETS,
            headers={
                protocol.MODEL_HEADER: model.digest,
                protocol.MAC_HEADER: exchange.mac(tenant.mac_key, data),
                "Server-Timing": ", ".join(f"{name};dur={1e3 * spent:.3f}" for name, spent in reply.seconds.items()),
            },
        )

    def _claim(
        self,
        tenant: Tenant,
        model: HostedModel,
        layout: Layout,
        public: str | None,
        keys: str | None,
        nonce: str,
        sent_at: int,
    ) -> tuple[KeyFile | None, KeyFile | None]:
        """Find the keys and use up the nonce; the answers that are left must allow one more. Runs in a thread."""
        files = self._file(tenant, public, None), self._file(tenant, keys, layout)
        flooding = model.flooding
        if flooding is not None and self.store.given(tenant.account, model.digest) >= flooding.queries:
            raise _spent(flooding.queries)
        if not self.store.claim(tenant.account, bytes.fromhex(nonce), sent_at):
            raise Problem(
                409,
                "replayed or late",
                f"the nonce was used before, or the time in {protocol.TIME_HEADER} is too far from this service's; "
                "send every request once, with a nonce and the time of its own",
            )
        return files

    def _blocks(self, tenant: Tenant, model: HostedModel, gallery: str | None) -> tuple[KeyFile, ...]:
        """Find the blocks of a gallery; Problem 404 unless all are there, and for this model. Runs in a thread."""
        if gallery is None:
            return ()
        found = self.store.galleries(tenant.account, digest=gallery)
        if not found or found[0].model != model.digest:
            raise unknown_gallery()
        paths = [self.store.path(tenant.account, block) for block in found[0].blocks]
        files = [KeyFile(path.name, str(path)) for path in paths if path is not None]
        if len(files) < len(paths):
            raise unknown_gallery()
        return tuple(files)

    async def _has(self, tenant: Tenant, digest: str) -> bool:
        found = await run_sync(self.store.find, tenant.account, digest)
        return found is not None and found.kind != BLOCK

    def _file(self, tenant: Tenant, digest: str | None, layout: Layout | None) -> KeyFile | None:
        if digest is None:
            return None
        path = self.store.path(tenant.account, digest)
        if path is None:
            raise missing_keys("there are no keys of this digest", layout=layout)
        return KeyFile(f"{tenant.account}/{digest}", str(path))

    def _spend(self, tenant: Tenant, model: HostedModel) -> None:
        assert model.flooding is not None
        if not self.store.spend(tenant.account, model.digest, model.flooding.queries):
            raise _spent(model.flooding.queries)

    # ---- helpers ---------------------------------------------------------------------------------

    def _tenant(self, request: Request) -> Tenant:
        """Return who asks; Problem 401 for anybody else, 421 for a service that is addressed by a foreign name."""
        hosts = self.tenants.hosts
        if hosts is not None and (request.url.hostname or "") not in hosts:
            raise Problem(
                421,
                "misdirected",
                "the service is open to its own machine alone; address it as 127.0.0.1, or start it with --tenants",
            )
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        tenant = self.tenants.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if tenant is None:
            raise Problem(
                401,
                "no valid token",
                "the request has no token of a tenant; send the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )
        log_of(request).tenant = tenant.name
        return tenant

    def _model(self, request: Request) -> HostedModel:
        reference = request.path_params["name"]
        model = self.models.find(reference)
        if model is None:
            known = self.models.names()
            raise Problem(
                404,
                "unknown model",
                f"there is no model {reference[:64]!r}{nearest(reference[:64], known)}; the models here are: "
                f"{', '.join(known)[:500]}",
                need=known[:32],
            )
        return model


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
    async def logged(request: Request) -> Response:
        log_of(request).route = path
        return await endpoint(request)

    return Route(path, logged, methods=[method])


def _longest(model: HostedModel, limits: Limits) -> int:
    """Return how many bytes a request or an answer of a model can have; refuse to host what could never be sent."""
    inputs = max(max(input_lengths(model.params, layout)) for layout in model.layouts.values())
    exchanged = max(inputs, longest_answer(model.params, model.output))
    compares = comparing(model)
    blocks = input_lengths(model.params, compares.gallery) if compares is not None else set()
    longest = max(exchanged, *key_lengths(model.params, [model]), *blocks)
    if longest > limits.body:
        raise ModelError(
            f"inputs, keys, blocks or answers of model {model.name!r} have up to {longest} bytes",
            f"one request may have {limits.body}",
            "Allow more with Limits(body=...)",
        )
    return exchanged


def _spent(most: int) -> Problem:
    return Problem(
        429,
        "answers spent",
        f"this model has given you {most} answers, more would show what it has learned; ask its owner",
        need=most,
    )
