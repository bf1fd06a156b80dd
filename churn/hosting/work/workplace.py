"""Where jobs are done: what the service asks of it, and how it says that a job was not done."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from churn.hosting.protocol import Problem
from churn.hosting.work.jobs import Job, Reply
from churn.hosting.work.memory import Block

__all__ = ["WorkPlace", "lost", "overdue"]


class WorkPlace(Protocol):
    """`workers` are processes, `inline` threads of this one."""

    @property
    def count(self) -> int:
        """How many jobs are done at once."""

    def state(self) -> dict[str, object]:
        """Return what anybody may know of it: kernels, workers that are ready."""

    def prepare(self, models: Collection[str], size: int, places: int) -> None:
        """Be told, before the start, the digests of the models, the bytes of a body, and how many there can be."""

    async def start(self) -> None:
        """Return when jobs can be done."""

    async def stop(self) -> None:
        """End everything."""

    def block(self) -> AbstractContextManager[Block]:
        """Lend memory for a body and its answer."""

    async def run(self, job: Job, block: Block | None, seconds: float) -> Reply:
        """Do a job; Problem 503 when that takes too long or the worker is lost."""


def overdue(seconds: float) -> Problem:
    """Return the refusal of a job that waited or took too long."""
    return Problem(
        503, "busy", f"the request was not done within {seconds:g} s; try again later", headers={"Retry-After": "10"}
    )


def lost() -> Problem:
    """Return the refusal of a job whose worker has ended."""
    return Problem(
        503, "worker lost", "the process that worked on the request has ended; try again", headers={"Retry-After": "1"}
    )
