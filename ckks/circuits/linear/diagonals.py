"""A plaintext matrix as generalised diagonals, and the order in which its rotations are done.

For vectors that repeat in the slots, (A x)[r] is the sum over steps i of d_i[r] x[r + i] with d_i[r] = A[r, r + i]
([HS14]): one product with a plaintext for every diagonal that is not zero, of a rotation by its step.

    baby steps, giant steps     i = o + u (t + w j): rotations by o + u t of the input are shared by all j, and w u is
                                the one distance between giant steps, which are done as Horner's rule does powers
    packing                     with real numbers, z = x + i rot_h(x) holds two inputs of a row in one slot, so that
                                Re((d_i - i d_(i+h)) rot_i(z)) is the sum of two diagonals: half as many of each
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ckks.errors import SlotError

__all__ = ["Diagonals", "Schedule", "diagonals_of", "doublings", "packed", "schedule"]

BABY, GIANT, PRODUCT = 1.0, 2.5, 0.05
"""What a baby step, a giant step (or a rotation that stands alone) and the product with one diagonal cost, relative to
each other: measured over rings of 2^13 and 2^14 (docs/linear.md)."""


@dataclass(frozen=True, eq=False)
class Diagonals:
    """A matrix of blocks, each the sum over its steps i of d_i times a rotation by i.

    Args:
        shape: (m, n) of the whole matrix.
        slots: S, over which is rotated; a power of two.
        values: step in [0, S) to (R, C, S) numbers: that diagonal of each block.
        input_slots: the inputs repeat with this period.
        period: results are to be summed over all slots that are a multiple of this apart.
    """

    shape: tuple[int, int]
    slots: int
    values: Mapping[int, NDArray[np.inexact]]
    input_slots: int
    period: int

    @property
    def blocks(self) -> tuple[int, int]:
        """(R, C), how many ciphertexts come out, and how many go in."""
        rows, columns = next(iter(self.values.values())).shape[:2]
        return int(rows), int(columns)

    @property
    def count(self) -> int:
        """How many diagonals of blocks are not zero."""
        return sum(int(np.any(d, axis=-1).sum()) for d in self.values.values())

    @property
    def largest_row(self) -> float:
        """The largest sum of |A[r, c]| over a row, before results are summed."""
        return float(max(sum(np.abs(d).sum(axis=1) for d in self.values.values()).max(), 0.0))

    @property
    def rms_row(self) -> float:
        """The root of the largest mean, over the rows of a block, of the sum of |A[r, c]|^2."""
        squares = sum((np.abs(d) ** 2).sum(axis=1) for d in self.values.values())  # (R, S)
        filled = np.maximum((squares > 0).sum(axis=-1), 1)
        return float(np.sqrt((squares.sum(axis=-1) / filled).max()))

    @property
    def heaviest_row(self) -> float:
        """The root of the largest sum of |A[r, c]|^2 over a row, of rows that are summed of their mean.

        Errors of a row's numbers are independent: with deviation 1 each, the row's sum has this one. A row of c parts
        in as many slots, to be summed, has sqrt(c) times the root of the parts' mean square, however they differ.
        """
        squares = sum((np.abs(d) ** 2).sum(axis=1) for d in self.values.values())  # (R, S)
        parts = squares.reshape(len(squares), -1, self.period)
        return float(np.sqrt(parts.mean(axis=1).max()))


def diagonals_of(matrix: NDArray[np.inexact], *, most_slots: int | None = None, fold: bool = True) -> Diagonals:
    """Return the diagonals of a matrix (m, n), padded with zeros to powers of two of at most `most_slots`.

    A wide block has as many steps as rows, if `fold`: its results are then to be summed over periods; without, as many
    as columns. Beyond `most_slots` (any size unless given) the matrix is cut into blocks.
    """
    m, n = matrix.shape
    limit = max(_power(m), _power(n)) if most_slots is None else most_slots
    height, width = min(_power(m), limit), min(_power(n), limit)
    slots = max(height, width)
    if not fold:
        height = slots
    blocks = -(-m // height), -(-n // width)
    whole = np.zeros((blocks[0] * height, blocks[1] * width), dtype=matrix.dtype)
    whole[:m, :n] = matrix
    tiles = whole.reshape(blocks[0], height, blocks[1], width).swapaxes(1, 2)
    p, values = np.arange(slots), {}
    for i in range(min(height, width)):
        diagonal = tiles[:, :, p % height, (p + i) % width]
        if diagonal.any():
            values[i] = diagonal
    return Diagonals((m, n), slots, values or {0: np.zeros((*blocks, slots))}, width, height)


def doublings(at: int, end: int, *, few_keys: bool = False) -> list[tuple[int, ...]]:
    """Return sums of rotations that, one after the other, add up all slots a multiple of `at` apart, below `end`.

    Both are powers of two. Four rotations at once share one decomposition and one division, unless keys are to be few.
    """
    steps = []
    while at < end:
        count = 2 if few_keys or 2 * at == end else 4
        steps.append(tuple(at * k for k in range(count)))
        at *= count
    return steps


def _power(n: int) -> int:
    """The least power of two from n."""
    return 1 << (n - 1).bit_length()


@dataclass(frozen=True)
class Schedule:
    """Steps as o + u (t + w j): the baby steps t and the giant steps j that occur.

    Args:
        slots, offset, unit, width: S, o, u and w.
        babies, giants: ascending; the first giant step is 0.
        span: all t + w j that occur are below it.
        minimal: baby steps too are done one after the other, so that few keys do.
    """

    slots: int
    offset: int
    unit: int
    width: int
    babies: tuple[int, ...]
    giants: tuple[int, ...]
    span: int
    minimal: bool

    def step(self, t: int, j: int) -> int:
        """Return the step of a baby step and a giant one, -1 where they lead beyond the last (and would come round)."""
        place = t + self.width * j
        return (self.offset + self.unit * place) % self.slots if place < self.span else -1

    def turn(self, j: int) -> int:
        """Return the rotation that `j` giant steps are."""
        return self.unit * self.width * j % self.slots

    @property
    def baby_rotations(self) -> tuple[int, ...]:
        """Of the input, one for each baby step."""
        return tuple(self.step(t, 0) for t in self.babies)

    @property
    def giant_rotations(self) -> tuple[int, ...]:
        """Between one giant step and the next lower one, from the last down; a minimal schedule walks by one."""
        if self.minimal:
            return (self.turn(1),) * (self.giants[-1] - self.giants[0])
        return tuple(self.turn(b - a) for a, b in zip(self.giants[-2::-1], self.giants[:0:-1], strict=True))

    @property
    def rotations(self) -> frozenset[int]:
        """Every rotation that needs a key."""
        if self.minimal:
            needed = {self.offset, self.unit if len(self.babies) > 1 else 0, *self.giant_rotations}
        else:
            needed = {*self.baby_rotations, *self.giant_rotations}
        return frozenset(needed - {0})

    def cost(self, blocks: tuple[int, int]) -> float:
        """Return the price of all rotations, in baby steps, for blocks (R, C)."""
        each = GIANT if self.minimal else BABY
        babies = len(self.babies) - (self.minimal or 0 in self.baby_rotations)
        first = GIANT if self.minimal and self.offset else 0.0
        return blocks[1] * (each * babies + first) + GIANT * blocks[0] * len(self.giant_rotations)


def schedule(
    steps: Sequence[int],
    slots: int,
    blocks: tuple[int, int] = (1, 1),
    *,
    minimal: bool = False,
    width: int | None = None,
) -> Schedule:
    """Return the cheapest schedule for these steps, by a model of costs; `width` fixes w.

    The steps, cyclic, are counted from behind their largest gap, so that a band around 0 stays together.
    """
    ordered = sorted({i % slots for i in steps})
    gaps = [(b - a) % slots or slots for a, b in zip([ordered[-1], *ordered[:-1]], ordered, strict=True)]
    offset = ordered[int(np.argmax(gaps))]
    from_offset = [(i - offset) % slots for i in ordered]
    unit = gcd(*from_offset) or 1
    places = np.array([d // unit for d in from_offset])
    span = int(places.max()) + 1
    if width is not None and not 1 <= width <= 1024:
        raise SlotError(f"{width} baby steps; needed 1 to 1024")
    widths = [width] if width is not None else _widths(span)

    def of(w: int) -> Schedule:
        babies, giants = np.unique(places % w), np.unique(places // w)
        if minimal:
            babies = np.arange(babies[-1] + 1)
        return Schedule(slots, offset, unit, w, tuple(babies.tolist()), tuple(giants.tolist()), span, minimal)

    def price(plan: Schedule) -> tuple[float, int]:
        # Giant steps that lack a diagonal are summed apart from the others.
        whole = len(plan.babies) * len(plan.giants) == len(ordered)
        return plan.cost(blocks) * (1.0 if whole else 1.05), len(plan.rotations)

    return min(map(of, widths), key=price)


def _widths(span: int) -> list[int]:
    """Candidates for w: all small ones, then powers of two and three times such, up to what one sum takes."""
    return sorted(
        {*range(1, min(span, 96) + 1), *(f << k for k in range(11) for f in (1, 3) if f << k <= min(span, 1024))}
    )


def packed(diagonals: Diagonals) -> tuple[Diagonals, int] | None:
    """Return complex diagonals for z = x + i rot_h(x), half of them, and h; None where there is but one.

    With the places of all steps counted from behind their largest gap, those of the upper half become imaginary parts:
    e_i = (d_i - i d_(i+h)) / 2, and the result is w + conj(w) for w = sum over i of e_i rot_i(z).
    """
    plan = schedule(tuple(diagonals.values), diagonals.slots, width=1)
    half = (plan.giants[-1] + 2) // 2
    if plan.giants[-1] == 0:
        return None
    values: dict[int, NDArray[np.inexact]] = {}
    for place in plan.giants:
        d = diagonals.values[plan.step(0, place)]
        at, part = (place, d / 2) if place < half else (place - half, d * -0.5j)
        step = plan.step(0, at)
        values[step] = values[step] + part if step in values else part.astype(np.complex128)
    pairs = Diagonals(diagonals.shape, diagonals.slots, values, diagonals.input_slots, diagonals.period)
    return pairs, plan.turn(half)
