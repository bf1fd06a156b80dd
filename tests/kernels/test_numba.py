"""The numba kernels against the reference, word for word, at the edges of their ranges."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

pytest.importorskip("numba")

import numba
from kernels import compare

from ckks.arith import ntt_primes
from ckks.errors import BackendError, ParameterError
from ckks.kernels import numba_backend, reference
from ckks.kernels._numba import (
    cache,
    constants,
    convert,
    floating,
    integer,
    ntt_floating,
    permute,
    pointwise,
    sums,
    transforms,
    twiddles,
)
from ckks.kernels._numba.lanes import (
    LANES,
    fma,
    join,
    load_reals,
    load_word,
    spread,
    store_reals,
    store_word,
    store_words,
)
from ckks.kernels._numba.source import NumbaKernels, has_fma
from ckks.kernels.interface import FAST_LIMIT, Plan, make_conversion, make_plan

BITS = (30, 40, 46, 49, 50, 51, 60, 61)
DEGREES = (8, 16, 32, 64)
PADDING = 7
EXTREMES = ("random", "zero", "one", "last", "half", "alternating")

needs_fma = pytest.mark.skipif(not has_fma(), reason="the float64 kernels need a CPU with fused multiply-add")


@pytest.fixture(params=[pytest.param("floating", marks=needs_fma), "integer"])
def kernels(request: pytest.FixtureRequest) -> NumbaKernels:
    """Return the kernels as they run, and with every prime sent down the integer path."""
    return NumbaKernels() if request.param == "floating" else NumbaKernels(fast_limit=0)


def plan_of(n: int) -> Plan:
    """Return one prime of each size: both classes, and both sides of 2^50, in one plan."""
    return make_plan(n, tuple(ntt_primes(bits=bits, count=1, n=n)[0] for bits in BITS))


def residues(plan: Plan, seed: int = 0) -> np.ndarray:
    """Return (B, L, N) residues, one batch entry for each of `EXTREMES`."""
    rng = np.random.default_rng(seed)
    out = np.zeros((len(EXTREMES), len(plan), plan.n), dtype=np.uint64)
    for limb, q in enumerate(plan.moduli):
        out[:, limb] = rows_modulo(q, plan.n, rng)
    return out


def rows_modulo(q: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return one row for each of `EXTREMES`."""
    rows = np.zeros((len(EXTREMES), n), dtype=np.uint64)
    rows[0] = rng.integers(0, q, n, dtype=np.uint64)
    rows[2], rows[3], rows[4] = 1, q - 1, q // 2
    rows[5, ::2] = q - 1
    return rows


