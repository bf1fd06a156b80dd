"""Both sides in one scikit-learn estimator: to try a model, to cross-validate what encryption does to it.

    EncryptedClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y).predict(X_test)

Every prediction makes new keys, encrypts, evaluates, decrypts, all in this process: it hides nothing from anybody. Who
wants that uses `Model.client` and `Model.server`, on two machines.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ckks.errors import MissingPackage
from ckks.ml.client import Client
from ckks.ml.convert import from_sklearn
from ckks.ml.schema import Outside
from ckks.scheme import CKKSParams

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackage(
        f"scikit-learn 1.6 or later is not installed ({error}); the encrypted estimators are made of its parts: "
        'pip install "scikit-learn>=1.6". Clients and servers do without'
    ) from error

__all__ = ["EncryptedClassifier", "EncryptedRegressor"]


class _Encrypted(BaseEstimator):  # type: ignore[misc]
    """What both have in common; see there."""

    def __init__(
        self,
        estimator: Any = None,
        *,
        outside: Outside = "clip",
        margin: float = 0.0,
        degree: int | None = None,
        max_abs_error: float | None = None,
        resolution: float = 2.0**-6,
        precision_bits: float = 24,
        params: CKKSParams | None = None,
    ) -> None:
        """Store the parameters, unlooked at."""
        self.estimator = estimator
        self.outside = outside
        self.margin = margin
        self.degree = degree
        self.max_abs_error = max_abs_error
        self.resolution = resolution
        self.precision_bits = precision_bits
        self.params = params

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a clone of the estimator in the clear, and make it ready to be evaluated encrypted."""
        X, y = self._validated(X, y=y)
        self.estimator_ = (self._default() if self.estimator is None else clone(self.estimator)).fit(X, y)
        self.model_ = from_sklearn(
            self.estimator_,
            X,
            margin=self.margin,
            degree=self.degree,
            max_abs_error=self.max_abs_error,
            resolution=self.resolution,
            precision_bits=self.precision_bits,
            params=self.params,
        )
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return predictions, evaluated encrypted."""
        scores = self._scores(X)
        return self.model_.output.predictions(scores)

    def _default(self) -> Any:
        raise NotImplementedError  # pragma: no cover - abstract

    def _validated(self, X: Any, **y: Any) -> Any:
        """Check numbers as scikit-learn does; tables of texts and numbers are left to the estimator and the schema."""
        reset = bool(y)  # y comes with fit, and only then
        if hasattr(X, "iloc"):
            if reset and y["y"] is None:
                raise ValueError("this estimator requires y to be passed, but the target y is None")
            return validate_data(self, X, **y, reset=reset, skip_check_array=True)
        texts = isinstance(X, np.ndarray) and X.dtype.kind in "OUS" and not _all_numbers(X)
        return validate_data(self, X, **y, reset=reset, dtype=None if texts else "numeric")

    def _scores(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        client = Client(self.model_.description, outside=self.outside)
        server = self.model_.server(client.evaluation_keys)
        return client.scores(server.evaluate(client.encrypt(self._validated(X))))


def _all_numbers(X: NDArray[Any]) -> bool:
    try:
        X.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _kinds(*kinds: str) -> Any:
    """Methods that exist for models of these outputs only, as scikit-learn's duck typing wants it."""

    def check(self: Any) -> bool:
        check_is_fitted(self)
        if self.model_.output.kind not in kinds:
            raise AttributeError(f"scores of kind {self.model_.output.kind!r}")
        return True

    return available_if(check)


class EncryptedClassifier(ClassifierMixin, _Encrypted):  # type: ignore[misc]
    """A classifier that is trained in the clear and evaluates encrypted.

    Args:
        estimator: what `from_sklearn` takes, unfitted; LogisticRegression() unless given.
        outside: what becomes of cells outside the training data's ranges: "clip" or "refuse".
        margin, degree, max_abs_error, resolution, precision_bits, params: as for `from_sklearn`.

    Attributes:
        estimator_: the fitted clone.
        model_: the `Model`; its `score_error` is what a score is off at most.
        classes_, n_features_in_: as usual.
    """

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels."""
        return np.asarray(self.estimator_.classes_)

    @_kinds("logistic", "margin", "softmax")  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the scores, evaluated encrypted."""
        return self.model_.output.shaped(self._scores(X))

    @_kinds("logistic", "softmax", "vote")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities, exact functions of scores that were evaluated encrypted."""
        return self.model_.output.probabilities(self._scores(X))

    def _default(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression()


class EncryptedRegressor(RegressorMixin, _Encrypted):  # type: ignore[misc]
    """A regression that is trained in the clear and evaluates encrypted; arguments as for `EncryptedClassifier`."""

    def _default(self) -> Any:
        from sklearn.linear_model import LinearRegression

        return LinearRegression()
