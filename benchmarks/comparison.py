"""What comparisons of encrypted numbers cost, and how right they are: `python -m benchmarks.comparison [--write]`.

For each resolution: the composite's depth beside that of the fixed polynomials of [CKK19] and of what no circuit can go
below; then one sign of a whole vector, at the smallest secure parameters for that depth, whose values are the worst
ones: exactly the resolution, both ends, everything in between on a logarithmic grid. `--write` fills the tables of
docs/comparison.md.
"""

from __future__ import annotations

import datetime
import math
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import ckks
from benchmarks.machine import processor
from benchmarks.pages import DOCS, replace_between
from benchmarks.pages import table as markdown
from ckks import CKKSParams
from ckks.circuits.comparison.composite import Composite, classical_composite, minimax_composite
from ckks.circuits.comparison.deciding import evaluate_composite, noise_profile
from ckks.circuits.comparison.odd_minimax import least_degree
from ckks.circuits.comparison.operations import Operation, depth_of
from ckks.rlwe.noise import rounding

PAGE = DOCS / "comparison.md"
DEPTHS = "<!-- depths: python -m benchmarks.comparison --write -->", "<!-- end of depths -->"
RUNS = "<!-- runs: python -m benchmarks.comparison --write -->", "<!-- end of runs -->"
USES = "<!-- operations: python -m benchmarks.comparison --write -->", "<!-- end of operations -->"
OPERATIONS: tuple[tuple[Operation, int], ...] = (
    ("sign", 2), ("compare", 2), ("maximum", 2), ("largest", 4), ("argmax", 4),
)  # fmt: skip

Rows = list[list[str]]


@dataclass(frozen=True)
class Run:
    """One sign of a vector: seconds, and errors against the sign and against the composite itself."""

    params: CKKSParams
    seconds: float
    products: float
    worst: float
    stated: float
    noise: float
    expected: float


def key_switches(composite: Composite, top: int) -> Counter[int]:
    """How many relinearised products are made at each level."""
    found: Counter[int] = Counter()
    for plan in composite.plans:
        found.update(top - power.depth + 1 for power in plan.powers)
        found.update(top - block.depth + 1 for block in plan.blocks if block.products)
        top -= plan.depth
    return found


