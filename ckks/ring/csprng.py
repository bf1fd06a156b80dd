"""Randomness: AES-256-CTR keystreams with an exact layout, and where their keys come from.

Keystream layout (version 1; fixed, since stored keys are expanded from seeds by it):

    key      SHA-256("ckks keystream 1" || 0x00 || label || 0x00 || seed), seed of 32 bytes, label in ASCII
    block 0  counter block of 16 bytes: batch index (8 bytes) || limb index (4 bytes) || 0 (4 bytes), big endian
    words    the keystream read as little-endian unsigned 64-bit integers

The four last bytes count blocks, so a (batch, limb) pair has 2^36 bytes of its own.

Public seeds (those that replace the uniform half of a key or ciphertext) are drawn on their own from the operating
system, never from a stream that also feeds a secret.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from ckks.errors import ParameterError
from ckks.kernels import Words

SEED_BYTES = 32

_ZEROS = memoryview(bytes(1 << 18))
"""What is encrypted to get the keystream, a piece at a time."""


class Keystream:
    """The byte stream of one (seed, label, batch, limb); see the layout in this module's docstring."""

    __slots__ = ("_encryptor",)

    def __init__(self, seed: bytes, label: str, *, batch: int = 0, limb: int = 0) -> None:
        """Start the stream at its first byte."""
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"seed of {len(seed)} bytes; needed {SEED_BYTES}")
        start = _counter_block(batch, limb)
        key = hashlib.sha256(b"ckks keystream 1\0" + label.encode("ascii") + b"\0" + seed).digest()
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(start)).encryptor()

    def restart(self, *, batch: int = 0, limb: int = 0) -> None:
        """Go to the first byte of another stream of the same seed and label, whose key is ready."""
        self._encryptor.reset_nonce(_counter_block(batch, limb))

    def read(self, nbytes: int) -> bytes:
        """Return the next nbytes of the stream."""
        return self._encryptor.update(bytes(nbytes))

    def read_into(self, out: NDArray[np.uint8]) -> None:
        """Fill a contiguous row with the next bytes of the stream."""
        for start in range(0, len(out), len(_ZEROS)):
            piece = out[start : start + len(_ZEROS)]
            self._encryptor.update_into(_ZEROS[: len(piece)], piece.data)

    def read_words(self, out: Words) -> None:
        """Fill a contiguous row with the next words of the stream."""
        self.read_into(out.view(np.uint8))
        if sys.byteorder == "big":  # pragma: no cover - words of the stream are little-endian
            out.byteswap(inplace=True)


def _counter_block(batch: int, limb: int) -> bytes:
    if not 0 <= batch < 2**64 or not 0 <= limb < 2**32:
        raise ParameterError(f"stream index batch={batch}, limb={limb} does not fit 8 and 4 bytes")
    return batch.to_bytes(8, "big") + limb.to_bytes(4, "big") + bytes(4)


class Rng:
    """Where seeds come from: the operating system, or, for tests, a seed of your own.

    `Rng()` asks the operating system anew for every object, so it has no state to copy, fork or leak, and may be
    shared between threads. `Rng(seed)` is deterministic, **for tests and teaching only**: whoever knows the seed
    knows every secret. Its public and secret seeds come from separate chains.
    """

    __slots__ = ("_counter", "_seed")

    def __init__(self, seed: int | bytes | None = None) -> None:
        """Use the operating system's generator, or a deterministic chain from an integer or bytes."""
        if isinstance(seed, bool) or not (seed is None or isinstance(seed, (int, bytes))):
            raise ParameterError(f"seed of type {type(seed).__name__}; needed an integer, bytes, or None")
        if isinstance(seed, int):
            seed = seed.to_bytes((seed.bit_length() + 8) // 8, "big", signed=True)
        self._seed = None if seed is None else hashlib.sha256(b"ckks rng 1\0" + seed).digest()
        self._counter = itertools.count()

    @property
    def deterministic(self) -> bool:
        """Tell whether this generator repeats itself (never use such a one for real keys)."""
        return self._seed is not None

    def public_seed(self) -> bytes:
        """Return 32 fresh bytes that may be published: the seed of a uniform half."""
        return self._draw(b"public")

    def secret_seed(self) -> bytes:
        """Return 32 fresh bytes that never leave the process: the key of a secret or error stream."""
        return self._draw(b"secret")

    def _draw(self, kind: bytes) -> bytes:
        if self._seed is None:
            return os.urandom(SEED_BYTES)
        return hashlib.sha256(self._seed + kind + next(self._counter).to_bytes(8, "big")).digest()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the operating system's generator, which has no state; refuse a chain that would repeat."""
        if self.deterministic:
            raise TypeError("a deterministic Rng is neither pickled nor copied: both would draw the same secrets")
        return Rng, ()

    def __repr__(self) -> str:
        """Name the source; never the seed."""
        return "<Rng deterministic: tests only>" if self.deterministic else "<Rng of the operating system>"
