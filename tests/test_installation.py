"""The installation is what it looks like: compiled kernels wherever there was a compiler, and the tree one meant."""

from __future__ import annotations

import importlib
import os
import shutil
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from process import output_of

import ckks
from ckks import kernels

PACKAGE = Path(ckks.__file__).resolve().parent
FROM_SOURCE = (PACKAGE.parent / "native" / "build.py").is_file()
"""Whether ckks is imported from a source tree (an editable install, or the clone's root), rather than a wheel."""


def compiler() -> str | None:
    """The C compiler that a build would have found here."""
    wanted = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return next((found for name in (wanted, "cc", "gcc", "clang", "cl") if (found := shutil.which(name))), None)


def wheel_tags() -> list[str]:
    """The tags of the installed distribution; none when there is no distribution, as in a bare clone."""
    try:
        text = metadata.distribution("ckks").read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return []
    return [line.removeprefix("Tag: ") for line in text.splitlines() if line.startswith("Tag: ")]


def compiled_elsewhere() -> list[Path]:
    """Compiled kernels of an installed copy that a source tree in the current folder hides."""
    folders = {Path(sysconfig.get_path(kind)) / "ckks" for kind in ("platlib", "purelib")} - {PACKAGE}
    return [file for folder in folders if folder.is_dir() for file in folder.glob("_native*")]


def test_compiled_kernels_are_in_use_wherever_a_compiler_was():
    """Without them everything still works, five times slower: so somebody has to look."""
    if os.environ.get("CKKS_NATIVE") == "off":
        pytest.skip("CKKS_NATIVE=off: built without compiled kernels on purpose")
    if not FROM_SOURCE and any(tag.endswith("-any") for tag in wheel_tags()):
        pytest.skip("installed from a pure Python wheel: what was built elsewhere says nothing of this machine")
    try:
        importlib.import_module("ckks._native")
    except ImportError as error:
        hidden = compiled_elsewhere()
        if hidden:
            pytest.fail(
                f"ckks is imported from {PACKAGE}, which has no compiled kernels, and hides the installed copy that has "
                f"({hidden[0]}); install editable (pip install -e .), or run from another folder"
            )
        found = compiler()
        if found is None:
            pytest.skip("no C compiler here, and no compiled kernels: numba runs instead")
        pytest.fail(
            f"{found} is here, but the compiled kernels are not ({error}); reinstall with CKKS_NATIVE=must to see why, "
            "or set CKKS_NATIVE=off if that is what you want"
        )
    assert "native" in kernels.available()


def test_the_best_backend_is_the_default(tmp_path):
    """Unset CKKS_BACKEND means native where it was compiled, in its best variant for this CPU, else numba."""
    code = "from ckks import kernels; k = kernels.active(); print(k.name, k.describe().get('variant'))"
    name, variant = output_of(code, tmp_path).split()
    if "native" not in kernels.available():
        assert name == "numba"
        return
    assert name.startswith("native")
    runnable = [n.removeprefix("native-") for n in kernels.available() if n.startswith("native-")]
    assert variant == runnable[-1]


def test_compiled_module_belongs_to_this_tree():
    """A stale or foreign extension beside (or before) the sources would be what is tested."""
    if "native" not in kernels.available():
        pytest.skip("no compiled kernels")
    assert Path(importlib.import_module("ckks._native").__file__).resolve().parent == PACKAGE


def test_wheel_tag_tells_the_truth():
    tags = wheel_tags()
    if FROM_SOURCE or not tags:
        pytest.skip("not installed from a wheel")
    compiled = list(PACKAGE.glob("_native*"))
    assert all(tag.endswith("-any") for tag in tags) == (not compiled)
    if compiled and ".abi3." in compiled[0].name:
        assert all("-abi3-" in tag for tag in tags)


def test_everything_needed_is_packaged():
    """Every module that the sources have is there to be imported, and so is the typing marker."""
    for name in ("arith", "kernels", "kernels._numba", "ring", "rlwe", "rlwe.secret", "scheme", "circuits"):
        assert (PACKAGE / Path(*name.split(".")) / "__init__.py").is_file()
    assert (PACKAGE / "py.typed").is_file()


def test_runs_from_any_folder(tmp_path):
    """Nothing is read relative to the current folder."""
    code = """
import numpy as np, ckks
params = ckks.CKKSParams.generate(ring_degree=16, depth=1, scale_bits=40, base_bits=50, security=None)
generator = ckks.KeyGenerator(params)
secret = generator.secret_key()
ct = ckks.Encryptor(params, generator.public_key(secret)).encrypt([0.5, -0.25])
print(np.round(ckks.Decryptor(params, secret).decrypt(ct), 6))
"""
    assert output_of(code, tmp_path) == "[ 0.5  -0.25]\n"
