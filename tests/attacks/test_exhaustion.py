"""S12: without disk, handles, memory or workers a service says so, loses nothing, and is itself again afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks.live import Live, Prepared, head_of, running
from attacks.wire import Reply, Wire
from conftest import Figure

from churn.hosting.protocol import digest_of
from churn.hosting.remote import ServiceError
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme.serialization import to_bytes

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of a running process are Linux's"),
]

RELIEF_SECONDS = 5.0
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


def _put(wire: Wire, prepared: Prepared, key: bytes) -> Reply:
    headers = {**prepared.headers(), "Content-Length": str(len(key))}
    return wire.ask(head_of("PUT", f"/v1/keys/{digest_of(key)}", headers) + key)


def _told(seen: Counter[int]) -> str:
    return ", ".join(f"{status}: {number}" for status, number in sorted(seen.items()))


def _new_key(prepared: Prepared) -> bytes:
    description = prepared.scoring.description
    return to_bytes(KeyGenerator(description.params).public_key(prepared.client._secret(description)))


def _recovery(live: Live, prepared: Prepared) -> float:
    """Return after how many seconds an upload and a score work again; fail when they do not in time."""
    start = time.monotonic()
    while True:
        try:
            with live.wire(RELIEF_SECONDS) as wire:
                key = _new_key(prepared)
                status = _put(wire, prepared, key).status
            if status == 201:
                prepared.client.remote.delete_keys(digest_of(key))
                prepared.check()
                return time.monotonic() - start
        except (OSError, ServiceError, AssertionError):
            if time.monotonic() - start > RELIEF_SECONDS:
                raise
        assert time.monotonic() - start <= RELIEF_SECONDS, "no full service in time"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no small file system can be mounted here (needs root); full disks are in tests/churn/ as well")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path, figure: Figure) -> None:
    """Full at every point of an upload: so many bytes are left, and it is more than that."""
    seen, limits = Counter[int](), {"key_objects": 1000}
    service = running(tmp_path / "service", keys=small_disk / "keys", workers=1, limits=limits)
    with service as live, Prepared(live) as alice, Prepared(live, "bob") as bob, live.wire() as wire:
        stored = live.folder_of("alice") / str(alice.keys.public)
        before = stored.read_bytes()
        for free in (0, 1, 2, 5, 10, 25, 40, 44):  # pages of 4 KiB; a key takes 44
            filler = small_disk / "filler"
            _fill(filler, small_disk, free)
            statuses = [_put(wire, bob, _new_key(bob)).status, alice.ask(wire).status]
            statuses.append(wire.ask(HEALTH).status)
            assert statuses[0] in (201, 503, 507) and statuses[1] in (200, 503, 507) and statuses[2] == 200
            assert free > 40 or statuses[0] != 201
            seen.update(statuses[:2])
            assert not list((live.keys / "uploads").iterdir()) and stored.read_bytes() == before
            filler.unlink()
        took = _recovery(live, bob)
        alice.check()
    assert seen[507] + seen[503] >= 7
    figure(
        "S12", f"disk full at 8 points of an upload ({_told(seen)}): nothing lost, full service after {took:.1f} s (5)"
    )


def _fill(filler: Path, disk: Path, pages: int) -> None:
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    size = os.stat(filler).st_size
    found = os.statvfs(disk)
    missing = pages * 4096 - found.f_bavail * found.f_frsize
    os.truncate(filler, max(0, size - max(0, missing)))


@contextlib.contextmanager
def _limited(pid: int, kind: int, most: int) -> Iterator[None]:
    """Let a running process have no more than so much of something, for as long as the block lasts."""
    _, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, (hard, hard))


def test_few_file_handles(live: Live, alice: Prepared, figure: Figure) -> None:
    """64 handles, and 100 connections that want one each: files and workers still get theirs."""
    seen, before = Counter[int](), len(live.log)
    with (
        _limited(live.process.pid, resource.RLIMIT_NOFILE, 64),
        live.wire(20.0) as wire,
        contextlib.ExitStack() as held,
    ):
        assert wire.ask(HEALTH).status == 200
        for _ in range(100):
            assert held.enter_context(live.wire()).socket
        time.sleep(0.5)
        for _ in range(3):
            seen[alice.ask(wire).status] += 1
        seen[_put(wire, alice, _new_key(alice)).status] += 1
    assert set(seen) <= {200, 201, 503, 507}, seen
    assert len(live.log) - before < 64 << 10
    took = _recovery(live, alice)
    figure("S12", f"64 handles, 100 connections: {_told(seen)}; full service after {took:.1f} s (5)")


def test_no_file_handles(live: Live, alice: Prepared, figure: Figure) -> None:
    """Not one more handle, while strangers come: what is open is served or refused, and nobody waits for long."""
    seen, before, slowest = Counter[int](), len(live.log), 0.0
    with live.wire(20.0) as wire, live.wire(20.0) as second, contextlib.ExitStack() as held:
        assert wire.ask(HEALTH).status == second.ask(HEALTH).status == 200
        with _limited(live.process.pid, resource.RLIMIT_NOFILE, 3):
            for _ in range(20):
                assert held.enter_context(live.wire()).socket
            for _ in range(3):
                start = time.monotonic()
                if wire.connected:
                    seen[alice.ask(wire).status] += 1
                slowest = max(slowest, time.monotonic() - start)
            seen[_put(second, alice, _new_key(alice)).status] += 1
    assert set(seen) <= {200, 503, 507} and seen[503] + seen[507], seen
    assert slowest < 5 and len(live.log) - before < 64 << 10
    took = _recovery(live, alice)
    figure("S12", f"no handle at all, 20 connections: {_told(seen)}; full service after {took:.1f} s (5)")


def _address_space(pid: int) -> int:
    found = re.search(r"^VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


def test_no_memory(mortal: Live, figure: Figure) -> None:
    """Service and worker may have no more address space than they have: nothing can be mapped, little allocated."""
    seen = Counter[int]()
    with Prepared(mortal) as alice, Prepared(mortal, "bob") as bob, mortal.wire(20.0) as wire:
        key, pid, workers = _new_key(alice), mortal.process.pid, mortal.process.worker_pids
        for extra in (0, 1 << 20):
            with contextlib.ExitStack() as limits:
                for each in (pid, *mortal.process.worker_pids):
                    limits.enter_context(_limited_if_alive(each, _address_space(each) + extra))
                for _ in range(5):
                    seen[alice.ask(wire).status] += 1
                    seen[_put(wire, bob, key).status] += 1
                    with mortal.wire(20.0) as another:
                        seen[alice.ask(another).status] += 1
        assert set(seen) <= {200, 201, 503, 507}, seen
        assert mortal.process.running and mortal.process.pid == pid
        took = _recovery(mortal, alice)
    replaced = len(set(workers) - set(mortal.process.worker_pids))
    figure(
        "S12", f"no address space left ({_told(seen)}; {replaced} worker replaced): full service after {took:.1f} s (5)"
    )


@contextlib.contextmanager
def _limited_if_alive(pid: int, most: int) -> Iterator[None]:
    with contextlib.suppress(ProcessLookupError), _limited(pid, resource.RLIMIT_AS, most):
        yield


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_killed_workers_are_replaced(mortal: Live, kills: int, figure: Figure) -> None:
    """Its one worker is killed while requests come: some are told so, the service stays, and another worker comes."""
    rng, seen, slowest, stop = random.Random(kills), Counter[int](), 0.0, threading.Event()
    with Prepared(mortal) as alice:
        pid = mortal.process.pid

        def ask_on() -> None:
            with mortal.wire(20.0) as wire:
                while not stop.is_set():
                    seen[alice.ask(wire).status] += 1

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            for _ in range(kills):
                time.sleep(rng.uniform(0.05, 0.15))
                for worker in mortal.process.worker_pids:
                    os.kill(worker, signal.SIGKILL)
                start = time.monotonic()
                answers = seen[200]
                while seen[200] == answers:
                    assert time.monotonic() - start < 30, seen
                    time.sleep(0.01)
                slowest = max(slowest, time.monotonic() - start)
        finally:
            stop.set()
            thread.join()
        assert set(seen) <= {200, 503}, seen
        assert mortal.process.running and mortal.process.pid == pid
    figure("S12", f"{kills} times the only worker killed: {_told(seen)}; answers again after at most {slowest:.1f} s")
