"""Command line: `python -m benchmarks.peers --help`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Screen

from benchmarks.pages import DOCS, write_between
from benchmarks.peers import report
from benchmarks.peers.document import Document
from benchmarks.peers.errors import PeersError, UsageError
from benchmarks.peers.registry import OURS, PEERS
from benchmarks.peers.run import Effort, measure
from benchmarks.peers.workload import CASES

PAGE = DOCS / "peers.md"
MARKS = "<!-- table: python -m benchmarks.peers --write -->", "<!-- end of peers -->"


def interpreters(pairs: list[str]) -> dict[str, str]:
    """Return {library: interpreter} of NAME=PATH pairs; raise UsageError for an unknown name or a missing file."""
    known = [entry.name for entry in (OURS, *PEERS)]
    found = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--python {pair!r}; needed NAME=INTERPRETER, NAME one of {', '.join(known)}")
        program = shutil.which(path)
        if program is None:
            raise UsageError(f"--python {pair!r}: no program {path!r}; give the path of a Python interpreter")
        found[name] = str(Path(program).absolute())
    return found


def chosen(names: str) -> list[str]:
    """Return the sets of a comma-separated list; raise UsageError for an unknown one."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in CASES]
    if unknown or not wanted:
        raise UsageError(f"no set {', '.join(unknown) or '(none given)'}; there are {', '.join(CASES)}")
    return wanted


def show(document: Document) -> None:
    """Print the tables to the terminal."""
    console = Console(width=None if Console().is_terminal else 200)
    console.print(report.heading(document), markup=False)
    for table in report.tables(document):
        screen = Screen(*table.header, title=table.title, title_justify="left")
        for row in table.rows:
            screen.add_row(*row)
        console.print(screen, markup=False)
        for note in table.notes:
            console.print(note, markup=False)


def main(
    sets: Annotated[
        str, typer.Option(help="Comma-separated: N12 to N15 operations, R13 and R14 regression.")
    ] = ",".join(CASES),
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that each library may use.")] = 1,
    python: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=INTERPRETER", help="Run a library under another interpreter; may be repeated."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Least time per operation and library.")] = 1.0,
    rounds: Annotated[int, typer.Option(min=1, help="Least number of rounds.")] = 7,
    write_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all samples as JSON.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the tables into docs/peers.md.")] = False,
) -> None:
    """Measure this library beside seal-python, TenSEAL and OpenFHE, as far as they are installed.

    Same ring degree, levels, scale, security and secret distribution; each library in a process of its own; samples
    alternate. An absent library is reported with the line that installs it. Progress goes to stderr.
    """
    log = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        document = measure(
            chosen(sets),
            PEERS,
            pythons=interpreters(python or []),
            threads=threads,
            effort=Effort(seconds, rounds),
            say=lambda line: log.print(line, markup=False),
        )
    except PeersError as error:
        log.print(f"{type(error).__name__}: {error}", markup=False)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
    if write_json is not None:
        write_json.write_text(json.dumps(document.as_json(), indent=1) + "\n", encoding="utf-8")
    if write:
        write_between(PAGE, MARKS, report.markdown(document))
    show(document)


if __name__ == "__main__":
    typer.run(main)
