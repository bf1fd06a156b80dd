"""How much predictions owe to one condition: permutation importance, and partial dependence.

*Permutation importance* [Bre01, Sec. 10]: shuffle one condition among the held-out rows, so that it tells nothing of
its row any more, and see how much worse the predictions get. *Partial dependence* [Fri01, Sec. 8.2]: give every row the
same value of one condition, leave the others, and see the mean probability.

Both ask about rows that need not exist: where conditions go together, shuffling one alone makes employees of 20 years
with a career of 30. What two conditions both tell, neither is seen to lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from churn.errors import DataError
from churn.explain.effects import Z95, features_of
from churn.model import LinearModel
from churn.schema import NumericColumn

__all__ = [
    "Dependence",
    "Importance",
    "Loss",
    "grid_of",
    "importance_of",
    "orders_of",
    "partial_dependence",
    "permutation_importance",
    "placements",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_GRID = 41


@dataclass(frozen=True)
class Loss:
    """What is lost of a measure when a condition is shuffled: the mean over shuffles.

    spread   standard deviation over the shuffles
    error    standard error over the rows: what other held-out rows would have changed. The larger of the two, mostly
    """

    lost: float
    spread: float
    error: float


@dataclass(frozen=True)
class Importance:
    """What predictions lose without one condition."""

    condition: str
    accuracy: Loss
    auc: Loss


@dataclass(frozen=True, eq=False)
class Dependence:
    """Mean probability (k,) if every row had `values` (k,) of one condition; `low`, `high` are 95 % intervals.

    usual: the middle 90 % of the rows lie between these two. truth: the same of a generator, where there is one.
    """

    condition: str
    values: Floats
    probability: Floats
    low: Floats | None
    high: Floats | None
    usual: tuple[float, float]
    truth: Floats | None = None


def orders_of(rows: int, repeats: int, seed: int) -> Indices:
    """Return shuffled row numbers, (repeats, rows), the same for the same seed."""
    state = check_random_state(seed)
    return np.stack([state.permutation(rows) for _ in range(repeats)]).astype(np.int64)


def placements(labels: Bools, scores: npt.ArrayLike) -> Floats:
    """Return for each row the share of the rows of the other label that it is on the right side of; a tie counts half.

    The mean over the rows of either label is the area under the ROC curve, and their variances give its standard
    error [DDC88]. A positive row belongs above, a negative one below. O(rows log rows).
    """
    s = np.asarray(scores, np.float64)
    result = np.empty(len(s))
    for own, others in ((labels, ~labels), (~labels, labels)):
        ranked = np.sort(s[others])
        below = (np.searchsorted(ranked, s[own], "left") + np.searchsorted(ranked, s[own], "right")) / 2
        result[own] = below / len(ranked)
    result[~labels] = 1 - result[~labels]
    return result


def permutation_importance(
    labels: Bools,
    logits: Floats,
    names: Sequence[str],
    shuffled: Callable[[int, Indices], Floats],
    orders: Indices,
) -> tuple[Importance, ...]:
    """Return what accuracy and area under the ROC curve lose without each condition.

    `shuffled(k, order)` gives the logits, (rows,), when row i has condition k of row order[i]. The loss of one row is
    the mean over the shuffles of what it was right before and is after; the standard errors are those of means of
    such losses, over the rows, and for the area over the rows of each label by itself. Raises DataError for fewer than
    two rows of a label.
    """
    if min(int(labels.sum()), int((~labels).sum())) < 2:
        raise DataError(
            f"{int(labels.sum())} of the {len(labels)} rows to measure on are positive",
            "two of each label are needed at least",
            "Give more rows",
        )
    right, placed = (logits >= 0) == labels, placements(labels, logits)
    found = []
    for k, name in enumerate(names):
        accuracies, areas = [], []
        wrong, displaced = np.zeros(len(labels)), np.zeros(len(labels))  # sums over the shuffles
        for order in orders:
            changed = shuffled(k, order)
            losses = right - ((changed >= 0) == labels).astype(np.float64)
            places = placed - placements(labels, changed)
            accuracies.append(float(losses.mean()))
            areas.append(float(places[labels].mean()))
            wrong += losses
            displaced += places
        wrong, displaced = wrong / len(orders), displaced / len(orders)
        found.append(Importance(name, _loss(accuracies, wrong), _loss(areas, displaced[labels], displaced[~labels])))
    return tuple(found)


def importance_of(model: LinearModel, x: Floats, labels: Bools, orders: Indices) -> tuple[Importance, ...]:
    """Return the importance of each of the model's columns on rows of encoded features x (rows, d).

    A column's part of the logit is shuffled in place of its cells: that is the same, and quick. It is added to the sum
    of the other parts, never taken from the whole, so that rows with equal cells have equal logits and count as ties.
    """
    parts = [x[:, place] @ model.weights[place] for _, place in features_of(model.schema)]  # each (rows,)

    def others(k: int) -> Floats:
        rest = [np.full(len(x), model.bias), *parts[:k], *parts[k + 1 :]]
        return np.asarray(np.stack(rest).sum(axis=0), np.float64)

    names = [column.name for column in model.schema.columns]
    rests = [others(k) for k in range(len(names))]
    return permutation_importance(
        labels, rests[0] + parts[0], names, lambda k, order: rests[k] + parts[k][order], orders
    )


def partial_dependence(
    model: LinearModel, x: Floats, name: str, cells: Floats, covariance: Floats | None
) -> Dependence:
    """Return how the mean probability over the rows depends on a numeric column that holds `cells` (rows,) there.

    The mean is a function of (bias, weights) with the gradient g = mean of p (1 - p) (1, x); its variance is about
    g^T H^-1 g, H^-1 being the covariance of `churn.explain.effects`.
    """
    column, k = next((c, place.start) for c, place in features_of(model.schema) if c.name == name)
    if not isinstance(column, NumericColumn):
        raise DataError(f"column {name!r} has categories", "one of numbers is needed", "Look at its odds ratios")
    cells = np.clip(cells, column.lower, column.upper)
    values = grid_of(cells)
    rows = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    means, errors = np.empty(len(values)), np.empty(len(values))
    for i, value in enumerate(values):
        rows[:, k + 1] = (value - column.mean) / column.scale
        tilted = np.tanh((model.bias + rows[:, 1:] @ model.weights) / 2)
        means[i] = (1 + tilted.mean()) / 2
        gradient = ((1 - tilted**2) / 4) @ rows / len(rows)
        errors[i] = math.nan if covariance is None else math.sqrt(float(gradient @ covariance @ gradient))
    low, high = (
        (None, None)
        if covariance is None
        else (
            np.clip(means - Z95 * errors, 0, 1),
            np.clip(means + Z95 * errors, 0, 1),
        )
    )
    ends = np.quantile(cells, [0.05, 0.95])
    return Dependence(name, values, means, low, high, (float(ends[0]), float(ends[1])))


def grid_of(values: Floats) -> Floats:
    """Return the different values if they are few, else as many equally far apart between the ends."""
    different = np.unique(values)
    return different if len(different) <= _GRID else np.linspace(different[0], different[-1], _GRID)


def _loss(per_shuffle: Sequence[float], *per_row: Floats) -> Loss:
    """Put together the loss of each shuffle, and the mean losses of rows, of each label apart where it counts apart."""
    error = math.sqrt(sum(float(rows.var(ddof=1)) / len(rows) for rows in per_row))
    return Loss(float(np.mean(per_shuffle)), float(np.std(per_shuffle, ddof=1)), error)
