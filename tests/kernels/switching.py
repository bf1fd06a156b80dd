"""Key switching and division held to their definition, `ckks.kernels.composed`, word for word.

A case is a gadget and a quotient; `calls` makes of it calls of every function of the front, with operands at the ends
of their ranges, of every batch shape, and as views.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from kernels import compare

from ckks import kernels
from ckks.arith import ntt_primes
from ckks.kernels import Gadget, Quotient, backends, composed, make_gadget, make_plan, make_quotient
from ckks.kernels.interface import Kernels, Plan, Words
from ckks.ring.automorphism import ntt_permutation


@dataclass(frozen=True)
class Case:
    """Bit lengths of the special primes and of those of each digit, and how many limbs are divided by at each end."""

    name: str
    special: tuple[int, ...]
    digits: tuple[tuple[int, ...], ...]
    first: int = field(default=-1)
    last: int = 0
    centred: bool = True
    lean: bool = False
    terms: int = 3

    def plan(self, n: int) -> Plan:
        """The joint basis: for each size its largest primes."""
        sizes = (*self.special, *(bits for digit in self.digits for bits in digit))
        primes = {bits: iter(ntt_primes(bits=bits, count=sizes.count(bits), n=n)) for bits in set(sizes)}
        return make_plan(n, tuple(next(primes[bits]) for bits in sizes))

    def gadget(self, n: int) -> Gadget:
        bounds = [len(self.special)]
        for digit in self.digits:
            bounds.append(bounds[-1] + len(digit))
        return make_gadget(self.plan(n), bounds[0], tuple(bounds), self.centred)

    def quotient(self, n: int) -> Quotient:
        """By the special primes unless said otherwise, and by `last` more."""
        return make_quotient(self.plan(n), len(self.special) if self.first < 0 else self.first, self.last)


def singles(count: int, bits: int) -> Case:
    """Digits of one prime each: sums on doubles are reduced at every tenth."""
    return Case(f"{count} digits of {bits} bits", (bits,), ((bits,),) * count, lean=True)


SHAPES = (
    Case("one prime a digit", (50,), ((50,), (46,), (46,), (46,))),
    Case("last digit cut short", (50, 50), ((40, 40, 40), (40, 40, 40), (40,))),
    Case("uncentred, rescaled", (50, 50), ((50, 40), (40, 40)), last=1, centred=False),
    Case("one digit, two-prime level", (50, 50, 50), ((50, 46, 46),), last=2, terms=17),
    Case("a single limb", (50,), ((50,),)),
    Case("last alone", (50, 30), ((30, 40), (46, 50)), first=0, last=1),
    Case("one special prime of two", (49, 50), ((47, 48), (49, 50), (30,)), first=1, last=1),
    Case("mixed with wide primes", (60, 50), ((50, 60), (30, 61), (40,)), last=1),
    Case("wide uncentred", (61,), ((60,), (55,), (61,)), centred=False, terms=9),
    Case("wide special prime only", (60,), ((50, 49), (50, 49))),
    Case("uncentred, one prime a digit", (50, 46), ((50,), (46,), (49,), (30,)), centred=False),
    Case("one prime a digit, from 30 bits to 50", (46,), ((30,), (50,), (49,), (40,)), last=1),
)
"""All options of every function."""

COUNTS = (*(singles(count, 50) for count in (9, 10, 11, 19, 20, 21, 31)), singles(21, 49), singles(21, 47))
WIDTHS = (
    Case("digits of 1 to 9 primes", (50, 50), tuple((50,) * width for width in range(1, 10)), lean=True),
    Case("digits of 9 to 1 small primes", (30,), tuple((30,) * width for width in range(9, 0, -1)), lean=True),
    Case("seven special primes, 13 dropped", (50,) * 7, ((49,) * 7, (48,) * 7), last=6, lean=True),
)


# ---- operands ----------------------------------------------------------------------------------------------------


def words(plan: Plan, rng: np.random.Generator, *leading: int) -> Words:
    """Entries that are random, all q-1, alternating, all (q-1)/2 (whose products with q-1 are as large as any), zero."""
    out = compare.random(plan, rng, *leading)
    top = plan.q[:, None] - np.uint64(1)
    alternating = np.where(np.arange(plan.n) % 2, top, np.uint64(0))
    kinds = (None, top, alternating, top // np.uint64(2), np.uint64(0))
    for i, where in enumerate(np.ndindex(leading)):
        kind = kinds[i % len(kinds)]
        if kind is not None:
            out[where] = kind
    return out


def embedded(x: Words) -> Words:
    """The same words as a view: the first limbs of more, every other one along the axis before."""
    big = np.zeros((*x.shape[:-3], 2 * x.shape[-3], x.shape[-2] + 2, x.shape[-1]), dtype=np.uint64)
    view = big[..., ::2, : x.shape[-2], :]
    view[...] = x
    return view


def moved(x: Words) -> Words:
    """The same words, their first axis stored before the limbs, as that of a ciphertext's parts is."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -3)), -3, 0)


