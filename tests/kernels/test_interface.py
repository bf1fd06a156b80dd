"""Plans and conversion tables: what is validated, what is computed, what is shared."""

from __future__ import annotations

from math import prod

import naive
import pytest
from draws import KINDS

from ckks.arith import ntt_primes
from ckks.errors import HEError, ParameterError
from ckks.kernels import WORD_LIMIT, make_conversion, make_plan

PRIMES = (97, 193, 257)  # all 1 mod 32


def test_a_plan_has_the_least_roots():
    plan = make_plan(16, PRIMES)
    assert (plan.n, plan.moduli, len(plan)) == (16, PRIMES, 3)
    assert plan.roots == tuple(naive.least_root(16, q) for q in PRIMES)
    assert plan.q.tolist() == list(PRIMES)
    with pytest.raises(ValueError, match="read-only"):
        plan.q[0] = 0


def test_a_plan_keeps_given_roots():
    others = tuple(q - naive.least_root(16, q) for q in PRIMES)  # -psi is primitive too
    plan = make_plan(16, PRIMES, others)
    assert plan.roots == others
    assert plan != make_plan(16, PRIMES)


def test_equal_plans_are_one_object():
    plan = make_plan(16, PRIMES)
    assert make_plan(16, PRIMES) is plan
    assert make_plan(16, PRIMES, plan.roots) is plan
    assert plan[:2] is make_plan(16, PRIMES[:2])


@pytest.mark.parametrize("part", [slice(1), slice(1, None), slice(None), slice(None, None, -1), slice(0, 3, 2)])
def test_slices_of_a_plan(part):
    whole = make_plan(16, PRIMES)
    plan = whole[part]
    assert (plan.n, plan.moduli, plan.roots) == (16, PRIMES[part], whole.roots[part])


TOO_LARGE = next(q for q in range(WORD_LIMIT + 1, 2 * WORD_LIMIT, 32))  # primality is not even asked


@pytest.mark.parametrize(
    ("n", "moduli", "roots", "found"),
    [
        (12, PRIMES, None, "12"),
        (0, PRIMES, None, "0"),
        (2**18, PRIMES, None, str(2**18)),
        (16, (), None, "no moduli"),
        (16, (97, 97), None, "not distinct"),
        (16, (2,), None, "2"),
        (16, (1,), None, "1"),
        (16, (-97,), None, "-97"),
        (16, (129,), None, "129"),  # 3 * 43
        (16, (TOO_LARGE,), None, str(TOO_LARGE)),
        (16, (113,), None, "113"),  # 1 mod 16 only
        (16, PRIMES, (1, 1), "2 roots for 3"),
        (16, (97,), (0,), "0 is not a primitive"),
        (16, (97,), (1,), "1 is not a primitive"),
        (16, (97,), (96,), "96 is not a primitive"),
        (16, (97,), (97 + 19,), "116 is not a primitive"),
    ],
)
def test_plans_that_cannot_work(n, moduli, roots, found):
    with pytest.raises(ParameterError) as caught:
        make_plan(n, moduli, roots)
    assert found in str(caught.value)
    assert isinstance(caught.value, HEError) and isinstance(caught.value, ValueError)


def test_the_largest_primes_have_a_plan():
    (q,) = ntt_primes(bits=61, count=1, n=16)
    assert make_plan(16, (q,)).moduli == (q,)


SOURCE = (97, *ntt_primes(bits=50, count=1, n=16), *ntt_primes(bits=61, count=1, n=16))
TARGET = (193, *ntt_primes(bits=55, count=2, n=16))


def test_conversion_constants():
    table = make_conversion(SOURCE, TARGET)
    big_d = prod(SOURCE)
    assert table.centred
    for d, inverse, reciprocal in zip(SOURCE, table.punctured_inverse, table.reciprocal, strict=True):
        assert big_d // d * inverse % d == 1 and 0 <= inverse < d
        assert reciprocal * d <= 2 ** (51 + d.bit_length()) < (reciprocal + 1) * d
        assert reciprocal < 2**52  # fits the 52-bit multiplier
    for p, row, product in zip(TARGET, table.punctured, table.product, strict=True):
        assert row == tuple(big_d // d % p for d in SOURCE)
        assert product == big_d % p


def test_conversions_are_shared():
    assert make_conversion(SOURCE, TARGET) is make_conversion(SOURCE, TARGET)
    assert make_conversion(SOURCE, TARGET, False) is not make_conversion(SOURCE, TARGET)


@pytest.mark.parametrize("count", [0, 1025])
def test_conversion_of_too_few_or_many_primes(count):
    with pytest.raises(ParameterError, match=f"from {count} primes; needed 1 to 1024"):
        make_conversion(tuple(range(3, 3 + count)), TARGET)


def test_kinds_of_inputs_differ():
    """Guards the other tests: no kind of edge input is another one."""
    from draws import residues

    assert len({residues(PRIMES, 16, kind).tobytes() for kind in KINDS}) == len(KINDS)
