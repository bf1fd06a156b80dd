"""Levels and scales: what combines with what, and that every path ends at a canonical scale, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from itertools import product as pairs

import numpy as np
import pytest
from kit import Kit, draw, fingerprint, kit_for, make_kit
from params import insecure_pairs, insecure_small

from ckks import CKKSParams, error_bound, expected_error
from ckks.errors import LevelError
from ckks.rlwe import Ciphertext
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT


def waiting(kit: Kit, x: np.ndarray, y: np.ndarray, level: int) -> Ciphertext:
    """x y at `level`, degree 2: not yet rescaled."""
    return kit.evaluator.multiply(kit.encrypt(x, level), kit.encrypt(y, level), rescale=False)


def is_canonical(ct: Ciphertext) -> bool:
    params = ct.params
    return meta_of(ct).scale in (params.scale_at(ct.level), params.scale_at(ct.level, 2))


@pytest.mark.parametrize("degrees", [(1, 1), (1, 2), (2, 1), (2, 2)], ids=str)
def test_every_pair_of_levels_combines(degrees, backend):
    """Sums meet at the lower level, at no cost; products one below, after the rescale that a waiting factor still
    needs. A LevelError comes exactly when there is no such level."""
    kit = kit_for(backend)
    e, top = kit.evaluator, kit.params.top_level
    x, y, one = draw((16,), "real", 1), draw((16,), "real", 2), np.ones(16)
    a, b = (
        {
            level: kit.encrypt(v, level) if degree == 1 else waiting(kit, v, one, level)
            for level in range(degree - 1, top + 1)
        }
        for v, degree in ((x, degrees[0]), (y, degrees[1]))
    )
    for la, lb in pairs(a, b):
        before = fingerprint(a[la], b[lb])
        for operation, wanted in ((e.add, x + y), (e.subtract, x - y)):
            result = operation(a[la], b[lb])
            assert result.level == min(la, lb)
            assert is_canonical(result)
            assert kit.error(result, wanted) <= error_bound(result)
        settled = min(la - degrees[0], lb - degrees[1]) + 1
        if settled == 0:
            with pytest.raises(LevelError):
                e.multiply(a[la], b[lb])
        else:
            result = e.multiply(a[la], b[lb])
            assert result.level == settled - 1
            assert meta_of(result).scale == kit.params.scale_at(result.level)
            assert kit.error(result, x * y) <= error_bound(result)
        assert fingerprint(a[la], b[lb]) == before


# Every way to come down one level, or to stay on one with degree 2: (what to do, from a ciphertext of batch (2,)).
WAYS_DOWN = {
    "product": lambda e, x: e.multiply(x, x),
    "square": lambda e, x: e.square(x),
    "array": lambda e, x: e.multiply(x, np.linspace(-1, 1, 16)),
    "constant": lambda e, x: e.multiply(x, 0.3),
    "complex constant": lambda e, x: e.multiply(x, 0.3 - 0.4j),
    "weighted sum": lambda e, x: e.weighted_sum(x, [0.3, 0.7])[None][[0, 0]],
    "weighted sums": lambda e, x: e.weighted_sum(x, [[0.3, 0.7], [0.1, 0.2]]),
    "dot": lambda e, x: e.dot(x, x)[None][[0, 0]],
    "plaintext": lambda e, x: e.multiply(x, e.encoder.encode(np.linspace(-1, 1, 16), level=x.level)),
    "bring": lambda e, x: e.bring(x, x.level - 1),
    "relinearise": lambda e, x: e.relinearise(e.tensor(x, x), rescale=True),
    "rotated product": lambda e, x: e.rotate(e.multiply(x, x), 1),
}
WAYS_TO_WAIT = {
    "product": lambda e, x: e.multiply(x, x, rescale=False),
    "array": lambda e, x: e.multiply(x, np.linspace(-1, 1, 16), rescale=False),
    "constant": lambda e, x: e.multiply(x, 0.3, rescale=False),
    "complex constant": lambda e, x: e.multiply(x, 0.3 - 0.4j, rescale=False),
    "weighted sum": lambda e, x: e.weighted_sum(x, [0.3, 0.7], rescale=False)[None][[0, 0]],
    "dot": lambda e, x: e.dot(x, x, rescale=False)[None][[0, 0]],
    "plaintext": lambda e, x: e.multiply(x, e.encoder.encode(np.linspace(-1, 1, 16), level=x.level), rescale=False),
    "tensor": lambda e, x: e.tensor(x, x),
}


@pytest.fixture(scope="module", params=[40, 45, 30, 70])
def deep(request) -> Kit:
    """Twelve levels, where the 40th digit of a quotient of scales has room to go astray."""
    params = CKKSParams.generate(
        ring_degree=32,
        depth=12,
        scale_bits=request.param,
        base_bits=request.param + 5,
        num_special=3,
        security=None,
    )
    return make_kit(params)


@pytest.mark.parametrize("way", WAYS_DOWN)
def test_scales_are_canonical_all_the_way_down(way, deep):
    ct = deep.encrypt(np.ones((2, 16)))
    while ct.level:
        ct = deep.evaluator.with_bound(WAYS_DOWN[way](deep.evaluator, ct), 1.0)
        assert meta_of(ct).scale == deep.params.scale_at(ct.level), f"at level {ct.level}"


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
def test_waiting_products_have_the_square_of_the_scale(way, deep):
    """Degree 2 is as canonical as degree 1, so that sums of such products share one rescale."""
    for level in range(1, deep.params.top_level + 1):
        ct = WAYS_TO_WAIT[way](deep.evaluator, deep.encrypt(np.ones((2, 16)), level))
        assert (ct.level, meta_of(ct).scale) == (level, deep.params.scale_at(level, 2)), f"at level {level}"
        assert meta_of(deep.evaluator.rescale(ct)).scale == deep.params.scale_at(level - 1), f"at level {level}"


@pytest.mark.parametrize(("one", "other"), list(pairwise(WAYS_TO_WAIT)))
def test_waiting_products_of_different_kinds_add_up(one, other, deep):
    """The documented use of rescale=False: sums of such products share one rescale, at every level."""
    e = deep.evaluator
    for level in range(1, deep.params.top_level + 1):
        ct = deep.encrypt(np.ones((2, 16)), level)
        total = e.add(WAYS_TO_WAIT[one](e, ct), WAYS_TO_WAIT[other](e, ct))
        assert total.level == level, f"at level {level}"


@pytest.mark.parametrize("scale", [Decimal(2) ** k for k in (28, 35, 39, 41, 46, 60, 80)], ids=lambda s: f"{s:.3g}")
def test_other_scales_come_back(scale, backend):
    """Whatever scale a value was given, it combines with canonical ones and becomes canonical."""
    kit = kit_for(backend)
    e = kit.evaluator
    x, y = draw((16,), "real", 1), draw((16,), "real", 2)
    odd = kit.encrypt(x, scale=scale)
    for level in range(kit.params.top_level):
        result = e.bring(odd, level)
        assert result.level == level and meta_of(result).scale == kit.params.scale_at(level)
        assert kit.error(result, x) <= error_bound(result)
    for level in range(1, kit.params.top_level):
        other = kit.encrypt(y, level)
        total = e.add(odd, other)
        assert kit.error(total, x + y) <= error_bound(total)
        # A value of decent precision may cost no more of it than one at the smaller of the scales has to.
        worst = min(scale, kit.params.scale)
        assert error_bound(total) <= 2.0**-4 if worst < 2**35 else error_bound(total) < 2.0**-15


@pytest.mark.parametrize("level", range(4))
def test_bring_settles_waiting_products(level, backend):
    kit = kit_for(backend)
    x, y = draw((16,), "real", 1), draw((16,), "real", 2)
    result = kit.evaluator.bring(waiting(kit, x, y, kit.params.top_level), level)
    assert result.level == level and meta_of(result).scale == kit.params.scale_at(level)
    assert kit.error(result, x * y) <= error_bound(result)


def test_bring_cannot_go_up():
    kit = make_kit(insecure_small(64))
    low = kit.encrypt([1.0], level=1)
    for level in (2, 3, 4):
        with pytest.raises(LevelError):
            kit.evaluator.bring(low, level)
    with pytest.raises(LevelError, match="0 to 4"):
        kit.evaluator.bring(low, -1)
    assert kit.evaluator.bring(low, 1).level == 1


def test_drop_keeps_words_and_scale(backend):
    kit = kit_for(backend)
    ct = kit.encrypt(draw((16,), "real", 1))
    low = kit.evaluator.drop(ct, 1)
    assert np.shares_memory(low.words, ct.words) and meta_of(low) == meta_of(ct) and low.noise == ct.noise
    for level in (5, 17):
        with pytest.raises(LevelError):
            kit.evaluator.drop(ct, level)
    with pytest.raises(LevelError):
        kit.evaluator.drop(ct, -1)


@pytest.mark.parametrize("factor", [2, 0.5, 3.7, -0.0625 * -1])
def test_with_scale_rereads_the_words(factor, backend):
    kit = kit_for(backend)
    x = draw((16,), "real", 1)
    ct = kit.encrypt(x)
    reread = kit.evaluator.with_scale(ct, EXACT.multiply(meta_of(ct).scale, Decimal(factor)))
    assert reread.words is ct.words or np.shares_memory(reread.words, ct.words)
    assert kit.error(reread, x / factor) <= error_bound(reread)
    assert meta_of(reread).bound == pytest.approx(1 / factor)
    assert expected_error(reread) == pytest.approx(expected_error(ct) / factor)


def test_with_bound_is_the_callers_promise(backend):
    kit = kit_for(backend)
    ct = kit.encrypt([0.25, 0.5])
    promised = kit.evaluator.with_bound(ct, 0.5)
    assert (meta_of(promised).bound, meta_of(promised).rms) == (0.5, 0.5)
    assert error_bound(kit.evaluator.square(promised)) < error_bound(kit.evaluator.square(ct))


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_eight_squarings(kind, backend, figure):
    """L15: depth 8, against exact arithmetic, within the bound that the ciphertext states."""
    kit = kit_for(backend, depth=8)
    x = draw((kit.params.slots,), kind, 1)
    ct, power = kit.encrypt(x), x
    for _ in range(8):
        ct, power = kit.evaluator.square(ct), power * power
        assert kit.error(ct, power) <= error_bound(ct)
        assert meta_of(ct).scale == kit.params.scale_at(ct.level)
        ct = kit.evaluator.with_bound(ct, 1.0)
    assert ct.level == 0
    # The scale is the true quotient of the scales and primes on the way, to the 40 digits it is carried in.
    exact = Fraction(kit.params.scale_at(8))
    for level in range(8, 0, -1):
        exact = exact * exact / kit.params.level_factor(level).as_integer_ratio()[0]
    assert abs(Fraction(meta_of(ct).scale) / exact - 1) < Fraction(2**8, 10**38)
    assert meta_of(ct).scale != 2**40
    figure(
        "L15", f"{backend}, {kind}: 8 squarings off by {kit.error(ct, power):.1e}, stated bound {error_bound(ct):.1e}"
    )
    assert error_bound(ct) < 2.0**-10  # 2^8 times the relative error of one product, 2^-20 at the very worst


def test_expected_error_of_repeated_squaring(backend):
    """e' = 2 m e + r: the error of a square is fully correlated with its factors', and a chain shows it."""
    kit = kit_for(backend)
    x = draw((8, kit.params.slots), "complex", 1)
    ct = kit.encrypt(x)
    for _ in range(4):
        ct, x = kit.evaluator.square(ct), x * x
    rms = np.sqrt(np.mean(np.abs(kit.decrypt(ct) - x) ** 2))
    assert 0.5 <= rms / expected_error(ct) <= 2, f"measured {rms:.3g}, expected {expected_error(ct):.3g}"


@pytest.mark.parametrize("make", [insecure_small, insecure_pairs], ids=lambda m: m.__name__)
def test_plain_values_join_waiting_products(make, backend):
    """What waits for its rescale has the square of the scale, 2^140 with two primes a level: numbers and arrays are
    added at that."""
    kit = kit_for(backend, make)
    x, y = draw((16,), "real", 1), draw((16,), "real", 2)
    product = waiting(kit, x, y, kit.params.top_level)
    for result, wanted in (
        (kit.evaluator.add(product, 0.5), x * y + 0.5),
        (kit.evaluator.add(product, y), x * y + y),
        (kit.evaluator.subtract(product, x), x * y - x),
    ):
        assert result.level == kit.params.top_level
        assert kit.error(result, wanted) <= error_bound(result) + 2.0**-44  # decoding: two transforms in double
        lower = kit.evaluator.rescale(result)
        assert kit.error(lower, wanted) <= error_bound(lower) + 2.0**-44


def test_waiting_products_that_cannot_meet_name_the_depth_that_would_do():
    """Their scales differ in the last digits, and a rescale leads them to level 0, where nothing can be aligned."""
    kit = make_kit(insecure_small(64, depth=2))
    e, x = kit.evaluator, kit.encrypt([0.5])
    low, dropped = e.bring(x, 1), e.drop(x, 1)
    one, other = e.relinearise(e.tensor(low, low)), e.relinearise(e.tensor(low, dropped))
    assert meta_of(one).scale != meta_of(other).scale
    with pytest.raises(LevelError, match="for_depth"):
        e.add(one, other)
