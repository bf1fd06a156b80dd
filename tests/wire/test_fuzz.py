"""Whatever is read: one typed error, or an object with one form; in time, and without growing (see `fuzz`)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire import fuzz, objects

from ckks import CKKSParams
from ckks.kernels import interface, roots

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", objects.CASES)
def test_changed_objects(name: str, figure: Any) -> None:
    harness = fuzz.by_chance(name, 2000, seed=1)
    assert 20 < harness.taken < 1800, "changes get behind the checksum, and most of them are refused there"
    figure("W1", harness.report())


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("name", objects.CASES)
def test_a_million_changed_objects(name: str, figure: Any) -> None:
    """Guided by coverage where atheris is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "wire.fuzz", name, "--runs", "1000000"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figure("W1", done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("preset", ["S12", "S13", "S14", "S15"])
def test_parameters_of_large_rings_are_read_in_time(preset: str, figure: Any) -> None:
    """Their cost is to find the roots of unity of their primes; here none is remembered."""
    data, best = objects.scheme.to_bytes(CKKSParams.preset(preset)), float("inf")
    for _ in range(3):
        for remembered in (interface.make_plan, interface._plan, roots.least_root):
            remembered.cache_clear()
        start = fuzz.time.thread_time()
        objects.scheme.params_from_bytes(data)
        best = min(best, fuzz.time.thread_time() - start)
    assert best < fuzz.SECONDS
    figure("W1", f"parameters {preset}, nothing remembered: {best * 1e3:.0f} ms")


def test_no_kind_is_forgotten() -> None:
    assert set(fuzz.KINDS) == set(objects.CASES)


def hog(*_: Any) -> Any:
    np.ones(3 * 2**20)  # 24 MiB
    return 0


def dawdle(*_: Any) -> Any:
    start = fuzz.time.thread_time()
    while fuzz.time.thread_time() - start < 1.1 * fuzz.SECONDS:
        pass


def escape(*_: Any) -> Any:
    raise ZeroDivisionError


def forget(data: bytes, params: Any) -> Any:
    """Take any object for a plaintext that is always the same."""
    return objects.encoded()


@pytest.mark.parametrize(
    ("reader", "error"),
    [(hog, fuzz.Broken), (dawdle, fuzz.Broken), (escape, ZeroDivisionError), (forget, fuzz.Broken)],
    ids=lambda x: x.__name__,
)
def test_the_harness_notices(reader: Any, error: type[Exception]) -> None:
    """A reader that grows, dawdles, raises something else, or takes two forms of one object."""
    if reader is hog and not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell a process its peak")
    harness = fuzz.Harness("plaintext")
    harness.case = replace(harness.case, load=reader, store=lambda obj, _: objects.scheme.to_bytes(objects.encoded()))
    with pytest.raises(error):
        harness(harness.seeds[1])
