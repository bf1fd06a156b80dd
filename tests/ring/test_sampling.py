"""The distributions of RLWE on 2^20 draws, and every word from its stream by definition.

Seeds are fixed, so a test that passes once passes always; the bounds say how unlikely failure was beforehand.
"""

from __future__ import annotations

import hashlib
from math import comb, log, sqrt

import numpy as np
import pytest
from scipy.special import gammaincc

from ckks.arith import nearest_primes, ntt_primes
from ckks.errors import BasisMismatch, ParameterError
from ckks.ring import (
    ERROR_BOUND,
    ERROR_STD,
    Domain,
    Keystream,
    Rng,
    RNSBasis,
    error,
    expand_uniform,
    ternary,
    ternary_fixed_weight,
    uniform,
)
from ckks.ring.sampling import error_coefficients, ternary_coefficients

DRAWS = 2**20
SEED = bytes(range(32))


def chi_square(counts: np.ndarray, expected: np.ndarray | float, *, estimated: int = 1) -> float:
    """The probability of a deviation at least this large; `estimated` numbers are fixed by the counts."""
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return float(gammaincc((len(counts) - estimated) / 2, statistic / 2))


LEAST = 1e-6
"""A sampler as stated fails one chi-square test with this probability."""


def lag_correlation(x: np.ndarray) -> float:
    """Correlation of neighbours: for independent draws nearly normal with deviation 1/sqrt(n)."""
    centred = x - x.mean()
    return float((centred[:-1] * centred[1:]).mean() / centred.var())


# ---- ternary ---------------------------------------------------------------------------------------------------


def test_ternary_distribution(rng, figure):
    x = ternary_coefficients(rng, (DRAWS,))
    assert x.dtype == np.int64 and set(np.unique(x)) == {-1, 0, 1}
    assert chi_square(np.bincount(x + 1), DRAWS / 3) > LEAST
    assert abs(lag_correlation(x)) < 5 / sqrt(DRAWS)
    pairs = np.bincount((x[::2] + 1) * 3 + x[1::2] + 1)  # neighbours within a byte of the stream
    assert chi_square(pairs, DRAWS / 18) > LEAST
    figure("L7", f"ternary, 2^20 draws: chi-square p {chi_square(np.bincount(x + 1), DRAWS / 3):.3f}")


def test_ternary_by_definition(rng):
    """Four candidates of two bits in each byte, low bits first; 3 is passed over."""
    seed = Rng(20).secret_seed()
    crumbs = [byte >> shift & 3 for byte in Keystream(seed, "ternary").read(400) for shift in (0, 2, 4, 6)]
    expected = [c - 1 for c in crumbs if c != 3][:1000]
    assert ternary_coefficients(rng, (10, 100)).ravel().tolist() == expected


# ---- errors ----------------------------------------------------------------------------------------------------


def test_error_distribution(rng, figure):
    """Centred binomial of 42 bits: P(k) = C(42, 21 + k) / 2^42, variance 10.5, |k| <= 21."""
    x = error_coefficients(rng, (DRAWS,))
    assert x.dtype == np.int64 and np.abs(x).max() <= ERROR_BOUND == 21
    assert pytest.approx(sqrt(10.5)) == ERROR_STD
    assert abs(x.mean()) < 5 * ERROR_STD / sqrt(DRAWS)
    # The variance of a sample variance is (kurtosis - 1) s^4 / n; kurtosis 3 - 1/21, so 1.5 % are 11 deviations.
    assert abs(x.var() / 10.5 - 1) < 0.015
    assert abs(lag_correlation(x)) < 5 / sqrt(DRAWS)
    expected = DRAWS * np.array([comb(42, 21 + k) / 2**42 for k in range(-21, 22)])
    counts = np.bincount(x + 21, minlength=43)
    common = expected > 20
    tails = np.array([counts[~common].sum()]), np.array([expected[~common].sum()])
    pooled = np.concatenate([counts[common], tails[0]]), np.concatenate([expected[common], tails[1]])
    assert chi_square(*pooled) > LEAST
    beyond = int((np.abs(x) > 4 * ERROR_STD).sum())
    assert 30 < beyond < 130  # about 73 are expected beyond 4 deviations, itself with a deviation of 8.5
    figure(
        "L7",
        f"errors, 2^20 draws: mean {abs(x.mean()) * sqrt(DRAWS) / ERROR_STD:.1f} sigma/sqrt(n), variance off by "
        f"{abs(x.var() / 10.5 - 1):.2%}, none beyond 21, {beyond} beyond 4 sigma, chi-square p "
        f"{chi_square(*pooled):.3f}",
    )


