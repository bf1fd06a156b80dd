from __future__ import annotations

import threading

import pytest
from kit import make_kit
from params import insecure_small

from ckks.circuits import Polynomial, evaluate_polynomial
from ckks.circuits.promises import Promise, listening


@pytest.mark.parametrize(
    ("interval", "bound", "proven"),
    [((-8.0, 8.0), 8.0, True), ((-8.0, 8.0), 8.1, False), ((-1.0, 8.0), 2.0, False), ((0.0, 1.0), 1.0, False)],
)
def test_what_a_bound_proves(interval, bound, proven):
    assert Promise("x", interval, bound).proven is proven


def test_circuits_tell_what_they_rely_on():
    kit, p = make_kit(insecure_small()), Polynomial((0.0, 0.5, 0.0, 0.1), "chebyshev", (-2.0, 2.0))
    evaluate_polynomial(kit.evaluator, kit.encrypt([0.5], bound=0.5), p)  # nobody listens
    with listening() as found:
        evaluate_polynomial(kit.evaluator, kit.encrypt([0.5], bound=0.5), p)
        evaluate_polynomial(kit.evaluator, kit.evaluator.with_bound(kit.encrypt([0.5]), 3.0), p)
    assert [(one.interval, one.bound, one.proven) for one in found] == [((-2, 2), 0.5, True), ((-2, 2), 3.0, False)]
    with listening() as outer:
        thread = threading.Thread(target=lambda: evaluate_polynomial(kit.evaluator, kit.encrypt([0.5]), p))
        thread.start()
        thread.join()
    assert outer == [], "what another thread does is not ours"
