"""N = 2^17, the largest ring: a product and a rotation, and the transforms of every preset."""

from __future__ import annotations

import numpy as np
import pytest

from ckks import CKKSParams, Decryptor, Encryptor, Evaluator, KeyGenerator, error_bound, kernels
from ckks.errors import BackendError
from ckks.ring import Rng
from ckks.scheme.params import PRESETS

N = 2**17


def test_a_product_and_a_rotation():
    """Encryption under the public key, both switches, decryption, with a secure set."""
    params = CKKSParams.generate(
        ring_degree=N, depth=1, scale_bits=40, base_bits=50, num_special=1, special_bits=50, security=128
    )
    keygen = KeyGenerator(params, Rng(17))
    secret = keygen.secret_key()
    encryptor = Encryptor(params, keygen.public_key(secret), Rng(18))
    evaluator = Evaluator(params, keygen.evaluation_keys(secret, rotations=(3,)))
    x, y = np.cos(np.arange(params.slots)), np.sin(np.arange(params.slots) / 3)
    result = evaluator.rotate(evaluator.multiply(encryptor.encrypt(x), encryptor.encrypt(y)), 3)
    error = np.abs(Decryptor(params, secret).decrypt(result) - np.roll(x * y, -3)).max()
    assert error <= error_bound(result) < 2.0**-10


@pytest.mark.parametrize("name", PRESETS)
def test_transforms_of_presets(name):
    """Base and special primes: there and back on numba, and the same words as compiled kernels."""
    params = CKKSParams.preset(name)
    plan = params.extended_basis(0).plan
    rng = np.random.default_rng(1)
    x = np.stack([rng.integers(0, q, plan.n, dtype=np.uint64) for q in plan.moduli])
    with kernels.use("numba"):
        values = kernels.ntt(plan, x)
        assert np.array_equal(kernels.intt(plan, values), x)
    try:
        with kernels.use("native"):
            assert np.array_equal(kernels.ntt(plan, x), values)
    except BackendError as error:
        pytest.skip(str(error))
