"""Kills, full disks, no handles, no memory: a key is absent or complete, and what was stored before stays."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Figure
from store_kit import digest_of, files, key, put, read, start

from churn.hosting import files as file_calls
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import Quota, StoreError, StoreFull

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX systems")

A = "acme"
STEPS = ("write", "fsync", "replace", "BEGIN", "INSERT", "COMMIT", "unlink", "DELETE", "stored", "deleted")


# ---- kill -9 ---------------------------------------------------------------------------------------------------------


def kill_at(folder: Path, step: str, dice: random.Random) -> list[list[str]]:
    """Run a process that uploads; kill it some random time after it announced a step; return all it said."""
    child = start("crash", folder, dice.randrange(1 << 30))
    said, waits = [], dice.randint(1, 3)
    for line in child.stdout:
        said.append(line.split())
        waits -= ["ready"] in said and step in said[-1][:2]
        if waits == 0:
            time.sleep(dice.uniform(0, 0.003))
            child.send_signal(signal.SIGKILL)
            break
    said += [line.split() for line in child.stdout]
    errors = child.communicate()[1]
    assert child.returncode == -signal.SIGKILL, errors
    return said


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_upload_is_absent_or_complete(kills, tmp_path, figure: Figure):
    dice = random.Random(11)
    folder = tmp_path / "keys"
    present, ends, unsaid = set(), Counter(), 0
    for kill in range(kills):
        said = kill_at(folder, STEPS[kill % len(STEPS)], dice)
        ends[" ".join(said[-1][: 2 if said[-1][0] == "step" else 1])] += 1
        words = [line for line in said if line[0] != "step"]
        present |= {line[1] for line in words if line[0] == "stored"}
        present -= {line[1] for line in words if line[0] == "deleted"}
        undecided = {words[-1][1]} if words[-1][0] == "deleting" else set()
        store = FileStore(folder, quota=Quota(objects=10**6))
        found = {Path(name).name for name in files(folder)}
        assert all(name.startswith(f"tenants/{A}/") for name in files(folder)), "no upload is left over"
        assert present - undecided <= found, "what was acknowledged is there"
        assert len(found - present) <= 1, "and at most the one that was under way"
        assert all(read(store, A, digest) for digest in found), "complete, with matching SHA-256"
        assert store.usage(A).objects == len(found)
        unsaid += len(found - present) + len(undecided - found)
        present = found
        store.close()
    assert len(ends) >= 5, "the kills have hit too few kinds of steps to say anything"
    figure(
        "S11",
        f"{kills} kills, last steps {dict(ends.most_common())}: 0 half keys, 0 acknowledged lost of {len(present)}, "
        f"{unsaid} changes done but not yet acknowledged",
    )


def test_each_step_is_on_the_disk_before_the_next(tmp_path, monkeypatch):
    """What a power cut needs, which no kill can show: the order of the calls to the system."""
    store, calls = FileStore(tmp_path), []

    def note(name, call):
        def wrapper(*args):
            place = f"/proc/self/fd/{args[0]}"
            target = os.readlink(place) if isinstance(args[0], int) else str(args[-1])
            calls.append((name, str(Path(target).relative_to(tmp_path)).replace(digest_of(key(1)), "DIGEST")))
            return call(*args)

        return wrapper

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, note(name, getattr(os, name)))
    store.database._durable.set_trace_callback(lambda sql: calls.append(("sql", sql.split()[0])))
    put(store, A, key(1), chunk=3000)
    upload = calls[0][1]
    assert calls == [
        ("write", upload),
        ("fsync", upload),
        ("fsync", "tenants"),
        ("replace", f"tenants/{A}/DIGEST"),
        ("fsync", f"tenants/{A}"),
        ("sql", "BEGIN"),
        ("sql", "INSERT"),
        ("sql", "COMMIT"),
    ]
    assert upload.startswith("uploads/")
    assert store.database._durable.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    store.close()


# ---- no room ---------------------------------------------------------------------------------------------------------

FAILING = ("open", "write", "fsync", "replace", "mkdir")


class Faults:
    """Calls to the system fail: the n-th one, or the n-th and all that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number, self.on, self.left, self.lasting = 0, False, 0, False
        for name in FAILING:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def begin(self, n: int, number: int, lasting: bool) -> None:
        self.on, self.left, self.number, self.lasting = True, n, number, lasting

    def end(self) -> bool:
        """Stop; tell whether any call failed."""
        self.on = False
        return self.left <= 0

    def _wrapped(self, call):
        def wrapper(*args, **named):
            if self.on:
                self.left -= 1
                if self.left == 0 or (self.left < 0 and self.lasting):
                    raise OSError(self.number, os.strerror(self.number))
            return call(*args, **named)

        return wrapper


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ENOMEM, errno.EDQUOT])
@pytest.mark.parametrize("lasting", [False, True])
def test_no_room_at_any_call(number, lasting, tmp_path, monkeypatch, figure: Figure):
    faults = Faults(monkeypatch)
    store = FileStore(tmp_path)
    put(store, A, key(0))
    refused, slowest = 0, 0.0
    for n in range(1, 100):
        tenant = f"new-{n}"  # whose folder has to be made
        faults.begin(n, number, lasting)
        try:
            put(store, tenant, key(n))
            kept = True
        except StoreFull as error:
            assert os.strerror(number).lower() in str(error) and "still there" in str(error)
            kept, refused = False, refused + 1
        failed = faults.end()
        assert kept != failed
        start = time.perf_counter()
        assert read(store, A, digest_of(key(0))) == key(0)
        assert (read(store, tenant, digest_of(key(n))) is not None) == kept and store.usage(tenant).objects == kept
        assert len(files(tmp_path)) == n + kept, "nothing half is left"
        put(store, tenant, key(n))
        assert read(store, tenant, digest_of(key(n))) == key(n)
        slowest = max(slowest, time.perf_counter() - start)
        if not failed:
            break
    assert refused == n - 1 >= 9, "open, four writes, two fsyncs and mkdir for the folder, replace, fsync"
    store.close()
    if number == errno.ENOSPC and lasting:
        figure("S12", f"disk full from the n-th call on: {refused} of {refused} refused, recovered in {slowest:.3f} s")


