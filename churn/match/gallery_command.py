"""`python -m churn match room`, `gallery`, `galleries`: vectors that are kept at a host which cannot read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from churn.commands.options import DEFAULT_URL, Ca, PassphraseEnv, PlainHttp, Threads, TokenEnv, Url, remote_of
from churn.errors import DataError
from churn.match.options import Dimensions, Seed, Vacancies, VacancyFile, VacancyVectors
from churn.terminal import from_environment, line, one_line, set_threads, steps, writing

if TYPE_CHECKING:
    from churn.match.matchmaker import Collection

__all__ = ["galleries", "gallery", "offered", "room"]


def offered(vacancies: int, dimensions: int, seed: int, file: Path | None, vectors: Path | None) -> Collection:
    """Return the vacancies that the options name: vectors of a file, texts of a file, or synthetic ones."""
    from churn.match.matchmaker import embedded, vector_files
    from churn.match.texts import make_vacancies, read_texts

    if vectors is not None:
        return vector_files(vectors, vectors)[0]
    texts = make_vacancies(vacancies, seed) if file is None else read_texts(file)
    return embedded(texts, [], dimensions, seed)[0]


def room(
    dimensions: Annotated[int, typer.Option(help="Numbers in a vector, exactly.", min=1, max=1024)] = 128,
    items: Annotated[int, typer.Option(help="Vectors in a gallery, at most.", min=1, max=1_000_000)] = 100_000,
    out: Annotated[Path, typer.Option(help="The file to write, for `serve`; it names the room.")] = Path(
        "models/room.json"
    ),
) -> None:
    """For a host: make room for encrypted galleries. `serve` hosts it, and never sees what is in them."""
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.match.room import register_room
            from churn.offer import loader
        with step("write the room"), writing(out):
            record = register_room(out, items, dimensions, loader(out.parent))
    line(
        console,
        "room",
        f"{record.path}: {record.reference}, for galleries of up to {items:,} vectors of {dimensions} numbers",
    )


def gallery(
    key_file: Annotated[
        Path, typer.Option(help="The secret key, made if missing: who has a copy can ask the gallery, and read it.")
    ],
    name: Annotated[str, typer.Option(help="What to call the gallery; one of that name is replaced.")] = "vacancies",
    vacancies: Vacancies = 5000,
    dimensions: Dimensions = 128,
    seed: Seed = 0,
    vacancy_file: VacancyFile = None,
    vacancy_vectors: VacancyVectors = None,
    room: Annotated[str, typer.Option(help="The room's name at the service, or NAME@VERSION.")] = "room",
    folder: Annotated[
        Path, typer.Option(help="Folder for what those need who ask it: which one it is, embedding, titles. Yours.")
    ] = Path("gallery"),
    url: Url = DEFAULT_URL,
    token_env: TokenEnv = None,
    ca: Ca = None,
    plain_http: PlainHttp = False,
    passphrase_env: PassphraseEnv = None,
    threads: Threads = None,
) -> None:
    """For an owner: encrypt vectors, keep them there. The vectors are those of texts, or of a file; the service runs,
    and has room; `match ask --gallery` asks for the best ones.
    """
    console = Console()
    with steps(console) as step:
        with step("load libraries"):
            from churn.client import Client
            from churn.match.keeping import upload_gallery
            from churn.match.matchmaker import keep
            from churn.units import bytes_text, seconds_text
        set_threads(threads)
        remote = remote_of(url, token_env, ca, plain_http)
        secret = from_environment(passphrase_env, "the key file's passphrase")
        with Client(remote, key_file=key_file, passphrase=secret) as client:
            with step("turn texts into vectors"):
                collection = offered(vacancies, dimensions, seed, vacancy_file, vacancy_vectors)
            with step("encrypt and send") as progress:
                known = upload_gallery(client, name, collection.vectors, room=room, progress=progress)
            with step("write the folder"), writing(folder):
                keep(collection, known, folder)
            usage = client.usage
    blocks = len(known.stored.blocks)
    line(
        console,
        "gallery",
        f"{name}: {known.items:,} vectors of {known.dimension} numbers, {bytes_text(usage.bytes_gallery)} in "
        f"{blocks} block{'s' if blocks > 1 else ''}; encrypted in {seconds_text(usage.encrypt)}, sent in "
        f"{seconds_text(usage.upload_gallery)}",
    )
    line(console, "digest", known.gallery)
    line(console, "to ask it", f"{folder} ({', '.join(sorted(path.name for path in folder.iterdir()))}) and {key_file}")


def galleries(
    delete: Annotated[str | None, typer.Option(help="Delete the gallery of this name.", metavar="NAME")] = None,
    url: Url = DEFAULT_URL,
    token_env: TokenEnv = None,
    ca: Ca = None,
    plain_http: PlainHttp = False,
) -> None:
    """List your galleries, or delete one."""
    from rich.table import Table

    console = Console()
    with remote_of(url, token_env, ca, plain_http) as remote:
        if delete is not None:
            if delete not in {one.get("name") for one in remote.galleries()}:
                remote.gallery(delete)  # says which there are
                raise DataError(f"gallery {delete!r} is not listed", "one that is listed is needed", "Name another")
            remote.delete_gallery(delete)
            line(console, "deleted", delete)
            return
        table = Table("gallery", "room", "vectors", "blocks", "digest")
        for one in remote.galleries():
            cells = [one.get(part) for part in ("name", "model", "items", "blocks")]
            table.add_row(*(one_line(str(cell)[:80]) for cell in cells), one_line(str(one.get("digest"))[:16]) + "...")
    console.print(table)
