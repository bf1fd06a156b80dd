from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio.abc
import httpx
import numpy as np
import pytest
from churn_kit import Service, employees, insecure_params, linear_model, score

from churn.circuit import FEATURE_MAJOR, LOGIT, RECORD, Score
from churn.errors import ModelError
from churn.hosting.app import create_app
from churn.hosting.limits import Limits
from churn.hosting.model import Description
from churn.hosting.protocol import (
    KEYS_HEADER,
    LAYOUT_HEADER,
    MODEL_HEADER,
    OCTETS,
    PARAMETERS_HEADER,
    PROBLEM_JSON,
    digest_of,
)
from churn.hosting.store import FileStore, MemoryStore
from ckks import CKKSParams, Decryptor, Encryptor, KeyGenerator, SecretKey
from ckks.ring import Rng
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
        return {PARAMETERS_HEADER: self.params.digest.hex(), "Content-Type": OCTETS}

    def keys(self, rotations: tuple[int, ...] = (), relin: bool = True) -> bytes:
        return to_bytes(self.keygen.evaluation_keys(self.secret, relin=relin, rotations=rotations))

    def body(self, layout: str = FEATURE_MAJOR, **changes: Any) -> bytes:
        x = self.x.T if layout == FEATURE_MAJOR else self.x[:1]
        packing = score().layouts[layout]
        encryptor = Encryptor(self.params, self.secret, Rng(4))
        return seeded_to_bytes(
            *encryptor.encrypt_seeded(x, **{"slots": packing.slots, "bound": packing.bound, **changes})
        )

    def upload(self, http: httpx.Client, data: bytes) -> dict[str, str]:
        """Store keys; return the headers of an evaluation with them."""
        answer = http.put(f"/v1/keys/{digest_of(data)}", content=data, headers=self.headers)
        assert answer.status_code in (200, 201), answer.text
        return {**self.headers, KEYS_HEADER: digest_of(data)}


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
    assert http.get("/v1/health").json() == {"status": "ok", "models": 1, "backend": "reference"}
    listed = http.get("/v1/models").json()["models"]
    assert listed == [{"name": "toy", "version": 1, "digest": score().digest, "output": "probability"}]


def test_a_description_is_all_that_a_client_needs(http: httpx.Client) -> None:
    told = http.get("/v1/models/toy").json()
    described = Description.from_dict(told, allow_insecure=True)
    assert described.params == score().params and described.layouts == score().layouts
    assert described.output == score().output and described.digest == score().digest
    assert told["parameters_digest"] == score().params.digest.hex() and told["depth"] == 4


def test_unknown_models_and_paths(http: httpx.Client, party: Party) -> None:
    problem = refused(http.get("/v1/models/tyo"), 404, "'tyo'", "nearest known name: 'toy'")
    assert problem["need"] == ["toy"]
    refused(http.post("/v1/models/nobody:evaluate", content=b"x", headers=party.headers), 404, "nobody")
    refused(http.get("/nowhere"), 404)
    refused(http.delete("/v1/models/toy"), 405)


# ---- keys --------------------------------------------------------------------------------------------


def test_the_life_of_keys(http: httpx.Client, party: Party, service: Service) -> None:
    data = party.keys((1, 2))
    path = f"/v1/keys/{digest_of(data)}"
    assert http.head(path).status_code == 404
    answer = http.put(path, content=data, headers=party.headers)
    assert answer.status_code == 201 and answer.json() == {"digest": digest_of(data), "bytes": len(data)}
    assert http.head(path).status_code == 204
    assert http.put(path, content=data, headers=party.headers).status_code == 200
    assert service.store.count() == 1
    assert http.delete(path).status_code == 204 and http.head(path).status_code == 404
    refused(http.delete(path), 404)


def test_damaged_or_foreign_keys_are_refused_and_not_kept(http: httpx.Client, party: Party, service: Service) -> None:
    data = party.keys()
    path = f"/v1/keys/{digest_of(data)}"
    refused(http.put("/v1/keys/short", content=data, headers=party.headers), 422, "digest")
    refused(http.put(path, content=data), 409, PARAMETERS_HEADER)
    stranger = Party(insecure_params(7.5))
    refused(http.put(path, content=data, headers=stranger.headers), 409)
    refused(http.put(path, content=data[:-1], headers=party.headers), 422, "cut short")
    refused(http.put(path, content=b"", headers=party.headers), 422)
    refused(http.put(path, content=bytes(len(data)), headers=party.headers), 422, "SHA-256")
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    refused(http.put(f"/v1/keys/{digest_of(damaged)}", content=bytes(damaged), headers=party.headers), 422)
    foreign = stranger.keys()
    assert len(foreign) == len(data)
    refused(http.put(f"/v1/keys/{digest_of(foreign)}", content=foreign, headers=party.headers), 422, "parameters")
    assert service.store.count() == 0


