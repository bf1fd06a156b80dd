"""`ckks.kernels` itself: shapes, strides, results, threads and refusals, on every source.

What each source computes is held to the reference elsewhere; here the expected words come from numpy arrays of
Python integers, one formula per operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import naive
import numpy as np
import process
import pytest
from conftest import LARGEST_REFERENCE_N
from draws import KINDS, per_backend, random_residues, residues
from hypothesis import given
from hypothesis import strategies as st

from ckks import kernels
from ckks.arith import ntt_primes
from ckks.errors import BasisMismatch, HEError, RangeError
from ckks.kernels import Plan, make_conversion, make_plan

N = 16
MODULI = (97, *(ntt_primes(bits=bits, count=1, n=256)[0] for bits in (30, 50, 61)))
"""All primes are 1 mod 512 but the first, so larger rings take the others."""


def plan_of(n: int) -> Plan:
    return make_plan(n, MODULI if n <= N else MODULI[1:])


def exactly(x: Any) -> Any:
    return x.astype(object)


def column(plan: Plan) -> Any:
    """The moduli as Python integers, shape (L, 1)."""
    return exactly(plan.q)[:, None]


@dataclass(frozen=True)
class Operation:
    """One function of the front with `operands` arrays (..., L, N), `extra` made for it, and its definition."""

    operands: int
    call: Callable[..., Any]
    exact: Callable[..., Any]
    terms: int = 0
    """Axis of terms in front of the operands, for sums."""


def scalars(plan: Plan) -> Any:
    return np.array([q - 3 for q in plan.moduli], dtype=np.uint64)


def weights(plan: Plan, terms: int) -> Any:
    return np.array([[(k * q) // 5 for q in plan.moduli] for k in range(terms)], dtype=np.uint64)


def permutation(plan: Plan) -> Any:
    return np.random.default_rng(plan.n).permutation(plan.n)


def signs(plan: Plan) -> Any:
    return permutation(plan) + plan.n * (np.arange(plan.n) % 3 == 0)


def transformed(transform: Callable[..., list[int]]) -> Callable[..., Any]:
    def exact(plan: Plan, x: Any) -> Any:
        out = np.empty(x.shape, dtype=object)
        for where in np.ndindex(x.shape[:-1]):
            limb = where[-1]
            out[where] = transform(x[where], plan.moduli[limb], plan.roots[limb])
        return out

    return exact


def gathered(plan: Plan, x: Any) -> Any:
    index = signs(plan)
    return np.where(index < plan.n, 1, -1) * exactly(x)[..., index % plan.n] % column(plan)


OPERATIONS = {
    "ntt": Operation(1, kernels.ntt, transformed(naive.ntt)),
    "intt": Operation(1, kernels.intt, transformed(naive.intt)),
    "neg": Operation(1, kernels.neg, lambda p, x: -exactly(x) % column(p)),
    "add": Operation(2, kernels.add, lambda p, x, y: (exactly(x) + exactly(y)) % column(p)),
    "sub": Operation(2, kernels.sub, lambda p, x, y: (exactly(x) - exactly(y)) % column(p)),
    "mul": Operation(2, kernels.mul, lambda p, x, y: exactly(x) * exactly(y) % column(p)),
    "add_scalar": Operation(
        1,
        lambda p, x, out=None: kernels.add_scalar(p, x, scalars(p), out),
        lambda p, x: (exactly(x) + column(p) - 3) % column(p),
    ),
    "mul_scalar": Operation(
        1,
        lambda p, x, out=None: kernels.mul_scalar(p, x, scalars(p), out),
        lambda p, x: exactly(x) * (column(p) - 3) % column(p),
    ),
    "mul_scalar_add": Operation(
        2,
        lambda p, x, y, out=None: kernels.mul_scalar_add(p, x, scalars(p), y, out),
        lambda p, x, y: (exactly(x) * (column(p) - 3) + exactly(y)) % column(p),
    ),
    "sub_mul_scalar": Operation(
        2,
        lambda p, x, y, out=None: kernels.sub_mul_scalar(p, x, y, scalars(p), out),
        lambda p, x, y: (exactly(x) - exactly(y)) * (column(p) - 3) % column(p),
    ),
    "dot": Operation(
        2, kernels.dot, lambda p, x, y: sum(exactly(u) * exactly(v) for u, v in zip(x, y, strict=True)) % column(p), 5
    ),
    "weighted_sum": Operation(
        1,
        lambda p, x, out=None: kernels.weighted_sum(p, x, weights(p, len(x)), out),
        lambda p, x: sum(exactly(u) * exactly(w)[:, None] for u, w in zip(x, weights(p, len(x)), strict=True))
        % column(p),
        5,
    ),
    "mul_add": Operation(
        3, kernels.mul_add, lambda p, x, y, z: (exactly(x) * exactly(y) + exactly(z)) % column(p)
    ),
    "neg_mul_add": Operation(
        3, kernels.neg_mul_add, lambda p, x, y, z: (exactly(z) - exactly(x) * exactly(y)) % column(p)
    ),
    "gather": Operation(
        1, lambda p, x, out=None: kernels.gather(x, permutation(p), out), lambda p, x: x[..., permutation(p)]
    ),
    "gather_signed": Operation(
        1, lambda p, x, out=None: kernels.gather_signed(p, x, signs(p), out), gathered
    ),
}  # fmt: skip
every_operation = pytest.mark.parametrize("name", OPERATIONS)
PAIRS = [name for name, operation in OPERATIONS.items() if operation.operands == 2]


def operands(name: str, plan: Plan, shape: tuple[int, ...] = (), kind: str = "uniform", seed: int = 0) -> list[Any]:
    operation = OPERATIONS[name]
    lead = (operation.terms,) if operation.terms else ()
    return [residues(plan.moduli, plan.n, kind, seed + i, (*lead, *shape)) for i in range(operation.operands)]


def check(name: str, plan: Plan, inputs: list[Any], out: Any = None) -> None:
    """Run an operation and compare with its definition; inputs must come out as they went in."""
    operation = OPERATIONS[name]
    before = [x.copy() for x in inputs]
    try:
        found = operation.call(plan, *inputs) if out is None else operation.call(plan, *inputs, out=out)
        assert out is None or found is out
        assert found.dtype == np.uint64
        naive.first_difference(found, operation.exact(plan, *before))
        if out is None:
            naive.first_difference(inputs, before)
    except Exception as error:
        error.add_note(f"{name} of {[x.shape for x in inputs]}")
        raise


# ---- values ----------------------------------------------------------------------------------------------------


@every_operation
def test_every_operation_by_definition(backend, name):
    plan = plan_of(8)
    for kind in KINDS:
        check(name, plan, operands(name, plan, (2,), kind))


@every_operation
def test_rings_of_any_size(backend, name):
    """Rings that a source declines as too small run on the reference."""
    for n in (2, 4, N):
        check(name, plan_of(n), operands(name, plan_of(n), (2,)))


@per_backend
@given(name=st.sampled_from(PAIRS), data=st.data())
def test_any_two_operands(backend, name, data):
    plan, terms = plan_of(8), OPERATIONS[name].terms
    check(name, plan, [data.draw(random_residues(MODULI, 8, (terms,) if terms else ())) for _ in range(2)])


@per_backend
@given(x=random_residues(MODULI, N))
def test_transforms_undo_each_other(backend, x):
    plan = plan_of(N)
    naive.first_difference(kernels.intt(plan, kernels.ntt(plan, x)), x)
    naive.first_difference(kernels.ntt(plan, kernels.intt(plan, x)), x)


def test_signed_integers(backend, values):
    plan = plan_of(N)
    limit = 2**62 - 1
    low = values.integers(-limit, limit, (3, 2, N), endpoint=True)
    low[0, 0, :6] = (0, 1, -1, limit, -limit, 2**52)
    high = np.roll(low, 1, axis=-1)
    naive.first_difference(kernels.signed(plan, low), exactly(low)[..., None, :] % column(plan))
    exact = exactly(low) + exactly(high) * 2**52
    naive.first_difference(kernels.signed(plan, low, high), exact[..., None, :] % column(plan))
    naive.first_difference(kernels.signed(plan, low[0, 0]), exactly(low)[0, 0] % column(plan))
    naive.first_difference(
        kernels.signed(plan, low[..., ::-1], high[::-1]),
        (exactly(low)[..., ::-1] + 2**52 * exactly(high)[::-1])[..., None, :] % column(plan),
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_small_integers(backend, values, shape):
    """All of int8, and the batch axes that they come with."""
    plan = plan_of(N)
    x = values.integers(-128, 127, (*shape, N), dtype=np.int8, endpoint=True)
    x[..., :5] = (0, 1, -1, 127, -128)
    naive.first_difference(kernels.small(plan, x), exactly(x)[..., None, :] % column(plan))
    out = kernels.empty((*shape, len(plan), N))
    assert kernels.small(plan, x, out) is out
    naive.first_difference(out, exactly(x)[..., None, :] % column(plan))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_rounded_numbers(backend, values, shape):
    """The product is rounded to a double, that to an integer, halves to even."""
    plan = plan_of(N)
    x = values.uniform(-1, 1, (*shape, N))
    x[..., :6] = (0.0, 0.5 / 2**40, -0.5 / 2**40, 1.5 / 2**40, 1.0, -1.0)
    exact = np.rint(x * 2.0**40).astype(np.int64)
    naive.first_difference(kernels.rounded(plan, x, 2.0**40), exactly(exact)[..., None, :] % column(plan))


def conversion() -> tuple[Any, Any, Any]:
    """(table, words (2, 3, a, N), expected words), three source primes."""
    source, target = MODULI[1:], ntt_primes(bits=40, count=2, n=N)
    words = residues(source, N, shape=(2, 3))
    expected = [[naive.convert_base(item, source, target) for item in row] for row in words]
    return make_conversion(source, target), words, expected


def test_conversion_keeps_the_batch(backend):
    table, words, expected = conversion()
    naive.first_difference(kernels.convert(table, words), expected)
    naive.first_difference(kernels.convert(table, words[1, 2]), expected[1][2])
    out = kernels.empty((2, 3, 4, N))
    kernels.convert(table, words, out[..., 1:3, :])  # into a range of limbs
    naive.first_difference(out[..., 1:3, :], expected)


# ---- shapes and strides ----------------------------------------------------------------------------------------


@every_operation
def test_leading_axes(backend, name):
    plan = plan_of(8)
    for shape in ((), (1,), (3,), (2, 3), (2, 1, 2)):
        inputs = operands(name, plan, shape)
        check(name, plan, inputs)
        assert OPERATIONS[name].call(plan, *inputs).shape == (*shape, len(plan), 8)


@pytest.mark.parametrize(
    ("left", "right"), [((), (3,)), ((3,), ()), ((2, 3), (3,)), ((2, 1), (1, 3)), ((1,), (2, 3))], ids=str
)
def test_leading_axes_broadcast(backend, left, right):
    plan, shape = plan_of(8), np.broadcast_shapes(left, right)
    for name in PAIRS:
        lead = (OPERATIONS[name].terms,) if OPERATIONS[name].terms else ()
        x, y = operands(name, plan, left, seed=1)[0], operands(name, plan, right, seed=2)[1]
        whole = []
        for operand, own in ((x, left), (y, right)):
            padded = operand.reshape(*lead, *(1,) * (len(shape) - len(own)), *own, len(plan), 8)
            whole.append(np.broadcast_to(padded, (*lead, *shape, len(plan), 8)))
        naive.first_difference(OPERATIONS[name].call(plan, x, y), OPERATIONS[name].exact(plan, *whole))


def laid(words: Any, layout: str) -> Any:
    """The same words (..., batch, batch, L, N) in another place, with the strides that the layout names."""
    *batch, limbs, n = words.shape
    make: dict[str, Callable[[], Any]] = {
        "contiguous": lambda: np.empty_like(words),
        "prefix of the limbs": lambda: np.empty((*batch, limbs + 3, n), dtype=np.uint64)[..., :limbs, :],
        "suffix of the limbs": lambda: np.empty((*batch, limbs + 3, n), dtype=np.uint64)[..., 3:, :],
        "limbs backwards": lambda: np.empty_like(words)[..., ::-1, :],
        "batch backwards": lambda: np.empty_like(words)[..., ::-1, :, :],
        "every other of the batch": lambda: np.empty((*batch[:-1], 2 * batch[-1], limbs, n), np.uint64)[..., ::2, :, :],
        "part of each row": lambda: np.empty((*batch, limbs, 3 * n), dtype=np.uint64)[..., n // 2 : n // 2 + n],
        "limbs outermost": lambda: np.moveaxis(np.empty((limbs, *batch, n), dtype=np.uint64), 0, -2),
        "batch turned": lambda: np.empty((*batch[:-2], *batch[:-3:-1], limbs, n), dtype=np.uint64).swapaxes(-3, -4),
    }  # fmt: skip
    view = make[layout]()
    view[...] = words
    return view


LAYOUTS = (
    "contiguous",
    "prefix of the limbs",
    "suffix of the limbs",
    "limbs backwards",
    "batch backwards",
    "every other of the batch",
    "part of each row",
    "limbs outermost",
    "batch turned",
)
ONE_BATCH_AXIS = LAYOUTS[:-1]
layouts = pytest.mark.parametrize("layout", LAYOUTS)


@layouts
def test_outer_strides_are_free(backend, layout):
    plan = plan_of(8)
    for name in OPERATIONS:
        inputs = operands(name, plan, (2, 3))
        check(name, plan, [laid(x, layout) for x in inputs])


@layouts
def test_conversion_of_views(backend, layout):
    plan = plan_of(8)
    target = (193, 257)
    words = residues(plan.moduli, 8, shape=(2, 3))
    expected = [[naive.convert_base(item, plan.moduli, target) for item in row] for row in words]
    naive.first_difference(kernels.convert(make_conversion(plan.moduli, target), laid(words, layout)), expected)


def test_words_that_all_batches_share(backend):
    """An operand may be broadcast: stride zero."""
    plan = plan_of(8)
    for name, operation in OPERATIONS.items():
        inputs = operands(name, plan, (1,))
        shape = (operation.terms, 4) if operation.terms else (4,)
        check(name, plan, [np.broadcast_to(x, (*shape, len(plan), 8)) for x in inputs])


def test_reversed_limbs(backend):
    """A plan of the limbs backwards, on a view of the words backwards."""
    plan = plan_of(8)
    for name in OPERATIONS:
        check(name, plan[::-1], [x[..., ::-1, :] for x in operands(name, plan, (2,))])


def test_empty_batches(backend):
    plan = plan_of(8)
    for name in OPERATIONS:
        for shape in ((0,), (2, 0)):
            check(name, plan, operands(name, plan, shape))
            assert OPERATIONS[name].call(plan, *operands(name, plan, shape)).shape == (*shape, len(plan), 8)


def test_empty_batches_of_integers_and_conversions(backend):
    plan = plan_of(8)
    assert kernels.signed(plan, np.zeros((0, 8), dtype=np.int64)).shape == (0, len(plan), 8)
    table = make_conversion(plan.moduli, (193, 257))
    assert kernels.convert(table, np.zeros((0, len(plan), 8), dtype=np.uint64)).shape == (0, 2, 8)


# ---- results ---------------------------------------------------------------------------------------------------


def test_results_are_aligned_and_new(backend):
    plan = plan_of(8)
    for name in OPERATIONS:
        inputs = operands(name, plan)
        found = OPERATIONS[name].call(plan, *inputs)
        assert found.__array_interface__["data"][0] % 64 == 0
        assert not any(np.shares_memory(found, x) for x in inputs)
        assert found.flags.writeable and found.flags.c_contiguous


@pytest.mark.parametrize("layout", ONE_BATCH_AXIS)
def test_results_into_views(backend, layout):
    plan = plan_of(8)
    for name in OPERATIONS:
        out = laid(np.full((3, len(plan), 8), 7, dtype=np.uint64), layout)
        check(name, plan, operands(name, plan, (3,)), out)


def test_results_onto_an_operand(backend):
    plan = plan_of(8)
    for name in OPERATIONS:
        for place in range(0 if OPERATIONS[name].terms else OPERATIONS[name].operands):
            inputs = operands(name, plan, (2,))
            check(name, plan, inputs, inputs[place])


def test_the_same_array_for_everything(backend):
    plan = plan_of(N)
    for name in PAIRS:
        if not OPERATIONS[name].terms:
            x = residues(plan.moduli, N, shape=(2,))
            check(name, plan, [x, x], x)


def test_words_around_a_result_stay(backend):
    plan = plan_of(N)
    out = np.full((4, len(plan) + 2, 3 * N), 7, dtype=np.uint64)
    window = out[1:3, 1:-1, N : 2 * N]
    check("mul", plan, operands("mul", plan, (2,)), window)
    window[...] = 7
    assert (out == 7).all()


# ---- threads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 64])
def test_results_do_not_depend_on_threads(backend, count):
    """Equal words for 1, 2, 3 and more threads than there is work."""
    n = N if backend == "reference" else 256
    plan = plan_of(n)
    table, words, _ = conversion()
    low = np.arange(2 * n, dtype=np.int64).reshape(2, n) - n

    def everything() -> list[Any]:
        found = [OPERATIONS[name].call(plan, *operands(name, plan, (2,))) for name in OPERATIONS]
        in_place = operands("ntt", plan, (2,))[0]
        kernels.ntt(plan, in_place, in_place)
        return [*found, in_place, kernels.convert(table, words), kernels.signed(plan, low, low)]

    single = everything()
    with kernels.threads(count):
        assert kernels.num_threads() == count
        several = everything()
    for a, b in zip(single, several, strict=True):
        naive.first_difference(a, b)


def test_errors_come_out_of_threads(backend):
    plan = plan_of(N)
    with kernels.threads(3), pytest.raises(BasisMismatch):
        kernels.add(plan, *operands("add", plan), out=kernels.empty((2, N)))


# ---- misuse ----------------------------------------------------------------------------------------------------


def good(plan: Plan, *shape: int) -> Any:
    return residues(plan.moduli, plan.n, shape=shape)


SHAPES = {
    "a limb too few": lambda p: kernels.ntt(p, good(p)[1:]),
    "a limb too many": lambda p: kernels.ntt(p[1:], good(p)),
    "another ring": lambda p: kernels.intt(p, residues(p.moduli, 8)),
    "no limb axis": lambda p: kernels.neg(p, good(p)[0]),
    "no axis at all": lambda p: kernels.neg(p, good(p)[0, 0]),
    "limbs differ": lambda p: kernels.add(p, good(p), good(p)[:1]),
    "rings differ": lambda p: kernels.sub(p, good(p), residues(p.moduli, 8)),
    "batches differ": lambda p: kernels.mul(p, good(p, 2), good(p, 3)),
    "result of another shape": lambda p: kernels.add(p, good(p), good(p), kernels.empty((2, *good(p).shape))),
    "result of a transform": lambda p: kernels.ntt(p, good(p, 2), kernels.empty(good(p).shape)),
    "scalars too few": lambda p: kernels.mul_scalar(p, good(p), scalars(p)[1:]),
    "scalars of two axes": lambda p: kernels.mul_scalar_add(p, good(p), scalars(p)[None], good(p)),
    "scalars of one number": lambda p: kernels.sub_mul_scalar(p, good(p), good(p), np.array(1, dtype=np.uint64)),
    "dot of unequal counts": lambda p: kernels.dot(p, good(p, 2), good(p, 3)),
    "dot of nothing": lambda p: kernels.dot(p, good(p, 0), good(p, 0)),
    "dot of 1025 terms": lambda p: kernels.dot(p, *[np.broadcast_to(good(p), (1025, *good(p).shape))] * 2),
    "dot of batches that differ": lambda p: kernels.dot(p, good(p, 4, 2), good(p, 4, 3)),
    "dot without terms": lambda p: kernels.dot(p, good(p), good(p)),
    "weights too few": lambda p: kernels.weighted_sum(p, good(p, 3), weights(p, 2)),
    "weights without terms": lambda p: kernels.weighted_sum(p, good(p, 0), weights(p, 0).reshape(0, len(p))),
    "weights of other limbs": lambda p: kernels.weighted_sum(p, good(p, 3), weights(p[1:], 3)),
    "conversion of a limb too few": lambda p: kernels.convert(make_conversion(p.moduli, (193,)), good(p)[1:]),
    "conversion without a limb axis": lambda p: kernels.convert(make_conversion(p.moduli[:1], (193,)), good(p)[0]),
    "conversion of half a block": lambda p: kernels.convert(make_conversion(p.moduli, (193,)), good(p)[:, :12]),
    "conversion into another shape": lambda p: kernels.convert(
        make_conversion(p.moduli, (193,)), good(p), kernels.empty((2, N))
    ),
    "index too short": lambda p: kernels.gather(good(p), permutation(p)[:8]),
    "index too long": lambda p: kernels.gather(good(p), np.zeros(2 * N, dtype=np.int64)),
    "signed index too short": lambda p: kernels.gather_signed(p, good(p), signs(p)[:8]),
    "gather into another shape": lambda p: kernels.gather(good(p), permutation(p), kernels.empty((3, N))),
    "integers of another ring": lambda p: kernels.signed(p, np.zeros((2, N // 2), dtype=np.int64)),
    "small integers of another ring": lambda p: kernels.small(p, np.zeros((2, N // 2), dtype=np.int8)),
    "numbers of another ring": lambda p: kernels.rounded(p, np.zeros((2, N // 2)), 1.0),
    "integers of two shapes": lambda p: kernels.signed(
        p, np.zeros((2, N), dtype=np.int64), np.zeros(N, dtype=np.int64)
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SHAPES)
def test_wrong_shapes_are_refused(backend, what):
    with pytest.raises(HEError) as caught:
        SHAPES[what](plan_of(N))
    assert isinstance(caught.value, ValueError)
    assert any(digit in str(caught.value) for digit in "0123456789")  # what was found is said in numbers


def test_results_that_cannot_be_one_batch(backend):
    """Leading axes whose strides do not fold cannot be written through a view: a copy would lose the result."""
    plan = plan_of(8)
    for name in OPERATIONS:
        out = laid(np.zeros((2, 3, len(plan), 8), dtype=np.uint64), "batch turned")
        with pytest.raises(BasisMismatch, match="one batch axis"):
            OPERATIONS[name].call(plan, *operands(name, plan, (2, 3)), out=out)
        assert not out.any()


def spread(x: Any) -> Any:
    """The same words two apart."""
    out = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
    out[..., ::2] = x
    return out[..., ::2]


def frozen(x: Any) -> Any:
    x.flags.writeable = False
    return x


STORAGE = {
    "words two apart": lambda p: kernels.add(p, spread(good(p)), good(p)),
    "words two apart in batches of one": lambda p: kernels.add(p, spread(good(p, 2, 1)), good(p)),
    "words backwards": lambda p: kernels.ntt(p, good(p)[..., ::-1]),
    "one word for a row": lambda p: kernels.mul(p, np.broadcast_to(good(p)[:, :1], good(p).shape), good(p)),
    "a result two apart": lambda p: kernels.ntt(p, good(p), spread(good(p))),
    "terms two apart": lambda p: kernels.dot(p, spread(good(p, 3)), good(p, 3)),
    "a conversion two apart": lambda p: kernels.convert(make_conversion(p.moduli, (193,)), spread(good(p))),
    "a gather two apart": lambda p: kernels.gather(spread(good(p)), permutation(p)),
    "int64 words": lambda p: kernels.intt(p, good(p).astype(np.int64)),
    "float64 words": lambda p: kernels.ntt(p, good(p).astype(np.float64)),
    "uint32 words": lambda p: kernels.add(p, good(p), good(p).astype(np.uint32)),
    "big-endian words": lambda p: kernels.neg(p, good(p).astype(">u8")),
    "a float64 result": lambda p: kernels.neg(p, good(p), np.zeros(good(p).shape)),
    "int64 scalars": lambda p: kernels.mul_scalar(p, good(p), scalars(p).astype(np.int64)),
    "float64 weights": lambda p: kernels.weighted_sum(p, good(p, 2), weights(p, 2).astype(np.float64)),
    "float64 integers": lambda p: kernels.signed(p, np.full(N, 0.5)),
    "integers beyond int64": lambda p: kernels.signed(p, np.full(N, 2**63, dtype=np.uint64)),
    "int64 small integers": lambda p: kernels.small(p, np.zeros(N, dtype=np.int64)),
    "float32 numbers": lambda p: kernels.rounded(p, np.zeros(N, dtype=np.float32), 1.0),
    "an int32 index": lambda p: kernels.gather(good(p), permutation(p).astype(np.int32)),
    "a float64 index": lambda p: kernels.gather_signed(p, good(p), signs(p).astype(np.float64)),
    "a read-only result": lambda p: kernels.ntt(p, good(p), frozen(good(p))),
    "a read-only sum": lambda p: kernels.dot(p, good(p, 2), good(p, 2), frozen(good(p))),
    "a read-only conversion": lambda p: kernels.convert(
        make_conversion(p.moduli, (193,)), good(p), frozen(np.zeros((1, N), dtype=np.uint64))
    ),
    "a read-only gather": lambda p: kernels.gather(good(p), permutation(p), frozen(good(p))),
}  # fmt: skip


@pytest.mark.parametrize("what", STORAGE)
def test_wrong_storage_is_refused(backend, what):
    """Not uint64, last axis not contiguous, or not to be written: never wrong words, never a write."""
    with pytest.raises((TypeError, ValueError)):
        STORAGE[what](plan_of(N))


def test_values_of_ring_elements_cannot_be_overwritten(backend):
    from ckks.ring import Domain, RingPoly, RNSBasis

    basis = RNSBasis(N, MODULI)
    poly = RingPoly(basis, good(basis.plan), Domain.NTT)
    before = poly.residues.copy()
    with pytest.raises((TypeError, ValueError)):
        kernels.neg(basis.plan, poly.residues, poly.residues)
    naive.first_difference(poly.residues, before)


# ---- checking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "gather"])  # which has no moduli
def test_checking_names_the_first_word_that_is_not_reduced(backend, name, monkeypatch):
    plan = plan_of(8)
    monkeypatch.setattr(kernels.shapes, "CHECKING", True)
    inputs = operands(name, plan, (2,))
    check(name, plan, inputs)
    for place in range(len(inputs)):
        bad = [x.copy() for x in inputs]
        bad[place][..., 1, 2, 3] = plan.moduli[2]
        with pytest.raises(RangeError, match=rf"{plan.moduli[2]} at .*1, 2, 3\) is not below its modulus"):
            OPERATIONS[name].call(plan, *bad)


def test_checking_covers_conversions_and_scalars(backend, monkeypatch):
    plan = plan_of(8)
    monkeypatch.setattr(kernels.shapes, "CHECKING", True)
    table = make_conversion(plan.moduli, (193,))
    words = good(plan)
    kernels.convert(table, words)
    words[2, 3] = plan.moduli[2]
    with pytest.raises(RangeError):
        kernels.convert(table, words)
    w = scalars(plan)
    w[1] = plan.moduli[1]
    for call in (
        lambda: kernels.mul_scalar(plan, good(plan), w),
        lambda: kernels.mul_scalar_add(plan, good(plan), w, good(plan)),
        lambda: kernels.sub_mul_scalar(plan, good(plan), good(plan), w),
        lambda: kernels.weighted_sum(plan, good(plan, 1), w[None]),
    ):
        with pytest.raises(RangeError):
            call()


CHECK = """
import numpy as np
from ckks import kernels
from ckks.errors import RangeError
with kernels.use("reference"):
    plan = kernels.make_plan(8, (17,))
    try:
        kernels.add(plan, np.full((1, 8), 17, dtype=np.uint64), np.zeros((1, 8), dtype=np.uint64))
        print("ran")
    except RangeError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("setting", "printed"), [({"CKKS_CHECK": "0"}, "ran"),
                             ({"CKKS_CHECK": "1"}, "word 17 at (0, 0, 0) is not below its modulus 17")]
)  # fmt: skip
def test_checking_is_asked_for_by_environment(tmp_path, setting, printed):
    assert process.output_of(CHECK, tmp_path, **setting).strip() == printed


def test_the_reference_is_asked_for_small_rings_only():
    """Guards the tests: nothing here gives the reference a ring it takes long for."""
    assert N <= LARGEST_REFERENCE_N
