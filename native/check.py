"""Run the kernel tests, and readers of changed objects, under the address and undefined-behaviour sanitizers.

    python native/check.py [pytest arguments]

Needs gcc or clang with their sanitizer libraries. Compiles native/src with -fsanitize=address,undefined, and starts
pytest in a process where the sanitizer is loaded first, so that the arrays of numpy get guard zones too.
"""

from __future__ import annotations

import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STANDALONE = ROOT / "native" / "standalone.py"
TESTS = ("tests/kernels/test_native.py", "tests/kernels/test_ifma_emulated.py", "tests/wire/test_sanitized.py")


def address_sanitizer(cc: str) -> Path | None:
    """Return the shared library of the compiler's address sanitizer, or None."""
    for name in ("libasan.so", f"libclang_rt.asan-{platform.machine()}.so", "libclang_rt.asan.so"):
        found = subprocess.run([cc, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
        path = Path(found.stdout.strip())
        # clang knows gcc's library as well, which is of no use to what clang compiles.
        if path.is_absolute() and ("clang" in path.name) == runpy.run_path(str(STANDALONE))["is_clang"](cc):
            return path
    return None


def environment(cc: str) -> dict[str, str]:
    """Return the variables of a process that may load kernels built with the sanitizers of this compiler."""
    library = address_sanitizer(cc)
    if library is None:
        sys.exit(f"{cc} has no shared address sanitizer; install the sanitizer libraries of this compiler")
    return os.environ | {
        "LD_PRELOAD": str(library),
        # Leaks are Python's own: it does not free everything at exit.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "CC": cc,
        "CKKS_TEST_BUILD": "sanitized checked",
        "CKKS_CHECK": "1",
        # Python's own allocator would hide overruns between small blocks.
        "PYTHONMALLOC": "malloc",
    }


def main() -> int:
    """Return the exit code of pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", "sanitized or ifma_emulated", *TESTS, *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment(os.environ.get("CC", "cc"))).returncode


if __name__ == "__main__":
    sys.exit(main())
