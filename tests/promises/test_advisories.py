"""P5: the page of past defects has all its parts, and what it points to is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "advisories.md").read_text(encoding="utf-8")
SECTIONS = {
    title: body for title, body in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
SEVERITIES = {"critical", "high", "medium", "low"}


def rows(section: str) -> list[list[str]]:
    """Cells of the table in a section, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


DEFECTS = rows("Defects")


def test_every_defect_has_number_severity_versions_and_fix(figure):
    assert [row[0] for row in DEFECTS] == [str(i + 1) for i in range(len(DEFECTS))]
    for number, severity, what, affected, fix in DEFECTS:
        assert severity in SEVERITIES, number
        assert what and affected and fix, number
    figure(
        "P5",
        f"{len(DEFECTS)} past defects listed, {len(rows('Security notions that are not given'))} notions not given",
    )


def test_severities_are_defined():
    assert {row[0] for row in rows("What severity means here")} == SEVERITIES


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|ckks)/[\w/]+\.py)`", PAGE))))
def test_what_fixes_point_to_is_there(path):
    assert (ROOT / path).is_file()


def test_commits_are_of_this_history():
    """Hashes that nobody can look up would be no information."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and the history")
    named = sorted(set(re.findall(r"\b[0-9a-f]{7}\b", SECTIONS["Defects"])))
    assert named
    shallow = subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True)
    if shallow.stdout.strip() != "false":
        pytest.skip("a shallow clone has no history to look in")
    for commit in named:
        done = subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True)
        assert done.returncode == 0, commit


def test_reports_have_a_private_address():
    text = SECTIONS["Reporting"]
    assert "privately" in text and "security advisory" in text
    assert "@" not in text, "an address that nobody reads is worse than none"


@pytest.mark.parametrize("notion", ["IND-CPA^D", "IND-CCA", "Verifiable", "Circuit privacy", "Forward secrecy"])
def test_what_is_not_given_is_said(notion):
    assert any(row[0].startswith(notion) and row[1] for row in rows("Security notions that are not given"))


def test_the_readme_leads_here():
    assert "docs/advisories.md" in (ROOT / "README.md").read_text(encoding="utf-8")
