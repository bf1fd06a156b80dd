"""What a worker has read and keeps ready, as long as there is room: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, Protocol, TypeVar

__all__ = ["Resident", "Sized"]


class Sized(Protocol):
    """Anything that knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""


T = TypeVar("T", bound=Sized)


class Resident(Generic[T]):
    """Objects by name, up to a number of bytes, and the last one in any case; safe to share between threads."""

    def __init__(self, most: int) -> None:
        """Keep up to `most` bytes."""
        self.most = most
        self._ready: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> T | None:
        """Return what is kept under a name; it is then the one used last."""
        with self._lock:
            found = self._ready.get(name)
            if found is not None:
                self._ready.move_to_end(name)
            return found

    def keep(self, name: str, value: T) -> None:
        """Keep a value, and let go of what there is no room for any more."""
        with self._lock:
            self._ready[name] = value
            self._ready.move_to_end(name)
            while len(self._ready) > 1 and sum(kept.nbytes for kept in self._ready.values()) > self.most:
                self._ready.popitem(last=False)
