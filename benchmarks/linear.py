"""What linear algebra on encrypted values costs and how exact it is: `python -m benchmarks.linear [--write]`.

Plaintext matrices times vectors in several designs, a product of encrypted matrices, covariances of an encrypted table:
time beside that of the multiplications alone, rotations, keys, precision on adversarial inputs beside the forecast.
Designs are run in turn; times are medians of the processor time of the one thread there is: what else runs on the
machine disturbs that less than the time of a clock.
"""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import log2, sqrt
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.machine import processor
from benchmarks.pages import DOCS, table, write_between
from ckks import CKKSParams, Decryptor, Encryptor, Evaluator, KeyGenerator, error_bound, kernels
from ckks.circuits.linear.arranged import ArrangedProduct
from ckks.circuits.linear.matrix import Keys, LinearMap
from ckks.circuits.linear.products import MatrixProduct
from ckks.circuits.linear.statistics import covariance, covariance_rotations
from ckks.linear import covariance as encrypted_covariance
from ckks.linear import matmul
from ckks.planning import Plan
from ckks.planning import plan as plan_of
from ckks.rlwe import Ciphertext

PAGE = DOCS / "linear.md"
MARKS = "<!-- table: python -m benchmarks.linear --write -->", "<!-- end of linear -->"
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "not packed": {"real": False},
    "minimal keys": {"keys": "minimal"},
}


@dataclass
class Row:
    """One line of the table."""

    title: str
    params: CKKSParams
    run: Callable[[], Ciphertext]
    alone: Callable[[], Any]
    rotations: int
    keys: int
    key_bytes: int
    kept: int
    depth: str
    bits: dict[str, float] = field(default_factory=dict)
    forecast: float = 0.0
    bound: float = 0.0
    seconds: list[float] = field(default_factory=list)
    seconds_alone: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """One round."""
        for function, times in ((self.run, self.seconds), (self.alone, self.seconds_alone)):
            start = time.thread_time()
            function()
            times.append(time.thread_time() - start)

    def cells(self) -> list[str]:
        """The line, formatted."""
        ms, alone = (1e3 * statistics.median(t) for t in (self.seconds, self.seconds_alone))
        bits = " / ".join(f"{b:.1f}" for b in self.bits.values())
        return [
            self.title,
            f"2^{self.params.ring_degree.bit_length() - 1}, {len(self.params.moduli)}+{self.params.num_special}",
            f"{ms:.1f}",
            f"{alone:.1f}",
            f"{ms / alone:.1f}",
            str(self.rotations),
            f"{self.keys}, {self.key_bytes / 2**20:.0f} MiB",
            f"{self.kept / 2**20:.1f} MiB",
            self.depth,
            bits,
            f"{self.forecast:.1f}",
            f"{self.bound:.1f}",
        ]


HEADINGS = [
    "",
    "N, limbs",
    "ms",
    "multiplications alone",
    "ratio",
    "rotations",
    "keys",
    "diagonals kept",
    "depth (least)",
    "bits: constant / spike / ends",
    "forecast",
    "bound",
]


class KeySet:
    """Keys for a circuit, and what works with them."""

    def __init__(self, params: CKKSParams, rotations: tuple[int, ...], conjugation: bool, relin: bool) -> None:
        generator = KeyGenerator(params)
        secret = generator.secret_key()
        self.keys = generator.evaluation_keys(secret, relin=relin, rotations=rotations, conjugation=conjugation)
        self.evaluator = Evaluator(params, self.keys)
        self.encryptor = Encryptor(params, generator.public_key(secret))
        self.decryptor = Decryptor(params, secret)


def judge(row: Row, keys: KeySet, results: dict[str, tuple[Ciphertext, np.ndarray]], planned: Plan) -> None:
    """Note the bits of the worst slot of each result, of the forecast (999 of 1000 runs) and of the bound."""
    for name, (ct, wanted) in results.items():
        error = float(np.abs(keys.decryptor.decrypt(ct) - wanted).max())
        row.bits[name] = -log2(error)
        row.bound = -log2(error_bound(ct))
    row.forecast = planned.precision_bits


