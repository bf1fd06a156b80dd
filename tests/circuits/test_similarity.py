"""Similarities against plain numpy, at every shape where blocks begin and end; their errors against what they state."""

from __future__ import annotations

import numpy as np
import pytest
from kit import Kit, kit_for, make_kit
from params import insecure_small

from ckks import kernels
from ckks.circuits.linear.similarity import (
    PlainVectors,
    block_rows,
    encrypted_similarities,
    packed,
    plain_similarities,
    repeated,
    rotation_steps,
    spread,
    unpacked,
    weighted_similarities,
)
from ckks.circuits.promises import listening
from ckks.errors import BasisMismatch, HEError, LevelError, MissingKey, ParameterError, RangeError, SlotError
from ckks.rlwe import EvaluationKeys, Noise
from ckks.scheme import Encoder, Evaluator, error_bound, expected_error
from ckks.scheme.meta import meta_of

N = 64
SLOTS = N // 2
SCALE = 2.0**24


def units(count: int, dimension: int, seed: int = 3) -> np.ndarray:
    """Vectors of length 1 (float32, as they are stored)."""
    x = np.random.default_rng(seed).normal(size=(count, dimension))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def kit(dimension: int, n: int = N) -> Kit:
    """Keys for one dimension; made once for each."""
    key = dimension, n
    if key not in _kits:
        _kits[key] = make_kit(insecure_small(n, depth=1), rotations=rotation_steps(dimension), conjugation=False)
    return _kits[key]


_kits: dict[tuple[int, int], Kit] = {}


# ---- where numbers lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("items", "rows"), [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4), (8, 4), (9, 4), (31, 8)])
def test_packing_by_hand(items, rows):
    x = np.arange(1.0, 1 + 3 * items).reshape(items, 3)
    found = packed(x, rows)
    blocks = -(-items // (2 * rows))
    assert found.shape == (3, blocks, rows)
    for feature in range(3):
        for item in range(2 * rows * blocks):
            block, place = divmod(item, 2 * rows)
            slot = found[feature, block, place % rows]
            assert (slot.real if place < rows else slot.imag) == (x[item, feature] if item < items else 0)
    for feature in range(3):
        wider = np.pad(found[feature], ((0, 0), (0, 2)), constant_values=9 + 9j)
        assert (unpacked(wider, items, rows) == x[:, feature]).all()


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32])
def test_diagonals_meet_the_right_numbers(dimension):
    """The identity that everything rests on, with plain slots: in a usable row, diagonals and rotations give x . q."""
    rows = block_rows(SLOTS, dimension)
    x, q = units(rows, dimension), units(1, dimension, 5)[0]
    slots = repeated(q, SLOTS)
    for r in range(rows):
        total = sum(float(x[r, (r + i) % dimension]) * slots[(r + i) % SLOTS] for i in range(dimension))
        assert total == pytest.approx(float(x[r].astype(float) @ q), abs=1e-12)
    seen = [slots[(rows + i) % SLOTS] for i in range(dimension)]
    assert rows == SLOTS or sorted(seen) != sorted(q.tolist()), "the first row that stays empty could have been used"


@pytest.mark.parametrize("dimension", [*range(1, 70), 384, 512, 1000])
def test_two_steps_reach_every_rotation_with_few_keys(dimension):
    steps = rotation_steps(dimension)
    assert {a + b for a in (0, *steps) for b in (0, *steps)} >= set(range(dimension))
    assert len(steps) <= 2 * np.sqrt(dimension) and 0 not in steps and list(steps) == sorted(set(steps))


