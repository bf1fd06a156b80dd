"""What the service writes: one line for each request, and nothing of what was in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import anyio.abc
import pytest
from churn_kit import Service, employees, score
from conftest import Figure

from churn.circuit import LOGIT
from churn.client import Client
from churn.hosting import logs
from churn.hosting.logs import LINE_BYTES, RequestLog

LOGGERS = ("churn.hosting", "uvicorn", "asyncio")
TOKEN = "token-that-nobody-shall-read-" + "0123456789"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go during a test; the loggers are as before afterwards."""
    before = {name: vars(logging.getLogger(name)).copy() for name in LOGGERS}
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream
    for name, state in before.items():
        vars(logging.getLogger(name)).update(state)
        logging.getLogger(name).setLevel(state["level"])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    found = stream.getvalue().splitlines()
    assert all(len(line) < LINE_BYTES and line.isascii() and line.isprintable() for line in found)
    return [json.loads(line) for line in found]


@pytest.fixture
def service(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> Service:
    return Service(portal, [score(LOGIT, flooded=True)], tenants={"alice": TOKEN})


def test_a_line_for_each_request(service: Service, stream: io.StringIO) -> None:
    transport = service.transport()
    with Client(service.remote(transport, TOKEN)) as client:
        client.score("toy", employees(20))
    found = lines(stream)
    assert [(one["method"], one["route"], one["status"], one["tenant"]) for one in found] == [
        ("GET", "/v1/models/{name}", 200, "alice"),
        ("PUT", "/v1/keys/{digest}", 201, "alice"),
        ("POST", "/v1/models/{name}:evaluate", 200, "alice"),
        ("POST", "/v1/models/{name}:evaluate", 200, "alice"),
        ("DELETE", "/v1/keys/{digest}", 204, "alice"),
    ]
    assert [one["in"] for one in found] == [seen.length for seen in transport.seen]
    assert [one["out"] > 0 for one in found] == [True] * 4 + [False] and all(one["seconds"]["all"] > 0 for one in found)
    assert {"keys", "read", "evaluate", "protect", "finish", "write"} <= set(found[3]["seconds"])
    assert len({one["request"] for one in found}) == 5


def test_nothing_of_what_was_sent_is_written(service: Service, stream: io.StringIO, figure: Figure) -> None:
    secrets = [TOKEN]
    with Client(service.remote(token=TOKEN)) as client:
        scores = client.score("toy", employees(20))
        secrets += [f"{value:.4f}"[1:] for value in scores.probabilities]
        (secret,) = client._secrets.values()
        secrets += [str(secret.coefficients()[:8].tolist())[1:-1]]
        sent = client._sent[score(LOGIT, flooded=True).params.digest]
        secrets += [one.digest[:16] for one in sent]
    with service.http("wrong-token-1234") as http:
        assert http.get("/v1/models").status_code == 401
    with service.http(TOKEN) as http:
        for path in ("/v1/models/SECRETNAME", "/v1/keys/SECRETNAME", "/SECRETNAME"):
            http.get(path)
    found = stream.getvalue()
    for text in [*secrets, "wrong-token", "SECRETNAME", "local"]:
        assert text not in found, text
    longest = max(map(len, found.splitlines()))
    figure("S15", f"{len(found.splitlines())} lines, {longest} bytes at most (1024): no token, value, digest or name")


def test_refusals_say_why_in_words_of_ours(service: Service, stream: io.StringIO) -> None:
    with service.http(TOKEN) as http:
        http.get("/v1/models/nobody")
        http.get("/nowhere")
    assert [(one["status"], one["note"], one["route"]) for one in lines(stream)] == [
        (404, "unknown model", "/v1/models/{name}"),
        (404, "refused", "-"),
    ]


def test_no_line_can_be_forged_or_too_long(stream: io.StringIO) -> None:
    nasty = '\r\n{"forged": true}\x1b[2J\x7f\u2028é' + "x" * 5000
    RequestLog(
        method=nasty, route=nasty, tenant=nasty, note=nasty, seconds={f"{nasty}{k}": 1.0 for k in range(99)}
    ).write()
    RequestLog(method="GET").write()
    found = lines(stream)
    assert len(found) == 2 and found[0]["what"] == "request" and found[0]["method"].startswith("\\r\\n")
    assert found[1]["method"] == "GET"


def test_what_libraries_say_is_cut_to_its_first_line_and_errors_to_their_place(stream: io.StringIO) -> None:
    try:
        raise RuntimeError("0.7312 is a value")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\nwith more below")
        logging.getLogger("asyncio").error("a handler failed", exc_info=True)
    logging.getLogger("uvicorn.error").info("Started server process")
    found = lines(stream)
    assert len(found) == 2 and "0.7312" not in stream.getvalue()
    assert found[0]["what"] == "Exception in ASGI application"
    assert all(one["error"].startswith("RuntimeError at test_what_libraries_say") for one in found)


def test_where_names_type_and_place_only() -> None:
    try:
        [][1]
    except IndexError as error:
        assert logs.where(error).startswith("IndexError at test_where_names_type_and_place_only:")
    assert logs.where(ValueError("secret")) == "ValueError"
