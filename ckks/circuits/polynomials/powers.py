"""Which powers to compute before a polynomial is evaluated: a small exact search.

"Power" stands for T_k in the Chebyshev basis and for u^k in the power basis. Both come in pairs,

    T_{a+b} = 2 T_a T_b - T_{|a-b|}         u^{a+b} = u^a u^b

so power k costs one multiplication and lies ceil(log2 k) multiplications deep. With a set of
powers at hand, a polynomial of degree n within depth D is either a linear combination of powers of
depth <= D - 1 (the multiplication by the coefficients is the last level), or it is split,

    p = q T_k + r,    k in the set, depth(T_k) < D, q within depth D - 1, r within depth D,

and the best k for each (degree, parity, D) follows by dynamic programming. Sums share one
relinearisation and one rescale, so the products of r, of its remainder, and so on, are added to
q T_k before either: a whole chain of remainders costs one of each.

Paterson and Stockmeyer [PS73] fix the set to all powers below 2^s and 2^s, 2^{s+1}, ..., and k to
the largest of those; depth-optimal variants split the leading block again with a smaller s. Both
are members of the family searched here: powers up to any m (of the polynomial's parity), and g,
2g, 4g, ... for any g. The search finds both s and the re-splitting by itself, and odd giant steps
that no s gives. Up to power 32, that is degree 63 at least depth (power 16 in the power basis, which
is for low degrees), it also tries all sets of up to eight powers: not many, as each power has to be
made at its least depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from ckks.circuits.polynomials.polynomial import Basis, Parity
from ckks.circuits.polynomials.prices import PRICES, Fewest, Prices

__all__ = [
    "Splitter",
    "best_powers",
    "close_powers",
    "depth_of_power",
    "least_depth",
]

_IMPOSSIBLE = 1 << 30
_ALL_UP_TO: dict[Basis, int] = {"chebyshev": 32, "power": 16}  # largest power, and ...
_ALL_OF = 8  # ... number of powers of the sets that are all tried


def depth_of_power(index: int) -> int:
    """Multiplications on the longest path to power `index` >= 1: ceil(log2 index)."""
    return (index - 1).bit_length()


def least_depth(degree: int) -> int:
    """Levels for a polynomial of this degree, coefficients included: ceil(log2(degree + 1)).

    A path of d multiplications, one of them by a coefficient, reaches degree 2^d - 1 at most:
    products of powers alone double the degree each time, and the coefficient uses one level
    without adding any.
    """
    return degree.bit_length()


def close_powers(targets: Iterable[int], basis: Basis) -> dict[int, tuple[int, int]]:
    """Every power needed for the targets (>= 1): index -> its factors (left, right), left >= right.

    Each is made at depth ceil(log2 index), of powers already there if possible (a square before a
    product), else of its two halves. In the Chebyshev basis T_{left - right} is in the set too, or
    left = right. Keys ascend, so that factors come first. Power 1 is the input and not listed.
    """
    made: dict[int, tuple[int, int]] = {}

    def available(index: int) -> bool:
        return index == 1 or index in made

    def make(index: int) -> None:
        if available(index):
            return
        limit = depth_of_power(index) - 1
        for right in range(index // 2, 0, -1):
            left = index - right
            if (
                available(left)
                and available(right)
                and depth_of_power(left) <= limit
                and (left == right or basis == "power" or available(left - right))
            ):
                break
        else:
            right = index // 2
            left = index - right
            make(right)
            make(left)
        made[index] = (left, right)

    for target in sorted(set(targets)):
        make(target)
    return dict(sorted(made.items()))


class Split(NamedTuple):
    """Cost of the products of a chain of remainders; the power to split at first (0: none)."""

    cost: int
    giant: int


class Splitter:
    """Cheapest splits of dense polynomials, given the powers at hand; results are kept.

    Polynomials are known by degree and parity only: "odd" (up to a constant), "even" or "none".
    """

    def __init__(self, indices: Iterable[int], prices: Prices) -> None:
        """Take the indices of the available powers, 1 always among them, and what steps cost."""
        self._prices = prices
        self._giants = sorted({1, *indices}, reverse=True)
        self._indices = frozenset(self._giants)
        self._known: dict[tuple[int, Parity, int], Split] = {}

    def is_term(self, index: int, depth: int) -> bool:
        """Whether coefficient times power `index` is available within this depth."""
        return index in self._indices and depth_of_power(index) < depth

    def block_cost(self, degree: int, parity: Parity, depth: int) -> int:
        """Cost of one relinearised, rescaled value: a polynomial of this degree."""
        cost = self.split(degree, parity, depth).cost
        return cost + self._prices.rescale + (self._prices.relinearise if cost else 0)

    def split(self, degree: int, parity: Parity, depth: int) -> Split:
        """Best first split, with the cost of all products up to, not with, relinearise and rescale.

        Ties go to the largest power, which keeps quotient coefficients smallest. An impossible
        request has a cost of at least 2^30.
        """
        while degree > 0 and (self.is_term(degree, depth) or not _occurs(degree, parity)):
            degree -= 1
        if degree == 0:
            return Split(0, 0)
        if degree.bit_length() > depth:
            return Split(_IMPOSSIBLE, 0)
        key = (degree, parity, depth)
        if key not in self._known:
            best = Split(_IMPOSSIBLE, 0)
            for k in self._giants:
                if k >= degree or depth_of_power(k) >= depth:
                    continue
                quotient = _times_parity(parity, k)
                cost = self._prices.product + self.block_cost(degree - k, quotient, depth - 1)
                if cost < best.cost:
                    cost += self.split(k - 1, parity, depth).cost
                if cost < best.cost:
                    best = Split(cost, k)
            self._known[key] = best
        return self._known[key]


def _occurs(index: int, parity: Parity) -> bool:
    return parity == "none" or (index % 2 == 1) == (parity == "odd")


def _times_parity(parity: Parity, index: int) -> Parity:
    """Parity of the quotient by power `index`."""
    if parity == "none" or index % 2 == 0:
        return parity
    return "even" if parity == "odd" else "odd"


@lru_cache(maxsize=256)
def best_powers(
    degree: int, parity: Parity, depth: int, basis: Basis, fewest: Fewest = "key switches"
) -> frozenset[int]:
    """Indices of the powers with which dense polynomials of this kind are cheapest.

    Within this depth, at least least_depth(degree); parity "odd" means odd up to a constant. Equal
    costs go to fewer powers.
    """
    prices = PRICES[fewest]
    deepest = min(degree, 1 << max(depth - 1, 0))
    best: tuple[int, int, frozenset[int]] = (_IMPOSSIBLE, 0, frozenset())
    for indices in chain(_regular_sets(degree, parity, depth, basis), _all_sets(deepest, basis)):
        cost = prices.power * len(indices)
        if cost + prices.rescale > best[0]:  # no block costs less
            continue
        cost += Splitter(indices, prices).block_cost(degree, parity, depth)
        if (cost, len(indices)) < best[:2]:
            best = (cost, len(indices), indices)
    return best[2]


def _regular_sets(degree: int, parity: Parity, depth: int, basis: Basis) -> Iterator[frozenset[int]]:
    """Powers up to m, those that occur, and g, 2g, 4g, ..., with what these are made of."""
    deepest = 1 << max(depth - 1, 0)
    largest_baby = min(degree, (1 << (depth + 1) // 2) + 2)
    seen: set[frozenset[int]] = set()
    for m in range(1, largest_baby + 1):
        babies = [k for k in range(1, m + 1) if _occurs(k, parity)]
        for g in range(2, min(degree, 2 * m + 3) + 1):
            giants = [k for k in (g << i for i in range(depth)) if k <= degree]
            for count in range(len(giants) + 1):
                targets = [k for k in babies + giants[:count] if k <= deepest]
                indices = frozenset(close_powers(targets, basis))
                if indices not in seen:
                    seen.add(indices)
                    yield indices


@lru_cache(maxsize=16)
def _all_sets(top: int, basis: Basis) -> tuple[frozenset[int], ...]:
    """All sets of a few powers up to `top` of which each is made of two others at its least depth; see _ALL_UP_TO."""

    def can_be_made(index: int, have: frozenset[int]) -> bool:
        depth = depth_of_power(index)
        return any(
            index - right in have
            and depth_of_power(index - right) < depth
            and (basis == "power" or index == 2 * right or index - 2 * right in have)
            for right in have
            if 2 * right <= index
        )

    def grown(have: frozenset[int], last: int) -> Iterator[frozenset[int]]:
        yield have - {1}
        if len(have) > _ALL_OF:
            return
        for index in range(last + 1, top + 1):
            if can_be_made(index, have):
                yield from grown(have | {index}, index)

    return tuple(sorted(grown(frozenset({1}), 1), key=len)) if top <= _ALL_UP_TO[basis] else ()
