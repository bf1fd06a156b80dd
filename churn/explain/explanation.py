"""Everything that is said about a model: which conditions drive its predictions, how much, how sure that is."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.errors import DataError
from churn.explain.effects import Effect, Estimate, Scarce, alike, covariance_of, effects_of, features_of, scarce_groups
from churn.explain.importance import Dependence, Importance, Loss, importance_of, orders_of, partial_dependence
from churn.explain.truth import Oracle, Truth, true_dependence, truth_of
from churn.model import LinearModel
from churn.schema import NumericColumn
from churn.training import REGULARISATION, Metrics, Split, measure

__all__ = ["Condition", "Explanation", "as_json", "explain"]

Floats = npt.NDArray[np.float64]

PICTURED = 6


@dataclass(frozen=True)
class Condition:
    """One column of the table: what predictions lose without it, and its comparisons.

    share: the standard deviation of what it adds to the logit, over the rows on which importance was measured.
    """

    name: str
    importance: Importance
    effects: tuple[Effect, ...]
    share: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `explain` found; conditions are sorted, the most important first.

    sure         whether standard errors are known: only on the rows that the model was trained on
    trained      rows by which effects are counted, and from which standard errors come
    measured     rows on which quality, importance and dependence were measured
    repeats      shuffles of each condition
    prior        C: the variance that weights are taken to have beforehand
    dependences  of the most important numeric conditions
    scarce       categories that the model knows little about
    alike        pairs of numeric conditions that go together, and their correlation
    truth        the comparison with the generator, of synthetic data only
    """

    model: str
    target: str
    positive: str
    sure: bool
    trained: int
    measured: int
    repeats: int
    prior: float
    metrics: Metrics
    conditions: tuple[Condition, ...]
    dependences: tuple[Dependence, ...]
    scarce: tuple[Scarce, ...]
    alike: tuple[tuple[str, str, float], ...]
    truth: Truth | None
    notes: tuple[str, ...] = ()


def explain(
    model: LinearModel,
    parts: Split,
    *,
    regularisation: float = REGULARISATION,
    repeats: int = 20,
    seed: int = 0,
    oracle: Oracle | None = None,
    notes: tuple[str, ...] = (),
) -> Explanation:
    """Explain a model by a table that was split into rows to train on and rows held out.

    If the model was trained on the one part, with `regularisation`, effects get intervals from it and importance is
    measured on the other. If it was not, there are no intervals, and all rows serve to measure. `oracle` is the true
    probability of a row, where it is known. Raises DataError for too few rows of a label, ColumnError and
    CategoryError for records that the model does not take.
    """
    if repeats < 2:
        raise DataError(f"{repeats} shuffles were asked for", "two are needed to see their spread", "Ask for 20")
    parts = parts._replace(train=_named(parts.train), test=_named(parts.test))
    records, labels = parts.train, parts.train_labels
    x = model.schema.transform(records)
    covariance = covariance_of(model, x, labels, regularisation)
    held_out, held_labels = parts.test, parts.test_labels
    if covariance is None:
        records = held_out = pd.concat([parts.train, parts.test])
        labels = held_labels = np.concatenate([parts.train_labels, parts.test_labels])
        x = model.schema.transform(records)
    held_x = model.schema.transform(held_out)
    orders = orders_of(len(held_out), repeats, seed)
    importance = importance_of(model, held_x, held_labels, orders)
    effects = effects_of(model, records, labels, covariance)
    shares = {
        column.name: float((held_x[:, place] @ model.weights[place]).std())
        for column, place in features_of(model.schema)
    }
    conditions = sorted(
        (Condition(one.condition, one, effects[one.condition], shares[one.condition]) for one in importance),
        key=lambda condition: (-condition.importance.auc.lost, condition.name),
    )
    truth = None
    if oracle is not None:
        every = [effect for one in conditions for effect in one.effects]
        truth = truth_of(oracle, held_out, held_labels, [one.importance for one in conditions], every, orders)
    return Explanation(
        model=model.name,
        target=model.target,
        positive=model.positive,
        sure=covariance is not None,
        trained=len(records),
        measured=len(held_out),
        repeats=repeats,
        prior=regularisation,
        metrics=measure(held_labels, model.probabilities(held_x)),
        conditions=tuple(conditions),
        dependences=tuple(_dependences(model, held_out, held_x, conditions, covariance, oracle)),
        scarce=scarce_groups(model.schema, records, labels),
        alike=alike(model.schema, x),
        truth=truth,
        notes=tuple(notes),
    )


