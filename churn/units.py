"""Numbers for readers: with a unit, and no more digits than mean something."""

from __future__ import annotations

import math

__all__ = ["bits_of", "bytes_text", "difference_text", "seconds_text"]


def bits_of(error: float) -> str:
    """Return an error as bits of precision, "17.3 bits"; "exact" for 0."""
    return f"{-math.log2(error):.1f} bits" if error > 0 else "exact"


def difference_text(difference: float) -> str:
    """Return "0", "+0.0012", or "-3.1e-07" where four digits would show nothing."""
    if difference == 0:
        return "0"
    return f"{difference:+.4f}" if abs(difference) >= 0.0005 else f"{difference:+.1e}"


def seconds_text(seconds: float) -> str:
    """Return a duration with a unit that suits it: "740 us", "31 ms", "2.4 s", "3 min 5 s"."""
    if seconds >= 60:
        return f"{int(round(seconds) // 60)} min {round(seconds) % 60} s"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    if seconds >= 0.0009995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us"


def bytes_text(count: int) -> str:
    """Return a size with a decimal unit: "812 B", "4.51 MB"."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
