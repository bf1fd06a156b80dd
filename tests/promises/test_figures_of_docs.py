"""P6: figures in README and docs stand between marks that name the script they come from, and what does not depend on
a machine is computed again here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import ckks
from ckks.scheme import PRESETS
from ckks.scheme.serialization import ciphertext_length, evaluation_keys_length

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DRIFT = 0.10

BLOCK = re.compile(r"<!-- table: python -m (\S+) --write -->\n(.*?)<!-- end of \w+ -->", re.DOTALL)
FIGURE = re.compile(r"^\|.*\d\.\d\d? \(|^\|.*\b\d[\d,]*(\.\d+)? (ms|us|µs|MiB|rows/s)\b", re.MULTILINE)


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- table:" in (ROOT / page).read_text(encoding="utf-8")])
def test_tables_of_figures_come_from_scripts(page):
    """Outside of marked blocks no table holds measured figures; every block names a module that is there."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert blocks
    for module, content in blocks:
        assert importlib.util.find_spec(module) is not None, f"{page} names {module}"
        assert content.strip(), f"the table of {module} in {page} is empty: run python -m {module} --write"
    if page == "README.md":
        assert FIGURE.findall("".join(content for _, content in blocks)), "the pattern knows a figure when it sees one"
        assert FIGURE.findall(BLOCK.sub("", text)) == []


def near(found: float, stated: float) -> bool:
    return abs(found - stated) <= DRIFT * stated


def test_sizes_of_the_parameter_sets():
    """Of the presets: MiB of a ciphertext, a public key and a switching key in memory."""
    rows = re.findall(r"^\| (S\d\d) \| (.*?) \| ([\d.]+) MiB \| ([\d.]+) MiB \| ([\d.]+) MiB \|$", README, re.MULTILINE)
    assert len(rows) >= 3
    for name, described, *stated in rows:
        assert name in PRESETS
        params = ckks.CKKSParams.preset(name)
        assert described == str(params)
        sizes = params.sizes()
        for kind, figure in zip(("ciphertext", "public_key", "switching_key"), stated, strict=True):
            assert near(sizes[kind] / 2**20, float(figure)), (name, kind)


def test_bytes_beside_other_libraries(figure):
    """Our column of stored bytes follows from the parameters of each case."""
    workload = pytest.importorskip("benchmarks.peers.workload", reason="needs the source tree")
    ours = pytest.importorskip("benchmarks.peers.workers.ours", reason="needs the source tree")
    compared = 0
    page = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    for name, case in workload.CASES.items():
        section = re.search(rf"^\*\*{name}: N = .*?(?=^\*\*|\Z)", page, re.MULTILINE | re.DOTALL)
        if case.is_regression or section is None:
            continue
        params = ours.parameters_of(case)
        lengths = {
            "bytes of a ciphertext": ciphertext_length(params),
            "bytes of the relinearisation key": evaluation_keys_length(params, relin=True),
        }
        for label, found in lengths.items():
            stated = re.search(rf"^\| {label} \| ([\d,]+) \|", section.group(), re.MULTILINE)
            assert stated, (name, label)
            assert near(found, float(stated.group(1).replace(",", ""))), (name, label)
            compared += 1
    assert compared >= 6
    figure("P6", f"{compared} stored sizes and the sizes of 3 presets in the documents computed again: all within 10 %")
