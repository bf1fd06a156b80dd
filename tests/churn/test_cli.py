from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import httpx
import pytest
from churn_kit import Run

from churn import launch, server
from churn.errors import ModelError
from churn.hosting.limits import Limits
from churn.hosting.remote import Remote, ServiceUnavailable
from churn.process import ServiceProcess

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own that finds the packages."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=280, **options
    )  # type: ignore[call-overload, no-any-return]


# ---- the command line --------------------------------------------------------------------------------


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for word in ("train", "serve", "models", "score", "--rows", "--json", "--data", "--mode"):
        assert word in out
    for command in ("train", "serve", "models", "score", "match"):
        code, out, _ = run(command, "--help")
        assert code == 0 and "--until-stdin-closes" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "none.csv", "--target", "a", "--positive", "b"], ["none.csv", "Check the path"]),
        (["--data", "none.csv"], ["--target COLUMN"]),
        (["--target", "a"], ["--data FILE"]),
        (["train", "--data", "none.csv", "--target", "a", "--positive", "b"], ["none.csv"]),
        (["train", "--rows", "200", "--name", "No Such Name"], ["a-z"]),
        (["serve", "--port", "0", "--models", "nothing"], ["nothing", "churn train"]),
        (["serve", "--host", "0.0.0.0"], ["--plain-http"]),
        (["models", "--url", "http://127.0.0.1:9"], ["http://127.0.0.1:9", "churn serve"]),
        (["models", "--url", "http://192.0.2.1"], ["192.0.2.1", "https is needed"]),
        (["score", "--data", "x.csv", "--url", "http://127.0.0.1:9"], ["nobody answers"]),
        (["score", "--data", "x.csv", "--passphrase-env", "NOT_THERE"], ["NOT_THERE", "not set"]),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(run: Run, arguments: list[str], words: list[str]) -> None:
    code, _, err = run(*arguments)
    assert code == 1 and len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err


def test_a_wrong_option_is_explained(run: Run) -> None:
    code, _, err = run("--mode", "guess")
    assert code == 2 and "probability" in err


def test_train_writes_a_model_that_can_be_hosted(run: Run) -> None:
    code, out, _ = run("train", "--rows", 400, "--out", "m/staff.json", "--held-out", "held.csv")
    assert code == 0 and "accuracy" in out
    (model,) = server.load_models("m")
    assert model.name == "staff" and model.target == "left"
    with open("held.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100 and {row["left"] for row in rows} == {"Yes", "No"}


def test_a_bad_cell_is_named_by_its_row_of_the_file(run: Run) -> None:
    """Whichever part of the split it is in."""
    assert run("train", "--rows", 400, "--out", "m/churn.json", "--held-out", "held.csv")[0] == 0
    header, *rows = Path("held.csv").read_text(encoding="utf-8").splitlines()
    for row in (0, 1, 2, 37, 99):
        spoilt = [line.replace(line.split(",")[0], "abc", 1) if k == row else line for k, line in enumerate(rows)]
        Path("bad.csv").write_text("\n".join([header, *spoilt, ""]), encoding="utf-8")
        code, _, err = run("train", "--data", "bad.csv", "--target", "left", "--positive", "Yes", "--out", "m/x.json")
        assert code == 1 and f"row {row} " in err and "abc" in err


def test_a_model_is_never_replaced(run: Run, tmp_path: Path) -> None:
    """Neither when the same command is given again, nor when another model takes its name."""
    train = ("train", "--rows", 200, "--out", "m/churn.json", "--held-out", "held.csv", "--seed")
    file = tmp_path / "m" / "churn.json"
    code, out, _ = run(*train, 0)
    first = file.read_bytes()
    assert code == 0 and "churn.json: churn@1," in out and "not the first" not in out
    code, out, _ = run(*train, 0)
    assert code == 0 and "churn.json: churn@1," in out and len(server.load_models("m")) == 1
    for _ in range(2):
        code, out, _ = run(*train, 1)
        assert code == 0 and "not the first 'churn' in m: this is version 2" in out and "churn@2.json: churn@2," in out
    code, out, _ = run(*train, 0)
    assert code == 0 and "churn@3.json: churn@3," in out, "what was trained last is what a service offers by name"
    assert [model.version for model in server.load_models("m")] == [1, 2, 3] and file.read_bytes() == first
    for path in file.parent.glob("*.json"):
        path.unlink()
    code, out, _ = run(*train, 0)
    assert code == 0 and "churn.json: churn@4," in out, "a version that is gone is not given again"
    code, _, err = run("train", "--rows", 200, "--out", "m/churn")
    assert code == 1 and ".json" in err


def test_a_service_notices_a_model_that_was_changed(run: Run, tmp_path: Path) -> None:
    run("train", "--rows", 200, "--out", "m/churn.json")
    file = tmp_path / "m" / "churn.json"
    changed = {**json.loads(file.read_text()), "bias": 0.25}
    file.unlink()
    file.write_text(json.dumps(changed))
    code, _, err = run("serve", "--models", "m", "--port", 0, "--workers", 0)
    assert code == 1 and "churn@1" in err and "next version" in err


def test_model_folders_that_cannot_be_hosted(run: Run, tmp_path: Path) -> None:
    run("train", "--rows", 200, "--out", "m/churn.json")
    folder = tmp_path / "m"
    good = (folder / "churn.json").read_text()
    other = json.dumps({**json.loads(good), "target": "gone"})
    for text, words in (("{", "JSON"), ("[]", "other.json"), (other, "different models"), ("\xff", "JSON")):
        (folder / "other.json").write_text(text, encoding="latin-1")
        with pytest.raises(ModelError, match=words):
            server.load_models(folder)
    for empty in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError, match="churn train"):
            server.load_models(empty)


