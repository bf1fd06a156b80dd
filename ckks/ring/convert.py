"""From one set of moduli to another: base conversion, and division by a product of moduli.

The single place where words leave NTT form during evaluation. `divide_and_round` is mod down (drop the special
primes), rescale (drop the last level) and their merger, depending on which limbs it is told to drop.
"""

from __future__ import annotations

from ckks import kernels
from ckks.errors import BasisMismatch, DomainError
from ckks.kernels import make_conversion, make_quotient
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
    quotient = make_quotient(poly.basis.plan, first, last)
    return RingPoly.of(poly.basis[first : count - last], kernels.divide(quotient, poly.residues), Domain.NTT)
