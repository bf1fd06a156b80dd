"""Schoolbook oracles: every quantity by its definition, sharing no code with the library.

Plain Python integers in plain lists, so that anything can be compared with anything. A polynomial
is the list of its N coefficients, lowest first; a polynomial in residue form is a list of rows, one
per modulus (limbs, N). Where a function takes rows it also takes a numpy array of that shape; what
it returns is always made of lists.

Everything here costs O(N^2) or worse and prefers being obvious to being quick: N <= 256 is
comfortable.
"""

from __future__ import annotations

import cmath
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from math import floor, prod
from typing import Any

Poly = list[int]
Rows = list[list[int]]


# ---- comparing -----------------------------------------------------------------------------------


def to_lists(x: Any) -> Any:
    """Return an array, tuple or list as (nested) lists of plain Python numbers."""
    if hasattr(x, "tolist"):
        return x.tolist()
    return [to_lists(y) for y in x] if isinstance(x, (list, tuple)) else x


def first_difference(a: Any, b: Any) -> None:
    """Raise AssertionError naming the first index where a and b differ, and both values.

    a and b are arrays or nested lists of numbers; different shapes are a difference too.
    """
    _compare(to_lists(a), to_lists(b), "")


def _compare(a: Any, b: Any, where: str) -> None:
    if isinstance(a, list) != isinstance(b, list):
        raise AssertionError(f"shapes differ at index {where or '[]'}: {a!r} against {b!r}")
    if not isinstance(a, list):
        if a != b:
            raise AssertionError(f"first difference at index {where or '[]'}: {a!r} against {b!r}")
        return
    if len(a) != len(b):
        raise AssertionError(f"lengths differ at index {where or '[]'}: {len(a)} against {len(b)}")
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        _compare(x, y, f"{where}[{i}]")


# ---- numbers modulo one prime --------------------------------------------------------------------


def is_prime(n: int) -> bool:
    """Trial division: about 2^(b/2) steps for a number of b bits."""
    if n < 4:
        return n in (2, 3)
    if n % 2 == 0:
        return False
    d = 3
    while d * d <= n:
        if n % d == 0:
            return False
        d += 2
    return True


def is_primitive_root(psi: int, n: int, q: int) -> bool:
    """Tell whether psi has order exactly 2n modulo q, by looking at all its powers."""
    power = 1
    for k in range(1, 2 * n + 1):
        power = power * psi % q
        if power == 1:
            return k == 2 * n
    return False


def least_root(n: int, q: int) -> int:
    """Return the least primitive 2n-th root of unity mod q, trying 1, 2, 3, ...

    About q/n tries: for small q only.
    """
    return next(psi for psi in range(1, q) if is_primitive_root(psi, n, q))


