"""Models are added to a folder: as a next version, or not at all if they are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_models import linear_model

from churn.errors import ModelError
from churn.hosting.registry import load_file
from churn.model import LinearModel
from churn.predict.trained import TrainedModel
from churn.versions import add_version


def test_versions_follow_each_other(tmp_path: Path) -> None:
    """What is there stays, to the byte; only the latest counts as there already."""
    path, first = tmp_path / "new" / "folder" / "toy.json", linear_model()
    second = replace(first, bias=first.bias / 2)
    assert add_version(first, path).path == path
    written = path.read_bytes()
    assert add_version(replace(first, salt="1" * 64), path).reference == "toy@1", "the same but for its salt"
    assert add_version(second, path).path == path.with_name("toy@2.json")
    assert add_version(second, path).reference == "toy@2"
    assert add_version(first, path).reference == "toy@3"
    assert path.read_bytes() == written and len(list(path.parent.glob("*.json"))) == 3
    found = load_file(path.with_name("toy@3.json"), LinearModel.from_dict)
    assert found.version == 3 and np.array_equal(found.weights, first.weights) and found.salt == first.salt


def test_names_have_versions_of_their_own(tmp_path: Path) -> None:
    add_version(linear_model(), tmp_path / "toy.json")
    other = replace(linear_model(), name="other")
    assert add_version(other, tmp_path / "toy.json").path.name == "other@1.json", "the file is taken"


def test_a_model_of_another_kind_is_another(tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    ml = pytest.importorskip("ckks.ml")
    X = np.linspace(-1, 1, 20).reshape(10, 2)
    trained = TrainedModel("toy", 1, ml.from_sklearn(sklearn.Ridge().fit(X, X.sum(axis=1)), X))
    add_version(linear_model(), tmp_path / "toy.json")
    assert add_version(trained, tmp_path / "toy.json").reference == "toy@2"
    assert add_version(trained, tmp_path / "toy.json").reference == "toy@2"
    assert add_version(linear_model(), tmp_path / "toy.json").reference == "toy@3"


def test_a_file_that_serve_would_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not end in \.json"):
        add_version(linear_model(), tmp_path / "toy.txt")
