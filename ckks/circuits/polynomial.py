"""Evaluating polynomials on ciphertexts: walking the plan of `circuits.plan`, with the scale of every step exact.

Powers come first, each at the level its depth allows. The wanted scale of the result then goes back through the
plan: a block due at level l with scale s is summed at level l + 1 at scale s q (q the primes of that level), so a term
of power j needs its coefficient at s q / scale(power j), and a factor block that is multiplied by power k is due at
level l + 1 with scale s q / scale(power k). All additions therefore meet equal scales, each block is relinearised and
rescaled once, and the result has exactly the canonical scale of its level.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

from ckks.circuits.plan import Block, Plan, evaluation_plan
from ckks.circuits.polynomials import Polynomial
from ckks.circuits.promises import promise
from ckks.errors import LevelError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.align import multiply_exact, multiply_towards, settle, too_deep
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

_SPARE_BITS = 4.0
"""The division by the interval's radius is declared rather than computed while it costs no more bits than this."""


def evaluate_polynomial(evaluator: Evaluator, x: Ciphertext, polynomial: Polynomial) -> Ciphertext:
    """Return p(x), ceil(log2(degree + 1)) levels below x, at the canonical scale.

    Args:
        evaluator: with a relinearisation key (for degree 2 and more).
        x: values inside polynomial.interval: the caller's promise.
        polynomial: in either basis.

    The plan works on u = (x - center)/radius. Where the radius is not 1 and cannot be declared away (see
    `circuits.plan`), the division takes one level more; fold 1/radius into the linear map that makes x and call
    `evaluate_normalised` to save it, as `EncryptedVector` does.

    Raises:
        LevelError: not enough levels left (says how many would do).
    """
    evaluator.check(x)
    promise(x, polynomial.interval, f"a polynomial of degree {polynomial.degree}")
    plan = evaluation_plan(polynomial)
    x = settle(x)
    if plan.center:
        x = evaluator.subtract(x, plan.center)  # slots without values stay at 0, inside [-1, 1]
    if plan.radius != 1 and plan.depth:
        if abs(plan.growth_bits) <= _SPARE_BITS:
            x = evaluator.with_scale(x, EXACT.multiply(meta_of(x).scale, Decimal(plan.radius)))
        elif x.level > plan.depth:
            x = evaluator.multiply(x, 1 / plan.radius)
        else:
            raise too_deep(
                f"a polynomial of degree {polynomial.degree} on an interval of radius {plan.radius:g}",
                plan.depth + 1,
                x,
            )
    return _walk(evaluator, x, plan)


def evaluate_normalised(evaluator: Evaluator, u: Ciphertext, polynomial: Polynomial) -> Ciphertext:
    """Return p(x) for u = (x - center)/radius, values in [-1, 1]: the depth is ceil(log2(degree + 1)), always."""
    evaluator.check(u)
    promise(u, (-1.0, 1.0), f"a polynomial of degree {polynomial.degree}")
    return _walk(evaluator, settle(u), evaluation_plan(polynomial))


def _walk(evaluator: Evaluator, u: Ciphertext, plan: Plan) -> Ciphertext:
    if u.level < plan.depth:
        raise too_deep(f"a polynomial of depth {plan.depth}", plan.depth, u)
    if not plan.depth:  # a constant: zero times u, plus it
        return evaluator.add(evaluator.multiply(u, 0), plan.blocks[-1].constant)
    powers = _powers(evaluator, u, plan)
    due = _targets(evaluator, u.level, plan, powers)
    values: list[Ciphertext] = []
    for block, target in zip(plan.blocks, due, strict=True):
        values.append(_block(evaluator, block, target, powers, values))
    return values[-1]


def _powers(evaluator: Evaluator, u: Ciphertext, plan: Plan) -> dict[int, Ciphertext]:
    """All powers of the plan, none beyond 1 in size; T_{a+b} = 2 T_a T_b - T_{a-b} is formed before the rescale."""
    meta = meta_of(u)
    powers = {1: evaluator.with_bound(u, min(meta.bound, 1.0), min(meta.rms, 1.0))}
    for power in plan.powers:
        level = u.level - power.depth + 1
        left, right = (powers[i].at_level(level) for i in (power.left, power.right))
        product = evaluator.tensor(left, right)
        if plan.basis == "chebyshev":
            product = multiply_exact(product, 2)
            scale = meta_of(product).scale
            if power.is_square:
                product = evaluator.subtract(product, 1)
            else:
                lower = powers[power.left - power.right].at_level(level)
                lower = multiply_towards(lower, EXACT.divide(scale, meta_of(lower).scale), scale)
                product = evaluator.subtract(product, lower)
        value = evaluator.relinearise(product, rescale=True)
        powers[power.index] = evaluator.with_bound(value, 1.0, sqrt(0.5))
    return powers


def _targets(evaluator: Evaluator, top: int, plan: Plan, powers: dict[int, Ciphertext]) -> list[tuple[int, Decimal]]:
    """(level, scale) at which each block is due, from the result back."""
    params = evaluator.params
    targets: dict[int, tuple[int, Decimal]] = {}
    last = len(plan.blocks) - 1
    targets[last] = top - plan.depth, params.scale_at(top - plan.depth)
    for i in range(last, -1, -1):
        level, scale = targets[i]
        for product in plan.blocks[i].products:
            raw = _raw_scale(evaluator, level, scale)
            targets[product.block] = level + 1, EXACT.divide(raw, meta_of(powers[product.giant]).scale)
    return [targets[i] for i in range(len(plan.blocks))]


def _raw_scale(evaluator: Evaluator, level: int, scale: Decimal) -> Decimal:
    """The scale before the rescale that leads to (level, scale)."""
    return EXACT.multiply(scale, evaluator.params.level_factor(level + 1))


def _block(
    evaluator: Evaluator,
    block: Block,
    target: tuple[int, Decimal],
    powers: dict[int, Ciphertext],
    values: list[Ciphertext],
) -> Ciphertext:
    """Sum products and terms at one level above the target, then relinearise and rescale once."""
    level, scale = target
    raw = _raw_scale(evaluator, level, scale)
    total: Ciphertext | None = None
    for product in block.products:
        giant = powers[product.giant].at_level(level + 1)
        term = evaluator.tensor(values[product.block], giant)
        term = term.with_(meta=meta_of(term).but(scale=raw))  # equal up to the 40th digit; the table's word is law
        total = term if total is None else evaluator.add(total, term)
    for index, coefficient in block.terms:
        power = powers[index].at_level(level + 1)
        ratio = EXACT.multiply(EXACT.create_decimal(coefficient), EXACT.divide(raw, meta_of(power).scale))
        term = multiply_towards(power, ratio, raw)
        size = abs(coefficient)
        term = evaluator.with_bound(term, size * meta_of(power).bound, size * meta_of(power).rms)
        total = term if total is None else evaluator.add(total, term)
    if total is None:
        raise LevelError("a plan block without products and terms")  # pragma: no cover - plans never have one
    if block.constant:
        total = evaluator.add(total, block.constant)
    rms = min(meta_of(total).rms, block.magnitude)
    total = evaluator.with_bound(total, block.magnitude, rms)
    result = evaluator.relinearise(total, rescale=True) if total.parts == 3 else evaluator.rescale(total)
    return result.with_(meta=meta_of(result).but(scale=scale))
