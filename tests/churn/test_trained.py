"""Trained models: as files, hosted under parameters with room for flooding, through a service process, and refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio.abc
import numpy as np
import pandas as pd
import pytest
from churn_kit import Service, employees, linear_model
from ml_kit import table
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

import ckks.ml
from churn import cli
from churn.client import Client
from churn.errors import ChurnError, ColumnError, DataError, ModelError
from churn.hosting.model import Description
from churn.hosting.remote import BadAnswer, RequestRefused
from churn.hosting.work import evaluation
from churn.hosting.work.rehearsal import OwnNumbers, input_noise
from churn.offer import load_models, offer
from churn.predict.client import KnownPredictor, predict, values_of
from churn.predict.command import read_rows
from churn.predict.predictor import Predictor, hosted_parameters
from churn.predict.trained import TrainedModel, publish
from churn.process import ServiceProcess
from churn.versions import add_version
from ckks import CKKSParams, Encryptor, KeyGenerator
from ckks.errors import HEError, RangeError
from ckks.ml.forest import Forest


@cache
def insecure_params(depth: int = 1) -> CKKSParams:
    """16 slots at 2^80, levels of two primes: the chain of a hosted model in a toy ring."""
    return CKKSParams.generate(
        ring_degree=32, depth=depth, scale_bits=80, base_bits=84, num_special=1, special_bits=50, security=None
    )


@cache
def regression(targets: int = 1, seed: int = 1) -> tuple[LinearRegression, np.ndarray]:
    """Three columns, and a model of them."""
    X = table(40, 3, seed)
    return LinearRegression().fit(X, np.random.default_rng(seed).normal(size=(40, targets))), X


def hosted(targets: int = 1, seed: int = 1, *, flooded: bool = True, queries: int = 1024, **options: Any) -> Predictor:
    estimator, X = regression(targets, seed)
    model = ckks.ml.from_sklearn(estimator, X=X, **options)
    return Predictor.of(
        TrainedModel("toy", 1, model, salt="1" * 64), flooded=flooded, queries=queries, params=insecure_params()
    )


# ---- through a service process -----------------------------------------------------------------------


@cache
def estimators() -> dict[str, tuple[Any, Any, pd.DataFrame, pd.Series]]:
    """Name -> (estimator, model, table, labels)."""
    made = {}
    for name, load, estimator, options in (
        ("wine", load_wine, make_pipeline(StandardScaler(), LogisticRegression()), {}),
        ("diabetes", load_diabetes, Ridge(alpha=0.1), {}),
        (
            "iris",
            load_iris,
            make_pipeline(
                MinMaxScaler((-1, 1)), MLPClassifier((3,), activation="tanh", alpha=1, max_iter=3000, random_state=0)
            ),
            {"degree": 15, "layouts": ["feature-major"]},
        ),
    ):
        X, y = load(return_X_y=True, as_frame=True)
        estimator.fit(X, y)
        made[name] = estimator, ckks.ml.from_sklearn(estimator, X=X, **options), X, y
    return made


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service process that hosts the three of them, and a churn score."""
    folder = tmp_path_factory.mktemp("trained")
    for name, (_, model, _, _) in estimators().items():
        publish(model, folder / "models", name, target="target")
    add_version(linear_model(), folder / "models" / "toy.json")
    with ServiceProcess(folder / "models", folder / "keys", workers=1) as service:
        yield service.url


