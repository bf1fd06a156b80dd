"""Evaluating polynomials on ciphertexts, by the plans of `circuits.polynomials.plan` and the walk of
`circuits.polynomials.walk`.

Several polynomials of one input share its powers (`evaluate_polynomials`); with vectors in place of coefficients, each
slot has a polynomial of its own (`evaluate_per_slot`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ckks.circuits.polynomials.plan import EvaluationPlan, check_alike, evaluation_plan, per_slot_plans, shared_plans
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.prices import Fewest
from ckks.circuits.polynomials.walk import Which, finish, powers_of, walk
from ckks.circuits.promises import promise
from ckks.errors import ParameterError, SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.align import settle, too_deep
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

__all__ = [
    "evaluate_normalised",
    "evaluate_per_slot",
    "evaluate_polynomial",
    "evaluate_polynomials",
    "normalise",
]

_SPARE_BITS = 4.0
"""The division by the interval's radius is declared rather than computed while it costs no more bits than this."""


def evaluate_polynomial(
    evaluator: Evaluator, x: Ciphertext, polynomial: Polynomial, *, fewest: Fewest = "key switches"
) -> Ciphertext:
    """Return p(x), ceil(log2(degree + 1)) levels below x, at the canonical scale.

    Args:
        evaluator: with a relinearisation key (for degree 2 and more).
        x: values inside polynomial.interval: the caller's promise.
        polynomial: in either basis.
        fewest: "key switches" or "products", see `evaluation_plan`.

    The plan works on u = (x - center)/radius. Where the radius is not 1 and cannot be declared away (see
    `circuits.polynomials.steps`), the division takes one level more; fold 1/radius into the linear map that makes x and
    call `evaluate_normalised` to save it, as `EncryptedVector` does.

    Raises:
        LevelError: not enough levels left (says how many would do).
    """
    evaluator.check(x)
    promise(x, polynomial.interval, f"a polynomial of degree {polynomial.degree}")
    plan = evaluation_plan(polynomial, fewest=fewest)
    return walk(evaluator, _normalised(evaluator, x, plan, f"a polynomial of degree {polynomial.degree}"), (plan,))


def evaluate_normalised(
    evaluator: Evaluator, u: Ciphertext, polynomial: Polynomial, *, fewest: Fewest = "key switches"
) -> Ciphertext:
    """Return p(x) for u = (x - center)/radius, values in [-1, 1]: the depth is ceil(log2(degree + 1)), always."""
    evaluator.check(u)
    promise(u, polynomial.interval, f"a polynomial of degree {polynomial.degree}", normalised=True)
    return walk(evaluator, settle(u), (evaluation_plan(polynomial, fewest=fewest),))


def evaluate_polynomials(
    evaluator: Evaluator, x: Ciphertext, polynomials: Sequence[Polynomial], *, normalised: bool = False
) -> list[Ciphertext]:
    """Return [p(x), q(x), ...], computing the powers of x once: cheaper than one after the other.

    Each result lies at its own least depth, as `evaluate_polynomial` would leave it; where the division by the radius
    takes a level, it is one division for all.

    Args:
        evaluator: with a relinearisation key.
        x: values inside the polynomials' interval: the caller's promise.
        polynomials: in one basis, on one interval.
        normalised: x is (x - center)/radius already, and no level goes to that.

    Raises:
        ParameterError: none at all, or of different bases or intervals.
        LevelError: not enough levels left for the deepest.
    """
    evaluator.check(x)
    check_alike(polynomials)
    degree = max(p.degree for p in polynomials)
    what = f"{len(polynomials)} polynomials of degree up to {degree}"
    promise(x, polynomials[0].interval, what, normalised=normalised)
    plans = shared_plans(tuple(polynomials))
    deepest = max(plans, key=lambda plan: plan.depth)
    u = settle(x) if normalised else _normalised(evaluator, x, deepest, what)
    if u.level < deepest.depth:
        raise too_deep(what, deepest.depth, u)
    powers, own = powers_of(evaluator, u, deepest)
    return [finish(evaluator, u, (plan,), powers, own) for plan in plans]


