"""The synthetic employees keep their promises."""

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
    make_employees,
    true_probability,
)
from churn.errors import ChurnError, DataError
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


def test_errors_have_three_parts_and_are_value_errors():
    with pytest.raises(ValueError) as caught:
        make_employees(3)
    error = caught.value
    assert isinstance(error, ChurnError)
    assert str(error) == f"{error.found}; {error.needed}. {error.remedy}."
