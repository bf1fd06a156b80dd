"""What a computation needs, before any key exists: `plan` runs it on stand-ins.

A stand-in is a ciphertext of which all is true but its words: level, scale, range of values, size of the error. The
user's own code, and everything below it, runs as it always does, over `kernels.recording`, which computes nothing. So
depth, rotations, operations and error sizes are those of a real run, by construction; what is left to estimate is time,
and that is measured, call by call.

Errors. A stand-in's values are taken to be as large as their range everywhere, as in a constant vector at its end, and
errors that meet again are added up as such (`rlwe.traced`). With r the expected rms error of a slot, the largest of
n errors is estimated from their distribution. What a rescale leaves behind is a rounding times the secret, at each root
of unity a product of two nearly complex Gaussian numbers: its real part, normal with a variance that is exponential,
has a Laplace distribution, P(|e| > t r) = exp(-2 t). So the largest of n stays below r (ln n + ln 100) / 2 in 99 of 100
runs, which is `Forecast.max_error`; where other errors dominate, which are normal, it is up to a bit too large.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log, log2, prod
from typing import Any

import numpy as np

from ckks import kernels
from ckks.circuits.promises import Promise, listening
from ckks.errors import LevelError, MissingKey, ParameterError, PrecisionWarning, RangeError, SlotError
from ckks.kernels.recording import Call, recording
from ckks.rlwe import Ciphertext, EvaluationKeys, Noise
from ckks.rlwe import noise as sizes
from ckks.rlwe.keys import SwitchingKey
from ckks.rlwe.traced import TracedNoise
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.meta import Meta, error_bound, expected_error, meta_of
from ckks.vector import EncryptedVector

__all__ = ["Forecast", "Plan", "plan"]

Function = Callable[..., Any]

_DEPTHS = (4, 12, 32, 64)
_TRIAL_BITS = 40
_MOST_RANGE = 2.0**24
_ROUNDS = 8
_COARSE_BITS = 3.0  # more of scale, where something that runs warns that it loses precision


@dataclass(frozen=True)
class Forecast:
    """What one result will be like.

    Args:
        shape: of the values, as numpy has it.
        level: how many levels are left.
        bound: |value| stays below this, as far as that is known.
        max_error: what the largest error of its values stays below in 99 of 100 runs, approximations not included.
        worst_error: what no error exceeds, except with probability 2^-40 for each source of noise.
        nbytes: of the ciphertext in memory.
    """

    shape: tuple[int, ...]
    level: int
    bound: float
    max_error: float
    worst_error: float
    nbytes: int

    @property
    def precision_bits(self) -> float:
        """-log2 of `max_error`."""
        return -log2(self.max_error) if self.max_error > 0 else float("inf")


@dataclass(frozen=True)
class Plan:
    """What a computation needs and gives; made by `plan`.

    Args:
        params: parameters that are secure and deep enough.
        shapes, ranges: of the inputs.
        results: what comes out.
        relinearisation, conjugation: whether these keys are needed.
        rotations: the steps that Galois keys are needed for.
        promises: intervals that circuits relied on; those that are not `proven` are the caller's promise.
        operations: how often ciphertexts (of a batch each one) were multiplied, rotated, ...
        peak_bytes: the most that ciphertexts and plaintexts occupied at one time, keys not included.
        calls: the kernel calls behind the operations.
    """

    params: CKKSParams
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[float, ...]
    results: tuple[Forecast, ...]
    relinearisation: bool
    rotations: tuple[int, ...]
    conjugation: bool
    promises: tuple[Promise, ...]
    operations: Mapping[str, int]
    peak_bytes: int
    calls: tuple[tuple[Call, int], ...] = field(repr=False)
    _again: Callable[[], float] = field(repr=False, compare=False)

    @property
    def depth(self) -> int:
        """How many levels the deepest result used."""
        return self.params.top_level - min(result.level for result in self.results)

    @property
    def precision_bits(self) -> float:
        """Of the least precise result."""
        return min(result.precision_bits for result in self.results)

    @property
    def keys(self) -> dict[str, Any]:
        """What to ask for: `keygen.evaluation_keys(secret, **plan.keys)`."""
        return {"relin": self.relinearisation, "rotations": self.rotations, "conjugation": self.conjugation}

    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys in memory; stored, they are half of that."""
        count = self.relinearisation + self.conjugation + len(self.rotations)
        return count * self.params.sizes()["switching_key"]

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs in memory; seeded, they are half of that."""
        return sum(prod(shape[:-1]) for shape in self.shapes) * self.params.sizes()["ciphertext"]

    def seconds(self) -> float:
        """Estimate how long one run takes on this machine, with the threads allowed now.

        Every kind of kernel call is timed on this machine and counted as often as it occurs; to that come encoding and
        Python, timed by running the function again on stand-ins.
        """
        around = statistics.median(self._again() for _ in range(5))
        return around + sum(count * call.seconds() for call, count in self.calls)

    def describe(self, *, timed: bool = False) -> str:
        """Return some lines for people; with `timed`, the estimated time as well (that takes a moment)."""
        lines = [str(self.params)]
        lines.append(f"depth           {self.depth} of {self.params.top_level} levels")
        if self.key_bytes:
            names = ["relinearisation"] * self.relinearisation + ["conjugation"] * self.conjugation
            if self.rotations:
                names.append(f"{len(self.rotations)} rotations ({_shortened(self.rotations)})")
            lines.append(f"keys            {', '.join(names)}: {_mib(self.key_bytes)}")
        else:
            lines.append("keys            none")
        lines.append(f"inputs          {', '.join(map(str, self.shapes))}: {_mib(self.input_bytes)}")
        lines.append(f"memory          {_mib(self.peak_bytes)} at most, keys not included")
        lines.append(
            "operations      " + (", ".join(f"{count} {name}" for name, count in self.operations.items()) or "none")
        )
        for result in self.results:
            lines.append(
                f"result          {result.shape}, up to {result.bound:.3g} in size, {result.precision_bits:.1f} bits "
                f"(largest error {result.max_error:.1e}, never above {result.worst_error:.1e}; without that of "
                "approximations)"
            )
        for one in self.promises:
            if not one.proven:
                lines.append(
                    f"your promise    {one.what} needs values in [{one.interval[0]:g}, {one.interval[1]:g}]; they may "
                    f"reach {one.bound:.3g} in size as far as ranges tell"
                )
        if timed:
            lines.append(f"time            {self.seconds():.3g} s on this machine")
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return what `describe` does."""
        return self.describe()


