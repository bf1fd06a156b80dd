from __future__ import annotations

import hashlib
import os
import stat
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import Figure
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_kit import PARAMS, Clock, digest_of, files, key, put, read

from churn.hosting.store.blobs import mapped
from churn.hosting.store.filestore import KEEP_SECONDS, FileStore, TemporaryStore
from churn.hosting.store.keystore import Quota, QuotaExceeded, StoreError, StoreFailed, StoreInUse, Usage

A, B = "acme", "bolt"
DATA = key(0, 17_000)
DIGEST = digest_of(DATA)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[FileStore]:
    store = FileStore(tmp_path / "keys", quota=Quota(objects=3, bytes=100_000), clock=clock)
    yield store
    store.close()


def begin(store: FileStore, data: bytes, tenant: str = A, **announced: object):
    told = {"digest": digest_of(data), "length": len(data), "kind": "PUBLIC_KEY", "params_digest": PARAMS, **announced}
    return store.receive(tenant, **told)


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_what_is_committed_is_there(store, clock):
    assert store.find(A, DIGEST) is None and store.path(A, DIGEST) is None and store.usage(A) == Usage(0, 0)
    assert put(store, A, DATA, kind="EVALUATION_KEYS") == DIGEST
    found = store.find(A, DIGEST)
    assert (found.digest, found.size, found.kind, found.params_digest) == (DIGEST, len(DATA), "EVALUATION_KEYS", PARAMS)
    assert (found.created, found.last_used, found.expires) == (clock.now, clock.now, clock.now + KEEP_SECONDS)
    assert read(store, A, DIGEST) == DATA and store.usage(A) == Usage(1, len(DATA))
    assert store.delete(A, DIGEST) and not store.delete(A, DIGEST)
    assert read(store, A, DIGEST) is None and store.usage(A) == Usage(0, 0)


def test_what_was_used_up_stays_used_up(tmp_path, clock):
    """Nonces and answers, of each tenant and model, whoever opens the folder next."""
    store, now = FileStore(tmp_path, clock=clock), int(clock.now)
    assert store.claim(A, bytes(16), now) and not store.claim(A, bytes(16), now)
    assert [store.spend(A, DIGEST, 2) for _ in range(3)] == [True, True, False]
    store.close()
    store = FileStore(tmp_path, clock=clock)
    assert not store.claim(A, bytes(16), now) and store.claim(B, bytes(16), now)
    assert not store.spend(A, DIGEST, 2) and (store.given(A, DIGEST), store.given(B, DIGEST)) == (2, 0)
    assert store.spend(A, digest_of(b"another model"), 2) and store.spend(B, DIGEST, 2)
    store.close()


def test_a_key_may_be_sent_again(store, tmp_path, clock):
    for number in range(3):
        put(store, A, key(number))
    clock.now += 3600
    before = files(tmp_path / "keys")
    assert put(store, A, key(1)) == digest_of(key(1)), "the quota is used up, but this takes nothing from it"
    assert files(tmp_path / "keys") == before and store.usage(A).objects == 3
    found = store.find(A, digest_of(key(1)))
    assert (found.created, found.last_used) == (clock.now - 3600, clock.now)


def test_what_is_discarded_or_not_as_announced_is_not_there(store, tmp_path):
    unfinished = begin(store, DATA)
    unfinished.write(DATA[:-1])
    with pytest.raises(StoreError, match="16999 bytes"):
        unfinished.commit()
    with pytest.raises(StoreError, match="more than 17000 bytes"):
        unfinished.write(b"xy")
    other = begin(store, DATA)
    other.write(bytes(len(DATA)))
    assert other.digest() == hashlib.sha256(bytes(len(DATA))).hexdigest()
    with pytest.raises(StoreError, match="announced"):
        other.commit()
    for upload in (unfinished, other):
        upload.discard()
        upload.discard()
        with pytest.raises(StoreError, match="ended"):
            upload.write(b"")
    assert store.find(A, DIGEST) is None and files(tmp_path / "keys") == [] and store.usage(A) == Usage(0, 0)


