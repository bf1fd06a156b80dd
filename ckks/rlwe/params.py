"""RLWEParams: ring degree, modulus chain, special primes and how key switching groups them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import accumulate, pairwise
from math import log2, prod
from operator import index
from typing import Any, Self

from ckks.arith.primes import check_ring_degree
from ckks.errors import LevelError, ParameterError
from ckks.ring import RNSBasis
from ckks.rlwe.pickling import rebuild
from ckks.rlwe.security import check_secure


@dataclass(frozen=True, kw_only=True, eq=False)
class RLWEParams:
    """Validated parameters of an RLWE scheme with hybrid key switching ([HK19]).

    Args:
        ring_degree: N, a power of two.
        levels: the chain Q from the bottom: levels[0] is never dropped, each higher entry is the tuple of primes
            that one rescale drops together.
        special_moduli: the primes of P, used inside key switching only; () for schemes without it.
        digit_sizes: how many consecutive primes of Q form each key-switching digit; by default as many
            as there are special primes, the last digit taking what is left.
        centred_digits: lift digits to (-D/2, D/2] (less noise, no hot slot); False lifts to [0, D) as SEAL does.
        security: 128, 192 or 256, checked on the true QP; None, which `insecure` passes, switches that off and
            marks every object.
        roots: primitive 2N-th roots for (special_moduli, then Q), for other libraries' data.

    The joint basis lists **special primes first**: (p_1..p_k, q_0..q_L). Dropping a level then shortens an array at
    its end, so a key used at a lower level, and the expansion of its seed, are prefixes.

    Raises:
        InsecureParameters: QP exceeds the table of `rlwe.security`.
        ParameterError: anything else that cannot work.
    """

    ring_degree: int
    levels: tuple[tuple[int, ...], ...]
    special_moduli: tuple[int, ...] = ()
    digit_sizes: tuple[int, ...] | None = None
    centred_digits: bool = True
    security: int | None = 128
    roots: tuple[int, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Validate everything before any of it is used."""
        set_ = object.__setattr__
        check_ring_degree(self.ring_degree)
        try:
            set_(self, "levels", tuple(tuple(map(index, group)) for group in self.levels))
            set_(self, "special_moduli", tuple(map(index, self.special_moduli)))
        except TypeError:
            raise ParameterError(
                f"levels {self.levels!r} with special primes {self.special_moduli!r}; needed a tuple of primes for "
                "each level, e.g. ((q0,), (q1,), (q2,)), and a tuple of special primes"
            ) from None
        if not self.levels or not all(self.levels):
            raise ParameterError(f"levels {self.levels}; needed at least one, each with at least one prime")
        if self.security is not None:
            check_secure(self.ring_degree, prod(self.moduli) * prod(self.special_moduli), self.security)
        set_(self, "roots", self.basis_qp.roots)  # the basis validates primes, distinctness and roots
        if self.digit_sizes is None:
            alpha, count = max(1, len(self.special_moduli)), len(self.moduli)
            set_(self, "digit_sizes", tuple(min(alpha, count - i) for i in range(0, count, alpha)))
        sizes = tuple(self._digits)
        set_(self, "digit_sizes", sizes)
        if sum(sizes) != len(self.moduli) or min(sizes) < 1:
            raise ParameterError(f"digit sizes {sizes} do not cover the {len(self.moduli)} primes of Q exactly")

    @classmethod
    def insecure(cls, **kwargs: Any) -> Self:
        """Return parameters of any size, **for teaching and tests only**; every object made from them says so."""
        return cls(**{**kwargs, "security": None})

    def __eq__(self, other: object) -> bool:
        """Tell whether every field agrees; asked at each operation, where both are nearly always one object."""
        if self is other:
            return True
        return self._values == other._values if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """Hash all fields, once."""
        return self._hash

    @cached_property
    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, f.name) for f in fields(self))

    @cached_property
    def _hash(self) -> int:
        return hash(self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the validating constructor."""
        return rebuild, (type(self), {f.name: getattr(self, f.name) for f in fields(self)})

    def __copy__(self) -> Self:
        """Return the object itself: nothing in it changes."""
        return self

    @property
    def _digits(self) -> Sequence[int]:
        assert self.digit_sizes is not None
        return self.digit_sizes

    @property
    def is_insecure(self) -> bool:
        """Tell whether the security check was switched off."""
        return self.security is None

    @property
    def mark(self) -> str:
        """What goes into the repr of every object made from these parameters: 'INSECURE, ' or nothing."""
        return "INSECURE, " if self.is_insecure else ""

    @cached_property
    def moduli(self) -> tuple[int, ...]:
        """The primes of Q from the bottom up, without grouping."""
        return tuple(q for group in self.levels for q in group)

    @property
    def top_level(self) -> int:
        """The level of a fresh ciphertext: how many rescales it has."""
        return len(self.levels) - 1

    @property
    def num_special(self) -> int:
        """k, the number of special primes."""
        return len(self.special_moduli)

    @cached_property
    def _limb_counts(self) -> tuple[int, ...]:
        return tuple(accumulate(map(len, self.levels)))

    def limbs(self, level: int) -> int:
        """Return how many primes of Q a level has."""
        return self._limb_counts[self.check_level(level)]

    def check_level(self, level: int) -> int:
        """Return `level` if it exists here; raise LevelError otherwise."""
        if not 0 <= level < len(self.levels):
            raise LevelError(f"level {level}; these parameters have levels 0 to {self.top_level}")
        return level

    @cached_property
    def basis_qp(self) -> RNSBasis:
        """The joint basis (p_1..p_k, q_0..q_L)."""
        return RNSBasis(self.ring_degree, self.special_moduli + self.moduli, self.roots)

    def extended_basis(self, level: int) -> RNSBasis:
        """Return (p_1..p_k, q_0..q_l): the prefix of `basis_qp` for a level."""
        return self._extended_bases[self.check_level(level)]

    @cached_property
    def _extended_bases(self) -> tuple[RNSBasis, ...]:
        return tuple(self.basis_qp[: self.num_special + limbs] for limbs in self._limb_counts)

    def basis(self, level: int) -> RNSBasis:
        """Return (q_0..q_l)."""
        return self._bases[self.check_level(level)]

    @cached_property
    def _bases(self) -> tuple[RNSBasis, ...]:
        k = self.num_special
        return tuple(self.basis_qp[k : k + limbs] for limbs in self._limb_counts)

    @cached_property
    def special_modulus(self) -> int:
        """P, the product of the special primes (1 without any)."""
        return prod(self.special_moduli)

    def level_modulus(self, level: int) -> int:
        """Return the product of the primes that dropping `level` removes."""
        return self._level_moduli[self.check_level(level)]

    @cached_property
    def _level_moduli(self) -> tuple[int, ...]:
        return tuple(map(prod, self.levels))

    def digits(self, level: int) -> tuple[slice, ...]:
        """Return the key-switching digits at a level, as slices of the limbs of Q; the last may be cut short."""
        return self._digit_slices[self.check_level(level)]

    @cached_property
    def _digit_slices(self) -> tuple[tuple[slice, ...], ...]:
        ends = list(accumulate(self._digits))
        bounds = list(pairwise([0, *ends]))
        return tuple(tuple(slice(a, min(b, limbs)) for a, b in bounds if a < limbs) for limbs in self._limb_counts)

    @cached_property
    def log2_qp(self) -> float:
        """log2(Q P), the quantity that security is about."""
        return log2(prod(self.moduli) * self.special_modulus)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of everything that identifies this set: objects of different digests never meet."""
        text = "|".join(
            (
                "ckks rlwe 1",
                str(self.ring_degree),
                ";".join(",".join(map(str, group)) for group in self.levels),
                ",".join(map(str, self.special_moduli)),
                ",".join(map(str, self._digits)),
                ",".join(map(str, self.basis_qp.roots)),
                "centred" if self.centred_digits else "uncentred",
                "insecure" if self.security is None else str(self.security),
                "ternary",
                "cbd21",
            )
        )
        return hashlib.sha256(text.encode("ascii")).digest()

    def __str__(self) -> str:
        """Summarise in one line."""
        mark = "INSECURE" if self.security is None else f"{self.security}-bit"
        return (
            f"N=2^{self.ring_degree.bit_length() - 1}, {self.top_level} levels, {len(self.moduli)}+{self.num_special} "
            f"primes, log2(QP)={self.log2_qp:.1f}, {mark}"
        )
