"""What a worker keeps ready, and what it lets go of."""

from __future__ import annotations

import numpy as np

from churn.hosting.work.resident import Resident


def test_what_was_used_longest_ago_goes_first() -> None:
    ready, one = Resident[np.ndarray](20), np.zeros(10, np.uint8)
    ready.keep("a", one)
    ready.keep("b", one)
    assert ready.get("a") is one
    ready.keep("c", one)
    assert ready.get("b") is None and ready.get("a") is one and ready.get("c") is one


def test_the_last_one_stays_however_large() -> None:
    ready, large = Resident[np.ndarray](1), np.zeros(10, np.uint8)
    ready.keep("a", large)
    assert ready.get("a") is large
    ready.keep("b", large)
    assert ready.get("a") is None and ready.get("b") is large
