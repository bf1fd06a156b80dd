"""Linear algebra on encrypted vectors, matrices and tables: functions of `EncryptedVector`.

    A = LinearMap(matrix)                                       # a plaintext matrix
    keys = keygen.evaluation_keys(secret, rotations=A.rotations, conjugation=A.conjugation)
    x = encryptor.encrypt(vector, slots=A.input_slots)          # repeated in the slots
    A @ EncryptedVector(x, evaluator)                           # one level

Whatever needs rotations lists their steps before any key exists: `LinearMap.rotations`, `MatrixProduct.rotations`,
`total_rotations`, `covariance_rotations`. docs/linear.md says how values are packed, and what things cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ckks.circuits.linear import slots as _slots
from ckks.circuits.linear import statistics as _statistics
from ckks.circuits.linear.arranged import ArrangedProduct
from ckks.circuits.linear.matrix import LinearMap
from ckks.circuits.linear.products import MatrixProduct
from ckks.circuits.linear.slots import permutation, sum_rotations, transposition
from ckks.circuits.linear.statistics import covariance_rotations, total_rotations
from ckks.errors import BasisMismatch, SlotError
from ckks.scheme.meta import meta_of
from ckks.vector import EncryptedVector, checked_vector

__all__ = [
    "ArrangedProduct",
    "LinearMap",
    "MatrixProduct",
    "centred",
    "covariance",
    "covariance_rotations",
    "dot",
    "inner",
    "keep",
    "matmul",
    "mean",
    "permutation",
    "repeating",
    "sum_rotations",
    "total",
    "total_rotations",
    "transposition",
    "variance",
]


def dot(x: EncryptedVector, y: EncryptedVector) -> EncryptedVector:
    """Return the sum over the first axis of x y, slot by slot: one level, one relinearisation, no rotations.

    Args:
        x, y: (K, n), one ciphertext per feature. Both need the relinearisation key of one evaluator.
    """
    _together(x, y)
    return EncryptedVector(x.evaluator.dot(x.ciphertext, y.ciphertext), x.evaluator)


def inner(x: EncryptedVector, y: EncryptedVector) -> EncryptedVector:
    """Return the inner product over the slots, in every slot: one level, and keys for `total_rotations(slots)`.

    Args:
        x, y: (n,), or (K, n), whose sum over the first axis is taken too, before anything is relinearised or rotated.
    """
    _together(x, y)
    if x.shape != y.shape or x.ndim not in (1, 2):
        raise SlotError(f"inner product of shapes {x.shape} and {y.shape}; needed one shape, (n,) or (K, n)")
    product = x * y if x.ndim == 1 else dot(x, y)
    return EncryptedVector(_slots.sum_apart(x.evaluator, product.ciphertext), x.evaluator)


def matmul(a: EncryptedVector, b: EncryptedVector, product: MatrixProduct | ArrangedProduct) -> EncryptedVector:
    """Return A B for encrypted matrices that `product` packed: `product.depth` levels, three or one."""
    _together(a, b)
    if not isinstance(product, (MatrixProduct, ArrangedProduct)):
        raise TypeError(
            f"found {type(product).__name__}, needed a MatrixProduct or an ArrangedProduct, which packed both"
        )
    return EncryptedVector(product.multiply(a.evaluator, a.ciphertext, b.ciphertext), a.evaluator)


def keep(x: EncryptedVector, chosen: Sequence[int] | np.ndarray) -> EncryptedVector:
    """Return x in the chosen slots (positions, or a boolean for each), 0 elsewhere: one level, no keys."""
    x = checked_vector(x)
    return EncryptedVector(_slots.keep(x.evaluator, x.ciphertext, chosen), x.evaluator)


def repeating(x: EncryptedVector, slots: int) -> EncryptedVector:
    """Return the same values under a promise of yours: the slots repeat with this period, as np.tile makes them."""
    x = checked_vector(x)
    return EncryptedVector(_slots.repeating(x.ciphertext, slots), x.evaluator)


def total(table: EncryptedVector) -> EncryptedVector:
    """Return the sum over the slots of each ciphertext, in every slot: no level."""
    table = checked_vector(table)
    return EncryptedVector(_statistics.total(table.evaluator, table.ciphertext), table.evaluator)


def mean(table: EncryptedVector) -> EncryptedVector:
    """Return the mean of the values of each ciphertext, in every slot: one level. To subtract it, `centred`."""
    table = checked_vector(table)
    return EncryptedVector(_statistics.mean(table.evaluator, table.ciphertext), table.evaluator)


def centred(table: EncryptedVector) -> EncryptedVector:
    """Return the values of each ciphertext minus their mean, slots without values zero: one level.

    Twice the table's bound is the bound of the result, unless you know better: `x.with_bound`.
    """
    table = checked_vector(table)
    return EncryptedVector(_statistics.centred(table.evaluator, table.ciphertext), table.evaluator)


def variance(table: EncryptedVector, *, ddof: int = 0) -> EncryptedVector:
    """Return the variance of the values of each ciphertext, in every slot: three levels."""
    table = checked_vector(table)
    return EncryptedVector(_statistics.variance(table.evaluator, table.ciphertext, ddof=ddof), table.evaluator)


def covariance(table: EncryptedVector, *, ddof: int = 0) -> EncryptedVector:
    """Return the covariances of a table (d columns, n rows): three levels; see `circuits.linear.statistics.covariance`.

    One ciphertext of w^2 values, w the power of two from d: `decrypt(...).reshape(w, w)[:d, :d]`.
    """
    table = checked_vector(table)
    return EncryptedVector(_statistics.covariance(table.evaluator, table.ciphertext, ddof=ddof), table.evaluator)


def _together(x: EncryptedVector, y: EncryptedVector) -> None:
    x, y = checked_vector(x), checked_vector(y)
    if x.evaluator.params != y.evaluator.params:
        raise BasisMismatch("two vectors of different parameter sets")
    if meta_of(x.ciphertext).slots != meta_of(y.ciphertext).slots:
        raise SlotError(
            f"operands with {meta_of(x.ciphertext).slots} and {meta_of(y.ciphertext).slots} slots; pack both alike"
        )
