"""S14: many clients at once, each with keys and a model of its own: everybody gets its own answers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from attacks.live import Live, running
from attacks.models import numbers_model, random_rows, table
from conftest import Figure

from churn.hosting.remote import ServiceBusy

MODELS = 4


class Asking(threading.Thread):
    """One client: so many requests, each held against the exact scores."""

    def __init__(self, live: Live, number: int, requests: int, ready: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self.wrong, self.done, self.busy, self.worst = list[str](), 0, 0, 0.0
        self._live, self._number, self._requests, self._ready = live, number, requests, ready

    def run(self) -> None:
        name = f"m{self._number % MODELS}"
        with self._live.client(f"t{self._number}") as client:
            model = client.model(name)
            client.prepare(model)
            self._ready.wait()
            for turn in range(self._requests):
                rows = random_rows(5, 3, 100_000 * self._number + turn)
                while True:
                    try:
                        scores = client.score(model, table(rows))
                        break
                    except ServiceBusy:
                        self.busy += 1
                        time.sleep(0.05)
                    except Exception as error:
                        self.wrong.append(f"{type(error).__name__}: {error}")
                        return
                assert scores.logits is not None
                off = float(np.abs(scores.logits - self._live.logits(f"{name}@1", rows)).max())
                self.worst = max(self.worst, off / scores.model.output.error)
                self.done += 1


@pytest.mark.service
@pytest.mark.parametrize(
    "clients, requests", [(8, 10), pytest.param(32, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(4 * 3600)])]
)
def test_everybody_gets_their_own_answers(tmp_path: Path, clients: int, requests: int, figure: Figure) -> None:
    rng = np.random.default_rng(7)
    models = [numbers_model(f"m{k}", rng.uniform(-1, 1, 3).tolist(), 0.1 * k) for k in range(MODELS)]
    with running(tmp_path / "service", models, tenants=[f"t{k}" for k in range(clients)]) as live:
        ready = threading.Barrier(clients)
        asking = [Asking(live, number, requests, ready) for number in range(clients)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
    assert not [one.wrong for one in asking if one.wrong], [one.wrong[:2] for one in asking if one.wrong]
    done, worst = sum(one.done for one in asking), max(one.worst for one in asking)
    assert done == clients * requests and worst <= 1
    figure(
        "S14",
        f"{clients} clients with keys and models of their own, {requests} requests each: {done} right, 0 mixed up; "
        f"largest error {worst:.2f} of the bound; told to wait {sum(one.busy for one in asking)} times",
    )
