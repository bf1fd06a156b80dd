"""docs/linear.md, comparison.md and planning.md: their snippets run, and where output is shown they print it.

(docs/tour.md, models.md, functions.md and README.md have tests of their own.) A page is one program; names that belong
to its reader, weights and data, come from here.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

import ckks
from ckks import CKKSParams, EncryptedVector, linear

DOCS = Path(__file__).parents[1] / "docs"
SNIPPET = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def run(page: str, space: dict[str, Any]) -> dict[str, Any]:
    """Run the snippets of a page from top to bottom; what they print is what it shows, where it shows something."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = list(SNIPPET.finditer(text))
    assert len(found) == text.count("```python\n") >= 1
    for match in found:
        line = text.count("\n", 0, match.start()) + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + match[1], page, "exec"), space)
        assert match[2] is None or printed.getvalue() == match[2], f"{page}, line {line}"
    return space


def test_linear_algebra():
    run("linear.md", {})


def test_comparisons():
    params = CKKSParams.generate(
        ring_degree=64, depth=18, scale_bits=48, base_bits=55, num_special=3, special_bits=55, security=None,
        value_range=4.0,
    )  # fmt: skip
    kit = make_kit(params)
    values = np.linspace(-1, 1, 16)
    x, y, scores = (
        EncryptedVector(kit.encrypt(v, bound=2.0), kit.evaluator) for v in (values, -values / 2, np.abs(values))
    )
    space = run("comparison.md", {"x": x, "y": y, "scores": scores})
    assert np.abs(kit.decrypt(space["best"].ciphertext) - np.maximum(values, -values / 2)).max() < 2.0**-8
    assert np.abs(kit.decrypt(space["hits"].ciphertext) - (np.abs(values) > 0.8)).max() < 1e-3


def test_planning(capsys):
    rng = np.random.default_rng(1)
    space = run("planning.md", {"weights": rng.normal(size=30) / 30, "bias": 0.25})
    plan = space["plan"]
    assert plan.depth == 4 and not plan.rotations
    assert space["evaluator"].params == plan.params


# ---- the table of docs/linear.md ---------------------------------------------------------------------------------------

PAGE = (DOCS / "linear.md").read_text(encoding="utf-8") if DOCS.is_dir() else ""
ROWS = {
    row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]]
    for row in PAGE.partition("## What there is")[2].partition("\n###")[0].splitlines()
    if row.startswith("| `")
}
MATRIX, TABLE, S = np.arange(1.0, 9.0).reshape(2, 4) / 8, np.cos(np.arange(10.0)).reshape(2, 5), 16
A, SHIFT = linear.LinearMap(MATRIX), linear.LinearMap.of_diagonals({0: np.ones(4), 1: np.full(4, 0.5)})
PLACES, TURN, PRODUCT = linear.permutation([1, 0, -1, 2]), linear.transposition(2, 2), linear.MatrixProduct(2)
ARRANGED, FACTOR = linear.ArrangedProduct(4), np.cos(np.arange(16.0)).reshape(4, 4) / 4
X = np.array([1.0, 2.0, 3.0, 4.0]) / 4

