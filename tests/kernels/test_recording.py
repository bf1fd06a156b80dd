"""A source that computes nothing: shapes, counts, and what it leaves alone."""

from __future__ import annotations

import inspect
import threading

import numpy as np
import pytest
from kit import make_kit
from params import insecure_pairs, insecure_small

from ckks import kernels
from ckks.kernels import fused
from ckks.kernels.interface import Kernels
from ckks.kernels.recording import LOOPS, Recorder, recording


def circuit(kit, x):
    evaluator = kit.evaluator
    y = evaluator.multiply(x, x)
    y = evaluator.add(evaluator.rotate(y, 1), evaluator.rotate_sum(y, (1, 2)))
    y = evaluator.weighted_sum(evaluator.subtract(y, 0.5), [0.5, 0.25])
    a, b = evaluator.rotate_many(y, (1, 2))
    three = evaluator.tensor(x[0], x[1])
    return evaluator.dot(x, x), three, evaluator.multiply(a, np.linspace(0, 1, kit.params.slots)), evaluator.negate(b)


@pytest.mark.parametrize("make", [insecure_small, insecure_pairs])
@pytest.mark.parametrize("threads", [1, 2])
def test_shapes_and_metadata_are_those_of_a_real_run(backend, make, threads):
    kit = make_kit(make(64))
    x = kit.encrypt(np.zeros((2, kit.params.slots)))
    with kernels.threads(threads):
        real = circuit(kit, x)
        with recording() as recorder:
            dry = circuit(kit, x)
        assert kernels.active().name != recorder.name
    for one, other in zip(real, dry, strict=True):
        assert one.words.shape == other.words.shape
        assert (one.level, one.meta, one.noise) == (other.level, other.meta, other.noise)
    counted = {call.name: count for call, count in recorder.calls}
    assert {"switch_product", "switch_sum", "switch_digits", "weighted_sum", "tensor", "dot"} <= set(counted)


def test_calls_of_a_kind_are_counted_together():
    kit = make_kit(insecure_small())
    x = kit.encrypt(np.zeros((3, 4)))
    with recording() as recorder:
        for _ in range(5):
            kit.evaluator.rotate(x, 1)
        kit.evaluator.rotate(x[0], 1)
        kit.evaluator.rotate(kit.evaluator.drop(x, 1), 1)
    assert [(call.name, call.items, count) for call, count in recorder.calls] == [
        ("switch", 3, 5),
        ("switch", 1, 1),
        ("switch", 3, 1),
    ]


def test_calls_arrive_whole_however_many_threads_there_are():
    kit, seen = make_kit(insecure_small()), []
    x = kit.encrypt(np.zeros((2, kit.params.slots)))
    for count in (1, 3):
        with kernels.threads(count), recording() as recorder:
            circuit(kit, x)
            assert kernels.num_threads() == 1
        seen.append([(call.name, call.arguments[-1], times) for call, times in recorder.calls if call.name in LOOPS])
    assert seen[0] == seen[1] and seen[0]


def test_other_threads_go_on_computing():
    kit, found = make_kit(insecure_small()), []
    x = kit.encrypt([0.25, 0.5])

    def work():
        found.append(kit.decrypt(kit.evaluator.multiply(x, x)))

    with recording() as recorder:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    np.testing.assert_allclose(found[0], [0.0625, 0.25], atol=1e-6)
    assert recorder.calls == []


def test_every_loop_of_a_circuit_is_known():
    """What the interface has besides is for keys and bytes."""
    loops = {name for name, _ in inspect.getmembers(Kernels, inspect.isfunction) if not name.startswith("_")}
    assert loops - LOOPS == {"describe", "take_below", "take_ternary", "binomial", "pack", "unpack"}
    compositions = {name for name, f in inspect.getmembers(fused, inspect.isfunction) if f.__module__ == fused.__name__}
    assert {n for n in compositions if not n.startswith("_")} - {"inner"} <= set(vars(Recorder))
