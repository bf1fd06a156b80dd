"""The other end of the wire: calls to a service, with an error for each way in which they can fail.

    ServiceError                (ChurnError)  what is wrong, and what to do
    |-- ServiceUnavailable      nobody answers at this address, or the connection broke
    |-- ServiceBusy             it answers, but has no room now
    |-- NotAuthorised           it does not know the token
    |-- UnknownModel            it hosts no such model
    |-- UnknownGallery          it has no such gallery of ours
    |-- MissingKeys             it does not have the evaluation keys that the model needs
    |-- ParameterMismatch       it wants other parameters
    |-- RequestRefused          it refused, for another reason
    `-- BadAnswer               what it answered is cut short, damaged, or no answer to the question

Nothing is tried twice: when a call fails, its caller decides. An answer is believed only with the authentication that
`hosting.mac` describes: made for this very request, by someone who knows the token.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from churn import plain
from churn.errors import ChurnError, nearest
from churn.hosting import protocol
from churn.hosting.mac import Exchange, checksum_of
from churn.hosting.model import Description
from churn.hosting.tenants import bearer_of, mac_key_of

__all__ = [
    "Answer",
    "BadAnswer",
    "MissingKeys",
    "NotAuthorised",
    "ParameterMismatch",
    "Remote",
    "RequestRefused",
    "ServiceBusy",
    "ServiceError",
    "ServiceUnavailable",
    "StoredAt",
    "UnknownGallery",
    "UnknownModel",
]

_CONNECT_SECONDS = 5.0
_JSON_BYTES = 16 << 20
_PROBLEM_BYTES = 1 << 16
_MOST_BLOCKS = 1 << 16
_PIECE_BYTES = 16 << 20  # over TLS nothing is copied again, and pieces are: so none of what is smaller
_SHOWN = 600  # characters of a stranger's text
_TOKEN = re.compile(r"[!-~]{1,512}")


class ServiceError(ChurnError):
    """A call to the evaluation service that did not work out; `status` is its HTTP status, if any."""

    status: int | None = None


class ServiceUnavailable(ServiceError):
    """Nobody answers, or the connection broke."""


class ServiceBusy(ServiceError):
    """The service has no room for the request now."""


class NotAuthorised(ServiceError):
    """The service does not know the token."""


class UnknownModel(ServiceError):
    """The service hosts no model of this name."""


class UnknownGallery(ServiceError):
    """The service has no gallery of this name, or digest, of this tenant."""


class MissingKeys(ServiceError):
    """The service does not have the evaluation keys that the model needs."""


class ParameterMismatch(ServiceError):
    """Keys or ciphertexts belong to other parameters than the model."""


class RequestRefused(ServiceError):
    """The service refused the request; its own words say why."""


class BadAnswer(ServiceError):
    """An answer that is cut short, damaged, or not an answer to the question."""


_BY_STATUS: dict[int, tuple[type[ServiceError], str]] = {
    401: (
        NotAuthorised,
        "Give the token that the service's owner gave you (--token-env), or none where it has no tenants",
    ),
    409: (ParameterMismatch, "Ask for the model's description again and make keys for its parameters"),
    428: (MissingKeys, "Upload the keys that the model's description asks for"),
    429: (
        ServiceBusy,
        "Try again in a moment; if it is keys or galleries that are too many, delete some, or use one secret key again",
    ),
    503: (ServiceBusy, "Try again in a moment"),
    507: (ServiceBusy, "Ask the service's owner for room"),
}


@dataclass(frozen=True)
class StoredAt:
    """A gallery as the service describes it; its digest is that of what else is here."""

    name: str
    digest: str
    model: str | None  # name@version, if it is hosted still
    model_digest: str
    items: int
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """The bytes that came back from an evaluation, and the server's own account of its seconds."""

    data: bytes
    seconds: Mapping[str, float]


