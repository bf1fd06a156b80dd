"""Trained models of `ckks.ml`: what client and server do with a full chunk of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import ckks.ml
from ckks import CKKSParams
from ckks.ml.layers import FEATURE_MAJOR

from .common import Timed

ROWS, COLUMNS = 400, 8


class _Sides(Timed):
    """Both sides of one model, and rows that fill one chunk."""

    def made(self, X: Any, y: Any) -> ckks.ml.Model:
        raise NotImplementedError

    def setup(self, backend: str) -> None:
        super().setup(backend)
        X = np.random.default_rng(1).uniform(-1, 1, (ROWS, COLUMNS))
        model = self.made(X, X.sum(axis=1) > 0)
        self.client = model.client()
        self.server = model.server(self.client.evaluation_keys)
        self.rows = np.resize(X, (model.packing.rows_in(FEATURE_MAJOR), COLUMNS))
        self.sent = self.client.encrypt(self.rows, layout=FEATURE_MAJOR)
        self.answer = self.server.evaluate(self.sent)

    def time_encrypt(self, *_: object) -> None:
        self.client.encrypt(self.rows, layout=FEATURE_MAJOR)

    def time_evaluate(self, *_: object) -> None:
        self.server.evaluate(self.sent)

    def time_predict(self, *_: object) -> None:
        self.client.predict(self.answer)


class Linear(_Sides):
    """A logistic regression whose scores go back."""

    def made(self, X: Any, y: Any) -> ckks.ml.Model:
        return ckks.ml.from_sklearn(LogisticRegression().fit(X, y), X)


class Forest(_Sides):
    """Two boosted stumps, on a ring that is too small to be secure: secure ones take seconds."""

    def made(self, X: Any, y: Any) -> ckks.ml.Model:
        insecure = CKKSParams.generate(
            ring_degree=2**12, depth=14, scale_bits=40, base_bits=50, num_special=3, special_bits=50, security=None
        )
        grown = GradientBoostingClassifier(n_estimators=2, max_depth=1, random_state=0).fit(X, y)
        return ckks.ml.from_sklearn(grown, X, params=insecure, layouts=(FEATURE_MAJOR,))
