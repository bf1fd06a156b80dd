"""Explanations against closed forms, slow loops and a known truth; the page is one file that loads nothing."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from page_kit import check_page
from rich.console import Console

from churn.data import POSITIVE, TARGET, make_employees, true_probability
from churn.errors import DataError
from churn.explain import Explanation, as_json, charts, explain
from churn.explain.effects import (
    Estimate,
    Scarce,
    alike,
    covariance_of,
    effects_of,
    natural_step,
    scarce_groups,
)
from churn.explain.importance import (
    grid_of,
    importance_of,
    orders_of,
    partial_dependence,
    permutation_importance,
    placements,
)
from churn.explain.page import render, write_page
from churn.explain.text import print_explanation
from churn.explain.truth import true_change, true_dependence, truth_of
from churn.model import LinearModel, interval_for
from churn.schema import CategoricalColumn, NumericColumn, Schema
from churn.training import REGULARISATION, Split, split, train

NAMES = {"name": "toy", "target": "left", "positive": "Yes"}
NO_PENALTY = 1e9  # C: weights are then those of maximum likelihood, to about 1 / C of themselves
Z = statistics.NormalDist().inv_cdf(0.975)


def toy(weights=(0.83, -0.47, 0.31), bias=-0.2) -> LinearModel:
    """Whose logits tie where the (clipped) cells do, and nowhere else."""
    schema = Schema((NumericColumn("age", 40.0, 10.0, 20.0, 65.0), CategoricalColumn("team", ("a", "b", "c"))))
    return LinearModel(
        **NAMES,
        version=1,
        schema=schema,
        weights=np.array(weights),
        bias=bias,
        logit_interval=interval_for(schema, weights, bias),
        observed_logit=0.0,
    )


def toy_records(rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Ages of which some are beyond the model's range, teams of unequal size, labels that the toy model draws."""
    rng = np.random.default_rng(seed)
    records = pd.DataFrame(
        {"age": rng.integers(15, 72, rows), "team": rng.choice(["a", "b", "c"], rows, p=[0.2, 0.5, 0.3])}
    )
    return records, rng.random(rows) < toy().probabilities(toy().schema.transform(records))


def counted(table: dict[object, tuple[int, int]], name: str = "group") -> tuple[pd.DataFrame, np.ndarray]:
    """Records of one column, from value -> (rows with the label, rows without)."""
    cells = [value for value, (yes, no) in table.items() for _ in range(yes + no)]
    labels = [k < yes for yes, no in table.values() for k in range(yes + no)]
    return pd.DataFrame({name: cells}), np.array(labels)


def fitted(records: pd.DataFrame, labels: np.ndarray, regularisation: float):
    model = train(records, labels, **NAMES, regularisation=regularisation).model
    x = model.schema.transform(records)
    covariance = covariance_of(model, x, labels, regularisation)
    return model, x, covariance


# ---- odds ratios -------------------------------------------------------------------------------------


def test_categories_have_the_odds_ratios_and_intervals_of_their_table():
    """Of a table of counts: (a / b) / (c / d), and the logarithm's variance 1/a + 1/b + 1/c + 1/d (Woolf)."""
    table = {"x": (30, 20), "y": (40, 60), "z": (12, 35)}  # y is the commonest, x the model's own reference
    records, labels = counted(table)
    model, _, covariance = fitted(records, labels, NO_PENALTY)
    found = effects_of(model, records, labels, covariance)["group"]
    assert [(one.category, one.reference) for one in found] == [("x", "y"), ("z", "y")]
    assert [(one.rows, one.positives) for one in found] == [(50, 30), (47, 12)]
    c, d = table["y"]
    for one in found:
        a, b = table[one.category]
        ratio, error = (a / b) / (c / d), math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        share = (a + b) / len(labels)
        assert one.change.ratio == pytest.approx(ratio, rel=1e-6)
        expected = ratio * math.exp(-Z * error), ratio * math.exp(Z * error)
        assert one.change.interval == pytest.approx(expected, rel=1e-6)
        assert one.weight.ratio == pytest.approx(ratio ** math.sqrt(share * (1 - share)), rel=1e-6)
        assert one.compared == f"{one.category} against y"


