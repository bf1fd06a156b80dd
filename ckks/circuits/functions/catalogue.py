"""Functions by name, in the clear, with the interval and degree they are given unless told otherwise.

`max_abs_error` is what the default polynomial is off by on the default interval, rounded up: the promise of each
function of `ckks.functions`, checked by a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.circuits.functions.newton import Kind
from ckks.circuits.polynomials.approximation import logistic
from ckks.circuits.polynomials.measure import Function, Reals

__all__ = ["CATALOGUE", "Named"]


@dataclass(frozen=True)
class Named:
    """One function.

    f              its values in float64
    interval       default; what lies outside is the caller's to rule out
    degree         default, 2^d - 1: the largest at its depth
    max_abs_error  of the default degree on the default interval, rounded up
    levels_off     it is nearly constant far out on both sides, so that `circuits.functions.extension` applies
    newton         how `circuits.functions.newton` calls it, if it does
    """

    f: Function
    interval: tuple[float, float]
    degree: int
    max_abs_error: float
    levels_off: bool = False
    newton: Kind | None = None


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _gelu(x: Reals) -> NDArray[Any]:
    """x times the normal distribution function."""
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


CATALOGUE: dict[str, Named] = {
    "sigmoid": Named(logistic, (-8.0, 8.0), 7, 0.019, levels_off=True),
    "tanh": Named(np.tanh, (-4.0, 4.0), 15, 1.8e-3, levels_off=True),
    "exp": Named(np.exp, (-4.0, 4.0), 15, 8.1e-9),
    "log": Named(np.log, (0.1, 10.0), 31, 2.8e-4),
    "inverse": Named(lambda x: 1 / x, (0.1, 10.0), 63, 1.7e-5, newton="inverse"),
    "sqrt": Named(np.sqrt, (0.0, 10.0), 31, 0.015, newton="sqrt"),
    "inverse_sqrt": Named(lambda x: 1 / np.sqrt(x), (0.1, 10.0), 31, 9.2e-4, newton="inverse_sqrt"),
    "relu": Named(lambda x: np.maximum(x, 0.0), (-4.0, 4.0), 31, 0.019),
    "gelu": Named(_gelu, (-8.0, 8.0), 31, 4.9e-5),
    "softplus": Named(lambda x: np.logaddexp(0.0, x), (-8.0, 8.0), 15, 6.6e-4),
}
"""ReLU and the square root have a corner, which polynomials follow slowly: the error halves when the degree doubles."""
