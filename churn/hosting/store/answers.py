"""How many answers of a model each tenant was given: flooding is sized for a number of them, and ends with it.

Counted by tenant and model, not by key: a tenant that makes a new key learns about the same model.
"""

from __future__ import annotations

from churn.hosting.store.database import Database

__all__ = ["Answers"]

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    given INTEGER NOT NULL,
    PRIMARY KEY (tenant, model)
) WITHOUT ROWID
"""
_SPEND = """
INSERT INTO answers VALUES (?, ?, 1)
ON CONFLICT (tenant, model) DO UPDATE SET given = given + 1 WHERE given < ?
"""


class Answers:
    """The counts of a service; safe to share between threads. A killed service forgets none."""

    def __init__(self, database: Database) -> None:
        """Take up what the database remembers."""
        self._database = database
        with database.durable() as rows:
            rows.execute(_TABLE)

    def spend(self, tenant: str, model: str, most: int) -> bool:
        """Count one more answer of a model (by digest); False, and no count, when `most` were given."""
        with self._database.quick() as rows:
            return rows.execute(_SPEND, (tenant, model, most)).rowcount == 1

    def given(self, tenant: str, model: str) -> int:
        """Return how many answers of a model a tenant was given."""
        with self._database.reading() as rows:
            row = rows.execute("SELECT given FROM answers WHERE tenant = ? AND model = ?", (tenant, model)).fetchone()
        return 0 if row is None else int(row[0])
