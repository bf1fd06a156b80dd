"""Fitted scikit-learn estimators, read by their attributes: layers or trees, and what their outputs stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError
from ckks.ml.intervals import Dense
from ckks.ml.outputs import Output
from ckks.ml.trees import Tree, boosted, decision_tree

__all__ = ["Trained", "read", "supported"]

Floats = NDArray[np.float64]

REGRESSIONS = (
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LinearRegression",
    "LinearSVR",
    "Ridge",
    "RidgeCV",
    "SGDRegressor",
)
MARGINS = ("LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier")
LOGISTIC = ("LinearDiscriminantAnalysis", "LogisticRegression", "LogisticRegressionCV")


@dataclass(frozen=True, eq=False)
class Trained:
    """Layers, or trees with the constant (M,) that their sum starts from; and what the scores stand for."""

    output: Output
    layers: tuple[Dense, ...] = ()
    trees: tuple[Tree, ...] = ()
    start: Floats | None = None


def read(estimator: Any) -> Trained:
    """Return what a fitted estimator computes; ModelError when it is none of those that can be evaluated."""
    if isinstance(estimator, type):
        raise ModelError(f"{estimator.__name__} is a class; pass what {estimator.__name__}(...).fit(X, y) returns")
    name = type(estimator).__name__
    rule = _RULES.get(name)
    if rule is None:
        near = _NEAREST.get(name) or next(iter(get_close_matches(name, _RULES, 1, 0.0)))
        raise ModelError(
            f"{name} cannot be evaluated encrypted; the nearest that can is {near}. All that can, alone or at the end "
            f"of a Pipeline: {', '.join(supported())}"
        )
    try:
        trained = rule(estimator)
    except AttributeError as error:
        raise ModelError(f"this {name} is not fitted ({error}); call fit first") from error
    for layer in trained.layers:
        for what, array in (("weight", layer.weights), ("bias", layer.bias)):
            if (bad := np.argwhere(~np.isfinite(array))).size:
                place = ", ".join(map(str, bad[0].tolist()))
                raise ModelError(
                    f"this {name} has a {what} of {array[tuple(bad[0])]} (of output, feature: {place}); train it "
                    "again: needed finite numbers"
                )
    return trained


_NEAREST = {
    "AdaBoostClassifier": "GradientBoostingClassifier",
    "AdaBoostRegressor": "GradientBoostingRegressor",
    "BaggingClassifier": "GradientBoostingClassifier",
    "BaggingRegressor": "GradientBoostingRegressor",
    "ExtraTreesClassifier": "GradientBoostingClassifier",
    "ExtraTreesRegressor": "GradientBoostingRegressor",
    "GaussianNB": "LogisticRegression",
    "HistGradientBoostingClassifier": "GradientBoostingClassifier",
    "HistGradientBoostingRegressor": "GradientBoostingRegressor",
    "KNeighborsClassifier": "MLPClassifier",
    "KNeighborsRegressor": "MLPRegressor",
    "NuSVC": "LinearSVC",
    "NuSVR": "LinearSVR",
    "QuadraticDiscriminantAnalysis": "LinearDiscriminantAnalysis",
    "RandomForestClassifier": "GradientBoostingClassifier",
    "RandomForestRegressor": "GradientBoostingRegressor",
}
"""What is most like an estimator that cannot be evaluated, where names do not tell."""


def supported() -> list[str]:
    """Names of the estimators that `read` knows."""
    return sorted(_RULES)


def _linear(estimator: Any) -> Dense:
    weights = np.atleast_2d(np.asarray(estimator.coef_, np.float64))
    bias = np.atleast_1d(np.asarray(estimator.intercept_, np.float64))
    return Dense(weights, np.array(np.broadcast_to(bias, len(weights))))


def _classes(estimator: Any) -> tuple[Any, ...]:
    classes = estimator.classes_
    if isinstance(classes, list):
        raise ModelError("a classifier of several targets at once; train one for each")
    return tuple(np.asarray(classes).tolist())


def _regression(estimator: Any) -> Trained:
    return Trained(Output("value", single=np.ndim(estimator.coef_) == 1), (_linear(estimator),))


def _support_regression(estimator: Any) -> Trained:
    _needs_linear_kernel(estimator)
    return Trained(Output("value", single=True), (_linear(estimator),))


def _support_classifier(estimator: Any) -> Trained:
    _needs_linear_kernel(estimator)
    classes = _classes(estimator)
    if len(classes) != 2:
        raise ModelError("SVC of more than two classes votes between pairs; use LinearSVC, which scores each class")
    return Trained(Output("margin", classes, True), (_linear(estimator),))


def _needs_linear_kernel(estimator: Any) -> None:
    if estimator.kernel != "linear":
        raise ModelError(
            f"{type(estimator).__name__} with the kernel {estimator.kernel!r} compares with every support vector; only "
            "kernel='linear' has weights"
        )


def _classifier(estimator: Any) -> Trained:
    layer, classes = _linear(estimator), _classes(estimator)
    single = len(layer.bias) == 1
    if len(layer.bias) != (1 if len(classes) == 2 else len(classes)):
        raise ModelError(f"{len(layer.bias)} scores for {len(classes)} classes; multilabel targets are not supported")
    name, kind = type(estimator).__name__, "margin"
    if name in LOGISTIC:
        scheme = getattr(estimator, "multi_class", None)
        if scheme == "multinomial" and single:
            raise ModelError("a multinomial LogisticRegression of two classes counts its scores twice; train it binary")
        kind = "logistic" if single else "margin" if scheme == "ovr" else "softmax"
    elif name == "SGDClassifier" and estimator.loss == "log_loss" and single:
        kind = "logistic"
    return Trained(Output(kind, classes, single), (layer,))


def _perceptrons(estimator: Any) -> tuple[Dense, ...]:
    weights, biases = estimator.coefs_, estimator.intercepts_
    names = [estimator.activation] * (len(weights) - 1) + ["identity"]
    return tuple(
        Dense(np.asarray(w, np.float64).T, np.asarray(b, np.float64), name)
        for w, b, name in zip(weights, biases, names, strict=True)
    )


def _mlp_classifier(estimator: Any) -> Trained:
    layers, classes = _perceptrons(estimator), _classes(estimator)
    outputs = len(layers[-1].bias)
    if estimator.out_activation_ == "logistic" and outputs == 1 and len(classes) == 2:
        return Trained(Output("logistic", classes, True), layers)
    if estimator.out_activation_ == "softmax" and outputs == len(classes):
        return Trained(Output("softmax", classes), layers)
    raise ModelError(f"MLPClassifier with {outputs} outputs; multilabel targets are not supported: train one for each")


def _mlp_regressor(estimator: Any) -> Trained:
    layers = _perceptrons(estimator)
    if getattr(estimator, "loss", "squared_error") == "poisson" or estimator.out_activation_ != "identity":
        raise ModelError("MLPRegressor whose output is not linear; use loss='squared_error'")
    return Trained(Output("value", single=len(layers[-1].bias) == 1), layers)


def _tree_classifier(estimator: Any) -> Trained:
    tree = decision_tree(estimator, probabilities=True)
    return Trained(Output("vote", _classes(estimator)), trees=(tree,), start=np.zeros(tree.values.shape[1]))


def _tree_regressor(estimator: Any) -> Trained:
    tree = decision_tree(estimator, probabilities=False)
    outputs = tree.values.shape[1]
    return Trained(Output("value", single=outputs == 1), trees=(tree,), start=np.zeros(outputs))


def _boosted_classifier(estimator: Any) -> Trained:
    if estimator.loss != "log_loss":
        raise ModelError(f"GradientBoostingClassifier with loss={estimator.loss!r}; needed loss='log_loss'")
    trees, start = boosted(estimator)
    classes = _classes(estimator)
    single = len(start) == 1
    return Trained(Output("logistic" if single else "softmax", classes, single), trees=trees, start=start)


def _boosted_regressor(estimator: Any) -> Trained:
    trees, start = boosted(estimator)
    return Trained(Output("value", single=True), trees=trees, start=start)


_RULES: dict[str, Callable[[Any], Trained]] = {
    **dict.fromkeys(REGRESSIONS, _regression),
    **dict.fromkeys((*MARGINS, *LOGISTIC), _classifier),
    "DecisionTreeClassifier": _tree_classifier,
    "DecisionTreeRegressor": _tree_regressor,
    "GradientBoostingClassifier": _boosted_classifier,
    "GradientBoostingRegressor": _boosted_regressor,
    "MLPClassifier": _mlp_classifier,
    "MLPRegressor": _mlp_regressor,
    "SVC": _support_classifier,
    "SVR": _support_regression,
}
