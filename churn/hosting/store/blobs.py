"""Bytes in files: under a temporary name while they arrive, under their digest when all of them are on the disk.

    FOLDER/uploads/RANDOM             what is on its way, or was when the process ended
    FOLDER/tenants/NAME/DIGEST        what is complete

Nothing here knows whether a complete file counts: that is said by the row that `filestore` writes after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.hosting.files import private_folder, sync_folder, write_all
from churn.hosting.protocol import DIGEST
from churn.hosting.store.keystore import TENANT, StoreError, full_when_exhausted

__all__ = ["Blobs", "Partial", "mapped"]


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Give a file's bytes, read-only and shared with every process that maps the same file.

    What still refers to them after the block keeps them alive, also when the file is deleted. Raises FileNotFoundError
    when that happened before, StoreFull when there is no memory or file handle left.
    """
    with full_when_exhausted("reading a key"), open(path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(memory)
    try:
        yield view
    finally:
        # Refused while arrays refer to the memory; it is unmapped with the last of them then.
        with contextlib.suppress(BufferError):
            view.release()
            memory.close()


class Partial:
    """A file on its way. Used by one task at a time."""

    def __init__(self, path: Path) -> None:
        """Make the file (mode 0600)."""
        self.path, self.length, self._hash = path, 0, hashlib.sha256()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._handle: int | None = os.open(path, flags, 0o600)

    def write(self, chunk: bytes) -> None:
        """Append a chunk; nothing is held back in memory."""
        try:
            write_all(self._open(), chunk)
        except BaseException:
            self._close()  # a part of the chunk may be in the file: whoever tried again would write it twice
            raise
        self._hash.update(chunk)
        self.length += len(chunk)

    def digest(self) -> str:
        """Return the SHA-256 of everything written, in hex."""
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Wait until the bytes are on the disk; no more can be written."""
        try:
            os.fsync(self._open())
        finally:
            self._close()

    def remove(self) -> None:
        """Close and delete the file, unless it was moved away."""
        self._close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._handle is None:
            raise StoreError("this upload has ended", "one that is under way is needed", "Begin another one")
        return self._handle

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)


class Blobs:
    """The two folders. Callers see to it that nothing is kept, dropped and listed at the same time."""

    def __init__(self, folder: Path) -> None:
        """Make the folders (mode 0700)."""
        self._uploads, self._tenants = folder / "uploads", folder / "tenants"
        for each in (self._uploads, self._tenants):
            private_folder(each)
        sync_folder(folder)

    def begin(self) -> Partial:
        """Open a new file for an upload."""
        return Partial(self._uploads / secrets.token_hex(16))

    def path(self, tenant: str, digest: str) -> Path:
        """Return where a complete file is; names from outside never become a path unchecked."""
        if not (TENANT.fullmatch(tenant) and DIGEST.fullmatch(digest)):
            raise ValueError("no tenant's name, or no digest")
        return self._tenants / tenant / digest

    def size(self, tenant: str, digest: str) -> int | None:
        """Return the size of a complete file, None where there is none."""
        try:
            return self.path(tenant, digest).stat().st_size
        except FileNotFoundError:
            return None

    def keep(self, partial: Partial, tenant: str, digest: str) -> None:
        """Give a finished file its place; returns when it would be there after a power cut."""
        place = self.path(tenant, digest)
        if not place.parent.is_dir():
            private_folder(place.parent)
            sync_folder(self._tenants)
        os.replace(partial.path, place)
        sync_folder(place.parent)

    def drop(self, tenant: str, digest: str) -> None:
        """Delete a complete file, if it is there and the system lets us; else the next sweep tries again."""
        with contextlib.suppress(OSError):
            self.path(tenant, digest).unlink(missing_ok=True)

    def complete(self) -> Iterator[tuple[str, str]]:
        """Go through tenant and digest of every complete file."""
        for folder in sorted(self._tenants.iterdir()):
            if TENANT.fullmatch(folder.name) and folder.is_dir():
                for path in sorted(folder.iterdir()):
                    if DIGEST.fullmatch(path.name):
                        yield folder.name, path.name

    def leftovers(self) -> list[Path]:
        """Return the files of all uploads, live or not."""
        return list(self._uploads.iterdir())
