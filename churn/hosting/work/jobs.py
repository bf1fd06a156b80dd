"""What the service and its workers say to each other: small JSON objects. Bodies lie in a block of shared memory.

Evaluate    a ciphertext lies in the block; put the answer in its place
Check       an uploaded key lies in a file; is it a valid one of these parameters?
CheckBlock  an uploaded block of a gallery lies in a file; is it a valid one for this model?
Reply       how long the answer is and what took how long, or a refusal, or that something broke
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from churn.hosting.model import Flooding
from churn.hosting.protocol import Problem

__all__ = ["Check", "CheckBlock", "Evaluate", "Job", "KeyFile", "Reply", "job_from_dict", "job_to_dict"]


@dataclass(frozen=True)
class KeyFile:
    """What is stored: a name for a worker's memory, and the file to read it from when it is not there."""

    name: str
    path: str


@dataclass(frozen=True)
class Evaluate:
    """Evaluate `model` (by digest) on the `length` bytes in the block.

    Args:
        model, layout: what to evaluate.
        length: bytes of the input.
        keys: evaluation keys, where the layout needs them.
        public: the client's public key, where the model floods.
        flooding: how; the service says so, as finding out takes a worker longer than an evaluation.
        gallery: the blocks to compare with, where the model compares with some.
        threads: how many to use.
    """

    model: str
    layout: str
    length: int
    keys: KeyFile | None = None
    public: KeyFile | None = None
    flooding: Flooding | None = None
    gallery: tuple[KeyFile, ...] = ()
    threads: int = 1


@dataclass(frozen=True)
class Check:
    """Read a key of the parameters with digest `params`, and keep it at hand."""

    key: KeyFile
    params: str
    threads: int = 1


@dataclass(frozen=True)
class CheckBlock:
    """Read a block for galleries of `model` (by digest), and forget it."""

    block: KeyFile
    model: str
    threads: int = 1


Job = Evaluate | Check | CheckBlock


@dataclass(frozen=True)
class Reply:
    """What came of a job: exactly one of `length` (0 for a check), `problem` and `failed` says so.

    Args:
        length: bytes of the answer, in the block.
        seconds: of each step.
        problem: the parts of a `Problem`, for the client.
        failed: for the log: where something broke that should not have.
    """

    length: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    problem: Mapping[str, Any] | None = None
    failed: str | None = None

    @classmethod
    def refusing(cls, problem: Problem) -> Reply:
        """Return the reply that stands for a refusal."""
        return cls(problem=vars(problem))

    def refusal(self) -> Problem | None:
        """Return the refusal, if it is one."""
        return None if self.problem is None else Problem(**self.problem)


def job_to_dict(job: Job) -> dict[str, Any]:
    """Return plain values for JSON."""
    return {"job": type(job).__name__.lower(), **asdict(job)}


def job_from_dict(value: Mapping[str, Any]) -> Job:
    """Return the job that `job_to_dict` described; it comes from the service itself and is taken at its word."""
    parts = dict(value)
    kind = parts.pop("job")
    for name in ("keys", "public", "key", "block"):
        if parts.get(name) is not None:
            parts[name] = KeyFile(**parts[name])
    if "gallery" in parts:
        parts["gallery"] = tuple(KeyFile(**one) for one in parts["gallery"])
    if parts.get("flooding") is not None:
        parts["flooding"] = Flooding(**parts["flooding"])
    match kind:
        case "check":
            return Check(**parts)
        case "checkblock":
            return CheckBlock(**parts)
        case _:
            return Evaluate(**parts)
