"""How much a host takes in; and reading a body without ever holding more than its legal length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from starlette.requests import Request

from churn.hosting.model import HostedModel, Layout
from churn.hosting.protocol import Problem
from ckks.scheme import CKKSParams
from ckks.scheme.serialization import ciphertext_length, evaluation_keys_length

__all__ = ["Limits", "input_lengths", "key_lengths", "receive"]


@dataclass(frozen=True)
class Limits:
    """What a host allows itself, whoever asks.

    evaluations     at once, each in a thread of its own; others wait for their turn
    requests        with a body, at once: being read, waiting or evaluated; more are refused
    key_sets        stored; more are refused until some are deleted
    resident_keys   bytes of expanded keys kept in memory, the least recently used go first
    body            bytes of one request body; models that need longer ones are not hosted
    """

    evaluations: int = 2
    requests: int = 8
    key_sets: int = 64
    resident_keys: int = 1 << 30
    body: int = 1 << 30


async def receive(request: Request, legal: Collection[int], what: str, write: Callable[[bytes], object]) -> None:
    """Pass the request's body on to `write`, chunk by chunk, as long as its length can be legal.

    `legal` holds every length that `what` can have, and is not empty. A Content-Length that is not among them is
    refused unread; without one, the bytes are counted as they come. Raises Problem: 413 for too
    many bytes, 422 for too few, 400 for a length that is no number.
    """
    longest = max(legal)
    declared = request.headers.get("content-length")
    if declared is not None:
        if not (declared.isascii() and declared.isdigit() and len(declared) <= 20):
            raise Problem(400, "bad length", "the Content-Length is no number; send the body's length in bytes")
        _check(int(declared), legal, what)
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count > longest:
            _check(count, legal, what)
        write(chunk)
    _check(count, legal, what)


def input_lengths(params: CKKSParams, layout: Layout) -> set[int]:
    """Return the legal lengths of an input: with the uniform halves as seed, or written out."""
    return {ciphertext_length(params, batch=(layout.items,), seeded=seeded) for seeded in (True, False)}


def key_lengths(params: CKKSParams, models: Iterable[HostedModel]) -> list[int]:
    """Return the legal lengths of evaluation keys: no more of them than some model here can use."""
    layouts = [layout for model in models if model.params == params for layout in model.layouts.values()]
    rotations = len({k for layout in layouts for k in layout.rotations})
    relin = any(layout.relinearisation for layout in layouts)
    return sorted(
        {evaluation_keys_length(params, r, g) for r in {False, relin} for g in range(rotations + 1) if r or g}
    )


def _check(length: int, legal: Collection[int], what: str) -> None:
    if length in legal:
        return
    longest, expected = max(legal), sorted(legal)
    if length > longest:
        raise Problem(
            413,
            "too long",
            f"{what} of {length} bytes or more; at most {longest} are "
            "legal under these parameters; send what the model's description asks for",
            have=length,
            need=expected,
        )
    raise Problem(
        422,
        "wrong length",
        f"{what} of {length} bytes; needed "
        f"{' or '.join(map(str, expected[:8]))}; it was cut short, or made for another "
        "layout or other parameters",
        have=length,
        need=expected,
    )
