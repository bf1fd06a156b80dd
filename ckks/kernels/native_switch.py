"""Key switching and division on the compiled kernels: `composed`, one target modulus at a time (native/src/switch.c).

Everything in between lies in one array, the `space` of a job, whose layout is the C code's business.

C is told no sizes but those of the constants, so every shape is held to them before a pointer is passed. A struct
keeps nothing alive: the pointers in `given` do, each its array. Arrays are made by the calling thread only, since
`wiping` does not reach the helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ParameterError
from ckks.kernels.gadgets import Gadget, Quotient, make_quotient
from ckks.kernels.interface import Conversion, Plan, Words
from ckks.kernels.memory import empty
from ckks.kernels.threads import num_threads, run

Index = NDArray[np.int64]

_SIGNED, _NARROW = np.dtype(np.int64), np.dtype(np.int32)
_LIFT, _PRODUCT = 12, 3
"""How many sums a transform with what goes before and after it, and an addition of a product, are about as long as."""


class NativeSwitching:
    """The fused operations of `NativeKernels`, which has the tables and the way from arrays to pointers."""

    _ffi: Any
    _lib: Any
    _pointer: Any
    _limbs: Callable[[Plan], tuple[Any, list[Any]]]
    _conversion: Callable[[Conversion], Any]
    _in: Callable[..., tuple[Any, ...]]

    def _prepare_switching(self) -> None:
        self._gadget = lru_cache(maxsize=1024)(self._make_gadget)
        self._quotient = lru_cache(maxsize=1024)(self._make_quotient)
        self._job = self._ffi.typeof("job *")

    def decompose(self, gadget: Gadget, x: Words) -> Words:
        """See `composed.decompose`."""
        batch, threads = x.shape[:-2], _threads(gadget.plan)
        # Any quotient will do: nothing is divided.
        g, q = self._gadget(gadget, make_quotient(gadget.plan, gadget.special, 0))
        given = self._one(x, batch, gadget.kept)
        out = empty((len(gadget), prod(batch), *gadget.plan.shape))
        job = self._ffi.new(self._job, {"x": given, "out": self._in(out, None)})
        job.parts, job.batch, job.threads = 0, prod(batch), threads
        space = empty((self._lib.ckks_switch_space(g.struct, q.struct, job),))
        job.space = self._in(space, None)[0]
        self._share(g.struct, q.struct, job, self._lib.CKKS_DECOMPOSE, gadget.plan.n)
        return out.reshape(len(gadget), *batch, *gadget.plan.shape)

    def tensor(self, plan: Plan, x: Words, y: Words) -> Words:
        """See `composed.tensor`."""
        batch = x.shape[1:-2]
        if y.shape != x.shape:
            batch = np.broadcast_shapes(batch, y.shape[1:-2])
        u, v, count = _spread(x, batch), _spread(y, batch), prod(batch)
        if u.shape != v.shape or u.shape != (2, count, *plan.shape):
            raise ValueError(f"operands of shape {x.shape} and {y.shape}; needed (2, ..., {len(plan)}, {plan.n})")
        out = empty((count, 3, *plan.shape)).swapaxes(0, 1)

        def work(s: slice) -> None:
            left, right, to = (self._ffi.new(kind, self._in(a[:, :, s], None)) for kind, a in zip(kinds, arrays))
            self._lib.ckks_tensor(self._limbs(plan[s])[0], count, s.stop - s.start, left, right, to)

        kinds, arrays = ("operand *", "operand *", "result *"), (u, v, out)
        run(work, len(plan), 3 * out.size)
        return out[:, 0] if not batch else out.reshape(3, *batch, *plan.shape)

    def divide(self, quotient: Quotient, x: Words, index: Index | None = None) -> Words:
        """See `composed.divide`; x is (..., limbs, N)."""
        batch = x.shape[:-2]
        given = {"x": self._one(x, batch, quotient.plan)}
        result: Words = self._run(None, quotient, given, batch, 1, index)[0]
        return result

    def switch(
        self, gadget: Gadget, x: Words, key: Words, quotient: Quotient, addend: Words | None, index: Index | None
    ) -> Words:
        """See `composed.switch`."""
        batch = x.shape[:-2]
        given = {"x": self._one(x, batch, gadget.kept), **self._key_and_addend(gadget, key, addend, batch)}
        return self._run(gadget, quotient, given, batch, 2, index)

    def switch_digits(
        self, gadget: Gadget, digits: Words, key: Words, quotient: Quotient, addend: Words | None, index: Index | None
    ) -> Words:
        """See `composed.switch_digits`."""
        batch = digits.shape[1:-2]
        given = {"digits": self._digits(gadget, digits), **self._key_and_addend(gadget, key, addend, batch)}
        return self._run(gadget, quotient, given, batch, 2, index)

    def switch_sum(
        self,
        gadget: Gadget,
        x: Words,
        digits: Words,
        keys: Sequence[Words | None],
        quotient: Quotient,
        indices: Sequence[Index | None],
        factors: Sequence[Words | None],
    ) -> Words:
        """See `composed.switch_sum`."""
        if not 1 <= len(keys) == len(indices) == len(factors):
            raise ValueError(f"{len(keys)} keys, {len(indices)} indices, {len(factors)} factors; needed one of each")
        batch = digits.shape[1:-2]
        parts = self._in(_spread(x, batch), (2, prod(batch), *gadget.kept.shape))
        given = {"digits": self._digits(gadget, digits), "addend": parts, "addend_parts": 1}
        given["x"] = (parts[0] + parts[1], *parts[1:])
        given["terms"] = len(keys)
        by_term = [(self._ffi.NULL, 0, 0, 0) if key is None else self._key(gadget, key) for key in keys]
        shape = (1, prod(batch), *gadget.plan.shape)
        spread = [None if f is None else _spread(f[None], batch) for f in factors]
        by_factor = [(self._ffi.NULL, 0, 0, 0) if f is None else self._in(f, shape) for f in spread]
        by_index = [self._ffi.NULL if i is None else self._in(i, (gadget.plan.n,), _SIGNED)[0] for i in indices]
        given["keys"] = self._ffi.new("operand[]", by_term)
        given["factors"] = self._ffi.new("operand[]", by_factor)
        given["indices"] = self._ffi.new("int64_t *[]", by_index)
        alive = by_term, by_factor, by_index, spread
        result = self._run(gadget, quotient, given, batch, 2, None)
        del alive
        return result

    def switch_product(self, gadget: Gadget, x: Words, y: Words, key: Words, quotient: Quotient) -> Words:
        """See `composed.switch_product`."""
        batch = x.shape[1:-2]
        if y.shape != x.shape:
            batch = np.broadcast_shapes(batch, y.shape[1:-2])
        shape = (2, prod(batch), *gadget.kept.shape)
        left, right = self._in(_spread(x, batch), shape), self._in(_spread(y, batch), shape)
        given = {
            "x": (left[0] + left[1], *left[1:]),  # the second parts, whose product is switched
            "factor": (right[0] + right[1], *right[1:]),
            "left": left,
            "right": right,
            **self._key_and_addend(gadget, key, None, batch),
        }
        return self._run(gadget, quotient, given, batch, 2, None)

    def lift_terms(
        self,
        gadget: Gadget,
        x: Words,
        digits: Words,
        keys: Sequence[Words | None],
        indices: Sequence[Index | None],
    ) -> Words:
        """See `composed.lift_terms`."""
        if not 1 <= len(keys) == len(indices):
            raise ValueError(f"{len(keys)} keys, {len(indices)} indices; needed one of each")
        batch = digits.shape[1:-2]
        parts = self._in(_spread(x, batch), (2, prod(batch), *gadget.kept.shape))
        given = {"digits": self._digits(gadget, digits), "addend": parts, "addend_parts": 1}
        given["x"] = (parts[0] + parts[1], *parts[1:])
        return self._lift(gadget, given, batch, keys, indices)

    def lift_switch(self, gadget: Gadget, x: Words, key: Words, joint: Words, index: Index) -> Words:
        """See `composed.lift_switch`."""
        batch = x.shape[:-2]
        given = {"x": self._one(x, batch, gadget.kept), "joint": self._one(joint, batch, gadget.plan)}
        result: Words = self._lift(gadget, given, batch, [key], [index])[0]
        return result

    def _lift(
        self,
        gadget: Gadget,
        given: dict[str, Any],
        batch: tuple[int, ...],
        keys: Sequence[Words | None],
        indices: Sequence[Index | None],
    ) -> Words:
        """The terms of a job undivided, (T, 2, ..., k + l, N)."""
        threads, null = _threads(gadget.plan), self._ffi.NULL
        # Any quotient will do: nothing is divided.
        g, q = self._gadget(gadget, make_quotient(gadget.plan, gadget.special, 0))
        by_term = [(null, 0, 0, 0) if key is None else self._key(gadget, key) for key in keys]
        by_index = [null if i is None else self._in(i, (gadget.plan.n,), _SIGNED)[0] for i in indices]
        out = empty((2 * len(keys), prod(batch), *gadget.plan.shape))
        given["keys"] = self._ffi.new("operand[]", by_term)
        given["indices"] = self._ffi.new("int64_t *[]", by_index)
        given["out"] = self._in(out, None)
        job = self._ffi.new(self._job, given)
        job.terms, job.parts, job.batch, job.threads = len(keys), 0, prod(batch), threads
        space = empty((self._lib.ckks_switch_space(g.struct, q.struct, job),))
        job.space = self._in(space, None)[0]
        self._share(g.struct, q.struct, job, self._lib.CKKS_LIFT, gadget.plan.n)
        return out.reshape(len(keys), 2, *batch, *gadget.plan.shape)

    def combine(self, plan: Plan, x: Words, y: Words) -> Words:
        """See `composed.combine`."""
        terms, outputs, batch = len(x), len(y), prod(x.shape[1:-2])
        if x.ndim < 3 or x.shape[-2:] != plan.shape or not 1 <= terms <= 1024:
            raise ValueError(f"terms of shape {x.shape}; needed (K, ..., {len(plan)}, {plan.n}), 1 <= K <= 1024")
        if y.ndim != 4 or y.shape[1:3] != (terms, len(plan)) or not y.shape[3] or plan.n % y.shape[3]:
            raise ValueError(
                f"factors of shape {y.shape}; needed (M, {terms}, {len(plan)}, n), n a divisor of {plan.n}"
            )
        u, repeat = _entries(x), plan.n // y.shape[3]
        out = empty((outputs, batch, *plan.shape))
        size = self._lib.ckks_combine_space(terms)
        spaces = empty((len(plan), -(-size // 8) * 8))  # one for each slice, however many there will be

        def work(s: slice) -> None:
            self._lib.ckks_combine(
                self._limbs(plan[s])[0],
                outputs,
                terms,
                batch,
                s.stop - s.start,
                *self._in(u[:, :, s], None),
                repeat,
                *self._in(y[:, :, s], None),
                *self._in(out[:, :, s], None),
                self._in(spaces[s.start], None)[0],
            )

        if out.size:
            run(work, len(plan), terms * out.size)
        return out.reshape(outputs, *x.shape[1:])

    def small_products(self, plan: Plan, x: Words, y: NDArray[np.signedinteger[Any]], total: Words | None) -> Words:
        """See `composed.small_products`; integers of up to four bytes."""
        terms, outputs = len(x), len(y)
        if x.shape != (terms, 2, *plan.shape) or not 1 <= terms <= 1024:
            raise ValueError(f"terms of shape {x.shape}; needed (K, 2, {len(plan)}, {plan.n}), 1 <= K <= 1024")
        if y.shape != (outputs, terms, plan.n) or y.dtype.kind != "i" or y.itemsize > 4:
            raise ValueError(
                f"integers of shape {y.shape} and type {y.dtype}; needed signed ones of up to four bytes, "
                f"(M, {terms}, {plan.n})"
            )
        out = empty((outputs, *x.shape[1:])) if total is None else total
        if out.shape != (outputs, *x.shape[1:]) or not out.flags.writeable:
            raise ValueError(f"total of shape {out.shape}; needed {(outputs, *x.shape[1:])}, writeable")
        integers = (
            y if y.dtype == _NARROW and y.strides[2] == 4 and y.flags.aligned else np.ascontiguousarray(y, _NARROW)
        )
        if not plan.has_roots:
            raise ParameterError("this plan has no NTT roots; make one with make_plan to transform")
        spaces = empty((len(plan), -(-self._lib.ckks_small_space(plan.n) // 8) * 8))
        row = integers[:1, :1].reshape(-1)  # contiguous, and starts where the array does
        pointer, apart = self._pointer(self._ffi.typeof("int32_t *"), row), [s >> 2 for s in integers.strides[:2]]

        def work(s: slice) -> None:
            source, to = x[:, :, s].swapaxes(0, 1), out[:, :, s].swapaxes(0, 1)
            self._lib.ckks_small_products(
                self._limbs(plan[s])[0],
                outputs,
                terms,
                s.stop - s.start,
                self._ffi.new("operand *", self._in(source, None)),
                pointer,
                *apart,
                total is not None,
                self._ffi.new("result *", self._in(to, None)),
                self._in(spaces[s.start], None)[0],
            )

        if out.size:
            run(work, len(plan), terms * out.size)
        return out

    def _one(self, x: Words, batch: tuple[int, ...], plan: Plan) -> tuple[Any, ...]:
        """An operand of one part."""
        return self._in(_entries(x[None]), (1, prod(batch), *plan.shape))

    def _digits(self, gadget: Gadget, digits: Words) -> tuple[Any, ...]:
        return self._in(_entries(digits), (len(gadget), prod(digits.shape[1:-2]), *gadget.plan.shape))

    def _key_and_addend(
        self, gadget: Gadget, key: Words, addend: Words | None, batch: tuple[int, ...]
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"keys": self._ffi.new("operand *", self._key(gadget, key))}
        if addend is not None:
            parts = 2 if len(addend) == 2 else 1
            given["addend"] = self._in(_spread(addend, batch), (parts, prod(batch), *gadget.kept.shape))
            given["addend_parts"] = parts
        return given

    def _key(self, gadget: Gadget, key: Words) -> tuple[Any, ...]:
        """An operand whose batch axis runs over the digits."""
        pointer, digit, part, limb = self._in(key, (len(gadget), 2, *gadget.plan.shape))
        return pointer, part, digit, limb

    def _run(
        self,
        gadget: Gadget | None,
        quotient: Quotient,
        given: dict[str, Any],
        batch: tuple[int, ...],
        parts: int,
        index: Index | None,
    ) -> Words:
        """Return the result, (parts, *batch, kept limbs, N)."""
        lib, n = self._lib, quotient.plan.n
        g, q = (None, self._quotient(quotient)) if gadget is None else self._gadget(gadget, quotient)
        g = self._ffi.NULL if g is None else g.struct
        entries, kept, threads = prod(batch), len(quotient.weights), _threads(quotient.plan)
        out = empty((entries, parts, kept, n))
        pointer, entry, part, limb = self._in(out, None)
        job = self._ffi.new(self._job, given)
        job.out = (pointer, part, entry, limb)
        job.parts, job.batch, job.threads = parts, entries, threads
        if index is not None:
            job.index = self._in(index, (n,), _SIGNED)[0]
        space = empty((lib.ckks_switch_space(g, q.struct, job),))
        job.space = self._in(space, None)[0]
        self._share(g, q.struct, job, lib.CKKS_SWITCH, n)
        return out[0] if not batch else np.moveaxis(out.reshape(*batch, parts, kept, n), -3, 0)

    def _share(self, g: Any, q: Any, job: Any, what: int, n: int) -> None:
        """Do a job, by as many threads as its space has scratch for at most, whatever `num_threads` is by now."""
        if job.threads == 1:
            (self._lib.ckks_switch, self._lib.ckks_decompose, self._lib.ckks_lift)[what](g, q, job)
            return
        progress = self._ffi.new("uint64_t[]", self._lib.CKKS_PROGRESS)

        def work(turns: slice) -> None:
            for turn in range(turns.start, turns.stop):
                self._lib.ckks_share(g, q, job, what, progress, turn)

        run(work, job.threads, self._weight(g, q, job, what, n))

    def _weight(self, g: Any, q: Any, job: Any, what: int, n: int) -> int:
        """About how many sums of words a job takes, for `threads.run`."""
        limbs, rows = q.limbs, 0
        if g != self._ffi.NULL:
            kept, lifted = g.limbs - g.special, g.digits * limbs
            if job.digits.data == self._ffi.NULL:
                rows += _LIFT * (kept + max(1, job.terms) * (lifted - kept))
            else:
                rows += _PRODUCT * max(1, job.terms) * lifted
        if what == self._lib.CKKS_SWITCH:
            rows += _LIFT * job.parts * limbs
        return int(rows * job.batch * n)

    # ---- tables --------------------------------------------------------------------------------------------------

    def _make_gadget(self, gadget: Gadget, quotient: Quotient) -> tuple[_Struct, _Struct]:
        if quotient.plan != gadget.plan:
            raise ValueError("the quotient is not over the joint basis of the gadget")
        ffi, divided = self._ffi, self._quotient(quotient)
        array, tables = self._limbs(gadget.plan)
        lifts = [self._conversion(lift) for lift in gadget.lifts]
        conversions = ffi.new("conversion *[]", lifts)
        everything = ffi.new("conversion *[]", [*lifts, self._conversion(quotient.lift)])
        bounds = ffi.new("size_t[]", gadget.bounds)
        weights = ffi.new("uint64_t[]", gadget.weights.tolist())
        struct = ffi.new(
            "gadget *",
            {
                "form": self._lib.ckks_lift_form(len(gadget.plan), array, len(lifts) + 1, everything),
                "m": array,
                "limbs": len(gadget.plan),
                "special": gadget.special,
                "digits": len(gadget),
                "bounds": bounds,
                "c": conversions,
                "weights": weights,
            },
        )
        return _Struct(struct, (array, tables, lifts, conversions, bounds, weights)), divided

    def _make_quotient(self, quotient: Quotient) -> _Struct:
        ffi, plan, end = self._ffi, quotient.plan, len(quotient.plan) - quotient.last
        if not plan.has_roots:
            raise ParameterError("this plan has no NTT roots; make one with make_plan to transform")
        array, tables = self._limbs(plan)
        conversion = self._conversion(quotient.lift)
        dropped = ffi.new("modulus *[]", tables[: quotient.first] + tables[end:])
        weights = ffi.new("uint64_t[]", quotient.weights.tolist())
        struct = ffi.new(
            "quotient *",
            {
                "form": self._lib.ckks_lift_form(len(plan), array, 1, ffi.new("conversion *[]", [conversion])),
                "m": array,
                "limbs": len(plan),
                "first": quotient.first,
                "last": quotient.last,
                "dropped": dropped,
                "c": conversion,
                "weights": weights,
            },
        )
        return _Struct(struct, (array, tables, conversion, dropped, weights))


def _threads(plan: Plan) -> int:
    """How many threads may share a job over a joint basis: one for each limb; more would wait, at full speed."""
    return min(num_threads(), len(plan))


class _Struct:
    """A C struct with what it points to."""

    __slots__ = ("alive", "struct")

    def __init__(self, struct: Any, alive: tuple[Any, ...]) -> None:
        self.struct, self.alive = struct, alive


def _entries(x: Words) -> Words:
    """(parts, ..., limbs, N) to (parts, B, limbs, N); a view wherever strides allow."""
    return x if x.ndim == 4 else x.reshape(len(x), prod(x.shape[1:-2]), *x.shape[-2:])


def _spread(x: Words, batch: tuple[int, ...]) -> Words:
    """(parts, ..., limbs, N) to (parts, B, limbs, N), broadcast over the batch."""
    shape = (len(x), *batch, *x.shape[-2:])
    if x.shape != shape:
        missing = len(shape) - x.ndim
        x = np.broadcast_to(x[(slice(None), *(None,) * missing)], shape)
    return _entries(x)
