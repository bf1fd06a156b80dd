"""A source that computes nothing and writes down what it was asked for: the work of a circuit, without the work.

Inside `recording()` every kernel call of this thread is noted and returns at once, an array of the right shape with
arbitrary words. All code above runs as it always does; levels, scales, error sizes and keys that are asked for are
those of a real run. How long one would take is measured in `sampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ckks.kernels.backends import instead
from ckks.kernels.gadgets import Gadget, Quotient
from ckks.kernels.interface import Conversion, Kernels, Plan, Words
from ckks.kernels.memory import empty
from ckks.kernels.threads import alone

__all__ = ["LOOPS", "Call", "Recorder", "kind", "recording"]

LOOPS = {
    "ntt", "intt", "add", "sub", "neg", "mul", "mul_scalar", "add_scalar", "mul_scalar_add", "sub_mul_scalar", "dot",
    "weighted_sum", "convert", "gather", "gather_signed", "signed", "mul_add", "neg_mul_add", "small", "rounded",
}  # fmt: skip
"""What writes to the array that it is given last."""

_LED = {"dot", "weighted_sum", "tensor", "switch_product", "switch_digits", "switch_sum", "lift_terms", "combine",
    "small_products",
}  # fmt: skip
"""Whose first array has an axis in front that is no batch: of parts, digits or terms."""


@dataclass(frozen=True)
class _Array:
    """Stands for an array in the arguments of a call."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Call:
    """One kind of call: function and arguments, arrays replaced by their shapes.

    Args:
        name: of the function in `ckks.kernels`.
        arguments: what to call it with again.
    """

    name: str
    arguments: tuple[Any, ...]

    @property
    def items(self) -> int:
        """How many polynomials, or pairs of them, a batch of this call has: the product of its leading axes."""
        first = next(a for a in self.arguments if isinstance(a, _Array))
        skip = 1 if self.name in _LED else 0
        items = int(np.prod(first.shape[skip:-2], dtype=np.int64))
        if self.name in ("tensor", "switch_product"):
            other = [a for a in self.arguments if isinstance(a, _Array)][1]
            items = int(np.prod(np.broadcast_shapes(first.shape[1:-2], other.shape[1:-2]), dtype=np.int64))
        return items


