from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio.abc
import httpx
import numpy as np
import pytest
from churn_kit import AppTransport, Service, employees, insecure_params, linear_model, score
from conftest import Figure

from churn.circuit import FEATURE_MAJOR, LOGIT, RECORD, Score
from churn.errors import ModelError
from churn.hosting.app import create_app
from churn.hosting.limits import Limits
from churn.hosting.model import Description
from churn.hosting.protocol import (
    KEYS_HEADER,
    LOOPBACK_TOKEN,
    MODEL_HEADER,
    NONCE_HEADER,
    OCTETS,
    PARAMETERS_HEADER,
    PROBLEM_JSON,
    PUBLIC_KEY_HEADER,
    TIME_HEADER,
    digest_of,
)
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import Quota
from churn.hosting.tenants import Tenants
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.inline import Inline
from ckks import CKKSParams, Decryptor, Encryptor, KeyGenerator, SecretKey
from ckks.errors import RangeError
from ckks.ring import Rng
from ckks.rlwe import Noise
from ckks.scheme.serialization import ciphertext_from_bytes, seeded_to_bytes, to_bytes

EVALUATE = "/v1/models/toy:evaluate"


class Party:
    """A key owner by hand: what an honest client sends, to be damaged by the tests."""

    def __init__(self, params: CKKSParams | None = None) -> None:
        self.params = params or score().params
        self.keygen = KeyGenerator(self.params, Rng(3))
        self.secret: SecretKey = self.keygen.secret_key()
        self.x = linear_model().schema.transform(employees(16))

    @property
    def headers(self) -> dict[str, str]:
        """Of a request with a body, with a nonce of its own."""
        return {
            "Authorization": f"Bearer {LOOPBACK_TOKEN}",
            PARAMETERS_HEADER: self.params.digest.hex(),
            NONCE_HEADER: secrets.token_hex(16),
            TIME_HEADER: str(int(time.time())),
            "Content-Type": OCTETS,
        }

    def keys(self, rotations: tuple[int, ...] = (), relin: bool = True) -> bytes:
        return to_bytes(self.keygen.evaluation_keys(self.secret, relin=relin, rotations=rotations))

    def body(self, layout: str = FEATURE_MAJOR, **changes: Any) -> bytes:
        x = self.x.T if layout == FEATURE_MAJOR else self.x[:1]
        packing = score().layouts[layout]
        encryptor = Encryptor(self.params, self.secret, Rng(4))
        return seeded_to_bytes(
            *encryptor.encrypt_seeded(x, **{"slots": packing.slots, "bound": packing.bound, **changes})
        )

    def upload(self, http: httpx.Client, data: bytes) -> str:
        """Store a key; return its digest."""
        answer = http.put(f"/v1/keys/{digest_of(data)}", content=data, headers=self.headers)
        assert answer.status_code in (200, 201), answer.text
        return digest_of(data)

    def ask(
        self, http: httpx.Client, keys: str | None, body: bytes | None = None, path: str = EVALUATE, **headers: str
    ) -> httpx.Response:
        """Have a body evaluated with stored keys; `headers` are more of them, or others."""
        named = {} if keys is None else {KEYS_HEADER: keys}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        content = self.body() if body is None else body
        return http.post(path, content=content, headers={**self.headers, **named, **more})


