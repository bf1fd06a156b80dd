"""What a logistic regression says of each condition, in human units, and how sure that is.

    odds = p / (1 - p) = exp(bias + weights . x),

so a feature that grows by h multiplies the odds by exp(h w), whatever the other features are: an *odds ratio*.

**How sure.** With z_i = bias + weights . x_i and the label y_i in {0, 1}, training minimises

    F(beta) = sum_i [log(1 + exp z_i) - y_i z_i] + |weights|^2 / (2 C),    beta = (bias, weights),

the negative logarithm, up to a constant, of the probability of beta given the labels when each weight is taken
beforehand to be normal with variance C. Near the minimum F is half a quadratic form with

    H = X^T W X + P / C,    X = rows (1, x_i),    W = diag(p_i (1 - p_i)),    P = the identity without the bias,

so beta is about normal there with covariance H^-1 [Mac92, Sec. 2]. What is linear in beta, c . beta, has variance
c^T H^-1 c, and its 95 % interval is c . beta +- 1.96 times the root; an odds ratio's is the exponential of that. As C
grows these are the intervals of Wald. The other choice, H^-1 X^T W X H^-1, is the spread of the estimate about its own
mean, which the penalty has pulled towards 0: around a pulled estimate it would hold the truth too rarely.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.model import LinearModel
from churn.schema import CategoricalColumn, Column, NumericColumn, Schema

__all__ = [
    "FEW",
    "Z95",
    "Effect",
    "Estimate",
    "Scarce",
    "alike",
    "covariance_of",
    "effects_of",
    "features_of",
    "natural_step",
    "scarce_groups",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Z95 = 1.959963984540054  # a standard normal variable is within +-Z95 in 95 of 100 cases
FEW = 10  # of either label: below ten of them for a weight, estimates and their intervals go astray [PCK+96]
ALIKE = 0.7  # correlation from which two conditions are named as going together: half the variance is common
_LARGEST = 700.0  # exp beyond that is no float64
_SOLVED = 1e-3  # standard errors: training stops far closer to its solution, other rows' solution is farther


@dataclass(frozen=True)
class Estimate:
    """A difference of log odds and its standard error; the error is nan where it is not known."""

    value: float
    error: float

    @property
    def ratio(self) -> float:
        """The odds ratio: by what the odds are multiplied."""
        return _exp(self.value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the odds ratio; None where it is not known."""
        if math.isnan(self.error):
            return None
        return _exp(self.value - Z95 * self.error), _exp(self.value + Z95 * self.error)

    def holds(self, value: float) -> bool:
        """Tell whether the interval holds a difference of log odds; False where there is no interval."""
        return abs(self.value - value) <= Z95 * self.error


@dataclass(frozen=True)
class Effect:
    """One comparison: a number `step` larger, or `category` in place of `reference`, everything else equal.

    change     log odds of that comparison
    weight     the same per standard deviation, of the number or of the category's 0 and 1: for comparing conditions
    rows       training rows of that category; all rows for a number
    positives  how many of them have the positive label
    """

    condition: str
    step: float
    category: str | None
    reference: str | None
    change: Estimate
    weight: Estimate
    rows: int
    positives: int

    @property
    def compared(self) -> str:
        """What is compared: "per 10", "Sales against Engineering"."""
        return f"per {self.step:,g}" if self.category is None else f"{self.category} against {self.reference}"


@dataclass(frozen=True)
class Scarce:
    """A category with too few training rows of one label; `positives` of its `rows` have the positive one."""

    condition: str
    category: str
    rows: int
    positives: int


def features_of(schema: Schema) -> Iterator[tuple[Column, slice]]:
    """Yield each column with the place of its features in x."""
    start = 0
    for column in schema.columns:
        yield column, slice(start, start + column.width)
        start += column.width


def covariance_of(model: LinearModel, x: npt.ArrayLike, labels: Bools, regularisation: float) -> Floats | None:
    """Return H^-1 (d + 1, d + 1), the bias first, for the rows that a model was trained on.

    x are encoded features (rows, d), `regularisation` is C. Training leaves its gradient at 0; where the step that
    Newton's method would still take exceeds a thousandth of a standard error, the model was trained on other rows, or
    with another C, of which these rows tell nothing: None.
    """
    features = np.asarray(x, np.float64)
    tilted = np.tanh(model.logits(features) / 2)  # 2 p - 1
    rows = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    penalty = np.full(rows.shape[1], 1 / regularisation)
    penalty[0] = 0.0
    hessian = rows.T @ (rows * ((1 - tilted**2) / 4)[:, None]) + np.diag(penalty)
    gradient = rows.T @ ((1 + tilted) / 2 - labels) + penalty * np.concatenate([[model.bias], model.weights])
    try:
        covariance = np.asarray(np.linalg.inv(hessian), np.float64)
    except np.linalg.LinAlgError:  # a bias alone is not penalised, and p (1 - p) may round to 0 in every row
        return None
    with np.errstate(invalid="ignore"):
        remaining = np.abs(covariance @ gradient) / np.sqrt(np.diag(covariance))
    return covariance if (remaining <= _SOLVED).all() else None


