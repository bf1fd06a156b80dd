"""One SQLite file, written by one process: facts about keys, nonces that were used, answers that were given.

Write-ahead logging: a transaction is whole or absent after any end of the process. `durable` transactions are on the
disk when they return (synchronous=FULL). `quick` ones are in the system's hands (synchronous=NORMAL): a killed process
loses none of them, a power cut may lose the last few, never their order. Other processes may read meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import RLock

from churn.hosting.store.keystore import StoreFailed, store_full

__all__ = ["Database"]

_FORMAT = 1
_BUSY_SECONDS = 5.0
_EXHAUSTED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}


class Database:
    """Connections to the file, for any thread; one transaction at a time, which nobody has to wait for long."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it (mode 0600, and so are its companions -wal and -shm)."""
        self._path, self._lock = path, RLock()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._explained():
            self._durable, self._quick = self._connect("FULL"), self._connect("NORMAL")
            with self.durable() as connection:
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                if found not in (0, _FORMAT):
                    raise StoreFailed(
                        f"{path} has format {found}",
                        f"format {_FORMAT} is needed",
                        "Use the version that wrote it, or another folder",
                    )
                if found != _FORMAT:
                    connection.execute(f"PRAGMA user_version = {_FORMAT}")

    def durable(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction that survives a power cut when the block has ended; an exception undoes it."""
        return self._transaction(self._durable)

    def quick(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction that survives the end of this process; an exception undoes it."""
        return self._transaction(self._quick)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for single statements that change nothing."""
        with self._lock, self._explained():
            yield self._quick

    def close(self) -> None:
        """Close the file; the last to do so folds the log into it."""
        with self._lock:
            self._quick.close()
            self._durable.close()

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        # No implicit transactions; and one lock of ours in place of one connection per thread.
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            connection.close()
            raise StoreFailed(
                f"{self._path} cannot be written ahead (mode {mode})",
                "a local disk is needed",
                "Name a folder that is not on a network share",
            )
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        return connection

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite raises into StoreFull and StoreFailed."""
        try:
            yield
        except MemoryError as error:
            raise store_full("keeping a record", "no memory") from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _EXHAUSTED:
                raise store_full("keeping a record", str(error)) from error
            raise StoreFailed(
                f"{self._path} cannot be used ({error})",
                "a database of this service is needed, and nobody else writing to it",
                "Check the file; if it is damaged, move the store's folder away and start with a new one",
            ) from error