@pytest.mark.parametrize("name", ["wine", "diabetes", "iris"])
def test_predictions_are_those_of_scikit_learn(url: str, name: str) -> None:
    estimator, model, X, _ = estimators()[name]
    predictor = Predictor.of(TrainedModel(name, 1, model))
    with Client(url) as client:
        found = predict(client, f"{name}@1", X)
        assert found.known.description.flooding is not None and found.usage.bytes_down > 0
    assert found.error == predictor.description.score_error
    assert np.abs(found.scores - predictor.in_the_clear(X)).max() <= model.program.scale * predictor.output.error
    if name == "diabetes":
        assert np.abs(found.labels - estimator.predict(X)).max() <= found.error < 1e-4
        assert found.probabilities is None
        return
    certain = predictor.certain(X)
    assert certain.mean() > 0.9
    assert (found.labels == estimator.predict(X))[certain].all()
    # softmax never moves by more than the scores do
    assert found.probabilities is not None
    assert np.abs(found.probabilities - estimator.predict_proba(X)).max() <= found.error


def test_a_row_and_a_table_use_one_key_each(url: str, tmp_path: Path) -> None:
    _, model, X, _ = estimators()["wine"]
    with Client(url, key_file=tmp_path / "my.key") as client:
        one = predict(client, "wine", X.iloc[3:4])
        many = predict(client, "wine", X, layout="feature-major")
        sent = client.usage.bytes_keys
        again = predict(client, "wine", X.iloc[5:6])
        assert client.usage.bytes_keys == sent
    assert np.abs(one.scores - many.scores[3:4]).max() <= 2 * one.error
    assert (again.labels == many.labels[5:6]).all()
    assert one.usage.bytes_up < many.usage.bytes_up / 10
    assert model.layout(1) == "records"


def test_by_command_line(url: str, tmp_path: Path) -> None:
    run, files = CliRunner(), {}
    for name, (_, _, X, y) in estimators().items():
        files[name] = tmp_path / f"{name}.csv"
        X[X.columns[::-1]].assign(target=y, more="text").to_csv(files[name], index=False)

    def score(name: str, *options: str) -> str:
        result = run.invoke(cli.app, ["score", "--model", name, "--data", str(files[name]), "--url", url, *options])
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    wine, X, y = estimators()["wine"][0], *estimators()["wine"][2:]
    assert f"accuracy {wine.score(X, y):.4f} on 178 rows (majority 0.3989)" in score("wine")
    ridge, X, y = estimators()["diabetes"][0], *estimators()["diabetes"][2:]
    assert f"R² {ridge.score(X, y):.4f}" in score("diabetes", "--out", str(tmp_path / "out.csv"))
    written = pd.read_csv(tmp_path / "out.csv")
    assert written.columns.tolist() == ["row", "predicted"] and len(written) == 442
    assert np.abs(written.predicted - ridge.predict(X)).max() < 1e-3
    assert "row 7: 0 with probability" in score("iris", "--record", "7", "--out", str(tmp_path / "row.csv"))
    written = pd.read_csv(tmp_path / "row.csv")
    assert written.columns.tolist() == ["row", "predicted", *(f"probability of {k}" for k in range(3))]
    assert written.row.tolist() == [7] and written.predicted.tolist() == [0]
    listed = run.invoke(cli.app, ["models", "--url", url], env={"COLUMNS": "300"})
    assert listed.output.count("predictions") == 3 and "logit" in listed.output
    late = run.invoke(
        cli.app, ["score", "--model", "iris", "--data", str(files["iris"]), "--url", url, "--record", "150"]
    )
    assert isinstance(late.exception, DataError)


def test_tables_that_do_not_fit(url: str, tmp_path: Path) -> None:
    _, _, X, _ = estimators()["iris"]
    with Client(url) as client:
        for wrong in (X.iloc[:, :3], X[X.columns[::-1]], 100 * X, X.iloc[:0]):
            with pytest.raises((ChurnError, HEError)):
                predict(client, "iris", wrong)
        with pytest.raises(RangeError):
            predict(client, "iris", 100 * X.iloc[:1])
        assert predict(client, "iris", 100 * X.iloc[:1], outside="clip").clipped == 4
        with pytest.raises(ModelError, match="predictions"):
            client.score("iris", employees(3))
        with pytest.raises(ModelError, match="logit"):
            predict(client, "toy", X)
        X.rename(columns={X.columns[1]: "sepal widht (cm)"}).to_csv(tmp_path / "a.csv", index=False)
        called = CliRunner().invoke(
            cli.app, ["score", "--model", "iris", "--data", str(tmp_path / "a.csv"), "--url", url]
        )
        assert isinstance(called.exception, ColumnError) and "sepal widht" in str(called.exception)


