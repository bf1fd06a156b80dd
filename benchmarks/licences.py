"""List what an installation consists of, with versions and licences: `python -m benchmarks.licences [--write]`.

Read from the metadata of the packages installed here, dependencies of dependencies included; --write puts the table
into docs/dependencies.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from benchmarks.pages import DOCS, write_between
from benchmarks.pages import table as markdown

PAGE = DOCS / "dependencies.md"
MARKS = "<!-- table: python -m benchmarks.licences --write -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Row:
    """One installed package; `needed_by` names what pulls it in."""

    name: str
    version: str
    licence: str
    needed_by: str


def plain(name: str) -> str:
    """Return a name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(about: Any) -> str:
    """Return the licence that a package's metadata states: expression, classifiers, or the first line of its text."""
    expression = about.get("License-Expression")
    if expression:
        return str(expression)
    classified = [c.rsplit(" :: ", 1)[-1] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    classified = [c for c in classified if c != "OSI Approved"]
    if classified:
        return ", ".join(classified)
    text = (about.get("License") or "").strip()
    return text.splitlines()[0][:80] if text else ""


def collect(extras: Iterable[str], root: str = "ckks") -> list[Row]:
    """Return the packages that `root` with some extras needs, in order of name, without `root` itself."""
    found: dict[str, Row] = {}
    pending = [(root, frozenset(extras), "")]
    visited: set[tuple[str, frozenset[str]]] = set()
    while pending:
        name, wanted, parent = pending.pop(0)
        if (plain(name), wanted) in visited:
            continue
        visited.add((plain(name), wanted))
        distribution = metadata.distribution(name)
        if parent:
            row = Row(distribution.name, distribution.version, licence_of(distribution.metadata), parent)
            found.setdefault(plain(name), row)
        for line in sorted(distribution.requires or []):
            need = Requirement(line)
            environments = [{"extra": extra} for extra in sorted(wanted) or [""]]
            if need.marker is None or any(need.marker.evaluate(e) for e in environments):
                pending.append((need.name, frozenset(need.extras), distribution.name))
    return [found[name] for name in sorted(found)]


def table(rows: list[Row]) -> str:
    """Format the list as Markdown."""
    return markdown(
        ["package", "version", "licence", "needed by"],
        ([r.name, r.version, r.licence or "not stated", r.needed_by] for r in rows),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.licences", description=__doc__)
    parser.add_argument("--extras", nargs="*", default=["churn"], help="groups of pyproject.toml to include")
    parser.add_argument("--write", action="store_true", help="put the table into docs/dependencies.md")
    options = parser.parse_args()
    text = table(collect(options.extras))
    print(text)
    if options.write:
        write_between(PAGE, MARKS, text)


if __name__ == "__main__":
    main()
