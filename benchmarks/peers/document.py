"""What a run found, as plain data: the JSON file, and what the report reads."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass
class Figure:
    """One operation of one library in one parameter set.

    milliseconds  one number per round, of one call
    bits          -log2 of the largest error of the result, None where the operation has no error of its own
    """

    milliseconds: list[float]
    bits: float | None = None

    @property
    def minimum(self) -> float:
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        return statistics.median(self.milliseconds)


def ratio(figure: Figure, ours: Figure) -> float:
    """Return the median over rounds of (their time / our time): above 1, ours is faster.

    Both stood side by side in each round, so a slow spell of the machine is in both.
    """
    pairs = zip(figure.milliseconds, ours.milliseconds, strict=True)
    return statistics.median(theirs / our for theirs, our in pairs)


def bits_of(error: float | None) -> float | None:
    """Return -log2 of an error; None without one, or where it is exactly zero."""
    return None if not error else -math.log2(error)


@dataclass
class Found:
    """One parameter set: figures by operation and library, and what each library said of itself."""

    case: dict[str, Any]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class Document:
    """A whole run.

    libraries  name -> {licence, install, and either version, runs, python, threads, or absent}
    clock      nanoseconds per step of `machine.clock` at the start and at the end
    """

    machine: dict[str, Any]
    libraries: dict[str, dict[str, Any]]
    threads: int
    clock: dict[str, float]
    sets: list[Found] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the document with the derived numbers written out: minimum, median, ratio to ours."""
        data = {"format": FORMAT, **asdict(self)}
        for found, written in zip(self.sets, data["sets"], strict=True):
            for operation, figures in found.figures.items():
                ours = figures.get("ckks")
                for name, figure in figures.items():
                    target = written["figures"][operation][name]
                    target["minimum"], target["median"] = figure.minimum, figure.median
                    target["ratio"] = None if ours is None else ratio(figure, ours)
        return data
