"""What pages, docstrings and comments call by its full name is there: `ckks.ring.RNSBasis`, `churn/hosting/app.py`.

A module that moves takes its name along; this finds the sentences that stayed behind.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest
from test_references import FILES, ROOT, prose_of_python

NAME = re.compile(r"(?<![\w./-])((?:ckks|churn|benchmarks)(?:\.[A-Za-z_]\w*)+)")
PATH = re.compile(r"(?<![\w./-])((?:ckks|churn|benchmarks|native|docs|examples)/[\w/-]*\w(?:\.\w+)?)(?![\w/*<{@-])")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
NO_PLACES = {"ckks._native", "benchmarks.NAME", "benchmarks.peers.workers.NAME", "churn.json", "ckks/numba"}
"""Placeholders, and what a build or a run writes."""


def prose(path: Path) -> str:
    """The sentences of a page or a module; of a page not its programs, which tests run anyway."""
    text = path.read_text()
    return "\n".join(prose_of_python(text)) if path.suffix == ".py" else FENCE.sub("", text)


@cache
def exists(name: str) -> bool:
    """Whether a dotted name is a module of this tree, or an attribute of one, of a class of one, and so on."""
    parts = name.split(".")
    length = max(n for n in range(len(parts) + 1) if _is_module(parts[:n]))
    return length > 0 and _has(importlib.import_module(".".join(parts[:length])), parts[length:])


def _is_module(parts: list[str]) -> bool:
    place = ROOT.joinpath(*parts)
    return place.is_dir() or place.with_suffix(".py").is_file()


def _has(found: object, rest: list[str]) -> bool:
    for part in rest:
        if part in getattr(found, "__dataclass_fields__", ()) or part in getattr(found, "__annotations__", ()):
            return True
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


PROSE = [path for path in (*FILES, ROOT / "README.md") if path.suffix in (".py", ".md") and path.name != "__main__.py"]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_paths_are_there(path):
    text = prose(path)
    lost = [name for name in NAME.findall(text) if name not in NO_PLACES and not exists(name)]
    lost += [name for name in PATH.findall(text) if name not in NO_PLACES and not (ROOT / name).exists()]
    assert not lost, f"{path.name} names what is not there: {sorted(set(lost))}"


@pytest.mark.parametrize(
    ("text", "names", "paths"),
    [
        ("see `ckks.ring.RNSBasis`.", ["ckks.ring.RNSBasis"], []),
        ("in ckks/vector.py, or (native/src)", [], ["ckks/vector.py", "native/src"]),
        ("https://host/ckks/x and my.ckks.y", [], []),
        ("tests/kernels/compare.py", [], []),
    ],
)
def test_what_counts_as_a_name(text, names, paths):
    assert (NAME.findall(text), PATH.findall(text)) == (names, paths)


def test_what_is_not_there_is_found():
    for name in ("ckks.ring.RNSBasis.moduli", "ckks.circuits.polynomials", "ckks.plan", "ckks.rlwe.Ciphertext.level"):
        assert exists(name), name
    for name in ("ckks.circuits.powers", "ckks.ring.RNSBasis.none", "churn.matching", "ckks.linear.none"):
        assert not exists(name), name
