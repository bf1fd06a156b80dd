"""Serving as its owner starts it: what is refused, who is let in, TLS, and workers that come and go."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from churn_kit import employees, linear_model
from conftest import Figure
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from churn import cli, server
from churn.client import Client
from churn.errors import ModelError
from churn.hosting.limits import Limits
from churn.hosting.remote import NotAuthorised, Remote, ServiceUnavailable
from churn.hosting.tenants import TenantError, add_tenant, remove_tenant
from churn.process import ServiceProcess
from churn.server import Settings


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that vouches for itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


# ---- what is refused ---------------------------------------------------------------------------------

LOCAL = Settings(Path("models"), Path("keys"))
BEYOND = replace(LOCAL, host="0.0.0.0", tenants=Path("t"), tls_cert=Path("c"), tls_key=Path("k"), as_root=True)


def test_what_may_be_served_and_what_may_not(monkeypatch: pytest.MonkeyPatch, figure: Figure) -> None:
    for allowed in (
        LOCAL,
        replace(LOCAL, host="::1"),
        BEYOND,
        replace(BEYOND, tls_cert=None, tls_key=None, plain_http=True),
    ):
        allowed.check()
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    refused = [
        (replace(LOCAL, host="0.0.0.0"), "TLS"),
        (replace(BEYOND, tls_cert=None, tls_key=None), "--plain-http"),
        (replace(BEYOND, tenants=None), "tenants add"),
        (replace(BEYOND, as_root=False), "--as-root"),
        (replace(LOCAL, tls_cert=Path("c")), "--tls-key"),
        (replace(BEYOND, tls_key=None), "--tls-cert"),
    ]
    for settings, words in refused:
        with pytest.raises(ModelError) as caught:
            settings.check()
        assert words in str(caught.value)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    replace(BEYOND, as_root=False).check()
    figure("S17", f"{len(refused)} ways to expose more than was asked for: {len(refused)} refused")


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    foreign = certificate(tmp_path / "other")[1]
    for wrong in ((cert, foreign), (key, cert), (tmp_path / "none", key)):
        with pytest.raises(ModelError, match="PEM"):
            server._tls(replace(LOCAL, tls_cert=wrong[0], tls_key=wrong[1]))
    assert server._tls(replace(LOCAL, tls_cert=cert, tls_key=key)) is not None
    assert server._tls(LOCAL) is None


def test_the_limits_of_a_service_that_was_told_nothing() -> None:
    """By heart: what somebody who sets none of them relies on."""
    assert asdict(Limits()) == {
        "in_flight": 2, "queue": 32, "seconds": 60, "key_objects": 8, "key_bytes": 2**32, "resident_keys": 2**30,
        "resident_blocks": 2**29,
        "gallery_blocks": 4096, "gallery_bytes": 2**34, "galleries": 64,
        "body": 2**30, "connections": 512, "connections_per_peer": 256, "header_seconds": 5, "header_bytes": 2**14,
        "body_rate": 2**16, "grace_seconds": 5, "idle_seconds": 15, "stop_seconds": 5,
    }  # fmt: skip


def test_every_limit_can_be_set_and_is_explained() -> None:
    limits = Limits().with_(["in_flight=7", "seconds=1.5", "key_bytes=1073741824"])
    assert (limits.in_flight, limits.seconds, limits.key_bytes, limits.queue) == (7, 1.5, 1 << 30, Limits().queue)
    described = {name: (value, meaning) for name, value, meaning in limits.describe()}
    assert set(described) == {field.name for field in fields(Limits)} and described["key_bytes"][0] == "1 GiB"
    assert all(len(meaning) > 10 for _, meaning in described.values())
    for wrong in (
        "in_flight",
        "in_flight=",
        "in_flight=x",
        "in_flight=0",
        "in_flight=-1",
        "seconds=nan",
        "none=1",
        "body=1e3",
    ):
        with pytest.raises(ModelError, match="no limit"):
            Limits().with_([wrong])


def test_tenants_by_command_line(tmp_path: Path) -> None:
    run, file = CliRunner(), ["--file", str(tmp_path / "tenants.json")]
    tokens = [run.invoke(cli.app, ["tenants", "add", name, *file]).stdout.strip() for name in ("bob", "alice")]
    halves = [half for token in tokens for half in token.split(".")]
    assert len(set(halves)) == 4 and all(len(half) == 43 for half in halves)
    text = (tmp_path / "tenants.json").read_text()
    assert not any(half in text for half in halves)
    assert run.invoke(cli.app, ["tenants", "list", *file]).stdout.split() == ["alice", "bob"]
    assert run.invoke(cli.app, ["tenants", "remove", "bob", *file]).exit_code == 0
    for command, name in (("remove", "bob"), ("add", "alice"), ("add", "No Name")):
        assert isinstance(run.invoke(cli.app, ["tenants", command, name, *file]).exception, TenantError)


# ---- a service that strangers can reach --------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    (folder / "models").mkdir()
    (folder / "models" / "toy.json").write_text(json.dumps(linear_model().to_dict()))
    certificate(folder)
    (folder / "token").write_text(add_tenant(folder / "tenants.json", "alice"))
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(
        folder / "models",
        folder / "keys",
        tenants=folder / "tenants.json",
        ca=folder / "cert.pem",
        workers=2,
        options=["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")],
    ) as service:
        yield service


def remote(served: ServiceProcess, folder: Path, token: str | None = None) -> Remote:
    return Remote(served.url, token=token or (folder / "token").read_text(), ca=folder / "cert.pem")


@pytest.mark.service
def test_scores_over_tls(served: ServiceProcess, folder: Path) -> None:
    assert served.url.startswith("https://")
    records = employees(50)
    with Client(remote(served, folder)) as client:
        scores = client.score("toy", records)
    wanted = linear_model().probabilities(linear_model().schema.transform(records))
    assert np.abs(scores.probabilities - wanted).max() < 1e-5
    for line in served.log.splitlines():
        assert json.loads(line)["tenant"] in ("alice", "-")


@pytest.mark.service
def test_strangers_are_told_apart(served: ServiceProcess, folder: Path) -> None:
    with Remote(served.url, token="x") as unsure, pytest.raises(ServiceUnavailable, match="not trusted"):
        unsure.models()
    with remote(served, folder, "x" * 43) as stranger, pytest.raises(NotAuthorised):
        stranger.models()
    with (
        Remote(served.url.replace("https", "http"), token="x") as plain,
        pytest.raises(Exception, match="cannot be used|broke"),
    ):
        plain.models()


@pytest.mark.service
def test_a_tenant_who_is_removed_is_let_in_no_more(served: ServiceProcess, folder: Path) -> None:
    token = add_tenant(folder / "tenants.json", "guest")
    with remote(served, folder, token) as guest:
        assert guest.models()
        remove_tenant(folder / "tenants.json", "guest")
        with pytest.raises(NotAuthorised):
            guest.models()
