"""The table of loading and storing: every object is there, its bytes are the format's, its figures are measured."""

from __future__ import annotations

import pytest

import ckks
from benchmarks import wire
from ckks.scheme import serialization as scheme


def tiny() -> ckks.CKKSParams:
    return ckks.CKKSParams.generate(ring_degree=64, depth=1, scale_bits=30, base_bits=40, num_special=1, security=None)


def test_every_object_has_a_row() -> None:
    params, rows = tiny(), {}
    for item in wire.objects(params):
        rows[item[0]] = wire.measure(params, item, 0.0)
    assert set(rows) == {"seeded ciphertext", "full ciphertext", "public key", "relinearisation key"}
    assert rows["seeded ciphertext"].stored == scheme.ciphertext_length(params, seeded=True)
    assert rows["full ciphertext"].stored == scheme.ciphertext_length(params)
    assert rows["public key"].stored == scheme.public_key_length(params)
    assert rows["relinearisation key"].stored == scheme.evaluation_keys_length(params)
    for row in rows.values():
        assert min(row.store, row.load, row.checksum) > 0 and row.words > 0
        assert (row.expansion > 0) == ("full" not in row.name)
        assert row.line().count("|") == wire.HEAD.splitlines()[0].count("|")


def test_the_batch_is_the_one_of_thirty_features() -> None:
    params, items = wire.batch()
    assert params.ring_degree == 2**13 and len(params.moduli) == 3
    for _, ct, *_ in items:
        assert ct.shape == (wire.FEATURES,) and ct.nbytes == 30 * 2 * 3 * 8 * 2**13


def test_the_least_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 9, 10, 13, 20, 21, 30, 35, 40, 44])
    monkeypatch.setattr(wire.time, "thread_time", lambda: float(next(clock)))
    assert wire.least(lambda: None, 1.0) == 1.0
