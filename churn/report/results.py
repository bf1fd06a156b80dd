"""What a comparison of both worlds found: the numbers, as JSON, and as a table in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from churn.errors import DataError
from churn.training import Metrics, measure
from churn.units import bits_of, bytes_text, difference_text, seconds_text

__all__ = [
    "ProbabilityError",
    "Results",
    "Seconds",
    "Traffic",
    "as_json",
    "print_table",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds of each step.

    `evaluate` runs from the first ciphertext sent to the last answer received; `total` may hold
    more than the sum.
    """

    train: float
    keygen: float
    upload_keys: float
    encrypt: float
    evaluate: float
    decrypt: float
    total: float


@dataclass(frozen=True)
class Traffic:
    """Bytes sent: ciphertexts up, ciphertexts down, public and evaluation keys up (once)."""

    up: int
    down: int
    keys: int


@dataclass(frozen=True)
class ProbabilityError:
    """Largest |difference| of two probabilities over the rows.

    total        encrypted against exact sigmoid
    polynomial   the sigmoid's polynomial, in the clear, against exact sigmoid
    encryption   encrypted against that polynomial in the clear
    """

    total: float
    polynomial: float
    encryption: float


@dataclass(frozen=True, eq=False)
class Results:
    """One held-out table scored in the clear and encrypted. Build it with `Results.compare`.

    labels, p_plain, p_polynomial, p_encrypted are arrays (rows,): the truth, and the probability
    from the exact sigmoid, from its polynomial in the clear, and from the encrypted evaluation.
    params holds ring_degree, log2_qp, security_bits, levels, scale_bits, backend, and may hold
    more; notes are sentences for the reader.
    """

    plain: Metrics
    polynomial: Metrics
    encrypted: Metrics
    labels_differ: int
    probability_error: ProbabilityError
    seconds: Seconds
    traffic: Traffic
    params: Mapping[str, str | int | float]
    labels: Bools
    p_plain: Floats
    p_polynomial: Floats
    p_encrypted: Floats
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows scored."""
        return len(self.labels)

    @classmethod
    def compare(
        cls,
        labels: npt.ArrayLike,
        p_plain: npt.ArrayLike,
        p_polynomial: npt.ArrayLike,
        p_encrypted: npt.ArrayLike,
        *,
        seconds: Seconds,
        traffic: Traffic,
        params: Mapping[str, str | int | float],
        notes: tuple[str, ...] = (),
    ) -> Results:
        """Measure both worlds and their difference. DataError if the arrays do not fit together."""
        y = np.array(labels, np.bool_)
        plain, polynomial, encrypted = (np.array(p, np.float64) for p in (p_plain, p_polynomial, p_encrypted))
        for p in (plain, polynomial, encrypted):
            if p.shape != y.shape or not np.isfinite(p).all():
                raise DataError(
                    f"probabilities of shape {p.shape}, {int(np.isfinite(p).sum())} finite, for {y.size} labels",
                    "one finite probability per label is needed",
                    "Check which rows were scored",
                )
        for array in (y, plain, polynomial, encrypted):
            array.flags.writeable = False
        return cls(
            plain=measure(y, plain),
            polynomial=measure(y, polynomial),
            encrypted=measure(y, encrypted),
            labels_differ=int(((plain >= 0.5) != (encrypted >= 0.5)).sum()),
            probability_error=ProbabilityError(
                total=_largest(encrypted - plain),
                polynomial=_largest(polynomial - plain),
                encryption=_largest(encrypted - polynomial),
            ),
            seconds=seconds,
            traffic=traffic,
            params=dict(params),
            labels=y,
            p_plain=plain,
            p_polynomial=polynomial,
            p_encrypted=encrypted,
            notes=tuple(notes),
        )


def as_json(results: Results) -> dict[str, object]:
    """Return everything but the arrays as plain values, for json.dumps."""
    return {
        "rows": results.rows,
        "plain": dataclasses.asdict(results.plain),
        "polynomial": dataclasses.asdict(results.polynomial),
        "encrypted": dataclasses.asdict(results.encrypted),
        "labels_differ": results.labels_differ,
        "probability_error": dataclasses.asdict(results.probability_error),
        "seconds": dataclasses.asdict(results.seconds),
        "bytes": dataclasses.asdict(results.traffic),
        "params": dict(results.params),
        "notes": list(results.notes),
    }


def print_table(results: Results, console: Console) -> None:
    """Print the comparison and one line each on error, time, traffic.

    Side by side: the exact sigmoid and, if it was evaluated, its polynomial, both in the clear, and the encrypted
    evaluation.
    """
    error, seconds, traffic = results.probability_error, results.seconds, results.traffic
    worlds = {"plain": results.plain, "polynomial, clear": results.polynomial, "encrypted": results.encrypted}
    if not error.polynomial:
        del worlds["polynomial, clear"]
    table = Table(title=f"{results.rows:,} held-out rows, scored in both worlds")
    for heading in ("", *worlds, "difference"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, part in (("accuracy", "accuracy"), ("balanced accuracy", "balanced_accuracy"), ("ROC AUC", "roc_auc")):
        values = [getattr(metrics, part) for metrics in worlds.values()]
        table.add_row(
            name,
            *(f"{value:.4f}" for value in values),
            difference_text(values[-1] - values[0]),
            style="bold" if part == "accuracy" else "",
        )
    console.print(table)
    of_polynomial = f"polynomial {error.polynomial:.1e}, encryption {error.encryption:.1e}"
    for name, value in (
        ("majority", f"{results.plain.majority:.4f}, the accuracy of always naming that class"),
        ("labels", f"{results.labels_differ} of {results.rows:,} differ"),
        (
            "probability",
            f"off by at most {error.total:.1e} ({bits_of(error.total)})"
            + (f": {of_polynomial}" if error.polynomial else ""),
        ),
        (
            "time",
            f"encrypt {seconds_text(seconds.encrypt)}, evaluate "
            f"{seconds_text(seconds.evaluate)}, decrypt {seconds_text(seconds.decrypt)}; keys "
            f"{seconds_text(seconds.keygen)}; all in all {seconds_text(seconds.total)}",
        ),
        (
            "traffic",
            f"{bytes_text(traffic.up)} up, {bytes_text(traffic.down)} down; keys {bytes_text(traffic.keys)}, once",
        ),
    ):
        console.print(f"{name:>12}  {value}", highlight=False, markup=False, soft_wrap=True)


def _largest(difference: Floats) -> float:
    return float(np.abs(difference).max())
