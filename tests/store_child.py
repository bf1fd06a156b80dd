"""What is done to a store in a process of its own, which is killed, or runs out of something.

    python store_child.py MODE FOLDER SEED

A process that is to be killed says each step aloud before it takes it, and dawdles: so its end falls into every step.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from store_kit import digest_of, gallery_of, key, put, read

from churn.hosting.store.blobs import mapped
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import BLOCK, Quota, StoreFull

ROOMY = Quota(objects=10**6, blocks=10**6, block_bytes=10**12, galleries=10**6)
TENANT = "acme"
_write = os.write


def say(text: str) -> None:
    _write(1, text.encode() + b"\n")


# ---- to be killed ----------------------------------------------------------------------------------------------------


def slow_down(dice: random.Random) -> None:
    """Every change to the disk, by us or by SQLite on our behalf, is announced and then takes its time."""

    def announced(name: str, call: Callable) -> Callable:
        def wrapper(*args, **named):
            say(f"step {name}")
            time.sleep(dice.uniform(0, 0.002))
            return call(*args, **named)

        return wrapper

    class Connection(sqlite3.Connection):
        def execute(self, sql, *args):
            word = sql.split()[0]
            return (announced(word, super().execute) if word in STATEMENTS else super().execute)(sql, *args)

        def executemany(self, sql, *args):
            return announced(sql.split()[0], super().executemany)(sql, *args)

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **named: connect(*args, factory=Connection, **named)
    for name in CALLS:
        setattr(os, name, announced(name, getattr(os, name)))


CALLS = ("write", "fsync", "replace", "unlink")
STATEMENTS = ("BEGIN", "INSERT", "COMMIT", "DELETE")


def crash(folder: Path, dice: random.Random) -> None:
    """Upload and delete until the end comes."""
    slow_down(dice)
    store, stored = FileStore(folder, quota=ROOMY), []
    say("ready")
    while True:
        digest = put_quietly(store, dice.randbytes(20_000))
        say(f"stored {digest}")
        stored.append(digest)
        if len(stored) == 3:
            say(f"deleting {stored[0]}")
            assert store.delete(TENANT, stored[0])
            say(f"deleted {stored.pop(0)}")


def galleries(folder: Path, dice: random.Random) -> None:
    """Make galleries of three blocks, replace and delete some, until the end comes."""
    slow_down(dice)
    store, kept = FileStore(folder, quota=ROOMY), []
    say("ready")
    while True:
        name, shared = f"g{dice.randrange(10**9)}", put_quietly(store, dice.randbytes(500), BLOCK)
        blocks = [shared, *(put_quietly(store, dice.randbytes(500), BLOCK) for _ in range(3))]
        say(f"keeping {name}")
        assert store.keep_gallery(TENANT, gallery_of(name, blocks[:3]))
        say(f"kept {name}")
        assert store.keep_gallery(TENANT, gallery_of(name, [blocks[0], *blocks[2:]]))
        kept.append(name)
        if len(kept) == 3:
            say(f"dropping {kept[0]}")
            assert store.drop_gallery(TENANT, kept[0])
            say(f"dropped {kept.pop(0)}")


def put_quietly(store: FileStore, data: bytes, kind: str = "PUBLIC_KEY") -> str:
    upload = store.receive(TENANT, digest_of(data), len(data), kind=kind, params_digest=digest_of(b""))
    for start in range(0, len(data), 7000):
        upload.write(data[start : start + 7000])
    upload.commit()
    return digest_of(data)


# ---- to run out of something -----------------------------------------------------------------------------------------


class Trials:
    """A store with one older key; tries things while something is short, and checks that nothing was lost."""

    def __init__(self, folder: Path) -> None:
        self.store, self.old = FileStore(folder, quota=ROOMY), key(0, 50_000)
        self.digest = put(self.store, TENANT, self.old)
        self.refused = self.done = 0
        self.slowest = 0.0

    def attempt(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except StoreFull:
            self.refused += 1
            return False
        self.done += 1
        return True

    def upload(self, number: int, size: int = 3000) -> bool:
        return self.attempt(lambda: put(self.store, TENANT, key(number, size), chunk=1000))

    def relieved(self, number: int) -> None:
        """Nothing older is lost, nothing half is there, everything works."""
        start = time.perf_counter()
        assert read(self.store, TENANT, self.digest) == self.old
        assert read(self.store, TENANT, digest_of(key(number))) in (None, key(number))
        assert put(self.store, TENANT, key(number)) and read(self.store, TENANT, digest_of(key(number)))
        self.slowest = max(self.slowest, time.perf_counter() - start)
        assert self.store.delete(TENANT, digest_of(key(number)))
        assert self.store.usage(TENANT).objects == 1 and self.store.sweep() == 0

    def report(self) -> None:
        say(f"{self.done} {self.refused} {self.slowest:.3f}")


def file_sizes(folder: Path, dice: random.Random) -> None:
    """No file may grow beyond a limit, which is moved through the key's own file, and then through SQLite's log."""
    trials, log = Trials(folder), folder / "store.db-wal"
    limits = [lambda n=n: n for n in range(0, 3100, 250)]
    limits += [lambda n=n: log.stat().st_size + n for n in range(0, 24_000, 500)]
    for number, limit in enumerate(limits, 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit(), resource.RLIM_INFINITY))
        trials.upload(number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        trials.relieved(number)
    trials.report()


def disk(folder: Path, dice: random.Random) -> None:
    """The folder is on a small disk, which something else fills but for some pages."""
    trials, ballast = Trials(folder), folder.parent / "ballast"
    for number, pages in enumerate([*range(6)] * 4, 1):
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)) == 4096:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
            file.truncate(max(0, file.tell() // 4096 - pages) * 4096)
        trials.upload(number)
        assert read(trials.store, TENANT, trials.digest) == trials.old, "reading needs no room"
        ballast.unlink()
        trials.relieved(number)
    # And full of keys alone: they can be deleted, and two that go make room for one and for SQLite's log.
    number = 1000
    while trials.upload(number, size=40_000):
        number += 1
    assert number >= 1010
    for k in range(1000, number - 1, 2):
        for gone in (k, k + 1):
            assert trials.store.delete(TENANT, digest_of(key(gone, 40_000)))
        assert trials.upload(number + k, size=40_000)
    trials.report()


def handles(folder: Path, dice: random.Random) -> None:
    """64 file handles, of which others take all but a few."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    trials = Trials(folder)
    for number, free in enumerate([*range(8), *range(8)], 1):
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError as error:
            assert error.errno == errno.EMFILE
        for _ in range(free):
            os.close(taken.pop())
        trials.upload(number)
        trials.attempt(lambda: mapped(trials.store.path(TENANT, trials.digest)).__enter__())
        trials.attempt(lambda folder=folder / f"another {number}": FileStore(folder).close())
        for handle in taken:
            os.close(handle)
        trials.relieved(number)
        FileStore(folder / f"another {number}").close()
    trials.report()


def memory(folder: Path, dice: random.Random) -> None:
    """No more address space than there is, or little more."""
    trials = Trials(folder)
    large = key(77, 8 << 20)
    digest = put(trials.store, TENANT, large, chunk=1 << 20)

    def map_large() -> None:
        with mapped(trials.store.path(TENANT, digest)) as view:
            assert view[-1:] == large[-1:]

    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    for number in range(1, 9):
        size = pages * resource.getpagesize() + (number << 20)
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        ballast = []
        try:
            while number % 2:
                ballast.append(bytes(1 << 16))
        except MemoryError:
            pass
        trials.upload(number)
        trials.attempt(map_large)
        ballast.clear()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        map_large()
        trials.store.delete(TENANT, digest)
        trials.relieved(number)
        put(trials.store, TENANT, large, chunk=1 << 20)
    trials.report()


if __name__ == "__main__":
    mode, place, seed = sys.argv[1:]
    modes = {
        "crash": crash,
        "galleries": galleries,
        "file_sizes": file_sizes,
        "disk": disk,
        "handles": handles,
        "memory": memory,
    }
    modes[mode](Path(place), random.Random(int(seed)))
