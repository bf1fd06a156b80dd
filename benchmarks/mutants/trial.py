"""The tests of one mutant, in a process forked from this one, which has the large packages loaded already."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

PRELOADED = (
    "numpy",
    "numpy.testing",
    "pytest",
    "hypothesis",
    "mpmath",
    "cffi",
    "cryptography.hazmat.primitives.ciphers",
)
"""Never a module of the project: those are what changes."""
PASSED = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: its `verdict` is killed, timeout, survived, or a reason why it does not count."""

    verdict: str
    seconds: float
    detail: str = ""

    @property
    def dead(self) -> bool:
        """Whether a test noticed."""
        return self.verdict in ("killed", "timeout")


def preload(extra: tuple[str, ...] = ()) -> None:
    """Import what every trial needs, once."""
    for name in (*PRELOADED, *extra):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not {"ckks", "churn"} & set(sys.modules), "modules of the project are not to be loaded here"


def run(root: Path, tests: list[str], chosen: str, seconds: float, log: Path) -> Outcome:
    """Run tests below `root` until the first failure; end the whole process group after `seconds`."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(root, tests, chosen, log)
    status = _wait(child, seconds)
    spent = time.monotonic() - start
    if status is None:
        return Outcome("timeout", spent)
    if os.WIFSIGNALED(status):
        return Outcome("killed", spent, f"signal {os.WTERMSIG(status)}")
    code = os.WEXITSTATUS(status)
    if code == PASSED:
        return Outcome("survived", spent)
    if code in (3, 4, 5, 99):  # pytest's own troubles, or nothing selected
        return Outcome("no tests", spent, _first_failure(log))
    return Outcome("killed", spent, _first_failure(log))


def _child(root: Path, tests: list[str], chosen: str, log: Path) -> None:
    code = 99
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.chdir(root)
        sys.dont_write_bytecode = True  # which is told apart by size and second alone: mutants follow each other faster
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path[:] = [
            str(root),
            *(p for p in sys.path if p and Path(p).resolve() != Path(__file__).resolve().parents[2]),
        ]
        sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
        for name in [n for n in sys.modules if n == "benchmarks" or n.startswith("benchmarks.")]:
            del sys.modules[name]
        import pytest

        selection = ["-k", chosen] if chosen else []
        selection += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what was imported beforehand
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", *selection, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait(child: int, seconds: float) -> int | None:
    """Wait for a child, `seconds` at most; time in which this process was itself suspended does not count."""
    left, last = seconds, time.monotonic()
    while left > 0:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            _end(child)  # what the tests may have left running
            return status
        time.sleep(0.02)
        now = time.monotonic()
        left, last = left - min(now - last, 1.0), now
    _end(child)
    os.waitpid(child, 0)
    return None


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _first_failure(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            if line.startswith(("FAILED", "ERROR")):
                return line.split(" - ")[0][:160]
        return next((line[:160] for line in reversed(lines) if line.strip()), "")
    return ""
