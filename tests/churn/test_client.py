from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.abc
import httpx
import numpy as np
import pytest
from churn_kit import AppTransport, Service, employees, insecure_params, linear_model, score

from churn.circuit import LOGIT, PROBABILITY, OutputKind
from churn.client import Client, _plausible
from churn.errors import CategoryError, ColumnError, DataError, ModelError
from churn.hosting.limits import Limits
from churn.hosting.model import Description, Output
from churn.hosting.remote import (
    BadAnswer,
    MissingKeys,
    NotAuthorised,
    ParameterMismatch,
    Remote,
    RequestRefused,
    ServiceBusy,
    ServiceUnavailable,
    UnknownModel,
)
from churn.keyfile import KeyFileError
from churn.scoring import ScoringModel
from ckks.errors import SerializationError
from ckks.scheme import Encryptor
from ckks.scheme.serialization import ciphertext_length, to_bytes

CHUNK = 16  # slots at N = 32


@pytest.fixture
def transport(service: Service) -> AppTransport:
    return service.transport()


@pytest.fixture
def client(service: Service, transport: AppTransport) -> Iterator[Client]:
    with Client(service.remote(transport)) as client:
        yield client


# ---- scoring -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_any_number_of_rows_in_their_order(client: Client, transport: AppTransport, rows: int) -> None:
    records, done = employees(rows), []
    scores = client.score("toy", records, progress=lambda *counts: done.append(counts))
    wanted = score().in_the_clear(linear_model().schema.transform(records))
    assert scores.probabilities.shape == (rows,) and scores.logits is None
    assert np.abs(scores.probabilities - wanted).max() < 1e-6
    chunks = -(-rows // CHUNK)
    assert transport.count("POST") == len(done) == chunks and done[-1] == (rows, rows)


def test_logits_become_exact_probabilities(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> None:
    service, records = Service(portal, [score(LOGIT)]), employees(20)
    with Client(service.remote()) as client:
        scores = client.score("toy", records)
        x = linear_model().schema.transform(records)
        assert scores.logits is not None and np.abs(scores.logits - linear_model().logits(x)).max() < 1e-6
        assert np.abs(scores.probabilities - linear_model().probabilities(x)).max() < 1e-6
        assert scores.usage.bytes_keys == 0 and service.stored() == 0


@pytest.mark.parametrize("output", [PROBABILITY, LOGIT])
@pytest.mark.parametrize("rows", [1, CHUNK, 2 * CHUNK + 3])
def test_flooded_answers_are_the_scores(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, output: OutputKind, rows: int
) -> None:
    hosted, records = score(output, flooded=True), employees(rows)
    service = Service(portal, [hosted])
    transport = service.transport()
    with Client(service.remote(transport)) as client:
        scores = client.score("toy", records)
        client.score("toy", records)
    x, sent = linear_model().schema.transform(records), transport.count("PUT")
    assert sent == (2 if output == PROBABILITY else 1)  # the public key, and where it is needed the other; once
    found, wanted = (
        (scores.logits, linear_model().logits(x)) if output == LOGIT else (scores.probabilities, hosted.in_the_clear(x))
    )
    assert found is not None and np.abs(found - wanted).max() <= hosted.output.error


@pytest.mark.parametrize("flooded", [False, True])
@pytest.mark.parametrize("output", [PROBABILITY, LOGIT])
def test_one_record(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, output: OutputKind, flooded: bool
) -> None:
    records = employees(5)
    with Client(Service(portal, [score(output, flooded=flooded)]).remote()) as client:
        table, single = client.score("toy", records), client.score_record("toy", records, 3)
        assert single.probabilities.shape == (1,)
        assert abs(single.probabilities[0] - table.probabilities[3]) < 1e-6
        assert single.usage.bytes_up < table.usage.bytes_up
        for row in (-1, 5):
            with pytest.raises(DataError, match="rows 0 to 4"):
                client.score_record("toy", records, row)


def test_usage_is_counted_per_call_and_in_all(client: Client, transport: AppTransport) -> None:
    first, second = client.score("toy", employees(CHUNK)), client.score("toy", employees(2 * CHUNK))
    body = ciphertext_length(insecure_params(), batch=(4,), seeded=True)
    assert (first.usage.bytes_up, second.usage.bytes_up) == (body, 2 * body)
    assert first.usage.bytes_keys > 0 and second.usage.bytes_keys == 0
    sent = sum(one.length for one in transport.seen if one.method in ("POST", "PUT"))
    assert client.usage.bytes_up + client.usage.bytes_keys == sent
    assert all(value >= 0 for value in vars(second.usage).values()) and second.usage.encrypt > 0
    assert 0 < first.usage.evaluate_server <= first.usage.evaluate


def test_records_that_the_model_cannot_take_are_not_sent(client: Client, transport: AppTransport) -> None:
    records = employees(4)
    for damaged, error in (
        (records.drop(columns="pay"), ColumnError),
        (records.assign(travel="Dayly"), CategoryError),
        (records.assign(age="?"), DataError),
        (records.iloc[:0], DataError),
    ):
        with pytest.raises(error):
            client.score("toy", damaged)
    assert transport.count("POST") == transport.count("PUT") == 0


# ---- keys --------------------------------------------------------------------------------------------


def test_keys_are_sent_once(client: Client, transport: AppTransport, service: Service) -> None:
    for _ in range(3):
        client.score("toy", employees(3))
    assert transport.count("PUT") == 1
    client.score_record("toy", employees(3))  # needs rotations as well
    assert transport.count("PUT") == 2
    client.score("toy", employees(3))  # is served by the larger set
    assert transport.count("PUT") == 2 and service.stored() == 2


def test_keys_that_the_service_lost_are_sent_again(client: Client, transport: AppTransport, service: Service) -> None:
    digest = client.prepare(client.model("toy")).evaluation
    assert digest is not None and service.store.delete(service.tenants["local"].account, digest)
    client.score("toy", employees(3))
    assert transport.count("PUT") == 2


def test_a_key_file_is_made_once_and_spares_the_upload(service: Service, tmp_path: Path) -> None:
    path, records = tmp_path / "sub" / "my.key", employees(3)
    found = []
    for uploads in (1, 0):
        transport = service.transport()
        with Client(service.remote(transport), key_file=path, passphrase="hush") as client:
            found.append(client.score("toy", records).probabilities)
        assert transport.count("PUT") == uploads
    assert np.abs(found[0] - found[1]).max() < 1e-6
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    note = json.loads((tmp_path / "sub" / "my.key.sent.json").read_text())
    assert len(note["sent"]) == 1


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"key_file": 1, "sent": []}', "null"])
def test_a_damaged_or_foreign_note_costs_an_upload_only(service: Service, tmp_path: Path, note: str) -> None:
    path, transport = tmp_path / "my.key", service.transport()
    with Client(service.remote(), key_file=path) as client:
        client.score("toy", employees(3))
    (tmp_path / "my.key.sent.json").write_text(note)
    with Client(service.remote(transport), key_file=path) as client:
        client.score("toy", employees(3))
    assert transport.count("PUT") == 1


def test_a_note_about_another_secret_is_not_believed(service: Service, tmp_path: Path) -> None:
    for name in ("a.key", "b.key"):
        with Client(service.remote(), key_file=tmp_path / name) as client:
            client.score("toy", employees(3))
    (tmp_path / "a.key.sent.json").replace(tmp_path / "b.key.sent.json")
    with Client(service.remote(), key_file=tmp_path / "b.key") as client:
        wanted = score().in_the_clear(linear_model().schema.transform(employees(3)))
        assert np.abs(client.score("toy", employees(3)).probabilities - wanted).max() < 1e-6


def test_key_files_that_do_not_fit(service: Service, portal: anyio.abc.BlockingPortal, tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    with Client(service.remote(), key_file=path, passphrase="hush") as client:
        client.prepare(client.model("toy"))
    for passphrase in (None, "wrong"):
        with (
            Client(service.remote(), key_file=path, passphrase=passphrase) as client,
            pytest.raises(SerializationError, match=r"my\.key: .*passphrase.*--passphrase-env"),
        ):
            client.score("toy", employees(3))
    other = replace(score(), params=insecure_params(7.5))
    with (
        Client(Service(portal, [other]).remote(), key_file=path, passphrase="hush") as client,
        pytest.raises(KeyFileError, match="other parameters"),
    ):
        client.score("toy", employees(3))
    with Client(service.remote(), key_file=tmp_path) as client, pytest.raises(KeyFileError, match="cannot be read"):
        client.score("toy", employees(3))


def test_keys_of_no_file_are_forgotten_at_the_end(service: Service, tmp_path: Path) -> None:
    """Nobody could use them again; those of a key file stay."""
    with Client(service.remote()) as client:
        client.score("toy", employees(3))
        assert service.stored() == 1
    assert service.stored() == 0
    with Client(service.remote(), key_file=tmp_path / "my.key") as client:
        client.score("toy", employees(3))
    assert service.stored() == 1


def test_closing_wipes_the_secret(service: Service) -> None:
    client = Client(service.remote())
    client.prepare(client.model("toy"))
    (secret,) = client._secrets.values()
    client.close()
    with pytest.raises(Exception, match="closed"):
        secret.coefficients()


# ---- what can go wrong at the other end --------------------------------------------------------------


def test_nobody_there() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServiceUnavailable) as caught:
        client.score("toy", employees(3))
    assert "http://127.0.0.1:9" in str(caught.value) and "python -m churn serve" in str(caught.value)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host", "http://", "http://host:port"])
def test_no_url(url: str) -> None:
    with pytest.raises(ServiceUnavailable, match="URL"):
        Remote(url)


def test_unknown_model(client: Client) -> None:
    with pytest.raises(UnknownModel, match="nearest known name: 'toy'"):
        client.score("tow", employees(3))
    with pytest.raises(UnknownModel):
        client.model("../keys/x?y#z")


def test_refusals_are_typed(service: Service, client: Client, portal: anyio.abc.BlockingPortal) -> None:
    model = client.model("toy")
    described, remote = model.description, client.remote
    with pytest.raises(MissingKeys, match="PUT /v1/keys"):
        remote.evaluate(described, "feature-major", b"x", longest=10)
    foreign = replace(described, params=insecure_params(7.5))
    with pytest.raises(ParameterMismatch, match="other parameters"):
        remote.evaluate(foreign, "feature-major", b"x", longest=10)
    digest = client.prepare(model).evaluation
    with pytest.raises(RequestRefused, match="422"):
        remote.evaluate(described, "feature-major", b"x", keys=digest, longest=10)
    with pytest.raises(NotAuthorised, match="token"):
        service.remote(token="nobody").models()
    full = Service(portal, [score()], limits=Limits(in_flight=0))
    with Client(full.remote()) as blocked, pytest.raises(ServiceBusy):
        blocked.score("toy", employees(3))


def test_insecure_parameters_are_refused_unless_allowed(service: Service) -> None:
    with Client("http://service", transport=service.transport()) as client, pytest.raises(BadAnswer, match="insecure"):
        client.model("toy")


def cut(data: bytes) -> bytes:
    return data[:-1]


def flip(data: bytes) -> bytes:
    return data[:300] + bytes([data[300] ^ 4]) + data[301:]


def repacked(position: int) -> Callable[[bytes], bytes]:
    """Damage one residue and mend the checksum, as only somebody who means it does."""

    def tamper(data: bytes) -> bytes:
        from hashlib import sha256

        body = bytearray(data[:-32])
        body[position] ^= 1
        return bytes(body) + sha256(body).digest()

    return tamper


def test_damaged_answers_all_look_alike_and_change_no_request(service: Service) -> None:
    """Cut, flipped, empty, or valid but nonsense: the same error, after the same requests."""
    texts, requests = set(), set()
    records = employees(3 * CHUNK)
    for tamper in (None, cut, flip, lambda data: b"", lambda data: bytes(len(data)), repacked(-40), repacked(-100)):
        transport = service.transport()
        transport.tamper = tamper
        with Client(service.remote(transport)) as client:
            if tamper is None:
                client.score("toy", records)
            else:
                with pytest.raises(BadAnswer, match="damaged or implausible") as caught:
                    client.score("toy", records)
                texts.add(str(caught.value))
        requests.add(tuple((one.method, one.length) for one in transport.seen))
    assert len(texts) == 1 and len(requests) == 1


def test_what_cannot_be_an_answer_is_none() -> None:
    """Of a logit within [-3, 3], off by 0.01 at most, in 5 of 8 slots."""
    output = Output("logit", -3.0, 3.0, unused=0.5, error=0.01)
    honest = np.array([3, -3, 0, 1, 2, 0.5, 0.509, 0.491]) + 0.009j * np.array([1, -1, 0, 1, 1, 0, 0, 0])
    found = _plausible(honest, 5, output)
    assert found is not None and found.tolist() == [3, -3, 0, 1, 2]
    for slot, change in (
        (0, 0.01),
        (1, -0.01),
        (2, 0.02j),
        (5, 0.02),
        (7, -0.02),
        (6, 0.02j),
        (3, np.nan),
        (4, np.inf),
    ):
        damaged = honest.copy()
        damaged[slot] += change
        assert _plausible(damaged, 5, output) is None, (slot, change)


@pytest.mark.parametrize("change", [{"level": 1}, {"scale": 2**30}, {"slots": 8}])
def test_an_answer_of_another_form_is_refused(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, change: dict[str, int]
) -> None:
    """Zeros encrypted under the right key would pass for logits, but for their level, scale or slots."""
    hosted = score(LOGIT, flooded=True)
    service = Service(portal, [hosted])
    transport = service.transport()
    with Client(service.remote(transport)) as client:
        described = client.model("toy")
        client.prepare(described)
        secret = client._secret(described.description)
        form = {"level": 0, "scale": hosted.output.scale, "slots": hosted.params.slots} | change
        for given in ({"level": 0, "scale": hosted.output.scale}, form):
            zeros = Encryptor(hosted.params, secret).encrypt(np.zeros(3), bound=1.0, **given)  # type: ignore[arg-type]
            transport.tamper = lambda _, zeros=zeros: to_bytes(zeros)  # type: ignore[misc]
            if given is not form:
                assert np.abs(client.score(described, employees(3)).probabilities - 0.5).max() < 1e-6
                continue
            with pytest.raises(BadAnswer):
                client.score(described, employees(3))


def test_an_answer_that_never_ends_is_cut_off(client: Client, transport: AppTransport) -> None:
    transport.tamper = lambda data: data * 1000
    with pytest.raises(BadAnswer, match="longer than"):
        client.score("toy", employees(3))


class Scripted(httpx.BaseTransport):
    """A service that answers what it was told to."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        told = self.answer(request)
        return httpx.Response(told.status_code, headers=told.headers, stream=httpx.ByteStream(told.content))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: httpx.Response(200, text="<html>"), BadAnswer),
        (lambda _: httpx.Response(200, json=[1]), BadAnswer),
        (lambda _: httpx.Response(200, json={"name": "toy"}), BadAnswer),
        (lambda _: httpx.Response(302, headers={"location": "http://elsewhere"}), RequestRefused),
        (lambda _: httpx.Response(400, json=["detail"]), RequestRefused),
        (lambda _: httpx.Response(400, json={"detail": "\x1b[31m" + "x" * 9999}), RequestRefused),
        (lambda _: httpx.Response(503), ServiceBusy),
        (lambda _: httpx.Response(200, content=b"[" * 200_000), BadAnswer),
        (lambda _: httpx.Response(400, content=b"[" * 60_000), RequestRefused),
    ],
)
def test_strange_answers(answer: Callable[[httpx.Request], httpx.Response], error: type[Exception]) -> None:
    with Client("http://service", transport=Scripted(answer)) as client, pytest.raises(error) as caught:
        client.model("toy")
    assert len(str(caught.value)) < 1000 and "\x1b" not in str(caught.value)


def test_broken_connections() -> None:
    for raised, error in (
        (httpx.ReadTimeout, ServiceUnavailable),
        (httpx.ReadError, ServiceUnavailable),
        (httpx.RemoteProtocolError, BadAnswer),
        (httpx.ConnectError, ServiceUnavailable),
    ):

        def answer(request: httpx.Request, raised: Any = raised) -> httpx.Response:
            raise raised("broken", request=request)

        with Client("http://service", transport=Scripted(answer)) as client, pytest.raises(error):
            client.model("toy")


def test_a_model_that_was_exchanged_is_noticed(client: Client, service: Service) -> None:
    model = client.model("toy")
    stale = replace(model, description=replace(model.description, digest="0" * 64))
    with pytest.raises(BadAnswer, match="exchanged"):
        client.score(stale, employees(3))


def test_a_description_that_contradicts_itself_is_refused(client: Client) -> None:
    described = Description.of(score())
    for output in (
        replace(described.output, high=1e9),
        replace(described.output, low=2.0),
        replace(described.output, kind="secret key"),
    ):
        with pytest.raises(ModelError, match="range that means something"):
            ScoringModel.of(replace(described, output=output))
    with pytest.raises(ModelError):
        ScoringModel.of(replace(described, about={}))
    packing = described.layouts["feature-major"]
    for wrong in (replace(packing, items=3), replace(packing, bound=1.0)):
        model = ScoringModel.of(replace(described, layouts={"feature-major": wrong}))
        with pytest.raises(RequestRefused, match="does not fit"):
            client.score(model, employees(3))
    with pytest.raises(RequestRefused, match="has no layout 'record'"):
        client.score_record(ScoringModel.of(replace(described, layouts={"feature-major": packing})), employees(3))