def test_a_discard_after_the_commit_changes_nothing(store):
    upload = begin(store, DATA)
    upload.write(DATA)
    upload.commit()
    upload.discard()
    with pytest.raises(StoreError, match="ended"):
        upload.commit()
    assert read(store, A, DIGEST) == DATA


@pytest.mark.parametrize(
    "name", ["", "..", "../secret", "/etc/passwd", DIGEST + "/", DIGEST.upper(), DIGEST + "\n", "a" * 63]
)
def test_a_name_that_is_no_digest_is_no_path(store, name):
    put(store, A, DATA)
    assert store.find(A, name) is None and store.path(A, name) is None and not store.delete(A, name)
    for announced in ({"digest": name}, {"params_digest": name}):
        with pytest.raises(StoreError):
            begin(store, DATA, **announced)


@pytest.mark.parametrize("tenant", ["", "..", ".", "a/b", "../acme", "Acme", "acme\n", "a" * 33, "a\0", "é"])
def test_a_name_that_is_no_tenants_is_no_folder(store, tmp_path, tenant):
    put(store, A, DATA)
    assert (
        store.find(tenant, DIGEST) is None and store.path(tenant, DIGEST) is None and not store.delete(tenant, DIGEST)
    )
    with pytest.raises(StoreError):
        begin(store, DATA, tenant)
    assert files(tmp_path / "keys") == [f"tenants/{A}/{DIGEST}"]


@pytest.mark.parametrize("length", [0, -1])
def test_nothing_is_no_key(store, length):
    with pytest.raises(StoreError, match="one at least"):
        begin(store, DATA, length=length)


# ---- quotas and expiry -----------------------------------------------------------------------------------------------


def test_a_tenant_has_no_more_than_its_quota(store):
    for number in range(3):
        put(store, A, key(number))
    with pytest.raises(QuotaExceeded, match="3 keys of 9000 bytes are stored.*3 keys of 100000 bytes"):
        begin(store, key(3))
    put(store, B, key(3))  # another tenant has a quota of its own
    store.delete(A, digest_of(key(0)))
    put(store, A, key(3))
    store.delete(A, digest_of(key(1)))
    with pytest.raises(QuotaExceeded):
        begin(store, key(4, 100_000 - 6000 + 1))
    put(store, A, key(4, 100_000 - 6000))
    assert store.usage(A) == Usage(3, 100_000)


def test_uploads_under_way_count(store):
    uploads = [begin(store, key(number)) for number in range(3)]
    with pytest.raises(QuotaExceeded):
        begin(store, key(3))
    uploads[0].discard()
    begin(store, key(3)).discard()
    uploads[0] = begin(store, key(4, 94_000))
    uploads[1].discard()
    with pytest.raises(QuotaExceeded):
        begin(store, key(5, 3001))
    for upload in uploads:
        upload.discard()


def test_a_known_key_that_goes_meanwhile_is_new_to_the_quota(store):
    put(store, A, key(0))
    again = begin(store, key(0))
    again.write(key(0))
    store.delete(A, digest_of(key(0)))
    for number in range(1, 4):
        put(store, A, key(number))
    with pytest.raises(QuotaExceeded):
        again.commit()
    again.discard()
    assert store.usage(A).objects == 3


def test_keys_expire_when_they_are_not_used(store, tmp_path, clock):
    old, used = put(store, A, key(0)), put(store, A, key(1))
    clock.now += KEEP_SECONDS - 1
    assert store.find(A, old) and store.path(A, used)
    clock.now += 1
    assert store.find(A, old) is None and store.path(A, old) is None and not store.delete(A, old)
    assert read(store, A, used) == key(1) and store.usage(A) == Usage(1, 3000)
    assert len(files(tmp_path / "keys")) == 2 and store.sweep() == 1 and store.sweep() == 0
    assert files(tmp_path / "keys") == [f"tenants/{A}/{used}"]


