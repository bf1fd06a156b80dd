"""The library that does nothing, misbehaving as UNRULY says."""

from __future__ import annotations

import os

from benchmarks.peers.protocol import serve
from tests.benchmarks.fake_peer import Fake


def load() -> Fake:
    manners = os.environ["UNRULY"]
    if manners == "absent":
        raise ImportError("No module named 'unruly'")
    return Fake(manners)


if __name__ == "__main__":
    serve(load)
