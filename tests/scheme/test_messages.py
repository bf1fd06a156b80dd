"""What errors and warnings of the evaluator say: the depth that would do, the key that is missing, the digits lost."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest
from kit import Kit, kit_for, make_kit
from params import insecure_small

from ckks import Evaluator, error_bound
from ckks.circuits import Polynomial, evaluate_polynomial
from ckks.errors import LevelError, MissingKey, PrecisionWarning, RangeError
from ckks.rlwe import Ciphertext
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT


def lowest(kit: Kit, spare: int = 0, batch: tuple[int, ...] = ()) -> Ciphertext:
    """Ones, after all products but `spare` that the depth allows: circuits that shift with the depth."""
    ct = kit.encrypt(np.ones((*batch, 16)))
    for _ in range(4 - spare):
        ct = kit.evaluator.multiply(ct, 0.5)
    return ct


def odd_scale(kit: Kit, ct: Ciphertext) -> Ciphertext:
    return kit.evaluator.with_scale(ct, EXACT.multiply(meta_of(ct).scale, Decimal("1.5")))


def polynomial(kit: Kit, ct: Ciphertext, degree: int, reach: float = 1.0) -> Ciphertext:
    return evaluate_polynomial(kit.evaluator, ct, Polynomial((0.1,) * (degree + 1), interval=(-reach, reach)))


TOO_DEEP = {
    "multiply": lambda k: k.evaluator.multiply(lowest(k), lowest(k)),
    "square": lambda k: k.evaluator.square(lowest(k)),
    "multiply by a constant": lambda k: k.evaluator.multiply(lowest(k), 0.5),
    "multiply by an array": lambda k: k.evaluator.multiply(lowest(k), np.ones(16)),
    "multiply by a plaintext": lambda k: k.evaluator.multiply(
        lowest(k), k.encoder.encode(np.ones(16), level=lowest(k).level)
    ),
    "multiply unequal levels": lambda k: k.evaluator.multiply(lowest(k), k.encrypt(np.ones(16))),
    "multiply odd scales": lambda k: k.evaluator.multiply(lowest(k, 1), odd_scale(k, lowest(k, 1))),
    "add odd scales": lambda k: k.evaluator.add(lowest(k), odd_scale(k, lowest(k))),
    "subtract odd scales": lambda k: k.evaluator.subtract(lowest(k), odd_scale(k, lowest(k))),
    "weighted_sum": lambda k: k.evaluator.weighted_sum(lowest(k, batch=(2,)), [0.5, 0.5]),
    "dot": lambda k: k.evaluator.dot(lowest(k, batch=(2,)), lowest(k, batch=(2,))),
    "rescale": lambda k: k.evaluator.rescale(lowest(k)),
    "relinearise": lambda k: k.evaluator.relinearise(lowest(k), rescale=True),
    "bring": lambda k: k.evaluator.bring(odd_scale(k, lowest(k)), 0),
    "bring without going down": lambda k: k.evaluator.bring(odd_scale(k, k.encrypt(np.ones(16))), 4),
    "polynomial": lambda k: polynomial(k, lowest(k, 2), 7),
    "polynomial on an interval": lambda k: polynomial(k, lowest(k, 2), 3, 100.0),
}


@pytest.mark.parametrize("circuit", TOO_DEEP)
def test_level_errors_name_a_depth_that_is_enough(circuit):
    """The number in the text is the least depth at which the very same circuit runs."""
    with pytest.raises(LevelError) as caught:  # not a RangeError for lack of modulus, say
        TOO_DEEP[circuit](make_kit(insecure_small(32)))
    text = str(caught.value)
    named = re.search(r"parameters of depth (\d+)", text)
    assert named, text
    enough = int(named[1])
    assert f"for_depth({enough}" in text and "of 4" in text
    assert enough > 4
    TOO_DEEP[circuit](make_kit(insecure_small(32, depth=enough)))
    if enough > 5:
        with pytest.raises(LevelError):
            TOO_DEEP[circuit](make_kit(insecure_small(32, depth=enough - 1)))


def test_missing_keys_are_named():
    kit = make_kit(insecure_small(64), rotations=[1, 2], conjugation=False)
    ct = kit.encrypt(np.ones(16))
    with pytest.raises(MissingKey, match=r"rotation by 3 slots.*rotations=\[3\]"):
        kit.evaluator.rotate(ct, 3)
    with pytest.raises(MissingKey, match="rotation by 5 slots"):
        kit.evaluator.rotate_many(ct, (1, 5, 2))
    with pytest.raises(MissingKey, match=r"element 127\b.*conjugation"):
        kit.evaluator.conjugate(ct)
    with pytest.raises(MissingKey, match="rotation by 4 slots"):
        kit.evaluator.sum_slots(ct, 8)
    with pytest.raises(KeyError):
        kit.evaluator.rotate(ct, -1)
    keyless = Evaluator(kit.params)
    for operation in (keyless.multiply, keyless.tensor):
        if operation == keyless.multiply:
            with pytest.raises(MissingKey, match="relin"):
                operation(ct, ct)
        else:
            with pytest.raises(MissingKey, match="relin"):
                keyless.relinearise(operation(ct, ct))
    with pytest.raises(MissingKey, match="relin"):
        keyless.dot(ct[None], ct[None])
    assert kit.error(keyless.multiply(ct, 0.5), np.full(16, 0.5)) < 2.0**-25


OVERFLOWS = {
    "multiply": lambda k, x: k.evaluator.multiply(x, x),
    "square": lambda k, x: k.evaluator.square(x),
    "multiply without rescale": lambda k, x: k.evaluator.multiply(x, x, rescale=False),
    "tensor": lambda k, x: k.evaluator.tensor(x, x),
    "array": lambda k, x: k.evaluator.multiply(x, np.full(4, 1e3)),
    "constant": lambda k, x: k.evaluator.multiply(x, 1e3),
    "complex constant": lambda k, x: k.evaluator.multiply(x, 1e3j),
    "integer": lambda k, x: k.evaluator.multiply(x, 2**200),
    "plaintext": lambda k, x: k.evaluator.multiply(x, k.encoder.encode(np.full(4, 400.0), level=1, bound=400.0)),
    "weighted sum": lambda k, x: k.evaluator.weighted_sum(x[None], [1e3]),
    "dot": lambda k, x: k.evaluator.dot(x[None], x[None]),
    "add": lambda k, x: k.evaluator.add(k.evaluator.bring(x, 0), k.evaluator.bring(x, 0)),
    "add a constant": lambda k, x: k.evaluator.add(k.evaluator.bring(x, 0), 200.0),
    "add an array": lambda k, x: k.evaluator.add(k.evaluator.bring(x, 0), np.full(4, 200.0)),
    "sum": lambda k, x: k.evaluator.sum(k.evaluator.bring(x, 0)[None][[0, 0]]),
    "sum of slots": lambda k, x: k.evaluator.sum_slots(k.evaluator.bring(x, 0)),
    "integer at level 0": lambda k, x: k.evaluator.multiply(k.evaluator.bring(x, 0), 2),
    "drop": lambda k, x: k.evaluator.drop(k.evaluator.multiply(x, 4), 0),
    "bring": lambda k, x: k.evaluator.bring(k.evaluator.multiply(x, 4), 0),
}


@pytest.mark.parametrize("name", OVERFLOWS)
def test_values_beyond_the_modulus_raise(name):
    """Level 0 has 2^49 with sign, that is +-512 at 2^40: what may exceed it must not come out wrapped around."""
    kit = make_kit(insecure_small(64, depth=1, value_range=400.0))
    x = kit.encrypt(np.full(4, 400.0))
    with pytest.raises(RangeError, match=r"modulus|bound"):
        kit.decrypt(OVERFLOWS[name](kit, x))


def test_largest_values_that_fit_are_right(backend):
    kit = kit_for(backend, depth=1, value_range=400.0)
    x = np.linspace(-400, 400, 16)
    for level in (0, 1):
        result = kit.encrypt(x, level)
        assert kit.error(result, x) <= error_bound(result)
    result = kit.evaluator.multiply(kit.encrypt(x), 1.25)
    assert kit.error(result, 1.25 * x) <= error_bound(result)


# ---- warnings ------------------------------------------------------------------------------------------------------


def test_constants_that_lose_their_digits_warn():
    kit = make_kit(insecure_small(64))
    ct = kit.encrypt(np.ones(4))
    with pytest.warns(PrecisionWarning, match=r"1e-11 keeps .* bits at scale 2\^40") as caught:
        result = kit.evaluator.multiply(ct, 1e-11)
    assert [w.filename for w in caught] == [__file__], "the warning points at the line that multiplied"
    assert kit.error(result, np.full(4, 1e-11)) <= error_bound(result)
    kit.evaluator.multiply(ct, 1e-8)  # enough bits: no warning, which pytest would turn into an error
    kit.evaluator.multiply(ct, 0.0)


@pytest.mark.parametrize(
    "use",
    [
        lambda k, x: k.evaluator.multiply(x, 1e-13),
        lambda k, x: k.evaluator.multiply(x, 1e-13j),
        lambda k, x: k.evaluator.multiply(x, np.full(4, 1e-13)),
        lambda k, x: k.evaluator.weighted_sum(x[None], [1e-13]),
    ],
    ids=["constant", "complex constant", "array", "weighted sum"],
)
def test_losing_every_digit_is_never_silent(use):
    kit = make_kit(insecure_small(64))
    with pytest.warns(PrecisionWarning):
        use(kit, kit.encrypt(np.ones(4)))
