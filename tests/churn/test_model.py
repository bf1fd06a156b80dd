"""The deployable model equals the scikit-learn pipeline, and its interval holds every logit."""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.data import POSITIVE, TARGET, make_employees
from churn.errors import CategoryError, ColumnError, DataError, ModelError
from churn.model import LinearModel, interval_for
from churn.schema import CategoricalColumn, NumericColumn, Schema
from churn.tables import load_csv
from churn.training import measure, split, train

IBM = Path(__file__).resolve().parents[3] / "shared/data/hr/ibm_hr_attrition.csv"
NAMES = {"name": "churn", "target": TARGET, "positive": POSITIVE}


@pytest.fixture(scope="module")
def employees():
    """1,500 employees with labels, split."""
    table = make_employees(1500, 0)
    labels = (table.pop(TARGET) == POSITIVE).to_numpy()
    return split(table, labels, seed=1)


@pytest.fixture(scope="module")
def trained(employees):
    return train(employees.train, employees.train_labels, **NAMES)


def toy(**changes) -> LinearModel:
    """Two columns, three features, small enough to check by hand."""
    schema = Schema((NumericColumn("age", 40.0, 10.0, 20.0, 65.0), CategoricalColumn("team", ("a", "b", "c"))))
    parts = {
        "name": "toy",
        "version": 1,
        "target": "left",
        "positive": "Yes",
        "schema": schema,
        "weights": np.array([2.0, 3.0, -1.0]),
        "bias": 0.5,
        "logit_interval": 9.0,
        "observed_logit": 4.0,
    }
    return LinearModel(**{**parts, **changes})


# --- the schema against scikit-learn -----------------------------------------------------------


def test_transform_equals_the_pipeline(employees, trained):
    x = trained.model.schema.transform(employees.test)
    expected = trained.pipeline["encode"].transform(employees.test)
    assert x.dtype == np.float64 and x.flags.c_contiguous
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        trained.model.logits(x), trained.pipeline.decision_function(employees.test), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        trained.model.probabilities(x), trained.pipeline.predict_proba(employees.test)[:, 1], rtol=0, atol=1e-12
    )


def test_numbers_beyond_the_training_range_are_clipped_as_in_the_pipeline(employees, trained):
    far = employees.test.head(40).copy()
    numbers = far.select_dtypes("number").columns
    far[numbers] = far[numbers] * 1000 - 7000
    x = trained.model.schema.transform(far)
    np.testing.assert_allclose(x, trained.pipeline["encode"].transform(far), rtol=0, atol=1e-12)
    ranges = trained.model.schema.encoded_ranges()
    assert (x >= ranges[:, 0]).all() and (x <= ranges[:, 1]).all()
    assert (x[:, : len(numbers)] == ranges[: len(numbers), 1]).any()


def test_numbers_that_are_clipped_are_counted():
    records = pd.DataFrame({"team": ["c", "a", "b", "b"], "age": ["45", 90, 1, 40.5]})
    assert toy().schema.clipped(records) == {"age": 2}
    assert toy().schema.clipped(records.head(1)) == {}


def test_feature_names(trained):
    names = trained.model.schema.feature_names
    assert len(names) == trained.model.schema.width == len(trained.model.weights) == 25
    assert len(set(names)) == len(names)
    assert "overtime=Yes" in names and "contract=Agency" not in names  # the reference


def test_transform_by_hand():
    x = toy().schema.transform(
        pd.DataFrame({"other": [0, 0, 0, 0], "team": ["c", "a", "b", "b"], "age": ["45", 90, 1, 40.5]})
    )
    assert x.tolist() == [[0.5, 0, 1], [2.5, 0, 0], [-2, 1, 0], [0.05, 1, 0]]
    assert toy().logits(x).tolist() == [0.5, 5.5, -0.5, 3.6]
    assert toy().probabilities(x)[0] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-15)


def test_column_names_may_be_numbers():
    table = pd.DataFrame({0: np.arange(40) % 7, 1: ["a", "b"] * 20})
    trained = train(table, np.arange(40) % 3 == 0, **NAMES)
    assert trained.model.schema.feature_names == ("0", "1=b")


