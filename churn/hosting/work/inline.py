"""Jobs in threads of this process: for tests, and for systems on which handles are not inherited."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from anyio.to_thread import run_sync

from churn.hosting.work.evaluation import Engine
from churn.hosting.work.jobs import Job, Reply
from churn.hosting.work.memory import Block
from churn.hosting.work.workplace import overdue
from ckks import kernels

__all__ = ["Inline"]


class Inline:
    """A `WorkPlace` that needs no other process. A job that takes too long is waited for all the same."""

    def __init__(self, engine: Engine, count: int = 2) -> None:
        """Do `count` jobs at once."""
        self.engine, self.count, self._size = engine, count, 0
        self._turns = asyncio.Semaphore(count)

    def state(self) -> dict[str, object]:
        """See `WorkPlace`."""
        return {"backend": kernels.active().name, "workers": 0, "ready": self.count}

    def prepare(self, models: Collection[str], size: int, places: int) -> None:
        """See `WorkPlace`."""
        self._size = size

    async def start(self) -> None:
        """Compile what is compiled at run time."""
        await run_sync(kernels.warmup)

    async def stop(self) -> None:
        """Nothing to end."""

    @contextmanager
    def block(self) -> Iterator[Block]:
        """See `WorkPlace`."""
        yield Block(0, memoryview(bytearray(self._size)))

    async def run(self, job: Job, block: Block | None, seconds: float) -> Reply:
        """See `WorkPlace`."""
        try:
            await asyncio.wait_for(self._turns.acquire(), seconds)
        except TimeoutError:
            raise overdue(seconds) from None
        try:
            return await run_sync(self.engine.handle, job, memoryview(b"") if block is None else block.view)
        finally:
            self._turns.release()
