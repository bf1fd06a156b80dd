"""CKKS on one page, with big integers. INSECURE: sizes made to be printed, code made to be read.

The ring is R_Q = Z_Q[X]/(X^N + 1); a polynomial is the list of its N coefficients, lowest first.
A real library splits Q into word-sized primes; Python's integers need no splitting, so here every
modulus is a power of two: Q_l = Q_0 D^l at level l, D the scale. A rescale divides by exactly D,
so scales never drift, and nothing distracts from the idea. Sources: [CKKS17] for the scheme,
[GHS12] for key switching with a special modulus P. At N = 16 the secret is one of 3^16.
"""

from __future__ import annotations

import cmath
from random import SystemRandom
from typing import NamedTuple

Poly = list[int]
Pair = tuple[Poly, Poly]

SCALE = 2**40  # D: the number z travels as D z + noise
Q = [2**60 * SCALE**level for level in range(3)]  # Q_0 = 2^60: 20 bits above the scale for size
P = Q[-1]  # dividing by a P as large as Q makes the noise of key switching small
RNG = SystemRandom()  # the operating system's entropy


class Ciphertext(NamedTuple):
    """(b, a) with b + a s = scale m + noise mod Q_level."""

    b: Poly
    a: Poly
    level: int
    scale: int


# The ring. Coefficients are kept centred, so that "small" means what it says.
def reduce(x: Poly, q: int) -> Poly:
    """x mod q, every coefficient in [-q/2, q/2) for even q."""
    return [(c + q // 2) % q - q // 2 for c in x]


def plus(x: Poly, y: Poly, q: int) -> Poly:
    """x + y mod q."""
    return reduce([c + d for c, d in zip(x, y, strict=True)], q)


def times(x: Poly, y: Poly, q: int) -> Poly:
    """x y mod q: X^i X^j = X^(i+j), and X^N = -1."""
    n, z = len(x), [0] * len(x)
    for i, c in enumerate(x):
        for j, d in enumerate(y):
            z[(i + j) % n] += c * d if i + j < n else -c * d
    return reduce(z, q)


def divide(x: Poly, d: int, q: int) -> Poly:
    """round(x / d) mod q, with round(t) = floor(t + 1/2)."""
    return reduce([(2 * c + d) // (2 * d) for c in x], q)


def automorphism(x: Poly, g: int) -> Poly:
    """x(X^g), g odd: X^k becomes X^(g k), and X^(N+r) = -X^r."""
    n, z = len(x), [0] * len(x)
    for k, c in enumerate(x):
        z[g * k % n] = c if g * k % (2 * n) < n else -c
    return z


# Numbers in polynomials: N/2 complex slots are the values at zeta^(5^j). The other primitive 2N-th
# roots of unity are the conjugates of these, and give the conjugate values.
def root(n: int, exponent: int) -> complex:
    """zeta^exponent, zeta = exp(i pi / N)."""
    return cmath.exp(1j * cmath.pi * (exponent % (2 * n)) / n)


def encode(slots: list[complex], scale: int = SCALE) -> Poly:
    """m_k = round(scale (2/N) Re sum_j z_j zeta^(-k 5^j))."""
    n = 2 * len(slots)
    sums = [sum(z * root(n, -k * 5**j) for j, z in enumerate(slots)) for k in range(n)]
    return [round(scale * 2 / n * t.real) for t in sums]


def decode(m: Poly, scale: int = SCALE) -> list[complex]:
    """z_j = m(zeta^(5^j)) / scale."""
    n = len(m)
    return [sum(c * root(n, k * 5**j) for k, c in enumerate(m)) / scale for j in range(n // 2)]


# Keys. The one assumption: without s, what `rlwe` returns cannot be told from uniform.
def ternary(n: int) -> Poly:
    """Each coefficient -1, 0 or 1 with equal probability."""
    return [RNG.choice((-1, 0, 1)) for _ in range(n)]


def error(n: int) -> Poly:
    """Centred binomial: 21 coin tosses minus 21 others; |e| <= 21, standard deviation 3.24."""
    return [RNG.getrandbits(21).bit_count() - RNG.getrandbits(21).bit_count() for _ in range(n)]


def rlwe(message: Poly, s: Poly, q: int) -> Pair:
    """(-a s + e + message, a) mod q, a uniform: whoever knows s reads message + e."""
    a = [RNG.randrange(q) for _ in s]
    return plus(plus(message, error(len(s)), q), times([-c for c in a], s, q), q), reduce(a, q)


def public_key(s: Poly) -> Pair:
    """An encryption of zero mod Q."""
    return rlwe([0] * len(s), s, Q[-1])


def switching_key(old: Poly, s: Poly) -> Pair:
    """An encryption of P old under s, mod P Q. For products old = s^2, for rotations s(X^g)."""
    return rlwe([P * c for c in old], s, P * Q[-1])


def encrypt(m: Poly, public: Pair) -> Ciphertext:
    """(v b + e_0 + m, v a + e_1) mod Q, v ternary."""
    n, v = len(m), ternary(len(m))
    b, a = (plus(times(v, part, Q[-1]), error(n), Q[-1]) for part in public)
    return Ciphertext(plus(b, m, Q[-1]), a, len(Q) - 1, SCALE)


def decrypt(x: Ciphertext, s: Poly) -> list[complex]:
    """decode(b + a s mod Q_l), right while |scale m + noise| < Q_l/2. For the key holder [LM21]."""
    return decode(plus(x.b, times(x.a, s, Q[x.level]), Q[x.level]), x.scale)


# Computing. Q_l divides Q_(l+1), so dropping a level is only a reduction.
def add(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """(b + b', a + a') mod the smaller Q_l."""
    if x.scale != y.scale:
        raise ValueError(f"scales {x.scale} and {y.scale} differ; rescale a product before adding")
    level = min(x.level, y.level)
    return Ciphertext(plus(x.b, y.b, Q[level]), plus(x.a, y.a, Q[level]), level, x.scale)


def key_switch(d: Poly, key: Pair, level: int) -> Pair:
    """round(d key / P) mod Q_l: encrypts d old under s, with noise about d e / P."""
    b, a = (divide(times(d, part, P * Q[level]), P, Q[level]) for part in key)
    return b, a


def multiply(x: Ciphertext, y: Ciphertext, relin: Pair) -> Ciphertext:
    """(b + a s)(b' + a' s) = b b' + (a b' + b a') s + a a' s^2, the last term switched to s."""
    level = min(x.level, y.level)
    q = Q[level]
    b, a = key_switch(times(x.a, y.a, q), relin, level)
    a = plus(a, plus(times(x.a, y.b, q), times(x.b, y.a, q), q), q)
    return Ciphertext(plus(b, times(x.b, y.b, q), q), a, level, x.scale * y.scale)


def rescale(x: Ciphertext) -> Ciphertext:
    """round((b, a) / D) mod Q_(l-1): scale D^2 becomes D, and one level is spent."""
    if x.level == 0:
        raise ValueError("level 0: no rescale is left; make the list Q longer")
    b, a = (divide(part, SCALE, Q[x.level - 1]) for part in (x.b, x.a))
    return Ciphertext(b, a, x.level - 1, x.scale // SCALE)


def galois(x: Ciphertext, g: int, key: Pair) -> Ciphertext:
    """(b, a)(X^g) decrypts under s(X^g) to m(X^g); key = switching_key(s(X^g), s)."""
    b, a = key_switch(automorphism(x.a, g), key, x.level)
    return Ciphertext(plus(b, automorphism(x.b, g), Q[x.level]), a, x.level, x.scale)


def rotate(x: Ciphertext, k: int, key: Pair) -> Ciphertext:
    """Slots k to the left: g = 5^k, since m(X^g) at zeta^(5^j) is m at zeta^(5^(j+k))."""
    return galois(x, pow(5, k, 2 * len(x.a)), key)


def conjugate(x: Ciphertext, key: Pair) -> Ciphertext:
    """Complex conjugate of every slot: g = -1, since m(1/zeta) is the conjugate of m(zeta)."""
    return galois(x, -1, key)


if __name__ == "__main__":
    n = 16
    x, y = ([complex(j, 1) / 4 for j in range(8)], [complex(1, -j) / 4 for j in range(8)])
    s = ternary(n)  # stays with its owner; nothing between here and decrypt needs it
    public, relin = public_key(s), switching_key(times(s, s, P), s)
    left_by_one = switching_key(automorphism(s, 5), s)

    ct_x, ct_y = encrypt(encode(x), public), encrypt(encode(y), public)
    result = add(rescale(multiply(ct_x, ct_y, relin)), rotate(ct_x, 1, left_by_one))

    print("x*y + rot(x, 1), encrypted with toy parameters: NOT SECURE\n")
    print("slot                      decrypted          expected    error")
    for j, z in enumerate(decrypt(result, s)):
        expected = x[j] * y[j] + x[(j + 1) % 8]
        print(f"{j:4}  {z:29.12f}  {expected:16.4f}  {abs(z - expected):.1e}")
