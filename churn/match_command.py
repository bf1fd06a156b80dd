"""`python -m churn match`: the second use, résumés and vacancies; its options, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from churn.errors import DataError
from churn.terminal import from_environment, line, one_line, set_threads, steps, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.matching import Matches
    from churn.matchmaker import Comparison
    from churn.scoring import Usage

__all__ = ["match_app"]

match_app = typer.Typer(
    help="Which vacancies fit a résumé? Asked of a stranger's vacancies, without showing the stranger the résumé. "
    "Without a command: make vacancies and résumés, turn them into vectors, host the vacancies, ask for the best ones "
    "encrypted over HTTP, and compare with the search in the clear.",
    rich_markup_mode=None,
)

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

SHOWN, PLACES = 3, 5  # résumés whose matches are printed, and how many of each


@match_app.callback(invoke_without_command=True)
def story(
    context: typer.Context,
    vacancies: Vacancies = 5000,
    resumes: Annotated[int, typer.Option(help="Synthetic résumés to ask for.", min=1, max=500)] = 20,
    dimensions: Dimensions = 128,
    top: Top = 10,
    seed: Seed = 0,
    vacancy_file: VacancyFile = None,
    resume_file: Annotated[
        Path | None, typer.Option(help="Likewise of résumés; the other kind may be synthetic.", metavar="CSV")
    ] = None,
    vacancy_vectors: VacancyVectors = None,
    resume_vectors: Annotated[
        Path | None, typer.Option(help="Likewise, one résumé a row; needed with --vacancy-vectors.", metavar="NPY")
    ] = None,
    unflooded: Annotated[
        bool, typer.Option("--unflooded", help="Return answers as they are: they may tell more than similarities.")
    ] = False,
    threads: Threads = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Run the whole comparison when no command is named."""
    if context.invoked_subcommand is not None:
        return
    if (vacancy_vectors is None) != (resume_vectors is None):
        raise DataError(
            "one of --vacancy-vectors and --resume-vectors is given",
            "both or none are needed",
            "Give the other as well",
        )
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.matchmaker import compare_matches, embedded, vector_files
            from churn.texts import make_resumes, make_vacancies, read_texts
        with step("turn texts into vectors"):
            if vacancy_vectors is not None and resume_vectors is not None:
                offered, sought = vector_files(vacancy_vectors, resume_vectors)
            else:
                texts = make_vacancies(vacancies, seed) if vacancy_file is None else read_texts(vacancy_file)
                own = make_resumes(resumes, seed) if resume_file is None else read_texts(resume_file)
                offered, sought = embedded(texts, own, dimensions, seed)
        result = compare_matches(offered, sought, top, flooded=not unflooded, threads=set_threads(threads), step=step)
    _print_matches(console, result.found, offered.titles, sought.titles, result)
    _print_comparison(console, result)
    if json_file is not None:
        with writing(json_file):
            json_file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write_text(json.dumps(_as_json(result), indent=1) + "\n", encoding="utf-8")
        line(console, "numbers", str(json_file))


@match_app.command()
def build(
    vacancies: Vacancies = 5000,
    dimensions: Dimensions = 128,
    seed: Seed = 0,
    vacancy_file: VacancyFile = None,
    vacancy_vectors: VacancyVectors = None,
    out: Annotated[
        Path, typer.Option(help="The index to write, for `serve`; its vectors are written beside it.")
    ] = Path("models/vacancies.json"),
    published: Annotated[
        Path, typer.Option(help="Folder for what clients are given: the embedding, and the vacancies' titles.")
    ] = Path("published"),
) -> None:
    """Make an index of vacancies, under its next version if its name is taken; `serve` hosts it."""
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.matchmaker import embedded, publish, vector_files
            from churn.texts import make_vacancies, read_texts
        with step("turn texts into vectors"):
            if vacancy_vectors is not None:
                offered = vector_files(vacancy_vectors, vacancy_vectors)[0]
            else:
                texts = make_vacancies(vacancies, seed) if vacancy_file is None else read_texts(vacancy_file)
                offered = embedded(texts, [], dimensions, seed)[0]
        with step("write the index"), writing(out):
            record = publish(offered, out, published)
    items, dimension = offered.vectors.shape
    line(console, "index", f"{record.path}: {record.reference}, {items:,} vectors of {dimension} numbers")
    line(console, "published", f"{published}: " + ", ".join(sorted(path.name for path in published.iterdir())))


