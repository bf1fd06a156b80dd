"""Misuse raises, never returns numbers (L6): one test per pair of public operation and misuse.

Every case demands a typed error, a one-line text, and inputs whose words are what they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import Decryptor, Encryptor, Evaluator, error_bound
from ckks.errors import (
    BasisMismatch,
    HEError,
    LevelError,
    MissingKey,
    ParameterError,
    RangeError,
    ScaleError,
    SlotError,
)
from ckks.rlwe import Ciphertext, EvaluationKeys
from ckks.scheme.meta import meta_of

ONES = np.full(16, 0.5)


@cache
def world() -> SimpleNamespace:
    """Keys of two parameter sets that differ in nothing but the value range, and one without keys."""
    here, there = make_kit(insecure_small(64)), make_kit(insecure_small(64, value_range=2.0))
    good = here.encrypt(np.stack([ONES, -ONES]))
    return SimpleNamespace(
        here=here,
        there=there,
        good=good,
        bottom=here.evaluator.bring(good, 0),
        foreign=there.encrypt(np.stack([ONES, ONES])),
        sparse=here.encrypt(np.stack([ONES[:8], ONES[:8]]), slots=8),
        three=here.evaluator.tensor(good, good),
        bare=Ciphertext(params=here.params, words=good.words, level=good.level),
        keyless=Evaluator(here.params),
    )


# What an evaluator can do with a ciphertext x (a batch of two) alone ...
UNARY: dict[str, Callable[[Evaluator, Any], Any]] = {
    "negate": lambda e, x: e.negate(x),
    "sum": lambda e, x: e.sum(x),
    "square": lambda e, x: e.square(x),
    "relinearise": lambda e, x: e.relinearise(x),
    "rescale": lambda e, x: e.rescale(x),
    "drop": lambda e, x: e.drop(x, 0),
    "bring": lambda e, x: e.bring(x, 1),
    "with_scale": lambda e, x: e.with_scale(x, 2.0**41),
    "with_bound": lambda e, x: e.with_bound(x, 0.5),
    "rotate": lambda e, x: e.rotate(x, 1),
    "rotate_many": lambda e, x: e.rotate_many(x, (1, 2)),
    "conjugate": lambda e, x: e.conjugate(x),
    "sum_slots": lambda e, x: e.sum_slots(x, 2),
    "weighted_sum": lambda e, x: e.weighted_sum(x, [0.5, 0.5]),
}
# ... and with a second operand.
BINARY: dict[str, Callable[[Evaluator, Any, Any], Any]] = {
    "add": lambda e, x, y: e.add(x, y),
    "subtract": lambda e, x, y: e.subtract(x, y),
    "multiply": lambda e, x, y: e.multiply(x, y),
    "multiply without rescale": lambda e, x, y: e.multiply(x, y, rescale=False),
    "tensor": lambda e, x, y: e.tensor(x, y),
    "dot": lambda e, x, y: e.dot(x, y),
}
TAKES_PLAIN = ("add", "subtract", "multiply", "multiply without rescale")
FIRST_OPERAND = {**UNARY, **{name: (lambda f: lambda e, x: f(e, x, x))(f) for name, f in BINARY.items()}}


def refused(action: Callable[[], Any], wanted: Any, *inputs: Any) -> str:
    """Run the action, which has to raise `wanted`; return the text. The words of `inputs` may not change."""
    before = [hashlib.sha256(np.ascontiguousarray(i.words)).digest() for i in inputs]
    with pytest.raises(wanted) as caught:
        action()
    assert before == [hashlib.sha256(np.ascontiguousarray(i.words)).digest() for i in inputs]
    error, text = caught.value, str(caught.value)
    assert isinstance(error, HEError) or type(error) is TypeError, f"{type(error).__name__} from the depths: {text}"
    assert len(text) > 15 and "\n" not in text
    return text


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIRST_OPERAND)
def test_ciphertext_of_other_parameters(name):
    w = world()
    text = refused(lambda: FIRST_OPERAND[name](w.here.evaluator, w.foreign), BasisMismatch, w.foreign)
    assert "other parameters" in text


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", BINARY)
def test_mixed_parameters(name, order):
    w = world()
    operands = (w.good, w.foreign) if order else (w.foreign, w.good)
    text = refused(lambda: BINARY[name](w.here.evaluator, *operands), BasisMismatch, *operands)
    assert "other parameters" in text


@pytest.mark.parametrize("name", TAKES_PLAIN)
def test_plaintext_of_other_parameters(name):
    w = world()
    plain = w.there.encoder.encode(ONES)
    refused(lambda: BINARY[name](w.here.evaluator, w.good, plain), BasisMismatch, w.good, plain)


@pytest.mark.parametrize("kind", ["encryptor", "seeded encryptor", "evaluator", "decryptor", "keys"])
def test_keys_of_other_parameters(kind):
    w = world()
    make = {
        "encryptor": lambda: Encryptor(w.here.params, w.there.public),
        "seeded encryptor": lambda: Encryptor(w.here.params, w.there.secret),
        "evaluator": lambda: Evaluator(w.here.params, w.there.keys),
        "decryptor": lambda: Decryptor(w.here.params, w.there.secret),
        "keys": lambda: EvaluationKeys(w.here.params, w.there.keys.relin),
    }
    assert "other parameters" in refused(make[kind], BasisMismatch)


def test_a_decryptor_wants_a_secret_key():
    w = world()
    for wrong in (w.here.public, w.here.keys, None):
        with pytest.raises(TypeError, match="expected a SecretKey"):
            Decryptor(w.here.params, wrong)


def test_encryption_and_decryption_of_other_parameters():
    w = world()
    plain = w.there.encoder.encode(ONES)
    refused(lambda: w.here.encryptor.encrypt(plain), BasisMismatch, plain)
    refused(lambda: Encryptor(w.here.params, w.here.secret).encrypt(plain), BasisMismatch, plain)
    refused(lambda: w.here.decryptor.decrypt(w.foreign), BasisMismatch, w.foreign)
    refused(lambda: w.here.encoder.decode(plain), BasisMismatch, plain)


# ---- things that are no ciphertexts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", ["array", "plaintext", "list", "none", "number", "string"])
@pytest.mark.parametrize("name", FIRST_OPERAND)
def test_first_operand_has_to_be_encrypted(name, thing):
    w = world()
    other = {
        "array": np.stack([ONES, ONES]),
        "plaintext": w.here.encoder.encode(ONES),
        "list": [0.5, 0.5],
        "none": None,
        "number": 0.5,
        "string": "0.5",
    }[thing]
    refused(lambda: FIRST_OPERAND[name](w.here.evaluator, other), TypeError)


@pytest.mark.parametrize("thing", [None, "a", ["a"], object(), {}, np.array([None] * 16), b"x"], ids=repr)
@pytest.mark.parametrize("name", BINARY)
def test_second_operand_has_to_be_numbers(name, thing):
    w = world()
    refused(lambda: BINARY[name](w.here.evaluator, w.good, thing), TypeError, w.good)


@pytest.mark.parametrize("name", ["dot", "tensor"])
def test_products_of_ciphertexts_take_no_arrays(name):
    w = world()
    refused(lambda: BINARY[name](w.here.evaluator, w.good, np.stack([ONES, ONES])), TypeError, w.good)


@pytest.mark.parametrize("thing", [np.ones(4), None, "x", 3.0])
def test_decrypt_takes_ciphertexts(thing):
    refused(lambda: world().here.decryptor.decrypt(thing), TypeError)


@pytest.mark.parametrize("name", sorted(set(FIRST_OPERAND) - {"negate", "drop", "relinearise", "conjugate"}))
def test_ciphertexts_without_metadata(name):
    """What another scheme made on the same parameters; only moving words about needs no scale."""
    w = world()
    assert "metadata" in refused(lambda: FIRST_OPERAND[name](w.here.evaluator, w.bare), TypeError, w.bare)


# ---- levels ----------------------------------------------------------------------------------------------------------


NEEDS_A_LEVEL = {
    "square": UNARY["square"],
    "rescale": UNARY["rescale"],
    "weighted_sum": UNARY["weighted_sum"],
    "multiply": lambda e, x: e.multiply(x, x),
    "multiply unequal": lambda e, x: e.multiply(x, world().good),
    "dot": lambda e, x: e.dot(x, x),
    "dot unequal": lambda e, x: e.dot(world().good, x),
    "constant": lambda e, x: e.multiply(x, 0.5),
    "complex constant": lambda e, x: e.multiply(x, 0.5j),
    "array": lambda e, x: e.multiply(x, ONES),
    "plaintext": lambda e, x: e.multiply(x, e.encoder.encode(ONES, level=0)),
    "relinearise and rescale": lambda e, x: e.relinearise(x, rescale=True),
}


@pytest.mark.parametrize("name", NEEDS_A_LEVEL)
def test_exhausted_levels(name):
    w = world()
    text = refused(lambda: NEEDS_A_LEVEL[name](w.here.evaluator, w.bottom), LevelError, w.bottom)
    assert "0 of 4" in text and "depth 5" in text


@pytest.mark.parametrize("name", ["tensor", "multiply without rescale"])
def test_products_that_no_level_can_hold(name):
    """2^80 does not fit the base modulus of 2^50: refused for lack of a level or of room, but refused."""
    w = world()
    refused(lambda: BINARY[name](w.here.evaluator, w.bottom, w.bottom), (LevelError, RangeError), w.bottom)


@pytest.mark.parametrize("name", ["multiply", "multiply without rescale"])
def test_plaintexts_of_a_lower_level(name):
    w = world()
    low = w.here.encoder.encode(ONES, level=1)
    assert "level" in refused(lambda: BINARY[name](w.here.evaluator, w.good, low), BasisMismatch, low)


@pytest.mark.parametrize("name", ["add", "subtract"])
@pytest.mark.parametrize("what", ["scale", "level"])
def test_plaintexts_that_do_not_match_a_sum(name, what):
    w = world()
    other = w.here.encoder.encode(ONES, **({"scale": 2**41} if what == "scale" else {"level": 1}))
    assert "scale" in refused(lambda: BINARY[name](w.here.evaluator, w.good, other), BasisMismatch, other)


@pytest.mark.parametrize("level", [-1, 5, 100])
@pytest.mark.parametrize("name", ["drop", "bring", "encode", "encrypt"])
def test_levels_that_do_not_exist(name, level):
    w = world()
    action = {
        "drop": lambda: w.here.evaluator.drop(w.good, level),
        "bring": lambda: w.here.evaluator.bring(w.good, level),
        "encode": lambda: w.here.encoder.encode(ONES, level=level),
        "encrypt": lambda: w.here.encryptor.encrypt(ONES, level=level),
    }[name]
    refused(action, LevelError)


@pytest.mark.parametrize("level", [1.5, "1", None])
@pytest.mark.parametrize("name", ["drop", "bring", "encode"])
def test_levels_are_integers(name, level):
    if level is None and name == "encode":
        return  # None asks for the top
    w = world()
    action = {
        "drop": lambda: w.here.evaluator.drop(w.good, level),
        "bring": lambda: w.here.evaluator.bring(w.good, level),
        "encode": lambda: w.here.encoder.encode(ONES, level=level),
    }[name]
    refused(action, (LevelError, ParameterError, TypeError))


# ---- scales and bounds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), -float("inf"), None, 1j], ids=repr)
@pytest.mark.parametrize("name", ["with_scale", "bring", "encode", "encrypt"])
def test_impossible_scales(name, scale):
    if scale is None and name != "with_scale":
        return  # None asks for the canonical scale there
    w = world()
    action = {
        "with_scale": lambda: w.here.evaluator.with_scale(w.good, scale),
        "bring": lambda: w.here.evaluator.bring(w.good, 2, scale),
        "encode": lambda: w.here.encoder.encode(ONES, scale=scale),
        "encrypt": lambda: w.here.encryptor.encrypt(ONES, scale=scale),
    }[name]
    refused(action, HEError if isinstance(scale, (int, float)) else (HEError, TypeError), w.good)


@pytest.mark.parametrize("bound", [-1.0, float("nan"), float("inf"), 1j], ids=repr)
@pytest.mark.parametrize("name", ["with_bound", "rms", "encode"])
def test_impossible_bounds(name, bound):
    w = world()
    action = {
        "with_bound": lambda: w.here.evaluator.with_bound(w.good, bound),
        "rms": lambda: w.here.evaluator.with_bound(w.good, 1.0, bound),
        "encode": lambda: w.here.encoder.encode(ONES, bound=bound),
    }[name]
    refused(action, HEError if isinstance(bound, float) else (HEError, TypeError), w.good)


# ---- plain operands --------------------------------------------------------------------------------------------------


def nasty(kind: str) -> Any:
    spoilt = ONES.copy()
    if kind in ("nan", "inf", "-inf"):
        spoilt[3] = float(kind)
    return {
        "nan": spoilt,
        "inf": spoilt,
        "-inf": spoilt,
        "nan constant": float("nan"),
        "inf constant": float("inf"),
        "complex nan constant": complex(0, float("nan")),
        "complex inf constant": complex(float("inf"), 0),
        "huge": np.full(16, 1e200),
        "huge constant": 1e200,
        "short": ONES[:5],
        "long": np.ones(33),
        "no axes": np.ones((3, 16)),
    }[kind]


NASTY = (
    "nan",
    "inf",
    "-inf",
    "nan constant",
    "inf constant",
    "complex nan constant",
    "complex inf constant",
    "huge",
    "huge constant",
    "short",
    "long",
    "no axes",
)


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("name", TAKES_PLAIN)
def test_plain_operands(name, kind):
    w = world()
    wanted: Any = (SlotError, BasisMismatch) if kind in ("short", "long", "no axes") else RangeError
    text = refused(lambda: BINARY[name](w.here.evaluator, w.good, nasty(kind)), wanted, w.good)
    if kind in ("nan", "inf", "-inf"):
        assert "index (3,)" in text and "finite" in text
    if kind.endswith(("nan constant", "inf constant")):
        assert "finite" in text


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("what", ["encode", "encrypt"])
def test_values_to_encrypt(what, kind):
    if kind in ("short", "no axes"):
        return  # those are fine
    w = world()
    wanted: Any = SlotError if kind == "long" or "constant" in kind else RangeError
    refused(lambda: getattr(w.here.encoder if what == "encode" else w.here.encryptor, what)(nasty(kind)), wanted)


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ([0.5], SlotError),
        ([0.5, 0.5, 0.5], SlotError),
        (0.5, SlotError),
        ([[[0.5, 0.5]]], SlotError),
        ([0.5j, 0.5], SlotError),
        ([], SlotError),
        (np.zeros((0, 2)), SlotError),
        ([float("nan"), 0.5], RangeError),
        ([float("inf"), 0.5], RangeError),
        ([[0.5, 0.5], [0.5, -float("inf")]], RangeError),
        ([1e200, 0.5], RangeError),
        (["a", "b"], TypeError),
        (None, TypeError),
    ],
    ids=str,
)
def test_weights(weights, wanted):
    w = world()
    refused(lambda: w.here.evaluator.weighted_sum(w.good, weights), wanted, w.good)


def test_weighted_sum_of_a_single_ciphertext():
    w = world()
    assert "batch" in refused(lambda: w.here.evaluator.weighted_sum(w.good[0], [0.5]), SlotError)


# ---- shapes and slots ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", BINARY)
def test_sparse_and_full_vectors_do_not_mix(name, order):
    """A sparse vector repeats; decoding a mixed product as sparse would average over unrelated slots."""
    w = world()
    operands = (w.good, w.sparse) if order else (w.sparse, w.good)
    assert "slots" in refused(lambda: BINARY[name](w.here.evaluator, *operands), SlotError, *operands)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", TAKES_PLAIN)
def test_sparse_and_full_plaintexts_do_not_mix(name, order):
    w = world()
    plain = w.here.encoder.encode(ONES[:8], slots=8 if order else None)
    ct = w.good if order else w.sparse
    assert "slots" in refused(lambda: BINARY[name](w.here.evaluator, ct, plain), SlotError, ct, plain)


@pytest.mark.parametrize("name", BINARY)
def test_batches_that_do_not_broadcast(name):
    w = world()
    three = w.here.encrypt(np.stack([ONES] * 3))
    refused(lambda: BINARY[name](w.here.evaluator, w.good, three), (SlotError, BasisMismatch), w.good, three)


@pytest.mark.parametrize("axis", [1, -2, 5])
def test_axes_that_do_not_exist(axis):
    w = world()
    refused(lambda: w.here.evaluator.sum(w.good, axis), SlotError, w.good)


@pytest.mark.parametrize("steps", [1.0, "1", None, True, 1j, np.float64(2)], ids=repr)
@pytest.mark.parametrize("name", ["rotate", "rotate_many"])
def test_rotations_are_integers(name, steps):
    w = world()
    e = w.here.evaluator
    refused(lambda: e.rotate(w.good, steps) if name == "rotate" else e.rotate_many(w.good, (1, steps)), ParameterError)


@pytest.mark.parametrize("count", [0, 3, -2, 64, 2.0, "2"], ids=repr)
def test_counts_of_slots(count):
    w = world()
    refused(lambda: w.here.evaluator.sum_slots(w.good, count), (SlotError, ParameterError, TypeError), w.good)


# ---- parts -----------------------------------------------------------------------------------------------------------


NEEDS_TWO_PARTS = {
    "rotate": UNARY["rotate"],
    "rotate_many": UNARY["rotate_many"],
    "conjugate": UNARY["conjugate"],
    "sum_slots": UNARY["sum_slots"],
    "tensor": lambda e, x: e.tensor(x, x),
    "multiply": lambda e, x: e.multiply(x, world().good),
    "multiply second": lambda e, x: e.multiply(world().good, x),
    "dot": lambda e, x: e.dot(x, world().good),
}


@pytest.mark.parametrize("name", NEEDS_TWO_PARTS)
def test_three_parts_where_two_are_needed(name):
    w = world()
    text = refused(lambda: NEEDS_TWO_PARTS[name](w.here.evaluator, w.three), BasisMismatch, w.three)
    assert "part" in text


# ---- keys ------------------------------------------------------------------------------------------------------------


NEEDS_A_KEY = {
    "multiply": lambda e, x: e.multiply(x, x),
    "multiply without rescale": lambda e, x: e.multiply(x, x, rescale=False),
    "square": UNARY["square"],
    "dot": lambda e, x: e.dot(x, x),
    "relinearise": lambda e, x: e.relinearise(e.tensor(x, x)),
    "relinearise and rescale": lambda e, x: e.relinearise(e.tensor(x, x), rescale=True),
    "rotate": UNARY["rotate"],
    "rotate_many": UNARY["rotate_many"],
    "conjugate": UNARY["conjugate"],
    "sum_slots": UNARY["sum_slots"],
}


@pytest.mark.parametrize("name", NEEDS_A_KEY)
def test_missing_keys(name):
    w = world()
    assert "evaluation_keys(" in refused(lambda: NEEDS_A_KEY[name](w.keyless, w.good), MissingKey, w.good)


@pytest.mark.parametrize("name", ["multiply", "rotate", "conjugate"])
def test_keys_of_a_lower_level(name):
    """A level-limited key refuses higher levels, and works below."""
    w = world()
    from ckks import KeyGenerator
    from ckks.ring import Rng

    keys = KeyGenerator(w.here.params, Rng(9)).evaluation_keys(w.here.secret, rotations=[1], conjugation=True, level=2)
    evaluator = Evaluator(w.here.params, keys)
    action = {
        "multiply": lambda x: evaluator.multiply(x, x),
        "rotate": lambda x: evaluator.rotate(x, 1),
        "conjugate": evaluator.conjugate,
    }[name]
    assert "level" in refused(lambda: action(w.good), (LevelError, MissingKey), w.good)
    action(w.here.evaluator.bring(w.good, 2))


# ---- encryption ------------------------------------------------------------------------------------------------------


def test_encoding_options_for_a_plaintext_are_refused():
    """encrypt(plaintext, level=1) cannot do what it was asked: the plaintext has its level already."""
    w = world()
    plain = w.here.encoder.encode(ONES)
    refused(lambda: w.here.encryptor.encrypt(plain, level=1), (TypeError, ParameterError), plain)
    refused(lambda: Encryptor(w.here.params, w.here.secret).encrypt_seeded(plain, level=1), (TypeError, ParameterError))


def test_seeded_encryption_needs_the_secret_key():
    assert "secret key" in refused(lambda: world().here.encryptor.encrypt_seeded(ONES), TypeError)


def test_closed_secret_keys():
    kit = make_kit(insecure_small(64), seed=77)
    ct = kit.encrypt(ONES)
    kit.secret.close()
    assert "closed" in refused(lambda: kit.decrypt(ct), HEError)
    assert "closed" in refused(lambda: Encryptor(kit.params, kit.secret).encrypt(ONES), HEError)


@pytest.mark.parametrize("shift", [-38, -30, -21, -20, -19, -5, 5, 19, 20, 21, 25, 30])
@pytest.mark.parametrize("levels", [(4, 4), (4, 2), (2, 4), (2, 2), (1, 2), (2, 1), (4, 0), (0, 4), (0, 0)], ids=str)
def test_any_scale_combines_or_is_refused(levels, shift):
    """Scales far from the canonical one: the right values within their bound, or a typed error; nothing third."""
    w = world()
    kit: Kit = w.here
    e, ones = kit.evaluator, np.stack([ONES, -ONES])
    a = e.bring(w.good, levels[0])
    a = e.with_scale(a, meta_of(a).scale * 2**shift if shift > 0 else meta_of(a).scale / 2**-shift)
    b = e.bring(w.good, levels[1])
    first = ones / 2.0**shift
    for action, wanted in (
        (lambda: e.add(a, b), first + ones),
        (lambda: e.subtract(b, a), ones - first),
        (lambda: e.multiply(a, b), first * ones),
        (lambda: e.multiply(b, a, rescale=False), first * ones),
        (lambda: e.bring(a, levels[1]), first),
    ):
        try:
            result = action()
        except (LevelError, RangeError, ScaleError):
            continue
        # Decoding rounds as well: two transforms in double, relative to the largest value.
        assert kit.error(result, wanted) <= error_bound(result) + 2.0**-46 * np.abs(wanted).max()


def test_scales_of_the_result_are_never_guessed():
    """Unequal scales meet by arithmetic, never by pretending: the words say what the metadata says."""
    w = world()
    kit: Kit = w.here
    other = kit.evaluator.with_scale(w.good, meta_of(w.good).scale * 3 / 2)
    total = kit.evaluator.add(w.good, other)
    want = np.stack([ONES, -ONES])
    assert kit.error(total, want + want / 1.5) < 2.0**-20


# ---- pairs of operations ---------------------------------------------------------------------------------------------


LEVEL_TAKERS = ("square", "rescale", "weighted_sum", "multiply", "dot")
KEY_TAKERS = (
    "square",
    "multiply",
    "multiply without rescale",
    "dot",
    "rotate",
    "rotate_many",
    "conjugate",
    "sum_slots",
)


def misuses(first: str, second: str) -> dict[str, tuple[Callable[[], Any], Any]]:
    """What can go wrong with the second operation on a result of the first: (action, errors that may be raised)."""
    w = world()
    here, there = w.here.evaluator, w.there.evaluator
    made = FIRST_OPERAND[first](here, w.good)
    y = made[0] if isinstance(made, list) else made
    use = FIRST_OPERAND[second]
    found: dict[str, tuple[Callable[[], Any], Any]] = {"other parameters": (lambda: use(there, y), BasisMismatch)}
    if second in BINARY:
        both = BINARY[second]
        found["first of other parameters"] = lambda: both(here, w.foreign, y), (BasisMismatch, SlotError)
        found["second of other parameters"] = lambda: both(here, y, w.foreign), (BasisMismatch, SlotError)
        found["nothing as second"] = lambda: both(here, y, None), (TypeError, SlotError, LevelError)
    if second in TAKES_PLAIN:
        for kind in NASTY:
            if kind != "no axes" or y.shape:  # a batch of three and a single ciphertext are a batch of three
                found[kind] = lambda kind=kind: BINARY[second](here, y, nasty(kind)), HEError
    if second in LEVEL_TAKERS and y.parts == 2:
        settled = here.bring(y, 0) if y.level else y
        found["no level left"] = lambda: use(here, settled), (LevelError, SlotError)
    if second in KEY_TAKERS:
        found["no key"] = lambda: use(w.keyless, y), (MissingKey, BasisMismatch, SlotError, LevelError)
    return found


def test_every_pair_of_operations(figure):
    """Each operation on the results of each: refused with a typed error, and the operands are as they were."""
    count = 0
    for first in FIRST_OPERAND:
        for second in FIRST_OPERAND:
            for what, (action, wanted) in misuses(first, second).items():
                try:
                    refused(action, wanted, world().good, world().foreign)
                except BaseException as error:
                    raise AssertionError(f"{second} after {first}: {what}") from error
                count += 1
    figure("L6", f"{len(FIRST_OPERAND)}^2 pairs of operations, {count:,} misuses: every one raises a typed error")
    assert count > 1000
