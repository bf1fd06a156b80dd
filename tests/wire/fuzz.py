"""Fuzzing the readers of stored objects.

    PYTHONPATH=tests python -m wire.fuzz KIND [--runs 100000] [--seed 1] [--plain]

KIND is one of `objects.CASES` ("public key", "model", ...), or all. With atheris (the extra `fuzz`) coverage guides which
objects are changed next; without it, or with --plain, chance does. Each input has to be refused with SerializationError
(a secret key file of other parameters with BasisMismatch), or be stored again as the bytes that it was; within 100 ms
of processor time; and without the process growing by more than the input's length and 16 MiB.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 0.1
GROWTH = 16 * 2**20
KINDS = ("parameters", "public key", "switching key", "evaluation keys", "ciphertext", "seeded ciphertext", "plaintext",
         "model", "secret key")  # fmt: skip
"""Those of `objects.CASES`, which is imported late: coverage has to be there first."""
TRACED = ("ckks.rlwe.frame", "ckks.rlwe.header", "ckks.rlwe.packing", "ckks.rlwe.seeds", "ckks.rlwe.serialization",
          "ckks.rlwe.serialization_params", "ckks.scheme.serialization", "ckks.scheme.serialization_meta",
          "ckks.scheme.serialization_model", "ckks.rlwe.secret.export")  # fmt: skip
"""Modules whose coverage counts."""


class Broken(AssertionError):
    """An input did what none may do."""


class Memory:
    """The largest resident size since the last look, where the system tells it; of the whole process elsewhere."""

    def __init__(self) -> None:
        """Open what is read at each input."""
        try:
            self._status: int | None = os.open("/proc/self/status", os.O_RDONLY)
            self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        except OSError:
            self._status = None
        self.now = self.peak = self.look()

    def look(self) -> int:
        """Return the peak since the last look, in bytes, and start anew."""
        if self._status is None:
            self.now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            return self.now
        text = os.pread(self._status, 4096, 0)
        peak, self.now = (1024 * int(text.partition(key)[2].split(None, 1)[0]) for key in (b"VmHWM:", b"VmRSS:"))
        os.pwrite(self._reset, b"5", 0)
        return peak


@dataclass
class Harness:
    """Runs inputs of one kind and keeps the figures."""

    name: str
    runs: int = 0
    taken: int = 0
    slowest: float = 0.0
    growth: int = 0
    corpus: int = 0
    how: str = "by chance"
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Load what is loaded late, so that it counts against no input."""
        from wire import objects

        from ckks.errors import BasisMismatch, SerializationError

        self.params = objects.tiny()
        # The one function that reads both kinds of ciphertext, with the seed that storing needs.
        self.case = objects.CASES["seeded ciphertext" if self.name == "ciphertext" else self.name]
        self.refusals: tuple[type[Exception], ...] = (SerializationError,)
        if self.case.kind is None:
            self.refusals += (BasisMismatch,)
        self.seeds = self._seeds()
        self.memory = Memory()
        for data in (*self.seeds, b""):
            self(data)
        self.runs = self.taken = self.growth = 0
        self.slowest, self.before = 0.0, self.memory.now
        self.started = time.monotonic()

    def _seeds(self) -> list[bytes]:
        """Stored objects under the same parameters, those of this kind first."""
        from wire import golden, objects

        every = [data for name, under, data in golden.everything() if under in ("parameters", name)]
        own = [data for data in every if self._kind(data) == objects.CASES[self.name].kind]
        return [*own, *(data for data in every if data not in own and len(data) > 176)]

    @staticmethod
    def _kind(data: bytes) -> int | None:
        return data[10] if data.startswith(b"CKKSWIRE") else None

    def __call__(self, data: bytes) -> None:
        """Run one input; raise Broken, or whatever else escapes from the reader."""
        self.memory.look()  # what a fuzzer takes between inputs is not the reader's
        before, start = self.memory.now, time.thread_time()
        try:
            obj = self.case.load(data, self.params)
        except self.refusals as error:
            if len(str(error)) > 400:
                raise Broken(f"an error of {len(str(error))} characters") from None
        else:
            self.taken += 1
            if self.case.store(obj, self.params) != data:
                raise Broken("an object that is stored differently from what was read")
        seconds = time.thread_time() - start
        grown = self.memory.look() - before
        self.runs += 1
        self.slowest, self.growth = max(self.slowest, seconds), max(self.growth, grown)
        if seconds > SECONDS:
            raise Broken(f"{seconds * 1e3:.0f} ms for {len(data)} bytes; needed at most {SECONDS * 1e3:.0f}")
        if grown > len(data) + GROWTH:
            raise Broken(f"{grown} bytes of growth for {len(data)} bytes")

    def report(self) -> str:
        """Return one line of figures."""
        seconds = time.monotonic() - self.started
        return (
            f"{self.name}: {self.runs} executions ({self.how}), {self.taken} taken, 0 crashes, corpus {self.corpus}, "
            f"slowest {self.slowest * 1e3:.1f} ms, largest growth of one input {self.growth / 2**20:.2f} MiB, "
            f"from first to last {(self.memory.now - self.before) / 2**20:.1f} MiB, {self.runs / seconds:.0f}/s"
        )