@match_app.command()
def ask(
    resume: Annotated[
        Path | None, typer.Option(help="A text file: what to find vacancies for. It is not sent.")
    ] = None,
    resume_vectors: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a text: an .npy file of vectors, one a row, from the index's embedding.", metavar="NPY"
        ),
    ] = None,
    published: Annotated[
        Path, typer.Option(help="Folder with what the index's owner published: embedding, and titles if any.")
    ] = Path("published"),
    index: Annotated[str, typer.Option(help="The index's name at the service, or NAME@VERSION.")] = "vacancies",
    top: Top = 10,
    url: Annotated[str, typer.Option(help="Where the service answers.")] = "http://127.0.0.1:8000",
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the tenant's token.", metavar="VAR")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificates to trust, in PEM, in place of the system's.")] = None,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="Talk to another machine without TLS.")] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="Keep the secret key in this file, made if missing; else it lasts one call.")
    ] = None,
    passphrase_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key file's passphrase.", metavar="VAR")
    ] = None,
    threads: Threads = None,
) -> None:
    """Find the best vacancies for a résumé at a running service, encrypted."""
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.client import Client
            from churn.embedding import Embedding
            from churn.hosting.remote import Remote
            from churn.matching import KnownIndex, match
            from churn.vectors import read_vectors
        set_threads(threads)
        if resume is not None:
            embedding = Embedding.load(published / "embedding.json")
            queries, digest, asked = embedding.vectors([_read(resume)]), embedding.digest, [resume.name]
        elif resume_vectors is not None:
            queries, digest = read_vectors(resume_vectors).astype(float), ""
            asked = [f"row {k}" for k in range(len(queries))]
        else:
            raise DataError("nothing is asked for", "a text or vectors are needed", "Give --resume or --resume-vectors")
        remote = Remote(url, token=from_environment(token_env, "the tenant's token"), ca=ca, plain_http=plain_http)
        secret = from_environment(passphrase_env, "the key file's passphrase")
        with Client(remote, key_file=key_file, passphrase=secret) as client:
            known = KnownIndex.of(client.remote.describe(index))
            known.check(queries.shape[1], digest)
            with step("match encrypted") as progress:
                found = match(client, known, queries, top, progress=progress)
    titles = published / "titles.txt"
    names = _read(titles).splitlines() if titles.exists() else []
    if len(names) != known.items:
        names = [f"vacancy {k}" for k in range(known.items)]
    _print_matches(console, found, names, asked, None)
    line(console, "scores", f"off by at most {found.error:.1g}")
    _print_usage(console, found.usage, len(asked))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as text ({error})", "a file in UTF-8 is needed", "Check the path"
        ) from error


def _print_matches(
    console: Console, found: Matches, offered: Sequence[str], sought: Sequence[str], result: Comparison | None
) -> None:
    from rich.table import Table

    table = Table("for", "vacancy", "similarity", *(["in the clear"] if result is not None else []))
    for query, name in list(enumerate(sought))[: None if result is None else SHOWN]:
        most = len(found.items[query]) if result is None else min(PLACES, len(found.items[query]))
        for place, item in enumerate(found.items[query][:most]):
            cells = [name if not place else "", offered[item], f"{found.scores[query][place]:.4f}"]
            cells += [f"{result.exact[query, item]:.4f}"] if result is not None else []
            table.add_row(*(Text(one_line(cell)) for cell in cells), end_section=place == most - 1)
    console.print(table)


def _print_comparison(console: Console, result: Comparison) -> None:
    found, params = result.found, result.known.description.params
    k, queries = found.items.shape[1], len(found.items)
    line(
        console,
        f"recall@{k}",
        f"{result.recall:.4f} of the {k} best in the clear, over {queries} résumés among {result.known.items:,} "
        f"vacancies; {sum(result.same)} of {queries} lists equal up to ties within twice the stated error",
    )
    line(console, "scores", f"off by at most {found.error:.1g} as stated, {result.largest_error:.1g} as found")
    _print_usage(console, found.usage, queries)
    line(
        console,
        "parameters",
        f"N = {params.ring_degree}, {params.depth} level, log2(QP) = {params.log2_qp:.1f}, {params.security}-bit "
        f"security; {result.backend} kernels",
    )
    flooding = result.known.description.flooding
    line(
        console,
        "answers",
        "not flooded: they may tell more than similarities"
        if flooding is None
        else f"flooded: {flooding.queries} of them tell 2^-{flooding.statistical_bits} of a bit more than similarities",
    )


def _print_usage(console: Console, usage: Usage, queries: int) -> None:
    from churn.units import bytes_text, seconds_text

    each = {name: getattr(usage, name) / queries for name in ("encrypt", "evaluate", "evaluate_server", "decrypt")}
    line(
        console,
        "time",
        f"for each résumé: encrypt {seconds_text(each['encrypt'])}, answer {seconds_text(each['evaluate'])} (of which "
        f"computing {seconds_text(each['evaluate_server'])}), decrypt {seconds_text(each['decrypt'])}; keys, once "
        f"{seconds_text(usage.keygen + usage.upload_keys)}",
    )
    line(
        console,
        "traffic",
        f"for each résumé: {bytes_text(usage.bytes_up // queries)} up, {bytes_text(usage.bytes_down // queries)} down; "
        f"keys, once {bytes_text(usage.bytes_keys) if usage.bytes_keys else 'none sent'}",
    )


def _as_json(result: Comparison) -> dict[str, object]:
    """Everything but the single scores, which must not leave whoever owns the key with all their digits."""
    found, params = result.found, result.known.description.params
    return {
        "vacancies": result.known.items,
        "dimension": result.known.dimension,
        "resumes": len(found.items),
        "top": found.items.shape[1],
        "recall": result.recall,
        "same_up_to_ties": sum(result.same),
        "error": {"stated": found.error, "found": float(f"{result.largest_error:.2g}")},
        "seconds": {**result.seconds, **{k: v for k, v in vars(found.usage).items() if not k.startswith("bytes")}},
        "bytes": {"up": found.usage.bytes_up, "down": found.usage.bytes_down, "keys": found.usage.bytes_keys},
        "params": {
            "ring_degree": params.ring_degree,
            "log2_qp": round(params.log2_qp, 1),
            "security_bits": params.security or 0,
            "backend": result.backend,
        },
        "matches": [
            {"resume": title, "vacancies": [result.vacancies.titles[i] for i in items]}
            for title, items in zip(result.resumes.titles, found.items, strict=True)
        ],
    }
