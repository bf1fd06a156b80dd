"""A library that does nothing, as a worker."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import Case


class Fake:
    """Misbehaves when asked to: raises at preparing, or crashes at the first operation."""

    def __init__(self, manners: str = "") -> None:
        self.manners = manners

    def describe(self) -> dict[str, Any]:
        print("this goes to stderr, not into the pipe")
        return {"version": "1", "runs": "nothing", "threads": 1}

    def prepare(self, case: Case) -> Prepared:
        if self.manners == "raises":
            raise ValueError("no such parameters")
        call = (lambda: os._exit(3)) if self.manners == "crashes" else (lambda: 0.25)
        parameters = dict.fromkeys(
            ("N", "levels", "q_bits", "p_bits", "log2_qp", "digits", "log2_scale", "secret", "security"), 0
        )
        parameters["q_bits"] = [46, 40, 40]
        return Prepared(
            {"add": Operation(call, error=lambda value: value), "relin_keygen": Operation(call, before=list)},
            parameters,
            {"ciphertext": 1000},
            {"rotate": "it has none"},
        )


if __name__ == "__main__":
    serve(Fake)
