"""Relinearisation, automorphisms, rescaling: words against big integers, meaning against the secret key."""

from __future__ import annotations

from functools import cache

import naive
import numpy as np
import pytest
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes
from rlwe_kit import (
    GROUPINGS,
    at_roots,
    coefficient_rows,
    decompose_exactly,
    grouped,
    integers,
    mod_down_exactly,
    ntt_rows,
    plaintext,
    poly,
    product_exactly,
    random_words,
    small_integers,
)

from ckks.errors import BasisMismatch, LevelError, MissingKey, ParameterError
from ckks.ring import Rng
from ckks.rlwe import (
    Ciphertext,
    EvaluationKeys,
    RLWEParams,
    SwitchingKey,
    apply_automorphism,
    automorphism_sum,
    divide_by_level,
    hoisted_automorphisms,
    multiply,
    noise,
    relinearise,
    tensor,
)
from ckks.rlwe.noise import EXACT
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret
from ckks.scheme import CKKSParams

every_grouping = pytest.mark.parametrize("name", GROUPINGS)
N = 8


def random_ciphertext(params: RLWEParams, level: int, seed: int, *lead: int, parts: int = 2) -> Ciphertext:
    return Ciphertext(params=params, words=random_words(params.basis(level), seed, (*lead, parts)), level=level)


def random_key(params: RLWEParams, seed: int = 9) -> SwitchingKey:
    top = params.top_level
    return SwitchingKey(params, random_words(params.basis_qp, seed, (len(params.digits(top)), 2)), top)


# ---- words -----------------------------------------------------------------------------------------------------


def switched_exactly(params: RLWEParams, x, key, others, level: int, *, rescale: bool = False) -> list:
    """round((<digits of x, key> + P others) / P): both parts; `others` are (limbs, N) words or None for none."""
    acc = product_exactly(params, decompose_exactly(params, x, level), key.words, level)
    k = params.num_special
    moduli = params.basis(level).moduli
    for part, words in zip(acc, others, strict=True):
        if words is not None:
            for i, q in enumerate(moduli):
                part[k + i] = [
                    (a + params.special_modulus * int(b)) % q for a, b in zip(part[k + i], words[i], strict=True)
                ]
    return [mod_down_exactly(params, part, level, rescale=rescale) for part in acc]


@cache
def relinearised_exactly(name: str, level: int, rescale: bool):
    params = grouped(name, N)
    ct, key = random_ciphertext(params, level, level, 2, parts=3), random_key(params)
    return ct, key, [
        switched_exactly(params, item[2], key, (item[0], item[1]), level, rescale=rescale) for item in ct.words
    ]  # fmt: skip


@every_grouping
def test_relinearisation_word_for_word(backend, name):
    """Alone, and with the rescale merged into its division, at every level."""
    for level in range(grouped(name, N).top_level + 1):
        for rescale in (False, True) if level else (False,):
            ct, key, expected = relinearised_exactly(name, level, rescale)
            found = relinearise(ct, key, rescale=rescale)
            assert found.parts == 2 and found.level == level - rescale and found.shape == (2,)
            naive.first_difference(found.words, expected)


@cache
def turned_exactly(name: str, level: int):
    params = grouped(name, N)
    ct, elements = random_ciphertext(params, level, level, 2), (3, 5, 2 * N - 1)
    keys = EvaluationKeys(params, None, {g: random_key(params, g) for g in elements})
    expected = {}
    for g, key in keys.galois.items():
        gather = naive.automorphism_gather(N, g)
        switched = [switched_exactly(params, item[1], key, (item[0], None), level) for item in ct.words]
        expected[g] = np.array(switched)[..., gather]
    return ct, keys, expected


@every_grouping
def test_automorphisms_word_for_word(backend, name):
    """One by one and hoisted: the same words, those of the definition."""
    for level in range(grouped(name, N).top_level + 1):
        ct, keys, expected = turned_exactly(name, level)
        hoisted = hoisted_automorphisms(ct, (*expected, 1), keys)
        for g, words in expected.items():
            naive.first_difference(hoisted[g].words, words)
            single = apply_automorphism(ct, g, keys)
            naive.first_difference(single.words, words)
            assert single.level == level and single.shape == (2,) and single.noise == hoisted[g].noise
        assert hoisted[1] is ct


