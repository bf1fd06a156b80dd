from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

import numpy as np
import pytest
from churn_kit import employees, insecure_flooded, insecure_params, linear_model, score

from churn.circuit import (
    FEATURE_MAJOR,
    LOGIT,
    MAX_ABS_ERROR,
    PROBABILITY,
    RECORD,
    OutputKind,
    Score,
    parameters_for,
    sigmoid_polynomial,
)
from churn.errors import ModelError
from churn.hosting.work.rehearsal import OwnNumbers, Rehearsal, input_noise
from churn.model import LinearModel, interval_for
from churn.schema import CategoricalColumn, NumericColumn, Schema
from ckks import CKKSParams, Decryptor, Encryptor, Evaluator, KeyGenerator
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, EvaluationKeys
from ckks.rlwe.flooding import protect
from ckks.scheme.meta import error_bound, meta_of

pytestmark = pytest.mark.usefixtures("reference_kernels")


EVERY = [(output, flooded) for output in (PROBABILITY, LOGIT) for flooded in (False, True)]


def evaluated(hosted: Score, layout: str, x: np.ndarray) -> tuple[np.ndarray, float, Ciphertext]:
    """Encrypt, evaluate, flood and decrypt; return all values, the bound on their error, and the ciphertext."""
    params, packing = hosted.params, hosted.layouts[layout]
    keygen = KeyGenerator(params, Rng(7))
    secret = keygen.secret_key()
    keys = EvaluationKeys(params)
    if packing.needs_keys:
        keys = keygen.evaluation_keys(secret, relin=packing.relinearisation, rotations=packing.rotations)
    ct = Encryptor(params, secret, Rng(8)).encrypt(
        x, level=packing.level, scale=packing.scale, slots=packing.slots, bound=packing.bound
    )
    evaluator = Evaluator(params, keys)
    flooding = hosted.flooding
    if flooding is not None:
        evaluator, ct = OwnNumbers(params, keys), ct.with_(noise=input_noise(params))
    result = hosted.evaluate(evaluator, ct, layout)
    if flooding is not None:
        result = protect(
            result, keygen.public_key(secret), Rng(9), bound=2.0**flooding.log2_bound, queries=flooding.queries
        )
    result = hosted.finish(evaluator, result)
    bound = error_bound(result) if flooding is None else hosted.output.error
    return Decryptor(params, secret).decrypt(result), bound, result


@pytest.mark.parametrize(("output", "flooded"), EVERY)
@pytest.mark.parametrize("rows", [1, 5, 16])
def test_feature_major_is_the_score_in_the_clear(output: OutputKind, flooded: bool, rows: int) -> None:
    hosted, model = score(output, flooded=flooded), linear_model()
    x = model.schema.transform(employees(rows))
    found, bound, ct = evaluated(hosted, FEATURE_MAJOR, x.T)
    wanted = model.logits(x) if output == LOGIT else hosted.in_the_clear(x)
    assert found.shape == (rows,)
    assert np.abs(found - wanted).max() <= bound
    assert (ct.level, meta_of(ct).scale) == (hosted.output.level, hosted.output.scale_in(hosted.params))


@pytest.mark.parametrize(("output", "flooded"), EVERY)
def test_a_record_is_scored_in_every_slot_alike(output: OutputKind, flooded: bool) -> None:
    hosted, model = score(output, flooded=flooded), linear_model()
    x = model.schema.transform(employees(1))
    found, bound, ct = evaluated(hosted, RECORD, x)
    wanted = (model.logits(x) if output == LOGIT else hosted.in_the_clear(x))[0]
    slots = hosted.layouts[RECORD].slots
    assert found.shape == (slots,) and meta_of(ct).slots == slots
    assert np.abs(found - wanted).max() <= bound  # no slot holds a partial sum
    assert (ct.level, meta_of(ct).scale) == (hosted.output.level, hosted.output.scale_in(hosted.params))


@pytest.mark.parametrize("output", [PROBABILITY, LOGIT])
def test_flooding_covers_every_model_of_the_schema_and_tells_none_apart(output: OutputKind) -> None:
    """Bound and stated error follow from public things; no weights that fit the interval lead to a larger error."""
    hosted, model = score(output, flooded=True), linear_model()
    assert hosted.flooding is not None and score(output).flooding is None
    for weights in ([0.0] * 4, [-1.0, 0.0, 0.0, 0.0], [0.0, 0.1, -1.2, 0.9], [1e-9, -1e-12, 1e-300, 0.5]):
        other = replace(hosted, model=replace(model, weights=np.array(weights), bias=0.1))
        assert (other.flooding, other.output) == (hosted.flooding, hosted.output)
        for layout in hosted.layouts:
            assert Rehearsal(other, layout).log2_bound <= hosted.flooding.log2_bound
    wider = replace(hosted, model=replace(model, logit_interval=20.0))
    assert wider.flooding is not None
    assert wider.flooding.log2_bound - hosted.flooding.log2_bound == (3 if output == LOGIT else 0)


