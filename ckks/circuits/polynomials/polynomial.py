"""A real polynomial as a value: coefficients, their basis, and the interval they are meant for.

With centre m = (a + b) / 2 and radius r = (b - a) / 2 of the interval [a, b], and u = (x - m) / r,

    basis "chebyshev":  p(x) = sum_k c_k T_k(u),     T_k(cos t) = cos(k t)
    basis "power":      p(x) = sum_k c_k x^k

Chebyshev coefficients of a function that stays below 1 are small, so they survive being encoded
with a fixed number of bits. Power coefficients grow like (1 + sqrt 2)^degree: use them up to about
degree 15.

The two conversions are done with exact fractions and rounded once per coefficient, so they lose
nothing a float could hold. What a float cannot hold still shows: the values of the converted
polynomial are off by up to 2^-53 sum_k |c_k| max|x|^k, which is added to `max_abs_error`. Writing
a function bounded by 1 on [-1, 1] in powers costs up to about 1e-12 at degree 10, 1e-8 at 20 and
1e-4 at 30.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.polynomials.arguments import check_interval
from ckks.errors import ParameterError, RangeError

__all__ = ["Basis", "Parity", "Polynomial"]

Basis = Literal["power", "chebyshev"]
Parity = Literal["odd", "even", "none"]

_LOG2_SNAP = -60  # far below a float's 2^-53: only what rounding left of an exact zero goes away
_HALF_ULP = 2.0**-53


@dataclass(frozen=True, repr=False)
class Polynomial:
    """A polynomial with the interval it is meant for; immutable, equal by value.

    coefficients   floats, degree ascending. Coefficients whose largest contribution on the
                   interval is below 2^-60 of the largest one's are set to exactly 0 (in the power
                   basis |c_k| max|x|^k is compared, so that small coefficients on wide intervals
                   stay); trailing zeros are dropped
    basis          "chebyshev" (of u, see the module) or "power" (of x itself)
    interval       (a, b), or B for (-B, B); outside it the values grow like |2u|^degree and approximate nothing
    max_abs_error  an upper estimate of max |p - f| on the interval for the function f that was
                   approximated, or None for a polynomial that approximates nothing

    Raises RangeError for coefficients that are not finite, ParameterError for an unknown basis, no
    coefficients, or an interval that is none.
    """

    coefficients: tuple[float, ...]
    basis: Basis = "chebyshev"
    interval: tuple[float, float] = (-1.0, 1.0)
    max_abs_error: float | None = None

    def __post_init__(self) -> None:
        """Validate; snap and trim the coefficients."""
        if self.basis not in ("power", "chebyshev"):
            raise ParameterError(f"unknown basis {self.basis!r}; a polynomial is in 'power' or in 'chebyshev'")
        object.__setattr__(self, "interval", check_interval(self.interval))
        try:
            given = [float(c) for c in self.coefficients]
        except (TypeError, ValueError):
            raise ParameterError(
                f"coefficients {self.coefficients!r}; needed real numbers, that of degree 0 first"
            ) from None
        if not given:
            raise ParameterError("no coefficients; the zero polynomial is (0.0,)")
        for k, c in enumerate(given):
            if not math.isfinite(c):
                raise RangeError(f"coefficient {k} is {c}; every coefficient must be finite")
        if (error := self.max_abs_error) is not None:
            if not (math.isfinite(error) and error >= 0):
                raise RangeError(f"max_abs_error is {error}; pass a finite number >= 0, or None")
            object.__setattr__(self, "max_abs_error", float(error))
        object.__setattr__(self, "coefficients", self._snapped(given))

    def _snapped(self, given: list[float]) -> tuple[float, ...]:
        """Exact zeros for negligible coefficients, no trailing zeros, at least one coefficient."""
        log2_reach = 0.0 if self.basis == "chebyshev" else math.log2(self.reach)
        log2_size = [math.log2(abs(c)) + k * log2_reach if c else -math.inf for k, c in enumerate(given)]
        threshold = max(log2_size) + _LOG2_SNAP
        kept = [c if c and s >= threshold else 0.0 for c, s in zip(given, log2_size, strict=True)]
        while len(kept) > 1 and kept[-1] == 0.0:
            kept.pop()
        return tuple(kept)

    def __repr__(self) -> str:
        """Return a line with degree, interval, basis and error."""
        a, b = self.interval
        off = "" if self.max_abs_error is None else f", off by at most {self.max_abs_error:.1e}"
        return f"<Polynomial of degree {self.degree} on [{a:g}, {b:g}], {self.basis}{off}>"

    @property
    def degree(self) -> int:
        """Index of the last nonzero coefficient; 0 for the zero polynomial."""
        return len(self.coefficients) - 1

    @property
    def center(self) -> float:
        """Midpoint m of the interval."""
        return 0.5 * self.interval[0] + 0.5 * self.interval[1]

    @property
    def radius(self) -> float:
        """Half the length r of the interval, > 0."""
        return 0.5 * (self.interval[1] - self.interval[0])

    @property
    def reach(self) -> float:
        """Largest |x| on the interval, > 0."""
        return max(abs(self.interval[0]), abs(self.interval[1]))

    @property
    def parity(self) -> Parity:
        """Odd, even or none, decided by exact zeros; a constant, zero included, is even.

        In the variable of the basis: u (about the midpoint) for Chebyshev, x for powers.
        """
        if not any(self.coefficients[1::2]):
            return "even"
        return "none" if any(self.coefficients[0::2]) else "odd"

    @property
    def is_odd_up_to_constant(self) -> bool:
        """Whether p minus its constant coefficient is odd and not zero: 0.5 + odd, say.

        Additions of constants are free, so what holds for odd polynomials holds for these.
        """
        return any(self.coefficients[1::2]) and not any(self.coefficients[2::2])

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Values at x, any shape, real or complex: Clenshaw for Chebyshev, Horner for powers.

        Defined outside the interval too (see `interval` for what to expect there).
        """
        points = np.asarray(x)
        if points.dtype.kind not in "fc":
            points = points.astype(np.float64)
        if self.basis == "power":
            value = np.full_like(points, self.coefficients[-1])
            for c in reversed(self.coefficients[:-1]):
                value = value * points + c
            return value
        u = (points - self.center) / self.radius
        above, above2 = np.zeros_like(u), np.zeros_like(u)  # b_{k+1}, b_{k+2}
        for c in reversed(self.coefficients[1:]):
            above, above2 = c + 2 * u * above - above2, above
        return np.asarray(self.coefficients[0] + u * above - above2)

    def to_power(self) -> Polynomial:
        """Return the same polynomial in powers of x; each coefficient correctly rounded.

        Raises RangeError when a coefficient leaves the range of a float. Limits: see the module.
        """
        if self.basis == "power":
            return self
        exact = _chebyshev_to_power(self.coefficients, self.center, self.radius)
        return self._converted(exact, "power", self.reach)

    def to_chebyshev(self) -> Polynomial:
        """Return the same polynomial in T_k(u) on its interval; each coefficient correctly rounded.

        Raises RangeError when a coefficient leaves the range of a float.
        """
        if self.basis == "chebyshev":
            return self
        exact = _power_to_chebyshev(self.coefficients, self.center, self.radius)
        return self._converted(exact, "chebyshev", 1.0)

    def _converted(self, exact: list[Fraction], basis: Basis, reach: float) -> Polynomial:
        """Round exact coefficients; the rounding times the largest basis values joins the error."""
        try:
            rounded = tuple(float(c) for c in exact)
            moved = _HALF_ULP * sum(abs(c) * reach**k for k, c in enumerate(rounded))
        except OverflowError:
            raise RangeError(
                f"a coefficient in the {basis} basis of degree {self.degree} on {self.interval} is "
                "beyond the range of a float; keep the basis, or use a shorter interval"
            ) from None
        error = None if self.max_abs_error is None else self.max_abs_error + moved
        return Polynomial(rounded, basis, self.interval, error)


