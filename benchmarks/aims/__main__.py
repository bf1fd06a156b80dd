"""Command line: `python -m benchmarks.aims --help`."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import ckks
from benchmarks.aims import report
from benchmarks.aims.cases import CASES, measure
from benchmarks.aims.document import Document
from benchmarks.aims.measure import Context, runs
from benchmarks.aims.targets import RECORDED, TITLES
from benchmarks.machine import clock, processor
from benchmarks.pages import ROOT, replace_between, write_between
from benchmarks.peers.__main__ import interpreters
from benchmarks.peers.errors import UsageError
from benchmarks.peers.run import Effort
from ckks import kernels

PAGE = ROOT / "docs" / "performance.md"
MARKS = "<!-- table: python -m benchmarks.aims --write -->", "<!-- end of aims -->"


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.aims",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Measure every aim of this library on this machine and print one table.\n\n"
            f"The aims were set on {RECORDED}, from what other libraries need there;\n"
            "the column median / aim says how far this machine with these kernels is from them.\n"
            "Set CKKS_BACKEND to measure other kernels than the best of this machine."
        ),
        epilog="aims:\n" + "\n".join(f"  {aim:4} {title}" for aim, title in TITLES.items()),
    )
    made.add_argument(
        "--only", nargs="+", metavar="AIM", type=str.upper, choices=tuple(CASES), default=list(CASES), help="a subset"
    )
    made.add_argument("--seconds", type=float, default=1.0, help="least time for each thing that is timed (default 1)")
    made.add_argument("--rounds", type=int, default=5, help="least number of samples of each (default 5)")
    made.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="NAME=INTERPRETER",
        help="run another library under another interpreter: seal-python=PATH (T11)",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write all samples as JSON")
    made.add_argument("--write", action="store_true", help="put the table, of all aims, into docs/performance.md")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 when a measurement failed."""
    command = parser()
    options = command.parse_args(arguments)
    if options.seconds < 0 or options.rounds < 1:
        command.error("needed --seconds of 0 or more, and --rounds of 1 or more")
    if options.write and set(options.only) != set(CASES):
        command.error("--write replaces the whole table: leave out --only")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        command.error(f"--json {options.json}: there is no such folder")
    try:  # before, and not after, some minutes of measuring
        pythons = interpreters(options.python)
        if options.write:
            replace_between(PAGE.read_text(encoding="utf-8"), MARKS, "")
    except (UsageError, OSError, ValueError) as error:
        command.error(str(error))
    kernels.warmup()
    document = Document(
        {
            "processor": processor(),
            "system": platform.system(),
            "date": datetime.date.today().isoformat(),
            "python": platform.python_version(),
            "ckks": ckks.__version__,
            "kernels": runs(),
            "clock_ns": {"start": clock()},
        }
    )
    wanted = [aim for aim in CASES if aim in options.only]
    document.rows = measure(wanted, Context(Effort(options.seconds, options.rounds), say, pythons))
    document.machine["clock_ns"]["end"] = clock()
    text = report.markdown(document)
    print(text)
    if options.json is not None:
        options.json.write_text(json.dumps(document.as_json(), indent=1) + "\n", encoding="utf-8")
    if options.write:
        write_between(PAGE, MARKS, text)
    return int(any(row.failed for row in document.rows))


if __name__ == "__main__":
    sys.exit(main())