class Remote:
    """A service at a URL. Close it, or use it in a with block; not shared between threads."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca: str | Path | None = None,
        plain_http: bool = False,
        transport: httpx.BaseTransport | None = None,
        seconds: float = 600.0,
        allow_insecure: bool = False,
    ) -> None:
        """Connect lazily.

        Args:
            url: https://host:port; http too for this machine's own services.
            token: of the tenant; without one, that of a service which is open to its own machine.
            ca: a file of certificates to trust, in PEM, in place of those that the system trusts.
            plain_http: let token and answers travel unprotected to another machine.
            transport: how requests travel; sockets unless a test passes its own.
            seconds: how long one answer may take.
            allow_insecure: accept models under insecure parameters; for tests.
        """
        try:
            parsed = httpx.URL(url.rstrip("/"))
        except httpx.InvalidURL as error:
            raise _no_url(url) from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise _no_url(url)
        # A proxy of the environment cannot know this machine's loopback.
        local = parsed.host in protocol.LOOPBACK_HOSTS
        if parsed.scheme == "http" and not (local or plain_http or transport is not None):
            raise ServiceUnavailable(
                f"{parsed} is on another machine, and http would show the token to everybody on the way",
                "https is needed",
                "Give an https URL, or plain_http=True where the network is yours",
            )
        self.url = str(parsed)
        token = protocol.LOOPBACK_TOKEN if token is None else token
        if not _TOKEN.fullmatch(token):
            raise NotAuthorised("the token is none", "visible ASCII characters are needed", "Copy it again, all of it")
        self._allow_insecure, self._mac_key = allow_insecure, mac_key_of(token)
        self._open = partial(
            httpx.Client,
            base_url=parsed,
            transport=transport,
            verify=_trust(ca) if parsed.scheme == "https" or ca is not None else False,  # no TLS: nothing to trust
            trust_env=not local,
            headers={"Accept-Encoding": "identity", "Authorization": f"Bearer {bearer_of(token)}"},
            timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
        )
        self._client: httpx.Client | None = None

    @property
    def _http(self) -> httpx.Client:
        if self._client is None:
            self._client = self._open()
        return self._client

    def close(self) -> None:
        """Close the connection; another call opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Remote:
        """Return the remote itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    # ---- calls -----------------------------------------------------------------------------------

    def health(self) -> Mapping[str, Any]:
        """Return what the service says of itself: status, number of models, kernels."""
        return self._json("GET", protocol.HEALTH)

    def models(self) -> list[Mapping[str, Any]]:
        """Return name, version, digest and output of every model."""
        listed = self._json("GET", protocol.MODELS).get("models")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise self._bad("the list of models is none")
        return listed

    def describe(self, name: str) -> Description:
        """Return the description of a model, "name" or "name@version"; UnknownModel, with the nearest name, if none."""
        try:
            value = self._json("GET", _model(name))
        except RequestRefused as error:
            if error.status != 404:
                raise
            known = [str(one.get("name"))[:64] for one in self.models()]
            raise UnknownModel(
                f"{self.url} hosts no model {name[:64]!r}{nearest(name[:64], known)}",
                f"it hosts {', '.join(sorted(known)[:20]) or 'none'}",
                "Name one of these",
            ) from None
        try:
            description = Description.from_dict(value, allow_insecure=self._allow_insecure)
        except ChurnError as error:
            raise self._bad(f"the description of {name!r} cannot be used: {error.found}") from error
        if name not in (description.name, f"{description.name}@{description.version}"):
            raise self._bad(f"asked for {name!r}, it describes {description.name!r}")
        return description

    def has_keys(self, digest: str) -> bool:
        """Tell whether keys of this digest are stored there."""
        with self._send("HEAD", f"{protocol.KEYS}/{digest}") as response:
            if response.status_code != 404:
                self._check(response)
            self._read(response, _PROBLEM_BYTES)  # nothing; only what was read to its end leaves the connection open
            return response.status_code != 404

    def upload_keys(self, data: bytes, description: Description) -> str:
        """Store a public key or evaluation keys and return their digest."""
        digest = protocol.digest_of(data)
        headers = {protocol.PARAMETERS_HEADER: description.params.digest.hex(), "Content-Type": protocol.OCTETS}
        self._json("PUT", f"{protocol.KEYS}/{digest}", **_body(data, headers))
        return digest

    def delete_keys(self, digest: str) -> None:
        """Have stored keys forgotten."""
        self._delete(f"{protocol.KEYS}/{digest}")

    def upload_block(self, data: bytes, description: Description) -> str:
        """Store a block of a gallery for a model, and return its digest."""
        digest = protocol.digest_of(data)
        headers = {protocol.MODEL_HEADER: description.digest, "Content-Type": protocol.OCTETS}
        self._json("PUT", f"{protocol.BLOCKS}/{digest}", **_body(data, headers))
        return digest

    def delete_block(self, digest: str) -> None:
        """Have a block forgotten."""
        self._delete(f"{protocol.BLOCKS}/{digest}")

    def put_gallery(self, name: str, description: Description, items: int, blocks: Sequence[str]) -> StoredAt:
        """Have blocks that were sent made a gallery, in place of the one of that name."""
        listed = {"model": description.digest, "items": items, "blocks": list(blocks)}
        told = self._json(
            "PUT", _gallery(name), **_body(json.dumps(listed).encode(), {"Content-Type": "application/json"})
        )
        digest = protocol.gallery_digest(description.digest, items, blocks)
        if told.get("digest") != digest:
            raise self._bad(f"gallery {name!r} is not the one that was sent")
        reference = f"{description.name}@{description.version}"
        return StoredAt(name, digest, reference, description.digest, items, tuple(blocks))

    def gallery(self, name: str) -> StoredAt:
        """Return what a gallery is made of; UnknownGallery, with the nearest name, if there is none."""
        try:
            value = self._json("GET", _gallery(name))
        except RequestRefused as error:
            if error.status not in (404, 422):  # 422: it cannot be the name of one
                raise
            known = [str(one.get("name"))[:64] for one in self.galleries()]
            raise UnknownGallery(
                f"{self.url} has no gallery {name[:64]!r} of yours{nearest(name[:64], known)}",
                f"yours are {', '.join(sorted(known)[:20])}" if known else "you have none",
                "Name one of these, or upload it with 'python -m churn match gallery'",
            ) from None
        try:
            blocks = tuple(str(one) for one in plain.items(value["blocks"], "the blocks", _MOST_BLOCKS))
            items, model = plain.whole(value["items"], "the number of vectors", 1, 1 << 31), value["model"]
            found = StoredAt(
                str(value["name"]),
                str(value["digest"]),
                None if model is None else plain.text(model, "the model"),
                plain.text(value["model_digest"], "the model's digest"),
                items,
                blocks,
            )
        except (ChurnError, KeyError) as error:
            raise self._bad(f"the description of gallery {name!r} is none") from error
        if (found.name, found.digest) != (name, protocol.gallery_digest(found.model_digest, items, blocks)):
            raise self._bad(f"the description of gallery {name!r} contradicts itself")
        return found

    def galleries(self) -> list[Mapping[str, Any]]:
        """Return name, digest, model, items and number of blocks of every gallery of ours."""
        listed = self._json("GET", protocol.GALLERIES).get("galleries")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise self._bad("the list of galleries is none")
        return listed

    def delete_gallery(self, name: str) -> None:
        """Have a gallery and its blocks forgotten."""
        self._delete(_gallery(name))

    def evaluate(
        self,
        description: Description,
        layout: str,
        data: bytes,
        *,
        public_key: str | None = None,
        keys: str | None = None,
        gallery: str | None = None,
        longest: int,
    ) -> Answer:
        """Send a ciphertext and return the answer's bytes, of which `longest` can be legal.

        Args:
            description: of the model.
            layout: by name.
            data: the ciphertext, as a frame.
            public_key: digest of the stored public key, for a model that floods its answers.
            keys: digest of the stored evaluation keys, for a layout that needs some.
            gallery: digest of the stored gallery, for a model that compares with one.
            longest: how many bytes an answer can have.
        """
        params = description.params.digest.hex()
        nonce = secrets.token_hex(16)
        exchange = Exchange(nonce, description.digest, params, layout, public_key, keys, checksum_of(data), gallery)
        headers = {
            protocol.PARAMETERS_HEADER: params,
            protocol.LAYOUT_HEADER: layout,
            protocol.NONCE_HEADER: nonce,
            protocol.TIME_HEADER: str(int(time.time())),
            "Content-Type": protocol.OCTETS,
        }
        named = (
            (protocol.PUBLIC_KEY_HEADER, public_key),
            (protocol.KEYS_HEADER, keys),
            (protocol.GALLERY_HEADER, gallery),
        )
        for name, digest in named:
            if digest is not None:
                headers[name] = digest
        path = _model(f"{description.name}@{description.version}") + protocol.EVALUATE
        with self._send("POST", path, **_body(data, headers)) as response:
            self._check(response)
            answer = self._read(response, longest)
            model, mac, timing = (
                response.headers.get(name, "") for name in (protocol.MODEL_HEADER, protocol.MAC_HEADER, "Server-Timing")
            )
        if model != description.digest:
            raise self._bad(f"model {description.name!r} is not the one that was described; it was exchanged meanwhile")
        if not exchange.verifies(self._mac_key, answer, mac):
            raise self._bad("it was not made for this request, or not by someone who knows the token")
        return Answer(answer, _seconds(timing))

    # ---- helpers ---------------------------------------------------------------------------------

    def _delete(self, path: str) -> None:
        with self._send("DELETE", path) as response:
            self._check(response)
            self._read(response, _PROBLEM_BYTES)

    def _json(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        with self._send(method, path, **request) as response:
            self._check(response)
            data = self._read(response, _JSON_BYTES)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._bad(f"{path} is no JSON; is this an evaluation service?") from error
        if not isinstance(value, dict):
            raise self._bad(f"{path} is no JSON object; is this an evaluation service?")
        return value

    @contextlib.contextmanager
    def _send(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """Send a request; yield the response, its body unread; translate what breaks on the way."""
        try:
            with self._http.stream(method, path, **request) as response:
                yield response
        except httpx.TimeoutException as error:
            raise ServiceUnavailable(
                f"{self.url} did not answer in time ({type(error).__name__})",
                "an evaluation service that answers is needed",
                "Check that it runs and is not overloaded, or allow more seconds",
            ) from error
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error):
                raise ServiceUnavailable(
                    f"the certificate of {self.url} is not trusted",
                    "one is needed that the system trusts, or the file of those to trust",
                    "Ask the service's owner for that file and give it with --ca",
                ) from error
            if "SSL" in str(error):
                raise ServiceUnavailable(
                    f"{self.url} speaks no TLS that is understood ({_clean(str(error), 120)})",
                    "an evaluation service that was started with a certificate is needed for https",
                    "Give the URL that 'python -m churn serve' printed",
                ) from error
            raise self._nobody() from error
        except httpx.UnsupportedProtocol as error:
            raise self._nobody() from error
        except httpx.RemoteProtocolError as error:
            hint = "; is it to be https?" if self.url.startswith("http:") else ""
            raise self._bad(f"it broke off or spoke no HTTP ({_clean(str(error), 120)}){hint}") from error
        except httpx.TransportError as error:
            raise ServiceUnavailable(
                f"the connection to {self.url} broke ({type(error).__name__})",
                "a running evaluation service is needed",
                "Check that it still runs",
            ) from error

    def _read(self, response: httpx.Response, longest: int) -> bytes:
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > longest:
                raise self._bad(f"it is longer than {longest} bytes")
        return bytes(data)

    def _check(self, response: httpx.Response) -> None:
        """Raise the error that stands for a refusal."""
        status = response.status_code
        if 200 <= status < 300:
            return
        try:
            problem = json.loads(self._read(response, _PROBLEM_BYTES))
            detail = _clean(str(problem["detail"]), _SHOWN).rstrip(".")
        except (ValueError, KeyError, TypeError, RecursionError):
            detail = f"status {status}, without a reason"
        kind, remedy = _BY_STATUS.get(status, (RequestRefused, "See what it says"))
        error = kind(f"{self.url} refused the request: {detail}", f"it answered with status {status}", remedy)
        error.status = status
        raise error

    def _nobody(self) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"nobody answers at {self.url}",
            "a running evaluation service is needed",
            "Start it with 'python -m churn serve --models DIR', or correct the URL",
        )

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(
            f"the answer of {self.url} cannot be used: {what}",
            "a whole answer to this very question is needed",
            "Ask again, or ask the service's owner",
        )


def _model(name: str) -> str:
    return f"{protocol.MODELS}/{quote(name, safe='@')}"


def _gallery(name: str) -> str:
    return f"{protocol.GALLERIES}/{quote(name, safe='')}"


class _Pieces:
    """A body in pieces: what is left of one that is sent whole would be copied after every send."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), _PIECE_BYTES):
            yield self._data[start : start + _PIECE_BYTES]  # of a body that is one piece, no copy


def _body(data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what `httpx` is told of a body: not chunked, whatever comes in pieces."""
    return {"content": _Pieces(data), "headers": {**headers, "Content-Length": str(len(data))}}


def _trust(ca: str | Path | None) -> ssl.SSLContext:
    """Return which certificates are trusted, the usual ones or those of a file. Reading them takes its time."""
    if ca is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else type(error).__name__
        raise ServiceUnavailable(
            f"{ca} holds no certificates ({reason})", "a file in PEM format is needed", "Name another"
        ) from error


def _no_url(url: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"{url[:200]!r} is no URL of a service",
        "http://HOST:PORT or https://... is needed",
        "Give the URL that 'python -m churn serve' printed",
    )


def _clean(text: str, most: int) -> str:
    """Return a stranger's text without control characters, and no longer than `most`."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain[:most]


def _seconds(timing: str) -> dict[str, float]:
    """Read a Server-Timing header; what does not look like one is left out."""
    found = re.findall(r"([a-z]{1,20});dur=([0-9]{1,12}(?:\.[0-9]{1,6})?)", timing[:1000])
    return {name: float(milliseconds) / 1e3 for name, milliseconds in found}
