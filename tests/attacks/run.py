"""One run from end to end, the command line's client and a service, with everything kept that either let out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from attacks.live import Live
from attacks.models import numbers_model, random_rows, table
from attacks.proxy import Recorder
from numpy.typing import NDArray

import ckks
from churn.hosting.model import Description
from churn.hosting.remote import Remote
from churn.model import LinearModel
from ckks.rlwe.secret import SecretKey, load_secret_key

WEIGHTS = (0.7390851332, -0.5671432904)
BIAS = 0.3141592654
PASSPHRASE = "correct horse battery staple"
_CALLS = """
import json, sys
from churn.cli import app
for call in json.loads(sys.argv[1]):
    app(call, standalone_mode=False)
"""


@dataclass
class Evidence:
    """What a run left: bytes by name, the secret keys it used, the numbers that nobody should see, the service's log."""

    places: dict[str, bytes] = field(default_factory=dict)
    key_files: dict[str, bytes] = field(default_factory=dict)
    secrets: list[SecretKey] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    rows: NDArray[np.float64] | None = None
    logits: NDArray[np.float64] | None = None
    log: str = ""
    health: bytes = b""
    requests: int = 0

    def total(self) -> int:
        """Return the bytes in all places."""
        return sum(map(len, self.places.values()))


def model() -> LinearModel:
    """The model of the run, whose numbers are easily found."""
    return numbers_model("secretive", WEIGHTS, BIAS)


def record_run(folder: Path, mode: str, *, memory: bool = False) -> Evidence:
    """Score a table, one record with the same key, and the table with a sealed key file.

    With `memory`, all that service and worker have in their memory afterwards is kept as well.
    """
    found, home = Evidence(), folder / "home"
    for each in ("home", "tmp", "client"):
        (folder / each).mkdir(parents=True)
    around = {"HOME": str(home), "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(home / ".cache")}
    found.rows = random_rows(300, len(WEIGHTS), 5)
    table(found.rows).to_csv(folder / "records.csv", index=False)
    with Live(folder / "service", [model()], mode=mode, workers=1, environment=around) as live:
        found.tokens, found.logits = list(live.tokens.values()), model().logits(found.rows)
        with Recorder(live.url) as network:
            runs = [["open.key"], ["open.key", "--record", "3"], ["sealed.key", "--passphrase-env", "PASSPHRASE"]]
            found.places["what clients printed"] = _score(folder, network.url, runs, around, live)
            description = _description(live)
            with live.wire() as wire:
                found.health = wire.ask(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n").body
            found.places["memory that service and workers share"] = _shared_memory(live.process.pid)
            if memory:
                for pid in (live.process.pid, *live.process.worker_pids):
                    found.places[f"memory of process {pid}"] = _memory(pid)
        found.places |= {"sockets, from the client": network.up, "sockets, to the client": network.down}
        found.requests = len(re.findall(rb" HTTP/1\.1\r\n", network.up)) + live.log.count('"/v1/health"')
        for name, passphrase in (("open.key", None), ("sealed.key", PASSPHRASE)):
            path = folder / "client" / name
            found.secrets.append(load_secret_key(path, description.params, passphrase))
            found.key_files[name] = path.read_bytes()
        live.stop()
        found.log = live.log
    found.places["log"] = found.log.encode()
    for path in sorted(folder.rglob("*")):
        # The records themselves are the client's; its unsealed key file is the one place where the key may be.
        if path.is_file() and path.name not in ("open.key", "records.csv"):
            found.places[str(path.relative_to(folder))] = path.read_bytes()
    return found


def _score(folder: Path, url: str, runs: list[list[str]], around: dict[str, str], live: Live) -> bytes:
    """Run `churn score` with each list of options, one after the other in one process, and return what it printed."""
    common = ["score", "--data", "../records.csv", "--model", model().name, "--url", url, "--token-env", "TOKEN"]
    calls = [[*common, "--out", f"scores{k}.csv", "--key-file", *options] for k, options in enumerate(runs)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CKKS_")}
    done = subprocess.run(
        [sys.executable, "-c", _CALLS, json.dumps(calls)],
        cwd=folder / "client",
        env={
            **inherited,
            **around,
            "PYTHONPATH": str(Path(ckks.__file__).parents[1]),
            "TOKEN": live.tokens["alice"],
            "PASSPHRASE": PASSPHRASE,
        },
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return bytes(done.stdout + done.stderr)


def _description(live: Live) -> Description:
    with Remote(live.url, token=live.tokens["alice"]) as remote:
        return remote.describe(model().name)


def _shared_memory(pid: int) -> bytes:
    """Return what lies in the nameless files of a process."""
    found = b""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "memfd:" in os.readlink(handle):
                found += handle.read_bytes()
    return found


def _memory(pid: int) -> bytes:
    """Return everything that a process may write to: heap, stacks, buffers, whatever was freed and not overwritten."""
    found = bytearray()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            start, end = (int(each, 16) for each in place.split("-"))
            if rights.startswith("rw") and "[v" not in line:
                with contextlib.suppress(OSError):
                    memory.seek(start)
                    found += memory.read(end - start)
    return bytes(found)
