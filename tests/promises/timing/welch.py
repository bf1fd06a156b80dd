"""Do two kinds of input take the same time? Welch's t over interleaved runs, as in dudect.

The method of Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?" (DATE 2017): every run draws its
class at random, only the call itself is timed, and t is taken for all times and for those below several percentiles,
since the long tail (interrupts, other processes) hides small differences. Under equal means abs(t) > 4.5 has a
probability of about 7e-6.

Three precautions of our own. Inputs of both classes are copied into the same memory before the clock starts, from
pools of the same size: otherwise a class whose input is always the same object finds it in the cache. The pools
themselves change their places now and then, since reading from one address or another leaves another cache behind:
after 10^5 runs that alone shows, as 20 ns of 25 us. And the percentiles are of both classes together, so that a crop cannot prefer one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LIMIT = 4.5
ATTEMPTS = 3
CROPS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)
"""Percentiles; the last keeps every time."""

MOVE_EVERY = 500

Times = NDArray[np.float64]


def interleaved(
    prepare: Sequence[Callable[[int], object]],
    call: Callable[[], object],
    runs: int,
    *,
    pool: int,
    seed: int = 1,
    move: Callable[[], object] = lambda: None,
) -> list[Times]:
    """Return the nanoseconds of `call` for each class, about `runs` of them together.

    prepare[c](i) makes ready the i-th input (0 <= i < pool) of class c, and move() gives the pools other places, once
    in MOVE_EVERY runs; neither is timed.
    """
    values = np.random.default_rng(seed)
    order, picks = values.integers(len(prepare), size=runs).tolist(), values.integers(pool, size=runs).tolist()
    spent = np.empty(runs)
    clock = time.perf_counter_ns
    for kind in range(len(prepare)):  # caches, compiled code, allocations
        for i in range(3):
            prepare[kind](i % pool)
            call()
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for k, (kind, i) in enumerate(zip(order, picks, strict=True)):
            if k % MOVE_EVERY == 0:
                move()
            prepare[kind](i)
            start = clock()
            call()
            spent[k] = clock() - start
    finally:
        if collecting:
            gc.enable()
    classes = np.array(order)
    return [spent[classes == kind] for kind in range(len(prepare))]


def welch(x: Times, y: Times) -> float:
    """Return Welch's t; infinite where a crop left nothing of one class, 0 where neither varies and both agree."""
    if min(len(x), len(y)) < 2:
        return float("inf") if len(x) < len(y) else float("-inf")
    spread = x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y)
    difference = float(x.mean() - y.mean())
    return difference / float(np.sqrt(spread)) if spread else float("inf") * (difference != 0)


@dataclass(frozen=True)
class Comparison:
    """The t of each crop, in the order of CROPS, and what it was made of."""

    t: tuple[float, ...]
    runs: int
    median_ns: float
    difference_ns: float

    @classmethod
    def of(cls, x: Times, y: Times) -> Comparison:
        """Compare two classes of times."""
        both = np.concatenate([x, y])
        found = []
        for crop in CROPS:
            limit = np.percentile(both, crop)
            found.append(welch(x[x <= limit], y[y <= limit]))
        return cls(tuple(found), len(both), float(np.median(both)), float(np.median(x) - np.median(y)))

    @property
    def worst(self) -> float:
        """The t of largest size."""
        return max(self.t, key=abs)

    def __str__(self) -> str:
        """Print the figure: the worst, then every crop."""
        crops = ", ".join(f"{p:g} %: {t:+.1f}" for p, t in zip(CROPS, self.t, strict=True))
        return (
            f"worst t {self.worst:+.2f} ({crops}); {self.runs:,} runs of {self.median_ns / 1e3:.1f} us, "
            f"medians {self.difference_ns:+.0f} ns apart"
        )


def settled(measure: Callable[[int], list[Comparison]]) -> list[list[Comparison]]:
    """Measure, with another seed each time, until all comparisons are within the limit; return all that were made.

    At most ATTEMPTS: what a neighbour on the machine does for a moment goes away, a difference stays.
    """
    found: list[list[Comparison]] = []
    while len(found) < ATTEMPTS and (not found or any(abs(c.worst) >= LIMIT for c in found[-1])):
        found.append(measure(len(found) + 1))
    return found


def told(found: Sequence[Comparison]) -> str:
    """Print the last of several comparisons, and the worst t of those before it."""
    before = ", ".join(f"{c.worst:+.1f}" for c in found[:-1])
    return str(found[-1]) + (f"; measured again after {before}" if before else "")
