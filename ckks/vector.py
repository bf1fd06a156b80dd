"""EncryptedVector: numpy-like operators on ciphertexts, and functions of them.

A vector owns an evaluator, so `*` relinearises and rescales, and operands of different levels are aligned. Numpy's own
names (`np.add(x, y)`, `np.sum(x)`) work where they are exactly one of its operations; all others, and what numpy would
silently turn into an array of objects, raise a TypeError that says what to use instead (`ckks.hints`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import hints
from ckks.circuits.linear.matrix import LinearMap
from ckks.circuits.linear.slots import sum_apart
from ckks.circuits.linear.statistics import mean, total
from ckks.circuits.polynomials.evaluation import evaluate_normalised, evaluate_polynomial
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import RangeError, SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator, precision_bits
from ckks.scheme.encoder import as_numbers
from ckks.scheme.meta import meta_of

__all__ = ["EncryptedVector", "checked_vector", "normalised", "polynomial"]


@dataclass(frozen=True)
class _Linear:
    """weights @ source + constant, not yet computed: a function that follows folds its own factor into the weights."""

    source: Ciphertext
    weights: NDArray[np.float64]
    constant: NDArray[np.float64]

    def affine(self, factor: float, shift: NDArray[np.float64] | float) -> _Linear:
        return _Linear(self.source, self.weights * factor, self.constant * factor + shift)

    def compute(self, evaluator: Evaluator) -> Ciphertext:
        product = evaluator.weighted_sum(self.source, self.weights)
        if not np.any(self.constant):
            return product
        shape = (*product.shape, meta_of(product).length)
        constant = self.constant if self.constant.ndim == 0 else np.broadcast_to(self.constant, shape)
        return evaluator.add(product, constant if constant.ndim else constant.item())


class EncryptedVector(hints.ArrayProtocols):
    """Encrypted numbers of shape (..., n): a ciphertext (or a batch of them) with an evaluator for it.

    Args:
        ciphertext: from an Encryptor.
        evaluator: with the keys that the operations need.

    Operators: + - * with vectors, numbers and arrays (lists, Series, sparse matrices); `weights @ x` sums over the
    first of two axes (one level, no keys), `x @ weights` and `x @ y` over the slots, `LinearMap(matrix) @ x` is a
    matrix times the slots; x ** k for small k; x << k rotates to the left; / by plain numbers.

    Lengths have to agree, as in numpy, unless one side has all slots (a plain array; a sum, a rotation): the slots
    behind values are zeros, in sums too, and `x + np.zeros(slots)` makes them values. Immutable; share it freely.
    """

    __slots__ = ("_ciphertext", "_linear", "evaluator")
    __hash__ = object.__hash__

    def __init__(self, ciphertext: Ciphertext, evaluator: Evaluator) -> None:
        """Bind a ciphertext to an evaluator."""
        if not isinstance(ciphertext, Ciphertext):
            raise TypeError(
                f"found {type(ciphertext).__name__}, needed a Ciphertext: EncryptedVector(encryptor.encrypt(values), "
                "evaluator)"
            )
        self._ciphertext: Ciphertext | None = ciphertext
        self._linear: _Linear | None = None
        self.evaluator = evaluator

    @classmethod
    def _pending(cls, linear: _Linear, evaluator: Evaluator) -> EncryptedVector:
        vector = object.__new__(cls)
        vector._ciphertext, vector._linear, vector.evaluator = None, linear, evaluator
        return vector

    @property
    def ciphertext(self) -> Ciphertext:
        """The ciphertext; a linear form that was still waiting is computed now."""
        if self._ciphertext is None:
            assert self._linear is not None
            self._ciphertext = self._linear.compute(self.evaluator)
        return self._ciphertext

    # ---- shape ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values, as numpy has it: batch axes, then slots."""
        if self._linear is not None and self._ciphertext is None:
            source = self._linear.source
            return (*self._linear.weights.shape[:-1], *source.shape[1:], meta_of(source).length)
        return (*self.ciphertext.shape, meta_of(self.ciphertext).length)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the ciphertext in memory."""
        return self.ciphertext.nbytes

    @property
    def precision_bits(self) -> float:
        """-log2 of the expected rms error of a value."""
        return precision_bits(self.ciphertext)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> EncryptedVector:
        """Index batch axes (free). Slots cannot be taken apart: rotate or multiply by a mask instead."""
        position = index if isinstance(index, tuple) else (index,)
        batch = self.ndim - 1
        if len(position) > batch or any(part is None or part is Ellipsis for part in position):
            raise SlotError(
                f"index {index!r} for shape {self.shape}; only the {batch} batch axes can be indexed: for slots, "
                "rotate with <<, or use ckks.linear.keep(x, positions), which is 0 elsewhere (one level)"
            )
        return EncryptedVector(self.ciphertext[position], self.evaluator)

    def __iter__(self) -> Iterator[EncryptedVector]:
        """Iterate over the first batch axis; slots cannot be taken apart."""
        if self.ndim == 1:
            raise hints.refused("iteration over the slots", hints.DECRYPT)
        return (self[i] for i in range(len(self)))

    # ---- operators -----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> EncryptedVector:
        """Return self + other."""
        operand = self._operand(other)
        if operand is None:
            return NotImplemented
        if self._waiting and not isinstance(operand, EncryptedVector):
            values = as_numbers(operand)
            if values.dtype.kind == "f" and _fits(values.shape, self.shape):
                return self._affine(1.0, values)
        return self._apply(self.evaluator.add, operand)

    __radd__ = __add__

    def __sub__(self, other: Any) -> EncryptedVector:
        """Return self - other."""
        operand = self._operand(other)
        if operand is None:
            return NotImplemented
        if self._waiting and not isinstance(operand, EncryptedVector):
            return self + -as_numbers(operand)
        return self._apply(self.evaluator.subtract, operand)

    def __rsub__(self, other: Any) -> EncryptedVector:
        """Return other - self."""
        return (-self).__add__(other)

    def __neg__(self) -> EncryptedVector:
        """Return -self."""
        if self._waiting:
            return self._affine(-1.0, 0.0)
        return EncryptedVector(self.evaluator.negate(self.ciphertext), self.evaluator)

    def __pos__(self) -> EncryptedVector:
        """Return self."""
        return self

    def __mul__(self, other: Any) -> EncryptedVector:
        """Return self * other, slot by slot: one level (integers are free)."""
        operand = self._operand(other)
        if operand is None:
            return NotImplemented
        if self._waiting and isinstance(operand, (int, float, np.integer, np.floating)):
            return self._affine(float(operand), 0.0)
        return self._apply(self.evaluator.multiply, operand)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> EncryptedVector:
        """Return self / other for plain numbers: one level."""
        if isinstance(other, EncryptedVector):
            raise hints.operator("division by a vector", "divide")
        operand = self._operand(other)
        if operand is None:
            return NotImplemented
        divisor = as_numbers(operand)
        if not np.all(divisor):
            raise RangeError("division by zero; needed divisors that are not zero, one for each value or one for all")
        return self * (1.0 / divisor)[()]

    def with_bound(self, bound: float) -> EncryptedVector:
        """Return the same vector under a promise of yours: no |value| exceeds `bound`."""
        return EncryptedVector(self.evaluator.with_bound(self.ciphertext, bound), self.evaluator)

    def __pow__(self, exponent: int) -> EncryptedVector:
        """Return self ** exponent by repeated squaring, exponent 1 to 64."""
        if isinstance(exponent, bool) or not isinstance(exponent, (int, np.integer)) or not 1 <= exponent <= 64:
            known: dict[Any, str] = {0.5: "sqrt", -1: "inverse", -0.5: "inverse_sqrt"}
            name = known.get(exponent if np.isscalar(exponent) else 0)
            named = f"ckks.functions.{name}(x, interval=(a, b))" if name else "ckks.functions.function"
            raise SlotError(f"power {exponent!r}; needed an integer from 1 to 64 (for other powers, {named})")
        power = self
        for bit in bin(int(exponent))[3:]:
            power = power * power
            if bit == "1":
                power = power * self
        return power

    def __lshift__(self, steps: int) -> EncryptedVector:
        """Return the slots rotated to the left: out[j] = self[j + steps], over all slots of the ciphertext."""
        return EncryptedVector(self.evaluator.rotate(self.ciphertext, steps), self.evaluator)

    def __rshift__(self, steps: int) -> EncryptedVector:
        """Return the slots rotated to the right."""
        return self << -steps

    def __rmatmul__(self, weights: ArrayLike | LinearMap) -> EncryptedVector:
        """Return weights @ self for plain weights (K,) or (M, K) and self of shape (K, n): one level, no keys.

        With a LinearMap: the matrix times the vector in the slots (one level, and the keys that the map lists).
        """
        if isinstance(weights, LinearMap):
            return EncryptedVector(weights.apply(self.evaluator, self.ciphertext), self.evaluator)
        if self._operand(weights) is None:
            return NotImplemented
        w = as_numbers(weights)
        if self.ndim == 1 and w.shape == self.shape:
            return self @ w
        if self.ndim != 2 or w.ndim not in (1, 2) or w.shape[-1] != self.shape[0] or w.dtype.kind == "c":
            raise SlotError(
                f"cannot multiply weights {w.shape} by encrypted values {self.shape}; needed real weights (K,) or "
                "(M, K) and one ciphertext per feature, (K, n); for a matrix times the slots, ckks.LinearMap(matrix) @ "
                "x, with x encrypted with slots=map.input_slots"
            )
        return EncryptedVector._pending(_Linear(self.ciphertext, w, np.zeros(())), self.evaluator)

    def __matmul__(self, other: Any) -> EncryptedVector:
        """Return self @ other for (n,) and (n,): the inner product, in every slot (one level, log2 rotations)."""
        operand = self._operand(other)
        if operand is None:
            return NotImplemented
        if isinstance(operand, EncryptedVector):
            if self.ndim != 1 or operand.ndim != 1:
                raise hints.operator(f"{self.shape} @ {operand.shape}", "matmul")
            if self.shape != operand.shape:
                raise SlotError(f"inner product of shapes {self.shape} and {operand.shape}; needed one shape, (n,)")
            return EncryptedVector(sum_apart(self.evaluator, (self * operand).ciphertext), self.evaluator)
        w = as_numbers(other)
        if self.ndim != 1 or w.shape != self.shape:
            raise SlotError(
                f"cannot multiply encrypted values {self.shape} by {w.shape}; needed (n,) and (n,); for values times a "
                "matrix, ckks.LinearMap(matrix.T) @ x, with x encrypted with slots=map.input_slots"
            )
        slots = meta_of(self.ciphertext).slots
        padded = np.zeros(slots, dtype=w.dtype)
        padded[: len(w)] = w
        product = self.evaluator.multiply(self.ciphertext, padded)
        return EncryptedVector(self.evaluator.sum_slots(product), self.evaluator)

    def sum(self, axis: int | None = None) -> EncryptedVector:
        """Return the sum over one axis: no level.

        Over the slots (axis -1, and for (n,) unless given) it is in every slot, and takes rotation keys for
        `ckks.linear.total_rotations(slots)`; over a batch axis, none.
        """
        axis = self._axis(axis, "sum")
        if axis == self.ndim - 1:
            return EncryptedVector(total(self.evaluator, self.ciphertext), self.evaluator)
        return EncryptedVector(self.evaluator.sum(self.ciphertext, axis), self.evaluator)

    def mean(self, axis: int | None = None) -> EncryptedVector:
        """Return the mean over one axis: one level, and the keys of `sum`.

        Over the slots it is in those that have values, so that `x - x.mean()` is what it is in numpy.
        """
        axis = self._axis(axis, "mean")
        if axis == self.ndim - 1:
            return EncryptedVector(mean(self.evaluator, self.ciphertext, everywhere=False), self.evaluator)
        return self.sum(axis) / self.shape[axis]

    # ---- operands --------------------------------------------------------------------------------------------------

    def _axis(self, axis: int | None, what: str) -> int:
        """The axis to reduce, from 0 up."""
        if axis is None and self.ndim == 1:
            return 0
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -self.ndim <= axis < self.ndim:
            raise SlotError(
                f"{what} over axis {axis} of shape {self.shape}; needed one of them: axis=0 is a batch axis, which is "
                "cheap, axis=-1 the slots, with rotations"
            )
        return int(axis) % self.ndim

    def _operand(self, other: Any) -> Any:
        """The other side of an operator as a vector, a number, or an array that fits; None for what is none of them."""
        if isinstance(other, (EncryptedVector, int, float, complex)):
            return other
        if isinstance(other, Ciphertext):
            raise TypeError("a bare Ciphertext as operand; needed EncryptedVector(ciphertext, evaluator)")
        if isinstance(other, np.generic):
            return other
        if isinstance(other, Number):
            return float(other)  # type: ignore[arg-type]  # fractions and decimals
        if not (isinstance(other, (list, tuple)) or hasattr(other, "__array__") or hasattr(other, "toarray")):
            return None
        values = as_numbers(other)
        if values.ndim and values.shape[-1] == 1 != self.shape[-1]:  # a number for each item of a batch
            return np.broadcast_to(values, (*values.shape[:-1], self.shape[-1]))
        return values

    def _apply(self, operation: Callable[[Ciphertext, Any], Ciphertext], operand: Any) -> EncryptedVector:
        if isinstance(operand, EncryptedVector):
            self._agree(operand)
            operand = operand.ciphertext
        return EncryptedVector(operation(self.ciphertext, operand), self.evaluator)

    def _agree(self, other: EncryptedVector) -> None:
        """Refuse shapes as numpy would; but one of the lengths may be all slots, as it may with plain arrays."""
        mine, others = self.shape, other.shape
        if mine == others:
            return
        try:
            np.broadcast_shapes(mine[:-1], others[:-1])
        except ValueError:
            raise SlotError(f"vectors of shapes {mine} and {others}; needed batches that broadcast") from None
        x, y = meta_of(self.ciphertext), meta_of(other.ciphertext)
        if x.length != y.length and x.slots == y.slots and x.slots not in (x.length, y.length):
            raise SlotError(
                f"vectors of {x.length} and {y.length} values; needed one length, or all {x.slots} slots: x + "
                f"np.zeros({x.slots}) goes on with zeros"
            )

    @property
    def _waiting(self) -> bool:
        return self._ciphertext is None

    def _affine(self, factor: float, shift: Any) -> EncryptedVector:
        assert self._linear is not None
        return EncryptedVector._pending(self._linear.affine(factor, shift), self.evaluator)

    # ---- identity --------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Return True for the same object; refuse what numpy would compare value by value."""
        if self is other:
            return True
        if self._operand(other) is not None:
            raise hints.operator("equality (x == y)", "equal")
        return NotImplemented

    def __repr__(self) -> str:
        """Return a line with shape, level, precision and size."""
        if self._waiting:
            return f"<EncryptedVector {self.shape}, linear form not computed yet>"
        ct = self.ciphertext
        bits = f"~{precision_bits(ct):.0f} bits" if ct.noise.std else "exact"
        level = f"level {ct.level}/{self.evaluator.params.top_level}"
        return f"<EncryptedVector {self.shape}, {ct.params.mark}{level}, {bits}, {ct.nbytes / 1024:.0f} KiB>"


