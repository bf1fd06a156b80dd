"""No branch and no index of a compiled kernel depends on a residue: native/tests/secrecy.c under valgrind.

Of the samplers:

- `take_ternary` passes over one candidate of four, and which ones shows in its branches. That is declassified: of each
  candidate only the bit that tells one value from another is hidden, so the values themselves may not show.
- `take_below` is for public words only, and is not run on hidden ones.
- `binomial` has nothing to declassify.
- The wide Gaussian of flooding (ckks/ring/gaussian.py) is Python and numpy: only timing tests look at that.

A division takes a time that depends on its operands on many CPUs, and memcheck lets it pass: the last test reads
the sources.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Figure
from kernels import native_builds

from ckks.arith import least_root, ntt_primes

VARIANTS = ("portable", "avx2")
BUILDS = [
    pytest.param(("cc", "-O1"), id="cc-O1"),
    pytest.param(("cc", "-O3"), id="cc-O3"),
    *(
        pytest.param((cc, level), id=cc + level, marks=pytest.mark.slow)
        for cc in ("gcc", "clang")
        for level in ("-O0", "-O2", "-O3")
    ),
]
"""What a compiler makes of branch-free source differs from one to the next, and from one level to the next."""


@pytest.fixture(scope="session", params=BUILDS)
def build(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A compiler and its level of optimisation."""
    return request.param


@pytest.fixture(scope="session")
def program(build: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the harness with the kernels; skip without valgrind, its headers or the compiler."""
    name, level = build
    cc = native_builds.native_module("standalone").compiler() if name == "cc" else shutil.which(name)
    if cc is None or shutil.which("valgrind") is None:
        pytest.skip(f"needs {name} and valgrind")
    native = native_builds.ROOT / "native"
    primes = [ntt_primes(bits=bits, count=1, n=256)[0] for bits in (50, 30, 61)]
    fast = [*ntt_primes(bits=50, count=8, n=256), *ntt_primes(bits=47, count=5, n=256)]
    lists = {"MODULI": primes, "FAST_MODULI": fast}
    lists |= {name.replace("MODULI", "ROOTS"): [least_root(256, q) for q in of] for name, of in lists.items()}
    made = tmp_path_factory.mktemp("secrecy") / "secrecy"
    # Debug information of a version that valgrind of any age reads; it gives up on some of clang's newest.
    flags = ["-std=c11", level, "-gdwarf-4", "-ffp-contract=off", f"-I{native}/include", f"-I{native}/src"]
    flags += [f"-D{name}={','.join(map(str, words))}" for name, words in lists.items()]
    sources = [str(native / "tests" / "secrecy.c"), *map(str, sorted((native / "src").rglob("*.c")))]
    built = native_builds.native_module("standalone").compile_all([cc, *flags], sources, made)
    if "valgrind/memcheck.h" in built.stderr:
        pytest.skip("needs the header valgrind/memcheck.h")
    assert built.returncode == 0, built.stderr
    return made


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the harness under memcheck; exit code 9 is a report, 2 a variant that cannot run."""
    command = ["valgrind", "-q", "--error-exitcode=9", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=VARIANTS)
def test_no_branch_or_index_on_residues(program: Path, build: tuple[str, str], variant: int, figure: Figure) -> None:
    """Zero reports, over every kernel."""
    found = run(program, str(variant))
    if found.returncode == 2:
        pytest.skip(f"valgrind's CPU cannot run the {VARIANTS[variant]} kernels")
    assert found.returncode == 0, found.stderr
    figure("L9", f"valgrind, {' '.join(build)}, {VARIANTS[variant]} kernels: 0 branches or indices on secret words")


def test_a_branch_would_be_found(program: Path) -> None:
    """The method works: one deliberate branch is reported."""
    assert run(program, "0", "branch").returncode == 9


OPERATORS = re.compile(r"([^\s/%]+|\([^()]*\))\s*[/%]=?\s*(\([^()]*\)|[^\s/%;,?]+)")
PUBLIC = frozenset(
    """n count q m->n m->q m->log_n blocks width bits k i a c->a d d->bits e t j->batch added batch room raw words SCRATCH
    GROUP TERMS_PER_FOLD SIZE_MAX uint64_t u128 double uintptr_t size_t c->reciprocal m->fp m->bits _mm256_set1_pd return
    word_everywhere centred_double forward_node inverse_quarters inverse_reals inverse_node _mm256_add_pd m
    repeat start j""".split()  # noqa: SIM905
)
"""Sizes, places, moduli and constants made of moduli."""
OF_TABLES = ("return (uint64_t)(((u128)w << 52) / q);", "return (uint64_t)(((u128)w << 64) / q);")
"""Quotients of factors, by a call of the compiler's library: it branches, so memcheck sees it if w is ever secret."""


def divisions(text: str) -> list[str]:
    """Lines of C that divide, without those that a build with CKKS_CHECK alone has."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    lines = (line.strip() for line in re.sub(r'"[^"\n]*"', "", text).splitlines())
    return [
        line
        for line in lines
        if re.search(r"[/%]|_div_", line)
        and not line.startswith(("#", "check_bound(", "CHECK("))
        and line not in OF_TABLES
    ]


def secret_operands(line: str) -> set[str]:
    """What stands beside a division sign and is not known to be public."""
    names = (name for pair in OPERATORS.findall(line) for name in re.findall(r"[A-Za-z_][\w.>-]*", " ".join(pair)))
    return {name for name in names if name not in PUBLIC} | ({line} if "_div_" in line else set())


def test_nothing_secret_is_divided(figure: Figure) -> None:
    """By the source, since compilers make no divisions of their own: all operands are sizes, places or moduli."""
    assert secret_operands("out[j] = x[j] % q;") and secret_operands("v = _mm256_div_pd(x, y);")
    seen = 0
    for path in sorted((native_builds.ROOT / "native" / "src").rglob("*.[ch]")):
        for line in divisions(path.read_text()):
            assert not secret_operands(line), f"{path.name}: {line}"
            seen += 1
    assert seen > 60
    figure("L9", f"{seen} lines of C divide, none of them a secret word")
