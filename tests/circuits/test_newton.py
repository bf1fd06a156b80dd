"""Newton's iteration for 1/x, 1/sqrt(x) and sqrt(x): in the clear against numpy, encrypted against the clear."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import error_bound, expected_error
from ckks.circuits import Polynomial, chebyshev_interpolant
from ckks.circuits.functions.newton import Newton, evaluate_newton, refine
from ckks.circuits.promises import listening
from ckks.errors import LevelError, ParameterError, RangeError
from ckks.rlwe import Noise
from ckks.scheme.meta import meta_of

EXACT = {"inverse": lambda x: 1 / x, "inverse_sqrt": lambda x: 1 / np.sqrt(x), "sqrt": np.sqrt}
KINDS = list(EXACT)


@cache
def kit_for(n: int) -> Kit:
    return make_kit(insecure_small(n, depth=10, value_range=128.0), rotations=[], conjugation=False)


def spread(interval: tuple[float, float], count: int = 40001) -> np.ndarray:
    return np.unique(np.concatenate([np.geomspace(*interval, count), np.linspace(*interval, count)])).clip(*interval)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interval", [(0.5, 8.0), (0.01, 1.0), (1.0, 3000.0), (1e-4, 1.0)], ids=str)
@pytest.mark.parametrize("wanted", [1e-2, 1e-5])
def test_measured_errors(kind, interval, wanted):
    """On a grid of its own the error is no larger than stated, and what was asked for is reached."""
    way = refine(kind, interval, max_abs_error=wanted)
    x = spread(interval)
    error = np.abs(way(x) - EXACT[kind](x)).max()
    assert error <= way.max_abs_error <= wanted


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_are_newtons(kind):
    """Against the iteration for the root of 1/y - x, or of 1/y^2 - x, by y - F/F' itself."""
    start = Polynomial((1.2, -0.5, 0.1, -0.03), "chebyshev", (0.5, 2.0))
    x = np.linspace(0.5, 2.0, 101)
    y = start(x)
    for _ in range(3):
        y = y - (1 / y - x) / (-1 / y**2) if kind == "inverse" else y - (1 / y**2 - x) / (-2 / y**3)
    wanted = x * y if kind == "sqrt" else y
    np.testing.assert_allclose(Newton(kind, start, 3)(x), wanted, rtol=1e-12)


def test_fewest_levels():
    """No start of lower degree with as few levels reaches the error, by trying them all."""
    found = refine("inverse", (0.001, 1.0), max_abs_error=1e-3)
    for degree_bits in range(2, 8):
        for steps in range(1, 5):
            if degree_bits + 2 * steps < found.depth:
                x = spread(found.interval, 2001)
                u = (x - found.center) / found.radius
                nodes = np.cos((np.arange(1 << degree_bits) + 0.5) * np.pi / (1 << degree_bits))
                fit = np.polynomial.chebyshev.chebfit(
                    nodes, 1 / (found.center + found.radius * nodes), (1 << degree_bits) - 1
                )
                y = np.polynomial.chebyshev.chebval(u, fit)
                for _ in range(steps):
                    y = y * (2 - x * y)
                assert np.abs(y - 1 / x).max() > 1e-3


def cases(interval: tuple[float, float], n: int) -> dict[str, np.ndarray]:
    low, high = interval
    spike = np.full(n, high)
    spike[3] = low
    return {
        "low end": np.full(n, low),
        "high end": np.full(n, high),
        "spike": spike,
        "spread": np.geomspace(low, high, n),
        "middle": np.full(n, np.sqrt(low * high)),
    }


WAYS = {
    "inverse": ("inverse", (0.05, 2.0), 15, 1),
    "inverse, two steps": ("inverse", (0.1, 2.0), 7, 2),
    "inverse_sqrt": ("inverse_sqrt", (0.02, 2.0), 15, 1),
    "inverse_sqrt, two steps": ("inverse_sqrt", (0.1, 2.0), 3, 2),
    "sqrt": ("sqrt", (0.02, 2.0), 15, 1),
    "sqrt, two steps": ("sqrt", (0.1, 2.0), 3, 2),
    "beyond 1": ("sqrt", (1.0, 100.0), 15, 1),
}


def started(kind: str, interval: tuple[float, float], degree: int, steps: int) -> Newton:
    return Newton(
        kind, chebyshev_interpolant(EXACT["inverse" if kind == "inverse" else "inverse_sqrt"], interval, degree), steps
    )


