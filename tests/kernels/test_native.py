"""The compiled kernels against the reference and against each other: equal words, at the edges of every range."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from kernels import compare, native_builds, switching
from kernels.switching import COUNTS, SHAPES, WIDTHS, Case

from ckks.arith import is_prime, ntt_primes
from ckks.errors import BackendError, ParameterError
from ckks.kernels import native_backend, reference
from ckks.kernels.interface import Plan, make_plan
from ckks.kernels.native_backend import NativeKernels

VARIANTS = ("portable", "avx2", "ifma")
KIND = os.environ.get("CKKS_TEST_BUILD", "checked")
"""The build of native/standalone.py that is tested beside `ckks._native`; native/check.py sets another."""


def _runnable() -> list[str]:
    """Return the variants of this CPU; all of them when nothing is compiled, to be skipped one by one."""
    try:
        runnable: list[str] = native_backend.load().describe()["runnable"]
    except BackendError:
        return list(VARIANTS)
    return runnable


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where test builds go."""
    return tmp_path_factory.mktemp("native")


@pytest.fixture(params=[f"{kind}{variant}" for kind in ("", f"{KIND} ") for variant in _runnable()])
def source(request: pytest.FixtureRequest, folder: Path) -> NativeKernels:
    """Each variant that runs here, of `ckks._native` and of a build that asserts every range contract."""
    kind, _, variant = request.param.rpartition(" ")
    if kind:
        return native_builds.kernels(kind, folder, variant)
    try:
        return native_backend.load(variant)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_runs_here(variant: str) -> None:
    """Which variants the tests below cover on this machine, and why not the others."""
    try:
        assert native_backend.load(variant).variant == variant
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def portable(folder: Path) -> NativeKernels:
    """Return the oracle for rings that are too large for the reference."""
    try:
        return native_backend.load("portable")
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("n", [8, 16, 64])
def test_equals_reference(source: NativeKernels, n: int, values: np.random.Generator) -> None:
    """Every kernel, every class of prime."""
    compare.everything(source, reference, compare.mixed_plan(n), values)


@pytest.mark.parametrize("n", [32, 128, 256, 512, 2048, 2**13, 2**14])
def test_transforms_equal_portable(
    source: NativeKernels, portable: NativeKernels, n: int, values: np.random.Generator
) -> None:
    """All depths of the recursion, log n even and odd."""
    compare.transforms(source, portable, compare.mixed_plan(n), values)


def test_largest_ring(source: NativeKernels, portable: NativeKernels, values: np.random.Generator) -> None:
    """2^17: the longest chain of passes, where bounds have grown most."""
    compare.transforms(source, portable, compare.mixed_plan(2**17, (46, 48, 50)), values)


@pytest.mark.parametrize("n", [128, 2**13])
def test_the_rest_equals_portable(
    source: NativeKernels, portable: NativeKernels, n: int, values: np.random.Generator
) -> None:
    """Rows of more than one block."""
    plan = compare.mixed_plan(n, (40, 50, 61))
    compare.place_by_place(source, portable, plan, values, (3, 9))
    compare.permutations(source, portable, plan, values)
    compare.signed(source, portable, plan, values)
    if n < 1024:
        compare.conversions(source, portable, n, values)


@pytest.mark.parametrize("case", (*SHAPES, *COUNTS, *WIDTHS), ids=lambda case: case.name)
def test_switching_equals_reference(source: NativeKernels, case: Case) -> None:
    """N = 32 is the smallest ring for the vector code; test_switch.py has more."""
    if source.describe()["checking"]:
        switching.switching(source, case, 32, reference=True)


def test_longest_sums(source: NativeKernels, values: np.random.Generator) -> None:
    """1024 products of (q-1)^2, and 4096 weighted terms: no accumulator overflows."""
    plan = compare.mixed_plan(16, (30, 50, 61))
    compare.sums(source, reference, plan, values, (1024,))
    top = compare.largest(plan, 4096, 1)
    compare.same(source, reference, "weighted_sum", top.shape[1:], plan, top, top[:, 0, :, 0])


@pytest.mark.parametrize("bits", range(28, 62))
def test_every_prime_size(source: NativeKernels, bits: int, values: np.random.Generator) -> None:
    """The largest and the smallest prime of each size: the passes that reduce differ."""
    n = 1024
    largest = ntt_primes(bits=bits, count=1, n=n)[0]
    above = next(q for q in range(2 ** (bits - 1) + 1, 2**bits, 2 * n) if is_prime(q))
    plan = make_plan(n, (largest, above))
    x = np.concatenate([compare.extremes(plan, values), plan.q[:, None] - compare.extremes(plan, values)[1:2]])
    y = compare.run(source, "ntt", x.shape, plan, x)
    # Evaluation at psi, by Horner in Python integers: the oracle at one point, the inverse for all others.
    for limb, (q, psi) in enumerate(zip(plan.moduli, plan.roots, strict=True)):
        for row in range(len(x)):
            value = 0
            for coefficient in x[row, limb, ::-1].tolist():
                value = (value * psi + coefficient) % q
            assert y[row, limb, 0] == value
    compare.assert_equal(compare.run(source, "intt", x.shape, plan, y), x, "intt of ntt")


