"""What begins with an underscore stays in its module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import churn

ROOT = Path(churn.__file__).parent


def private_uses(source: str) -> Iterator[str]:
    """Private names of other churn modules: imported, or reached through an imported module."""
    tree = ast.parse(source)
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "churn"):
            modules |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            name = node.attr
            if name.startswith("_") and not name.endswith("__"):
                yield f"{node.value.id}.{name}"


def test_no_module_uses_private_names_of_another() -> None:
    paths = sorted(ROOT.rglob("*.py"))
    assert len(paths) > 60
    found = {str(path.relative_to(ROOT)): list(private_uses(path.read_text(encoding="utf-8"))) for path in paths}
    assert not {path: names for path, names in found.items() if names}


def test_it_would_notice() -> None:
    source = (
        "from churn.a import _b, c\nfrom churn import d as e\nfrom . import f\nx = e._g + f._h + c.__doc__ + self._i"
    )
    assert sorted(private_uses(source)) == ["_b", "e._g", "f._h"]