def plan(
    function: Function,
    *shapes: int | Sequence[int],
    ranges: float | Sequence[float] = 1.0,
    slots: int | None = None,
    precision_bits: float = 20.0,
    security: int = 128,
    params: CKKSParams | None = None,
) -> Plan:
    """Run a function on stand-ins, and return what it needs and gives.

    Args:
        function: takes one EncryptedVector for each shape; returns one, or a ciphertext, or a sequence of them.
        shapes: (..., n) of each input: batch axes, then values; n alone for a single vector.
        ranges: |value| of every input, or of each.
        slots: of the inputs, as in `encrypt(x, slots=...)`: a power of two, all that there are unless given.
        precision_bits: wanted of every result: -log2 of its largest error (approximations are not part of it).
        security: 128, 192 or 256 bits.
        params: parameters to plan for, as they are; unless given, the smallest that are deep, wide and precise enough.

    Raises:
        LevelError: the function needs more levels than any secure parameters have, or than `params` has.
        RangeError: values grow beyond any modulus; narrow the ranges, or tell bounds with `evaluator.with_bound`.
        InsecureParameters: depth and precision together need a larger ring than 2^17.
    """
    sizes_of = tuple((int(s),) if isinstance(s, (int, np.integer)) else tuple(map(int, s)) for s in shapes)
    if not sizes_of or any(not shape or min(shape) < 1 for shape in sizes_of):
        raise SlotError(f"shapes {sizes_of}; needed at least one input, each with n values: (..., n)")
    declared = (float(ranges),) * len(sizes_of) if isinstance(ranges, (int, float)) else tuple(map(float, ranges))
    if len(declared) != len(sizes_of) or not all(0 < r < float("inf") for r in declared):
        raise RangeError(f"ranges {ranges!r} for {len(sizes_of)} inputs; needed one positive number, or one for each")
    if slots is not None and (slots < max(shape[-1] for shape in sizes_of) or slots & (slots - 1)):
        raise SlotError(f"{slots} slots for inputs {sizes_of}; needed a power of two that holds their last axis")
    job = _Job(function, sizes_of, declared, slots)
    if params is not None:
        return job.run(params)
    return _smallest(job, precision_bits, security)


