"""What matching costs: `python -m benchmarks.matching [--write]`.

Hosts an index of synthetic vacancies as `python -m churn match` does, asks it for résumés encrypted, over HTTP, and
holds what comes back against the search in the clear; likewise some of the vacancies as a gallery, encrypted. Then the
circuits alone, in this process and on one thread: vectors that are plain, kept in their small form or transformed in
advance, and vectors that are encrypted themselves. Prints tables; `--write` puts them into docs/matching.md.
"""

from __future__ import annotations

import datetime
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import ckks
from benchmarks.machine import processor
from benchmarks.pages import DOCS, write_between
from benchmarks.pages import table as markdown_table
from churn.client import Client
from churn.match.client import KnownIndex, best, match, same_up_to_ties
from churn.match.embedding import fit_embedding
from churn.match.keeping import upload_gallery
from churn.match.matchmaker import Collection, publish
from churn.match.room import register_room
from churn.match.similarity import QUERY, QUERY_SCALE, index_parameters
from churn.match.texts import make_resumes, make_vacancies
from churn.match.vectors import unit
from churn.offer import loader
from churn.process import ServiceProcess
from ckks import kernels
from ckks.circuits.linear.similarity import (
    PlainVectors,
    encrypted_similarities,
    packed,
    plain_similarities,
    repeated,
    rotation_steps,
    spread,
    unpacked,
    weighted_similarities,
)
from ckks.kernels import Words
from ckks.scheme import CKKSParams, error_bound
from ckks.scheme.serialization import ciphertext_length

PAGE = DOCS / "matching.md"
MARKS = "<!-- table: python -m benchmarks.matching --write -->", "<!-- end of matching -->"
TOP = 10
GALLERY = 16_384  # vacancies that are kept encrypted
FITTED = 5000  # vacancies that the embedding is fitted to; it is applied to all

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Collections:
    """What is compared, and how long it took to make vectors of it."""

    vacancies: Collection
    resumes: Collection
    seconds: float


def collections(vacancies: int, resumes: int, dimensions: int) -> Collections:
    """Make texts and vectors."""
    offered, sought = make_vacancies(vacancies), make_resumes(resumes)
    start = time.perf_counter()
    embedding = fit_embedding([text.body for text in offered[:FITTED]], dimensions)

    def vectors(texts: list[Any]) -> Collection:
        made = embedding.vectors([text.body for text in texts]).astype(np.float32)
        return Collection([text.title for text in texts], made, embedding)

    return Collections(vectors(offered), vectors(sought), time.perf_counter() - start)


