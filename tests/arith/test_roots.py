"""Roots of unity against the search by definition."""

from __future__ import annotations

import naive
import pytest

from ckks.arith import bit_reverse, bit_reversed_powers, is_primitive_root, least_root, ntt_primes
from ckks.errors import ParameterError

SMALL = [(2, 5), (4, 17), (8, 17), (16, 97), (32, 193), (64, 257), (32, 449)]


@pytest.mark.parametrize("bits", range(9))
def test_bit_reverse(bits):
    found = [bit_reverse(i, bits) for i in range(2**bits)]
    assert found == [naive.bit_reverse(i, bits) for i in range(2**bits)]
    assert [found[i] for i in found] == list(range(2**bits))  # an involution


@pytest.mark.parametrize(("n", "q"), SMALL)
def test_primitive_roots_are_those_of_order_2n(n, q):
    for psi in range(-1, q + 2):
        assert is_primitive_root(psi, n, q) == (0 < psi < q and naive.is_primitive_root(psi, n, q))


@pytest.mark.parametrize(("n", "q"), SMALL)
def test_least_root_by_search(n, q):
    assert least_root(n, q) == naive.least_root(n, q)


@pytest.mark.parametrize("bits", [30, 50, 61])
@pytest.mark.parametrize("n", [8, 64, 256])
def test_least_root_of_large_primes(bits, n):
    """The primitive roots are the odd powers of any of them."""
    q = ntt_primes(bits=bits, count=1, n=n)[0]
    psi = naive.some_root(n, q)
    assert least_root(n, q) == min(pow(psi, k, q) for k in range(1, 2 * n, 2))


def test_least_root_refuses_a_prime_of_another_ring():
    with pytest.raises(ParameterError, match=r"97 is not 1 mod 64.*ntt_primes\(n=32"):
        least_root(32, 97)
    with pytest.raises(ParameterError, match="power of two"):
        least_root(12, 97)


@pytest.mark.parametrize(("n", "q"), SMALL)
def test_bit_reversed_powers(n, q):
    psi = least_root(n, q)
    bits = n.bit_length() - 1
    assert bit_reversed_powers(psi, n, q) == [pow(psi, naive.bit_reverse(i, bits), q) for i in range(n)]
