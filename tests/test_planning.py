"""Plans: what they promise of depth, keys, precision and time is what a real run shows."""

from __future__ import annotations

import operator
import statistics
import time
import warnings
from decimal import Decimal

import numpy as np
import pytest
from params import insecure_small

import ckks
from ckks import CKKSParams, Decryptor, EncryptedVector, Encryptor, Evaluator, KeyGenerator, kernels
from ckks.errors import LevelError, ParameterError, PrecisionWarning, RangeError, SlotError
from ckks.planning.largest import largest_of
from ckks.ring import Rng
from ckks.rlwe import Noise
from ckks.rlwe.traced import TracedNoise

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


def carried_out(plan, function, arrays, seed=1, slots=None):
    """Values of a real run with the keys that the plan asks for, and no others."""
    generator = KeyGenerator(plan.params, Rng(seed))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    encryptor = Encryptor(plan.params, generator.public_key(secret), Rng(seed + 1))
    found = function(*(EncryptedVector(encryptor.encrypt(a, bound=b, slots=slots), evaluator) for a, b in arrays))
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
    for seed, inputs in enumerate(together + apart):
        found, values = carried_out(plan, function, list(zip(inputs, bounds, strict=True)), 2 * seed + 1)
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
    far = [float(np.log2(forecast.max_error / error)) for forecast, error in zip(plan.results, worst, strict=True)]
    assert max(far) <= 2, far


SIGMOID, TANH = (ckks.functions.fit(name, 2, degree=7) for name in ("sigmoid", "tanh"))
MANY = 2048
TURNED = ckks.LinearMap.of_diagonals({1: np.full(MANY, 0.3)})
AGAIN = {
    "rounded": (lambda x: sum((x * 0.01 for _ in range(64)), 0 * x), lambda x: 0.64 * x),
    "switched": (lambda x: x * x + x * x, lambda x: 2 * x * x),
    "evaluated": (
        lambda x: ckks.functions.function(x, SIGMOID) + ckks.functions.function(x, TANH),
        lambda x: SIGMOID(x) + TANH(x),
    ),
    "doubled": (lambda x: double(ckks.functions.function(x, SIGMOID)), lambda x: 2 * SIGMOID(x)),
    "mapped": (lambda x: TURNED @ x + TURNED @ x, lambda x: 0.6 * np.roll(x, -1)),
}


def double(x):
    return x + x


@pytest.mark.parametrize("name", AGAIN)
def test_errors_of_steps_that_are_repeated_add_up(name):
    """The same words are rounded in the same way: nothing is gained by doing it twice, and nothing is forecast."""
    function, plain = AGAIN[name]
    plan = ckks.plan(function, MANY, slots=MANY, precision_bits=18)
    worst = 0.0
    for seed, end in enumerate((1.0, -1.0, 0.0) * 2):
        x = np.full(MANY, end)
        _, (value,) = carried_out(plan, function, [(x, 1.0)], 100 + 2 * seed, slots=MANY)
        worst = max(worst, float(np.abs(value - plain(x)).max()))
    assert worst <= plan.results[0].max_error <= 4 * worst


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
    with pytest.raises(ParameterError, match="40 bits of precision are not reached at depth 30"):
        ckks.plan(lambda x: tower(tower(tower(tower(tower(tower(x)))))), 16, precision_bits=40)
    with pytest.raises(ParameterError, match="not reached at depth 70"):  # whatever the scale
        ckks.plan(lambda x: repeated(tower, x, 14), 16)


def repeated(function, x, times):
    for _ in range(times):
        x = function(x)
    return x


def test_a_function_deeper_than_anything_secure_is_told_both_depths():
    def fade(x):
        return x * 0.999

    with pytest.raises(
        LevelError, match=r"depth 60, with 40 bits .* largest 128-bit secure depth with that is (\d+)"
    ) as at:
        ckks.plan(lambda x: repeated(fade, x, 60), 16, precision_bits=40)
    largest = int(str(at.value).partition("that is ")[2].partition(",")[0])
    params = CKKSParams.for_depth(largest, precision_bits=40, key_switching=False)
    assert params.ring_degree == 2**17
    with pytest.raises(ParameterError, match="no ring degree"):
        CKKSParams.for_depth(largest + 1, precision_bits=40, key_switching=False)
    with pytest.raises(LevelError, match="more than 128 levels"):
        ckks.plan(lambda x: repeated(fade, x, 129), 16)


def test_precision_that_a_circuit_loses_is_made_up_for():
    plan = ckks.plan(lambda x: tower(tower(x)), 16, precision_bits=38)  # x^1024, and a thousand times the error
    assert plan.precision_bits >= 38 and plan.depth == 10 and len(plan.params.levels[-1]) == 2


