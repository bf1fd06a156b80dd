"""T1, T2: the forward transform, hot and over many primes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.aims.bound import butterflies, gigahertz, least_microseconds
from benchmarks.aims.document import Row
from benchmarks.aims.measure import Context, alternate, local, runs
from benchmarks.aims.targets import TARGETS, Target
from ckks import kernels
from ckks.arith import ntt_primes
from ckks.kernels import Words
from ckks.ring import Rng, RNSBasis, uniform

HOT_BITS = (46, 50)
HOT_LOGS = (12, 13, 14, 15, 16)
REPEATS = 32
"""Transforms of the same row inside one kernel call: what the call itself costs in Python vanishes."""

OVER_BOUND = 1.5
"""T1 at every N, on kernels whose bound is known."""

LIMBS = 20


def _operand(basis: RNSBasis) -> Words:
    """Return residues to be overwritten, on a cache line of their own as the library's arrays are."""
    x = kernels.empty((len(basis), basis.n))
    x[:] = uniform(basis, Rng()).residues
    return x


def hot(bits: int, context: Context, *, logs: Sequence[int] = HOT_LOGS) -> list[Row]:
    """T1: one row in place, again and again, for a prime below 2^bits; one Row for each N."""
    frequency = gigahertz() if kernels.active().describe()["variant"] == "avx2" else None
    rows = []
    for log_n in logs:
        n, where = 1 << log_n, f"q < 2^{bits}, N = 2^{log_n}"
        context.say(f"  {where}")
        basis = RNSBasis(n, ntt_primes(bits=bits, count=1, n=n))
        # A batch of REPEATS rows that are all the same memory.
        again = np.lib.stride_tricks.as_strided(_operand(basis), (REPEATS, 1, n), (0, 0, 8))
        times = alternate({"": local(partial(kernels.ntt, basis.plan, again, again))}, context.effort)[""]
        samples = [1e3 * t / REPEATS for t in times]
        target, median = TARGETS.get(("T1", where)), statistics.median(samples)
        note = f"{1e3 * median / butterflies(n):.3f} ns a butterfly"
        if frequency is not None:
            bound = least_microseconds(n, frequency)
            note += f", {median / bound:.2f} times the port bound of {bound:.1f} us at {frequency:.2f} GHz"
            if target is None:
                target = Target(OVER_BOUND * bound, f"{OVER_BOUND} times the port bound here")
        rows.append(Row("T1", "forward NTT in place, hot", where, "us", samples, runs(), target, note))
    return rows


def many(log_n: int, context: Context) -> list[Row]:
    """T2: 20 rows in one call, each with a prime of its own; per limb."""
    n = 1 << log_n
    basis = RNSBasis(n, ntt_primes(bits=50, count=LIMBS, n=n))
    x = _operand(basis)
    times = alternate({"": local(lambda: kernels.ntt(basis.plan, x, x))}, context.effort)[""]
    samples = [1e3 * t / LIMBS for t in times]
    target = TARGETS.get(("T2", f"N = 2^{log_n}"))
    return [
        Row(
            "T2",
            "forward NTT in place, per limb",
            f"N = 2^{log_n}, {LIMBS} primes < 2^50",
            "us",
            samples,
            runs(),
            target,
        )
    ]
