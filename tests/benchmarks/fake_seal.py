"""The fake library with the one operation that the aims ask of SEAL."""

from __future__ import annotations

from benchmarks.peers.protocol import Operation, Prepared, serve
from benchmarks.peers.workload import Case
from tests.benchmarks.fake_peer import Fake


class FakeSeal(Fake):
    def prepare(self, case: Case) -> Prepared:
        prepared = super().prepare(case)
        prepared.operations["multiply"] = Operation(lambda: None)
        prepared.parameters.update(N=case.ring_degree, log2_qp=200.0)
        return prepared


if __name__ == "__main__":
    serve(FakeSeal)
