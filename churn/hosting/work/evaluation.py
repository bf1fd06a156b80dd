"""One evaluation from bytes to bytes, as it happens in a worker: read, check, evaluate, protect, finish, write."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from churn.hosting.logs import where
from churn.hosting.model import Flooding, HostedModel, Layout, comparing
from churn.hosting.problems import problem_of
from churn.hosting.protocol import Problem
from churn.hosting.store.blobs import mapped
from churn.hosting.work.jobs import Check, CheckBlock, Evaluate, Job, KeyFile, Reply
from churn.hosting.work.keyring import KeyRing, missing_keys
from churn.hosting.work.rehearsal import OwnNumbers, input_noise
from churn.hosting.work.resident import Resident
from ckks import kernels
from ckks.errors import HEError
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, PublicKey
from ckks.rlwe.flooding import protect
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.meta import meta_of
from ckks.scheme.params import EXACT
from ckks.scheme.serialization import HEAD_BYTES, Kind, ciphertext_from_bytes, read_header, to_bytes

__all__ = ["Engine", "check_header"]


class Engine:
    """What one worker knows: the models, and the keys that it used lately. Safe to share between threads."""

    def __init__(self, models: Iterable[HostedModel], resident_keys: int, resident_blocks: int = 0) -> None:
        """Take models, and how many bytes of expanded keys to keep, and of galleries' blocks."""
        self.models = {model.digest: model for model in models}
        self._params = {model.params.digest.hex(): model.params for model in self.models.values()}
        self._ring = KeyRing(resident_keys)
        self._blocks: Resident[Ciphertext] = Resident(resident_blocks)

    def handle(self, job: Job, block: memoryview) -> Reply:
        """Do a job. Refusals and failures are replies as well; nothing of a failure's text gets out."""
        try:
            with kernels.threads(job.threads):
                match job:
                    case Evaluate():
                        return self._evaluate(job, block)
                    case Check():
                        return self._check(job)
                    case CheckBlock():
                        return self._check_block(job)
        except Exception as error:
            problem = problem_of(error)
            return Reply(failed=where(error)) if problem is None else Reply.refusing(problem)

    def _check(self, job: Check) -> Reply:
        clock = _Clock()
        with clock("check"):
            self._ring.load(job.key, self._params[job.params])
        return Reply(seconds=clock.seconds)

    def _check_block(self, job: CheckBlock) -> Reply:
        clock, model = _Clock(), comparing(self.models[job.model])
        assert model is not None
        with clock("check"):
            _block(job.block, model.params, model.gallery)
        return Reply(seconds=clock.seconds)

    def _evaluate(self, job: Evaluate, block: memoryview) -> Reply:
        clock, model = _Clock(), self.models[job.model]
        compares = comparing(model)
        layout, params = model.layouts[job.layout], model.params
        with clock("keys"):
            keys = self._ring.evaluation_keys(job.keys, params, layout) if job.keys is not None else None
            public = self._ring.public_key(job.public, params) if job.public is not None else None
            evaluator = Evaluator(params, keys) if job.flooding is None else OwnNumbers(params, keys)
        with clock("read"):
            # An encryption at the canonical scale says what its error is; at another, and for a rehearsal, we say it.
            noise = None if job.flooding is None and layout.scale is None else input_noise(params)
            x = ciphertext_from_bytes(block[: job.length], params, bound=layout.bound, noise=noise)
            _check_input(x, params, layout)
        try:
            with clock("evaluate"):
                if compares is None:
                    y = model.evaluate(evaluator, x, job.layout)
                else:
                    y = compares.compare(evaluator, x, self._gallery(job.gallery, params, compares.gallery))
            if job.flooding is not None:
                with clock("protect"):
                    y = _protected(job.flooding, y, public)
            with clock("finish"):
                y = model.finish(evaluator, y)
        except HEError as error:  # the model's fault, and its text may hold a figure made of the weights
            raise RuntimeError("the model cannot be evaluated as it describes itself") from error
        with clock("write"):
            data = to_bytes(y)
            block[: len(data)] = data
        return Reply(length=len(data), seconds=clock.seconds)

    def _gallery(self, files: Sequence[KeyFile], params: CKKSParams, layout: Layout) -> Iterator[Ciphertext]:
        """Yield the blocks of a gallery, one at a time.

        Reading one takes longer than comparing with it, so they are kept ready where there is room for all of them;
        otherwise none is, since each would be gone before it is needed again.
        """
        one = layout.items * 2 * params.limbs(layout.level) * params.ring_degree * 8
        kept = len(files) * one <= self._blocks.most
        for file in files:
            block = self._blocks.get(file.name) if kept else None
            if block is None or block.params != params:
                block = _block(file, params, layout)
                if kept:
                    self._blocks.keep(file.name, block)
            else:
                _check_input(block, params, layout)
            yield block
            del block  # before the next one is read