Case = tuple[Callable[[EncryptedVector], EncryptedVector], np.ndarray, int, Any, Any]
"""Of a row: what is computed of x; the values of x; its slots; the rotations; what is expected (the first values)."""
CASES: dict[str, Case] = {
    "`LinearMap(matrix) @ x`": (lambda x: A @ x, X, 4, A.rotations, MATRIX @ X),
    "`LinearMap.of_diagonals({step: diagonal}) @ x`": (lambda x: SHIFT @ x, X, 4, SHIFT.rotations, X + np.roll(X, -1) / 2),
    "`permutation(places) @ x`": (lambda x: PLACES @ x, X, 4, PLACES.rotations, X[[1, 0, 0, 2]] * [1, 1, 0, 1]),
    "`transposition(rows, columns) @ x`": (lambda x: TURN @ x, X, 4, TURN.rotations, X[[0, 2, 1, 3]]),
    "`weights @ x`": (lambda x: np.array([1.0, -1.0]) @ x, TABLE, S, (), TABLE[0] - TABLE[1]),
    "`x @ w`": (lambda x: x @ X, X, S, (1, 2, 4, 8), np.full(S, X @ X)),
    "`x @ y`, `inner(x, y)`": (lambda x: linear.inner(x, x), X, S, linear.total_rotations(S), np.full(S, X @ X)),
    "`dot(x, y)`": (lambda x: linear.dot(x, x), TABLE, S, (), (TABLE**2).sum(0)),
    "`matmul(x, y, product)`": (
        lambda x: linear.matmul(x, x, PRODUCT), X, 4, PRODUCT.rotations, (X.reshape(2, 2) @ X.reshape(2, 2)).ravel(),
    ),
    "`matmul(x, y, arranged)`": (
        lambda x: linear.matmul(x[0], x[1], ARRANGED),
        np.stack([ARRANGED.pack_left(FACTOR), ARRANGED.pack_right(FACTOR)]),
        32,
        ARRANGED.rotations,
        np.hstack([FACTOR @ FACTOR, np.zeros((4, 4))]).ravel(),
    ),
    "`keep(x, chosen)`": (lambda x: linear.keep(x, [1, 3]), X, 4, (), X * [0, 1, 0, 1]),
    "`repeating(x, slots)`": (lambda x: linear.repeating(x, 4), np.tile(X, 4), S, (), X),
    "`x.sum(axis=0)`": (lambda x: x.sum(axis=0), TABLE, S, (), TABLE.sum(0)),
    "`total(x)`, `x.sum(axis=-1)`": (
        lambda x: x.sum(axis=-1), TABLE, S, linear.total_rotations(S), np.repeat(TABLE.sum(1), S).reshape(2, S),
    ),
    "`mean(table)`": (linear.mean, TABLE, S, linear.total_rotations(S), np.repeat(TABLE.mean(1), S).reshape(2, S)),
    "`x.mean(axis=-1)`": (
        lambda x: x.mean(axis=-1), TABLE, S, linear.total_rotations(S), np.repeat(TABLE.mean(1), 5).reshape(2, 5),
    ),
    "`centred(table)`": (linear.centred, TABLE, S, linear.total_rotations(S), TABLE - TABLE.mean(1, keepdims=True)),
    "`variance(table, ddof=0)`": (
        linear.variance, TABLE, S, linear.total_rotations(S), np.repeat(TABLE.var(1), S).reshape(2, S),
    ),
    "`covariance(table, ddof=0)`": (
        linear.covariance, TABLE, S, linear.covariance_rotations(2, S), np.cov(TABLE, ddof=0).ravel(),
    ),
}  # fmt: skip


def kit_with(rotations: Any, *, conjugation: bool, relin: bool) -> Kit:
    kit = make_kit(insecure_small(64, value_range=4.0), rotations=rotations, conjugation=conjugation)
    keys = ckks.EvaluationKeys(kit.params, kit.keys.relin if relin else None, dict(kit.keys.galois))
    return Kit(kit.params, kit.secret, kit.public, keys, kit.encryptor, ckks.Evaluator(kit.params, keys), kit.decryptor)


def test_the_table_is_complete():
    assert set(ROWS) == set(CASES)
    for name in linear.__all__:
        assert f"{name}(" in PAGE, name
        shown = "".join(match[1] for match in SNIPPET.finditer(PAGE))
        assert f"linear.{name}(" in shown, f"no snippet for {name}"


@pytest.mark.parametrize("call", CASES)
def test_a_row_of_the_table_is_true(call):
    """The levels are those that are used, and the keys listed suffice; each of them is needed."""
    f, values, slots, rotations, wanted = CASES[call]
    _, levels, listed, others = ROWS[call]
    conjugation = others.endswith("conjugation") or (".conjugation" in others and _conjugates(call))
    kit = kit_with(rotations, conjugation=conjugation, relin="relinearisation" in others)
    x = EncryptedVector(kit.encrypt(values, slots=slots), kit.evaluator)
    y = f(x).ciphertext
    assert x.ciphertext.level - y.level == int(levels)
    assert kit.error(y, wanted) <= ckks.error_bound(y)
    assert bool(rotations) == bool(listed)
    if rotations or conjugation or "relinearisation" in others:
        bare = EncryptedVector(x.ciphertext, ckks.Evaluator(kit.params))
        with pytest.raises(ckks.errors.MissingKey):
            _ = f(bare).ciphertext


def _conjugates(call: str) -> bool:
    maps = {"LinearMap(": A, "LinearMap.of": SHIFT, "permutation": PLACES, "transposition": TURN, "matmul": PRODUCT}
    return next(each.conjugation for name, each in maps.items() if call.startswith(f"`{name}"))
