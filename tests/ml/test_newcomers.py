"""What goes wrong first: every error says what was found, what was needed, and where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ml_kit import insecure_params
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from ckks.errors import HEError
from ckks.ml import from_sklearn

TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])
Y = (TABLE["a"] > 0).to_numpy().astype(int)
FITTED = LogisticRegression().fit(TABLE, Y)


def spoiled(**attributes):
    estimator = LogisticRegression().fit(TABLE, Y)
    vars(estimator).update(attributes)
    return estimator


@pytest.mark.parametrize(
    ("message", "model", "X", "options"),
    [
        (r"a weight of nan \(of output, feature: 0, 1\)", spoiled(coef_=np.array([[1.0, np.nan, 0]])), TABLE, {}),
        ("a bias of inf", spoiled(intercept_=np.array([np.inf])), TABLE, {}),
        (r"one text; needed a sequence of them: \['records'\]", FITTED, TABLE, {"layouts": "records"}),
        ("LogisticRegression is a class; pass what", LogisticRegression, TABLE, {}),
        ("this LogisticRegression is not fitted", LogisticRegression(), TABLE, {}),
        ("nearest that can is GradientBoostingClassifier", RandomForestClassifier(2).fit(TABLE, Y), TABLE, {}),
        ("can is GradientBoostingClassifier", HistGradientBoostingClassifier(max_iter=2).fit(TABLE, Y), TABLE, {}),
        ("can is LogisticRegression. All that can, .*: ARD", GaussianNB().fit(TABLE, Y), TABLE, {}),
        (r"X of shape \(40, 2\) for a model of 3", FITTED, TABLE[["a", "b"]], {}),
        ("column 0 is 'c', needed 'a': reorder them", FITTED, TABLE[["c", "b", "a"]], {}),
        ("missing 'b'; unknown 'z'", FITTED, TABLE.rename(columns={"b": "z"}), {}),
        ("column 'b' of X, row 3, holds nan", FITTED, TABLE.assign(b=[0.0] * 3 + [np.nan] * 37), {}),
        ("column 'b' of X, row 0, holds 'x', which is no number", FITTED, TABLE.assign(b="x"), {}),
    ],
)
def test_conversion(message, model, X, options):
    with pytest.raises(HEError, match=message):
        from_sklearn(model, X, params=insecure_params(), **options)


@pytest.mark.parametrize(
    ("message", "X"),
    [
        ("missing 'c': pass the columns", TABLE[["a", "b"]]),
        ("unknown 'd': pass the columns", TABLE.assign(d=1.0)),
        ("missing 'b'; unknown 'z'", TABLE.rename(columns={"b": "z"})),
        ("column 0 is 'b', needed 'a': reorder them", TABLE[["b", "a", "c"]]),
        ("column 3 is 'a', which was there already", pd.concat([TABLE, TABLE[["a"]]], axis=1)),
        ("column 'b', row 1, holds 'x', which is no number, in a column of", TABLE.assign(b=["0", "x"] * 20)),
        ("column 'b' holds datetime64.* values; needed real numbers", TABLE.assign(b=pd.Timestamp("2020-01-01"))),
        ("column 'b' holds complex128 values", TABLE.assign(b=1j)),
        ("column 'b', row 0, holds nan", TABLE.assign(b=None)),
        (r"shape \(40, 2\); needed \(rows, 3\)", TABLE.to_numpy()[:, :2]),
        (r"shape \(40,\); needed \(rows, 3\); .*, X\[:1\] for one row", TABLE["a"]),
    ],
)
def test_tables(message, X):
    client = from_sklearn(FITTED, TABLE, params=insecure_params()).client()
    with pytest.raises(HEError, match=message):
        client.encrypt(X)


def test_what_is_meant_well_is_taken():
    """Numbers as texts, truth values, tables without names: as scikit-learn takes them."""
    client = from_sklearn(LinearRegression().fit(TABLE, Y), TABLE, params=insecure_params()).client()
    for X in (TABLE.assign(b="0.5"), TABLE.assign(b=True), TABLE.to_numpy(), TABLE.to_numpy().tolist()):
        assert client.encrypt(X).rows == 40


def test_arrays_in_place_of_what_is_encrypted():
    model = from_sklearn(FITTED, TABLE, params=insecure_params())
    client = model.client()
    with pytest.raises(TypeError, match=r"found DataFrame, needed encrypted rows: server\.evaluate\(client\.encrypt"):
        model.server(client.evaluation_keys).evaluate(TABLE)
    for read in (client.predict, client.predict_proba, client.decision_function):
        with pytest.raises(TypeError, match=r"found ndarray, needed an answer: client\.predict\(server"):
            read(TABLE.to_numpy())
