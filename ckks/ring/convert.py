"""From one set of moduli to another: base conversion, and division by a product of moduli.

The single place where words leave NTT form during evaluation. `divide_and_round` is mod down (drop the special
primes), rescale (drop the last level) and their merger, depending on which limbs it is told to drop.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, DomainError
from ckks.kernels import Words, make_conversion
from ckks.ring.basis import RNSBasis
from ckks.ring.poly import Domain, RingPoly


def convert_basis(poly: RingPoly, target: RNSBasis, *, centred: bool = True) -> RingPoly:
    """Return the coefficients of `poly`, as integers in (-D/2, D/2], reduced modulo another basis.

    Args:
        poly: coefficient form, over D = prod of its moduli.
        target: any basis of the same ring degree.
        centred: False takes the integers in [0, D).

    Exact outside a band of relative width 3 a 2^-51 (a source primes) around D/2, or below D when not centred;
    inside it the result may be off by exactly D ([HPS18, Sec. 2.2]; formula in `kernels.reference.convert`).
    """
    if poly.domain is not Domain.COEFFICIENT:
        raise DomainError("base conversion acts on coefficients; call .to_coefficient() first")
    if poly.basis.n != target.n:
        raise BasisMismatch(f"cannot convert from ring degree {poly.basis.n} to {target.n}")
    table = make_conversion(poly.basis.moduli, target.moduli, centred)
    return RingPoly.of(target, kernels.convert(table, poly.residues), Domain.COEFFICIENT)


def divide_and_round(poly: RingPoly, *, first: int = 0, last: int = 0) -> RingPoly:
    """Return round(a / D) over the remaining moduli, D = product of the `first` first and `last` last ones.

    out = (a - [a]_D) D^-1 with [a]_D the centred remainder, so that |out - a/D| <= 1/2 (up to the band of
    `convert_basis`) for the centred representative of a, coefficient by coefficient.

    Args:
        poly: NTT form, (..., limbs, N).
        first: how many limbs to drop at the start (special primes: mod down).
        last: how many limbs to drop at the end (the last level: rescale).
    """
    if poly.domain is not Domain.NTT:
        raise DomainError("divide_and_round keeps to NTT form; call .to_ntt() first")
    count = len(poly.basis)
    if first < 0 or last < 0 or first + last >= count:
        raise BasisMismatch(f"cannot drop {first} + {last} of {count} limbs; at least one has to remain")
    if first + last == 0:
        return poly
    kept = poly.basis[first : count - last]
    return RingPoly.of(kept, divide_words(poly.basis, poly.residues, first, last), Domain.NTT)


def divide_words(basis: RNSBasis, x: Words, first: int, last: int) -> Words:
    """`divide_and_round` on bare NTT words (..., limbs, N), arguments already checked."""
    count, n = len(basis), basis.n
    plan, end = basis.plan, len(basis) - last
    dropped = kernels.empty((*x.shape[:-2], first + last, n))
    if first:
        kernels.intt(plan[:first], x[..., :first, :], dropped[..., :first, :])
    if last:
        kernels.intt(plan[end:count], x[..., end:, :], dropped[..., first:, :])
    kept = plan[first:end]
    table = make_conversion(basis.moduli[:first] + basis.moduli[end:], kept.moduli)
    remainder = kernels.convert(table, dropped)
    kernels.ntt(kept, remainder, remainder)
    return kernels.sub_mul_scalar(kept, x[..., first:end, :], remainder, _inverses(table.source, kept.moduli))


@lru_cache(maxsize=4096)
def _inverses(dropped: tuple[int, ...], kept: tuple[int, ...]) -> Words:
    big_d = prod(dropped)
    return np.array([pow(big_d, -1, q) for q in kept], dtype=np.uint64)
