"""Narrowing wide intervals: the cubics in the clear, measured errors, and encrypted values at every kind of place."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import error_bound, expected_error
from ckks.circuits import Polynomial, logistic
from ckks.circuits.functions.extension import Extension, evaluate_extension, extend
from ckks.circuits.promises import listening
from ckks.errors import LevelError, ParameterError, RangeError
from ckks.scheme.meta import meta_of


@cache
def kit_for(n: int) -> Kit:
    return make_kit(insecure_small(n, depth=12, value_range=256.0), rotations=[], conjugation=False)


def line(reach: float) -> Polynomial:
    return Polynomial((0.0, reach), "chebyshev", (-reach, reach))


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("ratio", [1.92, 2.2, 2.5])
def test_the_cubics(ratio, steps):
    """The definition, scale by scale: D_i(x) = R_i B(x / R_i), the largest first; into [-R, R], nearly x near 0."""
    reach = 3.0
    wide = reach * ratio**steps
    extension = Extension((-wide, wide), ratio, steps, line(reach))
    x = np.linspace(-wide, wide, 4001)
    y = x
    for i in range(steps - 1, -1, -1):
        r = reach * ratio**i
        y = r * (y / r - 4 / 27 * (y / r) ** 3)
    np.testing.assert_allclose(reach * extension.narrowed(x), y, atol=1e-12 * wide)
    np.testing.assert_allclose(extension(x), y, atol=1e-12 * wide)
    assert np.abs(y).max() <= reach * (1 + 1e-12)
    floor = ratio - 4 / 27 * ratio**3
    assert np.abs(y[np.abs(x) >= 1.5 * reach]).min() >= reach * floor * (1 - 1e-9), "what is large stays large"
    near = np.abs(x) <= reach / 4
    assert np.abs(y - x)[near].max() <= 4 / 27 * reach / 64 / (1 - 1 / ratio**2)


FUNCTIONS = {
    "sigmoid": logistic,
    "tanh": np.tanh,
    "shifted": lambda x: logistic(x - 1.0),
    "bump": lambda x: 2 / (np.exp(-np.abs(x)) + np.exp(np.minimum(np.abs(x), 700))),
    "uneven": lambda x: np.exp(-((x - 1) ** 2)) + np.tanh(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("wide", "wanted"), [(40.0, 1e-2), (200.0, 1e-3), (1000.0, 2e-3)])
def test_measured_errors(name, wide, wanted):
    """On points of its own, dense where something happens and where the cubics fold, no error exceeds the stated one."""
    f = FUNCTIONS[name]
    found = extend(f, (-wide, wide), max_abs_error=wanted)
    x = np.concatenate([np.linspace(-wide, wide, 200001), np.linspace(-20, 20, 100001), [0.0, wide, -wide]])
    error = np.abs(found(x) - f(x)).max()
    assert error <= found.max_abs_error <= wanted
    assert found.depth == 2 * found.steps + found.base.degree.bit_length()


def test_products_grow_with_the_logarithm():
    """From [-50, 50] to [-800, 800]: four doublings, at most 2 log(2)/log(1.92) = 2.1 levels and products each."""
    narrow, wide = (extend(logistic, (-w, w), max_abs_error=1e-3) for w in (50.0, 800.0))
    assert wide.depth - narrow.depth <= 9
    assert wide.multiplications - narrow.multiplications <= 9


def cases(wide: float, n: int) -> dict[str, np.ndarray]:
    spike = np.zeros(n)
    spike[3] = wide
    return {
        "zeros": np.zeros(n),
        "right end": np.full(n, wide),
        "left end": np.full(n, -wide),
        "spike": spike,
        "spike among ends": 2 * spike - wide,
        "spread": np.linspace(-wide, wide, n),
        "inner": np.linspace(-6, 6, n),
    }


@pytest.mark.parametrize("name", ["sigmoid", "uneven"])
def test_encrypted(name, backend):
    f, n = FUNCTIONS[name], 512 if backend != "reference" else 16
    kit = kit_for(n)
    found = extend(f, (-100.0, 100.0), max_abs_error=5e-3)
    for case, x in cases(100.0, n // 2).items():
        result = evaluate_extension(kit.evaluator, kit.encrypt(x), found)
        assert result.level == 12 - 1 - found.depth
        assert meta_of(result).scale == kit.params.scale_at(result.level)
        error = np.abs(kit.decrypt(result) - found(x))
        assert error.max() <= error_bound(result), case
        if n == 512:
            assert np.sqrt(np.mean(error**2)) <= expected_error(result), case
            assert error.max() <= 7 * expected_error(result), case
            assert np.abs(kit.decrypt(result) - f(x)).max() <= 5e-3 + 7 * expected_error(result)


def test_normalised_input_and_few_levels():
    kit = kit_for(64)
    found = extend(logistic, (-100.0, 100.0), max_abs_error=5e-3)
    x = np.linspace(-100, 100, 20)
    result = evaluate_extension(kit.evaluator, kit.encrypt(x / 100, level=found.depth), found, normalised=True)
    assert result.level == 0 and kit.error(result, found(x)) <= error_bound(result)
    batch = np.stack([x, x / 10, np.full(20, -100.0)])
    result = evaluate_extension(kit.evaluator, kit.encrypt(batch), found)
    assert kit.error(result, found(batch)) <= error_bound(result)
    with pytest.raises(LevelError, match=rf"an extension in \d steps.*needs {found.depth + 1} levels"):
        evaluate_extension(kit.evaluator, kit.encrypt(x, level=found.depth), found)
    with pytest.raises(LevelError, match=rf"an extension in \d steps.*needs {found.depth} levels"):
        evaluate_extension(kit.evaluator, kit.encrypt(x / 100, level=found.depth - 1), found, normalised=True)


def test_promises():
    """One promise, the interval; what follows from it is proven."""
    kit = kit_for(64)
    found = extend(logistic, (-100.0, 100.0), max_abs_error=5e-3)
    with listening() as relied:
        evaluate_extension(kit.evaluator, kit.evaluator.with_bound(kit.encrypt([3.0]), 101.0), found)
    assert relied[0].interval == (-100.0, 100.0) and not relied[0].proven
    assert len(relied) == 2 + found.steps and all(one.proven for one in relied[1:])


def test_what_is_refused():
    with pytest.raises(ParameterError, match=r"still changes by 47.9 between 52.08 and 100"):
        extend(lambda x: np.maximum(x, 0.0), (-100.0, 100.0), max_abs_error=1e-2)
    with pytest.raises(ParameterError, match="still changes by 0.000299 between -4.167 and -8"):
        extend(lambda x: np.where(x > 0, 0.0, logistic(x) / 50), (-8.0, 8.0), max_abs_error=1e-4)
    with pytest.raises(ParameterError, match=r"the best is \d"):
        extend(logistic, (-60.0, 60.0), max_abs_error=1e-11)
    with pytest.raises(ParameterError, match="symmetric about 0"):
        extend(logistic, (-100.0, 50.0), max_abs_error=1e-2)
    with pytest.raises(RangeError, match="max_abs_error"):
        extend(logistic, (-100.0, 100.0), max_abs_error=float("nan"))
    for ratio, steps in ((1.4, 1), (3.1, 1), (2.0, 0), (2.0, 9)):
        with pytest.raises(ParameterError, match="ratio from 1.5 to 3"):
            Extension((-1.0, 1.0), ratio, steps, line(1.0))
