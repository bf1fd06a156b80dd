"""Samples that alternate, so that a slow spell of the machine is in all that is compared."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from benchmarks.peers.protocol import Operation, sample
from benchmarks.peers.run import SAMPLE_SECONDS, Effort, Say
from benchmarks.peers.worker import Worker
from ckks import kernels

Call = Callable[[], object]
Sampler = Callable[[int], float]
"""Runs something so many times and returns the seconds of one."""


@dataclass(frozen=True)
class Context:
    """What every case is given.

    effort   how long to measure
    say      where progress goes
    pythons  library -> interpreter, for workers of other libraries
    """

    effort: Effort
    say: Say
    pythons: Mapping[str, str] = field(default_factory=dict)


def local(call: Call, *under: Callable[[], AbstractContextManager[object]]) -> Sampler:
    """Sample a call in this process, inside the contexts that `under` makes."""

    def run(calls: int) -> float:
        with ExitStack() as stack:
            for make in under:
                stack.enter_context(make())
            return sample(Operation(call), calls)

    return run


def remote(worker: Worker, operation: str) -> Sampler:
    """Sample an operation that a worker has prepared."""

    def run(calls: int) -> float:
        seconds: float = worker.ask("sample", operation=operation, calls=calls)["seconds"]
        return seconds

    return run


def alternate(samplers: Mapping[str, Sampler], effort: Effort) -> dict[str, list[float]]:
    """Return {name: milliseconds of one call, round by round}: one sample of each in every round.

    Short calls are repeated inside a sample. At least `effort.rounds` rounds, for `effort.seconds` each.
    """
    counts = {name: max(1, min(1000, math.ceil(SAMPLE_SECONDS / max(run(1), 1e-9)))) for name, run in samplers.items()}
    found: dict[str, list[float]] = {name: [] for name in samplers}
    end, done = time.perf_counter() + effort.seconds * len(samplers), 0
    while done < effort.rounds or time.perf_counter() < end:
        for name, run in samplers.items():
            found[name].append(1e3 * run(counts[name]))
        done += 1
    return found


def quotients(over: list[float], under: list[float]) -> list[float]:
    """Return the ratio of two series, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def runs(*names: str) -> str:
    """Return backend and variant of the kernels in use, or of the named sources."""
    sources = [kernels.load(name) for name in names] if names else [kernels.active()]
    return " / ".join(f"{source.name} ({source.describe()['variant']})" for source in sources)
