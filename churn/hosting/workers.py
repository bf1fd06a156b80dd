"""Worker processes: where bodies are parsed and models evaluated. Whatever happens there happens to one request.

A worker is a fresh Python of its own that was told its models on its command line. It inherits a socket, for messages,
and the shared memory in which bodies lie. When one dies or takes too long, its request is refused, and another is
started in its place. They end when the service does, in whatever way (`attend`).

`Inline` does the same work in threads of this process, for tests and for systems on which handles are not inherited.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from anyio.to_thread import run_sync

from churn.errors import ModelError
from churn.hosting.channel import Channel, ChannelClosed
from churn.hosting.evaluation import Engine
from churn.hosting.jobs import Evaluate, Job, Reply, job_to_dict
from churn.hosting.memory import Block, Blocks, nameless_file
from churn.hosting.protocol import Problem
from ckks import kernels

__all__ = ["Inline", "WorkPlace", "Workers"]

_START_SECONDS = 240.0  # kernels that are compiled at run time take their time, once
_END_SECONDS = 2.0
_LONGEST_PAUSE = 30.0
_log = logging.getLogger("churn.hosting")


class WorkPlace(Protocol):
    """Where jobs are done."""

    @property
    def count(self) -> int:
        """How many jobs are done at once."""

    def state(self) -> dict[str, object]:
        """Return what anybody may know of it: kernels, workers that are ready."""

    def prepare(self, models: Collection[str], size: int, places: int) -> None:
        """Be told, before the start, the digests of the models, the bytes of a body, and how many there can be."""

    async def start(self) -> None:
        """Return when jobs can be done."""

    async def stop(self) -> None:
        """End everything."""

    def block(self) -> contextlib.AbstractContextManager[Block]:
        """Lend memory for a body and its answer."""

    async def run(self, job: Job, block: Block | None, seconds: float) -> Reply:
        """Do a job; Problem 503 when that takes too long or the worker is lost."""


class Workers:
    """Processes that do jobs, one each at a time.

    Args:
        command: starts a worker; `--channel HANDLE --memory HANDLE` are added to it.
        count: how many.
        environment: of the workers.
        processors: how many the kernels of all jobs share.
        most_threads: of one job.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        environment: Mapping[str, str],
        processors: int,
        most_threads: int | None = None,
    ) -> None:
        """Start the processes at once; they load while the service does. Call `stop` in any case."""
        self.count, self._processors, self._most_threads = count, processors, most_threads or processors
        self._command, self._environment, self._memory = list(command), dict(environment), nameless_file()
        self._blocks: Blocks | None = None
        self._models: frozenset[str] = frozenset()
        self._backend = "none yet"
        self._living: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._waiting: deque[asyncio.Future[_Worker]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        try:
            for _ in range(count):
                self._spawn()
        except BaseException:
            self._end_all()
            raise

    # ---- life ------------------------------------------------------------------------------------

    def prepare(self, models: Collection[str], size: int, places: int) -> None:
        """See `WorkPlace`."""
        self._models = frozenset(models)
        self._blocks = Blocks(self._memory, size, places, warm=self.count)

    async def start(self) -> None:
        """Return when one worker is ready, the others follow; ModelError when none of them can be."""
        if self._tasks or self._ready:
            return
        first = [self._task(self._bring_up(worker)) for worker in list(self._living)]
        while first and not self._ready:
            done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            first = [task for task in first if task not in done]
        if not self._ready:
            raise ModelError("no worker process could start", "one at least is needed", "See what they said above")

    async def stop(self) -> None:
        """See `WorkPlace`."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for worker in self._idle:
            self._unwatch(worker)
        self._idle.clear()
        await run_sync(self._end_all)

    def __enter__(self) -> Workers:
        """Return the workers themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, if `stop` has not."""
        self._stopping = True
        self._end_all()

    @property
    def pids(self) -> list[int]:
        """The process ids of the living workers."""
        return sorted(worker.process.pid for worker in self._living)

    @property
    def _ready(self) -> int:
        return sum(worker.ready for worker in self._living)

    def state(self) -> dict[str, object]:
        """See `WorkPlace`."""
        return {"backend": self._backend, "workers": self.count, "ready": self._ready}

    def _spawn(self) -> _Worker:
        worker = _Worker(self._command, self._environment, self._memory)
        self._living.add(worker)
        return worker

    async def _bring_up(self, worker: _Worker | None) -> None:
        """Wait until a worker is ready; start another one for it, again and again, unless none has ever been."""
        pause = 0.5
        while not self._stopping:
            try:
                worker = await run_sync(self._spawn) if worker is None else worker
                hello = await run_sync(worker.channel.receive, _START_SECONDS, abandon_on_cancel=True)
                if not self._models <= set(hello["models"]):
                    _log.error("a worker found other models than the service; they must not change while it runs")
                    raise ChannelClosed
                self._backend, worker.ready = str(hello["backend"]), True
                self._release(worker)
                return
            except (ChannelClosed, TimeoutError, OSError) as error:
                _log.error("a worker did not start: %s", type(error).__name__)
                if worker is not None:
                    await self._end(worker)
                worker = None
                if not self._ready and self._backend == "none yet":
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _end(self, worker: _Worker) -> None:
        """Kill a worker; afterwards it writes to no block any more."""
        self._living.discard(worker)
        await asyncio.shield(run_sync(worker.kill))

    def _end_all(self) -> None:
        for worker in self._living:
            worker.leave()
        deadline = time.monotonic() + _END_SECONDS
        for worker in self._living:
            worker.wait(deadline - time.monotonic())
        self._living.clear()
        if self._blocks is not None:
            self._blocks.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _task(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- jobs ------------------------------------------------------------------------------------

    def block(self) -> contextlib.AbstractContextManager[Block]:
        """See `WorkPlace`."""
        assert self._blocks is not None
        return self._blocks.block()

    async def run(self, job: Job, block: Block | None, seconds: float) -> Reply:
        """See `WorkPlace`."""
        deadline = time.monotonic() + seconds
        worker = await self._acquire(_keys_of(job), seconds)
        running = sum(one.busy for one in self._living) + len(self._waiting)
        threads = max(1, min(self._most_threads, self._processors // max(1, running)))
        offset, size = (block.offset, len(block.view)) if block is not None else (0, 0)
        message = {**job_to_dict(job), "threads": threads, "offset": offset, "size": size}
        try:
            reply = await run_sync(worker.call, message, deadline - time.monotonic(), abandon_on_cancel=True)
        except BaseException as error:
            await self._end(worker)
            if not self._stopping:
                self._task(self._bring_up(None))
            if isinstance(error, TimeoutError):
                _log.error("a worker took longer than %g s; it is replaced", seconds)
                raise _overdue(seconds) from None
            if isinstance(error, ChannelClosed):
                _log.error("a worker was lost; it is replaced")
                raise _lost() from None
            raise
        worker.keys |= _keys_of(job)
        self._release(worker)
        return Reply(**reply)

    async def _acquire(self, keys: frozenset[str], seconds: float) -> _Worker:
        """Return an idle worker, one that knows the keys if there is; wait for one in order of arrival."""
        if self._idle:
            worker = next((one for one in reversed(self._idle) if keys <= one.keys), self._idle[-1])
            self._idle.remove(worker)
            self._unwatch(worker)
        else:
            place: asyncio.Future[_Worker] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await asyncio.wait([place], timeout=seconds)
            finally:
                if not place.done():
                    self._waiting.remove(place)
                    place.cancel()
                elif asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    self._release(place.result())
            if place.cancelled():
                raise _overdue(seconds)
            worker = place.result()
        worker.busy = True
        return worker

    def _release(self, worker: _Worker) -> None:
        worker.busy = False
        if self._waiting:
            self._waiting.popleft().set_result(worker)
        else:
            self._idle.append(worker)
            self._watch(worker)

    def _watch(self, worker: _Worker) -> None:
        """Notice when an idle worker ends: that is all that can come from it."""
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_reader(worker.channel.socket, self._ended_idle, worker)

    def _unwatch(self, worker: _Worker) -> None:
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(worker.channel.socket)

    def _ended_idle(self, worker: _Worker) -> None:
        _log.error("an idle worker was lost; it is replaced")
        self._unwatch(worker)
        self._idle.remove(worker)
        self._task(self._exchange(worker))

    async def _exchange(self, worker: _Worker) -> None:
        await self._end(worker)
        await self._bring_up(None)


class _Worker:
    """A process, and our end of its channel."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], memory: int) -> None:
        self.keys: frozenset[str] = frozenset()
        self.ready = self.busy = False
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        try:
            with theirs:
                handles = (theirs.fileno(), memory)
                # A session of its own: an interrupt at the terminal is for the service, which ends its workers itself.
                self.process = subprocess.Popen(
                    [*command, "--channel", str(handles[0]), "--memory", str(handles[1])],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=handles,
                    env=environment,
                    start_new_session=True,
                )
        except BaseException:
            self.channel.close()
            raise

    def call(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Have a job done; ChannelClosed or TimeoutError when it is not. Runs in a thread."""
        self.channel.send(message)
        return self.channel.receive(max(0.001, seconds))

    def leave(self) -> None:
        """Let it end by itself."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end, and insist after that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))
        self.kill()

    def kill(self) -> None:
        """End it, and return when it has ended."""
        self.process.kill()
        self.process.wait()
        self.leave()
        self.channel.close()


class Inline:
    """Jobs in threads of this process. What takes too long is waited for all the same."""

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
            raise _overdue(seconds) from None
        try:
            return await run_sync(self.engine.handle, job, memoryview(b"") if block is None else block.view)
        finally:
            self._turns.release()


def _keys_of(job: Job) -> frozenset[str]:
    files = (job.keys, job.public) if isinstance(job, Evaluate) else (job.key,)
    return frozenset(file.name for file in files if file is not None)


def _overdue(seconds: float) -> Problem:
    return Problem(
        503,
        "busy",
        f"the request was not done within {seconds:g} s; try again later",
        headers={"Retry-After": "10"},
    )


def _lost() -> Problem:
    return Problem(
        503, "worker lost", "the process that worked on the request has ended; try again", headers={"Retry-After": "1"}
    )
