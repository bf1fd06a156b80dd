"""Linear algebra with operators and functions of EncryptedVector."""

from __future__ import annotations

import numpy as np
import pytest
from kit import make_kit
from params import insecure_pairs, insecure_small

from ckks import EncryptedVector, error_bound, linear
from ckks.errors import BasisMismatch, SlotError

KIT = make_kit(insecure_small(64, depth=4), rotations=range(1, 32))


def vector(values: np.ndarray, **encoding) -> EncryptedVector:
    return EncryptedVector(KIT.encrypt(values, **encoding), KIT.evaluator)


def close(y: EncryptedVector, wanted: np.ndarray) -> None:
    found = KIT.decrypt(y.ciphertext)
    assert found.shape == wanted.shape == y.shape
    assert np.abs(found - wanted).max() <= error_bound(y.ciphertext)


def test_a_map_is_a_matrix_on_the_left():
    rng = np.random.default_rng(1)
    matrix, x = rng.uniform(-1, 1, (6, 8)), rng.uniform(-1, 1, (2, 8))
    y = linear.LinearMap(matrix) @ vector(x, slots=8)
    close(y, x @ matrix.T)
    close(2 * y + 1, 2 * x @ matrix.T + 1)
    waiting = np.array([0.5, 0.25]) @ vector(x, slots=8)  # a linear form that nobody has computed yet
    close(linear.LinearMap(matrix) @ waiting, matrix @ (0.5 * x[0] + 0.25 * x[1]))


def test_products_that_share_a_relinearisation():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-1, 1, (2, 3, 32))
    close(linear.dot(vector(x), vector(y)), (x * y).sum(axis=0))
    close(linear.inner(vector(x), vector(y)), np.full(32, (x * y).sum()))
    close(linear.inner(vector(x[0]), vector(y[0])), np.full(32, x[0] @ y[0]))
    short = linear.inner(vector(x[0][:5], slots=8), vector(y[0][:5], slots=8))
    close(short, np.full(8, x[0][:5] @ y[0][:5]))


def test_encrypted_matrices():
    rng, product = np.random.default_rng(3), linear.MatrixProduct(4)
    a, b = rng.uniform(-1, 1, (2, 4, 4))
    result = linear.matmul(*(vector(product.pack(m), slots=16) for m in (a, b)), product)
    close(result, (a @ b).ravel())
    arranged = linear.ArrangedProduct(4)
    packed = vector(arranged.pack_left(a), slots=32), vector(arranged.pack_right(b), slots=32)
    found = KIT.decrypt(linear.matmul(*packed, arranged).ciphertext)
    assert np.abs(arranged.unpack(found, (4, 4)) - a @ b).max() < 1e-6
    close(linear.transposition(4, 4) @ vector(a.ravel(), slots=16), a.T.ravel())


def test_slots_and_statistics():
    x = np.random.default_rng(4).uniform(-1, 1, (2, 20))
    table = vector(x)
    close(linear.total(table), np.repeat(x.sum(axis=1)[:, None], 32, axis=1))
    close(linear.mean(table), np.repeat(x.mean(axis=1)[:, None], 32, axis=1))
    close(linear.centred(table), x - x.mean(axis=1, keepdims=True))
    close(linear.variance(table, ddof=1), np.repeat(x.var(axis=1, ddof=1)[:, None], 32, axis=1))
    close(linear.covariance(table), np.cov(x, ddof=0).ravel())
    close(linear.keep(vector(np.ones(32)), [3, 4]), np.eye(32)[3] + np.eye(32)[4])
    close(linear.repeating(vector(np.tile(x[0, :8], 4)), 8), x[0, :8])


def test_refusals():
    x = vector(np.ones((2, 8)))
    with pytest.raises(TypeError, match="EncryptedVector"):
        linear.dot(x, np.ones((2, 8)))
    with pytest.raises(SlotError, match="pack both alike"):
        linear.dot(x, vector(np.ones((2, 8)), slots=8))
    with pytest.raises(SlotError, match="inner product of shapes"):
        linear.inner(x, x[0])
    other = make_kit(insecure_pairs(64))
    with pytest.raises(BasisMismatch, match="different parameter sets"):
        linear.dot(x, EncryptedVector(other.encrypt(np.ones((2, 8))), other.evaluator))
    with pytest.raises(SlotError, match="slots=8"):
        linear.LinearMap(np.eye(8)) @ x