def test_a_nearly_full_disk_takes_a_part(tmp_path, monkeypatch):
    """`os.write` may take fewer bytes than it was given."""
    honest = os.write
    monkeypatch.setattr(file_calls.os, "write", lambda handle, data: honest(handle, data[: max(1, len(data) // 3)]))
    store = FileStore(tmp_path)
    put(store, A, key(1))
    assert read(store, A, digest_of(key(1))) == key(1)
    store.close()


def test_an_upload_ends_with_the_first_write_that_fails(tmp_path, monkeypatch):
    """A part of the chunk may be in the file: to go on, or to try again, would keep other bytes than were hashed."""
    store, data, honest = FileStore(tmp_path), key(1), os.write

    def half(handle: int, chunk: bytes) -> int:
        if len(chunk) < 3000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return honest(handle, chunk[:1500])

    upload = store.receive(A, digest_of(data), len(data), kind="PUBLIC_KEY", params_digest=digest_of(b""))
    with monkeypatch.context() as patch, pytest.raises(StoreFull):
        patch.setattr(os, "write", half)
        upload.write(data)
    with pytest.raises(StoreError, match="ended"):
        upload.write(data)
    upload.discard()
    assert files(tmp_path) == []
    store.close()


def test_other_errors_of_the_system_pass(tmp_path, monkeypatch):
    faults = Faults(monkeypatch)
    store = FileStore(tmp_path)
    faults.begin(3, errno.EIO, lasting=False)
    with pytest.raises(OSError, match="Input/output"):
        put(store, A, key(1))
    faults.end()
    assert files(tmp_path) == [] and store.usage(A).objects == 0
    store.close()


def outcome(mode: str, folder: Path) -> tuple[int, int, float]:
    """How many attempts a child saw succeed and refused, and seconds until the slowest recovery was complete."""
    child = start(mode, folder)
    printed, errors = child.communicate(timeout=120)
    assert child.returncode == 0 and errors == "", errors
    done, refused, seconds = printed.split()
    return int(done), int(refused), float(seconds)


@pytest.mark.parametrize(
    ("mode", "shortage"),
    [("file_sizes", "files that cannot grow"), ("handles", "64 file handles"), ("memory", "address space limited")],
)
def test_something_runs_out(mode, shortage, tmp_path, figure: Figure):
    done, refused, seconds = outcome(mode, tmp_path / "keys")
    assert done >= 3 and refused >= 3, "both have to happen for the test to say anything"
    assert seconds < 5
    figure("S12", f"{shortage}: {refused} refused, {done} done, nothing older lost, recovered in {seconds:.3f} s")


@pytest.fixture
def small_disk(tmp_path: Path):
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("no disk can be mounted here (not root)")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_real_disk_is_full(small_disk, figure: Figure):
    done, refused, seconds = outcome("disk", small_disk / "keys")
    assert done >= 20 and refused >= 6 and seconds < 5
    figure(
        "S12", f"disk of 1 MiB filled: {refused} refused, {done} done, nothing older lost, recovered in {seconds:.3f} s"
    )
