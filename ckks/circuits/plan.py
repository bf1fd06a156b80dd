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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials import Basis, Parity, Polynomial
from ckks.circuits.powers import (
    COST_PRODUCT,
    COST_RELINEARISE,
    COST_RESCALE,
    Splitter,
    best_powers,
    close_powers,
    depth_of_power,
    least_depth,
)
from ckks.errors import LevelError

__all__ = ["Block", "Plan", "Power", "Product", "evaluation_plan", "execute"]

_SPARSE = 16  # polynomials with at most so many terms are also tried with just those powers


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
class Plan:
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
        """What the search minimises, in tensor products (see `ckks.circuits.powers`)."""
        return (
            COST_PRODUCT * self.multiplications
            + COST_RELINEARISE * self.relinearisations
            + COST_RESCALE * self.rescales
        )

    @property
    def growth_bits(self) -> float:
        """Bits by which the largest power's scale grows when u is made by declaration.

        Negative for a radius below 1: then the scale shrinks, and so many bits of precision go.
        """
        largest = self.powers[-1].index if self.powers else 1
        return largest * math.log2(self.radius)


@lru_cache(maxsize=256)
def evaluation_plan(polynomial: Polynomial, *, depth: int | None = None) -> Plan:
    """Cheapest plan of the family in `ckks.circuits.powers`, at the given depth or the least.

    One level more than the least saves up to a third of the key switches; further levels save
    little.

    The plan keeps the basis. Chebyshev: u is the polynomial's own. Power: u = x / radius with
    radius the largest |x| on the interval, and coefficients c_k radius^k, so that no power leaves
    [-1, 1].

    Raises LevelError when the depth is below ceil(log2(degree + 1)).
    """
    least = least_depth(polynomial.degree)
    allowed = least if depth is None else depth
    if allowed < least:
        raise LevelError(
            f"degree {polynomial.degree} needs {least} levels, {allowed} are allowed; allow "
            f"{least}, or use a degree up to {(1 << max(allowed, 0)) - 1}"
        )
    coefficients = list(polynomial.coefficients)
    center, radius = polynomial.center, polynomial.radius
    if polynomial.basis == "power":
        center, radius = 0.0, polynomial.reach
        coefficients = [c * radius**k for k, c in enumerate(coefficients)]
    basis = polynomial.basis
    parity = _parity(coefficients)
    candidates = [best_powers(polynomial.degree, parity, allowed, basis)]
    support = [k for k, c in enumerate(coefficients) if c and k]
    if len(support) <= _SPARSE:
        wanted = {k for k in support if depth_of_power(k) < allowed} | {1 << i for i in range(allowed)}
        candidates.append(frozenset(close_powers(wanted, basis)))
    plans = []
    for indices in candidates:
        blocks = _scheduled(_Builder(basis, Splitter(indices)).build(coefficients, allowed))
        plans.append(Plan(basis, center, radius, _used_powers(blocks, indices, basis), blocks))
    return min(plans, key=lambda plan: (plan.cost, len(plan.blocks)))


def execute(plan: Plan, x: ArrayLike) -> NDArray[Any]:
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


class _Builder:
    """Splits actual coefficients as the Splitter says; emits blocks in order of evaluation."""

    def __init__(self, basis: Basis, splitter: Splitter) -> None:
        self._divide = _divide_chebyshev if basis == "chebyshev" else _divide_power
        self._splitter = splitter
        self._blocks: list[Block] = []

    def build(self, coefficients: Sequence[float], depth: int) -> list[Block]:
        """All blocks for this polynomial, its own last."""
        self._emit(list(coefficients), depth)
        return self._blocks

    def _emit(self, c: list[float], depth: int) -> int:
        """Append the blocks for sum_k c_k power_k within this depth; return the last's position."""
        magnitude = math.fsum(abs(v) for v in c)
        products: list[Product] = []
        terms: list[tuple[int, float]] = []
        while (top := _degree(c)) > 0:
            if self._splitter.is_term(top, depth):
                terms.append((top, c[top]))
                c[top] = 0.0
                continue
            giant = self._splitter.split(top, _parity(c), depth).giant
            quotient, c = self._divide(c, giant)
            products.append(Product(self._emit(quotient, depth - 1), giant))
        self._blocks.append(Block(tuple(products), tuple(terms), c[0], depth, magnitude))
        return len(self._blocks) - 1


def _scheduled(blocks: list[Block]) -> tuple[Block, ...]:
    """Give every block the depth it is due at: the last its least, a factor one before its user."""
    ready: list[int] = []
    for block in blocks:
        inputs = [depth_of_power(index) for index, _ in block.terms]
        inputs += [max(ready[p.block], depth_of_power(p.giant)) for p in block.products]
        ready.append(1 + max(inputs) if inputs else 0)
    due = ready[:]
    for position in range(len(blocks) - 1, -1, -1):
        for product in blocks[position].products:
            due[product.block] = due[position] - 1
    return tuple(replace(block, depth=d) for block, d in zip(blocks, due, strict=True))


def _used_powers(blocks: tuple[Block, ...], indices: frozenset[int], basis: Basis) -> tuple[Power, ...]:
    """The powers that the blocks use and those they are made of, in ascending order."""
    factors = close_powers(indices, basis)
    pending = [index for block in blocks for index, _ in block.terms]
    pending += [product.giant for block in blocks for product in block.products]
    used: set[int] = set()
    while pending:
        index = pending.pop()
        if index > 1 and index not in used:
            used.add(index)
            left, right = factors[index]
            pending += [left, right] + ([left - right] if basis == "chebyshev" else [])
    return tuple(Power(index, *factors[index]) for index in sorted(used))


def _degree(c: Sequence[float]) -> int:
    return max((k for k, v in enumerate(c) if v), default=0)


def _parity(c: Sequence[float]) -> Parity:
    """Parity up to a constant, by exact zeros."""
    if not any(c[1::2]):
        return "even"
    return "none" if any(c[2::2]) else "odd"


def _divide_chebyshev(c: Sequence[float], k: int) -> tuple[list[float], list[float]]:
    """(q, r) with p = q T_k + r, degree of r below k, from T_{k+j} = 2 T_k T_j - T_{|k-j|}."""
    rest = list(c)
    quotient = [0.0] * (len(c) - k)
    for j in range(len(c) - 1 - k, 0, -1):
        leading = rest[k + j]
        quotient[j] = 2 * leading
        rest[abs(k - j)] -= leading
    quotient[0] = rest[k]
    return quotient, rest[:k]


def _divide_power(c: Sequence[float], k: int) -> tuple[list[float], list[float]]:
    """(q, r) with p = q u^k + r, degree of r below k."""
    return list(c[k:]), list(c[:k])
