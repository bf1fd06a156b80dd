"""Every snippet of docs/tour.md runs, on the reference kernels, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from ckks import kernels

TOUR = Path(__file__).parents[1] / "docs" / "tour.md"
TEXT = TOUR.read_text()
SNIPPET = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
SNIPPETS = [
    pytest.param(m[1], m[2], id=f"line {TEXT.count(chr(10), 0, m.start()) + 1}") for m in SNIPPET.finditer(TEXT)
]
STOPS = re.split(r"^## (?=\d)", TEXT.partition("\n## Where next")[0], flags=re.MULTILINE)[1:]


@pytest.mark.parametrize(("code", "output"), SNIPPETS)
def test_a_snippet_prints_what_the_page_says(code, output):
    assert output is not None, "a snippet without its output"
    printed = io.StringIO()
    with kernels.use("reference"), contextlib.redirect_stdout(printed):
        exec(compile(code, str(TOUR), "exec"), {"__name__": "snippet"})
    assert printed.getvalue() == output


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.split("\n")[0])
def test_a_stop_has_a_snippet_an_exercise_and_a_solution(stop):
    assert stop.count("**Exercise.**") == 1
    assert stop.count("<details><summary>Solution</summary>") == stop.count("</details>") == 1
    before_exercise = stop.partition("**Exercise.**")[0]
    assert before_exercise.count("```python\n") + before_exercise.count("<!-- snippet to be written") == 1


def test_the_stops_are_numbered_and_the_table_leads_to_each():
    titles = [stop.split("\n")[0] for stop in STOPS]
    assert [int(title.split(".")[0]) for title in titles] == list(range(1, 12))
    for title in titles:
        anchor = re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        assert f"(#{anchor})" in TEXT
