"""The measurement: for every operation one sample of each library in turn, round after round."""

from __future__ import annotations

import datetime
import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks.machine import clock, processor
from benchmarks.peers.document import Document, Figure, Found, bits_of
from benchmarks.peers.errors import WorkerFailed
from benchmarks.peers.registry import OURS, Entry
from benchmarks.peers.worker import Worker
from benchmarks.peers.workload import CASES, OPERATIONS, STAGES, WAYS, Case

SAMPLE_SECONDS = 2e-3
"""Short operations are repeated inside a sample until it lasts about so long."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to measure: `seconds` per operation and library, and never fewer than `rounds` rounds."""

    seconds: float = 1.0
    rounds: int = 7


def measure(
    cases: Sequence[str],
    peers: Sequence[Entry],
    *,
    pythons: dict[str, str],
    threads: int,
    effort: Effort,
    say: Say,
    ours: Entry = OURS,
) -> Document:
    """Start every library, measure every case, and return what was found.

    A peer that cannot be imported is noted as absent, one that fails in a case as failed there; the rest goes on.

    Raises:
        WorkerFailed: this library itself failed.
    """
    document = Document(
        machine={
            "processor": processor(),
            "system": platform.system(),
            "date": datetime.date.today().isoformat(),
            "python": platform.python_version(),
        },
        libraries={},
        threads=threads,
        clock={"start": clock()},
    )
    with ExitStack() as stack:
        present: dict[str, Worker] = {}
        for entry in (ours, *peers):
            facts: dict[str, object] = {"licence": entry.licence, "install": entry.install}
            document.libraries[entry.name] = facts
            try:
                worker = stack.enter_context(
                    Worker(entry, python=pythons.get(entry.name, sys.executable), threads=threads)
                )
                if worker.absent is None:
                    facts.update(worker.ask("describe"))
            except WorkerFailed as error:
                if entry is ours:
                    raise
                facts["absent"] = str(error)
            else:
                if worker.absent is None:
                    present[entry.name] = worker
                elif entry is ours:
                    raise WorkerFailed(f"this library cannot be imported: {worker.absent}")
                else:
                    facts["absent"] = worker.absent
            if "absent" in facts:
                say(f"{entry.name}: absent ({facts['absent']}); to have it: {entry.install}")
        for name in cases:
            document.sets.append(_case(CASES[name], present, effort, say, ours.name))
    document.clock["end"] = clock()
    return document


def operations_of(case: Case) -> list[str]:
    """Return the names of all operations of a case, in the order of the report."""
    return [f"{way}.{stage}" for way in WAYS for stage in STAGES] if case.is_regression else list(OPERATIONS)


def _case(case: Case, present: dict[str, Worker], effort: Effort, say: Say, ours: str) -> Found:
    found = Found(asdict(case))
    offered: dict[str, list[str]] = {}
    alive = dict(present)

    def lose(name: str, error: WorkerFailed) -> None:
        if name == ours:
            raise error
        say(f"  {case.name}: {name} failed: {error}")
        found.failed[name] = str(error)
        alive.pop(name)

    for name, worker in present.items():
        say(f"{case.name}: keys of {name}")
        try:
            answer = worker.ask("prepare", case=case.name)
        except WorkerFailed as error:
            lose(name, error)
            continue
        offered[name] = answer["operations"]
        found.parameters[name], found.sizes[name] = answer["parameters"], answer["sizes"]
        found.missing[name], found.rows[name] = answer["missing"], answer["rows"]
    for operation in operations_of(case):
        names = [name for name in alive if operation in offered[name]]
        if names:
            say(f"  {case.name}: {operation}: {', '.join(names)}")
            found.figures[operation] = _operation(operation, {name: alive[name] for name in names}, effort, lose)
    return found


def _operation(
    operation: str, workers: dict[str, Worker], effort: Effort, lose: Callable[[str, WorkerFailed], None]
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    calls: dict[str, int] = {}
    for name, worker in list(workers.items()):
        try:
            error = worker.ask("error", operation=operation)["error"]
            seconds = worker.ask("sample", operation=operation, calls=1)["seconds"]
        except WorkerFailed as failure:
            lose(name, failure)
            del workers[name]
            continue
        calls[name] = max(1, min(1000, math.ceil(SAMPLE_SECONDS / max(seconds, 1e-9))))
        figures[name] = Figure([], bits_of(error))
    end, done = time.perf_counter() + effort.seconds * len(workers), 0
    while workers and (done < effort.rounds or time.perf_counter() < end):
        for name, worker in list(workers.items()):
            try:
                answer = worker.ask("sample", operation=operation, calls=calls[name])
            except WorkerFailed as failure:
                lose(name, failure)
                del workers[name], figures[name]
                continue
            figures[name].milliseconds.append(1e3 * answer["seconds"])
        done += 1
    return figures
