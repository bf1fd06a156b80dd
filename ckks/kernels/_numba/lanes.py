"""Four lanes of float64 or uint64, and 128-bit products, as values inside numba functions.

Written out as vectors, the loops need no autovectoriser, no alias checks and no remainder (N is a multiple of 8),
compile fast and come out the same with every compiler. LLVM maps four lanes to one AVX register, to two NEON
or SSE2 registers.

Memory is reached through int64 addresses: `load_words(a, i)` is lanes i..i+3 of the uint64 row that starts at byte
address a. Rows of words are 8-byte aligned; nothing more is asked. Bytes may start anywhere.

numba counts a mix of uint64 and int64 as float64. So words are np.uint64 throughout (constants too), and indices,
addresses and counts are int64; the two never meet in one expression.
"""

from __future__ import annotations

import operator
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 4


class Lanes(types.Type):  # type: ignore[misc]
    """The numba type of a vector of `LANES` elements."""

    def __init__(self, name: str, element: ir.Type) -> None:
        """Name the type and its LLVM element."""
        super().__init__(name=name)
        self.vector = ir.VectorType(element, LANES)
        self.element = element


class DoubleWord(types.Type):  # type: ignore[misc]
    """The numba type of an unsigned 128-bit integer."""


reals = Lanes("reals", ir.DoubleType())
words = Lanes("words", ir.IntType(64))
double_word = DoubleWord("double_word")

_I8, _I32, _I64, _I128 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.IntType(128)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, kind.vector)


@register_model(DoubleWord)
class _DoubleWordModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: DoubleWord) -> None:
        super().__init__(manager, kind, _I128)


def _operator(python: Any, kind: types.Type, instruction: str) -> None:
    """Let `python`(kind, kind) -> kind be one LLVM instruction."""

    @type_callable(python)
    def typing(context: Any) -> Any:
        return lambda a, b: kind if a is kind and b is kind else None

    @lower_builtin(python, kind, kind)
    def lowering(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


for _python, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_python, reals, _instruction)
for _python, _instruction in (
    (operator.add, "add"),
    (operator.sub, "sub"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
):
    _operator(_python, words, _instruction)
_operator(operator.add, double_word, "add")


@type_callable(operator.neg)
def _type_negation(context: Any) -> Any:
    return lambda a: reals if a is reals else None


@lower_builtin(operator.neg, reals)
def _lower_negation(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.fneg(args[0])


# ---- memory ----------------------------------------------------------------------------------------------------


def _loader(kind: types.Type, element: ir.Type, whole: ir.Type, align: int = 8) -> Any:
    @intrinsic
    def load(typing: Any, address: Any, i: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(_pointer(builder, args, element, whole), align=align)

        return kind(types.int64, types.int64), code

    return load


def _storer(kind: types.Type, element: ir.Type, whole: ir.Type, align: int = 8) -> Any:
    @intrinsic
    def store(typing: Any, address: Any, i: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[2], _pointer(builder, args, element, whole), align=align)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), code

    return store


def _pointer(builder: Any, args: Any, element: ir.Type, whole: ir.Type) -> Any:
    base = builder.inttoptr(args[0], element.as_pointer())
    return builder.bitcast(builder.gep(base, [args[1]]), whole.as_pointer())


load_reals = _loader(reals, reals.element, reals.vector)
load_words = _loader(words, words.element, words.vector)
load_real = _loader(types.float64, reals.element, reals.element)
load_word = _loader(types.uint64, _I64, _I64)
load_int = _loader(types.int64, _I64, _I64)
store_reals = _storer(reals, reals.element, reals.vector)
store_words = _storer(words, words.element, words.vector)
store_word = _storer(types.uint64, _I64, _I64)
load_small = _loader(types.int8, _I8, _I8, align=1)
load_byte = _loader(types.uint8, _I8, _I8, align=1)
store_small = _storer(types.int8, _I8, _I8, align=1)
store_byte = _storer(types.uint8, _I8, _I8, align=1)


@intrinsic
def load_bytes(typing: Any, address: Any, i: Any) -> Any:
    """Return bytes i..i+7 of the row at `address` as a uint64, the first one lowest."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = builder.load(_pointer(builder, args, _I8, _I64), align=1)
        return builder.bswap(word) if sys.byteorder == "big" else word

    return types.uint64(types.int64, types.int64), code


@intrinsic
def store_bytes(typing: Any, address: Any, i: Any, word: Any) -> Any:
    """Store what `load_bytes` would return."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = builder.bswap(args[2]) if sys.byteorder == "big" else args[2]
        builder.store(word, _pointer(builder, args, _I8, _I64), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.uint64), code


# ---- lanes -----------------------------------------------------------------------------------------------------


@intrinsic
def spread(typing: Any, x: Any) -> Any:
    """Return the float64 or uint64 scalar x in every lane."""
    kind = reals if x == types.float64 else words

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(kind.vector, ir.Undefined)
        first = builder.insert_element(undefined, args[0], ir.Constant(_I32, 0))
        return builder.shuffle_vector(first, undefined, _lane_list([0] * LANES))

    return kind(types.float64 if kind is reals else types.uint64), code


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c with one rounding, whatever the optimiser does."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(reals.vector, [reals.vector] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v4f64"), args)

    return reals(reals, reals, reals), code