def of_two_columns(weights: list[float], bias: float = 0.0, interval: float = 40.0) -> LinearModel:
    """A number, a number that never changes, and seventeen categories: 19 weights."""
    schema = Schema(
        (
            NumericColumn("pay", 0.0, 1.0, -100.0, 100.0),
            NumericColumn("year", 0.0, 1.0, 2.0, 2.0),
            CategoricalColumn("job", tuple(f"job {k}" for k in range(18))),
        )
    )
    return LinearModel(
        name="heavy",
        version=1,
        target="t",
        positive="p",
        schema=schema,
        weights=np.array(weights),
        bias=bias,
        logit_interval=interval,
        observed_logit=1.0,
    )


@pytest.mark.parametrize("output", [PROBABILITY, LOGIT])
def test_nothing_published_depends_on_the_weights(output: OutputKind) -> None:
    """Parameters, layouts, output and flooding of a light model and of a heavy one of the same schema and interval."""
    polynomial = sigmoid_polynomial(40.0, 0.1) if output == PROBABILITY else None
    light, heavy = of_two_columns([0.0] * 19), of_two_columns([0.1, 9.0, *[5.0] * 17], -18.0)
    assert parameters_for(light, polynomial) == parameters_for(heavy, polynomial)
    toy = replace(score(output, flooded=True), polynomial=polynomial)
    first, second = (replace(toy, model=model, params=insecure_deep(polynomial)) for model in (light, heavy))
    assert (first.layouts, first.output, first.flooding) == (second.layouts, second.output, second.flooding)


def insecure_deep(polynomial: object) -> CKKSParams:
    return insecure_flooded(PROBABILITY if polynomial is not None else LOGIT, 6)


def test_the_heaviest_weights_are_answered_and_fixed_features_are_a_bias() -> None:
    """sum |w| max |x| is far beyond the room of the modulus; the logit is not."""
    model = of_two_columns([0.1, 9.0, *[5.0] * 17], -18.0)
    hosted = replace(score(LOGIT, flooded=True), model=model)
    assert hosted.weights[1] == 0.0 and hosted.bias == 0.0
    x = np.zeros((2, 19))
    x[:, 1] = 2.0
    x[0, 0], x[1, 0], x[1, 7] = -100.0, 50.0, 1.0
    found, bound, _ = evaluated(hosted, FEATURE_MAJOR, x.T)
    assert np.abs(found - model.logits(x)).max() <= bound
    hair = replace(model, schema=Schema((NumericColumn("pay", 0.0, 1.0, 0.0, 1e-5), *model.schema.columns[1:])))
    with pytest.raises(ModelError, match="moves by 1e-05 at most"):
        _ = replace(hosted, model=hair).flooding


def test_the_default_answer_is_a_flooded_logit_in_one_limb() -> None:
    """Nothing but the public key is asked for, and flooding costs less than a tenth of the error."""
    hosted = Score.of(linear_model())
    assert (hosted.output.kind, hosted.output.level, hosted.params.limbs(0)) == (LOGIT, 0, 1)
    assert hosted.params.ring_degree == 2**13 and not hosted.layouts[FEATURE_MAJOR].needs_keys
    answer = Rehearsal(hosted, FEATURE_MAJOR).answer
    error, unflooded = answer(hosted.flooding)[2], answer(None)[2]
    assert error < 1.1 * unflooded < 2.0**-19


@pytest.mark.parametrize("layout", [FEATURE_MAJOR, RECORD])
@pytest.mark.parametrize("output", [LOGIT, PROBABILITY])
def test_the_rehearsal_states_the_noise_that_flooding_leaves(output: OutputKind, layout: str) -> None:
    """It is that of an answer which was protected; the bias is rounded once more where all slots hold rows."""
    hosted, model = score(output, flooded=True), linear_model()
    x = model.schema.transform(employees(1))
    _, _, ct = evaluated(hosted, layout, x.T if layout == FEATURE_MAJOR else x)
    level, scale, error = Rehearsal(hosted, layout).answer(hosted.flooding)
    assert (level, scale) == (ct.level, meta_of(ct).scale)
    assert error == pytest.approx(error_bound(ct), rel=1e-9, abs=0)


