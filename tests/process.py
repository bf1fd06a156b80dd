"""Fresh interpreters, for what happens at import, at exit, after a fork, or by environment variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ckks


def run_python(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new Python with the ckks of this one, warnings as errors; CKKS_* variables only as given here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CKKS_")}
    inherited["PYTHONPATH"] = str(Path(ckks.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def output_of(code: str, cwd: Path, **environment: str) -> str:
    """Return what the code prints; fail the test when it fails or writes anything to standard error."""
    done = run_python(code, cwd, **environment)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout
