"""Galleries in the store: there when all of their blocks are, gone as a whole, counted apart from keys."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Figure
from store_kit import PARAMS, Clock, digest_of, files, gallery_of, key, put, put_block, read, start

from churn.hosting.store.filestore import KEEP_SECONDS, FileStore
from churn.hosting.store.keystore import BLOCK, Quota, QuotaExceeded, Usage

A, B = "acme", "bolt"
DAY = 86400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[FileStore]:
    store = FileStore(tmp_path / "keys", quota=Quota(2, 7000, 6, 20_000, 2), clock=clock)
    yield store
    store.close()


def test_a_gallery_is_its_blocks_in_their_order(store):
    blocks = [put_block(store, A, n) for n in (3, 1, 2)]
    one, other = gallery_of("g", blocks), gallery_of("a", blocks[1:])
    assert store.galleries(A) == []
    assert store.keep_gallery(A, one) and store.keep_gallery(A, other)
    assert store.galleries(A) == [other, one], "by name"
    assert store.galleries(A, name="g") == [one] == store.galleries(A, digest=one.digest)
    assert store.galleries(A, name="none") == [] == store.galleries(A, name="a", digest=one.digest)
    assert store.galleries(B) == [] == store.galleries(B, digest=one.digest)


def test_without_a_block_there_is_no_gallery(store, clock):
    there, foreign, a_key = put_block(store, A, 1), put_block(store, B, 2), put(store, A, key(9))
    before = gallery_of("g", [there])
    assert store.keep_gallery(A, before)
    for missing in (digest_of(b"none"), foreign, a_key):
        assert not store.keep_gallery(A, gallery_of("g", [there, missing]))
        assert not store.keep_gallery(A, gallery_of("h", [missing, there]))
    assert store.galleries(A) == [before], "nothing was changed"
    assert store.delete(A, there) and store.galleries(A) == [] and not store.drop_gallery(A, "g")
    put_block(store, A, 1)
    assert store.galleries(A) == [before], "the same bytes are the same block"
    store._blobs.path(A, there).unlink()
    store.sweep()
    put_block(store, A, 1)
    assert store.galleries(A) == [], "what a sweep found incomplete does not come back"


def test_blocks_stay_while_a_gallery_has_them(store):
    a, b, c = (put_block(store, A, n) for n in range(3))
    assert store.keep_gallery(A, gallery_of("g", [a, b])) and store.keep_gallery(A, gallery_of("h", [b, c]))
    assert store.keep_gallery(A, gallery_of("g", [a])), "replaced: b is in the other"
    assert [store.find(A, x) is not None for x in (a, b, c)] == [True, True, True]
    assert store.drop_gallery(A, "h") and not store.drop_gallery(A, "h")
    assert [store.find(A, x) is not None for x in (a, b, c)] == [True, False, False]
    assert not store.drop_gallery(B, "g")
    loose = put_block(store, A, 7)
    assert store.keep_gallery(A, gallery_of("g", [put_block(store, A, 8)]))
    assert store.find(A, a) is None and store.find(A, loose) is not None, "not a block that waits for its own"


def test_tenants_with_the_same_block_do_not_meet(store):
    a, same, waiting = put_block(store, A, 1), put_block(store, B, 1), put_block(store, "coop", 1)
    assert a == same == waiting
    assert store.keep_gallery(A, gallery_of("g", [a])) and store.keep_gallery(B, gallery_of("g", [a]))
    assert store.drop_gallery(A, "g")
    assert store.find(A, a) is None and read(store, B, a) is not None and len(store.galleries(B)) == 1
    assert read(store, "coop", a) is not None, "nor is one that waits removed with it"


def test_a_block_waits_for_a_day(store, clock):
    kept, loose, a_key = put_block(store, A, 1), put_block(store, A, 2), put(store, A, key(9))
    assert store.keep_gallery(A, gallery_of("g", [kept]))
    clock.now += DAY - 1
    assert store.sweep() == 0 and store.find(A, loose) is not None
    clock.now += 1
    assert store.sweep() == 1 and store.find(A, loose) is None
    assert store.find(A, kept) is not None and store.find(A, a_key) is not None


def test_a_gallery_expires_when_it_is_not_used(store, clock):
    blocks = [put_block(store, A, n) for n in range(2)]
    assert store.keep_gallery(A, gallery_of("g", blocks))
    clock.now += KEEP_SECONDS - 1
    for block in blocks:
        assert store.path(A, block) is not None
    clock.now += KEEP_SECONDS - 1
    assert len(store.galleries(A)) == 1 and store.path(A, blocks[0]) is not None
    clock.now += 1
    assert store.galleries(A) == [], "one of its blocks has expired"
    assert store.sweep() == 1 and store.find(A, blocks[0]) is not None
    clock.now += DAY
    assert store.sweep() == 1 and not files(store._folder)


def test_blocks_and_keys_have_quotas_of_their_own(store):
    for n in range(6):
        put_block(store, A, n)
    with pytest.raises(QuotaExceeded, match="6 blocks of galleries"):
        put_block(store, A, 6)
    put(store, A, key(1)), put(store, A, key(2))
    with pytest.raises(QuotaExceeded, match="2 keys"):
        put(store, A, key(3, 10))
    assert store.usage(A) == Usage(2, 6000) and store.usage(A, blocks=True) == Usage(6, 18_000)
    put_block(store, B, 6)
    with pytest.raises(QuotaExceeded, match="20000 bytes"):
        put_block(store, B, 7, size=17_001)
    upload = store.receive(B, digest_of(b"x"), 16_000, kind=BLOCK, params_digest=PARAMS)
    with pytest.raises(QuotaExceeded, match="2 blocks of galleries of 19000 bytes"):
        put_block(store, B, 8)
    assert put(store, B, key(1, 7000)), "what is on its way is no key"
    upload.discard()
    put_block(store, B, 8)


def test_galleries_are_counted(store):
    block = put_block(store, A, 1)
    for name in "ab":
        assert store.keep_gallery(A, gallery_of(name, [block]))
    with pytest.raises(QuotaExceeded, match="2 galleries"):
        store.keep_gallery(A, gallery_of("c", [block]))
    assert store.keep_gallery(A, replace(gallery_of("b", [block]), items=3)), "in place of one that is there"
    assert store.keep_gallery(B, gallery_of("c", [put_block(store, B, 1)]))
    assert [one.items for one in store.galleries(A)] == [9, 3]


def test_galleries_that_lack_a_block_do_not_come_back_beyond_the_quota(store):
    first = put_block(store, A, 1)
    for name in "ab":
        assert store.keep_gallery(A, gallery_of(name, [first]))
    assert store.delete(A, first) and store.keep_gallery(B, gallery_of("a", [put_block(store, B, 1)]))
    second = put_block(store, A, 2)
    for name in "cd":
        assert store.keep_gallery(A, gallery_of(name, [second]))
    assert put_block(store, A, 1) == first
    assert [one.name for one in store.galleries(A)] == ["c", "d"] and len(store.galleries(B)) == 1


def test_galleries_survive_their_store(tmp_path, store, clock):
    one = gallery_of("g", [put_block(store, A, n) for n in range(3)])
    assert store.keep_gallery(A, one)
    store.close()
    again = FileStore(tmp_path / "keys", clock=clock)
    assert again.galleries(A) == [one] and all(read(again, A, block) is not None for block in one.blocks)
    again.close()


def test_a_gallery_is_one_transaction(store):
    blocks, calls = [put_block(store, A, n) for n in range(3)], []
    assert store.keep_gallery(A, gallery_of("g", blocks))
    store.database._durable.set_trace_callback(lambda sql: calls.append(sql.split()[0]))
    assert store.keep_gallery(A, gallery_of("g", blocks[::-1]))
    assert calls == ["BEGIN", "DELETE", "INSERT", "INSERT", "INSERT", "INSERT", "COMMIT"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_upload_is_no_gallery_or_a_whole_one(tmp_path, kills, figure: Figure):
    dice, folder, kept, found = random.Random(5), tmp_path / "keys", set(), 0
    steps = ("COMMIT", "INSERT", "DELETE", "unlink", "kept", "keeping", "BEGIN", "dropping")
    for kill in range(kills):
        child, said, waits = start("galleries", folder, dice.randrange(1 << 30)), [], dice.randint(1, 3)
        for line in child.stdout:
            said.append(line.split())
            waits -= ["ready"] in said and steps[kill % len(steps)] in said[-1][:2]
            if not waits:
                time.sleep(dice.uniform(0, 0.003))
                child.send_signal(signal.SIGKILL)
                break
        said += [line.split() for line in child.stdout]
        errors = child.communicate()[1]
        assert child.returncode == -signal.SIGKILL, errors
        words = [line for line in said if line[0] in ("keeping", "kept", "dropping", "dropped")]
        kept |= {line[1] for line in words if line[0] == "kept"}
        kept -= {line[1] for line in words if line[0] == "dropped"}
        undecided = {words[-1][1]} if words and words[-1][0] in ("keeping", "dropping") else set()
        store = FileStore(folder, quota=Quota(blocks=10**6, block_bytes=10**12, galleries=10**6))
        there = {one.name: one for one in store.galleries(A)}
        assert kept - undecided <= set(there) <= kept | undecided
        for one in there.values():
            assert len(one.blocks) == 3 and all(read(store, A, block) is not None for block in one.blocks)
            assert one == gallery_of(one.name, one.blocks)
        kept, found = set(there), found + len(there)
        store.close()
    assert found
    figure("S11", f"{kills} kills while galleries are made and deleted: {found} found afterwards, all of them whole")
