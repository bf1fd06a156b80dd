"""Every numbered example runs, checks its own results, and the custom schemes use the lower layers only."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBERED = sorted(EXAMPLES.glob("[0-9]_*.py"))


def test_there_are_examples() -> None:
    assert [path.name[0] for path in NUMBERED] == list("12345678")


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", [p for p in NUMBERED if p.name[0] in "678"], ids=lambda path: path.stem)
def test_custom_schemes_import_only_ring_and_rlwe(path: Path) -> None:
    allowed = {"ckks.ring", "ckks.rlwe", "ckks.rlwe.secret", "ckks.kernels"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ckks":
            names = {f"ckks.{a.name}" for a in node.names} if node.module == "ckks" else {node.module}
            assert names <= allowed, f"{path.name} imports {names - allowed}"
        if isinstance(node, ast.Import):
            assert not any(a.name.split(".")[0] == "ckks" for a in node.names)


def test_runs_as_a_command() -> None:
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / "6_rlwe_by_hand.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )
    assert result.returncode == 0, result.stderr
