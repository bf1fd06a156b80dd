"""A kernel source with a clock around every method: any method, known here or not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ckks.kernels import backends
from ckks.kernels import composed as composed_kernels

NOT_TIMED = ("describe", "warmup", "rows")
FUSED = frozenset(
    name for name, f in vars(composed_kernels).items() if getattr(f, "__module__", "") == "ckks.kernels.composed"
)


@dataclass
class Tally:
    """Calls of one kernel: how many, seconds, bytes of operands and results (once each), rows of its result."""

    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0
    rows: int = 0


class Recorder:
    """Passes every call on to `source` and keeps a Tally by name.

    With `composed`, the fused functions of the source are hidden, so that `ckks.kernels` composes them of basic ones.
    """

    def __init__(self, source: Any, *, composed: bool = False) -> None:
        self.source = source
        self.hidden = FUSED if composed else frozenset[str]()
        self.tallies: dict[str, Tally] = {}

    def __getattr__(self, name: str) -> Any:
        if name in self.hidden:
            raise AttributeError(name)
        found = getattr(self.source, name)
        if not callable(found) or name in NOT_TIMED or name.startswith("_"):
            return found
        timed = self._timed(name, found)
        self.__dict__[name] = timed
        return timed

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = method(*args, **kwargs)
            seconds = time.perf_counter() - start
            tally = self.tallies.setdefault(name, Tally())
            arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
            tally.calls += 1
            tally.seconds += seconds
            tally.bytes += sum(map(touched, arrays))
            if arrays:
                tally.rows += int(np.prod(arrays[-1].shape[:-1]))
            return result

        return call


def touched(array: np.ndarray) -> int:
    """Return the bytes behind an array: axes that repeat (stride 0) count once."""
    count = 1
    for size, stride in zip(array.shape, array.strides, strict=True):
        count *= size if stride else min(size, 1)
    return count * array.itemsize


@contextlib.contextmanager
def recording(source: Any | None = None, *, composed: bool = False) -> Iterator[Recorder]:
    """Run the with block with every kernel of the active source (or of `source`) timed; single-threaded use only."""
    before = backends.active()
    recorder = Recorder(source or before, composed=composed)
    backends._active = recorder  # there is no public way to run an object that has no name
    try:
        yield recorder
    finally:
        backends._active = before
