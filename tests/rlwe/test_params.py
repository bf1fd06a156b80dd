"""RLWEParams: validation, levels and digits, and the digest that tells sets apart."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from itertools import combinations
from math import log2, prod

import naive
import pytest
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes

from ckks import CKKSParams
from ckks.errors import HEError, InsecureParameters, LevelError, ParameterError
from ckks.ring import RNSBasis, ntt_primes
from ckks.rlwe import RLWEParams
from ckks.scheme.params import EXACT

N = 16
Q = ntt_primes(bits=30, count=7, n=64)
P = ntt_primes(bits=31, count=3, n=64)


def chain(**changes) -> RLWEParams:
    """Seven primes in five levels (1, 2, 1, 2, 1), two special primes, digits of two."""
    settings = dict(
        ring_degree=N,
        levels=((Q[0],), (Q[1], Q[2]), (Q[3],), (Q[4], Q[5]), (Q[6],)),
        special_moduli=P[:2],
    )
    return RLWEParams.insecure(**{**settings, **changes})


# ---- levels ----------------------------------------------------------------------------------------------------


def test_a_chain():
    params = chain()
    assert params.moduli == Q and params.top_level == 4 and params.num_special == 2
    assert params.special_modulus == P[0] * P[1]
    assert [params.limbs(level) for level in range(5)] == [1, 3, 4, 6, 7]
    assert [params.level_modulus(level) for level in range(5)] == [Q[0], Q[1] * Q[2], Q[3], Q[4] * Q[5], Q[6]]
    assert params.log2_qp == pytest.approx(sum(map(log2, Q + P[:2])))
    assert params.is_insecure and params.security is None


def test_bases_have_special_primes_first():
    params = chain()
    assert params.basis_qp == RNSBasis(N, P[:2] + Q)
    for level in range(5):
        limbs = params.limbs(level)
        assert params.basis(level) == RNSBasis(N, Q[:limbs])
        assert params.extended_basis(level) == RNSBasis(N, P[:2] + Q[:limbs])
        assert params.extended_basis(level) == params.basis_qp[: 2 + limbs]


@pytest.mark.parametrize("level", [-1, 5, 100])
def test_levels_that_do_not_exist(level):
    params = chain()
    for function in (
        params.check_level,
        params.limbs,
        params.basis,
        params.extended_basis,
        params.level_modulus,
        params.digits,
    ):
        with pytest.raises(LevelError, match=f"level {level}; these parameters have levels 0 to 4"):
            function(level)


def test_without_special_primes():
    params = chain(special_moduli=())
    assert params.num_special == 0 and params.special_modulus == 1
    assert params.extended_basis(2) == params.basis(2)
    assert params.digit_sizes == (1,) * 7


def test_anything_that_can_be_listed():
    assert chain(levels=[[Q[0]], [Q[1], Q[2]], [Q[3]], [Q[4], Q[5]], [Q[6]]], special_moduli=list(P[:2])) == chain()


# ---- digits ----------------------------------------------------------------------------------------------------

DIGITS = {
    None: (2, 2, 2, 1),  # as many as there are special primes, the last takes what is left
    (7,): (7,),
    (1,) * 7: (1,) * 7,
    (3, 3, 1): (3, 3, 1),
    (1, 5, 1): (1, 5, 1),
}


@pytest.mark.parametrize("sizes", DIGITS, ids=str)
def test_digits_cover_every_level(sizes):
    params = chain(digit_sizes=sizes)
    assert params.digit_sizes == DIGITS[sizes]
    for level in range(5):
        limbs, digits = params.limbs(level), params.digits(level)
        assert [i for d in digits for i in range(d.start, d.stop)] == list(range(limbs))
        assert all(d.stop > d.start for d in digits)
        # Whole digits of the top level, the last cut short: what makes lower keys prefixes of higher ones.
        top = params.digits(4)
        assert [d.start for d in digits] == [d.start for d in top[: len(digits)]]
        assert digits[:-1] == top[: len(digits) - 1] and digits[-1].stop <= top[len(digits) - 1].stop


def test_digits_by_hand():
    def spans(level: int) -> list[tuple[int, int]]:
        return [(d.start, d.stop) for d in chain(digit_sizes=(3, 3, 1)).digits(level)]

    assert [spans(level) for level in range(5)] == [
        [(0, 1)],
        [(0, 3)],
        [(0, 3), (3, 4)],
        [(0, 3), (3, 6)],
        [(0, 3), (3, 6), (6, 7)],
    ]


@pytest.mark.parametrize("special", [0, 1, 2, 3])
def test_default_digits_are_as_many_primes_as_special_ones(special):
    sizes = chain(special_moduli=P[:special]).digit_sizes
    step = max(1, special)
    assert sizes == (step,) * (7 // step) + ((7 % step,) if 7 % step else ())


@pytest.mark.parametrize("sizes", [(), (6,), (8,), (4, 4), (7, 0), (0, 7), (8, -1), (3, 3), (2, 2, 2, 2)], ids=str)
def test_digits_that_do_not_cover(sizes):
    with pytest.raises(ParameterError):
        chain(digit_sizes=sizes)


# ---- validation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ring_degree": 12}, "12"),
        ({"ring_degree": 2**18}, str(2**18)),
        ({"ring_degree": 16.0}, "16.0"),
        ({"levels": ()}, "at least one"),
        ({"levels": ((), (Q[0],))}, "at least one prime"),
        ({"levels": ((Q[0],), ())}, "at least one prime"),
        ({"levels": ((Q[0],), (Q[0],))}, "not distinct"),
        ({"levels": ((Q[0],), (P[0],))}, "not distinct"),
        ({"levels": ((Q[0] + 2,),)}, "prime"),
        ({"levels": ((113,),)}, "1 mod 32"),
        ({"levels": ((2**61 + 1,),)}, str(2**61 + 1)),
        ({"special_moduli": (P[0], P[0])}, "not distinct"),
        ({"special_moduli": (15,)}, "15"),
        ({"roots": (1,) * 9}, "1 is not a primitive"),
        ({"roots": (1,) * 8}, "8 roots for 9"),
    ],
)
def test_parameters_that_cannot_work(changes, text):
    with pytest.raises(ParameterError) as caught:
        chain(**changes)
    assert text in str(caught.value)


@pytest.mark.parametrize("levels", [(Q[0], Q[1]), ((Q[0],), Q[1]), 97, "levels", None, ((97.5,),)], ids=str)
def test_levels_of_the_wrong_kind(levels):
    """A flat list of primes is the likeliest mistake."""
    with pytest.raises((HEError, TypeError)) as caught:
        chain(levels=levels)
    assert isinstance(caught.value, HEError)


def test_secure_unless_told_otherwise():
    with pytest.raises(InsecureParameters):
        RLWEParams(ring_degree=N, levels=((Q[0],),))
    (q,) = ntt_primes(bits=26, count=1, n=1024)
    assert RLWEParams(ring_degree=1024, levels=((q,),)).security == 128
    assert RLWEParams.insecure(ring_degree=1024, levels=((q,),), security=128).is_insecure


def test_objects_say_that_they_are_insecure():
    from ckks.ring import Rng
    from ckks.rlwe import Plaintext, encrypt
    from ckks.rlwe.secret import KeyGenerator

    params = insecure_small()
    rng = Rng(1)
    keygen = KeyGenerator(params, rng)
    secret = keygen.secret_key()
    public = keygen.public_key(secret)
    relin = keygen.relin_key(secret)
    words = relin.words[0, 0, : len(params.basis(1))] * 0
    plaintext = Plaintext(params=params, words=words, level=1)
    made = (secret, public, relin, keygen.evaluation_keys(secret), plaintext, encrypt(plaintext, public, rng))
    assert "INSECURE" in str(params)
    for thing in made:
        assert thing.params.is_insecure
        assert "INSECURE" in repr(thing), f"{type(thing).__name__} does not say so"


# ---- identity --------------------------------------------------------------------------------------------------


def test_parameters_are_frozen_values():
    params = chain()
    with pytest.raises(FrozenInstanceError):
        params.ring_degree = 32
    assert params == chain() and hash(params) == hash(chain())
    assert params != chain(digit_sizes=(7,))
    for twin in (pickle.loads(pickle.dumps(params)), copy.copy(params), copy.deepcopy(params)):
        assert twin == params and twin.digest == params.digest and twin.basis_qp == params.basis_qp


def test_defaults_written_out_are_the_same_set():
    params = chain()
    same = chain(digit_sizes=params.digit_sizes, roots=params.basis_qp.roots)
    assert same == params and same.digest == params.digest


def test_digests_are_of_32_bytes_and_frozen():
    """Stored objects name their parameters by it."""
    assert chain().digest.hex() == "f62622ce50dbe1b5963898da3dd8f3f6466218d550cf2a7e3ef510d829f0b3ee"
    assert insecure_small().digest.hex() == "24d108b0f1ea7edfd77b3667d3c87c1a48d1c494ebd20281ded35cf39a7da569"


ROOTS = tuple(q - naive.some_root(N, q) for q in P[:2] + Q)
DIFFERENT = {
    "as it is": {},
    "ring_degree": {"ring_degree": 32},
    "a prime": {"levels": ((Q[0],), (Q[1], Q[2]), (Q[3],), (Q[4], Q[5]), (P[2],))},
    "grouping": {"levels": ((Q[0],), (Q[1],), (Q[2], Q[3]), (Q[4], Q[5]), (Q[6],))},
    "order": {"levels": ((Q[0],), (Q[2], Q[1]), (Q[3],), (Q[4], Q[5]), (Q[6],))},
    "fewer levels": {"levels": ((Q[0],), (Q[1], Q[2]))},
    "a special prime": {"special_moduli": (P[0], P[2])},
    "order of special primes": {"special_moduli": (P[1], P[0])},
    "fewer special primes": {"special_moduli": (P[0],), "digit_sizes": (2, 2, 2, 1)},
    "digit_sizes": {"digit_sizes": (7,)},
    "uncentred": {"centred_digits": False},
    "roots": {"roots": ROOTS},
}


def test_digests_change_with_every_field():
    sets = {name: chain(**changes) for name, changes in DIFFERENT.items()}
    (q,) = ntt_primes(bits=26, count=1, n=2048)
    for security in (None, 128, 192, 256):
        sets[f"security {security}"] = replace(sets["as it is"], ring_degree=2048, levels=((q,),), special_moduli=(),
                                               digit_sizes=None, roots=None, security=security)  # fmt: skip
    for (a, x), (b, y) in combinations(sets.items(), 2):
        assert x.digest != y.digest, f"{a} and {b} have one digest"
        assert x != y


def test_digests_of_schemes_change_with_every_field():
    params = insecure_small()
    assert CKKSParams.__dataclass_fields__.keys() - RLWEParams.__dataclass_fields__.keys() == {"scale", "value_range"}
    sets = [params, replace(params, scale=params.scale + 1), replace(params, value_range=2.0),
            replace(params, scale=EXACT.add(params.scale, Decimal("1e-20"))), replace(params, centred_digits=False),
            insecure_pairs(), insecure_single_digit(), insecure_wide_primes(), insecure_small(128)]  # fmt: skip
    plain = RLWEParams.insecure(
        ring_degree=params.ring_degree, levels=params.levels, special_moduli=params.special_moduli
    )
    digests = {x.digest for x in (*sets, plain)}
    assert len(digests) == len(sets) + 1


def test_summary():
    assert str(chain()) == f"N=2^4, 4 levels, 7+2 primes, log2(QP)={log2(prod(Q + P[:2])):.1f}, INSECURE"


def test_equality_goes_by_fields_and_kind():
    """Like that of any frozen value; equal sets hash alike, and are found in each other's place."""
    one, same, other = chain(), chain(), chain(centred_digits=False)
    assert one is not same and one == same and hash(one) == hash(same) and {one: 1}[same] == 1
    assert one != other and one != "chain" and one is not None

    class Special(RLWEParams):
        pass

    fields = {name: getattr(one, name) for name in ("ring_degree", "levels", "special_moduli", "digit_sizes")}
    special = Special(**fields, centred_digits=one.centred_digits, security=one.security, roots=one.roots)
    assert special == Special(**fields, security=one.security) and special != one


def test_what_depends_on_the_level_only_is_made_once():
    params = chain()
    for level in range(params.top_level + 1):
        assert params.basis(level) is params.basis(level)
        assert params.extended_basis(level) is params.extended_basis(level)
        assert params.digits(level) is params.digits(level)


def test_a_repr_leaves_out_the_roots():
    """Which are numbers of 50 bits for every prime, and follow from it."""
    params = insecure_small()
    plain = RLWEParams.insecure(ring_degree=params.ring_degree, levels=params.levels)
    assert plain.roots and str(plain.roots[0]) not in repr(plain) and str(plain.moduli[0]) in repr(plain)
