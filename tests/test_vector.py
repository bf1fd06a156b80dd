"""EncryptedVector behaves like an array where it can, and refuses cleanly where it cannot."""

from __future__ import annotations

import copy
import operator
import pickle
from functools import cache

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import EncryptedVector, error_bound
from ckks.circuits.linear.statistics import total_rotations
from ckks.errors import HEError, LevelError, PrecisionWarning, RangeError, SlotError
from ckks.scheme.meta import meta_of

N = 32


@cache
def kit_for(n: int = N) -> Kit:
    return make_kit(insecure_small(n, value_range=4.0))


def vector(values, kit: Kit | None = None) -> EncryptedVector:
    kit = kit or kit_for()
    return EncryptedVector(kit.encrypt(values), kit.evaluator)


def verify(x: EncryptedVector, wanted, kit: Kit | None = None) -> None:
    kit = kit or kit_for()
    wanted = np.asarray(wanted)
    assert x.shape == wanted.shape
    assert kit.error(x.ciphertext, wanted) <= error_bound(x.ciphertext)


A = np.linspace(-1, 1, 8)
B = np.cos(np.arange(8.0))
M = np.stack([A, B, A * B])


# ---- operators -------------------------------------------------------------------------------------------------------

EXPRESSIONS = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "-x": lambda x, y: -x,
    "x + 1": lambda x, y: x + 1,
    "1 + x": lambda x, y: 1 + x,
    "x - 0.5": lambda x, y: x - 0.5,
    "0.5 - x": lambda x, y: 0.5 - x,
    "2 * x": lambda x, y: 2 * x,
    "x * 0.5": lambda x, y: x * 0.5,
    "0.5 * x - y": lambda x, y: 0.5 * x - y,
    "(x + y) * (x - y)": lambda x, y: (x + y) * (x - y),
    "x * y + 3 * x - 1": lambda x, y: x * y + 3 * x - 1,
    "x ** 2": lambda x, y: x**2,
    "x ** 3 + y ** 2": lambda x, y: x**3 + y**2,
    "x * [list]": lambda x, y: x * [1, 2, 3, 4, 1, 2, 3, 4],
    "(tuple) + x": lambda x, y: (1, 2, 3, 4, 1, 2, 3, 4) + x,
    "array * x": lambda x, y: B * x,
    "array + x": lambda x, y: B + x,
    "array - x": lambda x, y: B - x,
    "x - array": lambda x, y: x - B,
    "x * array": lambda x, y: x * B,
    "float64 * x": lambda x, y: np.float64(0.5) * x,
    "x * float64": lambda x, y: x * np.float64(0.5),
    "float64 + x": lambda x, y: np.float64(0.5) + x,
    "int64 * x": lambda x, y: np.int64(3) * x,
    "x - int64": lambda x, y: x - np.int64(3),
    "complex * x": lambda x, y: 0.5j * x,
    "x + complex": lambda x, y: x + 1j,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_operators_compute_what_numpy_computes(name, backend):
    f = EXPRESSIONS[name]
    verify(f(vector(A), vector(B)), f(A, B) if "[" not in name and "(t" not in name else _plain(name))


def _plain(name: str) -> np.ndarray:
    cycle = np.array([1, 2, 3, 4, 1, 2, 3, 4])
    return A * cycle if "[" in name else A + cycle


def test_batches_broadcast(backend):
    x, y = vector(M), vector(B)
    verify(x * y, M * B)
    verify(x + y, M + B)
    verify(x - M, M - M)
    verify(B * x, B * M)
    verify(x[0] * x, M[0] * M)
    verify(M + y, M + B)


def test_numpy_defers(backend):
    """`ndarray op vector` is one encrypted vector, never an array of objects."""
    x = vector(A)
    for result in (B * x, B + x, B - x, np.ones(8) * x, np.float64(2.0) * x, np.array(2.0) * x, np.ones(1)[0] + x):
        assert type(result) is EncryptedVector
    y = vector(M)
    assert type(np.ones(3) @ y) is EncryptedVector


def test_levels_of_operators():
    x, y = vector(A), vector(B)
    top = x.ciphertext.level
    assert (x * 3).ciphertext.level == (x + y).ciphertext.level == (x << 1).ciphertext.level == top
    assert (x * y).ciphertext.level == (x * 0.5).ciphertext.level == (x * A).ciphertext.level == top - 1