def hosted(made: Collections, console: Console) -> Rows:
    """Serve the vacancies and ask for every résumé; the first one is a warm-up and not counted in the times."""
    vacancies, resumes = made.vacancies, made.resumes
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churn-")))
        start = time.perf_counter()
        record = publish(vacancies, folder / "models" / "vacancies.json")
        written = time.perf_counter() - start
        start = time.perf_counter()
        service = stack.enter_context(ServiceProcess(folder / "models", folder / "keys", threads=1, workers=1))
        started = time.perf_counter() - start
        client = stack.enter_context(Client(service.url))
        known = KnownIndex.of(client.remote.describe("vacancies"))
        client.prepare(known, QUERY)
        keys = client.usage.keygen + client.usage.upload_keys
        answers, seconds, usages, busy = [], [], [], []
        for k, query in enumerate(resumes.vectors):
            start, before = time.perf_counter(), sum(map(_processor_seconds, service.worker_pids))
            answers.append(match(client, known, query[None], TOP))
            if k:
                seconds.append(time.perf_counter() - start)
                usages.append(answers[-1].usage)
                busy.append(sum(map(_processor_seconds, service.worker_pids)) - before)
            console.print(f"query {k}: {time.perf_counter() - start:.2f} s")
        worker, *_ = [_peak(pid) for pid in service.worker_pids]
        server = _peak(service.pid)
        file = (folder / "models" / f"vacancies@{record.version}.npy").stat().st_size
    exact, clear = [], []
    gallery = vacancies.vectors
    for query in resumes.vectors:
        start = time.perf_counter()
        _ = best(gallery @ query, TOP)
        clear.append(time.perf_counter() - start)
        exact.append(np.asarray(query, np.float64) / np.linalg.norm(query.astype(float)) @ gallery.T.astype(np.float64))
    hits = [
        len(set(best(row, TOP).tolist()) & set(one.items[0].tolist())) for row, one in zip(exact, answers, strict=True)
    ]
    same = [same_up_to_ties(one.items[0], row, one.error) for row, one in zip(exact, answers, strict=True)]
    error = max(float(np.abs(one.similarities[0] - row).max()) for row, one in zip(exact, answers, strict=True))
    description, stated = known.description, answers[0].error
    flooding = description.flooding
    assert flooding is not None

    def middle(name: str) -> str:
        return _seconds(statistics.median(getattr(usage, name) for usage in usages))

    return [
        ("vacancies, dimensions", f"{known.items:,} x {known.dimension}"),
        ("parameters", str(description.params)),
        ("one query, end to end: encrypt, send, evaluate, flood, fetch, decrypt, sort", _seconds(_median(seconds))),
        ("of which the service evaluates", middle("evaluate_server")),
        ("seconds of the processor that its worker takes for all of it", _seconds(_median(busy))),
        ("of which the service floods and re-randomises", middle("protect_server")),
        ("of which the client encrypts; decrypts", f"{middle('encrypt')}; {middle('decrypt')}"),
        ("the same search in the clear (numpy, float32)", _seconds(_median(clear))),
        ("query, up", _bytes(usages[0].bytes_up)),
        (f"answer, down: {description.output.items} ciphertexts", _bytes(usages[0].bytes_down)),
        (
            f"keys, once: {len(description.layouts[QUERY].rotations)} rotations and the public key",
            f"{_bytes(client.usage.bytes_keys)}, made and sent in {_seconds(keys)}",
        ),
        ("largest memory of the worker; of the service in front of it", f"{_bytes(worker)}; {_bytes(server)}"),
        ("the vectors in their file, float32", _bytes(file)),
        ("embedding the texts; writing the index; until the service answers",
         f"{_seconds(made.seconds)}; {_seconds(written)}; {_seconds(started)}"),
        ("flooded for", f"{flooding.queries} answers, 2^-{flooding.statistical_bits}"),
        ("error of a similarity, stated; found", f"{stated:.2g}; {error:.2g}"),
        (f"recall@{TOP} over {len(answers)} résumés", f"{sum(hits) / (TOP * len(answers)):.4f}"),
        (f"lists of {TOP} equal to the clear ones, up to ties within the stated error", f"{sum(same)} of {len(same)}"),
    ]  # fmt: skip


class Transformed(PlainVectors):
    """Vectors whose words are made in advance: faster, at four times the memory."""

    @cached_property
    def all_words(self) -> list[Words]:
        """The diagonals of every block at the top level."""
        plan = self.params.basis(self.params.top_level).plan
        return [kernels.ntt(plan, kernels.signed(plan, block)) for block in self.coefficients]

    def products(self, turns: Words, diagonals: slice, level: int, total: Words | None) -> Words:
        """Multiply some of them."""
        plan = self.params.basis(level).plan
        out = kernels.zeros((self.blocks, *turns.shape[1:])) if total is None else total
        for words, result in zip(self.all_words, out, strict=True):
            kernels.add(plan, result, kernels.dot(plan, turns, words[diagonals, None]), result)
        return out


def plain(vectors: Any, rounds: int) -> Rows:
    """Time the circuit on plain vectors: what queries cost once, and blocks each."""
    params, dimension = index_parameters(), vectors.shape[1]
    start = time.perf_counter()
    small = PlainVectors.encode(params, vectors)
    encoding = time.perf_counter() - start
    kit = _Kit.of(params, relin=False, rotations=rotation_steps(dimension))
    query = kit.encryptor.encrypt(repeated(vectors[0], params.slots), scale=QUERY_SCALE)
    one = replace(small, coefficients=small.coefficients[:1])
    wide = Transformed(**vars(small))
    kept = sum(words.nbytes for words in wide.all_words)
    times = _interleaved(
        {
            name: lambda of=of: plain_similarities(kit.evaluator, query, of, rescale=True)  # type: ignore[misc]
            for name, of in (("all", small), ("one", one), ("transformed", wide))
        },
        rounds,
    )
    items, block = len(vectors), (times["all"] - times["one"]) / max(1, small.blocks - 1)
    full = 2 * small.rows
    return [
        (f"{small.blocks} blocks of up to {full:,} items, in all", _rate(times["all"], items)),
        ("of which each block", _rate(block, full)),
        (f"of which the {dimension} rotations of the query, once", _seconds(times["one"] - block)),
        ("with the transforms made in advance", _rate(times["transformed"], items)),
        ("memory of the coefficients; of transforms made in advance", f"{_bytes(small.nbytes)}; {_bytes(kept)}"),
        ("encoding all vectors, when the service starts", _seconds(encoding)),
    ]


