"""What both ends agree on: paths, header names, digests, and how a refusal looks.

    GET    /v1/health                      open to everybody
    GET    /v1/models                      names and versions
    GET    /v1/models/{name}               everything a client needs: see `hosting.model.Description`
    PUT    /v1/keys/{digest}               a public key or evaluation keys; HEAD asks whether they are there; DELETE
    POST   /v1/models/{name}:evaluate      a ciphertext in, a ciphertext out
    PUT    /v1/blocks/{digest}             a block of an encrypted gallery, for the model of CKKS-Model; HEAD; DELETE
    GET    /v1/galleries                   names, sizes and digests of the tenant's galleries
    PUT    /v1/galleries/{name}            {"model", "items", "blocks"}: a gallery of blocks that are there; GET; DELETE

A model is named by `name`, the latest version, or `name@version`. Every request but the first names its tenant by
`Authorization: Bearer TOKEN`. Bodies of keys and ciphertexts are the library's own bytes, `application/octet-stream`,
with a Content-Length; everything else is JSON. A digest in a path or header is the SHA-256 of the bytes, 64 lower-case
hex digits; that of a gallery is `gallery_digest`. An evaluation carries a nonce and its time, is answered once, and its
answer is bound to it: see `hosting.mac`. Refusals are problem details [RFC 9457]: {"title", "status", "detail"} and,
where known, "have" and "need"; `detail` is the text of the error itself.

    400  request line, header or length      409  other parameters, or a nonce that was used   428  keys missing
    401  no valid token                      411  no length                                    429  too much at once
    404  no such model, keys, gallery, path  413  too long                                     431  header too long
    405  no such method                      421  addressed by another machine's name          503  busy; worker lost
    408  too slow                            422  malformed                                    507  store full
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

__all__ = [
    "ANSWERS",
    "BLOCKS",
    "DIGEST",
    "EVALUATE",
    "GALLERIES",
    "GALLERY_HEADER",
    "GALLERY_NAME",
    "HEALTH",
    "KEYS",
    "KEYS_HEADER",
    "LAYOUT_HEADER",
    "LOOPBACK_HOSTS",
    "LOOPBACK_TOKEN",
    "MAC_HEADER",
    "MODELS",
    "MODEL_HEADER",
    "NONCE_HEADER",
    "OCTETS",
    "PARAMETERS_HEADER",
    "PROBLEM_JSON",
    "PUBLIC_KEY_HEADER",
    "TIME_HEADER",
    "Problem",
    "digest_of",
    "gallery_digest",
]

HEALTH = "/v1/health"
MODELS = "/v1/models"
KEYS = "/v1/keys"
EVALUATE = ":evaluate"
BLOCKS = "/v1/blocks"
GALLERIES = "/v1/galleries"

KEYS_HEADER = "CKKS-Keys"  # request: digest of the stored evaluation keys, where the layout needs some
LAYOUT_HEADER = "CKKS-Layout"  # request: the name of the layout that the input is packed in
PARAMETERS_HEADER = "CKKS-Parameters"  # request: digest of the parameters of keys or ciphertext
PUBLIC_KEY_HEADER = "CKKS-Public-Key"  # request: digest of the stored public key, where the model floods answers
NONCE_HEADER = "CKKS-Nonce"  # request: 128 random bits of the client, 32 hex digits
TIME_HEADER = "CKKS-Time"  # request: when it was sent, Unix seconds
GALLERY_HEADER = "CKKS-Gallery"  # request: digest of the gallery to compare with, where the model compares with one
MODEL_HEADER = "CKKS-Model"  # answer: digest of the model that was evaluated; request: of that which a block is for
MAC_HEADER = "CKKS-MAC"  # answer: what binds it to its request, 64 hex digits

LOOPBACK_TOKEN = "local"  # and the tenant's name, of a service that only its own machine can reach: no secret
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})  # the names of that machine
ANSWERS = 1024  # of each model to each tenant, unless told otherwise

OCTETS = "application/octet-stream"
PROBLEM_JSON = "application/problem+json"

DIGEST = re.compile(r"[0-9a-f]{64}")
GALLERY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def gallery_digest(model: str, items: int, blocks: Iterable[str]) -> str:
    """Return the digest of a gallery of `items` vectors: of its model's, of that number, and of its blocks'."""
    return digest_of("\n".join(["ckks gallery 1", model, str(items), *blocks]).encode())


class Problem(Exception):
    """A refusal: raised by the service's own code, and rebuilt by the client from the answer."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        have: object = None,
        need: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the parts; `have` and `need` are plain values for JSON, or None."""
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail
        self.have, self.need, self.headers = have, need, dict(headers or {})

    def as_dict(self) -> dict[str, object]:
        """Return the body of the answer."""
        body: dict[str, object] = {"title": self.title, "status": self.status, "detail": self.detail}
        for name, value in (("have", self.have), ("need", self.need)):
            if value is not None:
                body[name] = value
        return body
