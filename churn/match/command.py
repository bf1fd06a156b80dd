"""`python -m churn match`: the second use, résumés and vacancies; its options, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from churn.commands.options import DEFAULT_URL, Ca, KeyFile, PassphraseEnv, PlainHttp, Threads, TokenEnv, Url, remote_of
from churn.errors import DataError
from churn.match import gallery_command
from churn.match.gallery_command import offered
from churn.match.options import Dimensions, Seed, Top, Vacancies, VacancyFile, VacancyVectors
from churn.match.report import comparison_json, print_comparison, print_matches, print_unknown
from churn.terminal import from_environment, line, print_usage, set_threads, steps, write_json, writing

if TYPE_CHECKING:
    from churn.match.client import Searchable

__all__ = ["match_app"]

match_app = typer.Typer(
    help="Which vacancies fit a résumé? Asked of a stranger's vacancies, without showing the stranger the résumé. "
    "Without a command: make vacancies and résumés, turn them into vectors, host the vacancies, ask for the best ones "
    "encrypted over HTTP, and compare with the search in the clear. With --encrypted the vacancies are a secret too.",
    rich_markup_mode=None,
)
for _command in (gallery_command.room, gallery_command.gallery, gallery_command.galleries):
    match_app.command()(_command)


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
    encrypted: Annotated[
        bool,
        typer.Option(
            "--encrypted", help="Encrypt the vacancies too, as their owner does who does not trust the host either."
        ),
    ] = False,
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
    if encrypted and unflooded:
        raise DataError(
            "--encrypted and --unflooded are given", "answers about encrypted vacancies are never flooded", "Drop one"
        )
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.match.matchmaker import compare_matches, embedded, vector_files
            from churn.match.texts import make_resumes, make_vacancies, read_texts
        with step("turn texts into vectors"):
            if vacancy_vectors is not None and resume_vectors is not None:
                items, sought = vector_files(vacancy_vectors, resume_vectors)
            else:
                texts = make_vacancies(vacancies, seed) if vacancy_file is None else read_texts(vacancy_file)
                own = make_resumes(resumes, seed) if resume_file is None else read_texts(resume_file)
                items, sought = embedded(texts, own, dimensions, seed)
        result = compare_matches(
            items,
            sought,
            top,
            flooded=not unflooded,
            encrypted=encrypted,
            threads=set_threads(threads),
            step=step,
        )
    print_matches(console, result.found, items.titles, sought.titles, result)
    print_unknown(console, sought.unknown, sought.words)
    print_comparison(console, result)
    if json_file is not None:
        write_json(comparison_json(result), json_file)
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
            from churn.match.matchmaker import publish
        with step("turn texts into vectors"):
            collection = offered(vacancies, dimensions, seed, vacancy_file, vacancy_vectors)
        with step("write the index"), writing(out):
            record = publish(collection, out, published)
    items, dimension = collection.vectors.shape
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
    gallery: Annotated[
        Path | None,
        typer.Option(
            help="Ask your own encrypted gallery instead of an index: the folder that `match gallery` wrote, which "
            "takes the place of --published. Needs the --key-file that it was encrypted with.",
            metavar="FOLDER",
        ),
    ] = None,
    top: Top = 10,
    url: Url = DEFAULT_URL,
    token_env: TokenEnv = None,
    ca: Ca = None,
    plain_http: PlainHttp = False,
    key_file: KeyFile = None,
    passphrase_env: PassphraseEnv = None,
    threads: Threads = None,
) -> None:
    """Find the best vacancies for a résumé at a running service, encrypted."""
    if gallery is not None and (key_file is None or not key_file.exists()):
        raise DataError(
            f"there is no key file {key_file}" if key_file is not None else "no --key-file is given",
            "the key that the gallery was encrypted with is needed",
            "Give the --key-file that 'python -m churn match gallery' was given",
        )
    console, known_by = Console(), published if gallery is None else gallery
    with steps(console) as step:
        with step("load libraries"):
            from churn.client import Client
            from churn.match.client import KnownIndex, checked_texts, match
            from churn.match.embedding import Embedding
            from churn.match.keeping import GalleryNote, KnownGallery
            from churn.match.vectors import read_vectors
        set_threads(threads)
        note, unknown, words = None if gallery is None else GalleryNote.load(gallery), list[str](), 0
        if resume is not None:
            embedding = Embedding.load(known_by / "embedding.json")
            text = _read(resume)
            queries, digest, asked = embedding.vectors([text]), embedding.digest, [resume.name]
            unknown, words = embedding.unknown(text)
            checked_texts(asked, queries)
        elif resume_vectors is not None:
            queries, digest = read_vectors(resume_vectors).astype(float), ""
            asked = [f"row {k}" for k in range(len(queries))]
        else:
            raise DataError("nothing is asked for", "a text or vectors are needed", "Give --resume or --resume-vectors")
        remote = remote_of(url, token_env, ca, plain_http)
        secret = from_environment(passphrase_env, "the key file's passphrase")
        with Client(remote, key_file=key_file, passphrase=secret) as client:
            known: Searchable
            if note is None:
                known = KnownIndex.of(client.remote.describe(index))
                known.check(queries.shape[1], digest)
            else:
                known = KnownGallery.of(client, note.name, note.digest)
            with step("match encrypted") as progress:
                found = match(client, known, queries, top, progress=progress)
    titles = known_by / "titles.txt"
    names = _read(titles).splitlines() if titles.exists() else []
    if len(names) != known.items:
        names = [f"vacancy {k}" for k in range(known.items)]
    print_matches(console, found, names, asked, None)
    print_unknown(console, len(unknown), words, unknown)
    line(console, "scores", f"off by at most {found.error:.1g}")
    print_usage(console, found.usage, count=len(asked), each="résumé")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as text ({error})", "a file in UTF-8 is needed", "Check the path"
        ) from error
