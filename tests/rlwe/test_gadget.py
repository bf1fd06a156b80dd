"""Decompose, gadget product, mod down: word for word what big integers give, for every grouping at every level."""

from __future__ import annotations

from functools import cache

import naive
import numpy as np
import pytest
from rlwe_kit import (
    GROUPINGS,
    SPECIAL,
    coefficient_rows,
    decompose_exactly,
    grouped,
    groups,
    mod_down_exactly,
    ntt_rows,
    product_exactly,
    random_words,
)

from ckks.errors import BasisMismatch, HEError, LevelError, ParameterError
from ckks.rlwe import Ciphertext, RLWEParams, SwitchingKey, decompose, gadget_product, mod_down, switch
from ckks.rlwe.gadget import gadget_of
from ckks.rlwe.hoisting import lift

every_grouping = pytest.mark.parametrize("name", GROUPINGS)
DEGREES = (8, 32)


def random_key(params: RLWEParams, seed: int = 9, level: int | None = None) -> SwitchingKey:
    """Uniform words: exactness does not ask whether a key makes sense."""
    level = params.top_level if level is None else level
    words = random_words(params.extended_basis(level), seed, (len(params.digits(level)), 2))
    return SwitchingKey(params, words, level)


@cache
def exact(name: str, n: int, level: int):
    """(x, digits, key, product, quotient, quotient with the level dropped too) at one level, in big integers."""
    params = grouped(name, n)
    x = random_words(params.basis(level), level, (2,))
    digits = [decompose_exactly(params, item, level) for item in x]
    key = random_key(params)
    product = [product_exactly(params, item, key.words, level) for item in digits]
    down = [[mod_down_exactly(params, part, level) for part in item] for item in product]
    rescaled = [
        [mod_down_exactly(params, part, level, rescale=True) for part in item] for item in product
    ] if level else None  # fmt: skip
    return x, np.swapaxes(digits, 0, 1), key, np.swapaxes(product, 0, 1), np.swapaxes(down, 0, 1), rescaled


@every_grouping
def test_key_switching_word_for_word(backend, name):
    """Each step from the exact input of the one before, at every level, then all of them."""
    for n in DEGREES:
        params = grouped(name, n)
        for level in range(params.top_level + 1):
            x, digits, key, product, down, rescaled = exact(name, n, level)
            found = decompose(params, x, level)
            naive.first_difference(found, digits)
            naive.first_difference(gadget_product(found, key, level), product)
            words = np.array(product, dtype=np.uint64)
            naive.first_difference(mod_down(params, words, level), down)
            if level:
                found = mod_down(params, words, level, rescale=True)
                naive.first_difference(found.swapaxes(0, 1), rescaled)
            naive.first_difference(switch(x, key, level), down)


