"""What binds an answer to its request: HMAC-SHA256 under a key of service and tenant alone (`tenants.mac_key_of`).

    HMAC(key, "ckks answer 1" LF nonce LF model LF parameters LF layout LF public key LF keys LF gallery LF request
         LF answer)

nonce: 32 hex digits, of the client, used once. model, parameters, public key, keys, gallery: digests; "-" where there
is none.
request: the checksum of the request's frame, its last 32 bytes, which the service verifies before it computes. answer:
SHA-256 of all bytes of the answer. All in hex, lower case. The tenant is in the key.

An answer of another time, request, tenant, model or key does not verify, nor does one that was changed on its way. It
says who computed, not that the computation was the right one.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from ckks.rlwe.frame import CHECKSUM_BYTES

__all__ = ["Exchange", "checksum_of"]

_BEGIN = "ckks answer 1"


@dataclass(frozen=True)
class Exchange:
    """One evaluation, as both ends know it before the answer.

    Args:
        nonce: 32 hex digits.
        model, params: digests.
        layout: by name.
        public, keys: digests of the stored public key and evaluation keys, None where there are none.
        request: the last CHECKSUM_BYTES of the request's body.
        gallery: digest of the gallery that was compared with, None where there is none.
    """

    nonce: str
    model: str
    params: str
    layout: str
    public: str | None
    keys: str | None
    request: bytes
    gallery: str | None = None

    def mac(self, key: bytes, answer: bytes) -> str:
        """Return what authenticates `answer`, in hex."""
        text = "\n".join(
            [
                _BEGIN,
                self.nonce,
                self.model,
                self.params,
                self.layout,
                self.public or "-",
                self.keys or "-",
                self.gallery or "-",
                self.request.hex(),
                hashlib.sha256(answer).hexdigest(),
            ]
        )
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def verifies(self, key: bytes, answer: bytes, mac: str) -> bool:
        """Tell whether `mac` authenticates `answer`, in constant time."""
        return hmac.compare_digest(self.mac(key, answer).encode(), mac.encode("utf-8", "replace"))


def checksum_of(body: bytes | memoryview) -> bytes:
    """Return the checksum at the end of a frame."""
    return bytes(body[-CHECKSUM_BYTES:])
