"""The object that `ckks.kernels` calls: addresses and strides out of arrays, one compiled call each."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numpy.typing import NDArray

from ckks.kernels._numba import convert, packing, permute, pointwise, sampling, sums, transforms
from ckks.kernels._numba.cache import cache_folder
from ckks.kernels._numba.constants import plan_table
from ckks.kernels._numba.twiddles import ntt_table
from ckks.kernels.interface import FAST_LIMIT, Conversion, Plan, Words, make_conversion, make_plan, row_bytes

_UNSIGNED, _SIGNED = np.dtype(np.uint64), np.dtype(np.int64)
_REAL, _BYTE, _SMALL = np.dtype(np.float64), np.dtype(np.uint8), np.dtype(np.int8)


class NumbaKernels:
    """See `Kernels`.

    Arrays that break the contract raise ValueError (shape, strides, read-only result) or TypeError (word type).
    Values outside [0, q), or indices outside the ring, are not looked for: they give wrong words, never a wild read.

    Args:
        fast_limit: primes below this run on float64 lanes, others on 128-bit integers. The default is 2^50 where
            the CPU has fused multiply-add, 0 elsewhere (LLVM would call a slow library function for each).
    """

    name = "numba"
    smallest_n = 8

    def __init__(self, fast_limit: int | None = None) -> None:
        """Compile nothing yet: every kernel is compiled, or read from the cache, on its first call."""
        self.fast_limit = (FAST_LIMIT if has_fma() else 0) if fast_limit is None else fast_limit

    def describe(self) -> dict[str, Any]:
        """Return facts for the doctor."""
        features = llvmlite.binding.get_host_cpu_features()
        return {
            "variant": "float64-fma" if self.fast_limit else "integer",
            "variants": ["float64-fma", "integer"] if has_fma() else ["integer"],
            "numba": numba.__version__,
            "cpu": llvmlite.binding.get_host_cpu_name(),
            "features": [name for name in ("fma", "avx2", "bmi2", "avx512f", "neon") if features.get(name)],
            "cache": str(cache_folder() or "not kept on disk"),
        }

    # Tables stay in a local variable until the call is over, since the caches may drop them meanwhile.

    def ntt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.ntt`."""
        self._transform(transforms.ntt, plan, x, out)

    def intt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.intt`."""
        self._transform(transforms.intt, plan, x, out)

    def _transform(self, kernel: Callable[..., None], plan: Plan, x: Words, out: Words) -> None:
        batch, limbs, n = shape = _shape(plan, out)
        table = ntt_table(plan, self.fast_limit)
        kernel(table.address, limbs, batch, n, *_in(x, shape), *_out(out))

    def neg(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.neg`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        pointwise.neg(table.address, limbs, batch, n, *_in(x, shape), *_out(out))

    def add(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.add`."""
        self._binary(pointwise.add, plan, x, y, out)

    def sub(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.sub`."""
        self._binary(pointwise.sub, plan, x, y, out)

    def mul(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul`."""
        self._binary(pointwise.mul, plan, x, y, out)

    def _binary(self, kernel: Callable[..., None], plan: Plan, x: Words, y: Words, out: Words) -> None:
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        kernel(table.address, limbs, batch, n, *_in(x, shape), *_in(y, shape), *_out(out))

    def add_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.add_scalar`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        scalars = _scalars(w, (limbs,))
        pointwise.add_scalar(table.address, limbs, batch, n, *_in(x, shape), *scalars, *_out(out))

    def mul_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.mul_scalar`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        scalars = _scalars(w, (limbs,))
        pointwise.mul_scalar(table.address, limbs, batch, n, *_in(x, shape), *scalars, *_out(out))

    def mul_scalar_add(self, plan: Plan, x: Words, w: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul_scalar_add`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        operands = *_in(x, shape), *_scalars(w, (limbs,)), *_in(y, shape)
        pointwise.mul_scalar_add(table.address, limbs, batch, n, *operands, *_out(out))

    def sub_mul_scalar(self, plan: Plan, x: Words, y: Words, w: Words, out: Words) -> None:
        """See `Kernels.sub_mul_scalar`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        operands = *_in(x, shape), *_in(y, shape), *_scalars(w, (limbs,))
        pointwise.sub_mul_scalar(table.address, limbs, batch, n, *operands, *_out(out))

    def dot(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.dot`."""
        batch, limbs, n = shape = _shape(plan, out)
        terms = _terms(x)
        table, scratch = plan_table(plan, self.fast_limit), np.empty(sums.TILE, dtype=np.uint64)
        operands = *_in(x, (terms, *shape)), *_in(y, (terms, *shape)), *_out(out)
        sums.dot(table.address, limbs, terms, batch, n, *operands, _address(scratch))

    def weighted_sum(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.weighted_sum`."""
        batch, limbs, n = shape = _shape(plan, out)
        terms = _terms(x)
        table, scratch = plan_table(plan, self.fast_limit), np.empty(sums.TILE, dtype=np.uint64)
        operands = *_in(x, (terms, *shape)), *_scalars(w, (terms, limbs)), *_out(out)
        sums.weighted_sum(table.address, limbs, terms, batch, n, *operands, _address(scratch))

    def convert(self, table: Conversion, x: Words, out: Words) -> None:
        """See `Kernels.convert`; rows may have any number of columns, not only that of a ring."""
        a, b = len(table.source), len(table.target)
        if out.ndim != 3 or out.shape[1] != b:
            raise ValueError(f"result of shape {out.shape}; needed (batch, {b}, N), a limb for each target prime")
        batch, _, n = out.shape
        operands = *_in(x, (batch, a, n)), *_out(out)
        if n % convert.STEP:  # lanes would run over the end
            padded = np.zeros((batch, max(a, b), n + -n % convert.STEP), dtype=np.uint64)
            padded[:, :a, :n] = x
            self.convert(table, padded[:, :a], padded[:, :b])
            out[...] = padded[:, :b, :n]
            return
        constants = convert.conversion_table(table, self.fast_limit)
        scratch = np.empty(constants.tile * (a + 2), dtype=np.uint64)
        head = constants.arguments
        convert.convert(*head, batch, n, *operands, _address(scratch))

    def gather(self, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather`."""
        batch, limbs, n = shape = out.shape
        if n & (n - 1) or n == 0:
            raise ValueError(f"rows of {n} words; needed a power of two")
        source, (places,), target = _in(x, shape), _in(index, (n,), _SIGNED), _out(out)
        scratch = _scratch_in_place(n, source, target)
        permute.gather(limbs, batch, n, *source, places, *target, 0 if scratch is None else _address(scratch))

    def gather_signed(self, plan: Plan, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather_signed`."""
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        source, (places,), target = _in(x, shape), _in(index, (n,), _SIGNED), _out(out)
        scratch = _scratch_in_place(n, source, target)
        operands = *source, places, *target, 0 if scratch is None else _address(scratch)
        permute.gather_signed(table.address, limbs, batch, n, *operands)

    def signed(self, plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None, out: Words) -> None:
        """See `Kernels.signed`."""
        batch, limbs, n = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        above = (0, 0) if high is None else _in(high, (batch, n), _SIGNED)
        permute.signed(table.address, limbs, batch, n, *_in(low, (batch, n), _SIGNED), *above, *_out(out))

    def mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """See `Kernels.mul_add`."""
        self._ternary(pointwise.mul_add, plan, x, y, z, out)

    def neg_mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """See `Kernels.neg_mul_add`."""
        self._ternary(pointwise.neg_mul_add, plan, x, y, z, out)

    def _ternary(self, kernel: Callable[..., None], plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        batch, limbs, n = shape = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        kernel(table.address, limbs, batch, n, *_in(x, shape), *_in(y, shape), *_in(z, shape), *_out(out))

    def take_below(self, q: int, x: Words, out: Words) -> int:
        """See `Kernels.take_below`."""
        source, target = _stream(x, _UNSIGNED), _stream(out, _UNSIGNED, written=True)
        return int(sampling.take_below(q, len(x), source, len(out), target))

    def take_ternary(self, x: NDArray[np.uint8], out: NDArray[np.int8]) -> int:
        """See `Kernels.take_ternary`."""
        source, target = _stream(x, _BYTE), _stream(out, _SMALL, written=True)
        return int(sampling.take_ternary(len(x), source, len(out), target))

    def binomial(self, x: Words, out: NDArray[np.int8]) -> None:
        """See `Kernels.binomial`."""
        if len(x) != len(out):
            raise ValueError(f"{len(out)} results for {len(x)} words; needed as many")
        sampling.binomial(len(x), _stream(x, _UNSIGNED), _stream(out, _SMALL, written=True))

    def small(self, plan: Plan, x: NDArray[np.int8], out: Words) -> None:
        """See `Kernels.small`."""
        batch, limbs, n = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        sampling.small(table.address, limbs, batch, n, *_plane(x, (batch, n), _SMALL), *_out(out))

    def rounded(self, plan: Plan, x: NDArray[np.float64], scale: float, out: Words) -> None:
        """See `Kernels.rounded`."""
        batch, limbs, n = _shape(plan, out)
        table, factor = plan_table(plan, self.fast_limit), np.array([scale])
        operands = *_plane(x, (batch, n), _REAL), _address(factor), *_out(out)
        sampling.rounded(table.address, limbs, batch, n, *operands)

    def pack(self, plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
        """See `Kernels.pack`."""
        batch, limbs, n = _shape(plan, x)
        table = plan_table(plan, self.fast_limit)
        target = _plane(out, (batch, sum(row_bytes(q, n) for q in plan.moduli)), _BYTE, written=True)
        packing.pack(table.address, limbs, batch, n, *_in(x, x.shape), *target)

    def unpack(self, plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
        """See `Kernels.unpack`; there is no padding, since rings have 8 words or more here."""
        batch, limbs, n = _shape(plan, out)
        table = plan_table(plan, self.fast_limit)
        source = _plane(x, (batch, sum(row_bytes(q, n) for q in plan.moduli)), _BYTE)
        return bool(packing.unpack(table.address, limbs, batch, n, *source, *_out(out)))

    def warmup(self) -> None:
        """Compile every kernel, or read it from the cache: one call of each on a tiny ring."""
        plan = make_plan(16, (97, 193))
        table = make_conversion((97,), (193,))
        x = np.zeros((1, 2, 16), dtype=np.uint64)
        w, index, low = x[0, :, 0].copy(), np.arange(16), np.zeros((1, 16), dtype=np.int64)
        for unary in (self.ntt, self.intt, self.neg):
            unary(plan, x, x)
        for binary in (self.add, self.sub, self.mul):
            binary(plan, x, x, x)
        self.add_scalar(plan, x, w, x)
        self.mul_scalar(plan, x, w, x)
        self.mul_scalar_add(plan, x, w, x, x)
        self.sub_mul_scalar(plan, x, x, w, x)
        self.dot(plan, x[None], x[None], x.copy())
        self.weighted_sum(plan, x[None], w[None], x.copy())
        self.convert(table, x[:, :1], x[:, 1:])
        self.gather(x, index, x)
        self.gather_signed(plan, x, index, x)
        self.signed(plan, low, None, x)
        self.mul_add(plan, x, x, x, x)
        self.neg_mul_add(plan, x, x, x, x)
        self.take_below(97, x[0, 0], x[0, 0].copy())
        tiny, bits = np.zeros((1, 16), dtype=np.int8), np.zeros((1, 2 * 7 + 2 * 8), dtype=np.uint8)
        self.take_ternary(bits[0], tiny[0])
        self.binomial(x[0, 0], tiny[0])
        self.small(plan, tiny, x)
        self.rounded(plan, np.zeros((1, 16)), 1.0, x)
        self.pack(plan, x, bits)
        self.unpack(plan, bits, x)


def has_fma() -> bool:
    """Tell whether compiled code may multiply and add with one rounding in one instruction (on all of ARMv8 it may).

    NUMBA_CPU_FEATURES, which numba compiles for where it is set, counts before the CPU itself.
    """
    if platform.machine().lower() in ("aarch64", "arm64"):
        return True
    if numba.config.CPU_FEATURES is not None:
        return "+fma" in numba.config.CPU_FEATURES.split(",")
    return bool(llvmlite.binding.get_host_cpu_features().get("fma", False))


def _scratch_in_place(n: int, source: tuple[int, ...], target: tuple[int, ...]) -> Words | None:
    """Return room for one row where a permutation would overwrite what it has yet to read."""
    return np.empty(n, dtype=np.uint64) if source[0] == target[0] else None


# ---- arrays to addresses ---------------------------------------------------------------------------------------


def _shape(plan: Plan, out: Words) -> tuple[int, int, int]:
    """Return (batch, limbs, n)."""
    shape = out.shape
    if len(shape) != 3 or shape[1] != len(plan.moduli) or shape[2] != plan.n:
        raise ValueError(f"result of shape {shape}; needed (batch, {len(plan.moduli)}, {plan.n})")
    return shape


def _terms(x: Words) -> int:
    """Return the length of the first axis, at least 1."""
    if len(x) == 0:
        raise ValueError("sum of no terms; needed at least one")
    return len(x)


def _in(x: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any] = _UNSIGNED) -> tuple[int, ...]:
    """Return the address of an array and the strides of its outer axes, in bytes."""
    # Identity first: comparing two dtype objects costs more than all else here.
    if x.dtype is not dtype and x.dtype != dtype:
        raise TypeError(f"array of {x.dtype}; needed {dtype}")
    if x.shape != shape:
        raise ValueError(f"operand of shape {x.shape}; needed {shape}")
    strides = x.strides
    if strides[-1] != 8 and shape[-1] > 1 and 0 not in shape:  # numpy fills in anything where nothing steps
        raise ValueError(f"array of strides {strides} bytes; needed a contiguous last axis")
    address = _address(x)
    if address & 7:
        raise ValueError(f"array at address {address:#x}; needed words on 8-byte boundaries")
    return (address, *strides[:-1])


def _out(x: Words) -> tuple[int, ...]:
    """Return what `_in` does of a result, whose shape has been checked."""
    if not x.flags.writeable:
        raise ValueError("the result array is read-only; needed one from kernels.empty")
    return _in(x, x.shape)


def _stream(x: NDArray[Any], dtype: np.dtype[Any], *, written: bool = False) -> int:
    """Return the address of a one-dimensional contiguous array."""
    if x.ndim != 1:
        raise ValueError(f"stream of shape {x.shape}; needed one axis")
    return _plane(x[None], (1, len(x)), dtype, written=written)[0]


def _plane(x: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], *, written: bool = False) -> tuple[int, int]:
    """Return the address of an array of two axes, the last one contiguous, and the stride of the first in bytes."""
    if x.dtype != dtype:
        raise TypeError(f"array of {x.dtype}; needed {dtype}")
    if x.shape != shape:
        raise ValueError(f"array of shape {x.shape}; needed {shape}")
    if written and not x.flags.writeable:
        raise ValueError("the result array is read-only")
    if x.size and not x[0].flags.c_contiguous:
        raise ValueError(f"array of strides {x.strides} bytes; needed a contiguous last axis")
    address = _address(x)
    if address % dtype.itemsize:
        raise ValueError(f"array at address {address:#x}; needed a multiple of {dtype.itemsize}")
    return address, x.strides[0]


def _scalars(w: Words, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the address and all strides of an array of scalars."""
    if w.dtype is not _UNSIGNED and w.dtype != _UNSIGNED:
        raise TypeError(f"scalars of {w.dtype}; needed {_UNSIGNED}")
    if w.shape != shape:
        raise ValueError(f"scalars of shape {w.shape}; needed {shape}")
    return (_address(w), *w.strides)


# An array's data pointer is the first field after the object header, a layout that the numpy ABI fixes. Reading it
# there takes a tenth of the time of the public ways, `ctypes.data` and `__array_interface__`, which at three arrays
# a call would cost more than all else on the way to the kernel. It is checked once, below, before it is trusted.
_HEADER = object.__basicsize__
_word_at = ctypes.c_size_t.from_address


def _address(x: NDArray[Any]) -> int:
    return _word_at(id(x) + _HEADER).value


def _address_by_interface(x: NDArray[Any]) -> int:
    return int(x.__array_interface__["data"][0])


_probe = np.arange(4, dtype=np.uint64)
if any(_address(view) != _address_by_interface(view) for view in (_probe, _probe[1:], _probe[None, ::2])):
    _address = _address_by_interface
