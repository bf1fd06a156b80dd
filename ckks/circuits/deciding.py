"""Evaluating a composite for the sign on ciphertexts, and saying what its errors are.

Carried through one stage after the other, an expected error would be multiplied by the slope of each, by 2^alpha in
all, and nothing would seem to be left. For decided values that is wrong: a stage's argument may be off by up to the
composite's margins, anywhere inside the interval that the stage was made for, and the final error is still the stated
one. So what is expected of a decided value is the composite's error together with what evaluating the last stage adds
by itself, if before each stage the noise is within the margin; that is checked, from what was carried so far.

What a stage adds by itself. Every rescale along its plan adds one rounding error r; the derivative of the result by the
value that was rescaled says how much of it arrives. Derivatives are taken where decided values lie, the worst place
counts: at the ends of [-1, 1] the powers T_k are +-1 and none of them damps anything.

The bound. Where values are not decided, at a tie for instance, their noise is multiplied by the slope: no bound better
than the whole range holds for all inputs. With `decided=True` the caller promises that there are none; the bound is
then the composite's error and the last stage's own bound.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.composite import Composite
from ckks.circuits.plan import Plan, evaluation_plan
from ckks.circuits.polynomial import evaluate_normalised
from ckks.circuits.polynomials import Polynomial
from ckks.circuits.promises import promise
from ckks.errors import PrecisionWarning
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe.noise import EXACT, rounding
from ckks.scheme import Evaluator, expected_error
from ckks.scheme.align import settle, too_deep
from ckks.scheme.meta import error_bound, meta_of

__all__ = ["Decision", "decide", "evaluate_composite", "rounding_gain"]

_TAIL = 8.0
"""The worst of many slots is thought to lie at this many deviations: rounding times secret is not quite Gaussian."""
_UNBOUNDED = 2.0**300
"""A bound that says nothing; finite, so that products of bounds are."""


@dataclass(frozen=True)
class Decision:
    """A composite's value, and what a product with it needs to know.

    own_bound  on the last stage's own error, in units of the values
    certain    whether every stage's noise is bounded by the margin, so that bounds can be stated at all
    """

    value: Ciphertext
    own_bound: float
    certain: bool


def evaluate_composite(
    evaluator: Evaluator, u: Ciphertext, composite: Composite, *, decided: bool = False
) -> Ciphertext:
    """Return composite(u), composite.depth levels below u, at the canonical scale.

    Args:
        evaluator: with a relinearisation key.
        u: values in [-1, 1]: the caller's promise.
        composite: for the sign, or for a step.
        decided: the caller promises that |u| >= composite.resolution everywhere; the result then has a useful bound.

    The expected error is that against the sign itself, for decided values: the composite's error is part of it.

    Raises:
        LevelError: not enough levels left (says how many would do).
    """
    return decide(evaluator, u, composite, decided=decided).value


def decide(evaluator: Evaluator, u: Ciphertext, composite: Composite, *, decided: bool = False) -> Decision:
    """Evaluate as `evaluate_composite` does; return also what it knows of the bounds."""
    evaluator.check(u)
    promise(u, (-1.0, 1.0), f"a comparison of resolution 2^{math.log2(composite.resolution):.3g}")
    u = settle(u)
    if u.level < composite.depth:
        raise too_deep(f"a comparison of resolution 2^{math.log2(composite.resolution):.3g}", composite.depth, u)
    one_rounding, certain, value = rounding(evaluator.params).std, True, u
    loud: list[tuple[float, float]] = []
    for stage, interval, margin in zip(composite.stages, composite.intervals, composite.margins, strict=True):
        certain = certain and error_bound(value) <= margin
        if (worst := _TAIL * expected_error(value)) > margin:
            loud.append((worst, margin))
        bound = min(meta_of(value).bound, 1.0)
        value = evaluator.with_bound(value, bound, min(meta_of(value).rms, bound)).with_(noise=EXACT)
        value = evaluate_normalised(evaluator, value, stage)
        last = stage is composite.stages[-1]
        value = evaluator.with_bound(value, max(map(abs, composite.values)) + composite.error if last else 1.0)
        gain = rounding_gain(stage, interval[0])
        value = value.with_(noise=Noise(gain * one_rounding, value.noise.bound))
    if loud:
        warnings.warn(
            f"noise of up to {loud[0][0]:.2g} before a stage, above the composite's margin of {loud[0][1]:.2g}: "
            f"values near its resolution of {composite.resolution:.3g} may be decided wrongly; use a larger scale, a "
            "coarser resolution, or a composite with a larger margin",
            PrecisionWarning,
            stacklevel=3,
        )
    own = error_bound(value)
    return Decision(value.with_(noise=_stated(value, composite, own, decided, certain)), own, certain)


def _stated(value: Ciphertext, composite: Composite, own: float, decided: bool, certain: bool) -> Noise:
    """The noise of a result, the composite's error included: see the module."""
    meta = meta_of(value)
    scale, share = float(meta.scale), 2 * meta.slots / value.params.ring_degree
    # The composite's error lies where the message lies: sparse decoding keeps all of it, as in `multiply_towards`.
    std = math.hypot(value.noise.std, composite.error * scale / math.sqrt(share))
    if not certain:
        bound = _UNBOUNDED
    elif decided:
        bound = composite.error + own
    else:
        bound = abs(composite.values[1] - composite.values[0]) + composite.error + own
    return Noise(std, bound * scale)


@lru_cache(maxsize=1024)
def rounding_gain(stage: Polynomial, low: float) -> float:
    """Return the rms error of p(u), worst over low <= |u| <= 1, when each rescale on the way adds an rms error of 1."""
    plan = evaluation_plan(stage)
    angles = np.linspace(0.0, math.acos(low), 16 * stage.degree + 1)
    u = np.cos(angles)
    return float(max(_gains(plan, u).max(), _gains(plan, -u).max()))


def _gains(plan: Plan, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rms error at each u: values with their first-order errors, one row per rescale, forward along the plan."""
    count = len(plan.powers) + len(plan.blocks)
    values: dict[int, NDArray[np.float64]] = {0: np.ones_like(u), 1: u}
    errors: dict[int, NDArray[np.float64]] = {k: np.zeros((count, len(u))) for k in (0, 1)}
    factor = 2.0 if plan.basis == "chebyshev" else 1.0
    for row, power in enumerate(plan.powers):
        a, b = power.left, power.right
        values[power.index] = factor * values[a] * values[b]
        errors[power.index] = factor * (values[a] * errors[b] + values[b] * errors[a])
        if plan.basis == "chebyshev":
            values[power.index] = values[power.index] - values[a - b]
            errors[power.index] = errors[power.index] - errors[a - b]
        errors[power.index][row] += 1.0
    blocks: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for row, block in enumerate(plan.blocks, len(plan.powers)):
        value, error = np.full_like(u, block.constant), np.zeros((count, len(u)))
        for product in block.products:
            inner, inner_error = blocks[product.block]
            value = value + inner * values[product.giant]
            error = error + inner_error * values[product.giant] + inner * errors[product.giant]
        for index, coefficient in block.terms:
            value = value + coefficient * values[index]
            error = error + coefficient * errors[index]
        error[row] += 1.0
        blocks.append((value, error))
    return np.asarray(np.sqrt((blocks[-1][1] ** 2).sum(axis=0)))
