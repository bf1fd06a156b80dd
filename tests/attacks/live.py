"""A service under attack: a process of its own, with tenants, and what the attackers need to know of it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np
from attacks.models import numbers_model, random_rows, table, write_models
from attacks.wire import Reply, Wire
from numpy.typing import NDArray

from churn.circuit import FEATURE_MAJOR, RECORD
from churn.client import Client
from churn.hosting.remote import Remote, ServiceError
from churn.hosting.tenants import Tenant, add_tenant
from churn.model import LinearModel
from churn.process import ServiceProcess
from churn.scoring import ScoringModel
from ckks.scheme import Encryptor
from ckks.scheme.serialization import seeded_to_bytes

TENANTS = ("alice", "bob", "mallory")
WEIGHTS = {"toy@1": (0.75, -1.5), "toy@2": (-0.5, 0.625), "other@1": (1.25, 0.5)}
FOR_EVER = 10**9
"""Answers of a model, where a test needs many."""


def toy_models() -> list[LinearModel]:
    """Two versions of one model and another: two numbers each, one parameter set."""
    return [
        numbers_model(name, weights, version=int(version))
        for (name, _, version), weights in ((key.partition("@"), weights) for key, weights in WEIGHTS.items())
    ]


class Live:
    """A service that may be killed and started again, in one folder, at one address."""

    def __init__(
        self,
        folder: Path,
        models: Sequence[LinearModel] = (),
        *,
        tenants: Sequence[str] = TENANTS,
        keys: Path | None = None,
        mode: str = "logit",
        flooded: bool = True,
        workers: int | None = 2,
        limits: Mapping[str, float] | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        answers: int = FOR_EVER,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.keys, self.tenants = folder, keys or folder / "keys", folder / "tenants.json"
        self.models = {f"{one.name}@{one.version}": one for one in models or toy_models()}
        write_models(folder / "models", self.models.values())
        self.tokens = {name: add_tenant(self.tenants, name) for name in tenants}
        self._mode, self._flooded, self._workers, self._limits = mode, flooded, workers, dict(limits or {})
        self._options, self._environment = [*options, "--answers", str(answers)], environment
        self._port = 0
        self.process = self._make()
        self.logs: list[str] = []

    def folder_of(self, tenant: str) -> Path:
        """Return where the service keeps a tenant's keys, each under its digest."""
        return self.keys / "tenants" / Tenant.of(tenant, self.tokens[tenant]).account

    def _make(self) -> ServiceProcess:
        return ServiceProcess(
            self.folder / "models",
            self.keys,
            mode=self._mode,
            flooded=self._flooded,
            workers=self._workers,
            tenants=self.tenants,
            limits=self._limits,
            options=[*self._options, "--port", str(self._port)],
            environment=self._environment,
        )

    def __enter__(self) -> Live:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start at the port of before, if there was one."""
        self.process = self._make()
        self.process.__enter__()
        self._port = httpx.URL(self.url).port or 0

    def stop(self) -> None:
        """End it, keeping what it logged."""
        if self.process.running:
            self.logs.append(self.process.log)
        self.process.stop()

    def kill(self) -> None:
        """End it as a power cut would end the process, workers included."""
        self.logs.append(self.process.log)
        workers = self.process.worker_pids
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.stop()
        for pid in workers:  # they end by themselves; the next service shall not meet them
            wait_for_end(pid)

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.process.url

    @property
    def log(self) -> str:
        """Everything that was logged, by all processes so far."""
        return "".join([*self.logs, self.process.log])

    def client(
        self,
        tenant: str = "alice",
        *,
        transport: httpx.BaseTransport | None = None,
        key_file: Path | None = None,
        passphrase: str | None = None,
    ) -> Client:
        """A client with a tenant's token."""
        return Client(self.remote(tenant, transport), key_file=key_file, passphrase=passphrase)

    def remote(self, tenant: str = "alice", transport: httpx.BaseTransport | None = None) -> Remote:
        """The calls of a client, with a tenant's token."""
        return Remote(self.url, token=self.tokens[tenant], transport=transport)

    def wire(self, seconds: float = 30.0) -> Wire:
        """A bare connection."""
        return Wire(self.url, seconds)

    def logits(self, reference: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a model's honest answers are, up to their errors."""
        return self.models[reference].logits(rows)

    def resident(self) -> int:
        """Return the bytes of memory that service and workers hold together; what they share counts once."""
        total = 0
        for pid in (self.process.pid, *self.process.worker_pids):
            with contextlib.suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
                total += int(found[1]) << 10 if found else 0
        return total


class Prepared:
    """One tenant's keys at the service, and a request that is answered as often as it gets a new nonce."""

    def __init__(
        self,
        live: Live,
        tenant: str = "alice",
        model: str = "toy@2",
        *,
        layout: str = FEATURE_MAJOR,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.live, self.tenant, self.model, self.layout = live, tenant, model, layout
        self.client = live.client(tenant, transport=transport)
        name, _, version = model.partition("@")
        self.scoring: ScoringModel = self.client.model(name)
        assert self.scoring.description.version == int(version), "the latest version is the one that clients get"
        self.keys = self.client.prepare(self.scoring, layout)
        packing, params = self.scoring.layout(layout), self.scoring.description.params
        self.rows = random_rows(1 if layout == RECORD else 100, self.scoring.schema.width, 1)
        encryptor = Encryptor(params, self.client._secret(self.scoring.description))
        sealed = encryptor.encrypt_seeded(
            self.rows if layout == RECORD else np.ascontiguousarray(self.rows.T),
            level=packing.level,
            scale=packing.scale,
            slots=packing.slots,
            bound=packing.bound,
        )
        self.body = seeded_to_bytes(*sealed)

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the keys back, and close."""
        with contextlib.suppress(ServiceError):
            for digest in {self.keys.public, self.keys.evaluation} - {None}:
                self.client.remote.delete_keys(str(digest))
        self.client.close()

    def headers(
        self, *, nonce: str | None = None, sent_at: int | None = None, length: int | None = None
    ) -> dict[str, str]:
        """Return the headers of an evaluation, in the order in which they are sent."""
        headers = {
            "Host": "service",
            "Authorization": f"Bearer {self.live.tokens[self.tenant]}",
            "CKKS-Parameters": self.scoring.description.params.digest.hex(),
            "CKKS-Layout": self.layout,
            "CKKS-Nonce": nonce or secrets.token_hex(16),
            "CKKS-Time": str(int(time.time()) if sent_at is None else sent_at),
            "Content-Length": str(len(self.body) if length is None else length),
        }
        if self.keys.public is not None:
            headers["CKKS-Public-Key"] = self.keys.public
        if self.keys.evaluation is not None:
            headers["CKKS-Keys"] = self.keys.evaluation
        return headers

    @property
    def path(self) -> str:
        """Where the request goes."""
        return f"/v1/models/{self.model}:evaluate"

    def request(self, **given: object) -> bytes:
        """Return a whole request, with a nonce of its own unless one is given."""
        return head_of("POST", self.path, self.headers(**given)) + self.body  # type: ignore[arg-type]

    def ask(self, wire: Wire) -> Reply:
        """Send the request once."""
        return wire.ask(self.request())

    def check(self) -> None:
        """Score the rows through the client, as anybody would; fail unless the scores are right."""
        ask = self.client.score_record if self.layout == RECORD else self.client.score
        scores = ask(self.scoring, table(self.rows))
        error = self.scoring.description.output.error
        assert scores.logits is not None
        assert np.abs(scores.logits - self.live.logits(self.model, self.rows)).max() <= error


def head_of(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def simple(method: str, path: str, token: str, **headers: str) -> bytes:
    """Return a request without a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return head_of(method, path, {"Host": "service", "Authorization": f"Bearer {token}", **named})


def wait_for_end(pid: int, seconds: float = 10.0) -> None:
    """Return when a process that is not our child has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return
    raise TimeoutError(f"process {pid} is still there")


@contextlib.contextmanager
def running(folder: Path, *arguments: object, **given: object) -> Iterator[Live]:
    """Run a service for as long as the block lasts; it must not have died by then."""
    with Live(folder, *arguments, **given) as live:  # type: ignore[arg-type]
        yield live
        assert live.process.running, live.log[-2000:]
