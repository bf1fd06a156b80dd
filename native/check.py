"""Run the kernel tests under the address and undefined-behaviour sanitizers, range contracts asserted.

    python native/check.py [pytest arguments]

Needs gcc or clang with their sanitizer libraries. Compiles native/src with -fsanitize=address,undefined, and starts
pytest in a process where the sanitizer is loaded first, so that the arrays of numpy get guard zones too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = "tests/kernels/test_native.py"


def main() -> int:
    """Return the exit code of pytest."""
    cc = os.environ.get("CC", "cc")
    found = subprocess.run([cc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = Path(found.stdout.strip())
    if not library.is_absolute():
        sys.exit(f"{cc} has no libasan.so; install the sanitizer libraries of this compiler")
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        # Leaks are Python's own: it does not free everything at exit.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "CKKS_TEST_BUILD": "sanitized",
        "CKKS_CHECK": "1",
        # Python's own allocator would hide overruns between small blocks.
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-k", "sanitized", TESTS, *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
