"""Both sides in one estimator: scikit-learn's own checks, and what they do not ask."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ml_kit import insecure_params, table
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from ckks.errors import RangeError
from ckks.ml import EncryptedClassifier, EncryptedRegressor

FRESH = "each prediction has the error of a fresh encryption, which at 24 bits exceeds a tolerance of 1e-7"
EXPECTED = {
    "check_estimators_pickle": FRESH,
    "check_fit_idempotent": FRESH,
    "check_methods_sample_order_invariance": FRESH,
    "check_methods_subset_invariance": FRESH,
    "check_supervised_y_2d": FRESH,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [EncryptedClassifier, EncryptedRegressor])
def test_scikit_learns_checks(kind):
    """At 40 bits all of them pass, without an exception."""
    found = check_estimator(kind(precision_bits=40), on_skip=None)
    passed = [one["check_name"] for one in found if one["status"] == "passed"]
    assert len(passed) > 40 and set(EXPECTED) <= set(passed)


@pytest.mark.parametrize("kind", [EncryptedClassifier, EncryptedRegressor])
def test_scikit_learns_checks_at_the_default_precision(kind):
    """At 24 bits, those may fail that compare two predictions of one row to seven digits; nothing else does."""
    found = check_estimator(kind(), on_skip=None, on_fail=None, expected_failed_checks=EXPECTED)
    failed = [one["check_name"] for one in found if one["status"] == "failed"]
    assert failed == []
    assert {one["check_name"] for one in found if one["status"] == "xfail"} <= set(EXPECTED)


X = table(120, 4)
X = X / np.abs(X).max(axis=0)
Y = X @ [1.0, -2.0, 0.5, 0.0]
TINY = dict(params=insecure_params())


def test_a_pipeline_inside_and_outside():
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    encrypted = EncryptedClassifier(plain, **TINY).fit(X, Y > 0)
    assert np.array_equal(encrypted.predict(X), clone(plain).fit(X, Y > 0).predict(X))
    assert np.abs(encrypted.predict_proba(X).sum(axis=1) - 1).max() < 1e-12
    outside = make_pipeline(StandardScaler(), EncryptedRegressor(Ridge(), **TINY)).fit(X, Y)
    assert outside.score(X, Y) == pytest.approx(
        Ridge().fit(StandardScaler().fit_transform(X), Y).score(StandardScaler().fit_transform(X), Y), abs=1e-6
    )


def test_searched_and_cross_validated():
    search = GridSearchCV(EncryptedRegressor(Ridge(), **TINY), {"estimator__alpha": [0.01, 100.0]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"estimator__alpha": 0.01}
    assert cross_val_score(EncryptedClassifier(**TINY), X, Y > 0, cv=3).min() > 0.8


def test_methods_are_those_of_the_model():
    assert not hasattr(EncryptedClassifier(LinearSVC(), **TINY).fit(X, Y > 0), "predict_proba")
    assert hasattr(EncryptedClassifier(LinearSVC(), **TINY).fit(X, Y > 0), "decision_function")
    assert not hasattr(EncryptedRegressor(**TINY).fit(X, Y), "predict_proba")


def test_tables_with_texts():
    frame = pd.DataFrame({"a": X[:, 0], "kind": np.where(X[:, 1] > 0, "x", "y")})
    columns = make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(), ["kind"]))
    encrypted = EncryptedClassifier(make_pipeline(columns, LogisticRegression()), **TINY).fit(frame, Y > 0)
    assert np.array_equal(encrypted.predict(frame), encrypted.estimator_.predict(frame))
    assert list(encrypted.feature_names_in_) == ["a", "kind"]
    with pytest.raises(ValueError, match="feature names should match"):
        encrypted.predict(frame.rename(columns={"a": "b"}))
    objects = frame.to_numpy(dtype=object)
    by_place = make_column_transformer((StandardScaler(), [0]), (OneHotEncoder(), [1]))
    encrypted = EncryptedClassifier(make_pipeline(by_place, LogisticRegression()), **TINY).fit(objects, Y > 0)
    assert np.array_equal(encrypted.predict(objects), encrypted.estimator_.predict(objects))
    with pytest.raises(ValueError, match="y to be passed"):
        EncryptedClassifier(**TINY).fit(frame, None)


def test_cells_outside():
    assert EncryptedRegressor(Ridge(), **TINY).fit(X, Y).predict(X * 5).shape == Y.shape
    with pytest.raises(RangeError):
        EncryptedRegressor(Ridge(), outside="refuse", **TINY).fit(X, Y).predict(X * 5)


def test_parameters_reach_the_model():
    made = MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", max_iter=2000, tol=1e-2, random_state=0)
    encrypted = EncryptedRegressor(made, degree=7, params=insecure_params(5)).fit(X, Y)
    assert encrypted.model_.depth == 5
    assert np.abs(encrypted.predict(X) - encrypted.estimator_.predict(X)).max() <= encrypted.model_.score_error
