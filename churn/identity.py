"""Name, version, salt and format: what each file of a models folder has, whatever it holds; checked in one place.

    name, version   what a client asks for: [a-z0-9._-], a letter or digit first, at most 64 characters; 1, 2, ...
    salt            64 random hex digits: with them in it, a digest of what is hosted confirms no guess of its numbers
    format          what wrote the file, and how it is to be read

`kind` is the word for what has them: "model" or "index".
"""

from __future__ import annotations

import re
import secrets

from churn import plain
from churn.errors import ModelError

__all__ = ["LAST_VERSION", "check_format", "check_identity", "check_name", "fresh_salt", "is_digest"]

LAST_VERSION = 1 << 31

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_name(name: object, kind: str) -> None:
    """Raise ModelError unless clients can ask for that name."""
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ModelError(
            f"the {kind}'s name is {str(name)[:80]!r}",
            "1 to 64 of a-z, 0-9 and '.', '_', '-' inside are needed",
            "Choose such a name",
        )


def check_identity(name: object, version: object, salt: object, kind: str) -> None:
    """Raise ModelError unless all three can be hosted."""
    check_name(name, kind)
    plain.whole(version, f"the {kind}'s version", 1, LAST_VERSION)
    if not is_digest(salt):
        raise ModelError(f"the {kind}'s salt is no 64 hex digits", "random ones are needed", f"Make the {kind} again")


def check_format(found: object, wanted: str, kind: str) -> None:
    """Raise ModelError for a file of another format."""
    if found != wanted:
        raise ModelError(
            f"the {kind}'s format is {str(found)[:40]!r}",
            f"{wanted!r} is needed",
            f"Make the {kind} again with this version of the package",
        )


def is_digest(value: object) -> bool:
    """Whether it is text of 64 hex digits, as a SHA-256 or a salt is."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def fresh_salt() -> str:
    """Return 64 random hex digits."""
    return secrets.token_hex(32)
