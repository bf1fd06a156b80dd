"""One knob for threads. Work is split by limb, batch or column, so results do not depend on the count.

The slices of a call lie in one place, and whoever is free takes the next: the caller itself, and helper threads that
are asked to look. A helper that wakes up late finds nothing left, so that a call never waits for a thread to start.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock, Thread

from ckks.errors import ParameterError

SMALLEST = 1 << 19
"""Fewer words than this for each thread are not worth a helper: adding them takes less time than waking one, which
takes 60 microseconds on virtual machines."""

_lock = Lock()
_count = 1
_alone: ContextVar[bool] = ContextVar("ckks_alone", default=False)
_asked: SimpleQueue[_Job] = SimpleQueue()
_helpers = 0
_helpers_pid = 0


def num_threads() -> int:
    """Return how many threads one kernel call may use."""
    return 1 if _alone.get() else _count


def set_num_threads(count: int) -> None:
    """Let each kernel call use up to `count` threads (default: CKKS_NUM_THREADS, else 1)."""
    global _count
    if not isinstance(count, int) or not 1 <= count <= 256:
        raise ParameterError(f"number of threads {count!r}; needed an integer from 1 to 256")
    _count = count


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` threads inside the with block."""
    before = _count
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Split no work inside the with block, in this thread (or task): its calls arrive whole."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def split(total: int, words: int | None = None) -> list[slice]:
    """Return up to `num_threads()` slices of nearly equal length that cover range(total).

    Given how many words the work is about, no slice has far fewer than SMALLEST of them.
    """
    parts = min(num_threads(), total)
    if words is not None:
        parts = min(parts, max(1, words // SMALLEST))
    bounds = [total * i // parts for i in range(parts + 1)] if parts else []
    return [slice(a, b) for a, b in pairwise(bounds)]


class _Job:
    """One call: slices that nobody has taken yet (deque.pop is atomic), and which helpers came and went."""

    __slots__ = ("came", "slices", "went", "work")

    def __init__(self, work: Callable[[slice], None], slices: list[slice]) -> None:
        self.work, self.slices = work, deque(reversed(slices))
        self.came: deque[None] = deque()
        self.went: SimpleQueue[BaseException | None] = SimpleQueue()

    def take_slices(self) -> None:
        """Work on slices until none is left."""
        while True:
            try:
                s = self.slices.pop()
            except IndexError:
                return
            self.work(s)

    def help(self) -> None:
        """Do so in a helper. Coming is told before a slice is taken: who has not come by then takes none."""
        self.came.append(None)
        try:
            self.take_slices()
        except BaseException as error:  # raised again by the caller, in `run`
            self.went.put(error)
        else:
            self.went.put(None)

    def end(self) -> BaseException | None:
        """Leave no slice to take, wait for every helper that came, and return an error of theirs, or of the wait.

        Who has come is counted anew each time: one that comes while this waits goes at once, and must not be taken for
        one that is still at work.
        """
        self.slices.clear()
        found: BaseException | None = None
        gone = 0
        while gone < len(self.came):
            try:
                found = self.went.get() or found
                gone += 1
            except BaseException as error:  # an interrupt: arrays must not be given up before the helpers let go
                found = error
        return found


def run(work: Callable[[slice], None], total: int, words: int | None = None) -> None:
    """Call work(slice) for every slice of range(total), on several threads when more than one is allowed.

    words: how many the work is about, for `split`. However it ends, by an error of `work` or by an interrupt: no thread
    still writes into an array that the caller has given up.
    """
    slices = split(total, words)
    if len(slices) <= 1:
        for s in slices:
            work(s)
        return
    job = _Job(work, slices)
    try:
        _ask(job, len(slices) - 1)
        job.take_slices()
    finally:
        error = job.end()
        del job.work  # and with it the arrays, which a helper that has yet to wake up must not keep
    if error is not None:
        raise error


def _ask(job: _Job, helpers: int) -> None:
    """Have that many helpers look at a job; they are started on first use, and again in a forked child (threads do
    not survive a fork)."""
    global _asked, _helpers, _helpers_pid
    if _helpers < helpers or _helpers_pid != os.getpid():
        with _lock:
            if _helpers_pid != os.getpid():
                _asked, _helpers, _helpers_pid = SimpleQueue(), 0, os.getpid()
            while _helpers < helpers:
                Thread(target=_serve, args=(_asked,), name=f"ckks_{_helpers}", daemon=True).start()
                _helpers += 1
    for _ in range(helpers):
        _asked.put(job)


def _serve(asked: SimpleQueue[_Job]) -> None:
    """The life of a helper."""
    while True:
        asked.get().help()


def _from_environment() -> None:
    text = os.environ.get("CKKS_NUM_THREADS")
    if text is not None:
        try:
            set_num_threads(int(text))
        except ValueError as error:
            raise ParameterError(f"CKKS_NUM_THREADS={text!r}; needed an integer from 1 to 256") from error


_from_environment()
