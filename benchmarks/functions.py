"""What functions of encrypted values cost and how exact they are: `python -m benchmarks.functions [--write]`.

Every function of the catalogue at its defaults, and three on wide intervals. Precision is that of the worst slot of
vectors chosen to be bad: both ends of the interval, its middle, spikes, alternating ends, and an even spread. Times are
medians; the time of the products is taken inside the same calls, at the doors of the evaluator's products and key
switches. `--only-plans`: the plans with the fewest key switches beside those with the fewest products.
"""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, log2, sqrt
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import ckks
from benchmarks.machine import processor
from benchmarks.pages import DOCS, table, write_between
from ckks.circuits import evaluate_per_slot, evaluate_polynomial, evaluate_polynomials
from ckks.circuits.functions.catalogue import CATALOGUE
from ckks.circuits.functions.choice import Approximation, depth_of, evaluate_function, fit, multiplications_of
from ckks.circuits.functions.newton import Newton
from ckks.circuits.polynomials.plan import evaluation_plan, shared_plans
from ckks.circuits.polynomials.polynomial import Polynomial
from ckks.circuits.polynomials.prices import PRICES
from ckks.circuits.polynomials.walk import walk

PAGE = DOCS / "functions.md"
MARKS = "<!-- table: python -m benchmarks.functions --write -->", "<!-- end of functions -->"
PLAN_MARKS = "<!-- plans: python -m benchmarks.functions --only-plans --write -->", "<!-- end of plans -->"
WORST_OF_MANY = 7
"""The worst of N/2 slots lies at about 7 rms (`CKKSParams.for_depth`)."""

WIDE = (
    ("sigmoid", (-200.0, 200.0), 1e-3),
    ("inverse", (0.001, 1.0), 1e-3),
    ("inverse_sqrt", (0.001, 1.0), 1e-3),
    ("sqrt", (0.0001, 1.0), 1e-5),
)


class Timed(ckks.Evaluator):
    """An evaluator that adds up the seconds spent in products of ciphertexts and their key switches and rescales."""

    seconds = 0.0
    inside = False

    @contextmanager
    def _clock(self) -> Iterator[None]:
        if self.inside:
            yield
            return
        self.inside, start = True, time.perf_counter()
        try:
            yield
        finally:
            self.inside = False
            self.seconds += time.perf_counter() - start

    def tensor(self, a: Any, b: Any) -> Any:
        with self._clock():
            return super().tensor(a, b)

    def relinearise(self, a: Any, *, rescale: bool = False) -> Any:
        with self._clock():
            return super().relinearise(a, rescale=rescale)

    def multiply(self, a: Any, b: Any, *, rescale: bool = True) -> Any:
        if not isinstance(b, ckks.Ciphertext):
            return super().multiply(a, b, rescale=rescale)
        with self._clock():
            return super().multiply(a, b, rescale=rescale)


@dataclass(frozen=True)
class Machinery:
    """One parameter set with its keys."""

    params: ckks.CKKSParams
    encryptor: ckks.Encryptor
    evaluator: Timed
    decryptor: Any

    @classmethod
    def of(cls, params: ckks.CKKSParams) -> Machinery:
        keygen = ckks.KeyGenerator(params)
        secret = keygen.secret_key()
        keys = keygen.evaluation_keys(secret)
        return cls(
            params,
            ckks.Encryptor(params, keygen.public_key(secret)),
            Timed(params, keys),
            ckks.Decryptor(params, secret),
        )


@dataclass(frozen=True)
class Row:
    """One function."""

    name: str
    interval: tuple[float, float]
    kind: str
    fit_error: float
    levels: int
    least: int
    products: int
    measured: float
    forecast: float
    total: float
    of_products: float