def vectors(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Adversarial inputs of size 1."""
    return {"constant": np.ones(n), "spike": np.eye(1, n)[0], "ends": rng.choice([-1.0, 1.0], n)}


def matrix_row(params: CKKSParams, n: int, way: str) -> Row:
    """n x n plaintext matrix times vector."""
    rng = np.random.default_rng(1)
    matrix = rng.uniform(-1, 1, (n, n)) * sqrt(3 / n)
    linear = LinearMap(matrix, **WAYS[way])
    keys = KeySet(params, linear.rotations, linear.conjugation, relin=False)
    inputs = {name: keys.encryptor.encrypt(x, slots=n) for name, x in vectors(n, rng).items()}
    results = {
        name: (linear.apply(keys.evaluator, ct), matrix @ vectors(n, np.random.default_rng(1))[name])
        for name, ct in inputs.items()
        if name != "ends"
    }
    ends = keys.decryptor.decrypt(inputs["ends"]).round()
    results["ends"] = linear.apply(keys.evaluator, inputs["ends"]), matrix @ ends
    plan = linear._schedule
    babies = len(plan.babies) - (0 in plan.baby_rotations)
    (encoded,) = linear._encoded._kept.values()
    joint = params.extended_basis(params.top_level).plan
    terms = [kernels.zeros((words.shape[1], 2, *joint.shape)) for words in encoded[0][0]]

    def alone() -> None:
        for x, words in zip(terms, encoded[0][0], strict=True):
            kernels.combine(joint, x, words)

    row = Row(
        f"{n} x {n}, {way}: {linear.diagonals} diagonals, {linear.steps[0]} baby and {linear.steps[1]} giant steps",
        params,
        lambda: linear.apply(keys.evaluator, inputs["ends"]),
        alone,
        babies + len(plan.giant_rotations) + 2 * linear.conjugation,
        len(keys.keys.galois),
        keys.keys.nbytes,
        linear.nbytes(params, params.top_level),
        "1 (1)",
    )
    judge(row, keys, results, plan_of(lambda x: linear @ x, n, slots=n, params=params))
    return row


def product_row(params: CKKSParams, size: int, way: Keys = "hoisted", *, arranged: bool = False) -> Row:
    """Encrypted size x size matrices, as they are or arranged for their product in the clear."""
    rng = np.random.default_rng(2)
    product = ArrangedProduct(size, keys=way) if arranged else MatrixProduct(size, keys=way)
    packs = (product.pack_left, product.pack_right) if isinstance(product, ArrangedProduct) else (product.pack,) * 2
    maps = () if isinstance(product, ArrangedProduct) else (product.sigma, product.tau, product.phi)
    keys = KeySet(params, product.rotations, product.conjugation, relin=True)
    b, end = rng.choice([-1.0, 1.0], (size, size)) / sqrt(size), 1 / sqrt(size)
    lefts = {
        "constant": np.ones((size, size)),
        "spike": np.eye(size * size)[0].reshape(size, size),
        "ends": rng.choice([-1.0, 1.0], (size, size)),
    }
    y = keys.encryptor.encrypt(packs[1](b), slots=product.slots, bound=end)
    xs = {name: keys.encryptor.encrypt(packs[0](a), slots=product.slots, bound=1.0) for name, a in lefts.items()}
    results = {}
    for name, x in xs.items():
        zeros = np.zeros((size, product.slots // size - size))
        results[name] = product.multiply(keys.evaluator, x, y), np.hstack([lefts[name] @ b, zeros]).ravel()
    e, level = keys.evaluator, params.top_level - product.depth + 1
    left, right = (e.bring(ct, level) for ct in (xs["ends"], y))

    def alone() -> None:
        for _ in range(size):
            e.multiply(left, right)

    rotations = 2 * (size - 1) + size - 1 + sum(sum(m.steps) - 2 for m in maps[:2]) if maps else size - 1
    kept = sum(m.nbytes(params, params.top_level - i) for i, m in enumerate(maps))
    row = Row(
        f"encrypted {size} x {size} times {size} x {size}, {way}{' keys, arranged' * arranged} (alone: {size} products)",
        params,
        lambda: product.multiply(keys.evaluator, xs["ends"], y),
        alone,
        rotations,
        len(keys.keys.galois) + 1,
        keys.keys.nbytes,
        kept,
        f"{product.depth} (1)",
    )
    shapes = (product.slots,) * 2
    planned = plan_of(partial(matmul, product=product), *shapes, ranges=(1.0, end), slots=product.slots, params=params)
    judge(row, keys, results, planned)
    return row


def covariance_row(params: CKKSParams, rows: int, columns: int) -> Row:
    """Covariances of an encrypted table."""
    keys = KeySet(params, covariance_rotations(columns, params.slots), True, relin=True)
    tables = {
        "constant": np.ones((rows, columns)),
        "spike": np.eye(rows, columns),
        "ends": np.where(np.arange(rows) % 2, 1.0, -1.0)[:, None] * np.ones(columns),  # all covariances 1: the worst
    }
    cts = {name: keys.encryptor.encrypt(t.T) for name, t in tables.items()}
    results = {
        name: (covariance(keys.evaluator, ct), np.cov(tables[name].T, ddof=0).ravel()) for name, ct in cts.items()
    }
    e = keys.evaluator
    one = e.bring(cts["ends"], params.top_level - 1)

    def alone() -> None:
        for i in range(columns):
            for j in range(i, columns):
                e.multiply(one[i], one[j])

    row = Row(
        f"covariance of {rows} x {columns} (alone: {columns * (columns + 1) // 2} products)",
        params,
        lambda: covariance(keys.evaluator, cts["ends"]),
        alone,
        sum(len(covariance_rotations(1, params.slots)) for _ in range(2)),
        len(keys.keys.galois) + 1,
        keys.keys.nbytes,
        0,
        "3 (1)",
    )
    judge(row, keys, results, plan_of(encrypted_covariance, (columns, rows), params=params))
    return row


def designs(params: CKKSParams, n: int, rounds: int) -> list[tuple[str, float]]:
    """Milliseconds of one matrix by the number of baby steps, packed or not."""
    rng = np.random.default_rng(1)
    matrix, x = rng.uniform(-1, 1, (n, n)) * sqrt(3 / n), rng.uniform(-1, 1, n)
    found = []
    for real in (True, False):
        for babies in (None, 8, 16, 32, 64, 128):
            linear = LinearMap(matrix, real=real, baby_steps=babies)
            keys = KeySet(params, linear.rotations, linear.conjugation, relin=False)
            ct = keys.encryptor.encrypt(x, slots=n)
            times = []
            for _ in range(rounds + 1):
                start = time.thread_time()
                linear.apply(keys.evaluator, ct)
                times.append(time.thread_time() - start)
            name = f"{'packed' if real else 'not packed'}, {linear.steps[0]} baby and {linear.steps[1]} giant steps"
            chosen = " (chosen)" if babies is None else ""
            found.append((name + chosen, 1e3 * statistics.median(times[1:])))
    return found


def text_of(rows: list[Row], tried: list[tuple[str, float]], rounds: int) -> str:
    """Format everything as Markdown."""
    sets = {row.params for row in rows}
    lines = [
        f"Processor time of one thread, kernels {kernels.active().describe().get('variant')}, medians of {rounds} rounds in turn, "
        f"{processor()}, {datetime.date.today().isoformat()}. Made by `python -m benchmarks.linear`.",
        "",
        table(HEADINGS, (row.cells() for row in rows)),
        "",
        *sorted(f"- {params}" for params in sets),
        "",
        "1024 x 1024 over N = 2^13 by design, milliseconds:",
        "",
        table(["design", "ms"], ([name, f"{ms:.1f}"] for name, ms in tried)),
    ]
    return "\n".join(lines)


def main(
    rounds: Annotated[int, typer.Option(help="how often each row is timed")] = 15,
    write: Annotated[bool, typer.Option(help="put the tables into docs/linear.md")] = False,
    large: Annotated[bool, typer.Option(help="N = 2^14 too")] = True,
) -> None:
    """Run the command line."""
    console = Console(stderr=True)
    small = CKKSParams.preset("S13", depth=1)
    makers: list[Callable[[], Row]] = [partial(matrix_row, small, n, way) for n in (128, 1024) for way in WAYS]
    if large:
        s14 = CKKSParams.preset("S14")
        makers += [partial(matrix_row, s14, n, "default") for n in (128, 1024)]
    wide: dict[str, Any] = {"base_bits": 49, "value_range": 8.0}
    s13 = CKKSParams.preset("S13", **wide)
    makers += [
        partial(product_row, s13, 64),
        partial(product_row, s13, 64, "minimal"),
        *([partial(product_row, CKKSParams.preset("S14", depth=1, **wide), 64, arranged=True)] if large else []),
        *(
            partial(product_row, CKKSParams.preset("S13", depth=1, **wide), 32, way, arranged=True)
            for way in ("hoisted", "minimal")
        ),
        partial(covariance_row, s13, 4096, 8),
    ]
    rows = []
    for make in makers:
        rows.append(make())
        console.print(f"ready: {rows[-1].title}")
    for _ in range(rounds + 1):
        for row in rows:
            row.measure()
    for row in rows:
        del row.seconds[0], row.seconds_alone[0]
    tried = designs(small, 1024, max(3, rounds // 2))
    shown = Table(*HEADINGS)
    for row in rows:
        shown.add_row(*row.cells())
    Console(width=200).print(shown)
    text = text_of(rows, tried, rounds)
    print(text)
    if write:
        write_between(PAGE, MARKS, text)


if __name__ == "__main__":
    typer.run(main)
