"""Three roles, three objects: who trains, who serves, who scores. What `churn` does over HTTP, in forty lines.

The server function below gets a model, evaluation keys and ciphertexts. It has no secret, and could not use one.
"""

from __future__ import annotations

import numpy as np

import ckks
from ckks.circuits import logistic

FEATURES, PEOPLE = 6, 1000


def train(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Company B: a model, made in the clear."""
    return rng.uniform(-1, 1, FEATURES), 0.3


def serve(
    weights: np.ndarray, bias: float, params: ckks.CKKSParams, keys: ckks.EvaluationKeys, batch: ckks.Ciphertext
) -> ckks.Ciphertext:
    """Company B: sigmoid(weights @ x + bias) on ciphertexts, one ciphertext for each feature."""
    x = ckks.EncryptedVector(batch, ckks.Evaluator(params, keys))
    return ckks.sigmoid(weights @ x + bias, interval=8, degree=7).ciphertext


def main() -> None:
    """Company A: owns the data and the secret key."""
    rng = np.random.default_rng(5)
    weights, bias = train(rng)

    params = ckks.CKKSParams.for_depth(4, precision_bits=20, value_range=1)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    people = rng.uniform(-1, 1, (PEOPLE, FEATURES))
    # Feature-major: a thousand people side by side in the slots, so the weighted sum needs no rotation and no key.
    batch = ckks.Encryptor(params, secret).encrypt(people.T)

    answer = serve(weights, bias, params, keygen.evaluation_keys(secret), batch)

    probability = ckks.Decryptor(params, secret).decrypt(answer)
    exact = logistic(people @ weights + bias)
    print(f"sent {batch}")
    print(f"got  {answer}")
    print(f"largest difference to the exact sigmoid {np.abs(probability - exact).max():.1e}")
    same = (probability > 0.5) == (exact > 0.5)
    print(f"same label for {same.sum()} of {PEOPLE} people")
    assert same.all()


if __name__ == "__main__":
    main()
