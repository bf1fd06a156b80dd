"""Public keys at rest: bytes under the name of their SHA-256, all or nothing.

An upload is written beside its final place and gets its name only when complete, so that whoever
finds a digest finds all of its bytes, after a crash as well. `KeyStore` is what the service asks
for; a database can stand behind the same five methods.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Protocol

from churn.hosting.protocol import DIGEST

__all__ = ["FileStore", "KeyStore", "MemoryStore", "Upload"]

_PARTIAL = ".upload-"


class Upload(Protocol):
    """Bytes on their way into a store; lost unless committed. Used by one task at a time."""

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""

    def contents(self) -> bytes:
        """Return everything written so far."""

    def digest(self) -> str:
        """Return the SHA-256 of everything written so far, in hex."""

    def commit(self) -> None:
        """Keep the bytes under their digest; returns when they would survive a crash."""

    def discard(self) -> None:
        """Forget the bytes; nothing happens after a commit."""


class KeyStore(Protocol):
    """Blobs by digest. Every method may be called from any thread."""

    def receive(self) -> Upload:
        """Begin an upload."""

    def size(self, digest: str) -> int | None:
        """Return how many bytes are stored under a digest, None for an unknown one."""

    def read(self, digest: str) -> bytes:
        """Return the bytes; KeyError for an unknown digest."""

    def delete(self, digest: str) -> bool:
        """Forget the bytes; tell whether there were any."""

    def count(self) -> int:
        """Return how many blobs are stored."""


class MemoryStore:
    """A store that ends with the process; for tests and demonstrations."""

    def __init__(self) -> None:
        """Start empty."""
        self._blobs: dict[str, bytes] = {}

    def receive(self) -> Upload:
        """Begin an upload."""
        return _MemoryUpload(self._blobs)

    def size(self, digest: str) -> int | None:
        """Return how many bytes are stored under a digest, None for an unknown one."""
        blob = self._blobs.get(digest)
        return None if blob is None else len(blob)

    def read(self, digest: str) -> bytes:
        """Return the bytes; KeyError for an unknown digest."""
        return self._blobs[digest]

    def delete(self, digest: str) -> bool:
        """Forget the bytes; tell whether there were any."""
        return self._blobs.pop(digest, None) is not None

    def count(self) -> int:
        """Return how many blobs are stored."""
        return len(self._blobs)


class _MemoryUpload:
    def __init__(self, blobs: dict[str, bytes]) -> None:
        self._blobs, self._data, self._hash = blobs, bytearray(), hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self._data += chunk
        self._hash.update(chunk)

    def contents(self) -> bytes:
        return bytes(self._data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def commit(self) -> None:
        self._blobs[self.digest()] = bytes(self._data)

    def discard(self) -> None:
        self._data.clear()


class FileStore:
    """Files named by digest in one folder that belongs to this store alone (mode 0700).

    One process at a time: what it finds half-written at its start is removed.
    """

    def __init__(self, folder: str | Path) -> None:
        """Make the folder, and remove what an interrupted upload left behind."""
        self._folder = Path(folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for orphan in self._folder.glob(f"{_PARTIAL}*"):
            orphan.unlink(missing_ok=True)

    def receive(self) -> Upload:
        """Begin an upload."""
        return _FileUpload(self._folder)

    def size(self, digest: str) -> int | None:
        """Return how many bytes are stored under a digest, None for an unknown one."""
        try:
            return self._path(digest).stat().st_size
        except (FileNotFoundError, KeyError):
            return None

    def read(self, digest: str) -> bytes:
        """Return the bytes; KeyError for an unknown digest."""
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None

    def delete(self, digest: str) -> bool:
        """Forget the bytes; tell whether there were any."""
        try:
            self._path(digest).unlink()
        except (FileNotFoundError, KeyError):
            return False
        _sync(self._folder)
        return True

    def count(self) -> int:
        """Return how many blobs are stored."""
        return sum(1 for path in self._folder.iterdir() if DIGEST.fullmatch(path.name))

    def _path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):  # a name from outside never becomes a path unchecked
            raise KeyError(digest)
        return self._folder / digest


class _FileUpload:
    def __init__(self, folder: Path) -> None:
        self._folder, self._hash = folder, hashlib.sha256()
        self._path = folder / f"{_PARTIAL}{secrets.token_hex(16)}"
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
        self._open = True

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)

    def contents(self) -> bytes:
        self._file.seek(0)
        data = self._file.read()
        self._file.seek(0, os.SEEK_END)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()

    def commit(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._path, self._folder / self.digest())
        _sync(self._folder)
        self._open = False

    def discard(self) -> None:
        if self._open:
            self._open = False
            with contextlib.suppress(OSError):
                self._file.close()
            self._path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a new or removed name in `folder` survive a crash, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
