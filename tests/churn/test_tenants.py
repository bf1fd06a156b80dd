from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import stat
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Figure
from process import output_of

from churn.hosting.remote import Remote
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import TENANT
from churn.hosting.tenants import (
    Tenant,
    TenantError,
    Tenants,
    add_tenant,
    bearer_of,
    list_tenants,
    mac_key_of,
    new_token,
    remove_tenant,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tenants.json"


def test_a_token_is_twice_256_bits_and_stored_nowhere(path):
    tokens = [add_tenant(path, name) for name in ("acme", "bolt")]
    halves = [half for token in [*tokens, *(new_token() for _ in range(1000))] for half in token.split(".")]
    assert {len(half) for half in halves} == {43} and len(set(halves)) == len(halves) == 2004
    written = path.read_text()
    assert not any(half in written for half in halves)
    parts = json.loads(written)["tenants"]
    assert parts["acme"] == {
        "token_sha256": hashlib.sha256(tokens[0].split(".")[0].encode()).hexdigest(),
        "mac_key": mac_key_of(tokens[0]).hex(),
    }


def test_the_mac_key_is_hkdf():
    """RFC 5869 with an empty salt, one block: both steps written out."""
    token = "some token"
    extracted = hmac.digest(bytes(32), token.encode(), "sha256")
    assert mac_key_of(token) == hmac.digest(extracted, b"ckks answer mac 1\x01", "sha256")


def test_answers_are_authenticated_by_the_half_that_is_not_sent():
    sent, kept = new_token().split(".")
    assert bearer_of(f"{sent}.{kept}") == sent and mac_key_of(f"{sent}.{kept}") == mac_key_of(kept)
    assert mac_key_of(f"{sent}.{kept}") != mac_key_of(sent)
    with Remote("http://127.0.0.1:1", token=f"{sent}.{kept}") as remote:
        assert remote._http.headers["Authorization"] == f"Bearer {sent}"


def test_who_is_who(path, figure: Figure):
    tokens = {f"tenant-{n}": add_tenant(path, f"tenant-{n}") for n in range(20)}
    tenants = Tenants.load(path)
    for name, token in tokens.items():
        found = tenants.authenticate(token)
        assert found == Tenant.of(name, token) and found.mac_key == mac_key_of(token)
    sent = [bearer_of(token) for token in tokens.values()]
    assert [tenants.authenticate(half) for half in sent] == [tenants.authenticate(token) for token in tokens.values()]
    wrong = [
        "",
        "local",
        new_token(),
        "é",
        "\ud800",
        "x" * 100_000,
        *(token.split(".")[1] for token in tokens.values()),
    ]
    wrong += [t[:-1] for t in sent] + [t + " " for t in sent] + [t.swapcase() for t in sent]
    wrong += [hashlib.sha256(t.encode()).hexdigest() for t in sent]
    assert [tenants.authenticate(token) for token in wrong] == [None] * len(wrong)
    figure("S10", f"{len(tokens)} tenants recognised, {len(wrong)} wrong tokens refused")


def test_every_tenant_is_compared(path, monkeypatch):
    """No early exit: as many comparisons for the first, the last and nobody."""
    tokens = [add_tenant(path, f"tenant-{n}") for n in range(5)]
    tenants, compared = Tenants.load(path), []
    honest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or honest(a, b))
    for token in (tokens[0], tokens[4], "nobody's"):
        compared.clear()
        tenants.authenticate(token)
        assert len(compared) == 5 and all(len(a) == len(b) == 32 for a, b in compared)


def test_the_first_and_the_last_take_the_same_time(tmp_path, figure: Figure):
    """Medians of interleaved calls; the best of five measurements."""
    tokens = [new_token() for _ in range(200)]
    tenants = Tenants({f"tenant-{n}": Tenant.of(f"tenant-{n}", token) for n, token in enumerate(tokens)})
    asked = {"first": tokens[0], "last": tokens[-1], "nobody": new_token()}

    def difference() -> float:
        spent = {name: [] for name in asked}
        for turn in range(300):
            for name in list(asked)[turn % 3 :] + list(asked)[: turn % 3]:
                start = time.perf_counter_ns()
                tenants.authenticate(asked[name])
                spent[name].append(time.perf_counter_ns() - start)
        medians = [statistics.median(times) for times in spent.values()]
        return max(medians) / min(medians) - 1

    least = min(difference() for _ in range(5))
    assert least <= 0.05
    figure("S10", f"200 tenants: first, last and nobody's token within {100 * least:.1f} % in time (best of 5 medians)")


def test_what_is_printed_holds_no_secret():
    tenant = Tenant.of("acme", "token")
    for text in (repr(tenant), str(tenant), f"{tenant}", repr([tenant])):
        assert text.strip("[]") == "Tenant(name='acme')"


# ---- the file --------------------------------------------------------------------------------------------------------


def test_tenants_come_and_go(path):
    token = add_tenant(path, "acme")
    add_tenant(path, "bolt")
    assert list_tenants(path) == ["acme", "bolt"]
    with pytest.raises(TenantError, match="there is a tenant 'acme' already"):
        add_tenant(path, "acme")
    assert remove_tenant(path, "acme") and not remove_tenant(path, "acme")
    assert list_tenants(path) == ["bolt"]
    assert add_tenant(path, "acme") != token
    assert Tenants.load(path).authenticate(token) is None, "a new token under the old name, and the old one is void"