def by_chance(name: str, runs: int, seed: int) -> Harness:
    """Run changed objects, which are changed again when they were taken; return the harness with its figures."""
    from wire.mutation import Mutator

    harness, source = Harness(name), random.Random(f"{name} {seed}")
    mutator, corpus = Mutator(name, harness.seeds), list(harness.seeds)
    while harness.runs < runs:
        data = mutator.change(source.choice(corpus), source)
        taken = harness.taken
        harness(data)
        if harness.taken > taken and len(data) < 2048:
            if len(corpus) < 256:
                corpus.append(data)
            else:
                corpus[source.randrange(len(harness.seeds), 256)] = data
    harness.corpus = len(corpus)
    return harness


def by_coverage(name: str, runs: int, seed: int) -> None:
    """Run atheris; the figures are printed and the process ends."""
    import atheris

    with atheris.instrument_imports(include=list(TRACED)):
        harness = Harness(name)
    from wire.mutation import LARGEST, Mutator

    mutator = Mutator(name, harness.seeds, lambda data, size: bytes(atheris.Mutate(data, size)))
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(harness.seeds):
            (Path(folder) / f"seed-{i}").write_bytes(data)

        def one(data: bytes) -> None:
            harness(data)
            if harness.runs >= runs:
                harness.corpus, harness.how = len(os.listdir(folder)), "by coverage"
                print(harness.report(), flush=True)
                subprocess.run(["rm", "-r", folder], check=False)
                os._exit(0)  # libFuzzer does not come back

        def custom(data: bytes, size: int, number: int) -> bytes:
            return mutator.change(data, random.Random(number))[:size]

        flags = [f"-seed={seed}", f"-max_len={LARGEST}", "-print_final_stats=0", "-verbosity=0", "-rss_limit_mb=0"]
        atheris.Setup([sys.argv[0], *flags, folder], one, custom_mutator=custom)
        atheris.Fuzz()


def has_atheris() -> bool:
    """Tell whether coverage can guide."""
    from importlib.util import find_spec

    return find_spec("atheris") is not None


def main(arguments: list[str]) -> int:
    """Run one kind, or each in a process of its own."""
    parser = argparse.ArgumentParser(prog="wire.fuzz", description="Fuzz the readers of stored objects.")
    parser.add_argument("kind", choices=[*KINDS, "all"])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="by chance, without coverage")
    chosen = parser.parse_args(arguments)
    if chosen.kind == "all":
        options = ["--runs", str(chosen.runs), "--seed", str(chosen.seed), *(["--plain"] if chosen.plain else [])]
        codes = [
            subprocess.run([sys.executable, "-m", "wire.fuzz", name, *options], check=False).returncode
            for name in KINDS
        ]
        return max(codes)
    if has_atheris() and not chosen.plain:
        by_coverage(chosen.kind, chosen.runs, chosen.seed)
    print(by_chance(chosen.kind, chosen.runs, chosen.seed).report())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
