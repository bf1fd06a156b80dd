"""Key switching and division on the compiled kernels: `composed`, one target modulus at a time (native/src/switch.c).

What is handed from call to call lies in the arrays `work`, one block of rows for each entry of the batch and each
conversion; what is in them is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.kernels.gadgets import Gadget, Quotient
from ckks.kernels.interface import Conversion, Plan, Words
from ckks.kernels.memory import empty
from ckks.kernels.threads import run, split

Limbs = tuple[Any, list[Any]]


class NativeSwitching:
    """The fused operations of `NativeKernels`, which has the tables and the way from arrays to pointers."""

    _ffi: Any
    _lib: Any
    _limbs: Callable[[Plan], Limbs]
    _conversion: Callable[[Conversion], Any]
    _in: Callable[..., tuple[Any, ...]]

    def _prepare_switching(self) -> None:
        self._gadget = lru_cache(maxsize=1024)(self._make_gadget)
        self._quotient = lru_cache(maxsize=1024)(self._make_quotient)
        self._none = self._ffi.new("operand *")
        self._apart = lru_cache(maxsize=32)(self._lib.ckks_row_words)

    def divide(self, quotient: Quotient, x: Words, index: NDArray[np.int64] | None = None) -> Words:
        """See `composed.divide`; x is (..., limbs, N)."""
        plan, first = quotient.plan, quotient.first
        batch, n, kept = x.shape[:-2], plan.n, len(quotient.kept)
        form, tables, dropped, weights = self._quotient(quotient)
        folded = x.reshape(1, -1, len(plan), n)
        out = empty((*batch, kept, n))
        end = first + kept
        # The dropped limbs may lie at both ends: one array of them, unless they are together already.
        if first and end < len(plan):
            parts = np.concatenate([folded[..., :first, :], folded[..., end:, :]], axis=2)
        else:
            parts = folded[..., :first, :] if first else folded[..., end:, :]
        division, alive = self._division(form, quotient, dropped, weights, parts, index)
        source, target = self._operand(folded), self._result(out.reshape(1, -1, kept, n))
        slices = split(kept)
        scratch = empty((len(slices), 3, self._apart(n)))

        def work(s: slice) -> None:
            for i in range(s.start, s.stop):
                a, b = first + slices[i].start, first + slices[i].stop
                self._lib.ckks_divide(
                    form, tables[0], division, a, b, 1, folded.shape[1], source, self._rows(scratch[i]), target
                )

        run(work, len(slices))
        del alive
        return out

    def switch(
        self,
        gadget: Gadget,
        x: Words,
        key: Words,
        quotient: Quotient,
        addend: Words | None,
        index: NDArray[np.int64] | None,
    ) -> Words:
        """See `composed.switch`."""
        folded = x.reshape(1, -1, *x.shape[-2:])
        work = self._digits(gadget, quotient, folded, None)
        given = {"x": self._operand(folded)[0], **self._addend(addend, x.shape[:-2])}
        return self._switched(gadget, quotient, key, x.shape[:-2], given, work, index)

    def switch_digits(
        self,
        gadget: Gadget,
        digits: Words,
        key: Words,
        quotient: Quotient,
        addend: Words | None,
        index: NDArray[np.int64] | None,
    ) -> Words:
        """See `composed.switch_digits`."""
        batch = digits.shape[1:-2]
        folded = digits.reshape(len(digits), -1, *digits.shape[-2:])
        given = {"digits": self._operand(folded)[0], **self._addend(addend, batch)}
        return self._switched(gadget, quotient, key, batch, given, None, index)

    def switch_product(self, gadget: Gadget, x: Words, y: Words, key: Words, quotient: Quotient) -> Words:
        """See `composed.switch_product`."""
        batch = np.broadcast_shapes(x.shape[1:-2], y.shape[1:-2])
        left, right = (_spread(a, batch) for a in (x, y))
        work = self._digits(gadget, quotient, left[1:], right[1:])
        given = {
            "x": self._operand(left[1:])[0],
            "factor": self._operand(right[1:])[0],
            "left": self._operand(left)[0],
            "right": self._operand(right)[0],
        }
        return self._switched(gadget, quotient, key, batch, given, work, None)

    # ---- the steps -----------------------------------------------------------------------------------------------

    def _digits(self, gadget: Gadget, quotient: Quotient, x: Words, factor: Words | None) -> Words:
        """Each digit of x (1, B, l, N), or of x factor, prepared for lifting: (B, l + digits, N)."""
        table, k, n = self._gadget(gadget, quotient), gadget.special, gadget.plan.n
        batch = x.shape[1]
        work = empty((batch, len(gadget.kept) + len(gadget), self._apart(n)))
        bounds = list(pairwise(gadget.bounds))

        def one(s: slice) -> None:
            for digit in range(s.start, s.stop):
                first, last = bounds[digit]
                self._lib.ckks_split(
                    table.struct.form,
                    table.struct.c[digit],
                    table.struct.m + first,
                    1,
                    batch,
                    self._operand(x[:, :, first - k : last - k]),
                    self._none if factor is None else self._operand(factor[:, :, first - k : last - k]),
                    self._rows(work[0, first - k + digit]),
                    0,
                    work.strides[0] >> 3,
                )

        run(one, len(gadget))
        return work

    def _switched(
        self,
        gadget: Gadget,
        quotient: Quotient,
        key: Words,
        batch: tuple[int, ...],
        given: dict[str, Any],
        work: Words | None,
        index: NDArray[np.int64] | None,
    ) -> Words:
        table, n = self._gadget(gadget, quotient), gadget.plan.n
        entries = int(np.prod(batch, dtype=np.int64))
        first, end = quotient.first, len(gadget.plan) - quotient.last
        what = self._ffi.new("switching *", given)
        # The key's digits take the batch axis of an operand.
        what.key = self._operand(key.swapaxes(0, 1))[0]
        what.weights = table.weights
        if work is not None:
            what.work, what.work_batch = self._rows(work), work.strides[0] >> 3

        def sums(ranges: list[tuple[int, int, Words]], division: Any) -> None:
            """Limbs [start, stop) of the joint basis to arrays (2, B, stop - start, N), split between threads."""
            todo = [(a + s.start, a + s.stop, out, s) for a, b, out in ranges for s in split(b - a)]
            scratch = empty((len(split(len(todo))), 4, self._apart(n)))
            share = split(len(todo))

            def some(s: slice) -> None:
                for turn in range(s.start, s.stop):
                    for start, stop, out, limbs in todo[share[turn]]:
                        target = self._result(out if division else out[:, :, limbs])
                        self._lib.ckks_switch(
                            table.struct, what, start, stop, entries, self._rows(scratch[turn]), division, target
                        )

            run(some, len(share))

        dropped = empty((2, entries, first + quotient.last, n))
        ranges = [(0, first, dropped[:, :, :first])] if first else []
        if quotient.last:
            ranges.append((end, len(gadget.plan), dropped[:, :, first:]))
        sums(ranges, self._ffi.NULL)
        _, _, moduli, weights = self._quotient(quotient)
        division, alive = self._division(table.struct.form, quotient, moduli, weights, dropped, index)
        out = empty((entries, 2, end - first, n))
        by_part = out.swapaxes(0, 1)
        sums([(first, end, by_part)], division)
        del alive
        return np.moveaxis(out.reshape(*batch, 2, end - first, n), -3, 0)

    def _division(
        self,
        form: int,
        quotient: Quotient,
        moduli: Limbs,
        weights: Any,
        dropped: Words,
        index: NDArray[np.int64] | None,
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return (the C struct, what must outlive it) for the values (parts, B, dropped limbs, N)."""
        parts, batch, count, n = dropped.shape
        conversion = self._conversion(quotient.lift)
        work = empty((parts, batch, count + 1, self._apart(n)))
        part, entry = work.strides[0] >> 3, work.strides[1] >> 3

        def one(s: slice) -> None:
            for i in range(s.start, s.stop):
                p, b = divmod(i, batch)
                self._lib.ckks_split(
                    form,
                    conversion,
                    moduli[0],
                    1,
                    1,
                    self._operand(dropped[p : p + 1, b : b + 1]),
                    self._none,
                    self._rows(work[p, b]),
                    0,
                    0,
                )

        run(one, parts * batch)
        places = self._ffi.NULL if index is None else self._in(index, index.shape, np.dtype(np.int64))[0]
        struct = self._ffi.new(
            "division *",
            {
                "c": conversion,
                "work": self._rows(work),
                "part": part,
                "batch": entry,
                "weights": weights,
                "first": quotient.first,
                "index": places,
            },
        )
        return struct, (work, index, conversion, places)

    # ---- arrays and tables ---------------------------------------------------------------------------------------

    def _addend(self, addend: Words | None, batch: tuple[int, ...]) -> dict[str, Any]:
        if addend is None:
            return {}
        return {"addend": self._operand(_spread(addend, batch))[0], "addend_parts": len(addend)}

    def _operand(self, x: Words) -> Any:
        """The struct of a (parts, B, limbs, N) array, which must outlive it."""
        return self._ffi.new("operand *", self._in(x, x.shape))

    def _result(self, x: Words) -> Any:
        return self._ffi.new("result *", self._in(x, x.shape))

    def _rows(self, x: Words) -> Any:
        return self._in(x, x.shape)[0]

    def _make_gadget(self, gadget: Gadget, quotient: Quotient) -> _Table:
        array, tables = self._limbs(gadget.plan)
        lifts = [self._conversion(lift) for lift in gadget.lifts]
        conversions = self._ffi.new("conversion *[]", lifts)
        everything = self._ffi.new("conversion *[]", [*lifts, self._conversion(quotient.lift)])
        bounds = self._ffi.new("size_t[]", gadget.bounds)
        struct = self._ffi.new(
            "gadget *",
            {
                "form": self._lib.ckks_lift_form(len(gadget.plan), array, len(lifts) + 1, everything),
                "m": array,
                "limbs": len(gadget.plan),
                "special": gadget.special,
                "digits": len(gadget),
                "bounds": bounds,
                "c": conversions,
            },
        )
        weights = self._ffi.new("uint64_t[]", gadget.weights.tolist())
        return _Table(struct, weights, (array, tables, lifts, conversions, bounds))

    def _make_quotient(self, quotient: Quotient) -> tuple[int, Limbs, Limbs, Any]:
        """Return (form, tables of all limbs, tables of the dropped ones, weights)."""
        plan, end = quotient.plan, len(quotient.plan) - quotient.last
        array, tables = self._limbs(plan)
        dropped = tables[: quotient.first] + tables[end:]
        conversions = self._ffi.new("conversion *[]", [self._conversion(quotient.lift)])
        form = self._lib.ckks_lift_form(len(plan), array, 1, conversions)
        weights = self._ffi.new("uint64_t[]", quotient.weights.tolist())
        return form, (array, tables), (self._ffi.new("modulus *[]", dropped), dropped), weights


class _Table:
    """A C struct with what it points to."""

    __slots__ = ("alive", "struct", "weights")

    def __init__(self, struct: Any, weights: Any, alive: tuple[Any, ...]) -> None:
        self.struct, self.weights, self.alive = struct, weights, alive


def _spread(x: Words, batch: tuple[int, ...]) -> Words:
    """(parts, ..., limbs, N) to (parts, B, limbs, N), broadcast over the batch."""
    shape = (len(x), *batch, *x.shape[-2:])
    if x.shape != shape:
        missing = len(shape) - x.ndim
        x = np.broadcast_to(x[(slice(None), *(None,) * missing)], shape)
    return x.reshape(len(x), -1, *x.shape[-2:]) if x.ndim != 4 else x
