"""Wide bell-shaped noise of any deviation, made of fair bits only: what flooding adds.

A coefficient is

    z = h (B - n/2) + U + U' - (h - 1),        h = 2^k,

with B the number of ones among n fair bits (n even, 262 to 1042 unless the deviation is below 8) and U, U' uniform in
[0, h). B alone is a binomial bell on a grid of spacing h; the two uniform integers fill the gaps, so that the
probability of z runs **along straight lines** from one grid point to the next. It is symmetric, has every integer
within about sqrt(n) deviations, and its kurtosis is 3 - 2/n, nearly (a Gaussian: 3).

There is no table, no rejection and no floating point: the same operations for every draw, whatever comes out.

What flooding needs of a noise is that a shift hides in it. Let D(d) be the divergence KL(z || z + d) of z from itself
shifted by an integer d. For a Gaussian of deviation s it is d^2 / (2 s^2). Claim: with s = `std` as asked for,

    D(d) <= d^2 / (2 s^2)        for |d| <= s / 2^16.75,

up to a statistical distance of 2^-100 for each coefficient. Independent coefficients add up, hence for a polynomial
shifted by d: D <= ||d||^2 / (2 s^2).

Proof. Let b_j be the probability that B = j. Beyond 12 deviations, which z exceeds with a probability of at most
2 e^-72 < 2^-102 (a sum of independent symmetric bounded terms), let the b_j go on as a geometric sequence: that is the
distance of 2^-100, and what follows is about the law p that results. Line j leads from p = b_{j-1} / h to b_j / h in h
steps of (b_j - b_{j-1}) / h^2 each. As n >= 262, no b_j is more than 8 times its neighbour. (The b_j are log-concave,
but p is not: beyond one deviation it has a convex kink at every grid point.)

By symmetry, let d > 0. Write g(x) = p(x) - p(x-1) and r(x) = p(x-d) / p(x) - 1, and let rho be the largest
|p(x-t) / p(x) - 1| over all x and all 0 <= t <= d. All sums are over all x.

1. The mean of r is 0, and r - ln(1 + r) <= r^2/2 (1 + 2/3 rho / (1 - rho)) where |r| <= rho < 1. So
   D(d) = E[r - ln(1 + r)] <= 1/2 (1 + 2/3 rho / (1 - rho)) E[r^2].
2. p(x) - p(x-d) is a sum of d steps g(x-i), 0 <= i < d, so its square is at most d times that of their squares
   (Cauchy-Schwarz). And 1/p(x) <= (1 + rho) / max(p(x-i), p(x-i-1)). Hence
   E[r^2] = sum (p(x) - p(x-d))^2 / p(x) <= (1 + rho) d^2 sum g(x)^2 / max(p(x), p(x-1)).
3. (a - b) ln(a/b) >= (a - b)^2 / max(a, b), so the last sum is at most F = sum g(x) ln(p(x) / p(x-1)). Along a line
   the steps are equal and the logarithms telescope:

       F = (1/h^2) sum_j (b_j - b_{j-1}) ln(b_j / b_{j-1}) = (4/h^2) E[y artanh y],

   with y = 2 J/(n+1) - 1 and J the number of ones among n + 1 fair bits. From E y^2 = 1/(n+1) and the moments after it,
   E[y artanh y] = (1 + 1/(n+1) + 7/3/(n+1)^2 + ...)/(n+1) <= 1/(n-1), so that F <= 4 / (h^2 (n-1)). The geometric
   tails change it by less than 2^-80 of itself.
4. rho is small. Of two places less than h apart let the lower one be on line j, say of the rising side: p is at least
   b_{j-1} / h there, and the higher one is on line j or j + 1. The steps of these are at most 56 b_{j-1} / h^2, as
   (b_{j+1} - b_j) / b_{j-1} <= 8 (8 - 1), so rho <= 56 d/h. As s < 16 h, d <= s / 2^16.75 means d/h < 2^-12.75.

Together, D(d) <= 1/2 d^2 (1 + rho) (1 + 2/3 rho / (1 - rho)) 4 / (h^2 (n-1)), and with rho < 0.0082 the two factors are
less than 1.0137 < 65/64.

So n is chosen as the least even number with (n-1)/4 h^2 >= 65/64 std^2. The deviation of z is
sqrt(n/4 h^2 + (h^2-1)/6): never below the one asked for, and at most 1.5 % above it (from 8 on; small ones have few n
to choose from).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import BasisMismatch, ParameterError
from ckks.kernels import Words
from ckks.ring.basis import RNSBasis
from ckks.ring.csprng import Keystream, Rng
from ckks.ring.poly import Domain, RingPoly

Integers = NDArray[np.int64]

LARGEST_STD = 2.0**104
"""What two words of 52 bits and a sign have room for, with all deviations there are."""

_LOW = 52
"""Bits of the low part of a coefficient, as `kernels.signed` has it."""

_MARGIN = Fraction(65, 64)


@dataclass(frozen=True, slots=True)
class Bell:
    """How many fair bits a coefficient counts, and log2 of the spacing; see this module's docstring.

    Args:
        bits: n, even.
        log2_step: k.
    """

    bits: int
    log2_step: int

    @classmethod
    def at_least(cls, std: float) -> Bell:
        """Return the narrowest one that hides a shift as well as a Gaussian of deviation `std` does.

        Raises:
            ParameterError: unless 0 < std <= 2^104.
        """
        if not 0 < std <= LARGEST_STD:
            raise ParameterError(f"deviation {std!r}; needed a number above 0 and up to 2^104")
        step = max(0, math.frexp(std)[1] - 4)  # 8 <= std / h < 16
        least = math.ceil(4 * _MARGIN * Fraction(std) ** 2 / 4**step) + 1
        return cls(least + least % 2, step)

    @property
    def std(self) -> float:
        """The deviation of a coefficient."""
        return math.sqrt(self.bits / 4 * 4.0**self.log2_step + (4.0**self.log2_step - 1) / 6)


def wide_gaussian(
    basis: RNSBasis,
    rng: Rng,
    std: float,
    shape: tuple[int, ...] = (),
    *,
    domain: Domain = Domain.NTT,
    out: Words | None = None,
) -> RingPoly:
    """Return elements with independent, nearly Gaussian integer coefficients of deviation `std` or slightly more.

    Word i of row r of batch item b is word i of stream (secret seed, "gaussian", b, r) and goes to coefficient i. The
    first ceil(n / 64) rows are counted for ones, of the last only the n mod 64 lowest bits, if that is not 0. Then come
    U and U', the k lowest bits of a row each; where k > 52, the rows are U mod 2^52, U' mod 2^52, then what is above.

    Args:
        basis: the ring; the coefficients are taken modulo its primes, whatever their size.
        rng: where the seed comes from.
        std: deviation, above 0 and up to 2^104; at most 1.5 % more is added (from 8 on).
        shape: batch shape.
        domain: of the result.
        out: where the words go, (*shape, limbs, N), if given.

    Raises:
        ParameterError: a deviation out of range.
    """
    bell = Bell.at_least(std)
    wanted = (*shape, len(basis), basis.n)
    if out is not None and out.shape != wanted:
        raise BasisMismatch(f"out has shape {out.shape}; needed {wanted}")
    with kernels.wiping():
        low, high = _draw(bell, rng, (*shape, basis.n))
        words = kernels.signed(basis.plan, low, high, out)
    if domain is Domain.NTT:
        kernels.ntt(basis.plan, words, words)
    return RingPoly.of(basis, words if out is None else words[...], domain)


def _draw(bell: Bell, rng: Rng, shape: tuple[int, ...]) -> tuple[Integers, Integers | None]:
    """Return z as (low, high), high 2^52 + low, of this shape (high: None for 0); to be called inside `wiping()`."""
    n, k = shape[-1], bell.log2_step
    k_low, k_high = min(k, _LOW), max(0, k - _LOW)
    low, high = _integers(shape), _integers(shape) if k_high else None
    grid = low if high is None else high
    counted = [64] * (bell.bits // 64) + [bell.bits % 64] * (bell.bits % 64 > 0)
    uniform = [(low, k_low)] * (2 * (k_low > 0)) + [(grid, k_high)] * (2 * (k_high > 0))

    stream, row = Keystream(rng.secret_seed(), "gaussian"), kernels.empty((n,))
    ones = kernels.empty((-(-n // 8),)).view(np.uint8)[:n]

    def read(b: int, r: int, bits: int) -> Words:
        stream.restart(batch=b, limb=r)
        stream.read_words(row)
        return np.bitwise_and(row, np.uint64(2**bits - 1), out=row) if bits < 64 else row

    low.fill(0)
    grid.fill(-(bell.bits // 2))
    for b, item in enumerate(np.ndindex(shape[:-1])):
        z = grid[item]
        for r, bits in enumerate(counted):
            z += np.bitwise_count(read(b, r, bits), out=ones)
        z <<= k_high or k_low
        for r, (part, bits) in enumerate(uniform, len(counted)):
            part[item] += read(b, r, bits).view(np.int64)
    low -= 2**k_low - 1
    if high is not None:
        high -= 2**k_high - 1
    return low, high


def _integers(shape: tuple[int, ...]) -> Integers:
    return kernels.empty(shape).view(np.int64)
