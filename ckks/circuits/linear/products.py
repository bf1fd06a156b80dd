"""Encrypted matrix times encrypted matrix, both in the slots ([JKLS18]): three levels, one relinearisation.

With rows and columns modulo d,

    (A B)[i, j] = sum over k of A[i, i + j + k] B[i + j + k, j] = sum over k of phi^k(sigma A)[i, j] psi^k(tau B)[i, j]

    sigma A[i, j] = A[i, i + j]    tau B[i, j] = B[i + j, j]    phi A[i, j] = A[i, j + 1]    psi B[i, j] = B[i + 1, j]

Row after row in d^2 slots, psi^k is a rotation by d k, phi^k the sum of two rotations, each masked, and sigma and tau
have 2d - 1 and d diagonals: all are `LinearMap`s. The products are added up before they are relinearised. Larger
matrices are batches of such blocks: their sums over blocks share the relinearisation too.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import kernels
from ckks.circuits.linear.matrix import Keys, LinearMap
from ckks.errors import ParameterError, SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.align import settle, too_deep
from ckks.scheme.encoder import as_numbers
from ckks.scheme.meta import meta_of

__all__ = ["MatrixProduct", "blocks_of", "check_blocks", "checked_size", "multiply_turned", "turned"]


class MatrixProduct:
    """The maps for products of d x d matrices, made once; `multiply` is the product.

    Args:
        size: d, a power of two from 2; d^2 slots.
        keys: "hoisted" takes 3 (d - 1) rotation keys and some for sigma and tau; "minimal" takes at most six in all,
            and does one rotation after the other, which costs time and some bits of precision.

    Immutable but for what its maps have cached: see LinearMap.
    """

    depth = 3  # sigma and tau, the masks of phi, the product

    def __init__(self, size: int, *, keys: Keys = "hoisted") -> None:
        """Make the maps."""
        self.size, self.keys, d = checked_size(size), keys, size
        i, j = np.divmod(np.arange(d * d), d)
        self.sigma = LinearMap.of_diagonals(
            {s: ((i + j) % d - j == s).astype(np.float64) for s in range(1 - d, d)}, keys=keys
        )
        self.tau = LinearMap.of_diagonals({d * s: (j == s).astype(np.float64) for s in range(d)}, keys=keys)
        masks = {s: np.zeros((d, d * d)) for s in range(1 - d, d)}
        for k in range(d):
            masks[k][k] = j < d - k
            if k:
                masks[k - d][k] = j >= d - k
        self.phi = LinearMap.of_diagonals(masks, keys=keys, real=False, baby_steps=min(2 * d, 1024))

    @property
    def slots(self) -> int:
        """How many each ciphertext has in use: d^2."""
        return self.size**2

    @cached_property
    def rotations(self) -> tuple[int, ...]:
        """The rotation steps that keys are needed for."""
        psi = (self.size,) if self.keys == "minimal" else range(self.size, self.size**2, self.size)
        return tuple(sorted({*self.sigma.rotations, *self.tau.rotations, *self.phi.rotations, *psi}))

    @property
    def conjugation(self) -> bool:
        """Whether the key for complex conjugation is needed."""
        return self.sigma.conjugation or self.tau.conjugation

    def __repr__(self) -> str:
        """Return a line with the size, slots and keys."""
        count = len(self.rotations) + self.conjugation + 1
        return f"<MatrixProduct {self.size} x {self.size}, {self.size**2} slots, {count} keys ({self.keys})>"

    def pack(self, matrix: ArrayLike) -> NDArray[np.inexact]:
        """Return a matrix (m, n), padded with zeros, as what is to be encrypted with slots=d^2.

        (d^2,) if it fits one block, else a batch of blocks, (ceil(m/d), ceil(n/d), d^2).
        """
        blocks = blocks_of(matrix, self.size)
        flat = blocks.reshape(*blocks.shape[:2], self.size**2)
        return np.asarray(flat[0, 0] if flat.shape[:2] == (1, 1) else flat)

    def unpack(self, values: ArrayLike, shape: tuple[int, int]) -> NDArray[np.inexact]:
        """Return the matrix (m, n) behind decrypted values, the inverse of `pack`."""
        d, array = self.size, as_numbers(values)
        p, q = -(-shape[0] // d), -(-shape[1] // d)
        if array.size != p * q * d * d:
            raise SlotError(f"values of shape {array.shape} for a matrix {shape}; needed {p} x {q} blocks of {d * d}")
        return array.reshape(p, q, d, d).swapaxes(1, 2).reshape(p * d, q * d)[: shape[0], : shape[1]]

    def multiply(self, evaluator: Evaluator, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        """Return A B, three levels lower.

        Args:
            evaluator: with keys for `rotations`, `conjugation`, and relinearisation.
            a, b: what `pack` makes, encrypted with slots=d^2: () and (), or blocks (p, q) and (q, r) for (p, r).

        Raises:
            SlotError: other slots, or blocks that do not fit.
            LevelError: fewer than three levels.
        """
        evaluator.check(a, b)
        a, b = settle(a), settle(b)
        if meta_of(a).slots != self.slots or meta_of(b).slots != self.slots:
            raise SlotError(
                f"matrices in {meta_of(a).slots} and {meta_of(b).slots} slots; needed {self.slots}: encrypt "
                f"pack(matrix) with slots={self.slots}"
            )
        check_blocks(a.shape, b.shape)
        level = min(a.level, b.level) - self.depth
        if level < 0:
            raise too_deep("a matrix product", self.depth, a if a.level < b.level else b)
        left = self.phi.apply(evaluator, self.sigma.apply(evaluator, evaluator.bring(a, level + 3)))  # (d, p, q)
        b = self.tau.apply(evaluator, evaluator.bring(b, level + 2))
        right = turned(evaluator, b, self.size, self.size, minimal=self.keys == "minimal")  # (d, q, r)
        return multiply_turned(evaluator, left, right)


def checked_size(size: int) -> int:
    """Return the size of a block; ParameterError unless it is a power of two from 2."""
    if not isinstance(size, int) or size < 2 or size & (size - 1):
        raise ParameterError(f"blocks of size {size!r}; needed a power of two from 2 (pad the matrices)")
    return size


def blocks_of(matrix: ArrayLike, size: int) -> NDArray[np.inexact]:
    """Return a matrix (m, n), padded with zeros, in blocks: (ceil(m/size), ceil(n/size), size, size)."""
    array = as_numbers(matrix)
    if array.ndim != 2 or not array.size:
        raise SlotError(f"matrix of shape {array.shape}; needed two axes, neither of them empty")
    p, q = -(-array.shape[0] // size), -(-array.shape[1] // size)
    whole = np.zeros((p * size, q * size), dtype=array.dtype)
    whole[: array.shape[0], : array.shape[1]] = array
    return np.ascontiguousarray(whole.reshape(p, size, q, size).swapaxes(1, 2))


def turned(evaluator: Evaluator, a: Ciphertext, step: int, count: int, *, minimal: bool) -> Ciphertext:
    """Return the rotations of a by 0, step, ..., (count - 1) step: (count, ...); `minimal`: one after the other."""
    if not minimal:
        return _batch(evaluator.rotate_many(a, range(0, count * step, step)), (count,))
    rotated = [a]
    while len(rotated) < count:
        rotated.append(evaluator.rotate(rotated[-1], step))
    return _batch(rotated, (count,))


def multiply_turned(evaluator: Evaluator, left: Ciphertext, right: Ciphertext) -> Ciphertext:
    """Return the sum over k of left[k] right[k], blocks multiplied as matrices are: (k, p, q) and (k, q, r) to (p, r).

    One relinearisation for each block of the result.
    """
    if len(left.shape) == 1:
        return evaluator.dot(left, right)
    p, r = left.shape[1], right.shape[2]
    rows = []
    for i in range(p):
        for j in range(r):
            products = evaluator.tensor(left[:, i], right[:, :, j])
            rows.append(evaluator.relinearise(evaluator.sum(evaluator.sum(products)), rescale=True))
    return _batch(rows, (p, r))


def check_blocks(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Raise SlotError unless batches of blocks fit together."""
    if not (len(a) == len(b) == 2 and a[1] == b[0]) and (a or b):
        raise SlotError(f"blocks {a} and {b}; needed (p, q) and (q, r), or a single block each")


def _batch(cts: list[Ciphertext], shape: tuple[int, ...]) -> Ciphertext:
    """Ciphertexts of one level and scale as a batch."""
    words = kernels.empty((len(cts), *cts[0].words.shape))
    for one, ct in zip(words, cts, strict=True):
        one[...] = ct.words
    largest = max(cts, key=lambda ct: meta_of(ct).bound)
    size, bound = max((ct.noise for ct in cts), key=lambda size: size.std), max(ct.noise.bound for ct in cts)
    if size.bound < bound:
        size = size.resized(size.std, bound)
    return Ciphertext.of(largest.params, words.reshape(*shape, *cts[0].words.shape), largest.level, largest.meta, size)
