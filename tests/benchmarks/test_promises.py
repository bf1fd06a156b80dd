"""The table of promises names exactly the tests that report figures for them: read from their source, nothing is run."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.promises.listed import GROUPS

ROOT = Path(__file__).resolve().parents[2]
ROWS = {promise.name: promise for _, promises in GROUPS for promise in promises}


def reporting() -> dict[str, set[str]]:
    """Name of a promise -> the files in which a test calls `figure(NAME, ...)`."""
    found = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "figure":
                found[ast.literal_eval(node.args[0])].add(str(path.relative_to(ROOT)))
    return dict(found)


REPORTING = reporting()


@pytest.mark.parametrize("name", sorted({*ROWS, *REPORTING}))
def test_a_row_names_the_tests_that_report_for_it(name):
    assert name in ROWS, f"{sorted(REPORTING[name])} report for a promise that is not in the table"
    listed = {word for word in ROWS[name].tests.split() if word.startswith("tests/")}
    assert all((ROOT / path).is_file() for path in listed), listed
    assert REPORTING.get(name, set()) <= listed, "add these to benchmarks/promises/listed.py"


def test_promises_are_those_of_the_page():
    assert [*ROWS] == [
        f"{group}{k}" for group, last in (("L", 16), ("W", 10), ("S", 17), ("P", 7)) for k in range(1, last + 1)
    ]
