"""S1, S11, S12 and S15 for encrypted galleries: bad uploads, kills, memory and log lines, on a service that runs."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from attacks.frames import mutated
from attacks.live import Live, head_of
from conftest import Figure

from churn.client import Client
from churn.errors import ChurnError
from churn.hosting.protocol import digest_of
from churn.hosting.remote import UnknownGallery
from churn.match.client import match
from churn.match.keeping import KnownGallery, upload_gallery
from churn.match.room import register_room
from churn.match.vectors import unit
from churn.offer import loader
from ckks.circuits.linear.similarity import packed
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme import Encryptor
from ckks.scheme.serialization import seeded_to_bytes

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(os.name != "posix", reason="attacks look at processes through /proc and signals"),
]

ROOMS = {"room": 2, "wide": 96}
BLOCK = 4096
WIDE_BLOCK = ROOMS["wide"] * 2 * 2 * 4096 * 8
"""Bytes in memory of a block of the wide room: two polynomials of two limbs for each number."""


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service with two rooms and one worker, which may be killed and started again."""
    live = Live(tmp_path_factory.mktemp("galleries") / "service", workers=1, limits={"resident_blocks": 2 * WIDE_BLOCK})
    models = live.folder / "models"
    for name, dimension in ROOMS.items():
        register_room(models / f"{name}.json", 60_000, dimension, loader(models))
    with live:
        yield live


