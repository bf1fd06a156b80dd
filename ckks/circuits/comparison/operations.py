"""Comparisons of encrypted numbers: sign, step, threshold, maximum, argmax; by composites of
`circuits.comparison.composite`.

All of them rest on the sign of a difference, and that is decided only when the difference is not too small. For a
composite of resolution t and error e (`minimax_composite(t, e)`), and values declared to lie within +-r, so that
differences lie within w = r (sign, absolute) or w = 2r (of two values):

- a difference of size t w or more is decided: the sign is right up to e (`resolution_of` says t w);
- a smaller one gives something in between, rising with the difference; a tie gives the middle, sign 0 and step 1/2;
- maximum and minimum are off by no more than r `composite.loss`, ties included, and so is absolute: where the sign is
  undecided the two candidates hardly differ. The loss is about a ninth of the resolution, or the error if that is more.

Levels. Composites work on [-1, 1]. Differences within w <= 1 are multiplied by the integer floor(1/w), which is free
(the resolution is then t/floor(1/w)); w > 1 takes one level for the division. `depth_of` adds everything up.

Errors. The expected error of a result is that of decided values against the same composite in the clear; what the
composite is off by is known beforehand, and part of the error bound. `circuits.comparison.deciding` says why it is not
what plain propagation would give. Noise should stay below the composite's margin, a 32nd of the resolution unless
chosen otherwise; a PrecisionWarning says when it may not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ckks import kernels
from ckks.circuits.comparison.composite import Composite
from ckks.circuits.comparison.deciding import UNBOUNDED, Decision, decide
from ckks.circuits.promises import promise
from ckks.errors import ParameterError, RangeError, SlotError
from ckks.rlwe import Ciphertext, Noise
from ckks.scheme import Evaluator
from ckks.scheme.align import settle, too_deep
from ckks.scheme.encoder import as_numbers
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT

__all__ = [
    "Operation",
    "absolute",
    "argmax",
    "compare",
    "depth_of",
    "largest",
    "maximum",
    "minimum",
    "resolution_of",
    "sign",
    "step",
    "threshold",
]

Operation = Literal["sign", "step", "threshold", "absolute", "compare", "maximum", "minimum", "largest", "argmax"]
_OPERATIONS: tuple[str, ...] = get_args(Operation)


def sign(
    evaluator: Evaluator,
    x: Ciphertext,
    composite: Composite,
    *,
    radius: float = 1.0,
    decided: bool = False,
    divided: tuple[float, float] | None = None,
) -> Ciphertext:
    """Return -1, 0 or 1: the sign of x up to the composite's error, for |x| >= resolution_of(composite, radius).

    Args:
        evaluator: with a relinearisation key.
        x: values in [-radius, radius].
        composite: its `resolution` and `max_abs_error` are what the result has.
        radius: the caller's promise about x.
        decided: promise also that no |x| is below the resolution: the result's error bound is then small.
        divided: x is (value - center)/half the width of this interval; the promise is told as one about values.
    """
    x = _declared(evaluator, x, radius, "the sign", divided)
    return decide(evaluator, _unit(evaluator, x, radius, composite.depth), composite, decided=decided).value


def step(
    evaluator: Evaluator, x: Ciphertext, composite: Composite, *, radius: float = 1.0, decided: bool = False
) -> Ciphertext:
    """Return 1 for positive x, 0 for negative, 1/2 for 0, up to half the composite's error; as `sign`."""
    return sign(evaluator, x, _of_signs(composite).step(), radius=radius, decided=decided)


def threshold(
    evaluator: Evaluator,
    x: Ciphertext,
    at: float,
    composite: Composite,
    *,
    radius: float = 1.0,
    decided: bool = False,
) -> Ciphertext:
    """Return 1 where x > at, 0 where x < at, 1/2 where equal: `step` of x - at, which lies within radius + |at|."""
    x = _declared(evaluator, x, radius, "a threshold")
    reach = radius + abs(float(at))
    return step(evaluator, evaluator.subtract(x, float(at)), composite, radius=reach, decided=decided)


