"""The aims: every one is measured, on the sets it names, and ends up in the table; on toy sets, without waiting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path

import pytest

import ckks
from benchmarks.aims import __main__ as command
from benchmarks.aims import bound, cases, comparisons, report, sets, switching, transforms
from benchmarks.aims.cases import CASES, measure
from benchmarks.aims.document import Document, Row
from benchmarks.aims.measure import Context, alternate, local
from benchmarks.aims.targets import RECORDED, TARGETS, TITLES, Target
from benchmarks.pages import replace_between
from benchmarks.peers.run import Effort
from ckks import kernels
from ckks.errors import LevelError

AIMS = [f"T{i}" for i in range(1, 16)]
QUICK = Context(Effort(seconds=0.0, rounds=1), say=lambda line: None)
MACHINE = {"processor": "a CPU", "date": "today", "ckks": "0", "python": "3", "clock_ns": {"start": 50.0, "end": 51.0}}


def toy() -> ckks.CKKSParams:
    return ckks.CKKSParams.generate(
        ring_degree=1024, depth=3, scale_bits=30, base_bits=40, num_special=2, special_bits=40, security=None
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy sets, short transforms, no fresh interpreters, two CPUs whatever the machine has, a SEAL of our own."""
    for aim in sets.SETS:
        monkeypatch.setitem(sets.SETS, aim, toy)
    hot = tuple(partial(transforms.hot, bits, logs=(10, 14)) for bits in transforms.HOT_BITS)
    monkeypatch.setitem(cases.CASES, "T1", hot)
    monkeypatch.setattr(switching, "BATCH", 3)
    monkeypatch.setattr(comparisons, "import_time", lambda statement="": 1.0)
    monkeypatch.setattr(comparisons, "cpus", lambda: 2)
    monkeypatch.setattr(comparisons, "SEAL", replace(comparisons.SEAL, module="tests.benchmarks.fake_seal"))


# the aims -----------------------------------------------------------------------------------------


def test_every_aim_has_a_title_a_target_and_a_case() -> None:
    assert list(TITLES) == list(CASES) == AIMS
    assert sorted({aim for aim, _ in TARGETS}, key=AIMS.index) == AIMS


@pytest.mark.parametrize(
    ("aim", "shape"),
    {
        "T3": (2**13, 3, 1, 3, 214),
        "T4": (2**14, 8, 2, 4, 430),
        "T5": (2**15, 16, 4, 4, 868),
        "T6": (2**16, 26, 5, 6, 1747),
        "T9": (2**14, 9, 1, 9, 430),
    }.items(),
)
def test_sets_are_those_that_the_aims_name(aim: str, shape: tuple[int, ...]) -> None:
    params = sets.parameters(aim)
    n, limbs, special, digits, largest = shape
    assert (params.ring_degree, len(params.moduli), params.num_special) == (n, limbs, special)
    assert len(params.digits(params.top_level)) == digits
    assert params.security == 128 and params.log2_qp <= largest
    assert max(params.moduli + params.special_moduli) < 2**50
    # P covers the largest digit: otherwise the noise of a switch would not be that of a rounding.
    moduli = params.moduli
    for own in params.digits(params.top_level):
        assert prod(moduli[own]) < params.special_modulus


@pytest.mark.usefixtures("quick")
def test_every_case_runs_and_every_target_is_held_against_something() -> None:
    rows = measure(CASES, QUICK)
    assert not [row.note for row in rows if row.failed]
    assert list(dict.fromkeys(row.aim for row in rows)) == AIMS
    assert {id(row.target) for row in rows if row.target} >= {id(target) for target in TARGETS.values()}
    for row in rows:
        assert row.samples or row.note, row
        assert all(sample > 0 for sample in row.samples), row
    assert any("seal-python" in row.note and row.samples for row in rows if row.aim == "T11")
    assert kernels.num_threads() == 1


# figures ------------------------------------------------------------------------------------------


