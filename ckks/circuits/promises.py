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
    """One interval that was relied on.

    Args:
        what: needed values in the interval.
        interval: (a, b).
        bound: was known of them: |value - center| <= bound.
        center: 0 for values as they are; the middle of the interval for values that came divided by its radius, as
            those of linear forms do, into whose weights the division is folded.
    """

    what: str
    interval: tuple[float, float]
    bound: float
    center: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether the bound already implies the interval (it knows no sign)."""
        low, high = self.interval
        return self.bound <= min(self.center - low, high - self.center) * (1 + 2.0**-40)


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


def promise(x: Ciphertext, interval: tuple[float, float], what: str, *, normalised: bool = False) -> None:
    """Note that `what` is right only for values inside the interval.

    Args:
        x: those values; or, with `normalised`, (value - center)/radius of the interval.
        interval: (a, b).
        what: for people.
        normalised: the promise is then told in units of the values, which are the user's.
    """
    found = _listener.get()
    if found is None:
        return
    low, high = float(interval[0]), float(interval[1])
    bound, center = meta_of(x).bound, 0.0
    if normalised:
        bound, center = bound * (high - low) / 2, (low + high) / 2
    found.append(Promise(what, (low, high), bound, center))
