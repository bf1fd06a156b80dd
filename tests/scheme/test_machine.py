"""Random programs on a small pool of ciphertexts, against numpy: levels, scales, values, bounds, immutability."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from kit import Kit, make_kit
from params import insecure_pairs, insecure_single_digit, insecure_small

from ckks import error_bound
from ckks.errors import LevelError, RangeError
from ckks.rlwe import Ciphertext
from ckks.scheme.meta import meta_of

POOL = 6
SETS = {
    "one prime": lambda n: insecure_small(n, depth=3),
    "two primes": lambda n: insecure_pairs(n, depth=2),
    "uncentred": lambda n: insecure_single_digit(n, depth=3, centred=False),
}


@cache
def kit_of(name: str, n: int) -> Kit:
    return make_kit(SETS[name](n), seed=n)


def digest(ct: Ciphertext) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(ct.words)).digest()


@dataclass
class Item:
    """A ciphertext, what all of its slots should hold, and whether its scale must be one of the canonical two."""

    ct: Ciphertext
    truth: np.ndarray
    canonical: bool = True

    def __post_init__(self) -> None:
        self.words = digest(self.ct)

    @property
    def degree(self) -> int:
        """1, or 2 while the rescale of a product is still due."""
        return round(log2(meta_of(self.ct).scale) / log2(self.ct.params.scale))


def make_machine(kit: Kit) -> type[RuleBasedStateMachine]:
    """A machine over these keys."""
    params, e = kit.params, kit.evaluator
    slots, top = params.slots, params.top_level
    index = st.integers(0, POOL - 1)
    seeds = st.integers(0, 2**32 - 1)
    constants = st.one_of(
        st.floats(-2, 2, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-6),
        st.complex_numbers(max_magnitude=2, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-6),
        st.sampled_from([0, 1, -1, 3, -7, 1000]),
    )

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.pool: list[Item] = []

        # ---- bookkeeping

        def get(self, i: int) -> Item:
            return self.pool[i % len(self.pool)]

        def keep(self, ct: Ciphertext, truth: np.ndarray, *operands: Item, level: int) -> None:
            """Check a result against numpy and the rules, and put it into the pool in place of the oldest."""
            meta = meta_of(ct)
            canonical = all(item.canonical for item in operands)
            assert ct.level == level
            assert ct.shape == truth.shape[:-1]
            if canonical:
                assert meta.scale in (params.scale_at(level), params.scale_at(level, 2))
            every = kit.decrypt(ct.with_(meta=meta.but(length=slots, real=False)))
            # Decoding transforms in double besides: 2^-46 of the largest value, as the encoder's bound has it.
            largest = np.abs(truth).max(initial=0.0)
            assert np.abs(every - truth).max(initial=0.0) <= error_bound(ct) + 2.0**-46 * max(1.0, largest)
            assert largest <= meta.bound * (1 + 1e-9)
            assert not meta.real or np.abs(truth.imag).max(initial=0.0) == 0
            assert np.abs(truth[..., meta.length :]).max(initial=0.0) <= meta.bound
            for item in operands:
                assert digest(item.ct) == item.words, "an operand was changed"
            self.pool.append(Item(ct, truth, canonical))
            del self.pool[:-POOL]

        def attempt(self, action: Any, truth: Any, *operands: Item, level: int | None, room: Any = None) -> None:
            """Run an operation; level None says that a LevelError is due. RangeErrors have to be true."""
            try:
                ct = action()
            except LevelError:
                assert level is None or not all(item.canonical for item in operands)
                return
            except RangeError:
                assert room is None or room(), "refused although the declared bound fits the modulus"
                return
            if level is None:
                assert not all(item.canonical for item in operands), "came out without a level to spend"
            canonical = all(item.canonical for item in operands)
            self.keep(ct, truth(), *operands, level=level if canonical and level is not None else ct.level)

        # ---- rules

        @initialize(seed=seeds)
        def start(self, seed: int) -> None:
            for k in range(3):
                self.encrypt(seed + k, k == 2, k == 1, top)

        @rule(seed=seeds, complex_=st.booleans(), batch=st.booleans(), level=st.integers(0, top))
        def encrypt(self, seed: int, complex_: bool, batch: bool, level: int) -> None:
            g = np.random.default_rng(seed)
            length = int(g.integers(1, slots + 1))
            shape = (2, length) if batch else (length,)
            values = g.uniform(-1, 1, shape) * (np.exp(2j * np.pi * g.random(shape)) if complex_ else 1)
            truth = np.zeros((*shape[:-1], slots), dtype=complex)
            truth[..., :length] = values
            self.keep(kit.encryptor.encrypt(values, level=level), truth, level=level)

        @rule(i=index, j=index, subtract=st.booleans())
        def add(self, i: int, j: int, subtract: bool) -> None:
            a, b = self.get(i), self.get(j)
            self.attempt(
                lambda: (e.subtract if subtract else e.add)(a.ct, b.ct),
                lambda: a.truth - b.truth if subtract else a.truth + b.truth,
                a,
                b,
                level=min(a.ct.level, b.ct.level),
            )

        @rule(i=index, j=index, rescale=st.booleans())
        def multiply(self, i: int, j: int, rescale: bool) -> None:
            a, b = self.get(i), self.get(j)
            settled = min(x.ct.level - (x.degree - 1) * (x.ct.level > 0) for x in (a, b))
            left = settled - rescale
            self.attempt(
                lambda: e.multiply(a.ct, b.ct, rescale=rescale),
                lambda: a.truth * b.truth,
                a,
                b,
                level=left if left >= 0 else None,
            )

        @rule(i=index)
        def square_lazily(self, i: int) -> None:
            a = self.get(i)
            if a.degree == 1:
                self.attempt(
                    lambda: e.relinearise(e.tensor(a.ct, a.ct)), lambda: a.truth * a.truth, a, level=a.ct.level
                )

        @rule(i=index, seed=seeds, what=st.sampled_from(["add", "subtract", "multiply"]), complex_=st.booleans())
        def array(self, i: int, seed: int, what: str, complex_: bool) -> None:
            a = self.get(i)
            g = np.random.default_rng(seed)
            values = np.zeros(slots, dtype=complex if complex_ else float)
            length = meta_of(a.ct).length
            values[:length] = g.uniform(-1, 1, length)
            if complex_:
                values[:length] += 1j * g.uniform(-1, 1, length)
            given = values[:length]
            settled = a.ct.level - (a.degree - 1) * (a.ct.level > 0)
            truth = {"add": a.truth + values, "subtract": a.truth - values, "multiply": a.truth * values}[what]
            level: int | None = a.ct.level if what != "multiply" else (settled - 1 if settled else None)
            self.attempt(lambda: getattr(e, what)(a.ct, given), lambda: truth, a, level=level)

        @rule(i=index, value=constants, what=st.sampled_from(["add", "subtract", "multiply"]))
        def constant(self, i: int, value: complex, what: str) -> None:
            a = self.get(i)
            if what != "multiply" and meta_of(a.ct).length < slots:
                return  # what becomes of slots without values has a test of its own
            settled = a.ct.level - (a.degree - 1) * (a.ct.level > 0)
            truth = {"add": a.truth + value, "subtract": a.truth - value, "multiply": a.truth * value}[what]
            level: int | None = a.ct.level
            if what == "multiply" and not isinstance(value, int):
                level = settled - 1 if settled else None
            self.attempt(lambda: getattr(e, what)(a.ct, value), lambda: truth, a, level=level)

        @rule(i=index)
        def negate(self, i: int) -> None:
            a = self.get(i)
            self.attempt(lambda: e.negate(a.ct), lambda: -a.truth, a, level=a.ct.level)

        @rule(i=index, power=st.integers(0, slots.bit_length() - 2))
        def rotate(self, i: int, power: int) -> None:
            a, k = self.get(i), 1 << power
            self.attempt(lambda: e.rotate(a.ct, k), lambda: np.roll(a.truth, -k, -1), a, level=a.ct.level)

        @rule(i=index)
        def conjugate(self, i: int) -> None:
            a = self.get(i)
            self.attempt(lambda: e.conjugate(a.ct), lambda: a.truth.conj(), a, level=a.ct.level)

        @rule(i=index)
        def rescale(self, i: int) -> None:
            a = self.get(i)
            if a.degree == 2:
                self.attempt(lambda: e.rescale(a.ct), lambda: a.truth, a, level=a.ct.level - 1 if a.ct.level else None)

        @rule(i=index, down=st.integers(0, top))
        def bring(self, i: int, down: int) -> None:
            a = self.get(i)
            if a.degree == 1 and a.canonical:
                level = max(0, a.ct.level - down)
                self.attempt(lambda: e.bring(a.ct, level), lambda: a.truth, a, level=level)

        @rule(i=index, down=st.integers(1, top))
        def drop(self, i: int, down: int) -> None:
            """The raw verb: the scale stays behind, and is no longer that of its level."""
            a = self.get(i)
            level = a.ct.level - down
            if level >= 0 and a.degree == 1:
                try:
                    ct = e.drop(a.ct, level)
                except RangeError:
                    return
                room = params.basis(level).modulus / 2 / float(meta_of(ct).scale)
                if meta_of(ct).bound < room:
                    a = Item(a.ct, a.truth, canonical=False)
                    self.keep(ct, a.truth, a, level=level)

        @precondition(lambda self: any(item.ct.shape for item in self.pool))
        @rule(i=index)
        def sum(self, i: int) -> None:
            a = [item for item in self.pool if item.ct.shape][i % sum(bool(item.ct.shape) for item in self.pool)]
            self.attempt(lambda: e.sum(a.ct), lambda: a.truth.sum(0), a, level=a.ct.level)

        def teardown(self) -> None:
            for item in self.pool:
                assert digest(item.ct) == item.words, "a ciphertext in the pool was changed"

    return Machine


@pytest.mark.parametrize("name", SETS)
def test_random_programs(name, backend):
    kit = kit_of(name, 32 if backend == "reference" else 64)
    # Fewer for the plain Python kernels, which are a hundred times slower and share all code above them.
    effort = settings(
        max_examples=4 if backend == "reference" else 20,
        stateful_step_count=12,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # twelve steps are short enough to read as they are
    )
    run_state_machine_as_test(make_machine(kit), settings=effort)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_many_random_programs(name):
    effort = settings(
        max_examples=400,
        stateful_step_count=30,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(make_machine(kit_of(name, 64)), settings=effort)
