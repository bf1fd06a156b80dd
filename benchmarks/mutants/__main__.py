"""Try mutants against the tests: `python -m benchmarks.mutants [--write]`.

Results go to a file of JSON lines as they come, so that an interrupted run goes on where it was (`--results FILE`). One
mutant at a time, at low priority, in a copy of the tree in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants import byhand, trial
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.report import PAGE, Result, page, rate, write
from benchmarks.mutants.sample import SEED, WHOLE, sample
from benchmarks.mutants.targets import TARGETS
from benchmarks.mutants.workspace import DoesNotCompile, Workspace

NICE = 10
LEAST_TIMEOUT = 60.0


@dataclass
class Runner:
    """The workspace, and how long each list of tests takes on sources without a defect."""

    workspace: Workspace
    log: Path
    baselines: dict[tuple[tuple[str, ...], str], float | None]

    def tests_of(self, tests: tuple[str, ...]) -> list[str]:
        return [test for test in tests if (self.workspace.root / test).exists()]

    def baseline(self, tests: tuple[str, ...], chosen: str) -> float | None:
        """Return the seconds of the tests on unchanged sources, or None when they do not pass there."""
        key = (tests, chosen)
        if key not in self.baselines:
            outcome = trial.run(self.workspace.root, self.tests_of(tests), chosen, 900.0, self.log)
            passed = outcome.verdict == "survived"
            say(
                f"  baseline {' '.join(tests)}: {outcome.verdict if not passed else 'passes'} ({outcome.seconds:.0f} s)"
            )
            if not passed:
                say(f"    {outcome.detail}: mutants of these files are not tried")
            self.baselines[key] = outcome.seconds if passed else None
        return self.baselines[key]

    def attempt(self, changes: dict[str, str], tests: tuple[str, ...], chosen: str) -> trial.Outcome:
        """Write changed files, build, run the tests, and put everything back."""
        usual = self.baseline(tests, chosen)
        if usual is None:
            return trial.Outcome("no baseline", 0.0)
        before = {path: self.workspace.read(path) for path in changes}
        native = [path for path in changes if path.startswith("native/")]
        start = time.monotonic()
        try:
            for path, text in changes.items():
                self.workspace.write(path, text)
            try:
                for path in native:
                    self.workspace.build(path)
            except DoesNotCompile as error:
                return trial.Outcome("does not compile", time.monotonic() - start, str(error)[:160])
            return trial.run(self.workspace.root, self.tests_of(tests), chosen, max(LEAST_TIMEOUT, 5 * usual), self.log)
        finally:
            for path, text in before.items():
                self.workspace.write(path, text)
            for path in native:
                self.workspace.build(path)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load(path: Path) -> dict[tuple[str | None, str, int, str], Result]:
    """Return results of earlier runs by (target, path, line, change)."""
    if not path.exists():
        return {}
    found = [Result(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(r.target, r.path, r.line, r.change): r for r in found}


def described(mutation: Mutation) -> str:
    return str(mutation).split(": ", 1)[1]


def in_turn(drawn: dict[str, list[Mutation]]) -> list[tuple[str, Mutation]]:
    """Return all, every target at the same pace: a run that is stopped early is a smaller sample of the same kind."""
    places = [(i / len(of), name, mutation) for name, of in drawn.items() for i, mutation in enumerate(of)]
    return [(name, mutation) for _, name, mutation in sorted(places, key=lambda p: p[:2])]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--size", type=int, default=WHOLE, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--no-byhand", action="store_true", help="leave out those made by hand")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop drawing new ones after so long")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mutants.jsonl")
    parser.add_argument("--again", action="store_true", help="try earlier survivors again, and nothing else")
    parser.add_argument("--write", action="store_true", help="put the page into docs/mutants.md")
    options = parser.parse_args()
    os.nice(NICE)
    trial.preload()
    known = load(options.results)
    end = time.monotonic() + 60 * options.minutes
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder) / "tree"
        root.mkdir()
        say(f"copying to {root} and compiling")
        runner = Runner(Workspace(root), Path(folder) / "log", {})
        runner.workspace.build()

        def record(key: tuple[str | None, str, int, str], operator: str, outcome: trial.Outcome) -> None:
            target, path, line, change = key
            result = Result(
                target, path, line, operator, change, outcome.verdict, round(outcome.seconds, 1), outcome.detail
            )
            results.append(result)
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result.as_json()) + "\n")
            say(
                f"  {outcome.verdict:10} {outcome.seconds:5.1f} s  {path}:{line} {operator}: {change}   {outcome.detail[-60:]}"
            )

        def kept(key: tuple[str | None, str, int, str]) -> bool:
            """Whether the result of an earlier run stands."""
            if key not in known or known[key].verdict == "no baseline":
                return False
            if options.again and known[key].verdict == "survived" and known[key].reason is None:
                return False
            results.append(known[key])
            return True

        for one in () if options.no_byhand else byhand.LIST:
            key = (None, one.edits[0].path, 0, one.name)
            if kept(key) or (options.again and key not in known) or time.monotonic() > end:
                continue
            changes: dict[str, str] = {}
            for edit in one.edits:
                changes[edit.path] = edit.apply(changes.get(edit.path) or runner.workspace.read(edit.path))
            record(key, "by hand", runner.attempt(changes, one.tests, one.chosen))
        chosen = {
            name: drawn for name, drawn in sample(options.size, options.seed, root).items() if name in options.targets
        }
        for name, mutation in in_turn(chosen):
            target = TARGETS[name]
            key = (name, mutation.path, mutation.line, described(mutation))
            if kept(key) or (options.again and key not in known) or time.monotonic() > end:
                continue
            changed = mutation.apply(runner.workspace.read(mutation.path))
            record(key, mutation.operator, runner.attempt({mutation.path: changed}, target.tests, target.chosen))
    dead, equal, counted = rate([r for r in results if r.target is not None])
    say(
        f"drawn: {dead} of {counted} dead, {equal} equivalent; by hand: {sum(r.dead for r in results if r.target is None)}"
    )
    if options.write:
        write(page(results, seed=options.seed, fixed=[]))
        say(f"written: {PAGE}")


if __name__ == "__main__":
    main()
