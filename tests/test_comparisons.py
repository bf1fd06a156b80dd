"""`ckks.comparisons`: signs, thresholds, maxima of vectors, and what a wrong argument is told."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import EncryptedVector, comparisons
from ckks.circuits.comparison.composite import minimax_composite
from ckks.errors import ParameterError, RangeError

TOP = 26


@cache
def kit_for(n: int = 64, depth: int = TOP, value_range: float = 1.0) -> Kit:
    return make_kit(insecure_small(n, depth=depth, value_range=value_range), rotations=[1])


def pairs(radius: float, t: float, worst: float) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors: ties, differences of exactly t either way, the dearest ones, both ends, and random ones."""
    g = np.random.default_rng(5)
    a, b = g.uniform(-radius, radius, (2, 32))
    a[:8] = np.linspace(-0.8 * radius, 0.8 * radius, 8)
    b[:8] = a[:8] + t * np.array([0, 0, 1, -1, 1, -1, worst, -worst])
    a[12:14] = [worst * t / 2, -worst * t / 2]  # for |a|: in units of t = 2 radius * resolution
    a[8:12], b[8:12] = radius * np.array([[1, -1, 1, -1], [1, -1, -1, 1]])
    return a, b


def test_vectors():
    kit = kit_for(value_range=4.0)
    a, b = pairs(2.0, 0.25, 0.1)
    t, e = 2.0**-4, 2.0**-20
    x, y = (EncryptedVector(kit.encrypt(v, bound=2.0), kit.evaluator) for v in (a, b))
    options = {"resolution": t, "radius": 2.0}
    clear = np.abs(a - b) >= 4 * t * (1 - 1e-9)
    noise = 2.0**-24
    assert np.abs(kit.decrypt(comparisons.compare(x, y, **options)) - (a > b))[clear].max() <= e + noise
    for exact, found in (
        (np.maximum(a, b), comparisons.maximum(x, y, **options)),
        (np.minimum(a, b), comparisons.minimum(x, y, **options)),
        (np.abs(a), comparisons.absolute(x, **options)),
        (np.maximum(a, 0.5), comparisons.maximum(x, 0.5, **options)),
    ):
        assert np.abs(kit.decrypt(found) - exact).max() <= 2 * t / 9 + noise
    clear = np.abs(a) >= 2 * t
    assert np.abs(kit.decrypt(comparisons.sign(x, **options)) - np.sign(a))[clear].max() <= e + noise
    assert np.abs(kit.decrypt(comparisons.step(x, **options)) - (a > 0))[clear].max() <= e + noise
    clear = np.abs(a - 0.5) >= 2.5 * t
    assert np.abs(kit.decrypt(comparisons.threshold(x, 0.5, **options)) - (a > 0.5))[clear].max() <= e + noise
    own = minimax_composite(2.0**-4, 2.0**-10)
    assert comparisons.sign(x, composite=own, radius=2.0).ciphertext.level == TOP - 1 - own.depth


def test_batches():
    kit = kit_for()
    x = np.random.default_rng(7).uniform(-0.5, 0.5, (3, 32))
    v = EncryptedVector(kit.encrypt(x, bound=0.5), kit.evaluator)
    top = comparisons.largest(v, resolution=2.0**-4, radius=0.5)
    assert top.shape == (32,) and np.abs(kit.decrypt(top) - x.max(axis=0)).max() <= 2 * 0.5 * 2.0**-4 / 9 + 2.0**-24
    place = comparisons.argmax(v, resolution=2.0**-4, radius=0.5)
    assert place.shape == (3, 32)
    clear = np.diff(np.sort(x, axis=0), axis=0)[-1] >= 2.0**-4
    assert (kit.decrypt(place).argmax(axis=0) == x.argmax(axis=0))[clear].all()


@pytest.mark.parametrize("function", ["sign", "step", "threshold"])
def test_linear_forms_fold_the_radius(function):
    """weights @ x + bias uses a level, the division by 9 none."""
    kit = kit_for(value_range=4.0)
    g = np.random.default_rng(8)
    features, weights, bias, at = g.uniform(-1, 1, (5, 32)), np.array([2.0, -1.5, 3.0, 0.5, 1.0]), 0.75, 1.25
    x = EncryptedVector(kit.encrypt(features), kit.evaluator)
    scores = weights @ features + bias
    composite = minimax_composite(2.0**-6)
    call = {"threshold": lambda v: comparisons.threshold(v, at, resolution=2.0**-6, radius=9.0)}.get(
        function, lambda v: getattr(comparisons, function)(v, resolution=2.0**-6, radius=9.0)
    )
    found = call(weights @ x + bias)
    assert found.ciphertext.level == TOP - 1 - composite.depth
    shift, reach = (at, 9.0 + at) if function == "threshold" else (0.0, 9.0)
    clear = np.abs(scores - shift) >= reach * 2.0**-6
    exact = np.sign(scores - shift)
    exact = exact if function == "sign" else (exact + 1) / 2
    assert clear.sum() > 20
    assert np.abs(kit.decrypt(found) - exact)[clear].max() <= composite.max_abs_error + 2.0**-24


@pytest.mark.parametrize("what", ["array", "number", "ciphertext"])
@pytest.mark.parametrize("name", comparisons.__all__)
def test_anything_but_a_vector_is_told_how_to_become_one(name, what):
    kit = kit_for()
    x = {"array": np.ones(4), "number": 1.0, "ciphertext": kit.encrypt(np.ones(4))}[what]
    second = {"threshold": (0.5,), "compare": (1.0,), "maximum": (1.0,), "minimum": (1.0,)}.get(name, ())
    remedy = "ciphertext" if what == "ciphertext" else r"encryptor.encrypt\(values\)"
    with pytest.raises(TypeError, match=rf"found {type(x).__name__}, .*EncryptedVector\({remedy}, evaluator\)"):
        getattr(comparisons, name)(x, *second)


@pytest.mark.parametrize(
    ("wish", "kind", "message"),
    [
        (dict(resolution=12), RangeError, "resolution 12.0; needed 2\\^-32 to 1/2"),
        (dict(resolution=0.0), RangeError, "resolution"),
        (dict(resolution=float("nan")), RangeError, "resolution nan"),
        (dict(resolution="fine"), ParameterError, "resolution is 'fine'; needed one plain number"),
        (dict(resolution=None), ParameterError, "resolution is None"),
        (dict(max_abs_error=0.0), RangeError, "max_abs_error 0.0"),
        (dict(max_abs_error=-1.0), RangeError, "max_abs_error -1.0"),
        (dict(max_abs_error=[0.1, 0.2]), ParameterError, "max_abs_error is"),
        (dict(radius="wide"), ParameterError, "radius"),
        (dict(radius=np.ones(2)), ParameterError, "radius"),
        (dict(radius=0.0), RangeError, "radius 0.0"),
        (dict(composite=12), ParameterError, "composite 12; needed a Composite"),
    ],
)
@pytest.mark.parametrize("name", ["sign", "maximum"])
def test_wishes_that_cannot_be_met(name, wish, kind, message):
    kit = kit_for()
    x = EncryptedVector(kit.encrypt(np.full(4, 0.5)), kit.evaluator)
    with pytest.raises(kind, match=message):
        getattr(comparisons, name)(x, *([0.25] if name == "maximum" else []), **wish)


def test_thresholds_are_plain_numbers():
    kit = kit_for()
    x = EncryptedVector(kit.encrypt(np.full(4, 0.5)), kit.evaluator)
    for at in ("high", x, np.ones(2)):
        with pytest.raises(ParameterError, match="at is .*; needed one plain number"):
            comparisons.threshold(x, at)