def test_a_number_has_the_odds_ratio_of_its_table_per_step_and_per_deviation():
    table = {0: (15, 35), 1: (40, 30)}
    records, labels = counted(table, "shifts")
    model, _, covariance = fitted(records, labels, NO_PENALTY)
    (one,) = effects_of(model, records, labels, covariance)["shifts"]
    ratio = (40 / 30) / (15 / 35)
    error = math.sqrt(1 / 15 + 1 / 35 + 1 / 40 + 1 / 30)
    deviation = statistics.pstdev([0] * 50 + [1] * 70)
    assert one.step == 1 and one.compared == "per 1" and one.category is None
    assert one.change.ratio == pytest.approx(ratio, rel=1e-6)
    assert one.change.interval == pytest.approx([ratio * math.exp(s * Z * error) for s in (-1, 1)], rel=1e-6)
    assert one.weight.ratio == pytest.approx(ratio**deviation, rel=1e-6)
    assert one.weight.value == pytest.approx(model.weights[0], rel=1e-12), "what was fitted is per deviation"


def test_the_step_multiplies_the_odds_that_the_model_gives():
    """Whatever the other condition is: two records that differ by the step, within the range."""
    model = toy()
    records, labels = toy_records(300)
    (age,) = effects_of(model, records, labels, None)["age"]
    assert age.step == 10
    for team in "abc":
        pair = pd.DataFrame({"age": [33, 43], "team": [team, team]})
        low, high = model.probabilities(model.schema.transform(pair))
        assert age.change.ratio == pytest.approx(high / (1 - high) / (low / (1 - low)), rel=1e-12)
    assert age.change.interval is None and not age.change.holds(age.change.value)


