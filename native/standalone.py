"""The kernels as a plain shared library, for the builds that tests need beside `ckks._native`.

    emulated   src/avx512 on scalar loops (tests/emulate_avx512.h), so that it can run on any CPU
    both       the same beside the AVX2 kernels, as a CPU with AVX-512 runs them
    checked    with CKKS_CHECK: every range contract in the comments is asserted

Each of them is there as "sanitized ..." too, with the address and undefined-behaviour sanitizers (see check.py).

`load(build(...))` gives the same (ffi, lib) pair that `ckks._native` has, for `NativeKernels(ffi, lib, variant)`.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cffi import FFI

NATIVE = Path(__file__).resolve().parent

SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

KINDS: dict[str, tuple[str, ...]] = {
    "emulated": ("-O2", "-DCKKS_EMULATE_AVX512", "-DCKKS_CHECK"),
    "both": ("-O1", "-DCKKS_EMULATE_AVX512", "-DCKKS_BESIDE_AVX2", "-DCKKS_CHECK"),
    "checked": ("-O2", "-DCKKS_CHECK"),
}
KINDS |= {f"sanitized {kind}": (*flags, "-O1", *SANITIZERS) for kind, flags in KINDS.items()}


def compiler() -> str | None:
    """Return the C compiler, CC or cc, or None."""
    return shutil.which(os.environ.get("CC", "cc"))


def is_clang(cc: str) -> bool:
    """Tell clang from gcc, whatever its name."""
    return "clang" in subprocess.run([cc, "--version"], capture_output=True, text=True, check=True).stdout


def build(kind: str, folder: Path) -> Path:
    """Compile all sources into folder/libckks-<kind>.so and return its path."""
    cc = compiler()
    if cc is None:
        raise FileNotFoundError("no C compiler: neither CC nor cc names one")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"libckks-{kind.replace(' ', '-')}.so"
    include = [f"-I{NATIVE / part}" for part in ("include", "src", "tests")]
    sources = sorted(str(path) for path in (NATIVE / "src").rglob("*.c"))
    flags, link = ["-std=c11", "-ffp-contract=off", "-fno-fast-math", "-fPIC", *KINDS[kind]], ["-shared"]
    if kind.startswith("sanitized") and is_clang(cc):
        link.append("-shared-libasan")  # what gcc does by itself: the library is loaded before Python
    made = compile_all([cc, *flags, *include], sources, library, link)
    if made.returncode:
        raise RuntimeError(f"{cc} did not build {library.name}:\n{made.stderr}")
    return library


def compile_all(
    command: Sequence[str], sources: Sequence[str], out: Path, link: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Compile sources, as many at once as there are processors, and link them to `out`.

    Returns the first call of the compiler that failed, else the one that linked.
    """

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)

    with TemporaryDirectory(dir=out.parent) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [f"{folder}/{k}.o" for k in range(len(sources))]
        compiled = list(pool.map(lambda source, made: call("-c", source, "-o", made), sources, objects))
        failed = next((one for one in compiled if one.returncode), None)
        return failed or call(*objects, *link, "-o", str(out))


def load(library: Path) -> tuple[FFI, Any]:
    """Return (ffi, lib) of a library that `build` made."""
    ffi = FFI()
    ffi.cdef(runpy.run_path(str(NATIVE / "build.py"))["declarations"]())
    return ffi, ffi.dlopen(str(library))