@dataclass(frozen=True)
class _Job:
    function: Function
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[float, ...]
    declared_slots: int | None = None

    @property
    def slots(self) -> int:
        """How many a ciphertext has to have at least."""
        return self.declared_slots or int(max(shape[-1] for shape in self.shapes))

    def run(self, params: CKKSParams) -> Plan:
        """Return the plan for these parameters."""
        keys = _StandInKeys(params)
        evaluator = Evaluator(params, keys)
        kernels.reset_peak()
        before = kernels.memory_report().live
        with recording() as recorder, listening() as promises:
            found = self._call(evaluator, TracedNoise.of)
            results = tuple(_forecast(ct) for ct in found)
        elements = {g: k for k, g in _powers_of_five(params.ring_degree)} if keys.elements else {}
        m = 2 * params.ring_degree
        calls = tuple(recorder.calls)
        return Plan(
            params=params,
            shapes=self.shapes,
            ranges=self.ranges,
            results=results,
            relinearisation=keys.relinearised,
            rotations=tuple(sorted(elements[g] for g in keys.elements if g != m - 1)),
            conjugation=m - 1 in keys.elements,
            promises=tuple(dict.fromkeys(promises)),
            operations=_operations(calls),
            peak_bytes=kernels.memory_report().peak - before,
            calls=calls,
            _again=lambda: self._seconds_around(params),
        )

    def _call(self, evaluator: Evaluator, noted: Callable[[Noise], Noise]) -> list[Ciphertext]:
        inputs = [
            EncryptedVector(_stand_in(evaluator, shape, bound, self.declared_slots, noted), evaluator)
            for shape, bound in zip(self.shapes, self.ranges, strict=True)
        ]
        return list(_ciphertexts(self.function(*inputs)))

    def _seconds_around(self, params: CKKSParams) -> float:
        """Return the time of everything but kernels."""
        evaluator = Evaluator(params, _StandInKeys(params))
        with recording():
            start = time.perf_counter()
            self._call(evaluator, lambda size: size)
            return time.perf_counter() - start


class _StandInKeys(EvaluationKeys):
    """Has every key, of arbitrary words that occupy no memory, and notes which were asked for."""

    relinearised: bool
    elements: set[int]

    def __init__(self, params: CKKSParams) -> None:
        super().__init__(params)
        vars(self).update(relinearised=False, elements=set())

    def relin_key(self) -> SwitchingKey:
        vars(self)["relinearised"] = True
        return self._key()

    def galois_key(self, g: int) -> SwitchingKey:
        self.elements.add(g % (2 * self.params.ring_degree))
        return self._key()

    def _key(self) -> SwitchingKey:
        params = self.params
        if not params.special_moduli:
            raise MissingKey("these parameters have no special primes, so no evaluation keys; add special_moduli")
        top = params.top_level
        basis = params.extended_basis(top)
        row = np.zeros(basis.n, dtype=np.uint64)
        words = np.broadcast_to(row, (len(params.digits(top)), 2, len(basis), basis.n))
        return SwitchingKey.of(params, words, top)


def _smallest(job: _Job, precision_bits: float, security: int) -> Plan:
    """Find the depth with insecure parameters that have levels to spare, then the precision with secure ones."""
    value_range = max(1.0, *job.ranges)
    depth, key_switching, value_range = _explore(job, value_range)
    asked = min(44.0, max(1.0, precision_bits))
    scale_bits: int | None = None  # unless a product's precision has turned out not to be that of the result
    for attempt in range(_ROUNDS):
        common: dict[str, Any] = dict(
            value_range=value_range, security=security, key_switching=key_switching, slots=job.slots
        )
        if scale_bits is None:
            params = CKKSParams.for_depth(depth, precision_bits=asked, **common)
        else:
            params = CKKSParams.for_scale(depth, scale_bits=scale_bits, **common)
        try:
            with warnings.catch_warnings(record=True) as noted:
                warnings.simplefilter("always")
                found = job.run(params)
        except LevelError:
            depth += 1
            continue
        except RangeError:
            if value_range >= _MOST_RANGE:
                raise
            value_range *= 4
            continue
        missing = precision_bits - found.precision_bits
        if any(issubclass(one.category, PrecisionWarning) for one in noted) and attempt < _ROUNDS - 1:
            missing = max(missing, _COARSE_BITS)
        if missing <= 0:
            for one in noted:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
            return found
        scale_bits = round(log2(params.scale)) + ceil(missing + 0.25)
        if 49 < scale_bits < 56:
            scale_bits = 56
        if scale_bits > 98:
            break
    raise ParameterError(
        f"{precision_bits:g} bits of precision are not reached at depth {depth}; ask for fewer, or look at where the "
        "function loses them: ckks.plan(function, ..., params=...) tells what any parameters give"
    )


