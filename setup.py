"""What pyproject.toml cannot say: the optional compiled kernels, and a wheel tag that tells the truth about them.

CKKS_NATIVE=try (or unset) compiles them when a C compiler is there, `must` fails when that fails, `off` does not
try: the wheel is then pure Python and runs on the numba kernels.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools < 70.1
    from wheel.bdist_wheel import bdist_wheel

MODES = ("try", "must", "off")
mode = os.environ.get("CKKS_NATIVE") or "try"
if mode not in MODES:
    sys.exit(f"CKKS_NATIVE={mode!r} is unknown; needed one of {', '.join(MODES)} (unset means try)")


class TruthfulWheel(bdist_wheel):  # type: ignore[misc]
    """Tags the wheel by what was built: cp311-abi3-<platform> with the compiled kernels, py3-none-any without.

    With `optional=True` a missing compiler is a warning, and the stock command would still promise a platform.
    """

    def finalize_options(self) -> None:
        """Ask for the stable ABI, which cffi uses everywhere but on free-threaded CPython."""
        super().finalize_options()
        if mode != "off" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
            self.py_limited_api = "cp311"

    def get_tag(self) -> tuple[str, str, str]:
        """Return (python, abi, platform); asked after the build has run, except for an editable install."""
        if mode == "off" or not self.kernels_built():
            self.root_is_pure = True
            return ("py3", "none", "any")
        tag: tuple[str, str, str] = super().get_tag()
        return tag

    def kernels_built(self) -> bool:
        """Tell whether the build left a `_native` module in the tree that goes into the wheel."""
        return any(Path(self.bdist_dir).glob("ckks/_native*.*"))


native = {} if mode == "off" else {"cffi_modules": ["native/build.py:ffi"]}
setup(cmdclass={"bdist_wheel": TruthfulWheel}, **native)
