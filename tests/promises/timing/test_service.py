"""S16: how long the service computes depends on parameters and the model's shape, not on what is inside a ciphertext.

Inputs are encryptions of zeros, of random records, and of records at the ends of their ranges, as the client encrypts
them; timed is a worker's whole part in a request: read, check, evaluate, re-randomise and flood, finish, write. Models
whose weights are 0, or 1 and -1, are held against an ordinary one too.

    quick tier   some dozen runs of each kind
    long tier    10^4 of each kind (python -m pytest --slow tests/promises/timing -s)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the churn extra")

from promises.timing.welch import LIMIT, Comparison, interleaved, settled, told

import ckks
from churn.circuit import FEATURE_MAJOR, LOGIT, PROBABILITY, RECORD, Score
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.jobs import Evaluate, KeyFile
from churn.model import LinearModel, interval_for
from churn.schema import NumericColumn, Schema
from ckks.ring import Rng
from ckks.scheme.serialization import to_bytes

N = 1024
POOL = 24
KINDS = ("random", "zero", "extreme")
ORDINARY = (-0.4137294, -0.2519283, 0.3198237, 0.9123981)

pytestmark = pytest.mark.timeout(3000)


def linear_model(weights: tuple[float, ...]) -> LinearModel:
    """Four numbers of one range; the interval is that of the largest weights tried here, so that it tells nothing."""
    columns = tuple(NumericColumn(name, mean=40.0, scale=10.0, lower=20.0, upper=60.0) for name in "abcd")
    return LinearModel(
        name="timed",
        version=1,
        target="left",
        positive="Yes",
        schema=Schema(columns),
        weights=np.array(weights),
        bias=weights[0],
        logit_interval=interval_for(Schema(columns), np.ones(4), 1.0),
        observed_logit=1.0,
    )


def parameters(output: str) -> ckks.CKKSParams:
    """The chains that flooded answers have, over a small ring."""
    chain = dict(depth=2, scale_bits=38, base_bits=48, num_special=1)
    if output == PROBABILITY:
        chain = dict(depth=5, scale_bits=80, base_bits=90, num_special=2)
    return ckks.CKKSParams.generate(ring_degree=N, special_bits=50, security=None, value_range=8.0, **chain)


class Worker:
    """The engine of a worker process with a tenant's keys, and inputs from that tenant."""

    def __init__(self, output: str) -> None:
        params, rng = parameters(output), Rng()
        self.scores = {
            weights: Score.of(linear_model(weights), output, flooded=True, max_abs_error=0.003, params=params)
            for weights in (ORDINARY, (0.0,) * 4, (1.0, -1.0, 1.0, -1.0))
        }
        self.layouts = self.scores[ORDINARY].layouts
        generator = ckks.KeyGenerator(params, rng)
        secret = generator.secret_key()
        keys = generator.evaluation_keys(secret, rotations=self.layouts[RECORD].rotations)
        self.folder = tempfile.TemporaryDirectory()
        self.public = self._stored("public", to_bytes(generator.public_key(secret)))
        self.keys = self._stored("keys", to_bytes(keys))
        self.engine = Engine(self.scores.values(), resident_keys=1 << 30)
        self.encryptor = ckks.Encryptor(params, secret, rng)
        self.block = bytearray(1 << 20)

    def _stored(self, name: str, data: bytes) -> KeyFile:
        path = Path(self.folder.name) / name
        path.write_bytes(data)
        return KeyFile(name, str(path))

    def inputs(self, layout: str, kind: str) -> list[bytes]:
        """Frames of one kind of records, as they arrive; all of one length."""
        shape = self.layouts[layout]
        draw = np.random.default_rng(KINDS.index(kind))
        encoding: dict[str, Any] = dict(level=shape.level, bound=shape.bound, slots=shape.slots, scale=shape.scale)
        frames = []
        for _ in range(POOL):
            records = draw.uniform(-shape.bound, shape.bound, (shape.items, shape.slots))
            values = {"zero": 0 * records, "random": records, "extreme": shape.bound * np.sign(records)}[kind]
            frames.append(to_bytes(self.encryptor.encrypt(values, **encoding)))
        return frames

    def receive(self, frame: bytes) -> None:
        """Put a body into the block."""
        self.block[: len(frame)] = frame

    def job(self, layout: str, weights: tuple[float, ...], length: int) -> Evaluate:
        """The job of a request."""
        keys = self.keys if self.layouts[layout].needs_keys else None
        score = self.scores[weights]
        return Evaluate(score.digest, layout, length, keys, self.public, score.flooding)

    def do(self, job: Evaluate) -> None:
        """Evaluate what is in the block."""
        reply = self.engine.handle(job, memoryview(self.block))
        assert reply.length, reply


