"""A copy of the project in a temporary folder, in which one file at a time is changed, and its compiled kernels.

Objects are compiled once, without optimisation that would take longer than it saves; after a change of a C file that file
is compiled again, after a change of a header everything. A mutant that does not compile is no mutant.
"""

from __future__ import annotations

import itertools
import os
import runpy
import shlex
import shutil
import subprocess
import sysconfig
import time
from pathlib import Path

from benchmarks.mutants.targets import ROOT

COPIED = (
    "ckks",
    "churn",
    "native",
    "tests",
    "benchmarks",
    "examples",
    "docs",
    "pyproject.toml",
    "README.md",
    "setup.py",
)
FLAGS = ["-std=c11", "-O1", "-g0", "-ffp-contract=off", "-fno-fast-math", "-fPIC", "-w"]


class DoesNotCompile(Exception):
    """The changed C source is refused by the compiler."""


class Workspace:
    """The copy; `changed` puts back what it changed."""

    def __init__(self, folder: Path) -> None:
        """Copy the tree as it is now, without build products."""
        self.root = folder
        ignored = shutil.ignore_patterns("__pycache__", "*.o", ".mypy_cache", ".hypothesis", "build")
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored)
            elif source.exists():
                shutil.copy2(source, folder / name)
        self._objects = folder / "objects"
        self._clock = itertools.count(int(time.time()) + 1)

    def read(self, path: str) -> str:
        """Return the text of a file of the copy."""
        return (self.root / path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        """Change a file; its time is one that it never had, so that no compiled copy of it is taken for it."""
        target = self.root / path
        target.write_text(text, encoding="utf-8")
        stamp = next(self._clock)
        os.utime(target, (stamp, stamp))

    # ---- compiled kernels ------------------------------------------------------------------------

    def build(self, changed: str | None = None) -> None:
        """Compile what has to be, and link `ckks._native`; DoesNotCompile says that it cannot be."""
        self._objects.mkdir(exist_ok=True)
        sources = sorted((self.root / "native" / "src").rglob("*.c"))
        if changed is not None and changed.endswith(".c"):
            again = [self.root / changed]
        else:
            again = sources
            self._binding()
        for source in again:
            self._compile(source)
        objects = [str(self._object(source)) for source in sources]
        module = next((self.root / "ckks").glob("_native*.so"), self.root / "ckks" / "_native.abi3.so")
        fresh = module.with_suffix(".new")
        self._run(["-shared", *objects, str(self._objects / "binding.o"), "-o", str(fresh)])
        fresh.replace(module)  # a new file: whoever has the old one open keeps it

    def _binding(self) -> None:
        source = self._objects / "binding.c"
        if not source.exists():
            before = Path.cwd()
            os.chdir(self.root)
            try:
                ffi = runpy.run_path("native/build.py")["ffi"]
            finally:
                os.chdir(before)
            ffi.emit_c_code(str(source))
        include = sysconfig.get_path("include")
        self._run(
            ["-DPy_LIMITED_API=0x030b0000", f"-I{include}", "-c", str(source), "-o", str(self._objects / "binding.o")]
        )

    def _object(self, source: Path) -> Path:
        return self._objects / (str(source.relative_to(self.root / "native" / "src")).replace("/", "_") + ".o")

    def _compile(self, source: Path) -> None:
        self._run(["-c", str(source), "-o", str(self._object(source))])

    def _run(self, arguments: list[str]) -> None:
        compiler = shlex.split(os.environ.get("CC", "cc"))
        include = [f"-I{self.root / 'native' / part}" for part in ("include", "src")]
        done = subprocess.run([*compiler, *FLAGS, *include, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise DoesNotCompile(done.stderr[-400:])
