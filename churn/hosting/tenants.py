"""Who may use the service: names, and what is needed to recognise their tokens.

A token is twice 256 random bits that only its tenant has, with a dot between them. The first half is sent with every
request; the second never is: from it follows the key that answers are authenticated with. So whoever sees a request go
by, a proxy that ends TLS for instance, may send others, and cannot forge an answer. The file of tenants holds no token,
but for each name the SHA-256 of the first half, and that key:

    {"tenants": {NAME: {"token_sha256": HEX, "mac_key": HEX}}}

Whoever reads that file can forge answers, not requests; so it is private (mode 0600) all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock as ThreadLock

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from churn import plain
from churn.errors import ChurnError, ModelError
from churn.hosting.files import Lock, replace_file
from churn.hosting.protocol import LOOPBACK_HOSTS, LOOPBACK_TOKEN
from churn.hosting.store.keystore import TENANT

__all__ = [
    "Tenant",
    "TenantError",
    "Tenants",
    "add_tenant",
    "bearer_of",
    "list_tenants",
    "mac_key_of",
    "new_token",
    "remove_tenant",
]

_MAC_INFO = b"ckks answer mac 1"
_FILE_BYTES = 16 << 20
_NAME_PART = 15
_log = logging.getLogger("churn.hosting")


class TenantError(ChurnError):
    """A file of tenants, or a name, that cannot be used."""


@dataclass(frozen=True)
class Tenant:
    """One tenant, as the service knows it: `token_hash` is the SHA-256 of its bearer half, `mac_key` has 32 bytes."""

    name: str
    token_hash: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)

    @property
    def account(self) -> str:
        """What keys, nonces and answers are kept under: name and token, so that a name given anew inherits nothing."""
        return f"{self.name[:_NAME_PART]}-{self.token_hash.hex()[: 31 - _NAME_PART]}"

    @classmethod
    def of(cls, name: str, token: str) -> Tenant:
        """Return the tenant that a token makes."""
        return cls(name, _hash(bearer_of(token)), mac_key_of(token))


class Tenants:
    """All tenants of a service; safe to share between threads. Follows its file when that changes."""

    hosts: frozenset[str] | None = None
    """The names under which the service may be addressed; None for any."""

    def __init__(self, tenants: Mapping[str, Tenant], path: Path | None = None, version: object = None) -> None:
        """Use `load` or `open_loopback`."""
        self._tenants, self._path, self._version = dict(tenants), path, version
        self._lock = ThreadLock()

    @classmethod
    def load(cls, path: str | Path) -> Tenants:
        """Read a file of tenants; TenantError for one that is missing, open to others, or not valid."""
        path = Path(path)
        version = _version(path)
        if version is None:
            raise TenantError(
                f"{path} does not exist", "a file of tenants is needed", "Add a tenant: that makes the file"
            )
        return cls(_read(path), path, version)

    @classmethod
    def open_loopback(cls) -> Tenants:
        """Return the one tenant of a service on a loopback address: name and token are both "local".

        Every user of the machine is that tenant. A page in a browser is not, though its server's name may be made to
        point here: the service may be addressed as loopback only.
        """
        tenants = cls({LOOPBACK_TOKEN: Tenant.of(LOOPBACK_TOKEN, LOOPBACK_TOKEN)})
        tenants.hosts = LOOPBACK_HOSTS
        return tenants

    def authenticate(self, token: str) -> Tenant | None:
        """Return the tenant that a token, or the half of it that is sent, belongs to; None for a token of nobody.

        Every tenant is compared, each in constant time, and digests at that: how long this takes says nothing about a
        token that is nearly right, nor about which tenant it was.
        """
        self._follow()
        offered, found = _hash(bearer_of(token)), None
        for tenant in self._tenants.values():
            if hmac.compare_digest(offered, tenant.token_hash):
                found = tenant
        return found

    def names(self) -> list[str]:
        """Return the tenants' names, sorted."""
        self._follow()
        return sorted(self._tenants)

    def _follow(self) -> None:
        """Read the file again if it is another one than before.

        A file that is gone means that nobody may enter; one that is damaged changes nothing, as a slip of the pen in
        it should not lock everybody out.
        """
        if self._path is None:
            return
        with self._lock:
            try:
                version = _version(self._path)
                if version == self._version:
                    return
                self._tenants = {} if version is None else _read(self._path)
            except (TenantError, OSError) as error:
                _log.error("the file of tenants cannot be read, those of before stay: %s", type(error).__name__)
                if isinstance(error, OSError):
                    return  # no file handle left, or the like: it may be read the next time
            self._version = version


