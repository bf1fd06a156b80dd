"""How close an explanation comes to the truth, where the data are synthetic and the truth is known.

The generator tells the probability of each row. Asked about shuffled rows, it shows what each condition is really
worth; asked about rows that are given one value, what that value really does. Its effects have thresholds and act
together, a logistic regression's do not: differences are to be expected, and this page shows how large they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.explain.effects import Effect
from churn.explain.importance import Importance, permutation_importance

__all__ = ["Oracle", "Truth", "true_change", "true_dependence", "truth_of"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

Oracle = Callable[[pd.DataFrame], Floats]
"""The true probability, (rows,) in (0, 1), of each row of a table."""

TOP = 5


@dataclass(frozen=True)
class Truth:
    """What the generator says, beside what was learned.

    importance        of each condition to predictions with the true probabilities, on the same shuffles
    changes           condition -> the true log odds of each of its comparisons
    rank_correlation  Spearman's, of what the area under the curve loses here and there; nan for one condition
    shared            how many of the `top` most important conditions are among the truly most important ones
    idle              conditions that change no probability
    inside, compared  how many of the compared odds ratios have the truth in their interval
    """

    importance: tuple[Importance, ...]
    changes: dict[str, tuple[float, ...]]
    rank_correlation: float
    top: int
    shared: int
    idle: tuple[str, ...]
    inside: int
    compared: int


def truth_of(
    oracle: Oracle,
    records: pd.DataFrame,
    labels: Bools,
    learned: Sequence[Importance],
    effects: Iterable[Effect],
    orders: Indices,
) -> Truth:
    """Ask the generator about the rows on which importance was measured, and compare."""
    records = _quick(records)
    names = [one.condition for one in learned]
    logits = _logit(oracle(records))
    idle = set(names)

    def shuffled(k: int, order: Indices) -> Floats:
        changed = _logit(oracle(records.assign(**{names[k]: records[names[k]].to_numpy()[order]})))
        if (changed != logits).any():
            idle.discard(names[k])
        return changed

    true = permutation_importance(labels, logits, names, shuffled, orders)
    changes: dict[str, tuple[float, ...]] = {name: () for name in names}
    inside = compared = 0
    for effect in effects:
        change = true_change(oracle, records, effect)
        changes[effect.condition] += (change,)
        compared += 1
        inside += effect.change.holds(change)
    here, there = (np.array([one.auc.lost for one in some]) for some in (learned, true))
    top = min(TOP, len(names))
    return Truth(
        importance=true,
        changes=changes,
        rank_correlation=_spearman(here, there),
        top=top,
        shared=len({*np.argsort(-here, kind="stable")[:top]} & {*np.argsort(-there, kind="stable")[:top]}),
        idle=tuple(name for name in names if name in idle),
        inside=inside,
        compared=compared,
    )


def true_change(oracle: Oracle, records: pd.DataFrame, effect: Effect) -> float:
    """Return the true log odds of a comparison, the mean over the rows.

    For a number: with f(v) the mean true logit if every row had the value v, the step times the slope of the straight
    line that is nearest to f, in least squares over the rows' own values, or 101 of their quantiles if there are more.
    """
    name = effect.condition
    if effect.category is not None:
        ends = [_mean_logit(oracle, records, name, value) for value in (effect.category, effect.reference)]
        return ends[0] - ends[1]
    values, counts = np.unique(pd.to_numeric(records[name]).to_numpy(np.float64), return_counts=True)
    if len(values) > 101:
        values, counts = np.quantile(np.repeat(values, counts), (np.arange(101) + 0.5) / 101), np.ones(101, np.int64)
    f = np.array([_mean_logit(oracle, records, name, value) for value in values])
    centred = values - np.average(values, weights=counts)
    spread = float((counts * centred**2).sum())
    return effect.step * float((counts * centred * f).sum()) / spread if spread else 0.0


def true_dependence(oracle: Oracle, records: pd.DataFrame, name: str, values: Floats) -> Floats:
    """Return the mean true probability (k,) if every row had each of `values` (k,) in a column."""
    records = _quick(records)
    return np.array([float(oracle(records.assign(**{name: value})).mean()) for value in values])


def _quick(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with their texts as categories, which are compared several times as fast."""
    texts = [name for name in records if not pd.api.types.is_numeric_dtype(records[name])]
    return records.astype({name: "category" for name in texts})


def _mean_logit(oracle: Oracle, records: pd.DataFrame, name: str, value: str | float | None) -> float:
    return float(_logit(oracle(records.assign(**{name: value}))).mean())


def _logit(p: Floats) -> Floats:
    result: Floats = np.log(p) - np.log1p(-p)
    return result


def _spearman(x: Floats, y: Floats) -> float:
    """Return the correlation of the ranks; equal values share their mean rank."""
    a, b = (pd.Series(values).rank().to_numpy(np.float64) for values in (x, y))
    if a.min() == a.max() or b.min() == b.max():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