def effects_of(
    model: LinearModel, records: pd.DataFrame, labels: Bools, covariance: Floats | None
) -> dict[str, tuple[Effect, ...]]:
    """Return the comparisons of each condition, by its name, counted on `records`, the training rows.

    A number is compared with one that is `natural_step` larger, each category with the commonest one. The covariance
    may be missing; errors are nan then.
    """
    found: dict[str, tuple[Effect, ...]] = {}
    for column, place in features_of(model.schema):
        if isinstance(column, NumericColumn):
            found[column.name] = (_numeric(model, column, place.start, records, labels, covariance),)
        else:
            found[column.name] = tuple(_categories(model, column, place.start, records, labels, covariance))
    return found


def natural_step(scale: float, whole: bool) -> float:
    """Return the number 1, 2 or 5 times a power of ten that is nearest to a standard deviation, as a ratio.

    For whole numbers it is 1 at least.
    """
    exponent = math.floor(math.log10(scale))
    rounds = [float(f"{m}e{exponent}") for m in (1, 2, 5)] + [float(f"1e{exponent + 1}")]
    step = min(rounds, key=lambda one: abs(math.log(one / scale)))
    return max(step, 1.0) if whole else step


def scarce_groups(schema: Schema, records: pd.DataFrame, labels: Bools) -> tuple[Scarce, ...]:
    """Return the categories of which fewer than ten training rows have one of the labels."""
    found = []
    for column in schema.columns:
        if isinstance(column, CategoricalColumn):
            for category, (rows, positives) in _counts(column, records, labels).items():
                if min(positives, rows - positives) < FEW:
                    found.append(Scarce(column.name, category, rows, positives))
    return tuple(found)


def alike(schema: Schema, x: Floats, least: float = ALIKE) -> tuple[tuple[str, str, float], ...]:
    """Return pairs of numeric conditions whose correlation over the rows is `least` or more in size, and it."""
    numeric = [(column.name, place.start) for column, place in features_of(schema) if isinstance(column, NumericColumn)]
    varied = [(name, x[:, k]) for name, k in numeric if x[:, k].min() < x[:, k].max()]
    found = []
    for k, (name, values) in enumerate(varied):
        for other, others in varied[k + 1 :]:
            r = float(np.corrcoef(values, others)[0, 1])
            if abs(r) >= least:
                found.append((name, other, r))
    return tuple(sorted(found, key=lambda pair: -abs(pair[2])))


def _numeric(
    model: LinearModel, column: NumericColumn, k: int, records: pd.DataFrame, labels: Bools, covariance: Floats | None
) -> Effect:
    values = pd.to_numeric(records[column.name]).to_numpy(np.float64)
    step = natural_step(column.scale, bool((values == np.rint(values)).all()))
    weight = _contrast(model, {k: 1.0}, covariance)
    change = _scaled(weight, step / column.scale)
    return Effect(column.name, step, None, None, change, weight, len(labels), int(labels.sum()))


def _categories(
    model: LinearModel, column: CategoricalColumn, k: int, records: pd.DataFrame, labels: Bools, cov: Floats | None
) -> Iterator[Effect]:
    """Compare with the commonest: intervals are narrowest there, and it is what people know.

    Category j has the weight k + j - 1, the first one none.
    """
    counts = _counts(column, records, labels)
    reference = max(counts, key=lambda category: counts[category][0])  # the first of equals
    base = column.categories.index(reference)
    for j, (category, (rows, positives)) in enumerate(counts.items()):
        if j != base:
            change = _contrast(model, {k + i - 1: sign for i, sign in ((j, 1.0), (base, -1.0)) if i}, cov)
            share = rows / max(1, len(labels))
            weight = _scaled(change, math.sqrt(share * (1 - share)))
            yield Effect(column.name, 1.0, category, reference, change, weight, rows, positives)


def _contrast(model: LinearModel, coefficients: dict[int, float], covariance: Floats | None) -> Estimate:
    c = np.zeros(model.schema.width + 1)
    for feature, coefficient in coefficients.items():
        c[feature + 1] = coefficient
    value = float(c[1:] @ model.weights)
    return Estimate(value, math.nan if covariance is None else math.sqrt(float(c @ covariance @ c)))


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(estimate.value * factor, estimate.error * factor)


def _counts(column: CategoricalColumn, records: pd.DataFrame, labels: Bools) -> dict[str, tuple[int, int]]:
    """Return rows and positive rows of each category, in the schema's order."""
    cells = records[column.name].astype(str).to_numpy(object)
    masks = ((category, cells == category) for category in column.categories)
    return {category: (int(mask.sum()), int((mask & labels).sum())) for category, mask in masks}


def _exp(value: float) -> float:
    return math.exp(min(max(value, -_LARGEST), _LARGEST))