def test_a_port_that_is_taken(run: Run) -> None:
    run("train", "--rows", 200)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = run("serve", "--mode", "logit", "--port", taken.getsockname()[1])
    assert code == 1 and "--port" in err


def test_options_of_serve_arrive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served, by the service and by the worker that is started before it, is what was asked for."""
    seen: dict[str, object] = {}

    def serve(settings: server.Settings, **others: object) -> None:
        seen.update(settings=settings, **others)

    def start(*arguments: object) -> AbstractContextManager[object]:
        seen["launched"] = arguments
        return nullcontext("a worker")

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(launch, "launch", start)
    assert run("serve", "--models", "m", "--workers", 0)[0] == 0
    assert seen["launcher"] is None and "launched" not in seen and seen["until_stdin_closes"] is False
    assert seen["settings"] == server.Settings(models=Path("m"), keys=Path("churn-keys"), port=8000, workers=0)
    many = (
        *(
            "--models",
            "m",
            "--keys",
            "k",
            "--mode",
            "probability",
            "--unflooded",
            "--answers",
            7,
            "--host",
            "::1",
            "--port",
            5,
        ),
        *(
            "--tenants",
            "t",
            "--tls-cert",
            "c",
            "--tls-key",
            "p",
            "--plain-http",
            "--as-root",
            "--workers",
            2,
            "--threads",
            3,
        ),
        *("--limit", "in_flight=5", "--until-stdin-closes"),
    )
    assert run("serve", *many)[0] == 0
    assert seen["launcher"] == "a worker" and seen["launched"] == (Path("m"), "probability", False, 7)
    assert seen["until_stdin_closes"] is True
    assert seen["settings"] == server.Settings(
        models=Path("m"), keys=Path("k"), output="probability", flooded=False, answers=7, host="::1", port=5,
        tenants=Path("t"), tls_cert=Path("c"), tls_key=Path("p"), plain_http=True, as_root=True, workers=2, threads=3,
        limits=Limits(in_flight=5),
    )  # fmt: skip


def test_a_worker_loads_what_computes_and_nothing_else() -> None:
    """No network, no store, nothing of the service around it: what it is told comes through its channel."""
    listed = python("-c", "import sys, churn.worker; print(*sys.modules)").stdout.split()
    ours = {"arith", "kernels", "ring", "rlwe", "scheme", "circuits", "ml", "errors", "_native"}
    assert {name.split(".")[1] for name in listed if name.startswith("ckks.")} <= ours
    outside = ("starlette", "uvicorn", "anyio", "httpx", "h11", "sqlite3", "sklearn", "pandas", "matplotlib", "scipy")
    around = ("app", "http", "accept", "remote", "tenants", "filestore", "database", "workers", "child")
    secret = ("ckks.rlwe.secret", "ckks.scheme.decryption")
    unwanted = (*outside, *secret, "churn.client", "churn.server", *(f"churn.hosting.{name}" for name in around))
    assert not [name for name in listed if name.startswith(unwanted)]
    assert {"churn.offer", "churn.hosting.work.attend", "churn.hosting.work.evaluation"} <= set(listed)


def test_the_server_loads_nothing_that_decrypts_trains_or_draws() -> None:
    listed = python("-c", "import sys, churn.server; print(*sys.modules)").stdout.split()
    assert "churn.hosting.app" in listed
    unwanted = (
        "ckks.rlwe.secret",
        "ckks.scheme.decryption",
        "churn.client",
        "churn.keyfile",
        "churn.training",
        "sklearn",
        "pandas",
        "matplotlib",
        "scipy",
        "pickle5",
    )
    assert not [name for name in listed if name.startswith(unwanted)]


# ---- real processes, real sockets --------------------------------------------------------------------


@pytest.fixture
def served(run: Run, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service process that hosts a model returning logits; in the same folder, held.csv."""
    assert run("train", "--rows", 400, "--held-out", "held.csv")[0] == 0
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", mode="logit", threads=1) as service:
        yield service
        assert service.running


