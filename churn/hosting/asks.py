"""What a request asks for, read from its path and its headers."""

from __future__ import annotations

import re

from starlette.requests import Request

from churn.errors import nearest
from churn.hosting import protocol
from churn.hosting.model import HostedModel, Layout
from churn.hosting.protocol import DIGEST, Problem
from churn.hosting.work.keyring import missing_keys

__all__ = ["digest_of", "gallery_named", "key_named", "layout_of", "nonce_of"]

_NONCE = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"[0-9]{1,12}")


def digest_of(request: Request) -> str:
    """Return the digest in the path; Problem 422 for what is none."""
    digest = str(request.path_params["digest"])
    if not DIGEST.fullmatch(digest):
        raise Problem(
            422, "bad digest", "the path holds no digest; send the SHA-256 of the bytes, 64 lower-case hex digits"
        )
    return digest


def key_named(request: Request, header: str, needed: bool, layout: Layout | None) -> str | None:
    """Return the digest in a header, None where no key is needed.

    Raises Problem: 400 for what is no digest, 428 without one where `layout` (None: the model) needs a key.
    """
    digest = request.headers.get(header)
    if digest is not None and not DIGEST.fullmatch(digest):
        raise Problem(
            400, "bad digest", f"the header {header} is no digest; send the SHA-256 of the stored keys, 64 hex digits"
        )
    if needed and digest is None:
        raise missing_keys(f"the request names no keys in the header {header}", layout=layout)
    return digest if needed else None


def gallery_named(request: Request) -> str:
    """Return the digest of the gallery to compare with; Problem 400 where the header holds none."""
    digest = request.headers.get(protocol.GALLERY_HEADER, "")
    if not DIGEST.fullmatch(digest):
        raise Problem(
            400,
            "no gallery",
            f"the model compares with a gallery; name yours in the header {protocol.GALLERY_HEADER} by its digest, 64 "
            "hex digits",
        )
    return digest


def nonce_of(request: Request) -> tuple[str, int]:
    """Return nonce and time of a request; Problem 400 when one is missing or not as it should be."""
    nonce, sent_at = (request.headers.get(name, "") for name in (protocol.NONCE_HEADER, protocol.TIME_HEADER))
    if not _NONCE.fullmatch(nonce) or not _TIME.fullmatch(sent_at):
        raise Problem(
            400,
            "no nonce or time",
            f"the headers {protocol.NONCE_HEADER} and {protocol.TIME_HEADER} are needed: 32 hex digits of fresh "
            "randomness, and Unix seconds",
        )
    return nonce, int(sent_at)


def layout_of(request: Request, model: HostedModel) -> tuple[str, Layout]:
    """Return the layout that a request names, the model's preferred one without a name; Problem 422 for others."""
    name = request.headers.get(protocol.LAYOUT_HEADER) or next(iter(model.layouts))
    layout = model.layouts.get(name)
    if layout is None:
        raise Problem(
            422,
            "unknown layout",
            f"model {model.name!r} has no layout {name[:64]!r}{nearest(name[:64], model.layouts)}; it has "
            f"{', '.join(model.layouts)}",
            need=list(model.layouts),
        )
    return name, layout