def test_a_store_sweeps_before_it_grows(store, tmp_path, clock):
    """At its start, and every hour in which keys arrive; the service has a timer besides."""
    put(store, A, key(0))
    clock.now += KEEP_SECONDS
    put(store, B, key(1))
    assert [Path(name).name for name in files(tmp_path / "keys")] == [digest_of(key(1))]
    clock.now += KEEP_SECONDS
    store.close()
    FileStore(tmp_path / "keys", clock=clock).close()
    assert files(tmp_path / "keys") == []


def test_what_has_expired_may_come_again(store, clock):
    put(store, A, DATA)
    clock.now += KEEP_SECONDS
    put(store, A, DATA)
    assert store.find(A, DIGEST).created == clock.now and store.sweep() == 0


def test_uses_are_noted_once_a_minute(store, clock):
    put(store, A, DATA)
    changes = store.database._quick.total_changes
    for _ in range(1000):
        clock.now += 0.5
        assert store.path(A, DIGEST)
    assert store.database._quick.total_changes - changes == 8, "500 seconds"
    assert clock.now - 60 < store.find(A, DIGEST).last_used <= clock.now


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_files_are_private(tmp_path):
    folder = tmp_path / "there already"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        with_upload = FileStore(folder)
        put(with_upload, A, DATA)
        upload = begin(with_upload, key(1))
        upload.write(b"x")
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    finally:
        os.umask(before)
    assert len(found) == 10, "folder, lock, database and its two companions, two folders, a tenant, a key, an upload"
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in found.items()), found
    upload.discard()
    with_upload.close()


def test_keys_survive_their_store(tmp_path, store):
    put(store, A, DATA)
    before = store.find(A, DIGEST)
    store.close()
    again = FileStore(tmp_path / "keys", clock=Clock())
    assert again.find(A, DIGEST) == before and read(again, A, DIGEST) == DATA
    again.close()


def test_leftovers_are_removed_at_the_next_start(tmp_path, store):
    put(store, A, DATA)
    gone, cut = put(store, A, key(1)), put(store, A, key(2))
    store.close()
    folder = tmp_path / "keys"
    (folder / "uploads" / "half").write_bytes(b"half")
    for orphan in (f"tenants/{A}/{'0' * 64}", f"tenants/{B}/{DIGEST}"):
        (folder / orphan).parent.mkdir(exist_ok=True)
        (folder / orphan).write_bytes(DATA)
    (folder / f"tenants/{A}/{gone}").unlink()
    (folder / f"tenants/{A}/{cut}").write_bytes(b"cut short")
    (folder / "tenants" / "notes of the owner").write_text("not ours")
    again = FileStore(folder, clock=Clock())
    assert files(folder) == [f"tenants/{A}/{DIGEST}", "tenants/notes of the owner"]
    assert again.usage(A) == Usage(1, len(DATA)) and again.find(A, gone) is None and again.find(A, cut) is None
    assert read(again, A, DIGEST) == DATA
    again.close()


def test_a_file_that_vanishes_is_an_absent_key(tmp_path, store):
    put(store, A, DATA)
    (tmp_path / "keys" / "tenants" / A / DIGEST).unlink()
    assert store.find(A, DIGEST) is None and store.path(A, DIGEST) is None
    put(store, A, DATA)
    assert read(store, A, DIGEST) == DATA


def test_a_sweep_leaves_live_uploads_alone(tmp_path, store):
    upload = begin(store, DATA)
    upload.write(DATA[:5000])
    (tmp_path / "keys" / "uploads" / "stray").write_bytes(b"x")
    assert store.sweep() == 1
    upload.write(DATA[5000:])
    upload.commit()
    assert read(store, A, DIGEST) == DATA


def test_one_service_per_folder(tmp_path, store):
    upload = begin(store, DATA)
    with pytest.raises(StoreInUse, match="used by another service"):
        FileStore(tmp_path / "keys")
    upload.write(DATA)
    upload.commit()  # the other one has removed nothing
    store.close()
    FileStore(tmp_path / "keys").close()


