"""Primality by trial division, and every search for NTT primes by listing all candidates."""

from __future__ import annotations

from itertools import islice

import naive
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckks.arith import is_prime, nearest_primes, ntt_primes, primes_below
from ckks.arith.primes import check_ring_degree
from ckks.errors import ParameterError


def test_small_numbers():
    assert [n for n in range(-5, 4000) if is_prime(n)] == [n for n in range(4000) if n > 1 and naive.is_prime(n)]


@pytest.mark.parametrize(
    "n",
    [
        pytest.param(561, id="Carmichael"),
        pytest.param(1729, id="Carmichael 1729"),
        pytest.param(41041, id="Carmichael of four factors"),
        # Strong pseudoprimes to the first 1, 2, 3, 4, 5, 6, 8 and 11 prime bases.
        2047,
        1373653,
        25326001,
        3215031751,
        2152302898747,
        3474749660383,
        341550071728321,
        3825123056546413051,
        pytest.param((2**31 - 1) ** 2, id="square of a prime"),
        pytest.param((2**30 - 35) * (2**31 - 1), id="product of two primes"),
    ],
)
def test_pseudoprimes_are_composite(n):
    assert not is_prime(n)


@pytest.mark.parametrize("n", [2**31 - 1, 2**50 - 27, 2**61 - 1, 2**64 - 59])
def test_known_primes(n):
    assert is_prime(n)


@given(st.integers(2, 2**31), st.integers(2, 2**31))
def test_products_are_composite(a, b):
    assert not is_prime(a * b)


def candidates(step: int, limit: int) -> list[int]:
    return [q for q in range(step + 1, limit, step) if naive.is_prime(q)]


@pytest.mark.parametrize("n", [2, 8, 16, 64])
@pytest.mark.parametrize("target", [1, 2, 15, 17, 97, 100, 1000, 1025, 7681, 9999])
def test_nearest_primes_are_sorted_by_distance(n, target):
    every = sorted(candidates(2 * n, 4 * target + 64 * n), key=lambda q: (abs(q - target), q))
    count = min(25, len(every))
    assert list(islice(nearest_primes(target, n=n), count)) == every[:count]


@pytest.mark.parametrize(("target", "first"), [(105, [97, 113]), (145, [113, 97, 193])])
def test_nearest_primes_takes_the_smaller_on_a_tie(target, first):
    """105 lies between two candidates; 145 = 1 mod 16 is one itself, and midway between each two of the others."""
    found = list(islice(nearest_primes(target, n=8), 12))
    assert found[: len(first)] == first
    assert found == sorted(found, key=lambda q: (abs(q - target), q))


@pytest.mark.parametrize("bits", [30, 40, 49])
def test_nearest_primes_of_a_large_target(bits):
    """Nothing nearer is left out: every candidate between the nearest and the farthest found is prime or was found."""
    n, target = 1024, 2**bits + 12345
    found = list(islice(nearest_primes(target, n=n), 6))
    reach = max(abs(q - target) for q in found)
    first = (target - reach) // (2 * n) * 2 * n + 1
    between = [q for q in range(first, target + reach + 1, 2 * n) if abs(q - target) <= reach and is_prime(q)]
    assert sorted(between) == sorted(found)


@pytest.mark.parametrize("n", [2, 8, 64])
@pytest.mark.parametrize("limit", [5, 17, 18, 97, 98, 1000, 7681, 7682])
def test_primes_below_lists_all_of_them(n, limit):
    assert list(primes_below(limit, n=n)) == candidates(2 * n, limit)[::-1]


@pytest.mark.parametrize("n", [2, 8, 32])
@pytest.mark.parametrize("bits", [5, 8, 11, 13])
def test_ntt_primes_of_exact_size(n, bits):
    every = [q for q in candidates(2 * n, 2**bits) if q.bit_length() == bits][::-1]
    for count in {0, 1, len(every)} - {c for c in (0, 1) if c > len(every)}:
        assert ntt_primes(bits=bits, count=count, n=n) == tuple(every[:count])
    with pytest.raises(ParameterError, match=f"only {len(every)} primes of {bits} bits"):
        ntt_primes(bits=bits, count=len(every) + 1, n=n)
    if len(every) > 2:
        avoid = (every[0], every[2])
        assert ntt_primes(bits=bits, count=2, n=n, avoid=avoid) == tuple(q for q in every if q not in avoid)[:2]


@pytest.mark.parametrize("bits", [30, 40, 50, 55, 60, 61])
def test_ntt_primes_of_kernel_sizes(bits):
    n = 2**15
    found = ntt_primes(bits=bits, count=2, n=n)
    assert len(set(found)) == 2 and list(found) == sorted(found, reverse=True)
    assert all(q.bit_length() == bits and q % (2 * n) == 1 and is_prime(q) for q in found)


def test_the_smallest_prime_size():
    assert ntt_primes(bits=3, count=1, n=2) == (5,)
    assert ntt_primes(bits=61, count=1, n=2)[0].bit_length() == 61


@pytest.mark.parametrize("bits", [-1, 0, 2, 62, 64])
def test_ntt_primes_refuses_sizes_outside_the_kernels(bits):
    with pytest.raises(ParameterError, match=r"needed 3\.\.61"):
        ntt_primes(bits=bits, count=1, n=8)


@pytest.mark.parametrize("n", [0, 1, 3, 48, -8, 2**18, 8.0, "8", None, True])
def test_ring_degree_has_to_be_a_power_of_two(n):
    with pytest.raises(ParameterError, match="power of two"):
        check_ring_degree(n)
    with pytest.raises(ParameterError, match="power of two"):
        ntt_primes(bits=30, count=1, n=n)


@pytest.mark.parametrize("log_n", range(1, 18))
def test_ring_degrees(log_n):
    check_ring_degree(2**log_n)
