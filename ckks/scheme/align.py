"""Bringing two ciphertexts to one level and one scale ([KPP20, Sec. 3.3]).

A ciphertext of scale s goes to the scale S of a lower level l by one integer: drop to level l + 1, multiply by
c = round(S q_{l+1} / s), rescale. The scale is then *declared* to be S; the relative error of c, at most 1/(2c), is
counted as noise.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from ckks import kernels
from ckks.errors import LevelError
from ckks.rlwe import Ciphertext, divide_by_level
from ckks.rlwe.noise import Noise
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT, CKKSParams

SMALLEST_FACTOR = 2**20
"""Aligning integers are at least this large, so that rounding one costs less than 2^-21 of the value."""


def params_of(ct: Ciphertext) -> CKKSParams:
    """Return the CKKS parameters of a ciphertext."""
    assert isinstance(ct.params, CKKSParams)
    return ct.params


def multiply_exact(ct: Ciphertext, factor: int) -> Ciphertext:
    """Multiply the words by an integer; the metadata is untouched, so the caller has to say what it means."""
    scalars = np.array([factor % q for q in ct.basis.moduli], dtype=np.uint64)
    words = kernels.mul_scalar(ct.basis.plan, ct.words, scalars)
    return Ciphertext.of(ct.params, words, ct.level, ct.meta, ct.noise.scaled(factor))


def multiply_towards(ct: Ciphertext, ratio: Decimal, scale: Decimal) -> Ciphertext:
    """Multiply by round(ratio) and declare the scale `scale`; the rounding of the ratio goes into the noise."""
    factor = int(EXACT.to_integral_value(ratio))
    meta = meta_of(ct)
    off = abs(float(EXACT.subtract(ratio, Decimal(factor))))
    product = multiply_exact(ct, factor)
    size = product.noise + Noise(meta.message.std * off, meta.message.bound * off)
    return product.with_(meta=meta.but(scale=scale), noise=size)


def rescale_to(ct: Ciphertext, scale: Decimal) -> Ciphertext:
    """Divide by the primes of the level and declare the scale."""
    return divide_by_level(ct).with_(meta=meta_of(ct).but(scale=scale))


def rescaled_scale(ct: Ciphertext) -> Decimal:
    """Return the scale that a rescale leads to."""
    return EXACT.divide(meta_of(ct).scale, Decimal(ct.params.level_modulus(ct.level)))


def is_product(ct: Ciphertext) -> bool:
    """Tell whether the scale is that of a product which still waits for its rescale."""
    params = params_of(ct)
    return bool(meta_of(ct).scale > EXACT.power(params.scale_at(ct.level), Decimal("1.5")))


def settle(ct: Ciphertext) -> Ciphertext:
    """Rescale a waiting product if a level is left for that; return anything else as it is."""
    while is_product(ct) and ct.level > 0:
        ct = rescale_to(ct, rescaled_scale(ct))
    return ct


def can_reach(ct: Ciphertext, level: int, scale: Decimal) -> bool:
    """Tell whether `bring` would succeed."""
    current = meta_of(ct).scale
    if ct.level < level:
        return False
    if current == scale or EXACT.divide(scale, current) >= SMALLEST_FACTOR:
        return True
    return ct.level > level


def bring(ct: Ciphertext, level: int, scale: Decimal) -> Ciphertext:
    """Return the same values at `level` and `scale`; `can_reach` says beforehand whether that works."""
    current = meta_of(ct).scale
    if current == scale:
        return ct.at_level(level)
    ratio = EXACT.divide(scale, current)
    if ratio >= SMALLEST_FACTOR:
        return multiply_towards(ct.at_level(level), ratio, scale)
    ct = ct.at_level(level + 1)
    dropped = Decimal(ct.params.level_modulus(level + 1))
    ratio = EXACT.multiply(ratio, dropped)
    if ratio < SMALLEST_FACTOR:  # a waiting product: its own rescale comes first
        return bring(settle(ct), level, scale)
    return rescale_to(multiply_towards(ct, ratio, EXACT.multiply(scale, dropped)), scale)


def align(a: Ciphertext, b: Ciphertext, what: str) -> tuple[Ciphertext, Ciphertext]:
    """Return both at the highest common level and scale that they can reach; raise LevelError when there is none."""
    if a.level == b.level and meta_of(a).scale == meta_of(b).scale:
        return a, b
    if a.level > b.level:
        a = settle(a)
    elif b.level > a.level:
        b = settle(b)
    level, scale = _meeting_point(a, b, what)
    return bring(a, level, scale), bring(b, level, scale)


def _meeting_point(a: Ciphertext, b: Ciphertext, what: str) -> tuple[int, Decimal]:
    """The lower one's place if the other can reach it, else the canonical scale one level further down."""
    low, high = (a, b) if a.level <= b.level else (b, a)
    for target, moved in ((low, high), (high, low)):
        place = target.level, meta_of(target).scale
        if can_reach(moved, *place):
            return place
    if low.level == 0:
        raise too_deep(what, 1, low)
    return low.level - 1, params_of(low).scale_at(low.level - 1)


def too_deep(what: str, needed: int, ct: Ciphertext) -> LevelError:
    """Return the error of an operation for which no level is left."""
    params = params_of(ct)
    enough = params.top_level + needed - ct.level
    return LevelError(
        f"{what} needs {needed} level{'s' * (needed > 1)}, the ciphertext has {ct.level} of {params.top_level}; "
        f"use parameters of depth {enough} or more: CKKSParams.for_depth({enough}, ...)"
    )