@intrinsic
def bits_of(typing: Any, x: Any) -> Any:
    """Return the IEEE bits of reals as words."""
    return words(reals), lambda context, builder, signature, args: builder.bitcast(args[0], words.vector)


@intrinsic
def from_bits(typing: Any, x: Any) -> Any:
    """Return the reals whose IEEE bits these words are."""
    return reals(words), lambda context, builder, signature, args: builder.bitcast(args[0], reals.vector)


@intrinsic
def mask_negative(typing: Any, x: Any) -> Any:
    """Return words of all ones where x < 0 (reals) or where the top bit is set (words), zeros elsewhere."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if x is reals:
            less = builder.fcmp_ordered("<", args[0], ir.Constant(reals.vector, [0.0] * LANES))
            return builder.sext(less, words.vector)
        return builder.ashr(args[0], ir.Constant(words.vector, [63] * LANES))

    return words(x), code


@intrinsic
def shift_right(typing: Any, x: Any, count: Any) -> Any:
    """Return x >> count for words x and a uint64 count below 64."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        undefined = ir.Constant(words.vector, ir.Undefined)
        first = builder.insert_element(undefined, args[1], ir.Constant(_I32, 0))
        return builder.lshr(args[0], builder.shuffle_vector(first, undefined, _lane_list([0] * LANES)))

    return words(words, types.uint64), code


@intrinsic
def transpose(typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return the columns of the 4 x 4 matrix with rows a, b, c, d."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pick(x: Any, y: Any, lanes: list[int]) -> Any:
            return builder.shuffle_vector(x, y, _lane_list(lanes))

        a, b, c, d = args
        even = pick(a, b, [0, 4, 2, 6]), pick(c, d, [0, 4, 2, 6])  # a0 b0 a2 b2, c0 d0 c2 d2
        odd = pick(a, b, [1, 5, 3, 7]), pick(c, d, [1, 5, 3, 7])
        low, high = [0, 1, 4, 5], [2, 3, 6, 7]
        columns = pick(*even, low), pick(*odd, low), pick(*even, high), pick(*odd, high)
        return context.make_tuple(builder, signature.return_type, columns)

    return types.UniTuple(a, LANES)(a, a, a, a), code


def _lane_list(lanes: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, LANES), lanes)


# ---- scalars ---------------------------------------------------------------------------------------------------


@intrinsic
def wide(typing: Any, a: Any, b: Any) -> Any:
    """Return the 128-bit product of two uint64."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))

    return double_word(types.uint64, types.uint64), code


@intrinsic
def join(typing: Any, high: Any, low: Any) -> Any:
    """Return high 2^64 + low."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        top = builder.shl(builder.zext(args[0], _I128), ir.Constant(_I128, 64))
        return builder.or_(top, builder.zext(args[1], _I128))

    return double_word(types.uint64, types.uint64), code


@intrinsic
def high_word(typing: Any, x: Any) -> Any:
    """Return the upper 64 bits of a double word."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(builder.lshr(args[0], ir.Constant(_I128, 64)), _I64)

    return types.uint64(double_word), code


@intrinsic
def low_word(typing: Any, x: Any) -> Any:
    """Return the lower 64 bits of a double word."""
    return types.uint64(double_word), lambda context, builder, signature, args: builder.trunc(args[0], _I64)


@intrinsic
def mulhi(typing: Any, a: Any, b: Any) -> Any:
    """Return floor(a b / 2^64) for uint64 a, b.

    The result passes through an empty assembly statement, which keeps LLVM from vectorising the loop around it:
    no vector unit multiplies 64 by 64 bits, and the emulation takes three times as long.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
        high = builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64)
        return builder.asm(ir.FunctionType(_I64, [_I64]), "", "=r,0", [high], False)

    return types.uint64(types.uint64, types.uint64), code
