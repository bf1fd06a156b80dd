"""Encrypt two vectors, compute on them, decrypt.

The scheme is *approximate*: think of floating-point numbers with an error you can print beforehand.
"""

from __future__ import annotations

import numpy as np

import ckks


def main() -> None:
    """Compute 3 x y - x + 0.5 on encrypted x and y."""
    # Parameters follow from what the circuit needs: one product in a row (depth 1), 20 good bits, values up to 1.
    params = ckks.CKKSParams.for_depth(1, precision_bits=20)
    print(params)

    # The secret key never leaves whoever made it. The public key encrypts; the evaluation keys let a stranger multiply.
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    public, evaluation = keygen.public_key(secret), keygen.evaluation_keys(secret)
    print(secret, public, evaluation, sep="\n")

    # One ciphertext holds N/2 numbers; every operation acts on all of them at once.
    x, y = np.cos(np.arange(params.slots)), np.sin(np.arange(params.slots))
    encryptor = ckks.Encryptor(params, public)
    evaluator = ckks.Evaluator(params, evaluation)
    cx, cy = (ckks.EncryptedVector(encryptor.encrypt(v), evaluator) for v in (x, y))

    result = 3 * (cx * cy) - cx + 0.5
    print(result)

    decrypted = ckks.Decryptor(params, secret).decrypt(result)
    error = np.abs(decrypted - (3 * x * y - x + 0.5)).max()
    print(f"largest error 2^{np.log2(error):.1f}, bound 2^{np.log2(ckks.error_bound(result.ciphertext)):.1f}")
    assert error <= ckks.error_bound(result.ciphertext)


if __name__ == "__main__":
    main()
