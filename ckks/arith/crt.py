"""The Chinese remainder theorem with big integers: the oracle for everything done limb by limb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from ckks.arith.modular import centred, inverse
from ckks.errors import ParameterError


def split(value: int, moduli: Iterable[int]) -> list[int]:
    """Return the residues of `value`, each in [0, q)."""
    return [value % q for q in moduli]


def compose(residues: Sequence[int], moduli: Sequence[int], *, centre: bool = True) -> int:
    """Return the integer with these residues, in (-Q/2, Q/2] when `centre`, else in [0, Q).

    x = sum_i [x_i (Q/q_i)^-1]_{q_i} (Q/q_i) mod Q.

    >>> compose(split(-5, (17, 97)), (17, 97))
    -5
    """
    if len(residues) != len(moduli) or not moduli:
        raise ParameterError(f"{len(residues)} residues for {len(moduli)} moduli; needed as many of each, at least one")
    big_q = prod(moduli)
    total = 0
    for x, q in zip(residues, moduli, strict=True):
        cofactor = big_q // q
        total += x * inverse(cofactor, q) % q * cofactor
    return centred(total, big_q) if centre else total % big_q
