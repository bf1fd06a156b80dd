"""One run of a function on stand-ins, or several with a clock.

Errors. A stand-in's values are taken to be as large as their range everywhere, as in a constant vector at its end, and
errors that meet again are added up as such (`rlwe.traced`). The largest of them is `planning.largest`'s business.

Time. A run comes after other work, which has left little of its inputs and keys in the caches; how little, nobody
knows. So other memory is gone through between two runs that are timed, about as much as a last-level cache holds, and
keys occupy what real ones do. For runs of a millisecond or two that matters: where nothing came between, they are
faster by up to two fifths.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from math import prod, sqrt
from typing import Any

import numpy as np

from ckks import kernels
from ckks.circuits.promises import listening
from ckks.errors import SlotError
from ckks.kernels.recording import recording
from ckks.kernels.sampling import sampling
from ckks.planning.arguments import Wanted
from ckks.planning.largest import largest_of
from ckks.planning.operations import operations
from ckks.planning.result import Forecast, Plan
from ckks.rlwe import Ciphertext, EvaluationKeys
from ckks.rlwe.noise import fresh_public
from ckks.rlwe.standins import AskedKeys, key_ring
from ckks.rlwe.traced import TracedNoise
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.meta import Meta, error_bound, meta_of
from ckks.vector import EncryptedVector

__all__ = ["rehearsed", "seconds_of"]

_ELSEWHERE = 32 << 20
_DISTINCT_KEYS = 64 << 20  # bytes, more than caches hold

_BUDGET = 0.15  # seconds of kernels in one timed run,
_PATIENCE = 0.75  # and of all timed runs, at least one and at most so many:
_MOST_RUNS = 9


def rehearsed(wanted: Wanted, params: CKKSParams) -> Plan:
    """Return the plan for these parameters."""
    keys = AskedKeys(params)
    with kernels.apart(), recording() as recorder, listening() as promises:
        found = _results(wanted, params, keys)
        results = tuple(map(_forecast, found))
        peak = kernels.memory_report().peak
    steps = {g: k for k, g in _powers_of_five(params.ring_degree)} if keys.elements else {}
    conjugation = 2 * params.ring_degree - 1
    calls = tuple(recorder.calls)
    return Plan(
        params=params,
        shapes=wanted.shapes,
        ranges=wanted.ranges,
        results=results,
        relinearisation=keys.relinearised,
        rotations=tuple(sorted(steps[g] for g in keys.elements - {conjugation})),
        conjugation=conjugation in keys.elements,
        promises=tuple(dict.fromkeys(promises)),
        operations=operations(calls),
        peak_bytes=peak,
        calls=calls,
        _timed=lambda: seconds_of(wanted, params),
    )


def seconds_of(wanted: Wanted, params: CKKSParams) -> float:
    """Return how long one run takes: the median of some that are carried out as far as there is time."""
    elsewhere = np.zeros(_ELSEWHERE, dtype=np.uint8)
    with kernels.apart():
        keys = AskedKeys(params, key_ring(_DISTINCT_KEYS))
        evaluator = Evaluator(params, keys)
        inputs = _inputs(wanted, evaluator, timed=True)
        with sampling(0.0):  # tables are made, code is compiled, fresh pages are asked for: not part of any run after
            list(_ciphertexts(wanted.function(*inputs)))
        times: list[float] = []
        begin = time.perf_counter()
        while not times or (len(times) < _MOST_RUNS and time.perf_counter() - begin < _PATIENCE):
            elsewhere += 1
            with sampling(_BUDGET) as sampler:
                list(_ciphertexts(wanted.function(*inputs)))
            times.append(sampler.seconds)
    return statistics.median(times)


def _results(wanted: Wanted, params: CKKSParams, keys: EvaluationKeys) -> list[Ciphertext]:
    return list(_ciphertexts(wanted.function(*_inputs(wanted, Evaluator(params, keys)))))


def _inputs(wanted: Wanted, evaluator: Evaluator, *, timed: bool = False) -> list[EncryptedVector]:
    return [
        EncryptedVector(_stand_in(evaluator, shape, bound, wanted.declared_slots, timed), evaluator)
        for shape, bound in zip(wanted.shapes, wanted.ranges, strict=True)
    ]


def _stand_in(evaluator: Evaluator, shape: tuple[int, ...], bound: float, slots: int | None, timed: bool) -> Ciphertext:
    """A fresh encryption under the public key, but for its words; values as large as they may be, everywhere."""
    params = evaluator.params
    if shape[-1] > params.slots:
        raise SlotError(
            f"{shape[-1]} values for {params.slots} slots; split them into chunks, as leading axis of a batch"
        )
    level = params.top_level
    meta = Meta(params.scale_at(level), slots or params.slots, shape[-1], True, bound, bound)
    make = kernels.zeros if timed else kernels.empty  # pages that were never written to are all one page
    words = make((*shape[:-1], 2, len(params.basis(level)), params.ring_degree))
    size = evaluator.encoder.rounding(meta) + fresh_public(params)
    return Ciphertext.of(params, words, level, meta, size if timed else TracedNoise.of(size))


def _ciphertexts(found: Any) -> Iterator[Ciphertext]:
    if isinstance(found, EncryptedVector):
        yield found.ciphertext
    elif isinstance(found, Ciphertext):
        yield found
    elif isinstance(found, (list, tuple)) and found:
        for one in found:
            yield from _ciphertexts(one)
    else:
        what = "nothing: is there a `return`?" if found is None else f"{type(found).__name__}"
        raise TypeError(f"the function returned {what}; needed an EncryptedVector, a ciphertext, or some of them")


def _forecast(ct: Ciphertext) -> Forecast:
    meta = meta_of(ct)
    units = sqrt(2 * meta.slots / ct.params.ring_degree) / float(meta.scale)  # as in `expected_error`
    parts = ct.noise.by_element.values() if isinstance(ct.noise, TracedNoise) else (ct.noise.std,)
    largest = largest_of(prod(ct.shape) * meta.length, [units * part for part in parts])
    return Forecast(
        shape=(*ct.shape, meta.length),
        level=ct.level,
        bound=meta.bound,
        max_error=min(largest, error_bound(ct)),
        worst_error=error_bound(ct),
        nbytes=ct.nbytes,
    )


def _powers_of_five(n: int) -> Iterator[tuple[int, int]]:
    """(k, 5^k mod 2N) for all rotations."""
    g = 1
    for k in range(n // 2):
        yield k, g
        g = g * 5 % (2 * n)
