from __future__ import annotations

import pytest

from ckks.rlwe.noise import Noise
from ckks.rlwe.traced import TracedNoise

A, B = (TracedNoise.of(Noise(std, 10 * std)) for std in (3.0, 4.0))


def test_what_belongs_together_adds_up():
    assert (A + A).std == 6 and (A + A).bound == 60
    assert (A + B).std == 5 and (A + B).bound == 70
    assert (A + B + A.scaled(-2.0)).std == pytest.approx((9.0**2 + 4.0**2) ** 0.5)


def test_plain_errors_are_sources_of_their_own():
    rounding = Noise(4.0, 8.0)
    for total in (A + rounding, rounding + A):
        assert isinstance(total, TracedNoise) and total.std == 5 and total.bound == 38
    twice = A + rounding + rounding
    assert twice.std == pytest.approx((9.0 + 16.0 + 16.0) ** 0.5)


def test_the_same_step_of_the_same_value_is_the_same_source():
    rounding = Noise(4.0, 8.0)
    assert (A + rounding + (A + rounding)).std == 10, "6 and 8: what was rounded twice was rounded alike"
    assert (A + rounding + (A.scaled(2) + rounding)).std == pytest.approx((9.0**2 + 4.0**2 + 4.0**2) ** 0.5)
    assert (A + rounding + (B + rounding)).std == pytest.approx((9 + 16 + 16 + 16) ** 0.5)
    assert (A + rounding + (A.moved(5, 64) + rounding)).std == pytest.approx((9 + 9 + 16 + 16) ** 0.5)
    assert (A.times(B) + B.times(A)).std == 24 and (A.times(B) + A.times(A)).std == 15
    assert (A.parted() + A.parted()).std == 6 and (A.parted() + A).std == pytest.approx(18**0.5)


def test_what_was_made_of_an_error_adds_up_with_it():
    made = A.resized(5.0, 7.0)
    assert (made.std, made.bound) == (5, 7) and (made + A).std == 8 and (made + B).std == pytest.approx(41**0.5)
    of_nothing = A.scaled(0.0).resized(5.0, 7.0)
    assert (of_nothing + A).std == pytest.approx(34**0.5) and (of_nothing + A.scaled(0.0).resized(5.0, 7.0)).std == 10
    assert Noise(1.0, 2.0).resized(5.0, 7.0) == Noise(5.0, 7.0)


def test_products():
    message = Noise(0.5, 2.0)
    for product in (A.times(message), message.times(A)):
        assert isinstance(product, TracedNoise) and product.std == 1.5 and product.bound == 60
        assert (product + A).std == 4.5
    second = A.times(B)
    assert second.std == 12 and second.bound == 1200 and (second + A).std == pytest.approx((144 + 9) ** 0.5)


def test_automorphisms_part_what_belongs_together():
    m = 64
    there = A.moved(5, m)
    assert there.std == A.std and (there + A).std == pytest.approx(18**0.5)
    back = there.moved(pow(5, -1, m), m)
    assert (back + A).std == 6
    assert Noise(1.0, 2.0).moved(5, m) == Noise(1.0, 2.0)


def test_a_conjugate_has_the_same_real_part():
    m = 64
    conjugate = A.moved(m - 1, m)
    assert (conjugate + A).std == 6 and conjugate.by_element == A.by_element
    assert (A.moved(5, m) + A.moved(m - 5, m)).std == 6
    assert (A.moved(5, m).moved(m - 1, m) + A).std == pytest.approx(18**0.5)


def test_nothing_is_nothing():
    nothing = TracedNoise.of(Noise())
    assert nothing.std == 0 and (nothing + A).std == 3 and (A + Noise()).std == 3
