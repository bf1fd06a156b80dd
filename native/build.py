"""The cffi builder of `ckks._native`, the compiled kernels, and the list of what they are made of.

`setup.py` hands `ffi` to setuptools (`cffi_modules=["native/build.py:ffi"]`). Every variant is compiled into the one
module, each function with its own target attribute; the CPU is asked at run time (src/dispatch.c). So there is
no -march here, and no fast-math: the floating-point kernels count on every rounding being where it is written.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cffi import FFI

# The path is relative to the project, as setuptools demands; __file__ is set by cffi, which executes this file.
NATIVE = Path(os.path.relpath(Path(__file__).resolve().parent))
INCLUDE = [str(NATIVE / "include"), str(NATIVE / "src")]
SOURCES = sorted(str(path) for path in (NATIVE / "src").rglob("*.c"))
HEADERS = sorted(str(path) for part in ("include", "src") for path in (NATIVE / part).rglob("*.h"))

# -ffp-contract=off: a product and a sum fuse exactly where an fma is written, nowhere else.
# -g0: debugging information would name the folder of the build, and two builds would differ in their bytes.
FLAGS = ["-std=c11", "-O3", "-g0", "-ffp-contract=off", "-fno-fast-math", "-Wall", "-Wextra"]


def declarations() -> str:
    """Return kernels.h as cffi can parse it: without the lines for the preprocessor."""
    text = (NATIVE / "include" / "kernels.h").read_text(encoding="utf-8")
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def builder() -> FFI:
    """Return the ffi object of `ckks._native`.

    With CKKS_NATIVE=must a failing compiler fails the build; otherwise it leaves a warning and a package without
    compiled kernels.
    """
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(
        "ckks._native",
        '#include "kernels.h"',
        sources=SOURCES,
        include_dirs=INCLUDE,
        depends=HEADERS,
        extra_compile_args=FLAGS + os.environ.get("CKKS_NATIVE_FLAGS", "").split(),
        optional=os.environ.get("CKKS_NATIVE", "try") != "must",
    )
    return ffi


ffi = builder()
