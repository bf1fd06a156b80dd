"""What `python -m churn match` prints, and the numbers that it writes to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from churn.terminal import line, one_line, print_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn.match.client import Matches
    from churn.match.matchmaker import Comparison
    from churn.scoring import Usage

__all__ = ["comparison_json", "print_comparison", "print_matches", "print_unknown"]

SHOWN = 3  # résumés whose matches are printed, of a comparison


def print_matches(
    console: Console, found: Matches, offered: Sequence[str], sought: Sequence[str], result: Comparison | None
) -> None:
    """Print the best vacancies of each résumé; of a comparison, those of a few, with the scores in the clear."""
    from rich.table import Table

    table = Table("for", "vacancy", "similarity", *(["in the clear"] if result is not None else []))
    shown = list(enumerate(sought))[: None if result is None else SHOWN]
    for query, name in shown:
        most = len(found.items[query])
        for place, item in enumerate(found.items[query]):
            cells = [name if not place else "", offered[item], f"{found.scores[query][place]:z.4f}"]
            cells += [f"{result.exact[query, item]:z.4f}"] if result is not None else []
            table.add_row(*(Text(one_line(cell)) for cell in cells), end_section=place == most - 1)
    console.print(table)
    if len(shown) < len(sought):
        line(console, "shown", f"the first {len(shown)} of {len(sought)} résumés; --json FILE has all of them")


def print_unknown(console: Console, unknown: int, words: int, which: Sequence[str] = ()) -> None:
    """Say how many of the words that were asked with do not count."""
    if words:
        some = f" ({', '.join(which[:8])}{', ...' if len(which) > 8 else ''})" if which else ""
        line(console, "words", f"{unknown} of {words} are unknown to the embedding and do not count{some}")


def print_comparison(console: Console, result: Comparison) -> None:
    """Print what a comparison found: how right, how quick, under which parameters."""
    found, params = result.found, result.known.description.params
    k, queries = found.items.shape[1], len(found.items)
    line(
        console,
        f"recall@{k}",
        f"{result.recall:.4f} of the {k} best in the clear, over {queries} résumés among {result.known.items:,} "
        f"vacancies; {sum(result.same)} of {queries} lists equal up to ties within twice the stated error",
    )
    line(console, "scores", f"off by at most {found.error:.1g} as stated, {result.largest_error:.1g} as found")
    if result.upload is not None:
        _print_upload(console, result.upload, result.known.items)
    print_usage(console, found.usage, count=queries, each="résumé")
    levels = f"{params.depth} level" + ("s" if params.depth != 1 else "")
    line(
        console,
        "parameters",
        f"N = {params.ring_degree}, {levels}, log2(QP) = {params.log2_qp:.1f}, {params.security}-bit security; "
        f"{result.backend} kernels",
    )
    flooding = result.known.description.flooding
    line(
        console,
        "answers",
        "not flooded: query, vacancies and answer all belong to whoever has the key"
        if result.upload is not None
        else "not flooded: they may tell more than similarities"
        if flooding is None
        else f"flooded: {flooding.queries} of them tell 2^-{flooding.statistical_bits} of a bit more than similarities",
    )


def _print_upload(console: Console, upload: Usage, items: int) -> None:
    from churn.units import bytes_text, seconds_text

    line(
        console,
        "gallery",
        f"once: {items:,} vacancies, {bytes_text(upload.bytes_gallery)}; encrypted in {seconds_text(upload.encrypt)}, "
        f"sent in {seconds_text(upload.upload_gallery)}",
    )


def comparison_json(result: Comparison) -> dict[str, object]:
    """Everything but the single scores, which must not leave whoever owns the key with all their digits."""
    found, params = result.found, result.known.description.params
    return {
        "vacancies": result.known.items,
        "dimension": result.known.dimension,
        "resumes": len(found.items),
        "top": found.items.shape[1],
        "encrypted": result.upload is not None,
        "unknown_words": {"unknown": result.resumes.unknown, "all": result.resumes.words},
        "recall": result.recall,
        "same_up_to_ties": sum(result.same),
        "error": {"stated": found.error, "found": float(f"{result.largest_error:.2g}")},
        "seconds": {**result.seconds, **{k: v for k, v in vars(found.usage).items() if not k.startswith("bytes")}},
        "bytes": {"up": found.usage.bytes_up, "down": found.usage.bytes_down, "keys": found.usage.bytes_keys}
        | ({"gallery": result.upload.bytes_gallery} if result.upload is not None else {}),
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
