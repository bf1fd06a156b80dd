"""The comparison that trees are made of: 1 for x > 0, 0 for x < 0, and anything between near 0.

`comparison(resolution, max_abs_error)` chooses one; `Forest` knows of it only what `Comparison` says. It is a composite
of `circuits.comparison.composite`, whose noise is stated for decided values: what is not decided does not matter, or is
not promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks.circuits.comparison.composite import Composite, minimax_composite
from ckks.circuits.comparison.deciding import decide
from ckks.errors import ModelError, ParameterError, RangeError
from ckks.rlwe import Ciphertext
from ckks.scheme import Evaluator

__all__ = ["Comparison", "comparison", "step"]

Floats = NDArray[np.float64]

MAX_ABS_ERROR = 2.0**-8
"""Of a decided comparison, unless asked otherwise."""


@dataclass(frozen=True)
class Comparison:
    """A composite near the step function.

    resolution     r: right for r <= |x| <= 1
    max_abs_error  e: there it is within e of 0 or 1, and for |x| < r it stays within [-e, 1 + e]
    """

    composite: Composite

    @property
    def resolution(self) -> float:
        """From this size on, a difference is decided."""
        return self.composite.resolution

    @property
    def max_abs_error(self) -> float:
        """How far decided values may be from 0 or 1."""
        return self.composite.max_abs_error

    @property
    def depth(self) -> int:
        """Levels that it uses."""
        return self.composite.depth

    def __call__(self, evaluator: Evaluator, x: Ciphertext) -> Ciphertext:
        """Return the step of every slot of x, values in [-1, 1]; the noise is that of decided values."""
        found = decide(evaluator, x, self.composite, decided=True)
        return found.factor if found.certain else found.value

    def in_the_clear(self, x: ArrayLike) -> Floats:
        """Return the same on plain numbers."""
        return np.asarray(self.composite(x), np.float64)


def comparison(resolution: float, max_abs_error: float = MAX_ABS_ERROR) -> Comparison:
    """Return the comparison of least depth for a resolution and an error; ModelError where there is none."""
    if not 0 < resolution <= 0.5:
        raise ModelError(f"resolution {resolution!r}; needed a share of the range, above 0 and up to 1/2")
    try:
        return Comparison(minimax_composite(resolution, 2 * max_abs_error).step())
    except (ParameterError, RangeError) as problem:
        raise ModelError(
            f"differences of {resolution:g} of a range cannot be decided to {max_abs_error:.2g} ({problem}); allow a "
            "larger error, or a coarser resolution"
        ) from problem


def step(evaluator: Evaluator, x: Ciphertext, *, resolution: float, max_abs_error: float = MAX_ABS_ERROR) -> Ciphertext:
    """Return nearly 1 where x > 0 and 0 where x < 0, for values with resolution <= |x| <= 1."""
    return comparison(resolution, max_abs_error)(evaluator, x)
