"""Every operation of the evaluator computes what it says, within the error it states, at canonical scales."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import product as pairs

import numpy as np
import pytest
from kit import Kit, at_the_ends, make_kit
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes

from ckks import error_bound, expected_error, kernels
from ckks.errors import LevelError, MissingKey, PrecisionWarning, RangeError, SlotError
from ckks.rlwe import Ciphertext
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

LARGE = 256
"""Ring degree of the compiled backends here: 128 slots. The noise of a product with the secret has a variance that
differs from slot to slot like |s(zeta)|^2, exponentially distributed, so the mean square over 64 independent slots (one
of each conjugate pair) is off by 1/sqrt(64) = 12 % in one standard deviation, its root by 6 %; a factor of 2 is far."""

_kits: dict[object, Kit] = {}


def kit_for(backend: str, make=insecure_small, **changes) -> Kit:
    """Keys for a backend's ring degree: the same words on every backend, hence made once."""
    key = make, backend == "reference", tuple(changes.items())
    if key not in _kits:
        _kits[key] = make_kit(make(32 if backend == "reference" else LARGE, **changes))
    return _kits[key]


def draw(shape, kind: str, seed: int) -> np.ndarray:
    return at_the_ends(np.random.default_rng(seed), shape, real=kind != "complex")


def fingerprint(*cts: Ciphertext) -> list[object]:
    return [(hashlib.sha256(c.words.tobytes()).digest(), c.level, c.meta, c.noise) for c in cts]


# ---- homomorphism ------------------------------------------------------------------------------------------------

