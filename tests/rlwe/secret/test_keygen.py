"""What keys are made of: b + a s = e + P g_d s' with small e, digit by digit; prefixes; seeds."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes
from rlwe_kit import GROUPINGS, SPECIAL, grouped, groups, poly

from ckks import kernels
from ckks.errors import BasisMismatch, HEError, LevelError, ParameterError
from ckks.ring import ERROR_BOUND, ERROR_STD, Domain, RingPoly, Rng
from ckks.rlwe import RLWEParams, seeds
from ckks.rlwe.secret import KeyGenerator, SecretKey

SETS = {name: lambda name=name: grouped(name, 32) for name in GROUPINGS} | {
    "insecure_small": insecure_small,
    "insecure_pairs": insecure_pairs,
    "insecure_single_digit": insecure_single_digit,
    "insecure_wide_primes": insecure_wide_primes,
}
every_set = pytest.mark.parametrize("name", SETS)


def element(params: RLWEParams, secret: SecretKey, level: int) -> RingPoly:
    """s over the joint basis of a level, made from its coefficients."""
    return RingPoly.from_integers(params.extended_basis(level), secret.coefficients()).to_ntt()


def errors_of(key, secret: SecretKey, source: RingPoly) -> list[np.ndarray]:
    """b_d + a_d s - P g_d s' for each digit, as integers; `source` is s' over the joint basis of the key."""
    params, level = key.params, key.level
    s = element(params, secret, level)
    found = []
    for row, factor in zip(key.words, naive.gadget_factors(groups(params, level)), strict=True):
        b, a = (poly(key.basis, words) for words in row)
        found.append((b + a * s - source * (params.special_modulus * factor)).to_integers())
    return found


def assert_small(errors: list[np.ndarray]) -> None:
    for e in errors:
        assert max(abs(c) for c in e) <= ERROR_BOUND
        assert len(set(e.tolist())) > 3  # there is an error at all
    for i, e in enumerate(errors):
        assert not any(np.array_equal(e, other) for other in errors[:i])


# ---- structure -------------------------------------------------------------------------------------------------


def test_secrets_are_ternary(rng):
    params = insecure_small(1024)
    x = KeyGenerator(params, rng).secret_key().coefficients()
    assert x.dtype == np.int8 and x.shape == (1024,) and set(x.tolist()) == {-1, 0, 1}
    # Each value 1024/3 times, deviation sqrt(1024 * 2/9) = 15.1: 5 deviations.
    assert all(abs(np.count_nonzero(x == k) - 1024 / 3) < 76 for k in (-1, 0, 1))


@every_set
def test_the_secret_in_every_basis(backend, name, rng):
    params = SETS[name]()
    secret = KeyGenerator(params, rng).secret_key()
    for level in range(params.top_level + 1):
        s = element(params, secret, level)
        naive.first_difference(secret.ntt(params.extended_basis(level)), s.residues)
        naive.first_difference(secret.ntt(params.basis(level)), s.limbs(slice(params.num_special, None)).residues)
    if params.ring_degree <= 32:
        basis = params.basis(0)
        expected = naive.ntt(secret.coefficients(), basis.moduli[0], basis.roots[0])
        naive.first_difference(secret.ntt(basis)[0], expected)


@every_set
def test_public_keys(backend, name, rng):
    params = SETS[name]()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    key = keygen.public_key(secret)
    b, a = (poly(params.basis_qp, words) for words in key.words)
    assert_small([(b + a * element(params, secret, params.top_level)).to_integers()])
    assert key.level == params.top_level
    naive.first_difference(seeds.public_key_half(params, key.level, key.seed), a.residues)


@every_set
def test_relinearisation_keys(backend, name, rng):
    params = SETS[name]()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    for level in range(params.top_level + 1):
        s = element(params, secret, level)
        key = keygen.relin_key(secret, level)
        assert key.level == level and key.words.shape[:2] == (len(params.digits(level)), 2)
        assert_small(errors_of(key, secret, s * s))
        naive.first_difference(seeds.switching_key_halves(params, level, key.seed), key.words[:, 1])


@every_set
def test_galois_keys(backend, name, rng):
    """From s to s(X^(1/g)): the automorphism that follows leads back to s."""
    params = SETS[name]()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    m = 2 * params.ring_degree
    for g in (5, m - 1, pow(5, -1, m), 3, 1):
        for level in {0, params.top_level}:
            key = keygen.galois_key(secret, g, level)
            coefficients = naive.automorphism(secret.coefficients().tolist(), pow(g, -1, m))
            back = SecretKey(params, np.array(coefficients, dtype=np.int8))
            assert_small(errors_of(key, back, element(params, secret, level)))


def test_switching_keys_from_any_secret(backend, rng):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    old, new = keygen.secret_key(), keygen.secret_key()
    for level in range(params.top_level + 1):
        key = keygen.switching_key(new, old.ntt(params.basis(level)), level)
        assert_small(errors_of(key, new, element(params, old, level)))
    assert keygen.switching_key(new, old.ntt(params.basis(params.top_level))).level == params.top_level


def test_errors_of_keys_have_the_stated_deviation(rng):
    """Of 16 keys of 3 digits: variance 10.5 within 5 deviations, sqrt(2/n) each, and no mean."""
    params = insecure_small(128, depth=5)
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    s = element(params, secret, params.top_level)
    e = np.array([errors_of(keygen.relin_key(secret), secret, s * s) for _ in range(16)], dtype=float).ravel()
    assert abs(e.var() / ERROR_STD**2 - 1) < 5 * np.sqrt(2 / e.size)
    assert abs(e.mean()) < 5 * ERROR_STD / np.sqrt(e.size)


# ---- levels ----------------------------------------------------------------------------------------------------


@every_set
def test_keys_of_a_level_are_prefixes(backend, name):
    """From the same randomness, the key of a lower level is the first words of the key of the top."""
    params = SETS[name]()
    secret = KeyGenerator(params, Rng(1)).secret_key()

    def keys(level: int | None):
        yield KeyGenerator(params, Rng(2)).relin_key(secret, level)
        yield KeyGenerator(params, Rng(3)).galois_key(secret, 5, level)
        source = secret.ntt(params.basis(params.top_level if level is None else level))
        yield KeyGenerator(params, Rng(4)).switching_key(secret, source, level)

    for level in range(params.top_level + 1):
        limbs, count = len(params.extended_basis(level)), len(params.digits(level))
        for high, low in zip(keys(None), keys(level), strict=True):
            assert high.seed == low.seed
            naive.first_difference(low.words, high.words[:count, :, :limbs])


# ---- randomness ------------------------------------------------------------------------------------------------


def test_every_key_is_drawn_anew():
    params = insecure_small()
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    assert not np.array_equal(secret.coefficients(), keygen.secret_key().coefficients())
    made = [keygen.public_key(secret) for _ in range(3)] + [keygen.relin_key(secret) for _ in range(3)]
    made += [keygen.galois_key(secret, g) for g in (5, 5, 25)]
    assert len({key.seed for key in made}) == len(made)
    assert len({key.words.tobytes() for key in made}) == len(made)


def test_public_seeds_come_from_the_public_chain(monkeypatch):
    """The seed that a key shows is one of `public_seed`, and no secret seed is ever shown."""
    public, hidden = [], []

    class Watched(Rng):
        def public_seed(self) -> bytes:
            public.append(super().public_seed())
            return public[-1]

        def secret_seed(self) -> bytes:
            hidden.append(super().secret_seed())
            return hidden[-1]

    params = insecure_small()
    keygen = KeyGenerator(params, Watched(5))
    secret = keygen.secret_key()
    assert (len(public), len(hidden)) == (0, 1)
    keys = keygen.evaluation_keys(secret, rotations=[1, 2], conjugation=True)
    shown = [keys.relin.seed, *(key.seed for key in keys.galois.values()), keygen.public_key(secret).seed]
    assert shown == public and len(public) == 5
    assert not set(public) & set(hidden)


# ---- sets of keys ----------------------------------------------------------------------------------------------


def test_evaluation_keys_hold_what_was_asked_for(rng):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    m, slots = 128, 32
    keys = keygen.evaluation_keys(secret)
    assert keys.relin is not None and dict(keys.galois) == {}
    keys = keygen.evaluation_keys(secret, relin=False, rotations=[1, -1, 0, 3, slots, slots + 1], conjugation=True)
    assert keys.relin is None
    assert set(keys.galois) == {5, pow(5, -1, m), 125, m - 1}  # 0 and a full turn need no key
    keys = keygen.evaluation_keys(secret, relin=False, galois_elements=[3, -3, 1, m + 3], level=1)
    assert set(keys.galois) == {3, m - 3}
    assert all(key.level == 1 for key in keys.galois.values())
    assert keygen.evaluation_keys(secret, rotations=[1], level=2).relin.level == 2


# ---- refusals --------------------------------------------------------------------------------------------------


def test_secrets_of_other_parameters(rng):
    params, others = insecure_small(), insecure_pairs()
    keygen = KeyGenerator(params, rng)
    foreign = KeyGenerator(others, rng).secret_key()
    for make in (
        keygen.public_key,
        keygen.relin_key,
        lambda s: keygen.galois_key(s, 5),
        lambda s: keygen.switching_key(s, kernels.zeros((5, 64))),
        keygen.evaluation_keys,
        lambda s: keygen.evaluation_keys(s, relin=False, rotations=[1]),
    ):
        with pytest.raises(BasisMismatch, match="other parameters than this key generator"):
            make(foreign)


@pytest.mark.parametrize("level", [-1, 5])
def test_keys_of_levels_that_do_not_exist(rng, level):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    for make in (
        lambda: keygen.relin_key(secret, level),
        lambda: keygen.galois_key(secret, 5, level),
        lambda: keygen.switching_key(secret, kernels.zeros((5, 64)), level),
        lambda: keygen.evaluation_keys(secret, rotations=[1], level=level),
    ):
        with pytest.raises(LevelError, match=f"level {level}; these parameters have levels 0 to 4"):
            make()


def test_switching_keys_need_special_primes(rng):
    params = RLWEParams.insecure(ring_degree=8, levels=((SPECIAL[0],), (SPECIAL[1],)))
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    keygen.public_key(secret)
    for make in (keygen.relin_key, lambda s: keygen.galois_key(s, 5), keygen.evaluation_keys):
        with pytest.raises(ParameterError, match="no special primes"):
            make(secret)


@pytest.mark.parametrize("shape", [(4, 64), (6, 64), (5, 32), (1, 5, 64), (64,)], ids=str)
def test_sources_of_the_wrong_shape(rng, shape):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    with pytest.raises(BasisMismatch, match=r"needed .*\(5, 64\)"):
        keygen.switching_key(keygen.secret_key(), kernels.zeros(shape))


def test_elements_that_are_no_automorphisms(rng):
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    for make in (
        lambda: keygen.galois_key(secret, 4),
        lambda: keygen.evaluation_keys(secret, galois_elements=[6]),
    ):
        with pytest.raises(HEError, match="odd"):
            make()


def test_elements_of_a_basis_that_is_no_part(rng):
    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    for basis in (params.basis_qp[1:4], params.basis_qp[::-1], insecure_pairs().basis(0), params.basis(4)[1:]):
        with pytest.raises(BasisMismatch, match="no part of the joint basis"):
            secret.ntt(basis)


def test_words_of_keys_are_in_ntt_form(backend, rng):
    """Key words are those of a RingPoly in NTT form over the joint basis, and cannot be changed."""
    params = insecure_small()
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    for key in (keygen.public_key(secret), keygen.relin_key(secret)):
        RingPoly(key.basis, key.words, Domain.NTT)
        assert not key.words.flags.writeable
