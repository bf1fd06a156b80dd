"""How to evaluate a polynomial: which powers and products, in which order; no cryptography.

A plan is two lists. First the powers of the normalised input u = (x - center) / radius, each from
two earlier ones; then the blocks,

    block = sum_i  block_i * power_{k_i}  +  sum_j  c_j * power_j  +  constant,

each from earlier blocks; the last block is the polynomial's value. `execute` walks a plan in
floating point, in twenty lines; an encrypted evaluator walks it the same way.

Depth. A level is what one rescale uses up. A power lies at depth ceil(log2 index). A block lies
one deeper than its deepest factor or term: the multiplication by coefficients c_j is a
multiplication as well, and uses a level. All products and scaled terms of a block are summed
before its one relinearisation (none when there are no products) and its one rescale, so the terms
cost no level beyond that of the products. `Block.depth` is the level offset at which the block is
due: exactly one before the block that uses it. The plan's depth is ceil(log2(degree + 1)), the
least possible (`least_depth`).

Scales, top down. With the wanted scale of the result given, a block due at scale s that is
rescaled by q needs each coefficient c_j encoded at s q / scale(power_j), and each factor block
due, one level higher, at scale s q / scale(power_{k_i}). Then every addition meets equal scales,
without tolerance. Powers are dropped to the level of the product first. Constants are encoded at
the scale of the sum.

Normalisation. u = (x - center) / radius should not cost a level. Subtracting the center is an
addition. The division is one of:

1. part of the encoding, or of the plaintext multiplication that made x (weights / radius): free,
   and to be preferred.
2. a declaration: x at scale S is u at scale S * radius, the same integers. No level is used, but
   power k then carries the scale S * radius^k: `growth_bits` more than S for the largest power.
   These bits must be spare, in the modulus at the powers' level and in the result's scale; else
   they are lost from the factor blocks' precision. Sensible for degrees 3 and 7 (radius^2,
   radius^4) and a small radius.
3. a multiplication by 1 / radius: one level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials.polynomial import Basis
from ckks.circuits.polynomials.powers import depth_of_power
from ckks.circuits.polynomials.prices import PRICES, Fewest

__all__ = ["Block", "EvaluationPlan", "Power", "Product", "execute"]


@dataclass(frozen=True, slots=True)
class Power:
    """Power `index` = left + right, left >= right >= 1, from two powers listed earlier (1 is u).

    Chebyshev: T_index = 2 T_left T_right - T_{left-right}, with T_0 = 1. Power basis: the plain
    product.
    """

    index: int
    left: int
    right: int

    @property
    def depth(self) -> int:
        """Rescales after which it is available."""
        return depth_of_power(self.index)

    @property
    def is_square(self) -> bool:
        """Whether both factors are the same."""
        return self.left == self.right


@dataclass(frozen=True, slots=True)
class Product:
    """plan.blocks[block] times power `giant`."""

    block: int
    giant: int


@dataclass(frozen=True, slots=True)
class Block:
    """One linear combination; see the module for what is summed before relinearising and rescaling.

    products   factor blocks, each used by this block only, times powers
    terms      (power index >= 1, coefficient), indices descending
    constant   added at the end, or at any time before
    depth      rescales after which the value is due
    magnitude  bound on |value| for u in [-1, 1]: the sum of its polynomial's absolute coefficients
    """

    products: tuple[Product, ...]
    terms: tuple[tuple[int, float], ...]
    constant: float
    depth: int
    magnitude: float


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Everything needed to evaluate one polynomial; see the module.

    basis           what `powers` means: T_k(u) or u^k
    center, radius  u = (x - center) / radius
    powers          ascending index
    blocks          factors before the blocks that use them; the last is the result
    """

    basis: Basis
    center: float
    radius: float
    powers: tuple[Power, ...]
    blocks: tuple[Block, ...]

    @property
    def depth(self) -> int:
        """Levels used from u to the result."""
        return self.blocks[-1].depth

    @property
    def degree(self) -> int:
        """Of the result as a polynomial of u, unless leading coefficients cancel."""
        reached: list[int] = []
        for block in self.blocks:
            found = [index for index, _ in block.terms]
            found += [reached[part.block] + part.giant for part in block.products]
            reached.append(max(found, default=0))
        return reached[-1]

    @property
    def multiplications(self) -> int:
        """Products of two ciphertexts, squares included."""
        return len(self.powers) + sum(len(block.products) for block in self.blocks)

    @property
    def relinearisations(self) -> int:
        """Key switches: one per power and one per block with products."""
        return len(self.powers) + sum(1 for block in self.blocks if block.products)

    @property
    def rescales(self) -> int:
        """Divisions by a level's primes: one per power and one per block that is not constant."""
        return len(self.powers) + sum(1 for b in self.blocks if b.products or b.terms)

    @property
    def scalar_multiplications(self) -> int:
        """Products of a ciphertext and a coefficient."""
        return sum(len(block.terms) for block in self.blocks)

    @property
    def cost(self) -> int:
        """About the time it takes, in halves of a tensor product (see `ckks.circuits.polynomials.prices`)."""
        return self.price("key switches")

    def price(self, fewest: Fewest) -> int:
        """Return what a search for the fewest of these minimises."""
        return PRICES[fewest].total(self.multiplications, self.relinearisations, self.rescales)

    @property
    def growth_bits(self) -> float:
        """Bits by which the largest power's scale grows when u is made by declaration.

        Negative for a radius below 1: then the scale shrinks, and so many bits of precision go.
        """
        largest = self.powers[-1].index if self.powers else 1
        return largest * math.log2(self.radius)


def execute(plan: EvaluationPlan, x: ArrayLike) -> NDArray[Any]:
    """Evaluate in floating point, any shape, exactly as an encrypted evaluator walks the plan."""
    points = np.asarray(x)
    u = (points - plan.center) / plan.radius
    powers: dict[int, NDArray[Any]] = {0: np.ones_like(u), 1: u}
    for power in plan.powers:
        product = powers[power.left] * powers[power.right]
        if plan.basis == "chebyshev":
            product = 2 * product - powers[power.left - power.right]
        powers[power.index] = product
    values: list[NDArray[Any]] = []
    for block in plan.blocks:
        value = np.full_like(u, block.constant)
        for factor in block.products:
            value = value + values[factor.block] * powers[factor.giant]
        for index, coefficient in block.terms:
            value = value + coefficient * powers[index]
        values.append(value)
    return values[-1]
