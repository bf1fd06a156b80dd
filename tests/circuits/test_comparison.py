"""Comparisons on ciphertexts: what is decided, ties, levels, and whether the stated errors are those measured."""

from __future__ import annotations

import math
import warnings
from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import error_bound, expected_error
from ckks.circuits.comparison import operations as on
from ckks.circuits.comparison.composite import Composite, classical_composite, minimax_composite
from ckks.circuits.comparison.deciding import decide, evaluate_composite, noise_profile, rounding_gain
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.promises import listening
from ckks.errors import LevelError, ParameterError, PrecisionWarning, RangeError, SlotError
from ckks.rlwe import Noise
from ckks.scheme.meta import meta_of

DECODING = 2.0**-46
"""Decoding in double precision, as in test_polynomial."""
TOP = 26


@cache
def kit_for(n: int = 64, depth: int = TOP, value_range: float = 1.0) -> Kit:
    return make_kit(insecure_small(n, depth=depth, value_range=value_range), rotations=[1])


def adversarial(composite: Composite, count: int = 32) -> np.ndarray:
    """Exactly the resolution, the ends, all extremes of the composite that a grid finds, and random decided values."""
    t = composite.resolution
    x = np.geomspace(t, 1.0, 20001)
    off = np.abs(composite(x) - composite.values[1])
    turns = x[1:-1][(off[1:-1] >= off[:-2]) & (off[1:-1] >= off[2:])]
    worst = turns[np.argsort(-np.abs(composite(turns) - composite.values[1]))][: count - 6]
    found = np.concatenate([[t, -t, 1.0, -1.0, t * (1 + 2.0**-30), 1 - 2.0**-30], worst])
    found[6::2] *= -1
    return np.resize(found, count)


def wanted(composite: Composite, x: np.ndarray) -> np.ndarray:
    low, high = composite.values
    return np.where(x > 0, high, low)


# ---- the sign ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "error"), [(4, 2.0**-20), (8, 2.0**-20), (8, 2.0**-30), (12, 2.0**-20)])
def test_decided_values(bits, error):
    """Within composite.max_abs_error and the bound of the last stage, at the adversary's choice of values; exact levels."""
    kit, c = kit_for(), minimax_composite(2.0**-bits, error)
    x = adversarial(c)
    for composite in (c, c.step()):
        result = evaluate_composite(kit.evaluator, kit.encrypt(x), composite, decided=True)
        assert result.level == TOP - composite.depth
        assert meta_of(result).scale == kit.params.scale_at(result.level)
        off = kit.error(result, wanted(composite, x))
        assert off <= error_bound(result) + DECODING
        assert off <= composite.max_abs_error + 2.0**-28  # 40 bits of scale, 64 coefficients
        assert off >= composite.max_abs_error / 2  # the adversary was one
        assert meta_of(result).bound >= np.abs(kit.decrypt(result)).max() - 2.0**-28


def test_on_every_backend(backend):
    kit, c = kit_for(16 if backend == "reference" else 64, 10), minimax_composite(2.0**-3, 2.0**-12)
    x = adversarial(c, 8)
    result = on.sign(kit.evaluator, kit.encrypt(x), c)
    assert kit.error(result, wanted(c, x)) <= c.max_abs_error + 2.0**-28


def steepest(composite: Composite) -> float:
    """The decided argument at which a small error of it shows most."""
    profile = noise_profile(composite)
    t = composite.resolution
    x = np.concatenate([np.geomspace(t, 1.0, 20001), 1 - np.geomspace(1e-9, 0.5, 2001)])
    slope = np.abs(composite(x + 1e-9) - composite(x - 1e-9)) / 2e-9
    assert slope.max() <= 1.5 * math.sqrt(profile.of_argument.max()) + 1e-6  # grids differ, rounding is 1e-7
    return float(x[np.argmax(slope)])


