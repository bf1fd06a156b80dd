"""A document as tables: Markdown for docs/peers.md, the same for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks import pages
from benchmarks.peers import recorded
from benchmarks.peers.document import Document, Figure, Found, ratio
from benchmarks.peers.workload import OPERATIONS, STAGES, WAYS

SIZES = {
    "ciphertext": "bytes of a ciphertext",
    "ciphertext_sk": "bytes of a ciphertext (secret key)",
    "relin_key": "bytes of the relinearisation key",
}


@dataclass
class Table:
    """A title, a header, rows of text, and lines below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def tables(document: Document) -> list[Table]:
    """Return everything to be shown, in order."""
    made: list[Table] = [_libraries(document)]
    for found in document.sets:
        made.append(_regression(found) if found.rows.get("ckks") else _operations(found))
        made.append(_parameters(found))
    made.append(
        Table(
            "Libraries that pip cannot install",
            ["operation", *recorded.COLUMNS],
            [[label, *cells] for label, cells in recorded.ROWS.items()],
            [recorded.CONDITIONS],
        )
    )
    return made


def heading(document: Document) -> str:
    """Return the line above everything: what the numbers are and where they come from."""
    machine, clock = document.machine, document.clock
    ours = document.libraries["ckks"]
    return (
        f"Median (minimum) in milliseconds, {document.threads} thread{'s' * (document.threads > 1)}, "
        f"{machine['processor']}, {machine['date']}; ckks runs {ours['runs']}. In each round every library gives one "
        "sample, in turn; × is the median over rounds of its time over ours (above 1: ours is faster); bits are -log2 of "
        f"the largest error of the result. Clock: {clock['start']:.1f} ns a step at the start, {clock['end']:.1f} at the "
        "end. Made by `python -m benchmarks.peers`."
    )


def markdown(document: Document) -> str:
    """Return heading and tables as Markdown."""
    parts = [heading(document)]
    for table in tables(document):
        parts += [f"**{table.title}**", pages.table(table.header, table.rows), *table.notes]
    return "\n\n".join(parts)


def _libraries(document: Document) -> Table:
    rows = []
    for name, facts in document.libraries.items():
        if "absent" in facts:
            rows.append([name, "absent", facts["licence"], "", f"`{facts['install']}`"])
        else:
            rows.append([name, facts["version"], facts["licence"], f"Python {facts['python']}", facts["runs"]])
    return Table("Libraries", ["library", "version", "licence", "interpreter", "runs"], rows)


def _names(found: Found) -> list[str]:
    return [name for name in found.parameters if name not in found.failed]


def _title(found: Found) -> str:
    case = found.case
    return f"{case['name']}: N = 2^{case['log_n']}, {case['depth']} level{'s' * (case['depth'] != 1)}, scale 2^{case['scale_bits']}"


def _operations(found: Found) -> Table:
    names = _names(found)
    rows = []
    for operation, label in OPERATIONS.items():
        figures = found.figures.get(operation, {})
        if figures:
            rows.append([label, *(_cell(figures.get(name), figures.get("ckks"), name) for name in names)])
    for key, label in SIZES.items():
        rows.append([label, *(f"{found.sizes[name][key]:,}" if key in found.sizes[name] else "" for name in names)])
    reasons: dict[str, list[str]] = {}
    for name in names:
        for operation, reason in found.missing[name].items():
            reasons.setdefault(reason, []).append(OPERATIONS[operation])
    notes = [f"Blank: {reason} ({', '.join(what)})." for reason, what in reasons.items()]
    return Table(_title(found), ["operation", *names], rows, notes + _failures(found))


def _cell(figure: Figure | None, ours: Figure | None, name: str) -> str:
    if figure is None:
        return ""
    text = f"{_plain(figure.median)} ({_plain(figure.minimum)})"
    if ours is not None and name != "ckks":
        text += f" ×{ratio(figure, ours):.2f}"
    return text if figure.bits is None else f"{text}, {figure.bits:.1f} bits"


def _regression(found: Found) -> Table:
    rows = []
    for way, label in WAYS.items():
        for name in _names(found):
            stages = [found.figures.get(f"{way}.{stage}", {}) for stage in STAGES]
            if way not in found.rows[name] or not all(name in figures for figures in stages):
                continue
            count = found.rows[name][way]
            cells = []
            for figures in stages:
                text = _rate(count, [figures[name]])
                if name != "ckks" and "ckks" in figures:
                    text += f" ×{ratio(figures[name], figures['ckks']):.2f}"
                cells.append(text)
            bits = stages[1][name].bits
            whole = _rate(count, [figures[name] for figures in stages])
            rows.append([label, name, f"{count}", *cells, whole, "" if bits is None else f"{bits:.1f}"])
    notes = [
        "Rows per second at the median: encode and encrypt 30 features, weighted sum and cubic sigmoid, decrypt and "
        "decode; × is time over ours; bits against the same cubic in the clear. Where a ciphertext holds one row, "
        f"{_few(found)} rows were computed and the rate is extrapolated from them."
    ]
    header = ["layout", "library", "rows", "encrypt", "server", "decrypt", "end to end", "bits"]
    return Table(f"{_title(found)}: encrypted logistic regression", header, rows, notes + _failures(found))


def _rate(rows: int, figures: Iterable[Figure]) -> str:
    """Return rows per second."""
    return _plain(1e3 * rows / sum(figure.median for figure in figures))


def _plain(value: float) -> str:
    """Return a positive number to three digits, without an exponent where it is large."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def _few(found: Found) -> int:
    return min((count for ways in found.rows.values() for count in ways.values()), default=0)


def _failures(found: Found) -> list[str]:
    return [f"Failed: {reason}" for reason in found.failed.values()]


def _parameters(found: Found) -> Table:
    keys = ("N", "levels", "q_bits", "p_bits", "log2_qp", "digits", "log2_scale", "secret", "security")
    header = [
        "library",
        "N",
        "levels",
        "bits of q",
        "bits of p",
        "log2 QP",
        "digits",
        "log2 scale",
        "secret",
        "security",
    ]
    rows = [[name, *(_value(found.parameters[name][key]) for key in keys)] for name in _names(found)]
    return Table(f"{found.case['name']}: parameters", header, rows)


def _value(value: Any) -> str:
    """Return a number, or a list of bits with repetitions counted: 46 + 7 x 40."""
    if not isinstance(value, list):
        return str(value)
    runs: list[list[int]] = []
    for bits in value:
        if runs and runs[-1][0] == bits:
            runs[-1][1] += 1
        else:
            runs.append([bits, 1])
    return " + ".join(str(bits) if count == 1 else f"{count} x {bits}" for bits, count in runs)