@cache
def worker(output: str) -> Worker:
    return Worker(output)


@pytest.mark.parametrize(("output", "layout"), [(LOGIT, FEATURE_MAJOR), (LOGIT, RECORD), (PROBABILITY, FEATURE_MAJOR)])
@pytest.mark.parametrize("each", [24, pytest.param(10_000, marks=pytest.mark.slow)])
def test_time_does_not_tell_inputs_apart(output: str, layout: str, each: int, figure: Any) -> None:
    """Records of zeros, and those at the ends of their ranges, against random ones."""
    one = worker(output)
    pools = [one.inputs(layout, kind) for kind in KINDS]
    assert len({len(frame) for pool in pools for frame in pool}) == 1
    job = one.job(layout, ORDINARY, len(pools[0][0]))
    prepare = [lambda i, pool=pool: one.receive(pool[i]) for pool in pools]

    def measure(seed: int) -> list[Comparison]:
        times = interleaved(prepare, lambda: one.do(job), each * len(KINDS), pool=POOL, seed=seed)
        return [Comparison.of(other, times[0]) for other in times[1:]]

    found = settled(measure)
    for kind, rounds in zip(KINDS[1:], zip(*found, strict=True), strict=True):
        figure("S16", f"{output}, {layout}, {kind} against random records: {told(rounds)}")
    assert all(abs(c.worst) < LIMIT for c in found[-1]), found


@pytest.mark.parametrize("special", [(0.0,) * 4, (1.0, -1.0, 1.0, -1.0)], ids=["zero", "one"])
@pytest.mark.parametrize("layout", [FEATURE_MAJOR, RECORD])
@pytest.mark.parametrize("each", [24, pytest.param(10_000, marks=pytest.mark.slow)])
def test_weights_take_no_shortcut(special: tuple[float, ...], layout: str, each: int, figure: Any) -> None:
    """The time does not tell a model of zeros, or of 1 and -1, from an ordinary one."""
    one = worker(LOGIT)
    frames = one.inputs(layout, "random")
    jobs = [one.job(layout, weights, len(frames[0])) for weights in (ORDINARY, special)]
    current = [jobs[0]]

    def prepare(job: Evaluate) -> Callable[[int], None]:
        def receive(i: int) -> None:
            one.receive(frames[i])
            current[0] = job

        return receive

    def measure(seed: int) -> list[Comparison]:
        times = interleaved([prepare(job) for job in jobs], lambda: one.do(current[0]), 2 * each, pool=POOL, seed=seed)
        return [Comparison.of(times[1], times[0])]

    found = settled(measure)
    told_of = told([c for (c,) in found])
    figure("S16", f"{layout}, weights {special[0]:g} and {special[1]:g} against ordinary ones: {told_of}")
    assert abs(found[-1][0].worst) < LIMIT, found


def test_a_shortcut_is_found(figure: Any) -> None:
    """The control: a service that sends back what it knows to be zeros, without computing."""
    one = worker(LOGIT)
    pools = [one.inputs(FEATURE_MAJOR, kind) for kind in ("zero", "random")]
    zeros, length = set(pools[0]), len(pools[0][0])
    job = one.job(FEATURE_MAJOR, ORDINARY, length)

    def serve() -> None:
        if bytes(one.block[:length]) not in zeros:
            one.do(job)

    prepare = [lambda i, pool=pool: one.receive(pool[i]) for pool in pools]
    found = Comparison.of(*interleaved(prepare, serve, 60, pool=POOL))
    figure("S16", f"control, a service with a shortcut: {found}")
    assert abs(found.worst) > LIMIT
