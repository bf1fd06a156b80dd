"""S4, the service's side: an upload may be repeated, a request is answered at most once."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter

import pytest
from attacks.live import Live, Prepared, head_of
from conftest import Figure

from churn.hosting.protocol import digest_of
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme.serialization import to_bytes


@pytest.mark.service
def test_a_repeated_upload_changes_nothing(live: Live, alice: Prepared) -> None:
    description = alice.scoring.description
    key = to_bytes(KeyGenerator(description.params).public_key(alice.client._secret(description)))
    headers = {**alice.headers(), "Content-Length": str(len(key))}
    place = live.folder_of("alice") / digest_of(key)
    with live.wire() as wire:
        statuses = [wire.ask(head_of("PUT", f"/v1/keys/{digest_of(key)}", headers) + key).status for _ in range(5)]
    assert statuses == [201, 200, 200, 200, 200]
    assert place.read_bytes() == key and not list((live.keys / "uploads").iterdir())
    alice.client.remote.delete_keys(digest_of(key))


@pytest.mark.service
@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_repeated_request_is_answered_once(live: Live, alice: Prepared, count: int, figure: Figure) -> None:
    """One after the other, and from eight connections at once."""
    answered = 0
    for turn in range(count):
        request, statuses = alice.request(), Counter[int]()
        if turn % 2:
            with live.wire() as wire:
                statuses.update(wire.ask(request).status for _ in range(2))
        else:
            _at_once(live, request, statuses)
        assert statuses[200] == 1 and set(statuses) <= {200, 409, 429}, statuses
        answered += statuses[200]
    figure("S4", f"{count} requests sent twice or eight times at once: {answered} answers")


def _at_once(live: Live, request: bytes, statuses: Counter[int]) -> None:
    ready = threading.Barrier(8)

    def send() -> None:
        with live.wire() as wire:
            assert wire.socket
            ready.wait()
            statuses[wire.ask(request).status] += 1

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.service
def test_a_nonce_cannot_be_used_for_another_request(live: Live, alice: Prepared, mallory: Prepared) -> None:
    nonce = secrets.token_hex(16)
    with live.wire() as wire:
        assert wire.ask(alice.request(nonce=nonce)).status == 200
        headers = alice.headers(nonce=nonce)
        assert wire.ask(head_of("POST", "/v1/models/toy@1:evaluate", headers) + alice.body).status == 409
        assert wire.ask(alice.request(nonce=nonce.upper())).status == 400  # two ways of writing it would be two nonces
        assert wire.ask(mallory.request(nonce=nonce)).status == 200  # it is hers, nobody else's


@pytest.mark.service
@pytest.mark.parametrize("days", [-365, -2, 2, 365])
def test_requests_of_another_day_are_refused(live: Live, alice: Prepared, days: int) -> None:
    with live.wire() as wire:
        assert wire.ask(alice.request(sent_at=int(time.time()) + days * 86400)).status == 409


@pytest.mark.service
def test_a_restart_forgets_no_request(mortal: Live, figure: Figure) -> None:
    with Prepared(mortal) as alice:
        request = alice.request()
        with mortal.wire() as wire:
            assert wire.ask(request).status == 200
        mortal.kill()
        mortal.start()
        with mortal.wire() as wire:
            assert wire.ask(request).status == 409
            assert wire.ask(alice.request()).status == 200
    figure("S4", "a request repeated after kill -9 and restart: refused")
