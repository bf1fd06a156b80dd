"""The synthetic employees keep their promises, and the CSV reader says what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn.data import (
    DEFAULT_ROWS,
    POSITIVE,
    TARGET,
    bayes_accuracy,
    describe,
    load_csv,
    make_employees,
    true_probability,
)
from churn.errors import CategoryError, ChurnError, ColumnError, DataError
from churn.training import measure, split, train

RANGES = {
    "age": (20, 64),
    "education_level": (1, 5),
    "job_level": (1, 5),
    "total_working_years": (0, 44),
    "years_at_company": (0, 20),
    "years_since_promotion": (0, 12),
    "monthly_salary": (1500, 16000),
    "pay_vs_market_percent": (75, 125),
    "commute_km": (1, 60),
    "training_days": (0, 8),
    "work_life_balance": (1, 5),
    "manager_support": (1, 5),
    "job_satisfaction": (1, 5),
    "performance_rating": (1, 5),
}
TEXTS = {"department": 5, "contract": 3, "work_mode": 3, "overtime": 2, "business_travel": 3}


@pytest.mark.parametrize("seed", range(10))
def test_logistic_regression_reaches_about_73_percent(seed):
    """Half the allowed distance on every side: the sampling error of 4,096 rows is 0.007."""
    employees = make_employees(seed=seed)
    best = np.maximum(true_probability(employees), 1 - true_probability(employees)).mean()
    labels = (employees[TARGET] == POSITIVE).to_numpy()
    parts = split(employees.drop(columns=TARGET), labels, seed=seed)
    assert len(parts.test) == 4096
    model = train(parts.train, parts.train_labels, name="churn", target=TARGET, positive=POSITIVE).model
    quality = measure(parts.test_labels, model.probabilities(model.schema.transform(parts.test)))
    assert 0.715 <= quality.accuracy <= 0.750
    assert quality.accuracy >= quality.majority + 0.13
    assert quality.roc_auc >= 0.775
    # nobody beats the Bayes accuracy by more than chance: 4 standard deviations
    assert quality.accuracy <= best + 4 * np.sqrt(best * (1 - best) / 4096)


def test_bayes_accuracy_is_the_documented_one():
    assert abs(bayes_accuracy() - 0.753) < 0.002
    # two ways: the accuracy, on drawn labels, of whoever knows the probabilities
    employees = make_employees(60_000, 7)
    said = true_probability(employees) >= 0.5
    hit = (said == (employees[TARGET] == POSITIVE)).mean()
    assert abs(hit - bayes_accuracy(60_000, 7)) < 4 * np.sqrt(0.25 / 60_000)
    assert "75." in describe() and f"{DEFAULT_ROWS:,}" in describe()


def test_labels_follow_the_stated_probability():
    """In each tenth of the probabilities, as many leave as announced (within 4.5 deviations)."""
    employees = make_employees(60_000, 3)
    p, y = true_probability(employees), (employees[TARGET] == POSITIVE).to_numpy()
    for tenth in np.array_split(np.argsort(p), 10):
        deviation = np.sqrt((p[tenth] * (1 - p[tenth])).sum())
        assert abs(y[tenth].sum() - p[tenth].sum()) < 4.5 * deviation


def test_columns_are_as_documented():
    employees = make_employees(5000, 1)
    assert list(employees.columns) == [
        line.split("|")[1].strip()
        for line in make_employees.__doc__.splitlines()
        if line.strip().startswith("|") and "---" not in line and "column" not in line
    ] + [TARGET]
    assert set(RANGES) | set(TEXTS) | {TARGET} == set(employees.columns)
    for name, (low, high) in RANGES.items():
        assert employees[name].between(low, high).all(), name
        assert employees[name].nunique() > 4, name
    for name, count in TEXTS.items():
        assert employees[name].nunique() == count, name
    assert set(employees[TARGET]) == {"Yes", "No"}
    assert not employees.isna().any(axis=None)


def test_columns_depend_on_each_other_as_they_should():
    employees = make_employees(5000, 2)
    assert (employees.years_at_company <= employees.total_working_years).all()
    assert (employees.years_since_promotion <= employees.years_at_company).all()
    assert (employees.total_working_years <= employees.age - 18).all()
    correlation = employees.corr(numeric_only=True)
    assert correlation.loc["job_level", "monthly_salary"] > 0.6
    assert correlation.loc["manager_support", "job_satisfaction"] > 0.2
    balance = employees.groupby("overtime").work_life_balance.mean()
    assert balance["Yes"] < balance["No"] - 0.3


def test_same_seed_same_table_other_seed_other_table():
    pd.testing.assert_frame_equal(make_employees(200, 5), make_employees(200, 5))
    assert not make_employees(200, 5).equals(make_employees(200, 6))


@pytest.mark.parametrize("rows", [100, 101, 997])
def test_any_number_of_rows_from_100_up(rows):
    employees = make_employees(rows, 0)
    assert len(employees) == rows and employees[TARGET].nunique() == 2
    labels = (employees[TARGET] == POSITIVE).to_numpy()
    features = employees.drop(columns=TARGET)
    parts = split(features, labels)
    trained = train(
        parts.train, parts.train_labels, name="churn", target=TARGET, positive=POSITIVE, vocabulary=features
    )
    assert trained.notes == ()
    trained.model.schema.transform(parts.test)


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match=r"99 rows .* at least 100"):
        make_employees(99)


@pytest.fixture
def table(tmp_path):
    def write(content: bytes):
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        return path

    return write


def test_csv_with_byte_order_mark_crlf_blank_lines_and_quotes(table):
    path = table('\ufeffLeft,age,note\r\nYes,41,"a, b"\r\n\r\nNo ,,None\r\n'.encode())
    features, labels = load_csv(path, "Left", "Yes")
    assert list(features.columns) == ["age", "note"] and labels.tolist() == [True, False]
    assert labels.dtype == np.bool_
    assert features.age[0] == 41 and np.isnan(features.age[1])
    assert features.note.tolist() == ["a, b", "None"]  # "None" is a text, not a missing cell


def test_csv_round_trip(tmp_path):
    employees = make_employees(150, 4)
    employees.to_csv(tmp_path / "e.csv", index=False, encoding="utf-8-sig")
    features, labels = load_csv(str(tmp_path / "e.csv"), TARGET, POSITIVE)
    pd.testing.assert_frame_equal(features, employees.drop(columns=TARGET))
    assert (labels == (employees[TARGET] == POSITIVE)).all()


def test_numeric_labels_are_compared_as_written(table):
    assert load_csv(table(b"y,x\n0,1\n1,2\n"), "y", "1")[1].tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "target", "positive", "error", "words"),
    [
        (b"", "left", "Yes", DataError, ["is empty"]),
        (b" \n\n", "left", "Yes", DataError, ["is empty"]),
        (b"left,age\n", "left", "Yes", DataError, ["header line only"]),
        (
            b"Attrition,age\nYes,1\nNo,2\n",
            "attrition",
            "Yes",
            ColumnError,
            ["no column 'attrition'", "nearest known name: 'Attrition'", "'age'"],
        ),
        (b"Attrition,age\nYes,1\nNo,2\n", "zzz", "Yes", ColumnError, ["'Attrition', 'age'"]),
        (b"left;age\nYes;1\nNo;2\n", "left", "Yes", ColumnError, ["separated by semicolons"]),
        (
            b"left,age\nYes,1\nNo,2\n",
            "left",
            "yes",
            CategoryError,
            ["'yes' does not occur", "nearest known name: 'Yes'", "'No', 'Yes'"],
        ),
        (b"left,age\nYes,1\nYes,2\n", "left", "Yes", DataError, ["every row", "both labels"]),
        (b"left,age\nYes,1\n,2\n", "left", "Yes", DataError, ["is empty in 1 rows", "row 1"]),
        (b"left,age\nYes,1\nNo,2,3\n", "left", "Yes", DataError, ["line 3", "3 cells", "2 columns"]),
        (b"left,age\nYes,1\nNo\n", "left", "Yes", DataError, ["line 3", "1 cells"]),
        (b'left,age\nYes,1\nNo,"2\n', "left", "Yes", DataError, ["not valid CSV", "quotes"]),
        (b"left,left\nYes,1\n", "left", "Yes", ColumnError, ["more than one column 'left'"]),
        (b"left,\nYes,1\n", "left", "Yes", ColumnError, ["no name for column 2"]),
        (b"left\nYes\nNo\n", "left", "Yes", DataError, ["no column beside the label"]),
        (b"\x89PNG\r\n\x1a\n\x00", "left", "Yes", DataError, ["not UTF-8"]),
        (b"PK\x03\x04\x00\x00", "left", "Yes", DataError, ["zero bytes"]),
        (b'{"left": 1,\n "age": 2}\n', "left", "Yes", DataError, ["line 2", "comma-separated"]),
    ],
)
def test_csv_errors_name_what_was_found(table, content, target, positive, error, words):
    with pytest.raises(error) as caught:
        load_csv(table(content), target, positive)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


def test_csv_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            load_csv(path, "left", "Yes")


def test_errors_have_three_parts_and_are_value_errors():
    with pytest.raises(ValueError) as caught:
        make_employees(3)
    error = caught.value
    assert isinstance(error, ChurnError)
    assert str(error) == f"{error.found}; {error.needed}. {error.remedy}."
