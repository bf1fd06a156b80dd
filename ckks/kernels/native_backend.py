"""The compiled kernels behind the `Kernels` protocol: check the arrays, then one C call, which releases the GIL.

`load(variant)` gives one of the variants that native/src/dispatch.c knows: `portable`, `avx2`, `ifma`. Which row
kernels serve a limb also depends on its modulus; that is settled when the limb's table is built. Tables are cached
by (n, modulus, root), so plans that share primes share them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BackendError, ParameterError
from ckks.kernels.interface import Conversion, Plan, Words, row_bytes
from ckks.kernels.native_switch import NativeSwitching

Shape = tuple[int, ...]
_UNSIGNED, _SIGNED = np.dtype(np.uint64), np.dtype(np.int64)
_REAL, _BYTE, _SMALL = np.dtype(np.float64), np.dtype(np.uint8), np.dtype(np.int8)


def load(variant: str | None = None) -> NativeKernels:
    """Return the kernels of one variant: "portable", "avx2", "ifma", or the best that runs here for None.

    Raises:
        BackendError: nothing was compiled, the variant is unknown, or this CPU lacks its features.
    """
    module = _module()
    names, runnable = _variants(module.lib, module.ffi)
    if variant is None:
        variant = runnable[-1]
    if variant not in names:
        raise BackendError(
            f"native variant {variant!r} is not one of {', '.join(names)}; "
            "set CKKS_BACKEND to native (the best here) or to native- and one of these"
        )
    if variant not in runnable:
        found = ", ".join(sorted(name for name, here in cpu_features().items() if here)) or "none"
        raise BackendError(
            f"native variant {variant!r} cannot run: of the CPU features it may need this machine has {found}; "
            f"use one of native-{', native-'.join(runnable)}, or native for the best of them"
        )
    return _kernels(variant)


def compiled_variants() -> tuple[str, ...]:
    """Return the variants in the compiled module, weakest first; empty when nothing was compiled."""
    try:
        module = _module()
    except BackendError:
        return ()
    names, _ = _variants(module.lib, module.ffi)
    return tuple(name for i, name in enumerate(names) if module.lib.ckks_variant_compiled(i))


def cpu_features() -> dict[str, bool]:
    """Return which features that a variant may need are there (in the CPU, with registers saved by the OS)."""
    try:
        module = _module()
    except BackendError:
        return {}
    names = _names(module.lib.ckks_feature_name, module.ffi)
    return {name: bool(module.lib.ckks_feature_present(i)) for i, name in enumerate(names)}


def _module() -> Any:
    try:
        return importlib.import_module("ckks._native")
    except ImportError as error:
        raise BackendError(
            f"the compiled kernels are not there ({error}); reinstall with a C compiler and CKKS_NATIVE=must to see "
            "why they were not built, or use CKKS_BACKEND=numba"
        ) from error


@lru_cache(maxsize=8)
def _kernels(variant: str) -> NativeKernels:
    module = _module()
    return NativeKernels(module.ffi, module.lib, variant)


def _names(name_of: Callable[[int], Any], ffi: Any) -> list[str]:
    names: list[str] = []
    while (text := name_of(len(names))) != ffi.NULL:
        names.append(ffi.string(text).decode())
    return names


def _variants(lib: Any, ffi: Any) -> tuple[list[str], list[str]]:
    """Return (all names, those that run here), weakest first."""
    names = _names(lib.ckks_variant_name, ffi)
    return names, [name for i, name in enumerate(names) if lib.ckks_variant_runnable(i)]


class NativeKernels(NativeSwitching):
    """One variant of the compiled kernels; see `ckks.kernels.interface.Kernels` for what each method computes.

    Arrays that break the contract raise ValueError (shape, strides, read-only result) or TypeError (word type).
    Values outside [0, q) are not looked for: they give wrong words, never a wild read.
    """

    name = "native"
    smallest_n = 8

    def __init__(self, ffi: Any, lib: Any, variant: str) -> None:
        """Bind a library made from native/src: `ckks._native`, or a test build of it."""
        self.variant = variant
        self._ffi, self._lib = ffi, lib
        self._index = _names(lib.ckks_variant_name, ffi).index(variant)
        self._words = ffi.typeof("uint64_t *")
        self._integers = ffi.typeof("int64_t *")
        self._others = {_REAL: ffi.typeof("double *"), _BYTE: ffi.typeof("uint8_t *"), _SMALL: ffi.typeof("int8_t *")}
        self._pointer = ffi.from_buffer
        self._modulus = lru_cache(maxsize=4096)(self._make_modulus)
        self._limbs = lru_cache(maxsize=8192)(self._make_limbs)
        self._conversion = lru_cache(maxsize=8192)(self._make_conversion)
        self._prepare_switching()

    def describe(self) -> dict[str, Any]:
        """Return facts for the doctor: variant, variants compiled and runnable, CPU features, compiler."""
        lib, ffi = self._lib, self._ffi
        names, runnable = _variants(lib, ffi)
        features = _names(lib.ckks_feature_name, ffi)
        return {
            "variant": self.variant,
            "variants": [name for i, name in enumerate(names) if lib.ckks_variant_compiled(i)],
            "runnable": runnable,
            "cpu_features": {name: bool(lib.ckks_feature_present(i)) for i, name in enumerate(features)},
            "compiler": ffi.string(lib.ckks_compiler()).decode(),
            "checking": bool(lib.ckks_checking()),
        }

    def rows(self, plan: Plan) -> tuple[str, ...]:
        """Return which row kernels serve each limb: it depends on the variant, the modulus and n."""
        _, moduli = self._limbs(plan)
        return tuple(self._ffi.string(self._lib.ckks_modulus_rows(m)).decode() for m in moduli)

    # ---- transforms ----------------------------------------------------------------------------------------------

    def ntt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.ntt`."""
        self._transform(self._lib.ckks_ntt, plan, x, out)

    def intt(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.intt`."""
        self._transform(self._lib.ckks_intt, plan, x, out)

    def _transform(self, kernel: Callable[..., None], plan: Plan, x: Words, out: Words) -> None:
        if not plan.has_roots:
            raise ParameterError("this plan has no NTT roots; make one with make_plan to transform")
        batch, limbs, _ = shape = self._shape(plan, out)
        kernel(self._limbs(plan)[0], batch, limbs, *self._in(x, shape), *self._out(out))

    # ---- word by word --------------------------------------------------------------------------------------------

    def neg(self, plan: Plan, x: Words, out: Words) -> None:
        """See `Kernels.neg`."""
        batch, limbs, _ = shape = self._shape(plan, out)
        self._lib.ckks_neg(self._limbs(plan)[0], batch, limbs, *self._in(x, shape), *self._out(out))

    def add(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.add`."""
        self._binary(self._lib.ckks_add, plan, x, y, out)

    def sub(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.sub`."""
        self._binary(self._lib.ckks_sub, plan, x, y, out)

    def mul(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul`."""
        self._binary(self._lib.ckks_mul, plan, x, y, out)

    def _binary(self, kernel: Callable[..., None], plan: Plan, x: Words, y: Words, out: Words) -> None:
        batch, limbs, _ = shape = self._shape(plan, out)
        kernel(self._limbs(plan)[0], batch, limbs, *self._in(x, shape), *self._in(y, shape), *self._out(out))

    def add_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.add_scalar`."""
        self._with_scalars(self._lib.ckks_add_scalar, plan, x, w, out)

    def mul_scalar(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.mul_scalar`."""
        self._with_scalars(self._lib.ckks_mul_scalar, plan, x, w, out)

    def _with_scalars(self, kernel: Callable[..., None], plan: Plan, x: Words, w: Words, out: Words) -> None:
        batch, limbs, _ = shape = self._shape(plan, out)
        w = np.ascontiguousarray(w)
        weights, *_ = self._in(w, (limbs,))
        kernel(self._limbs(plan)[0], batch, limbs, *self._in(x, shape), weights, *self._out(out))

    def mul_scalar_add(self, plan: Plan, x: Words, w: Words, y: Words, out: Words) -> None:
        """See `Kernels.mul_scalar_add`."""
        batch, limbs, _ = shape = self._shape(plan, out)
        w = np.ascontiguousarray(w)
        weights, *_ = self._in(w, (limbs,))
        self._lib.ckks_mul_scalar_add(
            self._limbs(plan)[0], batch, limbs, *self._in(x, shape), weights, *self._in(y, shape), *self._out(out)
        )

    def sub_mul_scalar(self, plan: Plan, x: Words, y: Words, w: Words, out: Words) -> None:
        """See `Kernels.sub_mul_scalar`."""
        batch, limbs, _ = shape = self._shape(plan, out)
        w = np.ascontiguousarray(w)
        weights, *_ = self._in(w, (limbs,))
        self._lib.ckks_sub_mul_scalar(
            self._limbs(plan)[0], batch, limbs, *self._in(x, shape), *self._in(y, shape), weights, *self._out(out)
        )

    def dot(self, plan: Plan, x: Words, y: Words, out: Words) -> None:
        """See `Kernels.dot`."""
        batch, limbs, _ = shape = self._shape(plan, out)
        terms = len(x)
        if terms == 0:
            raise ValueError("dot of no terms; needed at least one")
        self._lib.ckks_dot(
            self._limbs(plan)[0],
            terms,
            batch,
            limbs,
            *self._in(x, (terms, *shape)),
            *self._in(y, (terms, *shape)),
            *self._out(out),
        )

    def weighted_sum(self, plan: Plan, x: Words, w: Words, out: Words) -> None:
        """See `Kernels.weighted_sum`."""
        batch, limbs, _ = shape = self._shape(plan, out)
        terms = len(x)
        if terms == 0:
            raise ValueError("weighted sum of no terms; needed at least one")
        w = np.ascontiguousarray(w)
        weights, *_ = self._in(w, (terms, limbs))
        self._lib.ckks_weighted_sum(
            self._limbs(plan)[0],
            terms,
            batch,
            limbs,
            *self._in(x, (terms, *shape)),
            weights,
            limbs,
            1,
            *self._out(out),
        )

    # ---- between moduli ------------------------------------------------------------------------------------------

    def convert(self, table: Conversion, x: Words, out: Words) -> None:
        """See `Kernels.convert`; rows may be any number of columns, not only whole rings."""
        batch, limbs, count = out.shape
        if limbs != len(table.target):
            raise ValueError(f"result with {limbs} limbs; needed {len(table.target)}, the target primes")
        source = self._in(x, (batch, len(table.source), count))
        self._lib.ckks_convert(self._conversion(table), batch, count, *source, *self._out(out))

    def signed(self, plan: Plan, low: NDArray[np.int64], high: NDArray[np.int64] | None, out: Words) -> None:
        """See `Kernels.signed`."""
        batch, limbs, n = self._shape(plan, out)
        operands: tuple[Any, ...] = ()
        for values in (low, high):
            if values is None:
                operands += (self._ffi.NULL, 0)
            else:
                operands += self._in(values, (batch, n), _SIGNED)
        self._lib.ckks_signed(self._limbs(plan)[0], batch, limbs, *operands, *self._out(out))

    # ---- permutations --------------------------------------------------------------------------------------------

    def gather(self, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather`."""
        batch, limbs, n = shape = out.shape
        if n & (n - 1) or n == 0:
            raise ValueError(f"rows of {n} words; needed a power of two")
        x = x.copy() if np.may_share_memory(x, out) else x
        places, *_ = self._in(index, (n,), _SIGNED)
        self._lib.ckks_gather(batch, limbs, n, *self._in(x, shape), places, *self._out(out))

    def gather_signed(self, plan: Plan, x: Words, index: NDArray[np.int64], out: Words) -> None:
        """See `Kernels.gather_signed`."""
        batch, limbs, n = shape = self._shape(plan, out)
        x = x.copy() if np.may_share_memory(x, out) else x
        places, *_ = self._in(index, (n,), _SIGNED)
        self._lib.ckks_gather_signed(self._limbs(plan)[0], batch, limbs, *self._in(x, shape), places, *self._out(out))

    def mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """See `Kernels.mul_add`."""
        self._ternary(self._lib.ckks_mul_add, plan, x, y, z, out)

    def neg_mul_add(self, plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        """See `Kernels.neg_mul_add`."""
        self._ternary(self._lib.ckks_neg_mul_add, plan, x, y, z, out)

    def _ternary(self, kernel: Callable[..., None], plan: Plan, x: Words, y: Words, z: Words, out: Words) -> None:
        batch, limbs, _ = shape = self._shape(plan, out)
        operands = *self._in(x, shape), *self._in(y, shape), *self._in(z, shape)
        kernel(self._limbs(plan)[0], batch, limbs, *operands, *self._out(out))

    # ---- sampling, rounding, packing -----------------------------------------------------------------------------

    def take_below(self, q: int, x: Words, out: Words) -> int:
        """See `Kernels.take_below`."""
        source, target = self._stream(x, _UNSIGNED), self._stream(out, _UNSIGNED, written=True)
        return int(self._lib.ckks_take_below(self._index, q, len(x), source, len(out), target))

    def take_ternary(self, x: NDArray[np.uint8], out: NDArray[np.int8]) -> int:
        """See `Kernels.take_ternary`."""
        source, target = self._stream(x, _BYTE), self._stream(out, _SMALL, written=True)
        return int(self._lib.ckks_take_ternary(len(x), source, len(out), target))

    def binomial(self, x: Words, out: NDArray[np.int8]) -> None:
        """See `Kernels.binomial`."""
        if len(x) != len(out):
            raise ValueError(f"{len(out)} results for {len(x)} words; needed as many")
        source, target = self._stream(x, _UNSIGNED), self._stream(out, _SMALL, written=True)
        self._lib.ckks_binomial(self._index, len(x), source, target)

    def small(self, plan: Plan, x: NDArray[np.int8], out: Words) -> None:
        """See `Kernels.small`."""
        batch, limbs, n = self._shape(plan, out)
        source = self._plane(x, (batch, n), _SMALL)
        self._lib.ckks_small(self._limbs(plan)[0], batch, limbs, *source, *self._out(out))

    def rounded(self, plan: Plan, x: NDArray[np.float64], scale: float, out: Words) -> None:
        """See `Kernels.rounded`."""
        batch, limbs, n = self._shape(plan, out)
        source = self._plane(x, (batch, n), _REAL)
        self._lib.ckks_rounded(self._limbs(plan)[0], batch, limbs, *source, scale, *self._out(out))

    def pack(self, plan: Plan, x: Words, out: NDArray[np.uint8]) -> None:
        """See `Kernels.pack`."""
        batch, limbs, n = self._shape(plan, x)
        target = self._plane(out, (batch, sum(row_bytes(q, n) for q in plan.moduli)), _BYTE, written=True)
        self._lib.ckks_pack(self._limbs(plan)[0], batch, limbs, *self._in(x, x.shape), *target)

    def unpack(self, plan: Plan, x: NDArray[np.uint8], out: Words) -> bool:
        """See `Kernels.unpack`; there is no padding, since rings have 8 words or more here."""
        batch, limbs, n = self._shape(plan, out)
        source = self._plane(x, (batch, sum(row_bytes(q, n) for q in plan.moduli)), _BYTE)
        return bool(self._lib.ckks_unpack(self._limbs(plan)[0], batch, limbs, *source, *self._out(out)))

    def _stream(self, array: NDArray[Any], dtype: np.dtype[Any], *, written: bool = False) -> Any:
        """Return the pointer of a one-dimensional contiguous array."""
        if array.dtype is not dtype and array.dtype != dtype:
            raise TypeError(f"stream of {array.dtype}; needed {dtype}")
        if array.ndim != 1:
            raise ValueError(f"stream of shape {array.shape}; needed one axis")
        try:
            return self._pointer(self._words if dtype is _UNSIGNED else self._others[dtype], array, written)
        except ValueError:
            raise ValueError("a stream that is read-only or not contiguous") from None

    def _plane(
        self, array: NDArray[Any], shape: Shape, dtype: np.dtype[Any], *, written: bool = False
    ) -> tuple[Any, int]:
        """Return (pointer, stride of the first axis in elements) of an array of two axes, the last one contiguous."""
        if array.dtype != dtype:
            raise TypeError(f"array of {array.dtype}; needed {dtype}")
        if array.shape != shape:
            raise ValueError(f"array of shape {array.shape}; needed {shape}")
        if written and not array.flags.writeable:
            raise ValueError("the result array is read-only")
        if array.size == 0:
            return self._ffi.NULL, 0
        if not array[0].flags.c_contiguous:
            raise ValueError(f"array of strides {array.strides} bytes; needed a contiguous last axis")
        kind = self._words if dtype is _UNSIGNED else self._others[dtype]
        return self._pointer(kind, array[0]), array.strides[0] // dtype.itemsize

    # ---- arrays to pointers --------------------------------------------------------------------------------------

    def _shape(self, plan: Plan, out: Words) -> tuple[int, int, int]:
        shape = out.shape
        if len(shape) != 3 or shape[1:] != plan.shape:
            raise ValueError(f"result of shape {shape}; needed (batch, {len(plan.moduli)}, {plan.n})")
        return shape

    def _in(self, array: NDArray[Any], shape: Shape | None, dtype: np.dtype[Any] = _UNSIGNED) -> tuple[Any, ...]:
        """Return (pointer, strides of the outer axes in words); any shape will do when None is demanded."""
        # Identity first: comparing two dtype objects costs more than all else here.
        if array.dtype is not dtype and array.dtype != dtype:
            raise TypeError(f"array of {array.dtype}; needed {dtype}")
        if shape is not None and array.shape != shape:
            raise ValueError(f"operand of shape {array.shape}; needed {shape}")
        kind = self._words if dtype is _UNSIGNED else self._integers
        strides = array.strides
        if array.flags.c_contiguous:
            pointer = self._pointer(kind, array)
        else:  # a row of it is one contiguous block, and starts where the array does
            row = array[(0,) * (array.ndim - 1)]
            if not row.flags.c_contiguous:
                raise ValueError(f"array of strides {strides} bytes; needed a contiguous last axis")
            pointer = self._pointer(kind, row)
        if len(strides) == 3:
            return pointer, strides[0] >> 3, strides[1] >> 3
        return (pointer, *[stride >> 3 for stride in strides[:-1]])

    def _out(self, array: Words) -> tuple[Any, ...]:
        """Return (pointer, strides in words) of a result, whose shape has been checked."""
        if not array.flags.writeable:
            raise ValueError("the result array is read-only; needed one from kernels.empty")
        return self._in(array, array.shape)

    # ---- tables --------------------------------------------------------------------------------------------------

    def _make_modulus(self, n: int, q: int, psi: int) -> Any:
        table = self._lib.ckks_modulus_new(self._index, n, q, psi)
        if table == self._ffi.NULL:
            raise ParameterError(
                f"no kernel table for n={n}, modulus {q}, root {psi}: needed a power of two 8 <= n <= 2^17, an odd "
                "modulus below 2^61 and a primitive 2n-th root (or there is no memory left)"
            )
        return self._ffi.gc(table, self._lib.ckks_modulus_free)

    def _make_limbs(self, plan: Plan) -> tuple[Any, list[Any]]:
        """Return (C array of pointers to the tables of the limbs, the tables, which must outlive it)."""
        tables = [self._modulus(plan.n, q, psi) for q, psi in zip(plan.moduli, plan.roots, strict=True)]
        return self._ffi.new("modulus *[]", tables), tables

    def _make_conversion(self, table: Conversion) -> Any:
        made = self._lib.ckks_conversion_new(
            self._index,
            len(table.source),
            len(table.target),
            table.source,
            table.target,
            table.punctured_inverse,
            [weight for row in table.punctured for weight in row],
            table.product,
            table.reciprocal,
            table.offset,
        )
        if made == self._ffi.NULL:
            raise ParameterError(
                f"no conversion table from {len(table.source)} to {len(table.target)} primes: needed 1 to 1024 odd "
                "source moduli and at least one target, all below 2^61 (or there is no memory left)"
            )
        return self._ffi.gc(made, self._lib.ckks_conversion_free)
