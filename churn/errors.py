"""Errors about tables and models: what was found, what was needed, what to do.

    ChurnError            (ValueError)
    |-- DataError         a file or table that cannot be used: missing, empty, not CSV, bad cells
    |   |-- ColumnError   a column that is missing or named wrongly
    |   `-- CategoryError a category or label value that is not known
    `-- ModelError        a model description that is not valid

Nothing here is about encryption; those errors live in `ckks.errors`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["CategoryError", "ChurnError", "ColumnError", "DataError", "ModelError", "nearest"]


class ChurnError(ValueError):
    """Base class; `found`, `needed` and `remedy` are the three parts of the message."""

    def __init__(self, found: str, needed: str, remedy: str) -> None:
        """Keep the three parts; `str()` joins them into one message."""
        super().__init__(found, needed, remedy)
        self.found, self.needed, self.remedy = found, needed, remedy

    def __str__(self) -> str:
        """Return "found; needed. remedy."."""
        return f"{self.found}; {self.needed}. {self.remedy}."


class DataError(ChurnError):
    """A file or a table that cannot be used as it is."""


class ColumnError(DataError):
    """A column that is missing, doubled or named wrongly."""


class CategoryError(DataError):
    """A value that is not one of the known categories or labels."""


class ModelError(ChurnError):
    """A model description with a part that is missing, unknown or out of range."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (nearest known name: 'x')", or "" when no name in `known` resembles `name`.

    Upper and lower case, blanks, underscores and hyphens do not count as differences.
    """
    plain: dict[str, str] = {}
    for candidate in known:
        plain.setdefault(_plain(candidate), candidate)
    match = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return f" (nearest known name: {plain[match[0]]!r})" if match else ""


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " _-")