@every_grouping
def test_rescaling_word_for_word(backend, name):
    params = grouped(name, N)
    for level in range(1, params.top_level + 1):
        parts = 2 + level % 2
        ct = random_ciphertext(params, level, level, 2, parts=parts)
        found = divide_by_level(ct)
        basis, kept = params.basis(level), params.basis(level - 1)
        assert found.level == level - 1 and found.parts == parts
        for item, words in zip(found.words, ct.words, strict=True):
            for part, row in zip(item, words, strict=True):
                exact = naive.rescale(coefficient_rows(basis, row), basis.moduli, len(params.levels[level]))
                naive.first_difference(coefficient_rows(kept, part), exact)


def test_rescaling_is_what_relinearisation_does_to_two_parts(backend):
    params = grouped("last digit cut", N)
    ct, key = random_ciphertext(params, 3, 1), random_key(params)
    assert relinearise(ct, key) is ct
    naive.first_difference(relinearise(ct, key, rescale=True).words, divide_by_level(ct).words)


def test_merged_and_separate_rescale_differ_by_roundings(backend):
    """round(round(x/P)/q) and round(x/(Pq)): each part off by one unit at most."""
    params = grouped("last digit cut", N)
    ct, key = random_ciphertext(params, 4, 1, parts=3), random_key(params)
    merged, separate = relinearise(ct, key, rescale=True), divide_by_level(relinearise(ct, key))
    for i in (0, 1):
        assert max(abs(c) for c in (merged.part(i) - separate.part(i)).to_integers()) <= 1


def test_tensor_products(backend):
    """(a0 b0, a0 b1 + a1 b0, a1 b1), batches broadcast."""
    params = grouped("wide and small primes", N)
    q = np.array(params.basis(2).moduli, dtype=object)[:, None]
    for left, right in (((), ()), ((3,), ()), ((2, 1), (3,)), ((2,), (2,))):
        a, b = random_ciphertext(params, 2, 1, *left), random_ciphertext(params, 2, 2, *right)
        c = tensor(a, b, EXACT)
        x, y = a.words.astype(object), b.words.astype(object)
        x0, x1, y0, y1 = x[..., 0, :, :], x[..., 1, :, :], y[..., 0, :, :], y[..., 1, :, :]
        naive.first_difference(c.words, np.stack([x0 * y0 % q, (x0 * y1 + x1 * y0) % q, x1 * y1 % q], axis=-3))
        assert c.parts == 3 and c.shape == np.broadcast_shapes(left, right) and c.level == 2


# ---- meaning ---------------------------------------------------------------------------------------------------

SETS = {
    "insecure_small": insecure_small,
    "insecure_pairs": insecure_pairs,
    "insecure_single_digit": insecure_single_digit,
    "uncentred digits": lambda n=64: insecure_single_digit(n, centred=False),
    "insecure_wide_primes": insecure_wide_primes,
}
every_set = pytest.mark.parametrize("name", SETS)


@cache
def toy(name: str, n: int = 64):
    """(params, secret, keys for relinearisation, every power of two, and conjugation)."""
    params = SETS[name](n)
    keygen = KeyGenerator(params, Rng(7))
    secret = keygen.secret_key()
    rotations = [2**i for i in range(n.bit_length() - 2)]
    keys = keygen.evaluation_keys(secret, rotations=[*rotations, 3, -1], conjugation=True)
    return params, secret, keys


def phase(ct: Ciphertext, secret) -> np.ndarray:
    """c_0 + c_1 s + ..., which the messages here keep below half of the first prime."""
    return small_integers(decrypt(ct, secret).poly)


