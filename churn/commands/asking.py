"""`churn models` and `churn score`: for whoever asks a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from churn.commands.options import (
    DEFAULT_URL,
    Ca,
    KeyFile,
    PassphraseEnv,
    PlainHttp,
    Threads,
    TokenEnv,
    Url,
    remote_of,
)
from churn.terminal import from_environment, line, print_usage, set_threads, steps, write_predictions, writing

__all__ = ["models", "score"]


def models(url: Url = DEFAULT_URL, token_env: TokenEnv = None, ca: Ca = None, plain_http: PlainHttp = False) -> None:
    """List the models that a service hosts."""
    from rich.table import Table

    table = Table("model", "version", "returns", "error", "layouts", "parameters")
    with remote_of(url, token_env, ca, plain_http) as remote:
        for listed in remote.models():
            one = remote.describe(f"{listed.get('name')}@{listed.get('version')}")
            polynomial = one.about.get("polynomial")
            of_polynomial = polynomial["max_abs_error"] if isinstance(polynomial, dict) else 0.0
            trained = one.about.get("model")
            stated = trained.get("score_error") if isinstance(trained, dict) else None
            error = f"{stated if isinstance(stated, float) else one.output.error + of_polynomial:.1e}"
            table.add_row(
                *map(
                    Text, (one.name, str(one.version), one.output.kind, error, ", ".join(one.layouts), str(one.params))
                )
            )
    Console().print(table)


def score(
    data: Annotated[
        Path,
        typer.Option(
            help="CSV file of records; its label column, if any, is not sent. Numbers outside the range that "
            "the model knows count as its nearest end."
        ),
    ],
    model: Annotated[str, typer.Option(help="The model's name at the service, or NAME@VERSION.")] = "churn",
    url: Url = DEFAULT_URL,
    token_env: TokenEnv = None,
    ca: Ca = None,
    plain_http: PlainHttp = False,
    key_file: KeyFile = None,
    passphrase_env: PassphraseEnv = None,
    record: Annotated[
        int | None, typer.Option(help="Score this row only (counting from 0), as one small ciphertext.", min=0)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write predictions to this CSV file; predictions.csv if the table has no label.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Score a table, or one record of it, encrypted; print the accuracy if the label is there."""
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.client import Client
            from churn.predict.client import KnownPredictor
            from churn.predict.command import predict_file, print_predictions, write_labels
            from churn.predict.predictor import PREDICTIONS
            from churn.scoring import ScoringModel
            from churn.tables import load_records
            from churn.training import measure
        set_threads(threads)
        remote = remote_of(url, token_env, ca, plain_http)
        secret = from_environment(passphrase_env, "the key file's passphrase")
        with Client(remote, key_file=key_file, passphrase=secret) as client:
            hosted = client.remote.describe(model)
            trained = KnownPredictor.of(hosted) if hosted.output.kind == PREDICTIONS else None
            if trained is None:
                described = ScoringModel.of(hosted)
                records, labels = load_records(data, described.target, described.positive)
            with step("score encrypted") as progress:
                if trained is not None:
                    found, known = predict_file(client, trained, data, record, progress)
                elif record is None:
                    scores = client.score(described, records, progress=progress)
                else:
                    scores = client.score_record(described, records, record)
    if trained is not None:
        print_predictions(found, known, record, console)
        if out is not None or (known is None and record is None):
            out = out or Path("predictions.csv")
            with writing(out):
                write_labels(out, found, record or 0)
            line(console, "written", f"{out}: {len(found.labels):,} rows")
        print_usage(console, found.usage)
        return
    clipped = described.schema.clipped(records if record is None else records.iloc[record : record + 1])
    if clipped:
        cells = ", ".join(f"{count:,} in {name!r}" for name, count in clipped.items())
        line(console, "outside", f"numbers beyond the range the model knows count as its nearest end: {cells}")
    usage, p = scores.usage, scores.probabilities
    if record is not None:
        truth = "" if labels is None else f"; really: {'yes' if labels[record] else 'no'}"
        line(
            console,
            "score",
            f"row {record}: {described.target} = {described.positive} with probability {p[0]:.3f}{truth}",
        )
    elif labels is not None:
        accuracy = float(((p >= 0.5) == labels).mean())
        both = labels.any() and not labels.all()
        more = f", ROC AUC {measure(labels, p).roc_auc:.4f}" if both else ""
        line(
            console,
            "accuracy",
            f"{accuracy:.4f} on {len(p):,} rows (majority {max(labels.mean(), 1 - labels.mean()):.4f}{more})",
        )
    if out is not None or (labels is None and record is None):
        out = out or Path("predictions.csv")
        with writing(out):
            write_predictions(out, p, first=record or 0)
        line(console, "written", f"{out}: {len(p):,} rows")
    print_usage(console, usage)
