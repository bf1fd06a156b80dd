"""What a server evaluates for trees: all comparisons at once, products along the paths, one weighted sum.

    u_i = (threshold_i - feature) / range in [-1, 1],    b_i = step(u_i),
    score = start + sum over leaves of value * product over the path of (b_i or 1 - b_i).

The products of the first 2^k comparisons of a path are shared by all leaves below, so a tree of depth d takes
ceil(log2 d) levels for them. The indicators of a tree's leaves add up to 1 whatever the b_i are, so its values may be
taken about their middle.

How far off. A comparison is within e of 0 or 1 for a row whose feature is at least `resolution` of its range away
from the threshold, and within [-e, 1 + e] for any. With f(node) = b f(left) + (1 - b) f(right), a node on the row's
path that is decided to e adds at most e |f(left) - f(right)|, and the sizes of values grow by 1 + 2 e a level. Nodes
off the path do not matter. So rows that are `decided` on their path are right within

    error = sum over trees of max over paths of sum over its nodes of e spread(node) (1 + 2 e)^depth,

spread(node) the greatest difference of two leaves below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.errors import ModelError
from ckks.ml import plain
from ckks.ml.layers import add_each, groups, join, linear, stack
from ckks.ml.schema import Schema
from ckks.ml.step import Comparison, comparison
from ckks.ml.trees import Path, Tree
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator

__all__ = ["Forest", "planted"]

Floats = NDArray[np.float64]

MAX_LEAVES = 1 << 14
MAX_DEPTH = 64


@dataclass(frozen=True, eq=False)
class Forest:
    """Comparisons, paths and values of all trees.

    weights, bias  u = weights @ features + bias in [-1, 1], (I, K) and (I,): above 0 goes left
    paths          of each leaf: (comparison, goes left), one at least
    values, start  a score is scale * (start + sum of values[leaf]), (L, M) and (M,)
    scale, error   as of a `Network`; the error holds for rows that are `decided`
    resolution     of the comparisons
    """

    weights: Floats
    bias: Floats
    paths: tuple[Path, ...]
    values: Floats
    start: Floats
    scale: float
    error: Floats
    resolution: float

    kind: ClassVar[str] = "forest"

    def __post_init__(self) -> None:
        """Copy, lock and compare shapes."""
        for name in ("weights", "bias", "values", "start", "error"):
            array = np.array(getattr(self, name), np.float64)
            if not np.isfinite(array).all():
                raise ModelError(f"a forest whose {name} are not finite; train the model again")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        count, leaves, outputs = len(self.weights), len(self.paths), len(self.start)
        fits = (
            self.weights.ndim == 2
            and self.bias.shape == (count,)
            and self.values.shape == (leaves, outputs)
            and self.error.shape == (outputs,)
            and all(0 < len(p) <= MAX_DEPTH and all(0 <= i < count for i, _ in p) for p in self.paths)
            and 0 < leaves <= MAX_LEAVES
            and np.isfinite(self.scale)
            and self.scale > 0
        )
        if not fits:
            raise ModelError(f"a forest of {count} comparisons, {leaves} leaves and {outputs} scores that do not fit")
        if (self.error < 0).any():
            raise ModelError(f"a forest whose scores are off by {self.error.min():g}; needed errors from 0 up")

    @property
    def width(self) -> int:
        """Number of features, K."""
        return int(self.weights.shape[1])

    @property
    def outputs(self) -> int:
        """Number of scores of a record, M."""
        return len(self.start)

    @cached_property
    def comparison(self) -> Comparison:
        """The step function in use."""
        return comparison(self.resolution)

    @cached_property
    def depth(self) -> int:
        """Levels that an evaluation uses: weights, step, products, values."""
        return 2 + self.comparison.depth + ceil(log2(max(map(len, self.paths))))

    @property
    def relinearisation(self) -> bool:
        """Ciphertexts are multiplied."""
        return True

    @property
    def row_weight(self) -> float:
        """The largest sum of |weights| of one output."""
        return max(float(np.abs(w).sum(axis=1).max()) for w in (self.weights, self.values.T))

    # ---- encrypted -------------------------------------------------------------------------------------------------

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return scores / scale, a batch (M,), for features packed in `layout`."""
        left = join(
            [
                self.comparison(evaluator, linear(evaluator, x, self.weights[i], self.bias[i], layout))
                for i in groups(len(self.bias))
            ]
        )
        right = evaluator.add(evaluator.negate(left), 1.0)
        known: dict[Path, Ciphertext] = {}
        for i in range(len(self.weights)):
            known[((i, True),)], known[((i, False),)] = left[i], right[i]
        for pairs in _rounds(self.paths):
            factors = [stack([known[pair[side]] for pair in pairs]) for side in (0, 1)]
            product = evaluator.multiply(*factors)
            product = evaluator.with_bound(product, (1 + self.comparison.max_abs_error) ** len(sum(pairs[0], ())))
            for k, (head, rest) in enumerate(pairs):
                known[head + rest] = product[k]
        lowest = min(known[path].level for path in self.paths)
        leaves = stack([evaluator.bring(known[path], lowest) for path in self.paths])
        score = evaluator.weighted_sum(leaves, self.values.T)
        return evaluator.with_bound(add_each(evaluator, score, self.start), 1.0)

    # ---- in the clear ----------------------------------------------------------------------------------------------

    def in_the_clear(self, features: ArrayLike) -> Floats:
        """Return the scores (rows, M) that `evaluate` would give without any encryption error."""
        return self._sum(self.comparison.in_the_clear(self._arguments(features)))

    def exact(self, features: ArrayLike) -> Floats:
        """Return the scores of the trees themselves, comparisons exact."""
        return self._sum((self._arguments(features) >= 0).astype(np.float64))

    def reference(self, features: ArrayLike) -> Floats:
        """Return the scores (rows, M) that those of an evaluation are within `error` of, encryption apart.

        Those of the trees. An evaluation is not that close to `in_the_clear`: both may be off by `error`, either way,
        since encryption errors move a comparison anywhere within its own.
        """
        return self.exact(features)

    def decided(self, features: ArrayLike) -> NDArray[np.bool_]:
        """Return for which rows every comparison on their paths is at least `resolution` away from its threshold."""
        u = self._arguments(features)
        near = np.abs(u) < self.resolution
        result = np.ones(len(u), dtype=bool)
        for path in self.paths:
            here = np.all([(u[:, i] >= 0) == goes_left for i, goes_left in path], axis=0)
            result &= ~(here & near[:, [i for i, _ in path]].any(axis=1))
        return result

    def _arguments(self, features: ArrayLike) -> Floats:
        return np.asarray(features, np.float64) @ self.weights.T + self.bias

    def _sum(self, left: Floats) -> Floats:
        indicators = [
            np.prod([left[:, i] if goes_left else 1 - left[:, i] for i, goes_left in path], axis=0)
            for path in self.paths
        ]
        return np.asarray(self.scale * (self.start + np.stack(indicators, axis=1) @ self.values))

    # ---- as data ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "kind": self.kind,
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "paths": [[[i, goes_left] for i, goes_left in path] for path in self.paths],
            "values": self.values.tolist(),
            "start": self.start.tolist(),
            "scale": self.scale,
            "error": self.error.tolist(),
            "resolution": self.resolution,
        }

    @classmethod
    def from_dict(cls, value: object) -> Forest:
        """Return the forest that `to_dict` described; ModelError for anything else."""
        names = ("kind", "weights", "bias", "paths", "values", "start", "scale", "error", "resolution")
        parts = plain.fields(value, "the forest", names)
        arrays = {name: plain.matrix(parts[name], f"the forest's {name}") for name in ("weights", "bias", "values")}
        paths = plain.items(parts["paths"], "the paths", MAX_LEAVES)
        return cls(
            **arrays,
            paths=tuple(_path(path) for path in paths),
            start=plain.matrix(parts["start"], "the forest's start"),
            error=plain.matrix(parts["error"], "the forest's errors"),
            scale=plain.number(parts["scale"], "the forest's scale"),
            resolution=plain.number(parts["resolution"], "the forest's resolution"),
        )