@every_set
def test_automorphisms_of_messages(backend, name):
    """The decryption of ct(X^g) is m(X^g) up to the noise that it is said to have."""
    params, secret, keys = toy(name)
    for level in {1, params.top_level}:
        rng = Rng(level)
        m = np.arange(64, dtype=object) * 2**30 - 2**34
        ct, _ = encrypt_secret(plaintext(params, [m, -m], level), secret, rng)
        before = phase(ct, secret)
        for g in keys.galois:
            after = apply_automorphism(ct, g, keys)
            size = noise.key_switch(params, level) + noise.rounding(params)
            for x, y in zip(before, phase(after, secret), strict=True):
                difference = np.array(y) - naive.automorphism(x.tolist(), g)
                assert np.abs(at_roots(difference)).max() <= size.bound
            assert after.noise.bound == pytest.approx((ct.noise + size).bound)


@every_set
def test_automorphisms_form_a_group(backend, name):
    """rotate(j) o rotate(k) = rotate(j + k), every power of two; conjugation twice is nothing; they commute."""
    params, secret, keys = toy(name)
    level, m = params.top_level, 128
    ct, _ = encrypt_secret(plaintext(params, np.arange(64) << 25, level), secret, Rng(8))
    bound = 4 * (noise.key_switch(params, level) + noise.rounding(params)).bound

    def turned(ct: Ciphertext, *elements: int) -> Ciphertext:
        for g in elements:
            ct = apply_automorphism(ct, g % m, keys)
        return ct

    def close(a: Ciphertext, b: Ciphertext) -> None:
        assert np.abs(at_roots(phase(a, secret) - phase(b, secret))).max() <= bound

    r = {k: pow(5, k, m) for k in (1, 2, 3, 4, 8, 16, -1)}
    close(turned(ct, r[1], r[2]), turned(ct, r[3]))
    close(turned(ct, r[1], r[-1]), ct)
    for k in (1, 2, 4, 8):
        close(turned(ct, r[k], r[k]), turned(ct, r[2 * k]))
    close(turned(ct, r[16], r[16]), ct)  # 32 slots
    close(turned(ct, -1, -1), ct)
    close(turned(ct, -1, r[3]), turned(ct, r[3], -1))
    assert np.abs(at_roots(phase(turned(ct, r[1]), secret) - phase(ct, secret))).max() > bound  # it does something


@every_set
def test_hoisted_is_single(backend, name):
    params, secret, keys = toy(name)
    ct, _ = encrypt_secret(plaintext(params, np.arange(64) << 25, params.top_level), secret, Rng(9))
    for level in (1, params.top_level):
        low = ct.at_level(level)
        many = hoisted_automorphisms(low, tuple(keys.galois), keys)
        assert set(many) == set(keys.galois)
        for g, found in many.items():
            naive.first_difference(found.words, apply_automorphism(low, g, keys).words)


def test_a_sum_of_very_many_automorphisms():
    """20,000 times the same one is that one with a factor of 20,000, word for word: no sum of the kernels is full."""
    params = CKKSParams.generate(
        ring_degree=64, depth=1, scale_bits=40, base_bits=50, special_bits=50, num_special=1, security=None
    )
    generator = KeyGenerator(params)
    secret = generator.secret_key()
    keys = generator.evaluation_keys(secret, rotations=(1,))
    ct, _ = encrypt_secret(plaintext(params, np.arange(64) << 25, 1), secret, Rng(10))
    many = 20_000
    words = np.array(ntt_rows(params.extended_basis(1), [many, *[0] * 63]), dtype=np.uint64)
    once = automorphism_sum(ct, (5,), keys, [(words, noise.Noise(many, many))])
    naive.first_difference(automorphism_sum(ct, (5,) * many, keys).words, once.words)


