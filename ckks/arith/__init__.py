"""Numbers modulo one prime, in plain Python integers: no arrays, no machine words.

`modular` inverses and precomputed quotients, `primes` the search for NTT primes, `roots` primitive roots and
bit reversal, `crt` residues to integers and back.
"""

from __future__ import annotations

from ckks.arith.crt import compose, split
from ckks.arith.modular import barrett_quotient, centred, inverse, shoup_quotient
from ckks.arith.primes import is_prime, nearest_primes, ntt_primes, primes_below
from ckks.arith.roots import bit_reverse, bit_reversed_powers, is_primitive_root, least_root

__all__ = [
    "barrett_quotient",
    "bit_reverse",
    "bit_reversed_powers",
    "centred",
    "compose",
    "inverse",
    "is_prime",
    "is_primitive_root",
    "least_root",
    "nearest_primes",
    "ntt_primes",
    "primes_below",
    "shoup_quotient",
    "split",
]