def gallery(vectors: Any, queries: Any, console: Console) -> Rows:
    """Keep vectors encrypted at a service, ask for queries; the first one is a warm-up and not counted."""
    items, dimension = vectors.shape
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="churn-")))
        register_room(folder / "models" / "room.json", items, dimension, loader(folder / "models"))
        service = stack.enter_context(ServiceProcess(folder / "models", folder / "keys", threads=1, workers=1))
        client = stack.enter_context(Client(service.url))
        start = time.perf_counter()
        known = upload_gallery(client, "gallery", vectors)
        uploaded, upload = time.perf_counter() - start, replace(client.usage)
        client.prepare(known, QUERY)
        answers, seconds, busy, usages = [], [], [], []
        for k, query in enumerate(queries):
            start, before = time.perf_counter(), sum(map(_processor_seconds, service.worker_pids))
            answers.append(match(client, known, query[None], TOP))
            if k:
                seconds.append(time.perf_counter() - start)
                busy.append(sum(map(_processor_seconds, service.worker_pids)) - before)
                usages.append(answers[-1].usage)
        worker, server = _peak(next(iter(service.worker_pids))), _peak(service.pid)
        console.print(f"gallery: {_seconds(_median(seconds))} a query")
    exact = unit(queries) @ unit(vectors).T
    hits = [
        len(set(best(row, TOP).tolist()) & set(one.items[0].tolist())) for row, one in zip(exact, answers, strict=True)
    ]
    error = max(float(np.abs(one.similarities[0] - row).max()) for row, one in zip(exact, answers, strict=True))
    evaluated = _median([usage.evaluate_server for usage in usages])
    blocks = len(known.stored.blocks)
    return [
        ("vectors, dimensions", f"{items:,} x {dimension}, in {blocks} blocks"),
        ("parameters", str(known.description.params)),
        ("one query, end to end: encrypt, send, evaluate, fetch, decrypt, sort", _rate(_median(seconds), items)),
        ("of which the service evaluates: read a block, compare, for each", _rate(evaluated, items)),
        ("seconds of the processor that its worker takes for all of it", _rate(_median(busy), items)),
        ("of which the client encrypts; decrypts",
         f"{_seconds(_median([one.encrypt for one in usages]))}; {_seconds(_median([one.decrypt for one in usages]))}"),
        (f"query, up: {dimension} ciphertexts, seeded", _bytes(usages[0].bytes_up)),
        (f"answer, down: {blocks} ciphertexts", _bytes(usages[0].bytes_down)),
        ("the gallery, up, once; an item of it",
         f"{_bytes(upload.bytes_gallery)}; {_bytes(upload.bytes_gallery // items)}"),
        ("encrypted in; sent and checked in; both",
         f"{_seconds(upload.encrypt)}; {_seconds(upload.upload_gallery)}; {_seconds(uploaded)}"),
        ("largest memory of the worker; of the service in front of it", f"{_bytes(worker)}; {_bytes(server)}"),
        ("error of a similarity, stated; found", f"{answers[0].error:.2g}; {error:.2g}"),
        (f"recall@{TOP} over {len(answers)} queries", f"{sum(hits) / (TOP * len(answers)):.4f}"),
    ]  # fmt: skip


