"""Kernels compiled at run time by numba: always available, the default where nothing was compiled at install time.

The sources are in `ckks.kernels._numba`, which imports numba; this module does so only inside `load`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ckks.errors import BackendError

if TYPE_CHECKING:
    from ckks.kernels._numba.source import NumbaKernels


@lru_cache(maxsize=1)
def load() -> NumbaKernels:
    """Return the numba kernels; nothing is compiled before its first call (or `warmup`).

    Raises:
        BackendError: numba is missing, or NUMBA_DISABLE_JIT is set. The kernels are written in vectors and 128-bit
            products, which exist as LLVM instructions only, so there is nothing that the interpreter could run; the
            plain Python version of each is `ckks.kernels.reference`.
    """
    try:
        import numba
    except ImportError as error:
        raise BackendError(f"numba cannot be imported ({error}): install it, or set CKKS_BACKEND=reference") from error
    if numba.config.DISABLE_JIT:
        raise BackendError(
            "NUMBA_DISABLE_JIT is set, and the numba kernels have no interpreted form: "
            "unset it, or set CKKS_BACKEND=reference for plain Python kernels that return the same words"
        )
    from ckks.kernels._numba.source import NumbaKernels

    return NumbaKernels()


def cache_folder() -> Path | None:
    """Return where compiled kernels are kept between processes, or None when no safe folder was found."""
    from ckks.kernels._numba.cache import cache_folder as folder

    return folder()
