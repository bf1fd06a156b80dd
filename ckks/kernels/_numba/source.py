"""The object that `ckks.kernels` calls: addresses and strides out of arrays, one compiled call each."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numpy.typing import NDArray

from ckks.kernels._numba import permute, pointwise, sums, transforms
from ckks.kernels._numba.cache import cache_folder
from ckks.kernels._numba.constants import Table, prime_table
from ckks.kernels._numba.convert import conversion_table
from ckks.kernels._numba.convert import convert as _convert
from ckks.kernels._numba.twiddles import plan_table
from ckks.kernels.interface import FAST_LIMIT, Conversion, Plan, Words, make_conversion, make_plan


class NumbaKernels:
    """See `Kernels`.

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

    def ntt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.ntt`."""
        rows = plan_table(plan, self.fast_limit)
        transforms.ntt(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(out))

    def intt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.intt`."""
        rows = plan_table(plan, self.fast_limit)
        transforms.intt(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(out))

    def add(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.add`."""
        rows = self._rows(plan)
        pointwise.add(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(y), *_memory(out))

    def sub(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.sub`."""
        rows = self._rows(plan)
        pointwise.sub(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(y), *_memory(out))

    def neg(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.neg`."""
        rows = self._rows(plan)
        pointwise.neg(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(out))

    def mul(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul`."""
        rows = self._rows(plan)
        pointwise.mul(rows.address, len(plan), len(out), plan.n, *_memory(x), *_memory(y), *_memory(out))

    def mul_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.mul_scalar`."""
        rows = self._rows(plan)
        head = rows.address, len(plan), len(out), plan.n
        pointwise.mul_scalar(*head, *_memory(x), *_memory(w), *_memory(out))

    def mul_scalar_add(self, plan: Plan, x: Words, w: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul_scalar_add`."""
        rows = self._rows(plan)
        head = rows.address, len(plan), len(out), plan.n
        pointwise.mul_scalar_add(*head, *_memory(x), *_memory(w), *_memory(y), *_memory(out))

    def sub_mul_scalar(self, plan: Plan, x: Words, y: Words, w: Words, out: Words) -> None:
        """See `Kernels.sub_mul_scalar`."""
        rows = self._rows(plan)
        head = rows.address, len(plan), len(out), plan.n
        pointwise.sub_mul_scalar(*head, *_memory(x), *_memory(y), *_memory(w), *_memory(out))

    def dot(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.dot`."""
        scratch = np.empty(sums.TILE, dtype=np.uint64)
        rows = self._rows(plan)
        head = rows.address, len(plan), len(x), len(out), plan.n
        sums.dot(*head, *_memory(x), *_memory(y), *_memory(out), _address(scratch))

    def weighted_sum(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.weighted_sum`."""
        scratch = np.empty(sums.TILE, dtype=np.uint64)
        rows = self._rows(plan)
        head = rows.address, len(plan), len(x), len(out), plan.n
        address, w_k, w_l = _address(w), *w.strides
        sums.weighted_sum(*head, *_memory(x), address, w_k, w_l, *_memory(out), _address(scratch))

    def convert(self, table: Conversion, x: Words, out: Words) -> None:
        """See `Kernels.convert`."""
        constants = conversion_table(table, self.fast_limit)
        a, b = len(table.source), len(table.target)
        scratch = np.empty(constants.tile * (a + 2), dtype=np.uint64)
        _convert(
            constants.real,
            constants.centred,
            constants.source_rows.address,
            constants.sources.address,
            a,
            constants.target_rows.address,
            constants.weights.address,
            b,
            constants.tile,
            len(out),
            out.shape[2],
            *_memory(x),
            *_memory(out),
            _address(scratch),
        )

    def gather(self, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather`."""
        batch, limbs, n = out.shape
        source, target = _memory(x), _memory(out)
        scratch = _scratch_in_place(n, source, target)
        permute.gather(limbs, batch, n, *source, _address(index), *target, 0 if scratch is None else _address(scratch))

    def gather_signed(self, plan: Plan, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather_signed`."""
        source, target = _memory(x), _memory(out)
        scratch = _scratch_in_place(plan.n, source, target)
        rows = self._rows(plan)
        head = rows.address, len(plan), len(out), plan.n
        permute.gather_signed(*head, *source, _address(index), *target, 0 if scratch is None else _address(scratch))

    def signed(self, plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None, out: Words) -> None:
        """See `Kernels.signed`."""
        above = (0, 0) if high is None else (_address(high), high.strides[0])
        rows = self._rows(plan)
        head = rows.address, len(plan), len(out), plan.n
        permute.signed(*head, _address(low), low.strides[0], *above, *_memory(out))

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
        self.mul_scalar(plan, x, w, x)
        self.mul_scalar_add(plan, x, w, x, x)
        self.sub_mul_scalar(plan, x, x, w, x)
        self.dot(plan, x[None], x[None], x.copy())
        self.weighted_sum(plan, x[None], w[None], x.copy())
        self.convert(table, x[:, :1], x[:, 1:])
        self.gather(x, index, x)
        self.gather_signed(plan, x, index, x)
        self.signed(plan, low, None, x)

    def _rows(self, plan: Plan) -> Table:
        """Return the constants of the limbs; the caller holds on to them, since the cache may drop them meanwhile."""
        return prime_table(plan.moduli, self.fast_limit)


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


def _memory(x: NDArray[Any]) -> tuple[int, ...]:
    """Return the address of an array and its strides in bytes; of several axes, not the last, which is contiguous."""
    strides = x.strides
    return (_address(x), *(strides if len(strides) == 1 else strides[:-1]))


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
