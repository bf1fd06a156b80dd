"""Transformations of a scikit-learn pipeline, as one affine map of the columns that the client encodes.

`Columns` is the state while the pipeline is read from the front: every present column is an affine function of
*atoms*, which are numeric input columns, or indicators of a category of an input column. Scalers, PCA and selections
multiply and add; an encoder of categories is possible as long as the column is still as it came in.

Nothing here imports scikit-learn: a transformer is known by its class name and read by its fitted attributes, which
are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError
from ckks.ml.schema import CategoricalColumn

__all__ = ["Atom", "Columns", "fold", "supported"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Atom:
    """A numeric input column, or (with `encoder` and `place`) the feature of a category of one."""

    column: int
    encoder: CategoricalColumn | None = None
    place: int = 0


@dataclass(frozen=True, eq=False)
class Columns:
    """Present columns as weights @ atoms + shift, weights (m, atoms); `raw[i]` is the input column that i still is."""

    atoms: tuple[Atom, ...]
    weights: Floats
    shift: Floats
    raw: tuple[int | None, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, n_columns: int, names: Sequence[str] | None) -> Columns:
        """All columns of a table, as they came."""
        return cls(
            tuple(Atom(j) for j in range(n_columns)),
            np.eye(n_columns),
            np.zeros(n_columns),
            tuple(range(n_columns)),
            None if names is None else tuple(names),
        )

    def __len__(self) -> int:
        """Number of present columns."""
        return len(self.shift)

    def affine(self, weights: Floats, shift: Floats) -> Columns:
        """Return weights @ columns + shift, for weights (M, m)."""
        if weights.shape[1] != len(self):
            raise ModelError(f"a transformation of {weights.shape[1]} columns after one that gives {len(self)}")
        return replace(
            self,
            weights=weights @ self.weights,
            shift=weights @ self.shift + shift,
            raw=(None,) * len(weights),
            names=None,
        )

    def scaled(self, factor: Floats, shift: Floats) -> Columns:
        """Return factor * columns + shift, column by column."""
        scaled = replace(self, weights=factor[:, None] * self.weights, shift=factor * self.shift + shift)
        return replace(scaled, raw=(None,) * len(self))

    def take(self, places: Sequence[int]) -> Columns:
        """Return some of the columns."""
        at = list(places)
        return replace(
            self,
            weights=self.weights[at],
            shift=self.shift[at],
            raw=tuple(self.raw[i] for i in at),
            names=None if self.names is None else tuple(self.names[i] for i in at),
        )

    def beside(self, others: Sequence[Columns]) -> Columns:
        """Return the columns of all of these, in order; each of them grew out of self."""
        atoms = list(self.atoms)
        for one in others:
            atoms += [atom for atom in one.atoms if atom not in atoms]
        blocks = []
        for one in others:
            block = np.zeros((len(one), len(atoms)))
            block[:, [atoms.index(atom) for atom in one.atoms]] = one.weights
            blocks.append(block)
        empty = np.zeros((0, len(atoms)))
        return Columns(
            tuple(atoms),
            np.concatenate([empty, *blocks]),
            np.concatenate([np.zeros(0), *(one.shift for one in others)]),
            tuple(raw for one in others for raw in one.raw),
            None,
        )


def fold(transformer: Any, columns: Columns) -> Columns:
    """Return the columns that a fitted transformer makes of these; ModelError when it is none that can be folded."""
    if transformer is None or isinstance(transformer, str):
        if transformer in (None, "passthrough"):
            return columns
        raise ModelError(f"a step {transformer!r}; needed a fitted transformer or 'passthrough'")
    rule = _RULES.get(type(transformer).__name__)
    if rule is not None:
        return rule(transformer, columns)
    if hasattr(transformer, "get_support"):
        return columns.take(np.flatnonzero(transformer.get_support()).tolist())
    raise ModelError(
        f"{type(transformer).__name__} cannot be folded into the weights of a model; what can is affine "
        f"({', '.join(supported())}, selections of columns), or encodes categories. Apply it before the pipeline, on "
        "the client, or leave it out"
    )


def supported() -> list[str]:
    """Names of the transformers that `fold` knows."""
    return sorted(_RULES)


# ---- one transformer each --------------------------------------------------------------------------------------------


def _or(value: Any, default: float, width: int) -> Floats:
    return np.full(width, default) if value is None else np.asarray(value, np.float64)


def _standard(t: Any, x: Columns) -> Columns:
    factor = 1 / _or(t.scale_ if t.with_std else None, 1.0, len(x))
    return x.scaled(factor, -factor * _or(t.mean_ if t.with_mean else None, 0.0, len(x)))


def _robust(t: Any, x: Columns) -> Columns:
    factor = 1 / _or(t.scale_ if t.with_scaling else None, 1.0, len(x))
    return x.scaled(factor, -factor * _or(t.center_ if t.with_centering else None, 0.0, len(x)))


def _min_max(t: Any, x: Columns) -> Columns:
    if t.clip:
        raise ModelError(
            "MinMaxScaler(clip=True) is not affine; use clip=False: the client refuses or clips by the declared ranges"
        )
    return x.scaled(np.asarray(t.scale_, np.float64), np.asarray(t.min_, np.float64))


def _max_abs(t: Any, x: Columns) -> Columns:
    if getattr(t, "clip", False):
        raise ModelError(
            "MaxAbsScaler(clip=True) is not affine; use clip=False: the client refuses or clips by the declared ranges"
        )
    return x.scaled(1 / np.asarray(t.scale_, np.float64), np.zeros(len(x)))


def _pca(t: Any, x: Columns) -> Columns:
    weights = np.asarray(t.components_, np.float64)
    if t.whiten:
        # transform() divides by no less than machine epsilon here
        weights = weights / np.maximum(np.sqrt(t.explained_variance_), np.finfo(np.float64).eps)[:, None]
    return x.affine(weights, -weights @ np.asarray(t.mean_, np.float64))


def _svd(t: Any, x: Columns) -> Columns:
    weights = np.asarray(t.components_, np.float64)
    return x.affine(weights, np.zeros(len(weights)))


def _function(t: Any, x: Columns) -> Columns:
    if t.func is not None:
        raise ModelError("a FunctionTransformer with a function of its own; apply it before, on the client")
    return x


def _one_hot(t: Any, x: Columns) -> Columns:
    parts = []
    for i, categories in enumerate(t.categories_):
        column = x.raw[i]
        if column is None:
            raise ModelError("OneHotEncoder after another transformation; it can encode columns as they come in only")
        if getattr(t, "_infrequent_enabled", False):
            raise ModelError("OneHotEncoder with infrequent categories; leave out min_frequency and max_categories")
        dropped = None if t.drop_idx_ is None else t.drop_idx_[i]
        encoder = CategoricalColumn(
            column,
            tuple(np.asarray(categories).tolist()),
            None if dropped is None else int(dropped),
            t.handle_unknown != "error",
        )
        width = encoder.width
        atoms = tuple(Atom(column, encoder, k) for k in range(width))
        parts.append(Columns(atoms, np.eye(width), np.zeros(width), (None,) * width, None))
    return x.beside(parts)


def _pipeline(t: Any, x: Columns) -> Columns:
    for _, step in t.steps:
        x = fold(step, x)
    return x


def _columns(t: Any, x: Columns) -> Columns:
    weights = t.transformer_weights or {}
    parts = []
    for name, step, chosen in t.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        part = fold(step, x.take(_places(chosen, x)))
        if name in weights:
            part = part.scaled(np.full(len(part), float(weights[name])), np.zeros(len(part)))
        parts.append(part)
    return x.beside(parts)


def _union(t: Any, x: Columns) -> Columns:
    weights = t.transformer_weights or {}
    parts = []
    for name, step in t.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        factor = np.full(len(part := fold(step, x)), float(weights.get(name, 1.0)))
        parts.append(part.scaled(factor, np.zeros(len(part))) if name in weights else part)
    return x.beside(parts)


def _places(chosen: Any, x: Columns) -> list[int]:
    """Positions of a ColumnTransformer's columns: numbers, names, a slice or a mask."""
    if isinstance(chosen, str | int | np.integer):
        chosen = [chosen]
    if isinstance(chosen, slice):
        ends: list[Any] = [
            x.names.index(e) if isinstance(e, str) and x.names else e for e in (chosen.start, chosen.stop)
        ]
        if isinstance(chosen.stop, str):
            ends[1] += 1  # names include the last one
        return list(range(len(x)))[ends[0] : ends[1] : chosen.step]
    found = list(chosen)
    if found and all(isinstance(one, bool | np.bool_) for one in found):
        return [i for i, one in enumerate(found) if one]
    if any(isinstance(one, str) for one in found):
        if x.names is None:
            raise ModelError("a ColumnTransformer chooses columns by name after a step that has none")
        return [x.names.index(one) for one in found]
    return [int(one) % len(x) for one in found]


_RULES: dict[str, Callable[[Any, Columns], Columns]] = {
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "FunctionTransformer": _function,
    "MaxAbsScaler": _max_abs,
    "MinMaxScaler": _min_max,
    "OneHotEncoder": _one_hot,
    "PCA": _pca,
    "Pipeline": _pipeline,
    "RobustScaler": _robust,
    "StandardScaler": _standard,
    "TruncatedSVD": _svd,
}