def new_token() -> str:
    """Return a new token: twice 256 bits of the system's randomness, as characters that are safe in a header."""
    return f"{secrets.token_urlsafe(32)}.{secrets.token_urlsafe(32)}"


def bearer_of(token: str) -> str:
    """Return the half of a token that is sent with requests."""
    return token.partition(".")[0]


def mac_key_of(token: str) -> bytes:
    """Return the key (32 bytes) that answers to a token's holder are authenticated with: HKDF-SHA256 [RFC 5869].

    From the half that is not sent; of a token without a dot, which is no secret, from all of it.
    """
    kept = token.rpartition(".")[2]
    return HKDF(SHA256(), 32, salt=None, info=_MAC_INFO).derive(kept.encode("utf-8", "replace"))


def add_tenant(path: str | Path, name: str) -> str:
    """Add a tenant to a file, made where there is none, and return the token: the only time that it is seen."""
    if not TENANT.fullmatch(name):
        raise TenantError(
            f"{name[:64]!r} is no name for a tenant", "1 to 32 of a-z, 0-9 and '-' are needed", "Choose another"
        )
    path = Path(path)
    with Lock(_beside(path), wait=True):
        tenants = _read(path) if path.exists() else {}
        if name in tenants:
            raise TenantError(
                f"there is a tenant {name!r} already",
                "every tenant needs a name of its own",
                "Choose another, or remove that one first if it should get a new token",
            )
        token = new_token()
        _write(path, {**tenants, name: Tenant.of(name, token)})
    return token


def remove_tenant(path: str | Path, name: str) -> bool:
    """Take a tenant out of a file; tell whether it was there. Its keys are found no more, and expire."""
    path = Path(path)
    with Lock(_beside(path), wait=True):
        tenants = _read(path)
        if tenants.pop(name, None) is None:
            return False
        _write(path, tenants)
    return True


def list_tenants(path: str | Path) -> list[str]:
    """Return the names in a file, sorted."""
    return sorted(_read(Path(path)))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _version(path: Path) -> object:
    """Return what changes whenever the file is replaced or written to; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _read(path: Path) -> dict[str, Tenant]:
    try:
        found = path.stat()
        if os.name != "nt" and found.st_mode & 0o077:
            raise TenantError(
                f"others may open {path} (mode {found.st_mode & 0o777:o})",
                "a file that only the service's user can open is needed",
                f"Run 'chmod 600 {path}'; if others may have read it, give new tokens",
            )
        if found.st_size > _FILE_BYTES:
            raise TenantError(f"{path} has {found.st_size} bytes", "a file of tenants has far fewer", "Check the path")
        parts = plain.fields(json.loads(path.read_bytes()), "the file", ["tenants"])["tenants"]
        if not isinstance(parts, dict):
            raise ValueError("no tenants by name")
        return {name: _tenant(name, one) for name, one in parts.items()}
    except (ValueError, RecursionError) as error:
        if isinstance(error, TenantError):
            raise
        raise TenantError(
            f"{path} is no file of tenants ({error.found if isinstance(error, ModelError) else 'bad contents'})",
            "a file written by 'add_tenant' is needed",
            "Correct it, or make a new one",
        ) from None  # the text of a JSON error may quote the file


def _tenant(name: str, value: object) -> Tenant:
    parts = plain.fields(value, "a tenant", ["token_sha256", "mac_key"])
    token_hash, mac_key = (bytes.fromhex(str(parts[each])) for each in ("token_sha256", "mac_key"))
    if not TENANT.fullmatch(name) or len(token_hash) != 32 or len(mac_key) != 32:
        raise ValueError("a bad name, digest or key")
    return Tenant(name, token_hash, mac_key)


def _write(path: Path, tenants: Mapping[str, Tenant]) -> None:
    parts = {
        name: {"token_sha256": tenant.token_hash.hex(), "mac_key": tenant.mac_key.hex()}
        for name, tenant in sorted(tenants.items())
    }
    replace_file(path, json.dumps({"tenants": parts}, indent=1).encode() + b"\n")