@pytest.mark.service
def test_three_terminals(run: Run, served: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = ("--url", served.url)
    code, out, _ = run("models", *at)
    assert code == 0 and "churn" in out and "logit" in out
    monkeypatch.setenv("PHRASE", "hush")
    own = ("--key-file", "my.key", "--passphrase-env", "PHRASE")
    code, out, err = run("score", *at, "--data", "held.csv", *own)
    assert code == 0 and "accuracy" in out and not (tmp_path / "predictions.csv").exists(), err
    with open("held.csv", encoding="utf-8") as file:
        rows = [row[:-1] for row in csv.reader(file)]
    (tmp_path / "unlabelled.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    code, out, err = run("score", *at, "--data", "unlabelled.csv", *own, "--model", "churn@1")
    assert code == 0 and "accuracy" not in out, err
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "row,probability,predicted" and len(lines) == 101
    for sent in (True, False):  # rotations are needed, and sent, once
        code, out, _ = run("score", *at, "--data", "unlabelled.csv", *own, "--record", 7)
        assert code == 0 and ("keys none sent" not in out) == sent
        told = float(out.split("with probability ")[1][:5])
        assert abs(told - float(lines[8].split(",")[1])) < 0.001
    rows[3][rows[0].index("age")] = "199"
    (tmp_path / "old.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    code, out, err = run("score", *at, "--data", "old.csv", *own)
    assert code == 0 and "outside" in out and " in 'age'" in out, err
    code, _, err = run("score", *at, "--data", "held.csv", "--model", "chrun")
    assert code == 1 and "nearest known name: 'churn'" in err


@pytest.mark.service
def test_a_live_service_survives_rude_clients(served: ServiceProcess) -> None:
    host, port = httpx.URL(served.url).host, httpx.URL(served.url).port
    for rudeness in (
        b"\0\1\2\3\r\n\r\n",
        b"GET",
        b"PUT /v1/keys/"
        + b"0" * 64
        + b" HTTP/1.1\r\nHost: x\r\nContent-Length: "
        + b"9" * 15
        + b"\r\n\r\n"
        + bytes(100_000),
        b"POST /v1/models/churn:evaluate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((host, port or 80), timeout=10) as connection:
            try:
                connection.sendall(rudeness)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(65536)
            except OSError:
                answer = b""
            assert b" 500 " not in answer[:20] and b"Traceback" not in answer
    token = {"Authorization": "Bearer local"}
    with httpx.Client(
        base_url=served.url, headers=token
    ) as http:  # an unread body must not spoil the connection for the next
        for _ in range(3):
            refused = http.put("/v1/keys/" + "0" * 64, content=bytes(300_000))
            assert refused.status_code == 409
            assert http.get("/v1/health").status_code == 200


@pytest.mark.service
def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceUnavailable, match=r"exit code 1, saying: .*no folder"),
        ServiceProcess(tmp_path / "none", tmp_path, mode="logit"),
    ):
        pass  # pragma: no cover


def is_gone(url: str, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with Remote(url, seconds=2) as remote:
            try:
                remote.health()
            except ServiceUnavailable:
                return True
        time.sleep(0.1)
    return False


@pytest.mark.service
def test_the_service_ends_with_its_block_and_with_its_parent(run: Run, tmp_path: Path) -> None:
    assert run("train", "--rows", 200)[0] == 0
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", mode="logit") as service:
        assert not is_gone(service.url, 0.5)
    assert not service.running and is_gone(service.url, 1)
    killed = python(
        "-c",
        (
            "import os, signal\nfrom churn.process import ServiceProcess\n"
            f"service = ServiceProcess({str(tmp_path / 'models')!r}, {str(tmp_path / 'keys')!r}, mode='logit')\n"
            "print(service.__enter__().url, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL if os.name != 'nt' else signal.SIGTERM)\n"
        ),
    )
    assert killed.returncode != 0 and is_gone(killed.stdout.strip())


@pytest.mark.service
@pytest.mark.parametrize("mode", ["probability", "logit"])
def test_the_whole_comparison(tmp_path: Path, mode: str) -> None:
    ended = python(
        "-m", "churn", "--rows", "400", "--mode", mode, "--json", "out.json", "--out", "report", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["rows"] == 100 and told["labels_differ"] == 0 and told["plain"] == told["encrypted"]
    assert told["params"]["security_bits"] == 128
    assert told["probability_error"]["encryption"] < 2**-18
    assert told["probability_error"]["polynomial"] <= (2**-9 if mode == "probability" else 0)
    assert told["bytes"]["up"] > 0 and told["bytes"]["keys"] > 0
    assert all(seconds >= 0 for seconds in told["seconds"].values())
    assert "security" in ended.stdout and (tmp_path / "report" / "index.html").stat().st_size > 10_000


@pytest.mark.service
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see who is left")
def test_an_interrupt_leaves_no_process_and_no_traceback(tmp_path: Path) -> None:
    mark = f"CHURN_TEST_MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    process = subprocess.Popen(
        [sys.executable, "-m", "churn", "--rows", "8000", "--out", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), name: value, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def alive() -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if mark.encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    deadline = time.monotonic() + 120
    while len(alive()) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and "Traceback" not in out, out
    while alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive()
    assert not list(tmp_path.glob("churn-*"))  # models and keys are gone as well