# name -> (how many operands, what to do with ciphertexts, what that means for numbers, levels used)
OPERATIONS = {
    "fresh": (1, lambda e, x: x, lambda x: x, 0),
    "add": (2, lambda e, x, y: e.add(x, y), lambda x, y: x + y, 0),
    "subtract": (2, lambda e, x, y: e.subtract(x, y), lambda x, y: x - y, 0),
    "negate": (1, lambda e, x: e.negate(x), lambda x: -x, 0),
    "multiply": (2, lambda e, x, y: e.multiply(x, y), lambda x, y: x * y, 1),
    "square": (1, lambda e, x: e.square(x), lambda x: x * x, 1),
    "multiply without rescale": (2, lambda e, x, y: e.multiply(x, y, rescale=False), lambda x, y: x * y, 0),
    "tensor": (2, lambda e, x, y: e.tensor(x, y), lambda x, y: x * y, 0),
    "tensor, relinearise": (2, lambda e, x, y: e.relinearise(e.tensor(x, y)), lambda x, y: x * y, 0),
    "tensor, relinearise and rescale": (
        2,
        lambda e, x, y: e.relinearise(e.tensor(x, y), rescale=True),
        lambda x, y: x * y,
        1,
    ),
    "tensor, rescale, relinearise": (
        2,
        lambda e, x, y: e.relinearise(e.rescale(e.tensor(x, y))),
        lambda x, y: x * y,
        1,
    ),
    "add three parts and two": (
        2,
        lambda e, x, y: e.add(e.tensor(x, y), e.multiply(x, y, rescale=False)),
        lambda x, y: 2 * x * y,
        0,
    ),
    "times a real constant": (1, lambda e, x: e.multiply(x, -0.7), lambda x: -0.7 * x, 1),
    "times a complex constant": (1, lambda e, x: e.multiply(x, 0.6 + 0.8j), lambda x: (0.6 + 0.8j) * x, 1),
    "times an integer": (1, lambda e, x: e.multiply(x, -7), lambda x: -7 * x, 0),
    "plus a constant": (1, lambda e, x: e.add(x, 0.3), lambda x: x + 0.3, 0),
    "minus a complex constant": (1, lambda e, x: e.subtract(x, 0.3j), lambda x: x - 0.3j, 0),
    "rotate": (1, lambda e, x: e.rotate(x, 2), lambda x: np.roll(x, -2, -1), 0),
    "conjugate": (1, lambda e, x: e.conjugate(x), np.conj, 0),
    "sum of 4 slots": (1, lambda e, x: e.sum_slots(x, 4), lambda x: sum(np.roll(x, -k, -1) for k in range(4)), 0),
    "rescale of a product": (
        2,
        lambda e, x, y: e.rescale(e.multiply(x, y, rescale=False)),
        lambda x, y: x * y,
        1,
    ),
    "drop": (1, lambda e, x: e.drop(x, 2), lambda x: x, 2),
    "bring": (1, lambda e, x: e.bring(x, 1), lambda x: x, 3),
}
KINDS = {
    "real": ((), (), "real"),
    "complex": ((), (), "complex"),
    "batch": ((3,), (3,), "real"),
    "broadcast": ((2, 1), (3,), "complex"),
}
CORRELATED = {"square", "add three parts and two"}
"""Both operands carry the same error; `std`, which assumes independence, is a factor sqrt(2) low."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name, kind, backend):
    count, encrypted, plain, depth = OPERATIONS[name]
    kit = kit_for(backend)
    shapes, how = KINDS[kind][:2], KINDS[kind][2]
    values = [draw((*shapes[i], kit.params.slots), how, 10 + i) for i in range(count)]
    cts = [kit.encrypt(v) for v in values]
    before = fingerprint(*cts)
    result = encrypted(kit.evaluator, *cts)
    assert fingerprint(*cts) == before
    wanted = plain(*values)
    assert result.level == kit.params.top_level - depth
    assert result.shape == wanted.shape[:-1]
    found = kit.decrypt(result)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    off = np.abs(found - wanted)
    assert off.max() <= error_bound(result)
    assert np.abs(wanted).max() <= meta_of(result).bound * (1 + 1e-12)
    if backend == "reference":
        return
    # The expected error is that of complex slots; their real parts, which real results keep, have half its variance.
    rms = np.sqrt(np.mean(off**2)) * (1 if found.dtype.kind == "c" else 2**0.5)
    ratio = rms / expected_error(result)
    assert 0.5 <= ratio <= 2, f"measured {rms:.3g}, expected {expected_error(result):.3g}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_on_sparse_vectors(name, backend):
    """8 slots of 32 or 128, repeated: everything acts within the 8."""
    count, encrypted, plain, _ = OPERATIONS[name]
    kit = kit_for(backend)
    values = [draw((8,), "complex", 20 + i) for i in range(count)]
    result = encrypted(kit.evaluator, *(kit.encrypt(v, slots=8) for v in values))
    wanted = plain(*values)
    off = np.abs(kit.decrypt(result) - wanted)
    assert off.max() <= error_bound(result)
    assert meta_of(result).slots == 8


@pytest.mark.parametrize(
    "make", [insecure_pairs, insecure_single_digit, insecure_wide_primes], ids=lambda m: m.__name__
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_over_other_parameters(name, make, backend):
    """Two primes a level, uncentred or single digits, primes of the general class."""
    count, encrypted, plain, _ = OPERATIONS[name]
    kit = kit_for(backend, make)
    values = [draw((kit.params.slots,), "complex", 30 + i) for i in range(count)]
    result = encrypted(kit.evaluator, *map(kit.encrypt, values))
    assert kit.error(result, plain(*values)) <= error_bound(result) + 2.0**-44  # decoding: two transforms in double


def test_operands_of_different_length(backend):
    """Missing slots are zeros, and the longer vector gives the result's length."""
    kit = kit_for(backend)
    x, y = kit.encrypt([0.5, -0.25, 1.0]), kit.encrypt([1.0, 1.0, 1.0, 1.0, 1.0])
    assert kit.error(kit.evaluator.add(x, y), np.array([1.5, 0.75, 2.0, 1.0, 1.0])) <= error_bound(y) * 2
    assert kit.error(kit.evaluator.multiply(x, y), np.array([0.5, -0.25, 1.0, 0, 0])) <= 2.0**-25


@pytest.mark.parametrize("batch", [(), (3,), (2, 1)])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_plain_arrays(batch, kind, backend):
    """Arrays broadcast over the batch by numpy's rules; the same as the ciphertext's length, or all slots."""
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    x = draw((3, slots), "real", 1)
    y = draw((*batch, slots), kind, 2)
    ct = kit.encrypt(x)
    for result, wanted, used in (
        (e.add(ct, y), x + y, 0),
        (e.subtract(ct, y), x - y, 0),
        (e.multiply(ct, y), x * y, 1),
    ):
        assert result.shape == np.broadcast_shapes((3,), batch)
        assert result.level == kit.params.top_level - used
        assert kit.error(result, wanted) <= error_bound(result)


