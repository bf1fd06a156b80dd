"""Slots cannot be indexed, but they can be rotated: inner products, moving averages, and what hoisting saves.

X -> X^(5^k) permutes the slots cyclically by k. The permuted ciphertext is under a permuted key, and a *switching key*
leads back: one for each rotation that a circuit uses, so generate only those.
"""

from __future__ import annotations

import time

import numpy as np

import ckks


def main() -> None:
    """Rotate, average, and take an inner product."""
    # A sum of 4096 products may reach 4096; saying so leaves room for it in the modulus.
    params = ckks.CKKSParams.for_depth(1, precision_bits=20, value_range=4096)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    window = 8
    powers = [2**i for i in range(params.slots.bit_length() - 1)]
    keys = keygen.evaluation_keys(secret, relin=False, rotations=[*powers, *range(window)])
    print(keys)
    evaluator = ckks.Evaluator(params, keys)
    decryptor = ckks.Decryptor(params, secret)

    x = np.random.default_rng(0).uniform(-1, 1, params.slots)
    ct = ckks.Encryptor(params, secret).encrypt(x, bound=1)

    assert np.allclose(decryptor.decrypt(evaluator.rotate(ct, 1)), np.roll(x, -1), atol=1e-5)

    # A moving average needs eight rotations of one ciphertext. Most of the work of a rotation, decomposing c_1 into
    # digits, does not depend on the rotation: rotate_many does it once.
    start = time.perf_counter()
    rotated = evaluator.rotate_many(ct, range(window))
    hoisted = time.perf_counter() - start
    start = time.perf_counter()
    single = [evaluator.rotate(ct, k) for k in range(window)]
    print(
        f"{window} rotations: hoisted {1e3 * hoisted:.1f} ms, one by one {1e3 * (time.perf_counter() - start):.1f} ms"
    )
    assert all(np.array_equal(a.words, b.words) for a, b in zip(rotated, single, strict=True))

    average = rotated[0]
    for r in rotated[1:]:
        average = evaluator.add(average, r)
    average = evaluator.multiply(average, 1 / window)
    expected = sum(np.roll(x, -k) for k in range(window)) / window
    print(f"moving average: largest error {np.abs(decryptor.decrypt(average) - expected).max():.1e}")

    # An inner product with plain weights: multiply, then rotate and add log2(N/2) times. Every slot holds the sum.
    w = np.random.default_rng(1).uniform(-1, 1, params.slots)
    inner = ckks.EncryptedVector(ct, evaluator) @ w
    values = decryptor.decrypt(inner)
    print(f"inner product {values[0]:.6f}, expected {x @ w:.6f}")
    assert np.abs(values - x @ w).max() <= ckks.error_bound(inner.ciphertext)


if __name__ == "__main__":
    main()
