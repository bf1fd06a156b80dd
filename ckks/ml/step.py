"""The comparison that trees are made of: 1 for x > 0, 0 for x < 0, and anything between near 0.

`comparison(resolution, error)` chooses one; `Forest` knows of it only what `Comparison` says. What is here is a single
polynomial, of at most degree 127: enough to decide differences of a sixteenth of a range to within 0.003. Composite
polynomials reach further for the same levels, and take this one's place without a change elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, erf, log2

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.approximation import approximate
from ckks.circuits.polynomial import evaluate_normalised
from ckks.circuits.polynomials import Polynomial
from ckks.errors import ModelError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator

__all__ = ["Comparison", "comparison", "step"]

Floats = NDArray[np.float64]

MAX_DEGREE = 127

_erf = np.vectorize(erf, otypes=[np.float64])


@dataclass(frozen=True)
class Comparison:
    """A polynomial near the step function.

    resolution  r: right for r <= |x| <= 1
    error       there it is within this of 0 or 1, and for |x| < r it stays within [-error, 1 + error]
    """

    polynomial: Polynomial
    resolution: float
    error: float

    @property
    def depth(self) -> int:
        """Levels that it uses."""
        return ceil(log2(self.polynomial.degree + 1))

    def __call__(self, evaluator: Evaluator, x: Ciphertext) -> Ciphertext:
        """Return the step of every slot of x, values in [-1, 1]."""
        return evaluate_normalised(evaluator, x, self.polynomial)

    def in_the_clear(self, x: ArrayLike) -> Floats:
        """Return the same on plain numbers."""
        return np.asarray(self.polynomial(x), np.float64)


@lru_cache(maxsize=64, typed=True)
def comparison(resolution: float, error: float | None = None) -> Comparison:
    """Return the cheapest comparison for a resolution: of the depth that reaches `error`, or of the best there is.

    Fits (1 + erf(k x)) / 2, whose own distance from the step at |x| >= r is (1 - erf(k r)) / 2: k is searched for the
    least sum of both errors.

    Raises ModelError when no polynomial of degree up to 127 does.
    """
    if not 0 < resolution < 1:
        raise ModelError(f"resolution {resolution!r}; needed a share of the range, between 0 and 1")
    best: Comparison | None = None
    for degree in (7, 15, 31, 63, MAX_DEGREE):
        for steepness in np.geomspace(0.8, 2.4, 7):
            found = _fitted(resolution, float(steepness), degree)
            best = found if best is None or found.error < best.error else best
        assert best is not None
        if error is not None and best.error <= error:
            return best
    assert best is not None
    if (error is not None and best.error > error) or best.error > 0.25:
        raise ModelError(
            f"differences of {resolution:g} of a range are decided to {best.error:.2g} at best; allow a larger error, "
            "or a coarser resolution"
        )
    return best


def step(evaluator: Evaluator, x: Ciphertext, *, resolution: float, error: float | None = None) -> Ciphertext:
    """Return nearly 1 where x > 0 and 0 where x < 0, for values with resolution <= |x| <= 1."""
    return comparison(resolution, error)(evaluator, x)


def _fitted(resolution: float, steepness: float, degree: int) -> Comparison:
    k = steepness / resolution
    polynomial = approximate(lambda x: (1 + _erf(k * x)) / 2, (-1.0, 1.0), degree=degree, method="chebyshev")
    missed = (1 - erf(steepness)) / 2
    return Comparison(polynomial, resolution, missed + (polynomial.max_abs_error or 0.0))
