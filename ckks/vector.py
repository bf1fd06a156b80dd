"""EncryptedVector: numpy-like operators on ciphertexts, and functions of them.

A vector owns an evaluator, so `*` relinearises and rescales, and operands of different levels are aligned. What numpy
would silently turn into an array of objects raises a TypeError instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.linear.matrix import LinearMap
from ckks.circuits.polynomials.evaluation import evaluate_normalised, evaluate_polynomial
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.errors import SlotError
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


class EncryptedVector:
    """Encrypted numbers of shape (..., n): a ciphertext (or a batch of them) with an evaluator for it.

    Args:
        ciphertext: from an Encryptor.
        evaluator: with the keys that the operations need.

    Operators: + - * with vectors, numbers and arrays; `weights @ x` sums over the first of two axes (one level, no
    keys), `x @ weights` over the slots, `LinearMap(matrix) @ x` is a matrix times the slots; x ** k for small k; x <<
    k rotates to the left; / by plain numbers. Slots behind the values are zeros: vectors of different length add up as
    if the shorter went on with zeros. Immutable; share it freely.
    """

    __slots__ = ("_ciphertext", "_linear", "evaluator")
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, ciphertext: Ciphertext, evaluator: Evaluator) -> None:
        """Bind a ciphertext to an evaluator."""
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
                "rotate with << or multiply by a mask"
            )
        return EncryptedVector(self.ciphertext[position], self.evaluator)

    # ---- operators -----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> EncryptedVector:
        """Return self + other."""
        if not _is_operand(other):
            return NotImplemented
        if self._waiting and not isinstance(other, EncryptedVector):
            values = as_numbers(other)
            if values.dtype.kind == "f" and _fits(values.shape, self.shape):
                return self._affine(1.0, values)
        return self._apply(self.evaluator.add, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> EncryptedVector:
        """Return self - other."""
        if not _is_operand(other):
            return NotImplemented
        if self._waiting and not isinstance(other, EncryptedVector):
            return self + -as_numbers(other)
        return self._apply(self.evaluator.subtract, other)

    def __rsub__(self, other: Any) -> EncryptedVector:
        """Return other - self."""
        return (-self).__add__(other)

    def __neg__(self) -> EncryptedVector:
        """Return -self."""
        if self._waiting:
            return self._affine(-1.0, 0.0)
        return EncryptedVector(self.evaluator.negate(self.ciphertext), self.evaluator)

    def __mul__(self, other: Any) -> EncryptedVector:
        """Return self * other, slot by slot: one level (integers are free)."""
        if not _is_operand(other):
            return NotImplemented
        if self._waiting and isinstance(other, (int, float, np.integer, np.floating)):
            return self._affine(float(other), 0.0)
        return self._apply(self.evaluator.multiply, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> EncryptedVector:
        """Return self / other for plain numbers: one level."""
        if isinstance(other, EncryptedVector):
            raise TypeError("division by encrypted values: multiply by ckks.functions.inverse(x, interval=...)")
        if not _is_operand(other):
            return NotImplemented
        return self * (1.0 / as_numbers(other))[()]

    def __rtruediv__(self, other: Any) -> NoReturn:
        """Refuse: a reciprocal needs an interval."""
        raise TypeError("division by encrypted values: use ckks.functions.inverse(x, interval=...)")

    def __abs__(self) -> NoReturn:
        """Refuse: a sign needs a resolution."""
        raise TypeError("the sign of encrypted values is not known: use ckks.comparisons.absolute(x, ...)")

    def with_bound(self, bound: float) -> EncryptedVector:
        """Return the same vector under a promise of yours: no |value| exceeds `bound`."""
        return EncryptedVector(self.evaluator.with_bound(self.ciphertext, bound), self.evaluator)

    def __pow__(self, exponent: int) -> EncryptedVector:
        """Return self ** exponent by repeated squaring, exponent 1 to 64."""
        if isinstance(exponent, bool) or not isinstance(exponent, (int, np.integer)) or not 1 <= exponent <= 64:
            raise SlotError(f"power {exponent!r}; needed an integer from 1 to 64 (polynomial() is for more)")
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
        w = as_numbers(weights)
        if self.ndim != 2 or w.ndim not in (1, 2) or w.shape[-1] != self.shape[0] or w.dtype.kind == "c":
            raise SlotError(
                f"cannot multiply weights {w.shape} by encrypted values {self.shape}; needed real weights (K,) or "
                "(M, K) and one ciphertext per feature, (K, n)"
            )
        return EncryptedVector._pending(_Linear(self.ciphertext, w, np.zeros(())), self.evaluator)

    def __matmul__(self, other: Any) -> EncryptedVector:
        """Return self @ w for plain w of shape (n,): the inner product, in every slot (one level, log2 rotations)."""
        w = as_numbers(other)
        if self.ndim != 1 or w.shape != self.shape:
            raise SlotError(f"cannot multiply encrypted values {self.shape} by {w.shape}; needed (n,) and (n,)")
        slots = meta_of(self.ciphertext).slots
        padded = np.zeros(slots, dtype=w.dtype)
        padded[: len(w)] = w
        product = self.evaluator.multiply(self.ciphertext, padded)
        return EncryptedVector(self.evaluator.sum_slots(product), self.evaluator)

    def sum(self, axis: int = 0) -> EncryptedVector:
        """Return the sum over a batch axis."""
        if not -self.ndim <= axis < self.ndim or axis in (-1, self.ndim - 1):
            raise SlotError(f"sum over axis {axis} of shape {self.shape}; only batch axes: use evaluator.sum_slots")
        return EncryptedVector(self.evaluator.sum(self.ciphertext, axis % self.ndim), self.evaluator)

    @property
    def _waiting(self) -> bool:
        return self._ciphertext is None

    def _affine(self, factor: float, shift: Any) -> EncryptedVector:
        assert self._linear is not None
        return EncryptedVector._pending(self._linear.affine(factor, shift), self.evaluator)

    def _apply(self, operation: Any, other: Any) -> EncryptedVector:
        operand = other.ciphertext if isinstance(other, EncryptedVector) else other
        return EncryptedVector(operation(self.ciphertext, operand), self.evaluator)

    # ---- what numpy and Python must not do with it ----------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """Refuse conversion to an array."""
        raise TypeError("these values are encrypted; call Decryptor.decrypt(...) to get an array")

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("these values are encrypted: they have no truth value, order or digits; decrypt them first")

    __bool__ = __float__ = __int__ = __complex__ = __iter__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __repr__(self) -> str:
        """Return a line with shape, level, scale, precision and size."""
        if self._waiting:
            return f"<EncryptedVector {self.shape}, linear form not computed yet>"
        return f"<EncryptedVector {self.shape}, {str(self.ciphertext)[1:-1]}>"


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


def _is_operand(other: Any) -> bool:
    if isinstance(other, (EncryptedVector, int, float, complex, np.ndarray, np.generic)):
        return True
    return isinstance(other, (list, tuple))


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Tell whether an array of this shape may be added: numpy's rules, without enlarging the encrypted side."""
    try:
        return np.broadcast_shapes(shape, into) == into
    except ValueError:
        return False
