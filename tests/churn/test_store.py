from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from churn.hosting.store import FileStore, KeyStore, MemoryStore

DATA = b"some key material" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "keys")


def put(store: KeyStore, data: bytes) -> str:
    upload = store.receive()
    for start in range(0, len(data), 999):
        upload.write(data[start : start + 999])
    assert upload.contents() == data
    upload.commit()
    upload.discard()  # changes nothing any more
    return upload.digest()


def test_what_is_committed_is_there(store: KeyStore) -> None:
    assert store.size(DIGEST) is None and store.count() == 0
    assert put(store, DATA) == DIGEST
    assert (store.size(DIGEST), store.read(DIGEST), store.count()) == (len(DATA), DATA, 1)
    put(store, DATA)
    assert store.count() == 1
    assert store.delete(DIGEST) and not store.delete(DIGEST)
    assert store.size(DIGEST) is None
    with pytest.raises(KeyError):
        store.read(DIGEST)


def test_what_is_discarded_or_unfinished_is_not_there(store: KeyStore) -> None:
    unfinished = store.receive()
    unfinished.write(DATA)
    discarded = store.receive()
    discarded.write(DATA)
    discarded.discard()
    assert store.size(DIGEST) is None and store.count() == 0
    unfinished.discard()


@pytest.mark.parametrize("name", ["", "..", "../secret", "/etc/passwd", DIGEST + "/", DIGEST.upper(), "a" * 63])
def test_a_name_that_is_no_digest_is_no_path(store: KeyStore, name: str) -> None:
    assert store.size(name) is None and not store.delete(name)
    with pytest.raises(KeyError):
        store.read(name)


def test_files_are_private_and_survive_their_store(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    put(FileStore(folder), DATA)
    if os.name != "nt":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / DIGEST).stat().st_mode) == 0o600
    assert FileStore(folder).read(DIGEST) == DATA


def test_an_interrupted_upload_is_removed_at_the_next_start(tmp_path: Path) -> None:
    before = FileStore(tmp_path)
    put(before, DATA)
    interrupted = before.receive()
    interrupted.write(b"half")
    assert len(list(tmp_path.iterdir())) == 2
    assert FileStore(tmp_path).count() == 1
    assert [path.name for path in tmp_path.iterdir()] == [DIGEST]
    interrupted.discard()  # the one whose file is gone: no error either
