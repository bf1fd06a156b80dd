"""S11 and S13: a service that is killed has lost nothing that it acknowledged, and keeps nothing by halves."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from attacks.live import Live, Prepared, head_of
from attacks.models import random_rows, table
from conftest import Figure

from churn.hosting.remote import BadAnswer, ServiceBusy, ServiceError, ServiceUnavailable
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme.serialization import to_bytes

pytestmark = pytest.mark.service

PIECES = 12


class Uploading(threading.Thread):
    """Sends a key in pieces; `status` is what it was told, None while it was told nothing."""

    def __init__(self, live: Live, prepared: Prepared, key: bytes) -> None:
        super().__init__(daemon=True)
        self.digest, self.status = hashlib.sha256(key).hexdigest(), None
        headers = {**prepared.headers(), "Content-Length": str(len(key))}
        self._head, self._key, self._wire = head_of("PUT", f"/v1/keys/{self.digest}", headers), key, live.wire()

    def run(self) -> None:
        with self._wire as wire, contextlib.suppress(OSError, AssertionError):
            wire.socket.sendall(self._head)
            step = len(self._key) // PIECES + 1
            for start in range(0, len(self._key), step):
                wire.socket.sendall(self._key[start : start + step])
                time.sleep(0.001)
            self.status = wire.reply().status or None


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_a_killed_upload_is_absent_or_whole(mortal: Live, kills: int, figure: Figure) -> None:
    rng, seen = random.Random(kills), Counter[str]()
    with Prepared(mortal) as alice:
        description = alice.scoring.description
        generator, secret = KeyGenerator(description.params), alice.client._secret(description)
        for _ in range(kills):
            key = to_bytes(generator.public_key(secret))
            upload = Uploading(mortal, alice, key)
            upload.start()
            time.sleep(rng.uniform(0, 0.15))
            mortal.kill()
            upload.join(20)
            assert not upload.is_alive()
            mortal.start()
            place = mortal.folder_of("alice") / upload.digest
            there = alice.client.remote.has_keys(upload.digest)
            assert there == place.is_file() and not list((mortal.keys / "uploads").iterdir())
            if there:
                assert hashlib.sha256(place.read_bytes()).hexdigest() == upload.digest
                alice.client.remote.delete_keys(upload.digest)
            assert there or upload.status is None, "acknowledged, and gone"
            seen["whole" if there else "absent"] += 1
        alice.check()  # with the key of before
    figure(
        "S11", f"kill -9 at {kills} moments of an upload: {seen['absent']} absent, {seen['whole']} whole, 0 by halves"
    )


class Loaded(threading.Thread):
    """A client that scores rows without end, and tries again when the service was not there."""

    def __init__(self, live: Live, tenant: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.done, self.failed, self.wrong = 0, Counter[str](), list[str]()
        self.stop = threading.Event()
        self._live, self._client, self._rng = live, live.client(tenant), np.random.default_rng(seed)
        self._model = self._client.model("toy")
        self._client.prepare(self._model)
        self._sent = self._client.usage.bytes_keys

    def run(self) -> None:
        while not self.stop.is_set():
            rows = random_rows(3, 2, int(self._rng.integers(1 << 30)))
            try:
                scores = self._client.score(self._model, table(rows))
            except (ServiceUnavailable, ServiceBusy, BadAnswer) as error:
                # Cleanly: the connection broke, or the service said that it was busy. Never a wrong score.
                self.failed[type(error).__name__] += 1
                if isinstance(error, BadAnswer) and "broke off" not in str(error):
                    self.wrong.append(str(error))
                time.sleep(0.2)
                continue
            except ServiceError as error:
                self.wrong.append(str(error))
                continue
            assert scores.logits is not None
            off = np.abs(scores.logits - self._live.logits("toy@2", rows)).max()
            if off > scores.model.output.error:
                self.wrong.append(f"off by {off}")
            self.done += 1
        if self._client.usage.bytes_keys != self._sent:
            self.wrong.append("keys that were acknowledged had to be sent again")
        self._client.close()


@pytest.mark.parametrize("restarts", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(2 * 3600)])])
def test_restarts_lose_nothing_acknowledged(tmp_path: Path, restarts: int, figure: Figure) -> None:
    names = [f"t{k}" for k in range(8)]
    with Live(tmp_path / "service", tenants=names, workers=1) as live:
        clients = [Loaded(live, name, seed) for seed, name in enumerate(names)]
        for client in clients:
            client.start()
        for turn in range(restarts):
            _wait_for_progress(clients)
            live.stop() if turn % 2 else live.kill()
            live.start()
        _wait_for_progress(clients)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive()
    assert not [client.wrong for client in clients if client.wrong], [client.wrong[:3] for client in clients]
    failed = sum((client.failed for client in clients), Counter[str]())
    figure(
        "S13",
        f"{restarts} restarts, half of them kill -9, under 8 clients: {sum(client.done for client in clients)} right "
        f"scores, {failed.total()} clean failures and retries, no key sent again",
    )


def _wait_for_progress(clients: list[Loaded], seconds: float = 60.0) -> None:
    """Return when every client has had an answer since now."""
    before, deadline = [client.done for client in clients], time.monotonic() + seconds
    while not all(client.done > done for client, done in zip(clients, before, strict=True)):
        assert time.monotonic() < deadline, f"no answer in {seconds} s; {[client.failed for client in clients]}"
        assert all(client.is_alive() for client in clients)
        time.sleep(0.01)
