"""Survivors that somebody has looked at and that no test can notice, with the reason. Keys: (path, change as printed)."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {}
