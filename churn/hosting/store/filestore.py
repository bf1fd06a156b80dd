"""Keys in files, and what is known of them in SQLite: the `Storage` of a service on one machine.

    FOLDER/lock                 one service per folder
    FOLDER/store.db             rows: which keys there are; what `replays`, `answers` and `galleries` remember
    FOLDER/tenants, uploads     the bytes: see `blobs`

A key is there when its row and all of its bytes are. An upload is written under a temporary name, put on the disk,
given its place, that place put on the disk, and then the row is written; a deletion takes away the bytes, then the row.
So at whatever moment the process ends, a key is absent or complete, and what is left of others is removed at the next
start. Blocks of galleries are stored like keys; those that no gallery has are kept for a day.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import astuple
from pathlib import Path
from threading import RLock

from churn.hosting.files import Lock, private_folder
from churn.hosting.protocol import DIGEST
from churn.hosting.store.answers import Answers
from churn.hosting.store.blobs import Blobs, Partial
from churn.hosting.store.database import Database
from churn.hosting.store.galleries import Galleries
from churn.hosting.store.keystore import (
    BLOCK,
    TENANT,
    Quota,
    QuotaExceeded,
    StoredGallery,
    StoredKey,
    StoreError,
    StoreInUse,
    Upload,
    Usage,
    full_when_exhausted,
)
from churn.hosting.store.replays import Replays

__all__ = ["KEEP_SECONDS", "FileStore", "TemporaryStore"]

KEEP_SECONDS = 30 * 86400.0
_TOUCH_SECONDS = 60.0
_SWEEP_SECONDS = 3600.0
_UNUSED_SECONDS = 86400.0  # that a block waits for its gallery

_TABLE = """
CREATE TABLE IF NOT EXISTS keys (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    kind TEXT NOT NULL,
    params_digest TEXT NOT NULL,
    created REAL NOT NULL,
    last_used REAL NOT NULL,
    expires REAL NOT NULL,
    PRIMARY KEY (tenant, digest)
) WITHOUT ROWID
"""
_COLUMNS = "digest, size, kind, params_digest, created, last_used, expires"


class FileStore:
    """A folder that belongs to this store alone, and to one process at a time.

    Args:
        folder: made where there is none; mode 0700.
        quota: how much each tenant may have.
        keep_seconds: how long a key stays after its last use.
        clock: Unix seconds.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        quota: Quota = Quota(),
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder and remove what an interrupted upload left behind; StoreInUse when another process has it."""
        self._folder, self._quota, self._keep_seconds, self._clock = Path(folder), quota, keep_seconds, clock
        self._changing = RLock()  # held while rows and files change together
        self._live: dict[Path, tuple[str, bool, int]] = {}  # uploads under way: tenant, block or not, bytes held ready
        self._touched: dict[tuple[str, str], float] = {}
        self._swept = -math.inf
        with ExitStack() as stack, full_when_exhausted("opening the store"):
            private_folder(self._folder)
            stack.callback(_lock(self._folder).close)
            self.database = Database(self._folder / "store.db")
            stack.callback(self.database.close)
            self._blobs = Blobs(self._folder)
            with self.database.durable() as rows:
                rows.execute(_TABLE)
            self._replays, self._answers = Replays(self.database, clock=clock), Answers(self.database)
            self._galleries = Galleries(self.database)
            self.sweep()
            self._close = weakref.finalize(self, stack.pop_all().close)

    def close(self) -> None:
        """Give the folder free; the store cannot be used any more."""
        self._close()

    # ---- the six methods of a KeyStore -----------------------------------------------------------

    def receive(self, tenant: str, digest: str, length: int, *, kind: str, params_digest: str) -> Upload:
        """Begin an upload; see `KeyStore`."""
        if not (TENANT.fullmatch(tenant) and DIGEST.fullmatch(digest) and DIGEST.fullmatch(params_digest)):
            raise StoreError("a name is not as it should be", "a tenant and two digests are needed", "Check the caller")
        if length < 1:
            raise StoreError(f"{length} bytes are announced", "one at least is needed", "Send a key")
        with self._changing, full_when_exhausted("storing the key"):
            if abs(self._clock() - self._swept) >= _SWEEP_SECONDS:
                self.sweep()  # here, where the disk is about to fill further
            known = self.find(tenant, digest) is not None
            if not known:
                self._check_quota(tenant, length, kind == BLOCK)
            partial = self._blobs.begin()
            self._live[partial.path] = (tenant, kind == BLOCK, 0 if known else length)
        return _FileUpload(self, partial, tenant, digest, length, kind, params_digest)

    def find(self, tenant: str, digest: str) -> StoredKey | None:
        """Return what is known of a key; see `KeyStore`."""
        with self.database.reading() as rows:
            row = rows.execute(
                f"SELECT {_COLUMNS} FROM keys WHERE tenant = ? AND digest = ? AND expires > ?",
                (tenant, digest, self._clock()),
            ).fetchone()
        if row is None:
            return None
        key = StoredKey(*row)
        return key if self._blobs.size(tenant, digest) == key.size else None

    def path(self, tenant: str, digest: str) -> Path | None:
        """Return the file of a key; see `KeyStore`."""
        if self.find(tenant, digest) is None:
            return None
        self._touch(tenant, digest)
        return self._blobs.path(tenant, digest)

    def delete(self, tenant: str, digest: str) -> bool:
        """Forget a key; see `KeyStore`."""
        with self._changing:
            if self.find(tenant, digest) is None:
                return False
            self._remove([(tenant, digest)])
            return True

    def usage(self, tenant: str, *, blocks: bool = False) -> Usage:
        """Return how much a tenant has stored; see `KeyStore`."""
        with self.database.reading() as rows:
            objects, size = rows.execute(
                "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM keys WHERE tenant = ? AND expires > ? AND (kind = ?) = ?",
                (tenant, self._clock(), BLOCK, blocks),
            ).fetchone()
        return Usage(objects, size)

    def sweep(self) -> int:
        """Remove what has expired and what nobody can find; see `KeyStore`."""
        with self._changing:
            self._swept = self._clock()
            with self.database.reading() as rows:
                expired = rows.execute("SELECT tenant, digest FROM keys WHERE expires <= ?", (self._swept,)).fetchall()
            self._remove(expired)
            repaired = self._repair()
            self._galleries.drop_incomplete(self._swept)
            unused = self._galleries.unused(self._swept - _UNUSED_SECONDS)
            self._remove(unused)
            return len(expired) + repaired + len(unused)

    # ---- and the six that make it a Storage ------------------------------------------------------

    def claim(self, tenant: str, nonce: bytes, sent_at: int) -> bool:
        """Use up a nonce; see `Storage`."""
        return self._replays.claim(tenant, nonce, sent_at)

    def spend(self, tenant: str, model: str, most: int) -> bool:
        """Count one more answer; see `Storage`."""
        return self._answers.spend(tenant, model, most)

    def given(self, tenant: str, model: str) -> int:
        """Return how many answers were given; see `Storage`."""
        return self._answers.given(tenant, model)

    def keep_gallery(self, tenant: str, gallery: StoredGallery) -> bool:
        """Make a gallery of blocks; see `Storage`."""
        with self._changing, full_when_exhausted("keeping a gallery"):
            for digest in gallery.blocks:
                found = self.find(tenant, digest)
                if found is None or found.kind != BLOCK:
                    return False
            # What lacks a block is not counted below, and would be back with the block.
            self._galleries.drop_incomplete(self._clock(), tenant)
            there, most = self.galleries(tenant), self._quota.galleries
            if len(there) >= most and gallery.name not in {one.name for one in there}:
                raise QuotaExceeded(
                    f"{len(there)} galleries are stored", f"{most} are allowed", "Delete one that is no longer used"
                )
            before = {block for one in there if one.name == gallery.name for block in one.blocks}
            self._galleries.put(tenant, gallery)
            self._release_blocks(tenant, before)
        return True

    def galleries(self, tenant: str, *, name: str | None = None, digest: str | None = None) -> list[StoredGallery]:
        """Return a tenant's galleries; see `Storage`."""
        return self._galleries.find(tenant, self._clock(), name, digest)

    def drop_gallery(self, tenant: str, name: str) -> bool:
        """Forget a gallery and its blocks; see `Storage`."""
        with self._changing:
            there = self.galleries(tenant, name=name)
            if not there:
                return False
            self._galleries.drop(tenant, name)
            self._release_blocks(tenant, set(there[0].blocks))
            return True

    # ---- helpers ---------------------------------------------------------------------------------

    def _release_blocks(self, tenant: str, blocks: set[str]) -> None:
        """Remove those of some blocks that no gallery has any more."""
        self._remove([key for key in self._galleries.unused(math.inf) if key[0] == tenant and key[1] in blocks])

    def _repair(self) -> int:
        """Remove rows without their bytes (a file deleted by hand, or damaged), and files without a row."""
        with self.database.reading() as rows:
            known = rows.execute("SELECT tenant, digest, size FROM keys").fetchall()
        self._remove([(tenant, digest) for tenant, digest, size in known if self._blobs.size(tenant, digest) != size])
        with self.database.reading() as rows:
            valid = set(rows.execute("SELECT tenant, digest FROM keys").fetchall())
        orphans = [key for key in self._blobs.complete() if key not in valid]
        for tenant, digest in orphans:
            self._blobs.drop(tenant, digest)
        leftovers = [path for path in self._blobs.leftovers() if path not in self._live]
        for path in leftovers:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return len(orphans) + len(leftovers)

    def _remove(self, keys: list[tuple[str, str]]) -> None:
        """Remove files, then rows: so a disk that is full has room for the change to the rows."""
        for tenant, digest in keys:
            self._touched.pop((tenant, digest), None)
            self._blobs.drop(tenant, digest)
        if keys:
            with self.database.durable() as rows:
                rows.executemany("DELETE FROM keys WHERE tenant = ? AND digest = ?", keys)

    def _check_quota(self, tenant: str, length: int, block: bool) -> None:
        used, quota = self._held(tenant, block), self._quota
        objects, size = (quota.blocks, quota.block_bytes) if block else (quota.objects, quota.bytes)
        if used.objects >= objects or used.bytes + length > size:
            what = "blocks of galleries" if block else "keys"
            raise QuotaExceeded(
                f"{used.objects} {what} of {used.bytes} bytes are stored or on their way, and {length} bytes are to "
                "come",
                f"{objects} {what} of {size} bytes in all are allowed",
                f"Delete {'galleries' if block else 'keys'} that are no longer used",
            )

    def _held(self, tenant: str, block: bool) -> Usage:
        stored = self.usage(tenant, blocks=block)
        coming = [size for name, kind, size in self._live.values() if (name, kind) == (tenant, block) and size]
        return Usage(stored.objects + len(coming), stored.bytes + sum(coming))

    def _touch(self, tenant: str, digest: str) -> None:
        """Note the use of a key, once a minute at most; that it cannot be noted is no reason not to use it."""
        now = self._clock()
        if abs(now - self._touched.get((tenant, digest), -math.inf)) < _TOUCH_SECONDS:
            return
        with suppress(StoreError), self.database.quick() as rows:
            rows.execute(
                "UPDATE keys SET last_used = ?, expires = ? WHERE tenant = ? AND digest = ?",
                (now, now + self._keep_seconds, tenant, digest),
            )
            self._touched[tenant, digest] = now

    def _commit(self, partial: Partial, tenant: str, digest: str, kind: str, params_digest: str) -> None:
        now = self._clock()
        key = StoredKey(digest, partial.length, kind, params_digest, now, now, now + self._keep_seconds)
        partial.finish()
        with self._changing:
            if self.find(tenant, key.digest) is not None:
                self._touch(tenant, key.digest)
                return
            if not self._live[partial.path][2]:  # it was stored when the upload began, and is not any more
                self._check_quota(tenant, key.size, kind == BLOCK)
            try:
                self._blobs.keep(partial, tenant, key.digest)
                with self.database.durable() as rows:
                    rows.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (tenant, *astuple(key)))
            except BaseException:
                self._blobs.drop(tenant, key.digest)
                raise
            self._touched[tenant, key.digest] = key.last_used

    def _release(self, partial: Partial) -> None:
        partial.remove()
        with self._changing:
            self._live.pop(partial.path, None)


