"""The run's side of the pipe: one process per library."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from threading import Timer
from typing import Any

from benchmarks.pages import ROOT
from benchmarks.peers.errors import WorkerFailed
from benchmarks.peers.registry import Entry

PATIENCE = 900.0
"""Seconds after which a request counts as hung."""


class Worker:
    """A process that answers for one library.

    `absent` says why there is nothing to measure (not installed, or not for this interpreter), None when it is ready.
    Leaving the with block ends the process.
    """

    def __init__(self, entry: Entry, *, python: str = sys.executable, threads: int = 1) -> None:
        """Start the process and wait until it has imported its library."""
        self.entry = entry
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed by close)
        environment = {
            **os.environ,
            "CKKS_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }
        if python != sys.executable:
            environment.pop("PYTHONPATH", None)  # packages of this interpreter are none of that one's
        self._process = subprocess.Popen(
            [python, "-m", entry.module],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.absent: str | None = self._read().get("absent")
        except WorkerFailed:
            self.close()
            raise

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the worker's answer; raise WorkerFailed for an error, a crash or silence."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._dead() from None
        answer = self._read()
        if "error" in answer:
            raise WorkerFailed(f"{self.entry.name}: {do} {arguments}: {answer['error']}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        """End the process: it stops when its input does, or is stopped."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Worker:
        """Return the worker."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = Timer(PATIENCE, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise self._dead()
        try:
            answer: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            raise WorkerFailed(f"{self.entry.name}: not JSON on the pipe: {line[:80]!r}") from None
        return answer

    def _dead(self) -> WorkerFailed:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()[-3:]
        return WorkerFailed(f"{self.entry.name}: the worker ended with status {code}: {' | '.join(said) or 'silently'}")
