"""Which blocks make which gallery: rows that a gallery has when, and only when, it is whole.

A gallery is some blocks of encrypted vectors, in order, under a name of its tenant's choice. The blocks are stored
like keys, under their digests; a gallery is one transaction afterwards. So one that was uploaded by halves is no
gallery, and its blocks go when nobody has made one of them for a day (`filestore`).
"""

from __future__ import annotations

from churn.hosting.store.database import Database
from churn.hosting.store.keystore import BLOCK, StoredGallery

__all__ = ["Galleries"]

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS galleries (
        tenant TEXT NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        model TEXT NOT NULL,
        items INTEGER NOT NULL,
        created REAL NOT NULL,
        PRIMARY KEY (tenant, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS gallery_blocks (
        tenant TEXT NOT NULL,
        name TEXT NOT NULL,
        place INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (tenant, name, place)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS galleries_of_blocks ON gallery_blocks (tenant, digest)",
)
_MISSING = """
EXISTS (
    SELECT 1 FROM gallery_blocks AS b LEFT JOIN keys AS k
    ON k.tenant = b.tenant AND k.digest = b.digest AND k.kind = ? AND k.expires > ?
    WHERE b.tenant = g.tenant AND b.name = g.name AND k.digest IS NULL
)
"""
_FIND = f"""
SELECT name, digest, model, items, created FROM galleries AS g
WHERE tenant = ? AND (? IS NULL OR name = ?) AND (? IS NULL OR digest = ?) AND NOT {_MISSING}
"""
_BLOCKS = "SELECT digest FROM gallery_blocks WHERE tenant = ? AND name = ? ORDER BY place"
_UNUSED = """
SELECT tenant, digest FROM keys AS k WHERE kind = ? AND last_used <= ?
AND NOT EXISTS (SELECT 1 FROM gallery_blocks AS b WHERE b.tenant = k.tenant AND b.digest = k.digest)
"""


class Galleries:
    """The galleries of a service. Callers see to it that blocks do not change at the same time."""

    def __init__(self, database: Database) -> None:
        """Take up what the database remembers; it has a table of keys."""
        self._database = database
        with database.durable() as rows:
            for table in _TABLES:
                rows.execute(table)

    def put(self, tenant: str, gallery: StoredGallery) -> None:
        """Keep a gallery, in place of the one of that name, if there is one."""
        with self._database.durable() as rows:
            rows.execute("DELETE FROM gallery_blocks WHERE tenant = ? AND name = ?", (tenant, gallery.name))
            rows.execute(
                "INSERT OR REPLACE INTO galleries VALUES (?, ?, ?, ?, ?, ?)",
                (tenant, gallery.name, gallery.digest, gallery.model, gallery.items, gallery.created),
            )
            rows.executemany(
                "INSERT INTO gallery_blocks VALUES (?, ?, ?, ?)",
                [(tenant, gallery.name, place, digest) for place, digest in enumerate(gallery.blocks)],
            )

    def find(self, tenant: str, now: float, name: str | None, digest: str | None) -> list[StoredGallery]:
        """Return a tenant's galleries, of this name or digest if one is given, all of whose blocks are there."""
        with self._database.reading() as rows:
            found = rows.execute(_FIND, (tenant, name, name, digest, digest, BLOCK, now)).fetchall()
            return [
                StoredGallery(
                    name, digest, model, items, created, tuple(b for (b,) in rows.execute(_BLOCKS, (tenant, name)))
                )
                for name, digest, model, items, created in found
            ]

    def drop(self, tenant: str, name: str) -> bool:
        """Forget a gallery, and leave its blocks; tell whether there was one."""
        with self._database.durable() as rows:
            rows.execute("DELETE FROM gallery_blocks WHERE tenant = ? AND name = ?", (tenant, name))
            return rows.execute("DELETE FROM galleries WHERE tenant = ? AND name = ?", (tenant, name)).rowcount == 1

    def unused(self, before: float) -> list[tuple[str, str]]:
        """Return tenant and digest of all blocks that no gallery has, and that were last used before that time."""
        with self._database.reading() as rows:
            return rows.execute(_UNUSED, (BLOCK, before)).fetchall()

    def drop_incomplete(self, now: float, tenant: str | None = None) -> None:
        """Forget galleries, of this tenant if one is given, that lack a block, which was deleted, expired or lost."""
        with self._database.reading() as rows:
            gone = rows.execute(
                f"SELECT tenant, name FROM galleries AS g WHERE (? IS NULL OR tenant = ?) AND {_MISSING}",
                (tenant, tenant, BLOCK, now),
            ).fetchall()
        for tenant, name in gone:
            self.drop(tenant, name)