def test_errors_reach_their_bound():
    """21 bits against none: once in 2^42 draws each way, so the stream is made up."""
    words = np.array([2**21 - 1, (2**21 - 1) << 21, 2**42 - 1, 0, 2**64 - 1, 2**63, 1, 1 << 21], dtype="<u8")

    class Stream:
        def __init__(self, *_: object, **__: object) -> None: ...

        def read_words(self, out: np.ndarray) -> None:
            out[:] = words[: len(out)]

    from ckks.ring import sampling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "Keystream", Stream)
        assert error_coefficients(Rng(1), (8,)).tolist() == [21, -21, 0, 0, 0, 0, 1, -1]


def test_errors_by_definition(rng):
    """popcount(bits 0..20) - popcount(bits 21..41) of each word, the 22 highest bits unused."""
    data = Keystream(Rng(20).secret_seed(), "error").read(8 * 600)
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    expected = [(w & 0x1FFFFF).bit_count() - (w >> 21 & 0x1FFFFF).bit_count() for w in words]
    assert error_coefficients(rng, (6, 100)).ravel().tolist() == expected


# ---- uniform ---------------------------------------------------------------------------------------------------

N = 2**12
PRIMES = [
    next(nearest_primes(3 * 2**28, n=N)),
    next(nearest_primes(3 * 2**38, n=N)),
    next(nearest_primes(3 * 2**48, n=N)),
    next(nearest_primes(3 * 2**59, n=N)),
    next(q for q in nearest_primes(2**49, n=N) if q > 2**49),
    *ntt_primes(bits=50, count=1, n=N),
    *ntt_primes(bits=61, count=1, n=N),
]
"""Near 0.75 x 2^k, where a remainder in place of rejection would make a quarter of the residues twice as likely;
just above a power of two, where half of the candidates are rejected; just below one."""