def inputs(n: int) -> dict[str, np.ndarray]:
    """Bad vectors in units of the interval, [-1, 1]."""
    spike = np.zeros(n)
    spike[n // 3] = 1.0
    return {
        "right end": np.ones(n),
        "left end": -np.ones(n),
        "middle": np.zeros(n),
        "spike": spike,
        "spike among ends": 2 * spike - 1,
        "alternating": np.where(np.arange(n) % 2, 1.0, -1.0),
        "spread": np.linspace(-1, 1, n),
    }


def composed_degree(chosen: Approximation) -> int:
    """Degree of the whole approximation as one polynomial."""
    if isinstance(chosen, Polynomial):
        return chosen.degree
    if not isinstance(chosen, Newton):
        return int(3**chosen.steps) * chosen.base.degree
    degree = chosen.start.degree
    for _ in range(chosen.steps):
        degree = 2 * degree + 1 if chosen.kind == "inverse" else 3 * degree + 1
    return degree + (chosen.kind == "sqrt")


def kind_of(chosen: Approximation) -> str:
    """Two or three words."""
    if isinstance(chosen, Polynomial):
        return f"degree {chosen.degree}"
    if isinstance(chosen, Newton):
        return f"degree {chosen.start.degree}, {chosen.steps} Newton steps"
    return f"{chosen.steps} cubics, degree {chosen.base.degree}"


def measure(m: Machinery, name: str, chosen: Approximation, rounds: int) -> Row:
    """Evaluate on every bad vector; time the last one."""
    worst = 0.0
    for u in inputs(m.params.slots).values():
        ct = m.encryptor.encrypt(u, bound=1.0)
        result = evaluate_function(m.evaluator, ct, chosen, normalised=True)
        wanted = chosen(np.clip(chosen.center + chosen.radius * u, *chosen.interval))
        worst = max(worst, float(np.abs(m.decryptor.decrypt(result) - wanted).max()))
    totals, products = [], []
    for _ in range(rounds):
        m.evaluator.seconds, start = 0.0, time.perf_counter()
        evaluate_function(m.evaluator, ct, chosen, normalised=True)
        totals.append(time.perf_counter() - start)
        products.append(m.evaluator.seconds)
    assert chosen.max_abs_error is not None
    return Row(
        name,
        chosen.interval,
        kind_of(chosen),
        chosen.max_abs_error,
        ct.level - result.level,
        ceil(log2(composed_degree(chosen) + 1)),
        multiplications_of(chosen),
        -log2(worst),
        -log2(WORST_OF_MANY * ckks.expected_error(result)),
        1e3 * statistics.median(totals),
        1e3 * statistics.median(products),
    )


HEADS = (
    "function",
    "interval",
    "approximation",
    "its error",
    "levels (least)",
    "products",
    "bits, worst slot: measured",
    "forecast",
    "ms",
    "of that, products",
)


def cells(row: Row) -> list[str]:
    """As strings, in the order of HEADS."""
    return [
        row.name,
        f"{row.interval[0]:g} .. {row.interval[1]:g}",
        row.kind,
        f"{row.fit_error:.1e}",
        f"{row.levels} ({row.least})",
        str(row.products),
        f"{row.measured:.1f}",
        f"{row.forecast:.1f}",
        f"{row.total:.0f}",
        f"{row.of_products:.0f} ({100 * row.of_products / row.total:.0f} %)",
    ]


def shared(m: Machinery, rounds: int) -> list[str]:
    """Three polynomials of one input, together and apart; three by slot, and one."""
    polynomials = [fit(name, (-4, 4), degree=15) for name in ("tanh", "relu", "softplus")]
    assert all(isinstance(p, Polynomial) for p in polynomials)
    chosen = [p for p in polynomials if isinstance(p, Polynomial)]
    n = m.params.slots
    x, which = m.encryptor.encrypt(np.linspace(-4, 4, n)), np.arange(n) % 3
    calls: dict[str, Callable[[], Any]] = {
        "one": lambda: evaluate_polynomial(m.evaluator, x, chosen[0]),
        "apart": lambda: [evaluate_polynomial(m.evaluator, x, p) for p in chosen],
        "together": lambda: evaluate_polynomials(m.evaluator, x, chosen),
        "by slot": lambda: evaluate_per_slot(m.evaluator, x, chosen, which),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(3 * rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    plans, separate = shared_plans(tuple(chosen)), [evaluation_plan(p) for p in chosen]
    together = sum(plan.relinearisations for plan in plans) - (len(plans) - 1) * len(plans[0].powers)
    apart = sum(plan.relinearisations for plan in separate)

    def ratio(a: str, b: str) -> float:
        return statistics.median(x / y for x, y in zip(times[a], times[b], strict=True))

    return [
        f"Three polynomials of degree 15 of one input, `evaluate_polynomials`: {together} key switches instead of "
        f"{apart}, {ratio('together', 'apart'):.2f} of the time of one after the other. One of three for each slot, `evaluate_per_slot`: {ratio('by slot', 'one'):.2f} "
        "of the time of the first alone.",
    ]


def least_products(p: Polynomial) -> int:
    """Products without which no circuit can do: m of them have m^2 + 1 degrees of freedom [PS73], and reach 2^m."""
    free = sum(1 for c in p.coefficients if c)
    return max(ceil(log2(p.degree)), ceil(sqrt(free - 1)))


PLAN_HEADS = (
    "degree",
    "form",
    "levels (least)",
    "least products of any circuit",
    "fewest key switches: products, key switches",
    "ms, N = 2^14; 2^15",
    "fewest products: products, key switches",
    "ms, N = 2^14; 2^15",
)


def formed(degree: int, form: str) -> Polynomial:
    """One with all coefficients that an odd, even or dense polynomial has."""
    c = np.random.default_rng(degree).uniform(0.1, 1, degree + 1)
    if form != "dense":
        c[int(form == "even") :: 2] = 0
    return Polynomial(tuple((c / c.sum()).tolist()))


def plans(machines: Sequence[Machinery], rounds: int) -> list[list[str]]:
    """Both plans of each degree and form that makes full use of its levels, timed in turns; a plan twice, once."""
    rows = []
    for degree in (3, 7, 15, 31, 63):
        for form in ("odd", "even", "dense"):
            p = formed(degree - (form == "even"), form)
            two = [evaluation_plan(p, fewest=fewest) for fewest in PRICES]
            times: list[list[str]] = [[] for _ in two]
            for m in machines:
                ct = m.encryptor.encrypt(np.linspace(-1, 1, m.params.slots), bound=1.0)
                seconds: list[list[float]] = [[] for _ in two]
                for turn in range(rounds + 1):
                    for of_plan, plan in zip(seconds, two, strict=True):
                        start = time.perf_counter()
                        walk(m.evaluator, ct, (plan,))
                        if turn:  # the first call fills what is kept
                            of_plan.append(time.perf_counter() - start)
                merged = seconds[0] + seconds[1] if two[0] == two[1] else None
                for shown, of_plan in zip(times, seconds, strict=True):
                    shown.append(f"{1e3 * statistics.median(merged or of_plan):.1f}")
            row = [str(p.degree), form, f"{two[0].depth} ({ceil(log2(p.degree + 1))})", str(least_products(p))]
            for plan, shown in zip(two, times, strict=True):
                row += [f"{plan.multiplications}, {plan.relinearisations}", "; ".join(shown)]
            rows.append(row)
    return rows


def write_plans(rounds: int, *, write: bool) -> None:
    """Time the plans at the top of two parameter sets, and show or write the table."""
    machines = [
        Machinery.of(ckks.CKKSParams.preset("S14", base_bits=50, value_range=64.0)),
        Machinery.of(ckks.CKKSParams.for_depth(11, precision_bits=24, value_range=1024.0)),
    ]
    lines = [
        f"Medians of {rounds} calls in turns, one full ciphertext at the top level, one thread, {processor()}, "
        f"{datetime.date.today().isoformat()}. Made by `python -m benchmarks.functions --only-plans`. "
        + "; ".join(str(m.params) for m in machines)
        + ".",
        "",
        table(PLAN_HEADS, plans(machines, rounds)),
    ]
    print("\n".join(lines))
    if write:
        write_between(PAGE, PLAN_MARKS, "\n".join(lines))


def main(
    rounds: Annotated[int, typer.Option(help="timed calls of each function")] = 9,
    wide: Annotated[bool, typer.Option(help="the wide intervals too: N = 2^15, some minutes")] = True,
    only_plans: Annotated[bool, typer.Option(help="the two plans of each degree instead")] = False,
    write: Annotated[bool, typer.Option(help="put the tables into docs/functions.md")] = False,
) -> None:
    """Run the command line."""
    if only_plans:
        return write_plans(rounds, write=write)
    console = Console(stderr=True)
    groups: list[tuple[str, list[Row]]] = []
    narrow = Machinery.of(ckks.CKKSParams.preset("S14", base_bits=50, value_range=64.0))
    rows = []
    for name in CATALOGUE:
        console.print(f"{name}")
        rows.append(measure(narrow, name, fit(name), rounds))
    groups.append((f"{narrow.params}", rows))
    several = shared(narrow, rounds)
    if wide:
        rows, chosen = [], [(name, fit(name, ends, max_abs_error=error)) for name, ends, error in WIDE]
        deepest = max(depth_of(approximation) for _, approximation in chosen)
        deep = Machinery.of(ckks.CKKSParams.for_depth(deepest, precision_bits=24, value_range=1024.0))
        for name, approximation in chosen:
            console.print(f"{name} on {approximation.interval}")
            rows.append(measure(deep, name, approximation, rounds))
        groups.append((f"{deep.params}", rows))
    shown = Table(*HEADS)
    lines = [
        f"Medians of {rounds} calls, one full ciphertext, one thread, {processor()}, {datetime.date.today().isoformat()}. "
        "Made by `python -m benchmarks.functions`.",
    ]
    for title, rows in groups:
        lines += ["", f"{title}:", "", table(HEADS, map(cells, rows))]
        for row in rows:
            shown.add_row(*cells(row))
    lines += ["", *several]
    Console().print(shown)
    print("\n".join(lines))
    if write:
        write_between(PAGE, MARKS, "\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