def test_spread_and_repeated_by_hand():
    assert repeated([1, 2, 3], 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert spread([1, 2], 4).tolist() == [[1, 1, 1, 1], [2, 2, 2, 2]]


# ---- plain vectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dimension", "items"), [(4, 5), (7, 3)])
def test_coefficients_are_those_of_the_encoder(dimension, items):
    """Slot by slot, written out; the encoder is asked for each diagonal alone."""
    params = insecure_small(N, depth=1)
    x, rows = units(items, dimension), block_rows(SLOTS, dimension)
    vectors = PlainVectors.encode(params, x, scale=SCALE)
    for i in range(dimension):
        slots = np.zeros(SLOTS, complex)
        for r in range(min(items, rows)):
            slots[r] = x[r, (r + i) % dimension]
        words = Encoder(params).encode(slots, level=1, scale=SCALE, bound=2.0).words
        plan = params.basis(1).plan
        assert (kernels.ntt(plan, kernels.signed(plan, vectors.coefficients[0, i])) == words).all()


def test_coefficients_take_no_more_bytes_than_they_need():
    params = insecure_small(N, depth=1)
    x = units(40, 8)
    kinds = [PlainVectors.encode(params, x, scale=s).coefficients.dtype for s in (2.0**12, 2.0**24, 2.0**40)]
    assert kinds == [np.int16, np.int32, np.int64]
    vectors = PlainVectors.encode(params, x, scale=2.0**24)
    assert vectors.nbytes == 8 * N * 4 and (vectors.blocks, vectors.dimension, vectors.rows) == (1, 8, SLOTS)
    assert not vectors.coefficients.flags.writeable


@pytest.mark.parametrize("dimension", [1, 2, 5, 8, 31, 32])
def test_plain_vectors(dimension, backend_at_64):
    """Every item at every edge of the blocks; the error is within its bound, and of the size expected."""
    keys, rows = kit(dimension), block_rows(SLOTS, dimension)
    q = units(1, dimension, 7)[0]
    ct = keys.encrypt(repeated(q, SLOTS), scale=2.0**60)
    for items in sorted({1, rows, rows + 1, 2 * rows, 2 * rows + 1, 4 * rows}):
        x = units(items, dimension)
        y = plain_similarities(keys.evaluator, ct, PlainVectors.encode(keys.params, x, scale=SCALE))
        assert y.shape == (-(-items // (2 * rows)),) and y.level == 0 and y.parts == 2
        slots = keys.decrypt(y)
        error = np.abs(unpacked(slots, items, rows) - x.astype(float) @ q)
        assert error.max() <= error_bound(y)
        assert (np.abs(slots[:, rows:]) <= error_bound(y)).all(), "empty slots stay empty"


@pytest.fixture(params=["native", "numba"])
def backend_at_64(request):
    if request.param not in kernels.available():
        pytest.skip("not on this machine")
    with kernels.use(request.param):
        yield


def test_the_expected_error_is_what_is_found():
    """Over 128 slots and two numbers in each, measured and expected differ by a few per cent: a factor of 2 is far."""
    dimension, n = 24, 256
    keys, rows = kit(dimension, n), block_rows(n // 2, dimension)
    x, q = units(2 * rows, dimension), units(1, dimension, 7)[0]
    ratios = []
    for scale, own in (
        (2.0**25, 2.0**30),
        (2.0**55, 2.0**14),
    ):  # of the query, of the vectors: one or the other matters
        ct = keys.encrypt(repeated(q, n // 2), scale=scale)
        y = plain_similarities(keys.evaluator, ct, PlainVectors.encode(keys.params, x, scale=own), rescale=False)
        off = keys.decrypt(y)[:, :rows] - packed((x.astype(float) @ q)[:, None], rows)[0]
        ratios.append(float(np.sqrt(np.mean(np.abs(off) ** 2))) / expected_error(y))
        assert np.abs(off).max() <= error_bound(y)
    assert all(0.5 < ratio < 2 for ratio in ratios), ratios


class Exact(Encoder):
    """To which vectors are what their coefficients say."""

    def rounding(self, meta):
        return Noise()


def test_the_bound_is_the_worst_case_of_any_vectors():
    """Equal numbers everywhere make |d| |errors| the sum of |d_i| times bounds, which is plain triangle inequality."""
    dimension = 24
    keys = kit(dimension, 256)
    slots, rows = 128, block_rows(128, dimension)
    x, q = np.full((2 * rows, dimension), dimension**-0.5), units(1, dimension)[0]
    ct, evaluator = keys.encrypt(repeated(q, slots), scale=2.0**60), Evaluator(keys.params, keys.keys)
    evaluator.encoder = Exact(keys.params)
    y = plain_similarities(evaluator, ct, PlainVectors.encode(keys.params, x, scale=SCALE), rescale=False)
    baby = keys.evaluator.rotate_many(ct, range(1, 5))
    twice = keys.evaluator.rotate_many(baby[0], range(1, 5))  # no rotation takes more than two key switches
    diagonal = abs(x[0, 0] * (1 + 1j)) * SCALE
    naive = dimension * diagonal * twice[0].noise.bound
    assert naive <= y.noise.bound <= 1.01 * naive


def test_rescaling_is_left_to_the_caller_where_asked():
    keys, x = kit(8), units(40, 8)
    ct = keys.encrypt(repeated(x[0], SLOTS), scale=2.0**60)
    vectors = PlainVectors.encode(keys.params, x, scale=SCALE)
    raw = plain_similarities(keys.evaluator, ct, vectors, rescale=False)
    once = plain_similarities(keys.evaluator, ct, vectors)
    assert raw.level == 1 and meta_of(raw).scale == 2**84
    again = keys.evaluator.rescale(raw)
    assert (again.words == once.words).all() and again.meta == once.meta and again.noise == once.noise


def test_longer_vectors_under_a_longer_norm():
    keys, x = kit(8), 4 * units(40, 8)
    q = 3 * units(1, 8, 9)[0]
    ct = keys.encrypt(repeated(q, SLOTS), scale=2.0**50, bound=3.0)
    y = plain_similarities(keys.evaluator, ct, PlainVectors.encode(keys.params, x, scale=2.0**20, norm=4.0), norm=3.0)
    assert meta_of(y).bound == pytest.approx(12 * 2**0.5)
    assert np.abs(unpacked(keys.decrypt(y), 40, SLOTS) - x.astype(float) @ q).max() <= error_bound(y)


# ---- encrypted vectors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dimension", "items"), [(1, 1), (3, 2 * SLOTS), (5, 2 * SLOTS + 1), (12, 5 * SLOTS)])
def test_encrypted_vectors(dimension, items):
    keys = kit(1)
    x, q = units(items, dimension), units(1, dimension, 7)[0]
    vectors = keys.encrypt(packed(x, SLOTS), bound=1.5)
    wanted = x.astype(float) @ q
    answers = {
        "encrypted": encrypted_similarities(keys.evaluator, vectors, keys.encrypt(spread(q, SLOTS))),
        "plain": weighted_similarities(Evaluator(keys.params), vectors, q),
    }
    for y in answers.values():
        assert y.shape == (vectors.shape[1],) and (y.level, y.parts) == (0, 2)
        assert np.abs(unpacked(keys.decrypt(y), items, SLOTS) - wanted).max() <= error_bound(y)


def test_encrypted_vectors_are_what_the_parts_make_them():
    """One relinearisation of the sum of tensor products, word for word; in two blocks, and in several passes."""
    keys, dimension = kit(1), 37
    x = units(2 * SLOTS + 3, dimension)
    vectors, query = keys.encrypt(packed(x, SLOTS), bound=1.5), keys.encrypt(spread(x[0], SLOTS))
    y = encrypted_similarities(keys.evaluator, vectors, query, rescale=False)
    parts = None
    for k in range(dimension):
        term = keys.evaluator.tensor(vectors[k], query[k])
        parts = term if parts is None else keys.evaluator.add(keys.evaluator.with_bound(parts, 1.0), term)
    assert (y.words == keys.evaluator.relinearise(parts).words).all()


def test_the_expected_error_of_encrypted_vectors():
    keys = kit_for("native", insecure_small, depth=1)
    slots = keys.params.slots
    x, q = units(2 * slots, 16), units(1, 16, 7)[0]
    vectors, query = keys.encrypt(packed(x, slots), bound=1.5), keys.encrypt(spread(q, slots))
    y = encrypted_similarities(keys.evaluator, vectors, query, rescale=False)
    off = keys.decrypt(y) - packed((x.astype(float) @ q)[:, None], slots)[0]
    assert 0.5 < float(np.sqrt(np.mean(np.abs(off) ** 2))) / expected_error(y) < 2


def test_the_bound_is_the_worst_case_of_any_encrypted_vectors():
    keys, dimension = kit(1), 16
    x = np.full((2 * SLOTS, dimension), 0.25)
    vectors, query = keys.encrypt(packed(x, SLOTS), bound=1.5), keys.encrypt(spread(x[0], SLOTS))
    y = encrypted_similarities(keys.evaluator, vectors, query, rescale=False)
    scale, e, f = float(meta_of(query).scale), vectors.noise.bound, query.noise.bound
    naive = dimension * (abs(0.25 + 0.25j) * scale * f + 0.25 * scale * e + e * f)
    assert naive <= y.noise.bound <= 1.01 * naive


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_what_is_relied_on_is_noted():
    keys, x = kit(8), units(3, 8)
    ct, vectors = keys.encrypt(repeated(x[0], SLOTS)), PlainVectors.encode(keys.params, x, scale=SCALE)
    with listening() as found:
        plain_similarities(keys.evaluator, ct, vectors)
        encrypted_similarities(
            keys.evaluator, keys.encrypt(packed(x, SLOTS), bound=1.5), keys.encrypt(spread(x[0], SLOTS))
        )
    assert [one.interval for one in found] == [(-1.0, 1.0)] * 2 and all(one.proven for one in found)


@pytest.mark.parametrize(
    ("vectors", "error"),
    [
        (np.full((1, 8), 0.5), RangeError),
        (np.full((1, 8), np.nan), RangeError),
        (np.zeros((0, 8)), SlotError),
        (np.zeros(8), SlotError),
        (np.zeros((2, 8), complex), SlotError),
        (np.zeros((1, SLOTS + 1)), ParameterError),
    ],
)
def test_vectors_that_cannot_be_encoded(vectors, error):
    with pytest.raises(error):
        PlainVectors.encode(insecure_small(N, depth=1), vectors, scale=SCALE)


def test_a_scale_beyond_the_integers():
    with pytest.raises(RangeError, match="scale"):
        PlainVectors.encode(insecure_small(N, depth=1), units(1, 4), scale=2.0**62)


def test_misuse():
    keys, x = kit(8), units(3, 8)
    ct, vectors = keys.encrypt(repeated(x[0], SLOTS)), PlainVectors.encode(keys.params, x, scale=SCALE)
    none = Evaluator(keys.params, EvaluationKeys(keys.params))
    elsewhere = PlainVectors.encode(insecure_small(N, depth=2), x, scale=SCALE)
    sparse = keys.encrypt(np.tile(x[0], 2), slots=16)
    feature_major, query = keys.encrypt(packed(x, SLOTS), bound=1.5), keys.encrypt(spread(x[0], SLOTS))
    large = keys.encrypt(repeated(x[0], SLOTS), scale=2.0**80)
    for call, error in (
        (lambda: plain_similarities(none, ct, vectors), MissingKey),
        (lambda: plain_similarities(keys.evaluator, ct, elsewhere), BasisMismatch),
        (lambda: plain_similarities(keys.evaluator, sparse, vectors), SlotError),
        (lambda: plain_similarities(keys.evaluator, query, vectors), SlotError),
        (lambda: plain_similarities(keys.evaluator, keys.evaluator.drop(ct, 0), vectors), LevelError),
        (lambda: plain_similarities(keys.evaluator, large, vectors), RangeError),
        (lambda: encrypted_similarities(none, feature_major, query), MissingKey),
        (lambda: encrypted_similarities(keys.evaluator, query, query), SlotError),
        (lambda: encrypted_similarities(keys.evaluator, feature_major, query[:3]), SlotError),
        (lambda: encrypted_similarities(keys.evaluator, feature_major, keys.evaluator.drop(query, 0)), LevelError),
        (lambda: weighted_similarities(keys.evaluator, feature_major, x[0, :3]), SlotError),
        (lambda: unpacked(np.zeros((1, 4)), 9, 4), SlotError),
        (lambda: packed(np.zeros(3), 4), SlotError),
        (lambda: block_rows(4, 5), ParameterError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert isinstance(caught.value, HEError)
