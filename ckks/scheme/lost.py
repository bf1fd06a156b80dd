"""Precision that is lost, told to whoever listens, else as a warning.

`warnings.catch_warnings` changes the whole process; a listener hears its own thread (or task), and no other.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ckks.errors import PrecisionWarning

__all__ = ["listening_for_losses", "precision_lost"]

_listener: ContextVar[list[str] | None] = ContextVar("ckks_losses", default=None)


@contextmanager
def listening_for_losses() -> Iterator[list[str]]:
    """Collect what would be warned of in this thread (or task) inside the with block; nothing is warned of then."""
    found: list[str] = []
    token = _listener.set(found)
    try:
        yield found
    finally:
        _listener.reset(token)


def precision_lost(message: str) -> None:
    """Issue a PrecisionWarning that names the line outside this package which caused it, unless somebody listens."""
    found = _listener.get()
    if found is None:
        warnings.warn(message, PrecisionWarning, stacklevel=_levels_to_the_user())
    else:
        found.append(message)


def _levels_to_the_user() -> int:
    """The stacklevel of that line, for a warning of the caller."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level