def test_the_covariance_inverts_the_second_differences_of_what_training_minimises():
    """F in plain Python. A central difference is off by h^2 / 6 times a fourth derivative, which n R^4 / 8 bounds."""
    records, labels = toy_records(90)
    c, h = 0.25, 1e-3
    model, x, covariance = fitted(records, labels, c)

    def f(beta: np.ndarray) -> float:
        total = sum(float(w) ** 2 for w in beta[1:]) / (2 * c)
        for row, y in zip(x.tolist(), labels.tolist(), strict=True):
            z = float(beta[0]) + sum(float(w) * v for w, v in zip(beta[1:], row, strict=True))
            total += math.log1p(math.exp(z)) - y * z
        return total

    best = np.array([model.bias, *model.weights])
    steps = h * np.eye(len(best))
    hessian = np.array(
        [
            [(f(best + i + j) - f(best + i - j) - f(best - i + j) + f(best - i - j)) / (4 * h * h) for j in steps]
            for i in steps
        ]
    )
    radius = 1 + np.abs(x).max()
    bound = h**2 / 6 * 4 * len(x) * radius**4 / 8 + 4 * f(best) * 2**-50 / (4 * h * h)
    np.testing.assert_allclose(np.linalg.inv(covariance), hessian, rtol=0, atol=bound)
    assert bound < 0.01 / c, "the penalty, 1 / C on the diagonal, is far larger: its place is tested too"


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Weights drawn as training assumes them, 40 rows each, so that the penalty is half of what is known.

    Of 480 intervals 456 should hold the truth, give or take 4.8 (one deviation); five deviations are 24.
    """
    rng = np.random.default_rng(5)
    held = total = 0
    for _ in range(120):
        x = rng.normal(size=(40, 4))
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        truth = rng.normal(0, math.sqrt(REGULARISATION), 4)
        labels = rng.random(40) < 1 / (1 + np.exp(-x @ truth))
        records = pd.DataFrame(x, columns=list("abcd"))
        model, _, covariance = fitted(records, labels, REGULARISATION)
        effects = effects_of(model, records, labels, covariance)
        held += sum(effects[name][0].weight.holds(w) for name, w in zip("abcd", truth, strict=True))
        total += 4
    assert abs(held - 0.95 * total) < 24


@pytest.mark.parametrize("spoil", ["other rows", "fewer rows", "another penalty", "another weight"])
def test_no_intervals_from_rows_that_did_not_train_the_model(spoil):
    records, labels = toy_records(400)
    model, x, covariance = fitted(records, labels, 0.25)
    assert covariance is not None and (np.diag(covariance) > 0).all()
    if spoil == "other rows":
        other, labels = toy_records(400, seed=1)
        x = model.schema.transform(other)
    elif spoil == "fewer rows":
        x, labels = x[:-1], labels[:-1]
    elif spoil == "another weight":
        model = dataclasses.replace(model, weights=model.weights + [0.01, 0, 0], logit_interval=99.0)
    assert covariance_of(model, x, labels, 1.0 if spoil == "another penalty" else 0.25) is None


def test_a_model_that_is_certain_of_everything_has_no_intervals_and_finite_ratios():
    """p (1 - p) rounds to 0 in every row: there is no Hessian to invert."""
    model = toy(weights=(0.0, 1e6, 1e6), bias=1e6)
    records, labels = toy_records(50)
    assert covariance_of(model, model.schema.transform(records), labels, 0.25) is None
    found = effects_of(model, records, labels, None)
    assert all(math.isfinite(one.change.ratio) and one.change.ratio > 0 for some in found.values() for one in some)


@pytest.mark.parametrize(
    ("scale", "whole", "step"),
    [(10.4, True, 10), (0.45, True, 1), (0.45, False, 0.5), (2500, True, 2000), (1.0, False, 1), (7.2, False, 10),
     (6.9, False, 5), (3.3e-5, False, 5e-5), (0.0999, False, 0.1), (1e-300, False, 1e-300), (9.9e299, True, 1e300)],
)  # fmt: skip
def test_steps_are_round_and_near_a_deviation(scale, whole, step):
    assert natural_step(scale, whole) == step


def test_groups_that_are_little_known_are_named():
    """Too few of either label, too few at all, and one that no row has."""
    schema = Schema((NumericColumn("age", 0.0, 1.0, -1.0, 1.0), CategoricalColumn("team", ("a", "b", "c", "d", "e"))))
    records, labels = counted({"a": (10, 10), "b": (9, 500), "c": (500, 9), "e": (1, 0)}, "team")
    found = scarce_groups(schema, records, labels)
    assert found == (
        Scarce("team", "b", 509, 9),
        Scarce("team", "c", 509, 500),
        Scarce("team", "d", 0, 0),
        Scarce("team", "e", 1, 1),
    )


def test_an_unknown_category_is_as_unsure_as_what_was_assumed_beforehand():
    """No row has it: its weight is 0, and its variance C is added to that of the commonest, which has rows."""
    records, labels = counted({"a": (30, 30), "b": (60, 20)})
    model = train(records, labels, **NAMES, vocabulary=pd.concat([records, pd.DataFrame({"group": ["c"]})])).model
    covariance = covariance_of(model, model.schema.transform(records), labels, REGULARISATION)
    _, unknown = effects_of(model, records, labels, covariance)["group"]
    assert unknown.category == "c" and (unknown.rows, unknown.weight.value) == (0, 0)
    assert unknown.change.error**2 == pytest.approx(REGULARISATION + covariance[1, 1], rel=1e-12)


def test_conditions_that_go_together_are_named():
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    x = np.stack([a, -a + 0.1 * rng.normal(size=500), rng.normal(size=500), np.zeros(500)], axis=1)
    schema = Schema(tuple(NumericColumn(name, 0.0, 1.0, -9.0, 9.0) for name in "abcd"))
    ((first, second, r),) = alike(schema, x)
    assert (first, second) == ("a", "b") and r == pytest.approx(statistics.correlation(x[:, 0], x[:, 1]))


# ---- permutation importance --------------------------------------------------------------------------


def slow_auc(labels, scores) -> float:
    pairs = [
        (p, q) for p, y in zip(scores, labels, strict=True) if y for q, z in zip(scores, labels, strict=True) if not z
    ]
    return sum((p > q) + (p == q) / 2 for p, q in pairs) / len(pairs)


def test_placements_are_shares_of_pairs():
    labels = np.array([True, False, True, False, False, True, True])
    scores = np.array([0.3, 0.3, 0.9, -1.0, 0.9, 0.1, 0.3])
    expected = [
        sum((s > t) + (s == t) / 2 if y else (s < t) + (s == t) / 2 for t, z in zip(scores, labels) if z != y)
        / sum(labels != y)
        for s, y in zip(scores, labels)
    ]
    found = placements(labels, scores)
    assert found.tolist() == pytest.approx(expected, abs=1e-15)
    assert found[labels].mean() == pytest.approx(slow_auc(labels, scores))
    assert found[~labels].mean() == pytest.approx(slow_auc(labels, scores))


def test_importance_equals_a_plain_loop_over_shuffled_tables():
    model = toy()
    records, labels = toy_records(60)
    orders = orders_of(60, 4, seed=3)
    assert sorted(orders[1].tolist()) == list(range(60)) and (orders[0] != orders[1]).any()
    found = importance_of(model, model.schema.transform(records), labels, orders)
    assert [one.condition for one in found] == ["age", "team"]

    def scored(table):
        """Rounded, so that equal records are ties however their sums were rounded."""
        p = [round(q, 12) for q in model.probabilities(model.schema.transform(table)).tolist()]
        return p, sum((q >= 0.5) == y for q, y in zip(p, labels.tolist())) / 60, slow_auc(labels, p)

    before, accuracy, auc = scored(records)
    for one in found:
        accuracies, aucs, wrong = [], [], np.zeros(60)
        for order in orders.tolist():
            table = records.copy()
            table[one.condition] = [records[one.condition].iloc[i] for i in order]
            p, *both = scored(table)
            accuracies.append(accuracy - both[0])
            aucs.append(auc - both[1])
            wrong += [((b >= 0.5) == y) - float((q >= 0.5) == y) for b, q, y in zip(before, p, labels.tolist())]
        assert one.accuracy.lost == pytest.approx(statistics.mean(accuracies), abs=1e-12)
        assert one.accuracy.spread == pytest.approx(statistics.stdev(accuracies), abs=1e-12)
        assert one.accuracy.error == pytest.approx(statistics.stdev(wrong / 4) / math.sqrt(60), abs=1e-12)
        assert one.auc.lost == pytest.approx(statistics.mean(aucs), abs=1e-12)
        assert one.auc.spread == pytest.approx(statistics.stdev(aucs), abs=1e-12)


def test_the_error_of_a_loss_is_what_other_rows_change():
    """200 tables of 300 rows: the losses' deviation is known to 5 %, one sigma; four are a fifth."""
    model = toy()
    orders = orders_of(300, 3, seed=0)
    found = []
    for seed in range(200):
        records, labels = toy_records(300, seed)
        found.append(importance_of(model, model.schema.transform(records), labels, orders)[0].auc)
    across = statistics.stdev(loss.lost for loss in found)
    assert statistics.mean(loss.error for loss in found) == pytest.approx(across, rel=0.2)


