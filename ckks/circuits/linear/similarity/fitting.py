"""What similarities ask of modulus and levels, whichever way they are computed."""

from __future__ import annotations

from decimal import Decimal
from math import log2, sqrt

from ckks.errors import RangeError
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Meta
from ckks.scheme.align import too_deep
from ckks.scheme.params import EXACT

__all__ = ["check_level", "product_meta"]


def product_meta(params: CKKSParams, level: int, meta: Meta, scale: Decimal, norm: float) -> Meta:
    """Return the metadata of similarities up to `norm`, not rescaled; RangeError where they do not fit the modulus."""
    bound, product = sqrt(2) * norm, EXACT.multiply(meta.scale, scale)
    if log2(bound) + log2(float(product)) > params.room(level):
        raise RangeError(
            f"similarities may reach {norm:g} at scale 2^{log2(float(product)):.1f}, two to a slot, beyond the modulus "
            f"of level {level} (2^{params.room(level):.1f} with sign); use smaller scales"
        )
    return Meta(product, meta.slots, meta.slots, False, bound, bound)


def check_level(x: Ciphertext, rescale: bool) -> None:
    """Raise LevelError where no level is left for the rescale."""
    if rescale and x.level == 0:
        raise too_deep("similarities", 1, x)
