"""S15: one line of the log for each request, whatever is in it: nobody forges lines, nor writes to a terminal."""

from __future__ import annotations

import json

import pytest
from attacks.live import Live, Prepared, head_of
from conftest import Figure

FORGED = '{"what": "request", "tenant": "admin", "status": 200}'
NAMES = [
    "%0d%0a" + FORGED.replace(" ", "%20"),
    "%1b%5b2J%1b%5b31mred",
    "%00%01%07%08%7f%9b",
    "%e2%80%ae%e2%80%a8%f0%9f%92%a3",
    "x" * 8000,
    "%22%7d%0a%7b%22",
]
HEADERS = ("CKKS-Layout", "CKKS-Parameters", "CKKS-Nonce", "User-Agent", "Authorization", "Host", "X-Forwarded-For")


@pytest.mark.service
def test_control_characters_are_escaped_and_lines_short(live: Live, alice: Prepared, figure: Figure) -> None:
    before, sent = len(live.log), 0
    with live.wire() as wire:
        for name in NAMES:
            for method, path in (
                ("POST", f"/v1/models/{name}:evaluate"),
                ("GET", f"/v1/models/{name}"),
                ("DELETE", f"/v1/keys/{name}"),
                ("GET", f"/{name}"),
            ):
                headers = alice.headers()
                headers.pop("Content-Length")
                wire.ask(head_of(method, path, headers))
                sent += 1
        for header in HEADERS:
            for value in ("\x1b[2J", "a\tb", "\xff\xfe" * 100, FORGED, "\u0080\u009b31m", "x" * 4000):
                wire.ask(head_of("GET", "/v1/models", {**alice.headers(), header: value, "Content-Length": "0"}))
                sent += 1
        for method in ("\x1b[31m", FORGED.replace(" ", ""), "M" * 200, "GET\x00"):
            wire.ask(head_of(method, "/v1/health", {"Host": "x"}))
            sent += 1
    told = live.log[before:]
    lines = told.splitlines()
    assert not [c for c in told if (ord(c) < 32 and c != "\n") or ord(c) > 126]
    events = [json.loads(line) for line in lines]  # every line is one, whole
    requests = [event for event in events if event["what"] == "request"]
    assert len(requests) == sent == len(lines)
    assert not [event for event in requests if event["tenant"] not in ("alice", "-")]
    assert len(told.encode()) / sent <= 1024 and max(map(len, lines)) <= 1024
    figure(
        "S15", f"{sent} requests full of control characters: {sent} lines, at most {max(map(len, lines))} bytes (1024)"
    )
