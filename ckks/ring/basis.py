"""RNSBasis: the moduli of a ring, their NTT roots, and nothing else. Immutable and cheap to slice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from operator import index
from typing import Any

from ckks.errors import BasisMismatch
from ckks.kernels import Plan, make_plan


class RNSBasis:
    """R_Q = Z_Q[X]/(X^N + 1) with Q = q_0 q_1 ... as residues modulo each prime.

    Args:
        n: ring degree N, a power of two (from 2 on the reference kernels, which small rings use by themselves).
        moduli: distinct primes q = 1 mod 2N, each below 2^61; below 2^50 the fast kernels apply.
        roots: a primitive 2N-th root of unity modulo each prime, for data of another library; the least one
            of each prime when not given.

    Two bases are equal when n, moduli and roots are. `basis[:k]` and `basis.take(...)` give sub-bases.
    """

    __slots__ = ("__dict__", "plan")
    plan: Plan

    def __init__(self, n: int, moduli: Sequence[int], roots: Sequence[int] | None = None) -> None:
        """Validate and precompute; see the class for arguments and make_plan for errors."""
        self.plan = make_plan(n, tuple(map(index, moduli)), None if roots is None else tuple(map(index, roots)))

    @classmethod
    def _of(cls, plan: Plan) -> RNSBasis:
        basis = object.__new__(cls)
        basis.plan = plan
        return basis

    @property
    def n(self) -> int:
        """Ring degree N."""
        return self.plan.n

    @property
    def moduli(self) -> tuple[int, ...]:
        """The primes, one per limb."""
        return self.plan.moduli

    @property
    def roots(self) -> tuple[int, ...]:
        """The primitive 2N-th root of unity behind the NTT of each limb."""
        return self.plan.roots

    @cached_property
    def modulus(self) -> int:
        """Q, the product of the moduli."""
        return prod(self.moduli)

    def __len__(self) -> int:
        """Return the number of limbs."""
        return len(self.plan)

    def __getitem__(self, limbs: slice) -> RNSBasis:
        """Return the basis of a slice of the limbs."""
        if not isinstance(limbs, slice):
            raise TypeError(f"a basis is indexed by a slice of its limbs, e.g. basis[0:1]; found {limbs!r}")
        return RNSBasis._of(self.plan[limbs])

    __iter__ = None

    def take(self, limbs: Sequence[int]) -> RNSBasis:
        """Return the basis of the given limbs, in the given order."""
        return RNSBasis(self.n, [self.moduli[i] for i in limbs], [self.roots[i] for i in limbs])

    def __add__(self, other: RNSBasis) -> RNSBasis:
        """Return the basis with the limbs of both, ours first."""
        if self.n != other.n:
            raise BasisMismatch(f"bases of ring degree {self.n} and {other.n} cannot be joined")
        return RNSBasis(self.n, self.moduli + other.moduli, self.roots + other.roots)

    def __eq__(self, other: object) -> bool:
        """Tell whether degree, moduli and roots agree."""
        return isinstance(other, RNSBasis) and (self.plan is other.plan or self.plan == other.plan)

    def __hash__(self) -> int:
        """Hash degree, moduli and roots."""
        return hash(self.plan)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the validated constructor call."""
        return RNSBasis, (self.n, self.moduli, self.roots)

    def __repr__(self) -> str:
        """Return a line such as <RNSBasis N=8192, 4 limbs, 200 bits>."""
        return f"<RNSBasis N={self.n}, {len(self)} limbs, {self.modulus.bit_length()} bits>"
