"""The pieces of `benchmarks.models` that could tell a wrong figure."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("sklearn")

from ml_kit import insecure_params
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import ckks.ml
from benchmarks.models import CASES, HEADS, MARKS, PAGE, Case, cells, exact_scores, markdown, run
from ckks.ml.layers import FEATURE_MAJOR

TEXT = PAGE.read_text(encoding="utf-8")
SHALLOW, DEEP = {"params": insecure_params(1)}, {"params": insecure_params(14), "layouts": (FEATURE_MAJOR,)}


def table(classes: int):
    """What scikit-learn's loaders return: 60 rows of 3 columns, and their classes, or a number."""

    def load(return_X_y: bool):
        rng = np.random.default_rng(5)
        X = rng.uniform(-1, 1, (60, 3)) * [1, 10, 0.1]
        y = X @ [1, 0.1, 5] + rng.normal(0, 0.3, 60)
        return X, np.digitize(y, np.quantile(y, np.arange(1, classes) / classes)) if classes else y

    return load


def test_the_page_has_a_row_for_every_case():
    assert TEXT.count(MARKS[0]) == TEXT.count(MARKS[1]) == 1
    written = TEXT.split(MARKS[0])[1].split(MARKS[1])[0]
    head, *rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert head == "| " + " | ".join(HEADS) + " |", "the table was written by this version of the command"
    assert [row.split(" | ")[0][2:] for row in rows] == [case.title for case in CASES]


@pytest.mark.parametrize(
    ("pipeline", "classes", "options"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), 2, SHALLOW),
        (LogisticRegression(), 3, SHALLOW),
        (Ridge(0.1), 0, SHALLOW),
        (DecisionTreeClassifier(max_depth=1, random_state=0), 2, DEEP),
    ],
    ids=["two classes", "three classes", "numbers", "a stump"],
)
def test_a_case(pipeline, classes, options):
    """On a toy ring: the plain score is scikit-learn's, the encrypted one that of the same labels, errors are within what is stated."""
    case = Case("toy", table(classes), pipeline, options)
    result = run(case, rounds=2)
    X, y = table(classes)(return_X_y=True)
    train, test, target, truth = train_test_split(X, y, random_state=0)
    score = accuracy_score if classes else r2_score
    assert result.plain_score == pytest.approx(score(truth, pipeline.fit(train, target).predict(test)), abs=1e-12)
    assert result.rows == len(test) and result.differ_certain == 0 < result.certain
    assert 0 < result.measured <= result.stated
    assert abs(result.encrypted_score - result.plain_score) <= (result.differ / len(test) if classes else 1e-3)
    assert result.chunk_rows == result.model.packing.rows_in(FEATURE_MAJOR) and result.bytes_up > 0
    assert all(len(times) >= 2 and min(times) > 0 for times in result.seconds.values())
    shown = cells(result)
    assert len(shown) == len(HEADS) and all(shown[:3])
    assert markdown([result], 2).splitlines()[-1] == "| " + " | ".join(shown) + " |"


def test_nothing_is_timed_unless_it_is_asked_for():
    result = run(Case("toy", table(2), LogisticRegression(), SHALLOW))
    assert result.bytes_up == 0 and not any(result.seconds.values())
    assert cells(result)[-4:] == ["", "", "", ""]


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_a_network_are_those_before_its_last_function(activation, classes):
    """Of which scikit-learn shows the probabilities only."""
    X, y = table(classes)(return_X_y=True)
    network = MLPClassifier((3, 2), activation=activation, max_iter=20000, alpha=1.0, random_state=0)
    pipeline = make_pipeline(MinMaxScaler((-1, 1)), network).fit(X, y)
    model = ckks.ml.from_sklearn(pipeline, X, **DEEP)
    scores = exact_scores(pipeline, model, X)
    if classes == 2:
        chances = 1 / (1 + np.exp(-scores[:, 0]))
    else:
        chances = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))[:, -1]
    assert np.abs(chances - pipeline.predict_proba(X)[:, -1]).max() < 1e-12
