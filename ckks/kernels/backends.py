"""Which kernel source runs: chosen once, lowered by the environment, changed by tests.

CKKS_BACKEND names a source: `reference`, `numba`, `native` (its best variant for this CPU), `native-portable`,
`native-avx2`, `native-ifma`. Unset: native when it was compiled, else numba. An unknown or impossible name is an
error, never a silent fallback.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import cast

from ckks.errors import BackendError
from ckks.kernels.interface import Kernels

NAMES = ("reference", "numba", "native", "native-portable", "native-avx2", "native-ifma")
"""Every name that CKKS_BACKEND and `use` accept."""

_active: Kernels | None = None
_instead: ContextVar[Kernels | None] = ContextVar("ckks_source", default=None)


@lru_cache(maxsize=len(NAMES))
def load(name: str) -> Kernels:
    """Return the named source, importing it on first use; raise BackendError when it cannot run here."""
    if name == "reference":
        from ckks.kernels import reference

        return cast(Kernels, reference)
    if name == "numba":
        from ckks.kernels.numba_backend import load as load_numba

        return cast(Kernels, load_numba())
    if name in NAMES:  # native, or one of its variants
        from ckks.kernels import native_backend

        return native_backend.load(name.partition("-")[2] or None)
    raise BackendError(f"unknown backend {name!r}; choose one of {', '.join(NAMES)} (CKKS_BACKEND)")


def available() -> tuple[str, ...]:
    """Return the names that can run on this machine."""
    found = []
    for name in NAMES:
        with contextlib.suppress(BackendError):
            load(name)
            found.append(name)
    return tuple(found)


def active() -> Kernels:
    """Return the source in use, choosing it on the first call."""
    global _active
    instead = _instead.get()
    if instead is not None:
        return instead
    if _active is None:
        _active = _choose()
    return _active


def _choose() -> Kernels:
    wanted = os.environ.get("CKKS_BACKEND")
    if wanted:
        return load(wanted)
    try:
        return load("native")
    except BackendError:
        return load("numba")


@contextlib.contextmanager
def use(name: str) -> Iterator[Kernels]:
    """Run the with block on the named source (process-wide: meant for tests and comparisons)."""
    global _active
    before, _active = _active, load(name)
    try:
        yield _active
    finally:
        _active = before


@contextlib.contextmanager
def instead(source: Kernels) -> Iterator[None]:
    """Have a source of the caller's own run in the with block, for this thread (or task) alone."""
    token = _instead.set(source)
    try:
        yield
    finally:
        _instead.reset(token)


def source_for(n: int) -> Kernels:
    """Return the active source, or `reference` for rings that it declines as too small."""
    kernels = active()
    return kernels if n >= kernels.smallest_n else load("reference")
