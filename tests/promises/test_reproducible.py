"""P4: two builds give the same bytes, wherever they are made; what is depended on, and under which licence, is listed."""

from __future__ import annotations

import hashlib
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ckks

licences = pytest.importorskip("benchmarks.licences", reason="needs the source tree")

ROOT = Path(ckks.__file__).resolve().parents[1]
QUICK = ("modulus.c", "portable/ntt.c", "portable/pointwise.c", "portable/sampling.c", "portable/pack.c")


def copies(folder: Path) -> list[Path]:
    """Two copies of the C sources, in folders whose names differ in length."""
    if not (ROOT / "native").is_dir():
        pytest.skip("needs the source tree")
    made = [folder / "one", folder / "another" / "deeper"]
    for copy in made:
        shutil.copytree(ROOT / "native", copy / "native")
        (copy / "ckks").mkdir()
    return made


def digests(folder: Path, pattern: str) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob(pattern))}


def test_objects_are_the_same_bytes(tmp_path, figure):
    """The release's flags, behind those that Python itself was built with, as an installation compiles."""
    if not (ROOT / "native" / "build.py").is_file():
        pytest.skip("needs the source tree")
    build = runpy.run_path(str(ROOT / "native" / "build.py"))
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no C compiler: {compiler[0]}")
    flags = (sysconfig.get_config_var("CFLAGS") or "").split() + ["-fPIC", "-Inative/include", "-Inative/src"]
    found = []
    for folder in copies(tmp_path):
        for source in QUICK:
            target = source.replace("/", "_") + ".o"
            command = [*compiler, *flags, *build["FLAGS"], "-c", f"native/src/{source}", "-o", target]
            subprocess.run(command, cwd=folder, check=True)
        found.append(digests(folder, "*.o"))
    assert found[0] == found[1]
    assert len(found[0]) == len(QUICK)
    figure("P4", f"{len(QUICK)} C objects built in two folders: equal bytes")


@pytest.mark.slow
def test_the_module_is_the_same_bytes(tmp_path, figure):
    """All of it, linked, as cffi builds it."""
    code = "import runpy; print(runpy.run_path('native/build.py')['ffi'].compile(tmpdir='.'))"
    found = []
    for folder in copies(tmp_path):
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
        found.append(digests(folder, "*.o") | digests(folder, "*.so"))
    assert found[0] == found[1]
    assert any(name.endswith(".so") for name in found[0])
    figure("P4", f"the compiled module, {len(found[0])} files, built in two folders: equal bytes")


# ---- what is depended on ---------------------------------------------------------------------------------------------


def required() -> set[str]:
    """Names in pyproject.toml that an installation for users needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["churn"]]
    return {licences.plain(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in lines}


def test_every_dependency_is_listed_with_version_and_licence(figure):
    rows = licences.collect(("churn",))
    names = {licences.plain(row.name) for row in rows}
    assert required() <= names
    assert all(row.version for row in rows)
    assert [row.name for row in rows if not row.licence] == []
    figure("P4", f"{len(rows)} packages of an installation listed, each with version and licence")


def test_no_dependency_is_under_a_licence_that_binds_users():
    """Apache-2.0 is what users are promised; what comes along must not ask for more than they were told."""
    binding = re.compile(r"\b(A?GPL|General Public)(?!.*exception)", re.IGNORECASE)
    assert [f"{row.name}: {row.licence}" for row in licences.collect(("churn",)) if binding.search(row.licence)] == []


def test_the_page_lists_what_pyproject_asks_for():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed = {licences.plain(name) for name in re.findall(r"^\| ([A-Za-z0-9._-]+) \|", page, re.MULTILINE)}
    assert required() <= listed, "run python -m benchmarks.licences --write"


def test_pins_have_hashes_and_are_versions_that_pyproject_allows(figure):
    """requirements.lock: one line a package, with the SHA-256 of the file that was tested."""
    pattern = re.compile(r"([a-z0-9.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}")
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    matches = [pattern.fullmatch(line) for line in lines[1:]]
    assert all(matches), "every line is name==version and one hash"
    pinned = {match.group(1): match.group(2) for match in matches}
    assert len(pinned) == len(lines) - 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["churn"]]:
        need = Requirement(line)
        assert need.specifier.contains(pinned[licences.plain(need.name)]), line
    figure("P4", f"{len(pinned)} packages pinned with hashes")


def test_a_package_without_a_licence_would_be_found():
    class Bare(dict):
        def get_all(self, _name):
            return None

    assert licences.licence_of(Bare()) == ""
