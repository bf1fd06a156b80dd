"""Trained models, evaluated encrypted: `python -m benchmarks.models [--only wine] [--rounds 5] [--write]`.

Each model is trained in the clear on three quarters of a data set that comes with scikit-learn. The ranges of its columns
are declared (those of the whole table: what is known of a column without its rows). The held-out quarter is scored both
ways; then a full chunk of rows, made of the same ones over and over, is timed: medians, one thread. Errors stated
come from the library, errors measured from these rows.
"""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import ckks.ml
from benchmarks.machine import processor
from benchmarks.pages import DOCS, table, write_between
from ckks import kernels
from ckks.ml.layers import FEATURE_MAJOR

PAGE = DOCS / "models.md"
MARKS = "<!-- table: python -m benchmarks.models --write -->", "<!-- end of models -->"


@dataclass(frozen=True)
class Case:
    """A data set, an untrained pipeline, and how it is to be evaluated; `deep` takes minutes."""

    title: str
    data: Callable[..., Any]
    pipeline: Any
    options: dict[str, Any] = field(default_factory=dict)
    deep: bool = False


def _network(kind: Any, sizes: tuple[int, ...], **options: Any) -> Any:
    made = kind(hidden_layer_sizes=sizes, max_iter=5000, random_state=0, **options)
    return make_pipeline(MinMaxScaler((-1, 1)), made)


SHORT = 20
"""What takes milliseconds is timed so many times as often, up to two seconds."""

FEW_KEYS = {"layouts": (FEATURE_MAJOR,)}

CASES = [
    Case("breast cancer, logistic", datasets.load_breast_cancer, make_pipeline(StandardScaler(), LogisticRegression())),
    Case("digits, softmax", datasets.load_digits, make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=2000))),
    Case("wine, PCA and softmax", datasets.load_wine, make_pipeline(StandardScaler(), PCA(5), LogisticRegression())),
    Case("wine, linear SVM", datasets.load_wine, make_pipeline(StandardScaler(), LinearSVC(random_state=0))),
    Case("diabetes, ridge", datasets.load_diabetes, Ridge(0.1)),
    Case(
        "breast cancer, encrypted sigmoid",
        datasets.load_breast_cancer,
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        {"output": "probability", "degree": 63, **FEW_KEYS},
    ),
    Case(
        "breast cancer, 8 tanh",
        datasets.load_breast_cancer,
        _network(MLPClassifier, (8,), activation="tanh", alpha=1.0),
        FEW_KEYS,
    ),
    Case("digits, 16 relu", datasets.load_digits, _network(MLPClassifier, (16,), alpha=3.0), FEW_KEYS, True),
    Case(
        "diabetes, 4 tanh",
        datasets.load_diabetes,
        TransformedTargetRegressor(
            _network(MLPRegressor, (4,), activation="tanh", alpha=1.0), transformer=StandardScaler()
        ),
        FEW_KEYS,
    ),
    Case(
        "wine, tree of depth 2",
        datasets.load_wine,
        DecisionTreeClassifier(max_depth=2, random_state=0),
        FEW_KEYS,
        True,
    ),
    Case(
        "breast cancer, 6 boosted stumps",
        datasets.load_breast_cancer,
        GradientBoostingClassifier(n_estimators=6, max_depth=1, learning_rate=0.5, random_state=0),
        FEW_KEYS,
        True,
    ),
]


@dataclass
class Result:
    """What was measured of one case."""

    case: Case
    model: Any
    rows: int
    plain_score: float
    encrypted_score: float
    certain: int
    differ: int
    differ_certain: int
    stated: float
    expected: float
    measured: float
    seconds: dict[str, list[float]]
    chunk_rows: int
    bytes_up: int


def exact_scores(pipeline: Any, model: Any, X: Any) -> Any:
    """The trained model's own scores, in the shape of encrypted ones."""
    if model.output.kind == "value":
        return pipeline.predict(X).reshape(len(X), -1)
    if model.output.kind in ("probability", "vote"):
        return pipeline.predict_proba(X)[:, -model.program.outputs :]
    if hasattr(pipeline, "decision_function"):
        return pipeline.decision_function(X).reshape(len(X), -1)
    last = pipeline[-1]  # an MLPClassifier keeps its scores to itself: before the last function, in its own arithmetic
    e = pipeline[:-1].transform(X)
    functions = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z}
    for k, (w, b) in enumerate(zip(last.coefs_, last.intercepts_, strict=True)):
        e = e @ w + b
        e = e if k + 1 == len(last.coefs_) else functions[last.activation](e)
    return e


