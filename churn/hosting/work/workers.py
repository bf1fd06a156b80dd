"""Worker processes: where bodies are parsed and models evaluated. Whatever happens there happens to one request.

A worker is a fresh Python of its own that was told its models on its command line. It inherits a socket, for messages,
and the shared memory in which bodies lie. When one dies or takes too long, its request is refused, and another is
started in its place. They end when the service does, in whatever way (`attend`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Collection, Coroutine

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from churn.errors import ModelError
from churn.hosting.work.channel import ChannelClosed
from churn.hosting.work.child import Child, Launcher
from churn.hosting.work.jobs import Check, Evaluate, Job, Reply, job_to_dict
from churn.hosting.work.memory import Block, Blocks
from churn.hosting.work.workplace import lost, overdue

__all__ = ["Workers"]

_START_SECONDS = 240.0  # kernels that are compiled at run time take their time, once
_LONGEST_PAUSE = 30.0
_log = logging.getLogger("churn.hosting")


class Workers:
    """Processes that do jobs, one each at a time.

    Args:
        launcher: starts them, and has started the first.
        count: how many.
        resident_keys: bytes of expanded keys that each keeps.
        resident_blocks: bytes of expanded blocks of galleries that each keeps.
        processors: how many the kernels of all jobs share.
        most_threads: of one job.
    """

    def __init__(
        self,
        launcher: Launcher,
        count: int,
        *,
        resident_keys: int,
        resident_blocks: int = 0,
        processors: int,
        most_threads: int | None = None,
    ) -> None:
        """Take over what the launcher has started; the others follow when that one is ready."""
        self.count, self._processors, self._most_threads = count, processors, most_threads or processors
        self._launcher = launcher
        self._resident = {"resident_keys": resident_keys, "resident_blocks": resident_blocks}
        self._blocks: Blocks | None = None
        self._models: frozenset[str] = frozenset()
        self._backend: str | None = None
        self._idle: list[Child] = []
        self._waiting: deque[asyncio.Future[Child]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: CapacityLimiter | None = None
        self._started = self._stopping = False

    # ---- life ------------------------------------------------------------------------------------

    def prepare(self, models: Collection[str], size: int, places: int) -> None:
        """See `WorkPlace`."""
        self._models = frozenset(models)
        self._blocks = Blocks(self._launcher.memory, size, places, warm=self.count)

    async def start(self) -> None:
        """Return when one worker is ready, the others follow; ModelError when it cannot be."""
        if self._started:
            return
        self._started = True
        # One thread for each that works, one for each that is coming up, and some that come to nothing.
        self._turns = CapacityLimiter(2 * self.count + 2)
        await self._bring_up(next(iter(self._launcher.children), None))
        if not self._ready:
            raise ModelError("no worker process could start", "one at least is needed", "See what it said above")
        for _ in range(self.count - 1):
            self._task(self._bring_up(None))

    async def stop(self) -> None:
        """See `WorkPlace`."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for child in self._idle:
            self._unwatch(child)
        self._idle.clear()
        await run_sync(self._launcher.close)
        if self._blocks is not None:
            self._blocks.close()

    def state(self) -> dict[str, object]:
        """See `WorkPlace`."""
        return {"backend": self._backend, "workers": self.count, "ready": self._ready}

    @property
    def _ready(self) -> int:
        return sum(child.ready for child in self._launcher.children)

    async def _bring_up(self, child: Child | None) -> None:
        """Wait until a worker is ready; start another one for it, again and again, unless none has ever been."""
        pause = 0.5
        while not self._stopping:
            try:
                child = await run_sync(self._launcher.start, limiter=self._turns) if child is None else child
                hello = await run_sync(
                    child.channel.receive, _START_SECONDS, abandon_on_cancel=True, limiter=self._turns
                )
                if "failed" in hello:
                    raise ModelError(hello["failed"], "models that a worker can load are needed", "Correct them")
                if not self._models <= set(hello["models"]):
                    raise ModelError(
                        "a worker found other models than the service",
                        "models must not change while they are hosted",
                        "Start the service again",
                    )
                child.channel.send(self._resident)
                self._backend, child.ready = str(hello["backend"]), True
                self._release(child)
                return
            except (ChannelClosed, TimeoutError, OSError, ModelError) as error:
                _log.error("a worker did not start: %s", error or type(error).__name__)
                if child is not None:
                    await self._end(child)
                child = None
                if self._backend is None:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _end(self, child: Child) -> None:
        """Kill a worker, whatever happens to whoever wants it."""
        await asyncio.shield(asyncio.ensure_future(run_sync(self._launcher.kill, child)))

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- jobs ------------------------------------------------------------------------------------

    def block(self) -> contextlib.AbstractContextManager[Block]:
        """See `WorkPlace`."""
        assert self._blocks is not None
        return self._blocks.block()

    async def run(self, job: Job, block: Block | None, seconds: float) -> Reply:
        """See `WorkPlace`."""
        deadline = time.monotonic() + seconds
        child = await self._acquire(_keys_of(job), seconds)
        offset, size = (block.offset, len(block.view)) if block is not None else (0, 0)
        message = {**job_to_dict(job), "threads": self._share(), "offset": offset, "size": size}
        try:
            reply = await run_sync(
                child.call, message, deadline - time.monotonic(), abandon_on_cancel=True, limiter=self._turns
            )
        except BaseException as error:
            await self._end(child)
            if not self._stopping:
                self._task(self._bring_up(None))
            if isinstance(error, TimeoutError):
                _log.error("a worker took longer than %g s; it is replaced", seconds)
                raise overdue(seconds) from None
            if isinstance(error, ChannelClosed):
                _log.error("a worker was lost; it is replaced")
                raise lost() from None
            raise
        child.keys |= _keys_of(job)
        self._release(child)
        return Reply(**reply)

    def _share(self) -> int:
        """How many threads a job may use that begins now: its share of the processors."""
        under_way = sum(child.busy for child in self._launcher.children) + len(self._waiting)
        return max(1, min(self._most_threads, self._processors // max(1, under_way)))

    async def _acquire(self, keys: frozenset[str], seconds: float) -> Child:
        """Return an idle worker, one that knows the keys if there is; wait for one in order of arrival."""
        if self._idle:
            child = next((one for one in reversed(self._idle) if keys <= one.keys), self._idle[-1])
            self._idle.remove(child)
            self._unwatch(child)
        else:
            child = await self._wait(seconds)
        child.busy = True
        return child

    async def _wait(self, seconds: float) -> Child:
        place: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait([place], timeout=seconds)
        except BaseException:
            if place.done():
                self._release(place.result())
            raise
        finally:
            if not place.done():
                self._waiting.remove(place)
        if not place.done():
            raise overdue(seconds)
        return place.result()

    def _release(self, child: Child) -> None:
        child.busy = False
        if self._waiting:
            self._waiting.popleft().set_result(child)
        else:
            self._idle.append(child)
            self._watch(child)

    def _watch(self, child: Child) -> None:
        """Notice when an idle worker ends: nothing else can come from it."""
        asyncio.get_running_loop().add_reader(child.channel.socket, self._ended_idle, child)

    def _unwatch(self, child: Child) -> None:
        asyncio.get_running_loop().remove_reader(child.channel.socket)

    def _ended_idle(self, child: Child) -> None:
        _log.error("an idle worker was lost; it is replaced")
        self._unwatch(child)
        self._idle.remove(child)
        self._task(self._exchange(child))

    async def _exchange(self, child: Child) -> None:
        await self._end(child)
        await self._bring_up(None)


def _keys_of(job: Job) -> frozenset[str]:
    files = (job.keys, job.public) if isinstance(job, Evaluate) else (job.key,) if isinstance(job, Check) else ()
    return frozenset(file.name for file in files if file is not None)
