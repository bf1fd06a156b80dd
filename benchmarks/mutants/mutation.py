"""One change of one file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """Replace text[start:end] of a file.

    path        relative to the root of the project
    line        of the change, from 1
    operator    which kind of defect
    old, new    the texts
    """

    path: str
    line: int
    operator: str
    start: int
    end: int
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return the text with the change; ValueError when it is not the text that was analysed."""
        if text[self.start : self.end] != self.old:
            raise ValueError(f"{self.path}:{self.line} no longer reads {self.old!r}")
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        """Name place and change."""
        return f"{self.path}:{self.line} {self.operator}: {_short(self.old)} -> {_short(self.new)}"


def _short(text: str) -> str:
    plain = " ".join(text.split()) or "nothing"
    return plain if len(plain) <= 70 else plain[:67] + "..."