def as_json(explanation: Explanation) -> dict[str, object]:
    """Return everything as plain values, for json.dumps; what is not known is None."""
    truth = explanation.truth
    return {
        "model": explanation.model,
        "target": explanation.target,
        "positive": explanation.positive,
        "rows": {"trained": explanation.trained, "measured": explanation.measured},
        "repeats": explanation.repeats,
        "prior_variance": explanation.prior,
        "metrics": dataclasses.asdict(explanation.metrics),
        "conditions": [
            {
                "name": condition.name,
                "accuracy_lost": _loss(condition.importance.accuracy),
                "auc_lost": _loss(condition.importance.auc),
                "logit_deviation": condition.share,
                "effects": [
                    {
                        "compared": effect.compared,
                        "step": effect.step,
                        "category": effect.category,
                        "reference": effect.reference,
                        "rows": effect.rows,
                        "positives": effect.positives,
                        "odds_ratio": _estimate(effect.change),
                        "odds_ratio_per_deviation": _estimate(effect.weight),
                        "standardised_coefficient": effect.weight.value,
                        "true_log_odds": truth.changes[condition.name][k] if truth is not None else None,
                    }
                    for k, effect in enumerate(condition.effects)
                ],
            }
            for condition in explanation.conditions
        ],
        "dependences": [
            {
                "condition": one.condition,
                "usual": list(one.usual),
                **{
                    part: None if values is None else values.tolist()
                    for part, values in (
                        ("values", one.values),
                        ("probability", one.probability),
                        ("low", one.low),
                        ("high", one.high),
                        ("truth", one.truth),
                    )
                },
            }
            for one in explanation.dependences
        ],
        "scarce": [dataclasses.asdict(one) for one in explanation.scarce],
        "alike": [list(pair) for pair in explanation.alike],
        "truth": _truth(truth) if truth is not None else None,
        "notes": list(explanation.notes),
    }


def _named(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records with columns named by text, as a schema names them."""
    return records.set_axis([str(name) for name in records.columns], axis="columns")


def _dependences(
    model: LinearModel,
    records: pd.DataFrame,
    x: Floats,
    conditions: list[Condition],
    covariance: Floats | None,
    oracle: Oracle | None,
) -> list[Dependence]:
    numeric = {column.name for column in model.schema.columns if isinstance(column, NumericColumn)}
    found = []
    for name in [condition.name for condition in conditions if condition.name in numeric][:PICTURED]:
        one = partial_dependence(model, x, name, pd.to_numeric(records[name]).to_numpy(np.float64), covariance)
        if oracle is not None:
            one = dataclasses.replace(one, truth=true_dependence(oracle, records, name, one.values))
        found.append(one)
    return found


def _loss(loss: Loss) -> dict[str, float]:
    return {"mean": loss.lost, "spread_over_shuffles": loss.spread, "standard_error": loss.error}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    low, high = estimate.interval or (None, None)
    return {"value": estimate.ratio, "low": low, "high": high}


def _truth(truth: Truth) -> dict[str, object]:
    return {
        "rank_correlation": None if math.isnan(truth.rank_correlation) else truth.rank_correlation,
        "top": truth.top,
        "shared": truth.shared,
        "idle": list(truth.idle),
        "inside": truth.inside,
        "compared": truth.compared,
        "auc_lost": {one.condition: _loss(one.auc) for one in truth.importance},
    }
