"""How an encrypted vector meets numpy: what to use instead, where a habit has no encrypted form.

Numpy's names work on an `EncryptedVector` where they are exactly one of its operations. Everything else needs what
numpy never asks for: an interval that the values are promised to lie in, rotation keys, levels. That is not chosen
behind the caller's back: numpy's function, method or operator raises a TypeError (an attribute that is missing, an
AttributeError) of one line, which says what to use, with x for the vector. Here are those lines; a test checks that
each function which they name exists and takes the arguments shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

__all__ = ["ArrayProtocols", "attribute", "hint_of", "operator", "refused"]

_PROMISE = ", with an interval that every value lies in"
_COMPARE = (
    "ckks.comparisons.compare(x, y, radius=...), 1 where x > y and 0 where x < y; ckks.comparisons.threshold(x, 0.5, "
    "radius=...) for a number"
)
DECRYPT = "only a Decryptor, which has the secret key, makes numbers of them: decryptor.decrypt(x)"
CONVERTED = (
    f"{DECRYPT}; a Series or a sparse matrix times x is series.to_numpy() @ x, sparse.toarray() @ x; a fitted "
    "scikit-learn model goes through ckks.ml.from_sklearn"
)

USE: dict[str, str] = {
    # functions, on an interval
    **{f: f"ckks.functions.{f}(x, interval=(a, b)){_PROMISE}" for f in ("exp", "log", "sqrt", "tanh")},
    "reciprocal": f"ckks.functions.inverse(x, interval=(a, b)){_PROMISE}",
    "divide": f"y * ckks.functions.inverse(x, interval=(a, b)) for y / x{_PROMISE}",
    "expit": f"ckks.functions.sigmoid(x, interval=(a, b)){_PROMISE}",
    "power": f"ckks.functions.function(x, lambda v: 2.0**v, interval=(a, b), max_abs_error=...){_PROMISE}",
    "polyval": "ckks.polynomial(x, ckks.Polynomial(coefficients, basis='power', interval=(a, b)))",
    # comparisons
    **{f: _COMPARE for f in ("greater", "greater_equal", "less", "less_equal")},
    **{f: "ckks.comparisons.absolute(x, radius=...)" for f in ("absolute", "fabs", "abs")},
    **{f: "ckks.comparisons.maximum(x, y, radius=...)" for f in ("maximum", "fmax")},
    **{f: "ckks.comparisons.minimum(x, y, radius=...)" for f in ("minimum", "fmin")},
    "sign": "ckks.comparisons.sign(x, radius=...)",
    "heaviside": "ckks.comparisons.step(x, radius=...)",
    "clip": "ckks.comparisons.minimum(ckks.comparisons.maximum(x, a, radius=...), b, radius=...)",
    "where": "s * a + (1 - s) * b with s = ckks.comparisons.step(x, radius=...)",
    **{f: "ckks.comparisons.largest(x, radius=...), over the first axis" for f in ("max", "amax")},
    **{f: "-ckks.comparisons.largest(-x, radius=...), over the first axis" for f in ("min", "amin")},
    "argmax": "ckks.comparisons.argmax(x, radius=...), one-hot along the first axis",
    "argmin": "ckks.comparisons.argmax(-x, radius=...), one-hot along the first axis",
    # sums of products, statistics
    "size": "x.shape[axis]",
    "var": "ckks.linear.variance(x): over the slots, in every slot, three levels",
    "std": "ckks.functions.sqrt(ckks.linear.variance(x), interval=(a, b)): over the slots, in every slot",
    "cov": "ckks.linear.covariance(x), with a row of x for each variable: three levels",
    "corrcoef": "ckks.linear.covariance(x), with a row of x for each variable; decrypt it, and divide in the clear",
    "average": "weights @ x over the first axis (one level), x.mean(axis=-1) over the slots (one level)",
    "norm": "ckks.linear.inner(x, x), the square of the norm, in every slot: one level, rotation keys",
    "dot": "x @ y: over the slots, in every slot, one level, rotation keys",
    **{f: "ckks.linear.inner(x, y): over the slots, in every slot, one level" for f in ("inner", "vdot")},
    "tensordot": "ckks.linear.dot(x, y): over the first axis, slot by slot, one level",
    "einsum": "weights @ x, ckks.linear.dot(x, y), ckks.linear.inner(x, y) or ckks.LinearMap(matrix) @ x",
    "matmul": (
        "ckks.linear.dot(x, y) over the first axis, ckks.linear.inner(x, y) over all, or ckks.linear.matmul(x, y, "
        "ckks.linear.MatrixProduct(d)) for d x d matrices packed in slots"
    ),
    "square": "x * x: one level",
    "prod": "x[0] * x[1] * x[2], a level for each doubling if multiplied in pairs",
    "cumsum": "ckks.LinearMap(np.tri(n)) @ x: one level, the keys that the map lists",
    "diff": "(x << 1) - x, where the last value goes round: no level, a key for rotation by 1",
    "roll": "x >> k, over all slots of the ciphertext: no level, a key for rotation by -k",
    # the rest
    **{
        f: "ckks.EncryptedVector(x.evaluator.conjugate(x.ciphertext), x.evaluator), with the key for conjugation"
        for f in ("conjugate", "conj")
    },
    **{
        f: "to_bytes(x.ciphertext), from ckks.scheme.serialization"
        for f in ("save", "savez", "tofile", "tobytes", "dump")
    },
    **{f"{f}_like": f"np.{f}(x.shape), an array in the clear" for f in ("zeros", "ones", "empty", "full")},
    **{f: "x itself: vectors are immutable, and may be shared" for f in ("copy", "view")},
}
"""Name of the function in numpy -> code, and what to know of it."""

SAY: dict[str, str] = {
    name: text
    for text, names in {
        "their order is not known; decrypt first, and sort in the clear": (
            "sort argsort median quantile percentile partition unique searchsorted"
        ),
        "no polynomial rounds; decrypt first, and round in the clear": (
            "floor ceil rint trunc round fix floor_divide remainder fmod divmod"
        ),
        "they are finite, for encrypt refuses other numbers": "isnan isfinite isinf nan_to_num isna isnull fillna",
        "whether they are equal is not known; decrypt first, or say `x is y` of two objects": (
            "equal not_equal isclose allclose array_equal array_equiv"
        ),
        "slots stay; arrange the array before encrypting it, or use ckks.linear.permutation(places) @ x": (
            "T transpose swapaxes moveaxis reshape ravel flatten flip take"
        ),
        "join the arrays before encrypting: encrypt(np.stack([a, b])) is one vector of shape (2, n)": (
            "stack concatenate concat hstack vstack column_stack append block"
        ),
        "arrange the array before encrypting it": "split array_split tile repeat pad expand_dims squeeze insert delete",
        DECRYPT: "tolist item astype to_numpy values numpy array_repr array_str",
    }.items()
    for name in names.split()
}
"""Name of the function in numpy -> why it cannot be, and what can be done."""

ATTRIBUTES = (frozenset(USE) | frozenset(SAY)) - {"size", "divide", "equal", "expit", "less", "power", "where"}
"""Missing attributes that have a hint: methods of arrays, Series and tensors."""


def refused(what: str, hint: str | None = None) -> TypeError:
    """Return the error for `what`, as the caller wrote it."""
    hint = hint or "use + - * @, ckks.functions, ckks.comparisons and ckks.linear, or decrypt first"
    return TypeError(f"{what} of encrypted values: {hint}")


def hint_of(name: str) -> str | None:
    """Return what to do instead of numpy's function `name`."""
    return f"use {USE[name]}" if name in USE else SAY.get(name)


