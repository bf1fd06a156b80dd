"""Evaluation plans: right value, least depth, and no more multiplications than published or possible."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckks.circuits.polynomials.approximation import logistic, minimax
from ckks.circuits.polynomials.plan import (
    EvaluationPlan,
    check_alike,
    evaluation_plan,
    execute,
    per_slot_plans,
    shared_plans,
)
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.powers import (
    best_powers,
    close_powers,
    depth_of_power,
    least_depth,
)
from ckks.circuits.polynomials.prices import PRICES, Prices
from ckks.errors import LevelError, ParameterError

BASES = ("chebyshev", "power")
KINDS = [(n, parity) for n in range(1, 64) for parity in ("none", ("even", "odd")[n % 2])]

# Products of the depth-optimal schedule as usually counted; it leaves out the re-splitting of leading blocks.
PUBLISHED = {3: 2, 7: 4, 15: 7, 31: 11, 63: 16, 127: 24, 255: 33}


def dense(degree: int, parity: str, basis: str) -> Polynomial:
    """Small integer coefficients, no zeros but those of the parity: exact in every float operation of a plan."""
    c = [1 + (7 * k + degree) % 5 for k in range(degree + 1)]
    keep = {"none": lambda k: True, "even": lambda k: k % 2 == 0, "odd": lambda k: k % 2 == 1 or k == 0}[parity]
    return Polynomial(tuple(float(v) if keep(k) else 0.0 for k, v in enumerate(c)), basis)


def multiply(p: dict[int, Fraction], q: dict[int, Fraction], basis: str) -> dict[int, Fraction]:
    """Exact product of two coefficient tables."""
    out: dict[int, Fraction] = {}
    for (i, a), (j, b) in itertools.product(p.items(), q.items()):
        shares = ((i + j, a * b),) if basis == "power" else ((i + j, a * b / 2), (abs(i - j), a * b / 2))
        for k, v in shares:
            out[k] = out.get(k, Fraction(0)) + v
    return out


def simulate(plan: EvaluationPlan) -> tuple[int, dict[int, Fraction]]:
    """Walk a plan symbolically: least depth of the result in rescales, and its exact coefficients.

    One rescale per power; one per block, shared by its products and its coefficient multiplications.
    """
    powers = {0: (0, {0: Fraction(1)}), 1: (0, {1: Fraction(1)})}
    for power in plan.powers:
        assert power.index == power.left + power.right
        assert power.left >= power.right >= 1
        (d1, p1), (d2, p2) = powers[power.left], powers[power.right]
        value = multiply(p1, p2, plan.basis)
        if plan.basis == "chebyshev":
            value = {k: 2 * v for k, v in value.items()}
            for k, v in powers[power.left - power.right][1].items():
                value[k] -= v
        assert {k: v for k, v in value.items() if v} == {power.index: 1}
        powers[power.index] = (max(d1, d2) + 1, value)
        assert powers[power.index][0] == power.depth
    blocks: list[tuple[int, dict[int, Fraction]]] = []
    for block in plan.blocks:
        depth, value = 0, {0: Fraction(block.constant)}
        parts = [multiply(blocks[f.block][1], powers[f.giant][1], plan.basis) for f in block.products]
        parts += [{i: Fraction(c) * v for i, v in powers[k][1].items()} for k, c in block.terms]
        inputs = [max(blocks[f.block][0], powers[f.giant][0]) for f in block.products]
        inputs += [powers[k][0] for k, _ in block.terms]
        for part in parts:
            for k, v in part.items():
                value[k] = value.get(k, Fraction(0)) + v
        depth = 1 + max(inputs) if inputs else 0
        assert depth <= block.depth
        blocks.append((depth, value))
    return blocks[-1]


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("degree", "parity"), KINDS)
def test_least_depth_and_exact_value(degree, parity, basis):
    p = dense(degree, parity, basis)
    plan = evaluation_plan(p)
    depth, value = simulate(plan)
    assert depth == plan.depth == math.ceil(math.log2(degree + 1))
    assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(p.coefficients) if c}


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("degree", "parity"), KINDS[::5])
def test_every_block_is_due_one_level_before_its_only_use(degree, parity, basis):
    plan = evaluation_plan(dense(degree, parity, basis))
    users = [(f.block, user) for user in plan.blocks for f in user.products]
    assert sorted(i for i, _ in users) == list(range(len(plan.blocks) - 1))
    for factor, user in users:
        assert plan.blocks[factor].depth == user.depth - 1
    needed = {f.giant for b in plan.blocks for f in b.products} | {k for b in plan.blocks for k, _ in b.terms}
    for power in reversed(plan.powers):
        assert power.index in needed
        needed |= {power.left, power.right}
        if basis == "chebyshev":
            needed.add(power.left - power.right)


COUNTS = {
    (3, "odd"): ((2, 2), (2, 2)),
    (2, "even"): ((1, 1), (1, 1)),
    (3, "none"): ((2, 2), (2, 2)),
    (7, "odd"): ((5, 4), (5, 4)),
    (6, "even"): ((3, 3), (3, 3)),
    (7, "none"): ((5, 4), (5, 4)),
    (15, "odd"): ((8, 7), (8, 7)),
    (14, "even"): ((6, 5), (6, 5)),
    (15, "none"): ((8, 7), (8, 7)),
    (31, "odd"): ((13, 10), (12, 11)),
    (30, "even"): ((9, 8), (9, 8)),
    (31, "none"): ((13, 10), (13, 10)),
    (63, "odd"): ((17, 14), (17, 14)),
    (62, "even"): ((14, 11), (14, 11)),
    (63, "none"): ((18, 15), (18, 15)),
}
"""Products and key switches at least depth: with the fewest key switches, with the fewest products."""


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("degree", "parity"), COUNTS)
def test_counts_of_both_choices(degree, parity, basis):
    p = dense(degree, parity, basis)
    for fewest, counts in zip(PRICES, COUNTS[degree, parity], strict=True):
        plan = evaluation_plan(p, fewest=fewest)
        assert (plan.multiplications, plan.relinearisations) == counts, fewest
        depth, value = simulate(plan)
        assert depth == plan.depth == degree.bit_length()
        assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(p.coefficients) if c}
        # m products have at most m^2 + 1 degrees of freedom [PS73]
        free = sum(1 for c in p.coefficients if c)
        assert plan.multiplications**2 + 1 >= free


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("degree", "parity"), KINDS)
def test_the_choices_are_what_they_say(degree, parity, basis):
    """Neither has more of what it saves than the other; both are exact."""
    p = dense(degree, parity, basis)
    switches, products = (evaluation_plan(p, fewest=fewest) for fewest in PRICES)
    assert switches.relinearisations <= products.relinearisations
    assert products.multiplications <= switches.multiplications
    assert evaluation_plan(p) == switches
    depth, value = simulate(products)
    assert depth == products.depth == switches.depth
    assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(p.coefficients) if c}


def test_a_choice_that_is_none():
    with pytest.raises(ParameterError, match="choose one of 'key switches', 'products'"):
        evaluation_plan(dense(7, "odd", "chebyshev"), fewest="rescales")


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("degree", range(2, 64, 2))
def test_even_up_to_a_linear_term(degree, basis):
    """As a constant is to odd polynomials, a linear term is to even ones: it takes no power and no product."""
    even = dense(degree, "even", basis)
    both = Polynomial((even.coefficients[0], 3.0, *even.coefficients[2:]), basis)
    plan = evaluation_plan(both)
    depth, value = simulate(plan)
    assert depth == plan.depth == degree.bit_length()
    assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(both.coefficients) if c}
    assert plan.cost <= evaluation_plan(even).cost


@pytest.mark.parametrize("basis", BASES)
def test_plans_that_share_powers(basis):
    """The same list of powers in all, each polynomial exact at its own least depth, cheaper than apart."""
    for degrees in ([7, 7], [3, 15, 31], [1, 2, 5], [0, 6], [12]):
        polynomials = [dense(n, "none", basis) for n in degrees]
        plans = shared_plans(tuple(polynomials))
        assert len({plan.powers for plan in plans}) == 1
        for p, plan in zip(polynomials, plans, strict=True):
            depth, value = simulate(plan)
            assert depth == plan.depth == p.degree.bit_length()
            assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(p.coefficients) if c}
        apart = sum(evaluation_plan(p).relinearisations for p in polynomials)
        together = sum(plan.relinearisations for plan in plans) - (len(plans) - 1) * len(plans[0].powers)
        assert together <= apart
        if min(degrees) > 2 and len(degrees) > 1:
            assert together < apart


@pytest.mark.parametrize("basis", BASES)
def test_plans_of_one_shape(basis):
    """Polynomials of several degrees and parities, zeros included: same powers, products, terms; each one exact."""
    kinds = [(15, "odd"), (15, "even"), (6, "none"), (0, "none"), (1, "odd")]
    for some in (kinds, kinds[:1], [(15, "odd"), (7, "odd")], [(0, "none"), (0, "none")], [(5, "odd"), (4, "even")]):
        polynomials = tuple(dense(n, parity, basis) for n, parity in some)
        plans = per_slot_plans(polynomials)
        shapes = {
            (plan.powers, tuple((b.products, tuple(k for k, _ in b.terms), b.depth) for b in plan.blocks))
            for plan in plans
        }
        assert len(shapes) == 1
        for p, plan in zip(polynomials, plans, strict=True):
            value = simulate(plan)[1]
            assert {k: v for k, v in value.items() if v} == {k: c for k, c in enumerate(p.coefficients) if c}
    assert per_slot_plans((dense(15, "odd", basis), dense(7, "odd", basis)))[0].cost == (
        evaluation_plan(dense(15, "odd", basis)).cost
    )


def test_unlike_polynomials_share_nothing():
    p = dense(3, "none", "chebyshev")
    for others in ((dense(3, "none", "power"),), (Polynomial((0.0, 1.0), "chebyshev", (0.0, 1.0)),)):
        for make in (shared_plans, per_slot_plans):
            with pytest.raises(ParameterError, match=r"one basis and one interval.*chebyshev on \(-1.0, 1.0\)"):
                make((p, *others))
    with pytest.raises(ParameterError, match="none at all"):
        check_alike([])


@pytest.mark.parametrize(("degree", "published"), PUBLISHED.items())
def test_no_more_key_switches_than_published(degree, published):
    """At the least depth. Products: the published count leaves out s - 1 for re-splitting the leading blocks."""
    plan = evaluation_plan(dense(degree, "none", "chebyshev"))
    d = degree.bit_length()
    assert plan.depth == d
    assert plan.relinearisations <= published
    assert plan.multiplications <= min(2**s + 2 ** (d - s) + d - 4 for s in range(1, d))


@pytest.mark.parametrize(("degree", "published"), [(n, c) for n, c in PUBLISHED.items() if n < 100])
def test_no_more_products_than_published_with_one_level_more(degree, published):
    more = degree.bit_length() + 1
    plan = evaluation_plan(dense(degree, "none", "chebyshev"), depth=more, fewest="products")
    assert plan.multiplications <= published
    odd = evaluation_plan(dense(degree, "odd", "chebyshev"), depth=more, fewest="products")
    assert odd.multiplications <= (10 if degree == 31 else published)


def test_published_schedules_of_odd_polynomials():
    """Degree 3: two products; 5: four are published, three do; 7: five; the depths are 2, 3 and 3."""
    counts = {n: evaluation_plan(dense(n, "odd", "power")) for n in (3, 5, 7)}
    assert [plan.multiplications for plan in counts.values()] == [2, 3, 5]
    assert [plan.relinearisations for plan in counts.values()] == [2, 3, 4]
    assert [plan.depth for plan in counts.values()] == [2, 3, 3]
    three, seven = counts[3], counts[7]
    # degree 3: x^2, then (c_3 x) * x^2 + c_1 x, with c = 5 and 1
    assert [(p.index, p.left, p.right) for p in three.powers] == [(2, 1, 1)]
    assert [b.terms for b in three.blocks] == [((1, 5.0),), ((1, 1.0),)]
    # degree 7: x^2 and x^4 only
    assert [p.index for p in seven.powers] == [2, 4]


def cheapest(degree: int, parity: str, basis: str, prices: Prices) -> float:
    """Slow oracle: try every closed set of powers, every split at every step, on sets of occurring indices."""
    limit = least_depth(degree)
    top = 2 ** (limit - 1)
    support = frozenset(k for k in range(1, degree + 1) if parity == "none" or k % 2 == (parity == "odd"))
    best = math.inf
    for count in range(top):
        for extra in itertools.combinations(range(2, top + 1), count):
            have = {1, *extra}

            def depth_with(k, have=have):
                pairs = [(a, k - a) for a in have if k - a in have and a >= k - a]
                if basis == "chebyshev":
                    pairs = [(a, b) for a, b in pairs if a == b or a - b in have]
                return 0 if k == 1 else 1 + min((max(depth_with(a), depth_with(b)) for a, b in pairs), default=99)

            depths = {k: depth_with(k) for k in have}
            if max(depths.values()) < limit:
                best = min(best, prices.power * count + cheapest_block(support, limit, depths, basis, prices))
    return best


def cheapest_block(support: frozenset[int], limit: int, depths: dict[int, int], basis: str, prices: Prices) -> float:
    """Cost of one rescaled value whose polynomial has these indices >= 1."""

    @cache
    def block(support: frozenset[int], depth: int) -> float:
        products = chain(support, depth)
        return products + prices.rescale + (prices.relinearise if products else 0)

    @cache
    def chain(support: frozenset[int], depth: int) -> float:
        if not support:
            return 0
        n = max(support)
        if n.bit_length() > depth:
            return math.inf
        if depths.get(n, depth) < depth:
            return chain(support - {n}, depth)
        costs = []
        for k in depths:
            if k < n and depths[k] < depth:
                rest, quotient = set(support), set()
                for j in range(n - k, 0, -1):
                    if k + j in rest:
                        rest.discard(k + j)
                        quotient.add(j)
                        if basis == "chebyshev":
                            rest.add(abs(k - j))
                rest -= {0, k}  # the quotient's constant takes power k along, at no cost
                costs.append(prices.product + block(frozenset(quotient), depth - 1) + chain(frozenset(rest), depth))
        return min(costs, default=math.inf)

    return block(support, limit)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("degree", "parity"), [k for k in KINDS if k[0] <= 15])
@pytest.mark.parametrize("fewest", PRICES)
def test_no_plan_is_cheaper(degree, parity, basis, fewest):
    plan = evaluation_plan(dense(degree, parity, basis), fewest=fewest)
    assert plan.price(fewest) == cheapest(degree, parity, basis, PRICES[fewest])


def makeable(have: frozenset[int], basis: str) -> bool:
    """Whether each power is a product of two others at its least depth."""
    return all(
        any(
            b in have
            and a - b >= 0
            and max(depth_of_power(a), depth_of_power(b)) < depth_of_power(k)
            and (basis == "power" or a == b or a - b in have)
            for a in have
            for b in [k - a]
            if b >= 1
        )
        for k in have
        if k > 1
    )


def undominated(found: set[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """(exponents as bits, products, key switches) that no other beats in all three."""
    kept: list[tuple[int, int, int]] = []
    for one in sorted(found, key=lambda f: (f[1] + f[2], f[1], -f[0].bit_count())):
        if not any(one[0] & ~k[0] == 0 and k[1] <= one[1] and k[2] <= one[2] for k in kept):
            kept.append(one)
    return kept


def fronts(degree: int, parity: str, basis: str, most: tuple[int, int]) -> set[tuple[int, int]]:
    """Slow oracle that knows no division: which exponents can the blocks have, from the bottom up, for every set of powers?

    A block's exponents are those of the powers that are deep enough, and those of its factors, each moved by the power
    it is multiplied with; a factor may leave out what another one brings. Products of powers have different degrees, so
    what covers all exponents represents all polynomials. Counts (products, key switches), none beyond `most`.
    """
    depth, everything = degree.bit_length(), (1 << degree + 1) - 1
    wanted = sum(1 << k for k in range(1, degree + 1) if parity == "none" or k % 2 == (parity == "odd"))
    found: set[tuple[int, int]] = set()
    for count in range(1, min(most)):
        for extra in itertools.combinations(range(3, min(degree, 1 << depth - 1) + 1), count - 1):
            have = frozenset((1, 2, *extra))
            if not makeable(have, basis):
                continue
            left = most[0] - count, most[1] - count
            blocks = [(1, 0, 0)]
            for d in range(1, depth + 1):
                terms = 1 | sum(1 << k for k in have if depth_of_power(k) < d)
                moved = {(m << k & everything, p + 1, s) for m, p, s in blocks for k in have if depth_of_power(k) < d}
                factors = undominated({(m & ~terms, p, s) for m, p, s in moved} - {(0, 1, 0)})
                sums, grown = [(terms, 0, 0)], blocks + [(terms, 0, 0)]
                while sums:
                    sums = undominated(
                        {
                            (m | more, p + q, s + t)
                            for (m, p, s), (more, q, t) in itertools.product(sums, factors)
                            if more & ~m and p + q <= left[0] and s + t < left[1]
                        }
                    )
                    grown += [(m, p, s + 1) for m, p, s in sums]
                    sums = [one for one in sums if wanted & ~one[0]] if d == depth else sums
                blocks = undominated(set(grown))
            found |= {(p + count, s + count) for m, p, s in blocks if not wanted & ~m}
    return {f for f in found if not any(g != f and g[0] <= f[0] and g[1] <= f[1] for g in found)}


@pytest.mark.parametrize("degree", [12, 16, 20, 23, 24, 25, 27, 30, 31])
def test_no_plan_has_fewer(degree):
    """Up to power 16 all sets and all ways of splitting: what is found is what there is, with one exception."""
    for parity in {"none", ("even", "odd")[degree % 2]}:
        p = dense(degree, parity, "chebyshev")
        ours = {(q.multiplications, q.relinearisations) for q in (evaluation_plan(p, fewest=f) for f in PRICES)}
        most = tuple(map(max, zip(*ours, strict=True)))
        if (degree, parity) == (25, "odd"):
            # A quotient that leaves out some of its largest exponents; splitting at a power never makes one.
            assert ours == {(11, 8), (10, 9)} and fronts(degree, parity, "chebyshev", most) == {(10, 8)}
        else:
            assert ours == fronts(degree, parity, "chebyshev", most)


@pytest.mark.parametrize("basis", BASES)
def test_counts(basis):
    plan = evaluation_plan(dense(7, "none", basis))
    assert plan.multiplications == 5
    assert plan.relinearisations == 4
    assert plan.scalar_multiplications == sum(len(b.terms) for b in plan.blocks)
    assert plan.rescales == len(plan.powers) + len(plan.blocks)
    prices = PRICES["key switches"]
    assert plan.cost == 5 * prices.product + 4 * prices.relinearise + plan.rescales * prices.rescale


@given(
    st.lists(st.sampled_from([0.0, 0.0, 1.0, -0.75, 2.5, 1e-3]), min_size=1, max_size=64),
    st.sampled_from(BASES),
    st.sampled_from([(-1.0, 1.0), (-8.0, 8.0), (0.0, 3.0)]),
    st.integers(0, 1),
)
def test_execution_agrees_with_the_polynomial(coefficients, basis, interval, more):
    p = Polynomial(tuple(coefficients), basis, interval)
    if basis == "power":  # of comparable size on every interval
        p = Polynomial(tuple(c / p.reach**k for k, c in enumerate(coefficients)), basis, interval)
    plan = evaluation_plan(p, depth=least_depth(p.degree) + more)
    assert least_depth(p.degree) <= plan.depth <= least_depth(p.degree) + more
    x = np.linspace(*interval, 41)
    size = sum(b.magnitude for b in plan.blocks)
    # every block's value is a sum of values below its magnitude, from powers good to degree^2 units
    tolerance = 2.0**-52 * 8 * (p.degree + 1) ** 2 * (size + 1)
    assert np.abs(execute(plan, x) - p(x)).max() <= tolerance


@given(st.sets(st.integers(1, 32), min_size=1, max_size=6), st.sampled_from(BASES))
def test_sparse_polynomials_cost_no_more_than_dense_ones(support, basis):
    n = max(support)
    p = Polynomial(tuple(1.0 if k in support else 0.0 for k in range(n + 1)), basis)
    depth, value = simulate(plan := evaluation_plan(p))
    assert depth == plan.depth == least_depth(n)
    assert {k for k, v in value.items() if v} == support
    odd_or_even = "even" if p.parity == "even" else "odd" if p.is_odd_up_to_constant else "none"
    for fewest in PRICES:
        least = evaluation_plan(p, fewest=fewest).price(fewest)
        assert least <= min(
            plan.price(fewest), evaluation_plan(dense(n, odd_or_even, basis), fewest=fewest).price(fewest)
        )


@pytest.mark.parametrize("support", [(1, 3, 5, 9, 29, 31), (1, 3, 5, 9, 27, 31)])
def test_sparse_polynomials_save_what_is_asked(support):
    """Few terms: the plan of the dense polynomial, the plan of these terms alone, and the other wish's all compete."""
    p = Polynomial(tuple(1.0 if k in support else 0.0 for k in range(32)))
    switches, products = (evaluation_plan(p, fewest=fewest) for fewest in PRICES)
    assert products.multiplications == 11
    assert switches.relinearisations == 9
    assert products.relinearisations == (9 if switches.multiplications == 11 else 11)


