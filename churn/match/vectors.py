"""Arrays of numbers as .npy files, read by a reader that does nothing else.

The format is numpy's, so that any tool can write one; but what may be in it is one table of float32 or float64. The
numbers stay in the file and are mapped: processes that read the same file share its memory.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from churn.errors import DataError
from churn.hosting.files import replace_file

__all__ = ["file_digest", "read_vectors", "unit", "write_vectors"]

Vectors = npt.NDArray[np.floating[Any]]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(rb"\{'descr': '<f([48])', 'fortran_order': False, 'shape': \((\d{1,9}), (\d{1,9})\), \} *\n")
_HEADER_BYTES = 1 << 10


def read_vectors(path: str | Path) -> Vectors:
    """Return the table of an .npy file, (items, dimension), read-only; DataError for anything else."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(len(_MAGIC) + 2 + _HEADER_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error})", "an .npy file is needed", "Check the path"
        ) from error
    start = len(_MAGIC) + 2
    length = int.from_bytes(head[len(_MAGIC) : start], "little")
    match = _HEADER.fullmatch(head[start : start + length]) if head.startswith(_MAGIC) else None
    shape = (int(match[2]), int(match[3])) if match else (0, 0)
    dtype = np.dtype(f"<f{match[1].decode()}") if match else np.dtype("<f4")
    if match is None or not all(shape) or size != start + length + dtype.itemsize * shape[0] * shape[1]:
        raise DataError(
            f"{path} is no .npy file of one table of numbers",
            "float32 or float64 in rows, (items, dimension), are needed",
            "Write it with numpy.save(path, numpy.ascontiguousarray(table, 'float32'))",
        )
    return np.memmap(path, dtype, "r", start + length, shape)


def write_vectors(path: Path, vectors: npt.ArrayLike, *, mode: int = 0o600) -> None:
    """Write a table as float32, whole or not at all."""
    table, head = np.ascontiguousarray(vectors, np.float32), io.BytesIO()
    if table.ndim != 2:
        raise DataError(f"an array of shape {table.shape}", "(items, dimension) is needed", "Give a table")
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": table.shape})
    replace_file(path, head.getvalue() + table.astype("<f4", copy=False).tobytes(), mode)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit(vectors: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return vectors (..., d) made 1 long; zeros stay zeros."""
    x = np.asarray(vectors, np.float64)
    # Squares of very small or very large numbers are no numbers.
    largest = np.abs(x).max(axis=-1, keepdims=True, initial=0.0)
    x = x / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.where(lengths > 0, lengths, 1.0))