@pytest.mark.parametrize("q", PRIMES)
def test_uniform_distribution(q, figure):
    x = expand_uniform(RNSBasis(N, (q,)), SEED, shape=(DRAWS // N,)).residues.ravel()
    assert int(x.max()) < q
    assert chi_square(slices(x, q), DRAWS / 256) > LEAST
    assert chi_square(np.bincount((x & np.uint64(255)).astype(np.int64), minlength=256), DRAWS / 256) > LEAST
    assert abs(lag_correlation(x.astype(np.float64))) < 5 / sqrt(DRAWS)
    low = chi_square(np.bincount((x & np.uint64(255)).astype(np.int64), minlength=256), DRAWS / 256)
    figure(
        "L7", f"uniform below {q}, 2^20 draws: p {chi_square(slices(x, q), DRAWS / 256):.3f} high, {low:.3f} low byte"
    )


def slices(x: np.ndarray, q: int) -> np.ndarray:
    """How many lie in each [i q/256, (i+1) q/256), the "high byte": q/256 residues each, up to one."""
    return np.bincount((x / q * 256).astype(np.int64), minlength=256)


def test_uniform_of_a_small_prime():
    """12289 = 0.75 x 2^14 + 1: every residue on its own, about 85 times each."""
    x = expand_uniform(RNSBasis(2048, (12289,)), SEED, shape=(DRAWS // 2048,)).residues.ravel()
    assert int(x.max()) < 12289
    assert chi_square(np.bincount(x.astype(np.int64), minlength=12289), DRAWS / 12289) > LEAST


def test_remainders_would_be_found():
    """Positive control: the same test on `random % q` fails beyond doubt."""
    q = PRIMES[2]
    words = np.frombuffer(Keystream(SEED, "control").read(8 * DRAWS), dtype="<u8") & np.uint64(2**50 - 1)
    x = words % np.uint64(q)
    assert chi_square(slices(x, q), DRAWS / 256) < 1e-100


def by_definition(seed: bytes, label: str, batch: int, limb: int, q: int, n: int) -> list[int]:
    """The first n candidates below q: words of the stream, their bits(q) lowest bits."""
    mask = (1 << q.bit_length()) - 1
    data = Keystream(seed, label, batch=batch, limb=limb).read(8 * (8 * n + 64))
    candidates = (int.from_bytes(data[i : i + 8], "little") & mask for i in range(0, len(data), 8))
    return [c for c in candidates if c < q][:n]


def test_uniform_by_definition():
    basis = RNSBasis(64, (257, 641, *PRIMES))
    poly = expand_uniform(basis, SEED, label="definition", shape=(2, 3), first_limb=5)
    assert poly.domain is Domain.NTT and poly.shape == (2, 3) and poly.basis == basis
    for b, item in enumerate(poly.residues.reshape(6, len(basis), 64)):
        for limb, row in enumerate(item):
            assert row.tolist() == by_definition(SEED, "definition", b, 5 + limb, basis.moduli[limb], 64)


def digest(poly) -> str:
    return hashlib.sha256(poly.residues.astype("<u8").tobytes()).hexdigest()[:32]


GOLDEN = {
    30: ("e983e5c99eecf8ade617e3c188080510", "134db26211d42e680d6ec157661641cd", "ec0fd33ab1198c2c86617dde6a28d4f4"),
    40: ("9178d08a6e3c9bc5ca399530afce7469", "d9d4147be48a018065ea40441017813d", "b6612bae44ee4ad0c7be91d137efaf0f"),
    50: ("f24493a421734793462320c4dac44d3a", "bcfb7c7d3d6b2780406c569942cb307a", "c990912ae139b91fe979a4075144b423"),
    60: ("aa05afcc69a4507d8d431509a6338234", "f21a9a548c247354443383c209c04676", "c11feff2b02d9e991a0afbb5390d3548"),
    61: ("d5450263da6955e5f99634b2e3a9a8b0", "be113083f6e0f047cf488d29aa59756c", "c443bde0dc4884c77314d471fec0890d"),
}
"""By prime size, the start of the SHA-256 of three expansions: stored keys and ciphertexts depend on them."""


@pytest.mark.parametrize("bits", GOLDEN)
def test_expansions_are_frozen(bits):
    basis = RNSBasis(64, ntt_primes(bits=bits, count=2, n=64))
    found = (
        digest(expand_uniform(basis, SEED)),
        digest(expand_uniform(basis, bytes(32), label="switching key", shape=(3,))),
        digest(expand_uniform(basis, SEED[::-1], label="ciphertext", shape=(2, 2), first_limb=1)),
    )
    assert found == GOLDEN[bits]


def test_a_prefix_of_the_limbs_is_a_prefix_of_the_expansion():
    """What makes level-limited keys views: limbs, and batch items, come from streams of their own."""
    basis = RNSBasis(64, PRIMES)
    whole = expand_uniform(basis, SEED, shape=(4,))
    for count in (1, 3, len(basis)):
        assert expand_uniform(basis[:count], SEED, shape=(4,)) == whole.limbs(slice(count))
    assert expand_uniform(basis[2:5], SEED, shape=(4,), first_limb=2) == whole.limbs(slice(2, 5))
    assert expand_uniform(basis, SEED, shape=(2,)) == whole[:2]
    assert expand_uniform(basis, SEED) == whole[0]
    assert expand_uniform(basis, SEED, shape=(2, 2))[1, 0] == whole[2]


def test_results_have_the_shape_of_what_is_written():
    """Neither a row too many, which would keep old words, nor one too few."""
    basis = RNSBasis(16, (97, 193))
    for shape in ((), (1, 2, 16), (3, 2, 16), (2, 1, 16), (2, 3, 16), (2, 2, 32)):
        with pytest.raises(BasisMismatch, match="needed"):
            expand_uniform(basis, SEED, shape=(2,), out=np.zeros(shape, dtype=np.uint64))
    out = np.zeros((2, 2, 16), dtype=np.uint64)
    made = expand_uniform(basis, SEED, shape=(2,), out=out)
    assert np.array_equal(out, expand_uniform(basis, SEED, shape=(2,)).residues)
    assert np.shares_memory(made.residues, out)


def test_rows_have_nothing_in_common():
    """Limbs and batch items of one seed, other labels, other seeds: uncorrelated at every offset."""
    basis = RNSBasis(2**12, ntt_primes(bits=50, count=3, n=2**12))
    rows = [
        row / basis.moduli[0] - 0.5
        for poly in (
            expand_uniform(basis, SEED, shape=(2,)),
            expand_uniform(basis, SEED, label="other", shape=(2,)),
            expand_uniform(basis, SEED[::-1], shape=(2,)),
        )
        for row in poly.residues.reshape(-1, 2**12)
    ]
    spectra = np.fft.rfft(np.array(rows))
    n = 2**12
    for i, a in enumerate(spectra):
        for b in spectra[:i]:
            correlations = np.fft.irfft(a * b.conj()) / n * 12
            # n offsets of deviation 1/sqrt(n) each, for 153 pairs: all within t with 2 * 153 n e^(-t^2/2) < 1e-6.
            assert np.abs(correlations).max() < sqrt(2 * log(2 * 153 * n * 1e6)) / sqrt(n)


def test_seeds_have_32_bytes():
    for nbytes in (0, 31, 33):
        with pytest.raises(ParameterError, match="needed 32"):
            expand_uniform(RNSBasis(8, (97,)), bytes(nbytes))


# ---- ring elements ---------------------------------------------------------------------------------------------

BASIS = RNSBasis(64, ntt_primes(bits=50, count=2, n=64) + ntt_primes(bits=61, count=1, n=64))


@pytest.mark.parametrize("sample", [ternary, error], ids=["ternary", "error"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)], ids=str)
def test_small_elements(backend, sample, shape):
    """All limbs hold the same small integers, in either domain, and nothing else depends on the domain."""
    draw = ternary_coefficients if sample is ternary else error_coefficients
    expected = draw(Rng(3), (*shape, 64))
    poly = sample(BASIS, Rng(3), shape, domain=Domain.COEFFICIENT)
    values = sample(BASIS, Rng(3), shape)
    assert poly.domain is Domain.COEFFICIENT and values.domain is Domain.NTT
    assert poly.shape == values.shape == shape
    assert np.array_equal(poly.to_integers(), expected)
    assert values == poly.to_ntt()


def test_every_call_draws_anew(rng):
    for sample in (uniform, ternary, error):
        assert sample(BASIS, rng) != sample(BASIS, rng)
    assert ternary_fixed_weight(BASIS, rng, 32) != ternary_fixed_weight(BASIS, rng, 32)
    batch = error(BASIS, rng, (3,))
    assert batch[0] != batch[1] and batch[1] != batch[2]


class Watched(Rng):
    """Tells which chain was asked."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[str] = []

    __slots__ = ("asked",)

    def public_seed(self) -> bytes:
        self.asked.append("public")
        return super().public_seed()

    def secret_seed(self) -> bytes:
        self.asked.append("secret")
        return super().secret_seed()


def test_public_and_secret_samples_use_their_chains():
    """The seed of a uniform half is published: it must never be one that makes a secret or an error."""
    rng = Watched()
    uniform(BASIS, rng)
    ternary(BASIS, rng)
    error(BASIS, rng)
    ternary_fixed_weight(BASIS, rng, 3)
    assert rng.asked == ["public", "secret", "secret", "secret"]


# ---- fixed weight ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1, 2, 32, 63, 64])
def test_fixed_weight(backend, rng, weight):
    for domain in Domain:
        poly = ternary_fixed_weight(BASIS, rng, weight, domain=domain)
        assert poly.domain is domain
        x = poly.to_integers()
        assert set(x.tolist()) <= {-1, 0, 1} and np.count_nonzero(x) == weight


def test_fixed_weight_is_uniform(rng):
    """Positions and signs over 2000 draws of 16 among 64.

    A position is taken with p = 1/4; within a draw the counts are negatively correlated, which makes
    sum (c - np)^2 / (np(1-p)) times 63/64 a chi-square of 63 degrees.
    """
    draws, basis = 2000, RNSBasis(64, (257,))
    x = np.array(
        [ternary_fixed_weight(basis, rng, 16, domain=Domain.COEFFICIENT).residues[0] for _ in range(draws)]
    ).astype(np.int64)
    x[x == 256] = -1
    counts = np.count_nonzero(x, axis=0)
    statistic = ((counts - draws / 4) ** 2).sum() / (draws * 3 / 16) * 63 / 64
    assert gammaincc(63 / 2, statistic / 2) > LEAST
    signs = x[x != 0]
    assert abs(signs.mean()) < 5 / sqrt(len(signs))
    assert abs(x.sum(axis=0)).max() < 6 * sqrt(draws / 4)  # signs of each position: 64 of them, 6 deviations
    # -1/63 within a draw, 0 from one to the next; 5 deviations of 1/sqrt(128000).
    assert abs(lag_correlation(np.abs(x).astype(float).ravel()) + 1 / 64) < 0.014


@pytest.mark.parametrize("weight", [0, -1, 65])
def test_weights_that_do_not_fit(rng, weight):
    with pytest.raises(ParameterError, match=f"weight {weight} for 64 coefficients; needed 1 to 64"):
        ternary_fixed_weight(BASIS, rng, weight)
