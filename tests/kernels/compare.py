"""Holding one kernel source to another, word for word, at the edges of every range."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckks.arith import ntt_primes
from ckks.kernels.interface import Kernels, Plan, Words, make_conversion, make_plan, row_bytes

SIZES = (30, 40, 46, 47, 49, 50, 60, 61)
"""Bit lengths of the moduli: both classes, and the thresholds between the kernels."""


def mixed_plan(n: int, sizes: tuple[int, ...] = SIZES) -> Plan:
    """Return a plan with the largest prime of each size: the limbs of one call run on different kernels."""
    return make_plan(n, tuple(ntt_primes(bits=bits, count=1, n=n)[0] for bits in sizes))


def extremes(plan: Plan, rng: np.random.Generator) -> Words:
    """Return rows (6, L, N): 0, 1, q-1, q//2, alternating 0 and q-1, random."""
    q = plan.q[:, None]
    shape = (len(plan), plan.n)
    alternating = np.where(np.arange(plan.n) % 2, q - np.uint64(1), np.uint64(0))
    rows = [np.zeros(shape, np.uint64), np.ones(shape, np.uint64), q - np.uint64(1), q // np.uint64(2)]
    return np.stack([np.broadcast_to(row, shape) for row in (*rows, alternating, random(plan, rng))])


def random(plan: Plan, rng: np.random.Generator, *leading: int) -> Words:
    """Return uniform residues (*leading, L, N)."""
    return np.stack([rng.integers(0, q, (*leading, plan.n), dtype=np.uint64) for q in plan.moduli], axis=-2)


def largest(plan: Plan, *leading: int) -> Words:
    """Return words that are all q-1, (*leading, L, N)."""
    return np.ascontiguousarray(np.broadcast_to(plan.q[:, None] - np.uint64(1), (*leading, len(plan), plan.n)))


def assert_equal(found: Words, wanted: Words, what: str) -> None:
    """Name the first differing word."""
    if not np.array_equal(found, wanted):
        where = tuple(np.argwhere(found != wanted)[0])
        raise AssertionError(f"{what}: at {where} found {found[where]}, wanted {wanted[where]}")


def run(kernels: Kernels, function: str, shape: tuple[int, ...], *arguments: Any) -> Words:
    """Return what a kernel writes into a result that was full of ones bits."""
    out = np.full(shape, 2**64 - 1, dtype=np.uint64)
    getattr(kernels, function)(*arguments, out)
    return out


def same(kernels: Kernels, oracle: Kernels, function: str, shape: tuple[int, ...], *arguments: Any) -> None:
    """Demand equal words of both sources."""
    label = f"{function} of {getattr(kernels, 'variant', kernels.name)}, shape {shape}"
    assert_equal(run(kernels, function, shape, *arguments), run(oracle, function, shape, *arguments), label)


def transforms(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Both transforms: apart, in place, and each undoing the other."""
    x = extremes(plan, rng)
    same(kernels, oracle, "ntt", x.shape, plan, x)
    same(kernels, oracle, "intt", x.shape, plan, x)
    y = x.copy()
    kernels.ntt(plan, y, y)
    assert_equal(y, run(oracle, "ntt", x.shape, plan, x), "ntt in place")
    kernels.intt(plan, y, y)
    assert_equal(y, x, "intt in place")


def pointwise(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Every extreme row against every other; the scalars go through the extremes too."""
    rows = extremes(plan, rng)
    count = len(rows)
    x = np.repeat(rows, count, axis=0)
    y = np.tile(rows, (count, 1, 1))
    same(kernels, oracle, "neg", rows.shape, plan, rows)
    for function in ("add", "sub", "mul"):
        same(kernels, oracle, function, x.shape, plan, x, y)
    one = np.uint64(1)
    for w in (np.zeros_like(plan.q), np.ones_like(plan.q), plan.q - one, plan.q // np.uint64(2)):
        same(kernels, oracle, "add_scalar", rows.shape, plan, rows, w)
        same(kernels, oracle, "mul_scalar", rows.shape, plan, rows, w)
        same(kernels, oracle, "mul_scalar_add", x.shape, plan, x, w, y)
        same(kernels, oracle, "sub_mul_scalar", x.shape, plan, x, y, w)


def sums(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator, terms: tuple[int, ...]) -> None:
    """Sums of products, with all words at q-1 and random ones, a shared key and a term axis of any stride."""
    for k in terms:
        top = largest(plan, k, 1)
        any_x, any_y = random(plan, rng, k, 2), random(plan, rng, k, 1)
        shared = np.broadcast_to(any_y, any_x.shape)
        top_weights = np.broadcast_to(plan.q - np.uint64(1), (k, len(plan)))
        weights = np.stack([rng.integers(0, q, k, dtype=np.uint64) for q in plan.moduli], axis=1)
        same(kernels, oracle, "dot", top.shape[1:], plan, top, top)
        same(kernels, oracle, "dot", any_x.shape[1:], plan, any_x, shared)
        same(kernels, oracle, "dot", any_x.shape[1:], plan, any_x[::-1], shared[::-1])
        same(kernels, oracle, "weighted_sum", top.shape[1:], plan, top, top_weights)
        same(kernels, oracle, "weighted_sum", any_x.shape[1:], plan, any_x, weights)


def conversions(kernels: Kernels, oracle: Kernels, n: int, rng: np.random.Generator) -> None:
    """Base conversions between primes of one size and of many, from one source prime to forty."""
    small = ntt_primes(bits=30, count=44, n=n)
    fast = ntt_primes(bits=50, count=12, n=n)
    wide = ntt_primes(bits=61, count=36, n=n)
    odd = (ntt_primes(bits=51, count=1, n=n)[0], ntt_primes(bits=53, count=1, n=n)[0])
    cases = [
        (fast[:1], fast[1:4]),
        (fast[:3], fast[3:8]),
        (fast[:7], fast[7:]),
        (fast[:8], fast[8:]),
        (fast[:9], fast[9:]),
        (small[:40], small[40:]),
        (small[:2], fast[:3]),
        (fast[:2], small[:3]),
        (fast[:3], (3, 5, 7, 17)),
        (wide[:2], fast[:2]),
        (fast[:2], wide[:2]),
        (wide[:33], wide[33:]),
        (odd, wide[:2]),
    ]
    for source, target in cases:
        column = np.array(source, dtype=np.uint64)[:, None]
        rows = [np.zeros((len(source), n), np.uint64), np.broadcast_to(column - np.uint64(1), (len(source), n))]
        rows.append(np.stack([rng.integers(0, d, n, dtype=np.uint64) for d in source]))
        rows.append(np.broadcast_to(column // np.uint64(2), (len(source), n)))
        x = np.stack(rows)
        for centred in (True, False):
            table = make_conversion(source, target, centred)
            same(kernels, oracle, "convert", (len(x), len(target), n), table, x)
        # Columns are independent, and any number of them may be asked for.
        ragged = x[..., : n - 3]
        same(kernels, oracle, "convert", (len(x), len(target), n - 3), table, ragged)


def permutations(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Automorphisms of both forms, also onto their own input."""
    x = extremes(plan, rng)
    n = plan.n
    index = rng.permutation(n).astype(np.int64)
    signs = index + n * rng.integers(0, 2, n)
    same(kernels, oracle, "gather", x.shape, x, index)
    same(kernels, oracle, "gather_signed", x.shape, plan, x, signs)
    y = x.copy()
    kernels.gather_signed(plan, y, signs, y)
    assert_equal(y, run(oracle, "gather_signed", x.shape, plan, x, signs), "gather_signed in place")


def signed(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Residues of signed integers up to the ends of their range."""
    limit = 2**62 - 1
    ends = np.resize(np.array([0, 1, -1, limit, -limit, 2**52, -(2**52)], dtype=np.int64), plan.n)
    low = np.stack([ends, rng.integers(-limit, limit + 1, plan.n)])
    high = np.stack([np.roll(ends, 3), rng.integers(-limit, limit + 1, plan.n)])
    shape = (2, len(plan), plan.n)
    same(kernels, oracle, "signed", shape, plan, low, None)
    same(kernels, oracle, "signed", shape, plan, low, high)


def product_sums(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """x y + z and -x y + z: every extreme row against every other, z turned through them, and onto z itself."""
    rows = extremes(plan, rng)
    count = len(rows)
    x, y = np.repeat(rows, count, axis=0), np.tile(rows, (count, 1, 1))
    for function in ("mul_add", "neg_mul_add"):
        for shift in range(count):
            z = np.roll(x, shift, axis=0)
            same(kernels, oracle, function, x.shape, plan, x, y, z)
        wanted = run(oracle, function, x.shape, plan, x, y, z)
        getattr(kernels, function)(plan, x, y, z, z)
        assert_equal(z, wanted, f"{function} in place")


LENGTHS = (0, 1, 3, 4, 5, 15, 16, 17, 67)
"""Of streams: around the widths of all vectors."""


def streams(kernels: Kernels, oracle: Kernels, rng: np.random.Generator) -> None:
    """Rejection and counting of bits: any length, more room than words and less, and nothing written beyond."""
    for count in LENGTHS:
        words = rng.integers(0, 2**64, count, dtype=np.uint64)
        for q in (3, 5, 2**30 - 35, 2**49 + 9, 2**50 - 27, 2**60 + 33, 2**61 - 1):
            edges = np.resize(np.array([q, q - 1, 0, q + 1], dtype=np.uint64), count) | words & np.uint64(2**63)
            for x in (words, edges):
                for room in (0, 1, count // 2, count, count + 5):
                    taken(kernels, oracle, "take_below", np.uint64, room, q, x)
        bits = rng.integers(0, 256, count, dtype=np.uint8)
        for x8 in (bits, np.full(count, 255, np.uint8), np.zeros(count, np.uint8)):
            for room in (0, 1, count, 3 * count, 4 * count + 5):
                taken(kernels, oracle, "take_ternary", np.int8, room, x8)
        sides = np.resize(np.array([2**21 - 1, (2**21 - 1) << 21, 2**42 - 1, ~0 & (2**64 - 1)], np.uint64), count)
        for x in (words, sides):
            found, wanted = np.zeros(count, np.int8), np.zeros(count, np.int8)
            kernels.binomial(x, found)
            oracle.binomial(x, wanted)
            assert np.array_equal(found, wanted)


def taken(kernels: Kernels, oracle: Kernels, function: str, dtype: Any, room: int, *arguments: Any) -> None:
    """Demand the same count, the same values up to it, and untouched memory behind the room."""
    found, wanted = np.full(room + 8, 7, dtype), np.full(room + 8, 7, dtype)
    count = getattr(oracle, function)(*arguments, wanted[:room])
    assert getattr(kernels, function)(*arguments, found[:room]) == count
    assert np.array_equal(found[:count], wanted[:count]) and (found[room:] == 7).all()


def small(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Residues of all of int8, and of a view."""
    every = np.resize(np.arange(-128, 128).astype(np.int8), plan.n)
    x = np.stack([every, every[::-1], rng.integers(-21, 22, plan.n).astype(np.int8)])
    same(kernels, oracle, "small", (3, len(plan), plan.n), plan, x)
    same(kernels, oracle, "small", (2, len(plan), plan.n), plan, x[::-2])


def rounded(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Halves, the ends of the range, both sides of every power of two, and products that round."""
    powers = [s * (2.0**k + e) for k in range(62) for e in (-1, -0.5, 0, 0.5, 1) for s in (1, -1)]
    halves = [k + 0.5 for k in (*range(-9, 9), 2**25 - 1, 2**26, 2**26 + 1, -(2**26), 2**40 + 2**25, 2**51, -(2**51))]
    ends = [2.0**62 - 512, 512 - 2.0**62, 0.0, -0.0, 5e-324, -5e-324, 0.49999999999999994, -0.49999999999999994]
    known = np.array([*powers, *halves, *ends])
    known = np.resize(known, (-(-len(known) // plan.n), plan.n))
    any_ = rng.uniform(-1, 1, (3, plan.n)) * 2.0 ** rng.integers(-10, 62, (3, plan.n))
    for x, scale in ((known, 1.0), (any_, 1.0), (any_ * 2.0**-40, 2.0**40 * (1 - 2.0**-30)), (known[::-1], 0.5)):
        same(kernels, oracle, "rounded", (len(x), len(plan), plan.n), plan, x, scale)


def packing(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Bytes, words and the verdict: canonical rows, and each kind of word that is none."""
    x, size = extremes(plan, rng), sum(row_bytes(q, plan.n) for q in plan.moduli)
    room = np.full((len(x), size + 16), 7, dtype=np.uint8)
    found, wanted = room[:, 8:-8], np.zeros((len(x), size), dtype=np.uint8)
    kernels.pack(plan, x, found)
    oracle.pack(plan, x, wanted)
    assert np.array_equal(found, wanted)
    assert (room[:, :8] == 7).all() and (room[:, -8:] == 7).all()
    out = np.zeros_like(x)
    assert kernels.unpack(plan, found, out) is True
    assert_equal(out, x, "unpack")
    for _ in range(20):
        data = rng.integers(0, 256, (1, size), dtype=np.uint8)
        back, exact = np.zeros((2, 1, len(plan), plan.n), dtype=np.uint64)
        assert kernels.unpack(plan, data, back) == oracle.unpack(plan, data, exact)
        assert_equal(back, exact, "unpack of any bytes")
    for limb, q in enumerate(plan.moduli):
        for where in (0, plan.n - 1):
            y = np.zeros((1, len(plan), plan.n), dtype=np.uint64)
            y[0, limb, where] = q
            oracle.pack(plan, y, wanted[:1])
            assert kernels.unpack(plan, wanted[:1], out[:1]) is False


def strided(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """Views: limbs of a larger array, reversed batches, and results written into every other batch."""
    limbs = len(plan)
    big = np.concatenate([random(plan, rng, 4), random(plan, rng, 4)], axis=1)
    x, y = big[::-2, :limbs], big[1::2, limbs:]
    for function in ("ntt", "intt", "neg"):
        out = np.zeros((4, limbs + 1, plan.n), dtype=np.uint64)
        getattr(kernels, function)(plan, x, out[::2, 1:])
        assert_equal(out[::2, 1:], run(oracle, function, x.shape, plan, x), f"{function} of views")
        assert not out[1::2].any() and not out[:, 0].any()
    same(kernels, oracle, "mul", x.shape, plan, x, y)
    same(kernels, oracle, "mul", x.shape, plan, np.broadcast_to(x[:1], x.shape), y)


def place_by_place(
    kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator, terms: tuple[int, ...]
) -> None:
    """What needs no root of unity and mixes no two places of a row: moduli need not be prime."""
    pointwise(kernels, oracle, plan, rng)
    sums(kernels, oracle, plan, rng, terms)
    product_sums(kernels, oracle, plan, rng)
    small(kernels, oracle, plan, rng)
    rounded(kernels, oracle, plan, rng)
    packing(kernels, oracle, plan, rng)


def everything(kernels: Kernels, oracle: Kernels, plan: Plan, rng: np.random.Generator) -> None:
    """All of the above."""
    transforms(kernels, oracle, plan, rng)
    place_by_place(kernels, oracle, plan, rng, (1, 2, 7, 8, 9, 16, 33, 65))
    conversions(kernels, oracle, plan.n, rng)
    permutations(kernels, oracle, plan, rng)
    signed(kernels, oracle, plan, rng)
    streams(kernels, oracle, rng)
    strided(kernels, oracle, plan, rng)