def test_a_condition_without_weight_loses_nothing():
    model = toy(weights=(0.8, 0.0, 0.0))
    records, labels = toy_records(80)
    team = importance_of(model, model.schema.transform(records), labels, orders_of(80, 3, 0))[1]
    assert dataclasses.astuple(team.auc) == dataclasses.astuple(team.accuracy) == (0, 0, 0)


def test_one_row_of_a_label_is_too_few():
    labels = np.array([True, False, False])
    with pytest.raises(DataError, match="two of each label"):
        permutation_importance(labels, np.zeros(3), ["a"], lambda k, order: np.zeros(3), orders_of(3, 2, 0))


# ---- partial dependence ------------------------------------------------------------------------------


def test_dependence_equals_a_plain_loop():
    model = toy()
    records, _ = toy_records(70)
    x = model.schema.transform(records)
    found = partial_dependence(model, x, "age", records["age"].to_numpy(float), None)
    assert found.values[0] == 20 and found.values[-1] == 65 and found.low is None, "within the range met in training"
    for value, p in zip(found.values, found.probability, strict=True):
        expected = model.probabilities(model.schema.transform(records.assign(age=value))).mean()
        assert p == pytest.approx(expected, abs=1e-14)
    clipped = sorted(np.clip(records["age"], 20, 65))
    assert clipped[2] <= found.usual[0] <= clipped[4] and clipped[-5] <= found.usual[1] <= clipped[-3]
    with pytest.raises(DataError, match="categories"):
        partial_dependence(model, x, "team", np.zeros(70), None)


