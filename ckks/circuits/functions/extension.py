"""Functions that level off, on intervals far wider than where they change [CKP22].

A polynomial for a sigmoid on [-200, 200] needs a degree proportional to the width, though all that matters happens
near 0. The cubic

    B(x) = x - (4/27) x^3,      B(1.5) = 1 its largest value,

is nearly x for small x and folds what lies outside back: it maps [-L, L] into [-1, 1] for every L from 1.5 to 3, and
values from 1 to L to values of at least B(L), for L from 1.91 on. With R_i = R L^i, the maps

    D_i(x) = R_i B(x / R_i),      D = D_0 . D_1 . ... . D_{k-1}   (the largest first),

take [-R L^k, R L^k] into [-R, R], two levels and two products each, and a polynomial on [-R, R] finishes. In units of
the interval at hand, every one of the maps is the same cubic c(u) = L u - (4/27) L^3 u^3 on [-1, 1].

B is not quite x. Instead of making R large to hide that, the polynomial fits g(y) = f(D^-1(y)), with D^-1 the inverse
on the stretch around 0 where D increases; then p(D(x)) is f(x) there. Arguments beyond that stretch land somewhere in
[B(L) R, R], where g has levelled off and has the value they ought to have. What remains is the error of the fit, and
how far f is from level at the place that D takes to B(L) R. Both are in `max_abs_error`, which is measured on the whole
interval.

Against a polynomial of a degree large enough: products grow with the logarithm of the width instead of its square root,
levels by 2 log(2) / log(L), 1.5 to 2.1, for each doubling of the width instead of 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials.arguments import Interval, check_interval, check_wanted_error
from ckks.circuits.polynomials.evaluation import evaluate_normalised, normalise
from ckks.circuits.polynomials.measure import Function, Reals, maximum_distance, sample
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.powers import least_depth
from ckks.circuits.polynomials.remez import minimax
from ckks.circuits.promises import promise
from ckks.errors import ParameterError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator
from ckks.scheme.align import too_deep

__all__ = ["Extension", "evaluate_extension", "extend"]

SMALLEST_RATIO, LARGEST_RATIO = 1.92, 2.5
"""Of L. Below the first B(L) is above B(1), and nothing is won; near 1.5 sqrt(3) = 2.598, B(L) is near 0."""

MAX_STEPS = 8
MAX_BASE_DEPTH = 6
"""A base polynomial of degree 63 at most."""

_RATIOS = 12
_CELLS = 1 << 15


@dataclass(frozen=True)
class Extension:
    """A function on a wide symmetric interval: `steps` cubics, then a polynomial.

    interval       (-w, w)
    ratio          L: each cubic narrows the interval by it
    steps          how many cubics
    base           the polynomial for what is left, on (-w / L^steps, w / L^steps)
    max_abs_error  upper estimate of the error on the interval, as measured, or None
    """

    interval: tuple[float, float]
    ratio: float
    steps: int
    base: Polynomial
    max_abs_error: float | None = None

    def __post_init__(self) -> None:
        """Validate."""
        a, b = check_interval(self.interval)
        object.__setattr__(self, "interval", (a, b))
        if a != -b:
            raise ParameterError(f"extension of [{a}, {b}]; needed an interval symmetric about 0: take the larger end")
        if not (1.5 <= self.ratio <= 3) or not 1 <= self.steps <= MAX_STEPS:
            raise ParameterError(
                f"extension by {self.ratio} in {self.steps} steps; needed a ratio from 1.5 to 3, outside which the "
                f"cubic leaves [-1, 1] or does not narrow, and 1 to {MAX_STEPS} steps"
            )

    @cached_property
    def step(self) -> Polynomial:
        """c(u) = L u - (4/27) L^3 u^3, on [-1, 1]."""
        powers = (0.0, self.ratio, 0.0, -4 / 27 * self.ratio**3)
        return Polynomial(powers, "power").to_chebyshev()

    @property
    def depth(self) -> int:
        """Levels, the division by w not included."""
        return 2 * self.steps + least_depth(self.base.degree)

    @property
    def multiplications(self) -> int:
        """Products of two ciphertexts."""
        return self.steps * evaluation_plan(self.step).multiplications + evaluation_plan(self.base).multiplications

    @property
    def center(self) -> float:
        """0, as for polynomials: u = x / radius."""
        return 0.0

    @property
    def radius(self) -> float:
        """w."""
        return self.interval[1]

    def narrowed(self, x: ArrayLike) -> NDArray[Any]:
        """D(x), in [-1, 1] for x in the interval."""
        u = np.asarray(x, dtype=np.float64) / self.radius
        for _ in range(self.steps):
            v = self.ratio * u
            u = v * (1 - 4 / 27 * v * v)
        return u

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Values in the clear, any shape."""
        return self.base(self.base.radius * self.narrowed(x))