@pytest.mark.parametrize("value", [1.0, -1.0, "t", "-t", 0.37, "worst", "steepest"])
@pytest.mark.parametrize(("bits", "error"), [(4, 2.0**-14), (6, 2.0**-39), (10, 2.0**-20), (12, 2.0**-6)])
def test_expected_error(bits, error, value):
    """Constant vectors: what is expected is not optimistic by more than a bit at any decided value, nor beside the sign
    once the composite's error is added.

    128 slots: their mean square is off by 9 % in one deviation, its root by half of that (see kit.LARGE), so a factor
    of 2 is far.
    """
    kit, c = kit_for(256), minimax_composite(2.0**-bits, error)
    chosen = {"t": c.resolution, "-t": -c.resolution, "worst": adversarial(c)[6], "steepest": steepest(c)}
    number = chosen.get(value, value)
    x = np.full(kit.params.slots, number)
    result = evaluate_composite(kit.evaluator, kit.encrypt(x), c)
    found = kit.decrypt(result)
    assert math.sqrt(np.mean((found - c(x)) ** 2)) <= 2 * expected_error(result)
    assert math.sqrt(np.mean((found - wanted(c, x)) ** 2)) <= c.max_abs_error + 2 * expected_error(result)


def test_expected_error_is_reached():
    """At the worst place, where the profile has it, within three bits: it is a forecast and no bound."""
    kit = kit_for(256)
    for bits, error in ((4, 2.0**-14), (8, 2.0**-20)):
        c = minimax_composite(2.0**-bits, error)
        measured = 0.0
        for number in (steepest(c), 1.0, c.resolution, *adversarial(c)[6:12]):
            x = np.full(kit.params.slots, number)
            result = evaluate_composite(kit.evaluator, kit.encrypt(x), c)
            measured = max(measured, math.sqrt(np.mean((kit.decrypt(result) - c(x)) ** 2)))
        assert measured <= 2 * expected_error(result) <= 16 * measured


def test_noise_is_squashed():
    """Noise of a quarter of the margin at the input, 2^10 times that of the scheme, does not reach the result; what
    plain propagation would carry is far from it."""
    kit, c = kit_for(256), minimax_composite(2.0**-6, 2.0**-39)
    noise = c.margin / 4 * np.cos(np.arange(kit.params.slots))
    x = np.resize(adversarial(c), kit.params.slots) * (1 - c.margin / 2)
    plain = evaluate_composite(kit.evaluator, kit.encrypt(x), c)
    noisy = evaluate_composite(kit.evaluator, kit.encrypt(x + noise), c)
    for result in (plain, noisy):
        measured = math.sqrt(np.mean((kit.decrypt(result) - wanted(c, x)) ** 2))
        assert measured <= c.max_abs_error + 2 * expected_error(result) <= 2.0**-30
    slopes = 1.0
    for stage in c.stages:
        grid = np.linspace(0, 1, 10001)
        slopes *= np.abs(np.diff(stage(grid)) / np.diff(grid)).max()
    assert slopes * expected_error(kit.encrypt(x)) > 2.0**8 * expected_error(plain)


def test_rounding_gain_against_random_errors():
    """The linear model beside plans that are executed with random errors in every step."""
    g = np.random.default_rng(3)
    for stage, low in ((minimax_composite(2.0**-8).stages[1], 0.3), (minimax_composite(2.0**-4).stages[0], 2.0**-4)):
        plan, size, worst = evaluation_plan(stage), 2.0**-20, 0.0
        for u in (low, 0.5, 0.8, 1.0, -1.0, -low):
            shape = 20000
            values = {0: np.ones(shape), 1: np.full(shape, u)}
            for p in plan.powers:
                values[p.index] = 2 * values[p.left] * values[p.right] - values[p.left - p.right]
                values[p.index] = values[p.index] + size * g.standard_normal(shape)
            blocks = []
            for b in plan.blocks:
                v = b.constant + sum(c * values[k] for k, c in b.terms)
                v = v + sum(blocks[p.block] * values[p.giant] for p in b.products)
                blocks.append(v + size * g.standard_normal(shape))
            worst = max(worst, float(np.std(blocks[-1])) / size)
        assert worst <= 1.03 * rounding_gain(stage, low)  # 20000 samples: 0.5 % in one deviation
        assert rounding_gain(stage, low) <= 3 * worst  # the model looks at all u


