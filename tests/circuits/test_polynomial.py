"""Polynomials on ciphertexts: the values, the levels they use, the scale they end at, the error they state."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_pairs, insecure_small

from ckks import EncryptedVector, Evaluator, error_bound, expected_error, kernels, sigmoid
from ckks.circuits import (
    Polynomial,
    approximate,
    evaluate_normalised,
    evaluate_per_slot,
    evaluate_polynomial,
    evaluate_polynomials,
    logistic,
)
from ckks.circuits.polynomials.powers import least_depth
from ckks.errors import LevelError, MissingKey, ParameterError, RangeError, SlotError
from ckks.scheme.meta import meta_of
from ckks.vector import polynomial as apply_polynomial

DECODING = 2.0**-46
"""Decoding transforms in double precision, on top of what the bound covers: 32 x 2^-51 of the largest value."""


@cache
def kit_for(n: int, value_range: float = 1.0, make=insecure_small, depth: int = 6) -> Kit:
    """Six levels: degree 31 needs five, a division by the radius one more."""
    changes = {} if make is insecure_pairs else {"value_range": value_range}
    return make_kit(make(n, depth=depth, **changes), rotations=[1])


def draw(degree: int, basis: str, parity: str, interval: tuple[float, float], seed: int = 0) -> Polynomial:
    """Random coefficients whose absolute sum on the interval is about 1, the last one not small."""
    g = np.random.default_rng(1000 * degree + seed)
    c = g.uniform(-1, 1, degree + 1)
    c[degree] = 0.7
    if parity == "odd":
        c[0::2] = 0
    elif parity == "even":
        c[1::2] = 0
    c /= np.abs(c).sum()
    if basis == "power":
        reach = max(map(abs, interval))
        c = c / reach ** np.arange(degree + 1)
    return Polynomial(tuple(c.tolist()), basis, interval)


def points(interval: tuple[float, float], shape: tuple[int, ...]) -> np.ndarray:
    """Values inside the interval, its ends among them."""
    x = np.random.default_rng(4).uniform(*interval, shape)
    x[..., 0], x[..., 1] = interval
    return x


def verify(kit: Kit, p: Polynomial, result, x: np.ndarray, level: int) -> None:
    assert result.level == level
    assert meta_of(result).scale == kit.params.scale_at(level)
    assert result.parts == 2
    wanted = p(x)
    assert kit.error(result, wanted) <= error_bound(result) + DECODING * max(1.0, np.abs(wanted).max())
    # A bound that promised nothing would be met by anything: 20 bits of 40 have to be left at these degrees.
    assert error_bound(result) <= 2.0**-20
    assert np.abs(wanted).max() <= meta_of(result).bound * (1 + 1e-9)


BEST = next(name for name in ("native", "numba") if name in kernels.available())
DEGREES = range(32)
FEW = (0, 1, 2, 3, 7, 8, 15)
PARITIES = {"none": DEGREES, "odd": DEGREES[1::2], "even": DEGREES[0::2]}


@pytest.mark.parametrize("parity", PARITIES)
@pytest.mark.parametrize("basis", ["chebyshev", "power"])
def test_every_degree(basis, parity, backend):
    """ceil(log2(degree + 1)) levels on [-1, 1], not one more, at the canonical scale of where it ends."""
    kit = kit_for(16 if backend == "reference" else 64)
    x = points((-1.0, 1.0), (kit.params.slots,))
    ct = kit.encrypt(x)
    for degree in PARITIES[parity]:
        if degree not in FEW and kernels.active() is not kernels.load(BEST):
            continue  # the same words on every backend: the fastest does all
        p = draw(degree, basis, parity, (-1.0, 1.0))
        result = evaluate_polynomial(kit.evaluator, ct, p)
        verify(kit, p, result, x, 6 - least_depth(degree))


INTERVALS = {
    # interval: whether the division by the radius is declared (no level) or computed, for degree 3 and degree 7
    (-1.2, 1.2): (0, 0),  # 1.2^4: one bit
    (0.0, 2.0): (0, 0),  # radius 1, a center to subtract
    (-0.5, 1.0): (0, 0),
    (-0.4, 1.6): (0, 0),
    (-4.0, 4.0): (0, 1),  # radius^2 = 4 bits, radius^4 = 8
    (-8.0, 8.0): (1, 1),
    (-100.0, 60.0): (1, 1),
    (-0.01, 0.01): (1, 1),  # a declared 1/100 would lose 13 bits of the fourth power, and more of the eighth
}


@pytest.mark.parametrize("basis", ["chebyshev", "power"])
@pytest.mark.parametrize("interval", INTERVALS, ids=str)
def test_other_intervals(interval, basis, backend):
    kit = kit_for(16 if backend == "reference" else 64, max(1.0, *map(abs, interval)))
    x = points(interval, (kit.params.slots,))
    ct = kit.encrypt(x)
    for degree, paid in zip((3, 7), INTERVALS[interval], strict=True):
        p = draw(degree, basis, "none", interval)
        result = evaluate_polynomial(kit.evaluator, ct, p)
        used = 6 - least_depth(degree) - result.level
        assert used in (0, 1)
        if basis == "chebyshev":
            assert used == paid
        verify(kit, p, result, x, result.level)


@pytest.mark.parametrize("radius", [2.0**-k for k in range(0, 14, 2)] + [2.0**k for k in (1, 3, 6)])
def test_precision_on_any_radius(radius):
    """What an error of x turns into is decided by the polynomial's slope, degree^2/radius at most (Markov), plus what
    the evaluation adds to a polynomial bounded by 1: however the radius is dealt with, not more than 2^6 of that."""
    kit = kit_for(64, 64.0)
    p = draw(7, "chebyshev", "none", (-radius, radius))
    x = points((-radius, radius), (32,))
    ct = kit.encrypt(x, bound=radius)
    result = evaluate_polynomial(kit.evaluator, ct, p)
    inherent = expected_error(kit.encrypt([0.0])) * (49 / radius + 8)
    assert expected_error(result) <= 2**6 * inherent
    assert kit.error(result, p(x)) <= error_bound(result)


def test_the_larger_depth_is_named_when_the_radius_costs_a_level():
    kit = kit_for(64, 8.0)
    p = draw(7, "chebyshev", "none", (-8.0, 8.0))
    ct = kit.encrypt(points((-8.0, 8.0), (32,)), level=3)
    with pytest.raises(LevelError, match=r"radius 8 needs 4 levels, the ciphertext has 3 of 6.*depth 7"):
        evaluate_polynomial(kit.evaluator, ct, p)
    deeper = kit.encrypt(points((-8.0, 8.0), (32,)), level=4)
    assert evaluate_polynomial(kit.evaluator, deeper, p).level == 0


class Counting(Evaluator):
    """Counts products of ciphertexts and key switches."""

    products = switches = 0

    def tensor(self, a, b):
        self.products += 1
        return super().tensor(a, b)

    def relinearise(self, a, *, rescale=False):
        self.switches += 1
        return super().relinearise(a, rescale=rescale)


@pytest.mark.parametrize(("fewest", "products", "switches"), [("key switches", 13, 10), ("products", 12, 11)])
@pytest.mark.parametrize("basis", ["chebyshev", "power"])
def test_what_is_saved_is_the_callers_choice(basis, fewest, products, switches):
    """An odd polynomial of degree 31, both ways to the same value and levels, with as many steps as the plan says."""
    kit, p, x = kit_for(64), draw(31, basis, "odd", (-1.0, 1.0)), points((-1.0, 1.0), (32,))
    for evaluate in (evaluate_polynomial, evaluate_normalised):
        evaluator = Counting(kit.params, kit.keys)
        result = evaluate(evaluator, kit.encrypt(x), p, fewest=fewest)
        assert (evaluator.products, evaluator.switches) == (products, switches)
        verify(kit, p, result, x, 6 - 5)
    with pytest.raises(ParameterError, match="choose one of 'key switches', 'products'"):
        evaluate_polynomial(kit.evaluator, kit.encrypt(x), p, fewest="levels")


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 7, 8, 15, 16, 31])
def test_exactly_as_many_levels_as_needed(degree, backend):
    """With ceil(log2(degree + 1)) levels left it runs and ends at level 0; with one fewer it says so beforehand."""
    kit = kit_for(16 if backend == "reference" else 64)
    x = points((-1.0, 1.0), (8,))
    p = draw(degree, "chebyshev", "none", (-1.0, 1.0))
    need = least_depth(degree)
    verify(kit, p, evaluate_polynomial(kit.evaluator, kit.encrypt(x, level=need), p), x, 0)
    with pytest.raises(LevelError, match=rf"needs {need} levels?, the ciphertext has {need - 1} of 6.*depth 7"):
        evaluate_polynomial(kit.evaluator, kit.encrypt(x, level=need - 1), p)


@pytest.mark.parametrize("basis", ["chebyshev", "power"])
@pytest.mark.parametrize("degree", [3, 7, 15, 31])
def test_normalised_input_never_costs_a_level(degree, basis, backend):
    kit = kit_for(16 if backend == "reference" else 64)
    interval = (-30.0, 50.0)
    p = draw(degree, basis, "none", interval)
    x = points(interval, (8,))
    center, radius = (p.center, p.radius) if basis == "chebyshev" else (0.0, p.reach)
    result = evaluate_normalised(kit.evaluator, kit.encrypt((x - center) / radius), p)
    verify(kit, p, result, x, 6 - least_depth(degree))


@pytest.mark.parametrize("level", range(7))
def test_constants(level):
    """Degree 0 uses no level, at any level."""
    kit = kit_for(64)
    ct = kit.encrypt(points((-1.0, 1.0), (8,)), level=level)
    for value in (0.0, -0.75):
        p = Polynomial((value,))
        result = evaluate_polynomial(kit.evaluator, ct, p)
        assert result.level == level and kit.error(result, np.full(8, value)) <= error_bound(result)


@pytest.mark.parametrize("kind", ["batch", "product", "sparse", "low", "pairs", "small"])
def test_other_inputs(kind, backend):
    """A batch, a waiting product, a sparse vector, a lower level, two primes a level, a smaller declared bound."""
    make = insecure_pairs if kind == "pairs" else insecure_small
    kit = kit_for(16 if backend == "reference" else 64, 1.0, make)
    e = kit.evaluator
    x = points((-1.0, 1.0), (3, 8) if kind == "batch" else (8,))
    p = draw(7, "chebyshev", "none", (-1.0, 1.0))
    if kind == "product":
        ct = e.multiply(kit.encrypt(x), kit.encrypt(np.ones(8)), rescale=False)
        top = 5
    elif kind == "sparse":
        ct, top = kit.encrypt(x, slots=8), 6
    elif kind == "low":
        ct, top = kit.encrypt(x, level=4), 4
    elif kind == "small":
        x = x / 4
        ct, top = kit.encrypt(x, bound=0.25), 6
    else:
        ct, top = kit.encrypt(x), 6
    verify(kit, p, evaluate_polynomial(e, ct, p), x, top - 3)


def test_gaps_in_the_coefficients(backend):
    kit = kit_for(16 if backend == "reference" else 64)
    x = points((-1.0, 1.0), (8,))
    for support in ((16,), (1, 16), (5, 9), (0, 31), (2, 3, 29)):
        for basis in ("chebyshev", "power"):
            c = [0.0] * (max(support) + 1)
            for k in support:
                c[k] = 0.4
            p = Polynomial(tuple(c), basis)
            verify(kit, p, evaluate_polynomial(kit.evaluator, kit.encrypt(x), p), x, 6 - least_depth(p.degree))


def test_coefficients_of_every_size(backend):
    """Tiny ones vanish into the rounding that the bound counts; large ones take range, and bound says so."""
    kit = kit_for(16 if backend == "reference" else 64)
    x = points((-1.0, 1.0), (8,))
    p = Polynomial((1e-3, 1e-9, -1e-12, 0.5, 1e-15, 2e-14))
    verify(kit, p, evaluate_polynomial(kit.evaluator, kit.encrypt(x), p), x, 3)
    p = Polynomial((30.0, -40.0, 20.0, 50.0))
    result = evaluate_polynomial(kit.evaluator, kit.encrypt(x), p)
    assert meta_of(result).bound <= 140 * (1 + 1e-12)
    assert kit.error(result, p(x)) <= error_bound(result)


def test_results_beyond_the_modulus_raise():
    """Level 0 holds 512 at 2^40."""
    kit = kit_for(64)
    p = Polynomial((0.0, 0.0, 0.0, 600.0))
    ct = kit.encrypt(points((-1.0, 1.0), (8,)), level=2)
    with pytest.raises(RangeError):
        kit.decrypt(evaluate_polynomial(kit.evaluator, ct, p))


@pytest.mark.parametrize("interval", [(2.0, 5.0), (10.0, 12.0), (100.0, 101.0)], ids=str)
@pytest.mark.parametrize("degree", [3, 7, 15])
def test_slots_without_values_do_not_spoil_the_others(interval, degree):
    """20 of 32 slots hold values; the rest hold zeros, which need not lie in the interval. The caller's promise is
    about the values; zeros that run away to 2^50 would wrap around the modulus and ruin every slot."""
    kit = kit_for(64, 128.0)
    p = draw(degree, "chebyshev", "none", interval)
    x = points(interval, (20,))
    ct = kit.encrypt(x)
    try:
        result = evaluate_polynomial(kit.evaluator, ct, p)
    except RangeError:
        return
    assert kit.error(result, p(x)) <= error_bound(result)


@pytest.mark.parametrize("interval", [(10.0, 12.0), (100.0, 101.0)], ids=str)
@pytest.mark.parametrize("degree", [7, 15])
def test_slots_without_values_after_a_shift(interval, degree):
    """A constant that was added stands in every slot, those without values included: these are inside the interval now,
    and must not be thought of as zeros."""
    kit = kit_for(64, 128.0)
    p = draw(degree, "chebyshev", "none", interval)
    x = points(interval, (20,))
    ct = kit.evaluator.add(kit.encrypt(x - interval[0]), interval[0])
    try:
        result = evaluate_polynomial(kit.evaluator, ct, p)
    except RangeError:
        return
    assert kit.error(result, p(x)) <= error_bound(result)


def test_inputs_are_left_alone():
    kit = kit_for(64)
    ct = kit.encrypt(points((-1.0, 1.0), (8,)))
    before = ct.words.copy(), ct.level, ct.meta, ct.noise
    evaluate_polynomial(kit.evaluator, ct, draw(7, "chebyshev", "none", (-1.0, 1.0)))
    np.testing.assert_array_equal(ct.words, before[0])
    assert (ct.level, ct.meta, ct.noise) == before[1:]


def test_keys():
    """Degree 1 needs none; degree 2 a relinearisation key."""
    from ckks import Evaluator

    kit = kit_for(64)
    keyless = Evaluator(kit.params)
    x = points((-1.0, 1.0), (8,))
    p = draw(1, "chebyshev", "none", (-1.0, 1.0))
    verify(kit, p, evaluate_polynomial(keyless, kit.encrypt(x), p), x, 5)
    with pytest.raises(MissingKey, match="relin"):
        evaluate_polynomial(keyless, kit.encrypt(x), draw(2, "chebyshev", "none", (-1.0, 1.0)))


def test_foreign_ciphertexts():
    kit, other = kit_for(64), kit_for(64, 2.0)
    for p in (Polynomial((0.5,)), draw(3, "chebyshev", "none", (-1.0, 1.0)), draw(3, "power", "none", (-1.0, 1.0))):
        with pytest.raises(ValueError, match="other parameters"):
            evaluate_polynomial(kit.evaluator, other.encrypt([0.5]), p)
        with pytest.raises(TypeError, match="encrypt"):
            evaluate_polynomial(kit.evaluator, np.ones(4), p)


# ---- several polynomials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("basis", ["chebyshev", "power"])
@pytest.mark.parametrize("interval", [(-1.0, 1.0), (-3.0, 5.0)], ids=str)
def test_several_polynomials_share_their_powers(basis, interval, backend):
    """Values, levels and scales are those of one after the other; key switches are fewer."""
    kit = kit_for(16 if backend == "reference" else 64, 8.0)
    x = points(interval, (2, 8))
    polynomials = [
        draw(n, basis, parity, interval) for n, parity in ((7, "none"), (15, "none"), (3, "odd"), (0, "even"))
    ]
    together, apart = Counting(kit.params, kit.keys), Counting(kit.params, kit.keys)
    ct = kit.encrypt(x)
    results = evaluate_polynomials(together, ct, polynomials)
    assert len(results) == len(polynomials)
    divided = 0 if interval == (-1.0, 1.0) else 1
    for p, result in zip(polynomials, results, strict=True):
        alone = evaluate_polynomial(apart, ct, p)
        assert result.level == 6 - divided - least_depth(p.degree)
        assert alone.level >= result.level
        assert kit.error(result, p(x)) <= error_bound(result)
        assert expected_error(result) <= 2 * expected_error(alone) + 2.0**-30
    assert together.switches < apart.switches


def test_several_polynomials_of_different_kinds():
    kit = kit_for(64)
    ct = kit.encrypt(points((-1.0, 1.0), (8,)))
    p = draw(3, "chebyshev", "none", (-1.0, 1.0))
    for other in (draw(3, "power", "none", (-1.0, 1.0)), draw(3, "chebyshev", "none", (-1.0, 2.0))):
        with pytest.raises(ParameterError, match="one basis and one interval"):
            evaluate_polynomials(kit.evaluator, ct, [p, other])
        with pytest.raises(ParameterError, match="one basis and one interval"):
            evaluate_per_slot(kit.evaluator, ct, [p, other], [0] * 8)
    with pytest.raises(LevelError, match="needs 5 levels, the ciphertext has 4"):
        evaluate_polynomials(
            kit.evaluator, kit.encrypt([0.5], level=4), [p, draw(31, "chebyshev", "none", (-1.0, 1.0))]
        )


@pytest.mark.parametrize("basis", ["chebyshev", "power"])
@pytest.mark.parametrize("degrees", [(7, 7, 7), (15, 2, 0), (3,), (0, 0), (1, 4)], ids=str)
def test_a_polynomial_for_each_slot(basis, degrees, backend):
    kit = kit_for(16 if backend == "reference" else 64)
    n = 8
    x = points((-1.0, 1.0), (3, n))
    polynomials = [draw(d, basis, "none", (-1.0, 1.0), seed) for seed, d in enumerate(degrees)]
    for which in (
        np.arange(n) % len(degrees),
        np.arange(3 * n).reshape(3, n) // 3 % len(degrees),
        np.zeros(n, dtype=int),
    ):
        result = evaluate_per_slot(kit.evaluator, kit.encrypt(x), polynomials, which)
        chosen = np.broadcast_to(which, x.shape)
        wanted = np.zeros_like(x)
        for position in np.ndindex(x.shape):
            wanted[position] = polynomials[chosen[position]](x[position])
        assert result.level == 6 - least_depth(max(degrees))
        assert meta_of(result).scale == kit.params.scale_at(result.level)
        assert kit.error(result, wanted) <= error_bound(result) + DECODING
        assert error_bound(result) <= 2.0**-20


def test_per_slot_forecasts_are_those_of_the_worst_polynomial():
    kit = kit_for(64)
    x = np.ones(32)
    mild, steep = Polynomial((0.0, 0.1)), Polynomial((0.0,) * 15 + (1.0,))
    result = evaluate_per_slot(kit.evaluator, kit.encrypt(x), [mild, steep], np.arange(32) % 2)
    alone = evaluate_polynomial(kit.evaluator, kit.encrypt(x), steep)
    assert expected_error(alone) / 2 <= expected_error(result) <= 2 * expected_error(alone)


def test_choices_that_do_not_fit():
    kit = kit_for(64)
    ct, p = kit.encrypt(points((-1.0, 1.0), (2, 8))), draw(3, "chebyshev", "none", (-1.0, 1.0))
    for which in ([0] * 7, [[0] * 8] * 3, 0, [[[0] * 8] * 2] * 2):
        with pytest.raises(SlotError, match="choice of polynomials of shape"):
            evaluate_per_slot(kit.evaluator, ct, [p, p], which)
    for which in ([0, 1, 2, 0, 0, 0, 0, 0], [-1] * 8, [0.0] * 8, [True] * 8):
        with pytest.raises(ParameterError, match="integers from 0 to 1"):
            evaluate_per_slot(kit.evaluator, ct, [p, p], which)


# ---- through vectors -----------------------------------------------------------------------------------------------


def linear_form(kit: Kit, shape: tuple[int, ...] = (5,)):
    """(encrypted features, weights, bias, the scores), scores within +-8."""
    g = np.random.default_rng(6)
    features = g.uniform(-1, 1, (5, kit.params.slots))
    weights = g.uniform(-1, 1, shape)
    weights *= 7 / np.abs(weights).sum(axis=-1, keepdims=True)
    bias = 0.9
    x = EncryptedVector(kit.encrypt(features), kit.evaluator)
    return x, weights, bias, weights @ features + bias


@pytest.mark.parametrize("shape", [(5,), (3, 5)])
@pytest.mark.parametrize("interval", [8.0, (-8.0, 8.0), (-9.0, 8.5)], ids=str)
def test_sigmoid_of_a_linear_form_folds_the_interval(interval, shape, backend):
    """weights @ x + bias uses one level, degree 7 three, the division by 8 none: it is folded into the weights."""
    kit = kit_for(16 if backend == "reference" else 64)
    x, weights, bias, scores = linear_form(kit, shape)
    result = sigmoid(weights @ x + bias, interval=interval)
    ends = interval if isinstance(interval, tuple) else (-interval, interval)
    p = approximate(logistic, ends, degree=7)
    assert result.ciphertext.level == 6 - 1 - 3
    assert result.shape == scores.shape
    assert kit.error(result.ciphertext, p(scores)) <= error_bound(result.ciphertext)
    assert np.abs(kit.decrypt(result) - 1 / (1 + np.exp(-scores))).max() <= p.max_abs_error + 2.0**-25


@pytest.mark.parametrize("order", ["bias first", "scaled", "negated", "subtracted", "bias last", "array bias"])
def test_what_is_folded(order):
    """Sums with plain numbers and products with them keep the form linear; the values are those of numpy."""
    kit = kit_for(64)
    x, w, b, _ = linear_form(kit)
    clear = kit.decrypt(x)
    slope = np.linspace(-1, 1, kit.params.slots)
    form, values = {
        "bias first": lambda v: (b + w @ v, b + w @ clear),
        "bias last": lambda v: (w @ v + b, w @ clear + b),
        "scaled": lambda v: (0.5 * (w @ v) * 1.5 + b, 0.75 * (w @ clear) + b),
        "negated": lambda v: (-(w @ v) - b, -(w @ clear) - b),
        "subtracted": lambda v: (b - (w @ v), b - w @ clear),
        "array bias": lambda v: (w @ v + slope, w @ clear + slope),
    }[order](x)
    assert "not computed yet" in repr(form)
    result = sigmoid(form, interval=9.0)
    assert result.ciphertext.level == 2
    p = approximate(logistic, (-9.0, 9.0), degree=7)
    # x was decrypted, so its own error is in `values`; the slope of p is at most 1/4, the weights' sum is 7.
    assert kit.error(result.ciphertext, p(values)) <= error_bound(result.ciphertext) * 2
    assert form.ciphertext.level == 5


def test_without_a_linear_form_the_interval_costs_a_level():
    kit = kit_for(64, 8.0)
    x = points((-8.0, 8.0), (32,))
    v = EncryptedVector(kit.encrypt(x), kit.evaluator)
    result = sigmoid(v, interval=8.0, degree=7)
    assert result.ciphertext.level == 6 - 4
    assert np.abs(kit.decrypt(result) - 1 / (1 + np.exp(-x))).max() < 0.02


@pytest.mark.parametrize("bias", ["number", "array"])
def test_linear_forms_over_part_of_the_slots(bias):
    """Scores near 11 on (10, 12), with values in 20 of 32 slots: the bias alone, in the others, lies far outside."""
    kit = kit_for(64)
    g = np.random.default_rng(6)
    features, w = 0.94 + 0.05 * g.uniform(-1, 1, (5, 20)), np.array([1.0, 0.5, 0.3, 0.2, 0.1])
    b = 9.0 if bias == "number" else np.full(20, 9.0)
    p = draw(15, "chebyshev", "none", (10.0, 12.0))
    scores = w @ features + b
    assert 10 < scores.min() and scores.max() < 12
    result = apply_polynomial(w @ EncryptedVector(kit.encrypt(features), kit.evaluator) + b, p)
    assert kit.error(result.ciphertext, p(scores)) <= error_bound(result.ciphertext)


def test_sigmoid_chooses_the_degree_for_an_error():
    kit = kit_for(64, 4.0)
    x = points((-4.0, 4.0), (32,))
    v = EncryptedVector(kit.encrypt(x), kit.evaluator)
    result = sigmoid(v, interval=4.0, max_abs_error=1e-3)
    assert np.abs(kit.decrypt(result) - 1 / (1 + np.exp(-x))).max() <= 1e-3 + error_bound(result.ciphertext)


def test_sigmoid_refuses_impossible_wishes():
    kit = kit_for(64)
    v = EncryptedVector(kit.encrypt([0.5]), kit.evaluator)
    for wish in (
        dict(interval=0.0),
        dict(interval=-3.0),
        dict(interval=float("inf")),
        dict(interval=float("nan")),
        dict(interval=(3.0, 1.0)),
        dict(degree=-1),
        dict(max_abs_error=0.0),
        dict(interval=8.0, max_abs_error=1e-30),
    ):
        with pytest.raises(ValueError, match=r"\w+ \w+") as caught:
            sigmoid(v, **wish)
        assert type(caught.value) is not ValueError
    with pytest.raises(LevelError, match="depth"):
        sigmoid(v, interval=8.0, degree=127)


def test_polynomial_on_vectors():
    kit = kit_for(64)
    x, w, b, scores = linear_form(kit)
    for basis in ("chebyshev", "power"):
        p = draw(3, basis, "none", (-8.0, 8.0))
        result = apply_polynomial(w @ x + b, p)
        assert kit.error(result.ciphertext, p(scores)) <= error_bound(result.ciphertext)
        assert result.ciphertext.level == 3 if basis == "chebyshev" else result.ciphertext.level >= 2