def extend(f: Function, interval: Interval, *, max_abs_error: float) -> Extension:
    """Find the extension of least depth that is accurate enough; of those, one with the fewest products.

    Args:
        f: levels off towards both ends; what it does around 0 is free.
        interval: (-w, w), or w.
        max_abs_error: wanted on the whole interval.

    Raises:
        RangeError: max_abs_error is not a positive number, or f is not finite.
        ParameterError: no extension is accurate enough (the best is named): f does not level off, or not far enough
            inside the interval.
    """
    max_abs_error = check_wanted_error(max_abs_error)
    ends = _shape(check_interval(interval), 1, LARGEST_RATIO).interval  # raises unless symmetric
    _check_level(f, ends, max_abs_error)
    best: Extension | None = None
    for candidates in _by_depth():
        good = []
        for steps, depth in candidates:
            found = min((_interpolated(f, ends, steps, r, depth) for r in _ratios()), key=_error)
            if _error(found) <= 4 * max_abs_error:  # within reach of a minimax fit, which is seldom 4 times better
                found = _finished(f, found)
                if _error(found) <= max_abs_error:
                    good.append(found)
            best = found if best is None else min(best, found, key=_error)
        if good:
            return min(good, key=lambda one: one.multiplications)
    assert best is not None
    raise ParameterError(
        f"no extension with a base of degree up to {(1 << MAX_BASE_DEPTH) - 1} approximates the function within "
        f"{max_abs_error:.3g} on {ends}; the best is {_error(best):.3g} with {best.steps} steps. It has to level "
        "off well inside the interval; allow a larger error, or approximate it by a polynomial on a shorter interval"
    )


def evaluate_extension(
    evaluator: Evaluator, x: Ciphertext, extension: Extension, *, normalised: bool = False
) -> Ciphertext:
    """Return nearly f(x), `extension.depth` levels lower, and one for the division by w.

    Args:
        evaluator: with a relinearisation key.
        x: values inside the interval, the caller's promise; or, with `normalised`, those divided by w.
        extension: from `extend`.
        normalised: x is in [-1, 1] already; the division costs nothing then.

    Raises:
        LevelError: not enough levels left (says how many would do).
    """
    evaluator.check(x)
    what = f"an extension in {extension.steps} steps"
    promise(x, extension.interval, what, normalised=normalised)
    u = x if normalised else normalise(evaluator, x, extension, extension.depth, what)
    if u.level < extension.depth:
        raise too_deep(what, extension.depth, u)
    for _ in range(extension.steps):
        u = evaluate_normalised(evaluator, evaluator.with_bound(u, 1.0), extension.step)
    return evaluate_normalised(evaluator, evaluator.with_bound(u, 1.0), extension.base)


def _check_level(f: Function, interval: tuple[float, float], wanted: float) -> None:
    """Refuse at once what has no chance: extensions fold the outer half, and hardly tell apart what they meet there."""
    w = interval[1]
    for side in (1.0, -1.0):
        x = side * np.linspace(w / SMALLEST_RATIO, w, 101)
        values = sample(f, x)
        if np.ptp(values) > 2 * wanted:
            raise ParameterError(
                f"the function still changes by {np.ptp(values):.3g} between {x[0]:.4g} and {x[-1]:.4g}, where an "
                f"extension folds; within {wanted:.3g} it has to level off well inside the interval. Approximate "
                "it by a polynomial on a shorter interval"
            )


