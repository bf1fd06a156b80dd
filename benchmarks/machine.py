"""The machine that figures come from: its name, and a clock to compare runs by."""

from __future__ import annotations

import platform
import time
from pathlib import Path

CHAIN_STEPS = 200_000


def processor() -> str:
    """Return the name of the CPU, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def clock(repeats: int = 9) -> float:
    """Return nanoseconds per step of a fixed chain of integer operations in plain Python, the fastest of `repeats`.

    Each step needs the one before, and all fit the first cache: nothing but the clock of the core (and the version of
    Python) changes it. Two runs whose clocks differ by a fifth cannot be compared to better than that.
    """
    best = float("inf")
    for _ in range(repeats):
        state = 1
        start = time.perf_counter()
        for _ in range(CHAIN_STEPS):
            state = (state * 69069 + 1) & 0xFFFFFFFF
        best = min(best, time.perf_counter() - start)
    return 1e9 * best / CHAIN_STEPS
