from __future__ import annotations

import threading

import numpy as np
import pytest
from kit import make_kit
from params import insecure_small

from ckks import EncryptedVector, functions
from ckks.circuits import Polynomial, approximate, evaluate_normalised, evaluate_polynomial, logistic
from ckks.circuits.functions.extension import Extension
from ckks.circuits.functions.newton import Newton
from ckks.circuits.promises import Promise, listening


@pytest.mark.parametrize(
    ("center", "bound", "proven"), [(5.0, 3.0, True), (5.0, 3.1, False), (3.0, 2.0, False), (6.0, 2.0, True)]
)
def test_what_a_bound_about_a_center_proves(center, bound, proven):
    """[center - bound, center + bound] lies in [2, 8]."""
    assert Promise("x", (2.0, 8.0), bound, center).proven is proven


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


@pytest.mark.parametrize(("bound", "proven"), [(1.0, True), (0.5, True), (1.5, False)])
def test_values_that_came_divided_are_told_in_units_of_the_interval(bound, proven):
    kit, p = make_kit(insecure_small()), Polynomial((0.0, 0.5, 0.0, 0.1), "chebyshev", (2.0, 10.0))
    u = kit.evaluator.with_bound(kit.encrypt([0.5]), bound)
    with listening() as found:
        evaluate_normalised(kit.evaluator, u, p)
    assert found == [Promise("a polynomial of degree 3", (2.0, 10.0), 4 * bound, 6.0)] and found[0].proven is proven


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_a_linear_form_promises_what_its_values_would(offset):
    """weights @ x + offset, folded or computed first: one interval, and the same reach of the same values."""
    kit, w = make_kit(insecure_small(depth=8, value_range=64.0)), np.array([1.5, -0.5])
    x = EncryptedVector(kit.encrypt(np.zeros((2, 4)), bound=3.0), kit.evaluator)
    told = []
    for computed in (False, True):
        form = w @ x + offset
        if computed:
            form = EncryptedVector(form.ciphertext, kit.evaluator)
        with listening() as found:
            functions.sigmoid(form, interval=(-4, 4))
        told.append(found[0])
    folded, plain = told
    assert folded.interval == plain.interval == (-4.0, 4.0) and not folded.proven and not plain.proven
    assert folded.center == plain.center == 0 and folded.bound == pytest.approx(plain.bound) == 6 + offset


CHOSEN = {
    "polynomial": lambda x: functions.function(x, np.exp, interval=(1, 5), degree=3),
    "several": lambda x: functions.polynomials(x, [Polynomial((0.0, 1.0, 0.5), "chebyshev", (1.0, 5.0))] * 2)[0],
    "by slot": lambda x: functions.per_slot(
        x, [Polynomial((0.0, 1.0, 0.5), "chebyshev", (1.0, 5.0))] * 2, np.array([0, 1, 0, 1])
    ),
    "newton": lambda x: functions.function(x, Newton("inverse", approximate(lambda v: 1 / v, (1, 5), degree=3), 1)),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_every_function_of_a_linear_form_tells_its_interval(name):
    kit = make_kit(insecure_small(depth=8, value_range=64.0))
    x = EncryptedVector(kit.encrypt(np.full((1, 4), 3.0), bound=6.0), kit.evaluator)
    with listening() as found:
        CHOSEN[name](np.ones(1) @ x)
    first = found[0]
    assert (first.interval, first.center, first.proven) == ((1.0, 5.0), 3.0, False)
    assert first.bound == pytest.approx(9.0)  # |x| <= 6, so |x - 3| <= 9


def test_an_extension_of_a_linear_form_tells_its_interval():
    kit = make_kit(insecure_small(depth=8, value_range=64.0))
    x = EncryptedVector(kit.encrypt(np.full((1, 4), 3.0), bound=6.0), kit.evaluator)
    with listening() as found:
        functions.function(np.ones(1) @ x, Extension((-4.0, 4.0), 2.0, 1, approximate(logistic, (-2, 2), degree=3)))
    assert (found[0].interval, found[0].center, found[0].proven) == ((-4.0, 4.0), 0.0, False)
    assert found[0].bound == pytest.approx(6.0)
