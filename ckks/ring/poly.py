"""RingPoly: ring elements with operators, in coefficient or NTT form, singly or in batches."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import kernels
from ckks.arith import compose
from ckks.errors import BasisMismatch, DomainError, ParameterError, RangeError
from ckks.kernels import Words
from ckks.ring.automorphism import automorphism
from ckks.ring.basis import RNSBasis


class Domain(enum.Enum):
    """How the words of a RingPoly are to be read."""

    COEFFICIENT = "coefficient"
    NTT = "NTT"


class RingPoly:
    """One element of R_Q, or a batch of them. Immutable.

    Args:
        basis: the ring.
        residues: uint64 of shape (..., limbs, N), each word in [0, q) of its limb; copied.
        domain: Domain.COEFFICIENT, or Domain.NTT: residues[..., i] = a(psi^(2 brv(i) + 1)).

    Raises:
        BasisMismatch: the shape does not fit the basis.
        RangeError: a word is not below its modulus (the position is named).

    `+`, `-` and `*` between elements of one basis and domain; `*` needs NTT form; integers act as constants for `*`.
    """

    __slots__ = ("basis", "domain", "residues")
    __array_ufunc__ = None
    basis: RNSBasis
    domain: Domain
    residues: Words

    def __init__(self, basis: RNSBasis, residues: ArrayLike, domain: Domain) -> None:
        """Validate and copy; see the class."""
        words = checked_words(basis, residues)
        self._fill(basis, words, Domain(domain))

    def _fill(self, basis: RNSBasis, words: Words, domain: Domain) -> None:
        words.flags.writeable = False
        object.__setattr__(self, "basis", basis)
        object.__setattr__(self, "residues", words)
        object.__setattr__(self, "domain", domain)

    @classmethod
    def of(cls, basis: RNSBasis, words: Words, domain: Domain) -> RingPoly:
        """Wrap words known to be valid, without a copy; they become read-only."""
        poly = object.__new__(cls)
        poly._fill(basis, words, domain)
        return poly

    @classmethod
    def from_integers(cls, basis: RNSBasis, coefficients: ArrayLike) -> RingPoly:
        """Return the element with these integer coefficients, shape (..., N), of any size and sign."""
        values = np.asarray(coefficients, dtype=object)
        for value in values.flat:
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise ParameterError(f"coefficient {value!r}; needed integers (round first)")
        if values.shape[-1:] != (basis.n,):
            raise BasisMismatch(f"coefficients of shape {values.shape}; needed (..., {basis.n})")
        words = kernels.empty((*values.shape[:-1], len(basis), basis.n))
        for i, q in enumerate(basis.moduli):
            words[..., i, :] = (values % q).astype(np.uint64)
        return cls.of(basis, words, Domain.COEFFICIENT)

    def to_integers(self, *, centre: bool = True) -> NDArray[np.object_]:
        """Return the coefficients as Python integers, shape (..., N), in (-Q/2, Q/2] (or [0, Q))."""
        words = self.to_coefficient().residues
        columns = np.moveaxis(words, -2, -1).reshape(-1, len(self.basis)).tolist()
        flat = [compose(c, self.basis.moduli, centre=centre) for c in columns]
        result = np.empty(len(flat), dtype=object)
        result[:] = flat
        return result.reshape(*self.shape, self.basis.n)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: ring elements are immutable."""
        raise AttributeError(f"RingPoly is immutable; make a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> None:
        """Refuse: ring elements are immutable."""
        raise AttributeError(f"RingPoly is immutable; {name!r} cannot be deleted")

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch shape: () for a single element."""
        return self.residues.shape[:-2]

    def to_ntt(self) -> RingPoly:
        """Return the same element in NTT form."""
        if self.domain is Domain.NTT:
            return self
        return RingPoly.of(self.basis, kernels.ntt(self.basis.plan, self.residues), Domain.NTT)

    def to_coefficient(self) -> RingPoly:
        """Return the same element in coefficient form."""
        if self.domain is Domain.COEFFICIENT:
            return self
        return RingPoly.of(self.basis, kernels.intt(self.basis.plan, self.residues), Domain.COEFFICIENT)

    def limbs(self, limbs: slice) -> RingPoly:
        """Return the element modulo a slice of the moduli: a view, in the same domain."""
        return RingPoly.of(self.basis[limbs], self.residues[..., limbs, :], self.domain)

    def automorphism(self, g: int) -> RingPoly:
        """Return a(X^g), g odd, in the same domain."""
        words = automorphism(self.basis, self.residues, g, ntt_form=self.domain is Domain.NTT)
        return RingPoly.of(self.basis, words, self.domain)

    def __getitem__(self, index: Any) -> RingPoly:
        """Index the batch axes."""
        position = index if isinstance(index, tuple) else (index,)
        return RingPoly.of(self.basis, self.residues[(*position, ..., slice(None), slice(None))], self.domain)

    def __neg__(self) -> RingPoly:
        """Return -a."""
        return RingPoly.of(self.basis, kernels.neg(self.basis.plan, self.residues), self.domain)

    def __add__(self, other: object) -> RingPoly:
        """Return a + b."""
        return self._with(other, kernels.add)

    def __sub__(self, other: object) -> RingPoly:
        """Return a - b."""
        return self._with(other, kernels.sub)

    def __mul__(self, other: object) -> RingPoly:
        """Return a b for b in NTT form, or c a for an integer c of any size."""
        if isinstance(other, (int, np.integer)) and not isinstance(other, bool):
            c = int(other)
            scalars = np.array([c % q for q in self.basis.moduli], dtype=np.uint64)
            return RingPoly.of(self.basis, kernels.mul_scalar(self.basis.plan, self.residues, scalars), self.domain)
        if isinstance(other, RingPoly) and Domain.COEFFICIENT in (self.domain, other.domain):
            raise DomainError(
                "a product needs both factors in NTT form, where it is word by word; call .to_ntt() first"
            )
        return self._with(other, kernels.mul)

    __rmul__ = __mul__

    def _with(self, other: object, kernel: Callable[..., Words]) -> RingPoly:
        if not isinstance(other, RingPoly):
            refused: RingPoly = NotImplemented
            return refused
        if self.basis != other.basis:
            raise BasisMismatch(
                f"operands over {self.basis} and {other.basis}; bring both to one basis with .limbs(...) "
                "or convert_basis(...)"
            )
        if self.domain is not other.domain:
            raise DomainError(
                f"operands in {self.domain.value} and {other.domain.value} form; "
                "bring both to one with .to_ntt() or .to_coefficient()"
            )
        return RingPoly.of(self.basis, kernel(self.basis.plan, self.residues, other.residues), self.domain)

    def __eq__(self, other: object) -> bool:
        """Tell whether basis, domain, shape and every word agree."""
        if not isinstance(other, RingPoly):
            return NotImplemented
        return (
            self.basis == other.basis and self.domain is other.domain and np.array_equal(self.residues, other.residues)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the validating constructor."""
        return RingPoly, (self.basis, np.ascontiguousarray(self.residues), self.domain)

    def __repr__(self) -> str:
        """Return a line such as <RingPoly N=8192, 4 limbs, NTT form, batch (30,)>."""
        batch = f", batch {self.shape}" if self.shape else ""
        return f"<RingPoly N={self.basis.n}, {len(self.basis)} limbs, {self.domain.value} form{batch}>"


def checked_words(basis: RNSBasis, residues: ArrayLike) -> Words:
    """Return a fresh array of these residues after checking type, shape and range; see RingPoly for errors."""
    array = np.asarray(residues)
    if array.dtype.kind not in "iu":
        raise ParameterError(f"residues of type {array.dtype}; needed integers in [0, q)")
    if array.shape[-2:] != (len(basis), basis.n) or array.ndim < 2:
        raise BasisMismatch(f"residues of shape {array.shape}; needed (..., {len(basis)}, {basis.n}) for {basis}")
    if array.size and array.dtype.kind == "i" and array.min() < 0:
        raise RangeError(f"residue {array.min()} is negative; needed words in [0, q)")
    words = kernels.empty(array.shape)
    words[...] = array
    bad = words >= basis.plan.q[:, None]
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise RangeError(
            f"residue {int(words[where])} at index {where} is not below its modulus {basis.moduli[where[-2]]}"
        )
    return words
