"""A wheel with every compiled variant starts on a CPU that has none of their vectors: qemu's model of one from 2008."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ckks
from ckks.kernels import native_backend


def test_no_avx(tmp_path):
    """Import, choice of the portable kernels, and the self-test: encrypt, multiply, relinearise, rescale, decrypt."""
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-x86_64 (qemu-user) on an x86-64 machine")
    compiled = native_backend.compiled_variants()
    if not compiled:
        pytest.skip("no compiled kernels")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CKKS_")}
    environment["PYTHONPATH"] = str(Path(ckks.__file__).parents[1])
    command = [emulator, "-cpu", "Nehalem", sys.executable, "-m", "ckks", "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["backend"], report["variant"]) == ("native", "portable")
    assert report["details"]["variants"] == list(compiled)
    assert report["details"]["runnable"] == ["portable"]
    assert not any(report["details"]["cpu_features"].values())
    assert report["self_test"]["passed"]
