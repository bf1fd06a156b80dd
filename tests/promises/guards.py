"""Arrays between two pages that nobody may touch: one word read or written beside them ends the process.

What the address sanitizer does for compiled C, for kernels that numba makes: those take bare addresses, so that its
own check of array bounds (NUMBA_BOUNDSCHECK) has nothing to look at.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE


def forbid(address: int) -> None:
    """Take all rights to the page at this address (PROT_NONE, which is 0)."""
    if LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")


class Guarded:
    """A kernel source whose every array argument is moved between guards, against its end or its beginning.

    Args:
        kernels: the source that does the work.
        low: put arrays right behind the first guard instead of right before the second.
    """

    def __init__(self, kernels: Any, *, low: bool) -> None:
        self.kernels, self.low = kernels, low
        self.name, self.variant = kernels.name, f"{getattr(kernels, 'variant', kernels.name)} between guards"
        self.calls = 0

    def moved(self, x: np.ndarray) -> np.ndarray:
        """Return a contiguous copy between guards."""
        room = -(-max(x.nbytes, 1) // PAGE) * PAGE
        memory = mmap.mmap(-1, room + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        forbid(start)
        forbid(start + PAGE + room)
        offset = PAGE if self.low else PAGE + room - x.nbytes
        copy = np.frombuffer(memory, dtype=x.dtype, count=x.size, offset=offset).reshape(x.shape)
        copy[...] = x
        return copy

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.kernels, name)

        def call(*arguments: Any) -> Any:
            self.calls += 1
            made = {id(a): self.moved(a) for a in arguments if isinstance(a, np.ndarray)}
            result = function(*(made.get(id(a), a) for a in arguments))
            out = arguments[-1]
            out[...] = made[id(out)]
            return result

        return call