def test_plaintext_objects(backend):
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    x, y = draw((slots,), "real", 1), draw((2, slots), "real", 2)
    ct, plain = kit.encrypt(x), kit.encoder.encode(y)
    for result, wanted in (
        (e.add(ct, plain), x + y),
        (e.subtract(ct, plain), x - y),
        (e.multiply(ct, plain), x * y),
        (e.rescale(e.multiply(ct, plain, rescale=False)), x * y),
    ):
        assert kit.error(result, wanted) <= error_bound(result)
        assert meta_of(result).scale == kit.params.scale_at(result.level)


def test_sum_over_any_batch_axis(backend):
    kit = kit_for(backend)
    x = draw((2, 3, kit.params.slots), "real", 4)
    ct = kit.encrypt(x)
    for axis in (0, 1, -1, -2):
        result = kit.evaluator.sum(ct, axis)
        wanted = x.sum(axis=axis if axis >= 0 else axis - 1)  # numpy counts the slot axis as well
        assert kit.error(result, wanted) <= error_bound(result)
    with pytest.raises(SlotError, match="sum_slots"):
        kit.evaluator.sum(ct[0, 0])


def test_batch_indexing_is_a_view(backend):
    kit = kit_for(backend)
    x = draw((2, 3, 8), "real", 4)
    ct = kit.encrypt(x)
    for index in (0, (1, 2), slice(None, None, -1), (slice(None), 1), np.array([1, 0]), [True, False]):
        assert kit.error(ct[index], x[index] if not isinstance(index, tuple) else x[(*index, slice(None))]) <= 2.0**-25
    assert np.shares_memory(ct[1].words, ct.words)
    assert kit.error(ct[..., 2], x[:, 2]) <= 2.0**-25
    for index in (2, (0, 3), (0, 0, 0), (0, 0, slice(None))):
        with pytest.raises(IndexError):
            ct[index]


# ---- sums of products --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_dot_is_the_sum_of_products(kind, backend):
    """One relinearisation for all terms; the same values as one for each, and a smaller error."""
    kit = kit_for(backend)
    e = kit.evaluator
    x, y = (draw((5, kit.params.slots), kind, seed) for seed in (1, 2))
    a, b = kit.encrypt(x), kit.encrypt(y)
    lazy, eager = e.dot(a, b), e.sum(e.multiply(a, b))
    for result in (lazy, eager, e.rescale(e.dot(a, b, rescale=False))):
        assert kit.error(result, (x * y).sum(0)) <= error_bound(result)
        assert result.level == kit.params.top_level - 1
        assert meta_of(result).scale == kit.params.scale_at(result.level)
    assert error_bound(lazy) < error_bound(eager) and expected_error(lazy) < expected_error(eager)


def test_dot_with_more_batch_axes_and_levels(backend):
    kit = kit_for(backend)
    x, y = draw((3, 2, 16), "real", 1), draw((3, 1, 16), "real", 2)
    result = kit.evaluator.dot(kit.encrypt(x), kit.encrypt(y, level=2))
    assert result.level == 1 and kit.error(result, (x * y).sum(0)) <= error_bound(result)
    with pytest.raises(SlotError, match=r"\(3, 2\) and \(2,\)"):
        kit.evaluator.dot(kit.encrypt(x), kit.encrypt(y[:2, 0]))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5)])
def test_weighted_sum(shape, backend):
    kit = kit_for(backend)
    x = draw((5, 2, kit.params.slots), "complex", 1)
    weights = np.random.default_rng(2).normal(size=shape)
    ct = kit.encrypt(x)
    for result in (
        kit.evaluator.weighted_sum(ct, weights),
        kit.evaluator.rescale(kit.evaluator.weighted_sum(ct, weights, rescale=False)),
    ):
        assert kit.error(result, np.tensordot(weights, x, 1)) <= error_bound(result)
        assert result.level == kit.params.top_level - 1
        assert meta_of(result).scale == kit.params.scale_at(result.level)


