"""How kernels are compiled, and where the compiled code is kept.

numba pickles what it compiles, and unpickling runs code, so the folder must be ours alone: mode 0700 and owned by
this user, or nothing is kept on disk. It is the user's NUMBA_CACHE_DIR where that is set, else `ckks/numba` under
XDG_CACHE_HOME (default ~/.cache), and in it one folder per version of these sources: numba notices a change in the
file of a cached function, not in the files that function calls. Everything in it may be deleted at any time.

NUMBA_CACHE_DIR itself, and the setting of numba that mirrors it, are left as they were, since they apply to every
numba function of the process: our folder is put in place only while our own functions are being decorated, which is
when numba reads it. That works just as well when the program imported numba before us.
"""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba

_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy", "fastmath": False}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile an entry point on its first call, and keep it on disk.

    Entry points take int64 (addresses, strides in bytes, counts) and nothing else, so each is compiled once.
    """
    folder = cache_folder()
    if folder is None:
        return helper(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, **_OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that entry points call; LLVM inlines the small ones."""
    compiled: Callable[..., Any] = numba.njit(**_OPTIONS)(function)
    return compiled


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return the folder that compiled kernels are kept in, made on the first call; None when none is safe."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    try:
        base = Path(given) / "ckks" if given else _user_cache() / "ckks" / "numba"
        folder = base / _source_digest()
        base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (base, folder):
            path.mkdir(mode=0o700, exist_ok=True)
            refusal = _refusal(path)
            if refusal:
                _warn(f"{path} {refusal}")
                return None
        if _replaceable(base):
            _warn(f"others may rename {base}, since {base.parent} is theirs to write")
            return None
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory
        _warn(str(error))
        return None
    return folder


def _user_cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given and os.path.isabs(given) else Path.home() / ".cache"


def _refusal(path: Path) -> str:
    """Say why compiled code must not be loaded from this folder, or return the empty string."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return "is not a folder"
    if os.name != "posix":  # elsewhere these bits say nothing, and the profile folder is private
        return ""
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to {os.geteuid()}"
    if found.st_mode & 0o077:
        return f"has mode {stat.S_IMODE(found.st_mode):04o}; needed 0700"
    return ""


def _replaceable(path: Path) -> bool:
    """Tell whether another user could put a folder of their own in this one's place."""
    if os.name != "posix":
        return False
    above = path.parent.stat()
    shared = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX  # sticky: owners alone rename
    return bool(shared) or above.st_uid not in (0, os.geteuid())


def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled kernels are not kept on disk, so every process compiles its own: {reason}; "
        "make that folder private (chmod 700) or set NUMBA_CACHE_DIR to one that is",
        RuntimeWarning,
        stacklevel=3,
    )


def _source_digest() -> str:
    """Return a name for this version of the kernel sources."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]