def test_a_database_of_someone_else_is_refused(tmp_path):
    (tmp_path / "store.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreFailed, match="cannot be used"):
        FileStore(tmp_path)
    (tmp_path / "store.db").unlink()
    store = FileStore(tmp_path)
    with store.database.durable() as rows:
        rows.execute("PRAGMA user_version = 7")
    store.close()
    with pytest.raises(StoreFailed, match="format 7"):
        FileStore(tmp_path)


def test_a_temporary_store_leaves_nothing_behind():
    store = TemporaryStore()
    put(store, A, DATA)
    folder = store.path(A, DIGEST).parents[2]
    assert folder.is_dir()
    del store
    assert not folder.exists()


# ---- reading while others change -------------------------------------------------------------------------------------


def test_a_mapped_key_may_be_deleted(store):
    put(store, A, DATA)
    with mapped(store.path(A, DIGEST)) as view:
        assert view.readonly and store.delete(A, DIGEST) and view == DATA
        array = np.frombuffer(view, np.uint8)
    assert array.tobytes() == DATA, "arrays keep the memory"
    put(store, A, DATA)
    path = store.path(A, DIGEST)
    store.delete(A, DIGEST)
    with pytest.raises(FileNotFoundError), mapped(path):
        pass


def test_threads_share_a_store(tmp_path):
    store = FileStore(tmp_path, quota=Quota(objects=100))

    def work(thread: int) -> int:
        done = 0
        for step in range(12):
            data = key(step % 4 if thread % 2 else 100 * (thread + 1) + step)
            digest = put(store, A, data)
            path = store.path(A, digest)
            with suppress(FileNotFoundError):  # another thread has deleted it in between
                done += path is None or path.read_bytes() == data
            if thread % 2:
                store.delete(A, digest)
            else:
                assert read(store, A, digest) == data
            store.sweep()
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) >= 4 * 12
    assert store.usage(A).objects == len(files(tmp_path)) >= 48
    store.close()


# ---- tenants do not see each other -----------------------------------------------------------------------------------


def test_tenants_cannot_reach_each_others_keys(tmp_path, figure: Figure):
    store = FileStore(tmp_path)
    tenants = ["acme", "bolt", "core", "dune"]
    owned = {tenant: [put(store, tenant, key(10 * n + k)) for k in range(3)] for n, tenant in enumerate(tenants)}
    shared = {put(store, tenant, DATA) for tenant in tenants}
    assert shared == {DIGEST}
    tries = 0
    for tenant in tenants:
        for owner in tenants:
            for digest in owned[owner] if owner != tenant else []:
                assert store.find(tenant, digest) is None
                assert store.path(tenant, digest) is None
                assert store.delete(tenant, digest) is False
                tries += 3
    upload = store.receive("acme", owned["bolt"][0], 3000, kind="PUBLIC_KEY", params_digest=PARAMS)
    upload.write(b"x" * 3000)
    with pytest.raises(StoreError):  # another's digest gets nobody another's bytes
        upload.commit()
    upload.discard()
    assert store.delete("acme", DIGEST)
    assert [read(store, tenant, DIGEST) for tenant in tenants] == [None, DATA, DATA, DATA]
    for tenant in tenants:
        assert all(read(store, tenant, digest) for digest in owned[tenant])
    store.close()
    figure("S10", f"store: {tries} calls with another tenant's digest: {tries} times as if there were none")


def test_a_foreign_key_takes_as_long_as_none(tmp_path, figure: Figure):
    """Medians of interleaved calls; the best of five measurements, as this machine has other things to do."""
    store = FileStore(tmp_path)
    put(store, B, DATA)
    digests = {"foreign": DIGEST, "unknown": digest_of(b"never seen")}

    def difference(call) -> float:
        spent = {name: [] for name in digests}
        for turn in range(2000):
            for name in sorted(digests, reverse=turn % 2 == 1):
                start = time.perf_counter_ns()
                assert not call(A, digests[name])
                spent[name].append(time.perf_counter_ns() - start)
        foreign, unknown = (statistics.median(spent[name]) for name in ("foreign", "unknown"))
        return abs(foreign / unknown - 1)

    worst = max(min(difference(call) for _ in range(5)) for call in (store.find, store.path, store.delete))
    store.close()
    assert worst <= 0.05
    figure(
        "S10",
        f"store: foreign and unknown keys answered within {100 * worst:.1f} % of each other's time (best of 5 medians)",
    )


