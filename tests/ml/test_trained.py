"""Estimators as scikit-learn trains them: scores, probabilities and labels of each are its own, in the clear."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ml_kit import insecure_params, table
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeRegressor

from ckks.errors import ModelError
from ckks.ml import from_sklearn, supported
from ckks.ml.outputs import Output

X = StandardScaler().fit_transform(table(150, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]
TWO, THREE = np.where(Y > 0, "yes", "no"), np.digitize(Y, [-1, 1])

REGRESSIONS = {
    "least squares": LinearRegression(),
    "no intercept": LinearRegression(fit_intercept=False),
    "ridge": Ridge(),
    "lasso": Lasso(0.1),
    "elastic net": ElasticNet(0.1),
    "bayesian": BayesianRidge(),
    "support vectors": SVR(kernel="linear"),
    "linear support vectors": LinearSVR(random_state=0),
    "searched": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}),
    "pipeline": make_pipeline(StandardScaler(), Ridge()),
    "scaled target": TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()), transformer=MinMaxScaler()),
    "frozen": FrozenEstimator(Ridge().fit(X, Y)),
}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regressions(name):
    estimator = REGRESSIONS[name].fit(X, Y)
    model = from_sklearn(estimator, X, params=insecure_params())
    found, wanted = model.output.predictions(model.in_the_clear(X)), estimator.predict(X)
    assert found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-10, atol=1e-10)
    with pytest.raises(AttributeError, match="no classes"):
        _ = model.classes_
    with pytest.raises(ModelError, match="numbers, as they are"):
        model.output.probabilities(model.in_the_clear(X))


def test_several_targets():
    ridge = Ridge().fit(X, np.column_stack([Y, -Y]))
    model = from_sklearn(ridge, X, params=insecure_params())
    assert np.allclose(model.output.predictions(model.in_the_clear(X)), ridge.predict(X), rtol=1e-10, atol=1e-10)


CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "discriminant": LinearDiscriminantAnalysis(),
    "support vectors": LinearSVC(random_state=0),
    "ridge": RidgeClassifier(),
    "perceptron": Perceptron(random_state=0),
    "stochastic": SGDClassifier(random_state=0),
    "stochastic, logistic": SGDClassifier(loss="log_loss", random_state=0),
}


@pytest.mark.parametrize("target", [TWO, THREE, TWO == "yes"], ids=["texts", "numbers", "truth values"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, target):
    estimator = CLASSIFIERS[name].fit(X, target)
    model = from_sklearn(estimator, X, params=insecure_params())
    scores = model.in_the_clear(X)
    found, wanted = model.output.shaped(scores), estimator.decision_function(X)
    assert found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-10, atol=1e-10)
    labels = model.output.predictions(scores)
    assert labels.dtype.kind == target.dtype.kind and (labels == estimator.predict(X)).all()
    assert np.array_equal(model.classes_, estimator.classes_)
    if model.output.kind in ("logistic", "softmax"):
        assert np.allclose(model.output.probabilities(scores), estimator.predict_proba(X), rtol=1e-9, atol=1e-12)
    else:
        with pytest.raises(ModelError, match="no probabilities"):
            model.output.probabilities(scores)
    assert (name in ("logistic", "discriminant")) <= (model.output.kind in ("logistic", "softmax"))


def test_two_classes_by_support_vectors():
    estimator = SVC(kernel="linear").fit(X, TWO)
    model = from_sklearn(estimator, X, params=insecure_params())
    assert np.allclose(model.in_the_clear(X)[:, 0], estimator.decision_function(X), rtol=1e-9, atol=1e-9)


REFUSED = {
    "PoissonRegressor cannot be evaluated": lambda: PoissonRegressor().fit(X, np.abs(Y)),
    "RandomForestClassifier cannot": lambda: RandomForestClassifier(2).fit(X, TWO),
    "KMeans cannot": lambda: KMeans(2, n_init=1).fit(X),
    "function of its own": lambda: TransformedTargetRegressor(Ridge(), func=np.cbrt, inverse_func=lambda v: v**3).fit(
        X, Y
    ),
    "TransformedTargetRegressor of trees": lambda: TransformedTargetRegressor(
        DecisionTreeRegressor(max_depth=1), transformer=StandardScaler()
    ).fit(X, Y),
    "kernel 'rbf'": lambda: SVR().fit(X, Y),
    "more than two classes votes between pairs": lambda: SVC(kernel="linear").fit(X, THREE),
    "multilabel": lambda: MLPClassifier((2,), max_iter=1000, tol=1.0).fit(X, np.column_stack([Y > 0, Y > 1])),
    "not linear": lambda: MLPRegressor(hidden_layer_sizes=(2,), loss="poisson", max_iter=1000, tol=1e9).fit(
        X, np.abs(Y)
    ),
    "not fitted": lambda: LogisticRegression(),
    "Ridge is not fitted": lambda: Ridge(),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_evaluated_is_refused_by_name(text):
    with pytest.raises(ModelError, match=text):
        from_sklearn(REFUSED[text](), X)


def test_what_is_supported_is_listed():
    names = supported()
    assert {"LogisticRegression", "MLPClassifier", "GradientBoostingRegressor"} <= set(names["estimators"])
    assert {"StandardScaler", "PCA", "ColumnTransformer"} <= set(names["transformers"])


# ---- outputs -------------------------------------------------------------------------------------------------------------


def test_certain_is_what_no_error_can_change():
    """Against every corner of the box of errors."""
    error = np.array([0.1, 0.2, 0.05])
    scores = np.random.default_rng(0).normal(size=(500, 3)) * 0.3
    output = Output("softmax", (0, 1, 2))
    corners = np.stack(np.meshgrid(*[[-e, e] for e in error]), axis=-1).reshape(-1, 3)
    moved = (scores[:, None, :] + corners).argmax(axis=2)
    wanted = (moved == scores.argmax(axis=1)[:, None]).all(axis=1)
    assert np.array_equal(output.certain(scores, error), wanted) and 0 < wanted.sum() < 500
    two = Output("logistic", ("a", "b"), True)
    assert two.certain(np.array([[0.1], [0.11], [-0.2], [0.0]]), error[:1]).tolist() == [False, True, True, False]
    chance = Output("probability", (0, 1), True)
    assert chance.certain(np.array([[0.55], [0.61], [0.2]]), error[:1]).tolist() == [False, True, True]
    assert not Output("value").certain(scores, error).any()


def test_labels_at_the_ends():
    """Half open, as scikit-learn has it: what is at the threshold is the first class; of equal scores the first wins."""
    two, least = Output("logistic", ("a", "b"), True), np.nextafter(0.0, 1.0)
    assert two.predictions(np.array([[0.0], [-0.0], [least], [-least]])).tolist() == ["a", "a", "b", "a"]
    chance, above = Output("probability", (0, 1), True), np.nextafter(0.5, 1.0)
    assert chance.predictions(np.array([[0.5], [above], [0.0], [1.0]])).tolist() == [0, 1, 0, 1]
    three = Output("softmax", (7, 8, 9))
    tied = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 2.0, 2.0], [-1.0, -2.0, -1.0]])
    assert three.predictions(tied).tolist() == [7, 8, 7, 7]
    assert not three.certain(tied, np.zeros(3)).any(), "a tie is nobody's, however small the errors"
    assert not two.certain(np.zeros((1, 1)), np.zeros(1)).any()
    assert two.certain(np.array([[0.25], [-0.25]]), np.array([0.25])).tolist() == [False, False], "an error may reach 0"
    for one in (LogisticRegression(), RidgeClassifier()):
        fitted = one.fit([[-1.0], [1.0]], ["a", "b"])
        fitted.coef_, fitted.intercept_ = np.zeros_like(fitted.coef_), np.zeros(1)
        assert fitted.predict([[3.0]]).tolist() == ["a"]


@pytest.mark.parametrize(
    ("output", "right"),
    [
        (Output("value"), range(1, 9)),
        (Output("value", (), True), [1]),
        (Output("logistic", (0, 1), True), [1]),
        (Output("probability", (0, 1), True), [1]),
        (Output("margin", (0, 1), True), [1]),
        (Output("margin", (0, 1, 2)), [3]),
        (Output("softmax", (0, 1, 2)), [3]),
        (Output("softmax", (0, 1)), [2]),
        (Output("vote", (0, 1)), [2]),
        (Output("logistic", (0, 1, 2)), []),
        (Output("probability", (0, 1, 2)), []),
    ],
)
def test_an_output_has_as_many_scores_as_it_needs(output, right):
    for count in range(9):
        if count in right:
            output.check(count)
        else:
            with pytest.raises(ModelError, match=f"{count} scores of kind"):
                output.check(count)


def test_probabilities_at_the_ends():
    softmax = Output("softmax", (0, 1, 2)).probabilities(np.array([[1000.0, 0.0, -1000.0]]))
    assert softmax.tolist() == [[1.0, 0.0, 0.0]]
    assert Output("probability", (0, 1), True).probabilities(np.array([[1.01], [-0.01]])).tolist() == [[0, 1], [1, 0]]
    votes = Output("vote", (0, 1)).probabilities(np.array([[1.01, -0.01], [0.25, 0.25]]))
    assert votes.tolist() == [[1.0, 0.0], [0.5, 0.5]]
    assert Output("softmax", (0, 1, 2)).probabilities(np.zeros((0, 3))).shape == (0, 3)


def test_an_output_survives_json_or_is_refused():
    output = Output("softmax", ("a", "b", "c"))
    assert Output.from_dict(json.loads(json.dumps(output.to_dict()))) == output
    for kind, classes in [
        ("other", (0, 1)),
        ("value", (0, 1)),
        ("logistic", ()),
        ("softmax", (0,)),
        ("vote", (0, None)),
    ]:
        with pytest.raises(ModelError):
            Output(kind, classes)
