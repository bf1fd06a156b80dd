"""The client's keys on disk: the secret key, and a note of which public and evaluation keys were sent.

The secret key file is written once, mode 0600, sealed if a passphrase is given. Beside it, the note
(`NAME.sent.json`) remembers the digests of keys made from that very secret, so that they
need not be made and sent again; nothing in it is secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from churn.errors import ChurnError
from churn.hosting.model import Layout
from churn.hosting.protocol import DIGEST, digest_of
from ckks.errors import BasisMismatch, SerializationError
from ckks.rlwe.secret import KeyGenerator, SecretKey, load_secret_key, save_secret_key
from ckks.scheme import CKKSParams

__all__ = ["KeyFile", "KeyFileError", "SentKeys"]

_MOST_NOTES = 16
_NOTE_BYTES = 1 << 20


class KeyFileError(ChurnError):
    """A key file that cannot be used for this."""


@dataclass(frozen=True)
class SentKeys:
    """Keys that a service was given, the public key or evaluation keys: their digest, and what is among them."""

    digest: str
    relinearisation: bool = False
    rotations: tuple[int, ...] = ()
    public: bool = False

    def serve(self, layout: Layout) -> bool:
        """Tell whether a layout needs no other evaluation keys."""
        return (
            not self.public
            and (self.relinearisation or not layout.relinearisation)
            and set(layout.rotations) <= set(self.rotations)
        )


class KeyFile:
    """One secret key, for one parameter set, in one file."""

    def __init__(self, path: str | Path, passphrase: str | None = None) -> None:
        """Remember where; nothing is read or written yet."""
        self.path = Path(path)
        self._passphrase = passphrase
        self._note = self.path.with_name(self.path.name + ".sent.json")

    def load_or_create(self, params: CKKSParams) -> SecretKey:
        """Return the file's secret key; make one and write the file where there is none.

        Raises KeyFileError for a file of other parameters, or one that cannot be written or read;
        SerializationError for a damaged file or a wrong passphrase.
        """
        try:
            if self.path.exists():
                return load_secret_key(self.path, params, self._passphrase)
            secret = KeyGenerator(params).secret_key()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_secret_key(self.path, secret, self._passphrase)
            return secret
        except SerializationError as error:
            raise SerializationError(
                f"{self.path}: {error}. Give the passphrase that it was made with (--passphrase-env), or another file."
            ) from error
        except BasisMismatch as error:
            raise KeyFileError(
                f"{self.path} holds a key of other parameters",
                f"this model is evaluated under {params}",
                "Give another key file: one that does not exist yet is made",
            ) from error
        except OSError as error:
            raise KeyFileError(
                f"{self.path} cannot be read or written ({error.strerror or error})",
                "a file that only you can read is needed",
                "Check the path and its owner",
            ) from error

    def sent(self) -> list[SentKeys]:
        """Return the notes that belong to this very key file, the newest first."""
        try:
            if self._note.stat().st_size > _NOTE_BYTES:
                return []
            noted = json.loads(self._note.read_text(encoding="utf-8"))
            if noted["key_file"] != self._fingerprint():
                return []
            return [
                SentKeys(
                    str(one["digest"]),
                    one["relinearisation"] is True,
                    tuple(int(k) for k in one["rotations"]),
                    one["public"] is True,
                )
                for one in noted["sent"]
                if DIGEST.fullmatch(str(one["digest"]))
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []  # keys are made anew then; no harm done

    def remember(self, keys: SentKeys) -> None:
        """Note that keys were sent."""
        others = [one for one in self.sent() if one.digest != keys.digest]
        text = json.dumps(
            {
                "key_file": self._fingerprint(),
                "sent": [{**vars(one), "rotations": list(one.rotations)} for one in [keys, *others][:_MOST_NOTES]],
            }
        )
        partial = self._note.with_name(f".{self._note.name}.{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):  # a note that cannot be kept costs an upload, no more
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, self._note)

    def _fingerprint(self) -> str:
        return digest_of(self.path.read_bytes())
