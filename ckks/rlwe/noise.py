"""How large errors are: what to expect, and what they will not exceed.

The size of an error e is taken in the canonical embedding, its values e(zeta) at the primitive complex 2N-th roots of
unity: there products are products, and sums are sums. A polynomial with independent coefficients of deviation s has
values of root mean square s sqrt(N), nearly complex Gaussian, so that all N/2 of them stay below t s sqrt(N)
with t = sqrt(ln(N/2) + 40 ln 2), except with probability 2^-40.

`bound` adds linearly and multiplies through, whatever is correlated with what; it holds as soon as each single source
stays within its own t, and is what flooding must be sized by. `std` assumes independence and is for humans.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import hypot, log, prod, sqrt
from typing import Any

from ckks.errors import SerializationError
from ckks.ring import ERROR_STD
from ckks.rlwe.params import RLWEParams

TAIL_BITS = 40
"""Each source exceeds its bound with probability at most 2^-40."""

TERNARY_STD = sqrt(2 / 3)
ROUNDING_STD = sqrt(1 / 12)


@dataclass(frozen=True, slots=True)
class Noise:
    """Size of an error over the roots of unity: expected root mean square, and bound."""

    std: float = 0.0
    bound: float = 0.0

    def __add__(self, other: Noise) -> Noise:
        """Size of a sum: deviations in quadrature, bounds linearly."""
        return Noise(hypot(self.std, other.std), self.bound + other.bound)

    def scaled(self, factor: float) -> Noise:
        """Size after multiplication by a constant."""
        return Noise(self.std * abs(factor), self.bound * abs(factor))

    def times(self, other: Noise) -> Noise:
        """Size of a product of two values of these sizes."""
        if type(other) is not Noise:  # one that keeps more than two numbers
            return other.times(self)
        return Noise(self.std * other.std, self.bound * other.bound)

    def weighed(self, message: Noise) -> Noise:
        """Size after a product with a message, taken as large as is expected of it; forecasts take its bound."""
        return self.times(message)

    def parted(self) -> Noise:
        """Size of the same error where it has nothing more to do with what it came from; the same but in forecasts."""
        return self

    def resized(self, std: float, bound: float) -> Noise:
        """Size of an error that was made of this one, by whatever steps; forecasts take it to be all of this one."""
        return Noise(std, bound)

    def moved(self, g: int, m: int) -> Noise:
        """Size after the automorphism X -> X^g modulo X^(m/2) + 1: the same, at other roots of unity."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as two numbers that are looked at on the way back."""
        return _unpickled, (self.std, self.bound)


def _unpickled(std: float, bound: float) -> Noise:
    if not all(isinstance(size, int | float) and size >= 0 for size in (std, bound)):
        raise SerializationError(f"pickled noise {std!r}, {bound!r}; needed two numbers from 0 up")
    return Noise(std, bound)


EXACT = Noise()
"""No error at all."""


def tail(n: int) -> float:
    """Return t: all N/2 values of a random polynomial stay below t times their rms, up to 2^-TAIL_BITS."""
    return sqrt(log(max(n // 2, 2)) + TAIL_BITS * log(2))


def random_poly(n: int, std: float) -> Noise:
    """Size of a polynomial with independent coefficients of deviation `std`."""
    rms = std * sqrt(n)
    return Noise(rms, tail(n) * rms)


def secret_size(params: RLWEParams) -> Noise:
    """Size of the secret: uniform ternary coefficients."""
    return random_poly(params.ring_degree, TERNARY_STD)


@lru_cache(maxsize=1024)
def rounding(params: RLWEParams, parts: int = 2) -> Noise:
    """Error of rounding each part of a ciphertext to integers: r_0 + r_1 s + r_2 s^2 + ..."""
    s, r = secret_size(params), random_poly(params.ring_degree, ROUNDING_STD)
    total, factor = r, Noise(1.0, 1.0)
    for power in range(1, parts):
        # The values of s are complex Gaussian: E|s^k|^2 = k! (E|s|^2)^k.
        factor = Noise(factor.std * s.std * sqrt(power), factor.bound * s.bound)
        total = total + r.times(factor)
    return total


def fresh_secret(params: RLWEParams) -> Noise:
    """Error of a secret-key encryption: e."""
    return random_poly(params.ring_degree, ERROR_STD)


def fresh_public(params: RLWEParams) -> Noise:
    """Error of a public-key encryption: (e u + e_0 + e_1 s) / P plus the rounding of both parts."""
    n = params.ring_degree
    e, u = random_poly(n, ERROR_STD), random_poly(n, TERNARY_STD)
    under_qp = e.times(u) + e + e.times(secret_size(params))
    if not params.special_moduli:
        return under_qp
    return under_qp.scaled(1 / params.special_modulus) + rounding(params)


@lru_cache(maxsize=1024)
def key_switch(params: RLWEParams, level: int) -> Noise:
    """Error that the gadget product leaves after division by P: sum_d digit_d e_d / P, without the rounding."""
    n, total = params.ring_degree, Noise()
    # A centred digit is uniform in +-D/2; uncentred ones have a mean of D/2 besides, hence rms D/sqrt(3).
    spread = sqrt(1 / 12) if params.centred_digits else sqrt(1 / 3)
    for limbs in params.digits(level):
        size = prod(params.moduli[limbs]) / params.special_modulus
        digit = random_poly(n, spread * size)
        if not params.centred_digits:
            # The mean D/2 (1 + X + ... + X^(N-1)) reaches D/2 * 2N/pi at the root nearest 1.
            digit = Noise(digit.std, digit.bound + size * n / 3)
        total = total + digit.times(random_poly(n, ERROR_STD))
    return total
