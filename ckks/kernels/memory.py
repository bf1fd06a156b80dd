"""Residue arrays: 64-byte aligned, recycled when the last view of them dies, zeroed first if they held a secret.

Fresh pages are the dearest thing a polynomial can ask of an operating system, so blocks of one size are kept and
handed out again. Values stay immutable: a block returns to the pool only when no array refers to it any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import weakref
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from ckks.errors import ParameterError
from ckks.kernels.interface import Words

_ALIGNMENT = 64
_wiping: ContextVar[bool] = ContextVar("ckks_wiping", default=False)


class _Pool:
    """Free blocks by size. deque.append and deque.pop are atomic, so no lock is held where the garbage collector
    may run a callback."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = 0
        self.free: dict[int, deque[np.ndarray]] = {}
        self.leases: dict[int, _Lease] = {}  # by id: a weak reference hashes like its (unhashable) referent

    def take(self, nbytes: int) -> np.ndarray:
        try:
            block = self.free[nbytes].pop()
            self.kept -= nbytes
        except (KeyError, IndexError):
            block = np.empty(nbytes + _ALIGNMENT, dtype=np.uint8)
        return block

    def give(self, block: np.ndarray, nbytes: int) -> None:
        if self.kept + nbytes > self.limit:
            return
        self.kept += nbytes
        self.free.setdefault(nbytes, deque()).append(block)


class _Lease(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to the ctypes object at the root of an array; its death returns the block."""

    __slots__ = ("block", "nbytes", "wipe")
    block: np.ndarray
    nbytes: int
    wipe: bool


def _returned(lease: weakref.ref) -> None:  # type: ignore[type-arg]
    assert isinstance(lease, _Lease)
    _pool.leases.pop(id(lease), None)
    if lease.wipe:
        lease.block.fill(0)
    _pool.give(lease.block, lease.nbytes)


def _limit() -> int:
    text = os.environ.get("CKKS_POOL_BYTES", str(1 << 30))
    if not text.isdigit():
        raise ParameterError(f"CKKS_POOL_BYTES={text!r}; needed a number of bytes, e.g. {1 << 30}")
    return int(text)


_pool = _Pool(_limit())
_types: dict[int, type[ctypes.Array[ctypes.c_char]]] = {}


def empty(shape: tuple[int, ...]) -> Words:
    """Return an uninitialised uint64 array, its first word on a 64-byte boundary.

    Inside `wiping()` the memory is overwritten with zeros before it is used again.
    """
    nbytes = 8 * math.prod(shape)
    if nbytes == 0:
        return np.empty(shape, dtype=np.uint64)
    block = _pool.take(nbytes)
    address = block.__array_interface__["data"][0]
    kind = _types.get(nbytes)
    if kind is None:
        kind = _types.setdefault(nbytes, ctypes.c_char * nbytes)
    root = kind.from_address(-(-address // _ALIGNMENT) * _ALIGNMENT)
    lease = _Lease(root, _returned)
    lease.block, lease.nbytes, lease.wipe = block, nbytes, _wiping.get()
    _pool.leases[id(lease)] = lease
    array: Words = np.frombuffer(memoryview(root), dtype=np.uint64).reshape(shape)
    return array


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


def release() -> None:
    """Give the memory of all unused blocks back to the operating system."""
    _pool.free.clear()
    _pool.kept = 0


def kept_bytes() -> int:
    """Return how many bytes of unused blocks are held for reuse (limit: CKKS_POOL_BYTES, 1 GiB)."""
    return _pool.kept
