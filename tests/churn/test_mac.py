"""Answers are bound to their requests: the authentication itself, and a client that meets answers of other requests."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import fields, replace

import anyio.abc
import httpx
import numpy as np
import pytest
from churn_kit import AppTransport, Service, employees, score
from conftest import Figure

from churn.circuit import LOGIT
from churn.client import Client
from churn.hosting.mac import Exchange, checksum_of
from churn.hosting.protocol import MAC_HEADER, MODEL_HEADER
from churn.hosting.remote import BadAnswer, NotAuthorised, Remote, ServiceUnavailable
from churn.hosting.tenants import mac_key_of

EXCHANGE = Exchange(
    nonce="00112233445566778899aabbccddeeff",
    model="a" * 64,
    params="b" * 64,
    layout="feature-major",
    public="c" * 64,
    keys=None,
    request=bytes(range(32)),
)


def test_the_string_that_is_authenticated() -> None:
    """Written out once more, as another language would."""
    text = (
        "ckks answer 1\n00112233445566778899aabbccddeeff\n"
        + "a" * 64
        + "\n"
        + "b" * 64
        + "\nfeature-major\n"
        + "c" * 64
        + "\n-\n-\n000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
        + hashlib.sha256(b"answer").hexdigest()
    )
    assert EXCHANGE.mac(bytes(32), b"answer") == hmac.digest(bytes(32), text.encode(), "sha256").hex()


def test_the_key_is_that_of_rfc_5869() -> None:
    extracted = hmac.digest(bytes(32), b"token", "sha256")
    assert mac_key_of("token") == hmac.digest(extracted, b"ckks answer mac 1\1", "sha256")


def test_every_part_counts(figure: Figure) -> None:
    key, answer = secrets.token_bytes(32), secrets.token_bytes(100)
    mac = EXCHANGE.mac(key, answer)
    assert EXCHANGE.verifies(key, answer, mac)
    others: dict[str, list[object]] = {part.name: ["d" * 64, "x\ny"] for part in fields(Exchange)}
    others |= {"public": [None, "d" * 64], "request": [bytes(32), b"", EXCHANGE.request[:-1]]}
    for part, values in others.items():
        for value in values:
            assert not replace(EXCHANGE, **{part: value}).verifies(key, answer, mac), part
    for bit in range(8 * len(answer)):
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        assert not EXCHANGE.verifies(key, bytes(changed), mac)
    for wrong in ("", mac[:-1], mac.upper(), "é", mac + "0", "0" * 64):
        assert not EXCHANGE.verifies(key, answer, wrong)
    assert not EXCHANGE.verifies(secrets.token_bytes(32), answer, mac)
    changes = sum(map(len, others.values())) + 8 * len(answer) + 7
    figure("S4", f"{changes} answers with one part changed: 0 verified")


class Recorder(AppTransport):
    """Keeps every answer to an evaluation; `choose` may give another one in its place."""

    choose: Callable[[list[httpx.Response]], httpx.Response] | None = None

    def __init__(self, portal: anyio.abc.BlockingPortal, app: object) -> None:
        super().__init__(portal, app)
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if not request.url.path.endswith(":evaluate"):
            return response
        response.read()
        self.answers.append(response)
        chosen = response if self.choose is None else self.choose(self.answers)
        return httpx.Response(chosen.status_code, headers=chosen.headers, stream=httpx.ByteStream(chosen.content))


@pytest.fixture
def service(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> Service:
    return Service(portal, [score(LOGIT), score(LOGIT, "second")], tenants={"a": "local", "b": "other"})


@pytest.fixture
def recorder(service: Service) -> Recorder:
    return Recorder(service.portal, service.app)


def test_answers_of_other_requests_are_refused(service: Service, recorder: Recorder, figure: Figure) -> None:
    """Older ones, of another input, model or tenant: all of them are whole, and authenticated by the service."""
    theirs = Recorder(service.portal, service.app)
    with Client(service.remote(recorder)) as ours, Client(service.remote(theirs, token="other")) as other:
        for _ in range(3):
            ours.score("toy", employees(3))
        ours.score("second", employees(3))
        other.score("toy", employees(3))
        pool, refused = [*recorder.answers, *theirs.answers], 0
        for answer in pool:
            recorder.choose = lambda _, answer=answer: answer
            with pytest.raises(BadAnswer):
                ours.score("toy", employees(3))
            refused += 1
        recorder.choose = None
        ours.score("toy", employees(3))
    figure("S4", f"{refused} answers of older requests, other models and tenants: {refused} refused by the client")


def test_two_answers_that_change_places_are_refused(service: Service, recorder: Recorder) -> None:
    """Both of one table, the second chunk's in place of the first's."""
    with Client(service.remote(recorder)) as client:
        scores = client.score("toy", employees(32))
        assert len(recorder.answers) == 2 and np.ptp(scores.probabilities) > 0
        first = len(recorder.answers)
        recorder.choose = lambda answers: answers[first] if len(answers) > first else answers[-1]
        with pytest.raises(BadAnswer, match="this request"):
            client.score("toy", employees(32))


@pytest.mark.parametrize(
    "changes",
    [
        {MAC_HEADER: None},
        {MAC_HEADER: ""},
        {MAC_HEADER: "0" * 64},
        {MAC_HEADER: "é" * 32},
        {MODEL_HEADER: None},
        {MODEL_HEADER: "0" * 64},
    ],
)
def test_without_its_authentication_no_answer_is_believed(
    recorder: Recorder, service: Service, changes: dict[str, str | None]
) -> None:
    def changed(answers: list[httpx.Response]) -> httpx.Response:
        kept = {name: value for name, value in answers[-1].headers.items() if name not in map(str.lower, changes)}
        raw = [(name.encode(), value.encode()) for name, value in {**kept, **changes}.items() if value is not None]
        return httpx.Response(200, headers=raw, content=answers[-1].content)

    recorder.choose = changed
    with Client(service.remote(recorder)) as client, pytest.raises(BadAnswer):
        client.score("toy", employees(3))


def test_nonces_are_fresh(service: Service) -> None:
    sent: list[httpx.Request] = []

    class Watch(AppTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return super().handle_request(request)

    with Client(service.remote(Watch(service.portal, service.app))) as client:
        client.score("toy", employees(64))
    nonces = [one.headers["CKKS-Nonce"] for one in sent if one.method == "POST"]
    assert len(set(nonces)) == len(nonces) == 4 and all(len(nonce) == 32 for nonce in nonces)


# ---- the token, and who may see it -------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "two words", "é", "x\r\nHost: y", "x" * 513])
def test_a_token_that_cannot_be_one_is_not_sent(token: str) -> None:
    with pytest.raises(NotAuthorised):
        Remote("http://127.0.0.1:1", token=token)


def test_a_token_does_not_travel_in_the_clear() -> None:
    with pytest.raises(ServiceUnavailable, match="https"):
        Remote("http://example.org", token="t")
    for url in ("https://example.org", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"):
        Remote(url, token="t").close()
    Remote("http://example.org", token="t", plain_http=True).close()


def test_certificates_that_are_none() -> None:
    with pytest.raises(ServiceUnavailable, match="PEM"):
        Remote("https://example.org", ca="/no/such/file")


def test_the_checksum_is_the_end_of_a_frame() -> None:
    assert checksum_of(b"x" * 40 + bytes(range(32))) == bytes(range(32))