@pytest.mark.parametrize("way", WAYS)
def test_encrypted(way, backend):
    """Values of the clear within the bound, at the levels promised; no input worse than expected, by any vector."""
    newton = started(*WAYS[way])
    interval = newton.interval
    n = 512 if backend != "reference" else 16
    kit = kit_for(n)
    largest = 0.0
    for name, x in cases(interval, n // 2).items():
        result = evaluate_newton(kit.evaluator, kit.encrypt(x), newton)
        assert result.level == 10 - 1 - newton.depth
        assert meta_of(result).scale == kit.params.scale_at(result.level)
        error = np.abs(kit.decrypt(result) - newton(x))
        rms, expected = float(np.sqrt(np.mean(error**2))), expected_error(result)
        assert error.max() <= error_bound(result), name
        assert np.abs(newton(x)).max() <= meta_of(result).bound
        if n == 512:
            assert rms <= expected and error.max() <= 7 * expected, name
        largest = max(largest, rms)
    assert n < 512 or largest >= expected / 4
    assert error_bound(result) <= 2.0**-8


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_error_of_x_is_multiplied_by_the_slope(kind):
    """Far above all that is added, and with y refined well: |f'(a)| times the error of x, once."""
    kit = kit_for(64)
    a, newton = 0.1, refine(kind, (0.1, 2.0), max_abs_error=1e-8, max_degree=15)
    u = kit.encrypt(np.zeros(8))
    u = u.with_(noise=Noise(2.0**-12 * float(meta_of(u).scale), u.noise.bound))
    slope = {"inverse": a**-2, "inverse_sqrt": 0.5 * a**-1.5, "sqrt": 0.5 * a**-0.5}[kind]
    result = evaluate_newton(kit.evaluator, u, newton, normalised=True)
    assert expected_error(result) == pytest.approx(slope * newton.radius * 2.0**-12, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_normalised_input_and_few_levels(kind):
    kit = kit_for(64)
    newton = refine(kind, (0.1, 2.0), max_abs_error=1e-3, max_degree=7)
    x = np.geomspace(0.1, 2.0, 20)  # 20 of 32 slots
    u = (x - newton.center) / newton.radius
    result = evaluate_newton(kit.evaluator, kit.encrypt(u, level=newton.depth), newton, normalised=True)
    assert result.level == 0
    assert kit.error(result, newton(x)) <= error_bound(result)
    batch = np.stack([x, x[::-1], np.full(20, 0.1)])
    result = evaluate_newton(kit.evaluator, kit.encrypt(batch), newton)
    assert kit.error(result, newton(batch)) <= error_bound(result)
    with pytest.raises(LevelError, match=rf"{kind} in \d Newton steps.*needs {newton.depth} levels"):
        evaluate_newton(kit.evaluator, kit.encrypt(u, level=newton.depth - 1), newton, normalised=True)
    with pytest.raises(LevelError, match=rf"needs {newton.depth + 1} levels"):
        evaluate_newton(kit.evaluator, kit.encrypt(x, level=newton.depth), newton)


def test_promises():
    kit = kit_for(64)
    newton = refine("inverse", (0.1, 2.0), max_abs_error=1e-2, max_degree=7)
    with listening() as found:
        evaluate_newton(kit.evaluator, kit.encrypt([0.5]), newton)
    assert found[0].interval == (0.1, 2.0) and not found[0].proven
    assert all(one.proven for one in found[1:]), "what follows from the first needs no promise"


def test_what_is_refused():
    good = Polynomial((1.0, -0.2, 0.0, 0.01), "chebyshev", (0.5, 2.0))
    with pytest.raises(ParameterError, match="interval above 0"):
        refine("inverse", (0.0, 1.0), max_abs_error=1e-3)
    with pytest.raises(ParameterError, match="interval above 0"):
        Newton("inverse", Polynomial(good.coefficients, "chebyshev", (-0.5, 2.0)), 1)
    with pytest.raises(ParameterError, match="unknown function 'cbrt'"):
        Newton("cbrt", good, 1)
    for steps, start in ((0, good), (13, good), (1, Polynomial((1.0, 0.1, 0.1), "chebyshev", (0.5, 2.0)))):
        with pytest.raises(ParameterError, match="1 to 12 steps"):
            Newton("inverse", start, steps)
    with pytest.raises(RangeError, match="max_abs_error"):
        refine("sqrt", (1.0, 2.0), max_abs_error=0.0)
    with pytest.raises(ParameterError, match=r"the best is \d"):
        refine("inverse", (1e-3, 1.0), max_abs_error=1e-15)
