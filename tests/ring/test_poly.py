"""RingPoly: the laws of the ring, both domains, integers, views, errors. On every source."""

from __future__ import annotations

import copy
import pickle

import naive
import numpy as np
import pytest
from draws import per_backend, random_residues, residues
from hypothesis import given
from hypothesis import strategies as st

from ckks.errors import BasisMismatch, DomainError, HEError, RangeError
from ckks.ring import Domain, RingPoly, RNSBasis, ntt_primes

N = 8
MODULI = (97, ntt_primes(bits=50, count=1, n=N)[0], ntt_primes(bits=61, count=1, n=N)[0])
BASIS = RNSBasis(N, MODULI)
Q = BASIS.modulus
PSI = tuple(naive.some_root(N, q) for q in MODULI)


def polys(shape: tuple[int, ...] = (), domain: Domain = Domain.COEFFICIENT) -> st.SearchStrategy[RingPoly]:
    return random_residues(MODULI, N, shape).map(lambda words: RingPoly(BASIS, words, domain))


ntt_polys = polys(domain=Domain.NTT)


def a_poly(seed: int = 0, shape: tuple[int, ...] = (), basis: RNSBasis = BASIS) -> RingPoly:
    return RingPoly(basis, residues(basis.moduli, basis.n, seed=seed, shape=shape), Domain.COEFFICIENT)


def integers(poly: RingPoly) -> list[int]:
    return poly.to_integers(centre=False).tolist()


# ---- laws ------------------------------------------------------------------------------------------------------


@per_backend
@given(a=ntt_polys, b=ntt_polys, c=ntt_polys)
def test_ring_axioms(backend, a, b, c):
    zero, one = (RingPoly.from_integers(BASIS, [k, *[0] * (N - 1)]).to_ntt() for k in (0, 1))
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + zero == a and a - a == zero and a + -a == zero and zero - -a == a
    assert a - b == a + -b
    assert a * b == b * a
    assert (a * b) * c == a * (b * c)
    assert a * one == a and a * zero == zero
    assert a * (b + c) == a * b + a * c


@per_backend
@given(a=polys(), b=polys())
def test_arithmetic_is_that_of_integer_polynomials(backend, a, b):
    x, y = integers(a), integers(b)
    assert integers(a + b) == [(u + v) % Q for u, v in zip(x, y, strict=True)]
    assert integers(a - b) == [(u - v) % Q for u, v in zip(x, y, strict=True)]
    assert integers(-a) == [-u % Q for u in x]
    naive.first_difference(integers(a.to_ntt() * b.to_ntt()), naive.negacyclic_multiply(x, y, Q))


@per_backend
@given(a=polys((2,)), b=polys((2,)))
def test_addition_commutes_with_the_transform(backend, a, b):
    assert (a + b).to_ntt() == a.to_ntt() + b.to_ntt()
    assert (a - b).to_ntt() == a.to_ntt() - b.to_ntt()
    assert (-a).to_ntt() == -a.to_ntt()


@per_backend
@given(a=polys((2,)), c=st.integers(-(2**200), 2**200) | st.sampled_from([0, 1, -1, 97, 2**64, Q]))
def test_integers_are_constants(backend, a, c):
    constant = RingPoly.from_integers(BASIS, [c, *[0] * (N - 1)]).to_ntt()
    assert (a.to_ntt() * c) == a.to_ntt() * constant
    assert a * c == c * a == (a.to_ntt() * c).to_coefficient()


def test_numpy_integers_are_integers(backend):
    a = a_poly()
    assert a * np.int64(-3) == np.int64(-3) * a == a * -3
    assert a * np.uint64(2**64 - 1) == a * (2**64 - 1)


@per_backend
@given(a=polys((2,)))
def test_transforms(backend, a):
    values = a.to_ntt()
    assert values.domain is Domain.NTT and values.to_ntt() is values
    assert values.to_coefficient() == a and a.to_coefficient() is a
    for item, rows in zip(values.residues, a.residues, strict=True):
        for row, coefficients, q, psi in zip(item, rows, MODULI, BASIS.roots, strict=True):
            naive.first_difference(row, naive.ntt(coefficients, q, psi))


