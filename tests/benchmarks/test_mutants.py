"""The runner of mutants: what it changes, what it leaves alone, that the list by hand still fits, that it tells life from death."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("benchmarks.mutants", reason="needs the source tree")

from benchmarks.mutants import byhand, c, python, trial
from benchmarks.mutants.__main__ import load, located, unrun
from benchmarks.mutants.judged import EQUIVALENT
from benchmarks.mutants.report import Result, page, rate
from benchmarks.mutants.sample import draw, everything, sample
from benchmarks.mutants.targets import ROOT, TARGETS


def changes(text: str, source=python, path: str = "a.py") -> set[tuple[str, str]]:
    return {(m.operator, m.apply(text)) for m in source.mutations(path, text)}


@pytest.mark.parametrize(
    ("text", "operator", "wanted"),
    [
        ("a < b", "comparison", "a <= b"),
        ("a < b", "comparison", "a > b"),
        ("x = a is not None", "comparison", "x = a is None"),
        ("0 <= a < b", "comparison", "0 < a < b"),
        ("a + 1", "arithmetic", "a - 1"),
        ("x << 3", "arithmetic", "x >> 3"),
        ("a - b", "swapped operands", "(b) - (a)"),
        ("a % q", "swapped operands", "(q) % (a)"),
        ("x = 4", "off by one", "x = 5"),
        ("x = 4", "off by one", "x = 3"),
        ("range(n)", "off by one", "range(n - 1)"),
        ("range(1, n)", "off by one", "range(1, n - 1)"),
        ("x = True", "constant", "x = False"),
        ("x = 0.5", "constant", "x = 0.625"),
        ("if a > b:\n    raise E", "removed check", "if False:\n    raise E"),
        ("check(x)", "removed call", "pass"),
        ("a and b", "logic", "a or b"),
        ("not a", "removed not", "(a)"),
        ("é = 1\nx = 'é' + a", "arithmetic", "é = 1\nx = 'é' - a"),
    ],
)
def test_changes_of_python(text, operator, wanted):
    assert (operator, wanted) in changes(text)


@pytest.mark.parametrize(
    "text",
    [
        '"""1 < 2."""',
        "import a.b as c",
        "def f(x: int | None = None) -> A | B:\n    return x",
        "@cache(maxsize=8)\ndef f():\n    return x",
        "def __repr__(self):\n    return 1 + 2",
        "raise E(f'{a + 1}', 2)",
        "Words = A | B",
        "__all__ = ['a' + 'b']",
        "assert a < b",
    ],
)
def test_what_only_tells_is_left_alone(text):
    assert changes(text) == set()


@pytest.mark.parametrize(
    ("text", "operator", "wanted"),
    [
        ("if (a < b) {", "comparison", "if (a <= b) {"),
        ("x = a + b;", "arithmetic", "x = a - b;"),
        ("x = a - b;", "swapped operands", "x = b - a;"),
        ("for (i = 0; i < n; i++)", "comparison", "for (i = 0; i <= n; i++)"),
        ("y = x[3];", "off by one", "y = x[4];"),
        ("    store(a, b);\n", "removed call", "    ;\n"),
        ("    if (bad) {\n        return 1;\n", "removed check", "    if (0) {\n        return 1;\n"),
    ],
)
def test_changes_of_c(text, operator, wanted):
    assert (operator, wanted) in changes(text, c, "a.c")


@pytest.mark.parametrize(
    "text",
    ["/* a + b < 3 */", "// a - b\n", "#define N (a + 3)\n", 'x = "a < 3 - b";', "    CHECK(x < 3);\n", "x = 0x7f;"],
)
def test_comments_and_assertions_are_left_alone(text):
    assert changes(text, c, "a.c") <= {("removed call", text)}


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_files_and_tests(name):
    target = TARGETS[name]
    assert target.paths()
    assert any((ROOT / test).exists() for test in target.tests)
    found = everything(target)
    assert found
    for mutation in found[:: max(1, len(found) // 20)]:
        text = (ROOT / mutation.path).read_text(encoding="utf-8")
        changed = mutation.apply(text)
        assert changed != text


def test_the_sample_is_fixed_and_mixed():
    assert sum(map(len, sample(60).values())) >= 50
    target = TARGETS["samplers"]
    for mutation in draw(target, 20):
        ast.parse(mutation.apply((ROOT / mutation.path).read_text(encoding="utf-8")))
    assert draw(target, 20) == draw(target, 20)
    kinds = Counter(m.operator for m in draw(target, 20))
    assert len(kinds) >= 5
    assert max(kinds.values()) <= 6
    assert draw(target, 20, seed=1) != draw(target, 20, seed=2)


@pytest.mark.parametrize("one", byhand.LIST, ids=lambda one: one.name)
def test_the_list_by_hand_fits_the_sources(one):
    texts: dict[str, str] = {}
    for edit in one.edits:
        before = texts.get(edit.path) or (ROOT / edit.path).read_text(encoding="utf-8")
        texts[edit.path] = edit.apply(before)
        if edit.path.endswith(".py"):
            ast.parse(texts[edit.path])
    assert all((ROOT / test).exists() for test in one.tests)


MISTAKES = (
    "wrong root", "cyclic for negacyclic", "floor for round", "generator 3 for 5", "inverse rotation", "conjugated encode",
    "random % q", "sigma 3.0", "off-by-one tail", "missing sha check", "<= for < at q",
)  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_of_the_promise_is_on_the_list(mistake):
    assert any(one.name.startswith(mistake) for one in byhand.LIST)


def test_the_page_counts_what_it_shows():
    def result(verdict, change="a -> b", target="codec"):
        return Result(target, "a.py", 3, "comparison", change, verdict, 1.0)

    results = [
        result("killed"),
        result("timeout"),
        result("survived"),
        result("does not compile"),
        result("killed", "x", None),
    ]
    assert rate([r for r in results if r.target]) == (2, 0, 3)
    text = page(results, seed=1, fixed=[])
    assert "On the first try" not in text and "Another sample" not in text
    again = page(results, seed=1, fixed=results[:1], others=results[:3])
    assert "On the first try 1 of the 3 died: 33.3 %" in again
    assert "tests as they are now: 3 mutants, 2 dead: 66.7 %" in again
    assert "3 mutants, 2 dead: 66.7 %" in text
    assert "By hand: 1 mutants, 1 dead" in text
    assert "a.py:3" in text


def test_judgements_are_of_lines_as_they_read():
    """A line that was edited since is judged anew; what was said of the old one stays with its result."""
    for (path, line, change), reason in EQUIVALENT.items():
        assert (ROOT / path).exists(), path
        assert line == line.strip() and change and len(reason) > 10
        found = Result("x", path, 1, "comparison", change, "survived", 1.0, source=line)
        assert found.reason == reason
        assert replace(found, source=line + " + 1").reason is None


def test_earlier_mutants_are_found_again_where_lines_moved(tmp_path):
    name = "samplers"
    for path in TARGETS[name].paths():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("# a line\n" + (ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    for mutation in draw(TARGETS[name], 20):
        earlier = replace(unrun(name, mutation, ROOT), verdict="survived", seconds=2.0, detail="x")
        moved = located(earlier, tmp_path)
        assert moved is not None and moved.line == mutation.line + 1 and moved.new == mutation.new
        assert located(earlier, ROOT) == mutation
        assert located(replace(earlier, source=earlier.source + " # edited"), ROOT) is None


def test_every_try_is_kept_and_the_last_one_counts(tmp_path):
    first = Result("samplers", "a.py", 3, "logic", "or -> and", "survived", 1.0, "", 4, "a or b")
    tries = [first, replace(first, verdict="no baseline"), replace(first, verdict="killed"), replace(first, column=9)]
    (tmp_path / "results").write_text("".join(json.dumps(one.as_json()) + "\n" for one in tries))
    known = load(tmp_path / "results")
    assert [[one.verdict for one in of] for of in known.values()] == [["survived", "killed"], ["survived"]]
    assert load(tmp_path / "none") == {}


@pytest.mark.skipif(
    not hasattr(sys, "getwindowsversion") and not hasattr(__import__("os"), "fork"), reason="needs fork"
)
@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("def test_a(): assert thing.answer() == 42", "survived"),
        ("def test_a(): assert thing.answer() == 41", "killed"),
        ("import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGSEGV)", "killed"),
        ("import time\ndef test_a(): time.sleep(60)", "timeout"),
        ("", "no tests"),
    ],
)
def test_outcomes(body, verdict, tmp_path):
    """In an interpreter without the project's modules, as the runner's is."""
    import subprocess

    (tmp_path / "thing.py").write_text("def answer():\n    return 42\n")
    (tmp_path / "test_it.py").write_text("import thing\n" + body + "\n")
    code = f"""
from pathlib import Path
from benchmarks.mutants import trial
trial.preload()
print(trial.run(Path({str(tmp_path)!r}), ["test_it.py"], "", 4.0, Path({str(tmp_path / "log")!r})).verdict)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[-1:] == [verdict.split()[-1]], done.stderr
    assert trial.PASSED == 0