def compare(
    evaluator: Evaluator,
    a: Ciphertext,
    b: Ciphertext | ArrayLike,
    composite: Composite,
    *,
    radius: float = 1.0,
    decided: bool = False,
) -> Ciphertext:
    """Return 1 where a > b, 0 where a < b, 1/2 where equal: `step` of a - b, which lies within 2 radius.

    b is a ciphertext or plain numbers, of size up to the radius as well.
    """
    a = _declared(evaluator, a, radius, "a comparison")
    b = _operand(evaluator, b, radius, "a comparison")
    return step(evaluator, evaluator.subtract(a, b), composite, radius=2 * radius, decided=decided)


def absolute(evaluator: Evaluator, x: Ciphertext, composite: Composite, *, radius: float = 1.0) -> Ciphertext:
    """Return |x| as x sign(x): off by no more than radius composite.loss, at 0 by nothing."""
    x = _declared(evaluator, x, radius, "an absolute value")
    u = _unit(evaluator, x, radius, _of_signs(composite).depth + 1)
    found = decide(evaluator, u, composite, exact=True)
    return _selected(evaluator, x, found, composite, radius, radius)


def maximum(
    evaluator: Evaluator, a: Ciphertext, b: Ciphertext | ArrayLike, composite: Composite, *, radius: float = 1.0
) -> Ciphertext:
    """Return the larger of a and b, slot by slot: (a + b)/2 + (a - b) sign(a - b)/2.

    Off by no more than radius composite.loss, most where a and b differ by a part of the resolution, by nothing for a
    tie. Values within +-radius; b may be plain numbers: with 0.0 this is the rectifier.
    """
    return _extreme(evaluator, a, b, _of_signs(composite).affine(0.5, 0.0), radius)


def minimum(
    evaluator: Evaluator, a: Ciphertext, b: Ciphertext | ArrayLike, composite: Composite, *, radius: float = 1.0
) -> Ciphertext:
    """Return the smaller of a and b, as `maximum`."""
    return _extreme(evaluator, a, b, _of_signs(composite).affine(-0.5, 0.0), radius)


def largest(evaluator: Evaluator, x: Ciphertext, composite: Composite, *, radius: float = 1.0) -> Ciphertext:
    """Return the maximum over the first batch axis, by a tournament of ceil(log2 K) rounds.

    Each round may lose radius composite.loss: the errors of the rounds add up at most.

    Args:
        evaluator: with a relinearisation key.
        x: a batch (K, ...) of values in [-radius, radius].
        composite: used in every round.
        radius: the caller's promise about x.
    """
    count = _batch(evaluator, x, "a maximum")
    x = _declared(evaluator, x, radius, "a maximum")
    levels = depth_of("largest", composite, radius=radius, count=count)
    if settle(x).level < levels:
        raise too_deep(f"the maximum of {count} values", levels, settle(x))
    width = 2 * radius
    shrunk = width > 1 and count > 1  # once for all rounds: values in [-1/2, 1/2] from here on
    if shrunk:
        x = evaluator.with_bound(evaluator.multiply(x, 1 / width), 0.5)
    while count > 1:
        half = count // 2
        factor = width if shrunk and count == 2 else 1.0  # the last round gives it back
        pairs = x[0 : 2 * half : 2], x[1 : 2 * half : 2]
        winners = _extreme(evaluator, *pairs, _of_signs(composite).affine(0.5, 0.0), 0.5 if shrunk else radius, factor)
        if count % 2:
            winners = _joined([winners, evaluator.bring(x[count - 1 :], winners.level)])
        x, count = winners, half + count % 2
    return x[0]


