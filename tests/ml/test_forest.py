"""Trees: read as scikit-learn grows them, right where their comparisons are decided, and off by what is stated."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from ml_kit import FAR, encrypted_scores, insecure_params
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ckks.errors import ModelError
from ckks.ml import Model, from_sklearn
from ckks.ml.forest import Forest, _rounds, planted
from ckks.ml.outputs import Output
from ckks.ml.schema import NumericColumn, Schema
from ckks.ml.step import comparison
from ckks.ml.trees import Tree

X = np.random.default_rng(0).uniform(-1, 1, (300, 4)) * [1, 10, 100, 1]
Y = np.sign(X[:, 0]) + (X[:, 1] > 3) + 0.01 * X[:, 2]
KINDS = (Y > 0.5).astype(int) + (Y > 1.5)

GROWN = {
    "tree": (DecisionTreeClassifier(max_depth=3, random_state=0), KINDS),
    "lopsided tree": (DecisionTreeClassifier(max_leaf_nodes=6, random_state=0), KINDS > 0),
    "regression tree": (DecisionTreeRegressor(max_depth=3, random_state=0), Y),
    "two targets": (DecisionTreeRegressor(max_depth=2, random_state=0), np.column_stack([Y, X[:, 1]])),
    "stump": (DecisionTreeRegressor(max_depth=1, random_state=0), Y),
    "boosted, two classes": (GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0), KINDS > 0),
    "boosted, three classes": (GradientBoostingClassifier(n_estimators=2, max_depth=2, random_state=0), KINDS),
    "boosted regression": (GradientBoostingRegressor(n_estimators=4, max_depth=2, random_state=0), Y),
    "boosted from zero": (GradientBoostingRegressor(n_estimators=2, max_depth=2, init="zero", random_state=0), Y),
    "scaled first": (make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=2, random_state=0)), Y),
}


@cache
def grown(name: str):
    estimator, target = GROWN[name]
    estimator.fit(X, target)
    return estimator, from_sklearn(estimator, X, params=insecure_params(14))


def wanted_scores(estimator):
    for method in ("decision_function", "predict_proba", "predict"):
        if hasattr(estimator, method):
            scores = getattr(estimator, method)(X)
            return scores[:, None] if scores.ndim == 1 else scores


@pytest.mark.parametrize("name", GROWN)
def test_trees_are_read_as_they_are(name):
    estimator, model = grown(name)
    e, _ = model.schema.encode(X)
    wanted = wanted_scores(estimator)
    # scikit-learn compares single-precision features; none of these lies that near to a threshold
    assert np.abs(model.program.exact(e) - wanted).max() <= 2.0**-45 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize("resolution", [1 / 4, 1 / 16, 1 / 64])
@pytest.mark.parametrize("name", GROWN)
def test_decided_rows_are_off_by_no_more_than_stated(name, resolution):
    estimator = grown(name)[0]
    model = from_sklearn(estimator, X, resolution=resolution, params=insecure_params(14))
    x = np.random.default_rng(1).uniform(X.min(axis=0), X.max(axis=0), (5000, 4))
    e, _ = model.schema.encode(x)
    decided = model.program.decided(e)
    off = np.abs(model.program.in_the_clear(e) - model.program.exact(e))
    assert decided.any() and not decided.all()
    assert (off[decided] <= model.program.error).all()
    assert off[~decided].max() > model.program.error.max(), "or there was no need to ask"


def test_decided_is_about_the_path_only():
    """x0 <= 0 leads left; only there x1 is compared with 5. Against the definition, written out."""
    forest = Forest(
        weights=np.array([[-1.0, 0.0], [0.0, -1.0]]),
        bias=np.array([0.0, 0.0]),
        paths=(((0, False),), ((0, True), (1, True)), ((0, True), (1, False))),
        values=np.array([[0.1], [0.2], [0.3]]),
        start=np.zeros(1),
        scale=1.0,
        error=np.zeros(1),
        resolution=0.25,
    )
    e = np.array([[0.5, 0.0], [0.1, 0.9], [-0.5, 0.0], [-0.5, 0.3], [-0.1, 0.3]])
    assert forest.decided(e).tolist() == [True, False, False, True, False]
    assert forest.exact(e)[:, 0].tolist() == [0.1, 0.1, 0.2, 0.3, 0.3]


@pytest.mark.parametrize("name", GROWN)
def test_encrypted(name):
    estimator, model = grown(name)
    scores, clear = encrypted_scores(model, X), model.in_the_clear(X)
    off = np.abs(scores - clear).max()
    assert off <= model.encryption_error and off <= FAR * model.expected_error
    e, _ = model.schema.encode(X)
    decided = model.program.decided(e)
    assert (np.abs(scores - wanted_scores(estimator))[decided] <= model.score_errors).all()
    if model.output.classes:
        sure = model.certain(X)
        assert sure.any() and (model.output.predictions(scores) == estimator.predict(X))[sure].all()
        assert (sure <= decided).all()


def one_comparison(first: float, second: float, resolution: float = 1 / 16) -> tuple[Model, float]:
    """Two classes by one threshold at 0, and the error of its comparison."""
    tree = Tree((0,), np.zeros(1), (((0, True),), ((0, False),)), np.array([[first], [second]]))
    schema = Schema(1, None, (NumericColumn(0, -1.0, 1.0),))
    forest = planted((tree,), np.zeros(1), np.eye(1), np.zeros(1), schema, resolution)
    return Model(forest, schema, Output("logistic", (0, 1), True), insecure_params(14)), comparison(
        resolution
    ).max_abs_error


def test_no_error_of_a_comparison_changes_a_certain_label():
    """Its trees say -e/2 where the comparison in the clear may say -3e/2: enough for the error, and no reason to be sure."""
    _, e = one_comparison(1.0, -1.0)
    model, _ = one_comparison(1.0, -e / 2)
    x = np.linspace(-1, 1, 20001)[:, None]
    program = model.program
    clear, own, error = program.in_the_clear(x)[:, 0], program.exact(x)[:, 0], model.score_errors[0]
    lured = (clear < -error) & program.decided(x)
    assert lured.any() and (own[lured] + e * (1 + e / 2) > 0).all(), "a comparison that is off by e flips the label"
    sure = model.certain(x)
    assert not sure[lured].any() and sure[own > 0].any()


@pytest.mark.parametrize("name", ["tree", "lopsided tree", "boosted, two classes"])
def test_certain_labels_against_every_corner_of_the_errors(name):
    """Comparisons of the row's path off by e, all others anywhere in [-e, 1 + e]; signs at random, and all of one kind."""
    model = grown(name)[1]
    program, rng = model.program, np.random.default_rng(3)
    x = rng.uniform(X.min(axis=0), X.max(axis=0), (400, 4))
    features, _ = model.schema.encode(x)
    sure = model.certain(x)
    u, e = program._arguments(features), program.comparison.max_abs_error
    own = (u >= 0).astype(float)
    near = np.abs(u) < program.resolution
    wanted = model.output.predictions(program.exact(features))
    for k in range(66):
        signs = rng.choice([-1.0, 1.0], u.shape) if k > 1 else np.full(u.shape, 2.0 * k - 1)
        loose = np.where(signs > 0, 1 + e, -e)
        found = model.output.predictions(program._sum(np.where(near, loose, own + e * signs)))
        assert np.array_equal(found[sure], wanted[sure])
    assert sure.any() and not sure.all()


