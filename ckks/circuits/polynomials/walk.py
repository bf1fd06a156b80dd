"""Walking plans on ciphertexts, with the scale of every step exact.

Powers come first, each at the level its depth allows. The wanted scale of the result then goes back through the
plan: a block due at level l with scale s is summed at level l + 1 at scale s q (q the primes of that level), so a term
of power j needs its coefficient at s q / scale(power j), and a factor block that is multiplied by power k is due at
level l + 1 with scale s q / scale(power k). All additions therefore meet equal scales, each block is relinearised and
rescaled once, and the result has exactly the canonical scale of its level.

The expected error of the result is that of the worst input (`circuits.polynomials.propagation`). On the way every value
carries only what its own rescale and key switch added, as expected error; bounds are carried as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.polynomials.propagation import expected_std, sensitivities
from ckks.circuits.polynomials.steps import EvaluationPlan
from ckks.errors import LevelError
from ckks.rlwe import Ciphertext, Noise
from ckks.scheme import Evaluator
from ckks.scheme.align import multiply_exact, multiply_towards, sum_towards, too_deep
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

__all__ = ["Which", "finish", "powers_of", "walk"]

Which = NDArray[np.intp]
"""For each slot, which of several plans of one shape."""


def walk(
    evaluator: Evaluator, u: Ciphertext, alike: Sequence[EvaluationPlan], which: Which | None = None
) -> Ciphertext:
    """Return the value of one plan, or of several of one shape, the slots choosing among their coefficients."""
    plan = alike[0]
    if u.level < plan.depth:
        raise too_deep(f"a polynomial of depth {plan.depth}", plan.depth, u)
    powers, own = powers_of(evaluator, u, plan)
    return finish(evaluator, u, alike, powers, own, which)


def finish(
    evaluator: Evaluator,
    u: Ciphertext,
    alike: Sequence[EvaluationPlan],
    powers: dict[int, Ciphertext],
    own: dict[int, float],
    which: Which | None = None,
) -> Ciphertext:
    """Return the last block, given the powers, with what is expected of its error at the worst u."""
    plan = alike[0]
    if not plan.depth:  # a constant: zero times u, plus it
        return evaluator.add(evaluator.multiply(u, 0), _chosen([one.blocks[-1].constant for one in alike], which))
    due = _targets(evaluator, u.level, plan, powers)
    values: list[Ciphertext] = []
    of_blocks: list[float] = []
    for position, target in enumerate(due):
        value = _block(evaluator, alike, position, target, powers, values, which)
        of_blocks.append(_std(value))
        values.append(_without_std(value))
    result, of_input = values[-1], _std(u)
    std = max(expected_std(one, of_input, own, of_blocks) for one in alike) * float(meta_of(result).scale)
    largest = max(sensitivities(one).largest for one in alike)
    return evaluator.with_bound(result, largest).with_(noise=u.noise.resized(std, result.noise.bound))


def _std(ct: Ciphertext) -> float:
    return ct.noise.std / float(meta_of(ct).scale)


def _without_std(ct: Ciphertext) -> Ciphertext:
    return ct.with_(noise=Noise(0.0, ct.noise.bound))


def powers_of(
    evaluator: Evaluator, u: Ciphertext, plan: EvaluationPlan
) -> tuple[dict[int, Ciphertext], dict[int, float]]:
    """Return all powers of the plan, none beyond 1 in size, and what each one's error adds to those it is made of.

    T_{a+b} = 2 T_a T_b - T_{a-b} is formed before the rescale.
    """
    meta = meta_of(u)
    powers = {1: _without_std(evaluator.with_bound(u, min(meta.bound, 1.0)))}
    own: dict[int, float] = {}
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
        own[power.index] = _std(value)
        powers[power.index] = _without_std(evaluator.with_bound(value, 1.0))
    return powers, own


def _targets(
    evaluator: Evaluator, top: int, plan: EvaluationPlan, powers: dict[int, Ciphertext]
) -> list[tuple[int, Decimal]]:
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
    alike: Sequence[EvaluationPlan],
    position: int,
    target: tuple[int, Decimal],
    powers: dict[int, Ciphertext],
    values: list[Ciphertext],
    which: Which | None,
) -> Ciphertext:
    """Sum products and terms at one level above the target, then relinearise and rescale once."""
    level, scale = target
    raw = _raw_scale(evaluator, level, scale)
    blocks = [plan.blocks[position] for plan in alike]
    total: Ciphertext | None = None
    for product in blocks[0].products:
        giant = powers[product.giant].at_level(level + 1)
        term = evaluator.tensor(values[product.block], giant)
        term = term.with_(meta=meta_of(term).but(scale=raw))  # equal up to the 40th digit; the table's word is law
        total = term if total is None else evaluator.add(total, term)
    if blocks[0].terms:
        at_level = [powers[index].at_level(level + 1) for index, _ in blocks[0].terms]
        coefficients = [[block.terms[i][1] for block in blocks] for i in range(len(at_level))]
        terms = _weighted_sum(evaluator, at_level, coefficients, raw, which)
        total = terms if total is None else evaluator.add(total, terms)
    if total is None:
        raise LevelError("a plan block without products and terms")  # pragma: no cover - plans never have one
    constants = [block.constant for block in blocks]
    if any(constants):
        total = evaluator.add(total, _chosen(constants, which))
    total = evaluator.with_bound(total, max(block.magnitude for block in blocks))
    result = evaluator.relinearise(total, rescale=True) if total.parts == 3 else evaluator.rescale(total)
    return result.with_(meta=meta_of(result).but(scale=scale))


def _weighted_sum(
    evaluator: Evaluator, powers: list[Ciphertext], coefficients: list[list[float]], raw: Decimal, which: Which | None
) -> Ciphertext:
    """The sum of powers times their coefficients, or times vectors of them, at the scale `raw`."""
    ratios = [EXACT.divide(raw, meta_of(power).scale) for power in powers]
    if which is None:
        exact = [EXACT.multiply(EXACT.create_decimal(c), r) for (c,), r in zip(coefficients, ratios, strict=True)]
        return sum_towards(list(zip(powers, exact, strict=True)), raw)
    total: Ciphertext | None = None
    for power, row, ratio in zip(powers, coefficients, ratios, strict=True):
        size = max(map(abs, row))
        vector = evaluator.encoder.encode(
            _chosen(row, which),
            level=power.level,
            scale=ratio,
            slots=meta_of(power).slots,
            bound=max(size, 2.0**-300),
        )
        term = evaluator.multiply(power, vector, rescale=False)
        term = evaluator.with_bound(term.with_(meta=meta_of(term).but(scale=raw)), size * meta_of(power).bound)
        total = term if total is None else evaluator.add(total, term)
    assert total is not None
    return total


def _chosen(numbers: list[float], which: Which | None) -> float | NDArray[np.float64]:
    return numbers[0] if which is None else np.array(numbers)[which]
