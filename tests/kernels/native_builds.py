"""Test builds of native/src beside `ckks._native`: see native/standalone.py."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest

from ckks.kernels.native_backend import NativeKernels

ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=8)
def native_module(name: str) -> ModuleType:
    """Return native/<name>.py as a module; it is a folder of build scripts, not a package."""
    path = ROOT / "native" / f"{name}.py"
    if not path.exists():
        pytest.skip(f"{path} is not here: these tests need the source tree")
    spec = importlib.util.spec_from_file_location(f"native_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=8)
def library(kind: str, folder: Path) -> tuple[object, object]:
    """Compile (once) and load a kind of build; skip without a compiler."""
    standalone = native_module("standalone")
    if standalone.compiler() is None:
        pytest.skip("no C compiler (CC or cc) to build the kernels for this test with")
    loaded: tuple[object, object] = standalone.load(standalone.build(kind, folder))
    return loaded


def kernels(kind: str, folder: Path, variant: str) -> NativeKernels:
    """Return one variant of a test build; skip when this CPU cannot run it."""
    made = NativeKernels(*library(kind, folder), variant)
    if variant not in made.describe()["runnable"]:
        pytest.skip(f"this CPU cannot run the {variant} kernels")
    return made