@every_set
def test_sums_of_automorphisms(backend, name):
    """The message of the sum is the sum of the messages, each times its factor; the error stays in its bound."""
    params, secret, keys = toy(name)
    level = params.top_level
    joint = params.extended_basis(level)
    m = np.arange(64, dtype=object) * 2**25 - 2**29
    ct, _ = encrypt_secret(plaintext(params, m, level), secret, Rng(10))
    elements = (1, *list(keys.galois)[:4])
    before = phase(ct, secret)
    found = automorphism_sum(ct, elements, keys)
    exact = sum(np.array(naive.automorphism(before.tolist(), g)) for g in elements)
    assert np.abs(at_roots(phase(found, secret) - exact)).max() <= found.noise.bound
    factors = []
    for i in range(len(elements)):
        f = [0] * 64
        f[i] = i + 1  # (i + 1) X^i
        factors.append((np.array(ntt_rows(joint, f), dtype=np.uint64), noise.Noise(i + 1.0, i + 1.0)))
    found = automorphism_sum(ct, elements, keys, [None, *factors[1:]])
    exact = np.array(before)
    for i, g in enumerate(elements[1:], start=1):
        f = [0] * 64
        f[i] = i + 1
        exact = exact + np.array(naive.negacyclic_multiply(naive.automorphism(before.tolist(), g), f))
    assert np.abs(at_roots(phase(found, secret) - exact)).max() <= found.noise.bound
    with pytest.raises(BasisMismatch, match="one each"):
        automorphism_sum(ct, elements, keys, factors[1:])


def test_errors_of_one_automorphism_add_up_and_those_of_two_do_not_correlate():
    params, _, keys = toy("insecure_small")
    ct = random_ciphertext(params, params.top_level, 3)
    g, h = list(keys.galois)[:2]
    one = (ct.noise + noise.key_switch(params, ct.level)).std
    rounding = noise.rounding(params).std
    twice, both = (automorphism_sum(ct, elements, keys).noise.std for elements in ((g, g), (g, h)))
    assert twice == pytest.approx(np.hypot(2 * one, rounding))
    assert both == pytest.approx(np.hypot(np.hypot(one, one), rounding))


@every_set
@pytest.mark.parametrize("rescale", [False, True], ids=["alone", "with rescale"])
def test_a_product_in_one_is_tensor_and_relinearise(backend, name, rescale):
    params, _, keys = toy(name)
    for level in {1, params.top_level}:
        a = random_ciphertext(params, level, 1, 2)
        b = random_ciphertext(params, level, 2, 1)
        found = multiply(a, b, keys.relin_key(), EXACT, rescale=rescale)
        wanted = relinearise(tensor(a, b, EXACT), keys.relin_key(), rescale=rescale)
        naive.first_difference(found.words, wanted.words)
        assert (found.level, found.noise) == (wanted.level, wanted.noise)


@every_set
@pytest.mark.parametrize("rescale", [False, True], ids=["alone", "with rescale"])
def test_products(backend, name, rescale):
    """The phase of the product is the product of the phases; divided by q after a rescale; noise within its bound."""
    params, secret, keys = toy(name)
    for level in {1, params.top_level}:
        a, b = (
            encrypt_secret(plaintext(params, np.roll(np.arange(64) << 20, k), level), secret, Rng(k))[0] for k in (1, 2)
        )
        product = tensor(a, b, EXACT)
        exact = naive.negacyclic_multiply(phase(a, secret), phase(b, secret))
        assert integers(decrypt(product, secret)).tolist() == [
            naive.centred(c, params.basis(level).modulus) for c in exact
        ]
        found = relinearise(product, keys.relin_key(), rescale=rescale)
        assert found.level == level - rescale
        divisor = params.level_modulus(level) if rescale else 1
        difference = [
            float((divisor * y - x) / divisor) for x, y in zip(exact, integers(decrypt(found, secret)), strict=True)
        ]
        assert np.abs(at_roots(difference)).max() <= found.noise.bound
        expected = noise.key_switch(params, level).scaled(1 / divisor) + noise.rounding(params)
        assert (found.noise.std, found.noise.bound) == pytest.approx((expected.std, expected.bound))


