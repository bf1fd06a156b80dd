"""What one core gets from each level of the memory, by the C library's own loops: read, write, copy."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNKNOWN = {2: 2**19, 3: 2**23}
"""Sizes of L2 and L3 where the system does not tell."""

LARGEST = 2**28
"""No buffer is larger; a shared L3 beyond it is not ours anyway."""


@dataclass(frozen=True)
class Bandwidth:
    """GB/s over a buffer of `size` bytes that lies in `place`; copy counts what is read and what is written."""

    place: str
    size: int
    read: float
    write: float
    copy: float


def cache_sizes() -> dict[int, int]:
    """Return {2: bytes of L2, 3: bytes of L3} of the first core."""
    found = dict(UNKNOWN)
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    try:
        for index in CACHES.glob("index*"):
            level, kind = int((index / "level").read_text()), (index / "type").read_text().strip()
            text = (index / "size").read_text().strip()
            if level in found and kind in ("Unified", "Data"):
                found[level] = int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)
    except (OSError, ValueError):
        return dict(UNKNOWN)
    return found


def measure(seconds: float = 0.2) -> list[Bandwidth]:
    """Return what L2, L3 and memory give, each on a buffer of half the cache (memory: four times L3, at most 256 MiB)."""
    sizes = cache_sizes()
    places = {
        "L2": sizes[2] // 2,
        "L3": min(sizes[3] // 2, LARGEST // 8),
        "memory": min(4 * sizes[3], LARGEST),
    }
    return [_measure(place, size, seconds) for place, size in places.items()]


def _measure(place: str, size: int, seconds: float) -> Bandwidth:
    source, target = bytearray(size), bytearray(size // 2)
    from_, to = (ctypes.addressof((ctypes.c_char * len(b)).from_buffer(b)) for b in (source, target))
    half = size // 2
    read = _rate(lambda: source.find(b"\x01"), size, seconds)  # memchr for a byte that is not there
    write = _rate(lambda: ctypes.memset(from_, 0, size), size, seconds)
    copy = _rate(lambda: ctypes.memmove(to, from_, half), 2 * half, seconds)  # both halves fit where one buffer did
    return Bandwidth(place, size, read, write, copy)


def _rate(work: Callable[[], object], count: int, seconds: float) -> float:
    """Return the best GB/s of repeated runs, each long enough for the clock."""
    start = time.perf_counter()
    work()
    once = max(time.perf_counter() - start, 1e-7)
    repeats, best = max(1, int(1e-3 / once)), 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        best = max(best, 1e-9 * count * repeats / (time.perf_counter() - start))
    return best
