"""The AVX-512-IFMA transforms on scalar loops that stop at any factor of 2^52 or more: runs on every CPU."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernels import compare, native_builds, switching
from kernels.switching import COUNTS, SHAPES, WIDTHS, Case

from ckks.arith import ntt_primes
from ckks.kernels import reference
from ckks.kernels.interface import make_plan
from ckks.kernels.native_backend import NativeKernels

SANITIZED = "sanitized " if os.environ.get("CKKS_TEST_BUILD", "").startswith("sanitized") else ""
"""native/check.py runs these tests under the sanitizers."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where test builds go."""
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture
def ifma(folder: Path) -> NativeKernels:
    """Return the emulated variant."""
    return native_builds.kernels(f"{SANITIZED}emulated", folder, "ifma")


@pytest.fixture
def portable(folder: Path) -> NativeKernels:
    """Return the portable kernels of the same build."""
    return native_builds.kernels(f"{SANITIZED}emulated", folder, "portable")


def test_equals_reference(ifma: NativeKernels, values: np.random.Generator) -> None:
    """N = 64 is the smallest ring for the vector code; below it the portable kernels answer."""
    for n in (8, 16, 64):
        compare.transforms(ifma, reference, compare.mixed_plan(n), values)


@pytest.mark.parametrize("n", [128, 256, 512, 1024, 2048, 4096, 8192])
def test_equals_portable(ifma: NativeKernels, portable: NativeKernels, n: int, values: np.random.Generator) -> None:
    """All depths of the recursion, log n even and odd."""
    plan = compare.mixed_plan(n)
    assert ifma.rows(plan) == ("ifma",) * 6 + ("portable",) * 2
    compare.transforms(ifma, portable, plan, values)
    compare.strided(ifma, portable, plan, values)


@pytest.mark.parametrize("bits", range(28, 51))
def test_every_prime_size(ifma: NativeKernels, portable: NativeKernels, bits: int, values: np.random.Generator) -> None:
    """Primes just below each power of two, on all-extreme inputs."""
    n = 512
    plan = make_plan(n, ntt_primes(bits=bits, count=2, n=n))
    compare.transforms(ifma, portable, plan, values)


@pytest.mark.parametrize("kind", ["emulated", "both"])
@pytest.mark.parametrize(
    "case", [SHAPES[2], SHAPES[6], SHAPES[7], SHAPES[11], COUNTS[2], WIDTHS[0]], ids=lambda case: case.name
)
def test_switching_equals_reference(folder: Path, kind: str, case: Case) -> None:
    """Key switching on these vectors, beside portable kernels and beside AVX2."""
    switching.switching(
        native_builds.kernels(f"{SANITIZED}{kind}", folder, "ifma"), replace(case, lean=True), 64, reference=True
    )


@pytest.mark.parametrize("kind", ["emulated", "both"])
@pytest.mark.parametrize("case", [SHAPES[2], SHAPES[7]], ids=lambda case: case.name)
def test_lifting_and_combining(folder: Path, kind: str, case: Case) -> None:
    """Every function of the front, against its composition on the same kernels."""
    source = native_builds.kernels(f"{SANITIZED}{kind}", folder, "ifma")
    switching.switching(source, replace(case, terms=9), 64, reference=False)


def test_everything_beside_avx2(folder: Path, values: np.random.Generator) -> None:
    """The variant as a CPU with AVX-512 has it."""
    both = native_builds.kernels(f"{SANITIZED}both", folder, "ifma")
    plan = compare.mixed_plan(64)
    assert both.rows(plan) == ("ifma",) * 6 + ("avx2-wide",) * 2
    compare.transforms(both, reference, plan, values)
    compare.pointwise(both, reference, plan, values)
    compare.sums(both, reference, plan, values, (1, 9))
