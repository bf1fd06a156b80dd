"""Every operation of the evaluator computes what it says, within the error it states."""

from __future__ import annotations

import numpy as np
import pytest
from kit import draw, fingerprint, kit_for, make_kit
from params import insecure_pairs, insecure_single_digit, insecure_small, insecure_wide_primes

from ckks import error_bound, expected_error, kernels
from ckks.errors import MissingKey, SlotError
from ckks.scheme.meta import meta_of

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


@pytest.mark.parametrize("value", [0.5, -0.25j, np.float64(1.0)], ids=repr)
def test_a_constant_is_a_vector_of_that_constant(value, backend):
    """x + c and x + [c, ..., c] are one thing, in the slots without values too: rotations and sums bring those in."""
    kit = kit_for(backend)
    e = kit.evaluator
    ct = kit.encrypt([0.5, -0.25, 1.0])
    number, array = e.add(ct, value), e.add(ct, np.full(3, value))
    for result in (number, array):
        wanted = np.zeros(kit.params.slots, dtype=complex)
        wanted[:3] = np.array([0.5, -0.25, 1.0]) + value
        rotated, summed = e.rotate(result, 2), e.sum_slots(result)
        assert np.abs(kit.decrypt(rotated) - np.roll(wanted, -2)).max() <= error_bound(rotated)
        assert np.abs(kit.decrypt(summed) - wanted.sum()).max() <= error_bound(summed)


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


@pytest.mark.parametrize("most", [1, 2, 3, 1024])
@pytest.mark.parametrize("shapes", [((5,), (5,)), ((5, 2), (5, 1)), ((3, 2, 2), (3, 1, 2)), ((1, 2), (1, 2))])
def test_dot_has_the_words_of_products_that_are_added_up(shapes, most, backend, monkeypatch):
    """In one go, or a few terms at a time; and the metadata, those of a square among them."""
    monkeypatch.setattr("ckks.rlwe.keyswitch._MOST_TERMS", most)
    kit = kit_for(backend)
    e = kit.evaluator
    a, b = (kit.encrypt(draw((*shape, 16), "complex", seed)) for seed, shape in enumerate(shapes))
    for x, y in ((a, b), (a, a)):
        for rescale in (False, True):
            found, wanted = e.dot(x, y, rescale=rescale), e.relinearise(e.sum(e.tensor(x, y)), rescale=rescale)
            assert np.array_equal(found.words, wanted.words)
            assert (found.meta, found.noise, found.level) == (wanted.meta, wanted.noise, wanted.level)


def test_dot_pairs_first_axes_whatever_axes_come_after(backend):
    """Of (3,) and (3, 3): a[k] b[k, :], where broadcasting from the last axis would take a[j] b[k, j]."""
    kit = kit_for(backend)
    x, y = draw((3, 16), "real", 1), draw((3, 3, 16), "real", 2)
    result = kit.evaluator.dot(kit.encrypt(x), kit.encrypt(y))
    assert kit.error(result, (x[:, None] * y).sum(0)) <= error_bound(result)


def test_dot_keeps_no_products(backend):
    """Of 64 terms it takes no more memory than of 4."""
    kit = kit_for(backend)
    peaks = []
    for count in (4, 64):
        a = kit.encrypt(draw((count, 16), "real", 1))
        with kernels.apart():
            kit.evaluator.dot(a, a)
            peaks.append(kernels.memory_report().peak)
    assert peaks[0] == peaks[1]


def test_weights_are_rounded_once(backend, monkeypatch):
    """Not for each input: arithmetic on Python's integers takes longer for some weights than for others."""
    kit = kit_for(backend)
    a, weights = kit.encrypt(draw((3, 16), "real", 1)), [0.25, -0.5, 0.123456]
    first = kit.evaluator.weighted_sum(a, weights)
    monkeypatch.setattr("ckks.scheme.evaluator.hypot", lambda *_: pytest.fail("weights were rounded again"))
    assert np.array_equal(kit.evaluator.weighted_sum(a, weights).words, first.words)


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


def test_weighted_sum_at_a_scale_takes_its_input_as_it_is(backend):
    """With a scale of their own, weights multiply words and scale; nothing is settled or rescaled before."""
    kit = make_kit(insecure_small())
    x = np.array([[0.5, -1.0], [0.25, 0.125]])
    ct = kit.encryptor.encrypt(x, scale=2**55)
    raw = kit.evaluator.weighted_sum(ct, [0.5, -0.25], scale=2**12, rescale=False)
    assert (raw.level, meta_of(raw).scale) == (ct.level, 2**67)
    integers = np.array([[v % q for q in ct.basis.moduli] for v in (2048, -1024)], dtype=np.uint64)
    np.testing.assert_array_equal(raw.words, kernels.weighted_sum(ct.basis.plan, ct.words, integers))
    low = kit.evaluator.weighted_sum(ct, [0.5, -0.25], scale=2**12)
    np.testing.assert_array_equal(low.words, kit.evaluator.rescale(raw).words)
    assert meta_of(low).scale == meta_of(kit.evaluator.rescale(raw)).scale


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


def test_sum_of_rotations(backend):
    """The sum of what rotate_many gives, one by one and in a batch; the error is the one that it declares."""
    kit = kit_for(backend)
    e, slots = kit.evaluator, kit.params.slots
    steps = (1, 0, 4, 2, 1)
    for shape in ((slots,), (2, slots)):
        x = draw(shape, "complex", 2)
        ct = kit.encrypt(x)
        found = e.rotate_sum(ct, steps)
        assert kit.error(found, sum(np.roll(x, -k, -1) for k in steps)) <= error_bound(found)
        assert meta_of(found).bound == 5 * meta_of(ct).bound and found.level == ct.level
    with pytest.raises(SlotError, match="at least one"):
        e.rotate_sum(ct, ())
    with pytest.raises(MissingKey, match="rotation by 7 slots"):
        e.rotate_sum(ct, (1, 7))


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


@pytest.mark.parametrize("value", [0.0, 0.3, -0.7, 1e-9, 3])
def test_a_real_constant_is_constant_in_ntt_form_too(value, backend):
    """What addition fills in without a transform are the words that the encoder transforms."""
    kit = kit_for(insecure_small())
    a = kit.encrypt(np.zeros(kit.params.slots), level=2)
    constant = kit.encoder.constant_words(value, meta_of(a).scale, 2)
    wanted = kernels.add(a.basis.plan, a.words[0], constant)
    found = kit.evaluator.add(a, value).words
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(found[1], a.words[1])
