"""The profile of a multiplication: counts against the formula and against what the stages do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import ckks
from benchmarks.profile import __main__ as command
from benchmarks.profile import bandwidth
from benchmarks.profile.counts import Counts
from benchmarks.profile.recorder import Recorder, recording, touched
from benchmarks.profile.stages import KINDS, stages
from ckks import kernels
from ckks.scheme import PRESETS


def small(digit: int, special: int, depth: int = 4, scale_bits: int = 30) -> ckks.CKKSParams:
    return ckks.CKKSParams.generate(
        ring_degree=1024,
        depth=depth,
        scale_bits=scale_bits,
        base_bits=scale_bits + 10,
        num_special=special,
        special_bits=45,
        digit_size=digit,
        security=None,
    )


SHAPES = {"one prime a digit": (1, 1, 4, 30), "digits cut short": (2, 2, 4, 30), "two primes a level": (2, 3, 2, 60)}


@pytest.mark.parametrize("name", PRESETS)
def test_transforms_are_beta_plus_2_times_all_primes(name: str) -> None:
    params = ckks.CKKSParams.preset(name)
    for level in range(1, params.top_level + 1):
        counts = Counts.of(params, level)
        assert counts.forward_transforms + counts.inverse_transforms == counts.ideal_transforms
        assert sum(counts.digits) == counts.limbs


def test_counts_of_s14_by_hand() -> None:
    """8 + 2 primes, four digits of two, one prime dropped: 6 x 10 transforms."""
    params = ckks.CKKSParams.preset("S14")
    counts = Counts.of(params, params.top_level)
    assert (counts.limbs, counts.special, counts.dropped, counts.digits) == (8, 2, 1, (2, 2, 2, 2))
    assert (counts.inverse_transforms, counts.forward_transforms, counts.ideal_transforms) == (14, 46, 60)
    assert counts.conversions == ((2, 8),) * 4 + ((3, 7),) * 2


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_stages_do_what_the_counts_say(shape: tuple[int, int, int, int]) -> None:
    params = small(*shape)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    ct = ckks.Encryptor(params, secret).encrypt(np.cos(np.arange(params.slots)))
    for level in range(1, params.top_level + 1):
        counts, a = Counts.of(params, level), ct.at_level(level)
        alone = stages(a, a, keygen.relin_key(secret))
        assert list(alone) == list(KINDS)
        with recording() as recorder, kernels.threads(1):
            for stage, work in alone.items():
                before = {name: tally.bytes for name, tally in recorder.tallies.items()}
                work()
                moved = sum(tally.bytes - before.get(name, 0) for name, tally in recorder.tallies.items())
                assert moved >= counts.words(stage) * 8 * params.ring_degree, stage
        rows = {name: tally.rows for name, tally in recorder.tallies.items()}
        assert rows["intt"] == counts.inverse_transforms
        assert rows["ntt"] == counts.forward_transforms
        assert rows["convert"] == sum(target for _, target in counts.conversions)
        assert rows["dot"] == 2 * counts.joint + counts.limbs  # the inner product, and the middle of the tensor


def test_recorder_lists_kernels_it_has_never_heard_of() -> None:
    class Source:
        name, smallest_n = "toy", 8

        def describe(self) -> dict[str, str]:
            return {"variant": "toy"}

        def fused_thing(self, x: np.ndarray, *, out: np.ndarray) -> int:
            return 7

    recorder = Recorder(Source())
    x, out = np.zeros((2, 3, 8), np.uint64), np.zeros((1, 3, 8), np.uint64)
    assert recorder.fused_thing(x, out=out) == 7
    assert recorder.name == "toy" and recorder.describe() == {"variant": "toy"}
    (tally,) = recorder.tallies.values()
    assert (tally.calls, tally.rows, tally.bytes) == (1, 3, x.nbytes + out.nbytes)


def test_repeated_axes_are_touched_once() -> None:
    row = np.zeros((1, 4, 8), np.uint64)
    assert touched(np.broadcast_to(row, (5, 4, 8))) == row.nbytes


def test_recording_ends_where_it_began() -> None:
    before = kernels.active()
    with pytest.raises(RuntimeError), recording():
        raise RuntimeError
    assert kernels.active() is before


def test_bandwidth_of_a_small_buffer() -> None:
    line = bandwidth._measure("L1", 2**14, 0.0)
    assert min(line.read, line.write, line.copy) > 0
    assert set(bandwidth.cache_sizes()) == {2, 3}


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = bandwidth.Bandwidth("L2", 2**18, 1.0, 2.0, 3.0)
    monkeypatch.setattr(bandwidth, "measure", lambda: [line])
    app = typer.Typer()
    app.command()(command.main)
    target = tmp_path / "profile.json"
    result = CliRunner().invoke(app, ["--set", "S12", "--seconds", "0", "--json", str(target)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(target.read_text())
    assert set(found["stages"]) == set(KINDS) and found["bandwidth"] == [vars(line)]
    assert found["counts"]["ideal_transforms"] == 12  # (2 + 2)(2 + 1)
    assert found["counts"]["counted_transforms"] == 12
    assert found["kernel_calls"]
    for bad in (["--set", "S99"], ["--backend", "nope"]):
        result = CliRunner().invoke(app, bad)
        assert result.exit_code == 2 and "Error: " in result.output
