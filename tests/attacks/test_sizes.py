"""S2: lengths are checked before bodies are read, and whoever lies about them costs no memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from attacks.live import Live, Prepared, head_of, running
from attacks.models import numbers_model
from conftest import Figure

from churn.hosting.limits import Limits
from ckks.scheme.serialization import public_key_length

SENT_BYTES = 48 << 10
"""Of each body before the answer is awaited; the promise is 64 KiB."""

LIES: dict[str, tuple[dict[str, str], set[int]]] = {
    "missing": ({}, {411}),
    "chunked": ({"Transfer-Encoding": "chunked"}, {411}),
    "chunked and a length": ({"Transfer-Encoding": "chunked", "Content-Length": "{legal}"}, {400, 411}),
    "two lengths": ({"Content-Length": "{legal}", "content-length": "5"}, {400}),
    "no number": ({"Content-Length": "many"}, {400}),
    "negative": ({"Content-Length": "-1"}, {400}),
    "hexadecimal": ({"Content-Length": "0x100"}, {400}),
    "one less": ({"Content-Length": "{less}"}, {422}),
    "one more": ({"Content-Length": "{more}"}, {413, 422}),
    "2^31": ({"Content-Length": str(2**31)}, {413}),
    "2^63": ({"Content-Length": str(2**63)}, {413}),
    "2^64": ({"Content-Length": str(2**64)}, {413}),
    "10^30": ({"Content-Length": "1" + "0" * 30}, {400, 413}),
}


@pytest.mark.service
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_lengths_that_cannot_be_are_refused_unread(live: Live, alice: Prepared, method: str, figure: Figure) -> None:
    headers = alice.headers()
    del headers["Content-Length"]
    legal = len(alice.body) if method == "POST" else public_key_length(alice.scoring.description.params)
    path = alice.path if method == "POST" else f"/v1/keys/{'5' * 64}"
    for lie, (extra, expected) in LIES.items():
        stated = {name: value.format(legal=legal, less=legal - 1, more=legal + 1) for name, value in extra.items()}
        with live.wire(5.0) as wire:
            # No more than this is ever sent, so an answer means that no more was read.
            reply = wire.ask(head_of(method, path, {**headers, **stated}) + b"5\r\nCKKS\n\r\n" + bytes(SENT_BYTES))
        assert reply.status in expected, f"{lie}: {reply.status} {reply.body!r}"
    figure("S2", f"{method}: {len(LIES)} kinds of wrong length refused, at most {SENT_BYTES >> 10} KiB sent (64 KiB)")


@pytest.mark.service
def test_a_key_of_another_kind_is_refused_after_its_head(live: Live, alice: Prepared) -> None:
    legal = public_key_length(alice.scoring.description.params)
    with live.wire(4.0) as wire:
        head = head_of("PUT", f"/v1/keys/{'6' * 64}", {**alice.headers(), "Content-Length": str(legal)})
        assert wire.ask(head + alice.body[:1024]).status == 422


def _lie(live: Live, prepared: Prepared, kind: int, seen: Counter[int], end: float) -> None:
    """Send what one liar sends, again and again: lengths that are legal or not, more bytes than were said, fewer."""
    legal = len(prepared.body)
    length = (legal, 2**40, 2**63, legal + 1)[kind % 4]
    head = head_of("POST", prepared.path, prepared.headers(length=length))
    while time.monotonic() < end:
        with live.wire(20.0) as wire:
            try:
                wire.socket.sendall(head + prepared.body[: legal // 2])
                wire.socket.settimeout(0.5)
                for _ in range(200):
                    if length != legal:
                        wire.socket.sendall(bytes(1 << 16))  # goes on without end
                    elif time.monotonic() > end:
                        break
                    else:
                        time.sleep(0.1)  # as if the rest were on its way
            except OSError:
                pass
            try:
                seen[wire.reply().status] += 1
            except (OSError, AssertionError):
                seen[-1] += 1


def _growth(live: Live, prepared: Prepared, clients: int, seconds: float) -> tuple[int, Counter[int]]:
    """Return by how many bytes the service grew at most while so many clients lied, and what they were told."""
    prepared.check()
    baseline, most, seen = live.resident(), 0, Counter[int]()
    end = time.monotonic() + seconds
    liars = [
        threading.Thread(target=_lie, args=(live, prepared, kind, seen, end), daemon=True) for kind in range(clients)
    ]
    for liar in liars:
        liar.start()
    while any(liar.is_alive() for liar in liars):
        most = max(most, live.resident())
        time.sleep(0.1)
    return most - baseline, seen


@pytest.mark.service
def test_liars_cost_no_memory(live: Live, alice: Prepared, mallory: Prepared, figure: Figure) -> None:
    grown, seen = _growth(live, mallory, 64, 3.0)
    allowed = len(mallory.body) * Limits().in_flight + (64 << 20)
    assert grown <= allowed, f"{grown >> 20} MiB"
    assert seen[413] and not any(status >= 500 for status in seen), seen
    figure(
        "S2",
        f"64 clients lying at once: service and workers grew by {grown / 2**20:.0f} MiB "
        f"(allowed {allowed / 2**20:.0f})",
    )


@pytest.mark.service
@pytest.mark.slow
def test_liars_cost_no_memory_with_wide_models(tmp_path: Path, figure: Figure) -> None:
    """128 features: a legal request has 16 MiB, so what is held for one too many would be seen."""
    model = numbers_model("wide", [(-1.0) ** k / 64 for k in range(128)])
    with running(tmp_path / "service", [model]) as live, Prepared(live, "mallory", "wide@1") as mallory:
        grown, seen = _growth(live, mallory, 64, 20.0)
        allowed = len(mallory.body) * Limits().in_flight + (64 << 20)
        assert grown <= allowed, f"{grown >> 20} MiB"
        assert seen[413] and not any(status >= 500 for status in seen), seen
    figure(
        "S2",
        f"the same with requests of {len(mallory.body) / 2**20:.0f} MiB: {grown / 2**20:.0f} MiB "
        f"(allowed {allowed / 2**20:.0f})",
    )
