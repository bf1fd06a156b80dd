"""Whatever of a pipeline is linear is in the weights, exactly: scores in the clear are those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ml_kit import insecure_params, table
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from ckks.errors import ModelError
from ckks.ml import from_sklearn

X = table(120, 5)
Y = X @ (1 / np.ptp(X, axis=0)) + np.sin(X[:, 0])

STEPS = {
    "nothing": [],
    "passthrough": ["passthrough"],
    "standard": [StandardScaler()],
    "standard, no mean": [StandardScaler(with_mean=False)],
    "standard, no deviation": [StandardScaler(with_std=False)],
    "min-max": [MinMaxScaler((-3, 2))],
    "max-abs": [MaxAbsScaler()],
    "robust": [RobustScaler()],
    "robust, no center": [RobustScaler(with_centering=False)],
    "robust, no scale": [RobustScaler(with_scaling=False)],
    "pca": [StandardScaler(), PCA(3)],
    "pca, whitened": [StandardScaler(), PCA(3, whiten=True)],
    "svd": [TruncatedSVD(3, random_state=0)],
    "identity": [FunctionTransformer()],
    "selection": [SelectKBest(f_regression, k=2)],
    "variance": [VarianceThreshold()],
    "all in a row": [StandardScaler(), PCA(4), MinMaxScaler(), SelectKBest(f_regression, k=3), RobustScaler()],
    "nested": [Pipeline([("inner", make_pipeline(StandardScaler(), PCA(2)))]), MaxAbsScaler()],
    "union": [FeatureUnion([("a", PCA(2)), ("b", StandardScaler())], transformer_weights={"a": 0.5})],
    "columns": [make_column_transformer((StandardScaler(), [0, 3]), (PCA(1), slice(1, 3)), remainder="passthrough")],
    "columns, masked": [
        ColumnTransformer(
            [("a", MinMaxScaler(), [False, True, True, False, False]), ("b", "passthrough", [-1])],
            transformer_weights={"a": 3.0},
        )
    ],
}


@pytest.mark.parametrize("name", STEPS)
def test_numeric_steps_are_exact(name):
    pipeline = make_pipeline(*STEPS[name], Ridge(0.1)).fit(X, Y)
    model = from_sklearn(pipeline, X, params=insecure_params())
    scores, wanted = model.in_the_clear(X)[:, 0], pipeline.predict(X)
    # Sums of a few terms, each some thousand units in the last place of the largest at most.
    assert np.abs(scores - wanted).max() <= 2.0**-40 * np.abs(wanted).max()


FRAME = pd.DataFrame(
    {
        "income": X[:, 0],
        "age": X[:, 1],
        "place": np.random.default_rng(5).choice(["north", "south", "west"], len(X)),
        "grade": np.random.default_rng(6).integers(1, 5, len(X)),
        "note": ["?"] * len(X),
    }
)
ENCODERS = {
    "plain": OneHotEncoder(sparse_output=False),
    "sparse": OneHotEncoder(),
    "first dropped": OneHotEncoder(drop="first"),
    "unknown ignored": OneHotEncoder(handle_unknown="ignore"),
    "in a pipeline": make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_categories_stay_with_the_client(name):
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["income", "age"]), ("kinds", ENCODERS[name], ["place", "grade"])]
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(FRAME, Y > np.median(Y))
    model = from_sklearn(pipeline, FRAME, params=insecure_params())
    wanted = pipeline.decision_function(FRAME)
    assert np.abs(model.in_the_clear(FRAME)[:, 0] - wanted).max() <= 2.0**-40 * max(1, np.abs(wanted).max())
    assert model.schema.names == tuple(FRAME.columns) == tuple(model.feature_names_in_)
    read = {column.column: column.kind for column in model.schema.columns}
    assert read == {0: "numeric", 1: "numeric", 2: "categorical", 3: "categorical"}, "and nothing of the note"
    if name == "unknown ignored":
        strange = FRAME.assign(place="east")
        assert np.allclose(model.in_the_clear(strange)[:, 0], pipeline.decision_function(strange), rtol=1e-12)


def test_a_column_read_as_a_number_and_as_a_kind():
    columns = make_column_transformer((OneHotEncoder(), [1]), ("passthrough", [0, 1]))
    cells = np.column_stack([X[:, 0], FRAME["grade"]])
    pipeline = make_pipeline(columns, Ridge()).fit(cells, Y)
    model = from_sklearn(pipeline, cells, params=insecure_params())
    assert np.allclose(model.in_the_clear(cells)[:, 0], pipeline.predict(cells), rtol=1e-12)
    assert model.schema.width == 2 + 4


class Unknown(StandardScaler):
    pass


REFUSED = {
    "MinMaxScaler": [MinMaxScaler(clip=True)],
    "function of its own": [FunctionTransformer(np.abs)],
    "PolynomialFeatures cannot be folded": [PolynomialFeatures(2)],
    "Unknown cannot be folded": [Unknown()],
    "after another transformation": [StandardScaler(), OneHotEncoder(handle_unknown="ignore")],
    "infrequent": [OneHotEncoder(max_categories=3)],
}
if "clip" in MaxAbsScaler().get_params():  # newer releases have it
    REFUSED["MaxAbsScaler"] = [MaxAbsScaler(clip=True)]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_linear_is_refused_by_name(text):
    pipeline = make_pipeline(*REFUSED[text], Ridge()).fit(X, Y)
    with pytest.raises(ModelError, match=text):
        from_sklearn(pipeline, X, params=insecure_params())


# ---- ranges ----------------------------------------------------------------------------------------------------------


def test_ranges_come_from_the_data_or_are_declared():
    ridge = Ridge().fit(FRAME[["income", "age"]], Y)
    data = FRAME[["income", "age"]]
    low, high = data["age"].min(), data["age"].max()

    def of(**options):
        return [(c.low, c.high) for c in from_sklearn(ridge, params=insecure_params(), **options).schema.columns]

    assert of(X=data)[1] == (low, high)
    assert of(X=data, margin=0.5)[1] == (low - (high - low) / 2, high + (high - low) / 2)
    assert of(X=data, ranges={"income": (-1, 9)}) == [(-1, 9), (low, high)]
    assert of(ranges={0: (-1, 9), 1: (2, 3)}) == of(ranges=[[-1, 9], [2, 3]]) == [(-1, 9), (2, 3)]
    for wrong, text in [
        ({}, "no range for column 'income'"),
        (dict(ranges={"income": (0, 1)}), "no range for column 'age'"),
        (dict(ranges={"salary": (0, 1)}), "a range for column 'salary'"),
        (dict(ranges=[[0, 1]]), r"needed \(2, 2\)"),
        (dict(ranges=[[0, 1], [1, 0]]), "low <= high"),
        (dict(ranges=[[0, 1], [0, np.inf]]), "finite"),
        (dict(X=data, margin=-1), "margin"),
        (dict(X=FRAME), "a model of 2 features"),
    ]:
        with pytest.raises(ModelError, match=text):
            of(**wrong)
