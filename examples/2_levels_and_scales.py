"""Where the scale goes: what a product does to it, and why nobody has to keep the books.

A number z is encoded as round(S z). A product of two such integers has the scale S^2, and one *rescale*, a division by
the prime at the top of the modulus, brings it back to about S. Each rescale uses up one level of the chain.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

import ckks
from ckks.errors import LevelError


def main() -> None:
    """Follow one value down the chain."""
    params = ckks.CKKSParams.preset("S13")
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    encryptor = ckks.Encryptor(params, keygen.public_key(secret))
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
    x = np.linspace(-1, 1, params.slots)
    ct = encryptor.encrypt(x)

    # "About S" is not good enough: after a few products, sums of values with slightly different scales would be off.
    # So every level has one canonical scale, S_{l-1} = S_l^2 / q_l, and primes are chosen so that it hardly moves.
    for level in reversed(range(params.depth + 1)):
        drift = float(params.scale_at(level) / params.scale - 1)
        print(f"level {level}: S = 2^38 (1 {drift:+.1e}), primes {params.levels[level]}")

    # The pieces, one at a time: a raw product has three parts and the product of the scales ...
    raw = evaluator.tensor(ct, ct)
    print("tensor:      ", raw)
    # ... relinearisation makes two parts of three, with the key for s^2 ...
    linear = evaluator.relinearise(raw)
    print("relinearised:", linear)
    # ... and rescaling divides words and scale by q_l. The result has exactly the canonical scale of its level.
    square = evaluator.rescale(linear)
    print("rescaled:    ", square)
    assert square.meta.scale == params.scale_at(square.level)

    # multiply() does all three, the last two in one division. Operands of different levels are aligned by one integer.
    cube = evaluator.multiply(square, ct)
    total = evaluator.add(cube, ct)
    print("x^3 + x:     ", total)
    error = np.abs(ckks.Decryptor(params, secret).decrypt(total) - (x**3 + x)).max()
    print(f"largest error 2^{np.log2(error):.1f}")
    assert error <= ckks.error_bound(total)

    # Reading the same words at half the scale doubles the value, for free.
    doubled = evaluator.with_scale(ct, ct.meta.scale / Decimal(2))
    assert np.allclose(ckks.Decryptor(params, secret).decrypt(doubled), 2 * x, atol=1e-6)

    # When the chain ends, the error says how deep it should have been.
    try:
        evaluator.square(evaluator.square(total))
    except LevelError as error_text:
        print("LevelError:", error_text)


if __name__ == "__main__":
    main()
