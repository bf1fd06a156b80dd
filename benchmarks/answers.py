"""What an answer of the churn service costs, by mode: `python -m benchmarks.answers [--write]`.

Trains one model, hosts it in every mode, scores the same held-out table in each, in turn, over HTTP, and prints bytes,
seconds (medians), errors, and labels that differ. `--seeds 20` checks the labels for as many data sets. `--before DIR`
runs the whole command of another clone and of this one alternately, in the mode that both have, and prints the ratio.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.machine import processor
from benchmarks.pages import README, ROOT, write_between
from churn.circuit import FEATURE_MAJOR, LOGIT, PROBABILITY, OutputKind, Score
from churn.client import Client
from churn.demo import Source, train_on
from churn.process import ServiceProcess
from churn.versions import add_version
from ckks.scheme.serialization import ciphertext_length

MARKS = "<!-- table: python -m benchmarks.answers --write -->", "<!-- end of answers -->"


@dataclass
class Way:
    """One mode of the service, and what was measured in it."""

    title: str
    output: OutputKind
    flooded: bool
    description: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    error: float = 0.0
    stated: float = 0.0
    differ: int = 0


def ways() -> list[Way]:
    """All of them, the default first."""
    return [
        Way("logits (default)", LOGIT, True),
        Way("probabilities", PROBABILITY, True),
        Way("logits, unflooded", LOGIT, False),
        Way("probabilities, unflooded", PROBABILITY, False),
    ]


def measure(rows: int, seed: int, rounds: int, console: Console) -> tuple[list[Way], int, int]:
    """Score the held-out table in every way, `rounds` times in turn; return also its rows and features."""
    parts, trained = train_on(Source(rows, seed), "churn")
    model, measured = trained.model, ways()
    x = model.schema.transform(parts.test)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        add_version(model, folder / "models" / "churn.json")
        clients = []
        for k, way in enumerate(measured):
            service = stack.enter_context(
                ServiceProcess(folder / "models", folder / f"keys-{k}", mode=way.output, flooded=way.flooded)
            )
            clients.append(stack.enter_context(Client(service.url)))
        for round_ in range(rounds + 1):  # the first one makes keys, and is not counted in the times of scoring
            for way, client in zip(measured, clients, strict=True):
                console.print(f"seed {seed}, round {round_}: {way.title}")
                described = client.model("churn")
                scores = client.score(described, parts.test)
                used, hosted = (
                    scores.usage,
                    Score.of(model, way.output, flooded=way.flooded, params=scores.model.params),
                )
                if not round_:
                    packing, params = described.layout(FEATURE_MAJOR), scores.model.params
                    way.description = str(params)
                    way.bytes = {
                        "feature": ciphertext_length(params, packing.level, (1,), seeded=True),
                        "thirty": ciphertext_length(params, packing.level, (30,), seeded=True),
                        "up": used.bytes_up,
                        "down": used.bytes_down,
                        "keys": used.bytes_keys,
                    }
                    way.seconds["keys"] = [used.keygen + used.upload_keys]
                else:
                    for name in ("encrypt", "evaluate", "evaluate_server", "protect_server", "decrypt"):
                        way.seconds.setdefault(name, []).append(getattr(used, name))
                found = scores.probabilities if scores.logits is None else scores.logits
                exact = hosted.in_the_clear(x) if scores.logits is None else model.logits(x)
                way.error = max(way.error, float(np.abs(found - exact).max()))
                way.stated = scores.model.output.error
                way.differ += int(((scores.probabilities >= 0.5) != (model.probabilities(x) >= 0.5)).sum())
    return measured, len(x), x.shape[1]


def table(measured: list[Way], rows: int, features: int, rounds: int) -> str:
    """Format the measurements as Markdown."""
    raw_up, raw_down = rows * features * 8, rows * 8

    def size(count: int, raw: int | None = None) -> str:
        shown = f"{count:,}"
        return shown if raw is None else f"{shown} ({count / raw:.2f}x)"

    def milliseconds(way: Way, name: str) -> str:
        return f"{1e3 * statistics.median(way.seconds[name]):.1f}"

    lines = [
        f"{rows:,} rows of {features} features; raw, as float64, {raw_up:,} bytes up and {raw_down:,} down (in brackets: "
        f"times that). Milliseconds, medians of {rounds} rounds in turn, over HTTP, {processor()}, "
        f"{datetime.date.today().isoformat()}. Made by `python -m benchmarks.answers`.",
        "",
        "| | " + " | ".join(way.title for way in measured) + " |",
        "|---|" + "---|" * len(measured),
    ]
    by_row = {
        "one feature of a ciphertext's rows": lambda w: size(w.bytes["feature"]),
        "the same for 30 features": lambda w: size(w.bytes["thirty"]),
        "sent up": lambda w: size(w.bytes["up"], raw_up),
        "answers": lambda w: size(w.bytes["down"], raw_down),
        "keys, once": lambda w: size(w.bytes["keys"]),
        "encrypt": lambda w: milliseconds(w, "encrypt"),
        "evaluate, transfer included": lambda w: milliseconds(w, "evaluate"),
        "&nbsp; of that, computing": lambda w: milliseconds(w, "evaluate_server"),
        "&nbsp; of that, re-randomising and flooding": lambda w: milliseconds(w, "protect_server"),
        "decrypt and check": lambda w: milliseconds(w, "decrypt"),
        "make and send the keys, once": lambda w: milliseconds(w, "keys"),
        "largest error against the same in the clear": lambda w: f"2^{np.log2(w.error):.1f}",
        "largest error stated to the client": lambda w: f"2^{np.log2(w.stated):.1f}",
        "labels that differ from the model's": lambda w: str(w.differ),
    }
    lines += [f"| {name} | " + " | ".join(of(way) for way in measured) + " |" for name, of in by_row.items()]
    lines += ["", *(f"- {way.title}: {way.description}" for way in measured)]
    return "\n".join(lines)


def against(before: Path, pairs: int, console: Console) -> None:
    """Run the whole command of another clone and of this one in turn; print medians and the ratio of each step."""
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = (
            (before, ["--mode", "probability"]),
            (ROOT, ["--mode", "probability", "--unflooded"]),
        )
        for pair in range(pairs):
            seconds = []
            for clone, options in commands if pair % 2 else reversed(commands):
                out = Path(folder) / "numbers.json"
                command = [sys.executable, "-m", "churn", *options, "--json", str(out), "--out", folder]
                environment = {**os.environ, "PYTHONPATH": str(clone)}
                subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True)
                seconds.append(json.loads(out.read_text())["seconds"])
            old, new = seconds if pair % 2 else seconds[::-1]
            for step, value in old.items():
                ratios.setdefault(step, []).append(new[step] / value)
            scoring = ("encrypt", "evaluate", "decrypt")
            total = sum(new[s] for s in scoring) / sum(old[s] for s in scoring)
            ratios.setdefault("scoring (encrypt, evaluate, decrypt)", []).append(total)
            console.print(
                f"pair {pair}: total {old['total']:.2f} s before, {new['total']:.2f} s now; scoring {total:.2f}x"
            )
    for step, values in ratios.items():
        print(f"{step:40} {statistics.median(values):.3f}x (median of {pairs} pairs; now over before)")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--rows", type=int, default=16384, help="a quarter of them is held out and scored")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=0, help="check the labels for as many data sets, one round each")
    parser.add_argument("--before", type=Path, help="another clone, its kernels built, to run alternately")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    console = Console(stderr=True)
    if options.before is not None:
        against(options.before.resolve(), options.pairs, console)
        return
    if options.seeds:
        differ = {way.title: 0 for way in ways()}
        checked = 0
        for seed in range(options.seeds):
            measured, rows, _ = measure(options.rows, seed, 0, console)
            checked += rows
            for way in measured:
                differ[way.title] += way.differ
        for title, count in differ.items():
            print(f"{title}: {count} of {checked:,} labels differ, over {options.seeds} seeds")
        return
    text = table(*measure(options.rows, 0, options.rounds, console), options.rounds)
    print(text)
    if options.write:
        write_between(README, MARKS, text)


if __name__ == "__main__":
    main()