def argmax(
    evaluator: Evaluator, x: Ciphertext, composite: Composite, *, radius: float = 1.0, decided: bool = False
) -> Ciphertext:
    """Return the place of the largest of K values along the first batch axis, one-hot: a batch (K, ...) of 0 and 1.

    All K (K - 1)/2 pairs are compared in one batch, and item i is the product of "i beats j" over all j: for a few
    values, since the work grows with K^2. The depth is that of one comparison and ceil(log2(K - 1)) products.

    Ties: each comparison of two equal values gives 1/2, so m values that share the maximum get 2^-(m - 1) each; two
    get one half each. Values below the maximum get 0 as long as they are below it by the resolution.

    Each of the K - 1 factors is off by up to half the composite's error, and the errors add up.
    """
    count = _batch(evaluator, x, "an argmax")
    if count < 2:
        raise SlotError("an argmax over a batch of one; needed at least two values to compare")
    x = _declared(evaluator, x, radius, "an argmax")
    x, width = settle(x), 2 * radius
    levels = depth_of("argmax", composite, radius=radius, count=count)
    if x.level < levels:
        raise too_deep(f"the argmax of {count} values", levels, x)
    pairs = [evaluator.subtract(x[: count - k], x[k:]) for k in range(1, count)]
    beats = step(evaluator, _joined(pairs), composite, radius=width, decided=decided)
    won: dict[int, Ciphertext] = {}  # won[k][i]: item i is larger than item i + k
    start = 0
    for k in range(1, count):
        won[k] = beats[start : start + count - k]
        start += count - k
    factors = []
    for k in range(1, count):  # item i against item (i + k) mod K
        lost = evaluator.add(evaluator.negate(won[count - k]), 1.0)
        factors.append(_joined([won[k], evaluator.with_bound(lost, 1.0)]))
    while len(factors) > 1:
        products = [evaluator.multiply(left, right) for left, right in zip(factors[0:-1:2], factors[1::2], strict=True)]
        factors = products + factors[2 * len(products) :]
    return factors[0]


# ---- what it takes ---------------------------------------------------------------------------------------------------


def depth_of(operation: Operation, composite: Composite, *, radius: float = 1.0, count: int = 2) -> int:
    """Return how many levels an operation uses.

    Args:
        operation: the name of a function of this module.
        composite: that it is given.
        radius: that it is given; for "threshold" radius + |at|.
        count: values in the batch, for "largest" and "argmax".
    """
    if operation not in _OPERATIONS:
        raise ParameterError(f"no operation {operation!r}; there are {', '.join(_OPERATIONS)}")
    if count < 1:
        raise ParameterError(f"{count} values; needed at least one")
    width = _checked_radius(radius) * (1 if operation in ("sign", "step", "threshold", "absolute") else 2)
    shrink = int(width > 1)
    if operation == "largest":
        rounds = (count - 1).bit_length()
        return shrink * (rounds > 0) + rounds * (composite.depth + 1)
    if operation == "argmax":
        return shrink + composite.depth + max(0, count - 2).bit_length()
    return shrink + composite.depth + int(operation in ("absolute", "maximum", "minimum"))


def resolution_of(composite: Composite, width: float = 1.0) -> float:
    """Return the least size of a difference that is decided, for differences declared to lie in [-width, width]."""
    width = _checked_radius(width)
    return composite.resolution * width if width > 1 else composite.resolution / math.floor(1 / width)


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _of_signs(composite: Composite) -> Composite:
    if composite.values != (-1.0, 1.0):
        raise ParameterError(f"a composite with values {composite.values}; needed one for the sign, (-1, 1)")
    return composite


def _checked_radius(radius: float) -> float:
    if not isinstance(radius, Real):
        raise ParameterError(f"radius {radius!r}; needed one plain number: values are declared to lie within +-radius")
    if not (math.isfinite(radius) and 2.0**-40 <= radius <= 2.0**100):
        raise RangeError(f"radius {radius}: values are declared to lie within +-radius, 2^-40 to 2^100")
    return float(radius)


def _declared(
    evaluator: Evaluator, x: Ciphertext, radius: float, what: str, divided: tuple[float, float] | None = None
) -> Ciphertext:
    """Note the promise |x| <= radius, and bound x by it."""
    evaluator.check(x)
    radius = _checked_radius(radius)
    meta = meta_of(x)
    if not meta.real:
        raise RangeError(
            f"{what} of complex values; they have no order: compare their real parts, (x + conjugate(x))/2"
        )
    promise(x, divided or (-radius, radius), what, normalised=divided is not None)
    return evaluator.with_bound(x, min(meta.bound, radius), min(meta.rms, radius))


def _operand(evaluator: Evaluator, b: Ciphertext | ArrayLike, radius: float, what: str) -> Ciphertext | ArrayLike:
    """As `_declared`, for a second operand that may be plain: then it is looked at."""
    if isinstance(b, Ciphertext):
        return _declared(evaluator, b, radius, what)
    size = float(np.abs(as_numbers(b)).max(initial=0.0))
    if not size <= radius:
        raise RangeError(
            f"{what} with a number of size {size:g}, declared to lie within {radius:g}; use a larger radius"
        )
    return b


