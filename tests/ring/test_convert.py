"""Between moduli: exact big integers on one side, the band where they may differ derived, rounding by fractions.

The band: each of the a fractions y_i/d_i is taken down by less than 3 units of 2^-51 (`overflow_fraction`), so their
sum by less than 3 a units. Nearest goes wrong only when the distance of x/D from 1/2 is less than that.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from random import Random

import naive
import numpy as np
import pytest
from draws import KINDS, per_backend, random_residues, residues
from hypothesis import given
from hypothesis import strategies as st

from ckks import kernels
from ckks.errors import BasisMismatch, DomainError
from ckks.ring import Domain, RingPoly, RNSBasis, convert_basis, divide_and_round, ntt_primes

N = 8
FAST = ntt_primes(bits=50, count=4, n=N)
WIDE = ntt_primes(bits=61, count=3, n=N)
SMALL = (97, 113, 193)
SOURCES = {
    "one small": SMALL[:1],
    "three small": SMALL,
    "one of 50 bits": FAST[:1],
    "two of 50 bits": FAST[:2],
    "four of 50 bits": FAST,
    "one of 61 bits": WIDE[:1],
    "three of 61 bits": WIDE,
    "mixed": (SMALL[0], FAST[0], WIDE[0]),
}
TARGET = RNSBasis(N, (257, *ntt_primes(bits=40, count=1, n=N), *ntt_primes(bits=60, count=1, n=N)))

every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


def band(source: tuple[int, ...]) -> int:
    """The largest |x - D/2|, rounded down, at which x mod D may come out as x + D or x - D."""
    return 3 * len(source) * prod(source) // 2**51


def element(basis: RNSBasis, x: list[int]) -> RingPoly:
    """Any number of integers as coefficients, in as many batch items as they need."""
    padded = [*x, *[0] * (-len(x) % basis.n)]
    return RingPoly.from_integers(basis, np.array(padded, dtype=object).reshape(-1, basis.n))


def converted(source: tuple[int, ...], x: list[int], *, centred: bool) -> list[int]:
    """The integers modulo the product of TARGET that stand for x."""
    poly = convert_basis(element(RNSBasis(N, source), x), TARGET, centred=centred)
    return poly.to_integers(centre=False).ravel().tolist()[: len(x)]


def assert_converted(found: np.ndarray, words: np.ndarray, source: tuple[int, ...]) -> None:
    """Rows (limbs of TARGET, N) against the exact integers: equal, or off by D where x is inside the band."""
    d, w = prod(source), band(source)
    exact = naive.compose_poly(words, source)
    inside = [abs(2 * (x % d) - d) <= 2 * w for x in exact]
    for i, p in enumerate(TARGET.moduli):
        for j, (x, y) in enumerate(zip(exact, found[i].tolist(), strict=True)):
            assert y == x % p or (inside[j] and y in ((x - d) % p, (x + d) % p)), (i, j, y, x % p)


# ---- outside the band ------------------------------------------------------------------------------------------


@every_source
def test_centred_conversion_is_exact(backend, source):
    for kind in KINDS:
        poly = RingPoly(RNSBasis(N, source), residues(source, N, kind, shape=(2,)), Domain.COEFFICIENT)
        found = convert_basis(poly, TARGET)
        assert found.basis == TARGET and found.domain is Domain.COEFFICIENT and found.shape == (2,)
        for item, rows in zip(found.residues, poly.residues, strict=True):
            assert_converted(item, rows, source)


@every_source
def test_uncentred_conversion_is_exact(backend, source):
    for kind in ("uniform", "extremes"):
        words = residues(source, N, kind, shape=(2,))
        x = np.array([naive.compose_poly(rows, source, centre=False) for rows in words], dtype=object)
        poly = RingPoly.from_integers(RNSBasis(N, source), np.minimum(x, prod(source) - 2 - band(source)))
        for item, rows in zip(convert_basis(poly, TARGET, centred=False).residues, poly.residues, strict=True):
            naive.first_difference(item, naive.convert_base(rows, source, TARGET.moduli, centre=False))


@per_backend
@given(data=st.data(), source=st.sampled_from(list(SOURCES.values())))
def test_conversion_of_anything(backend, data, source):
    words = data.draw(random_residues(source, N))
    poly = convert_basis(RingPoly(RNSBasis(N, source), words, Domain.COEFFICIENT), TARGET)
    assert_converted(poly.residues, words, source)


@every_source
def test_small_integers_keep_their_value(backend, source):
    """What is far from D/2, of either sign, comes through as it is."""
    x = [0, 1, -1, 2, -2, 40, -40, 17]
    m = TARGET.modulus
    assert converted(source, x, centred=True) == [c % m for c in x]


@every_source
def test_uncentred_small_integers_keep_their_value(backend, source):
    """The band of [0, D) lies below D; 0 and what is just above it are exact."""
    x = [0, 1, 2, 3, 40, 41, 50, 60]
    assert converted(source, x, centred=False) == x


def test_conversion_onto_its_own_primes(backend):
    """Off by D or not: modulo the primes of D nothing changes, even inside the band."""
    basis = RNSBasis(N, FAST)
    d = basis.modulus
    poly = element(basis, [d // 2 + k for k in range(-8, 8)])
    for centred in (True, False):
        assert convert_basis(poly, basis, centred=centred) == poly


# ---- at its edges ----------------------------------------------------------------------------------------------


def next_to_the_middle(source: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """(outside, inside): integers on both sides of both edges of the band around D/2."""
    d, w = prod(source), band(source)
    middle = d // 2  # D/2 is middle + 1/2, so middle - w and middle + 1 + w are the first ones outside
    rng = Random(d)
    outside = [middle - w - k for k in (1, 2, 3, 10)] + [middle + 1 + w + k for k in (1, 2, 3, 10)]
    inside = [middle - k for k in range(min(w, 5))] + [middle + 1 + k for k in range(min(w, 5))]
    inside += [middle + rng.randint(-w, w) for _ in range(40 if w else 0)]
    return outside, inside


@every_source
def test_just_outside_the_band(backend, source):
    outside, _ = next_to_the_middle(source)
    expected = [naive.centred(x, prod(source)) % TARGET.modulus for x in outside]
    assert converted(source, outside, centred=True) == expected


@every_source
def test_inside_the_band_one_of_two_neighbours(backend, source):
    """Either x or x - D, and the same one from every source of kernels."""
    _, inside = next_to_the_middle(source)
    found = converted(source, inside, centred=True)
    for x, y in zip(inside, found, strict=True):
        assert y in (x % TARGET.modulus, (x - prod(source)) % TARGET.modulus)
    with kernels.use("reference"):
        assert converted(source, inside, centred=True) == found


def test_the_band_is_real():
    """Positive control: with two primes of 50 bits the integer above D/2 does come out as itself, not as x - D."""
    source = FAST[:2]
    _, inside = next_to_the_middle(source)
    found = converted(source, inside, centred=True)
    assert found != [naive.centred(x, prod(source)) % TARGET.modulus for x in inside]


def test_no_band_when_the_modulus_is_small(backend):
    """Every integer of [0, D), both ways, while 3 a D < 2^51."""
    source = SMALL[:2]
    assert band(source) == 0
    x = list(range(prod(source)))
    assert converted(source, x, centred=True) == [naive.centred(c, prod(source)) % TARGET.modulus for c in x]
    assert converted(source, x, centred=False) == x


@every_source
def test_uncentred_at_the_ends(backend, source):
    """From 0 up to the band below D exact; inside it x or x - D, the same one from every source of kernels."""
    d, w = prod(source), band(source)
    m = TARGET.modulus
    exact = [*range(min(d, 8)), d // 2, max(d - w - 2, 0), max(d - w - 3, 0)]
    assert converted(source, exact, centred=False) == [x % m for x in exact]
    inside = [d - 1 - k for k in range(min(d, 8))] + [d - w, d - w // 2 - 1]
    found = converted(source, inside, centred=False)
    for x, y in zip(inside, found, strict=True):
        assert y in (x % m, (x - d) % m)
    with kernels.use("reference"):
        assert converted(source, inside, centred=False) == found


# ---- division --------------------------------------------------------------------------------------------------

CHAIN = RNSBasis(N, (*FAST[:3], SMALL[1], WIDE[0], FAST[3], SMALL[2]))
DROPS = [(1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (1, 1), (2, 1), (1, 2), (3, 3), (0, 6), (6, 0)]


def dropped(first: int, last: int) -> tuple[int, ...]:
    return CHAIN.moduli[:first] + CHAIN.moduli[len(CHAIN) - last :]


@pytest.mark.parametrize(("first", "last"), DROPS)
def test_division_is_rational_rounding(backend, first, last):
    for kind in KINDS:
        if kind == "extremes":  # half of q in each limb is inside the band: see the next test
            continue
        poly = RingPoly(CHAIN, residues(CHAIN.moduli, N, kind, seed=first, shape=(2,)), Domain.COEFFICIENT)
        found = divide_and_round(poly.to_ntt(), first=first, last=last)
        assert found.domain is Domain.NTT and found.basis == CHAIN[first : len(CHAIN) - last]
        for item, rows in zip(found.to_coefficient().residues, poly.residues, strict=True):
            naive.first_difference(item, naive.mod_down(rows, CHAIN.moduli, dropped(first, last)))


@pytest.mark.parametrize(("first", "last"), DROPS)
def test_division_next_to_a_half(backend, first, last):
    """x = k D + r with r around D/2: |out - x/D| <= 1/2, or within the band's relative width of it."""
    drop = dropped(first, last)
    d, w = prod(drop), band(drop)
    kept = CHAIN[first : len(CHAIN) - last]
    rng = Random(d)
    quotients = [rng.randint(-(kept.modulus // 2) + 1, kept.modulus // 2 - 1) for _ in range(4)]
    x = [k * d + d // 2 + side for k in quotients for side in (-w - 1, -1, 0, 1, 2, w + 2)]
    found = divide_and_round(element(CHAIN, x).to_ntt(), first=first, last=last).to_integers().ravel().tolist()
    for value, out in zip(x, found, strict=False):
        error = abs(naive.centred(out - (value - value % d) // d, kept.modulus) - Fraction(value % d, d))
        assert error <= Fraction(1, 2) + Fraction(w, d)


def test_division_of_multiples_is_exact(backend):
    """k D / D = k, whatever k."""
    for first, last in DROPS:
        d = prod(dropped(first, last))
        kept = CHAIN[first : len(CHAIN) - last]
        k = [0, 1, -1, 5, -5, kept.modulus // 2, -(kept.modulus // 2), 12345 % kept.modulus]
        found = divide_and_round(element(CHAIN, [c * d for c in k]).to_ntt(), first=first, last=last)
        assert found.to_integers(centre=False).ravel().tolist() == [c % kept.modulus for c in k]


def test_division_in_steps_differs_by_rounding_only(backend):
    """Dropping two limbs at once or one after the other: at most one rounding more, 1/2 + 1/(2 d)."""
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.NTT)
    at_once = divide_and_round(poly, last=2)
    in_steps = divide_and_round(divide_and_round(poly, last=1), last=1)
    assert max(abs(c) for c in (at_once - in_steps).to_integers()) <= 1


def test_division_by_nothing():
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.NTT)
    assert divide_and_round(poly) is poly


def test_division_of_views(backend):
    """The batch may be strided: parts of a ciphertext come like that."""
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N, shape=(3, 2)), Domain.NTT)
    turned = RingPoly.of(CHAIN, poly.residues.swapaxes(0, 1), Domain.NTT)
    found = divide_and_round(turned, first=1, last=1)
    for i in range(2):
        for j in range(3):
            assert found[i, j] == divide_and_round(poly[j, i], first=1, last=1)


# ---- refusals --------------------------------------------------------------------------------------------------


def test_conversion_acts_on_coefficients():
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.NTT)
    with pytest.raises(DomainError, match="to_coefficient"):
        convert_basis(poly, TARGET)


def test_conversion_keeps_the_ring():
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.COEFFICIENT)
    with pytest.raises(BasisMismatch, match="8 to 4"):
        convert_basis(poly, RNSBasis(4, (97,)))


def test_division_acts_on_values():
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.COEFFICIENT)
    with pytest.raises(DomainError, match="to_ntt"):
        divide_and_round(poly, last=1)


@pytest.mark.parametrize(("first", "last"), [(7, 0), (0, 7), (4, 3), (-1, 0), (0, -1), (-1, 1), (100, 0)])
def test_division_leaves_a_limb(first, last):
    poly = RingPoly(CHAIN, residues(CHAIN.moduli, N), Domain.NTT)
    with pytest.raises(BasisMismatch, match=rf"cannot drop {first} \+ {last} of 7 limbs"):
        divide_and_round(poly, first=first, last=last)
