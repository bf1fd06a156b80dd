"""The definition of every kernel, held to the schoolbook: definitions in `naive`, numbers without bound."""

from __future__ import annotations

from itertools import product
from math import prod

import naive
import numpy as np
import pytest
from draws import KINDS, residues
from hypothesis import given
from hypothesis import strategies as st

from ckks import kernels
from ckks.arith import ntt_primes
from ckks.kernels import make_conversion, make_plan
from ckks.kernels.reference import backward, forward, overflow_fraction

RINGS = [(2, 5), (4, 17), (8, 17), (16, 97), (32, 193), (16, 2**50 - 351), (16, 2**61 - 31)]
rings = pytest.mark.parametrize(("n", "q"), RINGS, ids=[f"N={n}/q={q}" for n, q in RINGS])


@rings
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_by_definition(n, q, kind):
    a = residues((q,), n, kind)[0].tolist()
    for psi in {naive.some_root(n, q), q - naive.some_root(n, q)}:
        values = forward(a, q, psi)
        naive.first_difference(values, naive.ntt(a, q, psi))
        naive.first_difference(backward(values, q, psi), a)
        naive.first_difference(backward(a, q, psi), naive.intt(a, q, psi))


@rings
def test_transform_turns_the_ring_product_into_word_products(n, q):
    psi = naive.some_root(n, q)
    a, b = residues((q,), n, seed=1)[0].tolist(), residues((q,), n, seed=2)[0].tolist()
    words = [x * y % q for x, y in zip(forward(a, q, psi), forward(b, q, psi), strict=True)]
    naive.first_difference(backward(words, q, psi), naive.negacyclic_multiply(a, b, q))


def sizes() -> st.SearchStrategy[int]:
    """Odd moduli of all sizes, with the ends of each: the fraction is taken of every source prime."""
    return st.integers(2, 61).flatmap(
        lambda b: st.integers(2 ** (b - 1), 2**b - 1) | st.sampled_from([2 ** (b - 1) + 1, 2**b - 1])
    )


@given(sizes(), st.data())
def test_overflow_fraction_rounds_down_by_less_than_three(d, data):
    y = data.draw(st.integers(0, d - 1) | st.sampled_from([0, 1, d // 2, d - 1]))
    t = overflow_fraction(y, d, (1 << (51 + d.bit_length())) // d)
    loss = y * 2**51 - t * d  # d times the exact fraction minus t
    assert 0 <= loss < (2 if d < 2**52 else 3) * d


def everything(source: tuple[int, ...]) -> list[int]:
    return list(range(prod(source)))


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("source", [(17,), (5, 13), (97, 193), (5, 13, 17)], ids=str)
def test_conversion_of_every_integer(source, centred):
    """All of [0, D): here 3 a D 2^-51 < 1, so nothing centred is inside the inexact band."""
    target = (29, 257)
    x = everything(source)
    words = np.array(naive.split_poly(x, source), dtype=np.uint64)
    with kernels.use("reference"):
        padded = np.zeros((len(source), 1 << len(x).bit_length()), dtype=np.uint64)
        padded[:, : len(x)] = words
        out = kernels.convert(make_conversion(source, target, centred), padded)[:, : len(x)]
    naive.first_difference(out, naive.convert_base(words, source, target, centre=centred))


@pytest.mark.parametrize("centred", [True, False])
def test_conversion_of_mixed_sizes(centred):
    primes = [q for bits in (30, 50, 52, 53, 60, 61) for q in ntt_primes(bits=bits, count=1, n=8)]
    for count, kind in product((1, 2, 3, 5), ("uniform", "extremes")):
        source, target = tuple(primes[:count]), tuple(primes[count:])
        words = residues(source, 8, kind, seed=count)
        with kernels.use("reference"):
            out = kernels.convert(make_conversion(source, target, centred), words)
        naive.first_difference(out, naive.convert_base(words, source, target, centre=centred))


def test_gathers_are_automorphisms():
    n, q = 16, 97
    a = residues((q,), n)
    index = np.array([3, 16 + 5, *range(2, 16)])
    with kernels.use("reference"):
        out = kernels.gather_signed(make_plan(n, (q,)), a, index)
        assert kernels.gather(a, index % n).tolist() == a[:, index % n].tolist()
    naive.first_difference(out[0], [int(a[0, j]) if j < n else -int(a[0, j - n]) % q for j in index.tolist()])