def polynomial(x: EncryptedVector, p: Polynomial) -> EncryptedVector:
    """Return p(x), at depth ceil(log2(degree + 1)); x has to lie in p.interval, which is the caller's promise.

    The map of p.interval to [-1, 1] is folded into the weights when x is a linear form (`weights @ features + bias`).
    """
    x = checked_vector(x)
    if not isinstance(p, Polynomial):
        raise TypeError(
            f"found {type(p).__name__}, needed a Polynomial: approximate(f, interval, degree=...) makes one"
        )
    u = normalised(x, p.center, p.radius) if p.basis == "chebyshev" else None
    if u is not None:
        return EncryptedVector(evaluate_normalised(x.evaluator, u.ciphertext, p), x.evaluator)
    return EncryptedVector(evaluate_polynomial(x.evaluator, x.ciphertext, p), x.evaluator)


def normalised(x: EncryptedVector, center: float, radius: float) -> EncryptedVector | None:
    """Return (x - center)/radius for a linear form that was not computed yet, at no cost; None for other vectors."""
    return x._affine(1 / radius, -center / radius) if x._waiting else None


def checked_vector(x: Any) -> EncryptedVector:
    """Return x, an EncryptedVector; raise TypeError for anything else, saying how to make one of it."""
    if isinstance(x, EncryptedVector):
        return x
    ct = "ciphertext" if isinstance(x, Ciphertext) else "encryptor.encrypt(values)"
    raise TypeError(f"found {type(x).__name__}, needed an EncryptedVector; make one: EncryptedVector({ct}, evaluator)")


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Tell whether an array of this shape may be added: numpy's rules, without enlarging the encrypted side."""
    try:
        return np.broadcast_shapes(shape, into) == into
    except ValueError:
        return False
