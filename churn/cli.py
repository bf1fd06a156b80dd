"""The command line: `python -m churn` runs the whole comparison, its subcommands the parts of it.

Heavy imports happen inside the commands, so that `--help` is quick and `serve` loads neither
scikit-learn nor anything that could decrypt.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from churn.errors import ChurnError
from churn.hosting.protocol import ANSWERS
from churn.match_command import match_app
from churn.terminal import (
    from_environment,
    line,
    one_line,
    print_parameters,
    set_threads,
    steps,
    write_json,
    write_predictions,
    writing,
)
from ckks.errors import HEError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from churn.demo import Source
    from churn.hosting.registry import Versioned
    from churn.hosting.remote import Remote
    from churn.scoring import Usage

__all__ = ["app", "main"]

app = typer.Typer(
    help="Who may leave? Employee records scored on a stranger's model, encrypted. Without a command: "
    "make data, train in the clear, start the evaluation service as a process of its own, score the "
    "held-out records encrypted over HTTP, and compare both worlds.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

tenants_app = typer.Typer(help="Who may use a service: add, remove and list tenants.", no_args_is_help=True)
app.add_typer(tenants_app, name="tenants")
app.add_typer(match_app, name="match")


class Mode(StrEnum):
    """What the service returns."""

    probability = "probability"
    logit = "logit"


Rows = Annotated[int, typer.Option(help="Synthetic employees to make; a quarter is held out.", min=100)]
Seed = Annotated[int, typer.Option(help="Of the synthetic data and of the split.", min=0)]
Data = Annotated[Path | None, typer.Option(help="A CSV file to use instead of synthetic employees.")]
Target = Annotated[str | None, typer.Option(help="The label's column in --data.")]
Positive = Annotated[str | None, typer.Option(help="The label's value to predict, e.g. Yes.")]
ModeOption = Annotated[
    Mode,
    typer.Option(
        help="logit: the client applies the exact sigmoid after decrypting. probability: the sigmoid is evaluated "
        "encrypted, as a polynomial, on a larger ring."
    ),
]
Unflooded = Annotated[
    bool,
    typer.Option(
        "--unflooded",
        help="Return answers as they are, on the smallest ring: one can give the weights away to whoever asked.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads of one kernel call; unset: CKKS_NUM_THREADS, else one per processor, 8 at most.", min=1, max=256
    ),
]
Url = Annotated[str, typer.Option(help="Where the evaluation service answers.")]
TokenEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the tenant's token.", metavar="VAR")
]
Ca = Annotated[Path | None, typer.Option(help="Certificates to trust, in PEM, in place of the system's.")]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Talk to another machine without TLS.")]

DEFAULT_URL = "http://127.0.0.1:8000"


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    rows: Rows = 16384,
    seed: Seed = 0,
    data: Data = None,
    target: Target = None,
    positive: Positive = None,
    mode: ModeOption = Mode.logit,
    unflooded: Unflooded = False,
    threads: Threads = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("churn-report"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Run the whole comparison when no command is named."""
    if context.invoked_subcommand is not None:
        return
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.demo import compare_worlds
            from churn.report.results import as_json, print_table
        results = compare_worlds(
            _source(rows, seed, data, target, positive),
            mode.value,
            flooded=not unflooded,
            threads=set_threads(threads),
            step=step,
        )
        with step("write the report"):
            from churn.report.page import write_report

            with writing(out):
                report = write_report(results, out / "index.html")
    print_table(results, console)
    print_parameters(results, console)
    if json_file is not None:
        write_json(as_json(results), json_file)
        line(console, "numbers", str(json_file))
    line(console, "report", str(report))


@app.command()
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

        parts, trained = train_on(_source(rows, seed, data, target, positive), name or out.stem)
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


@app.command()
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
        found = explain_on(_source(rows, seed, data, target, positive), model, repeats=repeats, step=step)
        with step("write the page"), writing(out):
            page = write_page(found, out)
    print_explanation(found, console)
    if json_file is not None:
        write_json(as_json(found), json_file)
        line(console, "numbers", str(json_file))
    line(console, "page", str(page))


