"""The algebra of the scheme as properties (L13): what is true of numbers stays true of their encryptions.

Laws of the ring itself, exact, have their properties in tests/ring/test_poly.py; here they are checked once more
together with those of the scheme, so that the long tier runs a thousand examples of each.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache, wraps
from typing import Any

import numpy as np
import pytest
from draws import random_residues
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import Kit, at_the_ends, make_kit
from params import insecure_pairs, insecure_single_digit, insecure_small

from ckks import error_bound
from ckks.ring import Domain, RingPoly, RNSBasis, ntt_primes
from ckks.rlwe.secret import decrypt
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import ciphertext_from_bytes, evaluation_keys_from_bytes, to_bytes

N = 32
DECODING = 2.0**-46
SETS = {"one prime": insecure_small, "two primes": insecure_pairs, "one digit": insecure_single_digit}
BASIS = RNSBasis(N, (193, *ntt_primes(bits=50, count=1, n=N), *ntt_primes(bits=61, count=1, n=N)))

kits = st.sampled_from(sorted(SETS))
seeds = st.integers(0, 2**32 - 1)
steps = st.sampled_from([0, 1, 2, 4, 8])
polys = random_residues(BASIS.moduli, N).map(lambda words: RingPoly(BASIS, words, Domain.NTT))


@cache
def kit_of(name: str) -> Kit:
    return make_kit(SETS[name](N, depth=3), seed=7, rotations=range(N // 2))


def examples(**strategies: Any) -> Any:
    """Run a property on 20 examples, 1000 in the long tier, and report how many held."""

    def decorate(law: Any) -> Any:
        @pytest.mark.parametrize("count", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
        def test(count: int, figure: Any) -> None:
            held = 0

            @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
            @given(**strategies)
            @wraps(law)
            def run(**drawn: Any) -> None:
                nonlocal held
                law(**drawn)
                held += 1

            run()
            figure("L13", f"{law.__name__.removeprefix('test_').replace('_', ' ')}: held in {held:,} examples")

        test.__name__, test.__doc__ = law.__name__, law.__doc__
        return test

    return decorate


def values(kit: Kit, seed: int) -> np.ndarray:
    """Real or complex, at the ends of the range or inside it, a batch or none, all slots or fewer."""
    g = np.random.default_rng(seed)
    shape = (*([], [2])[int(g.integers(2))], int(g.choice([kit.params.slots, kit.params.slots, 5])))
    x = at_the_ends(g, shape, real=bool(g.integers(2)))
    return x if g.integers(2) else x * g.random(shape)


def pair(kit: Kit, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors of one shape."""
    x = values(kit, seed)
    return x, at_the_ends(np.random.default_rng(seed + 1), x.shape, real=bool(seed % 2))


def close(kit: Kit, ct: Any, wanted: np.ndarray) -> None:
    """Demand the values within the bound that the ciphertext states; slots that one side lacks are zero."""
    found = kit.decrypt(ct)
    width = max(found.shape[-1], wanted.shape[-1])
    x, y = (np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, width - v.shape[-1])]) for v in (found, wanted))
    assert np.abs(x - y).max() <= error_bound(ct) + DECODING * max(1.0, np.abs(wanted).max())


def turned(x: np.ndarray, kit: Kit, steps: int) -> np.ndarray:
    """All slots, moved to the left."""
    whole = np.zeros((*x.shape[:-1], kit.params.slots), dtype=complex)
    whole[..., : x.shape[-1]] = x
    return np.roll(whole, -steps, -1)


@examples(a=polys, b=polys, c=polys)
def test_ring_axioms(a, b, c):
    """Associative, commutative, distributive, with inverses; exact."""
    zero, one = (RingPoly.from_integers(BASIS, [k, *[0] * (N - 1)]).to_ntt() for k in (0, 1))
    assert (a + b) + c == a + (b + c) and a + b == b + a and a + zero == a and a + -a == zero and a - b == a + -b
    assert (a * b) * c == a * (b * c) and a * b == b * a and a * one == a and a * (b + c) == a * b + a * c