def test_weighted_sum_is_the_sum_of_constant_products(backend):
    """Word for word: the same integers, summed before the one rescale instead of after."""
    kit = kit_for(backend)
    e = kit.evaluator
    weights = [0.3, -1.25, 7e-4]
    ct = kit.encrypt(draw((3, 16), "real", 1))
    terms = [e.multiply(ct[k], w, rescale=False) for k, w in enumerate(weights)]
    total = e.add(e.add(terms[0], terms[1]), terms[2])
    np.testing.assert_array_equal(e.weighted_sum(ct, weights, rescale=False).words, total.words)


def test_weighted_sum_takes_lists_and_integers(backend):
    kit = kit_for(backend)
    x = draw((2, 8), "real", 1)
    result = kit.evaluator.weighted_sum(kit.encrypt(x), [1, -1])
    assert kit.error(result, x[0] - x[1]) <= error_bound(result)


def test_integers_are_free(backend):
    kit = kit_for(backend)
    x = draw((kit.params.slots,), "real", 1)
    ct = kit.encrypt(x)
    for factor in (0, 1, -1, 3, np.int64(-5), np.uint8(200), 2**40):
        result = kit.evaluator.multiply(ct, factor)
        assert result.level == ct.level and meta_of(result).scale == meta_of(ct).scale
        assert result.noise.bound == ct.noise.bound * abs(int(factor))
        assert kit.error(result, x * int(factor)) <= error_bound(result)
    for free in (0, 1, 7):
        assert kit.evaluator.multiply(kit.encrypt(x, level=0), free).level == 0
    assert kit.evaluator.multiply(ct, True).level == ct.level - 1  # a truth value is a number like 1.0, not a count


def test_zeros_of_every_kind(backend):
    """No operand is too small to work with: no error from the depths, and the result is 0 within its bound."""
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    x = draw((slots,), "real", 1)
    ct, zero = kit.encrypt(x), kit.encrypt(np.zeros(slots))
    promised = e.with_bound(zero, 0.0)
    for result in (
        e.multiply(ct, 0),
        e.multiply(ct, 0.0),
        e.multiply(ct, np.zeros(slots)),
        e.multiply(ct, zero),
        e.multiply(ct, promised),
        e.multiply(zero, zero),
        e.square(e.multiply(ct, 0)),
        e.square(e.square(e.multiply(ct, 0.0))),
        e.rotate(e.multiply(ct, 0), 1),
        e.subtract(ct, ct),
        e.weighted_sum(kit.encrypt(np.stack([x, x])), [0.0, 0.0]),
        e.dot(kit.encrypt(np.stack([x, x])), e.multiply(kit.encrypt(np.stack([x, x])), 0)),
    ):
        assert kit.error(result, np.zeros(slots)) <= error_bound(result)
        assert "Ciphertext" in repr(result)
    for result in (e.add(ct, 0), e.add(ct, 0.0), e.add(ct, np.zeros(slots)), e.add(ct, zero), e.subtract(ct, zero)):
        assert kit.error(result, x) <= error_bound(result)


def test_empty_vectors_and_batches(backend):
    kit = kit_for(backend)
    e = kit.evaluator
    none = kit.encrypt(np.zeros((0, 4)))
    assert kit.decrypt(e.multiply(e.add(none, none), none)).shape == (0, 4)
    assert kit.decrypt(e.add(none, np.zeros((0, 4)))).shape == (0, 4)
    empty = kit.encrypt(np.zeros(0))
    assert kit.decrypt(e.add(empty, empty)).shape == (0,)
    assert kit.decrypt(e.add(empty, np.zeros(0))).shape == (0,)


# ---- slots -------------------------------------------------------------------------------------------------------


