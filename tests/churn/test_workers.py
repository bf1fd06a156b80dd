"""Worker processes: what happens to them happens to one request. Real processes, toy parameters."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import pytest
from churn_kit import employees, linear_model, score
from conftest import Figure
from toy_worker import toys

from churn.circuit import FEATURE_MAJOR, LOGIT
from churn.errors import ModelError
from churn.hosting.protocol import Problem
from churn.hosting.work.channel import Channel, ChannelClosed
from churn.hosting.work.child import Launcher
from churn.hosting.work.jobs import Check, CheckBlock, Evaluate, KeyFile, Reply, job_from_dict, job_to_dict
from churn.hosting.work.memory import Blocks, nameless_file, whole
from churn.hosting.work.workers import Workers
from ckks import Decryptor, Encryptor, KeyGenerator
from ckks.ring import Rng
from ckks.scheme.serialization import ciphertext_from_bytes, ciphertext_length, seeded_to_bytes, to_bytes

pytestmark = pytest.mark.skipif(os.name == "nt", reason="worker processes inherit handles, as POSIX systems can")

T = TypeVar("T")
TOY = Path(__file__).resolve().parents[1] / "toy_worker.py"
COMMAND = [sys.executable, str(TOY)]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOY.parent), str(TOY.parents[1])])}
SECONDS = 60.0


class Crew:
    """Workers with an event loop of their own, in a thread; and a client's input."""

    def __init__(self, count: int, processors: int = 2) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.launcher = Launcher(COMMAND, ENVIRONMENT)
        self.workers = Workers(self.launcher, count, resident_keys=1 << 20, processors=processors)
        self.models = {model.name: model for model in toys()}
        self.params = score(LOGIT).params
        self.workers.prepare([one.digest for one in self.models.values()], ciphertext_length(self.params) * 9, 8)
        self.keygen = KeyGenerator(self.params, Rng(1))
        self.secret = self.keygen.secret_key()
        self.x = linear_model().schema.transform(employees(16))
        packing = score(LOGIT).layouts[FEATURE_MAJOR]
        encryptor = Encryptor(self.params, self.secret, Rng(2))
        self.body = seeded_to_bytes(*encryptor.encrypt_seeded(self.x.T, slots=packing.slots, bound=packing.bound))
        self.do(self.workers.start())
        self.wait(lambda: self.workers.state()["ready"] == count)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    def wait(self, for_what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not for_what():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    async def answer(self, name: str = "toy", seconds: float = SECONDS) -> tuple[Reply, bytes]:
        """Have a model evaluated; return the reply, and the answer's bytes."""
        with self.workers.block() as block:
            block.view[: len(self.body)] = self.body
            job = Evaluate(self.models[name].digest, FEATURE_MAJOR, len(self.body))
            reply = await self.workers.run(job, block, seconds)
            return reply, bytes(block.view[: reply.length])

    def check(self) -> None:
        """An evaluation works, and is right."""
        _, data = self.do(self.answer())
        values = Decryptor(self.params, self.secret).decrypt(ciphertext_from_bytes(data, self.params))
        assert np.abs(values - linear_model().logits(self.x)).max() < 1e-6

    @property
    def pids(self) -> list[int]:
        return sorted(child.process.pid for child in self.launcher.children)

    def close(self) -> None:
        self.do(self.workers.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    crew = Crew(1)
    yield crew
    pids = crew.pids
    crew.close()
    assert len(pids) == 1 and not any(is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc/self").exists() else True


def gone(pid: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def test_an_evaluation_in_another_process(crew: Crew) -> None:
    for _ in range(3):
        crew.check()
    reply, _ = crew.do(crew.answer())
    assert set(reply.seconds) == {"keys", "read", "evaluate", "finish", "write"} and len(crew.pids) == 1
    assert crew.workers.state() == {"backend": "reference", "workers": 1, "ready": 1}


def test_refusals_and_failures_are_replies(crew: Crew) -> None:
    reply, _ = crew.do(crew.answer("fails"))
    assert reply.failed is not None and reply.failed.startswith("IndexError at ") and "range" not in reply.failed
    reply, _ = crew.do(crew.answer("hungry"))
    refusal = reply.refusal()
    assert refusal is not None and refusal.status == 503 and "memory" in refusal.detail
    body, crew.body = crew.body, bytes(len(crew.body))
    try:
        reply, _ = crew.do(crew.answer())
        refusal = reply.refusal()
        assert refusal is not None and refusal.status == 422 and "magic" in refusal.detail
    finally:
        crew.body = body
    crew.check()


def test_keys_are_checked_from_their_file(crew: Crew, tmp_path: Path) -> None:
    data = to_bytes(crew.keygen.evaluation_keys(crew.secret, relin=True, rotations=(1,)))
    for name, content, status in (("good", data, None), ("cut", data[:-1], 422), ("none", None, 428)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        job = Check(KeyFile(name, str(tmp_path / name)), crew.params.digest.hex())
        refusal = crew.do(crew.workers.run(job, None, SECONDS)).refusal()
        assert (refusal and refusal.status) == status
    (tmp_path / "good").unlink()  # it is at hand
    assert crew.do(crew.workers.run(Check(KeyFile("good", "?"), crew.params.digest.hex()), None, 9)).refusal() is None


@pytest.mark.parametrize("how", ["exits", "is killed", "is late", "is cancelled"])
def test_a_lost_worker_costs_one_request(crew: Crew, how: str, figure: Figure) -> None:
    (before,) = crew.pids
    if how == "is cancelled":

        async def cancel() -> None:
            task = asyncio.ensure_future(crew.answer("sleeps"))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not is_alive(before)  # before the block is anybody else's

        crew.do(cancel())
    else:
        if how == "is killed":
            threading.Timer(0.3, os.kill, (before, signal.SIGKILL)).start()
        name, seconds = ("exits", SECONDS) if how == "exits" else ("sleeps", 0.5 if how == "is late" else SECONDS)
        with pytest.raises(Problem) as refused:
            crew.do(crew.answer(name, seconds))
        assert refused.value.status == 503 and "Retry-After" in refused.value.headers
        assert not is_alive(before)
    crew.check()  # waits for the next one
    assert crew.pids != [before] and len(crew.pids) == 1
    figure("S12", f"a worker that {how}: one 503, and another in its place")


def test_an_idle_worker_that_ends_is_replaced(crew: Crew) -> None:
    (before,) = crew.pids
    crew.do(asyncio.sleep(0.05))
    os.kill(before, signal.SIGKILL)
    assert gone(before)
    crew.wait(lambda: crew.pids not in ([], [before]))
    crew.check()


def test_jobs_wait_their_turn_and_not_for_ever(crew: Crew) -> None:
    async def several() -> list[object]:
        jobs = [crew.answer("naps"), crew.answer("naps"), crew.answer("toy", 0.1), crew.answer("naps")]
        tasks = []
        for job in jobs:
            tasks.append(asyncio.ensure_future(job))
            await asyncio.sleep(0.01)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    first, second, impatient, last = crew.do(several())
    assert isinstance(impatient, Problem) and impatient.status == 503
    for one in (first, second, last):
        assert isinstance(one, tuple) and one[0].length > 0
    crew.check()


def test_the_processors_are_shared() -> None:
    shares = []
    for busy in range(1, 5):
        launcher = SimpleNamespace(children=[SimpleNamespace(busy=k < busy) for k in range(4)])
        shares.append(Workers(cast(Any, launcher), 4, resident_keys=1, processors=8, most_threads=6)._share())
    assert shares == [6, 4, 2, 2]


@pytest.mark.parametrize(
    ("command", "words"),
    [([*COMMAND, "--broken"], "could start"), ([sys.executable, "-c", ""], "could start"), (COMMAND, "could start")],
)
def test_workers_that_cannot_start(command: list[str], words: str) -> None:
    with Launcher(command, ENVIRONMENT) as launcher:
        workers = Workers(launcher, 1, resident_keys=1, processors=1)
        workers.prepare(["a model that they do not know"], 100, 1)
        with pytest.raises(ModelError, match=words):
            asyncio.run(workers.start())


def test_a_command_that_is_none_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with pytest.raises(OSError):
        Launcher(["/no/such/program"], {})
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


PARENT = f"""
import os, signal, time
from churn.hosting.work.child import Launcher
launcher = Launcher({[*COMMAND, "--stuck"]!r}, os.environ)
print(*[child.process.pid for child in launcher.children], flush=True)
time.sleep(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_is_killed(figure: Figure) -> None:
    """Whatever they are doing: this one does not listen to its channel."""
    shared = {p.name for p in Path("/dev/shm").glob("*")} if Path("/dev/shm").exists() else set()
    ended = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert gone(int(ended.stdout))
    assert {p.name for p in Path("/dev/shm").glob("*")} <= shared or not shared
    figure("S12", "a service killed with -9 leaves no worker and no shared memory")


# ---- parts -------------------------------------------------------------------------------------------


def test_messages_of_any_size_and_the_end_of_a_channel() -> None:
    import socket

    ours, theirs = map(Channel, socket.socketpair())
    messages: list[dict[str, Any]] = [{}, {"a": [1, "é", None]}, {"long": "x" * 1_000_000}]
    sender = threading.Thread(target=lambda: [ours.send(m) for m in messages])
    sender.start()
    assert [theirs.receive(10) for _ in messages] == messages
    sender.join()
    with pytest.raises(TimeoutError):
        theirs.receive(0.01)
    ours.socket.sendall(b"\5\0\0\0{")
    ours.close()
    with pytest.raises(ChannelClosed):
        theirs.receive(10)
    with pytest.raises(ChannelClosed):
        theirs.send({"x": "y" * 1_000_000})
    theirs.close()


def test_jobs_travel_as_they_are() -> None:
    flooding = score(LOGIT, flooded=True).flooding
    jobs = [
        Evaluate("m", "l", 5),
        Evaluate("m", "l", 5, KeyFile("a", "/b"), KeyFile("c", "d"), flooding, threads=3),
        Evaluate("m", "l", 5, KeyFile("a", "/b"), gallery=(KeyFile("c", "d"), KeyFile("e", "f"))),
        Check(KeyFile("a", "b"), "p", 2),
        CheckBlock(KeyFile("a", "b"), "m", 2),
    ]
    for job in jobs:
        assert job_from_dict(json.loads(json.dumps(job_to_dict(job)))) == job
    problem = Problem(422, "t", "d", have=1, need=[2], headers={"a": "b"})
    reply = Reply(**json.loads(json.dumps(vars(Reply.refusing(problem)))))
    assert vars(reply.refusal()) == vars(problem)


def test_blocks_are_apart_and_give_their_memory_back() -> None:
    handle = nameless_file()
    blocks = Blocks(handle, 1 << 20, 4, warm=1)
    seen = whole(handle)
    with blocks.block() as one:
        one.view[:] = b"1" * blocks.size
        with blocks.block() as two:
            assert two.offset != one.offset and bytes(two.view[:5]) == bytes(5)
            two.view[:] = b"2" * blocks.size
            assert bytes(seen[two.offset : two.offset + 3]) == b"222" and bytes(one.view[-3:]) == b"111"
        full = os.fstat(handle).st_blocks
        assert full * 512 < 2 * blocks.size, "the second block has given its memory back"
        with blocks.block() as again:
            assert again.offset not in (one.offset, two.offset)
    seen.release()
    blocks.close()
    os.close(handle)