@examples(a=polys, b=polys, j=steps, k=steps)
def test_automorphisms(a, b, j, k):
    """They respect sums and products, and compose like their exponents; exact."""
    g, h = pow(5, j, 2 * N), pow(5, k, 2 * N)
    assert (a * b).automorphism(g) == a.automorphism(g) * b.automorphism(g)
    assert (a + b).automorphism(g) == a.automorphism(g) + b.automorphism(g)
    assert a.automorphism(g).automorphism(h) == a.automorphism(g * h % (2 * N))
    assert a.automorphism(2 * N - 1).automorphism(2 * N - 1) == a


@examples(name=kits, seed=seeds)
def test_decryption_of_encryption(name, seed):
    kit = kit_of(name)
    x = values(kit, seed)
    close(kit, kit.encrypt(x), x)


@examples(name=kits, seed=seeds)
def test_sums_and_differences(name, seed):
    kit = kit_of(name)
    (x, y), e = pair(kit, seed), kit.evaluator
    a, b = kit.encrypt(x), kit.encrypt(y)
    close(kit, e.add(a, b), x + y)
    close(kit, e.subtract(a, b), x - y)
    close(kit, e.negate(a), -x)


@examples(name=kits, seed=seeds)
def test_products(name, seed):
    """And distributivity: a (b + c) = a b + a c within both bounds."""
    kit = kit_of(name)
    (x, y), e = pair(kit, seed), kit.evaluator
    a, b = kit.encrypt(x), kit.encrypt(y)
    close(kit, e.multiply(a, b), x * y)
    close(kit, e.multiply(a, e.add(b, a)), x * (x + y))
    close(kit, e.add(e.multiply(a, b), e.square(a)), x * (x + y))


@examples(name=kits, seed=seeds, j=st.integers(0, N), k=st.integers(-N, N))
def test_rotations_compose(name, seed, j, k):
    kit = kit_of(name)
    x, e = values(kit, seed), kit.evaluator
    a = kit.encrypt(x)
    close(kit, e.rotate(e.rotate(a, j), k), turned(x, kit, j + k))
    close(kit, e.rotate(a, j + k), turned(x, kit, j + k))


@examples(name=kits, seed=seeds)
def test_conjugation_undoes_itself(name, seed):
    kit = kit_of(name)
    x, e = values(kit, seed), kit.evaluator
    a = kit.encrypt(x)
    close(kit, e.conjugate(a), x.conj())
    close(kit, e.conjugate(e.conjugate(a)), x)


@examples(name=kits, seed=seeds)
def test_rescaling_rounds(name, seed):
    """Every coefficient of the decrypted integers within 1/2 + norm_1(s)/2 of the exact quotient."""
    kit = kit_of(name)
    x, y = pair(kit, seed)
    a = kit.evaluator.multiply(kit.encrypt(x), kit.encrypt(y), rescale=False)
    before, after = (decrypt(ct, kit.secret).poly.to_integers() for ct in (a, kit.evaluator.rescale(a)))
    q = kit.params.level_modulus(a.level)
    allowed = Fraction(1 + int(np.abs(kit.secret.coefficients().astype(int)).sum()), 2)
    for m, n in zip(before.ravel().tolist(), after.ravel().tolist(), strict=True):
        assert abs(n - Fraction(m, q)) <= allowed


@examples(name=kits, seed=seeds)
def test_loading_undoes_storing(name, seed):
    """Words, level, metadata and error; and the bytes once more."""
    kit = kit_of(name)
    ct = kit.evaluator.bring(kit.encrypt(values(kit, seed)), int(seed % 4))
    data = to_bytes(ct)
    again = ciphertext_from_bytes(data, kit.params)
    assert np.array_equal(again.words, ct.words) and again.level == ct.level and to_bytes(again) == data
    stored, kept = meta_of(again), meta_of(ct)
    assert (stored.scale, stored.slots, stored.length, stored.real) == (kept.scale, kept.slots, kept.length, kept.real)
    if seed % 50 == 0:
        keys = to_bytes(kit.keys)
        assert to_bytes(evaluation_keys_from_bytes(keys, kit.params)) == keys