def test_the_band_is_the_mean_probability_s_own_deviation():
    """Weights drawn from a normal distribution, so narrow that the mean is linear in them: 4,000 draws know it to 5 %."""
    model = toy()
    records, _ = toy_records(50)
    x, ages = model.schema.transform(records), records["age"].to_numpy(float)
    root = 1e-3 * np.array([[1, 0, 0, 0], [0.5, 1, 0, 0], [0, -0.3, 1, 0], [0.2, 0, 0, 2]])
    band = partial_dependence(model, x, "age", ages, root @ root.T)
    rng = np.random.default_rng(0)
    for k in (0, 20, len(band.values) - 1):
        given = model.schema.transform(records.assign(age=band.values[k]))
        drawn = [
            float((1 / (1 + np.exp(-(model.bias + b[0] + given @ (model.weights + b[1:]))))).mean())
            for b in rng.normal(size=(4000, 4)) @ root.T
        ]
        assert (band.high[k] - band.low[k]) / (2 * Z) == pytest.approx(statistics.stdev(drawn), rel=0.05)
        assert (band.high[k] + band.low[k]) / 2 == pytest.approx(band.probability[k], abs=1e-12)


def test_grids():
    assert grid_of(np.array([3.0, 1, 1, 2])).tolist() == [1, 2, 3]
    many = grid_of(np.arange(1000.0))
    assert len(many) == 41 and many[0] == 0 and many[-1] == 999


# ---- the truth ---------------------------------------------------------------------------------------


def linear_oracle(records: pd.DataFrame) -> np.ndarray:
    z = 0.04 * (records["age"].to_numpy(float) - 40) + 0.7 * (records["team"] == "c").to_numpy(float)
    return 1 / (1 + np.exp(-z))


def test_true_changes_of_a_linear_truth_are_its_coefficients():
    records, labels = toy_records(200)
    effects = effects_of(toy(), records, labels, None)
    assert true_change(linear_oracle, records, effects["age"][0]) == pytest.approx(0.4, abs=1e-12)
    against_b = {one.category: true_change(linear_oracle, records, one) for one in effects["team"]}
    assert against_b == {"a": pytest.approx(0, abs=1e-12), "c": pytest.approx(0.7, abs=1e-12)}


def test_the_true_change_of_a_threshold_is_the_nearest_line_s():
    records, labels = toy_records(200)
    (age,) = effects_of(toy(), records, labels, None)["age"]

    def oracle(table):
        return np.where(table["age"].to_numpy(float) > 45, 0.8, 0.3)

    f = np.log(oracle(records) / (1 - oracle(records)))
    slope, _ = np.polyfit(records["age"].to_numpy(float), f, 1)
    assert true_change(oracle, records, age) == pytest.approx(10 * slope, rel=1e-9)


