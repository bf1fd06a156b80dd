"""The evaluation service as a process of its own, for as long as a with block lasts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO

from churn.hosting.remote import Remote, ServiceUnavailable

__all__ = ["ServiceProcess"]

_START_SECONDS = 240.0  # kernels that are compiled at run time take their time, once
_STOP_SECONDS = 8.0


class ServiceProcess:
    """`python -m churn serve` on a free loopback port.

        with ServiceProcess(models, keys, mode="probability") as service:
            Remote(service.url).health()

    It ends with the block, whatever happens in it; and by itself when this process is gone, since
    it watches the pipe that only this process holds.
    """

    def __init__(
        self,
        models: str | Path,
        keys: str | Path,
        *,
        mode: str = "logit",
        flooded: bool = True,
        threads: int | None = None,
        workers: int | None = None,
        tenants: str | Path | None = None,
        ca: str | Path | None = None,
        limits: Mapping[str, float] | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Remember what to serve.

        Args:
            models, keys: folders.
            mode, flooded: what the models give.
            threads, workers: as the service chooses unless given.
            tenants: file of tenants; without one, whoever is on this machine is let in.
            ca: certificates to trust, for a service that was told to use TLS.
            limits: some of `hosting.limits.Limits`, by name.
            options: more of the command line.
            environment: more of it, for the service alone.
        """
        self.url = ""
        self._ca, self._environment = ca, dict(environment or {})
        self._command = [sys.executable, "-m", "churn", "serve", "--models", str(models), "--keys", str(keys)]
        self._command += ["--mode", mode, "--port", "0", "--until-stdin-closes", *([] if flooded else ["--unflooded"])]
        for name, value in (("threads", threads), ("workers", workers), ("tenants", tenants)):
            self._command += [] if value is None else [f"--{name}", str(value)]
        for name, limit in (limits or {}).items():
            self._command += ["--limit", f"{name}={limit}"]
        self._command += options
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> ServiceProcess:
        """Start, and wait until it answers; ServiceUnavailable, with its own words, if it does not."""
        package = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self._errors = tempfile.TemporaryFile()
        # A session of its own: an interrupt in the terminal reaches this process, which then stops it.
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **self._environment},
            start_new_session=os.name != "nt",
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            self.url = self._announced(deadline)
            self._wait_until_healthy(deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the service."""
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; the process must have been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of its workers, as the system lists them (Linux)."""
        found = []
        for listed in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(pid) for pid in listed.read_text().split()]
        return sorted(found)

    @property
    def log(self) -> str:
        """Everything that it and its workers wrote to standard error so far; empty after `stop`."""
        if self._errors is None or self._errors.closed:
            return ""
        return os.pread(self._errors.fileno(), os.fstat(self._errors.fileno()).st_size, 0).decode("utf-8", "replace")

    def stop(self) -> None:
        """Ask it to end, insist, and in the end kill it."""
        process = self._process
        if process is None:
            return
        self._process = None
        for ask in (process.stdin.close if process.stdin else process.terminate, process.terminate, process.kill):
            try:
                ask()
                process.wait(_STOP_SECONDS)
                break
            except (subprocess.TimeoutExpired, OSError):
                continue
        if process.stdout is not None:
            process.stdout.close()
        if self._errors is not None:
            self._errors.close()

    def _announced(self, deadline: float) -> str:
        """Return the URL that the service prints when it is ready."""
        assert self._process is not None and self._process.stdout is not None
        lines: Queue[bytes] = Queue()
        stdout = self._process.stdout

        def drain() -> None:
            try:
                for line in stdout:
                    lines.put(line)
            except ValueError:
                pass  # closed by stop()
            lines.put(b"")

        Thread(target=drain, daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                line = b""
            if not line:
                raise self._failed()
            for word in line.decode("utf-8", "replace").split():
                if word.startswith(("http://", "https://")):
                    return word

    def _wait_until_healthy(self, deadline: float) -> None:
        with Remote(self.url, seconds=10, ca=self._ca) as remote:
            while True:
                try:
                    remote.health()
                    return
                except ServiceUnavailable:
                    if not self.running or time.monotonic() > deadline:
                        raise self._failed() from None
                    time.sleep(0.05)

    def _failed(self) -> ServiceUnavailable:
        assert self._process is not None and self._errors is not None
        try:
            self._process.wait(1.0)
            state = f"ended with exit code {self._process.returncode}"
        except subprocess.TimeoutExpired:
            state = f"did not answer within {_START_SECONDS:.0f} s"
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return ServiceUnavailable(
            f"the evaluation service {state}" + (f", saying: {said[-1][:500]}" if said else ""),
            "a service on this machine is needed",
            "Run 'python -m churn serve --models DIR' to see all of it",
        )
