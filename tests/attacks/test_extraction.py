"""S8, said openly: the outputs of a linear model give it away, encrypted or not. This attack works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attacks.live import Live, running
from attacks.models import REACH, numbers_model, table
from conftest import Figure

WEIGHTS = [0.51, -0.62, 0.73, -0.14, 0.25, -0.36, 0.47]


@pytest.mark.service
@pytest.mark.parametrize("width", [2, pytest.param(7, marks=pytest.mark.slow)])
def test_as_many_rows_as_weights_and_one_more_are_enough(
    live: Live, width: int, tmp_path: Path, figure: Figure
) -> None:
    """One request of d + 1 rows, through the client as it is, and a linear system."""
    if width == 2:
        found, error, answers = _learned(live, "other", width)
        model = live.models["other@1"]
    else:
        model = numbers_model("wide", WEIGHTS, -0.3)
        with running(tmp_path / "service", [model]) as wide:
            found, error, answers = _learned(wide, "wide", width)
    true = np.append(model.weights, model.bias)
    off = float(np.abs(found - true).max())
    assert off <= 2 * error
    figure("S8", f"{answers} answer of {width + 1} chosen rows gives {width} weights and bias to {off:.1e}: as it says")


def _learned(live: Live, name: str, width: int) -> tuple[np.ndarray, float, int]:
    rows = np.vstack([np.zeros(width), REACH * np.eye(width)])
    with live.client("mallory") as client:
        model = client.model(name)
        scores = client.score(model, table(rows))
        client.remote.delete_keys(client.prepare(model).public or "")
    assert scores.logits is not None
    system = np.hstack([rows, np.ones((len(rows), 1))])
    return np.linalg.solve(system, scores.logits), model.description.output.error, 1


@pytest.mark.service
def test_answers_are_counted(tmp_path: Path, figure: Figure) -> None:
    """What limits it: each tenant gets so many answers of a model, with whatever keys; then no more, after a restart
    neither.
    """
    with running(tmp_path / "service", answers=3) as live:
        for turn in range(3):
            if turn == 2:
                live.kill()
                live.start()
            with live.client("mallory") as client:  # new keys each time
                assert client.score("toy", table([[1.0, 2.0]])).logits is not None
        with live.client("mallory") as client, pytest.raises(Exception, match="429"):
            client.score("toy", table([[1.0, 2.0]]))
        with live.client("mallory") as client:
            assert client.score("other", table([[1.0, 2.0]])).logits is not None
        with live.client("alice") as client:
            assert client.score("toy", table([[1.0, 2.0]])).logits is not None
    figure("S8", "a tenant with 3 answers of a model gets 3, with new keys and after kill -9: the fourth is refused")
