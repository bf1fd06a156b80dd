"""Making plans: splitting polynomials into the powers and blocks of `circuits.polynomials.steps`; no cryptography.

One polynomial, several of one input that share its powers, or several of one shape that differ by slot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ckks.circuits.polynomials.division import Row, Rows, degree_of, divide_chebyshev, divide_power, parity_of
from ckks.circuits.polynomials.polynomial import Basis, Parity, Polynomial
from ckks.circuits.polynomials.powers import (
    Splitter,
    best_powers,
    close_powers,
    depth_of_power,
    least_depth,
)
from ckks.circuits.polynomials.prices import PRICES, Fewest
from ckks.circuits.polynomials.steps import Block, EvaluationPlan, Power, Product, execute
from ckks.errors import LevelError, ParameterError

__all__ = [
    "Block",
    "EvaluationPlan",
    "Power",
    "Product",
    "check_alike",
    "evaluation_plan",
    "execute",
    "per_slot_plans",
    "shared_plans",
]

_SPARSE = 16  # polynomials with at most so many terms are also tried with just those powers


@lru_cache(maxsize=256)
def evaluation_plan(
    polynomial: Polynomial, *, depth: int | None = None, fewest: Fewest = "key switches"
) -> EvaluationPlan:
    """Cheapest plan of the family in `ckks.circuits.polynomials.powers`, at the given depth or the least.

    fewest  what is saved first where both cannot be had: "key switches", which are what takes time, or "products" of
            two ciphertexts. Mostly one plan has the fewest of both; an odd polynomial of degree 31 has 13 products and
            10 key switches, or 12 and 11

    One level more than the least saves up to a third of the key switches; further levels save
    little.

    The plan keeps the basis. Chebyshev: u is the polynomial's own. Power: u = x / radius with
    radius the largest |x| on the interval, and coefficients c_k radius^k, so that no power leaves
    [-1, 1].

    Raises LevelError when the depth is below ceil(log2(degree + 1)), ParameterError for another wish.
    """
    if fewest not in PRICES:
        raise ParameterError(f"fewest {fewest!r}; choose one of {', '.join(map(repr, PRICES))}")
    return _plans((polynomial,), _allowed(polynomial, depth), fewest)[0]


@lru_cache(maxsize=64)
def per_slot_plans(polynomials: tuple[Polynomial, ...]) -> tuple[EvaluationPlan, ...]:
    """One plan per polynomial, of one shape: the same powers, products and terms; only the coefficients differ.

    So they can be walked as one, with a vector of coefficients where a plan has a number. The shape is that of a
    polynomial of the largest degree, odd or even only if all of them are.

    Raises ParameterError unless all have one basis and one interval.
    """
    check_alike(polynomials)
    return _plans(polynomials, max(least_depth(p.degree) for p in polynomials))


@lru_cache(maxsize=64)
def shared_plans(polynomials: tuple[Polynomial, ...]) -> tuple[EvaluationPlan, ...]:
    """Plans, each at its polynomial's least depth, that use one list of powers: for several functions of one input.

    Tried are the union of the powers that each would choose, and each one's own choice completed by 2, 4, 8, ...;
    the cheapest in total is taken.

    Raises ParameterError unless all have one basis and one interval.
    """
    basis = check_alike(polynomials)
    depths = [least_depth(p.degree) for p in polynomials]
    doubled = {1 << i for i in range(max(depths))}
    choices = [best_powers(p.degree, _columns((p,))[3], d, basis) for p, d in zip(polynomials, depths, strict=True)]
    tried = [frozenset[int]().union(*choices)] + [choice | doubled for choice in choices]
    found = []
    for wanted in dict.fromkeys(tried):
        indices = frozenset(close_powers({k for k in wanted if k > 1}, basis))
        plans = [_build((p,), d, indices)[0] for p, d in zip(polynomials, depths, strict=True)]
        powers = _used_powers([block for plan in plans for block in plan.blocks], indices, basis)
        plans = [replace(plan, powers=powers) for plan in plans]
        each = PRICES["key switches"].power * len(powers)
        found.append((sum(plan.cost - each for plan in plans) + each, plans))
    return tuple(min(found, key=lambda one: one[0])[1])


def check_alike(polynomials: Sequence[Polynomial]) -> Basis:
    """Return the basis of polynomials that can share their powers; raise ParameterError for others."""
    listed = [] if isinstance(polynomials, Polynomial) else list(polynomials)
    if isinstance(polynomials, Polynomial) or not all(isinstance(p, Polynomial) for p in listed):
        found = ", ".join(type(p).__name__ for p in listed) or "a single Polynomial"
        raise ParameterError(f"found {found}; needed a list of Polynomials, each by fit(f, interval, degree=...)")
    kinds = dict.fromkeys((p.basis, p.interval) for p in polynomials)
    if len(kinds) != 1:
        several = "; ".join(f"{basis} on {interval}" for basis, interval in kinds) or "none at all"
        raise ParameterError(
            f"polynomials of one input share its powers, so they need one basis and one interval, found {several}; "
            "fit all of them on the interval that holds the input"
        )
    return polynomials[0].basis


def _allowed(polynomial: Polynomial, depth: int | None) -> int:
    least = least_depth(polynomial.degree)
    allowed = least if depth is None else depth
    if allowed < least:
        raise LevelError(
            f"degree {polynomial.degree} needs {least} levels, {allowed} are allowed; allow "
            f"{least}, or use a degree up to {(1 << max(allowed, 0)) - 1}"
        )
    return allowed


def _columns(polynomials: tuple[Polynomial, ...]) -> tuple[Rows, float, float, Parity]:
    """(coefficients of power k as row k, one column per polynomial; center, radius; the parity that all have)."""
    first = polynomials[0]
    center, radius = first.center, first.radius
    rows = np.zeros((max(p.degree for p in polynomials) + 1, len(polynomials)))
    for j, p in enumerate(polynomials):
        rows[: p.degree + 1, j] = p.coefficients
    if first.basis == "power":
        center, radius = 0.0, first.reach
        rows *= np.array([radius**k for k in range(len(rows))])[:, None]
    return list(rows), center, radius, parity_of(list(rows))


def _plans(
    polynomials: tuple[Polynomial, ...], depth: int, fewest: Fewest = "key switches"
) -> tuple[EvaluationPlan, ...]:
    rows, _, _, parity = _columns(polynomials)
    basis = polynomials[0].basis
    # Coefficients that are zero may spare more of what a dense polynomial would save second.
    wishes: dict[Fewest, None] = {fewest: None, "key switches": None}
    candidates = [best_powers(len(rows) - 1, parity, depth, basis, wish) for wish in wishes]
    support = [k for k, row in enumerate(rows) if k and row.any()]
    if len(support) <= _SPARSE:
        wanted = {k for k in support if depth_of_power(k) < depth} | {1 << i for i in range(depth)}
        candidates.append(frozenset(close_powers(wanted, basis)))
    plans = [_build(polynomials, depth, indices, fewest) for indices in candidates]
    return min(plans, key=lambda alike: (alike[0].price(fewest), len(alike[0].blocks)))


def _build(
    polynomials: tuple[Polynomial, ...], depth: int, indices: frozenset[int], fewest: Fewest = "key switches"
) -> tuple[EvaluationPlan, ...]:
    """One plan per polynomial, all of one shape, with these powers at hand."""
    rows, center, radius, _ = _columns(polynomials)
    basis = polynomials[0].basis
    columns = [_scheduled(blocks) for blocks in _Builder(basis, Splitter(indices, PRICES[fewest])).build(rows, depth)]
    powers = _used_powers(columns[0], indices, basis)
    return tuple(EvaluationPlan(basis, center, radius, powers, blocks) for blocks in columns)


class _Builder:
    """Splits actual coefficients as the Splitter says; emits blocks in order of evaluation.

    Coefficients are rows, one number per polynomial: a row is absent only where all of them are zero, so that the
    polynomials' blocks have one shape.
    """

    def __init__(self, basis: Basis, splitter: Splitter) -> None:
        self._divide = divide_chebyshev if basis == "chebyshev" else divide_power
        self._splitter = splitter
        self._blocks: list[list[Block]] = []

    def build(self, rows: Rows, depth: int) -> list[list[Block]]:
        """All blocks of each polynomial, its own last."""
        self._blocks = [[] for _ in rows[0]]
        self._emit(list(rows), depth)
        return self._blocks

    def _emit(self, c: Rows, depth: int) -> int:
        """Append the blocks for sum_k c_k power_k within this depth; return the last's position."""
        magnitudes = [math.fsum(abs(float(row[j])) for row in c) for j in range(len(self._blocks))]
        products: list[Product] = []
        terms: list[tuple[int, Row]] = []
        while (top := degree_of(c)) > 0:
            if self._splitter.is_term(top, depth):
                terms.append((top, c[top]))
                c[top] = np.zeros_like(c[top])
                continue
            giant = self._splitter.split(top, parity_of(c), depth).giant
            quotient, c = self._divide(c, giant)
            products.append(Product(self._emit(quotient, depth - 1), giant))
        for j, blocks in enumerate(self._blocks):
            own = tuple((k, float(row[j])) for k, row in terms)
            blocks.append(Block(tuple(products), own, float(c[0][j]), depth, magnitudes[j]))
        return len(self._blocks[0]) - 1


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


def _used_powers(blocks: Sequence[Block], indices: frozenset[int], basis: Basis) -> tuple[Power, ...]:
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