def test_transform_of_no_rows():
    assert toy().schema.transform(pd.DataFrame({"age": [], "team": []})).shape == (0, 3)


def test_columns_are_found_by_name_in_any_order(employees, trained):
    shuffled = employees.test[employees.test.columns[::-1]].assign(extra="x")
    expected = trained.model.schema.transform(employees.test)
    assert (trained.model.schema.transform(shuffled) == expected).all()
    assert (trained.model.schema.transform(shuffled.convert_dtypes()) == expected).all()
    as_text = shuffled.astype(str).astype(object)
    assert (trained.model.schema.transform(as_text) == expected).all()


# --- records that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "error", "words"),
    [
        ({"Age": [1], "team": ["a"]}, ColumnError, ["lacks 'age'", "nearest known name: 'Age'", "2 columns"]),
        ({"x": [1]}, ColumnError, ["lacks 'age', 'team'"]),
        (
            {"age": [1, 2], "team": ["a", "B"]},
            CategoryError,
            ["'team'", "row 1", "'B'", "nearest known name: 'b'", "'a', 'b', 'c'"],
        ),
        ({"age": [1, 2], "team": ["a", None]}, CategoryError, ["'team'", "row 1", "nothing"]),
        ({"age": [1.0, np.nan], "team": ["a", "a"]}, DataError, ["'age'", "row 1", "nothing"]),
        ({"age": [1, "old"], "team": ["a", "a"]}, DataError, ["'age'", "row 1", "'old'"]),
        ({"age": [np.inf, 1], "team": ["a", "a"]}, DataError, ["'age'", "row 0", "'inf'"]),
        ({"age": [1, "nan"], "team": ["a", "a"]}, DataError, ["'age'", "row 1", "'nan'"]),
    ],
)
def test_bad_records_are_refused_by_column_and_row(records, error, words):
    with pytest.raises(error) as caught:
        toy().schema.transform(pd.DataFrame(records))
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


def test_rows_are_counted_by_position_not_by_label():
    records = pd.DataFrame({"age": [1, 2, 3], "team": ["a", "z", "a"]}, index=[70, 80, 90])
    with pytest.raises(CategoryError, match="row 1 "):
        toy().schema.transform(records)


def test_doubled_column_is_refused():
    records = pd.DataFrame([[1, 2, "a"]], columns=["age", "age", "team"])
    with pytest.raises(ColumnError, match="more than one column 'age'"):
        toy().schema.transform(records)


# --- the interval ------------------------------------------------------------------------------


def test_interval_by_hand():
    low, high = toy().logit_range
    assert low == pytest.approx(0.5 - 4 - 1, abs=1e-12) and low <= -4.5
    assert high == pytest.approx(0.5 + 5 + 3, abs=1e-12) and high >= 8.5  # not 5 + 3 - 1
    assert interval_for(toy().schema, toy().weights, 0.5) == 8.75


def test_interval_is_attained_by_a_record_and_exceeded_by_none(trained):
    """The worst record, built column by column, comes within rounding of the bound."""
    schema, w = trained.model.schema, trained.model.weights
    for sign, end in ((1, 1), (-1, 0)):
        worst, start = {}, 0
        for column in schema.columns:
            part = sign * w[start : start + column.width]
            start += column.width
            if isinstance(column, NumericColumn):
                worst[column.name] = [1e12 if part[0] > 0 else -1e12]
            else:
                worst[column.name] = [column.categories[int(np.argmax([0.0, *part]))]]
        logit = trained.model.logits(schema.transform(pd.DataFrame(worst)))[0]
        bound = trained.model.logit_range[end]
        assert sign * logit <= sign * bound
        assert logit == pytest.approx(bound, abs=1e-11)
        assert abs(logit) <= trained.model.logit_interval


