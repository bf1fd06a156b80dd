"""The whole story in one run: train in the clear, host, score encrypted, compare both worlds.

Company B trains and hosts, in a process of its own that cannot decrypt; company A, this process,
owns records and keys. For once both know the labels and the weights, so that the encrypted result
can be held against the exact one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.circuit import OutputKind, Score
from churn.client import Client, Progress
from churn.data import POSITIVE, TARGET, make_employees, true_probability
from churn.errors import DataError
from churn.explain import Explanation, explain
from churn.hosting.model import Description
from churn.hosting.registry import load_file
from churn.model import LinearModel
from churn.process import ServiceProcess
from churn.report.results import Results, Seconds, Traffic
from churn.tables import load_csv
from churn.training import Split, Trained, split, train
from churn.versions import add_version

__all__ = ["Source", "Step", "compare_worlds", "explain_on", "load_table", "train_on"]

Step = Callable[[str], AbstractContextManager[Progress]]
"""Shows a step by its name while it lasts; what it yields takes rows done and rows in all."""


@dataclass(frozen=True)
class Source:
    """Where records come from: a CSV file with a label column, or `rows` synthetic employees."""

    rows: int
    seed: int
    data: Path | None = None
    target: str | None = None
    positive: str | None = None

    @property
    def label(self) -> tuple[str, str]:
        """The label column, and the value that counts as positive."""
        return self.target or TARGET, self.positive or POSITIVE


def load_table(source: Source) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Return the records without their label, and the labels, True for positive."""
    target, positive = source.label
    if source.data is not None:
        if source.target is None or source.positive is None:
            raise DataError(
                f"for {source.data} the label is not named",
                "its column and its positive value are needed",
                "Add --target COLUMN --positive VALUE",
            )
        return load_csv(source.data, target, positive)
    if source.target is not None or source.positive is not None:
        raise DataError(
            "a label is named, but no file",
            "--target and --positive belong to --data",
            "Add --data FILE, or leave them out",
        )
    employees = make_employees(source.rows, source.seed)
    return employees.drop(columns=TARGET), (employees[TARGET] == POSITIVE).to_numpy()


def train_on(source: Source, name: str) -> tuple[Split, Trained]:
    """Load, hold out a quarter, and train on the rest."""
    records, labels = load_table(source)
    parts = split(records, labels, seed=source.seed)
    target, positive = source.label
    trained = train(parts.train, parts.train_labels, name=name, target=target, positive=positive, vocabulary=records)
    return parts, trained


def explain_on(source: Source, model_file: Path | None, *, repeats: int, step: Step) -> Explanation:
    """Explain a model, loaded or trained anew, by the table of a source; nothing is encrypted.

    What a loaded model predicts is what it was trained to: a source that names another label is refused.
    """
    notes: tuple[str, ...] = ()
    if model_file is None:
        with step("train in the clear"):
            parts, trained = train_on(source, "churn")
        model, notes = trained.model, trained.notes
    else:
        model = load_file(model_file, LinearModel.from_dict)
        if source.data is not None:
            source = replace(source, target=source.target or model.target, positive=source.positive or model.positive)
        if source.label != (model.target, model.positive):
            raise DataError(
                f"the label is {' = '.join(source.label)}",
                f"{model_file} predicts {model.target} = {model.positive}",
                "Name that label, and the table that has it",
            )
        records, labels = load_table(source)
        parts = split(records, labels, seed=source.seed)
    with step("explain"):
        oracle = true_probability if source.data is None else None
        return explain(model, parts, repeats=repeats, seed=source.seed, oracle=oracle, notes=notes)


def compare_worlds(
    source: Source, mode: OutputKind, *, flooded: bool = True, threads: int | None, step: Step
) -> Results:
    """Run the story; `step` is told what is going on."""
    start = time.perf_counter()
    with step("train in the clear"):
        parts, trained = train_on(source, "churn")
    trained_at = time.perf_counter()
    model = trained.model
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churn-")))
        add_version(model, folder / "models" / "churn.json")
        with step("start the service"):
            service = stack.enter_context(
                ServiceProcess(
                    folder / "models", folder / "keys", mode=mode, flooded=flooded, threads=threads, workers=1
                )
            )
        client = stack.enter_context(Client(service.url))
        backend = str(client.remote.health().get("backend"))
        with step("make and send the keys"):
            described = client.model(model.name)
            client.prepare(described)
        with step("score encrypted") as progress:
            scores = client.score(described, parts.test, progress=progress)
        usage = client.usage
    with step("compare"):
        x = model.schema.transform(parts.test)
        score = Score.of(model, mode, flooded=flooded, params=scores.model.params)
        return Results.compare(
            parts.test_labels,
            model.probabilities(x),
            score.in_the_clear(x),
            scores.probabilities,
            seconds=Seconds(
                train=trained_at - start,
                keygen=usage.keygen,
                upload_keys=usage.upload_keys,
                encrypt=usage.encrypt,
                evaluate=usage.evaluate,
                decrypt=usage.decrypt,
                total=time.perf_counter() - start,
            ),
            traffic=Traffic(up=usage.bytes_up, down=usage.bytes_down, keys=usage.bytes_keys),
            params=_facts(scores.model, backend, score),
            notes=trained.notes,
        )


def _facts(description: Description, backend: str, score: Score) -> dict[str, str | int | float]:
    params, p = description.params, score.polynomial
    facts: dict[str, str | int | float] = {
        "ring_degree": params.ring_degree,
        "log2_qp": round(params.log2_qp, 1),
        "security_bits": params.security or 0,
        "levels": params.depth,
        "scale_bits": round(float(params.scale.ln()) / float(np.log(2)), 1),
        "backend": backend,
        "logit_interval": score.model.logit_interval,
    }
    if description.flooding is not None:
        facts["flooding_bits"] = description.flooding.statistical_bits
        facts["flooding_answers"] = description.flooding.queries
        facts["answer_error"] = float(f"{description.output.error:.3g}")
    if p is not None:
        facts["polynomial_degree"] = p.degree
        facts["polynomial_error"] = float(f"{p.max_abs_error:.3g}")
    return facts
