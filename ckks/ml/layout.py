"""Rows into ciphertexts and back: which layout for how many rows, and any number of rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError, SlotError
from ckks.ml.layers import FEATURE_MAJOR, RECORDS, record_width
from ckks.rlwe import Ciphertext, Noise
from ckks.scheme import CKKSParams
from ckks.scheme.serialization import ciphertext_from_bytes, seeded_to_bytes, to_bytes

__all__ = ["Encrypted", "Packing"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Encrypted:
    """Encrypted rows, or the encrypted scores of rows: a ciphertext (or batch of them) for each chunk.

    chunks   ciphertexts of batch (K,) or () for rows, (M,) for scores
    rows     how many rows there are
    layout   how they are packed
    clipped  how many cells were moved into their range before encryption; known to the client only
    seeds    for each chunk the public seed of its second half, which is sent in its place; () where there are none
    """

    chunks: tuple[Ciphertext, ...]
    rows: int
    layout: str
    clipped: int = 0
    seeds: tuple[bytes, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(ct.nbytes for ct in self.chunks)

    def __len__(self) -> int:
        """Number of rows."""
        return self.rows

    def __repr__(self) -> str:
        """Return a line."""
        count = len(self.chunks)
        return (
            f"<Encrypted: {self.rows} rows, {self.layout}, {count} chunk{'s' * (count != 1)}, "
            f"{self.nbytes / 2**20:.1f} MiB>"
        )

    def frames(self) -> list[bytes]:
        """Return one frame of bytes for each chunk, to send; rows and layout go beside them."""
        if self.seeds:
            return [seeded_to_bytes(ct, seed) for ct, seed in zip(self.chunks, self.seeds, strict=True)]
        return [to_bytes(ct) for ct in self.chunks]

    @classmethod
    def from_frames(
        cls,
        frames: Sequence[bytes],
        params: CKKSParams,
        *,
        rows: int,
        layout: str,
        noise: Noise | None = None,
    ) -> Encrypted:
        """Return what `frames` holds, checked as `ciphertext_from_bytes` checks it; values in [-1, 1].

        noise  of the ciphertexts: leave it out for fresh encryptions, state it for scores
        """
        return cls(
            tuple(ciphertext_from_bytes(frame, params, bound=1.0, noise=noise) for frame in frames), rows, layout
        )


@dataclass(frozen=True)
class Packing:
    """Both layouts for rows of some number of features in ciphertexts of some number of slots."""

    features: int
    slots: int
    layouts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse layouts that do not exist or fit."""
        wrong = [name for name in self.layouts if name not in (FEATURE_MAJOR, RECORDS)]
        if wrong or not self.layouts or len(set(self.layouts)) != len(self.layouts):
            raise ModelError(f"layouts {self.layouts}; needed one or both of {FEATURE_MAJOR!r} and {RECORDS!r}")
        if RECORDS in self.layouts and record_width(self.features) > self.slots:
            raise SlotError(f"{self.features} features in {self.slots} slots; leave out the layout {RECORDS!r}")

    @property
    def rotations(self) -> tuple[int, ...]:
        """The rotations that need keys: 1, 2, .. K'/2 for records."""
        if RECORDS not in self.layouts:
            return ()
        return tuple(1 << k for k in range(record_width(self.features).bit_length() - 1))

    def layout_for(self, rows: int) -> str:
        """Return the layout for a table: records if one ciphertext holds them all, feature-major otherwise."""
        if RECORDS in self.layouts and (rows <= self.rows_in(RECORDS) or FEATURE_MAJOR not in self.layouts):
            return RECORDS
        return FEATURE_MAJOR

    def rows_in(self, layout: str) -> int:
        """Return how many rows a chunk holds."""
        if layout not in self.layouts:
            raise ModelError(f"layout {layout!r}; the model has {', '.join(map(repr, self.layouts))}")
        return self.slots if layout == FEATURE_MAJOR else self.slots // record_width(self.features)

    def chunks(self, rows: int, layout: str) -> int:
        """Return how many chunks a table takes."""
        return -(-rows // self.rows_in(layout))

    def shape(self, layout: str) -> tuple[int, ...]:
        """Return the batch shape of a chunk: (K,) ciphertexts, or a single one."""
        return (self.features,) if layout == FEATURE_MAJOR else ()

    def pack(self, features: Floats, layout: str) -> Iterator[Floats]:
        """Give the values of each chunk, (K, slots) or (slots,); every slot is in use, by zeros where rows are none."""
        size = self.rows_in(layout)
        for start in range(0, len(features), size):
            block = features[start : start + size]
            if layout == FEATURE_MAJOR:
                values: Floats = np.zeros((self.features, self.slots))
                values[:, : len(block)] = block.T
            else:
                records = np.zeros((size, record_width(self.features)))
                records[: len(block), : self.features] = block
                values = records.ravel()
            yield values

    def unpack(self, chunks: Sequence[Floats], rows: int, layout: str) -> Floats:
        """Return the scores (rows, M) in the slots of each chunk, (M, slots)."""
        stride = self.slots // self.rows_in(layout)
        taken = [chunk[:, ::stride][:, : self.rows_in(layout)].T for chunk in chunks]
        return np.concatenate(taken)[:rows]
