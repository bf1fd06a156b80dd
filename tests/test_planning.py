"""Plans: what they promise of depth, keys, precision and time is what a real run shows."""

from __future__ import annotations

import statistics
import time
from decimal import Decimal

import numpy as np
import pytest
from params import insecure_small

import ckks
from ckks import CKKSParams, Decryptor, EncryptedVector, Encryptor, Evaluator, KeyGenerator
from ckks.errors import InsecureParameters, LevelError, ParameterError, PrecisionWarning, RangeError, SlotError
from ckks.ring import Rng

W = np.linspace(-1.0, 1.0, 5)


def score(x):
    return ckks.sigmoid(W @ x + 0.25, interval=8)


def moving(x):
    return ((x << 1) + (x >> 1) - 2 * x) * x


def tower(x):
    for _ in range(5):
        x = x * x
    return x


def several(x, y):
    return [x + y, x * y, (x * y) * (x - y)]


CASES = {
    "score": (score, ((5, 100),), 1.0),
    "moving": (moving, (2048,), 1.0),
    "tower": (tower, (64,), 1.0),
    "several": (several, (64, 64), (1.0, 2.0)),
}


def adversarial(shape, bound):
    """Constant vectors at either end, zeros, a spike, both ends in turn, and anything."""
    yield np.full(shape, bound)
    yield np.full(shape, -bound)
    yield np.zeros(shape)
    spike = np.zeros(shape)
    spike[..., 0] = bound
    yield spike
    yield bound * np.where(np.arange(shape[-1]) % 2, 1.0, -1.0) * np.ones(shape)
    yield np.random.default_rng(1).uniform(-bound, bound, shape)


def carried_out(plan, function, arrays, seed=1):
    """Values of a real run with the keys that the plan asks for, and no others."""
    generator = KeyGenerator(plan.params, Rng(seed))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    encryptor = Encryptor(plan.params, generator.public_key(secret), Rng(seed + 1))
    found = function(*(EncryptedVector(encryptor.encrypt(a, bound=b), evaluator) for a, b in arrays))
    found = found if isinstance(found, list) else [found]
    return found, [Decryptor(plan.params, secret).decrypt(one) for one in found]


class Plain(np.ndarray):
    """Numbers on which the same code runs."""

    def __lshift__(self, k):
        return np.roll(self, -k, axis=-1)

    def __rshift__(self, k):
        return np.roll(self, k, axis=-1)


@pytest.mark.parametrize("name", CASES)
def test_a_real_run_is_as_planned(name):
    function, shapes, ranges = CASES[name]
    plan = ckks.plan(function, *shapes, ranges=ranges, precision_bits=18)
    assert plan.params.security == 128 and plan.precision_bits >= 18
    bounds = ranges if isinstance(ranges, tuple) else (ranges,) * len(shapes)
    worst = [0.0] * len(plan.results)
    ends = [list(adversarial((s,) if isinstance(s, int) else s, b)) for s, b in zip(shapes, bounds, strict=True)]
    together = list(zip(*ends, strict=True))
    apart = [(*(-x for x in first), last) for *first, last in together[:2] if first]  # of opposite ends too
    for inputs in together + apart:
        found, values = carried_out(plan, function, list(zip(inputs, bounds, strict=True)))
        if function is moving:
            full = [np.zeros(plan.params.slots) for _ in inputs]
            for line, one in zip(full, inputs, strict=True):
                line[: one.shape[-1]] = one
            wanted = [function(*(line.view(Plain) for line in full))]
        elif function is score:
            polynomial = ckks.approximate(ckks.circuits.logistic, (-8, 8), degree=7)
            wanted = [polynomial(W @ inputs[0] + 0.25)]
        else:
            wanted = function(*inputs)
            wanted = wanted if isinstance(wanted, list) else [wanted]
        assert len(values) == len(plan.results)
        for k, (one, value, want, forecast) in enumerate(zip(found, values, wanted, plan.results, strict=True)):
            assert value.shape == forecast.shape and one.ciphertext.level == forecast.level
            assert one.ciphertext.nbytes == forecast.nbytes
            assert np.abs(value).max() <= forecast.bound + forecast.max_error
            error = float(np.abs(value - want).max())
            assert error <= forecast.max_error <= forecast.worst_error
            worst[k] = max(worst[k], error)
    assert all(forecast.max_error <= 4 * error for forecast, error in zip(plan.results, worst, strict=True))


def test_what_is_needed_is_named():
    plan = ckks.plan(moving, 2048)
    assert plan.depth == 1 and plan.rotations == (1, plan.params.slots - 1) and plan.relinearisation
    assert plan.keys == {"relin": True, "rotations": plan.rotations, "conjugation": False}
    assert plan.key_bytes == 3 * plan.params.sizes()["switching_key"]
    assert plan.operations["rotations"] == 2 and plan.operations["products of ciphertexts"] == 1
    text = plan.describe()
    for part in ("2 rotations (1, ", "depth           1 of 1 levels", "128-bit", "bits"):
        assert part in text
    free = ckks.plan(lambda x: x + x, 16)
    assert free.depth == 0 and free.key_bytes == 0 and "keys            none" in free.describe()
    turned = ckks.plan(lambda x: EncryptedVector(x.evaluator.conjugate(x.ciphertext), x.evaluator), 16)
    assert turned.conjugation and turned.rotations == () and "conjugation" in turned.describe()


