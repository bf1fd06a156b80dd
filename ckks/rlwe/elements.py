"""Ciphertext and Plaintext: frozen values, batches first, always in NTT form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch, ParameterError
from ckks.kernels import Words
from ckks.ring import Domain, RingPoly, RNSBasis
from ckks.ring.poly import checked_words
from ckks.rlwe.noise import EXACT, Noise
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.pickling import rebuild


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class _Element:
    """What plaintexts and ciphertexts share.

    Args:
        params: the parameter set.
        words: NTT form, uint64 (..., limbs, N) with the limbs of `level`; validated and copied.
        level: how many rescales are left.
        meta: what the scheme above wants to remember (frozen; opaque here).
        noise: size of the error, kept by the operations; EXACT for none.
    """

    params: RLWEParams
    words: Words
    level: int
    meta: Any = None
    noise: Noise = EXACT

    __array_ufunc__ = None

    def __post_init__(self) -> None:
        """Validate and copy."""
        if not isinstance(self.params, RLWEParams):
            raise ParameterError(f"params of type {type(self.params).__name__}; needed RLWEParams")
        if not isinstance(self.level, int | np.integer) or not isinstance(self.noise, Noise):
            raise ParameterError(
                f"level of type {type(self.level).__name__}, noise of type {type(self.noise).__name__}; "
                "needed an integer and a Noise"
            )
        object.__setattr__(self, "words", checked_words(self.params.basis(self.level), self.words))
        self.words.flags.writeable = False
        self._check_shape()

    def _check_shape(self) -> None:
        """Refuse words that lack an axis."""

    @classmethod
    def of(cls, params: RLWEParams, words: Words, level: int, meta: Any = None, noise: Noise = EXACT) -> Self:
        """Wrap words known to be valid, without a copy; they become read-only."""
        element = object.__new__(cls)
        words.flags.writeable = False
        vars(element).update(params=params, words=words, level=level, meta=meta, noise=noise)
        return element

    def with_(self, *, meta: Any = None, noise: Noise | None = None) -> Self:
        """Return the same words under other metadata or noise."""
        return type(self).of(
            self.params, self.words, self.level, self.meta if meta is None else meta, noise or self.noise
        )

    @property
    def basis(self) -> RNSBasis:
        """The moduli of this level."""
        return self.params.basis(self.level)

    @property
    def nbytes(self) -> int:
        """Bytes of the words."""
        return self.words.nbytes

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """Refuse conversion to an array of numbers."""
        raise TypeError(f"{type(self).__name__} is not an array of values; decode or decrypt it, or use .words")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the validating constructor, the words as they are (out of band in protocol 5, uncopied)."""
        arguments = dict(
            params=self.params,
            words=np.ascontiguousarray(self.words),
            level=self.level,
            meta=self.meta,
            noise=self.noise,
        )
        return rebuild, (type(self), arguments)

    def __copy__(self) -> Self:
        """Return the object itself: nothing in it changes."""
        return self


class Plaintext(_Element):
    """A polynomial (or a batch), words (..., limbs, N)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape."""
        return self.words.shape[:-2]

    @property
    def poly(self) -> RingPoly:
        """The ring element."""
        return RingPoly.of(self.basis, self.words, Domain.NTT)

    def __repr__(self) -> str:
        """Return a one-line summary."""
        return f"<Plaintext {self.params.mark}N={self.params.ring_degree}, level {self.level}, batch {self.shape}>"


class Ciphertext(_Element):
    """c_0 + c_1 s + c_2 s^2 + ... = message + error; words (..., parts, limbs, N), parts >= 2."""

    def _check_shape(self) -> None:
        if self.words.ndim < 3 or self.words.shape[-3] < 2:
            raise BasisMismatch(f"words of shape {self.words.shape}; needed (..., parts >= 2, limbs, N)")

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single ciphertext."""
        return self.words.shape[:-3]

    @property
    def parts(self) -> int:
        """How many polynomials: 2, or 3 after a product that was not relinearised."""
        return int(self.words.shape[-3])

    def part(self, i: int) -> RingPoly:
        """Return c_i as a ring element (a view)."""
        return RingPoly.of(self.basis, self.words[..., i, :, :], Domain.NTT)

    def __repr__(self) -> str:
        """Return a one-line summary."""
        facts = [f"{self.params.mark}N={self.params.ring_degree}", f"level {self.level}/{self.params.top_level}"]
        if self.parts != 2:
            facts.append(f"{self.parts} parts")
        if self.shape:
            facts.append(f"batch {self.shape}")
        if hasattr(self.meta, "summary"):  # what the scheme above has to say of scale and precision
            facts.append(self.meta.summary(self))
        return f"<Ciphertext {', '.join(facts)}, {self.nbytes / 1024:.0f} KiB>"

    def __getitem__(self, index: Any) -> Ciphertext:
        """Index the batch axes (a view)."""
        position = index if isinstance(index, tuple) else (index,)
        rest = () if any(part is Ellipsis for part in position) else (Ellipsis,)
        words = self.words[(*position, *rest, *(slice(None),) * 3)]
        return Ciphertext.of(self.params, words, self.level, self.meta, self.noise)

    def at_level(self, level: int) -> Ciphertext:
        """Return the same message with the limbs above `level` dropped (a view; no rescale, no noise)."""
        if level == self.level:
            return self
        self.params.check_level(level)
        if level > self.level:
            raise BasisMismatch(f"cannot raise a ciphertext from level {self.level} to {level}")
        limbs = self.params.limbs(level)
        return Ciphertext.of(self.params, self.words[..., :limbs, :], level, self.meta, self.noise)


__all__ = ["Ciphertext", "Plaintext"]
