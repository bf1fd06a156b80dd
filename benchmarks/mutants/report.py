"""What became of the mutants, as a page."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.mutants.judged import EQUIVALENT, REMEDIES
from benchmarks.mutants.targets import ROOT

PAGE = ROOT / "docs" / "mutants.md"
DEAD = ("killed", "timeout")
COUNTED = (*DEAD, "survived")


@dataclass(frozen=True)
class Result:
    """One mutant and its end. `target` is None for those made by hand, whose `change` is their name.

    column, source    where in the line the change is, and the line as it read: lines move, and are found again by these
    """

    target: str | None
    path: str
    line: int
    operator: str
    change: str
    verdict: str
    seconds: float
    detail: str = ""
    column: int = 0
    source: str = ""

    @property
    def dead(self) -> bool:
        return self.verdict in DEAD

    @property
    def counted(self) -> bool:
        """Whether it says anything: not when it does not compile, or no test could run."""
        return self.verdict in COUNTED

    @property
    def reason(self) -> str | None:
        """Why no test could notice, where somebody has looked."""
        return EQUIVALENT.get((self.path, self.source, self.change))

    @property
    def remedy(self) -> str:
        """What was done about it, where it survived once."""
        return REMEDIES.get((self.path, self.source, self.change), "")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def rate(results: list[Result]) -> tuple[int, int, int]:
    """Return (dead, equivalent survivors, counted)."""
    counted = [r for r in results if r.counted]
    return sum(r.dead for r in counted), sum(not r.dead and r.reason is not None for r in counted), len(counted)


def page(results: list[Result], *, seed: int, fixed: list[Result], others: Sequence[Result] = ()) -> str:
    """Return docs/mutants.md.

    results: all, each as it ended when it was tried last.
    fixed: those among them that are dead now and survived when they were tried first.
    others: those of a sample with another seed that are not among them, tried once.
    """
    drawn, byhand = [r for r in results if r.target is not None], [r for r in results if r.target is None]
    dead, equal, counted = rate(drawn)
    lines = [
        "# Mutants: do the tests bite?",
        "",
        "Made by `python -m benchmarks.mutants --write`: small defects, one at a time, in a copy of the sources, each against the",
        f"tests of its own file only. A sample with the fixed seed {seed}, {datetime.date.today().isoformat()}.",
        "",
        f"**Drawn: {counted} mutants, {dead} dead: {percent(dead, counted)}.** Of the {counted - dead} survivors {equal} are equivalent: they",
        f"compute the same, or differ in speed and memory alone. Without those, {percent(dead, counted - equal)} died.",
        "",
    ]
    if fixed:
        before = dead - sum(r.target is not None for r in fixed)
        lines += [
            f"On the first try {before} of the {counted} died: {percent(before, counted)}, or {percent(before, counted - equal)} without the equivalent. That",
            "is what the tests did unprepared; the survivors were then read one by one, tests were added or the list of the tests",
            "of a file made longer, and they were tried again (`--again`).",
            "",
        ]
    if others:
        d, e, n = rate([r for r in others if r.target is not None])
        lines += [
            f"**Another sample, with another seed, tried once with the tests as they are now: {n} mutants, {d} dead: {percent(d, n)}**, or",
            f"{percent(d, n - e)} without {e} equivalent. None of them is in the first sample, and no test was written for any; survivors are listed below.",
            "",
        ]
    lines += [
        f"**By hand: {len(byhand)} mutants, {sum(r.dead for r in byhand)} dead.** The mistakes that implementations of this scheme are known for.",
        "",
        "| files | mutants | dead | | equivalent |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(r.target for r in drawn):
        d, e, n = rate([r for r in drawn if r.target == name])
        lines.append(f"| {name} | {n} | {d} | {percent(d, n)} | {e} |")
    lines += ["", "| kind of defect | mutants | dead | |", "|---|---|---|---|"]
    for kind, _ in Counter(r.operator for r in drawn).most_common():
        d, _, n = rate([r for r in drawn if r.operator == kind])
        lines.append(f"| {kind} | {n} | {d} | {percent(d, n)} |")
    lines += ["", "## Survivors", ""]
    survivors = [r for r in drawn if r.counted and not r.dead]
    open_ones = [r for r in survivors if r.reason is None]
    if open_ones:
        lines += ["Not noticed by the tests of their file:", "", "| place | defect |", "|---|---|"]
        lines += [f"| {r.path}:{r.line} | {r.operator}: `{_cell(r.change)}` |" for r in open_ones]
    else:
        lines.append("None that computes anything else.")
    if equal:
        lines += ["", "Equivalent:", "", "| place | defect | why nothing can notice |", "|---|---|---|"]
        lines += [
            f"| {r.path}:{r.line} | {r.operator}: `{_cell(r.change)}` | {r.reason} |"
            for r in survivors
            if r.reason is not None
        ]
    if fixed:
        lines += [
            "",
            "Survivors of the first try that are dead now:",
            "",
            "| place | defect | since | noticed by |",
            "|---|---|---|---|",
        ]
        lines += [f"| {r.path}:{r.line} | {r.operator}: `{_cell(r.change)}` | {r.remedy} | {_test(r)} |" for r in fixed]
    left = [r for r in others if r.counted and not r.dead]
    if left:
        lines += ["", "Of the other sample:", "", "| place | defect | |", "|---|---|---|"]
        lines += [
            f"| {r.path}:{r.line} | {r.operator}: `{_cell(r.change)}` | {'equivalent: ' + r.reason if r.reason else 'not noticed'} |"
            for r in left
        ]
    lines += ["", "## By hand", "", "| mistake | |", "|---|---|"]
    lines += [f"| {_cell(r.change)} | {r.verdict} |" for r in byhand]
    out = [r for r in drawn if not r.counted]
    if out:
        lines += ["", f"Not counted, since they do not compile or nothing could run: {len(out)}."]
    return "\n".join(lines) + "\n"


def _test(result: Result) -> str:
    """Return the test that failed, as far as the runner kept its name."""
    name = result.detail.removeprefix("FAILED ").removeprefix("ERROR ").split("[")[0]
    return f"`{_cell(name)}`" if "::" in name else result.verdict


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


def write(text: str, to: Path = PAGE) -> None:
    to.write_text(text, encoding="utf-8")
