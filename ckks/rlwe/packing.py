"""Residues as bytes: each word takes as many bits as its prime has, so no bit is always zero.

Bit layout. A row is the N words of one limb of one polynomial. With w = bits(q), word i takes the
bits [i w, (i+1) w) of its row, lowest bit first; bit k of a row is bit k mod 8 (0 is the lowest) of
byte k // 8. A row is padded with zero bits to whole bytes. Rows follow each other in the C order of
the array, limbs of different width as they come.

Every word below its modulus has one form and every other form is refused, padding included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import SerializationError
from ckks.kernels import Words, row_bytes
from ckks.ring import RNSBasis

Bytes = NDArray[np.uint8]


def item_bytes(moduli: Sequence[int], n: int) -> int:
    """Return the bytes of one polynomial over these moduli."""
    return sum(row_bytes(q, n) for q in moduli)


def pack(basis: RNSBasis, words: Words, out: Bytes) -> None:
    """Write words (items, limbs, N), any outer strides, into out, contiguous, of items x item_bytes bytes."""
    kernels.pack(basis.plan, words, out.reshape(len(words), item_bytes(basis.moduli, basis.n)))


def unpack(basis: RNSBasis, data: Bytes, out: Words, *, what: str) -> None:
    """Read what `pack` wrote into out, shape (items, limbs, N), any outer strides.

    `what` names the object in errors, whose positions count polynomials and limbs of this call.

    Raises:
        SerializationError: a residue is not below its modulus, or a padding bit is set.
    """
    if kernels.unpack(basis.plan, data.reshape(len(out), item_bytes(basis.moduli, basis.n)), out):
        return
    bad = np.argwhere(out >= basis.plan.q[:, None])
    if not len(bad):
        raise SerializationError(f"{what}: padding bits behind a row are set; needed zeros")
    item, limb, word = (int(i) for i in bad[0])
    raise SerializationError(
        f"{what}: word {word} of limb {limb}, polynomial {item}, is not a residue; "
        f"needed less than the modulus {basis.moduli[limb]}"
    )
