"""What the fused operations work on: the digits of a gadget, and division by some primes of a basis.

Constants only, each a pure function of moduli; `composed` says what is computed with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod

import numpy as np

from ckks.arith import inverse
from ckks.errors import ParameterError
from ckks.kernels.interface import Conversion, Plan, Words, make_conversion


@dataclass(frozen=True)
class Gadget:
    """The digits of an RNS gadget over a joint basis (p_1..p_k, q_0..q_l) ([HK19]): what key switching needs to know.

    Args:
        plan: the joint basis, k + l limbs.
        special: k >= 1.
        bounds: digit d owns the limbs bounds[d] to bounds[d + 1] - 1; the first is k, the last k + l.
        centred: lift digits to (-D/2, D/2], otherwise to [0, D).

    Raises:
        ParameterError: there is no special prime, or the digits do not cover the other limbs.
    """

    plan: Plan
    special: int
    bounds: tuple[int, ...]
    centred: bool = True

    def __post_init__(self) -> None:
        """Check what compiled sources index memory with."""
        k, bounds = self.special, self.bounds
        ends = len(bounds) > 1 and bounds[0] == k and bounds[-1] == len(self.plan)
        if k < 1 or not ends or any(a >= b for a, b in pairwise(bounds)):
            raise ParameterError(
                f"digit bounds {bounds} do not cover limbs {k} to {len(self.plan)} after special primes"
            )

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.bounds) - 1

    @cached_property
    def kept(self) -> Plan:
        """(q_0..q_l)."""
        return self.plan[self.special :]

    @cached_property
    def lifts(self) -> tuple[Conversion, ...]:
        """For each digit the conversion from its primes to all others of the joint basis, in their order."""
        moduli = self.plan.moduli
        return tuple(
            make_conversion(moduli[first:last], moduli[:first] + moduli[last:], self.centred)
            for first, last in pairwise(self.bounds)
        )

    @cached_property
    def weights(self) -> Words:
        """P mod q_i, P the product of the special primes: what a ciphertext is multiplied by before it is added."""
        return _read_only(prod(self.plan.moduli[: self.special]) % q for q in self.kept.moduli)


@dataclass(frozen=True)
class Quotient:
    """Division with rounding of values over `plan` by its `first` first and `last` last primes.

    Raises:
        ParameterError: nothing is dropped, or nothing remains.
    """

    plan: Plan
    first: int
    last: int

    def __post_init__(self) -> None:
        """Check what compiled sources index memory with."""
        first, last = self.first, self.last
        if first < 0 or last < 0 or not 0 < first + last < len(self.plan):
            raise ParameterError(
                f"cannot divide by {first} + {last} of {len(self.plan)} limbs; at least one has to remain"
            )

    @property
    def kept(self) -> Plan:
        """The moduli that remain."""
        return self.plan[self.first : len(self.plan) - self.last]

    @cached_property
    def lift(self) -> Conversion:
        """From the dropped primes, first ones first, to those that remain."""
        end = len(self.plan) - self.last
        return make_conversion(self.plan.moduli[: self.first] + self.plan.moduli[end:], self.kept.moduli)

    @cached_property
    def weights(self) -> Words:
        """The inverse of the product of the dropped primes modulo each that remains."""
        dropped = prod(self.lift.source)
        return _read_only(inverse(dropped, q) for q in self.kept.moduli)


def _read_only(values: Iterable[int]) -> Words:
    array = np.array(list(values), dtype=np.uint64)
    array.flags.writeable = False
    return array


@lru_cache(maxsize=4096)
def make_gadget(plan: Plan, special: int, bounds: tuple[int, ...], centred: bool = True) -> Gadget:
    """Return the (cached) gadget."""
    return Gadget(plan, special, bounds, centred)


@lru_cache(maxsize=4096)
def make_quotient(plan: Plan, first: int, last: int) -> Quotient:
    """Return the (cached) constants of a division."""
    return Quotient(plan, first, last)