def test_switching_between_secrets(backend):
    """A ciphertext under one secret becomes one under another."""
    from ckks.rlwe import switch

    params = insecure_small()
    keygen = KeyGenerator(params, Rng(3))
    old, new = keygen.secret_key(), keygen.secret_key()
    key = keygen.switching_key(new, old.ntt(params.basis(params.top_level)))
    for level in range(params.top_level + 1):
        ct, _ = encrypt_secret(plaintext(params, np.arange(64) << 20, level), old, Rng(4))
        words = switch(ct.words[1], key, level)
        c0 = poly(params.basis(level), words[0]) + ct.part(0)
        moved = Ciphertext(params=params, words=np.stack([c0.residues, words[1]]), level=level)
        bound = (noise.key_switch(params, level) + noise.rounding(params)).bound
        assert np.abs(at_roots(phase(moved, new) - phase(ct, old))).max() <= bound


# ---- refusals --------------------------------------------------------------------------------------------------


def test_other_parameters():
    params, _, keys = toy("insecure_small")
    other, _, foreign = toy("insecure_pairs")
    ct, three = random_ciphertext(params, 2, 1), random_ciphertext(params, 2, 1, parts=3)
    theirs = random_ciphertext(other, 2, 1)
    for act in (
        lambda: relinearise(three, foreign.relin_key()),
        lambda: relinearise(ct, foreign.relin_key(), rescale=True),
        lambda: apply_automorphism(ct, 5, foreign),
        lambda: hoisted_automorphisms(ct, (5, 25), foreign),
        lambda: tensor(ct, theirs, EXACT),
    ):
        with pytest.raises(BasisMismatch, match="parameter"):
            act()
    assert keys.relin is not None


def test_missing_keys():
    params, _, keys = toy("insecure_small")
    ct = random_ciphertext(params, 2, 1)
    for act in (lambda: apply_automorphism(ct, 7, keys), lambda: hoisted_automorphisms(ct, (5, 7), keys)):
        with pytest.raises(MissingKey, match=r"element 7; there are keys for: .*5.*Generate it"):
            act()
    assert apply_automorphism(ct, 1, EvaluationKeys(params)) is ct  # needs none
    with pytest.raises(ParameterError, match="odd"):
        apply_automorphism(ct, 2, keys)


def test_levels():
    params = insecure_small()
    keygen = KeyGenerator(params, Rng(5))
    secret = keygen.secret_key()
    low = keygen.evaluation_keys(secret, rotations=[1], level=1)
    for level in (0, 1):
        relinearise(random_ciphertext(params, level, 1, parts=3), low.relin_key())
        apply_automorphism(random_ciphertext(params, level, 1), 5, low)
    for act in (
        lambda: relinearise(random_ciphertext(params, 2, 1, parts=3), low.relin_key()),
        lambda: apply_automorphism(random_ciphertext(params, 2, 1), 5, low),
    ):
        with pytest.raises(LevelError, match="key of level 1 cannot act at level 2; generate"):
            act()
    for act in (
        lambda: relinearise(random_ciphertext(params, 0, 1, parts=3), low.relin_key(), rescale=True),
        lambda: relinearise(random_ciphertext(params, 0, 1), low.relin_key(), rescale=True),
        lambda: divide_by_level(random_ciphertext(params, 0, 1)),
    ):
        with pytest.raises(LevelError, match="cannot rescale at level 0"):
            act()


def test_parts():
    params, _, keys = toy("insecure_small")
    two, three, four = (random_ciphertext(params, 2, 1, parts=parts) for parts in (2, 3, 4))
    with pytest.raises(BasisMismatch, match="4 parts; needed 3"):
        relinearise(four, keys.relin_key())
    with pytest.raises(BasisMismatch, match="3 parts; relinearise it first"):
        apply_automorphism(three, 5, keys)
    for pair in ((two, three), (three, two), (two, two.at_level(1))):
        with pytest.raises(BasisMismatch, match="two parts each, one level"):
            tensor(*pair, EXACT)
    with pytest.raises(BasisMismatch, match="broadcast"):
        tensor(random_ciphertext(params, 2, 1, 2), random_ciphertext(params, 2, 1, 3), EXACT)
