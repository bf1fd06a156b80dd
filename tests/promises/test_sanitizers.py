"""The compiled kernels under the address and undefined-behaviour sanitizers, with gcc and with clang (L2)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from kernels import native_builds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NEGATE = """
import runpy, sys
import numpy as np
from pathlib import Path
standalone, library, last, word = sys.argv[1:]
ffi, lib = runpy.run_path(standalone)["load"](Path(library))
m = ffi.new("modulus *[1]", [lib.ckks_modulus_new(0, 64, 97, 0)])
x = np.zeros(64, dtype=np.uint64)
x[:int(last)] = int(word)
out = ffi.cast("uint64_t *", x.ctypes.data + 8 * (64 - int(last)))
lib.ckks_neg(m, 1, 1, ffi.cast("uint64_t *", x.ctypes.data), 0, 0, out, 0, 0)
print("done")
"""


@pytest.fixture(params=["gcc", "clang"])
def cc(request: pytest.FixtureRequest) -> str:
    """A compiler with its sanitizers, or a skip."""
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    if native_builds.native_module("check").address_sanitizer(request.param) is None:
        pytest.skip(f"{request.param} has no shared address sanitizer")
    return request.param


def run(cc: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = native_builds.native_module("check").environment(cc)
    return subprocess.run(
        [sys.executable, *command], cwd=native_builds.ROOT, env=environment, capture_output=True, text=True
    )


def test_no_report(cc, figure):
    """Every kernel, at the edges of every range, each range contract asserted: native/check.py."""
    done = run(cc, "native/check.py", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("AddressSanitizer|runtime error|range contract", done.stdout + done.stderr)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 150
    figure(
        "L2",
        f"{cc}, address and undefined-behaviour sanitizers, range contracts asserted: {passed[1]} tests, 0 reports",
    )


GOOD, LATE, NOT_REDUCED = ((64, 96), "done"), ((63, 96), "heap-buffer-overflow"), ((64, 97), "range contract broken")


def test_a_defect_would_be_reported(cc, tmp_path, monkeypatch):
    """Positive controls: a result that begins one word late, and an operand that is q."""
    monkeypatch.setenv("CC", cc)
    library = native_builds.native_module("standalone").build("sanitized checked", tmp_path)
    standalone = str(native_builds.ROOT / "native" / "standalone.py")
    for arguments, said in (GOOD, LATE, NOT_REDUCED):
        done = run(cc, "-c", NEGATE, standalone, str(library), *map(str, arguments))
        assert said in done.stdout + done.stderr
        assert (done.returncode == 0) == (said == "done")
