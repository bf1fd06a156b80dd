"""The document as one Markdown table."""

from __future__ import annotations

from benchmarks.aims.document import Document, Row
from benchmarks.aims.targets import RECORDED
from benchmarks.pages import table

HEADER = (
    "aim",
    "operation",
    "parameters",
    "unit",
    "aimed at",
    "derived from",
    "best",
    "median",
    "median / aim",
    "kernels",
    "",
)
"""The last column is for remarks."""


def markdown(document: Document) -> str:
    """Return heading and table."""
    machine = document.machine
    heading = (
        f"{machine['processor']}, {machine['date']}, ckks {machine['ckks']}, Python {machine['python']}, one thread unless "
        f"a row says two. Clock: {machine['clock_ns']['start']:.1f} ns a step at the start, "
        f"{machine['clock_ns']['end']:.1f} at the end. Made by `python -m benchmarks.aims`.\n\n"
        f"The aims, and the other libraries' figures they were derived from, were recorded on {RECORDED}; best, median and kernels "
        "are of the machine above. Best is the minimum of times and ratios, the maximum of rates and speedups. What is "
        "compared in a row was sampled in turn, and the ratio is taken round by round. Bold: the median reaches the aim."
    )
    return heading + "\n\n" + table(HEADER, map(_cells, document.rows))


def _cells(row: Row) -> list[str]:
    target = row.target
    aimed = "" if target is None else f"{'≥' if target.at_least else '≤'} {_number(target.limit)}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return [
        row.aim,
        row.operation,
        row.parameters,
        row.unit,
        aimed,
        "" if target is None else target.others,
        _number(row.best),
        _number(row.median),
        f"**{ratio}**" if row.met else ratio,
        row.runs,
        row.note,
    ]


def _number(value: float | None) -> str:
    """Return a positive number to three digits, without an exponent where it is large."""
    if value is None:
        return ""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
