"""Layers in [-1, 1]: the ranges are true, the stated errors are not exceeded, and encrypted evaluation follows."""

from __future__ import annotations

import json
import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from ml_kit import FAR, encrypted_scores, insecure_params
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from ckks.circuits import Polynomial
from ckks.errors import ModelError
from ckks.ml import Model, from_sklearn
from ckks.ml.intervals import ACTIVATIONS, Dense, normalised
from ckks.ml.network import Layer, Network
from ckks.ml.outputs import Output
from ckks.ml.schema import CategoricalColumn, NumericColumn, Schema

SCHEMA = Schema(
    4,
    None,
    (
        NumericColumn(0, -1.0, 1.0),
        NumericColumn(1, 0.0, 5.0),
        NumericColumn(2, 2.0, 2.0),
        CategoricalColumn(3, (0, 1, 2)),
    ),
)


def rows(count: int, seed: int = 0):
    """Rows of the schema, half of them corners of its box."""
    values = np.random.default_rng(seed)
    x = np.column_stack(
        [values.uniform(-1, 1, count), values.uniform(0, 5, count), np.full(count, 2.0), values.integers(0, 3, count)]
    )
    x[::2, 0], x[::2, 1] = np.sign(x[::2, 0]), 5.0 * (x[::2, 1] > 2.5)
    return x


def layers(sizes, activation, seed=0, spread=1.5):
    values = np.random.default_rng(seed)
    return [
        Dense(
            values.normal(size=(m, k)) * spread,
            values.normal(size=m),
            activation if i + 2 < len(sizes) else "identity",
        )
        for i, (k, m) in enumerate(pairwise(sizes))
    ]


def plainly(dense, e):
    """The network itself: naive, with the functions that the polynomials stand for."""
    functions = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0),
        "tanh": np.tanh,
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
    }
    for layer in dense:
        e = functions[layer.activation](e @ layer.weights.T + layer.bias)
    return e


