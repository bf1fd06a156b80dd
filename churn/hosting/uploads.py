"""What clients store, on its way: into the store piece by piece, looked at by a worker, and only then kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anyio.to_thread import run_sync

from churn.hosting.body import Body
from churn.hosting.middleware import Failed
from churn.hosting.protocol import Problem
from churn.hosting.store.keystore import Storage
from churn.hosting.tenants import Tenant
from churn.hosting.work.jobs import Job, KeyFile, Reply
from churn.hosting.work.workplace import WorkPlace
from ckks.scheme.serialization import HEAD_BYTES

__all__ = ["Incoming", "Uploads", "done"]

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Incoming:
    """What is about to be stored.

    Args:
        digest: of its bytes, as the request says.
        params_digest: of its parameters.
        kind_of: returns its kind after a look at its first HEAD_BYTES; raises for what need not be read further.
        check: the job that reads all of it.
    """

    digest: str
    params_digest: str
    kind_of: Callable[[bytes], str]
    check: Callable[[KeyFile], Job]


class Uploads:
    """Takes keys and blocks for a store; `seconds` is how long a worker may look at one."""

    def __init__(self, store: Storage, work: WorkPlace, seconds: float) -> None:
        """Keep them."""
        self._store, self._work, self._seconds = store, work, seconds

    async def take(self, body: Body, tenant: Tenant, what: Incoming) -> None:
        """Read a body into the store; it is kept only if a worker could read it. Raises Problem, and what checks do."""
        length, head = body.left, bytearray(HEAD_BYTES)
        await body.into(memoryview(head))
        kind, digest = what.kind_of(bytes(head)), what.digest
        upload = await run_sync(
            lambda: self._store.receive(tenant.account, digest, length, kind=kind, params_digest=what.params_digest)
        )
        try:
            await run_sync(upload.write, bytes(head))
            chunk = memoryview(bytearray(min(body.left, _CHUNK_BYTES)))
            while body.left:
                part = chunk[: body.left]
                await body.into(part)
                await run_sync(upload.write, bytes(part))
            if upload.digest() != digest:
                raise Problem(
                    422,
                    "digest mismatch",
                    "the SHA-256 of the bytes is not the digest in the path; send the bytes again, unchanged",
                )
            file = KeyFile(f"{tenant.account}/{digest}", str(upload.path))
            done(await self._work.run(what.check(file), None, self._seconds))
            await run_sync(upload.commit)
        finally:
            await run_sync(upload.discard)


def done(reply: Reply) -> Reply:
    """Return a reply that is one; raise the refusal, or the failure, that came instead."""
    if reply.failed is not None:
        raise Failed(reply.failed)
    problem = reply.refusal()
    if problem is not None:
        raise problem
    return reply
