"""Which libraries are measured, under which licence, and how to get them.

Only libraries are listed whose licence lets anyone publish measurements of them; all three do, by their own package
metadata.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One library: the module of its worker, its licence, and the line that installs it."""

    name: str
    module: str
    licence: str
    install: str


OURS = Entry("ckks", "benchmarks.peers.workers.ours", "Apache-2.0", "pip install -e .")

PEERS = (
    Entry("seal-python", "benchmarks.peers.workers.seal", "MIT", 'pip install "seal-python>=4.4"'),
    Entry("tenseal", "benchmarks.peers.workers.tenseal", "Apache-2.0", 'pip install "tenseal>=0.3.16"'),
    Entry(
        "openfhe",
        "benchmarks.peers.workers.openfhe",
        "BSD-2-Clause",
        "python3.10 -m venv ENV && ENV/bin/pip install openfhe, then --python openfhe=ENV/bin/python",
    ),
)
