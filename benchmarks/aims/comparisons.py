"""T11, T12, T14: the numba kernels, two threads, the import."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable

import ckks
from benchmarks.aims.document import Row
from benchmarks.aims.measure import Context, Sampler, alternate, local, quotients, remote, runs
from benchmarks.aims.sets import World, describe, parameters
from benchmarks.aims.targets import TARGETS
from benchmarks.peers.errors import WorkerFailed
from benchmarks.peers.registry import PEERS
from benchmarks.peers.worker import Worker
from benchmarks.table import import_time
from ckks import kernels
from ckks.errors import BackendError
from ckks.rlwe.secret.decryption import decrypt

SEAL = next(entry for entry in PEERS if entry.name == "seal-python")


def _operations(aim: str) -> tuple[ckks.CKKSParams, dict[str, Callable[[], object]]]:
    """What T3 to T9 measure, on one set."""
    params = parameters(aim)
    if aim == "T9":
        encryptor = ckks.Encryptor(params, ckks.KeyGenerator(params).secret_key())
        plain = encryptor.encoder.encode([0.5] * params.slots)
        return params, {"encrypt with the secret key": lambda: encryptor.encrypt_seeded(plain)}
    world = World.of(params, rotations=[1])
    a, b, evaluator, encoder = world.a, world.b, world.evaluator, world.encryptor.encoder
    opened = decrypt(a, world.secret)
    values = encoder.decode(opened)
    return params, {
        "ct x ct + relinearise + rescale": lambda: evaluator.multiply(a, b),
        "rotate": lambda: evaluator.rotate(a, 1),
        "encode": lambda: encoder.encode(values, bound=2.0),
        "decode": lambda: encoder.decode(opened),
    }


def _under(backend: str, call: Callable[[], object]) -> Sampler:
    return local(call, lambda: kernels.use(backend))


def backends(aim: str, context: Context) -> list[Row]:
    """T11: every operation of a set on both backends in turn."""
    target = TARGETS["T11", "over native"]
    try:
        ran = runs("numba", "native")
    except BackendError as error:
        return [Row("T11", f"numba over native, set of {aim}", "", "x", [], "", target, f"not measured: {error}")]
    params, operations = _operations(aim)
    rows = []
    for name, call in operations.items():
        context.say(f"  set of {aim}: {name}")
        times = alternate({backend: _under(backend, call) for backend in ("numba", "native")}, context.effort)
        note = ", ".join(f"{backend} {statistics.median(series):.3g} ms" for backend, series in times.items())
        samples = quotients(times["numba"], times["native"])
        rows.append(Row("T11", f"{name}, numba over native", describe(params), "x", samples, ran, target, note))
    return rows


def seal(context: Context, *, aim: str = "T4", case: str = "N14") -> list[Row]:
    """T11: the product on numba against SEAL: as recorded, and as seal-python runs it now, if it can be imported."""
    params = parameters(aim)
    world = World.of(params)
    ours = _under("numba", lambda: world.evaluator.multiply(world.a, world.b))
    where, name = describe(params), "ct x ct + relinearise + rescale on numba"
    over = TARGETS["T11", "over SEAL"]
    try:
        with Worker(SEAL, python=context.pythons.get(SEAL.name, sys.executable)) as worker:
            absent, theirs = worker.absent, {}
            if absent is None:
                said = worker.ask("prepare", case=case)["parameters"]
                theirs = {"seal": remote(worker, "multiply")}
            times = alternate({"ours": ours, **theirs}, context.effort)
    except WorkerFailed as error:
        absent, times = str(error), alternate({"ours": ours}, context.effort)
    rows = [Row("T11", name, where, "ms", times["ours"], runs("numba"), TARGETS["T11", "product"])]
    if absent is not None:
        note = f"seal-python is absent ({absent}): {SEAL.install}, or --python seal-python=INTERPRETER"
        return [*rows, Row("T11", f"{name} over seal-python", where, "x", [], runs("numba"), over, note)]
    note = (
        f"seal-python {statistics.median(times['seal']):.3g} ms at N = 2^{said['N'].bit_length() - 1}, "
        f"{len(said['q_bits'])} + 1 limbs, {said['digits']} digits, log2 QP = {said['log2_qp']:.0f}"
    )
    samples = quotients(times["ours"], times["seal"])
    return [*rows, Row("T11", f"{name} over seal-python", where, "x", samples, runs("numba"), over, note)]


def cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def two_threads(aim: str, batch: int, context: Context) -> list[Row]:
    """T12: one product (batch 0), or several in one call, on one thread and on two in turn."""
    params, target = parameters(aim), TARGETS["T12", "speedup"]
    title = f"{batch} products in one call" if batch else "one product"
    title, where = f"{title}, one thread over two", describe(params)
    if cpus() < 2:
        note = "not measured: this process may use one CPU only"
        return [Row("T12", title, where, "x", [], runs(), target, note, rate=True)]
    world = World.of(params, batch=(batch,) if batch else ())

    def under(threads: int) -> Sampler:
        return local(lambda: world.evaluator.multiply(world.a, world.b), lambda: kernels.threads(threads))

    times = alternate({"one": under(1), "two": under(2)}, context.effort)
    note = ", ".join(f"{name} {statistics.median(series):.3g} ms" for name, series in times.items())
    speedups = quotients(times["one"], times["two"])
    return [Row("T12", title, where, "x", speedups, runs(), target, note, rate=True)]


def importing(_: Context) -> list[Row]:
    """T14: over `import numpy`, in fresh interpreters. Names load on first use, so that is measured as well."""
    everything = "import ckks; [getattr(ckks, name) for name in ckks.__all__]"
    note = "the median of 11 fresh interpreters"
    return [
        Row("T14", "import ckks over import numpy", "", "ms", [import_time()], "", TARGETS["T14", "import"], note),
        Row("T14", "the same, and every public name once", "", "ms", [import_time(everything)], "", None, note),
    ]