def encrypted(dimension: int, rounds: int) -> Rows:
    """Time both circuits on two blocks of encrypted vectors, and check what they say."""
    params = CKKSParams.generate(ring_degree=2**13, depth=1, scale_bits=40, base_bits=50, special_bits=50)
    kit, items = _Kit.of(params, relin=True, rotations=()), 2 * params.ring_degree
    values = np.random.default_rng(1).normal(size=(items, dimension))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    vectors = kit.encryptor.encrypt(packed(values, params.slots), bound=1.5)
    query = kit.encryptor.encrypt(spread(values[0], params.slots))
    calls: dict[str, Callable[[], Any]] = {
        "encrypted": lambda: encrypted_similarities(kit.evaluator, vectors, query),
        "plain": lambda: weighted_similarities(kit.evaluator, vectors, values[0]),
    }
    for call in calls.values():
        y = call()
        found = unpacked(kit.decryptor.decrypt(y), items, params.slots)
        if np.abs(found - values @ values[0]).max() > error_bound(y) or best(found, 1)[0] != 0:
            raise RuntimeError("the similarities are wrong")
    times = _interleaved(calls, rounds)
    seeded = ciphertext_length(params, batch=(dimension,), seeded=True)  # of a query, or of half of the items
    return [
        ("parameters", str(params)),
        (f"query encrypted, {dimension} ciphertexts: two blocks, {items:,} items", _rate(times["encrypted"], items)),
        ("query in the clear", _rate(times["plain"], items)),
        ("stored, an item: in memory; in a file, seeded",
         f"{_bytes(vectors.nbytes // items)}; {_bytes(2 * seeded // items)}"),
        ("query, up, seeded", _bytes(seeded)),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Kit:
    evaluator: ckks.Evaluator
    encryptor: ckks.Encryptor
    decryptor: ckks.Decryptor

    @classmethod
    def of(cls, params: CKKSParams, *, relin: bool, rotations: tuple[int, ...]) -> _Kit:
        generator = ckks.KeyGenerator(params)
        secret = generator.secret_key()
        keys = generator.evaluation_keys(secret, relin=relin, rotations=rotations)
        return cls(ckks.Evaluator(params, keys), ckks.Encryptor(params, secret), ckks.Decryptor(params, secret))


def _interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each call on one core, in turn, after one of each that does not count.

    Seconds of the processor, not of the clock: others on the machine are no part of them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if round_:
                times[name].append(time.process_time() - start)
    return {name: _median(values) for name, values in times.items()}


def _median(values: list[float]) -> float:
    return float(statistics.median(values))


def _peak(pid: int) -> int:
    """The largest resident set of a process so far, as Linux tells it; 0 elsewhere."""
    try:
        for text in Path(f"/proc/{pid}/status").read_text().splitlines():
            if text.startswith("VmHWM:"):
                return int(text.split()[1]) << 10
    except OSError:
        pass
    return 0


def _processor_seconds(pid: int) -> float:
    """Seconds that a process has computed so far, as Linux tells them; 0 elsewhere."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0


def _rate(seconds: float, items: int) -> str:
    if not seconds:  # processor time comes in ticks of 10 ms
        return "less than the 10 ms that can be told apart"
    return f"{_seconds(seconds)}, {items / seconds / 1e3:,.0f} thousand comparisons a second"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def _bytes(count: int) -> str:
    for size, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count} bytes"


def markdown(tables: dict[str, Rows]) -> str:
    """Format the measurements."""
    lines = [
        f"{processor()}, {datetime.date.today().isoformat()}, ckks {ckks.__version__}, {kernels.active().name} kernels, "
        f"one thread each, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; medians. Circuits alone: seconds "
        "of the processor. Made by `python -m benchmarks.matching`.",
    ]
    for title, rows in tables.items():
        lines += ["", f"**{title}**", "", markdown_table(["", ""], rows)]
    return "\n".join(lines)


def main(
    vacancies: Annotated[int, typer.Option(help="How many to host.", min=20)] = 100_000,
    dimensions: Annotated[int, typer.Option(help="Numbers in a vector, at most.", min=2, max=1024)] = 384,
    queries: Annotated[int, typer.Option(help="Résumés to ask for.", min=2)] = 21,
    rounds: Annotated[int, typer.Option(help="Calls of each circuit.", min=1)] = 7,
    write: Annotated[bool, typer.Option("--write", help="Put the tables into docs/matching.md.")] = False,
) -> None:
    """Measure what matching costs."""
    console = Console(stderr=True)
    kernels.set_num_threads(1)
    console.print("making texts and vectors")
    made = collections(vacancies, queries, dimensions)
    tables = {"One query, asked of a service over HTTP": hosted(made, console)}
    some = made.vacancies.vectors[:GALLERY]
    tables["The same vectors encrypted: a gallery, asked of a service over HTTP"] = gallery(
        some, made.resumes.vectors, console
    )
    console.print("circuits alone")
    dimension = made.vacancies.vectors.shape[1]
    tables["Plain vectors, encrypted query: the circuit alone, on one core"] = plain(made.vacancies.vectors, rounds)
    tables["Encrypted vectors: the circuit alone, on one core"] = encrypted(dimension, rounds)
    for title, rows in tables.items():
        table = Table("", "", title=title, show_header=False)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    if write:
        write_between(PAGE, MARKS, markdown(tables))


if __name__ == "__main__":
    typer.run(main)