def test_best_ratio_and_met() -> None:
    time = Row("T4", "it", "", "ms", [6.0, 5.0, 9.0], "", Target(4.0))
    assert (time.best, time.median, time.ratio, time.met) == (5.0, 6.0, 1.5, False)
    rate = Row("T13", "it", "", "rows/s", [6.0, 5.0, 9.0], "", Target(4.0, at_least=True), rate=True)
    assert (rate.best, rate.median, rate.ratio, rate.met) == (9.0, 6.0, 1.5, True)
    none = Row("T4", "it", "", "ms", [], "", Target(4.0), "there is none")
    assert none.best is none.median is none.ratio is none.met is None


def test_samples_alternate_inside_their_contexts() -> None:
    seen: list[int] = []
    samplers = {
        name: local(lambda: seen.append(kernels.num_threads()), partial(kernels.threads, n))
        for name, n in (("one", 1), ("two", 2))
    }
    times = alternate(samplers, Effort(0.0, 4))
    assert {name: len(series) for name, series in times.items()} == {"one": 4, "two": 4}
    assert set(seen) == {1, 2} and kernels.num_threads() == 1


def test_port_bound() -> None:
    """N = 2^14: 14 layers of 2^13 butterflies, half a cycle each."""
    assert bound.butterflies(2**14) == 14 * 2**13
    assert bound.least_microseconds(2**14, 3.0) == pytest.approx(14 * 2**12 / 3000)
    assert 0.1 < bound.gigahertz(10_000, 3) < 10