def test_a_single_power_is_made_by_squaring():
    plan = evaluation_plan(Polynomial((0.0,) * 32 + (0.5,)))
    assert [p.index for p in plan.powers] == [2, 4, 8, 16, 32]
    assert all(p.is_square for p in plan.powers)
    assert plan.depth == 6


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("degree", [0, 1, 2, 7, 23, 63])
def test_magnitudes_bound_the_values(degree, basis):
    p = dense(degree, "none", basis)
    plan = evaluation_plan(p)
    assert plan.blocks[-1].magnitude == sum(p.coefficients)
    x = np.linspace(-1, 1, 101)
    for position, block in enumerate(plan.blocks):
        part = EvaluationPlan(plan.basis, plan.center, plan.radius, plan.powers, plan.blocks[: position + 1])
        assert np.abs(execute(part, x)).max() <= block.magnitude * (1 + 2.0**-40)


def test_constants_need_no_level():
    plan = evaluation_plan(Polynomial((3.0,)))
    assert (plan.depth, plan.multiplications, plan.relinearisations, plan.rescales) == (0, 0, 0, 0)
    assert execute(plan, [0.5, 7.0]).tolist() == [3.0, 3.0]


def test_normalisation():
    p = minimax(logistic, (-2, 6), 7)
    plan = evaluation_plan(p)
    assert (plan.center, plan.radius) == (2.0, 4.0)
    assert plan.growth_bits == 2 * max(power.index for power in plan.powers)
    power = evaluation_plan(p.to_power())
    assert (power.center, power.radius) == (0.0, 6.0)
    x = np.linspace(-2, 6, 101)
    assert np.abs(execute(plan, x) - p(x)).max() < 1e-14
    assert np.abs(execute(power, x) - p(x)).max() < 1e-11  # power coefficients up to about 1e3 at radius 6
    assert evaluation_plan(Polynomial((0.0, 1.0), "chebyshev", (-0.5, 0.5))).growth_bits == -1


