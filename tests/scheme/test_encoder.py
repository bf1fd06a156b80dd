"""The encoder against 60-digit arithmetic: coefficients, slots, round trips, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import sqrt

import naive
import numpy as np
import pytest
from conftest import ring_degrees
from params import insecure_pairs, insecure_small, insecure_wide_primes

from ckks import Encoder, error_bound
from ckks.errors import BasisMismatch, LevelError, ParameterError, RangeError, SlotError
from ckks.ring import RingPoly
from ckks.rlwe import Plaintext
from ckks.scheme.encoder import integer_residues
from ckks.scheme.meta import Meta, meta_of

KINDS = ("real", "complex", "ends", "constant", "single", "decades", "zero", "tiny")
SCALES = (20, 27, 34, 40, 45, 50)
WIDE_SCALES = (70, 98)


def vector(kind: str, n: int, seed: int = 3) -> np.ndarray:
    """n values of one kind; all but `decades` within 1."""
    g = np.random.default_rng(seed)
    if kind == "real":
        return g.uniform(-1, 1, n)
    if kind == "complex":
        return g.uniform(0, 1, n) * np.exp(2j * np.pi * g.random(n))
    if kind == "ends":
        return g.choice([-1.0, 1.0], n)
    if kind == "constant":
        return np.full(n, -0.7310585786300049)
    if kind == "single":
        return np.where(np.arange(n) == n // 3, 1.0, 0.0)
    if kind == "decades":
        return g.choice([-1.0, 1.0], n) * 10.0 ** np.linspace(-6, 6, n)
    if kind == "tiny":
        return np.full(n, 1e-30)
    return np.zeros(n)


def integers(plaintext: Plaintext) -> list[int]:
    return [int(c) for c in plaintext.poly.to_integers()]


def repeated(values: np.ndarray, n: int) -> np.ndarray:
    """All N/2 slots of a sparse packing."""
    return np.tile(values, n // 2 // len(values))


def reach(values: np.ndarray) -> float:
    return max(1.0, float(np.abs(values).max()))


def slot_tolerance(values: np.ndarray, n: int, scale: float) -> float:
    """L3: 1e-12 range sqrt(N), besides the rounding of N coefficients by at most 1/2 each, at any scale."""
    return n / 2 / scale + 1e-12 * reach(values) * sqrt(n)


# ---- coefficients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_are_those_of_exact_arithmetic(kind, backend):
    """L3. Values within 1 at 2^50 have coefficients within 2^50, where the double FFT is off by less than a unit;
    with more (12 decades, 2^70, 2^98), the FFT's error is relative to the largest coefficient."""
    n = 64
    params = insecure_small(n)
    values = vector(kind, n // 2)
    exact = naive.encode(list(map(complex, values)), 1 << 200)  # 200 bits after the point: rounded below
    for bits in SCALES + WIDE_SCALES:
        plaintext = Encoder(params).encode(values, scale=2**bits, bound=reach(values))
        found = integers(plaintext)
        largest = max(abs(c) for c in exact) / 2 ** (200 - bits)
        for k, (mine, wanted) in enumerate(zip(found, exact, strict=True)):
            true = wanted / 2 ** (200 - bits)
            against = abs(true) if largest <= 2**50 else largest
            off = abs((mine << (200 - bits)) - wanted) / 2 ** (200 - bits)
            assert off <= 1 + 2.0**-48 * against, f"coefficient {k} at scale 2^{bits}: {mine} against {true}"


@pytest.mark.parametrize("kind", ["real", "complex", "ends"])
def test_the_stated_error_of_the_transform_is_that_of_double_precision(kind, backend):
    """At a scale where rounding to integers is nothing beside it. No less than measured, and no more than 16 times that:
    2^-51 is 4 units of a double; the ring for which it is stated has 16 layers and this one 6, whose errors add like
    sqrt(16/6); and values of rms 1/sqrt(3) are stated as if all were 1: 4 sqrt(16/6) sqrt(3) = 11.3."""
    n, bits = 64, 90
    encoder, values = Encoder(insecure_small(n)), vector(kind, n // 2)
    exact = naive.encode(list(map(complex, values)), 1 << 200)
    plaintext = encoder.encode(values, scale=2**bits, bound=1.0)
    off = [float(mine - Fraction(c, 2 ** (200 - bits))) for mine, c in zip(integers(plaintext), exact, strict=True)]
    measured = sqrt(sum(x * x for x in off))  # over the roots of unity: sqrt(N) times the rms of coefficients
    assert measured <= encoder.rounding(meta_of(plaintext)).std <= 16 * measured


@pytest.mark.parametrize("kind", ["real", "complex", "constant", "decades"])
@pytest.mark.parametrize("slots", [1, 2, 8, 16])
def test_sparse_packing_is_the_repeated_vector(kind, slots, backend):
    n = 64
    params = insecure_small(n)
    values = vector(kind, slots)
    sparse = integers(Encoder(params).encode(values, scale=2**45, slots=slots, bound=reach(values)))
    exact = naive.encode(list(map(complex, repeated(values, n))), 2**45)
    largest = max(map(abs, exact))
    gap = n // (2 * slots)
    for k, (mine, wanted) in enumerate(zip(sparse, exact, strict=True)):
        assert abs(mine - wanted) <= 1 + 2.0**-48 * largest
        assert k % gap == 0 or mine == 0


def test_larger_rings(backend):
    """The special FFT at its other sizes; 256 is what the oracle can do."""
    for n in ring_degrees(backend, 2, 4, 8, 16, 32, 128, 256):
        params = insecure_small(n, depth=2)
        for kind in ("real", "complex"):
            values = vector(kind, n // 2)
            found = integers(Encoder(params).encode(values, scale=2**50))
            for mine, wanted in zip(found, naive.encode(list(map(complex, values)), 2**50), strict=True):
                assert abs(mine - wanted) <= 1 + 2.0**-48 * abs(wanted)


def test_canonical_scales_beyond_64_bits(backend):
    params = insecure_pairs(64)
    values = vector("real", 32)
    for level in range(params.top_level + 1):
        plaintext = Encoder(params).encode(values, level=level)
        scale = params.scale_at(level)
        assert meta_of(plaintext).scale == scale
        exact = naive.encode(list(map(complex, values)), scale)
        largest = max(map(abs, exact))
        for mine, wanted in zip(integers(plaintext), exact, strict=True):
            assert abs(mine - wanted) <= 1 + 2.0**-48 * largest


@pytest.mark.parametrize("bits", [61, 62, 63, 64, 100, 113])
def test_sizes_around_the_two_word_split(bits, backend):
    """A constant at each size where the encoder changes from one 64-bit word to two."""
    params = insecure_small(64)
    for value in (1.0, -1.0, 1 - 2.0**-40, -(1 - 2.0**-53)):
        coefficients = integers(Encoder(params).encode(np.full(32, value), scale=2**bits))
        wanted = int(Decimal(value) * 2**bits)
        assert abs(coefficients[0] - wanted) <= 1 + abs(wanted) * 2.0**-48
        assert max(map(abs, coefficients[1:])) <= 1 + abs(wanted) * 2.0**-48


def test_beyond_114_bits_is_refused_or_right():
    """2^114 is what two signed words hold; wrong numbers are the one thing that must not come out."""
    params = insecure_small(64)
    for bits in (115, 120, 150):
        try:
            coefficients = integers(Encoder(params).encode(np.ones(32), scale=2**bits))
        except RangeError:
            continue
        assert abs(coefficients[0] - 2**bits) <= 2 ** (bits - 48)


# ---- decoding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", [5, 3])
def test_decode_of_any_integers(generator, backend):
    """Random integer polynomials, far from anything encode makes, at every level."""
    n = 64
    params = insecure_small(n)
    g = np.random.default_rng(5)
    for level in range(params.top_level + 1):
        coefficients = [int(c) for c in g.integers(-(2**46), 2**46, n)]
        words = RingPoly.from_integers(params.basis(level), coefficients).to_ntt().residues
        scale = params.scale_at(level)
        meta = Meta(scale, n // 2, n // 2, False, 2.0**46 * n / float(scale), 1.0)
        decoded = Encoder(params, generator=generator).decode(
            Plaintext(params=params, words=words, level=level, meta=meta)
        )
        slots = by_generator(naive.decode(coefficients, scale), n, generator)
        largest = max(map(abs, slots))
        assert np.abs(decoded - slots).max() <= 1e-12 * largest * sqrt(n)


def by_generator(slots: list[complex], n: int, generator: int) -> np.ndarray:
    """Slots at zeta^(generator^j) from those at zeta^(5^j): each exponent is 5^k, or -5^k with the conjugate."""
    where = {e: k for k, e in enumerate(naive.slot_exponents(n))}
    out, e = [], 1
    for _ in range(n // 2):
        out.append(slots[where[e]] if e in where else np.conj(slots[where[2 * n - e]]))
        e = e * generator % (2 * n)
    return np.array(out)


@pytest.mark.parametrize("wide", [False, True])
def test_leading_digits_survive_far_larger_moduli(wide, backend):
    """One unit of a coefficient, at the top of a 230-bit (or 300-bit) modulus, still decodes exactly."""
    params = (insecure_pairs if wide else insecure_small)(64)
    for unit in (1, -1, 2**30 + 1, -(2**52) - 1):
        words = RingPoly.from_integers(params.basis(params.top_level), [unit] + [0] * 63).to_ntt().residues
        meta = Meta(Decimal(2**40), 32, 32, True, 2.0**40, 1.0)
        decoded = Encoder(params).decode(Plaintext(params=params, words=words, level=params.top_level, meta=meta))
        # Slots of a constant: the coefficient itself through the transform, a few roundings of 2^-53.
        np.testing.assert_allclose(decoded, unit / 2**40, rtol=2.0**-49, atol=0)


def test_decode_ignores_what_else_is_in_sparse_gaps():
    """Sparse decoding reads the polynomial modulo the coefficients that packing leaves at zero."""
    params = insecure_small(64)
    values = vector("real", 8)
    plain = Encoder(params).encode(values, slots=8)
    disturbance = RingPoly.from_integers(plain.basis, [0, 2**39, -(2**38), 7] * 16).to_ntt()
    disturbed = Plaintext.of(params, (plain.poly + disturbance).residues, plain.level, plain.meta, plain.noise)
    np.testing.assert_array_equal(Encoder(params).decode(disturbed), Encoder(params).decode(plain))


# ---- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["small", "pairs", "wide primes"])
def test_round_trip_at_every_level(kind, which, backend):
    params = {"small": insecure_small, "pairs": insecure_pairs, "wide primes": insecure_wide_primes}[which](64)
    values = vector(kind, 32) / (2.0**20 if kind == "decades" else 1)  # within the sign and range bits of level 0
    encoder = Encoder(params)
    for level in range(params.top_level + 1):
        plaintext = encoder.encode(values, level=level)
        decoded = encoder.decode(plaintext)
        assert decoded.dtype == (np.complex128 if kind == "complex" else np.float64)
        off = np.abs(decoded - values).max()
        assert off <= slot_tolerance(values, 64, float(params.scale_at(level)))
        assert off <= error_bound(plaintext) + 2.0**-46  # decoding transforms once more, error of its own: 32 2^-51


@pytest.mark.parametrize("slots", [1, 2, 4, 16, 32])
@pytest.mark.parametrize("kind", ["real", "complex", "decades"])
def test_sparse_round_trip(slots, kind, backend):
    params = insecure_small(64)
    values = vector(kind, slots)
    plaintext = Encoder(params).encode(values, slots=slots, bound=reach(values))
    assert (meta_of(plaintext).slots, meta_of(plaintext).length) == (slots, slots)
    decoded = Encoder(params).decode(plaintext)
    assert np.abs(decoded - values).max() <= slot_tolerance(values, 64, 2.0**40)


@pytest.mark.parametrize("generator", [5, 3])
def test_generators(generator, backend):
    """Slot j is the value at zeta^(g^j): encode and decode agree with the oracle's exponents, and with each other."""
    n = 64
    params = insecure_small(n)
    encoder = Encoder(params, generator=generator)
    values = vector("complex", n // 2)
    plaintext = encoder.encode(values)
    exact = by_generator(naive.decode(integers(plaintext), params.scale), n, generator)
    assert np.abs(exact - values).max() <= slot_tolerance(values, n, 2.0**40)
    assert np.abs(encoder.decode(plaintext) - values).max() <= slot_tolerance(values, n, 2.0**40)
    sparse = encoder.encode(values[:4], slots=4)
    assert np.abs(encoder.decode(sparse) - values[:4]).max() <= slot_tolerance(values, n, 2.0**40)


def test_the_two_generators_differ():
    params = insecure_small(64)
    values = vector("real", 32)
    words = [Encoder(params, generator=g).encode(values).words for g in (3, 5)]
    assert not np.array_equal(*words)


def test_fewer_values_than_slots_are_zeros(backend):
    params = insecure_small(64)
    short = Encoder(params).encode([1.0, -0.5, 0.25])
    assert meta_of(short).length == 3 and Encoder(params).decode(short).shape == (3,)
    padded = Encoder(params).encode([1.0, -0.5, 0.25] + [0.0] * 29)
    np.testing.assert_array_equal(short.words, padded.words)


def test_batches_are_encoded_item_by_item(backend):
    params = insecure_small(64)
    values = np.random.default_rng(1).uniform(-1, 1, (2, 3, 20))
    encoder = Encoder(params)
    batch = encoder.encode(values)
    assert batch.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(batch.words[i, j], encoder.encode(values[i, j]).words)
    decoded = encoder.decode(batch)
    assert decoded.shape == values.shape
    assert np.abs(decoded - values).max() <= slot_tolerance(values, 64, 2.0**40)


def test_every_backend_gives_the_same_words(backend):
    """Byte identity begins at the integer polynomial, and the FFT before it is numpy's, whatever the backend."""
    from ckks import kernels

    values = vector("complex", 32)
    words = Encoder(insecure_small(64)).encode(values).words
    with kernels.use("reference"):
        np.testing.assert_array_equal(words, Encoder(insecure_small(64)).encode(values).words)


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        [1, -1, 0],
        np.array([1, 0, 1], dtype=np.int8),
        np.array([1, 0], dtype=np.uint64),
        np.array([0.5, 0.25], dtype=np.float32),
        np.array([0.5, 0.25], dtype=np.float16),
        np.array([0.5 + 0.25j], dtype=np.complex64),
        np.arange(20.0)[::-2] / 20,
        np.asfortranarray(np.arange(6.0).reshape(2, 3) / 6),
        (0.5, 0.25),
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}",
)
def test_accepted_inputs(values):
    params = insecure_small(64)
    decoded = Encoder(params).decode(Encoder(params).encode(values))
    exact = np.asarray(values)
    assert decoded.dtype == (np.complex128 if exact.dtype.kind == "c" else np.float64)
    np.testing.assert_allclose(decoded, exact.astype(decoded.dtype), rtol=0, atol=64 / 2 / 2.0**40 + 1e-12)


def test_encode_leaves_its_input_alone():
    values = vector("real", 32)
    before = values.copy()
    plaintext = Encoder(insecure_small(64)).encode(values)
    np.testing.assert_array_equal(values, before)
    assert not plaintext.words.flags.writeable


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan), complex(np.inf, 0)])
@pytest.mark.parametrize("bound", [None, 5.0])
def test_not_finite_is_named_with_its_position(bad, bound):
    values = np.zeros((2, 5), dtype=type(bad) if isinstance(bad, complex) else float)
    values[1, 3] = bad
    with pytest.raises(RangeError, match=r"index \(1, 3\)"):
        Encoder(insecure_small(64)).encode(values, bound=bound)


def test_too_large_is_named_with_its_position():
    encoder = Encoder(insecure_small(64))
    with pytest.raises(RangeError, match=r"1\.5 at index \(2,\) exceeds the declared range 1;.*bound="):
        encoder.encode([0.0, 1.0, 1.5, 9.0])
    with pytest.raises(RangeError, match=r"index \(0,\)"):
        encoder.encode([1 + 1j])
    assert encoder.encode([0.0, 1.0, 1.5], bound=1.5).meta.bound == 1.5


def test_beyond_the_modulus():
    encoder = Encoder(insecure_small(64))
    with pytest.raises(RangeError, match=r"level 0 \(2\^49"):
        encoder.encode([600.0], level=0, bound=600.0)
    assert encoder.decode(encoder.encode([500.0], level=0, bound=500.0)) == pytest.approx([500.0])
    with pytest.raises(RangeError, match="exceed the modulus"):
        encoder.encode([0.0], bound=2.0**180)


@pytest.mark.parametrize(("bound", "scale"), [(2.0**700, 2.0**390), (2.0**570, 2.0**390), (2.0**1023.5, 2.0**-19)])
def test_beyond_double_precision(bound, scale):
    """Where the modulus has room for more than doubles have: typed as well."""
    encoder = Encoder(insecure_small(64, depth=30))
    assert encoder.params.room(encoder.params.top_level) > 1100
    with pytest.raises(RangeError, match=r"double precision needs less than 2\^960"):
        encoder.encode([0.0], bound=bound, scale=scale)


def test_the_largest_and_the_least_that_double_precision_has():
    encoder = Encoder(insecure_small(64, depth=30))
    plaintext = encoder.encode([2.0**569, -(2.0**569)], bound=2.0**569, scale=2.0**390)
    assert encoder.decode(plaintext) == pytest.approx([2.0**569, -(2.0**569)])
    assert plaintext.noise.bound < float("inf")
    assert not encoder.decode(encoder.encode([0.0], bound=5e-324, scale=2.0**-19)).any()


@pytest.mark.parametrize(("largest", "scale"), [(2.0**700, 2.0**390), (2.0**1023, 2.0**398), (2.0**-1000, 2.0**-80)])
def test_residues_where_the_product_is_no_double(largest, scale):
    """Coefficients of few bits: their product with the scale is exact, however large."""
    basis = insecure_small(64).basis(4)
    coefficients = np.arange(-32, 32) / 32 * largest
    exact = [int(Fraction(c) * Fraction(scale)) for c in coefficients]
    expected = [[c % q for c in exact] for q in basis.moduli]
    assert integer_residues(basis, coefficients, scale, largest).tolist() == expected


def test_too_many_values():
    with pytest.raises(SlotError, match="33 values for 32 slots; split"):
        Encoder(insecure_small(64)).encode(np.zeros(33))
    with pytest.raises(SlotError, match="5 values for 4 slots"):
        Encoder(insecure_small(64)).encode(np.zeros((2, 5)), slots=4)


@pytest.mark.parametrize("slots", [0, -1, 3, 33, 64])
def test_slots_are_a_power_of_two(slots):
    with pytest.raises(SlotError, match="power of two from 1 to 32"):
        Encoder(insecure_small(64)).encode([0.0], slots=slots)


@pytest.mark.parametrize("values", [["a"], [None], [object()], b"abc", np.array(["x"]), [Decimal(1), "1"], {1: 2}])
def test_not_numbers(values):
    with pytest.raises(TypeError, match="needed real or complex numbers"):
        Encoder(insecure_small(64)).encode(values)


def test_scalars_are_not_vectors():
    for value in (3.5, 1, np.float64(0.5), np.array(0.25)):
        with pytest.raises(SlotError, match="give an array"):
            Encoder(insecure_small(64)).encode(value)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), Decimal("-3")])
