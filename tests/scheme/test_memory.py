"""How much memory an operation needs beside its keys: the small sibling of `python -m benchmarks.memory`."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from ckks import Ciphertext, CKKSParams, Encryptor, Evaluator, KeyGenerator, kernels
from ckks.ring import Rng

SHARE = 4
"""No operation may need more than this many times the bytes of what goes in and comes out."""


@pytest.fixture(scope="module")
def wide():
    """26 limbs in six digits, as deep circuits on N = 2^16 have them; (evaluator, two ciphertexts)."""
    params = CKKSParams.generate(
        ring_degree=2**11, depth=25, scale_bits=45, base_bits=50, num_special=5, special_bits=50, security=None
    )
    assert (len(params.moduli), len(params.digits(25))) == (26, 6)
    keygen = KeyGenerator(params, Rng(5))
    secret = keygen.secret_key()
    evaluator = Evaluator(params, keygen.evaluation_keys(secret, rotations=[1]))
    encryptor = Encryptor(params, secret, Rng(6))
    return evaluator, *(encryptor.encrypt(np.full(params.slots, value)) for value in (0.5, 0.25))


def peak_of(operation: Callable[[], Ciphertext]) -> tuple[int, int]:
    """(bytes that an operation holds at most beside what was there before, bytes of its result).

    Its second run, for which the pool has all blocks: what tracemalloc sees then is everything but arrays.
    """
    operation()
    gc.collect()
    before = kernels.memory_report()
    kernels.reset_peak()
    tracemalloc.start()
    try:
        result = operation()
        elsewhere = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    after = kernels.memory_report()
    assert after.fresh == before.fresh
    assert after.live - before.live >= result.nbytes
    return after.peak - before.live + elsewhere, result.nbytes


def test_a_product_needs_four_times_its_operands_at_most(wide):
    evaluator, a, b = wide
    peak, result = peak_of(lambda: evaluator.multiply(a, b))
    operands = a.nbytes + b.nbytes + result
    assert operands == 8 * 2**11 * 2 * (26 + 26 + 25)
    assert a.nbytes + b.nbytes + peak <= SHARE * operands


def test_a_sum_needs_its_result_only(wide):
    evaluator, a, b = wide
    peak, result = peak_of(lambda: evaluator.add(a, b))
    assert result <= peak <= result * 5 // 4 + 2**14  # a free block may be a quarter larger; some Python objects


def test_a_deep_circuit_lives_in_the_blocks_of_its_top(wide):
    """Level after level takes blocks of the one before, although no two levels need the same sizes."""
    evaluator, a, _ = wide
    kernels.release()
    start = kernels.memory_report()
    x = a
    for _ in range(12):
        x = evaluator.square(x)
    end = kernels.memory_report()
    assert end.reused - start.reused > end.fresh - start.fresh


def test_the_size_of_keys(wide):
    """What `sizes` promises, and twice that with a rotation: two polynomials over QP for each digit."""
    evaluator, *_ = wide
    params, keys = evaluator.params, evaluator.keys
    assert keys.relin.nbytes == params.sizes()["switching_key"] == 6 * 2 * 31 * 2**11 * 8
    assert keys.nbytes == 2 * keys.relin.nbytes
