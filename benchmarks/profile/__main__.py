"""Command line: `python -m benchmarks.profile --help`."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import ckks
from benchmarks.machine import clock, processor
from benchmarks.profile import bandwidth
from benchmarks.profile.counts import Counts
from benchmarks.profile.recorder import recording
from benchmarks.profile.stages import KINDS, stages
from ckks import kernels
from ckks.errors import HEError
from ckks.scheme import PRESETS


def repeated(work: Callable[[], object], seconds: float) -> list[float]:
    """Return the milliseconds of repeated calls, five at least, after one that warms up."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def profile(name: str, seconds: float) -> dict[str, Any]:
    """Measure one multiplication under a preset on the active kernels; return everything as plain data."""
    params = ckks.CKKSParams.preset(name)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
    encryptor = ckks.Encryptor(params, secret)
    a, b = (encryptor.encrypt(f(np.arange(params.slots))) for f in (np.cos, np.sin))
    counts, source = Counts.of(params, params.top_level), kernels.active()

    def multiply() -> object:
        return evaluator.multiply(a, b)

    alone = stages(a, b, evaluator.keys.relin_key())
    times: dict[str, list[float]] = {stage: [] for stage in alone}
    whole: list[float] = []
    end = time.perf_counter() + seconds * (1 + len(alone))
    while len(whole) < 5 or time.perf_counter() < end:  # alternate, so that a slow spell is in all of them
        whole += repeated(multiply, 0.0)
        for stage, work in alone.items():
            times[stage] += repeated(work, 0.0)
    with recording() as recorder:
        multiply()
        recorder.tallies.clear()
        recorded = repeated(multiply, seconds)
    with recording(composed=True) as basic:
        multiply()
    calls = len(recorded) + 1  # with the one that warmed up
    row_bytes = 8 * params.ring_degree
    return {
        "machine": {"processor": processor(), "clock_ns": clock(), "python_ckks": ckks.__version__},
        "kernels": {"name": source.name, "variant": source.describe()["variant"]},
        "set": name,
        "parameters": str(params),
        "counts": {
            "limbs": counts.limbs,
            "special": counts.special,
            "digits": counts.digits,
            "dropped": counts.dropped,
            "ideal_transforms": counts.ideal_transforms,
            "forward_transforms": counts.forward_transforms,
            "inverse_transforms": counts.inverse_transforms,
            "counted_transforms": sum(basic.tallies[kernel].rows for kernel in ("ntt", "intt")),
        },
        "multiply_ms": whole,
        "recorded_ms": recorded,
        "kernel_calls": {
            kernel: {
                "calls": tally.calls / calls,
                "rows": tally.rows / calls,
                "ms": 1e3 * tally.seconds / calls,
                "bytes": tally.bytes / calls,
            }
            for kernel, tally in sorted(recorder.tallies.items(), key=lambda item: -item[1].seconds)
        },
        "stages": {
            stage: {"kind": KINDS[stage], "ms": times[stage], "bytes": counts.words(stage) * row_bytes}
            for stage in alone
        },
    }


def show(found: dict[str, Any], memory: list[bandwidth.Bandwidth]) -> None:
    """Print the profile to the terminal."""
    console = Console(width=None if Console().is_terminal else 140)
    whole = statistics.median(found["multiply_ms"])
    machine, source = found["machine"], found["kernels"]
    console.print(
        f"{found['set']}: {found['parameters']}; {source['name']} ({source['variant']}), one thread, "
        f"{machine['processor']}, {machine['clock_ns']:.1f} ns a step of the clock chain\n"
        f"multiply + relinearise + rescale: {whole:.3f} ms (median), {min(found['multiply_ms']):.3f} (minimum)",
        markup=False,
        highlight=False,
    )
    _show_kernels(console, found)
    _show_stages(console, found)
    table = Table("place", "buffer", "read", "write", "copy (both ways)", title="Bandwidth of this core, GB/s")
    for line in memory:
        size = f"{line.size / 2**20:.3g} MiB"
        table.add_row(line.place, size, f"{line.read:.1f}", f"{line.write:.1f}", f"{line.copy:.1f}")
    console.print(table)