def test_growth_is_what_a_declared_scale_does():
    """Walk scales: u declared at radius carries scale radius; every product multiplies scales."""
    plan = evaluation_plan(Polynomial(tuple([1.0] * 16), "chebyshev", (-8.0, 8.0)))
    bits = {1: math.log2(plan.radius)}
    for power in plan.powers:
        bits[power.index] = bits[power.left] + bits[power.right]
    assert plan.growth_bits == max(bits.values()) == 3 * 8


def test_too_few_levels_are_refused():
    with pytest.raises(LevelError, match=r"degree 8 needs 4 levels, 3 are allowed; .* degree up to 7"):
        evaluation_plan(Polynomial((0.0,) * 8 + (1.0,)), depth=3)


@pytest.mark.parametrize("basis", BASES)
@given(targets=st.sets(st.integers(1, 100), max_size=8))
def test_powers_are_closed_and_shallow(basis, targets):
    factors = close_powers(targets, basis)
    assert targets <= factors.keys() | {1}
    assert list(factors) == sorted(factors)
    for index, (left, right) in factors.items():
        assert left + right == index
        assert left >= right >= 1
        assert max(depth_of_power(left), depth_of_power(right)) + 1 == depth_of_power(index)
        assert {left, right} <= factors.keys() | {1}
        assert basis == "power" or left - right in factors.keys() | {0, 1}


def test_the_search_is_a_pure_function():
    assert best_powers(15, "none", 4, "chebyshev") == {2, 3, 4, 8}
    assert best_powers(7, "odd", 3, "chebyshev") == {2, 4}
