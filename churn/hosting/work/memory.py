"""Memory that the service and its workers share: one nameless file, cut into blocks, one for each request's body.

Nameless, so that nothing is left over however the processes end. Sparse: a block takes memory when it is first
written to, and gives it back when there are more free blocks than `warm` (where the system can do that).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Block", "Blocks", "nameless_file", "whole"]


class Block(NamedTuple):
    """Part of the shared memory: where it begins, and its bytes."""

    offset: int
    view: memoryview


class Blocks:
    """The blocks of a service. Used on the event loop only."""

    def __init__(self, handle: int, size: int, count: int, *, warm: int) -> None:
        """Cut the file behind `handle` into `count` blocks of `size` bytes at least; `warm` keep their memory."""
        self.size = -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        os.ftruncate(handle, self.size * count)
        self._memory = mmap.mmap(handle, self.size * count)
        self._view = memoryview(self._memory)
        self._free = [i * self.size for i in reversed(range(count))]
        self._count, self._warm = count, warm

    @contextmanager
    def block(self) -> Iterator[Block]:
        """Lend a block while the with block lasts; there must be a free one."""
        offset = self._free.pop()
        try:
            yield Block(offset, self._view[offset : offset + self.size])
        finally:
            if self._count - len(self._free) > self._warm and hasattr(mmap, "MADV_REMOVE"):
                self._memory.madvise(mmap.MADV_REMOVE, offset, self.size)
                self._free.insert(0, offset)
            else:
                self._free.append(offset)

    def close(self) -> None:
        """Give everything back; blocks that are still lent live on until their users let go."""
        self._view.release()
        with contextlib.suppress(BufferError):
            self._memory.close()


def nameless_file() -> int:
    """Return the handle of an empty file that nobody else can open and that ends with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ckks-blocks", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def whole(handle: int) -> memoryview:
    """Map all blocks, in a worker."""
    return memoryview(mmap.mmap(handle, 0))
