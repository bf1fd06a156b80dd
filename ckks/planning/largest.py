"""How large the largest of many errors is.

What a rescale leaves behind is a rounding times the secret: at each root of unity a product of two nearly complex
Gaussian numbers, e(z) s(z). All errors that lie at the same root share |s(z)|^2, which is exponential; given that,
their sum is normal. So the real part of what has rms r has a Laplace distribution, P(|e| > t r) = exp(-2 t), and the
largest of n of them stays below r ln(1000 n) / 2 in 999 of 1000 runs. Errors that are no multiples of the secret are
normal, which makes this up to a bit too large.

An automorphism brings errors from other roots, with other values of the secret. Their sum, of r_1, r_2, ... by Galois
element, is closer to a normal number. The moment generating function of one is 1 / (1 - u^2 r^2 / 4), so

    P(|e_1 + e_2 + ...| > t) <= 2 exp(-u t) / prod (1 - u^2 r_i^2 / 4)     for every 0 < u < 2 / max r_i,

Chernoff's bound. With 1/(1000 n) on its right side, the smallest t that any u gives is a bound as well; of the two the
smaller counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf, log

import numpy as np

__all__ = ["largest_of"]

_RUNS = 1000
_POINTS = np.linspace(0.0, 1.0, 402)[1:-1]
"""u, in units of 2 / max r; the bound is flat about its smallest value, and holds at every u."""


def largest_of(count: int, sizes: Sequence[float]) -> float:
    """Return what the largest of `count` errors stays below in all but one of 1000 runs.

    Args:
        count: how many.
        sizes: rms of what each of them consists of, by the Galois element that brought it there.
    """
    r = np.array([size for size in sizes if size != 0])
    total = hypot(*r)
    if not total < inf:  # or not a number, where that was multiplied by zero
        return inf
    if not total:
        return 0.0
    one = total * max(1.0, log(_RUNS * count) / 2)
    u = _POINTS * 2 / r.max()
    several = (log(2 * _RUNS * count) - np.log1p(-((u[:, None] * r / 2) ** 2)).sum(axis=1)) / u
    return float(min(one, several.min()))
