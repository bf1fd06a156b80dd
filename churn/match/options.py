"""Options of several commands of `python -m churn match` alone; those of others too are in `churn.commands.options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Dimensions", "Seed", "Top", "Vacancies", "VacancyFile", "VacancyVectors"]

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
