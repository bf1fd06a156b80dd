"""Options that several commands take, and what they name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.terminal import from_environment

if TYPE_CHECKING:
    from churn.demo import Source
    from churn.hosting.remote import Remote

__all__ = [
    "DEFAULT_URL", "Ca", "Data", "KeyFile", "Mode", "ModeOption", "PassphraseEnv", "PlainHttp", "Positive", "Rows",
    "Seed", "Target", "Threads", "TokenEnv", "Unflooded", "Url", "remote_of", "source_of",
]  # fmt: skip


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

KeyFile = Annotated[
    Path | None,
    typer.Option(help="Keep the secret key in this file (made when missing), so that keys are sent once."),
]
PassphraseEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the key file's passphrase.", metavar="VAR")
]

DEFAULT_URL = "http://127.0.0.1:8000"


def remote_of(url: str, token_env: str | None, ca: Path | None, plain_http: bool) -> Remote:
    """Return the service that options name."""
    from churn.hosting.remote import Remote

    return Remote(url, token=from_environment(token_env, "the tenant's token"), ca=ca, plain_http=plain_http)


def source_of(rows: int, seed: int, data: Path | None, target: str | None, positive: str | None) -> Source:
    """Return the table that options name."""
    from churn.demo import Source

    return Source(rows, seed, data, target, positive)
