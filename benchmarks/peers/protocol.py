"""JSON lines between a run and its workers, and the loop that a worker is.

A request is {"do": name, ...}; the answer is {"result": {...}} or {"error": type, "message": text}:

    describe                                    who is there: name, version, Python, what runs
    prepare   case                              keys and operands of a parameter set
    sample    operation, calls                  {"seconds": per call}
    error     operation                         {"error": largest |found - expected|, or null}

The worker keeps the pipe for itself: whatever the library prints goes to stderr. Python 3.10, numpy and nothing else.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.peers.workload import CASES, Case


@dataclass(frozen=True)
class Operation:
    """Something to time.

    call     the operation on prepared operands; what it returns goes to `error`
    error    the largest error of a result, where it has one
    before   untimed work that each call needs, for instance forgetting a key that is to be made again
    """

    call: Callable[[], Any]
    error: Callable[[Any], float] | None = None
    before: Callable[[], object] | None = None


@dataclass
class Prepared:
    """What a library has for one parameter set.

    operations  by their names in the workload
    parameters  N, bits of the primes, log2 QP, digits, scale: what exactly ran
    sizes       bytes as stored
    missing     operation -> why there is none
    rows        regression: rows of each way
    """

    operations: dict[str, Operation]
    parameters: dict[str, Any]
    sizes: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


class Library(Protocol):
    """What a worker module implements."""

    def describe(self) -> dict[str, Any]:
        """Return name, version and facts."""
        ...

    def prepare(self, case: Case) -> Prepared:
        """Return operations on full vectors, or the regression, under the parameters of `case`."""
        ...


def sample(operation: Operation, calls: int) -> float:
    """Return the seconds of one call, the mean of `calls`, after one that warms the caches."""
    gc.collect()
    gc.disable()
    try:
        if operation.before:
            operation.before()
        operation.call()
        total = 0.0
        for _ in range(calls if operation.before else 1):
            if operation.before:
                operation.before()
            repeat = 1 if operation.before else calls
            start = time.perf_counter()
            for _ in range(repeat):
                operation.call()
            total += time.perf_counter() - start
    finally:
        gc.enable()
    return total / calls


class _Session:
    """The state of a worker: the library, and what is prepared."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.prepared: Prepared | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        do = request["do"]
        if do == "describe":
            return {**self.library.describe(), "python": ".".join(map(str, sys.version_info[:3]))}
        if do == "prepare":
            self.prepared = None  # keys of the last set go before those of the next come
            gc.collect()
            self.prepared = p = self.library.prepare(CASES[request["case"]])
            return {
                "operations": list(p.operations),
                "parameters": p.parameters,
                "sizes": p.sizes,
                "missing": p.missing,
                "rows": p.rows,
            }
        if self.prepared is None:
            raise RuntimeError(f"{do} before prepare")
        operation = self.prepared.operations[request["operation"]]
        if do == "sample":
            return {"seconds": sample(operation, request["calls"])}
        if do == "error":
            if operation.before:
                operation.before()
            return {"error": None if operation.error is None else float(operation.error(operation.call()))}
        raise RuntimeError(f"unknown request {do!r}")


def serve(load: Callable[[], Library]) -> None:
    """Answer requests on stdin until it closes; an ImportError from `load` is answered as {"absent": reason}."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(answer: dict[str, Any]) -> None:
        pipe.write(json.dumps(answer) + "\n")
        pipe.flush()

    try:
        session = _Session(load())
    except ImportError as error:
        send({"absent": str(error)})
        return
    send({"ready": True})
    for line in sys.stdin:
        try:
            send({"result": session.answer(json.loads(line))})
        except Exception as error:  # everything goes to the run, which reports it under the library's name
            send({"error": type(error).__name__, "message": str(error)})