def test_impossible_scales(scale):
    """Wanted of every one: a typed error, before any number comes out."""
    with pytest.raises((RangeError, ParameterError, ValueError), match="scale") as caught:
        Encoder(insecure_small(64)).encode([0.5], scale=scale)
    assert type(caught.value) is not ValueError


@pytest.mark.parametrize("bound", [float("nan"), -1.0, float("inf")])
def test_impossible_bounds(bound):
    with pytest.raises(RangeError):
        Encoder(insecure_small(64)).encode([0.0], bound=bound)


def test_levels_that_do_not_exist():
    for level in (-1, 5):
        with pytest.raises(LevelError, match="0 to 4"):
            Encoder(insecure_small(64)).encode([0.0], level=level)


def test_other_generators_are_refused():
    for generator in (1, 2, 7, -5):
        with pytest.raises(ParameterError, match="generator"):
            Encoder(insecure_small(64), generator=generator)


def test_decode_of_other_parameters():
    plaintext = Encoder(insecure_small(64)).encode([0.5])
    with pytest.raises(BasisMismatch, match="other parameters"):
        Encoder(insecure_small(64, depth=3)).decode(plaintext)


def test_plaintexts_without_metadata():
    params = insecure_small(64)
    bare = Plaintext(params=params, words=np.zeros((5, 64), dtype=np.uint64), level=4)
    with pytest.raises(TypeError, match="no CKKS metadata"):
        Encoder(params).decode(bare)


def test_constant_polynomials(backend):
    """`constant_words`: every slot holds the value, from one or two coefficients."""
    params = insecure_small(64)
    encoder = Encoder(params)
    for value in (0.75, -1.0, 0.6 - 0.8j, 1j, 0.0):
        words = encoder.constant_words(value, params.scale, 4)
        meta = Meta(params.scale, 32, 32, False, 1.0, 1.0)
        decoded = encoder.decode(Plaintext.of(params, words, 4, meta))
        # Two coefficients, each rounded by at most 1/2: |error| <= sqrt(1/2)/S, and the transform's few ulp.
        assert np.abs(decoded - value).max() <= 0.75 / 2**40 + 2.0**-48
