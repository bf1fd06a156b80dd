"""The oracles held against one another: two ways to every answer, neither of them the library's."""

from __future__ import annotations

import ast
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor, prod
from pathlib import Path
from random import Random

import naive
import numpy as np
import pytest

# (N, q): the page-sized example, tiny rings, and a prime at the end of each word class.
RINGS = [(2, 5), (4, 17), (8, 17), (16, 97), (32, 193), (16, 2**50 - 351), (16, 2**61 - 31)]
MODULI = (97, 193, 257, 353)  # all 1 mod 32
EPS = 2.0**-52


def ring_id(ring: tuple[int, int]) -> str:
    """N=8/q=17."""
    return "N={}/q={}".format(*ring)


@pytest.fixture(params=RINGS, ids=ring_id)
def ring(request):
    """(n, q, psi, polynomials): zero, one, -1, X^(N-1), all q-1, and random ones."""
    n, q = request.param
    rng = Random(n * q)
    edges = [
        [0] * n,
        [1] + [0] * (n - 1),
        [q - 1] + [0] * (n - 1),
        [0] * (n - 1) + [1],
        [q - 1] * n,
    ]
    return (
        n,
        q,
        naive.some_root(n, q),
        edges + [[rng.randrange(q) for _ in range(n)] for _ in range(3)],
    )


def test_oracles_import_nothing_from_the_library():
    tree = ast.parse(Path(naive.__file__).read_text())
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.split(".")[0] in ("ckks", "churn")]


# ---- comparing -----------------------------------------------------------------------------------


def test_first_difference_accepts_equal_values_in_any_container():
    naive.first_difference(np.array([[1, 2], [3, 4]], dtype=np.uint64), [[1, 2], (3, 4)])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 5]], r"index \[1\]\[1\]: 4 against 5"),
        ([1, 9, 9], [1, 2, 3], r"index \[1\]: 9 against 2"),
        ([1, 2], [1, 2, 3], r"lengths differ at index \[\]: 2 against 3"),
        ([1, [2]], [1, 2], r"shapes differ at index \[1\]"),
        (np.uint64(7), 8, "7 against 8"),
    ],
)
def test_first_difference_names_the_place_and_both_values(a, b, message):
    with pytest.raises(AssertionError, match=message):
        naive.first_difference(a, b)


# ---- numbers modulo one prime --------------------------------------------------------------------


def test_trial_division_against_a_sieve():
    composite = {k for d in range(2, 33) for k in range(2 * d, 1000, d)}
    assert [naive.is_prime(k) for k in range(2, 1000)] == [k not in composite for k in range(2, 1000)]
    assert not naive.is_prime(0) and not naive.is_prime(1) and not naive.is_prime(-7)
    assert naive.is_prime(2**31 - 1) and not naive.is_prime(46337 * 46349)


@pytest.mark.parametrize("case", [r for r in RINGS if r[1] < 1000], ids=ring_id)
def test_least_root_is_the_least_odd_power_of_any_root(case):
    n, q = case
    psi = naive.some_root(n, q)
    assert naive.least_root(n, q) == min(pow(psi, k, q) for k in range(1, 2 * n, 2))
    assert naive.least_root(8, 17) == 3


def test_centred_ends():
    assert [naive.centred(x, 5) for x in range(-3, 6)] == [2, -2, -1, 0, 1, 2, -2, -1, 0]
    assert naive.centred(2, 4) == 2  # the closed end


# ---- the ring ------------------------------------------------------------------------------------


def test_x_to_the_n_is_minus_one():
    x, x7 = [0, 1] + [0] * 6, [0] * 7 + [1]
    assert naive.negacyclic_multiply(x, x7) == [-1] + [0] * 7
    assert naive.negacyclic_multiply(x, x7, 17) == [16] + [0] * 7


def test_ntt_inverts(ring):
    _, q, psi, polynomials = ring
    for a in polynomials:
        naive.first_difference(naive.intt(naive.ntt(a, q, psi), q, psi), a)
        naive.first_difference(naive.ntt(naive.intt(a, q, psi), q, psi), a)


def test_ntt_turns_the_schoolbook_product_into_a_pointwise_one(ring):
    _, q, psi, polynomials = ring
    for a, b in zip(polynomials, polynomials[::-1], strict=True):
        pointwise = [x * y % q for x, y in zip(naive.ntt(a, q, psi), naive.ntt(b, q, psi), strict=True)]
        naive.first_difference(naive.ntt(naive.negacyclic_multiply(a, b, q), q, psi), pointwise)