def test_depth_is_what_an_evaluation_uses():
    _, model = grown("tree")
    assert model.depth == 1 + comparison(1 / 64).depth + 2 + 1
    client, server = model.client(), None
    server = model.server(client.evaluation_keys)
    x = client.encrypt(X[:3]).chunks[0]
    assert model.program.evaluate(server.evaluator, x, "records").level == x.level - model.depth


def test_products_are_shared_and_batched():
    a, b, c, d = ((i, True) for i in range(4))
    paths = [(a,), (a, b), (a, b, c), (a, b, d), (a, b, c, d)]
    rounds = _rounds(paths)
    made = {(x,) for x in (a, b, c, d)}
    for pairs in rounds:
        assert len({(len(head), len(rest)) for head, rest in pairs}) == 1
        assert all(head in made and rest in made for head, rest in pairs)
        made |= {head + rest for head, rest in pairs}
    assert set(paths) <= made
    flat = [pair for pairs in rounds for pair in pairs]
    assert len(flat) == len(set(flat)) == 5, "(a, b), (c, d), (a, b, c), (a, b, d), (a, b, c, d)"


# ---- the step ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [0.5, 1 / 8, 1 / 32])
def test_the_step_keeps_its_word(resolution):
    c = comparison(resolution)
    x = np.linspace(-1, 1, 100001)
    y = c.in_the_clear(x)
    far = np.abs(x) >= resolution
    assert np.abs(y - (x > 0))[far].max() <= c.max_abs_error
    assert y.min() >= -c.max_abs_error and y.max() <= 1 + c.max_abs_error