def refused(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """Check a refusal: its status, its form, and that its text says the words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    problem = answer.json()
    assert (
        problem["status"] == status
        and problem["title"]
        and set(problem) <= {"title", "status", "detail", "have", "need"}
    )
    for word in words:
        assert word in problem["detail"], problem["detail"]
    assert "Traceback" not in answer.text
    return dict(problem)


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client that checks, at the end of each test, that the service is still up."""
    with service.http() as http:
        yield http
        assert http.get("/v1/health").json()["status"] == "ok"


@pytest.fixture
def party(reference_kernels: None) -> Party:
    return Party()


# ---- what is offered ---------------------------------------------------------------------------------


def test_health_and_models(http: httpx.Client) -> None:
    told = http.get("/v1/health").json()
    assert told == {"status": "ok", "models": 1, "backend": "reference", "workers": 0, "ready": 2}
    listed = http.get("/v1/models").json()["models"]
    assert listed == [{"name": "toy", "version": 1, "digest": score().digest, "output": "probability"}]


@pytest.mark.parametrize("name", ["toy", "toy@1"])
def test_a_description_is_all_that_a_client_needs(http: httpx.Client, name: str) -> None:
    told = http.get(f"/v1/models/{name}").json()
    described = Description.from_dict(told, allow_insecure=True)
    assert described.params == score().params and described.layouts == score().layouts
    assert described.output == score().output and described.digest == score().digest
    assert told["parameters_digest"] == score().params.digest.hex() and told["depth"] == 4


def test_unknown_models_and_paths(http: httpx.Client, party: Party) -> None:
    problem = refused(http.get("/v1/models/tyo"), 404, "'tyo'", "nearest known name: 'toy'")
    assert problem["need"] == ["toy"]
    for name in ("nobody", "toy@2", "toy@", "@1", "toy@01"):
        refused(party.ask(http, None, path=f"/v1/models/{name}:evaluate"), 404, name)
    refused(http.get("/nowhere"), 404)
    refused(http.delete("/v1/models/toy"), 405)


# ---- who asks ----------------------------------------------------------------------------------------

PLACES = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/toy"),
    ("PUT", "/v1/keys/" + "0" * 64),
    ("HEAD", "/v1/keys/" + "0" * 64),
    ("DELETE", "/v1/keys/" + "0" * 64),
    ("POST", EVALUATE),
]