@pytest.mark.parametrize("bits", [4, 8])
def test_ties_and_undecided_values(bits):
    """0 gives the middle up to the slope times the noise; below the resolution something in between, rising."""
    kit, c = kit_for(), minimax_composite(2.0**-bits)
    slope = 2.0 / c.resolution
    result = on.sign(kit.evaluator, kit.encrypt(np.zeros(32)), c)
    assert kit.error(result, np.zeros(32)) <= slope * 2.0**-28
    assert error_bound(result) >= 1.0  # nothing is promised of ties
    half = on.step(kit.evaluator, kit.encrypt(np.zeros(32)), c)
    assert kit.error(half, np.full(32, 0.5)) <= slope * 2.0**-28
    x = np.linspace(-c.resolution, c.resolution, 32)
    found = kit.decrypt(on.sign(kit.evaluator, kit.encrypt(x), c))
    np.testing.assert_allclose(found, c(x), atol=slope * 2.0**-28)
    assert (np.diff(found) > -2 * c.max_abs_error - slope * 2.0**-28).all()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("size", ["resolution", "one", "zero"])
def test_constant_vectors(size, sign):
    """All slots alike: the whole message is one coefficient, the noise is not."""
    kit, c = kit_for(), minimax_composite(2.0**-6)
    value = sign * {"resolution": c.resolution, "one": 1.0, "zero": 0.0}[size]
    result = on.sign(kit.evaluator, kit.encrypt(np.full(32, value)), c)
    assert kit.error(result, np.full(32, float(np.sign(value)))) <= max(c.max_abs_error, 2.0**-20) + 2.0**-28


def test_classical_composites_run_as_well():
    kit, c = kit_for(), classical_composite(2.0**-5)
    x = adversarial(c)
    result = on.sign(kit.evaluator, kit.encrypt(x), c, decided=True)
    assert result.level == TOP - c.depth
    assert kit.error(result, wanted(c, x)) <= error_bound(result) + DECODING


def test_noise_above_the_margin_warns():
    """Of the argument, or of what a stage adds: told apart by an argument that says it is noisy."""
    kit, c = kit_for(), minimax_composite(2.0**-4)
    ct, scale = kit.encrypt(np.full(32, 0.5)), 2.0**40
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decide(kit.evaluator, ct, c).certain
        assert decide(kit.evaluator, ct.with_(noise=Noise(c.margin / 9 * scale, c.margin * scale)), c).certain
    noisy = ct.with_(noise=Noise(c.margin / 7 * scale, c.margin * 1.1 * scale))
    with pytest.warns(PrecisionWarning, match="margin"):
        found = decide(kit.evaluator, noisy, c, decided=True)
    assert not found.certain and error_bound(found.value) > 1
    fine = minimax_composite(2.0**-24, margin=2.0**-33)  # a degree-31 stage adds 2^-30 at its worst place
    with pytest.warns(PrecisionWarning, match="margin"):
        on.sign(kit_for(depth=34).evaluator, kit_for(depth=34).encrypt(np.full(32, 0.5)), fine)


# ---- what is built on it -----------------------------------------------------------------------------------------------

RADII = [0.1, 0.5, 1.0, 3.0]


def dearest(composite: Composite) -> float:
    """The argument at which x sign(x) is off by most, as a share of the resolution."""
    x = np.linspace(0, 1, 10001)
    return float(x[np.argmax(x * (1 - composite(x * composite.resolution)))])