@every_grouping
def test_digits_put_together_again(name):
    """sum_d digit_d g_d = x modulo Q, with g_d from its definition, and every digit is small."""
    params = grouped(name, 8)
    for level in range(params.top_level + 1):
        basis, joint = params.basis(level), params.extended_basis(level)
        x = random_words(basis, 5)
        digits = decompose(params, x, level)
        factors = naive.gadget_factors(groups(params, level))
        total = [0] * 8
        for digit, factor, primes in zip(digits, factors, groups(params, level), strict=True):
            value = naive.compose_poly(coefficient_rows(joint, digit), joint.moduli)
            d = np.prod(primes, dtype=object)
            bounds = (-(d // 2), d // 2) if params.centred_digits else (0, d - 1)
            assert all(bounds[0] <= c <= bounds[1] for c in value)
            total = [t + factor * c for t, c in zip(total, value, strict=True)]
        assert [t % basis.modulus for t in total] == naive.compose_poly(
            coefficient_rows(basis, x), basis.moduli, centre=False
        )


@every_grouping
def test_gadget_factors_are_what_key_generation_adds(name):
    """P g_d is P on the primes of digit d and 0 on all others, special ones included."""
    params = grouped(name, 8)
    for level in range(params.top_level + 1):
        joint, k = params.extended_basis(level), params.num_special
        for factor, own in zip(naive.gadget_factors(groups(params, level)), params.digits(level), strict=True):
            row = [params.special_modulus * factor % q for q in joint.moduli]
            scalars = gadget_of(params, level).weights.tolist()
            expected = [scalars[i - k] if k + own.start <= i < k + own.stop else 0 for i in range(len(joint))]
            assert row == expected


@every_grouping
def test_batches_are_single_ones(backend, name):
    params = grouped(name, 8)
    level, key = params.top_level, random_key(grouped(name, 8))
    x = random_words(params.basis(level), 3, (2, 3))
    digits = decompose(params, x, level)
    product = gadget_product(digits, key, level)
    down = mod_down(params, product, level)
    assert digits.shape[:3] == (len(params.digits(level)), 2, 3) and down.shape[:3] == (2, 2, 3)
    for i, j in np.ndindex(2, 3):
        naive.first_difference(digits[:, i, j], decompose(params, x[i, j], level))
        naive.first_difference(product[:, i, j], gadget_product(digits[:, i, j], key, level))
        naive.first_difference(down[:, i, j], mod_down(params, product[:, i, j], level))


@every_grouping
def test_keys_of_a_higher_level_are_prefixes(backend, name):
    """A key acts at a level with those words that a key of that level would have."""
    params = grouped(name, 8)
    key = random_key(params)
    for level in range(params.top_level):
        limbs, count = len(params.extended_basis(level)), len(params.digits(level))
        own = SwitchingKey(params, key.words[:count, :, :limbs], level)
        x = random_words(params.basis(level), 4)
        naive.first_difference(switch(x, key, level), switch(x, own, level))


@every_grouping
def test_lifting(backend, name):
    """P x over QP: P times the words of x modulo each q_i, nothing modulo the special primes."""
    params = grouped(name, 8)
    for level in range(params.top_level + 1):
        basis, joint = params.basis(level), params.extended_basis(level)
        x = random_words(basis, 1, (2,))
        lifted = lift(Ciphertext(params=params, words=x, level=level))
        for item, words in zip(lifted, x, strict=True):
            value = naive.compose_poly(coefficient_rows(basis, words), basis.moduli)
            naive.first_difference(item, ntt_rows(joint, [params.special_modulus * c for c in value]))
        naive.first_difference(mod_down(params, lifted, level), x)  # P x / P


# ---- refusals --------------------------------------------------------------------------------------------------


def test_without_special_primes_there_are_no_digits():
    params = RLWEParams.insecure(ring_degree=8, levels=((SPECIAL[0],), (SPECIAL[1],)))
    with pytest.raises(ParameterError, match=r"no special primes.*add special_moduli"):
        decompose(params, random_words(params.basis(1), 0), 1)


def test_a_key_acts_at_its_level_and_below():
    params = grouped("last digit cut", 8)
    low = random_key(params, level=2)
    digits = decompose(params, random_words(params.basis(3), 0), 3)
    with pytest.raises(LevelError, match=r"key of level 2 cannot act at level 3; generate it for that level"):
        gadget_product(digits, low, 3)


def test_levels_and_words_belong_together():
    params = grouped("last digit cut", 8)
    x, key = random_words(params.basis(3), 0), random_key(params)
    digits = decompose(params, x, 3)
    product = gadget_product(digits, key, 3)
    for wrong in (
        lambda: decompose(params, x, 2),
        lambda: decompose(params, x, 4),
        lambda: gadget_product(digits, key, 2),
        lambda: gadget_product(digits, key, 4),
        lambda: mod_down(params, product, 2),
        lambda: mod_down(params, product, 4),
        lambda: switch(x, key, 2),
    ):
        with pytest.raises(BasisMismatch):
            wrong()
    for wrong in (
        lambda: decompose(params, x, 5),
        lambda: gadget_product(digits, key, -1),
        lambda: mod_down(params, product, 7),
    ):
        with pytest.raises(LevelError):
            wrong()


def test_the_base_cannot_be_rescaled_away():
    params = grouped("last digit cut", 8)
    acc = random_words(params.extended_basis(0), 0, (2,))
    with pytest.raises(HEError):
        mod_down(params, acc, 0, rescale=True)


def test_more_digits_than_the_key_has():
    params = grouped("last digit cut", 8)
    digits = decompose(params, random_words(params.basis(4), 0), 4)
    with pytest.raises(BasisMismatch):
        gadget_product(np.concatenate([digits, digits]), random_key(params), 4)


def test_the_oracle_transforms_by_definition():
    """Guards the matrices in `rlwe_kit`."""
    basis = grouped("wide and small primes", 16).basis(2)
    words = random_words(basis, 8)
    for row, found, q, psi in zip(words, coefficient_rows(basis, words), basis.moduli, basis.roots, strict=True):
        naive.first_difference(found, naive.intt(row, q, psi))
    x = list(range(-8, 8))
    expected = [naive.ntt(x, q, psi) for q, psi in zip(basis.moduli, basis.roots, strict=True)]
    naive.first_difference(ntt_rows(basis, x), expected)
