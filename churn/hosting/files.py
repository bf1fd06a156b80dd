"""Files that are whole after any crash, in folders that only their owner can read; and one process per folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Lock", "private_folder", "replace_file", "sync_folder", "write_all"]


def private_folder(path: Path) -> None:
    """Make a folder, or take one that exists, and close it to everyone else (mode 0700)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "nt" and path.stat().st_mode & 0o077:
        path.chmod(0o700)


def sync_folder(path: Path) -> None:
    """Make the names that were given or removed in a folder survive a power cut, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte; a disk that is nearly full takes a part first, and raises OSError on the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Give a file new contents: afterwards, and at any moment before, it holds all of the old or all of the new."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


class Lock:
    """Held by one process at a time, until it closes the lock or ends in whatever way."""

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        """Take the lock that a file stands for; BlockingIOError when another holds it and we do not wait."""
        # Not inherited by child processes: a worker that outlives the service would hold it on.
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                try:
                    msvcrt.locking(self._handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                except OSError as error:
                    raise BlockingIOError(*error.args) from error
            else:
                fcntl.flock(self._handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(self._handle)
            raise

    def close(self) -> None:
        """Let the next one have it."""
        os.close(self._handle)

    def __enter__(self) -> Lock:
        """Return the lock, which is held already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
