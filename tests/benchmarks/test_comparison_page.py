"""The page on comparisons shows what the command behind it computes; its measured part is left alone."""

from __future__ import annotations

import pytest

pytest.importorskip("typer")

from benchmarks.comparison import (
    DEPTH_TITLES,
    DEPTHS,
    PAGE,
    USES,
    depths,
    key_switches,
    markdown,
    operations,
    use_titles_of,
)
from ckks.circuits.comparison.composite import minimax_composite

BITS, ERROR = [8, 12, 16], 2.0**-20


def between(marks: tuple[str, str]) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.split(marks[0])[1].split(marks[1])[0].strip()


def test_tables_are_those_of_the_command():
    assert between(DEPTHS) == markdown(DEPTH_TITLES, depths(BITS, ERROR))
    assert between(USES) == markdown(use_titles_of(BITS), operations(BITS, ERROR))


@pytest.mark.parametrize("bits", BITS)
def test_products_are_counted_at_levels_that_exist(bits):
    """All key switches of the composite, from the level of its argument down to one above that of its result."""
    c = minimax_composite(2.0**-bits, ERROR)
    found = key_switches(c, c.depth)
    assert sum(found.values()) == c.key_switches
    assert max(found) == c.depth and min(found) == 1