def test_ntt_of_x_is_the_odd_powers_of_the_root_in_bit_reversed_order():
    assert naive.ntt([0, 1, 0, 0, 0, 0, 0, 0], 17, 3) == [3, 14, 5, 12, 10, 7, 11, 6]
    assert naive.ntt_exponents(8) == [1, 9, 5, 13, 3, 11, 7, 15]


def test_automorphism_is_a_gather_of_values_and_respects_products(ring):
    n, q, psi, polynomials = ring
    for g in (1, 3, 5, 2 * n - 1, -1, -5):
        gather = naive.automorphism_gather(n, g)
        assert sorted(gather) == list(range(n))
        for a, b in pairwise(polynomials):
            image, values = naive.automorphism(a, g, q), naive.ntt(a, q, psi)
            naive.first_difference(naive.ntt(image, q, psi), [values[i] for i in gather])
            naive.first_difference(
                naive.negacyclic_multiply(image, naive.automorphism(b, g, q), q),
                naive.automorphism(naive.negacyclic_multiply(a, b, q), g, q),
            )


def test_automorphisms_compose_and_invert():
    a = [5, -1, 0, 7, 2, 2, -9, 4]
    for g in range(1, 16, 2):
        for h in range(1, 16, 2):
            both = naive.automorphism(naive.automorphism(a, g), h)
            naive.first_difference(both, naive.automorphism(a, g * h))
        assert naive.automorphism(naive.automorphism(a, g), pow(g, -1, 16)) == a


# ---- residues and integers -----------------------------------------------------------------------


def test_compose_against_exhaustive_search():
    moduli = (3, 5, 7)
    for x in range(105):
        residues = naive.split(x, moduli)
        assert naive.compose(residues, moduli, centre=False) == x
        assert naive.compose(residues, moduli) == (x if x <= 52 else x - 105)
        assert naive.mixed_radix(naive.garner(residues, moduli), moduli) == x