def _by_depth() -> Iterator[list[tuple[int, int]]]:
    """(steps, depth of the base) of every extension, in lists of equal total depth."""
    for depth in range(4, 2 * MAX_STEPS + MAX_BASE_DEPTH + 1):
        yield [
            (steps, depth - 2 * steps) for steps in range(1, MAX_STEPS + 1) if 2 <= depth - 2 * steps <= MAX_BASE_DEPTH
        ]


def _ratios() -> list[float]:
    return [float(r) for r in np.geomspace(SMALLEST_RATIO, LARGEST_RATIO, _RATIOS)]


def _shape(interval: tuple[float, float], steps: int, ratio: float) -> Extension:
    """An extension without its polynomial."""
    reach = interval[1] / ratio**steps
    return Extension(interval, ratio, steps, Polynomial((0.0,), "chebyshev", (-reach, reach)))


def _pulled_back(f: Function, shape: Extension) -> Function:
    """g(y) = f(D^-1(y)) for y in the base's interval, on the stretch where D increases.

    With v = 3 sin t, B(v) = 3 sin t - 4 sin^3 t = sin 3t: so B^-1(y) = 3 sin(asin(y) / 3), at most 1.5.
    """

    def g(y: Reals) -> Reals:
        u = np.clip(y / shape.base.radius, -1.0, 1.0)
        for _ in range(shape.steps):
            u = 3 * np.sin(np.arcsin(u) / 3) / shape.ratio
        return sample(f, (u * shape.radius).ravel()).reshape(y.shape)

    return g


def _interpolated(f: Function, interval: tuple[float, float], steps: int, ratio: float, depth: int) -> Extension:
    """Quickly: an interpolant, and its error on points that are dense around 0 and geometric outside."""
    shape = _shape(interval, steps, ratio)
    base = _chebyshev(_pulled_back(f, shape), shape.base.interval, (1 << depth) - 1)
    found = Extension(interval, ratio, steps, base)
    w = interval[1]
    x = np.concatenate([np.linspace(0, w, 1000), np.geomspace(w * 1e-4, w, 1000)])
    x = np.concatenate([x, -x])
    return Extension(interval, ratio, steps, base, float(np.abs(found(x) - sample(f, x)).max()))


@lru_cache(maxsize=1)
def _angles(count: int) -> Reals:
    return np.asarray((np.arange(count) + 0.5) * math.pi / count)


def _chebyshev(g: Function, interval: tuple[float, float], degree: int) -> Polynomial:
    """The interpolant, without measuring its error."""
    angles = _angles(degree + 1)
    c = np.cos(np.outer(np.arange(degree + 1), angles)) @ g(interval[1] * np.cos(angles)) * (2 / (degree + 1))
    c[0] /= 2
    return Polynomial(tuple(c.tolist()), "chebyshev", interval)


def _finished(f: Function, found: Extension) -> Extension:
    """The same, or with a minimax polynomial where that is better, the error measured over the whole interval."""
    bases = [found.base]
    with suppress(ParameterError):  # the exchange does not converge for every function
        bases.append(minimax(_pulled_back(f, found), found.base.interval, found.base.degree))
    rounding = 2.0**-40 * max(1.0, float(np.abs(sample(f, np.linspace(*found.interval, 257))).max()))
    measured = []
    for base in bases:
        plain = Extension(found.interval, found.ratio, found.steps, base)
        error = maximum_distance(f, plain, found.interval, cells=_CELLS, rounding=rounding)
        measured.append(replace(plain, max_abs_error=error.upper))
    return min(measured, key=_error)


def _error(one: Extension) -> float:
    return math.inf if one.max_abs_error is None else one.max_abs_error
