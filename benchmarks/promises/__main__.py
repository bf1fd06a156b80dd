"""Write the table of docs/security.md: `python -m benchmarks.promises [--write] [FIGURES ...]`.

FIGURES are files that a test run filled with CKKS_FIGURES=FILE; they are added to benchmarks/promises/figures.jsonl,
newer figures of a test in place of its older ones, those of the long tier in place of those of the quick one. From
there the table takes what each promise reached, when, and by which command.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.pages import ROOT, write_between
from benchmarks.promises.listed import GROUPS, Promise

KEPT = Path(__file__).with_name("figures.jsonl")
PAGE = ROOT / "docs" / "security.md"
MARKS = "<!-- table: python -m benchmarks.promises --write -->", "<!-- end of promises -->"

MOST_LINES = 6

Figure = dict[str, str]


def read(path: Path) -> list[Figure]:
    """Return the figures of a file, one JSON object a line."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def merged(runs: list[list[Figure]]) -> list[Figure]:
    """Return the newest figures of each test, of runs in order; those of a long tier stay when a quick one follows."""
    newest: dict[tuple[str, str], list[Figure]] = {}
    for run in runs:
        found: dict[tuple[str, str], list[Figure]] = {}
        for one in run:
            found.setdefault((one["promise"], one["test"]), []).append(one)
        for place, figures in found.items():
            longest = any(one["tier"] == "long" for one in newest.get(place, []))
            if not longest or any(one["tier"] == "long" for one in figures):
                newest[place] = figures
    return [one for figures in newest.values() for one in figures]


def shown(promise: Promise, figures: list[Figure]) -> str:
    """Return one row of the table."""
    mine = sorted((one for one in figures if one["promise"] == promise.name), key=lambda one: one["tier"] != "long")
    lines = list(dict.fromkeys(one["reached"].replace("|", "\\|") for one in mine))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [
            f"and {len(lines) - MOST_LINES + 1} more figures, in `benchmarks/promises/figures.jsonl`"
        ]
    reached = "<br>".join(lines) or "—"
    dates = sorted({one["date"] for one in mine})
    long = any(one["tier"] == "long" for one in mine)
    command = promise.tests
    if command.startswith("tests/"):
        command = "pytest " + ("--slow " if long else "") + command
    kept = "kept" if long else "kept (quick tier)" if mine else "no figure yet"
    state = kept if promise.kept else "**not kept**"
    if promise.remark:
        state += f": {promise.remark}"
    cells = (promise.name, promise.text, reached, state, ", ".join(dates[-1:]), f"`{command}`")
    return "| " + " | ".join(cells) + " |"


def table(figures: list[Figure]) -> str:
    """Return all rows as Markdown."""
    lines = []
    for title, promises in GROUPS:
        lines += [
            f"**{title}**",
            "",
            "| | promise | reached | state | date | command |",
            "|---|---|---|---|---|---|",
            *(shown(promise, figures) for promise in promises),
            "",
        ]
    return "\n".join(lines[:-1])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises", description=__doc__)
    parser.add_argument("figures", nargs="*", type=Path, metavar="FIGURES")
    parser.add_argument("--write", action="store_true", help="put the table into docs/security.md")
    options = parser.parse_args()
    figures = merged([read(path) for path in (KEPT, *options.figures)])
    text = table(figures)
    print(text)
    if options.write:
        KEPT.write_text("".join(json.dumps(one) + "\n" for one in sorted(figures, key=_order)), encoding="utf-8")
        write_between(PAGE, MARKS, text)


def _order(one: Figure) -> tuple[str, int, str]:
    return one["promise"][0], int(one["promise"][1:]), one["test"]


if __name__ == "__main__":
    main()