def test_the_extremes_of_the_schema_stay_within_the_interval() -> None:
    hosted, model = score(), linear_model()
    corners = employees(16)
    corners["age"], corners["pay"] = [0, 999] * 8, [0.0, 0.0, 999.0, 999.0] * 4
    x = model.schema.transform(corners)
    found, _, _ = evaluated(hosted, FEATURE_MAJOR, x.T)
    assert ((found >= hosted.output.low) & (found <= hosted.output.high)).all()
    assert np.abs(found - model.probabilities(x)).max() <= 0.0031


def test_chosen_parameters_are_secure_and_just_deep_enough() -> None:
    model = linear_model()
    for hosted in (Score.of(model, PROBABILITY, flooded=False), Score.of(model, LOGIT, flooded=False)):
        assert hosted.params.security == 128
        degree = 0 if hosted.polynomial is None else hosted.polynomial.degree
        assert hosted.params.depth == 1 + (ceil(log2(degree + 1)) if degree else 0)
    assert parameters_for(model, None, flooded=False).depth == 1


def test_the_result_uses_up_every_level() -> None:
    hosted = replace(score(), params=insecure_params())
    _, _, ct = evaluated(hosted, FEATURE_MAJOR, linear_model().schema.transform(employees(3)).T)
    assert ct.level == 0


@pytest.mark.parametrize("interval", [1.0, 4.0, 8.0, 16.0])
def test_sigmoid_polynomial_keeps_its_promise(interval: float) -> None:
    p = sigmoid_polynomial(interval)
    x = np.linspace(-interval, interval, 20001)
    assert np.abs(p(x) - 1 / (1 + np.exp(-x))).max() <= p.max_abs_error <= MAX_ABS_ERROR
    assert (p.degree + 1) & p.degree == 0  # the highest degree that its depth allows


def test_declared_sizes_fit_even_with_many_heavy_weights() -> None:
    """Forty categories, of which one counts: the declared sum of weights is far above any logit."""
    schema = Schema(
        (NumericColumn("age", 0.0, 1.0, -5.0, 5.0), CategoricalColumn("job", tuple(f"job {k}" for k in range(12))))
    )
    weights = np.array([2.0] + [3.0] * 11)
    model = LinearModel(
        name="heavy",
        version=1,
        target="t",
        positive="p",
        schema=schema,
        weights=weights,
        bias=0.5,
        logit_interval=interval_for(schema, weights, 0.5),
        observed_logit=1.0,
    )
    x = np.zeros((2, 12))
    x[0, 0], x[1, 4] = -5.0, 1.0
    for polynomial in (sigmoid_polynomial(model.logit_interval, 0.1), None):
        chosen = parameters_for(model, polynomial, flooded=False)
        hosted = Score(model, polynomial, insecure_params(chosen.value_range, chosen.depth), flooded=False)
        for layout, packed in ((FEATURE_MAJOR, x.T), (RECORD, x[:1])):
            found, bound, _ = evaluated(hosted, layout, packed)
            wanted = model.logits(x) if polynomial is None else hosted.in_the_clear(x)
            assert abs(found[0] - wanted[0]) <= bound


def test_digest_follows_everything_that_the_result_depends_on() -> None:
    model, hosted = linear_model(), score()
    heavier = replace(model, weights=model.weights * (1 + 1e-15))
    others = [
        Score(heavier, hosted.polynomial, hosted.params, flooded=False),
        score(LOGIT),
        Score(model, hosted.polynomial, insecure_params(16.0), flooded=False),
        score(flooded=True),
        score(name="other"),
        replace(hosted, model=replace(model, salt="1" * 64)),
    ]
    assert len({hosted.digest, *(other.digest for other in others)}) == 7
    assert hosted.digest == Score(model, hosted.polynomial, hosted.params, flooded=False).digest


def test_about_tells_polynomial_and_error_but_no_weight() -> None:
    told = score().about()
    polynomial = told["polynomial"]
    assert isinstance(polynomial, dict) and polynomial["degree"] == 7 and 0 < polynomial["max_abs_error"] <= 0.003
    assert "weights" not in told and "bias" not in told
    assert score(LOGIT).about()["polynomial"] is None
