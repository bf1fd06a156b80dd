"""The comparison with other libraries, on a library that does nothing and on ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.pages import replace_between
from benchmarks.peers import __main__ as command
from benchmarks.peers import recorded, report
from benchmarks.peers.document import Document, Figure, Found, bits_of, ratio
from benchmarks.peers.errors import UsageError, WorkerFailed
from benchmarks.peers.registry import OURS, PEERS, Entry
from benchmarks.peers.run import Effort, measure, operations_of
from benchmarks.peers.worker import Worker
from benchmarks.peers.workers.ours import parameters_of
from benchmarks.peers.workload import CASES, INTERVAL, OPERATIONS, STAGES, WAYS, Regression
from ckks.rlwe import largest_log2_qp

FAKE = Entry("fake", "tests.benchmarks.fake_peer", "none", "pip install fake")
UNRULY = Entry("unruly", "tests.benchmarks.unruly_peer", "none", "pip install unruly")
QUICK = Effort(seconds=0.0, rounds=3)


def run(ours: Entry = replace(FAKE, name="ckks"), peers: tuple[Entry, ...] = (FAKE,), case: str = "N12") -> Document:
    return measure([case], peers, pythons={}, threads=1, effort=QUICK, say=lambda line: None, ours=ours)


# figures ------------------------------------------------------------------------------------------


def test_ratio_is_the_median_of_the_rounds() -> None:
    """Not the ratio of the medians, which is 2 here: a slow round slows both."""
    ours, theirs = Figure([1.0, 10.0, 2.0]), Figure([3.0, 40.0, 4.0])
    assert ratio(theirs, ours) == 3.0
    assert (theirs.minimum, theirs.median) == (3.0, 4.0)


def test_ratio_needs_equally_many_rounds() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio(Figure([1.0]), Figure([1.0, 2.0]))


def test_bits() -> None:
    assert bits_of(0.25) == 2.0
    assert bits_of(None) is None and bits_of(0.0) is None


# what is measured ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_cases_are_the_same_for_all_and_secure(case: Any) -> None:
    params = parameters_of(case)
    assert (params.ring_degree, params.top_level, params.security) == (case.ring_degree, case.depth, 128)
    assert float(params.scale) == 2.0**case.scale_bits
    assert sum(case.prime_bits) <= largest_log2_qp(case.ring_degree) + 4  # the older table of SEAL and OpenFHE: 4 more


def test_the_forms_of_the_cubic_agree() -> None:
    """Chebyshev, powers, and the factored form, up to the rounding of a dozen operations on terms below 8."""
    work = Regression.of(64)
    z = work.weights @ work.features + work.bias
    w, b, a, c = work.factored()
    v = w @ work.features + b
    tolerance = 12 * 8 * np.finfo(float).eps * 64
    assert np.abs(z).max() < INTERVAL
    assert np.abs(np.polynomial.polynomial.polyval(z, work.power()) - work.expected()).max() < tolerance
    assert np.abs(c + v * (v * v + a) - work.expected()).max() < tolerance


def test_only_licences_that_let_publish() -> None:
    assert {entry.licence for entry in (OURS, *PEERS)} <= {"MIT", "Apache-2.0", "BSD-2-Clause"}


# the run ------------------------------------------------------------------------------------------


def test_samples_alternate_and_every_round_has_all() -> None:
    document = run()
    figures = document.sets[0].figures
    assert set(figures) == {"add", "relin_keygen"}
    for by_library in figures.values():
        assert set(by_library) == {"ckks", "fake"}
        assert len({len(figure.milliseconds) for figure in by_library.values()}) == 1
    assert figures["add"]["fake"].bits == 2.0 and figures["relin_keygen"]["fake"].bits is None


def test_an_absent_peer_is_reported_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRULY", "absent")
    document = run(peers=(UNRULY, FAKE))
    assert document.libraries["unruly"]["absent"] == "No module named 'unruly'"
    assert set(document.sets[0].parameters) == {"ckks", "fake"}
    assert "| unruly | absent | none |  | `pip install unruly` |" in report.markdown(document)


@pytest.mark.parametrize(("manners", "said"), [("raises", "no such parameters"), ("crashes", "status 3")])
def test_a_peer_that_fails_is_named_and_the_rest_goes_on(
    manners: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNRULY", manners)
    document = run(peers=(UNRULY, FAKE))
    found = document.sets[0]
    assert said in found.failed["unruly"]
    assert set(found.figures) == {"add", "relin_keygen"}
    assert all(set(figures) == {"ckks", "fake"} for figures in found.figures.values())
    assert "Failed: unruly" in report.markdown(document)


def test_our_own_failure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRULY", "raises")
    with pytest.raises(WorkerFailed, match="no such parameters"):
        run(ours=UNRULY, peers=())


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(WorkerFailed, match="No module named"):
        Worker(replace(FAKE, module="tests.benchmarks.nothing"))


def test_ours_has_every_operation_and_stage() -> None:
    document = measure(
        ["N12", "R13"], (), pythons={}, threads=1, effort=Effort(0.0, 1), say=lambda line: None, ours=OURS
    )
    operations, regression = document.sets
    assert set(operations.figures) == set(OPERATIONS)
    assert set(regression.figures) == {f"{way}.{stage}" for way in ("columns_sk", "columns_pk") for stage in STAGES}
    assert all(regression.figures[f"{way}.server"]["ckks"].bits for way in ("columns_sk", "columns_pk"))
    assert regression.rows["ckks"]["columns_sk"] == CASES["R13"].slots
    text = report.markdown(document)
    assert all(f"| {label} |" in text for label in OPERATIONS.values())


# the document -------------------------------------------------------------------------------------


def test_json_schema() -> None:
    data = json.loads(json.dumps(run().as_json()))
    assert data["format"] == 1
    assert set(data) == {"format", "machine", "libraries", "threads", "clock", "sets"}
    assert set(data["clock"]) == {"start", "end"} and min(data["clock"].values()) > 0
    assert {"processor", "system", "date", "python"} == set(data["machine"])
    (found,) = data["sets"]
    assert set(found) == {"case", "parameters", "sizes", "missing", "rows", "figures", "failed"}
    figure = found["figures"]["add"]["fake"]
    assert set(figure) == {"milliseconds", "bits", "minimum", "median", "ratio"}
    assert figure["minimum"] == min(figure["milliseconds"]) and figure["ratio"] > 0
    assert found["figures"]["add"]["ckks"]["ratio"] == 1.0


def document_of(found: Found) -> Document:
    fact = {"licence": "MIT", "install": "pip", "version": "1", "runs": "it", "python": "3", "threads": 1}
    machine = {"processor": "a CPU", "date": "today"}
    return Document(machine, {"ckks": fact, "fake": fact}, 1, {"start": 50.0, "end": 51.0}, [found])


def test_regression_rates() -> None:
    """4096 rows in 2 + 1 + 1 ms are 1,024,000 a second; a layout that only the peer has gives no ratio."""
    case = {"name": "R13", "log_n": 13, "depth": 3, "scale_bits": 36}
    found = Found(case, rows={"ckks": {"columns_sk": 4096}, "fake": {"columns_sk": 4096, "rows_pk": 4}})
    parameters = dict.fromkeys(
        ("N", "levels", "q_bits", "p_bits", "log2_qp", "digits", "log2_scale", "secret", "security"), 1
    )
    found.parameters = {"ckks": parameters, "fake": parameters}
    for stage, ms in zip(STAGES, (2.0, 1.0, 1.0), strict=True):
        found.figures[f"columns_sk.{stage}"] = {"ckks": Figure([ms], 20.0), "fake": Figure([3 * ms], 19.0)}
        found.figures[f"rows_pk.{stage}"] = {"fake": Figure([ms], 18.0)}
    text = report.markdown(document_of(found))
    assert f"| {WAYS['columns_sk']} | ckks | 4096 | 2,050,000 | 4,100,000 | 4,100,000 | 1,020,000 | 20.0 |" in text
    assert f"| {WAYS['columns_sk']} | fake | 4096 | 683,000 ×3.00 |" in text
    assert f"| {WAYS['rows_pk']} | fake | 4 | 2,000 | 4,000 | 4,000 | 1,000 | 18.0 |" in text
    assert "4 rows were computed and the rate is extrapolated" in text


def test_recorded_figures_name_their_machine_and_fill_their_columns() -> None:
    assert "another machine: Intel Xeon with AVX-512-IFMA, 2.99 GHz" in recorded.CONDITIONS
    assert all(len(cells) == len(recorded.COLUMNS) for cells in recorded.ROWS.values())
    assert set(recorded.ROWS) <= set(OPERATIONS.values())


# the page -----------------------------------------------------------------------------------------


def test_the_tables_of_the_page_are_replaced(tmp_path: Path) -> None:
    text = command.PAGE.read_text(encoding="utf-8")
    written = replace_between(text, command.MARKS, "NEW")
    for mark in command.MARKS:
        assert written.count(mark) == 1
    start, end = (written.index(mark) for mark in command.MARKS)
    assert written[start:end] == f"{command.MARKS[0]}\nNEW\n"


# command line -------------------------------------------------------------------------------------


def test_choices() -> None:
    assert command.chosen("N12, R13") == ["N12", "R13"]
    for bad in ("", "N99"):
        with pytest.raises(UsageError, match="there are N12"):
            command.chosen(bad)
    for bad in ("openfhe", "other=python", "openfhe=/nowhere/python"):
        with pytest.raises(UsageError, match="--python"):
            command.interpreters([bad])


def test_usage_errors_are_one_line() -> None:
    import typer

    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, ["--sets", "N99"])
    assert result.exit_code == 2
    assert "UsageError: no set N99" in result.output
    assert "absent" in CliRunner().invoke(app, ["--help"]).output


def test_every_case_lists_its_operations() -> None:
    assert operations_of(CASES["N12"]) == list(OPERATIONS)
    assert len(operations_of(CASES["R13"])) == len(WAYS) * len(STAGES)
