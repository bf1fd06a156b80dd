"""Encrypted matrix times encrypted matrix, arranged for it before encryption: one level, the least there is.

With rows and columns modulo d, a product is a sum of rotations of what was arranged,

    (A B)[i, c] = sum over k < d of A[i, i + c + k] B[i + c + k, c].

Real matrices fill complex slots, so that each product has the terms of k and of k + d/2 in its real part:

    L[i, c] = A[i, i + c] - i A[i, i + c + d/2]    for c < 2d
    R[i, c] = B[i + c, c] + i B[i + c + d/2, c]    for c < d, 0 beyond
    (A B)[i, c] = the real part of the sum over k < d/2 of L[i, c + k] R[i + k, c].

Row after row in 2 d^2 slots, R[i + k, c] is the rotation by 2d k, and L[i, c + k] that by k: for c < d it stays in its
row, since rows are written out twice; for c >= d it does not, but there R is 0. So nothing has to be masked, and
d - 2 rotations and a conjugation are all. [JKLS18] take two levels more, and 3d rotations, to do the same from A and B
in d^2 slots (`products`).

The result is A B in the columns c < d, and zeros. `left` and `right` are the maps from there to L and R, for a level:
products of products take two levels each.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.linear.folding import twice_real
from ckks.circuits.linear.matrix import Keys, LinearMap
from ckks.circuits.linear.products import blocks_of, check_blocks, checked_size, multiply_turned, turned
from ckks.errors import DomainError, SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.align import align, settle, too_deep
from ckks.scheme.encoder import as_numbers
from ckks.scheme.meta import meta_of

__all__ = ["ArrangedProduct"]

_HALF_ROOT = 0.7071067811865475  # 1/sqrt(2), rounded down: a packed slot may not exceed the range of its parts


class ArrangedProduct:
    """Products of encrypted real d x d matrices that were arranged in the clear: one level, no matrix to encode.

    Args:
        size: d, a power of two from 2; 2 d^2 slots.
        keys: "hoisted" takes d - 2 rotation keys; "minimal" takes two, and does one rotation after the other, which
            costs time and some bits of precision. Both take the keys for conjugation and relinearisation.
    """

    depth = 1
    conjugation = True

    def __init__(self, size: int, *, keys: Keys = "hoisted") -> None:
        """Check the size."""
        self.size, self.keys = checked_size(size), keys

    @property
    def slots(self) -> int:
        """How many each ciphertext has in use: 2 d^2."""
        return 2 * self.size**2

    @property
    def rotations(self) -> tuple[int, ...]:
        """The rotation steps that keys are needed for; `left` and `right` have rotations of their own."""
        half, row = self.size // 2, 2 * self.size
        steps = range(1, half)
        return tuple(step for unit in (1, row) for step in (unit * k for k in (steps[:1] if self._minimal else steps)))

    @property
    def _minimal(self) -> bool:
        return self.keys == "minimal"

    def __repr__(self) -> str:
        """Return a line with the size, slots and keys."""
        count = len(self.rotations) + self.conjugation + 1
        return f"<ArrangedProduct {self.size} x {self.size}, {self.slots} slots, {count} keys ({self.keys})>"

    def pack_left(self, matrix: ArrayLike) -> NDArray[np.complex128]:
        """Return a left factor (m, n), padded with zeros, as what is to be encrypted with `slots`.

        (2 d^2,) if it fits one block, else a batch of blocks, (ceil(m/d), ceil(n/d), 2 d^2). It is L / sqrt(2): so no
        slot is larger than the largest entry, and twice the real part of the product of both is A B.
        """
        a, d, (i, c) = blocks_of(_real(matrix), self.size), self.size, self._places()
        return self._flat(a[..., i, (i + c) % d] - 1j * a[..., i, (i + c + d // 2) % d])

    def pack_right(self, matrix: ArrayLike) -> NDArray[np.complex128]:
        """Return a right factor likewise, R / sqrt(2)."""
        b, d, (i, c) = blocks_of(_real(matrix), self.size), self.size, self._places()
        r = b[..., (i + c) % d, c % d] + 1j * b[..., (i + c + d // 2) % d, c % d]
        return self._flat(np.where(c < d, r, 0.0))

    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the arrangement, (d, 1) and (1, 2d)."""
        return np.arange(self.size)[:, None], np.arange(2 * self.size)[None, :]

    def unpack(self, values: ArrayLike, shape: tuple[int, int]) -> NDArray[np.inexact]:
        """Return the product (m, n) behind decrypted values."""
        d, array = self.size, np.asarray(values)
        p, q = -(-shape[0] // d), -(-shape[1] // d)
        if array.size != p * q * self.slots:
            raise SlotError(
                f"values of shape {array.shape} for a matrix {shape}; needed {p} x {q} blocks of {self.slots}"
            )
        blocks = array.reshape(p, q, d, 2 * d)[..., :d]
        return np.asarray(blocks.swapaxes(1, 2).reshape(p * d, q * d)[: shape[0], : shape[1]])

    @cached_property
    def left(self) -> LinearMap:
        """The map from a product to a left factor, `pack_left`; one level."""
        d, (i, c) = self.size, self._places()
        return self._gathering(
            {_HALF_ROOT: (i + c) % d - c, -1j * _HALF_ROOT: (i + c + d // 2) % d - c}, np.broadcast_to(True, (d, 2 * d))
        )

    @cached_property
    def right(self) -> LinearMap:
        """The map from a product to a right factor, `pack_right`; one level."""
        d, (i, c) = self.size, self._places()
        rows = {_HALF_ROOT: 2 * d * ((i + c) % d - i), 1j * _HALF_ROOT: 2 * d * ((i + c + d // 2) % d - i)}
        return self._gathering(rows, np.broadcast_to(c < d, (d, 2 * d)))

    def _gathering(self, parts: Mapping[complex, NDArray[np.int64]], where: NDArray[np.bool_]) -> LinearMap:
        """The map that takes, `where` it takes anything, factor times the slot so many steps on, summed over parts."""
        diagonals: dict[int, NDArray[np.complex128]] = {}
        for factor, steps in parts.items():
            for step in np.unique(steps % self.slots).tolist():
                values = diagonals.setdefault(step, np.zeros(self.slots, np.complex128))
                values += factor * (where & (steps % self.slots == step)).ravel()
        return LinearMap.of_diagonals(diagonals, keys=self.keys)

    def multiply(self, evaluator: Evaluator, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        """Return A B, one level lower.

        Args:
            evaluator: with keys for `rotations` and relinearisation.
            a, b: what `pack_left` and `pack_right` make, encrypted with `slots`: () and (), or blocks (p, q) and (q, r)
                for (p, r).

        Raises:
            SlotError: other slots, or blocks that do not fit.
            LevelError: no level.
        """
        evaluator.check(a, b)
        a, b = settle(a), settle(b)
        if meta_of(a).slots != self.slots or meta_of(b).slots != self.slots:
            raise SlotError(
                f"matrices in {meta_of(a).slots} and {meta_of(b).slots} slots; needed {self.slots}: encrypt "
                f"pack_left(a) and pack_right(b) with slots={self.slots}"
            )
        check_blocks(a.shape, b.shape)
        if not min(a.level, b.level):
            raise too_deep("a matrix product", 1, a if not a.level else b)
        a, b = align(a, b, "a matrix product")
        half, row = self.size // 2, 2 * self.size
        left = turned(evaluator, a, 1, half, minimal=self._minimal)
        right = turned(evaluator, b, row, half, minimal=self._minimal)
        return twice_real(evaluator, multiply_turned(evaluator, left, right))

    def _flat(self, blocks: NDArray[Any]) -> NDArray[np.complex128]:
        flat = blocks.reshape(*blocks.shape[:2], self.slots) * _HALF_ROOT
        return np.asarray(flat[0, 0] if flat.shape[:2] == (1, 1) else flat)


def _real(matrix: ArrayLike) -> NDArray[np.inexact]:
    array = as_numbers(matrix)
    if array.dtype.kind == "c":
        raise DomainError("a complex matrix; needed a real one (two of its numbers share a slot; see MatrixProduct)")
    return array
