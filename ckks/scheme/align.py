"""Bringing two ciphertexts to one level and one scale ([KPP20, Sec. 3.3]).

A ciphertext of scale s goes to the scale S of a lower level l by one integer: drop to level l + 1 (or higher, where s
is so large that the integer would be small), multiply by
c = round(S q_{l+1} / s), rescale. The scale is then *declared* to be S; the relative error of c, at most 1/(2c), is
counted as noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import log2, sqrt

import numpy as np

from ckks import kernels
from ckks.errors import LevelError, ScaleError
from ckks.kernels import Words
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


def residues_of(integer: int, moduli: tuple[int, ...]) -> Words:
    """Return an integer modulo each prime, shape (limbs,)."""
    return np.array([integer % q for q in moduli], dtype=np.uint64)


def multiply_exact(ct: Ciphertext, factor: int) -> Ciphertext:
    """Multiply the words by an integer; the metadata is untouched, so the caller has to say what it means."""
    words = kernels.mul_scalar(ct.basis.plan, ct.words, residues_of(factor, ct.basis.moduli))
    return Ciphertext.of(ct.params, words, ct.level, ct.meta, ct.noise.scaled(factor))


def multiply_towards(ct: Ciphertext, ratio: Decimal, scale: Decimal) -> Ciphertext:
    """Multiply by round(ratio) and declare the scale `scale`; the rounding of the ratio goes into the noise."""
    product = sum_towards([(ct, ratio)], scale)
    return product.with_(meta=meta_of(ct).but(scale=scale))


def sum_towards(terms: Sequence[tuple[Ciphertext, Decimal]], scale: Decimal) -> Ciphertext:
    """Return the sum of ct round(ratio) at the scale that is declared, for terms of one level and shape.

    One pass over the words of each. Where bounds and rms of several are to be less than their sums, the caller has to
    say so; the room for them is the caller's to check.
    """
    words: Words | None = None
    noise, bound, rms = Noise(), 0.0, 0.0
    for ct, ratio in terms:
        factor = int(EXACT.to_integral_value(ratio))
        off = abs(float(EXACT.subtract(ratio, Decimal(factor))))
        plan, residues = ct.basis.plan, residues_of(factor, ct.basis.moduli)
        if words is None:
            words = kernels.mul_scalar(plan, ct.words, residues)
        else:
            kernels.mul_scalar_add(plan, ct.words, residues, words, words)
        meta = meta_of(ct)
        # This error lies where the message lies: sparse decoding, which keeps a share of other errors, keeps all of it.
        share = 2 * meta.slots / ct.params.ring_degree
        noise = noise + ct.noise.scaled(factor) + Noise(meta.message.std * off / sqrt(share), meta.message.bound * off)
        size = float(EXACT.divide(EXACT.multiply(ratio, meta.scale), scale))
        bound, rms = bound + abs(size) * meta.bound, rms + abs(size) * meta.rms
    first = terms[0][0]
    assert words is not None
    meta = meta_of(first).but(scale=scale, bound=bound, rms=rms)
    return Ciphertext.of(first.params, words, first.level, meta, noise)


def rescale_to(ct: Ciphertext, scale: Decimal) -> Ciphertext:
    """Divide by the primes of the level and declare the scale."""
    return divide_by_level(ct).with_(meta=meta_of(ct).but(scale=scale))


def rescaled_scale(ct: Ciphertext) -> Decimal:
    """Return the scale that a rescale leads to."""
    return EXACT.divide(meta_of(ct).scale, params_of(ct).level_factor(ct.level))


def is_product(ct: Ciphertext) -> bool:
    """Tell whether the scale is that of a product which still waits for its rescale."""
    return _waits(params_of(ct), ct.level, meta_of(ct).scale)


def _waits(params: CKKSParams, level: int, scale: Decimal) -> bool:
    return scale > params.waiting_scale(level)


def settle(ct: Ciphertext) -> Ciphertext:
    """Rescale a waiting product if a level is left for that; return anything else as it is."""
    while is_product(ct) and ct.level > 0:
        ct = rescale_to(ct, rescaled_scale(ct))
    return ct


def can_reach(ct: Ciphertext, level: int, scale: Decimal) -> bool:
    """Tell whether `bring` would succeed: the same steps, on scales alone."""
    params, at, current = params_of(ct), ct.level, meta_of(ct).scale
    while at >= level:
        if current == scale:
            return True
        waits = at > level and _waits(params, at, current)
        if not waits and _rescales(params, at, current, level, scale) is not None:
            return True
        current, at = EXACT.divide(current, params.level_factor(at)), at - 1
    return False


def _rescales(params: CKKSParams, at: int, current: Decimal, level: int, scale: Decimal) -> int | None:
    """The fewest rescales from at most level `at` down to `level` that leave a large enough aligning integer."""
    ratio = EXACT.divide(scale, current)
    for count in range(at - level + 1):
        if ratio >= SMALLEST_FACTOR:
            return count
        if count < at - level:
            ratio = EXACT.multiply(ratio, params.level_factor(level + count + 1))
    return None


def bring(ct: Ciphertext, level: int, scale: Decimal) -> Ciphertext:
    """Return the same values at `level` and `scale`; `can_reach` says beforehand whether that works."""
    params, current = params_of(ct), meta_of(ct).scale
    if ct.level < level:
        raise LevelError(f"cannot raise a ciphertext from level {ct.level} to {level}")
    if current == scale:
        return ct.at_level(level)
    if not (ct.level > level and _waits(params, ct.level, current)):
        count = _rescales(params, ct.level, current, level, scale)
        if count is not None:
            top = scale
            for above in range(level + 1, level + count + 1):
                top = EXACT.multiply(top, params.level_factor(above))
            ct = multiply_towards(ct.at_level(level + count), EXACT.divide(top, current), top)
            for _ in range(count):
                ct = rescale_to(ct, rescaled_scale(ct))
            return ct.with_(meta=meta_of(ct).but(scale=scale))
        if ct.level == level:
            raise ScaleError(
                f"a scale of 2^{log2(current):.1f} cannot become 2^{log2(scale):.1f} at level {level} without a "
                "rescale; do it one level higher, or use parameters with one level more"
            )
    return bring(rescale_to(ct, rescaled_scale(ct)), level, scale)


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
    place = low.level - 1, params_of(low).scale_at(low.level - 1)
    if not (can_reach(low, *place) and can_reach(high, *place)):  # waiting products whose scales are not quite equal
        raise too_deep(what, 2, low)
    return place


def too_deep(what: str, needed: int, ct: Ciphertext) -> LevelError:
    """Return the error of an operation for which no level is left."""
    params = params_of(ct)
    enough = params.top_level + needed - ct.level
    return LevelError(
        f"{what} needs {needed} level{'s' * (needed > 1)}, the ciphertext has {ct.level} of {params.top_level}; "
        f"use parameters of depth {enough} or more: CKKSParams.for_depth({enough}, ...)"
    )
