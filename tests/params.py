"""Toy parameter sets. Every name starts with insecure_: they are for tests only."""

from __future__ import annotations

from functools import cache

from ckks import CKKSParams


@cache
def insecure_small(n: int = 64, *, depth: int = 4, digits: int = 2, value_range: float = 1.0) -> CKKSParams:
    """One prime a level, 2^40, digits of two primes."""
    return CKKSParams.generate(
        ring_degree=n,
        depth=depth,
        scale_bits=40,
        base_bits=50,
        num_special=digits,
        special_bits=50,
        security=None,
        value_range=value_range,
    )


@cache
def insecure_pairs(n: int = 64, *, depth: int = 3) -> CKKSParams:
    """Two primes a level, 2^70."""
    return CKKSParams.generate(
        ring_degree=n, depth=depth, scale_bits=70, base_bits=80, num_special=2, special_bits=50, security=None
    )


@cache
def insecure_single_digit(n: int = 64, *, depth: int = 3, centred: bool = True) -> CKKSParams:
    """One prime per digit and a single special prime, as SEAL has it."""
    return CKKSParams.generate(
        ring_degree=n,
        depth=depth,
        scale_bits=40,
        base_bits=50,
        num_special=1,
        special_bits=50,
        security=None,
        centred_digits=centred,
    )


@cache
def insecure_wide_primes(n: int = 64) -> CKKSParams:
    """Primes of the general class: 60 bits at the base and the special prime, 55 a level."""
    from decimal import Decimal

    from ckks.ring import ntt_primes

    base, special = ntt_primes(bits=60, count=2, n=n)
    levels = ntt_primes(bits=55, count=3, n=n)
    return CKKSParams.insecure(
        ring_degree=n,
        levels=((base,), *((q,) for q in levels)),
        special_moduli=(special,),
        scale=Decimal(2**55),
    )