def _chebyshev_to_power(c: Sequence[float], center: float, radius: float) -> list[Fraction]:
    """Clenshaw's recurrence b_k = c_k + 2 u b_{k+1} - b_{k+2}, on whole polynomials in x, exact."""
    slope = 1 / Fraction(radius)
    offset = -Fraction(center) * slope  # u = offset + slope x

    def times_u(p: list[Fraction]) -> list[Fraction]:
        shifted = [Fraction(0), *(slope * v for v in p)]
        return [s + offset * v for s, v in zip(shifted, [*p, Fraction(0)], strict=True)]

    above: list[Fraction] = []
    above2: list[Fraction] = []
    for k in range(len(c) - 1, -1, -1):
        turned = times_u(above)
        value = [(2 if k else 1) * v for v in turned]  # the last step takes u b_1, not 2 u b_1
        for i, v in enumerate(above2):
            value[i] -= v
        value[0] += Fraction(c[k])
        above, above2 = value, above
    return above[: len(c)]


def _power_to_chebyshev(c: Sequence[float], center: float, radius: float) -> list[Fraction]:
    """Horner's rule in x = m + r u on Chebyshev coefficients: u T_k = (T_{k+1} + T_{|k-1|}) / 2."""
    m, r = Fraction(center), Fraction(radius)
    value: list[Fraction] = [Fraction(0)]
    for coefficient in reversed(c):
        turned = [m * v for v in value] + [Fraction(0)]
        for k, v in enumerate(value):
            half = r * v / 2
            turned[k + 1] += half
            turned[abs(k - 1)] += half
        turned[0] += Fraction(coefficient)
        value = turned
    return value[: len(c)]
