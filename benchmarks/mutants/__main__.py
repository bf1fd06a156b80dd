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
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.mutants import byhand, trial
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.report import PAGE, Result, page, rate, write
from benchmarks.mutants.sample import SEED, WHOLE, everything, sample
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


Key = tuple[str | None, str, int, int, str]


def load(path: Path) -> dict[Key, list[Result]]:
    """Return results of earlier runs by (target, path, line, column, change): every try of each, in their order."""
    tries: dict[Key, list[Result]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            result = Result(**json.loads(line))
            if result.verdict != "no baseline":
                tries.setdefault(key_of(result), []).append(result)
    return tries


def key_of(result: Result) -> Key:
    return result.target, result.path, result.line, result.column, result.change


def unrun(name: str, mutation: Mutation, root: Path) -> Result:
    """Return the result of a mutation that has none yet."""
    text = (root / mutation.path).read_text(encoding="utf-8")
    column = mutation.start - (text.rfind("\n", 0, mutation.start) + 1)
    source = text.splitlines()[mutation.line - 1].strip()
    change = str(mutation).split(": ", 1)[1]
    return Result(name, mutation.path, mutation.line, mutation.operator, change, "", 0.0, "", column, source)


def in_turn(drawn: dict[str, list[Mutation]]) -> list[tuple[str, Mutation]]:
    """Return all, every target at the same pace: a run that is stopped early is a smaller sample of the same kind."""
    places = [(i / len(of), name, mutation) for name, of in drawn.items() for i, mutation in enumerate(of)]
    return [(name, mutation) for _, name, mutation in sorted(places, key=lambda p: p[:2])]


def located(result: Result, root: Path) -> Mutation | None:
    """Return an earlier mutation in the sources as they are now, which may have moved; None when its line was edited."""
    if result.target not in TARGETS:
        return None
    same = [
        mutation
        for mutation in everything(TARGETS[result.target], root)
        if mutation.path == result.path and mutation.operator == result.operator
        if replace(
            unrun(result.target, mutation, root), line=result.line, verdict=result.verdict, seconds=result.seconds
        )
        == replace(result, detail="")
    ]
    return min(same, key=lambda mutation: abs(mutation.line - result.line), default=None)


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
    parser.add_argument("--others", type=Path, help="results of another seed, to stand on the page beside these")
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

        def settled(one: Result) -> bool:
            """Whether nothing is to be done, since the result of an earlier run stands or time is up."""
            earlier = known.get(key_of(one))
            if earlier is None:
                return options.again or time.monotonic() > end
            survivor = earlier[-1].verdict == "survived" and earlier[-1].reason is None
            if options.again and survivor and one.target in (None, *options.targets) and time.monotonic() < end:
                return False
            results.append(earlier[-1])
            return True

        def attempt(one: Result, changes: dict[str, str], tests: tuple[str, ...], chosen: str) -> None:
            outcome = runner.attempt(changes, tests, chosen)
            done = replace(one, verdict=outcome.verdict, seconds=round(outcome.seconds, 1), detail=outcome.detail)
            results.append(done)
            known.setdefault(key_of(one), []).append(done)
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done.as_json()) + "\n")
            say(
                f"  {done.verdict:10} {done.seconds:5.1f} s  {done.path}:{done.line} {done.operator}: {done.change}   {done.detail[-60:]}"
            )

        for hand in () if options.no_byhand else byhand.LIST:
            one = Result(None, hand.edits[0].path, 0, "by hand", hand.name, "", 0.0)
            if settled(one):
                continue
            changes: dict[str, str] = {}
            for edit in hand.edits:
                changes[edit.path] = edit.apply(changes.get(edit.path) or runner.workspace.read(edit.path))
            attempt(one, changes, hand.tests, hand.chosen)
        if options.again:
            earlier = [tries[-1] for key, tries in list(known.items()) if key[0] is not None]
            drawn = [(one, located(one, root) if one.verdict == "survived" else None) for one in earlier]
        else:
            chosen = sample(options.size, options.seed, root)
            turns = in_turn({name: of for name, of in chosen.items() if name in options.targets})
            drawn = [(unrun(name, mutation, root), mutation) for name, mutation in turns]
        for one, mutation in drawn:
            if mutation is None:  # dead, or edited since
                results.append(one)
            elif not settled(one):
                changed = mutation.apply(runner.workspace.read(mutation.path))
                target = TARGETS[one.target or ""]
                attempt(one, {mutation.path: changed}, target.tests, target.chosen)
    dead, equal, counted = rate([r for r in results if r.target is not None])
    say(
        f"drawn: {dead} of {counted} dead, {equal} equivalent; by hand: {sum(r.dead for r in results if r.target is None)}"
    )
    if options.write:
        fixed = [r for r in results if r.dead and known[key_of(r)][0].verdict == "survived"]
        others = load(options.others) if options.others else {}
        fresh = [tries[0] for key, tries in others.items() if key not in known]
        write(page(results, seed=options.seed, fixed=fixed, others=fresh))
        say(f"written: {PAGE}")


if __name__ == "__main__":
    main()