def factors(plan: Plan, rng: np.random.Generator, width: int, *leading: int) -> Words:
    """Rows of fewer words than the ring has: all q-1, then as `words`."""
    out = np.ascontiguousarray(words(plan, rng, *leading)[..., :width])
    out[0] = plan.q[:, None] - np.uint64(1)
    return out


def integers(rng: np.random.Generator, kind: Any, *shape: int) -> Any:
    """Random ones of a type, both ends among them (2^62 - 1 where the type has larger ones)."""
    top = min(np.iinfo(kind).max, 2**62 - 1)
    out = rng.integers(-top, top, shape, dtype=kind, endpoint=True)
    out[..., :2] = top, max(np.iinfo(kind).min, -top)
    return out


def automorphism_index(n: int) -> Any:
    """The permutation of an automorphism, whose blocks of eight stay together."""
    return ntt_permutation(n, 5)


Call = tuple[str, tuple[Any, ...]]


def calls(case: Case, n: int, rng: np.random.Generator) -> Iterator[Call]:
    """Yield (function, arguments)."""
    gadget, quotient = case.gadget(n), case.quotient(n)
    joint, kept, count = gadget.plan, gadget.kept, len(gadget)
    index = rng.permutation(n).astype(np.int64)
    key, top = words(joint, rng, count, 2), compare.largest(joint, count, 2)
    half = np.ascontiguousarray(np.broadcast_to(joint.q[:, None] // np.uint64(2), (count, 1, *joint.shape)))
    x = words(kept, rng, 2)
    yield "switch", (gadget, x, top, quotient, words(kept, rng, 2, 2), index)
    yield "switch_digits", (gadget, half, top, quotient, compare.largest(kept, 2, 1), None)
    yield "switch_product", (gadget, words(kept, rng, 2), compare.largest(kept, 2), key, quotient)
    yield "divide", (quotient, words(joint, rng, 2), None)
    yield "decompose", (gadget, x)
    if case.lean:
        return
    longer = np.concatenate([key, key], axis=2)  # as of a higher level
    for parts in (0, 1, 2):
        addend = words(kept, rng, parts, 3) if parts else None
        yield "inner", (gadget, moved(words(joint, rng, count, 3)), longer[:, :, : len(joint)], addend)
        yield "switch", (gadget, words(kept, rng, 5)[1:4], longer[:, :, : len(joint)], quotient, addend, None)
    yield "switch", (gadget, words(kept, rng), key, quotient, None, index)
    yield "switch", (gadget, words(kept, rng, 0), key, quotient, None, index)
    # Batches that no single stride walks through, and addends that are shared by some of their entries.
    square = embedded(words(kept, rng, 2, 2))
    yield "switch", (gadget, square, key, quotient, words(kept, rng, 2, 2, 1), index)
    yield "switch", (gadget, square.swapaxes(0, 1), key[::-1], quotient, moved(words(kept, rng, 1, 2, 2)), None)
    yield "switch", (gadget, np.broadcast_to(words(kept, rng), (2, 2, *kept.shape)), key, quotient, None, None)
    yield "switch_digits", (gadget, embedded(words(joint, rng, count, 2, 2)), key, quotient, words(kept, rng, 2), index)
    yield "switch_digits", (gadget, words(joint, rng, count, 0), key, quotient, None, None)
    yield "decompose", (gadget, square)
    yield "decompose", (gadget, words(kept, rng, 2, 0))
    yield "tensor", (kept, words(kept, rng, 2, 5), moved(words(kept, rng, 2, 5)))
    yield "tensor", (kept, embedded(words(kept, rng, 2, 2, 1)), words(kept, rng, 2, 3))
    yield "tensor", (kept, words(kept, rng, 2, 0), words(kept, rng, 2, 1))
    yield "switch_product", (gadget, moved(words(kept, rng, 2, 2, 2)), words(kept, rng, 2, 2), key, quotient)
    yield "switch_product", (gadget, words(kept, rng, 2, 0), words(kept, rng, 2), key, quotient)
    yield "divide", (quotient, words(joint, rng), index)
    yield "divide", (quotient, embedded(words(joint, rng, 3, 2)).swapaxes(0, 1), index)
    yield "divide", (quotient, words(joint, rng, 0, 3), None)
    yield "divide", (quotient, np.broadcast_to(words(joint, rng), (2, *joint.shape)), None)
    for terms, width, batch in ((1, n, ()), (3, n // 2, (2,)), (9, n // 4, (2, 2)), (40, n // 8, (3,)), (2, 1, (0,))):
        yield "combine", (joint, words(joint, rng, terms, *batch), factors(joint, rng, width, 3, terms))
    yield "combine", (joint, compare.largest(joint, 70, 2), factors(joint, rng, n, 2, 70))
    yield "combine", (joint, embedded(words(joint, rng, 5, 2)), embedded(factors(joint, rng, n // 4, 2, 5)))
    for terms, kind in ((1, np.int32), (3, np.int16), (25, np.int32), (2, np.int64)):
        yield "small_products", (joint, words(joint, rng, terms, 2), integers(rng, kind, 2, terms, n), None)
    largest = np.full((1, 70, n), -(2**31), np.int32)
    yield "small_products", (joint, compare.largest(joint, 70, 2), largest, None)
    spread = integers(rng, np.int32, 6, 10, n)[1::2, ::-2]
    yield "small_products", (joint, embedded(words(joint, rng, 5, 2)), spread, None)
    yield "small_products", (joint, words(joint, rng, 1, 2), integers(rng, np.int32, 0, 1, n), None)
    for batch in ((), (2,), (2, 2)):
        (_, (*given, _)) = sum_of(case.terms, gadget, quotient, rng, *batch)
        yield "lift_terms", (*given[:4], given[5])
        lifted = words(kept, rng, *batch), key, words(joint, rng, *batch)
        yield "lift_switch", (gadget, *lifted, automorphism_index(n) if batch else index)
    yield sum_of(case.terms, gadget, quotient, rng, 3)
    yield sum_of(case.terms, gadget, quotient, rng)
    yield sum_of(1, gadget, quotient, rng, 2, 2)
    yield largest_sum(33, gadget, quotient)


def sum_of(terms: int, gadget: Gadget, quotient: Quotient, rng: np.random.Generator, *batch: int) -> Call:
    """A sum of automorphisms: keys and none, permuted or not, factors shared and of the batch's own."""
    joint, count = gadget.plan, len(gadget)
    keys = [None if t % 3 == 1 else words(joint, rng, count, 2) for t in range(terms)]
    indices = [None if t % 4 == 3 else rng.permutation(joint.n).astype(np.int64) for t in range(terms)]
    factors: list[Words | None] = [compare.largest(joint), words(joint, rng, *batch), None]
    x, digits = words(gadget.kept, rng, 2, *batch), words(joint, rng, count, *batch)
    return "switch_sum", (gadget, moved(x), digits, keys, quotient, indices, [factors[t % 3] for t in range(terms)])


def largest_sum(terms: int, gadget: Gadget, quotient: Quotient) -> Call:
    """All terms P x f with P x = (q-1)/2 and f = q-1: nothing adds up to more."""
    joint, kept = gadget.plan, gadget.kept
    halves = [q // 2 * pow(int(w), -1, q) % q for q, w in zip(kept.moduli, gadget.weights, strict=True)]
    x = np.ascontiguousarray(np.broadcast_to(np.array(halves, np.uint64)[:, None], (2, *kept.shape)))
    digits = np.zeros((len(gadget), *joint.shape), dtype=np.uint64)
    none = [None] * terms
    return "switch_sum", (gadget, x, digits, none, quotient, none, [compare.largest(joint)] * terms)


# ---- comparison --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def using(source: Kernels) -> Iterator[None]:
    """Make a source the active one: `kernels.use` for builds that have no name."""
    before, backends._active = backends._active, source
    try:
        yield
    finally:
        backends._active = before


def composition(function: str, arguments: tuple[Any, ...]) -> Words:
    result: Words = getattr(composed, function)(*arguments)
    return result


@lru_cache(maxsize=64)
def by_reference(case: Case, n: int) -> list[Words]:
    """The compositions on the reference kernels, once for all sources."""
    from ckks.kernels import reference

    with using(reference):
        return [composition(*call) for call in calls(case, n, np.random.default_rng(n))]


def switching(source: Kernels, case: Case, n: int, *, reference: bool) -> None:
    """Hold the front on `source` to the compositions, of the reference or of the same source."""
    wanted = by_reference(case, n) if reference else None
    with using(source):
        for i, (function, arguments) in enumerate(calls(case, n, np.random.default_rng(n))):
            found = getattr(kernels, function)(*arguments)
            exact = composition(function, arguments) if wanted is None else wanted[i]
            label = f"call {i}, {function}, of {getattr(source, 'variant', source.name)}: {case.name}, N = {n}"
            assert found.shape == exact.shape, f"{label}: shape {found.shape}, wanted {exact.shape}"
            compare.assert_equal(found, exact, label)
