"""`churn train` and `churn explain`: in the clear, for whoever has the table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from churn.commands.options import Data, Positive, Rows, Seed, Target, source_of
from churn.terminal import line, steps, write_json, writing

__all__ = ["explain", "train"]


def train(
    rows: Rows = 16384,
    seed: Seed = 0,
    data: Data = None,
    target: Target = None,
    positive: Positive = None,
    out: Annotated[Path, typer.Option(help="The model file to write; another beside it if it is there.")] = Path(
        "models/churn.json"
    ),
    name: Annotated[str | None, typer.Option(help="The model's name; the file's, without .json, unless given.")] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="Also write the held-out records, label included, to this CSV file.")
    ] = None,
) -> None:
    """Train a model in the clear and write it as JSON, for `serve`; under its next version if its name is taken."""
    console = Console()
    with steps(console) as step, step("train in the clear"):
        from churn.data import NEGATIVE
        from churn.demo import train_on
        from churn.training import measure
        from churn.versions import add_version

        parts, trained = train_on(source_of(rows, seed, data, target, positive), name or out.stem)
        model = trained.model
        with writing(out):
            written = add_version(model, out)
        if held_out is not None:
            label = [NEGATIVE if model.positive != NEGATIVE else "other", model.positive]
            table = parts.test.assign(**{model.target: [label[int(y)] for y in parts.test_labels]})
            with writing(held_out):
                held_out.parent.mkdir(parents=True, exist_ok=True)
                table.to_csv(held_out, index=False)
        metrics = measure(parts.test_labels, model.probabilities(model.schema.transform(parts.test)))
    for note in trained.notes:
        line(console, "note", note)
    if written.version > 1:
        line(console, "note", f"not the first {model.name!r} in {out.parent}: this is version {written.version}")
    line(
        console,
        "model",
        f"{written.path}: {written.reference}, {len(model.schema.columns)} columns, {model.schema.width} "
        f"features, logits within {model.logit_interval:g}",
    )
    line(
        console,
        "accuracy",
        f"{metrics.accuracy:.4f} on {len(parts.test):,} held-out rows (majority "
        f"{metrics.majority:.4f}, ROC AUC {metrics.roc_auc:.4f})",
    )


def explain(
    rows: Rows = 16384,
    seed: Seed = 0,
    data: Data = None,
    target: Target = None,
    positive: Positive = None,
    model: Annotated[
        Path | None, typer.Option(help="Explain this model file, by the table it was trained on; unset: train one.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Shuffles of each condition.", min=2, max=200)] = 20,
    out: Annotated[Path, typer.Option(help="The page to write, one HTML file.")] = Path("churn-explain.html"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Say which conditions drive the label: odds ratios, what predictions lose without each, pictures.

    Everything is in the clear: the owner of the data runs this on a machine of their own, and nothing is sent to
    anybody. The page holds no row, but counts of small groups and ends of ranges: treat it like the data. What it
    finds are correlations, not causes.
    """
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.demo import explain_on
            from churn.explain import as_json
            from churn.explain.page import write_page
            from churn.explain.text import print_explanation
        found = explain_on(source_of(rows, seed, data, target, positive), model, repeats=repeats, step=step)
        with step("write the page"), writing(out):
            page = write_page(found, out)
    print_explanation(found, console)
    if json_file is not None:
        write_json(as_json(found), json_file)
        line(console, "numbers", str(json_file))
    line(console, "page", str(page))
