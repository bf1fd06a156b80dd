"""Tables of the pages, and the marks between which they stand."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks.pages import DOCS, README, ROOT, replace_between, table, write_between

MARKS = ("<a>", "<b>")


def test_places() -> None:
    assert README.is_file() and DOCS.is_dir() and (ROOT / "pyproject.toml").is_file()


PROGRAMS = [
    path.relative_to(ROOT).with_suffix("")
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if path.parent.name != "workers"  # each of these needs the library that it measures
]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_program_finds_what_it_imports(program: Path) -> None:
    """Of the library and of the application, whose names may move without anybody running the program."""
    importlib.import_module(".".join(program.parts))


def test_a_table() -> None:
    text = table(["name", ""], [["a", "1"], ["b|c", "two\nlines"]])
    assert text.splitlines() == ["| name |  |", "|---|---|", "| a | 1 |", "| b\\|c | two lines |"]
    assert table(("x",), iter(())) == "| x |\n|---|"


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before <a>\nold\n<b>\nä after\n", encoding="utf-8")
    for _ in range(2):
        write_between(page, MARKS, "new\nlines")
        assert page.read_text(encoding="utf-8") == "before <a>\nnew\nlines\n<b>\nä after\n"


@pytest.mark.parametrize("text", ["", "<b> <a>", "<a> <b> <b>", "<a> <a> <b>", "<a>", "<b>"])
def test_marks_that_are_not_there_once_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="once each"):
        replace_between(text, MARKS, "NEW")
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="once each"):
        write_between(page, MARKS, "NEW")
    assert page.read_text(encoding="utf-8") == text