def test_running_out_of_levels_is_known_before_keys_exist():
    with pytest.raises(LevelError, match=r"for_depth\(5"):
        ckks.plan(tower, 16, params=CKKSParams.for_depth(4))
    assert ckks.plan(tower, 16).depth == 5
    with pytest.raises((InsecureParameters, ParameterError)):
        ckks.plan(lambda x: tower(tower(tower(tower(tower(tower(x)))))), 16, precision_bits=40)


def test_precision_that_a_circuit_loses_is_made_up_for():
    plan = ckks.plan(lambda x: tower(tower(x)), 16, precision_bits=38)  # x^1024, and a thousand times the error
    assert plan.precision_bits >= 38 and plan.depth == 10 and len(plan.params.levels[-1]) == 2


def test_intervals_that_ranges_do_not_prove_are_the_callers_promise():
    proven = ckks.plan(score, (5, 16), ranges=1.0)
    assert [one.proven for one in proven.promises] == [True] and "your promise" not in proven.describe()
    promised = ckks.plan(score, (5, 16), ranges=10.0)
    assert [one.proven for one in promised.promises] == [False] and "your promise" in promised.describe()


def test_values_that_grow_get_a_larger_modulus():
    plan = ckks.plan(lambda x: x * x, 16, ranges=100.0)
    assert plan.results[0].bound == 1e4 and plan.params.value_range >= 100
    with pytest.raises(RangeError):
        ckks.plan(tower, 16, ranges=1e6)


def test_a_circuit_that_warns_of_lost_precision_gets_a_larger_scale():
    def coarse(x):
        return x * 1e-8 * 1e8

    with pytest.warns(PrecisionWarning):
        ckks.plan(coarse, 16, params=CKKSParams.for_depth(2, precision_bits=10))
    plan = ckks.plan(coarse, 16, precision_bits=6)  # warnings are errors here
    assert plan.params.scale * Decimal("1e-8") >= 2**10


def test_inputs_that_repeat():
    plain = np.random.default_rng(3).uniform(-0.1, 0.1, (16, 16))
    matrix = ckks.LinearMap(plain)
    plan = ckks.plan(lambda x: matrix @ x, 16, slots=16)
    assert set(plan.rotations) == set(matrix.rotations) and plan.depth == 1
    x = np.random.default_rng(4).uniform(-1, 1, 16)
    generator = KeyGenerator(plan.params, Rng(5))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    y = matrix @ EncryptedVector(Encryptor(plan.params, secret).encrypt(x, slots=16), evaluator)
    assert np.abs(Decryptor(plan.params, secret).decrypt(y.ciphertext) - plain @ x).max() <= (plan.results[0].max_error)
    for wrong in (8, 24):
        with pytest.raises(SlotError, match="power of two"):
            ckks.plan(lambda x: x, 16, slots=wrong)


def test_wide_inputs_get_enough_slots():
    assert ckks.plan(lambda x: x * 0.5, 20_000).params.slots == 32_768
    with pytest.raises(SlotError, match="split them"):
        ckks.plan(lambda x: x, 64, params=insecure_small(64))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: ckks.plan(moving), SlotError),
        (lambda: ckks.plan(moving, 0), SlotError),
        (lambda: ckks.plan(moving, 16, ranges=(1.0, 2.0)), RangeError),
        (lambda: ckks.plan(moving, 16, ranges=-1.0), RangeError),
        (lambda: ckks.plan(lambda x: 3, 16), TypeError),
        (lambda: ckks.plan(lambda x: [], 16), TypeError),
        (lambda: ckks.plan(tower, 16, precision_bits=60), ParameterError),
    ],
)
def test_nonsense_is_refused(call, error):
    with pytest.raises(error):
        call()


def test_a_plan_for_given_parameters_is_theirs():
    params = CKKSParams.for_depth(3, precision_bits=30)
    plan = ckks.plan(moving, 64, params=params)
    assert plan.params is params and plan.depth == 1 and plan.results[0].level == 2


@pytest.mark.slow
def test_time_is_what_it_says():
    """Within 30 %, as a median of alternating runs; `python -m benchmarks.plan` has more of them."""
    plan = ckks.plan(tower, 4096)
    generator = KeyGenerator(plan.params, Rng(1))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    x = EncryptedVector(Encryptor(plan.params, secret).encrypt(np.ones(4096)), evaluator)
    ratios = []
    for _ in range(15):
        start = time.perf_counter()
        _ = tower(x).ciphertext
        ratios.append(plan.seconds() / (time.perf_counter() - start))
    assert 0.7 < statistics.median(ratios) < 1.3, ratios