def operator(symbol: str, name: str) -> TypeError:
    """Return the error for an operator, by the name of its function in numpy."""
    return refused(symbol, hint_of(name))


def attribute(name: str) -> AttributeError:
    """Return the error for an attribute that encrypted vectors do not have."""
    found = f"'EncryptedVector' object has no attribute {name!r}"
    return AttributeError(f"{found}: {hint_of(name)}" if name in ATTRIBUTES else found)


def _ufunc(function: np.ufunc, method: str) -> TypeError:
    """Return the error for a ufunc, or for one of its methods (`np.add.reduce`)."""
    name = function.__name__
    shown = f"np.{name}" if getattr(np, name, None) is function else name
    if method != "__call__":
        return refused(f"{shown}.{method}", "use x.sum(axis=...)" if function is np.add else None)
    hint = hint_of(name)
    if hint is None and function.nin == function.nout == 1:
        hint = f"use ckks.functions.function(x, {shown}, interval=(a, b), max_abs_error=...){_PROMISE}"
    return refused(shown, hint)


def _array_function(function: Callable[..., Any]) -> TypeError:
    """Return the error for one of numpy's functions that are no ufuncs."""
    return refused(f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1), hint_of(function.__name__))


class ArrayProtocols:
    """What numpy, pandas and Python ask of an array, for a vector with operators: these, or a hint."""

    __slots__ = ()
    __pandas_priority__ = 10_000  # `series * x` is left to x

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Do what an operator does; refuse everything else."""
        forward, reflected = _OPERATORS.get(ufunc, ("", ""))
        if not forward or method != "__call__":
            raise _ufunc(ufunc, method)
        if options:
            raise refused(f"np.{ufunc.__name__} with {', '.join(options)}", "use `z = x + y`, a new vector")
        first, *rest = inputs
        if isinstance(first, ArrayProtocols):
            return getattr(first, forward)(*rest)
        return getattr(rest[0], reflected)(first)

    def __array_function__(self, function: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        """Do what a method or an attribute does; refuse everything else."""
        if function is np.dot and len(args) == 2:
            by_number = 0 in (np.ndim(args[0]), np.ndim(args[1]))
            return self.__array_ufunc__(np.multiply if by_number else np.matmul, "__call__", *args, **kwargs)
        name = _METHODS.get(function)
        if name is None or not args or not isinstance(args[0], ArrayProtocols):
            raise _array_function(function)
        found = getattr(args[0], name)
        if not callable(found) and (len(args) > 1 or kwargs):
            raise _array_function(function)
        return found(*args[1:], **kwargs) if callable(found) else found

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        """Refuse conversion to an array."""
        raise refused("an array", CONVERTED)

    if not TYPE_CHECKING:  # type checkers are to know attributes that are missing

        def __getattr__(self, name: str) -> NoReturn:
            """Say what to use instead of an attribute of arrays."""
            raise attribute(name)

    def __rtruediv__(self, other: Any) -> NoReturn:
        """Refuse: a reciprocal needs an interval."""
        raise operator("division by a vector", "divide")

    def __rpow__(self, other: Any) -> NoReturn:
        """Refuse: an exponential needs an interval."""
        raise operator(f"{other!r} ** x" if np.isscalar(other) else "powers with exponents", "power")

    def __abs__(self) -> NoReturn:
        """Refuse: a sign needs a resolution."""
        raise operator("abs(x)", "abs")

    def _refuse(self, *_: Any) -> NoReturn:
        raise refused("truth value or digits", DECRYPT)

    def _refuse_order(self, _: Any) -> NoReturn:
        raise operator("order (x < y)", "less")

    def _refuse_rounding(self, *_: Any) -> NoReturn:
        raise operator("rounding (round, //, %)", "round")

    __bool__ = __float__ = __int__ = __complex__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse_order
    __round__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _refuse_rounding


_OPERATORS: dict[Any, tuple[str, str]] = {
    np.add: ("__add__", "__radd__"),
    np.subtract: ("__sub__", "__rsub__"),
    np.multiply: ("__mul__", "__rmul__"),
    np.divide: ("__truediv__", "__rtruediv__"),
    np.matmul: ("__matmul__", "__rmatmul__"),
    np.power: ("__pow__", "__rpow__"),
    np.equal: ("__eq__", "__eq__"),
    np.not_equal: ("__ne__", "__ne__"),
    np.negative: ("__neg__", ""),
    np.positive: ("__pos__", ""),
}
"""The ufuncs that are operators, and their methods."""

_METHODS: dict[Any, str] = {np.sum: "sum", np.mean: "mean", np.shape: "shape", np.ndim: "ndim", np.size: "size"}
"""The functions that are methods or attributes, of their first argument."""