def test_tables_are_read_by_name_or_by_place(tmp_path: Path, reference_kernels: None) -> None:
    nameless = KnownPredictor.of(Description.of(hosted()))
    named = replace(
        nameless,
        model=replace(nameless.model, schema=replace(nameless.model.schema, names=("a", "b", "c"))),
        target="y",
    )
    (tmp_path / "a.csv").write_text("c,y,b,a\n1,yes,2,3\n4,no,,6\n")
    found, truth = read_rows(tmp_path / "a.csv", named)
    assert found.columns.tolist() == ["a", "b", "c"] and found.iloc[0].tolist() == [3, 2, 1]
    assert truth is not None and truth.tolist() == ["yes", "no"] and np.isnan(found.b[1])
    found, truth = read_rows(tmp_path / "a.csv", nameless)
    assert found.shape == (2, 4) and truth is None
    for empty in ("c,y,b,a\n1,yes,2,3\n4,,5,6\n", "c,y,b,a\n1,,2,3\n", "c,y,b,a\n1,0.5,2,3\n1,,2,3\n"):
        (tmp_path / "a.csv").write_text(empty)
        assert read_rows(tmp_path / "a.csv", named)[1] is None
    for wrong in ("", "a,b\n", "a,b,d\n1,2,3\n"):
        (tmp_path / "a.csv").write_text(wrong)
        with pytest.raises(DataError):
            read_rows(tmp_path / "a.csv", named)


# ---- files -------------------------------------------------------------------------------------------


def test_a_model_is_published_once_for_each_version(tmp_path: Path) -> None:
    (one, X), (other, Z) = regression(), regression(seed=2)
    first, second = ckks.ml.from_sklearn(one, X=X), ckks.ml.from_sklearn(other, X=Z)
    assert publish(first, tmp_path / "models", "toy").reference == "toy@1"
    assert publish(first, tmp_path / "models", "toy").reference == "toy@1"
    assert publish(second, tmp_path / "models", "toy").path.name == "toy@2.json"
    assert publish(first, tmp_path / "models", "toy").reference == "toy@3"
    assert publish(first, tmp_path / "models", "other", target="y").path.name == "other.json"
    models = load_models(tmp_path / "models")
    assert sorted((model.name, model.version) for model in models) == [("other", 1), *(("toy", k) for k in (1, 2, 3))]
    assert all(isinstance(model, Predictor) for model in offer(tmp_path / "models"))
    with pytest.raises(ModelError, match="name"):
        publish(first, tmp_path / "models", "No Name")


def test_files_that_are_none_are_refused() -> None:
    estimator, X = regression()
    value = json.loads(json.dumps(TrainedModel("toy", 1, ckks.ml.from_sklearn(estimator, X=X)).to_dict()))
    assert TrainedModel.from_dict(value).to_dict() == value
    insecure = TrainedModel("toy", 1, ckks.ml.from_sklearn(estimator, X=X, params=insecure_params())).to_dict()
    changes: list[tuple[str, object]] = [
        ("format", "trained-model/2"),
        ("name", "../toy"),
        ("version", 0),
        ("salt", "00"),
        ("target", 3),
        ("target", "a\nb"),
        ("model", {}),
        ("model", {**value["model"], "program": None}),
        ("model", insecure["model"]),
        ("more", 1),
    ]
    for part, changed in changes:
        with pytest.raises(ModelError):
            TrainedModel.from_dict({**value, part: changed})


