"""What the commands share: steps and lines on a terminal, files written with errors that name them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from churn.errors import DataError

if TYPE_CHECKING:
    from churn.report.results import Results
    from churn.scoring import Usage

__all__ = [
    "from_environment",
    "line",
    "one_line",
    "print_parameters",
    "print_usage",
    "set_threads",
    "steps",
    "write_json",
    "write_predictions",
    "writing",
]

MOST_THREADS = 8


def one_line(text: str) -> str:
    """Return a text, a stranger's words perhaps among it, as one line without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def set_threads(threads: int | None) -> int | None:
    """Set the kernels' threads; return what a child process should be told, None for its own choice."""
    if threads is None and "CKKS_NUM_THREADS" not in os.environ:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = min(MOST_THREADS, usable)
    if threads is not None:
        from ckks.kernels import set_num_threads

        set_num_threads(threads)
    return threads


def from_environment(variable: str | None, what: str) -> str | None:
    """Return what an environment variable holds, None when none is named."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise DataError(
            f"the environment variable {variable!r} is not set, or empty",
            f"it is to hold {what}",
            f"Set it: read -rs {variable}; export {variable}",
        )
    return value


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], Any]]:
    """Yield a function that shows one step while its with block lasts, with a bar where rows are counted."""
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=False,
    )

    @contextmanager
    def step(name: str) -> Iterator[Callable[[int, int], None]]:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
        shown = progress.tasks[task]
        progress.update(task, total=shown.total or 1, completed=shown.total or 1)

    with progress:
        yield step


def line(console: Console, name: str, value: str) -> None:
    """Print a value behind its name."""
    console.print(f"{name:>12}  {one_line(value)}", highlight=False, markup=False, soft_wrap=True)


def print_usage(console: Console, usage: Usage, *, count: int = 1, each: str = "") -> None:
    """Print what requests took and sent: in all, or for each of `count` things, of which `each` is the name."""
    from churn.units import bytes_text, seconds_text

    times = {name: seconds_text(getattr(usage, name) / count) for name in ("encrypt", "evaluate", "decrypt")}
    keys, head = seconds_text(usage.keygen + usage.upload_keys), f"for each {each}: " if each else ""
    line(
        console,
        "time",
        f"{head}encrypt {times['encrypt']}, answer {times['evaluate']} (of which computing "
        f"{seconds_text(usage.evaluate_server / count)}), decrypt {times['decrypt']}; keys, once {keys}",
    )
    line(
        console,
        "traffic",
        f"{head}{bytes_text(usage.bytes_up // count)} up, {bytes_text(usage.bytes_down // count)} down; keys"
        + (f", once {bytes_text(usage.bytes_keys)}" if usage.bytes_keys else " none sent"),
    )


def print_parameters(results: Results, console: Console) -> None:
    """Print what keys and ciphertexts are made of, and how secure that is."""
    p = results.params
    line(
        console,
        "parameters",
        f"N = {p['ring_degree']}, {p['levels']} levels, log2(QP) = {p['log2_qp']}, "
        f"{p['security_bits']}-bit security; {p['backend']} kernels",
    )
    text = "not flooded: one of them can give the weights away to whoever has the secret key"
    if "flooding_bits" in p:
        text = (
            f"flooded: {p['flooding_answers']} of them tell 2^-{p['flooding_bits']} of a bit more than their values, "
            f"which are off by at most {p['answer_error']}"
        )
    line(console, "answers", text)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong when a file is written into a DataError that names it."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error})", "a file of yours is needed", "Name another path"
        ) from error


def write_json(values: object, path: Path) -> None:
    """Write plain values, folders included."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_predictions(path: Path, probabilities: Any, first: int) -> None:
    """Write rows from number `first` on, and their probabilities to four digits.

    Further digits are error, of the polynomial and of the encryption; the latter must not leave the key holder [LM21].
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{first + i},{min(max(p, 0.0), 1.0):.4f},{int(p >= 0.5)}\n" for i, p in enumerate(probabilities)]
    path.write_text("row,probability,predicted\n" + "".join(lines), encoding="utf-8")
