"""Every kernel of every source against plain Python integers (L1): rings of 8 to 2^15, primes of 30 to 61 bits.

One test a kernel. It runs the reference once, on rows at the ends of their range and on random ones, and counts the
words in which any other source differs. What is special to one source (thresholds, strides, threads) has its tests
in tests/kernels; so have the fused kernels, which are held to compositions of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import BACKENDS, _runnable
from kernels import compare

from ckks import kernels
from ckks.arith import ntt_primes
from ckks.kernels import reference
from ckks.kernels.interface import Plan, make_conversion, make_plan, row_bytes

BITS = (30, 40, 50, 60, 61)
QUICK = {8: 20, 64: 4}
LONG = {
    8: 800,
    16: 500,
    32: 300,
    64: 200,
    128: 80,
    256: 40,
    512: 20,
    1024: 8,
    2048: 4,
    4096: 2,
    8192: 1,
    2**14: 1,
    2**15: 1,
}
"""Ring degree -> random polynomials, of one row for each of the five primes."""
TERMS = 3
UNARY, BINARY = ("ntt", "intt", "neg"), ("add", "sub", "mul")
TERNARY = ("mul_add", "neg_mul_add")
SCALARS = ("add_scalar", "mul_scalar", "mul_scalar_add", "sub_mul_scalar")
OTHERS = ("dot", "weighted_sum", "convert", "gather", "gather_signed", "signed", "small", "rounded", "pack", "unpack")
STREAMS = ("take_below", "take_ternary", "binomial")

Case = tuple[tuple[Any, ...], Any]
"""Arguments, and an array like the result."""


def rows(plan: Plan, count: int, rng: np.random.Generator, turn: int = 0) -> np.ndarray:
    """Extreme rows, in an order that `turn` rotates so that operands meet all others, and `count` random ones."""
    return np.concatenate([np.roll(compare.extremes(plan, rng)[:5], turn, axis=0), compare.random(plan, rng, count)])


def calls(name: str, n: int, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Calls of one kernel with about `count` random polynomials beside the extreme ones."""
    plan = make_plan(n, tuple(ntt_primes(bits=bits, count=1, n=n)[0] for bits in BITS))
    x = rows(plan, count, rng)
    if name in UNARY:
        yield (plan, x), x
    elif name in BINARY:
        for turn in range(5):
            yield (plan, x, rows(plan, count, rng, turn)), x
    elif name in TERNARY:
        for turn in range(5):
            yield (plan, x, rows(plan, count, rng, turn), rows(plan, count, rng, 2 * turn)), x
    elif name in SCALARS:
        for w in (*x[:5, :, 0], *x[5:9, :, 1]):
            scalar, y = np.ascontiguousarray(w), rows(plan, count, rng, 1)
            order = {"mul_scalar_add": (x, scalar, y), "sub_mul_scalar": (x, y, scalar)}
            yield (plan, *order.get(name, (x, scalar))), x
    elif name in STREAMS:
        yield from streams(name, plan, count, rng)
    else:
        yield from others(name, plan, x, count, rng)


