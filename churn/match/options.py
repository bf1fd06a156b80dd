"""Options that several commands of `python -m churn match` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Ca",
    "Dimensions",
    "KeyFileOption",
    "PassphraseEnv",
    "PlainHttp",
    "Seed",
    "Threads",
    "TokenEnv",
    "Top",
    "Url",
    "Vacancies",
    "VacancyFile",
    "VacancyVectors",
]

Vacancies = Annotated[int, typer.Option(help="Synthetic vacancies to make.", min=2, max=1_000_000)]
Dimensions = Annotated[int, typer.Option(help="Numbers in a vector, at most.", min=2, max=1024)]
Seed = Annotated[int, typer.Option(help="Of the synthetic texts and of the embedding.", min=0)]
Top = Annotated[int, typer.Option(help="How many of the best to show for each.", min=1, max=1000)]
VacancyFile = Annotated[
    Path | None,
    typer.Option(help="A CSV file of vacancies to use instead, with columns 'title' and 'text'.", metavar="CSV"),
]
VacancyVectors = Annotated[
    Path | None,
    typer.Option(help="An .npy file of vectors to use instead, one vacancy a row, from any embedding.", metavar="NPY"),
]
Threads = Annotated[int | None, typer.Option(help="Threads of one kernel call.", min=1, max=256)]

Url = Annotated[str, typer.Option(help="Where the service answers.")]
TokenEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the tenant's token.", metavar="VAR")
]
Ca = Annotated[Path | None, typer.Option(help="Certificates to trust, in PEM, in place of the system's.")]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Talk to another machine without TLS.")]
KeyFileOption = Annotated[
    Path | None, typer.Option(help="Keep the secret key in this file, made if missing; else it lasts one call.")
]
PassphraseEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the key file's passphrase.", metavar="VAR")
]