def check_header(head: bytes, params: CKKSParams, layout: Layout, length: int) -> None:
    """Refuse an input for its first HEAD_BYTES, before the rest is read.

    Raises SerializationError for what is no ciphertext of these parameters, Problem 422 for one of another layout or
    of another length than the request's.
    """
    kinds = (Kind.SEEDED_CIPHERTEXT,) if layout.seeded else (Kind.CIPHERTEXT, Kind.SEEDED_CIPHERTEXT)
    header = read_header(head, params, *kinds)
    _compare(
        {"items": list(header.batch), "level": header.level, "parts": header.parts, "bytes": length},
        {"items": [layout.items], "level": layout.level, "parts": 2, "bytes": header.frame_length(params)},
    )


def _block(file: KeyFile, params: CKKSParams, layout: Layout) -> Ciphertext:
    """Return a block of a gallery from its file; Problem 404 for one that was deleted meanwhile, 422 for no such."""
    try:
        with mapped(Path(file.path)) as data:
            try:
                check_header(bytes(data[:HEAD_BYTES]), params, layout, len(data))
            except HEError as error:  # the list's fault, not the model's: a block that was sent for another room
                raise Problem(
                    422,
                    "wrong block",
                    f"a block of the gallery is not of this model's parameters ({error}); make the gallery of blocks "
                    "that were sent for its model",
                ) from error
            block = ciphertext_from_bytes(data, params, bound=layout.bound, noise=input_noise(params))
    except FileNotFoundError:
        raise Problem(404, "unknown gallery", "the gallery was deleted meanwhile") from None
    _check_input(block, params, layout)
    return block


def _protected(flooding: Flooding, y: Ciphertext, public: PublicKey | None) -> Ciphertext:
    if public is None:
        raise missing_keys("the request names no public key")
    return protect(
        y,
        public,
        Rng(),
        bound=2.0**flooding.log2_bound,
        queries=flooding.queries * math.prod(y.shape),  # each item is a result of its own
        statistical_bits=flooding.statistical_bits,
    )


def _check_input(x: Ciphertext, params: CKKSParams, layout: Layout) -> None:
    """Refuse a ciphertext that is valid but not packed as the layout says."""
    meta = meta_of(x)
    _compare(
        {
            "items": list(x.shape),
            "slots": meta.slots,
            "level": x.level,
            "parts": x.parts,
            "scale": str(EXACT.normalize(meta.scale)),
        },
        {
            "items": [layout.items],
            "slots": layout.slots,
            "level": layout.level,
            "parts": 2,
            "scale": str(EXACT.normalize(layout.scale_in(params))),
        },
    )


def _compare(have: dict[str, object], need: dict[str, object]) -> None:
    wrong = [part for part in need if have[part] != need[part]]
    if wrong:
        raise Problem(
            422,
            "wrong layout",
            "the input is a ciphertext, but not of this layout: "
            + ", ".join(f"{part} {have[part]} where {need[part]} is needed" for part in wrong),
            have=have,
            need=need,
        )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - start
