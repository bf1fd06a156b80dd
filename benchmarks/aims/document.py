"""What a run found, as plain data: rows of the table, and the JSON file."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.aims.targets import RECORDED, Target

FORMAT = 1


@dataclass(frozen=True)
class Row:
    """One figure.

    aim         T1 .. T15
    operation   what was measured
    parameters  N, limbs, digits, log2 QP
    unit        us, ms, x (a ratio), rows/s, bits, MB
    samples     one number per round; empty where there was nothing to measure, and `note` says why
    runs        which kernels ran
    target      the aim, or None where the row stands for comparison only
    rate        larger is better, so `best` is the largest sample
    """

    aim: str
    operation: str
    parameters: str
    unit: str
    samples: list[float]
    runs: str
    target: Target | None = None
    note: str = ""
    rate: bool = False
    failed: bool = False

    @property
    def best(self) -> float | None:
        """The least time or the largest rate."""
        return (max if self.rate else min)(self.samples, default=None)

    @property
    def median(self) -> float | None:
        return statistics.median(self.samples) if self.samples else None

    @property
    def ratio(self) -> float | None:
        """Median over aim."""
        return None if self.median is None or self.target is None else self.median / self.target.limit

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the aim; None where there is nothing to compare."""
        return None if self.median is None or self.target is None else self.target.met_by(self.median)


@dataclass
class Document:
    """A whole run: `machine` says where and when, `rows` what."""

    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the document with the derived numbers written out."""
        rows = [
            {**asdict(row), "best": row.best, "median": row.median, "ratio": row.ratio, "met": row.met}
            for row in self.rows
        ]
        return {"format": FORMAT, "machine": self.machine, "aims_recorded_on": RECORDED, "rows": rows}