def test_a_given_root_decides_the_order_of_values(backend):
    """The same element under another root: the same integers, other words, products as before."""
    roots = tuple(pow(psi, 5, q) for psi, q in zip(PSI, MODULI, strict=True))
    other = RNSBasis(N, MODULI, roots)
    a, b = a_poly(1), a_poly(2)
    x, y = a_poly(1, basis=other), a_poly(2, basis=other)
    assert integers(x) == integers(a)
    for limb, (q, psi) in enumerate(zip(MODULI, roots, strict=True)):
        naive.first_difference(x.to_ntt().residues[limb], naive.ntt(x.residues[limb], q, psi))
    assert not np.array_equal(x.to_ntt().residues, a.to_ntt().residues)
    assert integers(x.to_ntt() * y.to_ntt()) == integers(a.to_ntt() * b.to_ntt())
    with pytest.raises(BasisMismatch):
        a.to_ntt() * x.to_ntt()


def test_batches_broadcast(backend):
    one, many, columns = a_poly(1).to_ntt(), a_poly(2, (3,)).to_ntt(), a_poly(3, (2, 1)).to_ntt()
    assert (many * one).shape == (3,) and (many + columns).shape == (2, 3)
    for i in range(3):
        assert (many * one)[i] == many[i] * one
        for j in range(2):
            assert (many - columns)[j, i] == many[i] - columns[j, 0]
    with pytest.raises(BasisMismatch, match="broadcast"):
        a_poly(2, (3,)) + a_poly(2, (2,))


# ---- integers --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-(2**250), 2**250), min_size=N, max_size=N))
def test_integers_of_any_size(x):
    poly = RingPoly.from_integers(BASIS, x)
    assert poly.domain is Domain.COEFFICIENT and poly.shape == ()
    naive.first_difference(poly.residues, naive.split_poly(x, MODULI))
    assert poly.to_integers(centre=False).tolist() == [c % Q for c in x]
    assert poly.to_integers().tolist() == [naive.centred(c, Q) for c in x]


def test_integers_at_the_ends():
    x = [0, 1, -1, Q // 2, -(Q // 2), Q // 2 + 1, Q - 1, Q]
    assert RingPoly.from_integers(BASIS, x).to_integers().tolist() == [0, 1, -1, Q // 2, -(Q // 2), -(Q // 2), -1, 0]


def test_integers_of_batches(backend):
    x = np.arange(48).reshape(2, 3, N) - 20
    poly = RingPoly.from_integers(BASIS, x)
    assert poly.shape == (2, 3)
    found = poly.to_ntt().to_integers()
    assert found.shape == (2, 3, N) and found.dtype == object
    assert np.array_equal(found, x) and all(type(c) is int for c in found.ravel())


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.uint64, object])
def test_arrays_of_integers(dtype):
    x = np.array([0, 1, 2, 3, 100, 127, 5, 6], dtype=dtype)
    assert RingPoly.from_integers(BASIS, x).to_integers().tolist() == x.tolist()


def test_no_coefficients():
    empty = RingPoly.from_integers(BASIS, np.zeros((0, N), dtype=int))
    assert empty.shape == (0,) and empty.to_integers().shape == (0, N)


@pytest.mark.parametrize("shape", [(), (N - 1,), (N + 1,), (N, 2), (0,)], ids=str)
def test_as_many_integers_as_the_ring_has(shape):
    with pytest.raises(BasisMismatch, match=rf"needed \(\.\.\., {N}\)"):
        RingPoly.from_integers(BASIS, np.zeros(shape, dtype=int))


@pytest.mark.parametrize(
    "bad", [0.5, 3.0, float("nan"), float("inf"), 1j, "1", None], ids=["0.5", "3.0", "nan", "inf", "1j", "str", "None"]
)
def test_only_integers_are_integers(bad):
    """Nothing is rounded or cut off on the way in."""
    with pytest.raises((HEError, TypeError)):
        RingPoly.from_integers(BASIS, [bad, *[0] * (N - 1)])
    if isinstance(bad, float):
        with pytest.raises((HEError, TypeError)):
            RingPoly.from_integers(BASIS, np.full(N, bad))


# ---- automorphisms ---------------------------------------------------------------------------------------------


@per_backend
@given(a=polys((2,)), b=polys((2,)), g=st.integers(-(2**10), 2**10).map(lambda k: 2 * k + 1))
def test_automorphisms_are_homomorphisms(backend, a, b, g):
    assert (a + b).automorphism(g) == a.automorphism(g) + b.automorphism(g)
    x, y = a.to_ntt(), b.to_ntt()
    assert (x * y).automorphism(g) == x.automorphism(g) * y.automorphism(g)
    assert a.automorphism(g).to_ntt() == x.automorphism(g)
    assert a.automorphism(g).domain is Domain.COEFFICIENT and x.automorphism(g).domain is Domain.NTT


# ---- construction ----------------------------------------------------------------------------------------------


