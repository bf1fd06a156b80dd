"""One knob for threads. Work is split by limb, batch or column, so results do not depend on the count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Lock

from ckks.errors import ParameterError

_lock = Lock()
_count = 1
_executor: ThreadPoolExecutor | None = None
_executor_pid = 0


def num_threads() -> int:
    """Return how many threads one kernel call may use."""
    return _count


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


def split(total: int) -> list[slice]:
    """Return up to `num_threads()` slices of nearly equal length that cover range(total)."""
    parts = min(_count, total)
    bounds = [total * i // parts for i in range(parts + 1)] if parts else []
    return [slice(a, b) for a, b in pairwise(bounds)]


def run(work: Callable[[slice], None], total: int) -> None:
    """Call work(slice) for every slice of range(total), on several threads when more than one is allowed."""
    slices = split(total)
    if len(slices) <= 1:
        for s in slices:
            work(s)
        return
    futures = [_pool().submit(work, s) for s in slices[1:]]
    try:
        work(slices[0])
    finally:  # no thread may still write into an array that the caller has given up
        wait(futures)
    for future in futures:
        future.result()


def _pool() -> ThreadPoolExecutor:
    """Made on first use, and again in a forked child (threads do not survive a fork)."""
    global _executor, _executor_pid
    with _lock:
        if _executor is None or _executor_pid != os.getpid():
            _executor = ThreadPoolExecutor(max_workers=256, thread_name_prefix="ckks")
            _executor_pid = os.getpid()
        return _executor


def _from_environment() -> None:
    text = os.environ.get("CKKS_NUM_THREADS")
    if text is not None:
        try:
            set_num_threads(int(text))
        except ValueError as error:
            raise ParameterError(f"CKKS_NUM_THREADS={text!r}; needed an integer from 1 to 256") from error


_from_environment()
