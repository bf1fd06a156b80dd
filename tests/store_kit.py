"""Keys that are only bytes, a clock that is set by hand, and whole uploads: what the tests of the store start from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from churn.hosting import files as file_calls
from churn.hosting.protocol import gallery_digest
from churn.hosting.store.blobs import mapped
from churn.hosting.store.keystore import BLOCK, KeyStore, StoredGallery

CHILD = Path(__file__).resolve().parent / "store_child.py"
PARAMS = hashlib.sha256(b"some parameters").hexdigest()


@dataclass
class Clock:
    """Stands still unless moved."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key(number: int, size: int = 3000) -> bytes:
    """Bytes that are different for every number."""
    return (f"key {number} ".encode() * (size // 6 + 1))[:size]


def gallery_of(name: str, blocks: Sequence[str]) -> StoredGallery:
    """A gallery of nine vectors, made at a time of its own."""
    model = digest_of(b"a model")
    return StoredGallery(name, gallery_digest(model, 9, blocks), model, 9, 12.5, tuple(blocks))


def put_block(store: KeyStore, tenant: str, number: int, size: int = 3000) -> str:
    """Upload a block, which is bytes that are different for every number; return its digest."""
    return put(store, tenant, key(1000 + number, size), kind=BLOCK)


def put(store: KeyStore, tenant: str, data: bytes, *, kind: str = "PUBLIC_KEY", chunk: int = 999) -> str:
    """Upload in chunks; return the digest."""
    digest = digest_of(data)
    upload = store.receive(tenant, digest, len(data), kind=kind, params_digest=PARAMS)
    try:
        for start in range(0, len(data), chunk):
            upload.write(data[start : start + chunk])
        with mapped(upload.path) as view:
            assert view == data
        upload.commit()
    finally:
        upload.discard()
    return digest


def read(store: KeyStore, tenant: str, digest: str) -> bytes | None:
    """What is stored, None for nothing; complete or a failure."""
    found, path = store.find(tenant, digest), store.path(tenant, digest)
    assert (found is None) == (path is None)
    if found is None or path is None:
        return None
    data = path.read_bytes()
    assert (len(data), digest_of(data)) == (found.size, digest)
    return data


def files(folder: Path) -> list[str]:
    """Every file of a store except its database and lock, relative to the folder."""
    ours = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in ours if path.parts[0] in ("uploads", "tenants"))


def start(mode: str, folder: Path, seed: int = 0) -> subprocess.Popen[str]:
    """Begin in a process of its own what `store_child` does in a mode."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(CHILD), mode, str(folder), str(seed)],
        env={**os.environ, "PYTHONPATH": str(Path(file_calls.__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
