"""Every citation key used in the code or the pages is listed, once, in docs/references.md."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEY = re.compile(r"\[([A-Z][A-Za-z+]*\d\d)\b")
ENTRY = re.compile(r"^- \*\*\[([^\]]+)\]\*\* ", re.MULTILINE)
C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)

LISTED = Counter(ENTRY.findall((ROOT / "docs" / "references.md").read_text()))


def prose_of_python(source: str) -> Iterator[str]:
    """Docstrings, of attributes too (any statement that is only a string), and comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def citations(path: Path) -> set[str]:
    """The keys cited in the prose of a file."""
    text = path.read_text()
    if path.suffix == ".py":
        text = "\n".join(prose_of_python(text))
    elif path.suffix in (".c", ".h"):
        text = "\n".join(C_COMMENT.findall(text))
    return set(KEY.findall(text))


FILES = sorted(
    path
    for folder in ("ckks", "churn", "native", "examples", "tests", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".c", ".h", ".md") and path.name != Path(__file__).name
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_citation_resolves(path):
    unknown = citations(path) - LISTED.keys()
    assert not unknown, f"{path.name} cites {sorted(unknown)}: not in docs/references.md"


def test_keys_are_listed_once():
    assert LISTED
    assert [key for key, count in LISTED.items() if count > 1] == []


def test_the_library_cites_its_sources():
    """Guards the check itself: a pattern that finds nothing would pass every file."""
    cited = set().union(*(citations(path) for path in FILES if "ckks" in path.parts))
    assert {"LN16", "HPS18", "HK19"} <= cited


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""A docstring ([HK19, Alg. 2])."""', {"HK19"}),
        ('x = 1\n"""Of an attribute: [BCC+24, Table 5.2]."""', {"BCC+24"}),
        ("x = 1  # see [Har12]", {"Har12"}),
        ("x = y[A12]", set()),
        ('"""[1] or [Q] or [x_i] or [D/d_i] is no key."""', set()),
    ],
)
def test_what_counts_as_a_citation(source, found):
    assert set(KEY.findall("\n".join(prose_of_python(source)))) == found