def some_root(n: int, q: int) -> int:
    """Return a primitive 2n-th root of unity mod q, a prime 1 mod 2n of any size: g^((q-1)/2n)."""
    roots = (pow(g, (q - 1) // (2 * n), q) for g in range(2, q))
    return next(psi for psi in roots if is_primitive_root(psi, n, q))


def centred(x: int, q: int) -> int:
    """Return the representative of x mod q in (-q/2, q/2]."""
    x %= q
    return x - q if 2 * x > q else x


# ---- the ring Z_q[X]/(X^N + 1) -------------------------------------------------------------------


def negacyclic_multiply(a: Sequence[int], b: Sequence[int], q: int | None = None) -> Poly:
    """Return a b mod X^N + 1, by the schoolbook.

    Modulo q, in [0, q), when q is given; else over the integers.
    """
    n = len(a)
    product = [0] * (2 * n - 1)
    for i, x in enumerate(to_lists(a)):
        for j, y in enumerate(to_lists(b)):
            product[i + j] += x * y
    folded = [product[k] - (product[k + n] if k + n < 2 * n - 1 else 0) for k in range(n)]
    return folded if q is None else [c % q for c in folded]


def evaluate(a: Sequence[int], x: int, q: int) -> int:
    """Return a(x) mod q, term by term."""
    return sum(c * pow(x, k, q) for k, c in enumerate(to_lists(a))) % q


def bit_reverse(i: int, bits: int) -> int:
    """Return brv(i): the lowest `bits` bits of i, read backwards."""
    return int(format(i, f"0{bits}b")[::-1], 2) if bits else 0


def ntt_exponents(n: int) -> list[int]:
    """Return 2 brv(i) + 1 for i = 0..n-1: the odd power of psi at each place of the NTT."""
    return [2 * bit_reverse(i, n.bit_length() - 1) + 1 for i in range(n)]


def ntt(a: Sequence[int], q: int, psi: int) -> Poly:
    """Return the negacyclic NTT by definition: out[i] = a(psi^(2 brv(i) + 1)) mod q, in [0, q)."""
    return [evaluate(a, pow(psi, e, q), q) for e in ntt_exponents(len(a))]


def intt(values: Sequence[int], q: int, psi: int) -> Poly:
    """Return the polynomial with these values.

    a_k = N^-1 sum_i values[i] psi^(-(2 brv(i) + 1) k) mod q, in [0, q).
    """
    n, values = len(values), to_lists(values)
    n_inverse = pow(n, -1, q)
    exponents = ntt_exponents(n)
    return [
        n_inverse * sum(v * pow(psi, -e * k, q) for v, e in zip(values, exponents, strict=True)) % q for k in range(n)
    ]


def automorphism(a: Sequence[int], g: int, q: int | None = None) -> Poly:
    """Return a(X^g) mod X^N + 1, g odd, negative allowed.

    a_k X^k becomes a_k X^(gk); the exponent is brought below N by X^N = -1. Modulo q, in [0, q),
    when q is given; else over the integers.
    """
    n = len(a)
    out = [0] * n
    for k, c in enumerate(to_lists(a)):
        exponent = g * k % (2 * n)
        out[exponent % n] += c if exponent < n else -c
    return out if q is None else [c % q for c in out]


def automorphism_gather(n: int, g: int) -> list[int]:
    """Return pi with NTT(a(X^g))[i] = NTT(a)[pi[i]]: where psi^(g (2 brv(i) + 1)) stands."""
    exponents = ntt_exponents(n)
    return [exponents.index(g * e % (2 * n)) for e in exponents]


# ---- residues and integers -----------------------------------------------------------------------


def split(x: int, moduli: Sequence[int]) -> list[int]:
    """Return the residues of x, each in [0, q)."""
    return [x % q for q in moduli]


def compose(residues: Sequence[int], moduli: Sequence[int], *, centre: bool = True) -> int:
    """Return the integer with these residues: in (-Q/2, Q/2] when `centre`, else in [0, Q).

    Built one modulus at a time: x + t M runs through the solutions for the moduli seen so far (M
    their product), and one t in [0, q) fits the next.
    """
    x, big_m = 0, 1
    for r, q in zip(to_lists(residues), moduli, strict=True):
        x += (r - x) * pow(big_m, -1, q) % q * big_m
        big_m *= q
    return centred(x, big_m) if centre else x


def split_poly(a: Sequence[int], moduli: Sequence[int]) -> Rows:
    """Return the residue rows (limbs, N) of an integer polynomial."""
    return [[int(c) % q for c in a] for q in moduli]


def compose_poly(rows: Sequence[Sequence[int]], moduli: Sequence[int], *, centre: bool = True) -> Poly:
    """Return the integer polynomial with these residue rows (limbs, N); range as in `compose`."""
    return [compose(column, moduli, centre=centre) for column in zip(*to_lists(rows), strict=True)]


def garner(residues: Sequence[int], moduli: Sequence[int]) -> list[int]:
    """Return the mixed-radix digits v of x in [0, Q).

    x = v_0 + v_1 q_0 + v_2 q_0 q_1 + ... with 0 <= v_i < q_i, and
    v_i = [(...((x_i - v_0) q_0^-1 - v_1) q_1^-1 ... - v_(i-1)) q_(i-1)^-1] mod q_i ([Gar59]).
    """
    digits: list[int] = []
    for r, q in zip(to_lists(residues), moduli, strict=True):
        for v, earlier in zip(digits, moduli, strict=False):
            r = (r - v) * pow(earlier, -1, q) % q
        digits.append(r % q)
    return digits


def mixed_radix(digits: Sequence[int], moduli: Sequence[int]) -> int:
    """Return v_0 + v_1 q_0 + v_2 q_0 q_1 + ...."""
    return sum(v * prod(moduli[:i]) for i, v in enumerate(digits))


# ---- between bases -------------------------------------------------------------------------------


def convert_base(
    rows: Sequence[Sequence[int]],
    source: Sequence[int],
    target: Sequence[int],
    *,
    centre: bool = True,
) -> Rows:
    """Return the rows modulo `target` of the integers given by their rows modulo `source`, exactly.

    The integer meant is the one in (-D/2, D/2] when `centre`, else the one in [0, D), D the product
    of `source`.
    """
    return split_poly(compose_poly(rows, source, centre=centre), target)


def mod_down(rows: Sequence[Sequence[int]], moduli: Sequence[int], drop: Sequence[int]) -> Rows:
    """Return round(x / D) modulo the moduli that stay, in their order.

    D is the product of `drop`, a part of `moduli`. Rational rounding to the nearest integer; D must
    be odd, so that no tie exists. Which representative of x is taken does not matter: adding Q D to
    x adds Q to the quotient, Q the product of the moduli that stay.
    """
    big_d = prod(drop)
    if big_d % 2 == 0 or not set(drop) <= set(moduli):
        raise ValueError(f"cannot drop {drop} from {moduli}")
    stay = [q for q in moduli if q not in drop]
    quotients = [floor(Fraction(x, big_d) + Fraction(1, 2)) for x in compose_poly(rows, moduli)]
    return split_poly(quotients, stay)


def rescale(rows: Sequence[Sequence[int]], moduli: Sequence[int], count: int = 1) -> Rows:
    """Return round(x / D) modulo the rest, D the product of the last `count` moduli."""
    return mod_down(rows, moduli, moduli[-count:])


# ---- key switching -------------------------------------------------------------------------------


def gadget_decompose(
    rows: Sequence[Sequence[int]], groups: Sequence[Sequence[int]], *, centre: bool = True
) -> list[Poly]:
    """Return the digits of x as integer polynomials (digits, N): digit d is x mod D_d.

    D_d is the product of group d. The rows stand in the order of the groups: modulo groups[0][0],
    groups[0][1], ..., groups[1][0], .... Digits lie in (-D_d/2, D_d/2] when `centre`, else in
    [0, D_d).
    """
    x = compose_poly(rows, [q for group in groups for q in group])
    products = [prod(group) for group in groups]
    return [[centred(c, d) if centre else c % d for c in x] for d in products]


def gadget_factors(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return g_d = (Q/D_d) [(Q/D_d)^-1 mod D_d] in [0, Q), so that sum_d digit_d g_d = x mod Q.

    g_d is 1 modulo the moduli of group d and 0 modulo all others.
    """
    big_q = prod(q for group in groups for q in group)
    products = [prod(group) for group in groups]
    return [big_q // d * pow(big_q // d, -1, d) for d in products]


# ---- the canonical embedding ---------------------------------------------------------------------


def slot_exponents(n: int) -> list[int]:
    """Return 5^j mod 2N, j = 0..N/2-1: slot j is the value at zeta^(5^j), zeta = exp(i pi / N)."""
    return [pow(5, j, 2 * n) for j in range(n // 2)]


def embed(coefficients: Iterable[float]) -> list[complex]:
    """Return z_j = m(zeta^(5^j)), j = 0..N/2-1, in doubles.

    The error of each slot is below (N + 12) 2^-52 sum_k |m_k|.
    """
    m = list(to_lists(coefficients))
    n = len(m)
    zeta = [cmath.exp(1j * cmath.pi * k / n) for k in range(2 * n)]
    return [sum(c * zeta[e * k % (2 * n)] for k, c in enumerate(m)) for e in slot_exponents(n)]


def embed_inverse(slots: Iterable[complex]) -> list[float]:
    """Return the real m_k = (2/N) sum_j Re(z_j zeta^(-k 5^j)), k = 0..N-1, unrounded, in doubles.

    The error of each coefficient is below (N + 12) 2^-52 max_j |z_j|.
    """
    z = list(to_lists(slots))
    n = 2 * len(z)
    zeta = [cmath.exp(1j * cmath.pi * k / n) for k in range(2 * n)]
    return [
        2 / n * sum((z_j * zeta[-e * k % (2 * n)]).real for z_j, e in zip(z, slot_exponents(n), strict=True))
        for k in range(n)
    ]


Pair = tuple[Decimal, Decimal]


def unit_roots(n: int, digits: int = 60) -> list[Pair]:
    """Return (cos, sin) of pi k/N for k = 0..2N-1, N >= 2 a power of two, to `digits` decimals.

    Half angles from pi/2 down, cos(t/2) = sqrt((1 + cos t)/2) and sin(t/2) = sin t / (2 cos(t/2)),
    then powers. Ten guard digits cover the rounding of 2N products.
    """
    with localcontext(Context(prec=digits + 10)):
        cosine, sine, parts = Decimal(0), Decimal(1), 2  # the angle pi / parts
        while parts < n:
            cosine = ((1 + cosine) / 2).sqrt()
            sine, parts = sine / (2 * cosine), 2 * parts
        powers = [(Decimal(1), Decimal(0))]
        for _ in range(2 * n - 1):
            c, s = powers[-1]
            powers.append((c * cosine - s * sine, c * sine + s * cosine))
    return powers


def embed_exactly(coefficients: Iterable[int | float | Decimal], digits: int = 60) -> list[Pair]:
    """Return the slots of `embed` as (real, imaginary) Decimals.

    Their errors are below 10^-digits sum_k |m_k|.
    """
    m = [Decimal(c) for c in to_lists(coefficients)]
    n = len(m)
    zeta = unit_roots(n, digits)
    slots = []
    with localcontext(Context(prec=digits + 10)):
        for e in slot_exponents(n):
            terms = [(c, zeta[e * k % (2 * n)]) for k, c in enumerate(m)]
            slots.append((sum(c * w[0] for c, w in terms), sum(c * w[1] for c, w in terms)))
    return slots


def embed_inverse_exactly(slots: Iterable[complex | Pair], digits: int = 60) -> list[Decimal]:
    """Return the coefficients of `embed_inverse` as Decimals, to `digits` digits of max_j |z_j|.

    A slot is a number, or a (real, imaginary) pair of Decimals.
    """
    z = [_pair(z_j) for z_j in slots]
    n = 2 * len(z)
    zeta = unit_roots(n, digits)
    coefficients = []
    with localcontext(Context(prec=digits + 10)):
        for k in range(n):
            total = Decimal(0)
            for (re, im), e in zip(z, slot_exponents(n), strict=True):
                c, s = zeta[e * k % (2 * n)]
                total += re * c + im * s  # Re((re + i im)(c - i s))
            coefficients.append(total * 2 / n)
    return coefficients


def encode(slots: Iterable[complex | Pair], scale: int | float | Decimal, digits: int = 60) -> Poly:
    """Return the integer polynomial round(scale m_k), k = 0..N-1, to nearest, ties to even."""
    real = embed_inverse_exactly(slots, digits)
    with localcontext(Context(prec=digits + 10)):
        return [int((Decimal(scale) * c).to_integral_value(ROUND_HALF_EVEN)) for c in real]


def decode(a: Iterable[int], scale: int | float | Decimal, digits: int = 60) -> list[complex]:
    """Return the slots of an integer polynomial over `scale`, rounded to double only at the end."""
    slots = embed_exactly(a, digits)
    with localcontext(Context(prec=digits + 10)):
        return [complex(float(re / Decimal(scale)), float(im / Decimal(scale))) for re, im in slots]


def _pair(z: complex | Pair) -> Pair:
    if isinstance(z, (tuple, list)):
        return Decimal(z[0]), Decimal(z[1])
    z = complex(z)
    return Decimal(z.real), Decimal(z.imag)