@app.command()
def serve(
    models: Annotated[Path, typer.Option(help="Folder of model files, *.json, as `train` writes.")] = Path("models"),
    keys: Annotated[Path, typer.Option(help="Folder for the public keys that clients send.")] = Path("churn-keys"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    mode: ModeOption = Mode.logit,
    unflooded: Unflooded = False,
    answers: Annotated[
        int, typer.Option(help="Answers of each model that one tenant is given; flooding is sized for them.", min=1)
    ] = ANSWERS,
    tenants: Annotated[
        Path | None, typer.Option(help="File of tenants (see `tenants`); without it, only this machine is served.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain in PEM: serve https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.")] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Serve other machines without TLS, behind a proxy that has it.")
    ] = False,
    as_root: Annotated[bool, typer.Option("--as-root", help="Serve other machines as root all the same.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; unset: one per processor. 0: threads instead.", min=0, max=256)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Most threads of one evaluation; unset: its share of the processors.", min=1)
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="Change a limit: NAME=NUMBER, as the table at the start names them.")
    ] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Host every model of a folder until interrupted. This process cannot decrypt."""
    from churn.launch import launch

    with ExitStack() as stack:
        # First of all a worker, which takes as long to load as what is imported next.
        alone = workers == 0 or os.name == "nt"
        launcher = None if alone else stack.enter_context(launch(models, mode.value, not unflooded, answers))
        from churn.hosting.limits import Limits
        from churn.server import Settings
        from churn.server import serve as run

        settings = Settings(
            models=models,
            keys=keys,
            output=mode.value,
            flooded=not unflooded,
            answers=answers,
            host=host,
            port=port,
            tenants=tenants,
            tls_cert=tls_cert,
            tls_key=tls_key,
            plain_http=plain_http,
            as_root=as_root,
            workers=workers,
            threads=threads,
            limits=Limits().with_(limit or []),
        )

        def announce(url: str, hosted: Iterable[Versioned]) -> None:
            for name, value, meaning in settings.limits.describe():
                print(f"limit {name:20} {value:>8}  {meaning}")
            names = ", ".join(f"{model.name}@{model.version}" for model in hosted)
            print(f"serving {names} at {url} (Ctrl-C ends it)", flush=True)

        run(settings, launcher=launcher, ready=announce, until_stdin_closes=until_stdin_closes)


TenantsFile = Annotated[Path, typer.Option("--file", help="The file of tenants.")]


@tenants_app.command("add")
def tenants_add(
    name: Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9 and '-'.")], file: TenantsFile = Path("tenants.json")
) -> None:
    """Add a tenant, and print the token: the only time that it is seen."""
    from churn.hosting.tenants import add_tenant

    print(add_tenant(file, name))


@tenants_app.command("remove")
def tenants_remove(
    name: Annotated[str, typer.Argument(help="Whom to remove.")], file: TenantsFile = Path("tenants.json")
) -> None:
    """Remove a tenant; a running service notices at the next request."""
    from churn.hosting.tenants import TenantError, list_tenants, remove_tenant

    if not remove_tenant(file, name):
        known = ", ".join(list_tenants(file)[:20]) or "none"
        raise TenantError(f"{file} has no tenant {name[:64]!r}", f"the tenants are: {known}", "Name one of these")


@tenants_app.command("list")
def tenants_list(file: TenantsFile = Path("tenants.json")) -> None:
    """List the tenants."""
    from churn.hosting.tenants import list_tenants

    for name in list_tenants(file):
        print(name)


@app.command()
def models(url: Url = DEFAULT_URL, token_env: TokenEnv = None, ca: Ca = None, plain_http: PlainHttp = False) -> None:
    """List the models that a service hosts."""
    from rich.table import Table

    table = Table("model", "version", "returns", "error", "layouts", "parameters")
    with _remote(url, token_env, ca, plain_http) as remote:
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


@app.command()
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
    key_file: Annotated[
        Path | None,
        typer.Option(help="Keep the secret key in this file (made when missing), so that keys are sent once."),
    ] = None,
    passphrase_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key file's passphrase.", metavar="VAR")
    ] = None,
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
        remote = _remote(url, token_env, ca, plain_http)
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
        _print_usage(found.usage, console)
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
    _print_usage(usage, console)


def _print_usage(usage: Usage, console: Console) -> None:
    from churn.units import bytes_text, seconds_text

    line(
        console,
        "time",
        f"encrypt {seconds_text(usage.encrypt)}, evaluate {seconds_text(usage.evaluate)}, decrypt "
        f"{seconds_text(usage.decrypt)}; keys {seconds_text(usage.keygen + usage.upload_keys)}",
    )
    line(
        console,
        "traffic",
        f"{bytes_text(usage.bytes_up)} up, {bytes_text(usage.bytes_down)} down; keys "
        f"{bytes_text(usage.bytes_keys) if usage.bytes_keys else 'none sent'}",
    )


def main() -> None:
    """Run the command line; a deliberate error becomes one red line and exit code 1."""
    try:
        app()
    except (ChurnError, HEError) as error:
        _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}. Check that the file or folder is there, and yours.")


def _complain(text: str) -> NoReturn:
    Console(stderr=True).print(Text(one_line(text), style="red"), soft_wrap=True)
    sys.exit(1)


def _remote(url: str, token_env: str | None, ca: Path | None, plain_http: bool) -> Remote:
    from churn.hosting.remote import Remote

    return Remote(url, token=from_environment(token_env, "the tenant's token"), ca=ca, plain_http=plain_http)


def _source(rows: int, seed: int, data: Path | None, target: str | None, positive: str | None) -> Source:
    from churn.demo import Source

    return Source(rows, seed, data, target, positive)