def test_other_roots(source: NativeKernels, values: np.random.Generator) -> None:
    """A root other than the least one is a table of its own."""
    q = 97 * 2**10 + 1  # a prime, 1 mod 32
    for psi in (pow(g, (q - 1) // 32, q) for g in range(2, 60)):
        if pow(psi, 16, q) == q - 1:
            plan = make_plan(16, (q,), (psi,))
            compare.transforms(source, reference, plan, values)


def test_moduli_that_are_not_prime(source: NativeKernels, values: np.random.Generator) -> None:
    """Without roots any odd modulus will do, for everything but the transforms."""
    plan = Plan(32, (3, 9, 2**50 - 1, 2**61 - 1), (0, 0, 0, 0))
    compare.place_by_place(source, reference, plan, values, (9, 40))
    x = np.zeros((1, 4, 32), dtype=np.uint64)
    with pytest.raises(ParameterError, match="no NTT roots"):
        source.ntt(plan, x, x)
    with pytest.raises(ParameterError, match="odd"):
        source.add(Plan(32, (4, 9, 2, 5), (0, 0, 0, 0)), x, x, x)


def test_contract_of_arrays(source: NativeKernels) -> None:
    """What would be a wild read or write is an error."""
    plan = compare.mixed_plan(16, (30, 61))
    good = np.zeros((2, 2, 16), dtype=np.uint64)
    frozen = good.copy()
    frozen.flags.writeable = False
    source.add(plan, frozen, good, good)
    for x, out, error in [
        (good.astype(np.int64), good, TypeError),
        (good.astype(np.float64), good, TypeError),
        (good[:1], good, ValueError),
        (good[..., :8], good, ValueError),
        (good[0], good, ValueError),
        (np.zeros((2, 2, 32), dtype=np.uint64)[..., ::2], good, ValueError),
        (good, frozen, ValueError),
        (good, good[:, :1], ValueError),
        (good, good[0], ValueError),
        (good, good.view(np.float64), TypeError),
    ]:
        with pytest.raises(error):
            source.add(plan, x, good, out)
    with pytest.raises(ValueError, match="at least one"):
        source.dot(plan, good[None][:0], good[None][:0], good)
    with pytest.raises(TypeError):
        source.gather(good, np.arange(16, dtype=np.int32), good)
    refuse_others(source, plan, good)
    empty = good[:0]
    source.ntt(plan, empty, empty)


def refuse_others(source: NativeKernels, plan: Plan, good: np.ndarray) -> None:
    """The kernels on bytes, small integers and reals."""
    row, tiny, reals = good[0, 0], np.zeros((2, 16), np.int8), np.zeros((2, 16))
    packed = np.zeros((2, 2 * 30 + 2 * 61), np.uint8)
    frozen = np.frombuffer(bytes(16 * 8), np.uint64)
    for call, error in [
        (lambda: source.take_below(97, row.view(np.int64), row), TypeError),
        (lambda: source.take_below(97, good[0], row), ValueError),
        (lambda: source.take_below(97, row, frozen), ValueError),
        (lambda: source.take_below(97, row[::2], row), ValueError),
        (lambda: source.take_ternary(packed[0], packed[0]), TypeError),
        (lambda: source.take_ternary(tiny[0], tiny[0]), TypeError),
        (lambda: source.binomial(row, tiny[0, :15]), ValueError),
        (lambda: source.binomial(tiny[0], tiny[0]), TypeError),
        (lambda: source.small(plan, tiny[:1], good), ValueError),
        (lambda: source.small(plan, tiny.view(np.uint8), good), TypeError),
        (lambda: source.rounded(plan, reals.astype(np.float32), 1.0, good), TypeError),
        (lambda: source.rounded(plan, np.zeros((2, 32))[:, ::2], 1.0, good), ValueError),
        (lambda: source.pack(plan, good, packed[:, 1:]), ValueError),
        (lambda: source.pack(plan, good[:, :1], packed), ValueError),
        (lambda: source.pack(plan, good, packed[:1]), ValueError),
        (lambda: source.unpack(plan, packed, frozen.reshape(1, 1, 16)), ValueError),
        (lambda: source.unpack(plan, packed.view(np.int8), good), TypeError),
        (lambda: source.mul_add(plan, good, good, good[:1], good), ValueError),
    ]:
        with pytest.raises(error):
            call()


def test_describes_itself(source: NativeKernels) -> None:
    """The doctor is told what runs."""
    facts = source.describe()
    assert facts["variant"] in facts["runnable"]
    assert set(facts["runnable"]) <= set(facts["variants"])
    assert facts["cpu_features"].keys() >= {"avx2", "fma", "avx512ifma"}
    plan = compare.mixed_plan(64, (30, 50, 61))
    expected = {
        "portable": ("portable", "portable", "portable"),
        "avx2": ("avx2", "avx2", "avx2-wide"),
        "ifma": ("ifma", "ifma", "avx2-wide"),
    }
    assert source.rows(plan) == expected[source.variant]


def test_unknown_variant_is_refused() -> None:
    """And the message names the known ones."""
    if not native_backend.compiled_variants():
        pytest.skip("no compiled kernels")
    with pytest.raises(BackendError, match="portable, avx2, ifma"):
        native_backend.load("sse9")
    for name in native_backend.compiled_variants():
        if name not in native_backend.load().describe()["runnable"]:
            with pytest.raises(BackendError, match="CPU features"):
                native_backend.load(name)