def _unit(evaluator: Evaluator, x: Ciphertext, width: float, depth: int) -> Ciphertext:
    """Return x, of size up to width, brought into [-1, 1]: times an integer, or divided at the cost of a level."""
    x = settle(x)
    needed = depth + int(width > 1)
    if x.level < needed:
        raise too_deep("a comparison", needed, x)
    factor = math.floor(1 / width) if width <= 1 else 1
    if width > 1:
        x = evaluator.multiply(x, 1 / width)
    elif factor > 1:
        x = evaluator.multiply(x, factor)
    meta = meta_of(x)
    return evaluator.with_bound(x, min(meta.bound, 1.0), min(meta.rms, 1.0))


def _extreme(
    evaluator: Evaluator,
    a: Ciphertext,
    b: Ciphertext | ArrayLike,
    half: Composite,
    radius: float,
    factor: float = 1.0,
) -> Ciphertext:
    """Return factor ((a + b)/2 + (a - b) half(a - b)), the composite being that of +-sign/2."""
    a = _declared(evaluator, a, radius, "a maximum or minimum")
    b = _operand(evaluator, b, radius, "a maximum or minimum")
    difference, total = evaluator.subtract(a, b), evaluator.add(a, b)
    u = _unit(evaluator, difference, 2 * radius, half.depth + 1)
    if factor != 1:
        half = half.affine(factor, 0.0)
    # Noise that a and b bring along moves the larger of them by no more than itself: it need not fit the margin.
    found = decide(evaluator, u, half, exact=True)
    chosen = _selected(evaluator, difference, found, half, 2 * radius, factor * radius)
    # Half of the sum: the same words read at twice the scale.
    total = settle(total)
    middle = evaluator.with_scale(total, EXACT.multiply(meta_of(total).scale, Decimal(2 / factor)))
    result = evaluator.add(evaluator.bring(middle, chosen.level), chosen)
    return evaluator.with_bound(result, factor * radius)


def _selected(
    evaluator: Evaluator, x: Ciphertext, found: Decision, composite: Composite, width: float, reach: float
) -> Ciphertext:
    """Return x times its decision, and bound what that is off by: the composite's loss, in units of the arguments."""
    product = evaluator.multiply(x, found.factor)
    swing = (composite.values[1] - composite.values[0]) / 2  # |values|: 1 for the sign, 1/2 for half of it
    unit = width if width > 1 else 1 / math.floor(1 / width)  # what 1 of the composite's arguments stands for
    off = abs(swing) * unit * composite.loss if found.certain else UNBOUNDED
    noise = product.noise + Noise(0.0, off * float(meta_of(product).scale))
    return evaluator.with_bound(product.with_(noise=noise), reach)


def _batch(evaluator: Evaluator, x: Ciphertext, what: str) -> int:
    evaluator.check(x)
    if not x.shape or not x.shape[0]:
        raise SlotError(f"{what} over a batch {x.shape}; needed a non-empty first batch axis (slots are not compared)")
    return int(x.shape[0])


def _joined(parts: Sequence[Ciphertext]) -> Ciphertext:
    """Return batches of one level and scale one after the other along the first axis; the metadata covers each."""
    first, scale = parts[0], max(meta_of(part).scale for part in parts)
    words = kernels.empty((sum(part.shape[0] for part in parts), *first.words.shape[1:]))
    start = 0
    for part in parts:
        if part.level != first.level or meta_of(part).scale != scale:
            raise SlotError("batches of different levels or scales cannot be joined; bring them to one level first")
        words[start : start + part.shape[0]] = part.words
        start += part.shape[0]
    metas = [meta_of(part) for part in parts]
    meta = metas[0].but(
        length=max(m.length for m in metas),
        real=all(m.real for m in metas),
        bound=max(m.bound for m in metas),
        rms=max(m.rms for m in metas),
    )
    noise = Noise(max(part.noise.std for part in parts), max(part.noise.bound for part in parts))
    noise = first.noise.scaled(0.0) + noise
    return Ciphertext.of(first.params, words, first.level, meta, noise)