def pairs(radius: float, t: float, worst: float) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors: ties, differences of exactly t either way, the dearest ones, both ends, and random ones."""
    g = np.random.default_rng(5)
    a, b = g.uniform(-radius, radius, (2, 32))
    a[:8] = np.linspace(-0.8 * radius, 0.8 * radius, 8)
    b[:8] = a[:8] + t * np.array([0, 0, 1, -1, 1, -1, worst, -worst])
    a[12:14] = [worst * t / 2, -worst * t / 2]  # for |a|: in units of t = 2 radius * resolution
    a[8:12], b[8:12] = radius * np.array([[1, -1, 1, -1], [1, -1, -1, 1]])
    return a, b


@pytest.mark.parametrize("radius", RADII)
def test_two_values(radius):
    """compare, maximum, minimum, absolute, threshold: values, levels and what is stated of the error."""
    kit, c = kit_for(value_range=4.0), minimax_composite(2.0**-5)
    t = on.resolution_of(c, 2 * radius)
    a, b = pairs(radius, t, dearest(c))
    x, y = kit.encrypt(a, bound=radius), kit.encrypt(b, bound=radius)
    noise = 2.0**-24  # of scale 2^40, 64 coefficients, values up to 3: far above

    found = on.compare(kit.evaluator, x, y, c, radius=radius)
    assert found.level == TOP - on.depth_of("compare", c, radius=radius)
    decided = np.abs(a - b) >= t * (1 - 1e-9)
    assert np.abs(kit.decrypt(found) - (a > b))[decided].max() <= c.max_abs_error / 2 + noise
    assert np.abs(kit.decrypt(found)[:2] - 0.5).max() <= noise * 2 / c.resolution

    for circuit, exact, other in (
        (on.maximum, np.maximum(a, b), y),
        (on.minimum, np.minimum(a, b), y),
        (on.maximum, np.maximum(a, 0), 0.0),
    ):
        found = circuit(kit.evaluator, x, other, c, radius=radius)
        assert found.level == TOP - on.depth_of(circuit.__name__, c, radius=radius)
        off = np.abs(kit.decrypt(found) - exact)
        unit = t / c.resolution / 2  # the radius, or a little more: the integer factor is a floor
        assert radius <= unit * (1 + 1e-12) <= 2 * radius
        assert off.max() <= unit * c.loss + noise
        assert off.max() <= error_bound(found) <= 1.01 * unit * c.loss + noise
        if other is y:
            assert off.max() >= 0.8 * unit * c.loss  # margins are what it is not
            assert off[decided].max() <= radius * c.max_abs_error + noise
            assert off[[0, 1, 8, 9]].max() <= noise  # ties

    found = on.absolute(kit.evaluator, x, c, radius=radius)
    assert found.level == TOP - on.depth_of("absolute", c, radius=radius)
    unit = on.resolution_of(c, radius) / c.resolution
    assert kit.error(found, np.abs(a)) <= error_bound(found) <= 1.01 * unit * c.loss + noise
    if radius >= 1:  # otherwise integer factors differ, and the dearest value with them
        assert kit.error(found, np.abs(a)) >= 0.8 * unit * c.loss

    at = 0.25 * radius
    found = on.threshold(kit.evaluator, x, at, c, radius=radius)
    assert found.level == TOP - on.depth_of("threshold", c, radius=radius + at)
    decided = np.abs(a - at) >= on.resolution_of(c, radius + at)
    assert decided.sum() > 20
    assert np.abs(kit.decrypt(found) - (a > at))[decided].max() <= c.max_abs_error / 2 + noise


@pytest.mark.parametrize("difference", [2.0**-5, 0.3, 1.0])
def test_maximum_expects_its_error(difference):
    """Decided, all at one place: noise as expected beside the composite, which is off by its error times half."""
    kit, c = kit_for(256), minimax_composite(2.0**-5, 2.0**-14)
    a = np.full(kit.params.slots, difference / 2)
    found = on.maximum(kit.evaluator, kit.encrypt(a, bound=0.5), kit.encrypt(-a, bound=0.5), c, radius=0.5)
    measured = math.sqrt(np.mean((kit.decrypt(found) - a * c(2 * a)) ** 2))
    assert measured <= 2 * expected_error(found) <= 16 * measured
    assert kit.error(found, a) <= c.max_abs_error / 2 + 16 * expected_error(found)


@pytest.mark.parametrize("radius", [0.5, 2.0])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_tournaments(count, radius):
    kit, c = kit_for(value_range=4.0), minimax_composite(2.0**-4)
    x = np.random.default_rng(count).uniform(-radius, radius, (count, 32))
    x[:, 0], x[:, 1] = radius, np.linspace(-radius, radius, count)
    x[:, 2] = 0.3 * radius
    ct = kit.encrypt(x, bound=radius)
    found = on.largest(kit.evaluator, ct, c, radius=radius)
    assert found.level == TOP - on.depth_of("largest", c, radius=radius, count=count)
    off = np.abs(kit.decrypt(found) - x.max(axis=0))
    rounds = (count - 1).bit_length()
    noise = 2.0**-22
    assert off.shape == (32,)
    assert off.max() <= rounds * radius * c.loss + noise
    assert off[[0, 2]].max() <= noise  # all equal
    assert off.max() <= error_bound(found) + DECODING


@pytest.mark.parametrize("radius", [0.5, 2.0])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_argmax(count, radius):
    """One-hot where the largest stands out; m equal ones get 2^-(m - 1) each, the rest nothing."""
    kit, c = kit_for(value_range=4.0), minimax_composite(2.0**-4)
    t = on.resolution_of(c, 2 * radius)
    x = np.random.default_rng(count).uniform(-radius, radius, (count, 32))
    x[:, 0], x[:, 1], x[:, 2] = radius, 0.0, -radius
    x[0, 1] = t  # by exactly the resolution
    x[:2, 2] = radius  # two share it
    found = on.argmax(kit.evaluator, kit.encrypt(x, bound=radius), c, radius=radius)
    assert found.level == TOP - on.depth_of("argmax", c, radius=radius, count=count)
    values, noise = kit.decrypt(found), 2.0**-24
    assert values.shape == (count, 32)
    ranked = np.sort(x, axis=0)
    decided = ranked[-1] - ranked[-2] >= t * (1 - 1e-9)
    assert decided.sum() > 10 and decided[1]
    off = np.abs(values - np.eye(count)[x.argmax(axis=0)].T)
    assert off[:, decided].max() <= (count - 1) * c.max_abs_error / 2 + noise
    tied = np.full(count, 2.0 ** -(count - 1))
    np.testing.assert_allclose(values[:, 0], tied, atol=noise * count / c.resolution)
    two = np.where(np.arange(count) < 2, 0.5, 0.0)
    np.testing.assert_allclose(values[:, 2], two, atol=count * c.max_abs_error + noise / c.resolution)


def test_further_batch_axes():
    """(K, 2, n): the first axis is compared, the others are carried along."""
    kit, c = kit_for(), minimax_composite(2.0**-3, 2.0**-12)
    x = np.random.default_rng(11).permuted(np.linspace(-0.5, 0.5, 3)[:, None, None] * np.ones((3, 2, 32)), axis=0)
    ct = kit.encrypt(x, bound=0.5)
    assert (
        kit.error(on.largest(kit.evaluator, ct, c, radius=0.5), np.full((2, 32), 0.5)) <= 2 * c.max_abs_error + 2.0**-24
    )
    assert (
        kit.error(on.argmax(kit.evaluator, ct, c, radius=0.5), (x == 0.5).astype(float)) <= c.max_abs_error + 2.0**-24
    )


@pytest.mark.parametrize("name", ["sign", "step", "compare", "maximum", "absolute", "largest", "argmax"])
@pytest.mark.parametrize("radius", [0.5, 2.0])
def test_exactly_as_many_levels_as_stated(name, radius):
    """With depth_of levels left it runs and ends at level 0; with one fewer it says how many, before any work."""
    kit, c = kit_for(depth=16, value_range=2.0), minimax_composite(2.0**-2, 2.0**-8)
    need = on.depth_of(name, c, radius=radius, count=3)
    x = np.random.default_rng(1).uniform(-radius, radius, (3, 8))
    call = {
        "compare": lambda ct: on.compare(kit.evaluator, ct[0], ct[1], c, radius=radius),
        "maximum": lambda ct: on.maximum(kit.evaluator, ct[0], ct[1], c, radius=radius),
    }.get(name, lambda ct: getattr(on, name)(kit.evaluator, ct, c, radius=radius))
    assert call(kit.encrypt(x, bound=radius, level=need)).level == 0
    with pytest.raises(LevelError, match=rf"needs {need} levels, the ciphertext has {need - 1}"):
        call(kit.encrypt(x, bound=radius, level=need - 1))


def test_resolution_of():
    c = minimax_composite(2.0**-4)
    assert on.resolution_of(c) == on.resolution_of(c, 1.0) == 2.0**-4
    assert on.resolution_of(c, 3.0) == 3 * 2.0**-4
    assert on.resolution_of(c, 0.3) == 2.0**-4 / 3
    for radius in (0.03, 0.3, 0.6, 1.0):
        assert radius * c.resolution <= on.resolution_of(c, radius) < 2 * radius * c.resolution


def test_promises():
    """What is relied on is noted: the declared radius, of values that were said to be larger."""
    kit, c = kit_for(value_range=4.0), minimax_composite(2.0**-2, 2.0**-8)
    ct = kit.encrypt(np.full(8, 0.5), bound=4.0)
    with listening() as found:
        on.compare(kit.evaluator, ct, ct, c, radius=2.0)
    assert [p.interval for p in found if not p.proven] == [(-2.0, 2.0), (-2.0, 2.0)]
    assert len([p for p in found if "resolution" in p.what]) == 1


def test_noise_that_comes_along_moves_a_maximum_by_itself_only():
    """Inputs off by far more than the margin: the maximum is off by that, plus its own error."""
    kit, c = kit_for(), minimax_composite(2.0**-5)
    a, b = pairs(0.5, 2.0**-5, 0.1)
    coarse = 2.0**-6
    x, y = (kit.encrypt(v, bound=0.5).with_(noise=Noise(0.0, coarse * 2.0**40)) for v in (a, b))
    found = on.maximum(kit.evaluator, x, y, c, radius=0.5)
    own = 0.5 * c.loss
    assert own + coarse <= error_bound(found) <= own + 2 * coarse + 2.0**-20


def test_bad_arguments():
    kit, c = kit_for(), minimax_composite(2.0**-4)
    ct = kit.encrypt(np.full((2, 8), 0.5))
    for radius in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(RangeError, match="radius"):
            on.sign(kit.evaluator, ct, c, radius=radius)
        with pytest.raises(RangeError, match="radius"):
            on.depth_of("sign", c, radius=radius)
    with pytest.raises(ParameterError, match="sign"):
        on.step(kit.evaluator, ct, c.step())
    with pytest.raises(ParameterError, match="sign"):
        on.maximum(kit.evaluator, ct, ct, c.step())
    with pytest.raises(ParameterError, match="no operation"):
        on.depth_of("median", c)
    with pytest.raises(ParameterError, match="at least one"):
        on.depth_of("largest", c, count=0)
    with pytest.raises(RangeError, match="larger radius"):
        on.compare(kit.evaluator, ct, 1.5, c)
    with pytest.raises(RangeError, match="larger radius"):
        on.maximum(kit.evaluator, ct, math.nan, c)
    with pytest.raises(SlotError, match="batch"):
        on.largest(kit.evaluator, ct[0], c)
    with pytest.raises(SlotError, match="at least two"):
        on.argmax(kit.evaluator, ct[:1], c)
    with pytest.raises(RangeError, match="complex"):
        on.sign(kit.evaluator, kit.encrypt(np.full(8, 0.5j)), c)
    with pytest.raises(TypeError, match="encrypt"):
        on.sign(kit.evaluator, np.ones(8), c)


def test_the_worst_argument_is_where_noise_counts_most():
    composite = minimax_composite(2.0**-8, 2.0**-20)
    profile = noise_profile(composite)
    for argument, rounding in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        at = np.flatnonzero(profile.arguments == profile.worst_argument(argument, rounding))[0]
        square = profile.of_argument[at] * argument**2 + profile.of_roundings[at] * rounding**2
        assert square == pytest.approx(profile.worst(argument, rounding) ** 2, rel=1e-12)
        assert composite.resolution <= profile.arguments[at] <= 1