def _explore(job: _Job, value_range: float) -> tuple[int, bool, float]:
    """Return (levels needed, whether keys are, range of values)."""
    n = max(64, 1 << (2 * job.slots - 1).bit_length())
    for depth in _DEPTHS:
        while True:
            params = CKKSParams.generate(
                ring_degree=n,
                depth=depth,
                scale_bits=_TRIAL_BITS,
                base_bits=_TRIAL_BITS + 4 + 2 * ceil(log2(max(1.0, value_range))),
                security=None,
                value_range=value_range,
            )
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # these parameters are not the ones that will be used
                    found = job.run(params)
            except RangeError:
                if value_range >= _MOST_RANGE:
                    raise
                value_range *= 4
                continue
            except LevelError:
                if depth == _DEPTHS[-1]:
                    raise
                break
            return found.depth, bool(found.key_bytes), value_range
    raise AssertionError  # pragma: no cover - the last depth returns or raises


def _stand_in(
    evaluator: Evaluator, shape: tuple[int, ...], bound: float, slots: int | None, noted: Callable[[Noise], Noise]
) -> Ciphertext:
    """A fresh encryption under the public key, but for its words; values as large as they may be, everywhere."""
    params = evaluator.params
    if shape[-1] > params.slots:
        raise SlotError(
            f"{shape[-1]} values for {params.slots} slots; split them into chunks, as leading axis of a batch"
        )
    level = params.top_level
    meta = Meta(params.scale_at(level), slots or params.slots, shape[-1], True, bound, bound)
    words = kernels.empty((*shape[:-1], 2, len(params.basis(level)), params.ring_degree))
    size = noted(evaluator.encoder.rounding(meta) + sizes.fresh_public(params))
    return Ciphertext.of(params, words, level, meta, size)


def _ciphertexts(found: Any) -> Iterator[Ciphertext]:
    if isinstance(found, EncryptedVector):
        yield found.ciphertext
    elif isinstance(found, Ciphertext):
        yield found
    elif isinstance(found, (list, tuple)) and found:
        for one in found:
            yield from _ciphertexts(one)
    else:
        raise TypeError(
            f"the function returned {type(found).__name__}; needed an EncryptedVector, a ciphertext, or some of them"
        )


def _forecast(ct: Ciphertext) -> Forecast:
    meta = meta_of(ct)
    count = prod(ct.shape) * meta.length
    return Forecast(
        shape=(*ct.shape, meta.length),
        level=ct.level,
        bound=meta.bound,
        max_error=min(expected_error(ct) * max(1.0, log(100 * count) / 2), error_bound(ct)),
        worst_error=error_bound(ct),
        nbytes=ct.nbytes,
    )


def _operations(calls: Sequence[tuple[Call, int]]) -> dict[str, int]:
    """Count what calls do to ciphertexts, by the names that people use."""
    total: Counter[str] = Counter()
    for call, count in calls:
        times = count * call.items
        match call.name:
            case "switch_product":
                total["products of ciphertexts"] += times
                total["relinearisations"] += times
            case "tensor":
                total["products of ciphertexts"] += times
            case "switch":
                total["rotations" if call.arguments[-1] is not None else "relinearisations"] += times
            case "switch_digits":
                total["rotations"] += times
            case "switch_sum":
                total["rotations"] += times * sum(key is not None for key in call.arguments[3])
            case "lift_terms":
                total["rotations"] += times * sum(key is not None for key in call.arguments[3])
            case "lift_switch":
                total["rotations"] += times
            case "combine":
                total["products with plain numbers"] += times * prod(call.arguments[2].shape[:2]) // 2
            case "weighted_sum":
                total["weighted sums"] += times // 2
            case "mul" | "mul_scalar" | "mul_add" | "mul_scalar_add":
                total["products with plain numbers"] += max(1, times // 2)
            case "divide":
                total["rescales"] += max(1, times // 2)
    return dict(total)


def _powers_of_five(n: int) -> Iterator[tuple[int, int]]:
    """(k, 5^k mod 2N) for all rotations."""
    g = 1
    for k in range(n // 2):
        yield k, g
        g = g * 5 % (2 * n)


def _mib(count: int) -> str:
    return f"{count / 2**20:.3g} MiB"


def _shortened(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:8]))
    return shown if len(steps) <= 8 else f"{shown}, ..."
