"""S17: a service as it comes is open to its own machine alone, shows nothing of itself, and changes no model."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from attacks.live import Live, simple
from attacks.models import numbers_model, table, write_models
from conftest import Figure
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from churn.client import Client
from churn.errors import ModelError
from churn.hosting.remote import Remote, ServiceError
from churn.hosting.tenants import add_tenant
from churn.process import ServiceProcess
from churn.server import Settings

pytestmark = pytest.mark.service


def _listening(pids: list[int]) -> set[str]:
    """Return the addresses that processes listen on."""
    handles = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                handles.add(os.readlink(handle))
            except FileNotFoundError:
                continue
    found = set()
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[k] for k in (1, 3, 9))
            if state == "0A" and f"socket:[{inode}]" in handles:
                words = bytes.fromhex(local.split(":")[0])
                packed = b"".join(words[k : k + 4][::-1] for k in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, packed))
    return found


def test_it_listens_on_this_machine_alone(live: Live, figure: Figure) -> None:
    found = _listening([live.process.pid, *live.process.worker_pids])
    assert found == {"127.0.0.1"}
    figure("S17", "listens on 127.0.0.1 and nothing else, workers included")


def test_other_machines_are_not_served_by_accident(live: Live, tmp_path: Path, figure: Figure) -> None:
    """TLS or a word that it is not wanted; tenants; no root, or a word: each is asked for by name."""
    models, keys = live.folder / "models", tmp_path / "keys"
    steps: list[tuple[dict[str, Any], str]] = [({}, "TLS"), ({"plain_http": True}, "--tenants")]
    if os.geteuid() == 0:
        steps.append(({"plain_http": True, "tenants": live.tenants}, "root"))
    hosts = ("0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org")
    for host in hosts:
        for given, reason in steps:
            with pytest.raises(ModelError, match=reason):
                Settings(models=models, keys=keys, host=host, **given).check()
    assert not keys.exists()
    figure("S17", f"{len(hosts)} other addresses refused without TLS, without tenants and as root, each by its name")


def test_only_the_routes_of_the_protocol_exist(live: Live, figure: Figure) -> None:
    paths = (
        *(
            "/",
            "/debug",
            "/metrics",
            "/docs",
            "/redoc",
            "/openapi.json",
            "/admin",
            "/v1",
            "/v1/tenants",
            "/v1/keys",
            "/status",
        ),
        *(
            "/v1/health/",
            "/v1/models/toy/weights",
            "/static/x",
            "/favicon.ico",
            "/.git/config",
            "/console",
            "/v1/debug/pprof",
        ),
    )
    token = live.tokens["alice"]
    with live.wire() as wire:
        replies = [wire.ask(simple("GET", path, token)) for path in paths]
        assert {reply.status for reply in replies} == {404}
        for method in ("TRACE", "OPTIONS", "PATCH", "CONNECT"):
            reply = wire.ask(simple(method, "/v1/models", token))
            assert reply.status in (404, 405) and token.encode() not in reply.body
        every = [wire.ask(simple("GET", path, token)) for path in ("/v1/health", "/v1/models", "/nothing")]
    for reply in (*replies, *every):
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & {name for name, _ in reply.headers}
        assert b"Traceback" not in reply.body and str(live.folder).encode() not in reply.body
    figure("S17", f"{len(paths)} paths of debug pages, documents and files: 404; no header names the software")


def test_models_are_only_read(live: Live) -> None:
    folder = live.folder / "models"
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    with live.client() as client:
        client.score("toy", table([[1.0, 2.0]]))
    assert before == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert set(before) == {f"{name}.json" for name in live.models}
    for pid in (live.process.pid, *live.process.worker_pids):
        assert not [h for h in Path(f"/proc/{pid}/fd").iterdir() if str(folder) in os.path.realpath(h)]


def test_what_it_stores_is_its_users_alone(live: Live) -> None:
    with live.client() as client:
        client.score("toy", table([[1.0, 2.0]]))
    for path in (live.keys, *live.keys.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


AS_NOBODY = """
import os, signal, sys, tempfile
from pathlib import Path
from churn.server import Settings, serve
folder = Path(sys.argv[1])
with tempfile.TemporaryDirectory() as keys:  # loads what is loaded late: nobody may not enter root's home for packages
    once = Settings(models=folder / "models", keys=Path(keys), port=0, workers=0)
    serve(once, ready=lambda url, models: os.kill(os.getpid(), signal.SIGINT))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