def evaluate_per_slot(
    evaluator: Evaluator,
    x: Ciphertext,
    polynomials: Sequence[Polynomial],
    which: ArrayLike,
    *,
    normalised: bool = False,
) -> Ciphertext:
    """Return polynomials[which[j]](x[j]) in every slot j: another function for each column, say.

    Costs the powers and products of one polynomial of the largest degree; coefficients become plaintext vectors.

    Args:
        evaluator: with a relinearisation key.
        x: values inside the polynomials' interval: the caller's promise.
        polynomials: in one basis, on one interval.
        which: integers in [0, len(polynomials)), shape (n,) for x of n values, or with batch axes that broadcast.
        normalised: x is (x - center)/radius already, and no level goes to that.

    Raises:
        ParameterError: different bases or intervals, or an index without a polynomial.
        SlotError: `which` does not fit x.
        LevelError: not enough levels left.
    """
    evaluator.check(x)
    check_alike(polynomials)
    chosen = _checked_choice(x, which, len(polynomials))
    what = f"{len(polynomials)} polynomials of degree up to {max(p.degree for p in polynomials)}, by slot"
    promise(x, polynomials[0].interval, what, normalised=normalised)
    plans = per_slot_plans(tuple(polynomials))
    u = settle(x) if normalised else _normalised(evaluator, x, plans[0], what)
    return walk(evaluator, u, plans, chosen)


def _checked_choice(x: Ciphertext, which: ArrayLike, count: int) -> Which:
    chosen, shape = np.asarray(which), (*x.shape, meta_of(x).length)
    try:
        fits = chosen.ndim > 0 and chosen.shape[-1] == shape[-1] and np.broadcast_shapes(chosen.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise SlotError(
            f"choice of polynomials of shape {chosen.shape} for values {shape}; the last axes have to agree"
        )
    if chosen.dtype.kind not in "iu" or chosen.min(initial=0) < 0 or chosen.max(initial=0) >= count:
        raise ParameterError(f"choice of polynomials: needed integers from 0 to {count - 1}, one for each slot")
    return chosen.astype(np.intp)


class Interval(Protocol):
    """Where something is approximated: u = (x - center)/radius lies in [-1, 1]."""

    @property
    def center(self) -> float:
        """Middle of the interval."""

    @property
    def radius(self) -> float:
        """Half its length."""


def normalise(
    evaluator: Evaluator, x: Ciphertext, on: Interval, depth: int, what: str, *, growth_bits: float | None = None
) -> Ciphertext:
    """Return u = (x - center)/radius, the division declared where it costs few bits, else computed (one level).

    Args:
        evaluator: no keys are used.
        x: values inside the interval.
        on: the interval.
        depth: levels that have to be left for what follows.
        what: what follows, for the error.
        growth_bits: by how much a declared division makes the largest scale grow (`EvaluationPlan.growth_bits`);
            without it, the division is computed.

    Raises:
        LevelError: no level is left for the division.
    """
    x = settle(x)
    if on.center:
        x = evaluator.subtract(x, on.center)  # slots without values stay at 0, inside [-1, 1]
    if on.radius == 1 or not depth:
        return x
    if growth_bits is not None and abs(growth_bits) <= _SPARE_BITS:
        return evaluator.with_scale(x, EXACT.multiply(meta_of(x).scale, Decimal(on.radius)))
    if x.level <= depth:
        raise too_deep(f"{what} on an interval of radius {on.radius:g}", depth + 1, x)
    return evaluator.multiply(x, 1 / on.radius)


def _normalised(evaluator: Evaluator, x: Ciphertext, plan: EvaluationPlan, what: str) -> Ciphertext:
    return normalise(evaluator, x, plan, plan.depth, what, growth_bits=plan.growth_bits)
