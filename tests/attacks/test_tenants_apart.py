"""S10: what is another tenant's does not exist, in word, header and time."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from attacks.live import Live, Prepared, head_of, simple
from attacks.wire import Reply, Wire
from conftest import Figure

from churn.circuit import RECORD
from churn.hosting.protocol import digest_of
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme.serialization import to_bytes

pytestmark = pytest.mark.service

Ask = Callable[[Wire, str], Reply]
DIFFERENT_EACH_TIME = {"date", "server-timing"}


@pytest.fixture
def pairs(live: Live) -> Iterator[list[tuple[Prepared, list[str]]]]:
    """Each tenant with the ids of the other's keys, of either kind."""
    with Prepared(live, "alice", layout=RECORD) as alice, Prepared(live, "bob", layout=RECORD) as bob:
        ids = {one.tenant: [str(one.keys.public), str(one.keys.evaluation)] for one in (alice, bob)}
        yield [(alice, ids["bob"]), (bob, ids["alice"])]
        for one in (alice, bob):  # nothing was deleted or exchanged
            one.check()


def _routes(one: Prepared) -> dict[str, Ask]:
    """All requests in which a tenant can name a key."""
    token = one.live.tokens[one.tenant]

    def evaluate(header: str) -> Ask:
        def ask(wire: Wire, named: str) -> Reply:
            # The body is never sent: what is not there is refused before it is read.
            return wire.ask(head_of("POST", one.path, {**one.headers(), header: named}))

        return ask

    return {
        "HEAD": lambda wire, named: wire.ask(simple("HEAD", f"/v1/keys/{named}", token), head=True),
        "DELETE": lambda wire, named: wire.ask(simple("DELETE", f"/v1/keys/{named}", token)),
        "GET": lambda wire, named: wire.ask(simple("GET", f"/v1/keys/{named}", token)),
        "evaluate, public key": evaluate("CKKS-Public-Key"),
        "evaluate, evaluation keys": evaluate("CKKS-Keys"),
    }


def _shown(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    return reply.status, [(k, v) for k, v in reply.headers if k not in DIFFERENT_EACH_TIME], reply.body


def test_foreign_ids_are_answered_like_unknown_ones(
    live: Live, pairs: list[tuple[Prepared, list[str]]], figure: Figure
) -> None:
    compared = 0
    with live.wire() as wire:
        for one, foreign in pairs:
            for route, ask in _routes(one).items():
                for named in foreign:
                    theirs, nobody = ask(wire, named), ask(wire, secrets.token_hex(32))
                    assert _shown(theirs) == _shown(nobody), route
                    assert theirs.status in (404, 405, 428)
                    compared += 1
    figure("S10", f"{compared} pairs of tenant, route and foreign id: body and headers as for unknown ids")


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("route", ["HEAD", "DELETE", "evaluate, public key"])
def test_foreign_ids_take_the_time_of_unknown_ones(
    live: Live, pairs: list[tuple[Prepared, list[str]]], route: str, count: int, figure: Figure
) -> None:
    one, (named, _) = pairs[0]
    ask, rng, times = _routes(one)[route], random.Random(1), np.zeros((0, 2))
    with live.wire() as wire:
        for _ in range(4):  # a difference stays; a disturbance is gone when more is measured
            times = np.vstack([times, [_pair(wire, ask, named, rng) for _ in range(count)]])
            ratio = float(np.median(times[:, 0] / times[:, 1]))
            if abs(ratio - 1) <= 0.05:
                break
    assert abs(ratio - 1) <= 0.05, ratio
    figure("S10", f"{route}: {len(times)} alternating pairs, foreign to unknown {ratio:.3f} in time (0.95 to 1.05)")


def _pair(wire: Wire, ask: Ask, foreign: str, rng: random.Random) -> tuple[float, float]:
    """Return the seconds for a foreign and an unknown id, asked in random order."""
    found, order = [0.0, 0.0], [(0, foreign), (1, secrets.token_hex(32))]
    rng.shuffle(order)
    for place, named in order:
        assert wire.socket  # connected
        start = time.perf_counter()
        ask(wire, named)
        found[place] = time.perf_counter() - start
    return found[0], found[1]


def test_a_key_that_another_has_is_uploaded_like_any(live: Live, alice: Prepared, figure: Figure) -> None:
    """Storing once what two have would tell one of them about the other."""
    description = alice.scoring.description
    key = to_bytes(KeyGenerator(description.params).public_key(alice.client._secret(description)))
    assert alice.client.remote.upload_keys(key, description) == digest_of(key)
    with Prepared(live, "bob") as bob, live.wire() as wire:
        headers = {**bob.headers(), "Content-Length": str(len(key))}
        request = head_of("PUT", f"/v1/keys/{digest_of(key)}", headers)
        assert wire.ask(request + key).status == 201
        places = [live.folder_of(name) / digest_of(key) for name in ("alice", "bob")]
        assert places[0].stat().st_ino != places[1].stat().st_ino
        assert wire.ask(simple("DELETE", f"/v1/keys/{digest_of(key)}", live.tokens["bob"])).status == 204
        assert places[0].is_file() and not places[1].is_file()
    assert alice.client.remote.has_keys(digest_of(key))
    alice.client.remote.delete_keys(digest_of(key))
    figure("S10", "a key stored by two tenants: two files, two lives")


@pytest.mark.parametrize("token", ["", "x", "local", "Bearer", "\xe9", "a" * 43])
def test_without_a_token_nothing_is_told(live: Live, alice: Prepared, token: str) -> None:
    """Every route but health, for names that exist and names that do not: the same refusal."""
    for path in ("/v1/models", "/v1/models/toy", "/v1/models/none"):
        with live.wire() as wire:
            replies = [wire.ask(simple("GET", path, token))]
            replies += [
                wire.ask(simple("DELETE", f"/v1/keys/{named}", token)) for named in (alice.keys.public, "0" * 64)
            ]
            replies.append(
                wire.ask(head_of("POST", alice.path, {**alice.headers(), "Authorization": f"Bearer {token}"}))
            )
        assert {reply.status for reply in replies} == {401} and len({reply.body for reply in replies}) == 1