settings = Settings(
    models=folder / "models", keys=folder / "keys", tenants=folder / "tenants.json",
    host="0.0.0.0", port=0, plain_http=True, workers=0,
)
serve(settings, ready=lambda url, models: print(url, flush=True), until_stdin_closes=True)
"""


def test_it_runs_without_rights(figure: Figure) -> None:
    """As nobody, who may write the folder of keys and nothing else: answers other machines without being told more."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; as this user it runs in all other tests")
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to nobody
        folder = Path(name)
        folder.chmod(0o755)
        write_models(folder / "models", [numbers_model("toy", [1.0, -1.0])])
        (folder / "keys").mkdir()
        token = add_tenant(folder / "tenants.json", "alice")
        for path in (folder / "keys", folder / "tenants.json"):
            os.chown(path, 65534, 65534)
        before = {path.name for path in folder.iterdir()}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", AS_NOBODY, name], text=True, **pipes) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, process.communicate()[1]
            port = httpx.URL(url).port
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))] == [
                ["65534"] * 4
            ] * 2
            with Client(Remote(f"http://127.0.0.1:{port}", token=token)) as client:
                logits = client.score("toy", table([[1.0, 2.0], [3.0, -1.0]])).logits
            assert logits is not None and abs(logits - [-0.75, 4.25]).max() < 1e-5
            process.communicate(timeout=30)
        assert process.returncode == 0
        assert {path.name for path in folder.iterdir()} == before
        assert {path.stat().st_uid for path in (folder / "keys").rglob("*")} == {65534}
    figure("S17", "run by nobody, it serves other machines and needs to write nothing but its folder of keys")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service of a test")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls_by_certificate_files(certificate: tuple[Path, Path], tmp_path: Path, figure: Figure) -> None:
    cert, key = certificate
    write_models(tmp_path / "models", [numbers_model("toy", [1.0, -1.0])])
    options = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", ca=cert, workers=1, options=options) as service:
        assert service.url.startswith("https://")
        with Client(Remote(service.url, ca=cert)) as client:
            scores = client.score("toy", table([[1.0, 2.0], [3.0, -1.0]]))
            assert scores.logits is not None
            assert abs(scores.logits - [-0.75, 4.25]).max() < 1e-5
        with pytest.raises(ServiceError), Remote(service.url) as stranger:  # nobody vouches for it
            stranger.health()
        port = httpx.URL(service.url).port
        assert port is not None
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/v1/health")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(OSError):
            old.wrap_socket(plain)
        assert service.running
    figure("S17", "TLS 1.2 and later by certificate files; older, plain HTTP and strangers' certificates refused")


@pytest.mark.slow
def test_a_silent_handshake_is_not_waited_for(certificate: tuple[Path, Path], tmp_path: Path, figure: Figure) -> None:
    cert, key = certificate
    write_models(tmp_path / "models", [numbers_model("toy", [1.0, -1.0])])
    options = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", ca=cert, workers=1, options=options) as service:
        port, start = httpx.URL(service.url).port, time.perf_counter()
        assert port is not None
        with socket.create_connection(("127.0.0.1", port), timeout=15) as silent:
            silent.sendall(b"\x16\x03\x01")
            assert silent.recv(1) == b""
        took = time.perf_counter() - start
    figure("S3", f"TLS: a handshake that stops is ended after {took:.1f} s (15)")
