"""The contract that every kernel source fulfils, and the constant tables it works on.

Four sources stand behind it: `reference` (Python integers, to be read), `numba`, and the portable, AVX2 and
AVX-512-IFMA variants of `native`. They return **the same words**, always: every result is fully reduced to [0, q),
so there is exactly one right answer.

Shapes. The functions of a source take three-dimensional uint64 arrays (B, L, N): batch, limb, coefficient. The last
axis is contiguous, the others may have any stride, negative and (where the array is only read: a broadcast batch)
zero included. `ckks.kernels` folds leading axes into B, allocates results and splits work between threads; a source
does arithmetic and nothing else.

Beyond this contract a source may have `decompose`, `tensor`, `divide`, `switch`, `switch_digits`, `switch_sum`,
`switch_product`, `lift_terms`, `lift_switch`, `combine` and `small_products`, with the arguments and the words of the
functions in `composed`: those take arrays of any leading shape, already checked, and allocate and split for themselves.
Whatever a source lacks is composed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ckks.arith import inverse, is_prime, is_primitive_root
from ckks.arith.primes import check_ring_degree
from ckks.errors import ParameterError
from ckks.kernels.roots import least_root

Words = NDArray[np.uint64]
"""Residues: uint64, last axis contiguous."""

FAST_LIMIT = 2**50
"""Primes below this run on floating-point FMA and 52-bit integer multiply-add kernels."""

WORD_LIMIT = 2**61
"""No prime may reach this: lazy sums up to 8 q have to fit in a word."""


@dataclass(frozen=True)
class Plan:
    """The moduli of a residue array with the NTT root of each: what a kernel needs to know.

    Args:
        n: ring degree N, a power of two.
        moduli: one odd modulus per limb, each below 2^61.
        roots: a primitive 2N-th root of unity for each, or zeros where no NTT will be asked for.

    Made by `make_plan`, which validates and caches; sources keep their tables in a cache of their own, keyed by
    (n, modulus, root), so that plans which share primes share tables.
    """

    n: int
    moduli: tuple[int, ...]
    roots: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of limbs."""
        return len(self.moduli)

    def __getitem__(self, limbs: slice) -> Plan:
        """Return the plan of a slice of the limbs."""
        return _plan(self.n, self.moduli[limbs], self.roots[limbs])

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(L, N), the last two axes of every residue array."""
        return len(self.moduli), self.n

    @cached_property
    def has_roots(self) -> bool:
        """Tell whether every limb has an NTT root."""
        return all(self.roots)

    @cached_property
    def q(self) -> Words:
        """The moduli as a read-only uint64 array, shape (L,)."""
        array = np.array(self.moduli, dtype=np.uint64)
        array.flags.writeable = False
        return array


@lru_cache(maxsize=8192)
def _plan(n: int, moduli: tuple[int, ...], roots: tuple[int, ...]) -> Plan:
    return Plan(n, moduli, roots)


@lru_cache(maxsize=1024)
def make_plan(n: int, moduli: tuple[int, ...], roots: tuple[int, ...] | None = None) -> Plan:
    """Validate and return the plan for these moduli; the least primitive 2n-th roots unless given.

    Raises:
        ParameterError: n is no power of two, a modulus is not a prime below 2^61 with q = 1 mod 2n, two moduli
            are equal, or a root is not a primitive 2n-th root of unity.
    """
    check_ring_degree(n)
    if not moduli:
        raise ParameterError("no moduli given; a basis needs at least one prime")
    if len(set(moduli)) != len(moduli):
        raise ParameterError(f"moduli {moduli} are not distinct; the limbs of a basis must be coprime")
    for q in moduli:
        if not 2 < q < WORD_LIMIT or not is_prime(q):
            raise ParameterError(f"modulus {q} is not an odd prime below 2^61")
        if (q - 1) % (2 * n):
            raise ParameterError(f"modulus {q} is not 1 mod {2 * n}; find NTT primes with ring.ntt_primes(n={n}, ...)")
    if roots is None:
        roots = tuple(least_root(n, q) for q in moduli)
    if len(roots) != len(moduli):
        raise ParameterError(f"{len(roots)} roots for {len(moduli)} moduli; needed one for each")
    for psi, q in zip(roots, moduli, strict=True):
        if not is_primitive_root(psi, n, q):
            raise ParameterError(f"{psi} is not a primitive {2 * n}-th root of unity modulo {q}")
    return _plan(n, moduli, roots)


@dataclass(frozen=True)
class Conversion:
    """Constants of a base conversion from D = prod d_i to primes p_j ([HPS18], [HK19]); see `reference.convert`.

    `centred` picks the representative of x in (-D/2, D/2] (nearest), otherwise in [0, D).
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    centred: bool = True

    @cached_property
    def punctured_inverse(self) -> tuple[int, ...]:
        """[(D/d_i)^-1] mod d_i, one per source prime."""
        big_d = prod(self.source)
        return tuple(inverse(big_d // d, d) for d in self.source)

    @cached_property
    def punctured(self) -> tuple[tuple[int, ...], ...]:
        """[D/d_i] mod p_j, as rows j of columns i."""
        big_d = prod(self.source)
        return tuple(tuple(big_d // d % p for d in self.source) for p in self.target)

    @cached_property
    def product(self) -> tuple[int, ...]:
        """[D] mod p_j, one per target prime."""
        big_d = prod(self.source)
        return tuple(big_d % p for p in self.target)

    @cached_property
    def offset(self) -> int:
        """What the sum of fractions starts from, in units of 2^-51, before its integer part is taken.

        Centred: one half, to round. Otherwise the most that the fractions may have lost together, so that integers
        at the lower end of [0, D) keep their value; a single fraction y/d < 1 needs nothing.
        """
        if self.centred:
            return 1 << 50
        return 3 * len(self.source) if len(self.source) > 1 else 0

    @cached_property
    def reciprocal(self) -> tuple[int, ...]:
        """r_i = floor(2^(51+b_i) / d_i), where b_i is the bit length of d_i: a 52-bit fixed-point 1/d_i."""
        return tuple((1 << (51 + d.bit_length())) // d for d in self.source)


@lru_cache(maxsize=8192)
def make_conversion(source: tuple[int, ...], target: tuple[int, ...], centred: bool = True) -> Conversion:
    """Return the (cached) conversion constants; at most 1024 source primes, so that overflow counts fit."""
    if not 1 <= len(source) <= 1024:
        raise ParameterError(f"base conversion from {len(source)} primes; needed 1 to 1024")
    return Conversion(source, target, centred)


class Kernels(Protocol):
    """One kernel source. Arrays are (B, L, N) uint64 unless said otherwise, residues in [0, q_limb) in and out.

    `out` may be the same array as an input of the same shape, never a partly overlapping one.
    """

    name: str
    smallest_n: int

    def describe(self) -> dict[str, Any]:
        """Return facts for the doctor: variant in use, variants compiled, CPU features."""
        ...

    def ntt(self, plan: Plan, x: Words, out: Words) -> None:
        """Forward negacyclic NTT ([LN16, Alg. 1]): coefficients in, bit-reversed values out."""
        ...

    def intt(self, plan: Plan, x: Words, out: Words) -> None:
        """Inverse of `ntt` ([LN16, Alg. 2]), the factor 1/N included."""
        ...

    def add(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """out = x + y."""
        ...

    def sub(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """out = x - y."""
        ...

    def neg(self, plan: Plan, x: Words, out: Words) -> None:
        """out = -x."""
        ...

    def mul(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """out = x y, word by word."""
        ...

    def mul_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """out = w x with one scalar per limb, w of shape (L,) in [0, q)."""
        ...

    def add_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """out = x + w with one scalar per limb, w of shape (L,) in [0, q)."""
        ...

    def mul_scalar_add(self, plan: Plan, x: Words, w: Words, y: Words, out: Words) -> None:
        """out = w x + y with one scalar per limb, w of shape (L,) in [0, q)."""
        ...

    def sub_mul_scalar(self, plan: Plan, x: Words, y: Words, w: Words, out: Words) -> None:
        """out = w (x - y) with one scalar per limb, w of shape (L,) in [0, q)."""
        ...

    def dot(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """out = sum over k of x[k] y[k]; x and y are (K, B, L, N), 1 <= K <= 1024."""
        ...

    def weighted_sum(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """out = sum over k of w[k] x[k]; x is (K, B, L, N), w is (K, L) in [0, q), 1 <= K <= 2^16."""
        ...

    def convert(self, table: Conversion, x: Words, out: Words) -> None:
        """Base conversion of coefficients: x is (B, a, N) modulo source, out (B, b, N) modulo target."""
        ...

    def gather(self, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """out[..., i] = x[..., index[i]], index of shape (N,): an automorphism in NTT form."""
        ...

    def gather_signed(self, plan: Plan, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """Automorphism in coefficient form: out[..., i] = x[..., j] for index[i] = j, and -x[..., j] for j + N."""
        ...

    def signed(self, plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None, out: Words) -> None:
        """Residues of the signed integers high 2^52 + low; low and high are (B, N) int64 in (-2^62, 2^62)."""
        ...

    def mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """out = x y + z."""
        ...

    def neg_mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """out = -x y + z."""
        ...

    # Sampling, rounding, packing. Streams are one-dimensional and contiguous; the results are, too.

    def take_below(self, q: int, x: Words, out: Words) -> int:
        """Write the candidates below q to out, in order; return how many, at most len(out). Public data only.

        A candidate is a word of x reduced to its bits(q) lowest bits, 3 <= q < 2^61. What of out lies behind the
        returned count is undefined.
        """
        ...

    def take_ternary(self, x: NDArray[np.uint8], out: NDArray[np.int8]) -> int:
        """Write c - 1 for each candidate c but 3 to out, in order; return how many, at most len(out).

        Every byte of x holds four candidates of two bits, lowest first. Which are passed over may show in the time it
        takes, what the others are may not. What of out lies behind the returned count is undefined.
        """
        ...

    def binomial(self, x: Words, out: NDArray[np.int8]) -> None:
        """out = popcount(bits 0..20) - popcount(bits 21..41) of each word of x, in [-21, 21]."""
        ...

    def small(self, plan: Plan, x: NDArray[np.int8], out: Words) -> None:
        """Residues of the integers x in [-128, 127]; x is (B, N)."""
        ...

    def rounded(self, plan: Plan, x: NDArray[np.float64], scale: float, out: Words) -> None:
        """Residues of the integers nearest to fl(scale x), halves to even; x is (B, N), |fl(scale x)| < 2^62."""
        ...

    def pack(self, plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
        """Write rows of N words as bits(q) bits each, lowest first, padded to whole bytes.

        out is (B, sum of `row_bytes` over the limbs), its last axis contiguous: the rows of one polynomial in turn.
        """
        ...

    def unpack(self, plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
        """Undo `pack`; tell whether every word that was read lies in [0, q) and all padding bits are zero."""
        ...


def row_bytes(q: int, n: int) -> int:
    """Return the bytes of a packed row: n words of bits(q) bits each, padded to whole bytes."""
    return (n * q.bit_length() + 7) // 8