def vectors(count: int, dimension: int = 2, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def checked(client: Client, known: KnownGallery, x: np.ndarray) -> None:
    found = match(client, known, x[:1], 3)
    assert np.abs(found.similarities - unit(x[:1]) @ unit(x).T).max() <= found.error


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_mutated_uploads_are_refused(hosted: Live, count: int, figure: Figure) -> None:
    """Frames with a part changed, under their own digest or another; lists likewise. The service stays as it is."""
    before = (hosted.process.pid, hosted.process.worker_pids)
    rng, statuses, wrong = random.Random(count), Counter[int](), []
    with hosted.client("mallory") as client, hosted.client("alice") as honest, hosted.wire() as wire:
        kept, description = upload_gallery(honest, "kept", vectors(5000)), client.remote.describe("room")
        params = description.params
        encryptor = Encryptor(params, KeyGenerator(params).secret_key())
        slots = packed(unit(vectors(BLOCK)), params.slots)[:, 0]
        block, other = (seeded_to_bytes(*encryptor.encrypt_seeded(slots, bound=1.5)) for _ in range(2))
        client.remote.upload_block(block, description)
        listed = json.dumps({"model": description.digest, "items": 9, "blocks": [digest_of(block)]}).encode()
        for index in range(count):
            as_list = index % 3 == 0
            data = _changed(listed, rng) if as_list else mutated(block, other, rng)[1]
            named = digest_of(data if rng.random() < 0.8 else block)
            headers = {
                "Host": "service",
                "Authorization": f"Bearer {hosted.tokens['mallory']}",
                "CKKS-Model": description.digest,
                "Content-Length": str(len(data)),
            }
            path = f"/v1/galleries/g{index % 5}" if as_list else f"/v1/blocks/{named}"
            reply = wire.ask(head_of("PUT", path, headers) + data)
            statuses[reply.status] += 1
            if reply.status >= 500 or b"Traceback" in reply.body:
                wrong.append(f"{index}: {path}: {reply.status} {reply.body[:300]!r}")
        assert not wrong, "\n".join(wrong[:10])
        # A frame with other words and a checksum to match is a block: of noise, for its own tenant.
        assert statuses[422] > count / 3 and statuses[201] and statuses[413] and statuses[409], statuses
        folder = hosted.folder_of("mallory")
        for path in folder.iterdir():  # what was taken is whole, and a block
            assert digest_of(path.read_bytes()) == path.name and path.stat().st_size == len(block)
        checked(honest, kept, vectors(5000))
        honest.remote.delete_gallery("kept")
    assert (hosted.process.pid, hosted.process.worker_pids) == before
    told = ", ".join(f"{status or 'closed'}: {number}" for status, number in sorted(statuses.items()))
    figure("S1", f"{count} mutated blocks and lists of galleries: 0 of 5xx, 0 process exits ({told})")


def _changed(text: bytes, rng: random.Random) -> bytes:
    """A list with some bytes exchanged, put in or left out."""
    data = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                data[place] = rng.randrange(256)
            case 1:
                data.insert(place, rng.choice(b'{}[]",:0e-\\'))
            case _:
                del data[place : place + rng.randint(1, 40)]
                data = data or bytearray(b"{")
    return bytes(data)


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_a_killed_upload_is_no_gallery_or_a_whole_one(hosted: Live, tmp_path: Path, kills: int, figure: Figure) -> None:
    rng, seen, x, key = random.Random(kills), Counter[str](), vectors(20_000), tmp_path / "my.key"
    with hosted.client(key_file=key) as client:
        upload_gallery(client, "old", x[:10])
    for kill in range(kills):

        def upload(name: str = f"new{kill}") -> None:
            with hosted.client(key_file=key) as client:
                try:
                    upload_gallery(client, name, x)
                    seen["acknowledged"] += 1
                except ChurnError:
                    seen["broken off"] += 1

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        time.sleep(rng.uniform(0, 0.25))
        hosted.kill()
        thread.join(30)
        assert not thread.is_alive()
        hosted.start()
        with hosted.client(key_file=key) as client:
            try:
                checked(client, KnownGallery.of(client, f"new{kill}"), x)
                seen["whole"] += 1
                client.remote.delete_gallery(f"new{kill}")
            except UnknownGallery:
                seen["absent"] += 1
            checked(client, KnownGallery.of(client, "old"), x[:10])
        assert not list((hosted.keys / "uploads").iterdir())
    assert seen["whole"] + seen["absent"] == kills and seen["whole"] >= seen["acknowledged"]
    figure("S11", f"kill -9 at {kills} moments of uploads of galleries: {seen['absent']} absent, {seen['whole']} whole")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process's memory is told by Linux")
def test_a_workers_memory_is_that_of_a_block_whatever_the_gallery(hosted: Live, figure: Figure) -> None:
    """Blocks of 12.6 MB in memory, of which two may be kept ready: one of them, then twelve."""
    (pid,), blocks, dimension = hosted.process.worker_pids, 12, ROOMS["wide"]
    x = vectors(blocks * BLOCK, dimension)
    with hosted.client() as client:
        small = upload_gallery(client, "small", x[:BLOCK], room="wide")
        large = upload_gallery(client, "large", x, room="wide")
        checked(client, small, x[:BLOCK])
        before = _peak(pid)
        checked(client, large, x)
        grown = _peak(pid) - before
    assert grown < 2 * WIDE_BLOCK, f"{grown / WIDE_BLOCK:.2f} blocks more than for a single one"
    figure(
        "S12", f"a gallery of {blocks} blocks takes {grown / WIDE_BLOCK:.2f} blocks of memory more than one of 1 block"
    )


def _peak(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


def test_logs_say_nothing_about_a_gallery(hosted: Live, figure: Figure) -> None:
    start = len(hosted.log)
    with hosted.client() as client:
        known = upload_gallery(client, "our-candidates", vectors(5))
        checked(client, known, vectors(5))
        client.remote.delete_gallery("our-candidates")
    deadline = time.monotonic() + 5
    while "DELETE" not in hosted.log[start:] and time.monotonic() < deadline:
        time.sleep(0.01)
    log = hosted.log[start:]
    routes = {json.loads(one)["route"] for one in log.splitlines() if '"route"' in one}
    assert {"/v1/blocks/{digest}", "/v1/galleries/{name}", "/v1/models/{name}:evaluate"} <= routes
    secrets = [
        "our-candidates",
        known.gallery,
        known.gallery[:12],
        *known.stored.blocks,
        *(b[:12] for b in known.stored.blocks),
    ]
    assert not [one for one in secrets if one in log]
    figure("S15", f"{len(log):,} bytes of log about a gallery: neither its name nor a digest")