class _FileUpload:
    """An `Upload` into a FileStore."""

    def __init__(
        self, store: FileStore, partial: Partial, tenant: str, digest: str, length: int, kind: str, params_digest: str
    ) -> None:
        self._store, self._partial, self._length = store, partial, length
        self._tenant, self._digest, self._kind, self._params_digest = tenant, digest, kind, params_digest
        self._done = False

    @property
    def path(self) -> Path:
        return self._partial.path

    def write(self, chunk: bytes) -> None:
        if self._partial.length + len(chunk) > self._length:
            raise StoreError(
                f"more than {self._length} bytes came", "as many as announced are needed", "Announce the length"
            )
        with full_when_exhausted("storing the key"):
            self._partial.write(chunk)

    def digest(self) -> str:
        return self._partial.digest()

    def commit(self) -> None:
        if (self._partial.length, self._partial.digest()) != (self._length, self._digest):
            raise StoreError(
                f"{self._partial.length} bytes of digest {self._partial.digest()} came",
                f"{self._length} bytes of digest {self._digest} were announced",
                "Send the bytes again, unchanged",
            )
        with full_when_exhausted("storing the key"):
            self._store._commit(self._partial, self._tenant, self._digest, self._kind, self._params_digest)
        self.discard()

    def discard(self) -> None:
        if not self._done:
            self._done = True
            self._store._release(self._partial)


class TemporaryStore(FileStore):
    """A store in a folder of its own that is gone with it; for tests and demonstrations."""

    def __init__(self, *, quota: Quota = Quota(), clock: Callable[[], float] = time.time) -> None:
        """Start empty."""
        folder = tempfile.mkdtemp(prefix="keys-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # runs after the store's own, made later
        super().__init__(folder, quota=quota, clock=clock)


def _lock(folder: Path) -> Lock:
    try:
        return Lock(folder / "lock")
    except BlockingIOError as error:
        raise StoreInUse(
            f"{folder} is used by another service",
            "every service needs a folder of its own",
            "End the other service, or name another folder",
        ) from error
