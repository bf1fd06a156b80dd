"""1/x, 1/sqrt(x) and sqrt(x) on wide intervals: a polynomial to start with, refined by Newton's iteration.

On [a, b] with k = b/a, a polynomial of degree n for these functions has a relative error that shrinks like
((sqrt(k) - 1)/(sqrt(k) + 1))^n: doubling the degree squares it, for one level. A Newton step squares it too, for two:

    1/x         y <- y (2 - x y)                    residual r = 1 - x y      becomes r^2          2 products
    1/sqrt(x)   y <- 1.5 y - (x y / 2) y^2          r = 1 - x y^2             about 3/4 r^2        3 products
    sqrt(x)     the last step times x: 1.5 (x y) - (x^2 y / 2) y^2, in the same two levels         2 products more

(the two factors of the last product of each line are one level deep, so that both lie two levels below y). So a
polynomial is the better choice as long as its degree is practical, and Newton's iteration takes over where it is not:
`start` has degree 127 at most. Goldschmidt's product (1 + z)(1 + z^2)(1 + z^4)..., z = 1 - 2x/(a + b), takes one level
a factor, but is the geometric series: it sums powers of (k - 1)/(k + 1), and needs half of log2(k) levels more than
the polynomial.

Errors. A Newton step forgets most of the error of y (it is multiplied by twice the residual) and adds that of x as
1/x would pass it on, which products of independent errors cannot know. So the errors of x and y are propagated here by
the derivatives of each step; its own products are made of values taken to be exact, and tell what they add.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials.approximation import MAX_DEGREE, chebyshev_interpolant
from ckks.circuits.polynomials.arguments import Interval, check_interval, check_wanted_error
from ckks.circuits.polynomials.evaluation import evaluate_normalised, normalise
from ckks.circuits.polynomials.measure import Function, Reals, maximum_distance
from ckks.circuits.polynomials.plan import evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.powers import least_depth
from ckks.circuits.promises import promise
from ckks.errors import ParameterError
from ckks.rlwe import Ciphertext, Noise
from ckks.scheme import Evaluator
from ckks.scheme.align import too_deep
from ckks.scheme.meta import meta_of

__all__ = ["Kind", "Newton", "evaluate_newton", "refine"]

Kind = Literal["inverse", "inverse_sqrt", "sqrt"]

EXACT_FUNCTIONS: dict[Kind, Function] = {
    "inverse": lambda x: 1 / x,
    "inverse_sqrt": lambda x: 1 / np.sqrt(x),
    "sqrt": np.sqrt,
}
MAX_STEPS = 12

_CELLS = 1 << 14


@dataclass(frozen=True)
class Newton:
    """A start and how often to refine it.

    kind           what is computed
    start          polynomial for 1/x (of "inverse") or 1/sqrt(x) (of the others), on [a, b] with a > 0
    steps          Newton steps, at least one
    max_abs_error  upper estimate of the error on the interval, as measured, or None
    """

    kind: Kind
    start: Polynomial
    steps: int
    max_abs_error: float | None = None

    def __post_init__(self) -> None:
        """Validate."""
        if self.kind not in EXACT_FUNCTIONS:
            raise ParameterError(f"unknown function {self.kind!r}; there are {', '.join(EXACT_FUNCTIONS)}")
        if self.interval[0] <= 0:
            raise ParameterError(
                f"Newton's iteration for {self.kind} on {self.interval}; needed an interval above 0: the steps grow "
                "with the ratio of its ends"
            )
        if not 1 <= self.steps <= MAX_STEPS or self.start.degree < 3:
            raise ParameterError(
                f"{self.steps} steps from degree {self.start.degree}; needed 1 to {MAX_STEPS} steps and a start of "
                "degree 3 or more"
            )

    @property
    def interval(self) -> tuple[float, float]:
        """[a, b]."""
        return self.start.interval

    @property
    def center(self) -> float:
        """Middle of the interval."""
        return self.start.center

    @property
    def radius(self) -> float:
        """Half its length."""
        return self.start.radius

    @property
    def depth(self) -> int:
        """Levels from (x - center)/radius."""
        return least_depth(self.start.degree) + 2 * self.steps

    @property
    def multiplications(self) -> int:
        """Products of two ciphertexts."""
        per_step, last = (2, 0) if self.kind == "inverse" else (3, 2 * (self.kind == "sqrt"))
        return evaluation_plan(self.start).multiplications + per_step * self.steps + last

    @cached_property
    def on_grid(self) -> tuple[Reals, list[Reals]]:
        """Points of the interval, 16 for each extreme of the start's error, and y there before each of the steps."""
        u = np.cos(np.linspace(math.pi, 0.0, 16 * (self.start.degree + 1) + 1))
        x = np.clip(self.center + self.radius * u, *self.interval)
        iterates = [self.start(x)]
        for _ in range(self.steps - 1):
            iterates.append(_refined(self.kind, x, iterates[-1]))
        return x, iterates

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Values in the clear, any shape."""
        points = np.asarray(x, dtype=np.float64)
        y = self.start(points)
        for _ in range(self.steps):
            y = _refined(self.kind, points, y)
        return points * y if self.kind == "sqrt" else y


def refine(kind: Kind, interval: Interval, *, max_abs_error: float, max_degree: int = MAX_DEGREE) -> Newton:
    """Find the fewest levels, then the fewest products, that reach an error on [a, b].

    Raises:
        RangeError: max_abs_error is not a positive number.
        ParameterError: the interval does not lie above 0, or nothing reaches the error (the best is named).
    """
    max_abs_error = check_wanted_error(max_abs_error)
    a, b = check_interval(interval)
    if a <= 0:
        raise ParameterError(f"{kind} on [{a}, {b}] by Newton's iteration; needed an interval above 0")
    starts = [_start(kind, (a, b), (1 << d) - 1) for d in range(2, max_degree.bit_length() + 1)]
    starts = [start for start in starts if _converges(Newton(kind, start, 1))]
    ways = [Newton(kind, start, steps) for start in starts for steps in range(1, MAX_STEPS + 1)]
    best = math.inf
    for way in sorted(ways, key=lambda one: (one.depth, one.multiplications)):
        if _sampled_error(way) > 2 * max_abs_error:
            continue
        rounding = 2.0**-44 * float(EXACT_FUNCTIONS[kind](np.array([a, b])).max())
        error = maximum_distance(EXACT_FUNCTIONS[kind], way, (a, b), cells=_CELLS, rounding=rounding).upper
        best = min(best, error)
        if error <= max_abs_error:
            return Newton(kind, way.start, way.steps, error)
    best = min([best, *(_sampled_error(way) for way in ways)])
    raise ParameterError(
        f"no {MAX_STEPS} Newton steps from a polynomial of degree up to {max_degree} reach {max_abs_error:.3g} for "
        f"{kind} on [{a}, {b}]; the best is {best:.3g}. Shorten the interval or allow a larger error"
    )


def evaluate_newton(evaluator: Evaluator, x: Ciphertext, newton: Newton, *, normalised: bool = False) -> Ciphertext:
    """Return nearly f(x), `newton.depth` levels lower (and one for the division by the interval's radius).

    Args:
        evaluator: with a relinearisation key.
        x: values inside the interval, the caller's promise; or, with `normalised`, (x - center)/radius.
        newton: from `refine`.
        normalised: the division costs nothing then.

    Raises:
        LevelError: not enough levels left (says how many would do).
        RangeError: the values, up to 1/a for 1/x, do not fit the modulus.
    """
    evaluator.check(x)
    what = f"{newton.kind} in {newton.steps} Newton steps"
    promise(x, newton.interval, what, normalised=normalised)
    u = x if normalised else normalise(evaluator, x, newton, newton.depth, what)
    if u.level < newton.depth:
        raise too_deep(what, newton.depth, u)
    y = evaluate_normalised(evaluator, evaluator.with_bound(u, 1.0), newton.start)
    # x, or x/2, once more, from u: one level, where y took two or more. Slots without values stay 0, as in y.
    share = 1.0 if newton.kind == "inverse" else 0.5
    x = evaluator.add(evaluator.multiply(u, share * newton.radius), share * newton.center)
    x = evaluator.with_bound(x, share * newton.interval[1])
    grid, iterates = newton.on_grid
    for position, values in enumerate(iterates):
        if newton.kind == "inverse":
            y = _step_inverse(evaluator, x, y, grid, values)
        elif newton.kind == "sqrt" and position == newton.steps - 1:
            y = _last_step_sqrt(evaluator, x, y, grid, values)
        else:
            y = _step_inverse_sqrt(evaluator, x, y, grid, values)
    return y


# ---- steps -----------------------------------------------------------------------------------------------------------
#
# Each takes y and x (or h = x/2) with their errors, and their values on the grid. Errors: with all of x and y moved by
# no more than their bounds F and E, a step moves by at most E max|d/dy| + F max|d/dx|, the derivatives taken
# anywhere in between (mean value theorem); for deviations they are taken at the values themselves. The errors of x
# and y have a common source, and are added as they are; what the products add is independent.


def _step_inverse(evaluator: Evaluator, x: Ciphertext, y: Ciphertext, xs: Reals, ys: Reals) -> Ciphertext:
    """y (2 - x y)."""
    (x, of_x), (y, of_y) = _split(x), _split(y)
    inner, own = _split(evaluator.multiply(x, y))
    inner = evaluator.with_bound(inner, _largest(xs * ys))
    rest, of_rest = _split(evaluator.add(evaluator.negate(inner), 2.0))
    result, last = _split(evaluator.multiply(y, evaluator.with_bound(rest, _largest(2 - xs * ys))))

    def slopes(f: float, e: float) -> _Slopes:
        by_y = 2 * np.abs(1 - xs * ys) + 2 * ((xs + f) * (ys + e) - xs * ys)
        return by_y, (ys + e) ** 2, [(ys + e, own), (ys + e, of_rest), (np.ones_like(xs), last)]

    return _with_errors(evaluator, result, of_x, of_y, slopes, ys * (2 - xs * ys))


def _step_inverse_sqrt(evaluator: Evaluator, h: Ciphertext, y: Ciphertext, xs: Reals, ys: Reals) -> Ciphertext:
    """1.5 y - (h y) y^2."""
    (h, of_h), (y, of_y) = _split(h), _split(y)
    hs = xs / 2
    square, of_square = _split(evaluator.square(y))
    left, of_left = _split(evaluator.multiply(h, y))
    left = evaluator.with_bound(left, _largest(hs * ys))
    cubic = evaluator.with_bound(evaluator.multiply(left, square), _largest(hs * ys**3))
    result, last = _split(evaluator.subtract(evaluator.multiply(y, 1.5), cubic))

    def slopes(f: float, e: float) -> _Slopes:
        by_y = 1.5 * np.abs(1 - xs * ys**2) + 3 * ((hs + f) * (ys + e) ** 2 - hs * ys**2)
        own = [((hs + f) * (ys + e), of_square), ((ys + e) ** 2, of_left), (np.ones_like(xs), last)]
        return by_y, (ys + e) ** 3, own

    return _with_errors(evaluator, result, of_h, of_y, slopes, 1.5 * ys - hs * ys**3)


def _last_step_sqrt(evaluator: Evaluator, h: Ciphertext, y: Ciphertext, xs: Reals, ys: Reals) -> Ciphertext:
    """3 h y - (2 h^2 y) y^2: the step of 1/sqrt(x), times x."""
    (h, of_h), (y, of_y) = _split(h), _split(y)
    hs = xs / 2
    square, of_square = _split(evaluator.square(y))
    linear = evaluator.multiply(evaluator.multiply(h, 3), y)
    linear = evaluator.with_bound(linear, _largest(3 * hs * ys))
    twice, of_twice = _split(evaluator.multiply(evaluator.square(h), 2))
    left, of_left = _split(evaluator.multiply(twice, y))
    left = evaluator.with_bound(left, _largest(2 * hs**2 * ys))
    cubic = evaluator.with_bound(evaluator.multiply(left, square), _largest(2 * hs**2 * ys**3))
    result, last = _split(evaluator.subtract(linear, cubic))

    def slopes(f: float, e: float) -> _Slopes:
        h_, y_ = hs + f, ys + e
        by_y = 1.5 * xs * np.abs(1 - xs * ys**2) + 3 * (h_ - hs) + 6 * (h_**2 * y_**2 - hs**2 * ys**2)
        by_h = np.abs(ys * (3 - 4 * hs * ys**2)) + 3 * (y_ - ys) + 4 * (h_ * y_**3 - hs * ys**3)
        own = [
            (2 * h_**2 * y_, of_square),
            (y_**3, of_twice),
            (y_**2, of_left),
            (np.ones_like(xs), last),
        ]
        return by_y, by_h, own

    return _with_errors(evaluator, result, of_h, of_y, slopes, 3 * hs * ys - 2 * hs**2 * ys**3)


_Slopes = tuple[Reals, Reals, list[tuple[Reals, Noise]]]


def _with_errors(
    evaluator: Evaluator,
    result: Ciphertext,
    of_x: Noise,
    of_y: Noise,
    slopes: Callable[[float, float], _Slopes],
    values: Reals,
) -> Ciphertext:
    by_y, by_x, own = slopes(0.0, 0.0)
    square = (by_y * of_y.std + by_x * of_x.std) ** 2 + sum((by * noise.std) ** 2 for by, noise in own)
    by_y, by_x, own = slopes(of_x.bound, of_y.bound)
    # Products of two of the errors that the products add count with the first ones: each factor may be off by both.
    bound = by_y * of_y.bound + by_x * of_x.bound + sum(by * noise.bound for by, noise in own)
    bound = bound + math.prod(noise.bound for _, noise in own[:-1])
    scale = float(meta_of(result).scale)
    noise = of_x.resized(math.sqrt(float(np.max(square))) * scale, _largest(bound) * scale)
    return evaluator.with_bound(result, _largest(values)).with_(noise=noise)


def _split(ct: Ciphertext) -> tuple[Ciphertext, Noise]:
    """The same value taken to be exact, and its error in units of the values."""
    return ct.with_(noise=Noise()), ct.noise.scaled(1 / float(meta_of(ct).scale))


def _largest(values: Reals) -> float:
    """Of values on the grid; a sixteenth more for what lies between its points."""
    return float(np.abs(values).max()) * (1 + 2.0**-4)


# ---- choosing --------------------------------------------------------------------------------------------------------


def _refined(kind: Kind, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(y * (2 - x * y) if kind == "inverse" else 1.5 * y - 0.5 * x * y**3)


@lru_cache(maxsize=128)
def _start(kind: Kind, interval: tuple[float, float], degree: int) -> Polynomial:
    """An interpolant: for 1/x at Chebyshev points, that is the polynomial of least relative error.

    The error of interpolation is T_{n+1}(u) times a divided difference, which for 1/x is 1/x up to a constant.
    """
    return chebyshev_interpolant(EXACT_FUNCTIONS["inverse" if kind == "inverse" else "inverse_sqrt"], interval, degree)


def _converges(way: Newton) -> bool:
    """Residuals below 1 everywhere: a step makes them smaller, and leaves y positive."""
    x, (y, *_) = way.on_grid[0], way.on_grid[1]
    residual = np.abs(1 - x * y) if way.kind == "inverse" else np.abs(1 - x * y**2)
    return bool(residual.max() < 0.9 and y.min() > 0)


def _sampled_error(way: Newton) -> float:
    x = way.on_grid[0]
    return float(np.abs(way(x) - EXACT_FUNCTIONS[way.kind](x)).max())
