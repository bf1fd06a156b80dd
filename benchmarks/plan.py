"""Plans beside what they plan: `python -m benchmarks.plan [--write]`.

Each computation is planned, given just the keys that the plan asks for, and run on inputs that are chosen to be hard,
encrypted under three public keys. Time: estimate and run alternate, the ratio is a median. Precision: the forecast beside
the largest error of all inputs. The last computation takes longer than an estimate has time for, so that most of its kernels are counted, not run.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import ckks
from benchmarks.machine import processor
from benchmarks.pages import replace_between
from ckks import kernels

PAGE = Path(__file__).resolve().parent.parent / "docs" / "planning.md"
MARKS = "<!-- table: python -m benchmarks.plan --write -->", "<!-- end of plans -->"

WEIGHTS = np.random.default_rng(5).uniform(-0.25, 0.25, 30)
TANH = ckks.approximate(np.tanh, (-1, 1), degree=15)
STEEP = ckks.approximate(lambda x: np.tanh(20 * x), (-1, 1), degree=255)
KEYS = 3
HEADS = (
    "computation", "N, primes", "levels", "rotations", "MiB of keys", "ms", "ratio", "ms to estimate", "forecast", "worst",
)  # fmt: skip

LOGISTIC = ckks.approximate(ckks.circuits.logistic, (-8, 8), degree=7)


@dataclass(frozen=True)
class Case:
    """One computation.

    Args:
        title: for the table.
        function: of encrypted vectors.
        plain: the same of numbers, approximations included; slots that hold no value are not looked at.
        shape: of its one input.
    """

    title: str
    function: Callable[[Any], Any]
    plain: Callable[[Any], Any]
    shape: tuple[int, ...]


CASES = (
    Case("product", lambda x: x * x, lambda x: x * x, (4096,)),
    Case("x^8", lambda x: x**8, lambda x: x**8, (4096,)),
    Case("30 features, sigmoid of degree 7", lambda x: ckks.sigmoid(WEIGHTS @ x, interval=8),
         lambda x: LOGISTIC(WEIGHTS @ x), (30, 4096)),
    Case("tanh of degree 15", lambda x: ckks.polynomial(x, TANH), TANH, (8192,)),
    Case("differences of neighbours, squared", lambda x: ((x << 1) - x) ** 2, lambda x: (np.roll(x, -1) - x) ** 2, (8192,)),
    Case("sum over all slots", lambda x: x @ np.full(8192, 1 / 8192), lambda x: np.full(8192, x.mean()), (8192,)),
    Case("3 ciphertexts, tanh of degree 255", lambda x: ckks.polynomial(x, STEEP), STEEP, (3, 8192)),
)  # fmt: skip


def inputs(shape: tuple[int, ...]) -> Iterator[np.ndarray[Any, np.dtype[np.float64]]]:
    """Constant vectors at either end of [-1, 1], zeros, a spike, both ends in turn, and anything."""
    yield np.ones(shape)
    yield -np.ones(shape)
    yield np.zeros(shape)
    spike = np.zeros(shape)
    spike[..., 0] = 1.0
    yield spike
    yield np.where(np.arange(shape[-1]) % 2, 1.0, -1.0) * np.ones(shape)
    yield np.random.default_rng(1).uniform(-1, 1, shape)


def row(case: Case, rounds: int) -> list[str]:
    """Plan and run one computation; return its cells."""
    plan = ckks.plan(case.function, case.shape)
    worst, spent, estimating, ratios = 0.0, [], [], []
    for _ in range(KEYS):
        generator = ckks.KeyGenerator(plan.params)
        secret = generator.secret_key()
        evaluator = ckks.Evaluator(plan.params, generator.evaluation_keys(secret, **plan.keys))
        encryptor = ckks.Encryptor(plan.params, generator.public_key(secret))
        decryptor = ckks.Decryptor(plan.params, secret)
        for x in inputs(case.shape):
            y = case.function(ckks.EncryptedVector(encryptor.encrypt(x), evaluator))
            worst = max(worst, float(np.abs(decryptor.decrypt(y.ciphertext) - case.plain(x)).max()))
    vector = ckks.EncryptedVector(encryptor.encrypt(np.ones(case.shape)), evaluator)
    for _ in range(rounds):
        start = time.perf_counter()
        estimate = plan.seconds()
        estimating.append(time.perf_counter() - start)
        start = time.perf_counter()
        _ = case.function(vector).ciphertext
        spent.append(time.perf_counter() - start)
        ratios.append(estimate / spent[-1])
    return [
        case.title,
        f"2^{plan.params.ring_degree.bit_length() - 1}, {len(plan.params.moduli)} + {plan.params.num_special}",
        str(plan.depth),
        str(len(plan.rotations)),
        f"{plan.key_bytes / 2**20:.1f}",
        f"{1e3 * statistics.median(spent):.2f}",
        f"{statistics.median(ratios):.2f}",
        f"{1e3 * statistics.median(estimating):.0f}",
        f"{plan.precision_bits:.1f}",
        f"{-np.log2(worst):.1f}",
    ]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/planning.md")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of estimate and run (15)")
    options = parser.parse_args()
    rows = [row(case, options.rounds) for case in track(CASES, console=Console(stderr=True), transient=True)]
    table = Table(*HEADS, title="Plans and what they planned: estimate / run, bits forecast, bits of the worst input")
    for cells in rows:
        table.add_row(*cells)
    Console().print(table)
    if options.write:
        lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in rows]
        source = kernels.active()
        name = f"{source.name} {source.describe().get('variant', '')}".strip()
        lines += ["", f"{processor()}, {kernels.num_threads()} thread, kernels {name}; {datetime.date.today()}."]
        PAGE.write_text(replace_between(PAGE.read_text(encoding="utf-8"), MARKS, "\n".join(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
