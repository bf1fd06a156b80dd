"""Which source runs: by name, by environment, by what is there; never a silent fallback."""

from __future__ import annotations

import process
import pytest

from ckks import kernels
from ckks.errors import BackendError, HEError
from ckks.kernels import Kernels, backends


def test_names():
    assert backends.NAMES == ("reference", "numba", "native", "native-portable", "native-avx2", "native-ifma")
    assert set(kernels.available()) <= set(backends.NAMES)
    assert "reference" in kernels.available() and "numba" in kernels.available()


@pytest.mark.parametrize("name", ["cuda", "", "Native", "native-", "native-sse", "numba ", "reference-1"])
def test_unknown_names_are_refused_and_the_known_listed(name):
    with pytest.raises(BackendError) as caught:
        kernels.load(name)
    assert isinstance(caught.value, HEError) and isinstance(caught.value, RuntimeError)
    if not name.startswith("native-"):
        assert repr(name) in str(caught.value)
        assert all(known in str(caught.value) for known in backends.NAMES)


def test_a_source_fulfils_the_interface(backend):
    source = kernels.active()
    assert source.name == backend.partition("-")[0]
    assert source.smallest_n in (2, 8)
    for name in vars(Kernels):
        if not name.startswith("_"):
            assert callable(getattr(source, name))
    facts = source.describe()
    assert facts["variant"] in facts["variants"]


def test_loading_is_remembered(backend):
    assert kernels.load(backend) is kernels.load(backend) is kernels.active()


def test_small_rings_go_to_the_reference(backend):
    assert backends.source_for(2) is kernels.load("reference")
    assert backends.source_for(64) is kernels.active()


def test_use_is_undone():
    before = kernels.active()
    with kernels.use("reference") as source:
        assert kernels.active() is source is kernels.load("reference")
        with pytest.raises(ZeroDivisionError), kernels.use("numba"):
            raise ZeroDivisionError
        assert kernels.active() is source
        with pytest.raises(BackendError), kernels.use("cuda"):
            pytest.fail("entered")  # pragma: no cover
        assert kernels.active() is source
    assert kernels.active() is before


SHOW = "from ckks import kernels; a = kernels.active(); print(a.name, a.describe()['variant'])"
WITHOUT_NATIVE = "import sys; sys.modules['ckks._native'] = None; "


def test_the_environment_chooses(tmp_path, backend):
    name, _, variant = backend.partition("-")
    found = process.output_of(SHOW, tmp_path, CKKS_BACKEND=backend).split()
    assert found[0] == name
    assert not variant or found[1] == variant


@pytest.mark.parametrize("name", ["cuda", "Native"])
def test_an_unknown_name_in_the_environment_fails_loudly(tmp_path, name):
    done = process.run_python(SHOW, tmp_path, CKKS_BACKEND=name)
    assert done.returncode != 0 and done.stdout == ""
    assert "ckks.errors.BackendError" in done.stderr
    assert "CKKS_BACKEND" in done.stderr and repr(name) in done.stderr
    assert all(known in done.stderr for known in backends.NAMES)


def test_without_a_choice_the_fastest_that_is_there(tmp_path):
    best = "native" if "native" in kernels.available() else "numba"
    assert process.output_of(SHOW, tmp_path, CKKS_BACKEND="").split()[0] == best
    assert process.output_of(WITHOUT_NATIVE + SHOW, tmp_path).split()[0] == "numba"


@pytest.mark.parametrize("name", ["native", "native-avx2"])
def test_compiled_kernels_that_are_not_there_are_no_silent_fallback(tmp_path, name):
    done = process.run_python(WITHOUT_NATIVE + SHOW, tmp_path, CKKS_BACKEND=name)
    assert done.returncode != 0 and done.stdout == ""
    assert "ckks.errors.BackendError" in done.stderr and "compiler" in done.stderr


def test_available_leaves_out_what_cannot_run(tmp_path):
    code = WITHOUT_NATIVE + "from ckks import kernels; print(*kernels.available())"
    assert process.output_of(code, tmp_path) == "reference numba\n"


def test_importing_the_package_chooses_nothing(tmp_path):
    """A bad name is an error when the first kernel is asked for; importing stays cheap and without numba."""
    code = """
import sys
import ckks.ring, ckks.rlwe
from ckks.kernels import backends
print(backends._active, "numba" in sys.modules, "ckks._native" in sys.modules)
"""
    assert process.output_of(code, tmp_path, CKKS_BACKEND="cuda") == "None False False\n"
