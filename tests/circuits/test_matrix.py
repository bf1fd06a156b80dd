"""Plaintext matrices on encrypted vectors: the values, the error they state, the keys they name, the cost of zeros."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from kit import Kit, at_the_ends, make_kit
from params import insecure_pairs, insecure_single_digit, insecure_small

from ckks import EncryptedVector, error_bound, expected_error, kernels
from ckks.circuits import LinearMap
from ckks.circuits.linear.diagonals import diagonals_of, packed, schedule
from ckks.circuits.linear.encoded import MOST_KEPT
from ckks.errors import DomainError, LevelError, MissingKey, ParameterError, RangeError, SlotError
from ckks.scheme.meta import meta_of

DECODING = 2.0**-46
SETS = {"one prime": insecure_small, "two primes": insecure_pairs, "one digit": insecure_single_digit}


def by_diagonals(matrix: np.ndarray, x: np.ndarray, *, fold: bool = True) -> np.ndarray:
    """The diagonal method as it stands: all results of a padded matrix, one number at a time."""
    m, n = matrix.shape
    height, width = (1 << (k - 1).bit_length() for k in (m, n))
    slots = max(height, width)
    rows = height if fold else slots
    a, v = np.zeros((rows, width), matrix.dtype), np.zeros(width, x.dtype)
    a[:m, :n], v[:n] = matrix, x
    sums = np.zeros(slots, np.result_type(a, v))
    for step in range(min(rows, width)):
        for r in range(slots):
            sums[r] += a[r % rows, (r + step) % width] * v[(r + step) % width]
    return np.array([sum(sums[r::rows]) for r in range(rows)])


@cache
def kit_of(name: str, n: int, depth: int = 3) -> Kit:
    """Every rotation there is, so that one kit serves all maps; `needed` looks at those they name."""
    return make_kit(SETS[name](n, depth=depth), seed=3, rotations=range(1, n // 2))


def restricted(kit: Kit, linear: LinearMap) -> Kit:
    """The same keys, but only those that a map lists."""
    n = kit.params.ring_degree
    wanted = {pow(5, k, 2 * n) for k in linear.rotations} | ({2 * n - 1} if linear.conjugation else set())
    keys = type(kit.keys)(kit.params, None, {g: key for g, key in kit.keys.galois.items() if g in wanted})
    evaluator = type(kit.evaluator)(kit.params, keys)
    return Kit(kit.params, kit.secret, kit.public, keys, kit.encryptor, evaluator, kit.decryptor)


def verify(kit: Kit, linear: LinearMap, matrix: np.ndarray, x: np.ndarray, level: int | None = None):
    """Apply with exactly the keys that are listed; demand the values, their level and scale, and a useful bound."""
    few = restricted(kit, linear)
    ct = kit.encrypt(x, level, slots=linear.input_slots)
    result = linear.apply(few.evaluator, ct)
    wanted = x @ matrix.T
    assert result.level == ct.level - 1 and meta_of(result).slots == linear.output_slots
    assert meta_of(result).scale == kit.params.scale_at(result.level)
    found = kit.decrypt(result)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    size = max(1.0, np.abs(wanted).max())
    assert np.abs(found - wanted).max() <= error_bound(result) + DECODING * size
    assert error_bound(result) <= 2.0**-18 * max(1.0, np.abs(matrix).sum(axis=1).max())
    assert np.abs(wanted).max() <= meta_of(result).bound * (1 + 1e-9)
    return result


SHAPES = [(1, 1), (2, 2), (8, 8), (5, 7), (16, 16), (3, 16), (16, 3), (1, 16), (16, 1), (13, 6)]
WAYS = {
    "chosen": {},
    "packed": {"real": True},
    "plain": {"real": False},
    "minimal": {"keys": "minimal"},
    "minimal, packed": {"keys": "minimal", "real": True},
    "not folded": {"fold": False},
    "three babies": {"baby_steps": 3, "real": False},
    "all babies": {"baby_steps": 64, "real": False},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_shape(backend, way):
    """And the plain diagonal method agrees with numpy, so that it is the same formula."""
    kit = kit_of("one prime", 32)
    rng = np.random.default_rng(5)
    shapes = SHAPES if kernels.active().name in ("native", "numba") else SHAPES[2:4]
    for m, n in shapes:
        matrix, x = rng.uniform(-1, 1, (m, n)), at_the_ends(rng, (n,))
        fold = WAYS[way].get("fold", True)
        assert np.allclose(by_diagonals(matrix, x, fold=fold)[:m], matrix @ x)
        verify(kit, LinearMap(matrix, **WAYS[way]), matrix, x)


@pytest.mark.parametrize("name", SETS)
def test_parameter_sets_batches_and_levels(name):
    kit, rng = kit_of(name, 64), np.random.default_rng(6)
    for level in (1, kit.params.top_level):
        matrix, x = rng.uniform(-1, 1, (6, 11)), rng.uniform(-1, 1, (2, 3, 11))
        verify(kit, LinearMap(matrix), matrix, x, level)


def test_complex_matrices_and_vectors():
    kit, rng = kit_of("one prime", 64), np.random.default_rng(7)
    a, b = rng.uniform(-1, 1, (2, 8, 8))
    x, z = rng.uniform(-1, 1, 8), at_the_ends(rng, (8,), real=False)
    verify(kit, LinearMap(a + 1j * b), a + 1j * b, x)
    verify(kit, LinearMap(a + 1j * b, keys="minimal"), a + 1j * b, z)
    verify(kit, LinearMap(a, real=False), a, z)
    with pytest.raises(DomainError, match="real=False"):
        LinearMap(a, real=True).apply(kit.evaluator, kit.encrypt(z, slots=8))
    with pytest.raises(DomainError, match="complex matrix"):
        LinearMap(a + 1j * b, real=True)


BANDS = {
    "identity": np.eye(16),
    "tridiagonal": np.eye(16) + 0.5 * np.eye(16, k=1) - 0.25 * np.eye(16, k=-1),
    "shift": np.eye(16, k=3),
    "zero": np.zeros((16, 16)),
    "one corner": np.eye(1, 16).T @ np.eye(1, 16, k=15),
    "two far diagonals": np.eye(16, k=5) + np.roll(np.eye(16), -6, axis=1),
}


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("keys", ["hoisted", "minimal"])
def test_zero_diagonals_cost_nothing(band, keys):
    kit, matrix = kit_of("one prime", 32), BANDS[band]
    x = np.random.default_rng(8).uniform(-1, 1, 16)
    linear = LinearMap(matrix, keys=keys)
    verify(kit, linear, matrix, x)
    row, column = np.nonzero(matrix)
    steps = set(((column - row) % 16).tolist())
    assert linear.diagonals <= max(1, len(steps))
    if keys == "hoisted":
        assert len(linear.rotations) + linear.conjugation <= len(steps - {0})


@pytest.mark.parametrize(("m", "n"), [(16, 16), (40, 16), (16, 40), (33, 47), (5, 40), (40, 5)])
@pytest.mark.parametrize("keys", ["hoisted", "minimal"])
def test_blocks(m, n, keys):
    """More rows or columns than slots: a batch goes in, a batch comes out; blocks of zeros are left out."""
    kit, rng = kit_of("one prime", 32), np.random.default_rng(9)
    matrix, x = rng.uniform(-1, 1, (m, n)), rng.uniform(-1, 1, n)
    corner = matrix[:16, :16]
    corner *= rng.random(corner.shape) < 0.1
    linear = LinearMap(matrix, most_slots=16, keys=keys)
    rows, columns = linear.blocks
    assert (rows, columns) == (-(-m // 16), -(-n // 16))
    width = linear.input_slots
    padded = np.zeros(columns * width)
    padded[:n] = x
    ct = kit.encrypt(padded.reshape(columns, width) if columns > 1 else x, slots=width)
    result = linear.apply(restricted(kit, linear).evaluator, ct)
    assert result.shape == ((rows,) if rows > 1 else ())
    found = kit.decrypt(result).ravel()
    assert np.abs(found[:m] - matrix @ x).max() <= error_bound(result) + DECODING * n
    if rows > 1:
        assert np.abs(found[m:]).max(initial=0.0) <= error_bound(result)


def test_maps_of_one_vector():
    """(R, S) diagonals: R maps share the rotations."""
    kit, rng = kit_of("one prime", 32), np.random.default_rng(10)
    values = {i: rng.uniform(-1, 1, (3, 8)) for i in (0, 1, 5)}
    values[1][0] = 0
    linear, x = LinearMap.of_diagonals(values), rng.uniform(-1, 1, 8)
    result = linear.apply(restricted(kit, linear).evaluator, kit.encrypt(x, slots=8))
    wanted = sum(d * np.roll(x, -i) for i, d in values.items())
    assert np.abs(kit.decrypt(result) - wanted).max() <= error_bound(result)
    assert linear.diagonals <= 8


def test_maps_follow_each_other():
    """What comes out is packed as what goes in; tall, wide, square."""
    kit, rng = kit_of("one prime", 64), np.random.default_rng(11)
    shapes = ((16, 4), (8, 16), (8, 8))
    matrices = [rng.uniform(-1, 1, shape) / 4 for shape in shapes]
    x = rng.uniform(-1, 1, 4)
    y, wanted = EncryptedVector(kit.encrypt(x, slots=4), kit.evaluator), x
    for matrix in matrices:
        y, wanted = LinearMap(matrix) @ y, matrix @ wanted
    assert y.shape == (8,) and y.ciphertext.level == 0
    assert np.abs(kit.decrypt(y.ciphertext) - wanted).max() <= error_bound(y.ciphertext)


ADVERSARIAL = {
    "constant": (np.full((16, 16), 1 / 16), np.ones(16)),
    "spike": (np.full((16, 16), 1 / 16), np.eye(1, 16)[0]),
    "ends": (np.where(np.arange(256).reshape(16, 16) * 7 % 3 == 0, 1.0, -1.0), np.where(np.arange(16) % 2, 1.0, -1.0)),
    "one entry": (np.eye(1, 16).T @ np.eye(1, 16), np.ones(16)),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("way", ["plain", "packed", "minimal"])
def test_the_expected_error_is_met(name, way):
    """The root mean square over many encryptions and both slots and maps, within a factor of 2 (see tests/kit.py)."""
    matrix, x = ADVERSARIAL[name]
    kit, linear = kit_of("one prime", 256), LinearMap(matrix, **WAYS[way])
    result = linear.apply(kit.evaluator, kit.encrypt(np.broadcast_to(x, (24, 16)), slots=16))
    rms = float(np.sqrt(np.mean((kit.decrypt(result) - matrix @ x) ** 2)))
    # A real slot shows half the power of a complex error, so rms / expected lies around 0.7; a single entry fills one slot.
    assert rms <= 1.2 * expected_error(result)
    assert rms >= 0.1 * expected_error(result)


def test_rotations_are_listed_before_keys_exist():
    """A dense map of n needs about 2 sqrt(n) keys or two; missing ones are named with their steps."""
    matrix = np.random.default_rng(12).uniform(-1, 1, (64, 64))
    plain, few = LinearMap(matrix, real=False), LinearMap(matrix, keys="minimal")
    assert len(plain.rotations) <= 20 and len(few.rotations) == 2 and not few.conjugation
    kit = make_kit(insecure_small(128), rotations=few.rotations[:1], conjugation=False)
    ct = kit.encrypt(np.ones(64), slots=64)
    with pytest.raises(MissingKey, match=f"rotation by {few.rotations[1]} slots"):
        few.apply(kit.evaluator, ct)


def test_schedules_reach_every_step_once():
    rng = np.random.default_rng(13)
    for slots in (1, 2, 8, 64, 256):
        for _ in range(20):
            steps = rng.choice(slots, size=rng.integers(1, slots + 1), replace=False).tolist()
            for minimal in (False, True):
                plan = schedule(steps, slots, minimal=minimal)
                reached = [plan.step(t, j) for t in plan.babies for j in plan.giants]
                assert set(steps) <= set(reached)
                there = [i for i in reached if i >= 0]
                assert len(there) == len(set(there))
                assert plan.giants[0] == 0
                assert sum(plan.giant_rotations) % slots == plan.turn(plan.giants[-1])


def test_packing_halves_the_diagonals_and_is_the_same_map():
    rng = np.random.default_rng(14)
    for m, n in ((8, 8), (4, 16), (16, 5)):
        matrix = rng.uniform(-1, 1, (m, n))
        diagonals = diagonals_of(matrix)
        pairs, half = packed(diagonals)
        assert pairs.count <= (diagonals.count + 1) // 2
        x = np.resize(np.pad(rng.uniform(-1, 1, n), (0, diagonals.input_slots - n)), diagonals.slots)
        z = x + 1j * np.roll(x, -half)
        w = sum(e[0, 0] * np.roll(z, -i) for i, e in pairs.values.items())
        plain = sum(d[0, 0] * np.roll(x, -i) for i, d in diagonals.values.items())
        assert np.allclose(2 * w.real, plain)
    assert packed(diagonals_of(np.eye(8))) is None


def test_encoded_diagonals_are_kept_and_forgotten(monkeypatch):
    kit, x = kit_of("one prime", 32), np.ones(16)
    linear = LinearMap(np.random.default_rng(15).uniform(-1, 1, (16, 16)))
    ct = kit.encrypt(x, slots=16)
    first = linear.apply(kit.evaluator, ct)
    (encoded,) = linear._encoded._kept.values()
    kept = sum(words.nbytes for row in encoded for column in row for words in column)
    assert kept == linear.nbytes(kit.params, kit.params.top_level)
    assert np.array_equal(linear.apply(kit.evaluator, ct).words, first.words)
    linear.apply(kit.evaluator, kit.evaluator.bring(ct, 2))
    assert len(linear._encoded) == 2
    linear.clear()
    assert not len(linear._encoded)
    # Words of a source that computes nothing (`kernels.recording`) must not be kept: they would be used later.
    monkeypatch.setattr(type(kernels.active()), "name", "records only", raising=False)
    linear.apply(kit.evaluator, ct)
    assert not len(linear._encoded)


def test_a_scale_of_its_own_is_led_back():
    kit, x = kit_of("one prime", 32), np.random.default_rng(16).uniform(-1, 1, 16)
    matrix = np.random.default_rng(17).uniform(-1, 1, (16, 16))
    ct = kit.encrypt(x, slots=16, scale=2.0**38)
    result = LinearMap(matrix).apply(kit.evaluator, ct)
    assert meta_of(result).scale == kit.params.scale_at(result.level)
    assert np.abs(kit.decrypt(result) - matrix @ x).max() <= error_bound(result)
    waiting = kit.evaluator.multiply(kit.encrypt(x, slots=16), np.full(16, 0.5), rescale=False)
    result = LinearMap(matrix).apply(kit.evaluator, waiting)
    assert np.abs(kit.decrypt(result) - matrix @ x / 2).max() <= error_bound(result)


def test_refusals():
    kit = kit_of("one prime", 32)
    matrix = np.eye(8) + np.eye(8, k=1)
    linear, x = LinearMap(matrix), np.ones(8)
    with pytest.raises(SlotError, match=r"needed 8, repeated: encrypt it with slots=8"):
        linear.apply(kit.evaluator, kit.encrypt(x))
    with pytest.raises(SlotError, match="most_slots=16"):
        LinearMap(np.ones((4, 32))).apply(kit.evaluator, kit.encrypt(x))
    with pytest.raises(SlotError, match=r"batch \(2,\) for a matrix"):
        LinearMap(np.ones((8, 40)), most_slots=16).apply(kit.evaluator, kit.encrypt(np.ones((2, 16)), slots=16))
    with pytest.raises(LevelError):
        linear.apply(kit.evaluator, kit.encrypt(x, 0, slots=8))
    with pytest.raises(RangeError, match="beyond the modulus"):
        LinearMap(1e6 * np.ones((8, 8))).apply(kit.evaluator, kit.encrypt(x, 1, slots=8))
    for bad in (np.ones(3), np.ones((0, 3)), np.ones((2, 2, 2))):
        with pytest.raises(SlotError, match="two axes"):
            LinearMap(bad)
    with pytest.raises(RangeError, match="nan"):
        LinearMap([[1.0, float("nan")]])
    with pytest.raises(SlotError, match="power of two"):
        LinearMap(matrix, most_slots=12)
    with pytest.raises(ParameterError, match="hoisted"):
        LinearMap(matrix, keys="few")
    with pytest.raises(SlotError, match="baby steps"):
        LinearMap(matrix, baby_steps=0)
    with pytest.raises(SlotError, match="one shape"):
        LinearMap.of_diagonals({0: np.ones(4), 1: np.ones(8)})
    with pytest.raises(SlotError, match="one shape"):
        LinearMap.of_diagonals({0: np.ones(6)})
    with pytest.raises(SlotError, match="differ modulo 4"):
        LinearMap.of_diagonals({0: np.ones(4), 4: np.ones(4)})
    with pytest.raises(TypeError, match="expected a Ciphertext"):
        linear.apply(kit.evaluator, x)


def test_diagonals_are_copied():
    given = np.ones(8)
    linear, kit = LinearMap.of_diagonals({0: given}), make_kit(insecure_small(64), rotations=[])
    given[:] = 5
    x = kit.encrypt(np.full(8, 0.25), slots=8)
    y = linear.apply(kit.evaluator, x)
    assert kit.error(y, np.full(8, 0.25)) <= error_bound(y)


def test_scales_of_strangers_do_not_fill_the_memory():
    kit = make_kit(insecure_small(64), rotations=[])
    linear = LinearMap.of_diagonals({0: np.ones(8)})
    x = kit.encrypt(np.full(8, 0.25), slots=8)
    for k in range(MOST_KEPT + 4):
        linear.apply(kit.evaluator, kit.evaluator.with_scale(x, meta_of(x).scale * (1 + Decimal(k) / 1000)))
    assert len(linear._encoded._kept) == MOST_KEPT
