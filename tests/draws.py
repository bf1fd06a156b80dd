"""Residue arrays for tests: uniform ones, and those at the edges of what a kernel promises to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

KINDS = ("uniform", "extremes", "zero", "one", "top", "alternating", "spike")
"""How words are chosen: see `residues`."""

per_backend = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""For properties that use the `backend` fixture, which is set up once for all examples: each leaves it as it was."""


def residues(moduli: Sequence[int], n: int, kind: str = "uniform", seed: int = 20, shape: tuple[int, ...] = ()) -> Any:
    """Return uint64 words (*shape, limbs, n), each in [0, q) of its limb."""
    rng = np.random.default_rng(seed)
    out = np.zeros((*shape, len(moduli), n), dtype=np.uint64)
    for i, q in enumerate(moduli):
        row = out[..., i, :]
        if kind == "uniform":
            row[...] = rng.integers(0, q, row.shape, dtype=np.uint64)
        elif kind == "extremes":
            row[...] = rng.choice(np.array([0, 1, q // 2, q // 2 + 1, q - 1], dtype=np.uint64), row.shape)
        elif kind == "one":
            row[...] = 1
        elif kind == "top":
            row[...] = q - 1
        elif kind == "alternating":
            row[..., 1::2] = q - 1
        elif kind == "spike":
            row[..., rng.integers(n)] = q - 1
    return out


def random_residues(moduli: Sequence[int], n: int, shape: tuple[int, ...] = ()) -> st.SearchStrategy[Any]:
    """Return a strategy for `residues` of every kind."""
    return st.builds(
        residues, st.just(tuple(moduli)), st.just(n), st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.just(shape)
    )
