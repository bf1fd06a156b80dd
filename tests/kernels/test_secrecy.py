"""No branch and no index of a compiled kernel depends on a residue: native/tests/secrecy.c under valgrind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from kernels import native_builds

from ckks.arith import least_root, ntt_primes

VARIANTS = ("portable", "avx2")


@pytest.fixture(scope="session", params=["-O1", "-O3"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the harness with the kernels; skip without valgrind, its headers or a compiler."""
    cc = native_builds.native_module("standalone").compiler()
    if cc is None or shutil.which("valgrind") is None:
        pytest.skip("needs a C compiler and valgrind")
    native = native_builds.ROOT / "native"
    primes = [ntt_primes(bits=bits, count=1, n=256)[0] for bits in (50, 30, 61)]
    fast = [*ntt_primes(bits=50, count=8, n=256), *ntt_primes(bits=47, count=5, n=256)]
    lists = {"MODULI": primes, "FAST_MODULI": fast}
    lists |= {name.replace("MODULI", "ROOTS"): [least_root(256, q) for q in of] for name, of in lists.items()}
    made = tmp_path_factory.mktemp("secrecy") / "secrecy"
    flags = ["-std=c11", request.param, "-g", "-ffp-contract=off", f"-I{native}/include", f"-I{native}/src"]
    flags += [f"-D{name}={','.join(map(str, words))}" for name, words in lists.items()]
    sources = [str(native / "tests" / "secrecy.c"), *map(str, sorted((native / "src").rglob("*.c")))]
    built = subprocess.run([cc, *flags, *sources, "-o", str(made)], capture_output=True, text=True)
    if "valgrind/memcheck.h" in built.stderr:
        pytest.skip("needs the header valgrind/memcheck.h")
    assert built.returncode == 0, built.stderr
    return made


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the harness under memcheck; exit code 9 is a report, 2 a variant that cannot run."""
    command = ["valgrind", "-q", "--error-exitcode=9", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=VARIANTS)
def test_no_branch_or_index_on_residues(program: Path, variant: int) -> None:
    """Zero reports, over every kernel."""
    found = run(program, str(variant))
    if found.returncode == 2:
        pytest.skip(f"valgrind's CPU cannot run the {VARIANTS[variant]} kernels")
    assert found.returncode == 0, found.stderr


def test_a_branch_would_be_found(program: Path) -> None:
    """The method works: one deliberate branch is reported."""
    assert run(program, "0", "branch").returncode == 9