def test_rotations_compose(backend):
    """rotate(j) rotate(k) = rotate(j + k); rotations are cyclic; one by one or hoisted, the same words."""
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    x = draw((2, slots), "complex", 1)
    ct = kit.encrypt(x)
    hoisted = e.rotate_many(ct, (1, 2, 4, 0, slots))
    for k, result in zip((1, 2, 4, 0, slots), hoisted, strict=True):
        assert kit.error(result, np.roll(x, -k, -1)) <= error_bound(result)
        np.testing.assert_array_equal(result.words, e.rotate(ct, k).words)
    twice = e.rotate(e.rotate(ct, 1), 4)
    assert kit.error(twice, np.roll(x, -5, -1)) <= error_bound(twice)
    around = ct
    for _ in range(2):
        around = e.rotate(around, slots // 2)
    assert kit.error(around, x) <= error_bound(around)
    np.testing.assert_array_equal(e.rotate(ct, slots // 2).words, e.rotate(ct, -(slots // 2)).words)


def test_rotation_moves_the_empty_slots_too(backend):
    kit = kit_for(backend)
    slots = kit.params.slots
    result = kit.evaluator.rotate(kit.encrypt([1.0, 2.0, 3.0], bound=3.0), 1)
    assert kit.error(result, np.array([2.0, 3.0] + [0.0] * (slots - 3) + [1.0])) <= error_bound(result)


@pytest.mark.parametrize("steps", [1, -1, 3, -3, 7])
def test_sparse_rotations_use_the_keys_that_were_asked_for(steps, backend):
    """Whoever generates rotations=[k] can rotate by k, however many slots the vector has."""
    kit = make_kit(insecure_small(64), rotations=[steps], conjugation=False)
    for slots in (8, 16, 32):
        x = draw((slots,), "real", 1)
        result = kit.evaluator.rotate(kit.encrypt(x, slots=slots), steps)
        assert kit.error(result, np.roll(x, -steps)) <= error_bound(result)


def test_conjugate_is_an_involution(backend):
    kit = kit_for(backend)
    e = kit.evaluator
    x = draw((kit.params.slots,), "complex", 1)
    ct = kit.encrypt(x)
    twice = e.conjugate(e.conjugate(ct))
    assert kit.error(twice, x) <= error_bound(twice)
    real = e.multiply(e.add(ct, e.conjugate(ct)), 0.5)
    assert kit.error(real, x.real + 0j) <= error_bound(real)
    of_rotated, rotated = e.conjugate(e.rotate(ct, 1)), e.rotate(e.conjugate(ct), 1)
    assert kit.error(of_rotated, np.roll(x, -1).conj()) <= error_bound(of_rotated)
    assert kit.error(rotated, np.roll(x, -1).conj()) <= error_bound(rotated)


def test_sum_slots(backend):
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    x = draw((slots,), "real", 1)
    ct = kit.encrypt(x, bound=1.0)
    for count in (1, 2, 8, slots, None):
        result = e.sum_slots(ct, count)
        wanted = sum(np.roll(x, -k) for k in range(count or slots))
        assert kit.error(result, wanted) <= error_bound(result)
    for count in (0, -1, 3, 2 * slots):
        with pytest.raises(SlotError, match="power of two"):
            e.sum_slots(ct, count)


# ---- levels and scales ---------------------------------------------------------------------------------------------


def waiting(kit: Kit, x: np.ndarray, y: np.ndarray, level: int) -> Ciphertext:
    """x y at `level`, degree 2: not yet rescaled."""
    return kit.evaluator.multiply(kit.encrypt(x, level), kit.encrypt(y, level), rescale=False)


def is_canonical(ct: Ciphertext) -> bool:
    params = ct.params
    return meta_of(ct).scale in (params.scale_at(ct.level), params.scale_at(ct.level, 2))


@pytest.mark.parametrize("degrees", [(1, 1), (1, 2), (2, 1), (2, 2)], ids=str)
def test_every_pair_of_levels_combines(degrees, backend):
    """Sums meet at the lower level, at no cost; products one below, after the rescale that a waiting factor still
    needs. A LevelError comes exactly when there is no such level."""
    kit = kit_for(backend)
    e, top = kit.evaluator, kit.params.top_level
    x, y, one = draw((16,), "real", 1), draw((16,), "real", 2), np.ones(16)
    a, b = (
        {
            level: kit.encrypt(v, level) if degree == 1 else waiting(kit, v, one, level)
            for level in range(degree - 1, top + 1)
        }
        for v, degree in ((x, degrees[0]), (y, degrees[1]))
    )
    for la, lb in pairs(a, b):
        before = fingerprint(a[la], b[lb])
        for operation, wanted in ((e.add, x + y), (e.subtract, x - y)):
            result = operation(a[la], b[lb])
            assert result.level == min(la, lb)
            assert is_canonical(result)
            assert kit.error(result, wanted) <= error_bound(result)
        settled = min(la - degrees[0], lb - degrees[1]) + 1
        if settled == 0:
            with pytest.raises(LevelError):
                e.multiply(a[la], b[lb])
        else:
            result = e.multiply(a[la], b[lb])
            assert result.level == settled - 1
            assert meta_of(result).scale == kit.params.scale_at(result.level)
            assert kit.error(result, x * y) <= error_bound(result)
        assert fingerprint(a[la], b[lb]) == before


# Every way to come down one level, or to stay on one with degree 2: (what to do, from a ciphertext of batch (2,)).
WAYS_DOWN = {
    "product": lambda e, x: e.multiply(x, x),
    "square": lambda e, x: e.square(x),
    "array": lambda e, x: e.multiply(x, np.linspace(-1, 1, 16)),
    "constant": lambda e, x: e.multiply(x, 0.3),
    "complex constant": lambda e, x: e.multiply(x, 0.3 - 0.4j),
    "weighted sum": lambda e, x: e.weighted_sum(x, [0.3, 0.7])[None][[0, 0]],
    "weighted sums": lambda e, x: e.weighted_sum(x, [[0.3, 0.7], [0.1, 0.2]]),
    "dot": lambda e, x: e.dot(x, x)[None][[0, 0]],
    "plaintext": lambda e, x: e.multiply(x, e.encoder.encode(np.linspace(-1, 1, 16), level=x.level)),
    "bring": lambda e, x: e.bring(x, x.level - 1),
    "relinearise": lambda e, x: e.relinearise(e.tensor(x, x), rescale=True),
    "rotated product": lambda e, x: e.rotate(e.multiply(x, x), 1),
}
WAYS_TO_WAIT = {
    "product": lambda e, x: e.multiply(x, x, rescale=False),
    "array": lambda e, x: e.multiply(x, np.linspace(-1, 1, 16), rescale=False),
    "constant": lambda e, x: e.multiply(x, 0.3, rescale=False),
    "complex constant": lambda e, x: e.multiply(x, 0.3 - 0.4j, rescale=False),
    "weighted sum": lambda e, x: e.weighted_sum(x, [0.3, 0.7], rescale=False)[None][[0, 0]],
    "dot": lambda e, x: e.dot(x, x, rescale=False)[None][[0, 0]],
    "plaintext": lambda e, x: e.multiply(x, e.encoder.encode(np.linspace(-1, 1, 16), level=x.level), rescale=False),
    "tensor": lambda e, x: e.tensor(x, x),
}


@pytest.fixture(scope="module", params=[40, 45, 30, 70])
def deep(request) -> Kit:
    """Twelve levels, where the 40th digit of a quotient of scales has room to go astray."""
    from ckks import CKKSParams

    params = CKKSParams.generate(
        ring_degree=32,
        depth=12,
        scale_bits=request.param,
        base_bits=request.param + 5,
        num_special=3,
        security=None,
    )
    return make_kit(params)


@pytest.mark.parametrize("way", WAYS_DOWN)
def test_scales_are_canonical_all_the_way_down(way, deep):
    ct = deep.encrypt(np.ones((2, 16)))
    while ct.level:
        ct = deep.evaluator.with_bound(WAYS_DOWN[way](deep.evaluator, ct), 1.0)
        assert meta_of(ct).scale == deep.params.scale_at(ct.level), f"at level {ct.level}"


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
def test_waiting_products_have_the_square_of_the_scale(way, deep):
    """Degree 2 is as canonical as degree 1, so that sums of such products share one rescale."""
    for level in range(1, deep.params.top_level + 1):
        ct = WAYS_TO_WAIT[way](deep.evaluator, deep.encrypt(np.ones((2, 16)), level))
        assert (ct.level, meta_of(ct).scale) == (level, deep.params.scale_at(level, 2)), f"at level {level}"
        assert meta_of(deep.evaluator.rescale(ct)).scale == deep.params.scale_at(level - 1), f"at level {level}"


@pytest.mark.parametrize(("one", "other"), [(a, b) for a in WAYS_TO_WAIT for b in WAYS_TO_WAIT if a < b])
def test_waiting_products_of_different_kinds_add_up(one, other, deep):
    """The documented use of rescale=False: sums of such products share one rescale, at every level."""
    e = deep.evaluator
    for level in range(1, deep.params.top_level + 1):
        ct = deep.encrypt(np.ones((2, 16)), level)
        total = e.add(WAYS_TO_WAIT[one](e, ct), WAYS_TO_WAIT[other](e, ct))
        assert total.level == level, f"at level {level}"


@pytest.mark.parametrize("scale", [Decimal(2) ** k for k in (28, 35, 39, 41, 46, 60, 80)], ids=lambda s: f"{s:.3g}")
def test_other_scales_come_back(scale, backend):
    """Whatever scale a value was given, it combines with canonical ones and becomes canonical."""
    kit = kit_for(backend)
    e = kit.evaluator
    x, y = draw((16,), "real", 1), draw((16,), "real", 2)
    odd = kit.encrypt(x, scale=scale)
    for level in range(kit.params.top_level):
        result = e.bring(odd, level)
        assert result.level == level and meta_of(result).scale == kit.params.scale_at(level)
        assert kit.error(result, x) <= error_bound(result)
    for level in range(1, kit.params.top_level):
        other = kit.encrypt(y, level)
        total = e.add(odd, other)
        assert kit.error(total, x + y) <= error_bound(total)
        # A value of decent precision may cost no more of it than one at the smaller of the scales has to.
        worst = min(scale, kit.params.scale)
        assert error_bound(total) <= 2.0**-4 if worst < 2**35 else error_bound(total) < 2.0**-15


@pytest.mark.parametrize("level", range(4))
def test_bring_settles_waiting_products(level, backend):
    kit = kit_for(backend)
    x, y = draw((16,), "real", 1), draw((16,), "real", 2)
    result = kit.evaluator.bring(waiting(kit, x, y, kit.params.top_level), level)
    assert result.level == level and meta_of(result).scale == kit.params.scale_at(level)
    assert kit.error(result, x * y) <= error_bound(result)


def test_bring_cannot_go_up():
    kit = make_kit(insecure_small(64))
    low = kit.encrypt([1.0], level=1)
    for level in (2, 3, 4):
        with pytest.raises(LevelError):
            kit.evaluator.bring(low, level)
    with pytest.raises(LevelError, match="0 to 4"):
        kit.evaluator.bring(low, -1)
    assert kit.evaluator.bring(low, 1).level == 1


def test_drop_keeps_words_and_scale(backend):
    kit = kit_for(backend)
    ct = kit.encrypt(draw((16,), "real", 1))
    low = kit.evaluator.drop(ct, 1)
    assert np.shares_memory(low.words, ct.words) and meta_of(low) == meta_of(ct) and low.noise == ct.noise
    for level in (5, 17):
        with pytest.raises(LevelError):
            kit.evaluator.drop(ct, level)
    with pytest.raises(LevelError):
        kit.evaluator.drop(ct, -1)


@pytest.mark.parametrize("factor", [2, 0.5, 3.7, -0.0625 * -1])
def test_with_scale_rereads_the_words(factor, backend):
    kit = kit_for(backend)
    x = draw((16,), "real", 1)
    ct = kit.encrypt(x)
    reread = kit.evaluator.with_scale(ct, EXACT.multiply(meta_of(ct).scale, Decimal(factor)))
    assert reread.words is ct.words or np.shares_memory(reread.words, ct.words)
    assert kit.error(reread, x / factor) <= error_bound(reread)
    assert meta_of(reread).bound == pytest.approx(1 / factor)
    assert expected_error(reread) == pytest.approx(expected_error(ct) / factor)


def test_with_bound_is_the_callers_promise(backend):
    kit = kit_for(backend)
    ct = kit.encrypt([0.25, 0.5])
    promised = kit.evaluator.with_bound(ct, 0.5)
    assert (meta_of(promised).bound, meta_of(promised).rms) == (0.5, 0.5)
    assert error_bound(kit.evaluator.square(promised)) < error_bound(kit.evaluator.square(ct))


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_eight_squarings(kind, backend):
    """L15: depth 8, against exact arithmetic, within the bound that the ciphertext states."""
    kit = kit_for(backend, depth=8)
    x = draw((kit.params.slots,), kind, 1)
    ct, power = kit.encrypt(x), x
    for _ in range(8):
        ct, power = kit.evaluator.square(ct), power * power
        assert kit.error(ct, power) <= error_bound(ct)
        assert meta_of(ct).scale == kit.params.scale_at(ct.level)
        ct = kit.evaluator.with_bound(ct, 1.0)
    assert ct.level == 0
    assert error_bound(ct) < 2.0**-10  # 2^8 times the relative error of one product, 2^-20 at the very worst


def test_expected_error_of_repeated_squaring(backend):
    """e' = 2 m e + r: the error of a square is fully correlated with its factors', and a chain shows it."""
    kit = kit_for(backend)
    x = draw((8, kit.params.slots), "complex", 1)
    ct = kit.encrypt(x)
    for _ in range(4):
        ct, x = kit.evaluator.square(ct), x * x
    rms = np.sqrt(np.mean(np.abs(kit.decrypt(ct) - x) ** 2))
    assert 0.5 <= rms / expected_error(ct) <= 2, f"measured {rms:.3g}, expected {expected_error(ct):.3g}"


# ---- what errors say -----------------------------------------------------------------------------------------------


def lowest(kit: Kit, spare: int = 0, batch: tuple[int, ...] = ()) -> Ciphertext:
    """Ones, after all products but `spare` that the depth allows: circuits that shift with the depth."""
    ct = kit.encrypt(np.ones((*batch, 16)))
    for _ in range(4 - spare):
        ct = kit.evaluator.multiply(ct, 0.5)
    return ct


def odd_scale(kit: Kit, ct: Ciphertext) -> Ciphertext:
    return kit.evaluator.with_scale(ct, EXACT.multiply(meta_of(ct).scale, Decimal("1.5")))


def polynomial(kit: Kit, ct: Ciphertext, degree: int, reach: float = 1.0) -> Ciphertext:
    from ckks.circuits import Polynomial, evaluate_polynomial

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
    import re

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
    with pytest.raises(MissingKey, match=rf"element {5**3 % 128}\b.*rotation by 3 slots.*rotations="):
        kit.evaluator.rotate(ct, 3)
    with pytest.raises(MissingKey, match="rotation by 5 slots"):
        kit.evaluator.rotate_many(ct, (1, 5, 2))
    with pytest.raises(MissingKey, match=r"element 127\b.*conjugation"):
        kit.evaluator.conjugate(ct)
    with pytest.raises(MissingKey, match="rotation by 4 slots"):
        kit.evaluator.sum_slots(ct, 8)
    with pytest.raises(KeyError):
        kit.evaluator.rotate(ct, -1)
    from ckks import Evaluator

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


# ---- values -----------------------------------------------------------------------------------------------------------


def test_ciphertexts_are_immutable_and_described():
    kit = make_kit(insecure_small(64))
    ct = kit.encrypt(np.ones((3, 16)))
    with pytest.raises(AttributeError):
        ct.level = 2
    with pytest.raises(ValueError, match="read-only"):
        ct.words[0] = 0
    text = repr(ct)
    for fact in ("INSECURE", "level 4/4", "batch (3,)", "16 values", "2^40.0", "bits", "KiB"):
        assert fact in text
    assert "\n" not in text and "3 parts" in repr(kit.evaluator.tensor(ct, ct))


def test_numpy_does_not_take_ciphertexts():
    kit = make_kit(insecure_small(64))
    ct = kit.encrypt(np.ones(16))
    for attempt in (np.asarray, np.array, lambda c: np.add(c, 1), lambda c: np.ones(16) + c, lambda c: np.ones(16) * c):
        with pytest.raises(TypeError):
            attempt(ct)


@pytest.mark.parametrize("count", [1, 2])
def test_threads_do_not_change_words(count):
    kit = make_kit(insecure_small(256))
    x = kit.encrypt(draw((4, 128), "real", 1))
    plain = kit.evaluator.rotate(kit.evaluator.multiply(x, x), 1).words
    with kernels.threads(count):
        np.testing.assert_array_equal(kit.evaluator.rotate(kit.evaluator.multiply(x, x), 1).words, plain)
