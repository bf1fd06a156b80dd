"""A source that does part of what it is asked for, with a clock: how long a circuit takes, without all of it.

Inside `sampling(budget)` kernel calls of this thread are carried out, on the source in use and as many threads as are
allowed, while the budget lasts; from then on only the first of each kind, and the others give zeros. In the end every
kind is counted with the mean time of those that were carried out, and all that is not kernels with the time it took.

So a circuit shorter than the budget is simply run. What is measured is what happens: results lie where the pool puts
them, operands are as near as the calls before left them, and Python runs between kernels that used its caches. Kernels
timed one by one, again and again on the same operands, are too fast by a fifth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, cast

from ckks import kernels
from ckks.kernels.backends import instead
from ckks.kernels.interface import Kernels
from ckks.kernels.recording import LOOPS, Recorder, kind
from ckks.kernels.threads import alone

__all__ = ["Sampler", "sampling"]


@dataclass
class _Tally:
    """Calls of one kind: how many there were, how many of them were carried out, and the seconds of those."""

    calls: int = 0
    done: int = 0
    seconds: float = 0.0


class Sampler:
    """A kernel source; made by `sampling`.

    Args:
        budget: seconds of kernels after which only the first call of a kind is carried out.
        context: what calls are carried out in: that of the code around the with block.
    """

    name = "sampler"
    smallest_n = 1

    def __init__(self, budget: float, context: Context) -> None:
        """Begin with nothing done."""
        self._left, self._context = budget, context
        self._skipped = Recorder()
        self._tallies: dict[Any, _Tally] = {}
        self._inside = self._total = 0.0

    @property
    def seconds(self) -> float:
        """How long the with block would have taken, had every call been carried out."""
        kernel_time = sum(one.calls * one.seconds / one.done for one in self._tallies.values())
        return self._total - self._inside + kernel_time

    def describe(self) -> dict[str, Any]:
        """Return facts, as every source does."""
        return {"variant": "computes some of it"}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a call that is carried out, or not."""
        function, skip = getattr(kernels, name), getattr(self._skipped, name)  # AttributeError for what is no kernel

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            key = kind(name, arguments)
            tally = self._tallies.get(key) or self._tallies.setdefault(key, _Tally())
            tally.calls += 1
            if self._left > 0 or not tally.done:
                begin = time.perf_counter()
                result = self._context.run(function, *arguments)
                took = time.perf_counter() - begin
                tally.done += 1
                tally.seconds += took
                self._left -= took
            else:
                result = skip(*arguments)
                # Pages that nobody has written to would be asked for by a call that is timed; and words have to be
                # residues, for calls that look at them.
                (arguments[-1] if name in LOOPS else result).fill(0)
            self._inside += time.perf_counter() - start
            return result

        return call


@contextmanager
def sampling(budget: float) -> Iterator[Sampler]:
    """Carry out kernel calls of this thread (or task) for about `budget` seconds, and of each kind one at least."""
    sampler = Sampler(budget, copy_context())
    with instead(cast(Kernels, sampler)), alone():
        start = time.perf_counter()
        try:
            yield sampler
        finally:
            sampler._total = time.perf_counter() - start