def test_intervals_that_ranges_do_not_prove_are_the_callers_promise():
    proven = ckks.plan(score, (5, 16), ranges=1.0)
    assert [one.proven for one in proven.promises] == [True] and "your promise" not in proven.describe()
    promised = ckks.plan(score, (5, 16), ranges=10.0)
    assert [one.proven for one in promised.promises] == [False] and "your promise" in promised.describe()


def test_promises_of_linear_forms_are_in_the_users_units():
    plan = ckks.plan(score, (5, 16), ranges=10.0)
    (promise,) = plan.promises
    reach = 10 * np.abs(W).sum() + 0.25
    assert promise.interval == (-8.0, 8.0) and promise.bound == pytest.approx(reach)
    assert f"needs values in [-8, 8]; they may reach {reach:.3g} in size" in plan.describe()
    lying = ckks.plan(lambda x: ckks.functions.log(W @ x + 5.0, interval=(1, 9)), (5, 16), ranges=10.0)
    assert f"needs values in [1, 9]; they may lie {reach - 0.25:.3g} from 5" in lying.describe()


def test_comparisons_of_linear_forms_promise_in_the_users_units():
    for at, told in ((0.0, "[-4, 4]; they may reach 30 in size"), (1.0, "[-5, 7]; they may lie 31 from 1")):
        plan = ckks.plan(lambda x, at=at: ckks.comparisons.threshold(W @ x, at, radius=4 + at), (5, 16), ranges=10.0)
        assert np.abs(W).sum() == 3 and f"the sign needs values in {told}" in plan.describe()
        assert sum(not one.proven for one in plan.promises) == 1


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


def test_digits_that_are_lost_in_the_end_are_warned_of_where_it_happens(monkeypatch):
    monkeypatch.setattr("ckks.planning.search._ROUNDS", 1)
    with pytest.warns(PrecisionWarning) as caught:
        ckks.plan(lambda x: x + x * 1e-9, 16, precision_bits=1)
    assert {one.filename for one in caught} == {__file__}


def test_nothing_outside_changes(monkeypatch):
    """Neither the report of memory nor warnings, which belong to the whole process."""
    monkeypatch.setattr("ckks.planning.rehearsal._ELSEWHERE", 1)
    kept = kernels.zeros((3, 64))
    before, filters = kernels.memory_report(), list(warnings.filters)
    showing = warnings.showwarning
    plan = ckks.plan(lambda x: seen(x * x * 1e-12, kernels.memory_report(), warnings.showwarning), 16, precision_bits=1)
    assert plan.seconds() > 0
    assert kernels.memory_report() == before and warnings.filters == filters and kept.shape == (3, 64)
    assert {one for _, one in SEEN} == {showing}
    assert all(report.live > 0 and report != before for report, _ in SEEN), "the function sees its own"


SEEN: list = []


def seen(y, *things):
    SEEN.append(things)
    return y


def test_peak_bytes_are_those_of_what_lives_at_one_time():
    def one_after_the_other(x):
        for _ in range(5):
            x = x + x
        return x

    plan = ckks.plan(one_after_the_other, 4096)
    each = plan.params.sizes()["ciphertext"]
    assert plan.peak_bytes == 3 * each, "the input, which the caller still has, and two of a sum"
    assert ckks.plan(lambda x: [x + k for k in range(5)], 4096, params=plan.params).peak_bytes == 6 * each
    assert ckks.plan(lambda x: x, (3, 4096), params=plan.params).peak_bytes == 3 * each


def test_a_plan_prints_what_it_describes():
    plan = ckks.plan(score, (5, 16))
    assert repr(plan) == str(plan) == plan.describe() and "array" not in repr(plan)
    assert max(map(len, repr(plan).splitlines())) < 160 and len(repr(plan).splitlines()) < 12
    assert plan.describe(timed=True).startswith(plan.describe()) and "s on this machine" in plan.describe(timed=True)


def test_an_estimate_runs_the_function_a_few_times(monkeypatch):
    """Once for what is made once, then until time is up, each time on inputs that are there in full."""
    runs = []

    def function(x):
        runs.append(x.ciphertext)
        return x * x

    plan = ckks.plan(function, (2, 64))
    runs.clear()
    plan.seconds()
    assert 3 <= len(runs) <= 10 and len({id(ct) for ct in runs}) == 1 and not runs[0].words.any()
    monkeypatch.setattr("ckks.planning.rehearsal._PATIENCE", 0.0)
    runs.clear()
    plan.seconds()
    assert len(runs) == 2


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


