"""Twenty-nine levels: the deepest preset, all the way down."""

from __future__ import annotations

import numpy as np
import pytest

import ckks
from ckks import kernels


@pytest.mark.parametrize("name", ["native", "numba"])
def test_twenty_nine_squarings(name):
    """x^(2^29) for x near 1 in size (roots of unity), on N = 2^16 with 30 + 6 primes; then one level too many."""
    try:
        kernels.load(name)
    except ckks.errors.BackendError as error:
        pytest.skip(f"backend {name}: {error}")
    params = ckks.CKKSParams.preset("S16")
    assert params.depth == 29 and len(params.moduli) == 30
    with kernels.use(name):
        keygen = ckks.KeyGenerator(params, ckks.Rng(29))
        secret = keygen.secret_key()
        evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
        # Angles that are multiples of 2 pi / 2^12 come round to 1 after twelve squarings, and stay there.
        x = np.exp(2j * np.pi * np.arange(params.slots) / 2**12)
        ct = ckks.Encryptor(params, secret, ckks.Rng(30)).encrypt(x, bound=1 + 2**-40)
        for squarings in range(1, 30):
            ct = evaluator.square(ct)
            if squarings in (1, 12, 29):
                wanted = np.exp(2j * np.pi * (np.arange(params.slots) * 2**squarings % 2**12) / 2**12)
                off = np.abs(ckks.Decryptor(params, secret).decrypt(ct) - wanted).max()
                assert off <= ckks.error_bound(ct)
        with pytest.raises(ckks.errors.LevelError, match="depth 30"):
            evaluator.square(ct)