@pytest.mark.parametrize("degree", [7, 63])
@pytest.mark.parametrize("sizes", [(6, 3, 2), (6, 5, 4, 1), (6, 4, 4, 4, 2)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_stated_errors_are_not_exceeded(activation, sizes, degree):
    dense = layers(sizes, activation)
    network = normalised(dense, SCHEMA, degree=degree)
    e, _ = SCHEMA.encode(rows(4000))
    off = np.abs(network.in_the_clear(e) - plainly(dense, e))
    assert (off.max(axis=0) <= network.error).all() and off.max() > 1e-3 * network.error.max()


@pytest.mark.parametrize("layout", ["feature-major", "records"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slots_without_a_row_do_no_harm(activation, layout):
    """Weights of a category that only a bias holds in range: without a row, or with two categories, they leave it."""
    dense = [Dense(np.array([[0.5, 0.1, 0.0, 30.0, 31.0, 29.0]]), np.array([-30.0]), activation)]
    dense.append(Dense(np.ones((1, 1)), np.zeros(1)))
    network = normalised(dense, SCHEMA, degree=7)
    model = Model(network, SCHEMA, Output("value", (), True), insecure_params(network.depth))
    x = rows(20)
    off = np.abs(encrypted_scores(model, x, layout=layout) - model.in_the_clear(x))
    assert off.max() <= FAR * model.expected_error
    assert (off <= model.encryption_error).all()


@pytest.mark.parametrize("activation", ["identity", *ACTIVATIONS])
@pytest.mark.parametrize("sizes", [(6, 2), (6, 3, 2), (6, 5, 4, 1)])
def test_every_argument_lies_in_the_interval(activation, sizes):
    """On the rows that reach furthest in each unit, which the proof has to allow for."""
    network = normalised(layers(sizes, activation, seed=4), SCHEMA, degree=15)
    e, _ = SCHEMA.encode(rows(20000, seed=1))
    reached = []
    for layer in network.layers:
        u = e @ layer.weights.T + layer.bias
        reached.append(np.abs(u).max())
        e = u if layer.polynomial is None else layer.polynomial(u)
        assert layer.polynomial is None or np.abs(e).max() <= 1 + (layer.polynomial.max_abs_error or 0)
    assert max(reached) <= 1 + 1e-12
    assert reached[0] > 0.5 and reached[-1] > 0.1, "intervals that say something"


def test_polynomials_that_overshoot_are_allowed_for():
    """A coarse polynomial leaves the range of its function; the next layer's interval holds what it gives."""
    one = [Dense(np.array([[2.0, 0.0, 0.0, 0.0, 0.0, 0.0]]), np.zeros(1), "relu")]
    dense = [*one, Dense(np.eye(1), np.zeros(1), "relu"), Dense(np.eye(1), np.zeros(1))]
    network = normalised(dense, SCHEMA, degree=3)
    e, _ = SCHEMA.encode(rows(4000))
    first, second, _ = network.layers
    u = first.polynomial(e @ first.weights.T + first.bias) @ second.weights.T + second.bias
    assert first.polynomial.max_abs_error > 0.05
    assert 1 - 1e-3 < u.max() <= 1


def test_linear_layers_are_multiplied_out():
    dense = layers((6, 5, 4, 2), "identity")
    network = normalised(dense, SCHEMA)
    assert len(network.layers) == network.depth == 1 and not network.relinearisation and not network.error.any()
    e, _ = SCHEMA.encode(rows(100))
    assert np.allclose(network.in_the_clear(e), plainly(dense, e), rtol=1e-12)
    mixed = [
        Dense(d.weights, d.bias, a)
        for d, a in zip(layers((6, 5, 4, 2), ""), ("identity", "tanh", "identity"), strict=True)
    ]
    assert [layer.weights.shape for layer in normalised(mixed, SCHEMA, degree=7).layers] == [(4, 6), (2, 4)]


def test_a_last_sigmoid_gives_probabilities():
    dense = [Dense(np.random.default_rng(9).normal(size=(1, 6)), np.ones(1), "logistic")]
    network = normalised(dense, SCHEMA, degree=31)
    e, _ = SCHEMA.encode(rows(1000))
    assert network.scale == 1.0 and np.abs(network.in_the_clear(e) - plainly(dense, e)).max() <= network.error[0] < 0.01


def test_more_than_polynomials_can():
    dense = layers((6, 3, 1), "tanh", spread=1000)
    with pytest.raises(ModelError, match=r"arguments of tanh may lie anywhere .* no degree up to 127"):
        normalised(dense, SCHEMA, max_abs_error=1e-6)
    with pytest.raises(ModelError, match="activation 'gelu'; there are polynomials for identity, relu"):
        normalised([Dense(np.ones((1, 6)), np.zeros(1), "gelu")], SCHEMA)


def test_layers_that_do_not_fit():
    one, other = Layer(np.ones((2, 3)), np.zeros(2)), Layer(np.ones((1, 3)), np.zeros(1))
    for broken in (
        lambda: Network((one, other), 1.0, 0.0),
        lambda: Network((), 1.0, 0.0),
        lambda: Network((one,), 0.0, 0.0),
        lambda: Network((one,), 1.0, -1.0),
        lambda: Layer(np.ones((2, 3)), np.zeros(3)),
        lambda: Layer(np.full((1, 1), np.nan), np.zeros(1)),
    ):
        with pytest.raises(ModelError):
            broken()


def test_a_network_survives_json():
    network = normalised(layers((6, 3, 2), "relu"), SCHEMA, degree=15)
    copy = Network.from_dict(json.loads(json.dumps(network.to_dict())))
    e, _ = SCHEMA.encode(rows(50))
    assert np.array_equal(copy.in_the_clear(e), network.in_the_clear(e)) and np.array_equal(copy.error, network.error)
    assert isinstance(copy.layers[0].polynomial, Polynomial)
    with pytest.raises(ValueError, match="read-only"):
        copy.layers[0].weights[0] = 0


BAD = [
    lambda d: d.pop("scale"),
    lambda d: d.update(scale="1"),
    lambda d: d.update(layers=[]),
    lambda d: d.update(error=[float("inf")]),
    lambda d: d["layers"][0].update(weights=[[1, 2], [3]]),
    lambda d: d["layers"][0].update(weights=[["a"]]),
    lambda d: d["layers"][0].update(bias=[1.0]),
    lambda d: d["layers"][0]["polynomial"].update(coefficients=[float("nan")]),
    lambda d: d["layers"][1].update(weights=[[1.0]], bias=[0.0]),
]


@pytest.mark.parametrize("break_it", BAD)
def test_a_damaged_network_is_refused(break_it):
    value = normalised(layers((6, 3, 2), "relu"), SCHEMA, degree=7).to_dict()
    value = json.loads(json.dumps(value))
    break_it(value)
    with pytest.raises(ModelError):
        Network.from_dict(value)


# ---- scikit-learn's networks ---------------------------------------------------------------------------------------------


@cache
def perceptron(kind: str, activation: str):
    x = rows(200, seed=2)
    y = x[:, 0] * 3 + np.cos(x[:, 1]) + x[:, 3]
    options = dict(hidden_layer_sizes=(5, 3), activation=activation, alpha=1.0, max_iter=150, random_state=0)
    target = {"number": y, "numbers": np.column_stack([y, -y]), "two": y > 2, "three": np.digitize(y, [1, 3])}[kind]
    made = MLPRegressor(**options) if kind.startswith("number") else MLPClassifier(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return x, make_pipeline(MinMaxScaler((-1, 1)), made).fit(x, target)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("kind", ["number", "numbers", "two", "three"])
def test_a_trained_network_encrypted(kind, activation):
    x, pipeline = perceptron(kind, activation)
    model = from_sklearn(pipeline, x, degree=15, params=insecure_params(1 if activation == "identity" else 11))
    assert model.depth == (1 if activation == "identity" else 1 + 4 + 1 + 4 + 1)
    scores = encrypted_scores(model, x)
    clear = model.in_the_clear(x)
    off = np.abs(scores - clear).max()
    assert off <= model.encryption_error and off <= FAR * model.expected_error
    if kind.startswith("number"):
        wanted = pipeline.predict(x)
        assert (np.abs(model.output.shaped(scores) - wanted) <= model.score_error).all()
    else:
        found, wanted = model.output.probabilities(scores), pipeline.predict_proba(x)
        # sigmoid and softmax move by no more than their arguments
        assert np.abs(found - wanted).max() <= model.score_error
        sure = model.certain(x)
        assert (model.output.predictions(scores) == pipeline.predict(x))[sure].all()
        assert activation == "relu" or sure.any()


def test_an_encrypted_sigmoid_by_request():
    x, pipeline = perceptron("two", "tanh")
    model = from_sklearn(pipeline, x, degree=15, output="probability", params=insecure_params(15))
    scores = encrypted_scores(model, x)
    assert np.abs(model.output.probabilities(scores) - pipeline.predict_proba(x)).max() <= model.score_error
    with pytest.raises(ModelError, match="classifiers of two classes"):
        from_sklearn(perceptron("three", "tanh")[1], x, output="probability")
