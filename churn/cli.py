"""The command line: `python -m churn` runs the whole comparison; `churn.commands` has the parts of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from churn.commands.asking import models, score
from churn.commands.options import Data, Mode, ModeOption, Positive, Rows, Seed, Target, Threads, Unflooded, source_of
from churn.commands.serving import serve, tenants_app
from churn.commands.training import explain, train
from churn.errors import ChurnError
from churn.match.command import match_app
from churn.terminal import line, one_line, print_parameters, set_threads, steps, write_json, writing
from ckks.errors import HEError

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
for command in (train, explain, serve, models, score):
    app.command()(command)
app.add_typer(tenants_app, name="tenants")
app.add_typer(match_app, name="match")


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
            source_of(rows, seed, data, target, positive),
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
