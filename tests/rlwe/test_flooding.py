"""Flooding and re-randomisation: words by definition, refusals; what a result tells about the model without and with them.

Promise S7 in its three parts, each with a control that shows the leak where `protect` is left out, and S8: the answers
themselves give a linear model away, whatever they are flooded with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, exp2, inf, log2, nan, sqrt
from typing import Any

import numpy as np
import pytest
from kit import Kit, kit_for, make_kit
from params import insecure_small
from scipy.stats import ks_2samp

from ckks import Ciphertext, CKKSParams, Decryptor, Encryptor, EvaluationKeys, Evaluator
from ckks.errors import BasisMismatch, ParameterError, RangeError
from ckks.ring import Domain, RingPoly, Rng, wide_gaussian
from ckks.ring.gaussian import Bell
from ckks.rlwe import (
    Plaintext,
    PublicKey,
    divide_by_level,
    encrypt,
    flood,
    flooding_std,
    noise,
    protect,
    protected_noise,
    rerandomise,
)
from ckks.rlwe.flooding import MOST_QUERIES, MOST_STATISTICAL_BITS
from ckks.rlwe.noise import Noise
from ckks.rlwe.secret import KeyGenerator, measured_error

SCALE, WEIGHT_SCALE = 2.0**55, 2.0**44
"""Beyond 2^55 the error of encoding in double precision would be the largest part of what has to be flooded."""


# ---- arguments ---------------------------------------------------------------------------------------------------


def test_the_deviation_of_flooding():
    assert flooding_std(1.0, queries=1024) == pytest.approx(sqrt(12 * 1024) * 2**15)
    assert flooding_std(2.0**40, queries=1, statistical_bits=40) == pytest.approx(sqrt(12) * 2.0**60)
    assert log2(flooding_std(1.0, queries=1024)) == pytest.approx(21.79, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bound": 0.0}, "bound"),
        ({"bound": -1.0}, "bound"),
        ({"bound": inf}, "bound"),
        ({"bound": nan}, "bound"),
        ({"queries": 0}, "queries"),
        ({"queries": -3}, "queries"),
        ({"queries": 1.5}, "queries"),
        ({"queries": True}, "queries"),
        ({"queries": 2**40 + 1}, r"needed an integer, 1 to 2\^40"),
        ({"statistical_bits": 29.9}, "needed 30 to 64"),
        ({"statistical_bits": 65}, "needed 30 to 64"),
        ({"statistical_bits": nan}, "needed 30 to 64"),
    ],
    ids=str,
)
def test_arguments_out_of_range(change, message):
    arguments: dict[str, Any] = {"bound": 2.0**60, "queries": 8, "statistical_bits": 30, **change}
    with pytest.raises(ParameterError, match=message):
        flooding_std(arguments.pop("bound"), **arguments)
    kit, arguments = kit_for("native"), {"bound": 2.0**60, "queries": 8, **change}
    with pytest.raises(ParameterError, match=message):
        protect(kit.encrypt([0.5], scale=SCALE), kit.public, Rng(1), **arguments)
    with pytest.raises(ParameterError, match=message):
        protected_noise(kit.encrypt([0.5], scale=SCALE), **arguments)


def test_what_the_sampler_is_off_stays_below_what_is_promised():
    """2^-100 a coefficient, over the largest ring and all queries, against the statistical distance at 64 bits."""
    assert flooding_std(1.0, queries=MOST_QUERIES, statistical_bits=64) == pytest.approx(sqrt(12) * 2.0**52)
    sampler = MOST_QUERIES * 2**17 * 2.0**-100
    assert sampler < 2.0**-8 * sqrt(2.0**-MOST_STATISTICAL_BITS / 24 / 2)


@pytest.mark.parametrize(("bits", "distance"), [(30, -17.8), (64, -34.8)])
def test_the_statistical_distance_of_the_docstring(bits, distance):
    """Pinsker: sqrt(D/2), with D = tau B^2 / (2 sigma^2)."""
    divergence = 1024 / (2 * flooding_std(1.0, queries=1024, statistical_bits=bits) ** 2)
    assert log2(sqrt(divergence / 2)) == pytest.approx(distance, abs=0.05)


def test_the_bound_of_noise_is_one_on_the_l2_norm(values):
    """Parseval: ||e||_2 <= max |e(zeta)|, and equal to it for a monomial."""
    n = 64
    zeta = np.exp(1j * np.pi * np.arange(1, 2 * n, 2) / n)
    for e in (*values.normal(size=(50, n)), np.eye(n)[5]):
        largest = np.abs(np.polynomial.polynomial.polyval(zeta, e)).max()
        assert np.sqrt((e**2).sum()) <= largest * (1 + 1e-12)
    assert largest == pytest.approx(1.0)


# ---- words by definition -----------------------------------------------------------------------------------------


def words_of(ct: Ciphertext) -> list[RingPoly]:
    return [ct.part(i) for i in range(ct.parts)]


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=str)
def test_flooding_by_definition(backend, shape):
    """Noise on c_0 and nothing else, the same on all backends; three parts and lower levels as well."""
    kit = kit_for(backend)
    a = kit.encrypt(np.full((*shape, 4), 0.5), scale=SCALE)
    for ct in (a, kit.evaluator.drop(a, 3), kit.evaluator.tensor(kit.encrypt(np.full((*shape, 4), 0.5)), a)):
        before = ct.words.copy()
        found = flood(ct, 1e9, Rng(7))
        expected = ct.part(0) + wide_gaussian(ct.basis, Rng(7), 1e9, shape)
        assert words_of(found) == [expected, *words_of(ct)[1:]]
        assert (found.meta, found.level, found.shape) == (ct.meta, ct.level, shape)
        added = noise.random_poly(ct.params.ring_degree, Bell.at_least(1e9).std)
        assert found.noise == ct.noise + added and found.noise.bound > 5 * 1e9 * sqrt(ct.params.ring_degree)
        assert np.array_equal(ct.words, before)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=str)
def test_rerandomisation_by_definition(backend, shape):
    """A fresh encryption of zero is added, item by item."""
    kit = kit_for(backend)
    for level in (4, 2):
        ct = kit.evaluator.drop(kit.encrypt(np.full((*shape, 4), 0.5), scale=2.0**40), level)
        before = ct.words.copy()
        found = rerandomise(ct, kit.public, Rng(7))
        zero = Plaintext(params=ct.params, words=np.zeros((*shape, *ct.words.shape[-2:]), dtype=np.uint64), level=level)
        fresh = encrypt(zero, kit.public, Rng(7))
        assert words_of(found) == [a + b for a, b in zip(words_of(ct), words_of(fresh), strict=True)]
        assert (found.meta, found.level, found.shape) == (ct.meta, ct.level, shape)
        assert found.noise == ct.noise + noise.fresh_public(ct.params)
        assert np.array_equal(ct.words, before)


def test_protection_is_both(backend):
    kit = kit_for(backend)
    ct = kit.encrypt([[0.5], [0.25]], scale=SCALE)
    bound = exp2(ceil(log2(ct.noise.bound)))
    rng, again = Rng(9), Rng(9)
    found = protect(ct, kit.public, rng, bound=bound, queries=64, statistical_bits=35)
    both = bound + noise.fresh_public(kit.params).bound
    std = flooding_std(both, queries=64, statistical_bits=35)
    expected = flood(rerandomise(ct, kit.public, again), std, again)
    assert np.array_equal(found.words, expected.words) and found.noise == expected.noise
    assert protected_noise(ct, bound=bound, queries=64, statistical_bits=35) == found.noise
    assert np.array_equal(protect(ct, kit.public, Rng(9), bound=bound).words[0, 1], found.words[0, 1])
    assert np.abs(kit.decrypt(found) - [[0.5], [0.25]]).max() < found.noise.bound / SCALE


@pytest.mark.parametrize("statistical_bits", [30, 50])
def test_the_error_of_the_fresh_zero_is_covered_too(statistical_bits):
    """Of a secret-key encryption, whose own error is less than half of what re-randomising adds."""
    kit = kit_for("native")
    ct = Encryptor(kit.params, kit.secret, Rng(4)).encrypt([0.5], scale=SCALE)
    added = noise.fresh_public(kit.params)
    assert added.bound > 2 * ct.noise.bound
    stated = protected_noise(ct, bound=ct.noise.bound, queries=16, statistical_bits=statistical_bits)
    flooded = stated.bound - ct.noise.bound - added.bound
    least = flooding_std(ct.noise.bound + added.bound, queries=16, statistical_bits=statistical_bits)
    wanted = noise.random_poly(kit.params.ring_degree, least).bound
    assert wanted <= flooded < 1.016 * wanted


def test_every_item_and_call_is_protected_anew():
    kit = kit_for("native")
    ct = kit.encrypt([0.5], scale=SCALE)
    twice = Ciphertext(params=ct.params, words=np.stack([ct.words] * 2), level=4, meta=ct.meta, noise=ct.noise)
    found = [
        part.tobytes()
        for result in (
            protect(twice, kit.public, Rng(), bound=2.0**40),
            protect(twice, kit.public, Rng(), bound=2.0**40),
        )
        for part in result.words.reshape(-1, *ct.words.shape[-2:])
    ]
    assert len(set(found)) == 8


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_more_noise_than_declared_is_refused():
    kit = kit_for("native")
    ct = kit.encrypt([0.5], scale=SCALE)
    protect(ct, kit.public, Rng(1), bound=ct.noise.bound)
    for stated in (Noise(1.0, ct.noise.bound * 1.001), Noise(1.0, inf), Noise(1.0, nan)):
        with pytest.raises(RangeError, match="declare a larger bound"):
            protect(ct.with_(noise=stated), kit.public, Rng(1), bound=ct.noise.bound)


def test_noise_that_does_not_fit_is_refused():
    """By message and noise together: the noise of a bound that fits alone, under a message that leaves no room."""
    kit = kit_for("native")
    low = kit.evaluator.drop(kit.encrypt([0.5], scale=2.0**88), 1)  # 90 bits
    room = kit.params.room(1)
    assert 88.9 < room < 90
    n = kit.params.ring_degree
    widest = exp2(room - 2) / noise.random_poly(n, 1.0).bound
    flood(low, widest / 2, Rng(1))
    with pytest.raises(RangeError, match="exceed the modulus of level 1"):
        flood(low, 2 * widest, Rng(1))
    with pytest.raises(RangeError, match="exceed the modulus of level 1"):
        protect(low, kit.public, Rng(1), bound=2.0**70)
    bare = Ciphertext(params=low.params, words=low.words, level=1)
    flood(bare, 2 * widest, Rng(1))  # nothing is known of the message: only the noise is checked
    with pytest.raises(RangeError, match=r"a message up to 2\^-inf"):
        flood(bare, 4 * widest, Rng(1))


def test_what_cannot_be_rerandomised_is_refused():
    kit = kit_for("native")
    three = kit.evaluator.tensor(kit.encrypt([0.5]), kit.encrypt([0.5]))
    for refuse in (rerandomise, lambda *a: protect(*a, bound=2.0**60)):
        with pytest.raises(ParameterError, match="3 parts .* relinearise first"):
            refuse(three, kit.public, Rng(1))
    other = make_kit(insecure_small(64, depth=2), rotations=())
    with pytest.raises(BasisMismatch, match="public key belongs to other parameters"):
        rerandomise(kit.encrypt([0.5]), other.public, Rng(1))


@pytest.mark.parametrize("std", [0.0, -1.0, inf, nan])
def test_deviations_that_are_none(std):
    with pytest.raises(ParameterError, match="deviation"):
        flood(kit_for("native").encrypt([0.5]), std, Rng(1))


# ---- what a result tells about a model ------------------------------------------------------------------------------


@cache
def world() -> Kit:
    return make_kit(insecure_small(256), rotations=(), conjugation=False)


def bound_of(ct: Ciphertext) -> float:
    """What a service would declare: a power of two above the bound that the circuit carries."""
    return exp2(ceil(log2(ct.noise.bound)))


DECLARED = 2.0**60
"""For all models whose weights have absolute values that add up to 8 at most: a bound of its own would tell a model."""


def quotient(result: Ciphertext, sent: Ciphertext) -> RingPoly:
    """c_1 of a result over c_1 of what was sent, in the transform domain."""
    words = [
        [y * pow(x, -1, q) % q for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        for a, b, q in zip(sent.words[1], result.words[1], sent.basis.moduli, strict=True)
    ]
    return RingPoly(sent.basis, np.array(words, dtype=np.uint64), Domain.NTT)


@pytest.mark.parametrize("trials", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_second_part_gives_no_weights(figure, values, trials):
    """S7 (a). Without protection the quotient is the encoded weights, exactly; with it, it is no small polynomial."""
    kit = make_kit(insecure_small(64, depth=2), rotations=(), conjugation=False)
    exact = small = 0
    for trial in range(trials):
        weights = kit.encoder.encode(values.uniform(-1, 1, 32), scale=WEIGHT_SCALE)
        sent = kit.encrypt(values.uniform(-1, 1, 32), scale=2.0**60)
        result = kit.evaluator.multiply(sent, weights, rescale=False)
        exact += quotient(result, sent) == weights.poly
        assert max(abs(c) for c in quotient(result, sent).to_integers()) < 2 * WEIGHT_SCALE
        covered = protect(result, kit.public, Rng(trial), bound=bound_of(result))
        found = [abs(c) for c in quotient(covered, sent).to_integers()]
        small += max(found) < sent.basis.modulus // 4  # each of 64 uniform coefficients: with probability 1/2
        assert np.mean([c < sent.basis.modulus // 4 for c in found]) < 0.95
    assert exact == trials and small == 0
    figure("S7", f"(a) c1_out / c1_in: the weights in {exact}/{trials} results unprotected, a small polynomial in 0")


@dataclass(frozen=True)
class Residuals:
    """Errors of the results of one model, and those that its weights and the errors of the inputs predict."""

    before: np.ndarray
    after: np.ndarray
    predicted: np.ndarray


def residuals(weights: list[float], count: int, seed: int, *, protected: bool) -> Residuals:
    """Return what the receiver finds in `count` answers of w . (x, x): the same for all w of one sum."""
    kit = world()
    x = np.random.default_rng(seed).uniform(-1, 1, kit.params.slots)
    message = kit.encoder.encode(x, scale=SCALE).poly.to_integers()
    sent = Encryptor(kit.params, kit.public, Rng(seed)).encrypt(np.broadcast_to(x, (2, count, len(x))), scale=SCALE)
    result = kit.evaluator.weighted_sum(sent, weights, rescale=False, scale=WEIGHT_SCALE)
    integers = [int(w * WEIGHT_SCALE) for w in weights]
    own = measured_error(sent, kit.secret, RingPoly.from_integers(sent.basis, message))
    ideal = sum(integers) * message
    if protected:
        result = protect(result, kit.public, Rng(seed + 1000), bound=DECLARED)
    before = measured_error(result, kit.secret, RingPoly.from_integers(result.basis, ideal))
    rescaled, q = divide_by_level(result), kit.params.level_modulus(result.level)
    after = measured_error(rescaled, kit.secret, RingPoly.from_integers(rescaled.basis, (2 * ideal + q) // (2 * q)))
    predicted = integers[0] * own[0] + integers[1] * own[1]
    return Residuals(*(np.asarray(part, dtype=np.float64).ravel() for part in (before, after, predicted)))


MODELS = [0.5, 0.5], [4.0, -3.0]
"""Equal outputs on rows whose two features are equal; the noise of the second is seven times as large."""

ANSWERS = [pytest.param(8, id="2048 residuals"), pytest.param(40, id="10240 residuals", marks=pytest.mark.slow)]


@pytest.mark.parametrize("answers", ANSWERS)
def test_two_models_of_equal_outputs_leave_the_same_residuals(figure, answers):
    """S7 (b), before the rescale and after it. Without flooding, 2048 residuals tell the models apart beyond doubt."""
    bare = [residuals(w, 8, 30 + i, protected=False) for i, w in enumerate(MODELS)]
    assert ks_2samp(bare[0].before, bare[1].before).pvalue < 1e-30
    a, b = (residuals(w, answers, 40 + i, protected=True) for i, w in enumerate(MODELS))
    before, after = ks_2samp(a.before, b.before).pvalue, ks_2samp(a.after, b.after).pvalue
    assert before > 0.01 and after > 0.01
    assert a.after.std() > 2**10, "the flood is to be far above the rounding, else the rescale would show"
    figure(
        "S7", f"(b) two models, {len(a.before)} residuals each: KS p {before:.2f} before, {after:.2f} after a rescale"
    )


@pytest.mark.parametrize("answers", ANSWERS)
def test_residuals_have_nothing_of_the_weights(figure, answers):
    """S7 (c). Without flooding the residual is the prediction, word for word."""
    bare = residuals(MODELS[1], 4, 50, protected=False)
    assert np.array_equal(bare.before, bare.predicted)
    assert np.corrcoef(bare.after, bare.predicted)[0, 1] > 0.9
    found = residuals(MODELS[1], answers, 51, protected=True)
    limit = 5 / sqrt(len(found.predicted))
    correlation = [abs(float(np.corrcoef(part, found.predicted)[0, 1])) for part in (found.before, found.after)]
    assert max(correlation) < limit
    figure(
        "S7",
        f"(c) correlation of {len(found.before)} residuals with weights x noise: {max(correlation):.4f} < {limit:.4f}",
    )


def test_the_flood_has_the_size_it_states():
    """Measured error against the noise that the result carries: mean square within 5 deviations, and no root beyond."""
    kit, (weights, *_) = world(), MODELS
    found = residuals(weights, 16, 60, protected=True)
    sent = kit.encrypt(np.zeros((2, 1)), scale=SCALE)
    result = kit.evaluator.weighted_sum(sent, weights, rescale=False, scale=WEIGHT_SCALE)
    stated = protect(result, kit.public, Rng(1), bound=DECLARED).noise
    n = kit.params.ring_degree
    assert found.before.std() * sqrt(n) == pytest.approx(stated.std, rel=5 / sqrt(2 * len(found.before)))
    roots = np.exp(1j * np.pi * np.arange(1, 2 * n, 2) / n)
    for e in found.before.reshape(-1, n):
        assert np.abs(np.polynomial.polynomial.polyval(roots, e)).max() < stated.bound


# ---- what nothing hides -------------------------------------------------------------------------------------------


def test_a_linear_model_is_learned_from_its_answers(figure, values):
    """S8: d + 1 chosen rows, which one batch holds, give all weights and the intercept of a protected model."""
    kit, d = world(), 12
    weights, intercept = values.uniform(-1, 1, d), 0.375
    rows = np.vstack([np.zeros(d), np.eye(d)])
    sent = kit.encryptor.encrypt(rows.T, scale=SCALE)  # one ciphertext a feature, one slot a row
    evaluator = Evaluator(kit.params, EvaluationKeys(kit.params))
    score = evaluator.add(evaluator.weighted_sum(sent, weights, rescale=False, scale=WEIGHT_SCALE), intercept)
    answers = kit.decrypt(protect(score, kit.public, Rng(3), bound=bound_of(score)))
    found = np.linalg.solve(np.hstack([rows, np.ones((d + 1, 1))]), answers)
    error = np.abs(found - [*weights, intercept]).max()
    assert error < 2e-4
    figure("S8", f"{d + 1} chosen rows in one batch give {d} weights and the intercept back within {error:.1e}")


def test_a_public_key_of_zeros_hides_nothing():
    """S8: then the encryption of zero is only its error, and c_1 stays what it was, nearly."""
    kit = world()
    empty = PublicKey(kit.params, np.zeros_like(kit.public.words), kit.public.level)
    ct = kit.encrypt([0.5])
    difference = (rerandomise(ct, empty, Rng(1)).part(1) - ct.part(1)).to_integers()
    assert max(abs(c) for c in difference) <= 1


@pytest.mark.parametrize("preset", ["S13", pytest.param("S15", marks=pytest.mark.slow)])
def test_secure_sizes(preset, values):
    """At a ring degree in use: the answer is right within its bound, and flooding cost what it should."""
    params = CKKSParams.preset(preset)
    generator = KeyGenerator(params, Rng(1))
    secret = generator.secret_key()
    public = generator.public_key(secret)
    x = values.uniform(-1, 1, params.slots)
    ct = Encryptor(params, public, Rng(2)).encrypt(x, level=2, scale=SCALE)
    found = protect(ct, public, Rng(3), bound=bound_of(ct))
    error = np.abs(Decryptor(params, secret).decrypt(found) - x)
    assert 0.1 * found.noise.bound / SCALE < error.max() < found.noise.bound / SCALE
    both = bound_of(ct) + noise.fresh_public(params).bound
    assert log2(found.noise.std / both) == pytest.approx(21.79 + log2(params.ring_degree) / 2, abs=0.03)