@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 5, 7, 8, np.int64(3)])
def test_powers(exponent, backend):
    kit = make_kit(insecure_small(N, depth=6), rotations=[])
    power = vector(A, kit) ** exponent
    verify(power, A**exponent, kit)
    # Squarings and products from the top bit down: floor(log2 k) + (number of further ones) levels, at most.
    assert 6 - power.ciphertext.level <= int(exponent).bit_length() - 1 + bin(int(exponent)).count("1") - 1


@pytest.mark.parametrize("exponent", [0, -1, 65, 0.5, 2.0, True, None, "2", 1j])
def test_impossible_powers(exponent):
    with pytest.raises((HEError, TypeError), match="power|support"):
        vector(A) ** exponent


def test_powers_run_out_of_levels():
    with pytest.raises(LevelError, match="depth 5"):
        vector(A, make_kit(insecure_small(N), rotations=[])) ** 32


def test_shifts(backend):
    kit = kit_for()
    full = np.linspace(-1, 1, N // 2)
    x = vector(full)
    verify(x << 1, np.roll(full, -1))
    verify(x << 2, np.roll(full, -2))
    verify(x >> (N // 2 - 1), np.roll(full, -1))
    verify(x << 0, full)
    # A short vector shares its ciphertext with empty slots, and rotation moves those as well.
    short = vector(A) << 1
    assert short.shape == (N // 2,)
    assert kit.error(short.ciphertext, np.roll(np.r_[A, np.zeros(8)], -1)) <= error_bound(short.ciphertext)
    for steps in (1.0, "1", None, 1j):
        with pytest.raises((HEError, TypeError)):
            x << steps


# ---- matrix products -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (1, 3), (5, 3)])
def test_weights_times_features(shape, backend):
    w = np.random.default_rng(1).normal(size=shape)
    verify(w @ vector(M), w @ M)
    assert (w @ vector(M)).ciphertext.level == 3


def test_weights_as_lists(backend):
    verify([1, -1, 0.5] @ vector(M), M[0] - M[1] + 0.5 * M[2])


def test_inner_product_with_plain_weights(backend):
    """x @ w is in every slot."""
    x = vector(A)
    result = x @ B
    verify(result, np.full(N // 2, A @ B))
    verify(B @ x, np.full(N // 2, A @ B))
    full = np.linspace(-1, 1, N // 2)
    verify(vector(full) @ full, np.full(N // 2, full @ full))
    hoisted = make_kit(insecure_small(N, value_range=4.0), rotations=total_rotations(N // 2))
    verify(vector(A, hoisted) @ vector(B, hoisted), np.full(N // 2, A @ B), hoisted)


@pytest.mark.parametrize(
    ("left", "right", "shapes"),
    [
        (np.ones(4), M, ("(4,)", "(3, 8)")),
        (np.ones((2, 4)), M, ("(2, 4)", "(3, 8)")),
        (np.ones((2, 2, 3)), M, ("(2, 2, 3)", "(3, 8)")),
        (np.ones(7), A, ("(7,)", "(8,)")),
        (np.ones(3) * 1j, M, ("(3,)", "(3, 8)")),
    ],
    ids=lambda v: str(np.shape(v)),
)
def test_shape_errors_print_both_shapes(left, right, shapes):
    with pytest.raises(SlotError) as caught:
        left @ vector(right)
    for shape in shapes:
        assert shape in str(caught.value)


@pytest.mark.parametrize(
    ("left", "right", "shapes"),
    [(A, np.ones(7), ("(8,)", "(7,)")), (A, np.ones((8, 2)), ("(8,)", "(8, 2)")), (M, np.ones(8), ("(3, 8)", "(8,)"))],
    ids=lambda v: str(np.shape(v)),
)
def test_shape_errors_of_right_products(left, right, shapes):
    with pytest.raises(SlotError) as caught:
        vector(left) @ right
    for shape in shapes:
        assert shape in str(caught.value)


def test_products_of_two_encrypted_matrices_are_refused():
    with pytest.raises(TypeError, match=r"\(3, 8\) @ \(3, 8\) of encrypted values: use ckks.linear.dot"):
        vector(M) @ vector(M)
    with pytest.raises(TypeError, match="linear.matmul"):
        vector(M) @ vector(A)
    with pytest.raises(SlotError, match=r"\(8,\) and \(7,\)"):
        vector(A) @ vector(A[:7])


def test_elementwise_shape_errors_print_both_shapes():
    for action in (lambda x: x + np.ones(7), lambda x: x * np.ones(7), lambda x: np.ones(7) - x):
        with pytest.raises(SlotError, match=r"\(7,\).*8"):
            action(vector(A))


# ---- linear forms that wait --------------------------------------------------------------------------------------------


def test_a_linear_form_is_computed_once_and_on_demand():
    form = np.array([0.5, 0.25, -1.0]) @ vector(M)
    assert form.shape == (8,) and form.ndim == 1 and form.size == 8 and len(form) == 8
    assert "not computed yet" in repr(form)
    assert form.ciphertext is form.ciphertext
    assert "not computed yet" not in repr(form)


FORMS = {
    "w @ x": lambda w, x: w @ x,
    "+ bias": lambda w, x: w @ x + 0.5,
    "bias +": lambda w, x: 0.5 + w @ x,
    "- bias": lambda w, x: w @ x - 0.5,
    "bias -": lambda w, x: 0.5 - w @ x,
    "scaled": lambda w, x: 2 * (w @ x) * 0.5,
    "negative": lambda w, x: -(w @ x),
    "+ array": lambda w, x: w @ x + A,
    "array -": lambda w, x: A - w @ x,
    "twice": lambda w, x: (w @ x + 1) * 3 - 2,
    "complex": lambda w, x: w @ x + 1j,
    "times array": lambda w, x: (w @ x) * B,
    "plus itself": lambda w, x: w @ x + w @ x,
    "times itself": lambda w, x: (w @ x) * (w @ x),
    "column bias": lambda w, x: w @ x + (np.ones((*w.shape[:-1], 1)) if w.ndim == 2 else 1.0),
}


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("name", FORMS)
def test_waiting_forms_have_numpy_values(name, rows, backend):
    w = np.random.default_rng(3).normal(size=(3,) if rows is None else (rows, 3)) / 2
    verify(FORMS[name](w, vector(M)), FORMS[name](w, M))


def test_waiting_forms_refuse_what_computed_ones_refuse():
    form = np.ones(3) @ vector(M)
    for action in (lambda f: f + np.ones(7), lambda f: f + np.ones((2, 3, 8, 2)), lambda f: f * np.ones(7)):
        with pytest.raises(SlotError):
            action(form)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RangeError):
            _ = (form + bad).ciphertext
        with pytest.raises(RangeError):
            _ = (form * bad).ciphertext
    with pytest.raises(TypeError):
        form + "a"


# ---- shape, indexing, identity -----------------------------------------------------------------------------------------


def test_shape_facts():
    x, y = vector(A), vector(np.stack([M, M]))
    assert (x.shape, x.ndim, x.size, len(x)) == ((8,), 1, 8, 8)
    assert (y.shape, y.ndim, y.size, len(y)) == ((2, 3, 8), 3, 48, 2)
    assert y.nbytes == y.ciphertext.words.nbytes == 6 * x.nbytes
    assert 20 < x.precision_bits < 40


INDICES = [
    0,
    -1,
    slice(1, None),
    slice(None, None, -1),
    (slice(None), 1),
    (1, 2),
    (0, slice(0, 2)),
    [0, 1],
    np.array([1, 0]),
    np.array([True, False]),
    np.int64(1),
    (slice(None), [0, 2]),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_batch_axes_are_indexed(index, backend):
    values = np.stack([M, 2 * M])
    x = vector(values)
    position = index if isinstance(index, tuple) else (index,)
    verify(x[index], values[(*position, ..., slice(None))])


@pytest.mark.parametrize("index", [(0, 0, 0), (0, 0, slice(None)), Ellipsis, (0, Ellipsis), None, (None, 0)], ids=repr)
def test_slots_are_not_indexed(index):
    with pytest.raises(SlotError, match=r"\(2, 3, 8\).*rotate"):
        vector(np.stack([M, M]))[index]
    with pytest.raises(SlotError, match="rotate"):
        vector(A)[0]


@pytest.mark.parametrize("index", [2, -3, (0, 3), [0, 5]], ids=repr)
def test_indices_out_of_range(index):
    with pytest.raises(IndexError):
        vector(np.stack([M, M]))[index]


def test_sums_over_batch_axes(backend):
    values = np.stack([M, 2 * M])
    x = vector(values)
    for axis in (0, 1, -2, -3):
        verify(x.sum(axis), values.sum(axis))
        verify(x.mean(axis), values.mean(axis))
        assert x.mean(axis).ciphertext.level == x.ciphertext.level - 1
    for axis in (None, 3, -4, 0.0, True, (0, 1)):
        for reduced in (x.sum, x.mean):
            with pytest.raises(SlotError, match="needed one of them: axis=0"):
                reduced(axis)


def test_sums_over_slots_are_in_every_slot(backend):
    kit = make_kit(insecure_small(N, value_range=4.0), rotations=total_rotations(N // 2))
    x, table = vector(A, kit), vector(M, kit)
    verify(x.sum(), np.full(N // 2, A.sum()), kit)
    verify(x.mean(), np.full(8, A.mean()), kit)
    verify(x - x.mean(), A - A.mean(), kit)
    verify(((x - x.mean()) ** 2).sum() / 8, np.full(N // 2, A.var()), kit)
    for axis in (1, -1):
        verify(table.sum(axis), np.repeat(M.sum(1)[:, None], N // 2, axis=1), kit)
        verify(table.mean(axis), np.repeat(M.mean(1)[:, None], 8, axis=1), kit)
        verify(table - table.mean(axis), M - M.mean(1, keepdims=True), kit)
    assert x.sum().ciphertext.level == x.ciphertext.level == x.mean().ciphertext.level + 1
    verify(x * x.sum(), np.r_[A * A.sum(), np.zeros(8)], kit)
    full = np.linspace(-1, 3, N // 2)
    verify(vector(full, kit) - vector(full, kit).mean(), full - full.mean(), kit)


def test_lengths_have_to_agree(backend):
    x, y, z = vector(A), vector(B[:5]), vector(np.zeros(N // 2))
    for op in (operator.add, operator.sub, operator.mul):
        for left, right in ((x, y), (y, x)):
            with pytest.raises(SlotError, match=r"[58] and [58] values; needed one length.*np.zeros\(16\)"):
                op(left, right)
    verify(x - z, np.r_[A, np.zeros(8)])
    verify((x + np.zeros(16)) + (y + np.zeros(16)), np.r_[A[:5] + B[:5], A[5:], np.zeros(8)])
    turned = vector(np.arange(16.0) / 16) << 2
    verify(x + turned, np.r_[A, np.zeros(8)] + np.roll(np.arange(16.0) / 16, -2))
    verify(x * turned, np.r_[A, np.zeros(8)] * np.roll(np.arange(16.0) / 16, -2))


def test_batches_are_iterated_over(backend):
    rows = list(vector(M))
    assert len(rows) == 3
    for row, wanted in zip(rows, M, strict=True):
        verify(row, wanted)
    verify(sum(vector(M)), M.sum(0))
    first, *_ = vector(M)
    verify(first, A)


def test_equality_is_identity():
    """Of the same object it is known; of others what numpy would compare is refused, never silently False."""
    x, y = vector(A), vector(A)
    assert x == x and x in (x, y) and {x: 1}[x] == 1 and hash(x) == hash(x) and len({x, y}) == 2
    assert x != None and x != "a" and x != object() and x not in ("a", None)  # noqa: E711
    for other in (y, 1, 0.5, B, np.float64(1), [1.0] * 8, A.tolist()):
        for op in (operator.eq, operator.ne):
            for action in (lambda op=op, other=other: op(x, other), lambda op=op, other=other: op(other, x)):
                with pytest.raises(TypeError, match="equality.*decrypt first"):
                    action()


def test_immutable():
    x = vector(A)
    with pytest.raises((AttributeError, TypeError)):
        x.other = 1
    with pytest.raises((AttributeError, TypeError)):
        x.shape = (4, 2)
    with pytest.raises(TypeError):
        x[0] = 1
    before = x
    x += 1
    assert x is not before
    verify(before, A)


# ---- what must not happen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        bool,
        float,
        int,
        complex,
        iter,
        list,
        tuple,
        sorted,
        sum,
        min,
        max,
        abs,
        round,
        np.asarray,
        np.array,
        operator.not_,
        operator.index,
        lambda x: x in x,
        lambda x: 1 in x,
        lambda x: x if x else 0,
        lambda x: [*x],
    ],
    ids=lambda f: getattr(f, "__name__", str(f)),
)
def test_python_protocols_raise(attempt):
    with pytest.raises(TypeError):
        attempt(vector(A))


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge], ids=lambda f: f.__name__)
def test_ordering_raises(compare):
    for other in (vector(B), 0.5, B, np.float64(0.5)):
        with pytest.raises(TypeError, match="encrypted"):
            compare(vector(A), other)
        with pytest.raises(TypeError):
            compare(other, vector(A))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda x: np.exp(x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.stack([x, x]),
        lambda x: np.array([x, x]),
        lambda x: np.array([x]),
        lambda x: np.where(x, 1, 0),
        lambda x: np.var(x),
        lambda x: np.exp(x, out=np.ones(8)),
        lambda x: np.isnan(x),
        lambda x: np.allclose(x, 1),
    ],
    ids=[
        "exp",
        "concatenate",
        "stack",
        "array2",
        "array1",
        "where",
        "var",
        "out",
        "isnan",
        "close",
    ],
)
def test_numpy_functions_raise(attempt):
    with pytest.raises(TypeError):
        attempt(vector(A))


def test_the_text_says_what_to_do():
    for attempt in (np.asarray, bool, float, iter):
        with pytest.raises(TypeError, match="encrypted.*decrypt"):
            attempt(vector(A))


@pytest.mark.parametrize("other", ["a", None, object(), {}, {1}, b"x"], ids=repr)
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.matmul], ids=lambda f: f.__name__)
def test_foreign_operands_raise(op, other):
    for action in (lambda: op(vector(A), other), lambda: op(other, vector(A))):
        with pytest.raises(TypeError):
            action()


@pytest.mark.parametrize(
    "op",
    [operator.floordiv, operator.mod, operator.and_, operator.or_, operator.xor],
    ids=lambda f: f.__name__,
)
def test_operators_that_do_not_exist(op):
    for action in (lambda: op(vector(A), 2), lambda: op(2, vector(A)), lambda: op(vector(A), vector(B))):
        with pytest.raises(TypeError):
            action()


def test_division_is_by_plain_numbers():
    x = vector(A)
    verify(x / 4, A / 4)
    divisors = np.linspace(1, 2, len(A))
    verify(x / divisors, A / divisors)
    for action in (lambda: 1 / x, lambda: x / x):
        with pytest.raises(TypeError, match="functions.inverse"):
            action()
    with pytest.raises(TypeError, match="comparisons.absolute"):
        abs(x)
    assert meta_of(x.with_bound(0.5).ciphertext).bound == 0.5


def test_vectors_of_different_parameters():
    other = make_kit(insecure_small(N, value_range=2.0))
    for op in (operator.add, operator.sub, operator.mul):
        with pytest.raises(ValueError, match="other parameters"):
            op(vector(A), vector(A, other))


# ---- the rest ----------------------------------------------------------------------------------------------------------


def test_repr():
    text = repr(vector(M))
    assert text.startswith("<EncryptedVector (3, 8)") and "\n" not in text
    for fact in ("INSECURE", "level 4/4", "~37 bits", "8 KiB"):
        assert fact in text


def test_decryptor_takes_vectors():
    kit = kit_for()
    np.testing.assert_allclose(kit.decryptor.decrypt(vector(M)), M, atol=2.0**-25)
    np.testing.assert_allclose(kit.decryptor.decrypt(np.ones(3) @ vector(M)), M.sum(0), atol=2.0**-25)


def test_warnings_point_at_the_users_line():
    with pytest.warns(PrecisionWarning) as caught:
        vector(A) * 1e-11
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize("waiting", [False, True])
def test_copy_and_pickle(waiting):
    """Public objects travel: evaluation keys go with the vector's evaluator."""
    kit = kit_for()
    x = np.ones(3) @ vector(M) + 0.5 if waiting else vector(M)
    wanted = M.sum(0) + 0.5 if waiting else M
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), pickle.loads(pickle.dumps(x, 5))):
        assert type(twin) is EncryptedVector
        verify(twin, wanted, kit)
        verify(twin * twin if not waiting else twin + 1, wanted * wanted if not waiting else wanted + 1, kit)