def _show_kernels(console: Console, found: dict[str, Any]) -> None:
    table = Table(
        "kernel", "calls", "rows", "ms", "share", "MiB", "GB/s", title="Kernel calls of the operation, by name"
    )
    total = statistics.mean(found["recorded_ms"])
    inside = 0.0
    for name, tally in found["kernel_calls"].items():
        inside += tally["ms"]
        table.add_row(
            name,
            f"{tally['calls']:.0f}",
            f"{tally['rows']:.0f}",
            f"{tally['ms']:.3f}",
            f"{tally['ms'] / total:.0%}",
            f"{tally['bytes'] / 2**20:.2f}",
            f"{1e-6 * tally['bytes'] / tally['ms']:.1f}" if tally["ms"] else "",
        )
    table.add_row("outside kernels", "", "", f"{total - inside:.3f}", f"{1 - inside / total:.0%}", "", "")
    console.print(table)
    counts = found["counts"]
    console.print(
        f"Transforms: {counts['counted_transforms']} counted, with the fused calls taken apart into basic ones; the ideal "
        f"(beta + 2)(l + k) = {counts['ideal_transforms']}.",
        markup=False,
        highlight=False,
    )


def _show_stages(console: Console, found: dict[str, Any]) -> None:
    """Shares and sums are those of the minima: other work on the machine lengthens a median, not a minimum."""
    whole = min(found["multiply_ms"])
    table = Table(
        "stage",
        "kind",
        "minimum, ms",
        "of the whole",
        "median, ms",
        "MiB",
        "GB/s",
        title="Stages alone, on basic kernels",
    )
    by_kind: dict[str, float] = {}
    for stage, figures in found["stages"].items():
        best = min(figures["ms"])
        by_kind[figures["kind"]] = by_kind.get(figures["kind"], 0.0) + best
        table.add_row(
            stage,
            figures["kind"],
            f"{best:.3f}",
            f"{best / whole:.0%}",
            f"{statistics.median(figures['ms']):.3f}",
            f"{figures['bytes'] / 2**20:.2f}",
            f"{1e-6 * figures['bytes'] / best:.1f}",
        )
    for kind, milliseconds in by_kind.items():
        table.add_row(f"all of {kind}", "", f"{milliseconds:.3f}", f"{milliseconds / whole:.0%}", "", "", "")
    together = sum(by_kind.values())
    table.add_row("together", "", f"{together:.3f}", f"{together / whole:.0%}", "", "", "")
    console.print(table)
    verb = "costs beside them (Python, checks, allocation, cold caches)" if whole > together else "saves by fusing them"
    console.print(
        f"The operation takes {whole:.3f} ms where its stages alone take {together:.3f}, at their minima: "
        f"{abs(whole - together):.3f} ms is what it {verb}. Bytes are operands and results, each once.",
        markup=False,
        highlight=False,
    )


def main(
    name: Annotated[str, typer.Option("--set", help=f"Preset: {', '.join(PRESETS)}.")] = "S14",
    backend: Annotated[str | None, typer.Option(help=f"One of {', '.join(kernels.NAMES)}.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Least time per stage.")] = 0.3,
    write_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all samples as JSON.")
    ] = None,
) -> None:
    """Split one multiplication + relinearisation + rescale into kernels and stages, beside the memory's bandwidth.

    Two views: the kernel calls of the operation as it is, timed by name (a fused call is one line), and its stages one by
    one on basic kernels at the same shapes.
    """
    try:
        with kernels.use(backend) if backend else nullcontext(), kernels.threads(1):
            kernels.warmup()
            found = profile(name, seconds)
    except HEError as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False)
        raise typer.Exit(2) from None
    memory = bandwidth.measure()
    show(found, memory)
    if write_json is not None:
        found["bandwidth"] = [vars(line) for line in memory]
        write_json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
