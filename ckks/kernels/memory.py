"""Residue arrays: 64-byte aligned, recycled when the last view of them dies, zeroed first if they held a secret.

Fresh pages are the dearest thing a polynomial can ask of an operating system, so freed blocks are kept and handed out
again, to arrays of their size or of nearly that: the levels of a chain live in the blocks of its top. New blocks of
2 MiB and more ask for huge pages where the system has them. Values stay immutable: a block returns to the pool only
when no array refers to it any more. Inside `apart()` arrays come from a pool of its own: what is measured there is seen
by nobody else.

Environment: CKKS_POOL_BYTES, how much unused memory is kept (1 GiB); CKKS_HUGE_PAGES, 0 to leave the size of pages to
the system (1: ask for huge ones, on Linux).
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from ckks.errors import ParameterError
from ckks.kernels.interface import Words

_ALIGNMENT = 64
_HUGE_PAGE = 2 << 20
_SHARING = 1 << 16
"""Arrays of this many bytes and more also take a free block that is up to a quarter larger than they need."""

_WORD, _BYTE = np.dtype(np.uint64), np.dtype(np.uint8)
_wiping: ContextVar[bool] = ContextVar("ckks_wiping", default=False)


class _Block(np.ndarray):
    """Bytes from a boundary on, leased to one array after the other."""

    __slots__ = ()


@dataclass(frozen=True)
class MemoryReport:
    """What the arrays of `kernels.empty` hold at one moment, in bytes of whole blocks.

    Args:
        live: blocks that arrays are using.
        peak: the most that was live since `reset_peak`, or ever.
        kept: free blocks, held for reuse; the system has given out live + kept.
        fresh, reused: how many arrays took a new block, or one that was free.
    """

    live: int
    peak: int
    kept: int
    fresh: int
    reused: int


class _Pool:
    """Free blocks by size. deque.append and deque.pop are atomic, so no lock is held where the garbage collector
    may run a destructor."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.live = self.peak = self.kept = self.fresh = self.reused = 0
        self.free: dict[int, deque[_Block]] = {}

    def take(self, nbytes: int) -> _Block:
        block = self.find(nbytes)
        if block is None:
            block = _allocate(nbytes)
            self.fresh += 1
        else:
            self.kept -= block.nbytes
            self.reused += 1
        self.live += block.nbytes
        if self.live > self.peak:
            self.peak = self.live
        return block

    def find(self, nbytes: int) -> _Block | None:
        """Remove and return a free block of this size, or of the next that wastes no more than a quarter."""
        try:
            return self.free[nbytes].pop()
        except (KeyError, IndexError):
            if nbytes < _SHARING:
                return None
        for size in sorted(size for size in tuple(self.free) if nbytes < size <= nbytes + nbytes // 4):
            with contextlib.suppress(IndexError):
                return self.free[size].pop()
        return None

    def give(self, block: _Block) -> None:
        nbytes = block.nbytes
        self.live -= nbytes
        if self.kept + nbytes > self.limit:
            return
        self.kept += nbytes
        self.free.setdefault(nbytes, deque()).append(block)

    def clear(self) -> None:
        self.free.clear()
        self.kept = 0


def _setting(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise ParameterError(f"{name}={text!r}; needed a number, e.g. {default}")
    return int(text)


_pool = _Pool(_setting("CKKS_POOL_BYTES", 1 << 30))
_apart: ContextVar[_Pool] = ContextVar("ckks_pool", default=_pool)
_huge_pages = bool(_setting("CKKS_HUGE_PAGES", 1)) and hasattr(mmap, "MADV_HUGEPAGE")


class _Lease(np.ndarray):
    """A block while it is in use: the root of all views of one array, whose death gives the block back.

    A view refers to the first array behind it whose class differs from that of the array behind the next. So this
    class, between the plain arrays that everybody sees and `_Block`, is where they all end.
    """

    __slots__ = ("block", "pool", "wipe")
    block: _Block
    pool: _Pool
    wipe: bool

    def __del__(self) -> None:
        if self.wipe:
            self.fill(0)
        self.pool.give(self.block)


def _allocate(nbytes: int) -> _Block:
    """Return new bytes on a boundary: of a huge page if they fill one, else of a cache line."""
    if nbytes >= _HUGE_PAGE and _huge_pages:
        with contextlib.suppress(OSError):  # a system without them, or out of mappings
            mapped = mmap.mmap(-1, nbytes + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            start = -_address(mapped) % _HUGE_PAGE
            # Whole pages only: the memory behind a block's end is never touched, and so never there.
            mapped.madvise(mmap.MADV_HUGEPAGE, start, nbytes - nbytes % _HUGE_PAGE)
            return _Block((nbytes,), _BYTE, mapped, start)
    raw = np.empty(nbytes + _ALIGNMENT, dtype=np.uint8)
    return _Block((nbytes,), _BYTE, raw, -_address(raw) % _ALIGNMENT)


def _address(raw: Any) -> int:
    where: int = np.frombuffer(raw, dtype=np.uint8).__array_interface__["data"][0]
    return where


def empty(shape: tuple[int, ...]) -> Words:
    """Return an uninitialised uint64 array, its first word on a 64-byte boundary.

    Inside `wiping()` the memory is overwritten with zeros before it is used again.
    """
    nbytes = 8 * math.prod(shape)
    if nbytes == 0:
        return np.empty(shape, dtype=np.uint64)
    pool = _apart.get()
    block = pool.take(nbytes)
    lease = _Lease(shape, _WORD, block)
    lease.block, lease.pool, lease.wipe = block, pool, _wiping.get()
    return lease.view(np.ndarray)


def zeros(shape: tuple[int, ...]) -> Words:
    """Return an array like `empty`'s, filled with zeros."""
    array = empty(shape)
    array.fill(0)
    return array


@contextlib.contextmanager
def wiping() -> Iterator[None]:
    """Mark every array made inside as holding secrets: zeroed when its last reference dies."""
    token = _wiping.set(True)
    try:
        yield
    finally:
        _wiping.reset(token)


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Take the arrays of this thread (or task) from a pool of its own inside the with block.

    `memory_report`, `reset_peak`, `kept_bytes` and `release` then speak of that pool; nobody else sees what is done
    here. Its free blocks go back to the operating system at the end, and those still in use as soon as they are free.
    """
    pool = _Pool(_pool.limit)
    token = _apart.set(pool)
    try:
        yield
    finally:
        _apart.reset(token)
        pool.limit = 0
        pool.clear()


def release() -> None:
    """Give the memory of all unused blocks back to the operating system."""
    _apart.get().clear()


def kept_bytes() -> int:
    """Return how many bytes of unused blocks are held for reuse (limit: CKKS_POOL_BYTES, 1 GiB)."""
    return _apart.get().kept


def memory_report() -> MemoryReport:
    """Return what arrays hold now and held at most; with `reset_peak` before, what an operation needs."""
    pool = _apart.get()
    return MemoryReport(pool.live, pool.peak, pool.kept, pool.fresh, pool.reused)


def reset_peak() -> None:
    """Start the peak of `memory_report` anew, from what is live now."""
    pool = _apart.get()
    pool.peak = pool.live
