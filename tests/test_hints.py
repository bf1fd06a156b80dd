"""What users of numpy, pandas and scikit-learn try on an encrypted vector works, or says in one line what to use."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

import ckks
from ckks import EncryptedVector, error_bound, hints, linear
from ckks.errors import MissingKey, RangeError, SlotError

A = np.linspace(-1, 1, 8)
B = np.cos(np.arange(8.0))
M = np.stack([A, B, A * B])


@cache
def kit() -> Kit:
    return make_kit(insecure_small(32, value_range=4.0), rotations=range(1, 16))


def vector(values) -> EncryptedVector:
    return EncryptedVector(kit().encrypt(values), kit().evaluator)


def verify(x: EncryptedVector, wanted) -> None:
    assert type(x) is EncryptedVector and x.shape == np.shape(wanted)
    assert kit().error(x.ciphertext, wanted) <= error_bound(x.ciphertext)


# ---- what works --------------------------------------------------------------------------------------------------------

SAME = {
    "np.add(x, y)": lambda x, y: np.add(x, y),
    "np.add(array, y)": lambda x, y: np.add(B, y),
    "np.subtract(array, y)": lambda x, y: np.subtract(B, y),
    "np.subtract(x, array)": lambda x, y: np.subtract(x, B),
    "np.multiply(x, y)": lambda x, y: np.multiply(x, y),
    "np.multiply(0.5, y)": lambda x, y: np.multiply(0.5, y),
    "np.divide(x, 4)": lambda x, y: np.divide(x, 4),
    "np.negative(x)": lambda x, y: np.negative(x),
    "np.positive(x)": lambda x, y: np.positive(x),
    "np.power(x, 3)": lambda x, y: np.power(x, 3),
    "np.dot(2, x)": lambda x, y: np.dot(2, x),
    "+x": lambda x, y: +x,
    "x + Fraction": lambda x, y: x + Fraction(1, 3) if isinstance(x, EncryptedVector) else x + 1 / 3,
    "Fraction * x": lambda x, y: Fraction(1, 3) * x if isinstance(x, EncryptedVector) else x / 3,
    "x * Decimal": lambda x, y: x * Decimal("0.25") if isinstance(x, EncryptedVector) else x / 4,
    "x / Fraction": lambda x, y: x / Fraction(4, 3) if isinstance(x, EncryptedVector) else x * 0.75,
    "x + [Fraction, int]": lambda x, y: x + [Fraction(1, 2), 1] * 4 if isinstance(x, EncryptedVector) else x + _CYCLE,
    "x + [Fraction, complex]": (
        lambda x, y: x + [Fraction(1, 2), 1j] * 4 if isinstance(x, EncryptedVector) else x + np.array([0.5, 1j] * 4)
    ),
    "x + True": lambda x, y: x + True,
    "x * bools": lambda x, y: x * (B > 0),
    "x + int8s": lambda x, y: x + np.arange(8, dtype=np.int8),
    "x * float16s": lambda x, y: x * A.astype(np.float16),
    "x + one": lambda x, y: x + np.ones(1),
    "x * one": lambda x, y: x * [0.5],
}
_CYCLE = np.array([0.5, 1.0] * 4)


@pytest.mark.parametrize("name", SAME)
def test_one_operation_under_the_name_of_numpy(name):
    f = SAME[name]
    verify(f(vector(A), vector(B)), f(A, B))


def test_integers_stay_free_whoever_comes_first():
    x = vector(A)
    for product in (np.int64(3) * x, np.multiply(np.int64(3), x), 3 * x, np.multiply(x, 3)):
        assert product.ciphertext.level == x.ciphertext.level
        verify(product, 3 * A)


def test_reductions_and_facts():
    x, table = vector(A), vector(M)
    verify(np.sum(table, axis=0), M.sum(0))
    verify(np.mean(table, 0), M.mean(0))
    verify(np.sum(x), np.full(16, A.sum()))
    verify(np.mean(x), np.full(8, A.mean()))
    for product in (np.dot(B, x), np.dot(x, B), np.dot(x, vector(B)), np.matmul(x, B), B @ x, x @ vector(B)):
        verify(product, np.full(16, A @ B))
    verify(np.dot(np.ones((2, 3)), table), np.ones((2, 3)) @ M)
    assert (np.shape(table), np.ndim(table), np.size(table)) == ((3, 8), 2, 24)


def test_columns_of_numbers_stretch_as_in_numpy():
    weights = np.array([[0.5], [-1.0], [2.0]])
    for f in (lambda x: x * weights, lambda x: weights + x, lambda x: x - weights, lambda x: x / weights):
        verify(f(vector(M)), f(M))
    form = np.ones(3) @ vector(M)
    verify(form + np.ones((2, 1)), M.sum(0) + np.ones((2, 1)))


def test_pandas_is_plain_data():
    pd = pytest.importorskip("pandas", reason="the extra churn is not installed")
    series, frame = pd.Series(B, index=range(3, 11)), pd.DataFrame(M)
    x, table = vector(A), vector(M)
    for y, wanted in (
        (x + series, A + B),
        (series + x, A + B),
        (series - x, B - A),
        (series * x, A * B),
        (x * frame.loc[1], A * B),
        (x + series.index[:8] * 0.5, A + np.arange(3, 11) * 0.5),
    ):
        verify(y, wanted)
    verify(x @ series, np.full(16, A @ B))
    verify(table * frame, M * M)
    verify(frame - table, M - M)
    with pytest.raises(RangeError, match=r"nan at index \(2,\)"):
        x + pd.Series([1, 2, None, 3, 4, 5, 6, 7.0])
    with pytest.raises(TypeError, match=r"type str at index \(0,\)"):
        x + pd.Series(["a"] * 8, dtype=object)
    with pytest.raises(TypeError, match="type NAType at index"):
        x + pd.Series([1, pd.NA] * 4, dtype=object)
    with pytest.raises(TypeError, match=r"series.to_numpy\(\) @ x"):
        series @ x


def test_sparse_matrices_are_plain_data():
    sparse = pytest.importorskip("scipy.sparse", reason="comes with scikit-learn")
    matrix, table = sparse.csr_matrix(np.diag([1.0, 2.0, 3.0])), vector(M)
    verify(table + sparse.csr_array(M), M + M)
    verify(matrix.toarray() @ table, matrix @ M)
    with pytest.raises(TypeError, match=r"sparse.toarray\(\) @ x"):
        matrix @ table
    a = linear.LinearMap(sparse.eye_array(8).tocsc())
    assert a.shape == (8, 8) and a.diagonals == 1
    assert linear.MatrixProduct(4).pack(matrix).shape == (16,)


# ---- what says what to use ---------------------------------------------------------------------------------------------

REFUSED = [
    ("np.exp(x)", "np.exp of encrypted values: use ckks.functions.exp(x, interval=(a, b))"),
    ("np.sqrt(x)", "ckks.functions.sqrt(x"),
    ("np.tanh(x)", "ckks.functions.tanh(x"),
    ("np.sin(x)", "ckks.functions.function(x, np.sin, interval=(a, b)"),
    ("np.log1p(x)", "ckks.functions.function(x, np.log1p"),
    ("np.square(x)", "x * x"),
    ("np.reciprocal(x)", "ckks.functions.inverse(x"),
    ("2 / x", "ckks.functions.inverse(x"),
    ("x / y", "ckks.functions.inverse(x"),
    ("B / x", "ckks.functions.inverse(x"),
    ("2 ** x", "2 ** x of encrypted values: use ckks.functions.function(x"),
    ("B ** x", "ckks.functions.function(x"),
    ("x ** 0.5", "ckks.functions.sqrt(x"),
    ("x ** -1", "ckks.functions.inverse(x"),
    ("x ** -0.5", "ckks.functions.inverse_sqrt(x"),
    ("x ** 1.5", "ckks.functions.function"),
    ("np.maximum(x, 0)", "ckks.comparisons.maximum(x, y"),
    ("np.abs(x)", "ckks.comparisons.absolute(x"),
    ("abs(x)", "ckks.comparisons.absolute(x"),
    ("np.sign(x)", "ckks.comparisons.sign(x"),
    ("np.clip(x, 0, 1)", "ckks.comparisons.minimum(ckks.comparisons.maximum(x"),
    ("np.where(x, 1, 0)", "ckks.comparisons.step(x"),
    ("x < 0", "ckks.comparisons.threshold(x"),
    ("x > y", "ckks.comparisons.compare(x, y"),
    ("B > x", "ckks.comparisons.compare(x, y"),
    ("x == y", "x is y"),
    ("B == x", "x is y"),
    ("np.max(x)", "ckks.comparisons.largest(x"),
    ("np.argmax(x)", "ckks.comparisons.argmax(x"),
    ("np.sort(x)", "sort in the clear"),
    ("round(x)", "round in the clear"),
    ("x // 2", "round in the clear"),
    ("2 % x", "round in the clear"),
    ("divmod(x, 2)", "round in the clear"),
    ("np.rint(x)", "round in the clear"),
    ("np.isnan(x)", "finite"),
    ("np.allclose(x, 1)", "decrypt first"),
    ("np.var(x)", "ckks.linear.variance(x)"),
    ("np.std(x)", "ckks.linear.variance(x)"),
    ("np.cov(x)", "ckks.linear.covariance(x)"),
    ("np.linalg.norm(x)", "np.linalg.norm of encrypted values: use ckks.linear.inner(x, x)"),
    ("np.einsum('i,i', x, x)", "ckks.linear.inner"),
    ("np.stack([x, x])", "encrypt(np.stack([a, b]))"),
    ("np.reshape(x, (2, 4))", "ckks.linear.permutation"),
    ("np.roll(x, 1)", "x >> k"),
    ("np.zeros_like(x)", "np.zeros(x.shape)"),
    ("np.add.reduce(x)", "np.add.reduce of encrypted values: use x.sum(axis=...)"),
    ("np.multiply.outer(x, y)", "ckks.linear"),
    ("np.add(x, 1, out=np.ones(8))", "a new vector"),
    ("np.add(B, B, out=x)", "a new vector"),
    ("B.__iadd__(x)", "a new vector"),
    ("np.hypot(x, y)", "ckks.functions"),
    ("np.array(x)", "decryptor.decrypt(x)"),
    ("np.asarray(x)", "decryptor.decrypt(x)"),
    ("bool(x)", "decryptor.decrypt(x)"),
    ("float(x)", "decryptor.decrypt(x)"),
    ("iter(x)", "decryptor.decrypt(x)"),
    ("x[3]", "ckks.linear.keep(x, positions)"),
    ("x[:4]", "ckks.linear.keep(x, positions)"),
    ("x / 0", "division by zero"),
    ("x / (B > 0)", "division by zero"),
    ("np.ones((8, 8)) @ x", "ckks.LinearMap(matrix) @ x"),
    ("x @ np.ones((8, 2))", "ckks.LinearMap(matrix.T) @ x"),
    ("x @ [1.0]", "needed (n,) and (n,)"),
    ("[1.0] @ x", "needed real weights"),
    ("x @ x.sum()", "inner product of shapes (8,) and (16,)"),
    ("table + table[:2]", "vectors of shapes (3, 8) and (2, 8)"),
    ("table * table[:2]", "vectors of shapes (3, 8) and (2, 8)"),
    ("np.vectorize(abs)(x)", "ckks.ml.from_sklearn"),
    ("x + x.ciphertext", "EncryptedVector(ciphertext, evaluator)"),
    ("x + [1, [2]]", "rows of different lengths"),
    ("x + [None] * 8", "type NoneType at index (0,)"),
    ("x + 2**2000", "beyond double precision"),
    ("x + [2**2000] * 8", "beyond double precision"),
    ("np.sum(table)", "needed one of them: axis=0"),
    ("np.sum(x, keepdims=True)", "keepdims"),
    ("np.size(x, 0)", "x.shape[axis]"),
    ("np.dot(x, B, out=B)", "a new vector"),
    ("x.var()", "ckks.linear.variance(x)"),
    ("x.max()", "ckks.comparisons.largest(x"),
    ("x.T", "ckks.linear.permutation"),
    ("x.dot(B)", "x @ y"),
    ("x.copy()", "immutable"),
    ("x.astype(float)", "decryptor.decrypt(x)"),
]


@pytest.mark.parametrize(("attempt", "hint"), REFUSED, ids=[attempt for attempt, _ in REFUSED])
def test_what_has_no_encrypted_form_says_what_to_use(attempt, hint):
    names = {"np": np, "B": B, "x": vector(A), "y": vector(B), "table": vector(M)}
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        eval(attempt, names)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


def test_functions_of_scipy_have_the_same_hints():
    special = pytest.importorskip("scipy.special", reason="comes with scikit-learn")
    with pytest.raises(TypeError, match=r"expit of.*functions.sigmoid\(x"):
        special.expit(vector(A))
    with pytest.raises(TypeError, match=r"functions.function\(x, erf, interval"):
        special.erf(vector(A))


def test_missing_attributes_are_missing():
    """hasattr has to be False: other libraries ask it. Names without a hint look as they always do."""
    x = vector(A)
    for name in (*hints.ATTRIBUTES, "toarray", "columns", "dtype", "_ciphertexts"):
        assert not hasattr(x, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'$"):
        _ = x.nothing


ROOTS = {"ckks": ckks, "np": np}


@pytest.mark.parametrize("name", hints.USE)
def test_hints_name_what_exists(name):
    """Every name resolves, and every call has arguments that its function takes."""
    text = hints.USE[name]
    for found in re.findall(r"\b(?:ckks|np)(?:\.\w+)+", text):
        root, *path = found.split(".")
        _resolved(root, path)
    for call in _calls(text):
        root, *path = ast.unparse(call.func).split(".")
        if root == "ckks":
            keywords = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(_resolved(root, path)).bind_partial(*[None] * len(call.args), **keywords)


def _resolved(root: str, path: list[str]) -> Any:
    value = ROOTS[root]
    for part in path:
        if not hasattr(value, part):
            importlib.import_module(f"{value.__name__}.{part}")
        value = getattr(value, part)
    return value


def _calls(text: str) -> list[ast.Call]:
    """All calls of ckks and numpy in the code of a hint: from each opening to the bracket that closes it."""
    calls = []
    for match in re.finditer(r"\b(?:ckks|np)(?:\.\w+)+\(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        tree = ast.parse(text[match.start() : end], mode="eval").body
        assert isinstance(tree, ast.Call)
        calls.append(tree)
    return calls


def test_a_missing_key_says_how_to_make_all():
    bare = make_kit(insecure_small(32), rotations=[1, 2, 8], conjugation=False)
    x = EncryptedVector(bare.encrypt(A), bare.evaluator)
    every = r"\*\*ckks.plan\(f, shape\).keys\)$"
    with pytest.raises(MissingKey, match=rf"rotation by 3, 4, 5 slots; .*rotations=\[3, 4, 5\]\).*{every}"):
        bare.evaluator.rotate_many(x.ciphertext, range(6))
    with pytest.raises(MissingKey, match=rf"conjugation.*{every}"):
        bare.evaluator.conjugate(x.ciphertext)
    without = EncryptedVector(x.ciphertext, ckks.Evaluator(bare.params))
    with pytest.raises(MissingKey, match=rf"relin=True\).*{every}"):
        without * without
    many = make_kit(insecure_small(128), rotations=range(1, 12), conjugation=False)
    with pytest.raises(MissingKey, match=r"and 3 more\."):
        many.evaluator.conjugate(many.encrypt(A))
    with pytest.raises(MissingKey, match=r"27, \.\.\. slots"):
        many.evaluator.rotate_many(many.encrypt(A), range(64))


# ---- matrices ----------------------------------------------------------------------------------------------------------


def test_matrices_of_other_libraries_and_none():
    pd = pytest.importorskip("pandas", reason="the extra churn is not installed")
    assert linear.LinearMap(pd.DataFrame(np.eye(3))).shape == (3, 3)
    assert linear.LinearMap([[1, 2], [3, 4j]]).shape == (2, 2)
    assert linear.LinearMap([[Fraction(1, 2), 2**70]]).shape == (1, 2)
    for matrix, error, text in (
        ([[1, 2], [3]], SlotError, "rows of different lengths"),
        ([1, 2, 3], SlotError, r"\(3,\).*two axes.*a single row: \[row\]"),
        (np.ones((2, 2, 2)), SlotError, r"\(2, 2, 2\)"),
        ([[]], SlotError, "neither of them empty"),
        (np.full((2, 2), np.nan), RangeError, r"nan at index \(0, 0\)"),
        (np.full((2, 2), np.inf), RangeError, "inf"),
        (pd.DataFrame({"a": ["x"], "b": [1]}), TypeError, r"type str at index \(0, 0\)"),
        ([["x"]], TypeError, "needed real or complex numbers"),
        (vector(A), TypeError, "an array of encrypted values"),
        (vector(A).ciphertext, TypeError, "not an array"),
    ):
        with pytest.raises(error, match=text):
            linear.LinearMap(matrix)


def test_a_map_is_applied_to_vectors_alone():
    a = linear.LinearMap(np.eye(8))
    for other in (A, vector(A).ciphertext, np.eye(8)):
        with pytest.raises(TypeError, match=rf"LinearMap times a {type(other).__name__}; needed an EncryptedVector"):
            a @ other
    for other in ([1, 2], 3, a, "x"):
        with pytest.raises(TypeError, match="unsupported operand"):
            a @ other
    for action in (lambda: A @ a, lambda: vector(A) @ a, lambda: a + A, lambda: A * a):
        with pytest.raises(TypeError, match="unsupported operand|'LinearMap' does not support"):
            action()


FUNCTIONS = {
    "covariance": linear.covariance,
    "centred": linear.centred,
    "mean": linear.mean,
    "total": linear.total,
    "variance": linear.variance,
    "keep": lambda x: linear.keep(x, [1]),
    "repeating": lambda x: linear.repeating(x, 8),
    "dot": lambda x: linear.dot(x, x),
    "inner": lambda x: linear.inner(x, x),
    "matmul": lambda x: linear.matmul(x, x, linear.MatrixProduct(2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_vectors_ask_for_vectors(name):
    for other in (M, M.tolist(), None, 1.0):
        with pytest.raises(TypeError, match=r"needed an EncryptedVector; make one: EncryptedVector\(encryptor.encrypt"):
            FUNCTIONS[name](other)
    with pytest.raises(TypeError, match=r"found Ciphertext.*EncryptedVector\(ciphertext, evaluator\)"):
        FUNCTIONS[name](vector(M).ciphertext)
    with pytest.raises(TypeError, match="found int, needed a MatrixProduct or an ArrangedProduct"):
        linear.matmul(vector(A), vector(A), 2)


# ---- what is printed ---------------------------------------------------------------------------------------------------


def test_short_texts():
    from ckks.circuits.comparison.composite import classical_composite

    p = ckks.approximate(np.tanh, (-3, 3), degree=7)
    assert repr(p).startswith("<Polynomial of degree 7 on [-3, 3], chebyshev, off by at most ")
    assert repr(ckks.Polynomial((1.0, 2.0), basis="power")) == "<Polynomial of degree 1 on [-1, 1], power>"
    composite = classical_composite(2.0**-4, 0.1)
    degrees = " ".join(map(str, composite.degrees))
    assert repr(composite).startswith(f"<Composite of degrees {degrees}, {composite.depth} levels, -1 or 1 from")
    product = linear.MatrixProduct(4)
    count = len(product.rotations) + product.conjugation + 1
    assert repr(product) == f"<MatrixProduct 4 x 4, 16 slots, {count} keys (hoisted)>"
    assert repr(linear.ArrangedProduct(4)) == "<ArrangedProduct 4 x 4, 32 slots, 4 keys (hoisted)>"
    assert repr(linear.LinearMap(np.eye(3))) == "<LinearMap (3, 3), 1 diagonals, 1 baby and 1 giant steps, 0 keys>"
    assert repr(vector(A)) == "<EncryptedVector (8,), INSECURE, level 4/4, ~37 bits, 2 KiB>"


def test_a_vector_is_made_of_a_ciphertext() -> None:
    for values in (A, A.tolist(), vector(A)):
        with pytest.raises(TypeError, match=r"needed a Ciphertext: EncryptedVector\(encryptor\.encrypt"):
            EncryptedVector(values, kit().evaluator)
