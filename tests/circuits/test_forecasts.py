"""What `ckks.plan` forecasts of linear algebra, against the worst of real runs at the ends of the range.

The factor of 999 in 1000. With r the rms error of a slot, as a complex number, the real part of what a rescale leaves behind has a
Laplace distribution, P(|e| > t r) = exp(-2 t) (see `ckks.planning`); other errors are normal, which is less in that
tail. One of n values is beyond t r with probability n exp(-2 t) at most, 1/1000 for t = ln(1000 n)/2: that is
`Forecast.max_error`, or less where automorphisms brought errors together (`ckks.planning.largest`). It is no bound: one
run in a thousand may exceed it. So of R runs

    at most k exceed the forecast, k such that more happen once in a thousand series of such runs (binomial, 1/1000);
    none exceeds r ln(1000 n R)/2, the forecast of 999 in 1000 series: 1 + ln R / ln(1000 n) times that of a run;
    and the worst is no smaller than a fourth (two bits) of r ln(100 n)/2: what 99 in 100 runs stay below is as much as
    some dozens of runs can show, and for few values it is well below the forecast.

Two real numbers share a slot of a similarity: 2n values where the forecast counts n, so 2/1000 there.

A run has fresh keys' worth of randomness for each of the inputs below, all at the ends of the declared range but one:
6 keys x 6 inputs, 36 runs; 17 x 6, 102 runs, in the long tier. Seeds are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from math import comb, log, log2, sqrt
from typing import Any

import numpy as np
import pytest
from kit import make_kit
from params import insecure_small

import ckks
from ckks import EncryptedVector
from ckks import linear as la
from ckks.circuits.linear import similarity
from ckks.linear import ArrangedProduct, LinearMap, MatrixProduct
from ckks.scheme.meta import meta_of

Arrays = list[np.ndarray]
DIMENSION = 16


@dataclass(frozen=True)
class Case:
    """An operation, its inputs' shapes and ranges, their slots, and the truth.

    `packs` makes the slots of each input of a matrix, or of a query; `shared` is how many real numbers share a slot.
    `excess` is by how many bits more than two the forecast is known to be too careful, with the reason where it stands.
    """

    run: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    truth: Callable[..., np.ndarray]
    slots: int | None = None
    ranges: tuple[float, ...] = ()
    packs: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    inputs: Callable[[], Iterator[Arrays]] | None = None
    shared: int = 1
    excess: float = 0.0


def at_the_ends(shapes: tuple[tuple[int, ...], ...]) -> Iterator[Arrays]:
    """Constant, a spike, alternating, random signs, opposite ends; and anything."""
    g = np.random.default_rng(7)
    yield [np.ones(s) for s in shapes]
    spikes = [np.zeros(s) for s in shapes]
    for spike in spikes:
        spike[..., 0] = 1.0
    yield spikes
    yield [np.ones(s) * np.where(np.arange(s[-1]) % 2, 1.0, -1.0) for s in shapes]
    yield [g.choice([-1.0, 1.0], s) for s in shapes]
    yield [np.full(s, -1.0 if k else 1.0) for k, s in enumerate(shapes)]
    yield [g.uniform(-1, 1, s) for s in shapes]


def directions() -> Iterator[np.ndarray]:
    """Vectors of length 1: even, along one axis, alternating, random."""
    g = np.random.default_rng(11)
    k = np.arange(DIMENSION)
    for x in (np.ones(DIMENSION), k == 0, (-1.0) ** k, g.choice([-1.0, 1.0], DIMENSION), g.normal(size=DIMENSION)):
        yield x / np.linalg.norm(x)


def gauss(g: np.random.Generator, m: int, n: int) -> np.ndarray:
    return g.uniform(-1, 1, (m, n)) * sqrt(3 / n)


def maps(slots: int) -> Iterator[tuple[str, Case]]:
    g, d = np.random.default_rng(5), slots // 2

    def of(matrix: np.ndarray, **options: Any) -> Case:
        linear = LinearMap(matrix, **options)
        return Case(lambda x: linear @ x, ((matrix.shape[1],),), lambda x: matrix @ x, linear.input_slots)

    square, wide, tall = gauss(g, d, d), gauss(g, 4, d), gauss(g, d, 4)
    yield "map, square", of(square)
    yield "map, not packed", of(square, real=False)
    yield "map, minimal keys", of(square, keys="minimal")
    yield "map, all slots", of(gauss(g, slots, slots))
    yield "map, wide", of(wide)
    yield "map, wide, not folded", of(wide, fold=False)
    yield "map, tall", of(tall)
    yield "map, 13 x 9", of(gauss(g, 13, 9))
    spread = np.zeros((4, d))
    spread[np.arange(4), np.arange(4) * (d // 4)] = 8.0
    yield "map, wide, one number a row", of(spread)
    yield "map, a band", of(np.tril(np.triu(square, -1), 1))
    yield "map, one entry", of(np.eye(1, d * d).reshape(d, d))
    yield "map, identity", of(np.eye(d))
    yield "map, rows of equal numbers", of(np.ones((d, d)) / d)
    heavy = np.full((d, d), 1e-3)
    heavy[3] = 1.0
    yield "map, one heavy row", of(heavy)
    yield "map, one heavy row, not packed", of(heavy, real=False)
    averages = LinearMap(np.ones((d, d)) / d)
    yield (
        "map, times y",
        Case(lambda x, y: (averages @ x) * y, ((d,), (d,)), lambda x, y: np.full(d, x.mean()) * y, d),
    )
    first, second = LinearMap(wide), LinearMap(tall)
    # The error of a folded result repeats, which is not known any more where it is read as more slots: it is taken for
    # a new one in each, and those of d slots for sqrt(d / 4) times what they are.
    yield (
        "map, tall after wide",
        Case(lambda x: second @ (first @ x), ((d,),), lambda x: tall @ (wide @ x), d, excess=log2(d / 4) / 2),
    )
    order = g.permutation(d)
    mixed = la.permutation(order)
    yield "permutation", Case(lambda x: mixed @ x, ((d,),), lambda x: x[order], d)
    turned = la.transposition(8, d // 8)
    yield "transposition", Case(lambda x: turned @ x, ((d,),), lambda x: x.reshape(8, -1).T.ravel(), d)


def sums(slots: int) -> Iterator[tuple[str, Case]]:
    mask = np.arange(slots) % 3 == 0
    one = np.arange(slots) == 0
    whole = partial(np.full, slots)
    # One slot has the error that is forecast of n: ln(100) instead of ln(100 n).
    alone = log2(log(100 * slots) / log(100))
    yield "mask, every third", Case(lambda x: la.keep(x, mask), ((slots,),), lambda x: x * mask)
    yield "mask, one slot", Case(lambda x: la.keep(x, [0]), ((slots,),), lambda x: x * one)
    yield (
        "mask, one slot of large values",
        Case(lambda x: la.keep(64 * x, [0]), ((slots,),), lambda x: 64 * x * one, excess=alone),
    )
    spiky = np.where(one, 100.0, 0.01)
    yield "factors, one of them large", Case(lambda x: x * spiky, ((slots,),), lambda x: x * spiky, excess=alone)
    yield "dot", Case(la.dot, ((5, slots), (5, slots)), lambda x, y: (x * y).sum(0))
    yield "dot with itself", Case(lambda x: la.dot(x, x), ((5, slots),), lambda x: (x * x).sum(0))
    yield "inner", Case(la.inner, ((slots,), (slots,)), lambda x, y: whole((x * y).sum()))
    yield "inner with itself", Case(lambda x: la.inner(x, x), ((slots,),), lambda x: whole((x * x).sum()))
    yield "inner, not full", Case(la.inner, ((slots // 5,),) * 2, lambda x, y: whole((x * y).sum()))
    yield "inner of batches", Case(la.inner, ((3, slots),) * 2, lambda x, y: whole((x * y).sum()))
    yield "total times x", Case(lambda x: la.total(x) * x, ((slots,),), lambda x: x.sum() * x)
    yield "total of totals", Case(lambda x: la.total(la.total(x)), ((slots,),), lambda x: whole(slots * x.sum()))


def tables(slots: int) -> Iterator[tuple[str, Case]]:
    def everywhere(statistic: Callable[[np.ndarray], np.ndarray], table: np.ndarray) -> np.ndarray:
        return np.repeat(statistic(table)[:, None], slots, axis=1)

    def covariances(table: np.ndarray) -> np.ndarray:
        width = 1 << (len(table) - 1).bit_length()
        out = np.zeros((width, width))
        out[: len(table), : len(table)] = np.cov(table, ddof=0)
        return out.ravel()

    # Errors of the values, 16 times as large as usual, beside those of the rescales. Of the 16 values of the covariances
    # of 3 columns, 6 are different: the others are their mirror images, or zeros.
    mirrored = log2(log(100 * 16) / log(100 * 6))
    yield (
        "variance of large values",
        Case(lambda t: la.variance(16 * t), ((3, slots),), lambda t: everywhere(lambda x: 256 * x.var(1), t)),
    )
    yield (
        "covariance of large values",
        Case(lambda t: la.covariance(16 * t), ((3, slots),), lambda t: 256 * covariances(t), excess=mirrored),
    )
    for rows in (slots, slots // 3, slots // 12, 1):
        # The error of a mean, sqrt(slots) / rows times that of a value, is nearly the same in all rows, and centred
        # values add up to zero: products with it hardly count, and are counted.
        few = max(0.0, log2(sqrt(slots) / rows))
        yield f"total of {rows} rows", Case(la.total, ((3, rows),), partial(everywhere, lambda t: t.sum(1)))
        yield f"mean of {rows} rows", Case(la.mean, ((3, rows),), partial(everywhere, lambda t: t.mean(1)))
        yield (
            f"variance of {rows} rows",
            Case(la.variance, ((3, rows),), partial(everywhere, lambda t: t.var(1)), excess=few),
        )
        for columns in (1, 3, 4):
            yield (
                f"covariance of {rows} rows, {columns} columns",
                Case(la.covariance, ((columns, rows),), covariances, excess=few),
            )


def matrices(slots: int) -> Iterator[tuple[str, Case]]:
    def of(product: Any, size: int, blocks: int = 1) -> Case:
        left, right = (size, size * blocks), (size * blocks, size)
        arranged = isinstance(product, ArrangedProduct)
        packs = (product.pack_left, product.pack_right) if arranged else (product.pack, product.pack)

        def truth(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            out = np.zeros((size, product.slots // size))
            out[:, :size] = a @ b
            return out.ravel() if blocks == 1 else out.reshape(1, 1, -1)

        run = partial(la.matmul, product=product)
        return Case(run, (left, right), truth, product.slots, packs=packs)

    for keys in ("hoisted", "minimal"):
        for size in (4, 8):
            yield f"product of {size} x {size}, {keys}", of(MatrixProduct(size, keys=keys), size)
        yield f"product of 8 x 8, arranged, {keys}", of(ArrangedProduct(8, keys=keys), 8)
    yield "product of 4 x 8 with 8 x 4", of(MatrixProduct(4), 4, blocks=2)


def similarities(slots: int) -> Iterator[tuple[str, Case]]:
    g, items = np.random.default_rng(9), 150
    vectors = g.normal(size=(items, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    rows = similarity.block_rows(slots, DIMENSION)
    blocks = -(-items // (2 * rows))

    def plain(q: EncryptedVector) -> Any:
        encoded = similarity.PlainVectors.encode(q.evaluator.params, vectors)
        return similarity.plain_similarities(q.evaluator, q.ciphertext, encoded)

    def slots_of(values: np.ndarray) -> np.ndarray:
        whole = np.zeros(2 * rows * blocks)
        whole[:items] = values
        out = np.zeros((blocks, slots), dtype=complex)
        parts = whole.reshape(blocks, 2, rows)
        out[:, :rows] = parts[:, 0] + 1j * parts[:, 1]
        return out

    yield (
        "similarities with plain vectors",
        Case(
            plain,
            ((slots,),),
            lambda q: slots_of(vectors @ q[:DIMENSION]),
            inputs=lambda: ([similarity.repeated(q, slots)] for q in directions()),
            shared=2,
        ),
    )

    def alike(q: np.ndarray) -> np.ndarray:
        return similarity.packed(np.tile(q, (2 * slots, 1)), slots)

    shape = (DIMENSION, 1, slots)
    yield (
        "similarities with encrypted vectors",
        Case(
            lambda v, q: similarity.encrypted_similarities(v.evaluator, v.ciphertext, q.ciphertext),
            (shape, (DIMENSION, slots)),
            lambda v, q: np.einsum("ebs,es->bs", v, q),
            ranges=(sqrt(2), 1.0),
            inputs=lambda: ([alike(q), similarity.spread(q, slots)] for q in directions()),
            shared=2,
        ),
    )
    yield (
        "similarities of a plain query",
        Case(
            lambda v: similarity.weighted_similarities(v.evaluator, v.ciphertext, vectors[0]),
            (shape,),
            lambda v: np.einsum("ebs,e->bs", v, vectors[0]),
            ranges=(sqrt(2),),
            inputs=lambda: ([alike(q)] for q in directions()),
            shared=2,
        ),
    )


@cache
def cases(slots: int) -> dict[str, Case]:
    return {name: case for make in (maps, sums, tables, matrices, similarities) for name, case in make(slots)}


def most_beyond(runs: int, chance: float) -> int:
    """The k that a binomial number exceeds once in a thousand times at most."""
    beyond, k = 1.0, -1
    while beyond > 1e-3:
        k += 1
        beyond -= comb(runs, k) * chance**k * (1 - chance) ** (runs - k)
    return k


def worst_of_runs(name: str, degree: int, keys: int) -> tuple[ckks.planning.Forecast, list[float]]:
    """The forecast, and the largest error of each run."""
    case = cases(degree // 2)[name]
    ranges = case.ranges or (1.0,) * len(case.shapes)
    params = insecure_small(degree, depth=4, value_range=4.0)
    encode = {} if case.slots is None else {"slots": case.slots}

    def packed(arrays: Arrays) -> Arrays:
        return [pack(x) for pack, x in zip(case.packs, arrays, strict=True)] if case.packs else arrays

    shapes = [x.shape for x in packed([np.zeros(s) for s in case.shapes])]
    plan = ckks.plan(case.run, *shapes, ranges=ranges, slots=case.slots, params=params)
    (forecast,) = plan.results
    errors = []
    for seed in range(1, keys + 1):
        kit = make_kit(params, seed, rotations=plan.rotations, conjugation=plan.conjugation)
        for arrays in case.inputs() if case.inputs else at_the_ends(case.shapes):
            sent = zip(packed(arrays), ranges, strict=True)
            found = case.run(*(EncryptedVector(kit.encrypt(x, bound=b, **encode), kit.evaluator) for x, b in sent))
            ct = getattr(found, "ciphertext", found)
            wanted = case.truth(*arrays)
            assert max(np.abs(wanted.real).max(), np.abs(wanted.imag).max()) <= meta_of(ct).bound * (1 + 1e-9)
            off = kit.decrypt(ct) - wanted
            errors.append(float(max(np.abs(off.real).max(), np.abs(off.imag).max())))
    return forecast, errors


@pytest.mark.filterwarnings("ignore:the constant .* keeps:ckks.errors.PrecisionWarning")  # means of toy parameters
@pytest.mark.parametrize(
    ("degree", "keys"), [(256, 6), pytest.param(1024, 17, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("name", cases(128))
def test_forecast(name, degree, keys):
    if name not in cases(degree // 2):  # tables are named by their rows, which are shares of the slots
        rows = [n for n in cases(128) if "rows" in n]
        name = [n for n in cases(degree // 2) if "rows" in n][rows.index(name)]
    case = cases(degree // 2)[name]
    forecast, errors = worst_of_runs(name, degree, keys)
    runs, worst = len(errors), max(errors)
    values = np.prod(forecast.shape)
    assert sum(e > forecast.max_error for e in errors) <= most_beyond(runs, case.shared / 1000)
    assert worst <= forecast.max_error * log(1000 * values * case.shared * runs) / log(1000 * values)
    assert worst <= forecast.worst_error
    bits = log2(forecast.max_error * log(100 * values) / log(1000 * values) / worst)
    assert bits <= 2 + case.excess, f"{bits:.2f} bits below what 99 in 100 runs reach in {runs} runs"
