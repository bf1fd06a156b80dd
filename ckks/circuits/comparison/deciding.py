"""Evaluating a composite for the sign on ciphertexts, and saying what its errors are.

Carried through one stage after the other, an expected error would be multiplied by the slope of each, by the inverse
of the resolution in all, and nothing would seem to be left. For decided values that is wrong: there the composite is
flat. So the expected error is computed for the composite as a whole. Every rescale on the way adds one rounding error;
how much of it arrives is the derivative of what follows, at the values that belong to an argument x (`noise_profile`),
and the worst decided x counts. As everywhere, it is the distance to the same polynomials in the clear: how far those
are from the sign is the composite's `max_abs_error`, and known beforehand.

That is first order. What is certain: a stage's argument may be off by up to the composite's margin there, and the final
error is still the stated one. So noise is compared with the margins before each stage; a warning says when it is large.

The bound is that on the distance to the sign itself, the composite's error included. Where values are not decided, at
a tie for instance, their noise is multiplied by the slope: no bound better than the whole range holds for all inputs.
With `decided=True` the caller promises that there are none; the bound is then the composite's error and the last
stage's own bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ckks.circuits.comparison.composite import Composite
from ckks.circuits.polynomials.evaluation import evaluate_normalised
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.propagation import derivatives
from ckks.circuits.promises import promise
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe.noise import EXACT, rounding
from ckks.scheme import Evaluator, expected_error
from ckks.scheme.align import settle, too_deep
from ckks.scheme.lost import precision_lost
from ckks.scheme.meta import error_bound, meta_of

__all__ = ["UNBOUNDED", "Decision", "NoiseProfile", "decide", "evaluate_composite", "noise_profile", "rounding_gain"]

_TAIL = 8.0
"""The worst of many slots is thought to lie at this many deviations: rounding times secret is not quite Gaussian."""
UNBOUNDED = 2.0**300
"""A bound that says nothing; finite, so that products of bounds are."""
_POINTS = 2000


@dataclass(frozen=True)
class Decision:
    """A composite's value, and what a product with it needs to know.

    value    with the bound that holds against the sign
    factor   the same, with the bound on the last stage's own error alone
    certain  whether every stage's noise is bounded by its margin, so that bounds can be stated at all
    """

    value: Ciphertext
    factor: Ciphertext
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

    The expected error is that of decided values, against the composite in the clear; `composite.max_abs_error` comes on
    top.

    Raises:
        LevelError: not enough levels left (says how many would do).
    """
    return decide(evaluator, u, composite, decided=decided).value


def decide(
    evaluator: Evaluator, u: Ciphertext, composite: Composite, *, decided: bool = False, exact: bool = False
) -> Decision:
    """Evaluate as `evaluate_composite` does; return also what a product with it needs.

    exact: take the argument for what it is, its noise for none; the caller accounts for that.
    """
    evaluator.check(u)
    promise(u, (-1.0, 1.0), f"a comparison of resolution 2^{math.log2(composite.resolution):.3g}")
    u = settle(u)
    if u.level < composite.depth:
        raise too_deep(f"a comparison of resolution 2^{math.log2(composite.resolution):.3g}", composite.depth, u)
    one, certain, loud = rounding(evaluator.params).std, True, []
    value = u.with_(noise=EXACT) if exact else u
    for stage, interval, margin in zip(composite.stages, composite.intervals, composite.margins, strict=True):
        certain = certain and error_bound(value) <= margin
        if (worst := _TAIL * expected_error(value)) > margin:
            loud.append((worst, margin))
        bound, last = min(meta_of(value).bound, 1.0), stage is composite.stages[-1]
        value = evaluator.with_bound(value, bound, min(meta_of(value).rms, bound)).with_(noise=EXACT)
        value = evaluate_normalised(evaluator, value, stage)
        value = evaluator.with_bound(value, max(map(abs, composite.values)) + composite.max_abs_error if last else 1.0)
        value = value.with_(noise=Noise(rounding_gain(stage, interval[0]) * one, value.noise.bound))
    if loud:
        precision_lost(
            f"noise of up to {loud[0][0]:.2g} before a stage, above the composite's margin of {loud[0][1]:.2g}: "
            f"values near its resolution of {composite.resolution:.3g} may be decided wrongly; use a larger scale, a "
            "coarser resolution, or a composite with a larger margin"
        )
    scale, own = float(meta_of(value).scale), value.noise.bound
    profile = noise_profile(composite)
    std = profile.worst(0.0 if exact else u.noise.std / float(meta_of(u).scale), one / scale) * scale
    if not certain:
        bound = UNBOUNDED
    elif decided:
        bound = composite.max_abs_error
    else:
        bound = abs(composite.values[1] - composite.values[0]) + composite.max_abs_error
    source = u.noise.scaled(0.0)  # whatever keeps track of errors: this is a new one
    return Decision(
        value.with_(noise=source + Noise(std, bound * scale + own)),
        value.with_(noise=source + Noise(std, own)),
        certain,
    )


@dataclass(frozen=True, eq=False)
class NoiseProfile:
    """What reaches a composite's result, for decided arguments x on a grid: squares of first-order factors.

    arguments    x
    of_argument  (dP/dx)^2
    of_roundings the sum of squared derivatives by every value that is rescaled on the way
    """

    arguments: NDArray[np.float64]
    of_argument: NDArray[np.float64]
    of_roundings: NDArray[np.float64]

    def worst(self, argument: float, rounding: float) -> float:
        """Return the rms error at the worst x, for rms errors of the argument and of each rounding."""
        return math.sqrt(float(self._squares(argument, rounding).max()))

    def worst_argument(self, argument: float, rounding: float) -> float:
        """Return the worst x."""
        return float(self.arguments[np.argmax(self._squares(argument, rounding))])

    def _squares(self, argument: float, rounding: float) -> NDArray[np.float64]:
        return self.of_argument * argument**2 + self.of_roundings * rounding**2


@lru_cache(maxsize=256)
def noise_profile(composite: Composite) -> NoiseProfile:
    """Return the factors by which errors reach the result of a composite."""
    t = composite.resolution
    x = np.concatenate([np.geomspace(t, 1.0, _POINTS), 1 - np.geomspace(1e-12, 0.5, _POINTS), [t, 1.0]])
    x = np.concatenate([x, t + (1 - t) * np.geomspace(1e-12, 0.5, _POINTS)])
    u, slope, roundings = x, np.ones_like(x), np.zeros_like(x)
    for stage, plan in zip(composite.stages, composite.plans, strict=True):
        factor = chebyshev.chebval(u, chebyshev.chebder(np.array(stage.coefficients)))
        roundings = roundings * factor**2 + derivatives(plan, u).gain ** 2
        slope, u = slope * factor, stage(u)
    return NoiseProfile(x, slope**2, roundings)


@lru_cache(maxsize=1024)
def rounding_gain(stage: Polynomial, low: float) -> float:
    """Return the rms error of p(u), worst over low <= |u| <= 1, when each rescale on the way adds an rms error of 1."""
    plan = evaluation_plan(stage)
    angles = np.linspace(0.0, math.acos(low), 16 * stage.degree + 1)
    u = np.cos(angles)
    return float(max(derivatives(plan, v).gain.max() for v in (u, -u)))