def test_a_name_given_anew_inherits_nothing(path, tmp_path):
    with closing(FileStore(tmp_path / "store")) as store:
        for name in ("acme", "a" * 32):
            key, accounts = b"somebody's key", []
            digest = hashlib.sha256(key).hexdigest()
            for _ in range(2):
                token = add_tenant(path, name)
                tenant = Tenants.load(path).authenticate(token)
                accounts.append(tenant.account)
                assert store.find(tenant.account, digest) is None and store.given(tenant.account, digest) == 0
                upload = store.receive(tenant.account, digest, len(key), kind="key", params_digest=digest)
                upload.write(key)
                upload.commit()
                upload.discard()
                assert store.spend(tenant.account, digest, 1) and store.find(tenant.account, digest) is not None
                remove_tenant(path, name)
            assert len(set(accounts)) == 2 and all(TENANT.fullmatch(account) for account in accounts)


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "..", "a b", "acme\n", "a" * 33, "é"])
def test_names_are_plain(path, name):
    with pytest.raises(TenantError, match="no name for a tenant"):
        add_tenant(path, name)
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_file_is_private(path):
    before = os.umask(0)
    try:
        add_tenant(path, "acme")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    for call in (Tenants.load, list_tenants, lambda p: add_tenant(p, "bolt"), lambda p: remove_tenant(p, "acme")):
        with pytest.raises(TenantError, match="mode 640.*chmod 600"):
            call(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"tenants": []}',
        '{"tenants": {}, "more": 1}',
        '{"tenants": {"acme": {}}}',
        '{"tenants": {"acme": {"token_sha256": "00", "mac_key": "00"}}}',
        '{"tenants": {"acme": {"token_sha256": 7, "mac_key": null}}}',
        json.dumps({"tenants": {"Acme": {"token_sha256": "0" * 64, "mac_key": "0" * 64}}}),
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_bad_file_is_refused_without_being_quoted(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    for call in (Tenants.load, list_tenants, lambda p: add_tenant(p, "bolt")):
        with pytest.raises(TenantError, match="no file of tenants") as error:
            call(path)
        assert "0" * 64 not in str(error.value) and error.value.__cause__ is None
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_missing_file_is_refused(path):
    with pytest.raises(TenantError, match="does not exist"):
        Tenants.load(path)


def test_a_failed_change_leaves_the_file_as_it_was(path, monkeypatch):
    add_tenant(path, "acme")
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "fsync", full)
        add_tenant(path, "bolt")
    assert path.read_bytes() == before and sorted(p.name for p in path.parent.iterdir()) == [
        ".tenants.json.lock",
        "tenants.json",
    ]


def test_changes_at_once_are_all_made(path):
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda n: add_tenant(path, f"tenant-{n}"), range(24)))
    tenants = Tenants.load(path)
    assert [tenants.authenticate(token).name for token in tokens] == [f"tenant-{n}" for n in range(24)]


# ---- a service that goes on ------------------------------------------------------------------------------------------


def test_changes_of_the_file_are_followed(path):
    acme = add_tenant(path, "acme")
    tenants = Tenants.load(path)
    bolt = add_tenant(path, "bolt")
    assert tenants.authenticate(bolt).name == "bolt" and tenants.authenticate(acme).name == "acme"
    remove_tenant(path, "acme")
    assert tenants.authenticate(acme) is None and tenants.names() == ["bolt"]
    path.unlink()
    assert tenants.authenticate(bolt) is None and tenants.names() == [], "no file, nobody"
    core = add_tenant(path, "core")
    assert tenants.authenticate(core).name == "core"


def test_a_slip_of_the_pen_locks_nobody_out(path, caplog):
    token = add_tenant(path, "acme")
    tenants = Tenants.load(path)
    good = path.read_bytes()
    path.write_bytes(good[:-5])
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert tenants.authenticate(token).name == "acme"
    assert len(caplog.records) == 1 and "TenantError" in caplog.text and token not in caplog.text
    path.write_bytes(good)
    remove_tenant(path, "acme")
    assert tenants.authenticate(token) is None


def test_a_file_that_cannot_be_opened_now_is_read_later(path, monkeypatch):
    add_tenant(path, "acme")
    tenants = Tenants.load(path)
    bolt = add_tenant(path, "bolt")

    def no_handle(self):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", no_handle)
        assert tenants.authenticate(bolt) is None
    assert tenants.authenticate(bolt).name == "bolt"


def test_loopback_has_one_tenant():
    tenants = Tenants.open_loopback()
    assert tenants.names() == ["local"] and tenants.authenticate("local") == Tenant.of("local", "local")
    assert tenants.authenticate("other") is None


def test_a_client_that_derives_its_key_loads_no_database(tmp_path):
    code = "import sys, churn.hosting.tenants; print('sqlite3' in sys.modules)"
    assert output_of(code, tmp_path) == "False\n"
