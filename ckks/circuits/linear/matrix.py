"""Plaintext matrix times encrypted vector: `LinearMap`, made once, applied often; one level.

    babies   rotations of the input that all giant steps share: its digits are made once, nothing is divided by P
    rows     for each giant step, from the last down: turn what there is, add the products of babies and diagonals
    lower    one division by P and by the level's primes, of the total                    ([BMTH20, Sec. 4], [HS14])

Packing. A vector of n numbers lies in n slots, n rounded up to a power of two, which the encoder repeats:
`encrypt(x, slots=A.input_slots)`. So a cyclic rotation of all slots is one of the vector. The result lies in
`A.output_slots` in the same way: it can be the input of the next map. A matrix of more rows or columns than a
ciphertext has slots is cut into blocks, and its vectors are batches: (C, slots) to (R, slots).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from math import sqrt
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import kernels
from ckks.circuits.linear.diagonals import (
    GIANT,
    PRODUCT,
    Diagonals,
    Schedule,
    diagonals_of,
    doublings,
    packed,
    schedule,
)
from ckks.circuits.linear.encoded import EncodedDiagonals
from ckks.circuits.linear.folding import folded, twice_real
from ckks.errors import DomainError, ParameterError, SlotError
from ckks.kernels import Words
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe import noise as sizes
from ckks.rlwe.hoisting import lifted_automorphisms, lifted_powers, lower, turn_lifted
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.align import settle, too_deep
from ckks.scheme.encoder import as_numbers, check_magnitude
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT

__all__ = ["Keys", "LinearMap"]

Keys = Literal["hoisted", "minimal"]


class LinearMap:
    """A plaintext matrix, ready to be multiplied by encrypted vectors: `A @ x` for an EncryptedVector x.

    Args:
        matrix: real or complex, finite, (m, n).
        most_slots: slots of one ciphertext; matrices beyond that are cut into blocks. Unless given there is one block.
        keys: "hoisted" is fast; "minimal" needs two or three rotation keys, and one decomposition for each baby step.
        real: the vectors are real (`packed`: half the products, for a rotation and a conjugation). Unless given, where
            the matrix is real and the model of costs says that it is cheaper. True demands it, False rules it out.
        fold: a wide matrix is done with as many diagonals as it has rows, and log4(n/m) sums of rotations.
        baby_steps: how many, instead of what the model of costs chooses.

    Immutable but for a cache: the encoded diagonals of each parameter set and level that the map was applied at, in
    `nbytes(params, level)` bytes each: as many words as diagonals x limbs (special ones included) x twice the slots.
    `clear()` empties it. Diagonals that are zero cost nothing.
    """

    __array_ufunc__ = None

    def __init__(
        self,
        matrix: ArrayLike,
        *,
        most_slots: int | None = None,
        keys: Keys = "hoisted",
        real: bool | None = None,
        fold: bool = True,
        baby_steps: int | None = None,
    ) -> None:
        """Take the matrix apart."""
        array = as_numbers(matrix)
        if array.ndim != 2 or not array.size:
            raise SlotError(
                f"matrix of shape {array.shape}; needed two axes, (m, n), neither of them empty (a single row: [row])"
            )
        if most_slots is not None and (most_slots < 1 or most_slots & (most_slots - 1)):
            raise SlotError(f"blocks of {most_slots} slots; needed a power of two")
        check_magnitude(array, float("inf"))
        self._prepare(diagonals_of(array, most_slots=most_slots, fold=fold), keys, real, baby_steps)

    @classmethod
    def of_diagonals(
        cls,
        values: Mapping[int, ArrayLike],
        *,
        keys: Keys = "hoisted",
        real: bool | None = None,
        baby_steps: int | None = None,
    ) -> LinearMap:
        """Return the map that is the sum over the steps i of values[i] times the rotation by i.

        Args:
            values: step to diagonal, all of one shape: (S,), S a power of two; or (R, S) for R maps of one vector,
                which give a batch of R. At least one.
            keys, real, baby_steps: see the class.
        """
        arrays = {int(i): np.array(as_numbers(d)) for i, d in values.items()}  # copies: encoding happens later
        shapes = {d.shape for d in arrays.values()}
        shape = next(iter(shapes), ())
        if len(shapes) != 1 or len(shape) not in (1, 2) or not all(shape) or shape[-1] & (shape[-1] - 1):
            raise SlotError(f"diagonals of shapes {sorted(shapes)}; needed one shape, (S,) or (R, S), S a power of two")
        slots = shape[-1]
        for d in arrays.values():
            check_magnitude(d, float("inf"))
        if len({i % slots for i in arrays}) != len(arrays):
            raise SlotError(f"steps {sorted(arrays)} of {slots} slots; needed steps that differ modulo {slots}")
        used = {i % slots: d.reshape(-1, 1, slots) for i, d in arrays.items() if d.any()}
        rows = shape[0] if len(shape) == 2 else 1
        linear = cls.__new__(cls)
        used = used or {0: np.zeros((rows, 1, slots))}
        linear._prepare(Diagonals((rows * slots, slots), slots, used, slots, slots), keys, real, baby_steps)
        return linear

    def _prepare(self, diagonals: Diagonals, keys: Keys, real: bool | None, baby_steps: int | None) -> None:
        if keys not in ("hoisted", "minimal"):
            raise ParameterError(f'keys={keys!r}; needed "hoisted" or "minimal"')
        minimal, blocks = keys == "minimal", diagonals.blocks

        def planned(d: Diagonals) -> Schedule:
            return schedule(tuple(d.values), d.slots, blocks, minimal=minimal, width=baby_steps)

        self.keys, self._whole = keys, diagonals
        self._used, self._half = diagonals, 0
        self._schedule = planned(diagonals)
        possible = all(d.dtype.kind == "f" for d in diagonals.values.values())
        if real and not possible:
            raise DomainError("real=True for a complex matrix; needed a real one (its vectors may then be packed)")
        pairs = packed(diagonals) if possible and real is not False and not (minimal and real is None) else None
        if pairs is not None:
            plan = planned(pairs[0])
            price = plan.cost(blocks) + PRODUCT * pairs[0].count + GIANT * sum(blocks)
            if real or price < self._schedule.cost(blocks) + PRODUCT * diagonals.count:
                (self._used, self._half), self._schedule = pairs, plan
        self._encoded = EncodedDiagonals(self._used, self._schedule)

    # ---- what it is and needs ------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n) of the matrix."""
        return self._whole.shape

    @property
    def blocks(self) -> tuple[int, int]:
        """(R, C): how many ciphertexts come out, and how many go in."""
        return self._whole.blocks

    @property
    def input_slots(self) -> int:
        """What to encrypt a vector with: `encrypt(x, slots=...)`."""
        return self._whole.input_slots

    @property
    def output_slots(self) -> int:
        """The slots of the result."""
        return self._whole.period

    @property
    def diagonals(self) -> int:
        """How many products with a plaintext one application takes."""
        return self._used.count

    @property
    def conjugation(self) -> bool:
        """Whether the key for complex conjugation is needed."""
        return self._half > 0

    @cached_property
    def rotations(self) -> tuple[int, ...]:
        """The rotation steps that keys are needed for, and no others: `evaluation_keys(..., rotations=A.rotations)`."""
        folds = {step for steps in self._folds for step in steps}
        return tuple(sorted((self._schedule.rotations | folds | {self._half}) - {0}))

    @property
    def _folds(self) -> list[tuple[int, ...]]:
        """Sums of rotations that turn a wide result into one that repeats."""
        return doublings(self._whole.period, self._whole.slots, few_keys=self.keys == "minimal")

    @property
    def steps(self) -> tuple[int, int]:
        """(baby steps, giant steps), those that rotate by nothing included."""
        return len(self._schedule.babies), len(self._schedule.giants)

    def nbytes(self, params: CKKSParams, level: int) -> int:
        """Return how many bytes the encoded diagonals of a level take."""
        return self._encoded.nbytes(params, level)

    def clear(self) -> None:
        """Forget all encoded diagonals."""
        self._encoded.clear()

    def __repr__(self) -> str:
        """Return a line with shape, diagonals, steps and keys."""
        return (
            f"<LinearMap {self.shape}, {self.diagonals} diagonals, {self.steps[0]} baby and {self.steps[1]} giant "
            f"steps, {len(self.rotations) + self.conjugation} keys>"
        )

    def __matmul__(self, x: Ciphertext | NDArray[Any]) -> NoReturn:
        """Leave `A @ x` to an EncryptedVector x (which is above this layer); refuse everything else."""
        if hasattr(x, "__array__") and not hasattr(x, "evaluator"):
            raise TypeError(
                f"a LinearMap times a {type(x).__name__}; needed an EncryptedVector: EncryptedVector(encryptor.encrypt("
                "values, slots=A.input_slots), evaluator)"
            )
        return NotImplemented  # type: ignore[misc]

    # ---- application ---------------------------------------------------------------------------------------------

    def apply(self, evaluator: Evaluator, x: Ciphertext) -> Ciphertext:
        """Return A x, one level lower, at the canonical scale.

        Args:
            evaluator: with keys for `rotations`, and for conjugation where `conjugation` says so.
            x: packed as the module says, with `input_slots`; (C, ...) where C > 1 blocks go in, else any batch.

        Returns:
            Values (..., m) in `output_slots`; where R > 1 blocks come out, (R, ..., slots).

        Raises:
            SlotError: another packing, or a batch that does not fit the blocks.
            DomainError: complex values for a map of real ones.
            LevelError, MissingKey, RangeError: as for every product.
        """
        evaluator.check(x)
        self._check(evaluator.params, x)
        x = settle(x)
        if x.level == 0:
            raise too_deep("a matrix product", 1, x)
        x = x.with_(meta=_slots(meta_of(x), self._used.slots, self._used.slots))
        turned = evaluator.add(x, evaluator.times_i(evaluator.rotate(x, self._half))) if self._half else x
        y = self._sum(evaluator, turned)
        if self._half:
            y = twice_real(evaluator, y)
        y = folded(evaluator, y, self._folds)
        m, slots = self.shape[0], self.output_slots
        real = meta_of(x).real and (self._half > 0 or all(d.dtype.kind == "f" for d in self._used.values.values()))
        gain, repeats = self._gain, self._whole.slots // slots
        meta = _slots(meta_of(y), slots, min(m, slots)).but(
            real=real, bound=meta_of(x).bound * gain[0] * repeats, rms=meta_of(x).rms * gain[1] * sqrt(repeats)
        )
        return evaluator.drop(y.with_(meta=meta), y.level)  # which checks that the values fit

    @cached_property
    def _gain(self) -> tuple[float, float]:
        """By how much the matrix makes bounds and deviations larger, before results are summed."""
        return self._whole.largest_row, self._whole.rms_row

    @cached_property
    def _used_gain(self) -> tuple[float, float]:
        """By how much the diagonals make bounds and deviations of errors larger: those of the heaviest row."""
        return self._used.largest_row, self._used.heaviest_row

    def _sum(self, evaluator: Evaluator, x: Ciphertext) -> Ciphertext:
        """The sum over all diagonals, divided once."""
        params, level, plan = evaluator.params, x.level, self._schedule
        target, current = params.scale_at(level - 1), meta_of(x).scale
        scale = current
        if current != params.scale_at(level):
            scale = EXACT.divide(EXACT.multiply(target, params.level_factor(level)), current)
        factors = self._encoded.factors(params, level, scale)
        if plan.minimal:
            x = evaluator.rotate(x, plan.offset) if plan.offset else x
            unit = evaluator.rotation_elements(x, (plan.unit,))[0] if len(plan.babies) > 1 else 1
            lifted = lifted_powers(x, unit, len(plan.babies), evaluator.keys)
        else:
            lifted = lifted_automorphisms(x, evaluator.rotation_elements(x, plan.baby_rotations), evaluator.keys)
        between = evaluator.rotation_elements(x, plan.giant_rotations)
        rows = self.blocks[0]
        results = [
            lower(params, level, self._row(evaluator, level, lifted, r, factors[r], between), rescale=True)
            for r in range(rows)
        ]
        words = results[0] if rows == 1 else _stacked(results)
        meta = meta_of(x).but(scale=target, real=False, bound=0.0, rms=0.0)
        return Ciphertext.of(params, words, level - 1, meta, self._size(params, x, scale))

    def _row(
        self,
        evaluator: Evaluator,
        level: int,
        lifted: Words,
        r: int,
        factors: Sequence[Sequence[Words]],
        between: Sequence[int],
    ) -> Words:
        """Block row r, lifted: from the last giant step down, turn what there is and add that step's products."""
        params, plan = evaluator.params, self._schedule
        joint = params.extended_basis(level).plan
        by_giant: dict[int, Words] = {}
        for c, groups in enumerate(self._encoded.groups[r]):
            column = lifted if self.blocks[1] == 1 else lifted[:, :, c]
            for (which, giants), words in zip(groups, factors[c], strict=True):
                for at, product in zip(giants, kernels.combine(joint, column[which], words), strict=True):
                    by_giant[at] = kernels.add(joint, by_giant[at], product) if at in by_giant else product
        turns = iter(between)
        total: Words | None = by_giant.get(len(plan.giants) - 1)
        for at in range(len(plan.giants) - 2, -1, -1):
            for _ in range(plan.giants[at + 1] - plan.giants[at] if plan.minimal else 1):
                g = next(turns)
                total = None if total is None else turn_lifted(params, level, total, g, evaluator.keys)
            if at in by_giant:
                total = by_giant[at] if total is None else kernels.add(joint, total, by_giant[at])
        if total is None:
            columns = lifted.shape[1:] if self.blocks[1] == 1 else (lifted.shape[1], *lifted.shape[3:])
            total = kernels.zeros(columns)
        return total

    def _size(self, params: CKKSParams, x: Ciphertext, scale: Decimal) -> Noise:
        """The error after the division."""
        plan, level, s = self._schedule, x.level, float(scale)
        largest, heaviest = self._used_gain
        factor, rounding = Noise(heaviest * s, largest * s), sizes.rounding(params)
        switch = sizes.key_switch(params, level)
        once = x.noise + switch
        if plan.minimal and len(plan.babies) > 1:
            most = len(plan.babies) - 1
            each = switch + rounding
            once = x.noise + Noise(each.std * sqrt(most / 2), each.bound * most)
        lost = self._encoded.rounding(params, scale)
        turns = len(plan.giant_rotations)
        giants = Noise((switch + rounding).std * sqrt(turns), (switch + rounding).bound * turns)
        total = once.times(factor) + meta_of(x).message.times(lost) + x.noise.times(lost) + giants
        return total.scaled(1 / params.level_modulus(level)) + rounding

    def _check(self, params: CKKSParams, x: Ciphertext) -> None:
        meta, columns = meta_of(x), self.blocks[1]
        if self._used.slots > params.slots:
            raise SlotError(
                f"a matrix {self.shape} in {self._used.slots} slots; these parameters have {params.slots}: make it "
                f"with LinearMap(matrix, most_slots={params.slots}), which cuts it into blocks"
            )
        if meta.slots != self.input_slots:
            raise SlotError(
                f"a vector in {meta.slots} slots for a matrix {self.shape}; needed {self.input_slots}, repeated: "
                f"encrypt it with slots={self.input_slots} (or say `repeating(x, {self.input_slots})` if it is already)"
            )
        if columns > 1 and x.shape[:1] != (columns,):
            raise SlotError(
                f"a batch {x.shape} for a matrix {self.shape} of {columns} columns of blocks; needed ({columns}, ...), "
                f"each of {self.input_slots} slots"
            )
        if self._half and not meta.real:
            raise DomainError(
                "complex values for a matrix that packs real ones; make it with LinearMap(..., real=False)"
            )


def _slots(meta: Meta, slots: int, length: int) -> Meta:
    """The same values in another number of slots: they repeat with the smaller of both."""
    return Meta(meta.scale, slots, length, meta.real, meta.bound, meta.rms)


def _stacked(words: Sequence[NDArray[Any]]) -> Words:
    """Ciphertexts as a batch: (R, ..., 2, l, N)."""
    out = kernels.empty((len(words), *words[0].shape))
    for result, one in zip(out, words, strict=True):
        result[...] = one
    return out