def test_the_truth_beside_what_was_learned():
    records, labels = toy_records(400)
    records["idle"] = np.arange(400) % 7
    parts = Split(records, records, labels, labels)
    model = train(records, labels, **NAMES).model
    found = explain(model, parts, oracle=linear_oracle, repeats=3)
    assert found.truth.idle == ("idle",) and found.truth.top == 3 == found.truth.shared
    assert (found.truth.compared, list(found.truth.changes)) == (4, [one.name for one in found.conditions])
    true = {one.condition: one.auc.lost for one in found.truth.importance}
    assert true["idle"] == 0 and true["age"] > true["team"] > 0
    ranks = [[sorted(losses).index(loss) for loss in losses] for losses in (
        [one.importance.auc.lost for one in found.conditions], [true[one.name] for one in found.conditions])]  # fmt: skip
    assert found.truth.rank_correlation == pytest.approx(statistics.correlation(*ranks))
    inside = [
        one.change.holds(change)
        for condition in found.conditions
        for one, change in zip(condition.effects, found.truth.changes[condition.name], strict=True)
    ]
    assert found.truth.inside == sum(inside)


def test_one_condition_has_no_ranking():
    records, labels = toy_records(100)
    orders = orders_of(100, 2, 0)
    (age,) = permutation_importance(
        labels, records["age"].to_numpy(float) - 40, ["age"], lambda k, o: np.zeros(100), orders
    )
    found = truth_of(linear_oracle, records, labels, [age], (), orders)
    assert math.isnan(found.rank_correlation) and (found.top, found.shared) == (1, 1)


def test_true_dependence():
    records, _ = toy_records(30)
    expected = [linear_oracle(records.assign(age=value)).mean() for value in (20, 50.5)]
    assert true_dependence(linear_oracle, records, "age", np.array([20, 50.5])).tolist() == pytest.approx(
        expected, abs=1e-15
    )


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    """Of 4,000 synthetic employees."""
    table = make_employees(4000, 0)
    labels = (table.pop(TARGET) == POSITIVE).to_numpy()
    parts = split(table, labels, seed=0)
    model = train(parts.train, parts.train_labels, name="churn", target=TARGET, positive=POSITIVE).model
    return explain(model, parts, oracle=true_probability, repeats=5, notes=("column '<b>' is left out",))


def test_the_generator_s_drivers_are_recovered(explanation):
    assert explanation.sure and (explanation.trained, explanation.measured) == (3000, 1000)
    true = sorted(explanation.truth.importance, key=lambda one: -one.auc.lost)
    assert {one.condition for one in true[:2]} == {"overtime", "job_satisfaction"}
    assert {one.name for one in explanation.conditions[:2]} == {"overtime", "job_satisfaction"}
    idle = {"education_level", "job_level", "total_working_years", "monthly_salary", "training_days"}
    assert set(explanation.truth.idle) == idle, "what true_probability does not look at"
    five = {one.condition for one in true[:5]} & {one.name for one in explanation.conditions[:5]}
    assert (explanation.truth.shared, explanation.truth.top) == (len(five), 5) and 2 <= len(five) < 5
    lost = [one.importance.auc.lost for one in explanation.conditions]
    assert lost == sorted(lost, reverse=True)
    found = {one.name: one.effects for one in explanation.conditions}
    assert found["job_satisfaction"][0].change.interval[1] < 1 < found["overtime"][0].change.interval[0]
    assert {(a, b) for a, b, _ in explanation.alike} >= {("job_level", "monthly_salary")}


def test_json_holds_every_number_and_survives_json(explanation):
    found = json.loads(json.dumps(as_json(explanation), allow_nan=False))
    assert len(found["conditions"]) == 19 and found["rows"] == {"trained": 3000, "measured": 1000}
    first, whole = found["conditions"][0], explanation.conditions[0]
    assert first["name"] == whole.name and first["auc_lost"]["mean"] == whole.importance.auc.lost
    assert first["effects"][0]["odds_ratio"]["low"] == whole.effects[0].change.interval[0]
    assert first["effects"][0]["standardised_coefficient"] == whole.effects[0].weight.value
    assert found["dependences"][0]["truth"] == explanation.dependences[0].truth.tolist()
    assert found["truth"]["compared"] == 25


