"""Requests are answered at most once: nonces that were used, remembered for as long as their requests are accepted.

A request carries 128 random bits and the time of its sending. It is accepted within `window` of that time, before or
after, as clocks differ; until then its nonce stays in the table, and no longer.

A claim is in the system's hands when it returns (`Database.quick`), not on the disk, which would take milliseconds. A
service that is killed forgets no nonce. A power cut may take the last claims with it: then a request from the moments
before can be sent once more, within its window, and is answered once more.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

from churn.hosting.store.database import Database
from churn.hosting.store.keystore import QuotaExceeded

__all__ = ["NONCE_BYTES", "WINDOW_SECONDS", "Replays"]

NONCE_BYTES = 16
WINDOW_SECONDS = 86400
_MOST = 1 << 20
_PRUNE_SECONDS = 60
_PRUNE_ROWS = 1000  # at a time: some milliseconds

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS nonces (
        tenant TEXT NOT NULL,
        nonce BLOB NOT NULL,
        sent_at INTEGER NOT NULL,
        PRIMARY KEY (tenant, nonce)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS nonces_by_time ON nonces (sent_at)",
    "CREATE TABLE IF NOT EXISTS forgotten (only_row INTEGER PRIMARY KEY, before INTEGER NOT NULL)",
)
_PRUNE = """
DELETE FROM nonces WHERE (tenant, nonce) IN
    (SELECT tenant, nonce FROM nonces WHERE sent_at < ? ORDER BY sent_at LIMIT ?)
RETURNING tenant, sent_at
"""


class Replays:
    """The nonces of a service's requests; safe to share between threads, one per database.

    Args:
        database: that of the store.
        window: seconds for which a request is accepted after, and before, its own time.
        most: how many nonces of one tenant are remembered.
        clock: Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        window: int = WINDOW_SECONDS,
        most: int = _MOST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take up what the database remembers."""
        self._database, self._window, self._most, self._clock = database, window, most, clock
        self._lock, self._pruned = Lock(), float("-inf")
        with database.durable() as rows:
            for table in _TABLES:
                rows.execute(table)
            # Everything sent before this is refused, even if the clock is set back: its nonces are not known any more.
            (self._before,) = rows.execute("SELECT COALESCE(MAX(before), 0) FROM forgotten").fetchone()
            self._counts = Counter(dict(rows.execute("SELECT tenant, COUNT(*) FROM nonces GROUP BY tenant")))

    def claim(self, tenant: str, nonce: bytes, sent_at: int, now: float | None = None) -> bool:
        """Use up a nonce (16 bytes): True for a tenant's first claim of it, False for any other.

        False as well when `sent_at` (Unix seconds) is outside the window around `now`, the clock's time by default.
        Raises QuotaExceeded when this tenant has too many nonces to be remembered, StoreFull when there is no room; the
        nonce is not used up then.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {len(nonce)} bytes; {NONCE_BYTES} are needed")
        now = self._clock() if now is None else now
        with self._lock:
            if abs(now - self._pruned) >= _PRUNE_SECONDS:
                self._prune(now)
            if sent_at < self._before or not now - self._window <= sent_at <= now + self._window:
                return False
            if self._counts[tenant] >= self._most:
                raise QuotaExceeded(
                    f"{self._counts[tenant]} requests are remembered",
                    f"{self._most} within {self._window} seconds are allowed",
                    "Send more rows with each request, or wait",
                )
            with self._database.quick() as rows:
                new = rows.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (tenant, nonce, sent_at)).rowcount
            self._counts[tenant] += new
        return new == 1

    def _prune(self, now: float) -> None:
        """Forget some of the nonces whose requests would be refused for their age."""
        with self._database.quick() as rows:
            gone = rows.execute(_PRUNE, (int(now) - self._window, _PRUNE_ROWS)).fetchall()
            # The newest of those forgotten, not `now`: a clock that was ahead for a while refuses nobody afterwards.
            before = max([self._before, *(sent_at + 1 for _, sent_at in gone)])
            if gone:
                rows.execute("INSERT OR REPLACE INTO forgotten VALUES (0, ?)", (before,))
        self._before = before
        self._counts -= Counter(tenant for tenant, _ in gone)
        if len(gone) < _PRUNE_ROWS:
            self._pruned = now
