"""A source that computes while time lasts: what it carries out, what it counts, and what the sum is."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from kit import make_kit
from params import insecure_small

from ckks import kernels
from ckks.kernels import sampling as module
from ckks.kernels.recording import recording
from ckks.kernels.sampling import sampling

PLAN = kernels.make_plan(64, (12289,))


class Clock:
    """Stands still unless something takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock that only kernels move: `ntt` takes 1 s, the first time 5 s, `add` takes 0.25 s."""
    found, real, times = Clock(), {name: getattr(kernels, name) for name in ("ntt", "add")}, {"ntt": [5.0], "add": []}
    monkeypatch.setattr(module, "time", found)
    seen = []

    def slow(name, usual):
        def call(*arguments):
            seen.append((name, kernels.active().name, kernels.num_threads()))
            found.now += times[name].pop() if times[name] else usual
            return real[name](*arguments)

        return call

    replaced = {"ntt": slow("ntt", 1.0), "add": slow("add", 0.25)}

    class Kernels:
        """What `sampling` calls."""

        def __getattr__(self, name):
            return replaced.get(name) or getattr(kernels, name)

    monkeypatch.setattr(module, "kernels", Kernels())
    found.seen = seen
    return found


def circuit(clock):
    x = kernels.zeros((1, 64))
    for _ in range(10):
        x = kernels.ntt(PLAN, x)
        clock.now += 0.5  # Python
        kernels.add(PLAN, x, x)


@pytest.mark.parametrize(
    ("budget", "carried_out", "seconds"),
    [
        (100.0, 20, 5 + 9 + 10 * 0.25 + 10 * 0.5),  # all: the time it takes
        (0.0, 2, 10 * 5 + 10 * 0.25 + 10 * 0.5),  # the first of each kind, times ten
        (6.0, 3, 10 * (5 + 1) / 2 + 10 * 0.25 + 10 * 0.5),  # 5 + 0.25 + 1 is more than 6
    ],
)
def test_the_estimate_is_counts_times_means(clock, budget, carried_out, seconds):
    with sampling(budget) as sampler:
        circuit(clock)
    assert len(clock.seen) == carried_out
    assert sampler.seconds == pytest.approx(seconds)


def test_what_is_carried_out_runs_as_it_would_outside(clock):
    name = kernels.active().name
    with kernels.threads(2), sampling(100.0):
        assert (kernels.active().name, kernels.num_threads()) == ("sampler", 1)
        circuit(clock)
    assert set(clock.seen) == {("ntt", name, 2), ("add", name, 2)}


def run(kit, x):
    evaluator = kit.evaluator
    y = evaluator.add(evaluator.rotate(evaluator.multiply(x, x), 1), evaluator.rotate_sum(x, (1, 2)))
    a, b = evaluator.rotate_many(evaluator.weighted_sum(y, [0.5, 0.25]), (1, 2))
    return evaluator.dot(x, x), evaluator.multiply(a, np.linspace(0, 1, kit.params.slots)), evaluator.negate(b)


@pytest.mark.parametrize("threads", [1, 2])
def test_with_time_enough_it_is_a_real_run(backend, threads):
    kit = make_kit(insecure_small(64))
    x = kit.encrypt(np.linspace(-1, 1, 2 * kit.params.slots).reshape(2, -1))
    with kernels.threads(threads):
        real = run(kit, x)
        with sampling(1e9) as sampler:
            again = run(kit, x)
    assert sampler.seconds > 0
    for one, other in zip(real, again, strict=True):
        assert np.array_equal(one.words, other.words) and one.noise == other.noise


def test_without_time_every_kind_is_carried_out_once():
    kit = make_kit(insecure_small(64))
    x = kit.encrypt(np.ones((2, kit.params.slots)))
    with recording() as recorder:
        first = run(kit, x)
        run(kit, x)
    with sampling(0.0) as sampler:
        second = run(kit, x)
        run(kit, x)
    tallies = sampler._tallies.values()
    assert [one.calls for one in tallies] == [count for _, count in recorder.calls]
    assert {one.done for one in tallies} == {1}
    for one, other in zip(first, second, strict=True):
        assert (one.words.shape, one.level, one.noise) == (other.words.shape, other.level, other.noise)


def test_what_is_left_out_is_zero():
    """As residues of any modulus are: a checking mode, or a later call, may look at them."""
    x = kernels.empty((1, 64))
    x.fill(1)
    with sampling(0.0):
        found = [kernels.add(PLAN, x, x) for _ in range(3)]
        kernels.add(PLAN, x, x, out := kernels.zeros((1, 64)) + 7)
    assert (found[0] == 2).all() and not found[1].any() and not found[2].any() and not out.any()


def test_other_threads_go_on_computing():
    kit, found = make_kit(insecure_small()), []
    x = kit.encrypt([0.25, 0.5])

    def work():
        found.append(kit.decrypt(kit.evaluator.multiply(x, x)))

    with sampling(0.0) as sampler:
        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    np.testing.assert_allclose(found, [[0.0625, 0.25]] * 2, atol=1e-6)
    assert not sampler._tallies


def test_an_error_ends_it():
    with pytest.raises(RuntimeError, match="of the circuit"), sampling(0.0):
        raise RuntimeError("of the circuit")
    assert kernels.active().name != "sampler"
    with sampling(0.0), pytest.raises(AttributeError):
        kernels.active().warmup  # noqa: B018 - what is no loop is not there
