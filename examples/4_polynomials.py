"""Functions by polynomials: how good, how deep, and where the error comes from.

Ciphertexts can be added and multiplied, so the functions there are are polynomials. A sigmoid becomes one on an interval
that has to hold every argument: outside, polynomials run away.
"""

from __future__ import annotations

import numpy as np

import ckks
from ckks.circuits import evaluate_polynomial, evaluation_plan, logistic, minimax


def main() -> None:
    """Evaluate sigmoids of three degrees."""
    # Degree 2^d - 1 fills depth d, so 3, 7, 15 are the ones to take. Twice the degree, one level more.
    for degree in (3, 7, 15, 31):
        p = minimax(logistic, (-8, 8), degree)
        plan = evaluation_plan(p)
        print(
            f"degree {degree:2}: error {p.max_abs_error:.1e}, depth {plan.depth}, "
            f"{plan.multiplications} products (all odd: {p.is_odd_up_to_constant})"
        )

    params = ckks.CKKSParams.for_depth(5, precision_bits=24, value_range=8)
    print(params)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
    x = np.linspace(-8, 8, params.slots)
    ct = ckks.Encryptor(params, secret).encrypt(x)

    p = minimax(logistic, (-8, 8), 15)
    y = evaluate_polynomial(evaluator, ct, p)
    decrypted = ckks.Decryptor(params, secret).decrypt(y)
    # Two errors that have nothing to do with each other: the polynomial's, which a plot would show, and the encryption's.
    print(f"polynomial: {np.abs(p(x) - logistic(x)).max():.1e}")
    print(f"encryption: {np.abs(decrypted - p(x)).max():.1e} (bound {ckks.error_bound(y):.1e})")
    assert np.abs(decrypted - p(x)).max() <= ckks.error_bound(y)


if __name__ == "__main__":
    main()
