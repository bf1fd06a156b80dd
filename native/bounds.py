"""The inequalities that comments in native/src claim, checked where every case can be tried.

Each function takes one claim to a small word or a short mantissa, where the same proof must hold, and tries all
operands (or many, where there are too many). The kernels themselves are held to the same bounds by a build with
CKKS_CHECK, on the operands of the tests. Run `python native/bounds.py`; tests/kernels/test_bounds.py does.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def grid(*axes: Ints | range) -> list[Ints]:
    """Return the coordinates of all combinations, flattened."""
    return [axis.ravel() for axis in np.meshgrid(*(np.asarray(a) for a in axes), indexing="ij")]


# ---- words: a word has `width` bits in place of 64 ---------------------------------------------------------------


def shoup_products(width: int = 8) -> None:
    """portable/modarith.h, avx512/modular.h: w y - floor(w' y / 2^width) q lies in [0, 2q) for every word y."""
    for q in range(3, 1 << (width - 1), 2):
        w, y = grid(range(q), range(1 << width))
        h = ((w << width) // q * y) >> width
        r = w * y - h * q
        assert r.min() >= 0 and r.max() < 2 * q, f"Shoup at q = {q}"
        # The remainder modulo 2^width from h (2^width - q), as the multiply-add computes it.
        mask = (1 << width) - 1
        again = ((w * y & mask) + (h * ((1 << width) - q) & mask)) & mask
        assert np.array_equal(again, r), f"remainder at q = {q}"


def barrett_words(width: int = 8) -> None:
    """reduce_word_lazy: x - floor(x mu / 2^width) q lies in [0, 2q) for every word x, mu = floor(2^width / q)."""
    x = np.arange(1 << width)
    for q in range(3, 1 << (width - 3), 2):
        r = x - ((x * ((1 << width) // q)) >> width) * q
        assert r.min() >= 0 and r.max() < 2 * q, f"Barrett at q = {q}"


def barrett_products(width: int = 10) -> None:
    """mul_mod: one high product reduces x y to [0, 2q), q below 2^(width-3), and no factor exceeds a word."""
    for q in range(3, 1 << (width - 3), 2):
        bits = q.bit_length()
        mu = (1 << (bits + width - 2)) // q
        x, y = grid(range(q), range(q))
        z = x * y
        t = z >> (bits - 2)
        assert mu < 1 << (width - 1) and t.max() < 1 << (width - 1)
        r = z - ((t * mu) >> width) * q
        assert r.min() >= 0 and r.max() < 2 * q, f"Barrett product at q = {q}"


def folded_sums(width: int = 8) -> None:
    """reduce_sum: a two-word x folds to below 4q, which fits a word; 32 products and a residue fit two words."""
    for q in range(3, 1 << (width - 3), 2):
        word = (1 << width) % q
        high, low = grid(range(1 << width), range(1 << width))
        folded = word * high - (((word << width) // q * high) >> width) * q
        r = folded + low - ((low * ((1 << width) // q)) >> width) * q
        assert r.min() >= 0 and r.max() < 4 * q < 1 << width, f"fold at q = {q}"
        assert np.array_equal(r % q, ((high << width) + low) % q)
    q = 2**61 - 1
    assert 32 * (q - 1) ** 2 + q < 2**128
    assert 32 * (q - 1) ** 2 + 1024 * q < 2**128  # convert.c starts its sum with v (q - [D])


def lazy_butterflies() -> None:
    """portable/ntt.c, avx512/ntt.c: [0, 4q) forward and [0, 2q) inverse are kept, given products in [0, 2q)."""
    for q in range(3, 16, 2):
        x, product = grid(range(4 * q), range(2 * q))
        u = np.where(x < 2 * q, x, x - 2 * q)
        for out in (u + product, u - product + 2 * q):
            assert out.min() >= 0 and out.max() < 4 * q
        x, y = grid(range(2 * q), range(2 * q))
        total, difference = x + y, x - y + 2 * q
        assert np.where(total < 2 * q, total, total - 2 * q).max() < 2 * q
        assert difference.min() > 0 and difference.max() < 4 * q
    assert 4 * (2**61 - 1) < 2**63 and 4 * (2**50 - 1) < 2**52


def overflow_fractions(width: int = 8) -> None:
    """convert: y/d in units of 2^-(width-1) is rounded down by less than 3 units, by less than 2 when bits <= width."""
    for d in range(3, 1 << (width + 2), 2):
        bits = d.bit_length()
        y = np.arange(d)
        s = y << (width - bits) if bits <= width else y >> (bits - width)
        r = (1 << (width - 1 + bits)) // d
        assert s.max() < 1 << width and r < 1 << width
        error = (y << (width - 1)) - ((s * r) >> width) * d  # in units of 1/d
        assert error.min() >= 0 and error.max() < (2 if bits <= width else 3) * d, f"fraction at d = {d}"


def overflow_counts() -> None:
    """convert: the sum of 1024 fractions below 2^51 and the rounding term stay below 2^62, and v <= a."""
    for a in (1, 2, 1024):
        largest = a * (2**51 - 1) + 2**50
        assert largest < 2**62 and largest >> 51 <= a


# ---- doubles: a mantissa has p bits in place of 53 ---------------------------------------------------------------


def rounded(x: Floats, p: int) -> Floats:
    """Round to p bits, ties to even: what a machine with that mantissa would return for the exact result x."""
    mantissa, exponent = np.frexp(x)
    result: Floats = np.ldexp(np.rint(np.ldexp(mantissa, p)), exponent - p)
    return result


class Field:
    """fp64.h with p bits: C = 1.5 2^(p-1), q < 2^(p-3)."""

    def __init__(self, q: int, p: int) -> None:
        self.q, self.p = q, p
        self.inverse = rounded(np.array(1.0 / q), p)
        self.c = 1.5 * 2.0 ** (p - 1)

    def exact(self, x: Floats) -> Floats:
        """Assert that a result needs no rounding."""
        assert np.array_equal(rounded(x, self.p), x)
        return x

    def nearest(self, x: Floats) -> Floats:
        """Return fl(x + C) - C, for |x| <= 2^(p-2)."""
        return self.exact(rounded(x + self.c, self.p) - self.c)

    def reduce(self, v: Floats) -> Floats:
        """reduce()"""
        return self.exact(v - self.nearest(v * self.inverse) * self.q)

    def mul(self, a: Floats, b: Floats, *, factor: bool = False) -> Floats:
        """mul(), or multiply() with a factor: the quotient from b q_inverse, which does not wait for the product."""
        h = rounded(a * b, self.p)
        low = self.exact(a * b - h)
        k = self.nearest(a * rounded(b * self.inverse, self.p) if factor else h * self.inverse)
        return self.exact(self.exact(h - k * self.q) + low)


def floating_products(p: int = 9) -> None:
    """mul(): |r| <= q/2 + |a b| 2^-(p-1) (1 + u), exact, for |a b| < 2^(p-2) q, |a| <= 2^(p-1)."""
    for q in range(3, 1 << (p - 3), 2):
        field = Field(q, p)
        top = 1 << (p - 1)
        for a_range, b_range in [
            (range(-top, top + 1), range(-(q // 2), q // 2 + 1)),
            (range(-q + 1, q), range(-q + 1, q)),
            (range(-top // 2, top // 2 + 1), range(-q + 1, q)),
        ]:
            a, b = (x.astype(np.float64) for x in grid(a_range, b_range))
            for factor in (False, True):
                r = field.mul(a, b, factor=factor)
                assert np.array_equal(np.mod(r - a * b, q), np.zeros_like(r)), f"mul at q = {q}"
                bound = q / 2 + np.abs(a * b) * 2.0 ** (1 - p) * (1 + 2.0**-p)
                assert np.all(np.abs(r) <= bound), f"bound of mul at q = {q}"
                assert np.all(np.abs(r) < q), f"mul at q = {q} leaves (-q, q)"


def floating_reductions(p: int = 10) -> None:
    """reduce(): |r| <= q/2 + 1, exact, for |v| <= 2^p with |v/q| <= 2^(p-2)."""
    for q in range(3, 1 << (p - 3), 2):
        top = min(1 << p, q << (p - 2))
        v = np.arange(-top, top + 1).astype(np.float64)
        r = Field(q, p).reduce(v)
        assert np.array_equal(np.mod(r - v, q), np.zeros_like(r)), f"reduce at q = {q}"
        assert np.all(np.abs(r) <= q / 2 + 1), f"bound of reduce at q = {q}"


def floating_sums(p: int = 10) -> None:
    """sum.h: six products of residues below 2^(p-3) are summed exactly, and the fold is within q/2 + 1."""
    rng = np.random.default_rng(0)
    for q in range(5, 1 << (p - 3), 2):
        field, samples = Field(q, p), 2000
        high, low, exact = np.full(samples, 2.0 ** (2 * p - 3)), np.zeros(samples), np.zeros(samples)
        for term in range(6):
            # The sources of a base conversion may be larger than q: every factor up to the class limit.
            a, b = (rng.integers(0, 1 << (p - 3), samples).astype(np.float64) for _ in range(2))
            a[: samples // 2] = (1 << (p - 3)) - 1
            b[: samples // 4] = (1 << (p - 3)) - 1 - term % 2
            b = np.minimum(b, q - 1)
            following = rounded(high + a * b, p)
            error = field.exact(a * b + field.exact(high - following))
            assert np.abs(error).max() <= 2.0 ** (p - 3)
            high, low, exact = following, field.exact(low + error), exact + a * b
        assert high.max() <= 2.0 ** (2 * p - 2) and np.abs(low).max() <= 6 * 2.0 ** (p - 3)
        factor = (1 << (p - 2)) % q
        factor -= q if factor > q // 2 else 0
        part = field.mul(high - 2.0 ** (2 * p - 3), np.full(samples, factor * 2.0 ** (2 - p)))
        assert np.abs(part).max() <= q + 1
        before = rng.integers(-(q // 2) - 1, q // 2 + 2, samples)
        total = field.reduce(field.exact(field.exact(part + low) + before))
        assert np.array_equal(np.mod(total - exact - before, q), np.zeros(samples)), f"sum at q = {q}"
        assert np.abs(total).max() <= q / 2 + 1


def floating_fractions(p: int = 10) -> None:
    """avx2/convert.c: the rounded fraction, less one where the rest is negative, is the integer formula's floor."""
    width = p - 1
    for d in range(3, 1 << (p - 3), 2):
        bits = d.bit_length()
        r = (1 << (width - 1 + bits)) // d
        y = np.arange(d)
        wanted = ((y << (width - bits)) * r) >> width
        z = (y * r).astype(np.float64) * 2.0**-bits
        magic = 2.0 ** (p - 1)
        t = rounded(z + magic, p) - magic
        rest = z - t
        assert np.array_equal(rounded(rest, p), rest)
        assert np.array_equal(t - (rest < 0), wanted), f"fraction at d = {d}"


def rounded_reals(p: int = 10) -> None:
    """rounded: in two steps, h = v 2^-s rounded and v - h 2^s rounded, is v rounded to even, |v| < 2^(p+s-2)."""
    s = (p - 1) // 2  # 26 for p = 53
    for exponent in range(-p - 2, s - 1):
        v = np.ldexp(np.arange(-(1 << p) + 1, 1 << p).astype(np.float64), exponent)
        c = 1.5 * 2.0 ** (p - 1)
        assert np.abs(v).max() * 2.0**-s <= 2.0 ** (p - 2)
        h = rounded(np.ldexp(v, -s) + c, p) - c
        rest = v - h * 2.0**s
        assert np.array_equal(rounded(rest, p), rest) and np.abs(rest).max() <= 2.0 ** (s - 1)
        low = rounded(rest + c, p) - c
        assert np.array_equal(h * 2.0**s + low, np.rint(v)), f"rounding at 2^{exponent}"


def counted_bits(half: int = 6) -> None:
    """binomial: popcount(low) - popcount(high) is the popcount of both with the high half flipped, less its width."""
    for word in range(1 << 2 * half):
        low, high = word & ((1 << half) - 1), word >> half
        flipped = word ^ ((1 << half) - 1) << half
        assert low.bit_count() - high.bit_count() == flipped.bit_count() - half


def planned_reductions() -> None:
    """avx2/twiddles.c, plan_reductions: in exact arithmetic every factor stays at or below 2^52, for all q and n."""
    limit = Fraction(2**52)
    sizes = [Fraction(2**bits - 1) for bits in (*range(5, 50),)] + [Fraction(2**50 - 63)]
    sizes += [Fraction(int(2**50 * part)) for part in (0.51, 0.6, 0.7, 0.8, 0.9)]
    for q in sizes:
        for log_n in range(5, 18):
            for factor in (*_forward_factors(q, log_n), *_inverse_factors(q, log_n)):
                assert factor <= limit, f"factor of {float(factor / limit)} 2^52 at q = {q}, n = 2^{log_n}"


UNIT = Fraction(1, 2**53)
SMALLEST = 2 * 32 + 1
"""No prime of a transform on doubles is smaller: n >= 32."""


def _sizes() -> list[int]:
    """Return sizes of q, from the smallest to the largest, on both sides of 2^49."""
    return [SMALLEST, *(2**bits + e for bits in range(7, 50) for e in (-1, 0, 1)), 2**50 - 1]


def _mul(a: Fraction | int, b: Fraction | int, q: int) -> Fraction:
    """mul(): what its result is at most; the factors have to be within its range."""
    assert a * b <= 2**51 * q - 1, f"factors of a product modulo {q}"
    return Fraction(q, 2) + a * b * Fraction(1, 2**52) * (1 + UNIT)


def _reduced(v: Fraction | int, q: int) -> Fraction:
    """reduce(): what its result is at most; its operand has to be within its range."""
    assert v <= 2**53 and v <= 2**51 * q, f"operand of a reduction modulo {q}"
    return Fraction(q, 2) + 1


def lifted_sums() -> None:
    """avx2/transform.h, lift.c: sums that are reduced at every tenth term stay below 7 q (11 q when lazy) and 2^53."""
    for q in _sizes():
        half = Fraction(q, 2)  # of a centred weight: less than that
        words = _mul(q - 1, q - 1, q)
        assert words < Fraction(3, 4) * q + 1
        begins = (Fraction(0), _mul(q - 1, half, q), _mul(words, half, q), _mul(2 * words, half, q))
        assert max(begins) < Fraction(11, 16) * q + 2
        for lazy in (False, True)[: 1 + (q <= 2**49)]:
            r = Fraction(2**51) if lazy else _reduced(0, q)
            term, room = _mul(q - 1, r, q), (11 if lazy else 7) * q
            assert term < (q + 1 if lazy else Fraction(5, 8) * q + 1)
            for begin in begins:
                total = begin
                for added in range(40):
                    if added % 10 == 9:
                        total = _reduced(total, q)
                    total += term
                    assert total < room
            # TO_RESULT: a sum less a lifted value, times the weight, is what store_words takes.
            assert _mul(_reduced(room + r, q), half, q) < q
            assert _reduced(room, q) < q


def permuted_sums() -> None:
    """avx2/lift.c, add_sums: a total that is reduced at every eighth term stays below 6 q; with r, below 2^53."""
    for q in _sizes():
        r = _reduced(11 * q if q <= 2**49 else 7 * q, q)
        term = max(r, _mul(r, q - 1, q))
        assert term < Fraction(5, 8) * q + 1
        total = term
        for added in range(1, 40):
            total = (_reduced(total, q) if added % 8 == 7 else total) + term
            assert total < 6 * q
        _reduced(6 * q + (2**51 if q <= 2**49 else r), q)


def few_combined() -> None:
    """avx2/convert.c, combine_few: up to six products less v [D] stay below 7 p + 6 < 2^53, so one reduction does."""
    for p in (5, 17, *_sizes()):
        half = Fraction(p - 1, 2)
        assert _reduced(2**50 - 1 + half, p) < p  # a single prime: y itself, and v <= 1
        for a in range(2, 7):
            product = _mul(2**50 - 1, half, p)
            assert product < Fraction(5, 8) * p + 1
            assert a * half < 2**53
            total = a * product + a * half
            assert total < 7 * p + 6 < 2**53
            assert _reduced(total, p) < p


def _product(q: Fraction, bound: Fraction) -> Fraction:
    return q / 2 * (1 + bound / 2**52) * (1 + Fraction(1, 2**40))


def _forward_factors(q: Fraction, log_n: int) -> list[Fraction]:
    """Return the bounds of the factors of all passes; the last entry is scaled so that 2^52 stands for 2^53."""
    factors, bound = [], q
    if log_n % 2:
        factors.append(bound)
        bound += _product(q, bound)
    for p in range(log_n // 2):
        r1 = _product(q, bound)
        r2 = _product(q, bound + r1)
        factors += [bound, bound + r1]
        left = bound + r1 + r2
        last = p == log_n // 2 - 1
        if left > 2**53 if last else left > 2**51 or left + _product(q, left) > 2**52:
            left = q / 2 + 1 + r1 + r2
        bound = left
    return [*factors, bound / 2]


def _inverse_factors(q: Fraction, log_n: int) -> list[Fraction]:
    """Return the bounds of the factors of all passes; the results of the last one are checked to be below q."""
    factors = []
    difference, spread, total = q, 2 * q, 4 * q
    for _ in range(log_n // 2 - 1 + log_n % 2):
        r = _product(q, difference)
        factors += [difference, spread, 2 * r]
        sums = max(total, 2 * r)
        if sums > 2**50:
            sums = q / 2 + 1
        bound = max(_product(q, spread), _product(q, 2 * r), sums)
        difference, spread = 2 * bound, 4 * bound
        total = spread
    assert q / 2 * (1 + spread / 2**52) <= q
    return [*factors, difference, spread]


def montgomery_products(width: int = 8) -> None:
    """avx512/modular.h: high - h is z 2^-width mod q for h from the low half alone, and 0 <= h < q."""
    base = 1 << width
    for q in range(3, 1 << (width - 2), 2):
        high, low = grid(range(0, 4 * q, max(1, q // 5)), range(base))
        h = ((low * pow(q, -1, base)) % base * q) >> width
        assert h.min() >= 0 and h.max() < q, f"Montgomery at q = {q}"
        assert np.array_equal((high - h) * base % q, (high * base + low) % q)


def montgomery_sums() -> None:
    """avx512/transform.h, lift.c: sums of terms in (-q, q) stay where settled() makes them words below 2^63."""
    bias, most, word = 4096, 4000, 2**52
    for q in (65, 2**30 + 1, 2**49 + 1, 2**50 - 1):
        v, key, begin = word - 1, q - 1, 2 * q
        assert v * key // word < q  # the high half of a term; less h < q
        few = 512  # of add_sums without factors, on a total that was settled
        for total in (begin + most * q, 4 * q + few * 4 * q):  # add_words, add_lifted; add_sums
            assert most < bias and bias * q + total < 2**63
            assert (bias * q + total) // word < 2**11
        assert 4 * q < word  # what settled() leaves, and a transform, may be a factor again
        assert 2 * (q - 1) ** 2 // word + q < 2 * q and q <= word  # begin_product: two products, plus q, less h
        assert 4 * q + 2 * q < 8 * q  # TO_RESULT: one subtraction each of 4q, 2q, q


def montgomery_joined() -> None:
    """avx512/lift.c, join: eight products of words below 2^50 with residues, and v [D], stay below 4p."""
    word = 2**52
    for p in (65, 2**20 + 7, 2**30 + 1, 2**49 + 1, 2**50 - 1):
        for a in range(1, 9):
            largest = (a * (2**50 - 1) * (p - 1) + 1024 * (p - 1)) // word
            assert largest + p < 4 * p, f"{a} terms modulo {p}"
            assert (a + 1) * (word - 1) < 2**63  # the low halves together
        assert p + 2 * p < 4 * p  # a further group, reduced, on what came before
    for d in (p, 3 * p):  # one prime: y - v d, v <= 1
        assert d - 1 + p < 4 * p < word


CLAIMS = (
    shoup_products,
    barrett_words,
    barrett_products,
    folded_sums,
    lazy_butterflies,
    overflow_fractions,
    overflow_counts,
    floating_products,
    floating_reductions,
    floating_sums,
    floating_fractions,
    rounded_reals,
    counted_bits,
    planned_reductions,
    lifted_sums,
    permuted_sums,
    few_combined,
    montgomery_products,
    montgomery_sums,
    montgomery_joined,
)


def main() -> None:
    """Check every claim and say so."""
    for claim in CLAIMS:
        claim()
        print(f"{claim.__name__:22} {(claim.__doc__ or '').splitlines()[0]}")


if __name__ == "__main__":
    main()
