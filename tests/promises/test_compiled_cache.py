"""P3: a compiled-code cache is code. Hostile cache files are planted where numba would look, and not loaded."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from numba.core.caching import _CacheLocator

import ckks
from ckks import kernels
from ckks.kernels._numba import pointwise
from ckks.kernels._numba.cache import _source_digest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX")

PACKAGE = Path(ckks.__file__).resolve().parent
KERNEL = (
    f"pointwise.add-{pointwise.add.py_func.__code__.co_firstlineno}.py{sys.version_info[0]}{sys.version_info[1]}.nbi"
)
"""The index file of one kernel; numba unpickles it before it looks at anything in it."""

ADDS = """
import numpy as np
from ckks import kernels, ring
basis = ring.RNSBasis(n=16, moduli=ring.ntt_primes(bits=50, count=1, n=16))
x = np.arange(16, dtype=np.uint64).reshape(1, 16)
assert (kernels.add(basis.plan, x, x) == 2 * x).all()
print(kernels.active().describe()["cache"])
"""


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os.mkdir, (str(self.mark),))


class Machine:
    """A copy of the library and a home folder, apart from those of whoever runs the tests."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.mark = root, root / "home", root / "mark"
        self.package = root / "site" / "ckks"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        self.home.mkdir()
        # Below the cache folder, numba's own name for the folder of the source file.
        self.inner = _CacheLocator.get_suitable_cache_subpath(str(self.package / "kernels" / "_numba" / "pointwise.py"))

    @property
    def ours(self) -> Path:
        """Where this library keeps its compiled kernels."""
        return self.home / ".cache" / "ckks" / "numba"

    def plant(self, folder: Path) -> None:
        """Put a hostile index file into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / KERNEL).write_bytes(pickle.dumps(Payload(self.mark)))

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call the kernel in a fresh process, in a folder that holds hostile files as well."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CKKS_", "NUMBA_", "XDG_"))}
        settings = {"HOME": str(self.home), "PYTHONPATH": str(self.root / "site"), "CKKS_BACKEND": "numba"}
        return subprocess.run(
            [sys.executable, "-c", ADDS],
            cwd=self.root,
            env={**inherited, **settings, **environment},
            capture_output=True,
            text=True,
            timeout=200,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_hostile_files_in_the_default_places_are_not_loaded(machine, figure):
    """Beside the sources, in numba's own folder, in the current folder, and in ours when others may write to it."""
    places = [
        machine.package / "kernels" / "_numba" / "__pycache__",  # numba's default: beside the source
        machine.home / ".cache" / "numba" / machine.inner,  # its second choice
        machine.root / "__pycache__",
        machine.root / machine.inner,
        machine.ours / _source_digest() / machine.inner,  # ours, open to others
    ]
    for place in places:
        machine.plant(place)
    machine.ours.chmod(0o777)
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "not kept on disk\n"
    assert "needed 0700" in done.stderr
    assert not machine.mark.exists()
    figure("P3", f"hostile numba cache files in {len(places)} default places: 0 loaded")


def test_the_same_file_in_a_private_folder_is_loaded(machine):
    """The control: name and payload are right, so it is the mode that keeps them out; who owns the folder owns the code."""
    base = machine.ours / _source_digest()
    machine.plant(base / machine.inner)
    for path in (machine.ours, base):
        path.chmod(0o700)
    machine.run()
    assert machine.mark.exists()


def test_a_folder_of_another_owner_is_not_used(machine, figure):
    """Mode 0700 is not enough: the owner may be somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    machine.plant(machine.ours / _source_digest() / machine.inner)
    for path in (machine.ours, machine.ours / _source_digest()):
        path.chmod(0o700)
        os.chown(path, 65534, 65534)
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert "belongs to user 65534" in done.stderr
    assert not machine.mark.exists()


def test_the_compiled_service_opens_no_cache_at_all(machine):
    """With the C kernels numba is not even imported, so a server has no cache to poison."""
    code = "import sys, churn.server; from ckks import kernels; kernels.warmup(); print('numba' in sys.modules)"
    if "native" not in kernels.available():
        pytest.skip("no compiled kernels: numba serves, with the folder of mode 0700")
    pytest.importorskip("starlette")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CKKS_")} | {
        "PYTHONPATH": str(PACKAGE.parent), "HOME": str(machine.home)
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout == "False\n", done.stderr
    assert not (machine.home / ".cache").exists()