def test_a_model_of_other_rows_is_explained_without_intervals(no_pictures):
    records, labels = toy_records(300)
    found = explain(toy(), split(records, labels), repeats=2)
    assert not found.sure and found.trained == found.measured == 300 and found.truth is None
    assert all(one.change.interval is None for condition in found.conditions for one in condition.effects)
    page = render(found)
    assert "No intervals" in page and "nan" not in page and "held-out" not in page
    json.dumps(as_json(found), allow_nan=False)
    with pytest.raises(DataError, match="shuffles"):
        explain(toy(), split(records, labels), repeats=1)


# ---- the page and the terminal -----------------------------------------------------------------------


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing is most of the time; tests about words do without."""
    for name in ("importance", "effects", "dependence"):
        monkeypatch.setattr(charts, name, lambda *given: "<svg/>")


def test_page_is_self_contained_and_says_what_was_found(explanation, tmp_path):
    page = write_page(explanation, tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    check_page(page, 2 + 6)
    assert "$" not in page and page.startswith("<!doctype html>")
    words = " ".join(page.split())
    for text in (
        "correlation, not cause",
        "nothing is sent to anybody",
        "inverse of the penalised Hessian",
        "job_level and monthly_salary",
        "&#x27;&lt;b&gt;&#x27; is left out",
        f"{explanation.metrics.accuracy:.1%}",
    ):
        assert text in words
    first = explanation.conditions[0]
    low, high = first.effects[0].change.interval
    assert f"{first.effects[0].change.ratio:.2f} ({low:.2f}–{high:.2f})" in page
    assert f"{first.importance.auc.lost:.4f} ±{Z * first.importance.auc.error:.4f}" in page


def test_pictures_are_reproducible(explanation):
    assert charts.importance(explanation) == charts.importance(explanation)


def test_names_from_the_table_do_no_harm(monkeypatch):
    """Markup, formulas, comments, control characters and letters that no font has, in every place a name has."""
    nasty = ["<script>alert(1)</script>", "$\\frac{1$", "a -- b --> c", "x\x01y", "部署", "${rows}"]
    rng = np.random.default_rng(0)
    records = pd.DataFrame(
        {name: rng.integers(0, 5, 200) for name in nasty}
        | {"<i>" + "&amp;" * 30: rng.choice([*nasty, "<i>", "$rows"], 200), "plain": rng.choice(["<i>x", "y"], 200)}
    )
    labels = rng.random(200) < 0.5
    parts = Split(records, records, labels, labels)
    names = {"name": "toy", "target": "<i>&", "positive": "$\\frac$"}
    found = explain(train(records, labels, **names).model, parts, repeats=2, notes=("<i>",))
    page = render(found)
    check_page(page, 2 + 6)
    sink = io.StringIO()
    print_explanation(found, Console(file=sink, width=200))
    assert "\x01" not in sink.getvalue() and "${rows}" in sink.getvalue()
    for name in ("importance", "effects", "dependence"):
        monkeypatch.setattr(charts, name, lambda *given: "<svg/>")
    for k in range(len(found.conditions)):  # each in the first place once, which has a box of its own
        turned = dataclasses.replace(found, conditions=found.conditions[k:] + found.conditions[:k])
        page = render(turned)
        check_page(page, 2 + 6)
        assert "<script" not in page.lower() and "<i>" not in page and "$rows" in page and "${rows}" in page


def test_column_names_may_be_numbers():
    records, labels = toy_records(100)
    records.columns = [0, 1]
    model = train(records, labels, **NAMES).model
    found = explain(model, Split(records, records, labels, labels), repeats=2)
    assert found.sure and {one.name for one in found.conditions} == {"0", "1"}


def test_texts_alone_can_be_explained():
    """No numeric column: no curves, and no pair that goes together."""
    records, labels = counted({"a": (10, 20), "b": (25, 15)})
    found = explain(train(records, labels, **NAMES).model, Split(records, records, labels, labels), repeats=2)
    page = render(found)
    check_page(page, 2)
    assert "along a condition" not in page and found.dependences == ()


def test_table_in_the_terminal(explanation):
    sink = io.StringIO()
    print_explanation(explanation, Console(file=sink, width=100))
    text = sink.getvalue()
    low, high = explanation.conditions[0].effects[0].change.interval
    for word in (
        "contract: Permanent",
        "  Agency",
        "age +10",
        f"({low:.2f}–{high:.2f})",
        "not cause",
        "who sees",
        "truth",
    ):
        assert word in text
    assert "nan" not in text and "-0.000 " not in text


def test_scarce_groups_are_told(no_pictures):
    records, labels = counted({"a": (40, 20), "b": (25, 45), "c": (2, 30)})
    found = explain(train(records, labels, **NAMES).model, Split(records, records, labels, labels), repeats=2)
    assert "group = c (32 rows, 2 of them left = Yes)" in render(found)


def test_estimates_far_out_are_finite():
    assert 0 < Estimate(-1e9, 1.0).ratio < Estimate(1e9, 1.0).ratio < math.inf


# ---- the command -------------------------------------------------------------------------------------


def test_explain_trains_and_writes_page_and_numbers(run):
    code, out, err = run(
        "explain", "--rows", 400, "--seed", 2, "--out", "p/x.html", "--json", "n/x.json", "--repeats", 3
    )
    assert code == 0, err
    check_page(Path("p/x.html").read_text(encoding="utf-8"), 8)
    found = json.loads(Path("n/x.json").read_text())
    assert found["rows"] == {"trained": 300, "measured": 100} and found["repeats"] == 3 and found["truth"]["top"] == 5
    assert "not cause" in out and "x.html" in out and "majority" in out


def test_a_model_file_is_explained_by_the_table_it_was_trained_on(run, no_pictures):
    assert run("train", "--rows", 400, "--seed", 2, "--out", "m/churn.json", "--held-out", "held.csv")[0] == 0
    model = ("explain", "--model", "m/churn.json", "--repeats", 2, "--json", "x.json")
    code, out, err = run(*model, "--rows", 400, "--seed", 2)
    loaded = json.loads(Path("x.json").read_text())
    assert code == 0 and "penalised Hessian" in out, err
    assert run("explain", "--rows", 400, "--seed", 2, "--repeats", 2, "--json", "y.json")[0] == 0
    assert loaded == json.loads(Path("y.json").read_text()), "the same as one that was trained just now"
    code, out, _ = run(*model, "--rows", 400, "--seed", 3)
    assert code == 0 and "No intervals" in out
    code, out, err = run(*model, "--data", "held.csv")
    assert code == 0 and "No intervals" in out and "truth" not in out, err
    assert json.loads(Path("x.json").read_text())["rows"]["measured"] == 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "none.json"], ["none.json", "model file"]),
        (["--model", "bad.json"], ["bad.json", "Write the model again"]),
        (["--model", "list.json"], ["list.json"]),
        (["--model", "m/churn.json", "--data", "held.csv", "--target", "age", "--positive", "30"], ["left = Yes", "age = 30"]),
        (["--model", "m/churn.json", "--data", "short.csv"], ["lacks"]),
        (["--data", "held.csv"], ["--target COLUMN"]),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_told_in_one_line(run, arguments, words):
    Path("bad.json").write_text("{", encoding="utf-8")
    Path("list.json").write_text("[]", encoding="utf-8")
    Path("short.csv").write_text("age,left\n" + "30,Yes\n40,No\n" * 6, encoding="utf-8")
    assert run("train", "--rows", 200, "--out", "m/churn.json", "--held-out", "held.csv")[0] == 0
    code, _, err = run("explain", *arguments)
    assert code == 1 and len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err


def test_help_says_who_sees_what(run):
    code, out, _ = run("explain", "--help")
    words = " ".join(out.split())
    assert code == 0 and "Everything is in the clear" in words and "not causes" in words
