"""The functions of the catalogue by their names, one number at a time, from `math`."""

from __future__ import annotations

import math

import numpy as np

PLAIN = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "exp": math.exp,
    "log": math.log,
    "inverse": lambda x: 1 / x,
    "sqrt": math.sqrt,
    "inverse_sqrt": lambda x: x**-0.5,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def plain(name: str, x: np.ndarray) -> np.ndarray:
    return np.array([PLAIN[name](float(v)) for v in x.ravel()]).reshape(x.shape)