def test_words_are_copied():
    words = residues(MODULI, N)
    poly = RingPoly(BASIS, words, Domain.NTT)
    before = poly.residues.copy()
    words[...] = 0
    assert np.array_equal(poly.residues, before)


def test_words_of_any_integer_type():
    words = residues((97,), N)
    small = RNSBasis(N, (97,))
    expected = RingPoly(small, words, Domain.NTT)
    for dtype in (np.int8, np.uint8, np.int64, ">u8", np.uint32):
        assert RingPoly(small, words.astype(dtype), Domain.NTT) == expected
    assert RingPoly(small, words.tolist(), Domain.NTT) == expected
    assert RingPoly(small, np.asfortranarray(words), Domain.NTT) == expected


@pytest.mark.parametrize("limb", [0, 1, 2])
@pytest.mark.parametrize("place", [0, N // 2, N - 1])
def test_words_are_residues(limb, place):
    """q - 1 is one, q is none, in the first, a middle and the last word of each limb."""
    q = MODULI[limb]
    words = residues(MODULI, N, shape=(2,))
    words[1, limb, place] = q - 1
    RingPoly(BASIS, words, Domain.NTT)
    for bad in (q, 2**64 - 1):
        words[1, limb, place] = bad
        with pytest.raises(RangeError, match=rf"{bad} at index \(1, {limb}, {place}\) is not below its modulus {q}"):
            RingPoly(BASIS, words, Domain.NTT)


def test_words_that_are_none():
    words = residues(MODULI, N)
    negative = words.astype(np.int64)
    negative[1, 2] = -1
    with pytest.raises(RangeError, match="-1 is negative"):
        RingPoly(BASIS, negative, Domain.NTT)
    for bad in (words.astype(float), words.astype(object), words > 3, words.astype(complex), "words", None):
        with pytest.raises(HEError):
            RingPoly(BASIS, bad, Domain.NTT)


@pytest.mark.parametrize("shape", [(), (N,), (1, N), (4, N), (3, N + 1), (3, 2 * N), (N, 3), (2, 4, N)], ids=str)
def test_shapes_fit_the_basis(shape):
    with pytest.raises(BasisMismatch, match=rf"needed \(\.\.\., 3, {N}\)"):
        RingPoly(BASIS, np.zeros(shape, dtype=np.uint64), Domain.NTT)


def test_domains_have_names():
    assert RingPoly(BASIS, residues(MODULI, N), "NTT").domain is Domain.NTT
    for bad in ("ntt", "foo", None, 1):
        with pytest.raises(ValueError, match="Domain"):
            RingPoly(BASIS, residues(MODULI, N), bad)


def test_repr():
    assert repr(a_poly()) == f"<RingPoly N={N}, 3 limbs, coefficient form>"
    assert repr(a_poly(shape=(30,)).to_ntt()) == f"<RingPoly N={N}, 3 limbs, NTT form, batch (30,)>"


# ---- values ----------------------------------------------------------------------------------------------------


def test_elements_do_not_change():
    poly = a_poly()
    for name, value in (("residues", poly.residues.copy()), ("domain", Domain.NTT), ("basis", BASIS), ("x", 1)):
        with pytest.raises(AttributeError):
            setattr(poly, name, value)
    for name in ("residues", "domain", "basis"):
        with pytest.raises(AttributeError):
            delattr(poly, name)
    with pytest.raises(ValueError, match="read-only"):
        poly.residues[0, 0] = 1
    for made in (poly + poly, poly.to_ntt(), poly * 3, -poly, poly.limbs(slice(1)), poly.automorphism(3), poly[None]):
        assert not made.residues.flags.writeable


def test_elements_are_not_hashable():
    with pytest.raises(TypeError):
        hash(a_poly())


def test_equality():
    a = a_poly(1)
    assert a == a_poly(1) and a != a_poly(2)
    assert a != RingPoly(BASIS, a.residues, Domain.NTT)
    assert a != a_poly(1, (1,))
    assert RingPoly(BASIS[:1], a.residues[:1], a.domain) != a
    assert a != 1 and a != None and not a == "a"  # noqa: E711


def test_limbs_are_views(backend):
    a = a_poly(1, (2,))
    part = a.limbs(slice(1, 3))
    assert part.basis == BASIS[1:3] and part.domain is a.domain and part.shape == (2,)
    assert np.shares_memory(part.residues, a.residues)
    assert np.array_equal(part.residues, a.residues[:, 1:3])
    assert part.to_ntt() == a.to_ntt().limbs(slice(1, 3))
    assert (part * 5).to_ntt() == (a.to_ntt() * 5).limbs(slice(1, 3))
    back = a.limbs(slice(None, None, -1))
    assert back.basis.moduli == MODULI[::-1]
    assert back.to_ntt().limbs(slice(None, None, -1)) == a.to_ntt()


def test_batches_are_indexed():
    a = a_poly(1, (3, 4))
    assert a[1].shape == (4,) and a[1, 2].shape == () and a[:, 2].shape == (3,) and a[None].shape == (1, 3, 4)
    assert np.array_equal(a[1, 2].residues, a.residues[1, 2])
    assert np.shares_memory(a[1:].residues, a.residues)
    assert np.array_equal(a[[2, 0]].residues, a.residues[[2, 0]])
    for bad in (3, (0, 4), (0, 0, 0)):
        with pytest.raises(IndexError):
            a[bad]


def test_indexed_batches_work_in_kernels(backend):
    """Lists, masks and steps: whatever numpy returns, rows stay contiguous."""
    a = a_poly(1, (3, 4))
    for index in (
        [2, 0],
        (slice(None), [3, 1]),
        (slice(None, None, -1), slice(1, None, 2)),
        a.residues[:, 0, 0, 0] > 5,
    ):
        part = a[index]
        assert part.to_ntt() == a.to_ntt()[index]
        assert part + part == part * 2
    turned = RingPoly.of(BASIS, a.residues.swapaxes(0, 1), a.domain)
    assert turned[[2, 0]].to_ntt() == RingPoly(BASIS, turned.residues[[2, 0]], a.domain).to_ntt()


@pytest.mark.parametrize("domain", Domain)
def test_pickles_and_copies(domain):
    a = RingPoly(BASIS, residues(MODULI, N, shape=(2,)), domain)
    for original in (a, a[0], a.limbs(slice(1, 3)), a[::-1]):
        for twin in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
            assert twin == original and not twin.residues.flags.writeable


def test_a_forged_pickle_is_validated():
    good = RingPoly(BASIS, np.zeros((3, N), dtype=np.uint64), Domain.NTT)
    _, arguments = good.__reduce__()
    forged = (arguments[0], np.full((3, N), 97, dtype=np.uint64), arguments[2])
    with pytest.raises(RangeError):
        good.__reduce__()[0](*forged)


# ---- refusals --------------------------------------------------------------------------------------------------


def test_products_need_values():
    a, b = a_poly(1), a_poly(2)
    for x, y in ((a, b), (a.to_ntt(), b), (a, b.to_ntt())):
        with pytest.raises(DomainError, match="NTT form"):
            x * y


@pytest.mark.parametrize("operation", ["__add__", "__sub__"])
def test_domains_do_not_mix(operation):
    a = a_poly()
    with pytest.raises(DomainError, match=r"coefficient and NTT form.*to_ntt"):
        getattr(a, operation)(a.to_ntt())
    with pytest.raises(DomainError, match="NTT and coefficient form"):
        getattr(a.to_ntt(), operation)(a)


@pytest.mark.parametrize("operation", ["__add__", "__sub__", "__mul__"])
def test_bases_do_not_mix(operation):
    a = a_poly().to_ntt()
    others = [
        a.limbs(slice(2)),
        RingPoly(RNSBasis(N, MODULI[::-1]), residues(MODULI[::-1], N), Domain.NTT),
        RingPoly(RNSBasis(N, (193, *MODULI[1:])), residues((193, *MODULI[1:]), N), Domain.NTT),
        RingPoly(RNSBasis(4, MODULI), residues(MODULI, 4), Domain.NTT),
    ]
    for other in others:
        with pytest.raises(BasisMismatch, match="operands over"):
            getattr(a, operation)(other)


@pytest.mark.parametrize("other", [1, 1.5, "1", None, np.ones((3, N), dtype=np.uint64), [1] * N], ids=repr)
def test_nothing_else_is_added(other):
    a = a_poly()
    for operation in (lambda: a + other, lambda: other + a, lambda: a - other, lambda: other - a):
        with pytest.raises(TypeError):
            operation()


@pytest.mark.parametrize("other", [1.5, "1", None, True, 2.0, 1j, np.ones((3, N), dtype=np.uint64)], ids=repr)
def test_nothing_else_multiplies(other):
    a = a_poly().to_ntt()
    for operation in (lambda: a * other, lambda: other * a):
        with pytest.raises(TypeError):
            operation()


def test_division_and_powers_do_not_exist():
    a = a_poly().to_ntt()
    for operation in (lambda: a / 2, lambda: a**2, lambda: a % 3, lambda: a @ a, lambda: a < a):
        with pytest.raises(TypeError):
            operation()
