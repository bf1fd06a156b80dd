"""Tables of the compiled kernels when memory runs out, and when they are freed: native/tests/allocation.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kernels import native_builds

from ckks.arith import least_root, ntt_primes

COUNTED = [f"-D{name}=counted_{name}" for name in ("malloc", "calloc", "free")]


def test_every_allocation_may_fail_and_all_memory_is_given_back(tmp_path: Path) -> None:
    standalone = native_builds.native_module("standalone")
    if (cc := standalone.compiler()) is None:
        pytest.skip("needs a C compiler")
    native, program = native_builds.ROOT / "native", tmp_path / "allocation"
    primes = [ntt_primes(bits=bits, count=1, n=64)[0] for bits in (50, 61, 40)]
    lists = {"MODULI": primes, "ROOTS": [least_root(64, q) for q in primes]}
    flags = ["-std=c11", "-O0", "-ffp-contract=off", f"-I{native}/include", f"-I{native}/src", *COUNTED]
    flags += [f"-D{name}={','.join(map(str, words))}" for name, words in lists.items()]
    sources = [str(native / "tests" / "allocation.c"), *map(str, sorted((native / "src").rglob("*.c")))]
    built = standalone.compile_all([cc, *flags], sources, program)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout}"
    counts = {name: int(count.split()[0]) for name, count in (line.split(": ") for line in done.stdout.splitlines())}
    # The struct and two tables; for a conversion the struct, two lists, the three constants in them, four copies.
    assert counts["modulus of portable"] == 3 and counts["conversion of portable"] == 10
    assert min(counts.values()) >= 3