def run(composite: Composite, scale_bits: int, repeats: int) -> Run:
    """Evaluate once (`repeats` times for the median) and measure; then as many products at the same levels."""
    params = CKKSParams.for_scale(composite.depth, scale_bits=scale_bits)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    public, keys = keygen.public_key(secret), keygen.evaluation_keys(secret, rotations=[])
    evaluator = ckks.Evaluator(params, keys)
    x = np.geomspace(composite.resolution, 1.0, params.slots // 2)
    x[-1] = 1.0
    x = np.concatenate([x, -x])
    ct = ckks.Encryptor(params, public).encrypt(x)
    evaluate_composite(evaluator, ct, composite)  # plans, forecasts and pages are there from now on
    seconds, products = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        result = evaluate_composite(evaluator, ct, composite)
        seconds.append(time.perf_counter() - start)
        spent = 0.0
        for level, count in key_switches(composite, ct.level).items():
            low = ct.at_level(level)
            low = low.with_(meta=low.meta.but(scale=params.scale_at(level)))  # the words are as good as any
            start = time.perf_counter()
            evaluator.multiply(low, low)
            spent += count * (time.perf_counter() - start)
        products.append(spent)
    decryptor = ckks.Decryptor(params, secret)
    found = decryptor.decrypt(result)
    off = np.abs(found - np.sign(x))
    # All values where noise counts most, as the forecast takes them to be.
    scale = float(params.scale)
    most = noise_profile(composite).worst_argument(ct.noise.std / scale, rounding(params).std / scale)
    alike = np.where(np.arange(params.slots) % 2, most, -most)
    of_alike = evaluate_composite(evaluator, ckks.Encryptor(params, public).encrypt(alike), composite)
    noises = [found - composite(x), decryptor.decrypt(of_alike) - composite(alike)]
    return Run(
        params,
        statistics.median(seconds),
        statistics.median(products),
        float(off.max()),
        composite.max_abs_error,
        max(float(np.sqrt(np.mean(noise**2))) for noise in noises),
        ckks.expected_error(result),
    )


def depths(bits: list[int], max_abs_error: float) -> Rows:
    """Depth and products of composites, beside others'."""
    rows = []
    for b in bits:
        c = minimax_composite(2.0**-b, max_abs_error)
        classical = [classical_composite(2.0**-b, max_abs_error, n=n) for n in (3, 4)]
        degree = least_degree(c.resolution, max_abs_error)
        rows.append(
            [
                f"2^-{b}",
                " ".join(map(str, c.degrees)),
                str(c.depth),
                f"{c.products} ({c.key_switches})",
                *(f"{k.depth}, {k.products} ({k.key_switches})" for k in classical),
                f"{degree:,}: {math.ceil(math.log2(degree))}",
            ]
        )
    return rows


DEPTH_TITLES = [
    "resolution", "degrees", "levels", "products (key switches)", "g_3, f_3: levels, products", "g_4, f_4", "least degree: levels",
]  # fmt: skip
RUN_TITLES = [
    "resolution", "composite", "parameters", "seconds", "its products alone", "worst error", "stated", "noise", "forecast",
]  # fmt: skip


def use_titles_of(bits: list[int]) -> list[str]:
    """Head of the table of operations."""
    return ["levels", f"resolution 2^-{bits[0]}", *(f"2^-{b}" for b in bits[1:])]


def operations(bits: list[int], max_abs_error: float) -> Rows:
    """Levels of every operation, for values within +-1/2 and within +-1."""
    rows = []
    for name, count in OPERATIONS:
        title = name if count == 2 else f"{name} of {count}"
        cells = []
        for b in bits:
            c = minimax_composite(2.0**-b, max_abs_error)
            cells.append(", ".join(str(depth_of(name, c, radius=radius, count=count)) for radius in (0.5, 1.0)))
        rows.append([title, *cells])
    return rows


def runs(bits: list[int], max_abs_error: float, scale_bits: int, repeats: int, console: Console) -> Rows:
    """One row per composite that was run."""
    rows = []
    for b in bits:
        for title, c in (
            ("minimax", minimax_composite(2.0**-b, max_abs_error)),
            ("g_3, f_3", classical_composite(2.0**-b, max_abs_error)),
        ):
            console.print(f"resolution 2^-{b}, {title}, depth {c.depth} ...")
            r = run(c, scale_bits, repeats)
            exact = [f"{-math.log2(v):.1f}" for v in (r.worst, r.stated, r.noise, r.expected)]
            size = f"N = 2^{r.params.ring_degree.bit_length() - 1}, {c.depth} levels"
            rows.append([f"2^-{b}", title, size, f"{r.seconds:.2f}", f"{r.products:.2f}", *exact])
    return rows


def shown(title: str, titles: list[str], rows: Rows) -> Table:
    """Format for the terminal."""
    table = Table(*titles, title=title)
    for row in rows:
        table.add_row(*row)
    return table


def main(
    resolution_bits: Annotated[list[int] | None, typer.Option(help="resolutions 2^-this")] = None,
    error_bits: Annotated[int, typer.Option(help="wanted error 2^-this")] = 20,
    scale_bits: Annotated[int, typer.Option(help="of the parameters that are run")] = 48,
    repeats: Annotated[int, typer.Option(help="evaluations per row; the median is shown")] = 1,
    only_depths: Annotated[bool, typer.Option(help="run nothing")] = False,
    write: Annotated[bool, typer.Option(help="put the tables into docs/comparison.md")] = False,
) -> None:
    """Print the tables."""
    console, bits, max_abs_error = Console(), resolution_bits or [8, 12, 16], 2.0**-error_bits
    found = depths(bits, max_abs_error)
    console.print(shown(f"error 2^-{error_bits}", DEPTH_TITLES, found))
    uses = operations(bits, max_abs_error)
    use_titles = use_titles_of(bits)
    console.print(shown("values within 1/2, within 1", use_titles, uses))
    measured = [] if only_depths else runs(bits, max_abs_error, scale_bits, repeats, console)
    console.print(shown("one vector", RUN_TITLES, measured))
    if write:
        text = PAGE.read_text(encoding="utf-8")
        text = replace_between(text, DEPTHS, markdown(DEPTH_TITLES, found))
        text = replace_between(text, USES, markdown(use_titles, uses))
        if measured:
            where = f"{processor()}, {datetime.date.today().isoformat()}, scale 2^{scale_bits}, error 2^-{error_bits}, "
            where += f"median of {repeats} run{'s' * (repeats > 1)}. Made by `python -m benchmarks.comparison --write`."
            text = replace_between(text, RUNS, where + "\n\n" + markdown(RUN_TITLES, measured))
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