def same(x):
    return x


def two(x, y, *, sign=1):
    return x + sign * y


NONSENSE = {
    "no shapes": (lambda: ckks.plan(moving), SlotError, "no shapes"),
    "no values": (lambda: ckks.plan(moving, 0), SlotError, "integers from 1"),
    "an array": (lambda: ckks.plan(same, np.zeros((3, 4))), SlotError, r"ckks.plan\(function, \(3, 4\)\)"),
    "an array of integers": (lambda: ckks.plan(same, np.array([3, 4])), SlotError, "in place of a shape"),
    "a list of values": (lambda: ckks.plan(same, [0.5, 2.0]), SlotError, "integers from 1"),
    "a truth value": (lambda: ckks.plan(same, True), SlotError, "integers from 1"),
    "a text": (lambda: ckks.plan(same, "16"), SlotError, "integers from 1"),
    "an empty shape": (lambda: ckks.plan(same, ()), SlotError, "integers from 1"),
    "too wide": (lambda: ckks.plan(same, 100_000), SlotError, r"has 65536 slots: .* \(2, 65536\)"),
    "too many slots": (lambda: ckks.plan(same, 16, slots=2**17), SlotError, "has 65536 slots"),
    "slots of a fraction": (lambda: ckks.plan(same, 16, slots=32.0), SlotError, "power of two"),
    "no slots": (lambda: ckks.plan(same, 16, slots=0), SlotError, "power of two"),
    "too many ranges": (lambda: ckks.plan(moving, 16, ranges=(1.0, 2.0)), RangeError, "for 1 input"),
    "a negative range": (lambda: ckks.plan(moving, 16, ranges=-1.0), RangeError, "positive"),
    "no range": (lambda: ckks.plan(moving, 16, ranges=0.0), RangeError, "positive"),
    "not a range": (lambda: ckks.plan(moving, 16, ranges="1"), RangeError, "positive"),
    "two ends": (lambda: ckks.plan(same, 16, ranges=(-3, 2)), RangeError, "look like two ends.*ranges=3"),
    "two ends, two inputs": (lambda: ckks.plan(two, 16, 16, ranges=(0, 2)), RangeError, "two ends.*ranges=2"),
    "ends of each": (lambda: ckks.plan(two, 16, 16, ranges=[(0, 1), (0, 2)]), RangeError, "positive number"),
    "infinite range": (lambda: ckks.plan(same, 16, ranges=float("inf")), RangeError, "positive number"),
    "a ring degree": (lambda: ckks.plan(same, 16, params=8192), ParameterError, "params=8192; needed CKKSParams"),
    "no precision": (lambda: ckks.plan(same, 16, precision_bits=0), ParameterError, "above 0"),
    "negative precision": (lambda: ckks.plan(same, 16, precision_bits=-3), ParameterError, "above 0"),
    "precision nan": (lambda: ckks.plan(same, 16, precision_bits=float("nan")), ParameterError, "above 0"),
    "precision as text": (lambda: ckks.plan(same, 16, precision_bits="20"), ParameterError, "above 0"),
    "too much precision": (lambda: ckks.plan(tower, 16, precision_bits=60), ParameterError, "not reached"),
    "strange security": (lambda: ckks.plan(same, 16, security=100), ParameterError, "128, 192 or 256"),
    "no function": (lambda: ckks.plan(16, same), ParameterError, "function of type int"),
    "too few inputs": (lambda: ckks.plan(two, 16), ParameterError, "1 shape for two.*missing.*'y'"),
    "too many inputs": (lambda: ckks.plan(two, 16, 16, 16), ParameterError, "3 shapes for two.*too many"),
    "a number": (lambda: ckks.plan(lambda x: 3, 16), TypeError, "returned int"),
    "a number among others": (lambda: ckks.plan(lambda x: [x, 3.0], 16), TypeError, "returned float"),
    "nothing": (lambda: ckks.plan(lambda x: None, 16), TypeError, "is there a `return`"),
    "none of them": (lambda: ckks.plan(lambda x: [], 16), TypeError, "returned list"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused(name):
    call, error, text = NONSENSE[name]
    with pytest.raises(error, match=text):
        call()


def test_an_error_of_the_function_itself_goes_through():
    def wrong(x):
        return x + len(3)

    with pytest.raises(TypeError, match="has no len"):
        ckks.plan(wrong, 16)


def test_functions_without_a_signature_are_simply_called():
    plan = ckks.plan(operator.add, 16, 16)
    assert plan.depth == 0 and len(plan.shapes) == 2


def test_a_plan_for_given_parameters_is_theirs():
    params = CKKSParams.for_depth(3, precision_bits=30)
    plan = ckks.plan(moving, 64, params=params)
    assert plan.params is params and plan.depth == 1 and plan.results[0].level == 2


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("budget", [0.15, 0.0], ids=["carried out", "counted"])
def test_time_is_what_it_says(threads, budget, monkeypatch):
    """Within 30 %, as a median of alternating runs; `python -m benchmarks.plan` has more of them."""
    monkeypatch.setattr("ckks.planning.rehearsal._BUDGET", budget)
    plan = ckks.plan(tower, 4096)
    generator = KeyGenerator(plan.params, Rng(1))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    x = EncryptedVector(Encryptor(plan.params, secret).encrypt(np.ones(4096)), evaluator)
    ratios = []
    with kernels.threads(threads):
        for _ in range(15):
            start = time.perf_counter()
            _ = tower(x).ciphertext
            spent = time.perf_counter() - start
            ratios.append(plan.seconds() / spent)
    assert 0.7 < statistics.median(ratios) < 1.3, ratios


# ---- the largest of many errors --------------------------------------------------------------------------------------

SIZES = {
    "one": [1.0],
    "a few": [1.0, 1.0, 0.5],
    "one above others": [1.0, 0.2, 0.2, 0.1],
    "many": [0.3] * 40,
}


@pytest.mark.parametrize("name", SIZES)
def test_the_largest_error_is_that_of_products_with_the_secret(name):
    """e(z) s(z) at one root for each size, several errors sharing a value of the secret: drawn and looked at."""
    sizes, count, draws = SIZES[name], 10, 400_000
    rng = np.random.default_rng(7)

    def gaussian():
        return (rng.normal(size=draws) + 1j * rng.normal(size=draws)) / np.sqrt(2)

    total = np.zeros(draws)
    for size in sizes:
        secret = gaussian()
        for share in (0.6, 0.8):  # 0.36 + 0.64 = 1
            total += (size * share * gaussian() * secret).real
    found = largest_of(count, sizes)
    allowed = draws / (1000 * count)  # of as many single errors may be above: one run in a thousand
    above = np.count_nonzero(np.abs(total) > found)
    assert above <= allowed + 3 * np.sqrt(allowed), "not optimistic"
    assert np.count_nonzero(np.abs(total) > found / 1.5) > 2 * allowed, "nor far off"
    assert found <= np.sqrt(np.sum(np.square(sizes))) * np.log(1000 * count) / 2 * (1 + 1e-12)


def test_the_largest_of_few_and_of_nothing():
    assert largest_of(10, []) == largest_of(10, [0.0, 0.0]) == 0.0
    assert largest_of(1, [2.0]) == pytest.approx(2 * np.log(1000) / 2)
    assert largest_of(5, [float("inf"), 1.0]) == largest_of(5, [float("nan"), 1.0]) == float("inf")
    assert largest_of(1000, [1.0] * 4 + [0.0]) == largest_of(1000, [1.0] * 4) < 0.9 * largest_of(1000, [2.0])
    assert largest_of(1000, [1.0]) == largest_of(1000, [0.6, 0.8])  # of two, the bound for one is the better


def test_errors_are_told_apart_by_what_brought_them():
    x = TracedNoise.of(Noise(3.0, 30.0))
    y = x + Noise(4.0, 40.0)
    assert y.by_element == {1: 5.0}
    both = y + y.moved(5, 64)
    assert both.by_element == {1: 5.0, 5: 5.0} and both.std == pytest.approx(np.sqrt(50))
    assert (both + both).by_element == {1: 10.0, 5: 10.0}
    assert TracedNoise.of(Noise(0.0, 1.0)).by_element == {}


@pytest.mark.parametrize("slots", [None, 64])
def test_where_nothing_meets_again_the_forecast_is_that_of_the_expected_error(slots):
    """As every operation states it: half of it times ln(1000 n)."""
    plan = ckks.plan(lambda x, y: x * y, 64, 64, slots=slots)
    generator = KeyGenerator(plan.params, Rng(1))
    secret = generator.secret_key()
    evaluator = Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
    encryptor = Encryptor(plan.params, generator.public_key(secret), Rng(2))
    x, y = (encryptor.encrypt(np.ones(64), bound=1.0, **({} if slots is None else {"slots": slots})) for _ in range(2))
    product = evaluator.multiply(x, y)
    wanted = ckks.expected_error(product) * np.log(1000 * 64) / 2
    assert plan.results[0].max_error == pytest.approx(wanted, rel=0.05)
    assert plan.results[0].worst_error == pytest.approx(ckks.error_bound(product), rel=0.05)
