"""Encrypted galleries: vectors of a tenant's own, which the service compares with the tenant's queries and cannot read.

    PUT  /v1/blocks/{digest}       a block: ciphertexts of many vectors, packed as the model's `gallery` layout says
    PUT  /v1/galleries/{name}      these blocks are a gallery
    POST /v1/models/{name}:evaluate  with CKKS-Gallery: compare a query with all blocks of one

The simplest shape that what is there allows. A block is stored as a key is: under its digest, for its tenant alone,
looked at by a worker before it is kept, within a quota; so no request holds more than one block. A gallery is a list of
blocks that are there, kept in one transaction (`store.galleries`): a half one does not exist. Its digest covers model,
number of vectors and blocks; evaluations name it, and answers are bound to it (`mac`). Workers read one block at a time
from its file (`work.evaluation`).

Who learns what: query, gallery and answer are encrypted under one key, and whoever has it may know all three. So there
is nobody to protect from what an answer says besides its values, and answers are not flooded. The service sees how many
vectors there are, of which dimension, when they are asked about; whoever has the key may see all, the vectors included.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from churn.hosting.asks import digest_of
from churn.hosting.body import Body
from churn.hosting.limits import Admission, check_at_most, check_length, input_lengths
from churn.hosting.model import GalleryModel, HostedModel, comparing
from churn.hosting.protocol import DIGEST, GALLERY_NAME, MODEL_HEADER, Problem, gallery_digest
from churn.hosting.registry import Registry
from churn.hosting.store.keystore import BLOCK, Storage, StoredGallery
from churn.hosting.tenants import Tenant
from churn.hosting.uploads import Incoming, Uploads
from churn.hosting.work.evaluation import check_header
from churn.hosting.work.jobs import CheckBlock

__all__ = ["GalleryRoutes", "unknown_gallery"]

_MOST_ITEMS = 1 << 31


class GalleryRoutes:
    """The routes about galleries and their blocks. `who` returns the tenant of a request, or refuses it."""

    def __init__(
        self,
        models: Registry[HostedModel],
        store: Storage,
        uploads: Uploads,
        admission: Admission,
        who: Callable[[Request], Tenant],
    ) -> None:
        """Keep what they share with the others."""
        self._store, self._uploads, self._admission, self._who = store, uploads, admission, who
        compare = [model for model in map(comparing, models) if model is not None]
        self._models: dict[str, GalleryModel] = {model.digest: model for model in compare}
        self._most = max((1024 + 80 * model.output.items for model in compare), default=1)

    # ---- blocks ----------------------------------------------------------------------------------

    async def put_block(self, request: Request) -> Response:
        """Store a block."""
        tenant, digest = self._who(request), digest_of(request)
        model = self._model(request.headers.get(MODEL_HEADER, ""))
        params, layout = model.params, model.gallery
        with self._admission.admitted(tenant.name):
            length = check_length(request.headers.get("content-length"), input_lengths(params, layout), "a block")

            def kind_of(head: bytes) -> str:
                check_header(head, params, layout, length)
                return BLOCK

            new = not await self._has(tenant, digest)
            what = Incoming(digest, params.digest.hex(), kind_of, lambda file: CheckBlock(file, model.digest))
            await self._uploads.take(Body(request, length), tenant, what)
        return JSONResponse({"digest": digest, "bytes": length}, status_code=201 if new else 200)

    async def has_block(self, request: Request) -> Response:
        """Tell whether a block is there."""
        tenant, digest = self._who(request), digest_of(request)
        return Response(status_code=204 if await self._has(tenant, digest) else 404)

    async def delete_block(self, request: Request) -> Response:
        """Forget a block; a gallery that has it is none any more."""
        tenant, digest = self._who(request), digest_of(request)
        if not (await self._has(tenant, digest) and await run_sync(self._store.delete, tenant.account, digest)):
            raise Problem(404, "unknown block", "there is no block of this digest")
        return Response(status_code=204)

    async def _has(self, tenant: Tenant, digest: str) -> bool:
        found = await run_sync(self._store.find, tenant.account, digest)
        return found is not None and found.kind == BLOCK

    # ---- galleries -------------------------------------------------------------------------------

    async def put_gallery(self, request: Request) -> Response:
        """Make a gallery of blocks that are there, in place of the one of its name."""
        tenant, name = self._who(request), _name_of(request)
        with self._admission.admitted(tenant.name):
            length = check_at_most(request.headers.get("content-length"), self._most, "a list of blocks")
            data = bytearray(length)
            await Body(request, length).into(memoryview(data))
            gallery = self._read(name, bytes(data))
            if not await run_sync(self._store.keep_gallery, tenant.account, gallery):
                raise Problem(404, "unknown block", "there is no block of one of these digests; send it first")
        return JSONResponse({"name": name, "digest": gallery.digest}, status_code=201)

    async def list_galleries(self, request: Request) -> Response:
        """Return what a tenant has."""
        tenant = self._who(request)
        found = await run_sync(self._store.galleries, tenant.account)
        return JSONResponse({"galleries": [{**self._shown(one), "blocks": len(one.blocks)} for one in found]})

    async def describe_gallery(self, request: Request) -> Response:
        """Return what a gallery is made of."""
        tenant, name = self._who(request), _name_of(request)
        found = await run_sync(lambda: self._store.galleries(tenant.account, name=name))
        if not found:
            raise unknown_gallery()
        return JSONResponse({**self._shown(found[0]), "blocks": list(found[0].blocks)})

    async def delete_gallery(self, request: Request) -> Response:
        """Forget a gallery and its blocks."""
        tenant, name = self._who(request), _name_of(request)
        if not await run_sync(self._store.drop_gallery, tenant.account, name):
            raise unknown_gallery()
        return Response(status_code=204)

    def _shown(self, gallery: StoredGallery) -> dict[str, object]:
        model = self._models.get(gallery.model)
        return {
            "name": gallery.name,
            "digest": gallery.digest,
            "model": None if model is None else f"{model.name}@{model.version}",
            "model_digest": gallery.model,
            "items": gallery.items,
            "created": int(gallery.created),
        }

    def _read(self, name: str, data: bytes) -> StoredGallery:
        """Return the gallery that a request describes; Problem 422 for what describes none."""
        try:
            value: Any = json.loads(data)
            model, items, blocks = value["model"], value["items"], value["blocks"]
            if not (type(items) is int and isinstance(blocks, list) and len(value) == 3):
                raise ValueError(name)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Problem(
                422, "no gallery", 'the body is none; send {"model": DIGEST, "items": NUMBER, "blocks": [DIGEST, ...]}'
            ) from None
        most = self._model(model).output.items
        if not all(isinstance(one, str) and DIGEST.fullmatch(one) for one in blocks):
            raise Problem(422, "bad digest", "a block is no digest; send the SHA-256 of each, 64 hex digits")
        if not (1 <= len(blocks) <= most and len(set(blocks)) == len(blocks) and 1 <= items <= _MOST_ITEMS):
            raise Problem(
                422,
                "no gallery",
                f"a gallery of {items} vectors in {len(blocks)} blocks; this model compares with 1 to {most} different "
                "ones",
            )
        return StoredGallery(name, gallery_digest(model, items, blocks), model, items, time.time(), tuple(blocks))

    def _model(self, digest: object) -> GalleryModel:
        model = self._models.get(digest) if isinstance(digest, str) else None
        if model is None:
            raise Problem(
                409,
                "other model",
                "no model here compares with galleries under this digest; send the digest of the model's description",
                need=sorted(self._models)[:32],
            )
        return model


def unknown_gallery() -> Problem:
    """Return the refusal of a gallery that this tenant does not have, whoever else may."""
    return Problem(404, "unknown gallery", "there is no such gallery; upload it, or name another")


def _name_of(request: Request) -> str:
    name = str(request.path_params["name"])
    if not GALLERY_NAME.fullmatch(name):
        raise Problem(422, "bad name", "a gallery's name has 1 to 64 of a-z, 0-9 and '.', '_', '-' inside")
    return name