@pytest.mark.parametrize(("variant", "bounded"), [("avx2", True), ("portable", False)])
def test_the_bound_is_that_of_one_variant(variant: str, bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    source = kernels.load("numba")
    monkeypatch.setattr(type(source), "describe", lambda self: {"variant": variant})
    with kernels.use("numba"):
        (row,) = transforms.hot(46, QUICK, logs=(5,))
    assert ("port bound" in row.note) == bounded == (row.target is not None)


# what may be missing ------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_one_cpu_gives_no_speedup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "cpus", lambda: 1)
    (row,) = comparisons.two_threads("T4", 0, QUICK)
    assert row.samples == [] and "one CPU" in row.note


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("module", ["tests.benchmarks.unruly_peer", "tests.benchmarks.nothing"])
def test_an_absent_seal_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRULY", "absent")
    monkeypatch.setattr(comparisons, "SEAL", replace(comparisons.SEAL, module=module))
    recorded, over = comparisons.seal(QUICK)
    assert recorded.samples and not over.samples
    assert "absent" in over.note and 'pip install "seal-python' in over.note


def test_a_part_that_fails_is_a_row_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(context: Context) -> list[Row]:
        raise LevelError("no level left")

    monkeypatch.setitem(cases.CASES, "T3", (fails,))
    monkeypatch.setitem(cases.CASES, "T4", (lambda context: [Row("T4", "it", "", "ms", [1.0], "")],))
    failed, fine = measure(["T3", "T4"], QUICK)
    assert failed.failed and "LevelError: no level left" in failed.note and fine.samples == [1.0]


# the document -------------------------------------------------------------------------------------


def document() -> Document:
    rows = [
        Row(aim, TITLES[aim], "N = 2^14", "ms", [2.0, 1.0, 3.0], "native (avx2)", Target(4.0, "another 5 ms"))
        for aim in AIMS
    ]
    return Document(MACHINE, rows)


def test_json_schema() -> None:
    data = json.loads(json.dumps(document().as_json()))
    assert set(data) == {"format", "machine", "aims_recorded_on", "rows"} and data["format"] == 1
    assert data["aims_recorded_on"] == RECORDED and "AVX-512-IFMA at 2.99 GHz" in RECORDED
    for aim, row in zip(AIMS, data["rows"], strict=True):
        assert row["aim"] == aim
        assert row["target"] == {"limit": 4.0, "others": "another 5 ms", "at_least": False}
        assert (row["best"], row["median"], row["ratio"], row["met"]) == (1.0, 2.0, 0.5, True)
        assert {"operation", "parameters", "unit", "samples", "runs", "note", "rate", "failed"} <= set(row)


def test_table_has_a_row_per_aim_and_says_whose_machine_it_was() -> None:
    text = report.markdown(document())
    assert RECORDED in text
    assert re.findall(r"^\| (T\d+) \|", text, re.MULTILINE) == AIMS
    row = f"| T4 | {TITLES['T4']} | N = 2^14 | ms | ≤ 4 | another 5 ms | 1 | 2 | **0.50** | native (avx2) |  |"
    assert row in text.splitlines()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {len(report.HEADER) + 1}


# the page -----------------------------------------------------------------------------------------


def test_the_page_has_the_marks_a_limit_per_aim_and_a_link() -> None:
    page = command.PAGE.read_text(encoding="utf-8")
    assert "NEW" in replace_between(page, command.MARKS, "NEW")
    limits = page.split("## What limits it")[1]
    assert re.findall(r"^\| (T\d+) \| (.*?) \|", limits, re.MULTILINE) == list(TITLES.items())
    assert "(docs/performance.md)" in (command.ROOT / "README.md").read_text(encoding="utf-8")


def test_the_counts_on_the_page() -> None:
    from benchmarks.profile.counts import Counts

    page = command.PAGE.read_text(encoding="utf-8")
    for aim in ("T3", "T4", "T5", "T6"):
        params = sets.parameters(aim)
        counts = Counts.of(params, params.top_level)
        inner = 2 * len(counts.digits) * counts.joint
        cells = (
            aim,
            f"2^{params.ring_degree.bit_length() - 1}",
            f"{counts.limbs} + {counts.special}",
            len(counts.digits),
            counts.ideal_transforms,
            sum(a * b for a, b in counts.conversions),
            inner,
            f"{inner * params.ring_degree / 2**17:g}",
        )
        assert "| " + " | ".join(map(str, cells)) + " |" in page


# command line -------------------------------------------------------------------------------------


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Cases that return a row at once; the list of those that ran."""
    ran: list[str] = []

    def part(aim: str, context: Context) -> list[Row]:
        ran.append(aim)
        return [Row(aim, "it", "", "ms", [1.0], "", failed=aim == "T15")]

    for aim in AIMS:
        monkeypatch.setitem(cases.CASES, aim, (partial(part, aim),))
    monkeypatch.setattr(command, "clock", lambda: 50.0)
    yield ran


def test_only_json_and_order(stubs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "aims.json"
    assert command.main(["--only", "t7", "T4", "--json", str(target)]) == 0
    assert stubs == ["T4", "T7"]
    out = capsys.readouterr()
    assert "| T4 | it |" in out.out and "T7: rotations" in out.err
    assert [row["aim"] for row in json.loads(target.read_text())["rows"]] == ["T4", "T7"]


def test_a_failure_is_the_status(stubs: list[str]) -> None:
    assert command.main(["--only", "T15"]) == 1


def test_write_replaces_the_table(stubs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text("before\n{}\nOLD\n{}\nafter\n".format(*command.MARKS))
    monkeypatch.setattr(command, "PAGE", page)
    command.main(["--write"])
    text = page.read_text()
    assert stubs == AIMS and "OLD" not in text and text.startswith("before\n") and text.endswith("after\n")
    page.write_text("no marks")
    with pytest.raises(SystemExit):
        command.main(["--write"])
    assert stubs == AIMS  # refused before anything was measured


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "T99"], "invalid choice"),
        (["--only", "T4", "--write"], "leave out --only"),
        (["--rounds", "0"], "--rounds of 1"),
        (["--json", "/no/such/folder/aims.json"], "no such folder"),
        (["--python", "seal-python=/nowhere/python"], "no program"),
    ],
)
def test_usage(arguments: list[str], said: str, stubs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert said in capsys.readouterr().err and not stubs


def test_help_lists_the_aims(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    out = capsys.readouterr().out
    assert all(f"  {aim:4} {title}" in out for aim, title in TITLES.items())