@pytest.mark.parametrize(("method", "path"), PLACES)
@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "Bearer locale", "Basic local", "local"])
def test_only_tenants_are_let_in(service: Service, method: str, path: str, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": token}
    with service.http(token=None) as http:
        answer = http.request(method, path, headers=headers)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert http.get("/v1/health").status_code == 200


@pytest.mark.parametrize(("host", "status"), [("evil.example", 421), ("127.0.0.1:8000", 200), ("[::1]:1", 200)])
def test_a_service_for_its_own_machine_is_addressed_as_such(service: Service, host: str, status: int) -> None:
    """A page whose server's name was made to point at loopback is refused, though it knows the token that all know."""
    own = create_app([score()], service.store, Inline(Engine([score()], 1 << 20)), Tenants.open_loopback())
    with httpx.Client(base_url="http://service", transport=AppTransport(service.portal, own)) as http:
        headers = {"Host": host, "Authorization": "Bearer local"}
        assert http.get("/v1/models", headers=headers).status_code == status


@pytest.mark.parametrize("place", ["evaluate", "finish"])
def test_a_model_that_fails_shows_no_figure(
    portal: anyio.abc.BlockingPortal, party: Party, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The text of a model's own error may hold a number made of its weights."""

    def fail(*_: object) -> None:
        raise RangeError("values may reach 3.14")

    monkeypatch.setattr(Score, place, fail)
    with Service(portal, [score()]).http() as http:
        answer = party.ask(http, party.upload(http, party.keys()))
        refused(answer, 500)
        assert "3.14" not in answer.text


def test_what_is_another_tenants_does_not_exist(portal: anyio.abc.BlockingPortal, party: Party, figure: Figure) -> None:
    """Foreign and unknown: the same status, headers and body, on every route."""
    service = Service(portal, [score()], tenants={"ours": "token-a", "theirs": "token-b"})
    with service.http("token-a") as ours, service.http("token-b") as theirs:
        headers = {"Authorization": "Bearer token-a"}
        data, body = party.keys(), party.body()
        digest = digest_of(data)
        sent = {**party.headers, **headers}
        assert ours.put(f"/v1/keys/{digest}", content=data, headers=sent).status_code == 201
        pairs = 0
        for ask in (
            lambda d: theirs.head(f"/v1/keys/{d}"),
            lambda d: theirs.delete(f"/v1/keys/{d}"),
            lambda d: party.ask(theirs, d, body, Authorization="Bearer token-b"),
        ):
            foreign, unknown = ask(digest), ask("0" * 64)
            assert foreign.status_code in (404, 428)
            assert (foreign.status_code, foreign.content, foreign.headers) == (
                unknown.status_code,
                unknown.content,
                unknown.headers,
            )
            pairs += 1
        assert party.ask(ours, digest, body, Authorization="Bearer token-a").status_code == 200
        assert (service.stored("ours"), service.stored("theirs")) == (1, 0)
    figure("S10", f"foreign and unknown keys on {pairs} routes: answers identical in status, headers and body")


# ---- keys --------------------------------------------------------------------------------------------


def test_the_life_of_keys(http: httpx.Client, party: Party, service: Service) -> None:
    data = party.keys((1, 2))
    path = f"/v1/keys/{digest_of(data)}"
    assert http.head(path).status_code == 404
    answer = http.put(path, content=data, headers=party.headers)
    assert answer.status_code == 201 and answer.json() == {"digest": digest_of(data), "bytes": len(data)}
    assert http.head(path).status_code == 204
    assert http.put(path, content=data, headers=party.headers).status_code == 200
    assert service.stored() == 1
    assert http.delete(path).status_code == 204 and http.head(path).status_code == 404
    refused(http.delete(path), 404)


def test_damaged_or_foreign_keys_are_refused_and_not_kept(http: httpx.Client, party: Party, service: Service) -> None:
    data = party.keys()

    def put(data: bytes, path: str | None = None, sender: Party = party) -> httpx.Response:
        return http.put(f"/v1/keys/{path or digest_of(data)}", content=data, headers=sender.headers)

    refused(put(data, "short"), 422, "digest")
    refused(http.put(f"/v1/keys/{digest_of(data)}", content=data), 409, PARAMETERS_HEADER)
    stranger = Party(insecure_params(7.5))
    refused(put(data, sender=stranger), 409)
    refused(put(data[:-1]), 422, "cut short")
    refused(put(b""), 422)
    refused(put(bytes(len(data))), 422, "magic")
    refused(put(data, "0" * 64), 422, "SHA-256")
    for position in range(0, len(data), len(data) // 40):
        damaged = bytearray(data)
        damaged[position] ^= 1
        refused(put(bytes(damaged)), 422)
    foreign = stranger.keys()
    assert len(foreign) == len(data)
    refused(put(foreign), 422, "parameters")
    assert service.stored() == 0


def test_a_public_key_is_taken_where_answers_are_flooded_only(
    portal: anyio.abc.BlockingPortal, http: httpx.Client, party: Party
) -> None:
    def put(http: httpx.Client, party: Party) -> httpx.Response:
        data = to_bytes(party.keygen.public_key(party.secret))
        return http.put(f"/v1/keys/{digest_of(data)}", content=data, headers=party.headers)

    assert put(http, party).status_code in (413, 422)
    flooded = score(LOGIT, flooded=True)
    with Service(portal, [flooded]).http() as http:
        assert put(http, Party(flooded.params)).status_code == 201


def test_a_key_of_another_kind_than_its_length_says_is_refused(http: httpx.Client, party: Party) -> None:
    """The header of a whole set in front of the bytes of a smaller one: found out before the rest is read."""
    small, large = party.keys((1,)), party.keys((1, 2))
    data = large[:144] + small[144:]
    problem = refused(http.put(f"/v1/keys/{digest_of(data)}", content=data, headers=party.headers), 422, "header")
    assert problem["have"] == len(small) and problem["need"] == len(large)


def test_no_more_keys_than_some_model_can_use(http: httpx.Client, party: Party) -> None:
    too_many = party.keys((1, 2, 3))
    problem = refused(http.put(f"/v1/keys/{digest_of(too_many)}", content=too_many, headers=party.headers), 413)
    assert problem["have"] == len(too_many) > max(problem["need"]) == len(party.keys((1, 2)))


def endless(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk


@pytest.mark.parametrize("declared", [None, "9" * 19, str(2**63), "9" * 30, "1", "0", "-1", "1e3", "٣", ""])
@pytest.mark.parametrize("place", ["PUT /v1/keys/" + "0" * 64, f"POST {EVALUATE}"])
def test_the_length_is_checked_before_anything_is_read(
    service: Service, party: Party, declared: str | None, place: str
) -> None:
    with service.http() as http:
        headers = {**party.headers, KEYS_HEADER: party.upload(http, party.keys())}
    if declared is not None:
        headers["Content-Length"] = declared.encode("utf-8").decode("latin-1")
    status, body, taken = service.raw(*place.split(), headers, endless(bytes(1024)))
    assert status == 411 if declared is None else status in (400, 413, 422)
    assert taken == 0 and b"detail" in body


def test_a_head_that_does_not_fit_is_refused_before_the_rest_is_read(service: Service, party: Party) -> None:
    with service.http() as http:
        headers = {**party.headers, KEYS_HEADER: party.upload(http, party.keys())}
    chunks = iter([party.body()[:144]] + [b""] * 3)
    for bad, words in ((b"CKKSWIRE" + bytes(136), b"version"), (party.body(level=3)[:144], b"level 3")):
        headers["Content-Length"] = str(len(party.body()))
        headers[NONCE_HEADER] = secrets.token_hex(16)
        chunks = iter([bad, bytes(1024), bytes(1024)])
        status, body, taken = service.raw("POST", EVALUATE, headers, chunks)
        assert status == 422 and words in body and taken == 1


def test_a_full_store_refuses_new_keys_only(portal: anyio.abc.BlockingPortal, party: Party, tmp_path: Any) -> None:
    store = FileStore(tmp_path, quota=Quota(objects=1))
    with Service(portal, [score()], store=store).http() as http:
        first, second = party.keys(), party.keys()
        party.upload(http, first)
        refused(http.put(f"/v1/keys/{digest_of(second)}", content=second, headers=party.headers), 429)
        party.upload(http, first)
        assert http.delete(f"/v1/keys/{digest_of(first)}").status_code == 204
        party.upload(http, second)
    store.close()


def test_keys_and_nonces_survive_a_restart(portal: anyio.abc.BlockingPortal, party: Party, tmp_path: Any) -> None:
    store, nonce = FileStore(tmp_path), {NONCE_HEADER: "0" * 32}
    with Service(portal, [score()], store=store).http() as http:
        keys = party.upload(http, party.keys())
        assert party.ask(http, keys, **nonce).status_code == 200
    store.close()
    store = FileStore(tmp_path)
    with Service(portal, [score()], store=store).http() as http:
        assert party.ask(http, keys).status_code == 200
        refused(party.ask(http, keys, **nonce), 409, "nonce")
    store.close()


def test_memory_for_keys_is_bounded(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    """With room for one set, the least recently used one is read again when it is needed."""
    service = Service(portal, [score()], limits=Limits(resident_keys=1))
    with service.http() as http:
        for keys in [party.upload(http, party.keys()) for _ in range(2)] * 2:
            assert party.ask(http, keys).status_code == 200


# ---- evaluation --------------------------------------------------------------------------------------


def test_an_evaluation(http: httpx.Client, party: Party) -> None:
    answer = party.ask(http, party.upload(http, party.keys()))
    assert answer.status_code == 200 and answer.headers["content-type"] == OCTETS
    assert answer.headers[MODEL_HEADER] == score().digest
    assert "evaluate;dur=" in answer.headers["Server-Timing"]
    values = Decryptor(party.params, party.secret).decrypt(ciphertext_from_bytes(answer.content, party.params))
    assert np.abs(values - score().in_the_clear(party.x)).max() < 1e-6


def test_input_may_be_written_out_instead_of_seeded(http: httpx.Client, party: Party) -> None:
    public = Encryptor(party.params, party.keygen.public_key(party.secret), Rng(5))
    packing = score().layouts[FEATURE_MAJOR]
    body = to_bytes(public.encrypt(party.x.T, slots=packing.slots, bound=packing.bound))
    assert party.ask(http, party.upload(http, party.keys()), body).status_code == 200


def test_missing_keys(http: httpx.Client, party: Party) -> None:
    refused(party.ask(http, None), 428, "names no keys", "PUT /v1/keys/")
    refused(party.ask(http, "0" * 64), 428, "no keys of this digest")
    refused(party.ask(http, "x"), 400, "digest")
    digest = party.upload(http, party.keys((1,)))
    problem = refused(party.ask(http, digest, party.body(RECORD), CKKS_Layout=RECORD), 428, "rotations")
    assert problem["have"]["missing_rotations"] == [2] and problem["need"]["rotations"] == [1, 2]
    problem = refused(party.ask(http, party.upload(http, party.keys((1, 2), relin=False))), 428, "no relinearisation")
    assert problem["have"]["relinearisation"] is False


def test_damaged_input_is_refused(http: httpx.Client, party: Party) -> None:
    keys, body = party.upload(http, party.keys()), party.body()
    problem = refused(party.ask(http, keys, body[:-1]), 422, "cut short")
    assert problem["have"] == len(body) - 1 and len(body) in problem["need"]
    refused(party.ask(http, keys, b""), 422)
    refused(party.ask(http, keys, bytes(len(body))), 422)
    for position in range(0, len(body), len(body) // 40):
        damaged = bytearray(body)
        damaged[position] ^= 1 << position % 8
        refused(party.ask(http, keys, bytes(damaged)), 422)


def test_foreign_parameters_are_refused(http: httpx.Client, party: Party) -> None:
    keys, stranger = party.upload(http, party.keys()), Party(insecure_params(7.5))
    problem = refused(stranger.ask(http, keys), 409, "other parameters")
    assert problem["need"] == party.params.digest.hex()
    refused(party.ask(http, keys, stranger.body()), 422, "parameters")
    refused(party.ask(http, keys, CKKS_Parameters=""), 409)


def test_the_layout_is_checked(http: httpx.Client, party: Party) -> None:
    keys = party.upload(http, party.keys((1, 2)))
    refused(party.ask(http, keys, CKKS_Layout="recrod"), 422, "nearest known name: 'record'")
    refused(party.ask(http, keys, CKKS_Layout=RECORD), 413)
    party.x = party.x[:8]
    problem = refused(party.ask(http, keys, party.body(slots=8)), 422, "slots 8 where 16")
    assert problem["have"]["slots"] == 8
    refused(party.ask(http, keys, party.body(level=3)), 422)
    scale = party.params.scale * 2
    refused(party.ask(http, keys, party.body(scale=scale)), 422)


@pytest.mark.parametrize(
    "headers",
    [
        {"CKKS_Nonce": ""},
        {"CKKS_Nonce": "0" * 31},
        {"CKKS_Nonce": "A" * 32},
        {"CKKS_Time": ""},
        {"CKKS_Time": "-1"},
        {"CKKS_Time": "9" * 13},
        {"CKKS_Time": "1.5"},
    ],
)
def test_a_request_needs_nonce_and_time(http: httpx.Client, party: Party, headers: dict[str, str]) -> None:
    keys = party.upload(http, party.keys())
    refused(party.ask(http, keys, **headers), 400, "32 hex digits")


def test_a_replayed_or_stale_request_is_not_answered(http: httpx.Client, party: Party, figure: Figure) -> None:
    keys, body = party.upload(http, party.keys()), party.body()
    for i in range(20):
        nonce = {"CKKS_Nonce": f"{i:032x}"}
        assert party.ask(http, keys, body, **nonce).status_code == 200
        for _ in range(2):
            refused(party.ask(http, keys, body, **nonce), 409, "nonce")
    for moment in (0, time.time() - 10 * 86400, time.time() + 10 * 86400):
        refused(party.ask(http, keys, body, CKKS_Time=str(int(moment))), 409, "time")
    figure("S4", "40 replayed requests: 0 answered again")


def test_logits_need_no_keys(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    with Service(portal, [score(LOGIT)]).http() as http:
        answer = party.ask(http, None)
        assert answer.status_code == 200
        ct = ciphertext_from_bytes(answer.content, party.params)
        values = Decryptor(party.params, party.secret).decrypt(ct)
        assert np.abs(values - linear_model().logits(party.x)).max() < 1e-6


def test_flooded_answers_need_the_public_key_and_are_counted(
    portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    hosted = replace(score(LOGIT, flooded=True), queries=2)
    party, layout = Party(hosted.params), hosted.layouts[FEATURE_MAJOR]
    service = Service(portal, [hosted], tenants={"a": "local", "b": "other"})
    with service.http() as http:
        body = party.body(level=layout.level, scale=layout.scale)
        refused(party.ask(http, None, body), 428, "CKKS-Public-Key", "needs your public key")
        public = party.upload(http, to_bytes(party.keygen.public_key(party.secret)))
        answers = set()
        for _ in range(2):
            answer = party.ask(http, None, body, **{PUBLIC_KEY_HEADER: public})
            assert answer.status_code == 200, answer.text
            answers.add(answer.content)
            noise = Noise(*[hosted.output.error * float(hosted.output.scale_in(party.params))] * 2)
            ct = ciphertext_from_bytes(answer.content, party.params, noise=noise)
            values = Decryptor(party.params, party.secret).decrypt(ct)
            assert np.abs(values - linear_model().logits(party.x)).max() <= hosted.output.error
        assert len(answers) == 2, "the same question, and noise of its own in each answer"
        another = party.upload(http, to_bytes(party.keygen.public_key(party.secret)))
        for key in (public, another):  # a new key does not help: what is hidden is the model
            refused(party.ask(http, None, body, **{PUBLIC_KEY_HEADER: key}), 429, "2 answers")
    with service.http("other") as http:
        own = {"Authorization": "Bearer other"}
        data = to_bytes(party.keygen.public_key(party.secret))
        http.put(f"/v1/keys/{digest_of(data)}", content=data, headers={**party.headers, **own})
        answer = party.ask(http, None, body, **{PUBLIC_KEY_HEADER: digest_of(data)}, **own)
        assert answer.status_code == 200


# ---- the service itself ------------------------------------------------------------------------------


class Stubborn(Score):
    """A model that fails, or waits, when evaluated."""

    waiting = threading.Event()
    released = threading.Event()

    def evaluate(self, evaluator: Any, x: Any, layout: str) -> Any:
        if not self.released.is_set():
            self.waiting.set()
            assert self.released.wait(20)
        raise RuntimeError(f"a detail that is nobody's business: {x}")

    @property
    def layouts(self) -> Any:
        return score(LOGIT).layouts

    @property
    def output(self) -> Any:
        return score(LOGIT).output


def stubborn() -> Stubborn:
    one = score(LOGIT)
    hosted = Stubborn(one.model, one.polynomial, one.params, False)
    hosted.waiting.clear()
    hosted.released.clear()
    return hosted


def test_a_failure_inside_shows_nothing_and_stops_nothing(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    hosted = stubborn()
    hosted.released.set()
    with Service(portal, [hosted]).http() as http:
        answer = party.ask(http, None)
        refused(answer, 500)
        assert "business" not in answer.text
        assert http.get("/v1/health").status_code == 200


def test_it_answers_while_it_computes_and_refuses_what_is_too_much(
    portal: anyio.abc.BlockingPortal, party: Party
) -> None:
    hosted = stubborn()
    service = Service(portal, [hosted], tenants={"a": "local", "b": "other"}, limits=Limits(in_flight=1))
    body, statuses = party.body(), []

    def send() -> None:
        with service.http() as http:
            statuses.append(party.ask(http, None, body).status_code)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert hosted.waiting.wait(20)
        with service.http() as http:
            assert http.get("/v1/health").status_code == 200
            for busy in (party.ask(http, None, body), party.ask(http, None, body)):
                refused(busy, 429, "this tenant")
                assert busy.headers["Retry-After"] == "1"
    finally:
        hosted.released.set()
        sender.join(20)
    assert statuses == [500]
    with service.http() as http:
        refused(party.ask(http, None, body), 500)


def test_several_models_share_keys_of_one_parameter_set(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    with Service(portal, [score(), score(name="second")]).http() as http:
        keys = party.upload(http, party.keys())
        for name in ("toy", "second", "second@1"):
            assert party.ask(http, keys, path=f"/v1/models/{name}:evaluate").status_code == 200


# ---- descriptions ------------------------------------------------------------------------------------


def test_insecure_parameters_are_the_clients_decision() -> None:
    with pytest.raises(ModelError, match="insecure"):
        Description.from_dict(Description.of(score()).to_dict())


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("digest", "x"),
        ("parameters", "zz"),
        ("parameters", 5),
        ("parameters", "00"),
        ("layouts", {}),
        ("layouts", {"a": {"items": 1}}),
        ("output", {"kind": "probability"}),
        ("about", None),
        ("version", 0),
        ("name", ""),
        ("layouts", {"a": {"items": 1, "slots": 32, "bound": 1.0, "relinearisation": True, "rotations": []}}),
        ("layouts", {"a": {"items": 1, "slots": 12, "bound": 1.0, "relinearisation": True, "rotations": []}}),
        ("layouts", {"a": {"items": 1, "slots": 16, "bound": 1.0, "relinearisation": True, "rotations": [1] * 65}}),
        ("flooding", {"log2_bound": 40, "queries": 2**40 + 1, "statistical_bits": 30}),
        ("flooding", {"log2_bound": 40, "queries": 1024, "statistical_bits": 65}),
        ("flooding", {"log2_bound": 40, "queries": 1024, "statistical_bits": 29}),
    ],
)
def test_a_description_that_is_none_is_refused(part: str, value: object) -> None:
    told = Description.of(score()).to_dict()
    with pytest.raises(ModelError):
        Description.from_dict({**told, part: value}, allow_insecure=True)
    with pytest.raises(ModelError):
        Description.from_dict({k: v for k, v in told.items() if k != part}, allow_insecure=True)


def test_two_models_of_one_name_and_version_cannot_be_hosted(portal: anyio.abc.BlockingPortal) -> None:
    with pytest.raises(ModelError, match="toy@1"):
        Service(portal, [score(), score(LOGIT)])
    Service(portal, [score(), replace(score(), model=linear_model(version=2))])
