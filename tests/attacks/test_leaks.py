"""S9 and S15: what leaves the client, and what the service writes down, holds no secret in any form."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from attacks.leak import Form, Searcher, forms
from attacks.run import BIAS, PASSPHRASE, WEIGHTS, Evidence, record_run
from conftest import Figure

from churn.hosting.tenants import bearer_of

pytestmark = pytest.mark.service

MODES = ["logit", pytest.param("probability", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Evidence]:
    """The run of each mode, made once."""
    return cache(lambda mode: record_run(tmp_path_factory.mktemp(mode), mode))


@pytest.fixture(scope="module")
def searcher(recorded: Callable[[str], Evidence]) -> Callable[[str], Searcher]:
    """A search for the keys of a run."""
    return cache(lambda mode: Searcher(*recorded(mode).secrets))


@pytest.mark.parametrize("mode", MODES)
def test_the_secret_key_stays_with_the_client(
    recorded: Callable[[str], Evidence], searcher: Callable[[str], Searcher], mode: str, figure: Figure
) -> None:
    run, keys = recorded(mode), searcher(mode)
    found = {place: hits[:5] for place, data in run.places.items() if (hits := keys.search(data))}
    assert not found, found
    # The controls: the unsealed key file has the key, and so would any of these places have, had it been there.
    assert any("2 bits" in hit for hit in keys.search(run.key_files["open.key"]))
    assert not keys.search(run.key_files["sealed.key"])
    sample = run.places["sockets, from the client"][: 1 << 20]
    for secret in run.secrets:
        leaked = sample + secret.ntt(secret.params.basis_qp)[0][100:2000].tobytes() + sample
        assert keys.search(leaked)
    figure(
        "S9",
        f"{mode}: {run.total():,} bytes of {len(run.places)} sockets, files, outputs and shared memory searched for "
        f"{keys.count} windows of {len(run.secrets)} keys: 0 hits",
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_secret_key_is_not_in_the_services_memory(tmp_path: Path, figure: Figure) -> None:
    """Not even there: service and worker are searched as they are after the run."""
    run = record_run(tmp_path / "run", "logit", memory=True)
    keys = Searcher(*run.secrets)
    places = {place: data for place, data in run.places.items() if place.startswith("memory")}
    assert not {place: hits[:5] for place, data in places.items() if (hits := keys.search(data))}
    token = bearer_of(run.tokens[0]).encode()
    assert any(token in data for data in places.values())  # the control: what it was sent is found there
    figure("S9", f"memory of service and worker: {sum(map(len, places.values())):,} bytes searched: 0 hits")


def test_the_search_finds_every_form(
    recorded: Callable[[str], Evidence], searcher: Callable[[str], Searcher], figure: Figure
) -> None:
    """The control: the beginning of a key in each form, raw, in base64 and in hex, is found as that form."""
    keys, every = searcher("logit"), list(forms(recorded("logit").secrets[0]))
    ways: dict[str, Callable[[bytes], bytes]] = {
        "raw": bytes,
        "base64": base64.b64encode,
        "base64url": base64.urlsafe_b64encode,
        "hex": lambda data: data.hex().encode(),
        "HEX": lambda data: data.hex().upper().encode(),
    }
    for way, write in ways.items():
        leaked = b"".join(os.urandom(37) + write(os.urandom(k % 3) + form.data[:9999]) for k, form in enumerate(every))
        # Some primes have no letters in hex, so that both ways are one.
        plain = f", {way.removesuffix('url')}".lower()
        found = {hit.split(", ")[0] for hit in keys.search(leaked) if plain in hit.lower()}
        assert found == {form.name.split(", ")[0] for form in every}, way
    assert not keys.search(os.urandom(4 << 20)) and not keys.search(bytes(4 << 20))
    figure("S9", f"control: {len(every)} forms of a key leaked in {len(ways)} ways: all found")


@pytest.mark.parametrize("mode", MODES)
def test_logs_hold_no_data(
    recorded: Callable[[str], Evidence], searcher: Callable[[str], Searcher], mode: str, figure: Figure
) -> None:
    run = recorded(mode)
    assert run.rows is not None and run.logits is not None
    told = run.log.encode() + run.health
    numbers = [*run.rows.ravel(), *run.logits, *1 / (1 + np.exp(-run.logits)), *WEIGHTS, BIAS]
    texts = {text for number in numbers for text in _texts(float(number))}
    halves = [half[:12] for token in run.tokens for half in token.split(".")]
    strings = [*run.tokens, *halves, PASSPHRASE, *texts]
    seen = [text for text in strings if text.encode() in told]
    assert not seen, seen[:5]
    assert not searcher(mode).search(told) and not Searcher(extra=_bytes_of(numbers, run)).search(told)
    lines = run.log.splitlines()
    requests = [line for line in lines if '"what": "request"' in line]
    assert len(requests) >= run.requests > 0
    assert max(map(len, lines)) < 1024 and len(run.log) / len(requests) <= 1024
    figure(
        "S15",
        f"{mode}: {len(run.log):,} bytes of log, {len(requests)} requests: none of {len(strings)} values, scores, "
        f"weights, tokens; at most {max(map(len, lines))} bytes a request (1024)",
    )


@pytest.mark.parametrize("mode", MODES)
def test_weights_and_values_are_not_on_the_network(recorded: Callable[[str], Evidence], mode: str) -> None:
    run = recorded(mode)
    assert run.rows is not None and run.logits is not None
    numbers = [float(number) for number in (*WEIGHTS, BIAS, *run.logits[:4], *run.rows[:2].ravel())]
    told = [PASSPHRASE.encode(), *(text.encode() for number in numbers for text in _texts(number))]
    told += [np.float64(number).tobytes() for number in numbers]
    for place in ("sockets, from the client", "sockets, to the client", "memory that service and workers share"):
        assert not [one for one in told if one in run.places[place]], place


def test_the_log_search_bites(recorded: Callable[[str], Evidence]) -> None:
    run = recorded("logit")
    assert run.rows is not None
    line = f'{{"value": {run.rows[7, 1]!r}, "short": {run.rows[9, 0]:.6f}}}'
    assert any(text in line for text in _texts(float(run.rows[7, 1])))
    assert any(text in line for text in _texts(float(run.rows[9, 0])))


def _texts(number: float) -> list[str]:
    """Return a number's first six significant digits, as they begin in any way of writing it that shows as many.

    Fewer would be met by chance: a log is full of milliseconds.
    """
    size = abs(number)
    if size < 1e-3:
        return [f"{size:.5e}"[:7]]
    text = f"{size:.12f}"
    first = next(i for i, digit in enumerate(text) if digit in "123456789")
    return [text[: first + 6 + (first < text.index("."))]]


def _bytes_of(numbers: list[float], run: Evidence) -> list[Form]:
    """Return runs of numbers as doubles, and the beginnings of the run's keys and requests: bytes no log has."""
    values = np.array(numbers, np.float64)
    up = run.places["sockets, from the client"]
    heads = [up[match.start() + 144 :][:64] for match in re.finditer(b"CKKSWIRE", up)]
    return [Form("doubles", values.tobytes(), 16), *(Form(f"frame {k}", head, 32) for k, head in enumerate(heads))]
