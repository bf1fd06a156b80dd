"""Decision trees as data: which comparisons they make, and what each leaf is worth. Read from fitted estimators.

A row goes to the left child of a node when feature <= threshold. A leaf is reached when all comparisons on its path
come out its way, so with b_i in {0, 1} for "goes left at node i", a tree is

    sum over leaves of value * product over the path of (b_i or 1 - b_i).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError

__all__ = ["Tree", "boosted", "decision_tree"]

Floats = NDArray[np.float64]

Path = tuple[tuple[int, bool], ...]
"""(node, goes left) from the root to a leaf; nodes are numbered by their comparison."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Comparisons `features[i] <= thresholds[i]`, and for each leaf its path and its value, values (leaves, M)."""

    features: tuple[int, ...]
    thresholds: Floats
    paths: tuple[Path, ...]
    values: Floats

    @property
    def depth(self) -> int:
        """Comparisons on the longest path."""
        return max(map(len, self.paths))


def decision_tree(estimator: Any, *, probabilities: bool) -> Tree:
    """Return the tree of a fitted DecisionTree: values are class shares, or the numbers of a regression."""
    raw = np.asarray(estimator.tree_.value, np.float64)  # (nodes, targets, classes or 1)
    if raw.shape[1] != 1 and probabilities:
        raise ModelError("a classifier of several targets at once; train one for each")
    values = raw[:, 0, :] if probabilities else raw[:, :, 0]
    if probabilities:
        values = values / values.sum(axis=1, keepdims=True)
    return _read(estimator.tree_, values)


def boosted(estimator: Any) -> tuple[tuple[Tree, ...], Floats]:
    """Return the trees of a fitted GradientBoosting, their values scaled and in place, and the constant they add to."""
    stages = estimator.estimators_  # (stages, M) regression trees
    outputs = stages.shape[1]
    trees = []
    for stage in stages:
        for k, one in enumerate(stage):
            values = np.zeros((one.tree_.node_count, outputs))
            values[:, k] = estimator.learning_rate * np.asarray(one.tree_.value, np.float64)[:, 0, 0]
            trees.append(_read(one.tree_, values))
    if isinstance(estimator.init_, str):
        return tuple(trees), np.zeros(outputs)
    if type(estimator.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise ModelError(f"boosting that starts from a {type(estimator.init_).__name__}; needed init=None or 'zero'")
    # A Dummy gives every row the same; what all trees add to it is read off any row.
    row = np.zeros((1, estimator.n_features_in_))
    whole = getattr(estimator, "decision_function", estimator.predict)(row).reshape(outputs)
    added = [estimator.learning_rate * sum(one.predict(row)[0] for one in stages[:, k]) for k in range(outputs)]
    return tuple(trees), np.asarray(whole - np.array(added), np.float64)


def _read(tree: Any, values: Floats) -> Tree:
    left, right = tree.children_left.tolist(), tree.children_right.tolist()
    number: dict[int, int] = {}
    paths: list[Path] = []
    leaves: list[int] = []
    waiting: list[tuple[int, Path]] = [(0, ())]
    while waiting:
        node, path = waiting.pop()
        if left[node] < 0:
            paths.append(path)
            leaves.append(node)
            continue
        i = number.setdefault(node, len(number))
        waiting += [(right[node], (*path, (i, False))), (left[node], (*path, (i, True)))]
    nodes = list(number)
    return Tree(
        tuple(int(tree.feature[n]) for n in nodes),
        np.array([float(tree.threshold[n]) for n in nodes]),
        tuple(paths),
        values[leaves],
    )
