"""What errors on the way do to a polynomial's value: derivatives against differences, forecasts against decryptions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import CKKSParams, expected_error
from ckks.circuits import Polynomial, approximate, evaluate_normalised, logistic
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.prices import PRICES
from ckks.circuits.polynomials.propagation import derivatives, expected_std, sensitivities
from ckks.rlwe import Noise
from ckks.rlwe.traced import TracedNoise
from ckks.scheme.meta import meta_of

PLANS = {
    f"{basis} {degree} {parity}": (degree, parity, basis)
    for basis in ("chebyshev", "power")
    for degree in (1, 2, 3, 6, 7, 15, 21, 31)
    for parity in ("odd", "none")
    if parity == "none" or degree % 2
}


def some(degree: int, parity: str, basis: str) -> Polynomial:
    c = np.random.default_rng(degree).uniform(0.2, 1, degree + 1)
    if parity == "odd":
        c[0::2] = 0
    return Polynomial(tuple(c.tolist()), basis)


def disturbed(plan, u, of_input=0.0, of_powers=None, of_blocks=None):
    """Walk a plan in floating point, adding an error to u, to powers (by index) and to blocks (by position)."""
    of_powers, of_blocks = of_powers or {}, of_blocks or {}
    powers = {0: 1.0, 1: u + of_input}
    for power in plan.powers:
        value = powers[power.left] * powers[power.right]
        if plan.basis == "chebyshev":
            value = 2 * value - powers[power.left - power.right]
        powers[power.index] = value + of_powers.get(power.index, 0.0)
    values = []
    for i, block in enumerate(plan.blocks):
        value = block.constant + of_blocks.get(i, 0.0)
        value = value + sum(values[p.block] * powers[p.giant] for p in block.products)
        values.append(value + sum(c * powers[k] for k, c in block.terms))
    return values[-1]


@pytest.mark.parametrize("kind", PLANS)
def test_derivatives_are_those_of_differences(kind):
    plan = evaluation_plan(some(*PLANS[kind]))
    found, h = sensitivities(plan), 1e-4
    u = np.cos(np.linspace(0, np.pi, len(found.of_input)))

    def difference(**where):
        up = disturbed(plan, u, **{k: h if k == "of_input" else {v: h} for k, v in where.items()})
        down = disturbed(plan, u, **{k: -h if k == "of_input" else {v: -h} for k, v in where.items()})
        return (up - down) / (2 * h)

    # The third derivative of a polynomial of degree n, bounded by m, is below m n^6 / 15 (Markov): times h^2 / 6.
    tolerance = h * h * plan.degree**6 * plan.blocks[-1].magnitude + 1e-9
    np.testing.assert_allclose(found.of_input, difference(of_input=None), atol=tolerance)
    assert set(found.of_powers) == {power.index for power in plan.powers}
    for index, derivative in found.of_powers.items():
        np.testing.assert_allclose(derivative, difference(of_powers=index), atol=tolerance)
    for i, derivative in enumerate(found.of_blocks):
        np.testing.assert_allclose(derivative, difference(of_blocks=i), atol=tolerance)
    np.testing.assert_array_equal(found.of_blocks[-1], 1.0)


@pytest.mark.parametrize("kind", PLANS)
def test_largest_value(kind):
    p = some(*PLANS[kind])
    largest = np.abs(p(np.linspace(-1, 1, 20011))).max()
    assert largest * (1 - 1e-12) <= sensitivities(evaluation_plan(p)).largest <= largest * 1.02


def test_forecast_is_the_root_of_a_sum_of_squares():
    """u^3 = (u u) u: 3 u^2 by u, u by the square, 1 by the result; worst at u = 1."""
    plan = evaluation_plan(Polynomial((0.0, 0.0, 0.0, 1.0), "power"))
    (square,) = (power.index for power in plan.powers)
    assert square == 2
    of_blocks = [0.0] * (len(plan.blocks) - 1) + [7.0]
    assert expected_std(plan, 2.0, {2: 5.0, 9: 1e9}, of_blocks) == pytest.approx((6**2 + 5**2 + 7**2) ** 0.5)


# ---- against decryptions ---------------------------------------------------------------------------------------------


KITS = {
    "insecure, N = 2^9": lambda: insecure_small(512, depth=6),
    "insecure, N = 2^12": lambda: insecure_small(4096, depth=6),
    "S13": lambda: CKKSParams.preset("S13"),
    "secure, 5 levels": lambda: CKKSParams.for_depth(5, precision_bits=20),
}


@cache
def kit_for(name: str) -> Kit:
    return make_kit(KITS[name](), rotations=[], conjugation=False)


def unit(degree: int) -> Polynomial:
    return Polynomial((0.0,) * degree + (1.0,))


POLYNOMIALS = {
    "T7": unit(7),
    "T15": unit(15),
    "T31": unit(31),
    "sigmoid": approximate(logistic, (-8, 8), degree=15),
    "exp": approximate(np.exp, (-2, 2), degree=15),
    "relu": approximate(lambda x: np.maximum(x, 0), (-4, 4), degree=31),
    "cubic": Polynomial((0.1, 0.3, 0.0, 0.4), "power"),
}


def adversarial(n: int, at: float) -> dict[str, np.ndarray]:
    """Vectors that stay where an average would not: at both ends, at 0, at the steepest place, spikes of either kind."""
    spike = np.zeros(n)
    spike[3] = 1.0
    return {
        "zeros": np.zeros(n),
        "right end": np.ones(n),
        "left end": -np.ones(n),
        "alternating": np.where(np.arange(n) % 2, 1.0, -1.0),
        "spike": spike,
        "spike among ends": 2 * spike - 1,
        "steepest": np.full(n, at),
    }


def check(kit: Kit, p: Polynomial) -> None:
    n = kit.params.slots
    grid = np.linspace(-1, 1, 4001)
    steepest = grid[np.abs(np.gradient(p(p.center + p.radius * grid), grid)).argmax()]
    largest = 0.0
    for name, u in adversarial(n, steepest).items():
        result = evaluate_normalised(kit.evaluator, kit.encrypt(u), p)
        error = np.abs(kit.decrypt(result) - p(p.center + p.radius * u))
        expected, rms = expected_error(result), float(np.sqrt(np.mean(error**2)))
        # Reals keep half of the expected power; a quarter of the slots' deviation is left for chance (see kit.LARGE).
        assert rms <= expected, name
        assert error.max() <= 7 * expected, name  # `CKKSParams.for_depth` has the 7: the worst of N/2 slots
        assert meta_of(result).rms >= np.abs(p(p.center + p.radius * u)).max() * (1 - 1e-9)
        largest = max(largest, rms)
    assert largest >= expected / 4, "no forecast is pessimistic by more than two bits for all of these"


@pytest.mark.parametrize("kit", KITS)
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_no_input_is_worse_than_expected(name, kit):
    p = POLYNOMIALS[name]
    if p.degree < 1 << kit_for(kit).params.top_level:
        check(kit_for(kit), p)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_a_large_error_of_the_input_is_multiplied_by_the_slope(name):
    """With an input error far above all that is added, the forecast is it times max |p'|, and nothing is counted twice."""
    kit, p = kit_for("insecure, N = 2^9"), POLYNOMIALS[name]
    ct = kit.encrypt(np.zeros(8))
    ct = ct.with_(noise=Noise(2.0**-8 * float(meta_of(ct).scale), ct.noise.bound))
    grid = np.linspace(-1, 1, 20001)
    slope = np.abs(np.gradient(p(p.center + p.radius * grid), grid)).max()
    assert expected_error(evaluate_normalised(kit.evaluator, ct, p)) == pytest.approx(slope * 2.0**-8, rel=2e-2)