# ---- against a model -------------------------------------------------------------------------------------------------

QUOTA = Quota(objects=3, bytes=9000)
TENANT = st.sampled_from([A, B])
NUMBER = st.integers(0, 5)
SIZES = (1000, 2500, 3000, 4000, 8999, 9001)


class StoreMachine(RuleBasedStateMachine):
    """A store beside a dictionary {(tenant, digest): [data, created, last use]}."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.clock, self.model, self.live = Clock(), {}, []
        self.open()

    def open(self):
        self.swept()
        self.store = FileStore(self.folder.name, quota=QUOTA, keep_seconds=1000, clock=self.clock)

    def current(self, tenant=None):
        return {k: v for k, v in self.model.items() if v[2] + 1000 > self.clock.now and tenant in (None, k[0])}

    def held(self, tenant):
        sizes = [len(data) for data, _, _ in self.current(tenant).values()]
        sizes += [reserved for owner, _, _, reserved in self.live if owner == tenant and reserved]
        return len(sizes), sum(sizes)

    def fits(self, tenant, data):
        objects, size = self.held(tenant)
        return objects < QUOTA.objects and size + len(data) <= QUOTA.bytes

    @rule(tenant=TENANT, number=NUMBER)
    def begin_upload(self, tenant, number):
        data = key(number, SIZES[number])
        if self.clock.now - self.last_swept >= 3600:
            self.swept()
        known = (tenant, digest_of(data)) in self.current()
        if known or self.fits(tenant, data):
            self.live.append((tenant, data, begin(self.store, data, tenant), 0 if known else len(data)))
        else:
            with pytest.raises(QuotaExceeded):
                begin(self.store, data, tenant)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), honest=st.booleans())
    def end_upload(self, data, honest):
        tenant, content, upload, reserved = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        name = tenant, digest_of(content)
        if not honest:
            upload.write(content[:-1])
            with pytest.raises(StoreError):
                upload.commit()
        else:
            upload.write(content)
            if name in self.current():
                upload.commit()
                self.use(name)
            elif reserved or self.fits(tenant, content):
                upload.commit()
                self.model[name] = [content, self.clock.now, self.clock.now]
            else:
                with pytest.raises(QuotaExceeded):
                    upload.commit()
        upload.discard()

    def use(self, name):
        # Every move of the clock is longer than a minute: each use after one is noted.
        self.model[name][2] = self.clock.now

    @rule(tenant=TENANT, number=NUMBER)
    def use_key(self, tenant, number):
        name = tenant, digest_of(key(number, SIZES[number]))
        path = self.store.path(*name)
        assert (path is not None) == (name in self.current())
        if path is not None:
            assert path.read_bytes() == self.model[name][0]
            self.use(name)

    @rule(tenant=TENANT, number=NUMBER)
    def delete_key(self, tenant, number):
        name = tenant, digest_of(key(number, SIZES[number]))
        assert self.store.delete(*name) == (name in self.current())
        if name in self.current():
            del self.model[name]

    @rule(seconds=st.sampled_from([61, 400, 999, 1000]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule()
    def sweep(self):
        assert self.store.sweep() == len(self.model) - len(self.current())
        self.swept()

    def swept(self):
        self.model, self.last_swept = self.current(), self.clock.now

    @rule()
    def restart(self):
        self.store.close()
        self.live.clear()
        self.open()

    @invariant()
    def agrees(self):
        for tenant in (A, B):
            current = self.current(tenant)
            assert self.store.usage(tenant) == Usage(len(current), sum(len(data) for data, _, _ in current.values()))
        for name, (data, created, used) in self.current().items():
            found = self.store.find(*name)
            assert (found.size, found.created, found.last_used, found.expires) == (
                len(data),
                created,
                used,
                used + 1000,
            )
        assert len(files(Path(self.folder.name))) == len(self.model) + len(self.live)

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


@pytest.mark.parametrize("examples", [25, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_store_is_a_dictionary(examples):
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