def test_a_step_takes_the_least_depth():
    assert comparison(0.5, 0.1).depth < comparison(0.5, 1e-3).depth < comparison(1 / 64, 1e-3).depth
    with pytest.raises(ModelError, match="allow a larger error, or a coarser resolution"):
        comparison(1 / 32, 1e-15)
    with pytest.raises(ModelError, match="cannot be decided"):
        comparison(2.0**-40)
    with pytest.raises(ModelError, match="above 0 and up to 1/2"):
        comparison(1.0)


# ---- data ----------------------------------------------------------------------------------------------------------------


def test_a_forest_survives_json():
    _, model = grown("boosted, three classes")
    copy = Forest.from_dict(json.loads(json.dumps(model.program.to_dict())))
    e, _ = model.schema.encode(X)
    assert np.array_equal(copy.in_the_clear(e), model.program.in_the_clear(e)) and copy.paths == model.program.paths


BAD = [
    lambda d: d.pop("start"),
    lambda d: d.update(paths=[]),
    lambda d: d["paths"][0].append([999, True]),
    lambda d: d["paths"].append([]),
    lambda d: d["paths"][0][0].append(1),
    lambda d: d.update(scale=0),
    lambda d: d.update(resolution="small"),
    lambda d: d["values"].pop(),
    lambda d: d.update(bias=[0.0]),
    lambda d: d["error"].__setitem__(0, -1e-9),
    lambda d: d.update(scale=float("inf")),
]


@pytest.mark.parametrize("break_it", BAD)
def test_a_damaged_forest_is_refused(break_it):
    value = json.loads(json.dumps(grown("tree")[1].program.to_dict()))
    break_it(value)
    with pytest.raises(ModelError):
        Forest.from_dict(value)


def test_what_is_not_supported():
    with pytest.raises(ModelError, match="starts from a Ridge"):
        from_sklearn(GradientBoostingRegressor(n_estimators=1, init=Ridge()).fit(X, Y), X)
    with pytest.raises(ModelError, match="loss='exponential'"):
        from_sklearn(GradientBoostingClassifier(n_estimators=1, loss="exponential").fit(X, KINDS > 0), X)
    with pytest.raises(ModelError, match="without a single comparison"):
        from_sklearn(DecisionTreeRegressor().fit(X, np.ones(len(X))), X)
    with pytest.raises(ModelError, match="several targets"):
        from_sklearn(DecisionTreeClassifier(max_depth=1).fit(X, np.column_stack([KINDS, KINDS])), X)
    started = GradientBoostingRegressor(n_estimators=2, max_depth=1, init=DummyRegressor()).fit(X, Y)
    model = from_sklearn(started, X, params=insecure_params(14))
    assert np.allclose(model.program.exact(model.schema.encode(X)[0])[:, 0], started.predict(X), rtol=1e-12)