def forward_gains(plan, u):
    """The rms error at each u: values with their first-order errors, one row per rescale, forward along the plan."""
    count = len(plan.powers) + len(plan.blocks)
    values = {0: np.ones_like(u), 1: u}
    errors = {k: np.zeros((count, len(u))) for k in (0, 1)}
    factor = 2.0 if plan.basis == "chebyshev" else 1.0
    for row, power in enumerate(plan.powers):
        a, b = power.left, power.right
        values[power.index] = factor * values[a] * values[b]
        errors[power.index] = factor * (values[a] * errors[b] + values[b] * errors[a])
        if plan.basis == "chebyshev":
            values[power.index] = values[power.index] - values[a - b]
            errors[power.index] = errors[power.index] - errors[a - b]
        errors[power.index][row] += 1.0
    blocks = []
    for row, block in enumerate(plan.blocks, len(plan.powers)):
        value, error = np.full_like(u, block.constant), np.zeros((count, len(u)))
        for product in block.products:
            inner, inner_error = blocks[product.block]
            value = value + inner * values[product.giant]
            error = error + inner_error * values[product.giant] + inner * errors[product.giant]
        for index, coefficient in block.terms:
            value = value + coefficient * values[index]
            error = error + coefficient * errors[index]
        error[row] += 1.0
        blocks.append((value, error))
    return np.sqrt((blocks[-1][1] ** 2).sum(axis=0))


@pytest.mark.parametrize("basis", ["chebyshev", "power"])
@pytest.mark.parametrize("degree", [1, 2, 7, 12, 31, 47])
def test_gains_forward_and_backward(degree, basis):
    """Errors carried along the plan, one row per rescale, against derivatives taken back from its result."""
    c = np.random.default_rng(degree).uniform(-1, 1, degree + 1)
    u = np.linspace(-1, 1, 57)
    for fewest in PRICES:
        plan = evaluation_plan(Polynomial(tuple(c.tolist()), basis), fewest=fewest)
        np.testing.assert_allclose(derivatives(plan, u).gain, forward_gains(plan, u), rtol=1e-12)


def test_what_a_polynomial_makes_of_an_error_adds_up_with_it():
    """p(x) and x, or p(x) twice, are off together: origins of an error go through a polynomial."""
    kit = make_kit(insecure_small(depth=4))
    x = kit.encrypt(np.zeros(4))
    x = x.with_(noise=TracedNoise.of(x.noise))
    y = evaluate_normalised(kit.evaluator, x, approximate(logistic, (-8, 8), degree=7))
    assert isinstance(y.noise, TracedNoise) and set(y.noise.origins) == set(x.noise.origins)
    assert (y.noise + y.noise).std == 2 * y.noise.std