def test_interval_against_every_corner_of_small_schemas():
    rng = np.random.default_rng(0)
    for _ in range(40):
        columns = []
        for k in range(3):
            low, high = np.sort(rng.normal(size=2) * 10)
            columns.append(
                NumericColumn(f"n{k}", float(rng.normal()), float(rng.uniform(0.1, 5)), float(low), float(high))
            )
            columns.append(CategoricalColumn(f"c{k}", tuple("abcd"[: rng.integers(2, 5)])))
        schema = Schema(tuple(columns))
        w, bias = rng.normal(size=schema.width) * 3, float(rng.normal())
        cells = [[-1e9, 1e9] if isinstance(c, NumericColumn) else c.categories for c in columns]
        corners = pd.DataFrame(list(itertools.product(*cells)), columns=[c.name for c in columns])
        logits = schema.transform(corners) @ w + bias
        low, high = schema.dot_range(w, bias)
        assert low <= logits.min() == pytest.approx(low, abs=1e-10)
        assert high >= logits.max() == pytest.approx(high, abs=1e-10)


def test_interval_holds_and_stays_small(employees, trained):
    model = trained.model
    for part in (employees.train, employees.test):
        assert np.abs(model.logits(model.schema.transform(part))).max() <= model.logit_interval
    observed = np.abs(model.logits(model.schema.transform(employees.train))).max()
    assert model.observed_logit == observed
    careless = abs(model.bias) + np.abs(model.weights) @ np.abs(model.schema.encoded_ranges()).max(1)
    assert model.logit_interval < 0.8 * careless
    proved = max(-model.logit_range[0], model.logit_range[1])
    assert proved <= model.logit_interval < proved + 0.25
    assert model.logit_interval % 0.25 == 0


def test_a_model_that_understates_its_interval_is_refused():
    with pytest.raises(ModelError, match=r"no logit exceeds 8; .* reaches 8\.5"):
        toy(logit_interval=8.0)
    with pytest.raises(ModelError, match="observed logit"):
        toy(observed_logit=9.5)


# --- plain values ------------------------------------------------------------------------------


def test_round_trip_through_json_is_exact(employees, trained):
    again = LinearModel.from_dict(json.loads(json.dumps(trained.model.to_dict())))
    assert again.to_dict() == trained.model.to_dict()
    assert (again.weights == trained.model.weights).all()
    assert again.schema == trained.model.schema
    x = again.schema.transform(employees.test)
    assert (again.logits(x) == trained.model.logits(x)).all()


def test_description_for_clients_holds_no_learned_number(trained):
    told = trained.model.describe()
    assert set(told) == {"name", "version", "target", "positive", "schema", "logit_interval"}
    text = json.dumps(told)
    for secret in (*trained.model.weights, trained.model.bias):
        assert repr(float(secret)) not in text
    assert Schema.from_dict(json.loads(text)["schema"]) == trained.model.schema


def test_models_are_immutable():
    given = np.array([2.0, 3.0, -1.0])
    model = toy(weights=given)
    given[0] = 99
    assert model.weights[0] == 2
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0] = 1
    with pytest.raises(AttributeError):
        model.bias = 0


