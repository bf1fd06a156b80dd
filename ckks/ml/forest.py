"""Placeholder."""
from __future__ import annotations
from typing import ClassVar
class Forest:
    kind: ClassVar[str] = "forest"
def planted(*a): ...
