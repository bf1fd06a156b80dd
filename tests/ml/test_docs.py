"""docs/models.md: its snippets run, one after the other, and print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from ckks.ml import supported

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
SNIPPET = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def test_the_page_prints_what_it_says():
    if not TEXT:
        pytest.skip("not run from the source tree")
    found = SNIPPET.findall(TEXT)
    assert len(found) == TEXT.count("```python") == 4
    space: dict[str, object] = {"__name__": "snippet"}
    for code, output in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), space)
        assert printed.getvalue() == output


def test_the_example_on_top_has_five_lines_of_ours():
    code = SNIPPET.findall(TEXT)[0][0]
    assert len(code.rpartition("\n\n")[2].strip().splitlines()) == 5


@pytest.mark.parametrize(
    "name", ["OneHotEncoder", "ColumnTransformer", "FeatureUnion", "MLPClassifier", "MLPRegressor"]
)
def test_what_the_page_names_is_supported(name):
    assert f"`{name}`" in TEXT and any(name in names for names in supported().values())
