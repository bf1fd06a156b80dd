"""S3: whoever sends a byte a second delays nobody, and is not listened to for long."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time

import numpy as np
import pytest
from attacks.live import Live, Prepared, head_of
from attacks.wire import Wire, seconds_until_closed
from conftest import Figure

SLOW = 200


class Crawlers:
    """Connections that send one byte a second, half of them of a header, half of a body."""

    def __init__(self, live: Live, prepared: Prepared) -> None:
        self._live, self._prepared, self._stopped = live, prepared, threading.Event()
        self.sockets: list[socket.socket] = []
        self.began = time.perf_counter()
        self._thread = threading.Thread(target=self._crawl, daemon=True)

    def __enter__(self) -> Crawlers:
        head = head_of("POST", self._prepared.path, self._prepared.headers())
        for k in range(SLOW):
            wire = Wire(self._live.url)
            self.sockets.append(wire.socket)
            wire.socket.sendall(head[:-4] if k % 2 else head_of("POST", self._prepared.path, self._prepared.headers()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for each in self.sockets:
            each.close()

    def _crawl(self) -> None:
        for one in itertools.cycle(list(self.sockets)):
            if self._stopped.wait(1 / SLOW):
                return
            with contextlib.suppress(OSError):
                one.send(b"x")


def _latency(wire: Wire, prepared: Prepared, requests: int) -> float:
    """Return the 95th percentile of an honest client's waiting times, in seconds."""
    times = []
    for _ in range(requests):
        request = prepared.request()
        start = time.perf_counter()
        assert wire.ask(request).status == 200
        times.append(time.perf_counter() - start)
    return float(np.quantile(times, 0.95))


@pytest.mark.service
@pytest.mark.parametrize("rounds, requests", [(5, 20), pytest.param(40, 100, marks=pytest.mark.slow)])
def test_slow_senders_delay_nobody(
    live: Live, alice: Prepared, mallory: Prepared, rounds: int, requests: int, figure: Figure
) -> None:
    ratios, slowest = [], 0.0
    with live.wire() as wire:
        _latency(wire, alice, 5)
        for turn in range(rounds):
            idle = _latency(wire, alice, requests)
            with Crawlers(live, mallory) as crawlers:
                ratios.append(_latency(wire, alice, requests) / idle)
                if turn == rounds - 1:
                    for each in crawlers.sockets:
                        seconds_until_closed(each, max(0.5, 15 - (time.perf_counter() - crawlers.began)))
                    slowest = time.perf_counter() - crawlers.began
    middle = float(np.median(ratios))
    assert middle <= 2, ratios
    assert slowest <= 15
    figure(
        "S3",
        f"{SLOW} connections at 1 byte/s: p95 of an honest client {middle:.2f} times idle (2), "
        f"median of {rounds}; the last closed after {slowest:.1f} s (15)",
    )