def changed(path: str, value: object) -> dict:
    """The toy model's description with one place changed; `...` deletes it."""
    description = json.loads(json.dumps(toy().to_dict()))
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = description
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return description


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("bias", ..., ["lacks 'bias'"]),
        ("extra", 1, ["unknown part 'extra'"]),
        ("format", "linear-model/2", ["linear-model/1"]),
        ("name", "../etc/passwd", ["name"]),
        ("name", "", ["name"]),
        ("name", 7, ["name", "int"]),
        ("version", 0, ["version"]),
        ("version", True, ["version", "bool"]),
        ("version", 1.0, ["version", "float"]),
        ("target", None, ["target", "nothing"]),
        ("positive", "x" * 201, ["201 characters"]),
        ("weights", [1.0, 2.0], ["(2,)", "3"]),
        ("weights", [1.0, 2.0, "3"], ["weight 2", "str"]),
        ("weights", [1.0, 2.0, float("nan")], ["weight 2", "finite"]),
        ("weights", [1.0, 2.0, 10**400], ["weight 2", "finite"]),
        ("weights", {"0": 1}, ["list of weights", "dict"]),
        ("weights", [], ["0 entries"]),
        ("weights", [0.0] * 5000, ["5000 entries"]),
        ("bias", float("inf"), ["bias", "finite"]),
        ("bias", False, ["bias", "bool"]),
        ("logit_interval", 1.0, ["reaches 8.5"]),
        ("schema", [], ["schema", "list"]),
        ("schema/columns", [], ["0 entries"]),
        ("schema/columns/0/kind", "pickle", ["'pickle'", "numeric"]),
        ("schema/columns/0/kind", ["numeric"], ["kind"]),
        ("schema/columns/0/scale", 0.0, ["scale"]),
        ("schema/columns/0/scale", 5e-324, ["finite range"]),
        ("schema/columns/0/lower", 66.0, ["lower 66"]),
        ("schema/columns/0/mean", "40", ["mean", "str"]),
        ("schema/columns/0/maen", 1, ["unknown part 'maen'", "'mean'"]),
        ("schema/columns/0", 3, ["column 0"]),
        ("schema/columns/1/name", "age", ["two columns 'age'"]),
        ("schema/columns/1/categories", ["a"], ["1 categories"]),
        ("schema/columns/1/categories", ["a", "b", "b"], ["2 of them different"]),
        ("schema/columns/1/categories", ["a", "b", 3], ["category", "int"]),
        ("schema/columns/1/categories", "abc", ["categories", "str"]),
    ],
)
def test_descriptions_are_checked_strictly(path, value, words):
    with pytest.raises(ModelError) as caught:
        LinearModel.from_dict(changed(path, value))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, "model", [], {}])
def test_anything_else_is_no_model(value):
    with pytest.raises(ModelError):
        LinearModel.from_dict(value)


def test_features_of_the_wrong_shape_are_refused():
    for shape in ((3,), (2, 4), (1, 2, 3)):
        with pytest.raises(ModelError, match="transform"):
            toy().logits(np.zeros(shape))


def test_probabilities_of_huge_logits_do_not_overflow():
    model = toy(weights=np.array([1e3, 0, 0]), logit_interval=3000.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p = model.probabilities([[-2, 0, 0], [0, 0, 0], [2, 0, 0]])
    assert p[0] == 0 and p[2] == 1 and 0.62 < p[1] < 0.63


# --- training ----------------------------------------------------------------------------------


def test_useless_columns_are_left_out_with_a_note(employees):
    rows = len(employees.train)
    odd = employees.train.assign(
        employee_id=np.arange(rows)[::-1] + 5,
        badge_number=np.arange(rows) * 977 % 100_003,
        EmployeeCount=1,
        name=[f"n{k}" for k in range(rows)],
        hired=pd.Timestamp("2020-01-01"),
        site=[f"s{k % 60}" for k in range(rows)],
        empty=np.nan,
    )
    odd["hired"] += pd.to_timedelta(np.arange(rows), unit="D")
    trained = train(odd, employees.train_labels, **NAMES)
    assert [note.split("'")[1] for note in trained.notes] == [
        "employee_id",
        "badge_number",
        "EmployeeCount",
        "name",
        "hired",
        "site",
        "empty",
    ]
    assert trained.model.schema.width == 25
    assert not any("salary" in note for note in trained.notes)


def test_kinds_of_columns():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "flag": rng.integers(0, 2, 60).astype(bool),
            "digits": rng.integers(0, 9, 60).astype(str),
            "grade": pd.Categorical(rng.choice(["low", "high"], 60)),
            "wage": rng.normal(size=60),
        }
    )
    schema = train(table, rng.integers(0, 2, 60).astype(bool), **NAMES).model.schema
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {
        "digits": "numeric",
        "wage": "numeric",  # a measurement is never an id
        "flag": "categorical",
        "grade": "categorical",
    }
    schema.transform(table)