def others(name: str, plan: Plan, x: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[Case]:
    n, terms = plan.n, np.stack([rows(plan, count, rng, turn) for turn in range(TERMS)])
    if name == "dot":
        yield (plan, terms, terms[::-1].copy()), x
        yield (plan, terms, terms), x
    elif name == "weighted_sum":
        for column in (0, n - 1):
            yield (plan, terms, np.ascontiguousarray(terms[:, -1, :, column])), x
        yield (plan, terms, np.ascontiguousarray(np.broadcast_to(plan.q - np.uint64(1), (TERMS, len(plan))))), x
    elif name == "convert":
        for source, target in ((slice(0, 3), slice(3, 5)), (slice(2, 3), slice(0, 2)), (slice(3, 5), slice(0, 3))):
            for centred in (True, False):
                table = make_conversion(plan.moduli[source], plan.moduli[target], centred)
                yield (table, np.ascontiguousarray(x[:, source])), x[:, target]
    elif name == "gather":
        yield (x, rng.permutation(n).astype(np.int64)), x
    elif name == "gather_signed":
        yield (plan, x, rng.permutation(n).astype(np.int64) + n * rng.integers(0, 2, n)), x
    elif name == "signed":
        limit = 2**62 - 1
        low, high = rng.integers(-limit, limit + 1, (2, len(x), n))
        low[:5, :] = np.array([0, 1, -1, limit, -limit])[:, None]
        yield (plan, low, None), x
        yield (plan, low, high), x
        yield (plan, high, low), x
    elif name == "small":
        tiny = rng.integers(-128, 128, (len(x), n)).astype(np.int8)
        tiny[:5, :] = np.array([0, 1, -1, 127, -128], dtype=np.int8)[:, None]
        yield (plan, tiny), x
    elif name == "rounded":
        reals = rng.uniform(-1, 1, (len(x), n)) * 2.0 ** rng.integers(-3, 62, (len(x), n))
        reals[:5, :] = np.array([0.0, 0.5, -1.5, 2.0**62 - 512, 512 - 2.0**62])[:, None]
        yield (plan, reals, 1.0), x
        yield (plan, reals * 2.0**-20, 2.0**20 * (1 - 2.0**-40)), x
    else:
        packed = np.zeros((len(x), sum(row_bytes(q, n) for q in plan.moduli)), dtype=np.uint8)
        if name == "pack":
            yield (plan, x), packed
        else:
            reference.pack(plan, x, packed)
            yield (plan, packed), x
            yield (plan, rng.integers(0, 256, packed.shape, dtype=np.uint8)), x


def streams(name: str, plan: Plan, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """A row of a stream is as long as the ring."""
    for i in range(5 * count + 5):
        words = rng.integers(0, 2**64, plan.n, dtype=np.uint64)
        if i < 5:
            words[...] = (0, 1, 2**64 - 1, plan.moduli[i], plan.moduli[i] - 1)[i]
        if name == "take_below":
            yield from (((q, words), words) for q in plan.moduli)
        elif name == "take_ternary":
            bits = words.view(np.uint8)
            yield (bits,), np.zeros(3 * len(bits), dtype=np.int8)
        else:
            yield (words,), np.zeros(plan.n, dtype=np.int8)


def sources() -> dict[str, Any]:
    """Every source of this machine but the reference; numba with its integer path for all primes, too."""
    found = {name: kernels.load(name) for name in BACKENDS[1:] if _runnable(name) is None}
    if "numba" in found:
        from ckks.kernels._numba.source import NumbaKernels

        found["numba, integers only"] = NumbaKernels(fast_limit=0)
    return found


def result_of(source: Any, name: str, arguments: tuple[Any, ...], like: np.ndarray) -> tuple[np.ndarray, Any]:
    """What a kernel writes, where it says how many only those, and what it returns."""
    out = np.full(like.shape, 7, dtype=like.dtype)
    returned = getattr(source, name)(*arguments, out)
    return (out[:returned] if name.startswith("take") else out), returned


@pytest.mark.parametrize(
    "degrees", [QUICK, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])], ids=["quick", "long"]
)
@pytest.mark.parametrize("name", [*UNARY, *BINARY, *TERNARY, *SCALARS, *OTHERS, *STREAMS])
def test_no_word_differs(name, degrees, figure):
    held, inputs, differing = sources(), 0, dict.fromkeys(sources(), 0)
    for n, count in degrees.items():
        for arguments, like in calls(name, n, count, np.random.default_rng(n)):
            inputs += 1 if like.ndim == 1 else len(like) * (like.shape[1] if like.ndim == 3 else len(BITS))
            wanted, said = result_of(reference, name, arguments, like)
            for label, source in held.items():
                found, returned = result_of(source, name, arguments, like)
                differing[label] += int((found != wanted).sum()) + (returned != said)
    figure("L1", f"{name}: {inputs:,} rows, N = {min(degrees)} to {max(degrees)}: 0 words differ in {', '.join(held)}")
    assert not any(differing.values()), differing
