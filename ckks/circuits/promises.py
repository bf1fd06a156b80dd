"""What a circuit takes on trust: that values lie in an interval.

A polynomial means something on its interval only, and nobody can look at encrypted values. What can be looked at is the
bound that a value carries (`scheme.Meta`): where it lies inside the interval, all is proven; where it does not, the
interval is the caller's promise. `promise` notes which it was, for whoever listens: `ckks.plan` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ckks.rlwe import Ciphertext
from ckks.scheme.meta import meta_of

__all__ = ["Promise", "listening", "promise"]


@dataclass(frozen=True)
class Promise:
    """One interval that was relied on: `what` needed values in `interval`, `bound` was known of them."""

    what: str
    interval: tuple[float, float]
    bound: float

    @property
    def proven(self) -> bool:
        """Whether |value| <= bound already implies the interval (a bound knows no sign)."""
        low, high = self.interval
        return self.bound <= min(-low, high) * (1 + 2.0**-40)


_listener: ContextVar[list[Promise] | None] = ContextVar("_listener", default=None)


@contextmanager
def listening() -> Iterator[list[Promise]]:
    """Collect what the circuits of this thread rely on inside the with block."""
    found: list[Promise] = []
    token = _listener.set(found)
    try:
        yield found
    finally:
        _listener.reset(token)


def promise(x: Ciphertext, interval: tuple[float, float], what: str) -> None:
    """Note that `what` is right only for values of x inside the interval."""
    found = _listener.get()
    if found is not None:
        found.append(Promise(what, (float(interval[0]), float(interval[1])), meta_of(x).bound))