def test_vocabulary_adds_categories_without_training_rows():
    table = pd.DataFrame({"team": ["a", "b"] * 20 + ["c"], "age": range(41)})
    y = np.arange(41) % 3 == 0
    assert train(table[:40], y[:40], **NAMES).model.schema.columns[1].categories == ("a", "b")
    model = train(table[:40], y[:40], **NAMES, vocabulary=table).model
    assert model.schema.columns[1].categories == ("a", "b", "c")
    assert model.weights[2] == 0
    model.schema.transform(table)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda t: t.assign(age=t.age.where(t.index != t.index[3])), DataError, ["'age'", "row 3"]),
        (
            lambda t: t.assign(age=t.age.astype(object).where(t.index != t.index[3], "NA")),
            DataError,
            ["'age'", "row 3", "'NA'"],
        ),
        (lambda t: t.assign(contract=t.contract.where(t.index != t.index[4], " ")), DataError, ["'contract'", "row 4"]),
        (lambda t: t.assign(left="Yes"), ColumnError, ["'left'", "label"]),
        (lambda t: pd.concat([t, t[["age"]]], axis=1), ColumnError, ["more than one column 'age'"]),
        (lambda t: t[["age"]] * 0, DataError, ["no column", "every row holds '0'"]),
    ],
)
def test_tables_that_cannot_be_learned_from(employees, change, error, words):
    with pytest.raises(error) as caught:
        train(change(employees.train), employees.train_labels, **NAMES)
    for word in words:
        assert word in str(caught.value)


def test_labels_that_cannot_be_learned_from(employees):
    with pytest.raises(DataError, match="all 1125 labels are positive"):
        train(employees.train, np.ones(1125, bool), **NAMES)
    with pytest.raises(DataError, match="int64"):
        train(employees.train, employees.train_labels.astype(int), **NAMES)
    with pytest.raises(DataError, match="1125 records"):
        train(employees.train, employees.train_labels[1:], **NAMES)


def test_split_is_stratified_seeded_and_complete():
    table = pd.DataFrame({"row": np.arange(1000)})
    y = np.arange(1000) % 5 == 0
    first, second, other = split(table, y), split(table, y), split(table, y, seed=1)
    assert len(first.test) == 250 and first.test_labels.sum() == 50
    assert first.test.row.tolist() == second.test.row.tolist() != other.test.row.tolist()
    assert sorted([*first.train.row, *first.test.row]) == list(range(1000))
    assert (first.test_labels == (first.test.row % 5 == 0)).all()
    assert len(split(table, y, held_out=100).test) == 100
    for bad in (0.0, 1.0, 999, 5000, -0.5):
        with pytest.raises(DataError, match="held out"):
            split(table, y, held_out=bad)


def test_metrics_by_hand():
    found = measure([True, True, False, False, False], [0.9, 0.4, 0.5, 0.2, 0.1])
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.roc_auc == pytest.approx(5 / 6)  # of six pairs one is in the wrong order
    assert found.majority == pytest.approx(3 / 5)
    with pytest.raises(DataError):
        measure([True, False], [0.5, np.nan])
    with pytest.raises(DataError):
        measure([True, True], [0.5, 0.5])


# --- a real table ------------------------------------------------------------------------------


@pytest.mark.skipif(not IBM.exists(), reason=f"the sample {IBM.name} is not there: it is not ours to distribute")
def test_ibm_sample():
    features, labels = load_csv(IBM, "Attrition", "Yes")
    assert features.shape == (1470, 34) and labels.sum() == 237
    parts = split(features, labels)
    trained = train(
        parts.train, parts.train_labels, name="ibm", target="Attrition", positive="Yes", vocabulary=features
    )
    model = trained.model
    assert {note.split("'")[1] for note in trained.notes} == {
        "EmployeeCount",
        "Over18",
        "StandardHours",
        "EmployeeNumber",
    }
    x = model.schema.transform(parts.test)
    np.testing.assert_allclose(x, trained.pipeline["encode"].transform(parts.test), 0, 1e-12)
    quality = measure(parts.test_labels, model.probabilities(x))
    assert quality.accuracy > quality.majority + 0.01 and quality.roc_auc > 0.78
    assert model.schema.width == 44
    everyone = np.abs(model.logits(model.schema.transform(features)))
    assert everyone.max() <= model.logit_interval <= 18
