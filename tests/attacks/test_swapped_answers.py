"""S4, the client's side: an answer that was made for another request is refused, whatever else is right about it."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from attacks.live import Live, Prepared, simple
from attacks.transports import Network, Recorded
from conftest import Figure

from churn.circuit import FEATURE_MAJOR
from churn.hosting.model import Description
from churn.hosting.remote import BadAnswer, Remote
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme.serialization import ciphertext_length, to_bytes


@dataclass(frozen=True)
class Question:
    """What a client asks: as whom, of which model, under which of its keys, with which body."""

    tenant: str
    model: str
    key: str
    body: bytes


class Asker:
    """Both tenants' clients, on a network that can exchange answers."""

    def __init__(self, live: Live, tenants: dict[str, Prepared]) -> None:
        self._networks = {name: Network() for name in tenants}
        self._remotes: dict[str, Remote] = {name: live.remote(name, self._networks[name]) for name in tenants}
        with live.wire() as wire:
            self._models = {
                model: Description.from_dict(
                    json.loads(wire.ask(simple("GET", f"/v1/models/{model}", live.tokens["alice"])).body)
                )
                for model in live.models
            }

    def ask(self, question: Question, instead: Recorded | None = None) -> Recorded:
        """Ask, and return what came; BadAnswer when the client refuses it. `instead` is what it gets, if given."""
        network, model = self._networks[question.tenant], self._models[question.model]
        network.answer = None if instead is None else lambda *_: instead
        longest = ciphertext_length(model.params, model.output.level)
        self._remotes[question.tenant].evaluate(
            model, FEATURE_MAJOR, question.body, public_key=question.key, longest=longest
        )
        answer = network.last if instead is None else instead
        assert answer is not None
        return answer

    def close(self) -> None:
        for remote in self._remotes.values():
            remote.close()

    def digest(self, model: str) -> str:
        return self._models[model].digest


def _swapped(rng: random.Random, mine: Recorded, other: Recorded, digest: str) -> tuple[str, Recorded]:
    """Return another request's answer, made to look like mine as far as an attacker can."""
    relabelled = other.with_header("ckks-model", digest)
    ways = {
        "whole": relabelled,
        "body": mine.with_body(other.body),
        "MAC": mine.with_header("ckks-mac", other.header("ckks-mac")),
        "no MAC": relabelled.with_header("ckks-mac", None),
        "half a MAC": relabelled.with_header("ckks-mac", other.header("ckks-mac")[:32]),
        "MAC of zeros": relabelled.with_header("ckks-mac", "0" * 64),
        "another model's name": other,
    }
    way = rng.choice(list(ways))
    return way, ways[way]


@pytest.mark.service
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_answers_to_other_requests_are_refused(live: Live, alice: Prepared, count: int, figure: Figure) -> None:
    rng, ways = random.Random(count), Counter[str]()
    with Prepared(live, "bob") as bob:
        remote, generator = alice.client.remote, KeyGenerator(alice.scoring.description.params)
        second = to_bytes(generator.public_key(alice.client._secret(alice.scoring.description)))
        keys = {
            "alice": [str(alice.keys.public), remote.upload_keys(second, alice.scoring.description)],
            "bob": [str(bob.keys.public)],
        }
        bodies = (alice.body, bob.body)
        questions = [
            Question(tenant, model, key, body)
            for tenant in keys
            for model in live.models
            for key in keys[tenant]
            for body in bodies
        ]
        asker = Asker(live, {"alice": alice, "bob": bob})
        answers = [(one, asker.ask(one)) for one in questions for _ in range(2)]  # honest ones are accepted
        accepted = []
        for _ in range(count):
            (question, mine), (_, other) = rng.choice(answers), rng.choice(answers)
            # Even the answer to the very same question is another request's: the nonce is new.
            way, answer = _swapped(rng, mine, other, asker.digest(question.model))
            try:
                asker.ask(question, answer)
            except BadAnswer:
                ways[way] += 1
            else:
                accepted.append((way, question.tenant, question.model))
        asker.close()
        remote.delete_keys(keys["alice"][1])
    assert not accepted, accepted[:10]
    assert len(ways) == 7
    figure("S4", f"{count} answers of other tenants, models, keys, inputs and times: {sum(ways.values())} refused")
