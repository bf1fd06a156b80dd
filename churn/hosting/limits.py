"""How much a host takes in, from everybody together and from each, and for how long it waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from churn.errors import ModelError
from churn.hosting.model import HostedModel, Layout, Output
from churn.hosting.protocol import Problem
from ckks.scheme import CKKSParams
from ckks.scheme.serialization import ciphertext_length, evaluation_keys_length, public_key_length

__all__ = [
    "Admission",
    "Limits",
    "check_at_most",
    "check_length",
    "input_lengths",
    "key_lengths",
    "longest_answer",
]


@dataclass(frozen=True)
class Limits:
    """What a host allows itself and others. `describe` has the words for each; `with_` changes some by name."""

    in_flight: int = 2
    queue: int = 32
    seconds: float = 60.0
    key_objects: int = 8
    key_bytes: int = 4 << 30
    gallery_blocks: int = 4096
    gallery_bytes: int = 16 << 30
    galleries: int = 64
    resident_keys: int = 1 << 30
    resident_blocks: int = 1 << 29
    body: int = 1 << 30
    connections: int = 512
    connections_per_peer: int = 256
    header_seconds: float = 5.0
    header_bytes: int = 16 << 10
    body_rate: int = 64 << 10
    grace_seconds: float = 5.0
    idle_seconds: float = 15.0
    stop_seconds: float = 5.0

    def with_(self, settings: Iterable[str]) -> Limits:
        """Return a copy with some limits set by "name=number"; ModelError for another name or no number."""
        values: dict[str, int | float] = {field.name: getattr(self, field.name) for field in fields(self)}
        for setting in settings:
            name, _, text = setting.partition("=")
            try:
                value = type(values[name])(text)
                if not 0 < value < 1 << 60:
                    raise ValueError(text)
            except (KeyError, ValueError):
                raise ModelError(
                    f"{setting[:80]!r} is no limit",
                    f"NAME=NUMBER with a positive number is needed, the names being {', '.join(values)}",
                    "Correct it",
                ) from None
            values[name] = value
        return Limits(**values)  # type: ignore[arg-type]

    def describe(self) -> list[tuple[str, str, str]]:
        """Return (name, value, meaning) of every limit."""
        return [(name, _shown(getattr(self, name)), meaning) for name, meaning in _MEANING.items()]


_MEANING = {
    "in_flight": "requests with a body of one tenant at once; more get 429",
    "queue": "requests with a body of all tenants that wait, beyond one per worker; more get 429",
    "seconds": "for a request to wait and be computed; then 503, and the worker is replaced",
    "key_objects": "public and evaluation keys stored for one tenant; more get 429",
    "key_bytes": "bytes of keys stored for one tenant; more get 429",
    "gallery_blocks": "blocks of encrypted vectors stored for one tenant; more get 429",
    "gallery_bytes": "bytes of these; more get 429",
    "galleries": "made of these by one tenant; more get 429",
    "resident_keys": "bytes of expanded keys kept in memory, all workers together",
    "resident_blocks": "bytes of expanded blocks likewise; a gallery that is larger is read for each query",
    "body": "bytes of one request; each kind has its own legal lengths below that",
    "connections": "at once; more get 503",
    "connections_per_peer": "of one address at once; more get 503",
    "header_seconds": "until a request's header is complete; then 408",
    "header_bytes": "of one request's header; more get 431",
    "body_rate": "bytes per second of a body, after the grace; slower ones get 408",
    "grace_seconds": "that a body may be late",
    "idle_seconds": "that a connection is kept open between two requests",
    "stop_seconds": "for requests under way to finish when the service is stopped",
}


class Admission:
    """Counts requests that have a body, of each tenant and of all; refuses those beyond the limits."""

    def __init__(self, limits: Limits, workers: int) -> None:
        """Start with none."""
        self._each, self._all = limits.in_flight, limits.queue + workers
        self._tenants: Counter[str] = Counter()

    @property
    def places(self) -> int:
        """How many requests can be under way at most."""
        return self._all

    @contextmanager
    def admitted(self, tenant: str) -> Iterator[None]:
        """Hold a place while the block lasts; Problem 429 when there is none."""
        if self._tenants[tenant] >= self._each:
            raise _too_many(f"{self._each} requests of this tenant are under way, more are not accepted", self._each)
        if self._tenants.total() >= self._all:
            raise _too_many(f"{self._all} requests are under way, more are not accepted", self._all)
        self._tenants[tenant] += 1
        try:
            yield
        finally:
            self._tenants[tenant] -= 1
            if not self._tenants[tenant]:
                del self._tenants[tenant]


def input_lengths(params: CKKSParams, layout: Layout) -> set[int]:
    """Return the legal lengths of an input: with a seed for its uniform halves or, if the layout allows, in full."""
    kinds = (True,) if layout.seeded else (True, False)
    return {ciphertext_length(params, layout.level, batch=(layout.items,), seeded=seeded) for seeded in kinds}


def longest_answer(params: CKKSParams, output: Output) -> int:
    """Return the length of an answer of a model with this output."""
    return ciphertext_length(params, output.level, batch=output.batch)


def key_lengths(params: CKKSParams, models: Iterable[HostedModel]) -> list[int]:
    """Return the legal lengths of keys: public keys where a model floods, evaluation keys that some model can use."""
    ours = [model for model in models if model.params == params]
    layouts = [layout for model in ours for layout in model.layouts.values()]
    rotations = len({k for layout in layouts for k in layout.rotations})
    relin = any(layout.relinearisation for layout in layouts)
    lengths = {evaluation_keys_length(params, r, g) for r in {False, relin} for g in range(rotations + 1) if r or g}
    if any(model.flooding is not None for model in ours):
        lengths |= {public_key_length(params, seeded=seeded) for seeded in (True, False)}
    return sorted(lengths)


def check_length(declared: str | None, legal: Collection[int], what: str) -> int:
    """Return the body's length from its Content-Length, before anything of it is read.

    `legal` holds every length that `what` can have, and is not empty. Raises Problem: 411 without a length, 400 for
    one that is no number, 413 for more bytes than can be legal, 422 for any other that is not.
    """
    length, expected = _number(declared), sorted(legal)
    if length in legal:
        return length
    if length > expected[-1]:
        raise Problem(
            413,
            "too long",
            f"{what} of {length} bytes; at most {expected[-1]} are legal under these parameters; send what the model's "
            "description asks for",
            have=length,
            need=expected[:32],
        )
    raise Problem(
        422,
        "wrong length",
        f"{what} of {length} bytes; needed {' or '.join(map(str, expected[:8]))}; it was cut short, or made for "
        "another layout or other parameters",
        have=length,
        need=expected[:32],
    )


def check_at_most(declared: str | None, most: int, what: str) -> int:
    """Return the body's length from its Content-Length, 1 to `most`, for what has no certain one; else as above."""
    length = _number(declared)
    if not 1 <= length <= most:
        raise Problem(
            413 if length else 422,
            "too long" if length else "wrong length",
            f"{what} of {length} bytes; 1 to {most} are legal",
            have=length,
        )
    return length


def _number(declared: str | None) -> int:
    if declared is None:
        raise Problem(
            411, "length required", "the request has no Content-Length; send the body's length, and the body unchunked"
        )
    if not (declared.isascii() and declared.isdigit() and len(declared) <= 20):
        raise Problem(400, "bad length", "the Content-Length is no number; send the body's length in bytes")
    return int(declared)


def _too_many(detail: str, most: int) -> Problem:
    return Problem(429, "too many requests", f"{detail}; wait for an answer", need=most, headers={"Retry-After": "1"})


def _shown(value: float) -> str:
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
