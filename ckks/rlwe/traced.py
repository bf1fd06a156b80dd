"""Errors that know where they come from, for forecasts that must not be optimistic.

`Noise.std` adds in quadrature, as if errors were independent. Where a value meets itself again they are not: in
x (x + rotated x), both factors carry the error of x, and what belongs together adds up as it is. A `TracedNoise` keeps
the deviation of every origin: shares of one origin add linearly (an upper bound, whatever their signs and weights),
those of different origins in quadrature. An automorphism moves an error to other roots of unity, where it is
uncorrelated with what it was; so an origin is a source together with a Galois element. But complex conjugation leaves
it at the same roots, conjugate: its real part is what it was, and x + conj(x) has twice that. So g and -g are one
element here.

A forecast is of the worst slot. So what an error is multiplied with counts by its bound (`weighed`), not by its rms.

A plain Noise that is added, a rounding or a key switch, is a source that is named by what it is added to: two roundings
are different, unless they are of the same words, and the same step of the same values rounds in the same way. Values
whose errors have the same shares of the same origins are taken for the same values here, and a result of many steps is
taken to be off by its input's error, resized: either adds up more than it should, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from math import sqrt

from ckks.rlwe.noise import Noise

__all__ = ["TracedNoise"]

_sources = count()

Origin = tuple[int, int]


class TracedNoise(Noise):
    """Size of an error with the share of each origin in its deviation."""

    __slots__ = ("origins",)
    origins: Mapping[Origin, float]

    @classmethod
    def of(cls, size: Noise) -> TracedNoise:
        """Return a source of its own of this size."""
        return cls._source(next(_sources), size)

    @classmethod
    def _source(cls, name: int, size: Noise) -> TracedNoise:
        return cls._made({(name, 1): size.std} if size.std else {}, size.bound)

    @property
    def _shares(self) -> frozenset[tuple[Origin, float]]:
        """What tells values apart, as far as they are told apart."""
        return frozenset(self.origins.items())

    @classmethod
    def _made(cls, origins: Mapping[Origin, float], bound: float) -> TracedNoise:
        traced = cls(sqrt(sum(share * share for share in origins.values())), bound)
        object.__setattr__(traced, "origins", origins)
        return traced

    @property
    def by_element(self) -> dict[int, float]:
        """The deviation of what each Galois element brought, of all sources together."""
        squares: dict[int, float] = {}
        for (_, g), share in self.origins.items():
            squares[g] = squares.get(g, 0.0) + share * share
        return {g: sqrt(square) for g, square in squares.items()}

    def __add__(self, other: Noise) -> TracedNoise:
        """Size of a sum."""
        if not isinstance(other, TracedNoise):
            other = self._source(hash(("added", self._shares, other.std, other.bound)), other)
        origins = dict(self.origins)
        for origin, share in other.origins.items():
            origins[origin] = origins.get(origin, 0.0) + share
        return self._made(origins, self.bound + other.bound)

    __radd__ = __add__

    def scaled(self, factor: float) -> TracedNoise:
        """Size after multiplication by a constant."""
        return self._made({o: share * abs(factor) for o, share in self.origins.items()}, self.bound * abs(factor))

    def times(self, other: Noise) -> TracedNoise:
        """Size of a product: with a message, the same origins; with another error, a source of its own."""
        if isinstance(other, TracedNoise):
            name = hash(("product", frozenset((self._shares, other._shares))))
            return self._source(name, Noise(self.std * other.std, self.bound * other.bound))
        return self._made({o: share * other.std for o, share in self.origins.items()}, self.bound * other.bound)

    def weighed(self, message: Noise) -> TracedNoise:
        """Size after a product with a message, taken to be as large as it may be in every slot.

        What is forecast is the worst slot, and a root mean square says nothing of that: a mask that keeps one slot of
        n has rms 1/sqrt(n), and the error in that slot stays what it was; a sum of n equal numbers is n of them.
        """
        return self.times(Noise(message.bound, message.bound))

    def parted(self) -> TracedNoise:
        """Size of the same error as a source of its own."""
        return self._source(hash(("parted", self._shares)), self)

    def resized(self, std: float, bound: float) -> TracedNoise:
        """Size of an error that was made of this one: all of it, so that it adds up with everything that was."""
        if not self.std:
            return self._source(hash(("made", self._shares, std, bound)), Noise(std, bound))
        return self._made({o: share * (std / self.std) for o, share in self.origins.items()}, bound)

    def moved(self, g: int, m: int) -> TracedNoise:
        """Size after the automorphism X -> X^g modulo X^(m/2) + 1."""
        places = {(source, h): g * h % m for source, h in self.origins}
        return self._made(
            {(origin[0], min(places[origin], -places[origin] % m)): share for origin, share in self.origins.items()},
            self.bound,
        )