# ---- hosted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flooded", [True, False])
@pytest.mark.parametrize("layout", ["feature-major", "records"])
@pytest.mark.parametrize(("targets", "rows"), [(1, 1), (1, 4), (2, 5), (2, 16), (3, 17)])
def test_values_are_those_in_the_clear(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, targets: int, rows: int, layout: str, flooded: bool
) -> None:
    predictor, (estimator, X) = hosted(targets, flooded=flooded), regression(targets)
    seen: list[tuple[int, int]] = []
    with Client(Service(portal, [predictor]).remote()) as client:
        found = predict(client, "toy", X[:rows], layout=layout, progress=lambda done, total: seen.append((done, total)))
    exact = estimator.predict(X[:rows]).reshape(rows, targets)
    assert found.scores.shape == (rows, targets) and seen[-1] == (rows, rows)
    assert np.abs(found.scores - exact).max() <= found.error + 1e-12 * predictor.model.program.scale
    assert found.error < 1e-4 * predictor.model.program.scale, "or the statement would be an empty one"
    assert found.labels.shape == estimator.predict(X[:rows]).shape


def test_many_answers_stay_within_the_error_and_each_ciphertext_is_flooded(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, (_, X), told = hosted(3, queries=2), regression(3), []
    real = evaluation.protect
    monkeypatch.setattr(evaluation, "protect", lambda *a, **k: told.append(k["queries"]) or real(*a, **k))
    with Client(Service(portal, [predictor]).remote()) as client:
        for _ in range(2):
            predict(client, "toy", X[:3])
        with pytest.raises(ChurnError, match="2 answers"):
            predict(client, "toy", X[:3])
    assert told == [6, 6]


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("layout", ["feature-major", "records"])
def test_what_is_flooded_for_is_enough_and_coarse(reference_kernels: None, seed: int, layout: str) -> None:
    """The bound holds for a real evaluation, and its four bits, like the powers of two, are all that is told."""
    predictor, params = hosted(2, seed), insecure_params()
    generator = KeyGenerator(params)
    secret, needed = generator.secret_key(), predictor.layouts[layout]
    keys = generator.evaluation_keys(secret, relin=False, rotations=needed.rotations)
    x = Encryptor(params, secret).encrypt(np.ones((needed.items, 16)), level=needed.level, bound=1.0)
    y = predictor.evaluate(OwnNumbers(params, keys), x.with_(noise=input_noise(params)), layout)
    assert predictor.flooding is not None and y.shape == (2,)
    bits = predictor.flooding.log2_bound
    assert bits % 4 == 0 and y.noise.bound <= 2.0**bits
    assert max(one.log2_bound for one in predictor._rehearsals) > bits - 4
    assert math.frexp(predictor.output.error)[0] == 0.5


def test_parameters_have_room_for_flooding_and_no_more_levels_than_needed() -> None:
    (estimator, X), predictor = regression(), hosted()
    model = ckks.ml.from_sklearn(estimator, X=X)
    params = hosted_parameters(model)
    assert params.security == 128 and params.ring_degree == 2**13 and params.top_level == model.depth == 1
    assert hosted_parameters(model, flooded=False) is model.params
    assert hosted_parameters(replace(model, params=params)) is params, "its own have room"
    assert Predictor.of(predictor.trained).params == params and predictor.params == insecure_params()
    bare = ckks.ml.from_sklearn(estimator, X=X, layouts=["feature-major"])
    assert not hosted_parameters(bare).num_special, "without keys, none are provided for"
    wide = replace(model, program=replace(model.program, layers=(_heavy(model),)))
    assert hosted_parameters(wide).value_range == 4.0


def _heavy(model: ckks.ml.Model) -> Any:
    """Weights whose sizes sum to 32, where only their differences count."""
    layer = model.program.layers[0]  # type: ignore[union-attr]
    return type(layer)(np.full(layer.weights.shape, 32 / layer.weights.shape[1]), layer.bias)


def test_the_description_survives_its_journey_and_tells_no_weight(reference_kernels: None) -> None:
    for targets in (1, 3):
        predictor = hosted(targets)
        one = Description.of(predictor)
        text = json.dumps(one.to_dict())
        other = Description.from_dict(json.loads(text), allow_insecure=True)
        assert other.output == one.output and other.layouts == one.layouts and other.flooding == one.flooding
        known = KnownPredictor.of(other)
        assert known.model == predictor.description and known.target == ""
        layer = predictor.model.program.layers[0]  # type: ignore[union-attr]
        for number in (*layer.weights.ravel(), *layer.bias):
            assert repr(float(number))[:10] not in text


def test_the_digest_follows_what_the_answer_depends_on() -> None:
    one = hosted()
    others = [
        hosted(seed=2),
        replace(one, trained=replace(one.trained, version=2)),
        replace(one, trained=replace(one.trained, salt="2" * 64)),
        replace(one, flooded=False),
        replace(one, queries=5),
        Predictor.of(one.trained),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 7
    assert one.digest == hosted().digest


def test_a_tree_is_described_without_being_evaluated() -> None:
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
    model = ckks.ml.from_sklearn(tree, X=X, resolution=0.25, layouts=["feature-major"])
    assert isinstance(model.program, Forest)
    predictor = Predictor.of(TrainedModel("tree", 1, model))
    known = KnownPredictor.of(Description.of(predictor))
    assert known.model.output.kind == "vote" and predictor.params.security == 128
    assert (predictor.certain(X) <= model.program.decided(model.schema.encode(X)[0])).all()


# ---- what the client refuses -------------------------------------------------------------------------


def test_answers_that_cannot_be_one(reference_kernels: None) -> None:
    known = KnownPredictor.of(Description.of(hosted(2)))
    good = np.full((2, 16), 0.5, complex)
    good[:, 0] = [0.25, -1.0]
    for rows, layout in ((3, "records"), (16, "feature-major")):
        found = values_of(good, known=known, rows=rows, layout=layout)
        assert found is not None and found.shape == (rows, 2) and found[0].tolist() == [0.25, -1.0]
    for place, value in (((0, 4), 1.1), ((1, 0), -1.1), ((1, 15), 0.5 + 1e-3j), ((0, 9), np.nan), ((0, 9), np.inf)):
        bad = good.copy()
        bad[place] = value
        assert values_of(bad, known=known, rows=16, layout="feature-major") is None


def test_a_lying_service_is_found_out(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> None:
    (_, X), service = regression(2), Service(portal, [hosted(2)])
    transport = service.transport()
    with Client(service.remote(transport)) as client:
        predict(client, "toy", X[:2])
        for tamper in (lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[: len(data) // 2]):
            transport.tamper = tamper
            with pytest.raises(BadAnswer):
                predict(client, "toy", X[:2])


def test_descriptions_that_are_not_believed(reference_kernels: None) -> None:
    good = Description.of(hosted(2))
    told = good.about["model"]
    for wrong in (
        replace(good, output=replace(good.output, error=0.5)),
        replace(good, output=replace(good.output, high=100.0)),
        replace(good, output=replace(good.output, items=3)),
        replace(good, output=replace(good.output, kind="logit")),
        replace(good, about={}),
        replace(good, about={**good.about, "target": "a\nb"}),
        replace(good, about={**good.about, "model": {**told, "scale": -1.0}}),
        replace(good, about={**good.about, "model": {**told, "parameters": "00"}}),
        replace(good, about={**good.about, "model": {**told, "level": 7}}),
    ):
        with pytest.raises(ModelError):
            KnownPredictor.of(wrong)
    layout = good.layouts["records"]
    for changed in (replace(layout, items=2), replace(layout, slots=8), replace(layout, bound=0.5)):
        with pytest.raises(RequestRefused):
            KnownPredictor.of(replace(good, layouts={"records": changed})).layout("records")
    with pytest.raises(RequestRefused):
        KnownPredictor.of(good).layout("rows")
