"""Which mutants are tried: a sample of all, drawn with a fixed seed, kinds of defect in turn."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from benchmarks.mutants import c, python
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.targets import ROOT, TARGETS, Target

SEED = 20261128
WHOLE = 300


def everything(target: Target, root: Path = ROOT) -> list[Mutation]:
    """Return all mutations of a target's files, in a fixed order."""
    found: list[Mutation] = []
    for path in target.paths(root):
        text = (root / path).read_text(encoding="utf-8")
        found += (python if path.endswith(".py") else c).mutations(path, text)
    return sorted(found, key=lambda m: (m.path, m.start, m.operator, m.new))


def draw(target: Target, count: int, seed: int = SEED, root: Path = ROOT) -> list[Mutation]:
    """Return `count` of a target's mutations: one of each kind in turn, at random within a kind.

    Without that, constants would be most of the sample, since they are most of the mutations.
    """
    values = random.Random(f"{seed} {sorted(target.paths(root))}")
    kinds: dict[str, list[Mutation]] = defaultdict(list)
    for mutation in everything(target, root):
        kinds[mutation.operator].append(mutation)
    for one in kinds.values():
        values.shuffle(one)
    chosen: list[Mutation] = []
    order = sorted(kinds)
    while len(chosen) < count and any(kinds.values()):
        for kind in order:
            while kinds[kind] and len(chosen) < count:
                one = kinds[kind].pop()
                if not one.path.endswith(".py") or python.parses(
                    one.apply((root / one.path).read_text(encoding="utf-8"))
                ):
                    chosen.append(one)
                    break
    return chosen


def sample(size: int, seed: int = SEED, root: Path = ROOT) -> dict[str, list[Mutation]]:
    """Return about `size` mutations by target, in the proportions of `Target.share`."""
    total = sum(target.share for target in TARGETS.values() if target.paths(root))
    return {
        name: draw(target, max(1, round(size * target.share / total)), seed, root)
        for name, target in TARGETS.items()
        if target.paths(root)
    }
