"""Measured tables in the project's pages: formatted, and written between two marks that name what made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["DOCS", "README", "ROOT", "replace_between", "table", "write_between"]

ROOT = Path(__file__).resolve().parent.parent
DOCS, README = ROOT / "docs", ROOT / "README.md"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar or a line's end inside a cell stays inside."""
    return "\n".join([_row(heads), "|" + "---|" * len(heads), *map(_row, rows)])


def replace_between(text: str, marks: tuple[str, str], content: str) -> str:
    """Return `text` with what stands between two marks replaced; ValueError unless each is there once, in order."""
    start, end = marks
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"expected {start!r} and then {end!r}, once each; put them where the table belongs")
    before, rest = text.split(start)
    return f"{before}{start}\n{content}\n{end}{rest.split(end)[1]}"


def write_between(page: Path, marks: tuple[str, str], content: str) -> None:
    """Replace what stands between two marks of a page."""
    page.write_text(replace_between(page.read_text(encoding="utf-8"), marks, content), encoding="utf-8")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
