"""What the service asks of its storage: tenants' public keys and galleries, what they used up, and how it says no.

    StoreError          (ChurnError)
    |-- QuotaExceeded   a tenant has as much as a tenant may have
    |-- StoreFull       the disk, the file handles or the memory of this machine do not suffice
    |-- StoreFailed     the store itself is damaged, or someone else is changing it
    `-- StoreInUse      another service has this folder

`KeyStore` has six methods, and `Storage`, all that `create_app` asks for, six more. `store.filestore` stands behind
both with files and SQLite; a database that several machines share could do so just as well. Keys are bytes under the
name of their SHA-256, and belong to one tenant: what another tenant has stored does not exist for this one, even under
the same digest. Blocks of encrypted vectors are stored in the same way, with a quota of their own.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from churn.errors import ChurnError

__all__ = [
    "BLOCK",
    "TENANT",
    "KeyStore",
    "Quota",
    "QuotaExceeded",
    "Storage",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreInUse",
    "StoredGallery",
    "StoredKey",
    "Upload",
    "Usage",
    "full_when_exhausted",
    "store_full",
]

TENANT = re.compile(r"[a-z0-9-]{1,32}")
"""The names that tenants can have. Such a name is a folder's name too, and no path."""

BLOCK = "gallery block"
"""The kind of what is no key, but part of a gallery."""

_EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class StoreError(ChurnError):
    """Something that a store does not do."""


class QuotaExceeded(StoreError):
    """A tenant has as much as a tenant may have."""


class StoreFull(StoreError):
    """This machine has no room left: disk, file handles or memory. What was stored before is still there."""


class StoreFailed(StoreError):
    """The store itself is damaged, or someone else is changing it: for whoever runs the service, not for clients."""


class StoreInUse(StoreError):
    """Another service has this folder."""


@dataclass(frozen=True)
class Quota:
    """How much one tenant may have stored, uploads that are under way included."""

    objects: int = 8  # four pairs of a public key and evaluation keys
    bytes: int = 4 << 30
    blocks: int = 4096
    block_bytes: int = 16 << 30
    galleries: int = 64


@dataclass(frozen=True)
class Usage:
    """How much one tenant has stored."""

    objects: int
    bytes: int


@dataclass(frozen=True)
class StoredKey:
    """What is known of a stored key without reading it. Times are Unix seconds; `last_used` may be a minute late."""

    digest: str
    size: int
    kind: str
    params_digest: str
    created: float
    last_used: float
    expires: float


@dataclass(frozen=True)
class StoredGallery:
    """Blocks of encrypted vectors that are compared with together.

    Args:
        name: of the tenant's choice, [a-z0-9._-].
        digest: `protocol.gallery_digest` of model, items and blocks.
        model: digest of the model that compares with it.
        items: how many vectors.
        created: Unix seconds.
        blocks: their digests, in order.
    """

    name: str
    digest: str
    model: str
    items: int
    created: float
    blocks: tuple[str, ...]


class Upload(Protocol):
    """Bytes on their way into a store; lost unless committed. Used by one task at a time, from any thread.

    Always end with `discard()`: it gives back what the quota holds ready for this upload.
    """

    @property
    def path(self) -> Path:
        """The file that holds what was written so far: to check it before the commit."""

    def write(self, chunk: bytes) -> None:
        """Append a chunk; StoreError beyond the announced length, StoreFull when there is no room."""

    def digest(self) -> str:
        """Return the SHA-256 of everything written so far, in hex."""

    def commit(self) -> None:
        """Keep the bytes; returns when they would survive a power cut.

        StoreError unless length and digest are those announced; StoreFull when there is no room, nothing is kept then.
        """

    def discard(self) -> None:
        """Forget the bytes; nothing happens after a commit, or the second time."""


class KeyStore(Protocol):
    """Keys by tenant and digest. Every method may be called from any thread."""

    def receive(self, tenant: str, digest: str, length: int, *, kind: str, params_digest: str) -> Upload:
        """Begin an upload of `length` bytes; QuotaExceeded or StoreFull when they cannot be taken.

        A key that is stored already may be sent again at any time: that takes nothing from the quota, and changes
        nothing but its last use.
        """

    def find(self, tenant: str, digest: str) -> StoredKey | None:
        """Return what is known of a key, None when this tenant has none of that digest."""

    def path(self, tenant: str, digest: str) -> Path | None:
        """Return the file of a key, to be read with `blobs.mapped`, None as in `find`; the key counts as used now.

        The file may be deleted at any time; whoever has it mapped by then keeps its bytes.
        """

    def delete(self, tenant: str, digest: str) -> bool:
        """Forget a key; tell whether there was one."""

    def usage(self, tenant: str, *, blocks: bool = False) -> Usage:
        """Return how much a tenant has stored: of keys, or of blocks."""

    def sweep(self) -> int:
        """Remove what has expired and what nobody can find any more; return how many files that were.

        A store does so by itself before it grows. Nobody finds an expired key before that either.
        """


class Storage(KeyStore, Protocol):
    """A KeyStore that also remembers what was used up. What it has agreed to, no end of its process undoes."""

    def claim(self, tenant: str, nonce: bytes, sent_at: int) -> bool:
        """Use up a nonce (16 bytes) of a request sent at `sent_at`, Unix seconds.

        True for a tenant's first claim of it, False for any other and for a time that is too far from now.
        QuotaExceeded or StoreFull when it cannot be remembered; it is not used up then.
        """

    def spend(self, tenant: str, model: str, most: int) -> bool:
        """Count one more answer of a model (by digest); False, and no count, when `most` were given."""

    def given(self, tenant: str, model: str) -> int:
        """Return how many answers of a model a tenant was given."""

    def keep_gallery(self, tenant: str, gallery: StoredGallery) -> bool:
        """Make a gallery of blocks, in place of the one of its name; False, and no change, when a block is not there.

        QuotaExceeded when the tenant has as many as it may have. Blocks that are in no gallery afterwards are removed.
        """

    def galleries(self, tenant: str, *, name: str | None = None, digest: str | None = None) -> list[StoredGallery]:
        """Return a tenant's galleries, by name: those of this name or digest, if one is given."""

    def drop_gallery(self, tenant: str, name: str) -> bool:
        """Forget a gallery and the blocks that are in no other; tell whether there was one."""


@contextmanager
def full_when_exhausted(doing: str) -> Iterator[None]:
    """Turn the system's errors about a lack of room into StoreFull; other errors pass."""
    try:
        yield
    except MemoryError as error:
        raise store_full(doing, "no memory") from error
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        raise store_full(doing, (error.strerror or str(error)).lower()) from error


def store_full(doing: str, why: str) -> StoreFull:
    """Return the error that says so."""
    return StoreFull(
        f"{doing} failed: {why}",
        "room on the service's machine is needed; everything stored before is still there",
        "Try again later, or tell whoever runs the service",
    )
