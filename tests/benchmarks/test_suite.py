"""Every kernel and every public operation has a benchmark, which is read from the suite's source; and each one runs."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from params import insecure_small

from benchmarks.suite import bench_circuits
from benchmarks.suite.common import world_of
from ckks import kernels
from ckks.kernels import composed
from ckks.kernels.interface import Kernels
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme import Decryptor, Encoder, Encryptor, Evaluator, serialization

SUITE = Path(__file__).resolve().parents[2] / "benchmarks" / "suite"
PREFIXES = ("time_", "timeraw_", "track_", "peakmem_")

NOT_OPERATIONS = {
    "Kernels": {"describe"},
    "Evaluator": {"check", "rotation_elements"},
    "Encoder": {"limbs_needed", "message", "rounding"},
}
"""Public, but they ask something instead of computing it, or are a part of what is measured whole."""


def calls() -> Iterator[tuple[str, str]]:
    """(owner, method) of every call `....owner.method(...)` inside a benchmark."""
    for path in sorted(SUITE.glob("bench_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith(PREFIXES):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                        owner = call.func.value
                        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                        yield name, call.func.attr


CALLS = set(calls())


def public_methods(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("cls", "owners"),
    [
        (Kernels, {"kernels"}),
        (Evaluator, {"evaluator"}),
        (Encoder, {"encoder"}),
        (Encryptor, {"encryptor", "seeded"}),
        (Decryptor, {"decryptor"}),
        (KeyGenerator, {"keygen"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_method_has_a_benchmark(cls: type, owners: set[str]) -> None:
    wanted = public_methods(cls) - NOT_OPERATIONS.get(cls.__name__, set())
    assert wanted
    missing = wanted - {method for owner, method in CALLS if owner in owners}
    assert not missing, f"no benchmark calls {cls.__name__}.{', '.join(sorted(missing))}; add one to benchmarks/suite"


def test_every_fused_kernel_has_a_benchmark() -> None:
    own = [name for name, f in inspect.getmembers(composed, inspect.isfunction) if f.__module__ == composed.__name__]
    wanted = {name for name in own if not name.startswith("_")}
    assert wanted <= {method for owner, method in CALLS if owner == "kernels"}


def test_what_protects_a_result_has_a_benchmark() -> None:
    assert {("rlwe", "flood"), ("rlwe", "rerandomise"), ("rlwe", "protect"), ("ring", "wide_gaussian")} <= CALLS


def test_every_way_to_bytes_and_back_has_a_benchmark() -> None:
    wanted = {name for name in serialization.__all__ if name.endswith("_bytes")}
    assert wanted <= {method for owner, method in CALLS if owner == "wire"}


def test_the_vectors_functions_have_a_benchmark() -> None:
    assert {("ckks", "sigmoid"), ("ckks", "polynomial")} <= CALLS


def test_linear_algebra_and_models_have_a_benchmark() -> None:
    assert {("similarity", "plain_similarities"), ("similarity", "encrypted_similarities")} <= CALLS
    assert {("statistics", "covariance"), ("product", "multiply")} <= CALLS
    assert {("client", "encrypt"), ("server", "evaluate"), ("client", "predict")} <= CALLS


def test_kernels_of_the_front_exist() -> None:
    """The owner `kernels` is the module whose functions bear the names of the protocol."""
    assert public_methods(Kernels) - NOT_OPERATIONS["Kernels"] <= set(dir(kernels))


def test_every_class_names_its_parameters() -> None:
    """asv prints them; without names a table of times cannot be read."""
    for path in sorted(SUITE.glob("bench_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                assigned = {
                    t.id for s in node.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)
                }
                assert ("params" in assigned) == ("param_names" in assigned), node.name


def classes() -> Iterator[tuple[str, str]]:
    """(module, class) of what asv runs, from the source; circuits are run below, with small keys."""
    for path in sorted(set(SUITE.glob("bench_*.py")) - {SUITE / "bench_circuits.py"}):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield path.stem, node.name


@pytest.mark.parametrize(("module", "name"), sorted(classes()))
def test_every_benchmark_runs(module: str, name: str) -> None:
    """Once, with the first of its parameters, and compiled kernels if there are any."""
    if module == "bench_ml":
        pytest.importorskip("sklearn")
    cls = getattr(importlib.import_module(f"benchmarks.suite.{module}"), name)
    values = [choices[0] for choices in getattr(cls, "params", ())]
    if values:
        assert cls.param_names[0] == "backend" and len(cls.param_names) == len(values)
        values[0] = "native" if "native" in kernels.available() else "numba"
    benchmarks = [each for each in dir(cls) if each.startswith(PREFIXES)]
    assert benchmarks
    with kernels.use("reference"):
        one = cls()
        if hasattr(one, "setup"):
            one.setup(*values)
        for each in benchmarks:
            result = getattr(one, each)(*values)
            assert not each.startswith("track_") or np.isfinite(result)
        if hasattr(one, "teardown"):
            one.teardown(*values)
        assert kernels.active().name == "reference", "the backend stays chosen"


def test_comparisons_and_wide_functions_have_benchmarks() -> None:
    assert {("comparisons", "sign"), ("comparisons", "maximum")} <= CALLS


CIRCUITS = [
    (cls, name)
    for cls in vars(bench_circuits).values()
    if inspect.isclass(cls) and cls.__module__ == bench_circuits.__name__
    for name in dir(cls)
    if name.startswith(PREFIXES)
]


@pytest.mark.parametrize(("cls", "name"), CIRCUITS, ids=lambda value: getattr(value, "__name__", value))
def test_every_circuit_runs(cls: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its first parameters, on small keys; what asv would call, in its order."""
    small = world_of(insecure_small(64, depth=15, value_range=256.0))
    monkeypatch.setattr(bench_circuits, "world", lambda _: small)
    monkeypatch.setattr(bench_circuits, "deep_world", lambda: small)
    first = [kernels.active().name, *(values[0] for values in cls.params[1:])]
    one = cls()
    one.setup(*first)
    try:
        getattr(one, name)(*first)
    finally:
        one.teardown(*first)