def run(case: Case, rounds: int = 0) -> Result:
    """Train, score the held-out rows both ways, and time full chunks `rounds` times."""
    X, y = case.data(return_X_y=True)
    train, test, target, truth = train_test_split(X, y, random_state=0)
    pipeline = case.pipeline.fit(train, target)
    model = ckks.ml.from_sklearn(pipeline, ranges=np.stack([X.min(axis=0), X.max(axis=0)], axis=1), **case.options)
    client = model.client()
    server = model.server(client.evaluation_keys)
    answer = server.evaluate(client.encrypt(test))
    scores, labels, wanted = client.scores(answer), client.predict(answer), pipeline.predict(test)
    exact = exact_scores(pipeline, model, test)
    decided = model.program.decided(model.schema.encode(test)[0])
    off = float(np.abs(scores - exact)[decided].max())
    sure = (
        model.certain(test) if model.output.classes else decided & (np.abs(scores - exact) <= model.score_error).all(1)
    )
    differ = labels != wanted if model.output.classes else ~sure
    mean = (lambda p: float((p == truth).mean())) if model.output.classes else _determination(truth)
    size = model.packing.rows_in(FEATURE_MAJOR)
    seconds: dict[str, list[float]] = {"encrypt": [], "evaluate": [], "decrypt": []}
    full, bytes_up = np.resize(test, (size, test.shape[1])), 0
    start, round_ = time.perf_counter(), 0
    while rounds and (round_ <= rounds or (round_ < SHORT * rounds and time.perf_counter() - start < 2)):
        marks = [time.perf_counter()]
        rows = client.encrypt(full, layout=FEATURE_MAJOR)
        marks.append(time.perf_counter())
        got = server.evaluate(rows)
        marks.append(time.perf_counter())
        client.predict(got)
        marks.append(time.perf_counter())
        if round_:
            for name, spent in zip(seconds, np.diff(marks).tolist(), strict=True):
                seconds[name].append(spent)
        else:
            bytes_up = sum(map(len, rows.frames()))
        round_ += 1
    return Result(
        case,
        model,
        len(test),
        mean(wanted),
        mean(labels),
        int(sure.sum()),
        int(differ.sum()),
        int((differ & sure).sum()),
        model.score_error,
        model.expected_error,
        off,
        seconds,
        size,
        bytes_up,
    )


def _determination(truth: Any) -> Callable[[Any], float]:
    return lambda p: float(1 - ((p - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


HEADS = [
    "data and model",
    "held-out rows",
    "accuracy or R², plain and encrypted",
    "labels that differ",
    "of rows whose margin exceeds the error",
    "error stated",
    "rms expected of encryption",
    "error measured",
    "depth",
    "N, scale",
    "rows a second: encrypt",
    "evaluate",
    "decrypt",
    "bytes up a row",
]


def cells(r: Result) -> list[str]:
    """Format one result."""

    def rate(name: str) -> str:
        found = r.seconds[name]
        return f"{r.chunk_rows / statistics.median(found):,.0f}" if found else ""

    classes = bool(r.model.output.classes)
    return [
        r.case.title,
        str(r.rows),
        f"{r.plain_score:.4f}, {r.encrypted_score:.4f}",
        str(r.differ) if classes else "",
        f"{r.differ_certain} of {r.certain}",
        f"{r.stated:.1e}",
        f"{r.expected:.0e}",
        f"{r.measured:.1e}",
        str(r.model.depth),
        f"2^{int(np.log2(r.model.params.ring_degree))}, 2^{np.log2(float(r.model.params.scale)):.0f}",
        rate("encrypt"),
        rate("evaluate"),
        rate("decrypt"),
        f"{r.bytes_up / r.chunk_rows:,.0f}" if r.bytes_up else "",
    ]


def markdown(results: list[Result], rounds: int) -> str:
    """Format the table for the page."""
    return (
        f"{processor()}, {kernels.active().name} kernels, one thread, medians of {rounds} full chunks or more, "
        f"{datetime.date.today().isoformat()}. Made by `python -m benchmarks.models`.\n\n"
        + table(HEADS, map(cells, results))
    )


def main(
    only: str = typer.Option("", help="run the cases whose title contains this"),
    rounds: int = typer.Option(5, help="timed chunks of each, at least"),
    write: bool = typer.Option(False, help="put the table into docs/models.md"),
) -> None:
    """Evaluate trained models encrypted, and print what came out."""
    console = Console(stderr=True)
    results = []
    for case in CASES:
        if only in case.title:
            console.print(case.title)
            with kernels.threads(1):
                results.append(run(case, rounds))
            console.print("  " + str(results[-1].model))
    shown = Table(*HEADS)
    for result in results:
        shown.add_row(*cells(result))
    Console(width=250).print(shown)
    if write:
        write_between(PAGE, MARKS, markdown(results, rounds))


if __name__ == "__main__":
    typer.run(main)
