"""Measure what Python adds to the kernels: `python -m benchmarks.overhead [--sets S13 S14]`.

One row for each operation: the whole call, the time inside the C calls, what is left outside kernel methods and outside
C (the checks of arrays and pointers are between the two), and how many kernel calls there were. Microseconds of CPU
time of this thread, median and minimum over repeated calls; the cost of the clocks themselves is measured and
subtracted. Operations run with one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ckks
from ckks import kernels
from ckks.kernels import backends
from ckks.scheme import PRESETS


class Clocked:
    """Stands for an object and adds up the time spent in its callables."""

    def __init__(self, inner: Any) -> None:
        """Start from zero."""
        self._inner, self.spent, self.calls = inner, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the inner object, timed when it can be called; kept for the next time."""
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def timed(*arguments: Any) -> Any:
            start = time.thread_time()
            try:
                return found(*arguments)
            finally:
                self.spent += time.thread_time() - start
                self.calls += 1

        setattr(self, name, timed)
        return timed


def operations(name: str) -> dict[str, Callable[[], object]]:
    """Return calls to be measured, on a parameter set."""
    params = ckks.CKKSParams.preset(name)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret, rotations=[1, 2, 4, 8]))
    encryptor = ckks.Encryptor(params, secret)
    values = np.cos(np.arange(params.slots))
    plain, a, b = encryptor.encoder.encode(values), encryptor.encrypt(values), encryptor.encrypt(values)
    batch = encryptor.encrypt(np.stack([values] * 4))
    waiting = evaluator.multiply(a, plain, rescale=False)
    x, y = ckks.EncryptedVector(a, evaluator), ckks.EncryptedVector(b, evaluator)
    calls: dict[str, Callable[[], object]] = {
        "multiply": lambda: evaluator.multiply(a, b),
        "square": lambda: evaluator.square(a),
        "add": lambda: evaluator.add(a, b),
        "subtract": lambda: evaluator.subtract(a, b),
        "add number": lambda: evaluator.add(a, 0.5),
        "add plaintext": lambda: evaluator.add(a, plain),
        "multiply number": lambda: evaluator.multiply(a, 0.5),
        "multiply integer": lambda: evaluator.multiply(a, 3),
        "multiply plaintext": lambda: evaluator.multiply(a, plain),
        "multiply array": lambda: evaluator.multiply(a, values),
        "rescale": lambda: evaluator.rescale(waiting),
        "rotate": lambda: evaluator.rotate(a, 1),
        "rotate 4, hoisted": lambda: evaluator.rotate_many(a, (1, 2, 4, 8)),
        "sum of 4": lambda: evaluator.sum(batch),
        "weighted sum of 4": lambda: evaluator.weighted_sum(batch, (0.1, 0.2, 0.3, 0.4)),
        "vector x + y": lambda: x + y,
        "vector x * y": lambda: x * y,
        "vector x / 4 + 1": lambda: 0.25 * x + 1.0,
    }
    if params.depth >= 4:
        calls["sigmoid, degree 7"] = lambda: ckks.sigmoid(x, degree=7).ciphertext
    return calls


def clock_cost() -> float:
    """Return how many seconds a clocked call takes beside those that it reports."""
    nothing = Clocked(argparse.Namespace(call=lambda: None))
    trials = []
    for _ in range(100):
        nothing.spent, start = 0.0, time.thread_time()
        for _ in range(100):
            nothing.call()
        trials.append((time.thread_time() - start - nothing.spent) / 100)
    return statistics.median(trials)


def measure(call: Callable[[], object], seconds: float) -> dict[str, list[float]]:
    """Return the microseconds of each call, by the columns of the table, and the number of kernel calls."""
    found: dict[str, list[float]] = {"whole": [], "in C": [], "outside methods": [], "outside C": [], "calls": []}
    source = kernels.active()
    compiled = getattr(source, "_lib", None)  # of the native source; for others, methods are all there is
    methods, library, cost = Clocked(source), Clocked(compiled), clock_cost()
    for _ in range(5):
        call()
    backends._active = methods
    if compiled is not None:
        source._lib = library  # type: ignore[attr-defined]
    try:
        call()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(found["whole"]) < 20:
            methods.spent = library.spent = 0.0
            methods.calls = library.calls = 0
            start = time.thread_time()
            call()
            whole = time.thread_time() - start
            inner = methods if compiled is None else library
            outside = whole - methods.spent - cost * methods.calls
            beyond = whole - inner.spent - cost * (methods.calls + library.calls)
            for name, value in zip(found, (inner.spent + beyond, inner.spent, outside, beyond), strict=False):
                found[name].append(1e6 * value)
            found["calls"].append(methods.calls)
    finally:
        backends._active = source
        if compiled is not None:
            source._lib = compiled  # type: ignore[attr-defined]
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["S12", "S13", "S14"], choices=sorted(PRESETS))
    parser.add_argument("--seconds", type=float, default=0.5, help="per operation")
    parser.add_argument("--only", default="", help="operations whose name has this in it")
    options = parser.parse_args()
    kernels.set_num_threads(1)
    print(f"Microseconds, median (minimum); {kernels.active().describe()['variant']} kernels.\n")
    print("| set | operation | whole | in C | outside kernel methods | outside C | kernel calls |")
    print("|---" * 7 + "|")
    for name in options.sets:
        for operation, call in operations(name).items():
            if options.only in operation:
                found = measure(call, options.seconds)
                calls = f"{statistics.median(found.pop('calls')):.0f}"
                cells = [f"{statistics.median(t):.0f} ({min(t):.0f})" for t in found.values()]
                print(f"| {name} | {operation} | {' | '.join(cells)} | {calls} |", flush=True)


if __name__ == "__main__":
    main()