@pytest.mark.parametrize("moduli", [(17,), (17, 97), MODULI, (2**61 - 31, 2**50 - 351, 97)])
def test_compose_split_and_garner_agree_at_the_ends(moduli):
    big_q = prod(moduli)
    for x in (
        0,
        1,
        -1,
        big_q // 2,
        big_q // 2 + 1,
        -(big_q // 2),
        big_q - 1,
        moduli[0],
        -moduli[-1],
    ):
        residues = naive.split(x, moduli)
        assert all(0 <= r < q for r, q in zip(residues, moduli, strict=True))
        assert naive.compose(residues, moduli) == naive.centred(x, big_q)
        digits = naive.garner(residues, moduli)
        assert all(0 <= v < q for v, q in zip(digits, moduli, strict=True))
        assert naive.mixed_radix(digits, moduli) == x % big_q


def test_polynomials_in_residue_form_multiply_limb_by_limb():
    rng = Random(1)
    a, b = ([rng.randrange(-1000, 1000) for _ in range(8)] for _ in range(2))
    rows = zip(naive.split_poly(a, MODULI), naive.split_poly(b, MODULI), MODULI, strict=True)
    product = [naive.negacyclic_multiply(x, y, q) for x, y, q in rows]
    expected = naive.negacyclic_multiply(a, b)
    naive.first_difference(naive.compose_poly(product, MODULI), expected)
    as_array = np.array(product, dtype=np.uint64)
    naive.first_difference(naive.compose_poly(as_array, MODULI), expected)


def random_rows(rng: Random, moduli: tuple[int, ...], n: int = 24) -> list[list[int]]:
    """Uniform rows, with the ends of the range of the composed integer in front."""
    big_q = prod(moduli)
    ends = [0, 1, big_q - 1, big_q // 2, big_q // 2 + 1]
    return naive.split_poly(ends + [rng.randrange(big_q) for _ in range(n - len(ends))], moduli)


@pytest.mark.parametrize("centre", [True, False])
def test_base_conversion_against_the_overflow_count(centre):
    """x = sum_i y_i D/d_i - v D, v the floor of sum_i y_i/d_i or its nearest integer ([HPS18])."""
    source, target = MODULI[:3], (17, 2**50 - 351)
    rows = random_rows(Random(2), source)
    big_d = prod(source)
    expected = []
    for p in target:
        row = []
        for column in zip(*rows, strict=True):
            y = [x * pow(big_d // d, -1, d) % d for x, d in zip(column, source, strict=True)]
            fraction = sum(Fraction(c, d) for c, d in zip(y, source, strict=True))
            v = floor(fraction + Fraction(1, 2)) if centre else floor(fraction)
            row.append((sum(c * (big_d // d) for c, d in zip(y, source, strict=True)) - v * big_d) % p)
        expected.append(row)
    naive.first_difference(naive.convert_base(rows, source, target, centre=centre), expected)


@pytest.mark.parametrize("drop", [MODULI[:1], MODULI[-1:], MODULI[:2], (MODULI[0], MODULI[3])], ids=str)
def test_mod_down_is_subtract_the_centred_remainder_and_multiply_by_the_inverse(drop):
    """round(x/D) = (x - [x]_D) D^-1, [x]_D in (-D/2, D/2): the form that never leaves residues."""
    stay = tuple(q for q in MODULI if q not in drop)
    rows = random_rows(Random(3), MODULI)
    remainder = naive.convert_base([rows[MODULI.index(q)] for q in drop], drop, stay)
    expected = [
        [(x - r) * pow(prod(drop), -1, q) % q for x, r in zip(rows[MODULI.index(q)], row, strict=True)]
        for q, row in zip(stay, remainder, strict=True)
    ]
    naive.first_difference(naive.mod_down(rows, MODULI, drop), expected)


def test_rescale_drops_the_last_moduli_and_rounds_to_nearest():
    d = MODULI[-1]
    values = [0, d // 2, d // 2 + 1, d, -(d // 2), -(d // 2) - 1, 7 * d + 3, -7 * d - 3]
    rows = naive.split_poly(values, MODULI)
    assert naive.compose_poly(naive.rescale(rows, MODULI), MODULI[:-1]) == [
        0,
        0,
        1,
        1,
        0,
        -1,
        7,
        -7,
    ]
    naive.first_difference(naive.rescale(rows, MODULI, 2), naive.mod_down(rows, MODULI, MODULI[2:]))


def test_mod_down_refuses_what_it_cannot_mean():
    with pytest.raises(ValueError, match="cannot drop"):
        naive.mod_down([[1], [1]], (17, 97), (193,))


# ---- key switching -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "groups",
    [((97,), (193,), (257,)), ((97, 193), (257, 353)), ((97, 193, 257), (353,))],
    ids=str,
)
@pytest.mark.parametrize("centre", [True, False])
def test_digits_times_factors_give_back_the_polynomial(groups, centre):
    moduli = tuple(q for group in groups for q in group)
    rows = random_rows(Random(4), moduli)
    digits, factors = (
        naive.gadget_decompose(rows, groups, centre=centre),
        naive.gadget_factors(groups),
    )
    for digit, group in zip(digits, groups, strict=True):
        low, high = (-(prod(group) // 2), prod(group) // 2) if centre else (0, prod(group) - 1)
        assert all(low <= c <= high for c in digit)
        own_rows = [rows[moduli.index(q)] for q in group]
        naive.first_difference(naive.split_poly(digit, group), own_rows)  # a digit keeps its own limbs
    total = [sum(g * digit[k] for g, digit in zip(factors, digits, strict=True)) for k in range(len(rows[0]))]
    naive.first_difference(naive.split_poly(total, moduli), rows)


def test_gadget_factors_are_one_on_their_group_and_zero_elsewhere():
    groups = ((97, 193), (257,), (353,))
    for d, factor in enumerate(naive.gadget_factors(groups)):
        assert all(factor % q == (e == d) for e, group in enumerate(groups) for q in group)


# ---- the canonical embedding ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 4, 8, 64])
def test_unit_roots_to_sixty_digits(n):
    zeta = naive.unit_roots(n)
    tiny = Decimal(10) ** -60
    for k, (c, s) in enumerate(zeta):
        assert abs(c * c + s * s - 1) < tiny
        back = zeta[-k % (2 * n)]
        assert abs(c - back[0]) < tiny and abs(s + back[1]) < tiny  # zeta^-k is the conjugate
        assert abs(complex(c, s) - np.exp(1j * np.pi * k / n)) < 16 * EPS  # and the right root, not just a root
    assert abs(zeta[n][0] + 1) < tiny and abs(zeta[n][1]) < tiny


def test_unit_roots_against_a_closed_form():
    cosine = (2 + Decimal(2).sqrt()).sqrt() / 2  # cos(pi/8), 28 digits
    assert abs(naive.unit_roots(8)[1][0] - cosine) < Decimal("1e-27")


@pytest.mark.parametrize("n", [2, 8, 32, 128])
def test_embedding_in_doubles_within_its_stated_error(n):
    rng = Random(n)
    m = [rng.uniform(-1, 1) for _ in range(n)]
    bound = (n + 12) * EPS * sum(abs(c) for c in m)
    for z, (re, im) in zip(naive.embed(m), naive.embed_exactly(m), strict=True):
        assert abs(z - complex(re, im)) <= bound
    slots = naive.embed(m)
    exact = naive.embed_inverse_exactly(slots)
    bound = (n + 12) * EPS * max(abs(z) for z in slots)
    assert all(abs(c - float(d)) <= bound for c, d in zip(naive.embed_inverse(slots), exact, strict=True))


@pytest.mark.parametrize("n", [2, 4, 16, 64])
def test_embedding_inverts_exactly(n):
    rng = Random(n)
    m = [rng.randrange(-(2**90), 2**90) for _ in range(n)]
    back = naive.embed_inverse_exactly(naive.embed_exactly(m, 80), 80)
    assert [round(c) for c in back] == m
    assert max(abs(c - d) for c, d in zip(back, m, strict=True)) < Decimal("1e-40")
    slots = [complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(n // 2)]
    for z, (re, im) in zip(slots, naive.embed_exactly(naive.embed_inverse_exactly(slots)), strict=True):
        assert abs(re - Decimal(z.real)) + abs(im - Decimal(z.imag)) < Decimal("1e-58")


def test_embedding_is_a_ring_homomorphism_and_automorphisms_move_slots():
    n, rng = 16, Random(5)
    a, b = ([rng.randrange(-9, 10) for _ in range(n)] for _ in range(2))
    # One error on the left, two for the factors on the right, a fourth for rounding their product.
    bound = 4 * (n + 12) * EPS * sum(map(abs, a)) * sum(map(abs, b))
    for left, right in [
        (naive.embed(naive.negacyclic_multiply(a, b)), np.multiply(naive.embed(a), naive.embed(b))),
        (
            naive.embed(naive.automorphism(a, 5)),
            np.roll(naive.embed(a), -1),
        ),  # one slot to the left
        (naive.embed(naive.automorphism(a, 5**3)), np.roll(naive.embed(a), -3)),
        (naive.embed(naive.automorphism(a, -1)), np.conj(naive.embed(a))),
    ]:
        assert np.max(np.abs(np.subtract(left, right))) <= bound


def test_inverse_embedding_against_a_full_size_fourier_transform():
    """z_j at place (5^j - 1)/2, its conjugate mirrored: m_k = Re(FFT_k exp(-i pi k/N)) / N."""
    n, rng = 32, Random(6)
    z = [complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(n // 2)]
    full = [0j] * n
    for z_j, e in zip(z, naive.slot_exponents(n), strict=True):
        full[(e - 1) // 2], full[n - 1 - (e - 1) // 2] = z_j, z_j.conjugate()
    m = (np.fft.fft(full) * np.exp(-1j * np.pi * np.arange(n) / n)).real / n
    assert np.max(np.abs(m - naive.embed_inverse(z))) <= 2 * (n + 12) * EPS * max(map(abs, z))


@pytest.mark.parametrize("scale", [2**20, 2**45, Decimal(2) ** 98 / 3], ids=["2^20", "2^45", "2^98/3"])
def test_encode_rounds_each_coefficient_to_the_nearest_integer(scale):
    rng = Random(7)
    z = [complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(8)]
    m = naive.encode(z, scale)
    for c, exact in zip(m, naive.embed_inverse_exactly(z), strict=True):
        assert abs(Fraction(c) - Fraction(exact) * Fraction(scale)) <= Fraction(1, 2) + Fraction(1, 10**20)
    # N half units of the scale, and one rounding of a number below 2 to double.
    bound = 16 / 2 / float(scale) + 2 * EPS
    assert max(abs(x - y) for x, y in zip(naive.decode(m, scale), z, strict=True)) <= bound
    assert naive.encode([1, 1, 1, 1], 2**40) == [2**40] + [0] * 7  # a constant vector is a constant polynomial