class Recorder:
    """A kernel source; `calls` counts what it was asked for, by kind."""

    name = "recorder"
    smallest_n = 1

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kinds: dict[Any, Call] = {}
        self._counts: dict[Any, int] = {}

    @property
    def calls(self) -> list[tuple[Call, int]]:
        """Every kind of call with its count, in order of appearance."""
        return [(call, self._counts[key]) for key, call in self._kinds.items()]

    def describe(self) -> dict[str, Any]:
        """Return facts, as every source does."""
        return {"variant": "computes nothing"}

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Note a loop."""
        if name in LOOPS:
            return lambda *arguments: self._note(name, *arguments)
        raise AttributeError(name)

    # What returns an array has to say of which shape.

    def decompose(self, gadget: Gadget, x: Words) -> Words:
        """(..., l, N) to (digits, ..., k + l, N)."""
        self._note("decompose", gadget, x)
        return empty((len(gadget), *x.shape[:-2], *gadget.plan.shape))

    def tensor(self, plan: Plan, x: Words, y: Words) -> Words:
        """Two elements (2, ..., l, N) to (3, ..., l, N)."""
        self._note("tensor", plan, x, y)
        return empty((3, *np.broadcast_shapes(x.shape[1:], y.shape[1:])))

    def divide(self, quotient: Quotient, x: Words, index: Any) -> Words:
        """(..., limbs, N) to (..., kept, N)."""
        self._note("divide", quotient, x, index)
        return empty((*x.shape[:-2], *quotient.kept.shape))

    def switch(self, gadget: Gadget, x: Words, key: Words, quotient: Quotient, addend: Any, index: Any) -> Words:
        """(..., l, N) to (2, ..., kept, N)."""
        self._note("switch", gadget, x, key, quotient, addend, index)
        return empty((2, *x.shape[:-2], *quotient.kept.shape))

    def switch_digits(
        self, gadget: Gadget, digits: Words, key: Words, quotient: Quotient, addend: Any, index: Any
    ) -> Words:
        """(digits, ..., k + l, N) to (2, ..., kept, N)."""
        self._note("switch_digits", gadget, digits, key, quotient, addend, index)
        return empty((2, *digits.shape[1:-2], *quotient.kept.shape))

    def switch_sum(
        self,
        gadget: Gadget,
        x: Words,
        digits: Words,
        keys: Sequence[Any],
        quotient: Quotient,
        indices: Sequence[Any],
        factors: Sequence[Any],
    ) -> Words:
        """(digits, ..., k + l, N) to (2, ..., kept, N)."""
        self._note("switch_sum", gadget, x, digits, tuple(keys), quotient, tuple(indices), tuple(factors))
        return empty((2, *digits.shape[1:-2], *quotient.kept.shape))

    def switch_product(self, gadget: Gadget, x: Words, y: Words, key: Words, quotient: Quotient) -> Words:
        """Two elements (2, ..., l, N) to (2, ..., kept, N)."""
        self._note("switch_product", gadget, x, y, key, quotient)
        batch = np.broadcast_shapes(x.shape[1:-2], y.shape[1:-2])
        return empty((2, *batch, *quotient.kept.shape))

    def lift_terms(self, gadget: Gadget, x: Words, digits: Words, keys: Sequence[Any], indices: Sequence[Any]) -> Words:
        """(2, ..., l, N) and its digits to (terms, 2, ..., k + l, N)."""
        self._note("lift_terms", gadget, x, digits, tuple(keys), tuple(indices))
        return empty((len(keys), 2, *digits.shape[1:]))

    def lift_switch(self, gadget: Gadget, x: Words, key: Words, joint: Words, index: Any) -> Words:
        """(..., l, N) and (..., k + l, N) to (2, ..., k + l, N)."""
        self._note("lift_switch", gadget, x, key, joint, index)
        return empty((2, *joint.shape))

    def combine(self, plan: Plan, x: Words, y: Words) -> Words:
        """Terms (K, ..., L, N) and factors (M, K, L, n) to (M, ..., L, N)."""
        self._note("combine", plan, x, y)
        return empty((len(y), *x.shape[1:]))

    def small_products(self, plan: Plan, x: Words, y: Any, total: Words | None) -> Words:
        """Terms (K, 2, L, N) and integers (M, K, N) to (M, 2, L, N)."""
        self._note("small_products", plan, x, y, total)
        return empty((len(y), *x.shape[1:])) if total is None else total

    def _note(self, name: str, *arguments: Any) -> None:
        key = kind(name, arguments)
        if key in self._counts:
            self._counts[key] += 1
        else:
            self._counts[key] = 1
            self._kinds[key] = Call(name, tuple(map(_remembered, arguments)))


@contextmanager
def recording() -> Iterator[Recorder]:
    """Compute nothing in the with block, in this thread (or task): kernel calls are written down."""
    recorder = Recorder()
    with instead(cast(Kernels, recorder)), alone():
        yield recorder


def kind(name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return what calls have in common that take equally long: names, shapes and moduli."""
    return name, *map(_key, arguments)


def _key(argument: Any) -> Any:
    match argument:
        case np.ndarray():
            return argument.shape
        case tuple():
            return tuple(map(_key, argument))
        case Plan():
            return argument.moduli, argument.n
        case Gadget():
            return argument.plan.moduli, argument.bounds
        case Quotient():
            return argument.plan.moduli, argument.first, argument.last
        case Conversion():
            return argument.source, argument.target
        case None:
            return None
    return type(argument)


def _remembered(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(map(_remembered, argument))
    if isinstance(argument, np.ndarray) and argument.dtype != np.int64:  # an index stays: its order is what takes time
        return _Array(argument.shape, argument.dtype.str)
    return argument
