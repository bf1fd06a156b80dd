"""One service for all attacks that it has to survive: who needs another starts it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from attacks.live import Live, Prepared, running

WORKERS = 2


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The toy models, flooded logits; two workers; tenants alice and bob."""
    if os.name != "posix":
        pytest.skip("attacks look at processes through /proc and signals")
    with running(tmp_path_factory.mktemp("attacked") / "service", workers=WORKERS) as live:
        deadline = time.monotonic() + 30
        while len(live.process.worker_pids) < WORKERS and time.monotonic() < deadline:
            time.sleep(0.01)  # it answers as soon as the first of them is there
        yield live


@pytest.fixture
def live(shared: Live) -> Iterator[Live]:
    """The shared service, which has to be the same process after the test, workers included."""
    before = (shared.process.pid, shared.process.worker_pids)
    yield shared
    assert shared.process.running
    assert (shared.process.pid, shared.process.worker_pids) == before, shared.log[-2000:]


@pytest.fixture
def alice(live: Live) -> Iterator[Prepared]:
    """An honest tenant, with a request for toy@2. Whatever happens in a test, she is served afterwards."""
    with Prepared(live) as prepared:
        yield prepared
        prepared.check()


@pytest.fixture
def mallory(live: Live) -> Iterator[Prepared]:
    """A tenant with a valid request, from whom attacks come."""
    with Prepared(live, "mallory") as prepared:
        yield prepared


@pytest.fixture(scope="session")
def _mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("killed") / "service", workers=1) as live:
        yield live


@pytest.fixture
def mortal(_mortal: Live) -> Live:
    """A service of its own that may be killed and started; it runs when the test begins."""
    if not _mortal.process.running:
        _mortal.start()
    return _mortal