def pairs(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return every extreme of x against every extreme of y."""
    x, y = residues(plan, 1), residues(plan, 2)
    return np.repeat(x, len(y), axis=0), np.tile(y, (len(x), 1, 1))


def strided(x: np.ndarray) -> np.ndarray:
    """Return a copy of x whose outer strides are those of a view: padded, and the first axis backwards."""
    room = np.full((*(2 * s + 1 for s in x.shape[:-1]), x.shape[-1] + 8), PADDING, dtype=x.dtype)
    view = room[(*(slice(1, None, 2) for _ in x.shape[:-1]), slice(8, None))][::-1]
    view[...] = x
    return view


def same(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """Compare words; on failure name the first that differs."""
    if not np.array_equal(found, wanted):
        at = tuple(int(i) for i in np.argwhere(found != wanted)[0])
        pytest.fail(f"{what}: word {at} is {found[at]}, wanted {wanted[at]} ({(found != wanted).sum()} differ)")


def agree(kernels: NumbaKernels, name: str, plan: Plan | None, *operands: object, shape: tuple[int, ...]) -> None:
    """Run one kernel and its reference on contiguous and on strided operands, and compare."""
    head = () if plan is None else (plan,)
    wanted = np.zeros(shape, dtype=np.uint64)
    getattr(reference, name)(*head, *operands, wanted)
    found = np.zeros(shape, dtype=np.uint64)
    getattr(kernels, name)(*head, *operands, found)
    same(found, wanted, name)

    views = [strided(x) if isinstance(x, np.ndarray) and x.ndim >= 3 else x for x in operands]
    target = strided(np.zeros(shape, dtype=np.uint64))
    getattr(kernels, name)(*head, *views, target)
    same(target, wanted, f"{name}, strided")
    room = target
    while room.base is not None:
        room = room.base
    target[...] = PADDING
    assert (room == PADDING).all(), f"{name} wrote beside its output"


# ---- every kernel against the reference ------------------------------------------------------------------------


@pytest.mark.parametrize("n", DEGREES)
@pytest.mark.parametrize("name", ["ntt", "intt", "neg"])
def test_unary(kernels: NumbaKernels, name: str, n: int) -> None:
    plan = plan_of(n)
    x = residues(plan)
    agree(kernels, name, plan, x, shape=x.shape)
    wanted = np.zeros_like(x)
    getattr(reference, name)(plan, x, wanted)
    getattr(kernels, name)(plan, x, x)
    same(x, wanted, f"{name} in place")


@pytest.mark.parametrize("n", DEGREES)
@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_binary(kernels: NumbaKernels, name: str, n: int) -> None:
    plan = plan_of(n)
    x, y = pairs(plan)
    agree(kernels, name, plan, x, y, shape=x.shape)
    one = np.broadcast_to(y[7], x.shape)
    agree(kernels, name, plan, x, one, shape=x.shape)


@pytest.mark.parametrize("n", DEGREES)
def test_scalars(kernels: NumbaKernels, n: int) -> None:
    plan = plan_of(n)
    x, y = pairs(plan)
    for scalar in range(len(EXTREMES)):
        w = np.ascontiguousarray(residues(plan, 3)[scalar, :, -1])
        agree(kernels, "add_scalar", plan, x, w, shape=x.shape)
        agree(kernels, "mul_scalar", plan, x, w, shape=x.shape)
        agree(kernels, "mul_scalar_add", plan, x, w, y, shape=x.shape)
        agree(kernels, "sub_mul_scalar", plan, x, y, w, shape=x.shape)
    w = np.repeat(w, 3)[1::3]  # a column of something larger
    agree(kernels, "mul_scalar", plan, x, w, shape=x.shape)


@pytest.mark.parametrize("terms", [1, 2, 8, 9, 17, 33, 70])
def test_sums(kernels: NumbaKernels, terms: int) -> None:
    plan = plan_of(16)
    x = np.stack([residues(plan, k) for k in range(terms)])  # (K, B, L, N)
    y = np.stack([residues(plan, 100 + k) for k in range(terms)])
    w = np.ascontiguousarray(y[:, 0, :, 3])
    last = np.stack([residues(plan)[3]] * terms)[:, None]  # every product (q - 1)^2
    agree(kernels, "dot", plan, x, y, shape=x.shape[1:])
    agree(kernels, "dot", plan, x, np.broadcast_to(y[:, :1], x.shape), shape=x.shape[1:])
    agree(kernels, "dot", plan, last, last, shape=last.shape[1:])
    agree(kernels, "weighted_sum", plan, x, w, shape=x.shape[1:])
    for extreme in (2, 3, 4):
        agree(kernels, "weighted_sum", plan, x, np.ascontiguousarray(y[:, extreme, :, 0]), shape=x.shape[1:])
    agree(kernels, "weighted_sum", plan, last, np.ascontiguousarray(last[:, 0, :, 0]), shape=last.shape[1:])


def test_sums_over_several_tiles(kernels: NumbaKernels) -> None:
    n = 2 * sums.TILE
    plan = make_plan(n, ntt_primes(bits=50, count=1, n=n) + ntt_primes(bits=61, count=1, n=n))
    x = np.stack([residues(plan, k) for k in range(9)])
    y = np.stack([residues(plan, 20 + k) for k in range(9)])
    agree(kernels, "dot", plan, x, y, shape=x.shape[1:])
    agree(kernels, "weighted_sum", plan, x, np.ascontiguousarray(y[:, 0, :, 5]), shape=x.shape[1:])


SOURCES = {
    "one": (30,),
    "two": (50, 49),
    "mixed sizes": (50, 30, 46, 40),
    "many": (50,) * 11,
    "one large": (50, 61, 40),
    "51 to 53": (51, 52, 53),
    "large": (61,) * 35,
}


@pytest.mark.parametrize("centred", [True, False], ids=["centred", "uncentred"])
@pytest.mark.parametrize("name", SOURCES)
def test_convert(kernels: NumbaKernels, name: str, centred: bool) -> None:
    n, used = 16, []
    for bits in SOURCES[name]:
        used.append(ntt_primes(bits=bits, count=1, n=n, avoid=tuple(used))[0])
    source = tuple(used)
    target = tuple(ntt_primes(bits=bits, count=1, n=n, avoid=source)[0] for bits in (50, 61, 30, 49, 55))
    rng = np.random.default_rng(5)
    x = np.stack([rows_modulo(d, n, rng) for d in source], axis=1)  # (B, a, N)
    for table in (make_conversion(source, target, centred), make_conversion(source, target[:1], centred)):
        agree(kernels, "convert", table, x, shape=(len(x), len(table.target), n))


def test_convert_in_place(kernels: NumbaKernels) -> None:
    n = 64
    source = ntt_primes(bits=50, count=3, n=n)
    table = make_conversion(source, tuple(ntt_primes(bits=b, count=1, n=n)[0] for b in (49, 60, 30)))
    x = np.stack([rows_modulo(d, n, np.random.default_rng(d)) for d in source], axis=1)
    wanted = np.zeros_like(x)
    reference.convert(table, x, wanted)
    kernels.convert(table, x, x)
    same(x, wanted, "convert in place")


@pytest.mark.parametrize("columns", [1, 3, 4, 7, 12, 23])
def test_convert_any_number_of_columns(kernels: NumbaKernels, columns: int) -> None:
    source = ntt_primes(bits=50, count=2, n=8)
    x = np.stack([rows_modulo(d, columns, np.random.default_rng(d)) for d in source], axis=1)
    agree(kernels, "convert", make_conversion(source, (97, 2**61 - 1, 193)), x, shape=(len(x), 3, columns))


@pytest.mark.parametrize("bits", [30, 49, 50, 51, 53, 61])
def test_convert_at_rounding_edges(kernels: NumbaKernels, bits: int) -> None:
    """Numbers around every multiple of D/8 and around 0, D/2, D: where the overflow count is decided."""
    source = ntt_primes(bits=bits, count=3, n=8)
    target = ntt_primes(bits=45, count=2, n=8)
    big_d = source[0] * source[1] * source[2]
    numbers = [(big_d * k // 8 + e) % big_d for k in range(8) for e in (*range(-4, 5), 2**bits, -(2**bits))]
    x = np.array([[[v % d for v in numbers] for d in source]], dtype=np.uint64)
    for centred in (True, False):
        agree(kernels, "convert", make_conversion(source, target, centred), x, shape=(1, 2, len(numbers)))


@pytest.mark.parametrize("bits", [5, 30, 40, 49, 50])
def test_overflow_fraction(bits: int) -> None:
    """floor(s r / 2^52) by rounding and correcting, as `convert` does it, in exact arithmetic.

    The products just below and just above an integer decide: y r = t 2^b + c with small |c|.
    """
    (d,) = ntt_primes(bits=bits, count=1, n=2)
    b, r = d.bit_length(), make_conversion((d,), (3,)).reciprocal[0]
    assert r < 2**52
    inverse = pow(r | 1, -1, 2**b)
    ys = {0, 1, 2, d - 2, d - 1, d // 2, d // 2 + 1} | {inverse * c % 2**b for c in range(-40, 40)}
    ys |= {2**k + e for k in range(b) for e in (-1, 0, 1)}
    for y in sorted(v for v in ys if 0 <= v < d):
        exact = Fraction(y * r, 2**b)
        nearest = round(exact)  # one rounding of m = fma(y, g, 2^52); ties either way
        for m in {nearest, int(exact + Fraction(1, 2))}:
            error = exact - m
            assert float(error) == error, "e is not exact"
            assert m - (error < 0) == reference.overflow_fraction(y, d, r)


@pytest.mark.parametrize("n", DEGREES)
def test_permutations(kernels: NumbaKernels, n: int) -> None:
    plan = plan_of(n)
    rng = np.random.default_rng(n)
    x = residues(plan)
    index = rng.permutation(n).astype(np.int64)
    flipped = index + n * rng.integers(0, 2, n)
    agree(kernels, "gather", None, x, index, shape=x.shape)
    agree(kernels, "gather_signed", plan, x, flipped, shape=x.shape)
    for name, operands in (("gather", (x.copy(), index)), ("gather_signed", (plan, x.copy(), flipped))):
        wanted, data = np.zeros_like(x), operands[-2]
        getattr(reference, name)(*operands, wanted)
        getattr(kernels, name)(*operands, data)
        same(data, wanted, f"{name} in place")


@pytest.mark.parametrize("n", DEGREES)
def test_signed(kernels: NumbaKernels, n: int) -> None:
    plan = plan_of(n)
    rng = np.random.default_rng(n)
    most = 2**62 - 1
    low = rng.integers(-most, most, (6, n), dtype=np.int64)
    low[1], low[2], low[3], low[4] = most, -most, 0, -1
    high = low[::-1].copy()
    shape = (6, len(plan), n)
    for plan_ in (plan, Plan(n, (3, 5, 17), (0, 0, 0))):
        for above in (None, high, np.zeros_like(high)):
            agree(kernels, "signed", plan_, low, above, shape=(6, len(plan_), n))
    agree(kernels, "signed", plan, low[::2, :], high[::2, :], shape=(3, *shape[1:]))


@pytest.mark.parametrize("n", DEGREES)
def test_sampling_rounding_and_packing(kernels: NumbaKernels, n: int) -> None:
    rng = np.random.default_rng(n)
    if n == DEGREES[0]:
        compare.streams(kernels, reference, rng)
    for plan in (plan_of(n), Plan(n, (3, 5, 17), (0, 0, 0))):
        compare.product_sums(kernels, reference, plan, rng)
        compare.small(kernels, reference, plan, rng)
        compare.rounded(kernels, reference, plan, rng)
        compare.packing(kernels, reference, plan, rng)
    x = residues(plan_of(n))
    agree(kernels, "mul_add", plan_of(n), x, x[::-1], x, shape=x.shape)


# ---- what a kernel refuses, since a wrong array would be a wild read --------------------------------------------


def test_arrays_outside_the_contract() -> None:
    kernels, plan = numba_backend.load(), plan_of(16)
    x = residues(plan)
    other = {
        "a limb too few": x[:, 1:],
        "half a ring": x[..., :8],
        "one polynomial": x[0],
        "words two apart": np.repeat(x, 2, axis=-1)[..., ::2],
        "words backwards": x[..., ::-1],
        "one word for a row": np.broadcast_to(x[..., :1], x.shape),
        "int64": x.astype(np.int64),
        "big-endian": x.astype(">u8"),
        "off the boundary": np.frombuffer(bytearray(x.nbytes + 1), dtype=np.uint8)[1:].view(np.uint64).reshape(x.shape),
    }
    frozen = x.copy()
    frozen.flags.writeable = False
    index, w = np.arange(16), x[0, :, 0]
    for what, y in other.items():
        for call in (
            lambda y=y: kernels.ntt(plan, y, x.copy()),
            lambda y=y: kernels.add(plan, x, y, x.copy()),
            lambda y=y: kernels.mul_scalar(plan, x, w, y),
            lambda y=y: kernels.dot(plan, x[None], y[None], x.copy()),
            lambda y=y: kernels.weighted_sum(plan, y[None], w[None], x.copy()),
            lambda y=y: kernels.gather(y, index, x.copy()),
            lambda y=y: kernels.signed(plan, np.zeros((len(x), 16), dtype=np.int64), None, y),
            lambda y=y: kernels.mul_add(plan, x, x, y, x.copy()),
            lambda y=y: kernels.small(plan, np.zeros((len(x), 16), dtype=np.int8), y),
            lambda y=y: kernels.pack(plan, y, np.zeros((len(x), 2 * sum(BITS)), dtype=np.uint8)),
            lambda y=y: kernels.convert(make_conversion(plan.moduli, plan.moduli), y, x.copy()),
        ):
            with pytest.raises((TypeError, ValueError)):
                call()
                pytest.fail(what)
    with pytest.raises(ValueError, match="read-only"):
        kernels.neg(plan, x, frozen)
    with pytest.raises(ValueError, match="read-only"):
        kernels.take_below(97, x[0, 0], frozen[0, 0])
    with pytest.raises(TypeError):
        kernels.binomial(x[0, 0], x[0, 0])
    with pytest.raises(ValueError, match="one axis"):
        kernels.take_below(97, x[0], x[0, 0])
    with pytest.raises(ValueError, match="as many"):
        kernels.binomial(x[0, 0], np.zeros(15, dtype=np.int8))
    with pytest.raises(ValueError, match="scalars of shape"):
        kernels.mul_scalar(plan, x, w[1:], x.copy())
    with pytest.raises(TypeError, match="scalars"):
        kernels.mul_scalar(plan, x, w.astype(np.float64), x.copy())
    with pytest.raises(ValueError, match="no terms"):
        kernels.dot(plan, x[None][:0], x[None][:0], x.copy())
    with pytest.raises(TypeError, match="int64"):
        kernels.gather(x, index.astype(np.int32), x.copy())
    with pytest.raises(ParameterError, match="no NTT roots"):
        kernels.ntt(Plan(16, plan.moduli, (0,) * len(plan)), x, x.copy())
    with pytest.raises(ParameterError, match="power of two"):
        kernels.neg(Plan(12, plan.moduli, plan.roots), x[..., :12], x[..., :12].copy())
    kernels.gather(x, index - 10**6, x.copy())  # wrong, but within the row
    kernels.add(plan, x[:0], x[:0], x[:0].copy())  # an empty batch is within the contract


# ---- larger rings: both paths against each other, and against the definition -----------------------------------


@pytest.mark.parametrize("log_n", [7, 8, 9, 10, 11, 12, 13, 14, 17])
def test_large_transforms(log_n: int) -> None:
    n = 1 << log_n
    plan = make_plan(n, tuple(ntt_primes(bits=b, count=1, n=n)[0] for b in (30, 46, 49, 50, 61)))
    x = residues(plan)
    found, wanted, back = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    NumbaKernels().ntt(plan, x, found)
    NumbaKernels(fast_limit=0).ntt(plan, x, wanted)
    same(found, wanted, "ntt, float64 against integer path")
    for limb, (q, psi) in enumerate(zip(plan.moduli, plan.roots, strict=True)):
        for i in (0, 1, n // 2, n - 1):  # out[i] = a(psi^(2 brv(i) + 1)), by Horner's rule
            point, value = pow(psi, 2 * int(f"{i:0{log_n}b}"[::-1], 2) + 1, q), 0
            for c in reversed(x[0, limb].tolist()):
                value = (value * point + c) % q
            assert int(found[0, limb, i]) == value
    NumbaKernels().intt(plan, found, back)
    same(back, x, "intt, float64")
    NumbaKernels(fast_limit=0).intt(plan, found, back)
    same(back, x, "intt, integer")
    # What comes out of the inverse must not depend on its input being a transform of small numbers.
    NumbaKernels().intt(plan, x, back)
    NumbaKernels(fast_limit=0).intt(plan, x, wanted)
    same(back, wanted, "intt of extremes, float64 against integer path")


@needs_fma
def test_large_pointwise() -> None:
    n = 2**11
    plan = make_plan(n, ntt_primes(bits=50, count=2, n=n) + ntt_primes(bits=36, count=1, n=n))
    x, y = pairs(plan)
    w = x[0, :, 0].copy()
    fast, slow = NumbaKernels(), NumbaKernels(fast_limit=0)
    for name, operands in (
        ("mul", (x, y)),
        ("mul_scalar", (x, w)),
        ("mul_scalar_add", (x, w, y)),
        ("sub_mul_scalar", (x, y, w)),
    ):
        found, wanted = np.zeros_like(x), np.zeros_like(x)
        getattr(fast, name)(plan, *operands, found)
        getattr(slow, name)(plan, *operands, wanted)
        same(found, wanted, name)
    table = make_conversion(plan.moduli, ntt_primes(bits=48, count=2, n=n) + ntt_primes(bits=60, count=1, n=n))
    found, wanted = np.zeros_like(x), np.zeros_like(x)
    fast.convert(table, x, found)
    slow.convert(table, x, wanted)
    same(found, wanted, "convert")


# ---- the bounds of the float64 arithmetic, at their ends ------------------------------------------------------

LARGEST = ntt_primes(bits=50, count=3, n=32)  # the very largest of the fast class


@numba.njit(nogil=True)
def _run_mulmod(count, y, w, v, q, out):  # type: ignore[no-untyped-def]
    for i in range(0, count, LANES):
        r = floating.mulmod(load_reals(y, i), load_reals(w, i), load_reals(v, i), spread(q))
        store_reals(out, i, r)


@numba.njit(nogil=True)
def _run_words(count, x, y, q, inverse, out):  # type: ignore[no-untyped-def]
    for i in range(0, count, LANES):
        store_reals(out, i, floating.mulmod_words(load_reals(x, i), load_reals(y, i), spread(q), spread(inverse)))


@numba.njit(nogil=True)
def _run_reduce(count, x, q, inverse, out):  # type: ignore[no-untyped-def]
    for i in range(0, count, LANES):
        store_reals(out, i, floating.reduce(load_reals(x, i), spread(q), spread(inverse)))


@numba.njit(nogil=True)
def _run_to_words(count, x, q, out):  # type: ignore[no-untyped-def]
    for i in range(0, count, LANES):
        store_words(out, i, floating.to_words(load_reals(x, i), spread(load_word(q, 0))))


@numba.njit(nogil=True)
def _run_fma(count, a, b, c, out):  # type: ignore[no-untyped-def]
    for i in range(0, count, LANES):
        store_reals(out, i, fma(load_reals(a, i), load_reals(b, i), load_reals(c, i)))


def emulated_mulmod(y: int, w: int, q: int) -> int:
    """Return the residue that `floating.mulmod` computes, in exact arithmetic but for its two roundings, v and k."""
    return y * w - round(y * Fraction(w / q)) * q


def worst_operand(w: int, q: int, limit: int) -> int:
    """Return y, |y| <= limit, with as large a residue y w as a search finds.

    k is rounded the wrong way where y w/q is close to a half-integer and y v lies on the other side of it: so look
    for y = w^-1 (q/2 + e), shifted by multiples of q towards the limit.
    """
    best, largest = 0, 0
    for sign, part in product((1, -1), range(1, 160)):
        y = pow(w, -1, q) * (q // 2 + sign * (q * part // 1024)) % q
        for base in (y, y - q):
            shifts = ((limit - base) // q, -((limit + base) // q))
            for candidate in (base + shift * q for shift in shifts):
                size = abs(emulated_mulmod(candidate, w, q))
                if abs(candidate) <= limit and size > largest:
                    best, largest = candidate, size
    return best


def around(centres: list[int], rng: np.random.Generator, limit: int) -> list[int]:
    """Return integers at, next to and near each centre, within +-limit."""
    near = [c + int(e) for c in centres for e in (0, 1, -1, 2, -2, *rng.integers(-(2**40), 2**40, 40))]
    return [v for v in near if abs(v) <= limit]


@needs_fma
def test_fma_rounds_once() -> None:
    a = np.array([1 + 2.0**-30] * 4)
    out = np.zeros(4)
    _run_fma(4, a.ctypes.data, a.ctypes.data, (-(a * a)).ctypes.data, out.ctypes.data)
    assert (out == 2.0**-60).all()


@needs_fma
@pytest.mark.parametrize("q", [*LARGEST, *ntt_primes(bits=49, count=1, n=8), 97])
def test_mulmod_bounds(q: int) -> None:
    """|r| <= (1/2 + A/16) q for |y| <= A q and |w| <= q/2, exactly congruent, at A = 1, 2, 4 and in between."""
    rng = np.random.default_rng(q)
    half = q // 2
    ws = [*around([half, -half, half // 3, 0], rng, half), *(int(v) for v in rng.integers(-half, half + 1, 60))]
    largest = Fraction(0)
    for multiple in (1, 2, 4):
        limit = multiple * q
        ys = [*around([limit, -limit, limit - half, half, 0], rng, limit), *map(int, rng.integers(-limit, limit, 60))]
        operands = [*product(ys, ws), *((worst_operand(w, q, limit), w) for w in ws[:12] if w)]
        y, w = (np.array(v, dtype=np.float64) for v in zip(*operands, strict=True))
        y, w = (np.concatenate([v, np.zeros(-len(v) % LANES)]) for v in (y, w))
        v, out = w / q, np.zeros(len(y))
        _run_mulmod(len(y), y.ctypes.data, w.ctypes.data, v.ctypes.data, float(q), out.ctypes.data)
        bound = (Fraction(1, 2) + Fraction(multiple, 16)) * q
        for a, b, r in zip(y.tolist(), w.tolist(), out.tolist(), strict=True):
            assert abs(r) <= bound and r == int(r), (a, b, r)
            assert (int(a) * int(b) - int(r)) % q == 0, (a, b, r)
            largest = max(largest, abs(Fraction(r) / q))
    if q.bit_length() == 50:  # the search reaches residues that rounding alone explains
        assert largest > Fraction(11, 20)


@needs_fma
def test_mulmod_fails_outside_its_range() -> None:
    """The limit A <= 4 is no excess of caution: at 6 q and q near 2^50, residues are wrong or too large."""
    q, rng = LARGEST[0], np.random.default_rng(1)
    y = 6.0 * q - rng.integers(0, 2**30, 4096)
    w = float(q // 2) - rng.integers(0, 2**30, 4096)
    v, out = w / q, np.zeros(4096)
    _run_mulmod(4096, y.ctypes.data, w.ctypes.data, v.ctypes.data, float(q), out.ctypes.data)
    wrong = sum((int(a) * int(b) - int(r)) % q != 0 for a, b, r in zip(y, w, out, strict=True))
    assert wrong or (np.abs(out) > 0.75 * q).any()


@needs_fma
@pytest.mark.parametrize("q", [*LARGEST, 97])
def test_mulmod_words_bounds(q: int) -> None:
    rng = np.random.default_rng(q)
    xs = [*around([q, -q, q // 2, 0], rng, q), *map(int, rng.integers(-q, q, 80))]
    ys = [*(v for v in around([q, q // 2, 0], rng, q) if v >= 0), *map(int, rng.integers(0, q, 80))]
    x, y = (np.array(v, dtype=np.float64) for v in zip(*product(xs, ys), strict=True))
    x, y = (np.concatenate([v, np.zeros(-len(v) % LANES)]) for v in (x, y))
    out = np.zeros(len(x))
    _run_words(len(x), x.ctypes.data, y.ctypes.data, float(q), 1 / q, out.ctypes.data)
    assert (np.abs(out) < 0.76 * q).all()
    for a, b, r in zip(x.tolist(), y.tolist(), out.tolist(), strict=True):
        assert (int(a) * int(b) - int(r)) % q == 0, (a, b, r)


@needs_fma
@pytest.mark.parametrize("q", [*LARGEST, *ntt_primes(bits=30, count=1, n=8), 17])
def test_reduce_and_store_bounds(q: int) -> None:
    rng = np.random.default_rng(q)
    centres = [k * q // 2 for k in range(-16, 17)]
    values = [c + e for c in centres for e in range(-3, 4) if abs(c + e) <= 8 * q]
    values += map(int, rng.integers(-8 * q, 8 * q, 999))
    values += [0] * (-len(values) % LANES)
    x = np.array(values, dtype=np.float64)
    out, words, modulus = np.zeros(len(x)), np.zeros(len(x), dtype=np.uint64), np.array([q], dtype=np.uint64)
    _run_reduce(len(x), x.ctypes.data, float(q), 1 / q, out.ctypes.data)
    assert (np.abs(out) <= (q + 1) // 2).all()
    _run_to_words(len(x), out.ctypes.data, modulus.ctypes.data, words.ctypes.data)
    assert words.tolist() == [v % q for v in values]
    edges = np.array([1 - q, q - 1, 0.0, -0.0, -1, 1, q // 2, -(q // 2)])
    _run_to_words(8, edges.ctypes.data, modulus.ctypes.data, words.ctypes.data)
    assert words[:8].tolist() == [int(v) % q for v in edges]


def test_transform_ranges() -> None:
    """The table of ranges in `ntt_floating`, in exact fractions, for q = 2^50."""
    half = Fraction(1, 2)

    def u(a: Fraction | int) -> Fraction:
        assert a <= 4
        return half + Fraction(a) / 16

    edge = Fraction(1, 2**40)  # what `reduce` may exceed 1/2 by
    assert 1 + u(1) < 2  # radix 2 on words
    for entering in (1, 2):
        y0, y1 = half + edge + u(entering), entering + u(entering)
        assert y0 + u(y1) < 2  # radix 4
    y = 2 + u(2)
    assert y + u(y) < 8  # the last two layers
    out0, out1, out2, out3 = 4, 2 * u(2), u(4), u(2 * u(2))
    assert max(out0, out1) <= 8 and max(out2, out3, half + edge) <= 1  # inverse
    assert floating.GROUP * Fraction(76, 100) + half + edge < 8  # sums
    assert 8 * FAST_LIMIT <= 2**53


@needs_fma
@pytest.mark.parametrize("q", LARGEST[:2])
def test_passes_at_their_limits(q: int) -> None:
    """Single passes on reals at the ends of the stated ranges, which whole transforms hardly ever reach."""
    n = 32
    table = twiddles.ntt_table(make_plan(n, (q,)), FAST_LIMIT)
    ((_, array),) = table.others
    w = np.rint(array[:n]).astype(np.int64)
    address, rng = int(array.ctypes.data), np.random.default_rng(2)
    for limit, run, step in (
        (2 * q - 1, ntt_floating._forward_pass, _forward_by_integers),
        (q, ntt_floating._backward_pass, _backward_by_integers),
    ):
        for x in _adversaries(limit, [int(v) for v in w[:4]], q, n, rng):
            data = np.array(x, dtype=np.float64)
            run(table.address, n, address, data.ctypes.data, 1, n, 0, 1)
            wanted = step(x, [int(v) for v in w[:4]], q)
            assert [(int(a) - b) % q for a, b in zip(data, wanted, strict=True)] == [0] * n
            assert (np.abs(data) <= limit).all()


def _adversaries(limit: int, w: list[int], q: int, n: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield rows of four quarters within +-limit: ends of the range at random, and operands with large residues."""
    for _ in range(100):
        yield rng.choice(np.array([limit, -limit, limit - 1, q // 2, -(q // 2), 0, 1]), n).tolist()
    t = n // 4
    direct = worst_operand(w[1], q, limit)
    for signs in product((1, -1), repeat=4):
        yield [s * v for s, v in zip(signs, (limit, limit, direct, direct), strict=True) for _ in range(t)]
    # Of differences, for the inverse: x1 - x0 for w[3], x3 - x2 for w[2].
    d, e = worst_operand(w[3], q, 2 * limit), worst_operand(w[2], q, 2 * limit)
    for f, g in product((d, -d), (e, -e)):
        yield [v for v in (-(f // 2), f - f // 2, -(g // 2), g - g // 2) for _ in range(t)]


def _forward_by_integers(x: list[int], w: list[int], q: int) -> list[int]:
    t = len(x) // 4
    out = [0] * len(x)
    for i in range(t):
        a, b, c, d = x[i], x[i + t], x[i + 2 * t], x[i + 3 * t]
        y0, y2, y1, y3 = a + w[1] * c, a - w[1] * c, b + w[1] * d, b - w[1] * d
        out[i], out[i + t] = (y0 + w[2] * y1) % q, (y0 - w[2] * y1) % q
        out[i + 2 * t], out[i + 3 * t] = (y2 + w[3] * y3) % q, (y2 - w[3] * y3) % q
    return out


def _backward_by_integers(x: list[int], w: list[int], q: int) -> list[int]:
    t = len(x) // 4
    out = [0] * len(x)
    w1, w2, w3 = (pow(v, -1, q) for v in w[1:4])
    for i in range(t):
        a, b, c, d = x[i], x[i + t], x[i + 2 * t], x[i + 3 * t]
        y0, y1, y2, y3 = a + b, (a - b) * w2, c + d, (c - d) * w3
        out[i], out[i + t] = (y0 + y2) % q, (y1 + y3) % q
        out[i + 2 * t], out[i + 3 * t] = (y0 - y2) * w1 % q, (y1 - y3) * w1 % q
    return out


# ---- the bounds of the integer arithmetic ----------------------------------------------------------------------


@numba.njit(nogil=True)
def _run_integers(count, x, y, row, mode, out):  # type: ignore[no-untyped-def]
    q = load_word(row, constants.Q)
    for i in range(count):
        a, b = load_word(x, i), load_word(y, i)
        if mode == 0:
            r = integer.mulmod(a, b, q, load_word(row, constants.SHIFT), load_word(row, constants.PRODUCT_QUOTIENT))
        elif mode == 1:
            r = integer.shoup_lazy(a, load_word(row, constants.HIGH), load_word(row, constants.HIGH_QUOTIENT), q)
        elif mode == 2:
            r = integer.barrett_lazy(a, load_word(row, constants.QUOTIENT), q)
        else:
            power, quotient = load_word(row, constants.POWER), load_word(row, constants.POWER_QUOTIENT)
            r = integer.reduce_wide(join(a, b), q, load_word(row, constants.QUOTIENT), power, quotient)
        store_word(out, i, r)


@pytest.mark.parametrize("bits", [5, 31, 50, 60, 61])
def test_integer_arithmetic(bits: int) -> None:
    """Every result congruent and in its range, for operands at the ends and where quotients are off by one."""
    rng, top = np.random.default_rng(bits), 2**64 - 1
    for q in (*ntt_primes(bits=bits, count=min(3, 2 ** (bits - 5)), n=8), 2 ** (bits - 1) + 1):
        row = constants.prime_row(q, False)
        near = [k * q + e for k in (1, 2, 3, 2**60 // q, top // q) for e in (-2, -1, 0, 1)]
        words = [0, 1, top, top - 1, 2**63, *(v for v in near if 0 <= v <= top)]
        words += [int(v) for v in rng.integers(0, top, 40, dtype=np.uint64)]
        words += [max(top // q * q - int(v), 0) for v in rng.integers(1, q, 20, dtype=np.uint64)]
        low = [v % q for v in words]
        seen = 0
        for mode, operands in enumerate((low, words, words, words)):
            x, y = (np.array(v, dtype=np.uint64) for v in zip(*product(operands, repeat=2), strict=True))
            out = np.zeros_like(x)
            _run_integers(len(x), x.ctypes.data, y.ctypes.data, row.ctypes.data, mode, out.ctypes.data)
            exact = (lambda a, b: a * b, lambda a, b: a * 2**52, lambda a, b: a, lambda a, b: a * 2**64 + b)[mode]
            wanted = [exact(a, b) % q for a, b in zip(x.tolist(), y.tolist(), strict=True)]
            if mode in (0, 3):
                assert out.tolist() == wanted
            else:
                assert all(r < 2 * q and r % q == v for r, v in zip(out.tolist(), wanted, strict=True))
                seen += int((out >= q).sum())
        if bits > 31:
            assert seen, "no operand needed the lazy range"


# ---- compilation, cache, refusals ------------------------------------------------------------------------------

ENTRY_POINTS = (
    *(getattr(transforms, name) for name in ("ntt", "intt")),
    *(getattr(pointwise, name) for name in ("add", "sub", "neg", "mul")),
    *(getattr(pointwise, name) for name in ("mul_scalar", "mul_scalar_add", "sub_mul_scalar")),
    *(sums.dot, sums.weighted_sum, convert.convert),
    *(getattr(permute, name) for name in ("gather", "gather_signed", "signed")),
)


def test_each_kernel_is_compiled_once() -> None:
    """Contiguous, strided, read-only and broadcast operands all share one specialisation."""
    kernels = numba_backend.load()
    kernels.warmup()
    plan = plan_of(16)
    x = residues(plan)
    x.flags.writeable = False
    kernels.add(plan, x, np.broadcast_to(x[0], x.shape), np.zeros((*x.shape[:2], 32), dtype=np.uint64)[..., :16])
    kernels.mul_scalar(plan, x[::-1], x[0, :, 0], np.zeros_like(x))
    assert len(ENTRY_POINTS) == 15
    for entry in ENTRY_POINTS:
        assert len(entry.signatures) == 1, entry
        assert all(kind in (numba.int64, numba.bool_) for kind in entry.signatures[0])


def test_describe() -> None:
    facts = numba_backend.load().describe()
    assert facts["variant"] in facts["variants"]


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Forget where the cache is, before and after."""
    cache.cache_folder.cache_clear()
    yield monkeypatch
    cache.cache_folder.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX")
def test_cache_folder_is_private(tmp_path: os.PathLike, fresh_cache: pytest.MonkeyPatch) -> None:
    fresh_cache.delenv("NUMBA_CACHE_DIR", raising=False)
    fresh_cache.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = str(numba.config.CACHE_DIR)
    folder = numba_backend.cache_folder()
    assert folder is not None and folder.parent == tmp_path / "ckks" / "numba"
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    cache.kernel(_identity)
    assert before == numba.config.CACHE_DIR and "NUMBA_CACHE_DIR" not in os.environ


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_shared_cache_folder_is_refused(tmp_path: os.PathLike, fresh_cache: pytest.MonkeyPatch, mode: int) -> None:
    fresh_cache.delenv("NUMBA_CACHE_DIR", raising=False)
    fresh_cache.setenv("XDG_CACHE_HOME", str(tmp_path))
    shared = tmp_path / "ckks" / "numba"
    shared.mkdir(parents=True)
    shared.chmod(mode)
    with pytest.warns(RuntimeWarning, match="needed 0700"):
        assert numba_backend.cache_folder() is None


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX")
@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o1777, True), (0o755, True)])
def test_cache_folder_below_a_shared_one(
    tmp_path: os.PathLike, fresh_cache: pytest.MonkeyPatch, mode: int, safe: bool
) -> None:
    fresh_cache.setenv("NUMBA_CACHE_DIR", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    if safe:
        assert numba_backend.cache_folder() is not None
    else:
        with pytest.warns(RuntimeWarning, match="others may rename"):
            assert numba_backend.cache_folder() is None


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_linked_cache_folder_is_refused(tmp_path: os.PathLike, fresh_cache: pytest.MonkeyPatch) -> None:
    fresh_cache.delenv("NUMBA_CACHE_DIR", raising=False)
    fresh_cache.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "ckks").mkdir()
    (tmp_path / "ckks" / "numba").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning, match="not a folder"):
        assert numba_backend.cache_folder() is None


def _identity(x):  # type: ignore[no-untyped-def]
    return x


def test_disabled_jit_is_refused() -> None:
    code = (
        "from ckks.errors import BackendError\n"
        "from ckks.kernels import numba_backend\n"
        "try:\n    numba_backend.load()\n"
        "except BackendError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True
    )
    assert "CKKS_BACKEND=reference" in run.stdout, run.stderr


def test_missing_numba_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(BackendError, match="CKKS_BACKEND=reference"):
        numba_backend.load.__wrapped__()


def test_numba_is_imported_late() -> None:
    code = "import sys, ckks.kernels, ckks.kernels.numba_backend; print('numba' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
