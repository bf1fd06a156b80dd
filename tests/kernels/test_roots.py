"""Least roots by doubling are those by walking, for every width of a prime and at the ends of the words."""

from __future__ import annotations

import numpy as np
import pytest

from ckks import arith
from ckks.arith.roots import some_root
from ckks.kernels import roots


@pytest.mark.parametrize("n", [2, 8, roots.SMALLEST // 2, roots.SMALLEST, 1024, 4096])
def test_the_least_root_is_the_one_by_walking(n: int) -> None:
    for bits in range(max(3, n.bit_length() + 2), 62):
        q = next(arith.primes_below(2**bits, n=n), None)
        if q is None:
            continue
        psi = roots.least_root(n, q)
        assert psi == arith.least_root(n, q) and arith.is_primitive_root(psi, n, q)


@pytest.mark.parametrize("bits", [3, 20, 31, 32, 33, 50, 60, 61])
def test_products_with_one_number(bits: int) -> None:
    """Words and factors at the ends of [0, q) and anywhere within; any q, prime or not."""
    source = np.random.default_rng(bits)
    for q in (2 ** (bits - 1) + 1, 2**bits - 1):
        x = np.concatenate([[0, 1, q // 2, q - 2, q - 1], source.integers(0, q, 200)]).astype(np.uint64)
        for w in (0, 1, q // 2, q - 1, *map(int, source.integers(0, q, 5))):
            assert roots._times(x, w, q).tolist() == [int(y) * w % q for y in x]


def test_some_root_is_a_root() -> None:
    for q in (17, 97, 12289):
        assert arith.is_primitive_root(some_root(8, q), 8, q)