def planted(
    trees: Sequence[Tree], start: Floats, weights: Floats, shift: Floats, schema: Schema, resolution: float
) -> Forest:
    """Return the forest of these trees, whose features are weights @ (features of the schema) + shift."""
    e = comparison(resolution).max_abs_error
    numbers: dict[tuple[int, float], int] = {}
    paths: list[Path] = []
    values: list[Floats] = []
    start = np.array(start, np.float64)
    reach, error = np.zeros(len(start)), np.zeros(len(start))
    for tree in trees:
        middle = (tree.values.max(axis=0) + tree.values.min(axis=0)) / 2
        start = start + middle
        if tree.paths == ((),):
            continue
        growth = (1 + 2 * e) ** tree.depth
        reach += growth * np.abs(tree.values - middle).max(axis=0)
        error += e * growth * _spread(tree)
        places = [
            numbers.setdefault((f, float(t)), len(numbers)) for f, t in zip(tree.features, tree.thresholds, strict=True)
        ]
        paths += [tuple((places[i], goes_left) for i, goes_left in path) for path in tree.paths]
        values += list(tree.values - middle)
    if not paths:
        raise ModelError("trees without a single comparison; a constant needs no encryption")
    at = [f for f, _ in numbers]
    thresholds = np.array([t for _, t in numbers])
    low, high = schema.slot_range(weights[at], shift[at])
    radius = np.maximum(np.maximum(high - thresholds, thresholds - low), np.finfo(np.float64).tiny)
    scale = 2.0 ** ceil(log2(max(float((np.abs(start) + reach).max()), 2.0**-40)))
    return Forest(
        -weights[at] / radius[:, None],
        (thresholds - shift[at]) / radius,
        tuple(paths),
        np.array(values) / scale,
        start / scale,
        scale,
        error,
        resolution,
    )


def _spread(tree: Tree) -> Floats:
    """Max over paths of the sum, over the path's nodes, of the greatest difference of two leaves below, (M,)."""
    below: dict[int, list[Floats]] = {}
    for path, value in zip(tree.paths, tree.values, strict=True):
        for node, _ in path:
            below.setdefault(node, []).append(value)
    spread = {node: np.ptp(np.array(found), axis=0) for node, found in below.items()}
    return np.asarray(np.max([np.sum([spread[node] for node, _ in path], axis=0) for path in tree.paths], axis=0))


def _rounds(paths: Sequence[Path]) -> list[list[tuple[Path, Path]]]:
    """The products to form, each of two that are there by then; those of a round have factors of equal levels."""
    wanted: dict[tuple[int, int], dict[tuple[Path, Path], None]] = {}

    def ask(path: Path) -> None:
        if len(path) > 1:
            half = 1 << ((len(path) - 1).bit_length() - 1)
            head, rest = path[:half], path[half:]
            ask(head)
            ask(rest)
            wanted.setdefault((half, len(rest)), {})[head, rest] = None

    for path in paths:
        ask(path)
    return [list(pairs) for _, pairs in sorted(wanted.items(), key=lambda item: sum(item[0]))]


def _path(value: Any) -> Path:
    pairs = [plain.items(pair, "a step of a path", 2) for pair in plain.items(value, "a path", MAX_DEPTH)]
    return tuple((plain.whole(i, "a comparison", 0, MAX_LEAVES), goes_left is True) for i, goes_left in pairs)