def test_no_more_keys_than_some_model_can_use(http: httpx.Client, party: Party) -> None:
    too_many = party.keys((1, 2, 3))
    problem = refused(http.put(f"/v1/keys/{digest_of(too_many)}", content=too_many, headers=party.headers), 413)
    assert problem["have"] == len(too_many) > max(problem["need"]) == len(party.keys((1, 2)))


def endless(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk


@pytest.mark.parametrize("declared", ["9" * 19, str(2**63), "1", "-1", "1e3", "٣"])
def test_a_declared_length_is_checked_before_anything_is_read(service: Service, party: Party, declared: str) -> None:
    path = "/v1/keys/" + "0" * 64
    headers = {**party.headers, "Content-Length": declared.encode("utf-8").decode("latin-1")}
    status, body, taken = service.raw("PUT", path, headers, endless(bytes(1024)))
    assert status in (400, 413, 422) and taken == 0 and b"detail" in body


def test_an_undeclared_length_is_counted(service: Service, party: Party) -> None:
    longest = len(party.keys((1, 2)))
    status, _, taken = service.raw("PUT", "/v1/keys/" + "0" * 64, party.headers, endless(bytes(1024)))
    assert status == 413 and taken == longest // 1024 + 1
    assert service.store.count() == 0
    keys = party.keys()
    with service.http() as http:
        headers = party.upload(http, keys)
    status, _, taken = service.raw("POST", EVALUATE, headers, endless(bytes(1024)))
    assert status == 413 and taken * 1024 < 2 * len(party.body()) + 2048


def test_a_full_store_refuses_new_keys_only(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    service = Service(portal, [score()], limits=Limits(key_sets=1))
    with service.http() as http:
        first, second = party.keys(), party.keys()
        party.upload(http, first)
        refused(http.put(f"/v1/keys/{digest_of(second)}", content=second, headers=party.headers), 507)
        party.upload(http, first)
        assert http.delete(f"/v1/keys/{digest_of(first)}").status_code == 204
        party.upload(http, second)


def test_keys_survive_a_restart(portal: anyio.abc.BlockingPortal, party: Party, tmp_path: Any) -> None:
    with Service(portal, [score()], store=FileStore(tmp_path)).http() as http:
        headers = party.upload(http, party.keys())
    with Service(portal, [score()], store=FileStore(tmp_path)).http() as http:
        assert http.post(EVALUATE, content=party.body(), headers=headers).status_code == 200


def test_memory_for_keys_is_bounded(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    """With room for one set, the least recently used one is read again when it is needed."""
    service = Service(portal, [score()], limits=Limits(resident_keys=1))
    with service.http() as http:
        for headers in [party.upload(http, party.keys()) for _ in range(2)] * 2:
            assert http.post(EVALUATE, content=party.body(), headers=headers).status_code in (200,)


# ---- evaluation --------------------------------------------------------------------------------------


def test_an_evaluation(http: httpx.Client, party: Party) -> None:
    headers = party.upload(http, party.keys())
    answer = http.post(EVALUATE, content=party.body(), headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"] == OCTETS
    assert answer.headers[MODEL_HEADER] == score().digest
    assert "evaluate;dur=" in answer.headers["Server-Timing"]
    values = Decryptor(party.params, party.secret).decrypt(ciphertext_from_bytes(answer.content, party.params))
    assert np.abs(values - score().in_the_clear(party.x)).max() < 1e-6


def test_input_may_be_written_out_instead_of_seeded(http: httpx.Client, party: Party) -> None:
    headers = party.upload(http, party.keys())
    public = Encryptor(party.params, party.keygen.public_key(party.secret), Rng(5))
    packing = score().layouts[FEATURE_MAJOR]
    body = to_bytes(public.encrypt(party.x.T, slots=packing.slots, bound=packing.bound))
    assert http.post(EVALUATE, content=body, headers=headers).status_code == 200


def test_missing_keys(http: httpx.Client, party: Party) -> None:
    body = party.body()
    refused(http.post(EVALUATE, content=body, headers=party.headers), 428, "names no keys", "PUT /v1/keys/")
    unknown = {**party.headers, KEYS_HEADER: "0" * 64}
    refused(http.post(EVALUATE, content=body, headers=unknown), 428, "no keys of this digest")
    refused(http.post(EVALUATE, content=body, headers={**party.headers, KEYS_HEADER: "x"}), 422, "digest")
    headers = {**party.upload(http, party.keys((1,))), LAYOUT_HEADER: RECORD}
    problem = refused(http.post(EVALUATE, content=party.body(RECORD), headers=headers), 428, "rotations")
    assert problem["have"]["missing_rotations"] == [2] and problem["need"]["rotations"] == [1, 2]
    headers = party.upload(http, party.keys((1, 2), relin=False))
    problem = refused(http.post(EVALUATE, content=body, headers=headers), 428, "no relinearisation key")
    assert problem["have"]["relinearisation"] is False


def test_damaged_input_is_refused(http: httpx.Client, party: Party) -> None:
    headers, body = party.upload(http, party.keys()), party.body()
    problem = refused(http.post(EVALUATE, content=body[:-1], headers=headers), 422, "cut short")
    assert problem["have"] == len(body) - 1 and len(body) in problem["need"]
    refused(http.post(EVALUATE, content=b"", headers=headers), 422)
    refused(http.post(EVALUATE, content=bytes(len(body)), headers=headers), 422)
    for position in range(0, len(body), len(body) // 40):
        damaged = bytearray(body)
        damaged[position] ^= 1 << position % 8
        refused(http.post(EVALUATE, content=bytes(damaged), headers=headers), 422)


def test_foreign_parameters_are_refused(http: httpx.Client, party: Party) -> None:
    headers, stranger = party.upload(http, party.keys()), Party(insecure_params(7.5))
    problem = refused(
        http.post(
            EVALUATE, content=stranger.body(), headers={**headers, PARAMETERS_HEADER: stranger.params.digest.hex()}
        ),
        409,
        "other parameters",
    )
    assert problem["need"] == party.params.digest.hex()
    refused(http.post(EVALUATE, content=stranger.body(), headers=headers), 422, "parameters")
    refused(http.post(EVALUATE, content=party.body(), headers={KEYS_HEADER: headers[KEYS_HEADER]}), 409)


def test_the_layout_is_checked(http: httpx.Client, party: Party) -> None:
    headers = party.upload(http, party.keys((1, 2)))
    refused(
        http.post(EVALUATE, content=party.body(), headers={**headers, LAYOUT_HEADER: "recrod"}),
        422,
        "nearest known name: 'record'",
    )
    refused(http.post(EVALUATE, content=party.body(), headers={**headers, LAYOUT_HEADER: RECORD}), 413)
    party.x = party.x[:8]
    problem = refused(http.post(EVALUATE, content=party.body(slots=8), headers=headers), 422, "slots 8 where 16")
    assert problem["have"]["slots"] == 8


def test_a_lower_level_is_refused(http: httpx.Client, party: Party) -> None:
    headers = party.upload(http, party.keys())
    refused(http.post(EVALUATE, content=party.body(level=3), headers=headers), 422)


def test_logits_need_no_keys(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    with Service(portal, [score(LOGIT)]).http() as http:
        answer = http.post(EVALUATE, content=party.body(), headers=party.headers)
        assert answer.status_code == 200
        ct = ciphertext_from_bytes(answer.content, party.params)
        values = Decryptor(party.params, party.secret).decrypt(ct)
        assert np.abs(values - linear_model().logits(party.x)).max() < 1e-6


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


def test_a_failure_inside_shows_nothing_and_stops_nothing(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    hosted = Stubborn(**vars_of(score(LOGIT)))
    hosted.released.set()
    with Service(portal, [hosted]).http() as http:
        answer = http.post(EVALUATE, content=party.body(), headers=party.headers)
        refused(answer, 500)
        assert "business" not in answer.text
        assert http.get("/v1/health").status_code == 200


def test_it_answers_while_it_computes_and_refuses_when_it_is_full(
    portal: anyio.abc.BlockingPortal, party: Party
) -> None:
    hosted = Stubborn(**vars_of(score(LOGIT)))
    hosted.waiting.clear()
    hosted.released.clear()
    service = Service(portal, [hosted], limits=Limits(requests=1))
    body, statuses = party.body(), []

    def send() -> None:
        with service.http() as http:
            statuses.append(http.post(EVALUATE, content=body, headers=party.headers).status_code)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert hosted.waiting.wait(20)
        with service.http() as http:
            assert http.get("/v1/health").status_code == 200
            busy = http.post(EVALUATE, content=body, headers=party.headers)
            refused(busy, 503, "try again")
            assert busy.headers["Retry-After"] == "1"
    finally:
        hosted.released.set()
        sender.join(20)
    assert statuses == [500]


def vars_of(hosted: Score) -> dict[str, Any]:
    return {"model": hosted.model, "polynomial": hosted.polynomial, "params": hosted.params}


def test_several_models_share_keys_of_one_parameter_set(portal: anyio.abc.BlockingPortal, party: Party) -> None:
    with Service(portal, [score(), score(name="second")]).http() as http:
        headers = party.upload(http, party.keys())
        for name in ("toy", "second"):
            answer = http.post(f"/v1/models/{name}:evaluate", content=party.body(), headers=headers)
            assert answer.status_code == 200


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
    ],
)
def test_a_description_that_is_none_is_refused(part: str, value: object) -> None:
    told = Description.of(score()).to_dict()
    with pytest.raises(ModelError):
        Description.from_dict({**told, part: value}, allow_insecure=True)
    with pytest.raises(ModelError):
        Description.from_dict({k: v for k, v in told.items() if k != part}, allow_insecure=True)


def test_two_models_of_one_name_cannot_be_hosted() -> None:
    other = replace(score(), model=linear_model(version=2))
    with pytest.raises(ModelError, match="'toy'"):
        create_app([score(), other], MemoryStore())
