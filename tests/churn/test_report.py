"""The report says what the results say, in one file that loads nothing."""

from __future__ import annotations

import ast
import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page_kit import check_page
from rich.console import Console

import churn
from churn.errors import DataError
from churn.report import charts
from churn.report.page import render, write_report
from churn.report.results import (
    Results,
    Seconds,
    Traffic,
    as_json,
    print_table,
)

CHURN = Path(churn.__file__).parent
PARAMS = {
    "ring_degree": 8192,
    "log2_qp": 198.7,
    "security_bits": 128,
    "levels": 5,
    "scale_bits": 36,
    "backend": 'reference <&> "quoted"',
}
SECONDS = Seconds(0.61, 0.2, 0.012, 0.35, 0.0421, 0.0013, 2.5)
TRAFFIC = Traffic(up=12_345_678, down=262_144, keys=8_700_000)


def make(rows: int = 600, noise: float = 1e-6, ripple: float = 1e-3, **changes) -> Results:
    rng = np.random.default_rng(0)
    plain = rng.uniform(0.02, 0.98, rows)
    polynomial = plain + ripple * np.sin(20 * plain)
    encrypted = polynomial + noise * rng.normal(size=rows)
    parts = {"seconds": SECONDS, "traffic": TRAFFIC, "params": PARAMS}
    return Results.compare(rng.uniform(size=rows) < plain, plain, polynomial, encrypted, **{**parts, **changes})


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing is most of the time; tests about words do without."""
    for name in ("scatter", "differences", "scores", "errors"):
        monkeypatch.setattr(charts, name, lambda results: "<svg/>")


@pytest.fixture(scope="module")
def page():
    return render(make(notes=("column '<b>' & \"more\"",)))


def test_compare_measures_both_worlds():
    y = [True, True, False, False]
    found = Results.compare(
        y,
        [0.9, 0.51, 0.4, 0.1],
        [0.9, 0.505, 0.41, 0.1],
        [0.9, 0.49, 0.41, 0.11],
        seconds=SECONDS,
        traffic=TRAFFIC,
        params=PARAMS,
    )
    assert (found.plain.accuracy, found.encrypted.accuracy) == (1.0, 0.75)
    assert found.labels_differ == 1 and found.rows == 4
    error = found.probability_error
    assert error.total == pytest.approx(0.02)
    assert error.polynomial == pytest.approx(0.01)
    assert error.encryption == pytest.approx(0.015)
    with pytest.raises(ValueError, match="read-only"):
        found.p_plain[0] = 0


@pytest.mark.parametrize("bad", [[0.5], [0.5, np.nan], [[0.5, 0.5]]])
def test_arrays_that_do_not_fit_are_refused(bad):
    good = [0.4, 0.6]
    for k in range(3):
        given = [good, good, good]
        given[k] = bad
        with pytest.raises(DataError):
            Results.compare([True, False], *given, seconds=SECONDS, traffic=TRAFFIC, params=PARAMS)


def test_json_holds_every_number_and_survives_json():
    results = make()
    found = json.loads(json.dumps(as_json(results), allow_nan=False))
    assert found["rows"] == 600
    assert found["plain"]["accuracy"] == results.plain.accuracy
    assert found["encrypted"]["accuracy"] == results.encrypted.accuracy
    assert found["labels_differ"] == results.labels_differ
    assert set(found["probability_error"]) == {"total", "polynomial", "encryption"}
    assert found["seconds"] == dataclasses.asdict(SECONDS)
    assert found["bytes"] == {"up": 12_345_678, "down": 262_144, "keys": 8_700_000}
    assert found["params"] == PARAMS


def test_page_is_self_contained(page):
    check_page(page, 4)
    assert "$" not in page, "a place that nothing filled"


def test_page_says_what_the_results_say(page):
    results = make()
    assert f"{results.plain.accuracy:.1%}" in page and f"{results.encrypted.accuracy:.1%}" in page
    assert f"{results.plain.roc_auc:.4f}" in page
    assert "8,192" in page and "198.7" in page and "12.3 MB" in page and "42.1 ms" in page
    assert "Who saw what" in page and "Secret key" in page
    # both confusion matrices, read row by row: left, stayed; predicted to leave, to stay
    counts = [int(count.replace(",", "")) for count in re.findall(r"<b>([\d,]+)</b><small>", page)]
    assert counts == [
        int(((results.labels == truth) & ((p >= 0.5) == guess)).sum())
        for p in (results.p_plain, results.p_encrypted)
        for truth in (True, False)
        for guess in (True, False)
    ]
    assert "really left" in page.split("really stayed")[0]


def test_everything_from_outside_is_escaped(page, no_pictures):
    assert "&lt;b&gt;&#x27; &amp; &quot;more&quot;" in page
    assert "reference &lt;&amp;&gt; &quot;quoted&quot;" in page
    nasty = render(make(rows=50, params={"<script>": "</td><script>", "x$y": "$rows"}))
    assert "<script" not in nasty.lower() and "$rows" in nasty


def test_differing_labels_are_not_hidden(no_pictures):
    results = make(noise=0.1)
    assert results.labels_differ > 0
    page = render(results)
    assert f"{results.rows - results.labels_differ:,} of {results.rows:,} predictions are the same" in page
    assert "Every single prediction is the same" not in page
    assert "Every single prediction is the same" in render(make(noise=0, ripple=0))


def test_who_applies_the_sigmoid_is_told_as_it_was(no_pictures):
    exact = "A applies it after decrypting"
    assert exact in render(make(ripple=0)) and exact not in render(make())
    assert "polynomial for the sigmoid is off by" in render(make())


def test_rounding_is_not_said_to_make_a_value_safe(page):
    assert "rounding alone does not remove" in " ".join(page.split())


def test_extreme_results_can_be_drawn():
    equal = make(rows=40, noise=0, ripple=0)
    charts.differences(equal)
    charts.errors(equal)
    nonsense = make(rows=40, noise=5.0)  # whatever the server answers, there is a page
    charts.scores(nonsense)
    charts.errors(nonsense)


def test_steps_too_short_to_measure(no_pictures):
    assert "more than measurable" in render(make(rows=40, seconds=Seconds(0, 0, 0, 0, 0, 0, 0)))


def test_large_tables_are_thinned_out():
    assert len(charts.scatter(make(rows=50_000))) < 400_000


def test_report_is_written_where_asked(tmp_path, no_pictures):
    path = write_report(make(rows=60), tmp_path / "new" / "report.html")
    first = path.read_bytes()
    assert write_report(make(rows=60), str(path)) == path
    assert path.read_bytes() == first and first.startswith(b"<!doctype html>")


def test_pictures_are_reproducible():
    assert charts.scores(make(rows=60)) == charts.scores(make(rows=60))


def test_table_in_the_terminal():
    sink = io.StringIO()
    results = make()
    print_table(results, Console(file=sink, width=100))
    text = sink.getvalue()
    for word in (
        "plain",
        "encrypted",
        "accuracy",
        f"{results.plain.accuracy:.4f}",
        f"{results.labels_differ} of 600 differ",
        "12.3 MB up",
        "42.1 ms",
    ):
        assert word in text
    assert "polynomial, clear" in text, "the sigmoid is a polynomial here"


def test_a_polynomial_that_was_not_evaluated_has_no_column():
    sink = io.StringIO()
    print_table(make(ripple=0), Console(file=sink, width=100))
    assert "encrypted" in sink.getvalue() and "polynomial" not in sink.getvalue()


def test_no_window_system_and_no_encryption_is_needed():
    """The plaintext half imports nothing from ckks, and of matplotlib not its global part."""
    for name in (
        "data",
        "errors",
        *(f"explain/{part}" for part in ("charts", "effects", "explanation", "importance", "page", "text", "truth")),
        "identity",
        "model",
        *(f"pages/{part}" for part in ("drawing", "html")),
        "plain",
        *(f"report/{part}" for part in ("charts", "page", "results")),
        "schema",
        "tables",
        "training",
        "units",
    ):
        source = (CHURN / f"{name}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            found = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not [m for m in found if m.split(".")[0] == "ckks" or "pyplot" in m], name


def test_hosting_a_model_needs_neither_pandas_nor_scikit_learn():
    code = "import sys, churn.model; print([m for m in ('pandas', 'sklearn', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
