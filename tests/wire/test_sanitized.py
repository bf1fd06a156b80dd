"""Changed objects read by kernels that are compiled with the sanitizers: `python native/check.py` runs this."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from kernels import native_builds
from wire import fuzz

from ckks.kernels import backends

KIND = os.environ.get("CKKS_TEST_BUILD")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the build goes."""
    return tmp_path_factory.mktemp("native")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", ["portable", "avx2", "ifma"])
@pytest.mark.parametrize("name", [kind for kind in fuzz.KINDS if kind not in ("model", "secret key")])
def test_sanitized_kernels_read_changed_objects(
    name: str, variant: str, folder: Path, monkeypatch: pytest.MonkeyPatch, figure: Any
) -> None:
    """Any report of a sanitizer, and any broken range contract, ends the process."""
    if KIND is None:
        pytest.skip("needs a build with the sanitizers: python native/check.py")
    monkeypatch.setattr(backends, "_active", native_builds.kernels(KIND, folder, variant))
    monkeypatch.setattr(fuzz, "SECONDS", 1.0)  # a tenth of the speed
    harness = fuzz.by_chance(name, 2000, seed=3)
    assert harness.taken > 20
    figure("W1", f"{KIND} {variant}: {harness.report()}")
