from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Figure
from hypothesis import example, given, settings
from hypothesis import strategies as st
from store_kit import Clock

import churn.hosting.store.replays as replays_module
from churn.hosting.store.database import Database
from churn.hosting.store.keystore import QuotaExceeded, StoreError
from churn.hosting.store.replays import Replays

A, B = "acme", "bolt"
DAY = 86400


def nonce(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.db")
    yield database
    database.close()


def rows(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute("SELECT COUNT(*) FROM nonces").fetchone()[0]


def test_a_nonce_is_used_once(database, clock):
    replays = Replays(database, clock=clock)
    now = int(clock.now)
    assert replays.claim(A, nonce(1), now) and not replays.claim(A, nonce(1), now)
    assert not replays.claim(A, nonce(1), now - 5), "whatever time it claims to be from"
    assert replays.claim(A, nonce(2), now) and replays.claim(B, nonce(1), now), (
        "other nonces and tenants are not concerned"
    )


@pytest.mark.parametrize(
    ("age", "accepted"),
    [(0, True), (DAY, True), (DAY + 1, False), (-DAY, True), (-DAY - 1, False), (10**30, False), (-(10**30), False)],
)
def test_requests_have_to_be_of_now(database, clock, age, accepted):
    replays = Replays(database, clock=clock)
    assert replays.claim(A, nonce(1), int(clock.now) - age) is accepted
    assert replays.claim(A, nonce(1), int(clock.now)) is not accepted, "what was refused is not used up"


def test_the_time_may_be_given(database, clock):
    replays = Replays(database, window=10, clock=clock)
    assert not replays.claim(A, nonce(1), 5, now=16.5) and replays.claim(A, nonce(1), 5, now=14.9)


@pytest.mark.parametrize("wrong", [b"", bytes(15), bytes(17)])
def test_a_nonce_has_128_bits(database, wrong):
    with pytest.raises(ValueError, match="16 are needed"):
        Replays(database).claim(A, wrong, 0)


def test_a_restart_forgets_nothing(tmp_path, clock):
    now = int(clock.now)
    for turn in range(3):
        database = Database(tmp_path / "store.db")
        replays = Replays(database, clock=clock)
        assert [replays.claim(A, nonce(n), now) for n in range(turn + 1)] == [False] * turn + [True]
        database.close()


def test_nonces_are_forgotten_when_their_requests_are_too_old(database, clock):
    replays = Replays(database, window=1000, clock=clock)
    start = int(clock.now)
    for n in range(100):
        assert replays.claim(A, nonce(n), start + n)
    assert replays.claim(A, nonce(500), start + 1000), "its sender's clock is fast"
    clock.now += 1050
    assert replays.claim(A, nonce(200), int(clock.now))
    assert rows(database) == 52, "50 of the old ones are gone"
    assert not any(replays.claim(A, nonce(n), start + n) for n in range(100))
    clock.now += 900
    assert not replays.claim(A, nonce(500), start + 1000), "remembered for as long as it would be accepted"


def test_a_clock_set_back_brings_nothing_back(tmp_path, clock):
    database = Database(tmp_path / "store.db")
    replays, start = Replays(database, window=1000, clock=clock), int(clock.now)
    assert all(replays.claim(A, nonce(n), start) for n in range(10))
    clock.now += 5000
    assert replays.claim(A, nonce(99), int(clock.now)) and rows(database) == 1
    clock.now -= 5000
    assert not any(replays.claim(A, nonce(n), start) for n in range(10))
    database.close()
    again = Replays(Database(tmp_path / "store.db"), window=1000, clock=clock)
    assert not any(again.claim(A, nonce(n), start) for n in range(10)), "nor after a restart"
    assert again.claim(A, nonce(11), start + 1), "and new requests are not refused for it"
    again._database.close()


def test_the_table_is_bounded(database, clock, monkeypatch):
    replays = Replays(database, window=1000, most=50, clock=clock)
    for n in range(50):
        assert replays.claim(A, nonce(n), int(clock.now))
    with pytest.raises(QuotaExceeded, match="50 within 1000 seconds"):
        replays.claim(A, nonce(50), int(clock.now))
    assert replays.claim(B, nonce(50), int(clock.now)), "another tenant is not concerned"
    with pytest.raises(QuotaExceeded):  # counted again at a restart
        Replays(database, window=1000, most=50, clock=clock).claim(A, nonce(50), int(clock.now))
    monkeypatch.setattr(replays_module, "_PRUNE_ROWS", 20)
    clock.now += 1001
    left = []
    for n in range(60, 64):
        assert replays.claim(A, nonce(n), int(clock.now))
        left.append(rows(database))
    assert left == [32, 13, 3, 4], "20 at a time, both tenants' go"


def test_a_claim_that_fails_uses_nothing_up(database, clock):
    replays = Replays(database, clock=clock)
    assert replays.claim(A, nonce(0), int(clock.now))
    with database.quick() as connection:
        connection.execute("ALTER TABLE nonces RENAME TO elsewhere")
    with pytest.raises(StoreError):
        replays.claim(A, nonce(1), int(clock.now))
    with database.quick() as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO nonces")
    assert replays.claim(A, nonce(1), int(clock.now)) and not replays.claim(A, nonce(0), int(clock.now))


@settings(max_examples=100)
@example([(0, 0, 0), (1, 2, 140), (0, 0, -140)])
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.sampled_from([-140, -70, 0, 70, 140])), max_size=40))
def test_no_request_is_ever_accepted_twice(steps):
    """Whatever the clock does: few requests of few times, sent again and again."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        database, clock, accepted = Database(Path(folder) / "store.db"), Clock(), set()
        replays, start = Replays(database, window=65, clock=clock), int(clock.now)
        for number, when, seconds in steps:
            clock.now += seconds
            sent_at = start + 70 * when
            if replays.claim(A, nonce(number), sent_at):
                assert (number, sent_at) not in accepted
                accepted.add((number, sent_at))
        database.close()


def test_threads_claim_each_nonce_once(database, figure: Figure):
    replays, now, threads, count = Replays(database), int(time.time()), 8, 300
    ready = threading.Barrier(threads)

    def work(_: int) -> int:
        ready.wait()
        return sum(replays.claim(A, nonce(n), now) for n in range(count))

    with ThreadPoolExecutor(threads) as pool:
        wins = list(pool.map(work, range(threads)))
    assert sum(wins) == count == rows(database)
    figure("S4", f"{threads} threads, {count} nonces claimed by each: every one accepted once")


def test_a_killed_process_forgets_no_claim(tmp_path, figure: Figure):
    """`quick` transactions are in the system's hands: no fsync, and yet none is lost."""
    code = """
import itertools, os, sys, time
from pathlib import Path
from churn.hosting.store.database import Database
from churn.hosting.store.replays import Replays
replays = Replays(Database(Path(sys.argv[1]) / "store.db"))
for n in itertools.count():
    assert replays.claim("acme", n.to_bytes(16, "big"), int(time.time()))
    os.write(1, b"%d\\n" % n)
"""
    root = str(Path(replays_module.__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    said = [int(child.stdout.readline()) for _ in range(700)]  # beyond a checkpoint of the log
    child.send_signal(signal.SIGKILL)
    said += [int(line) for line in child.stdout]
    child.communicate()
    database = Database(tmp_path / "store.db")
    replays = Replays(database)
    assert not any(replays.claim(A, nonce(n), int(time.time())) for n in said)
    assert rows(database) - len(said) in (0, 1)
    database.close()
    figure("S4", f"process killed after {len(said)} claims: 0 accepted again")


def test_a_claim_is_cheap(database, figure: Figure):
    """Below half a millisecond in the median; the log is moved to its place now and then, which takes some more."""
    replays, now, spent = Replays(database), int(time.time()), []
    for _ in range(1000):
        number = os.urandom(16)
        start = time.perf_counter()
        assert replays.claim(A, number, now)
        spent.append(time.perf_counter() - start)
    median, mean = 1e3 * statistics.median(spent), 1e3 * statistics.fmean(spent)
    assert median < 0.5
    figure("S4", f"a claim takes {median:.3f} ms (median of 1000; mean {mean:.3f} ms)")
