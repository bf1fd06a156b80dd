"""The one knob for threads, and the splitting of work behind it."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import process
import pytest

from ckks import kernels
from ckks.errors import ParameterError
from ckks.kernels.threads import _Job, run, split

MODULE = importlib.import_module("ckks.kernels.threads")  # its name is also that of a function beside it


@pytest.fixture(autouse=True)
def one_thread():
    before = kernels.num_threads()
    kernels.set_num_threads(1)
    yield
    kernels.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 256])
def test_slices_cover_everything_once(count):
    for total in (1, 2, 3, 8, 100):
        with kernels.threads(count):
            slices = split(total)
        assert [i for s in slices for i in range(s.start, s.stop)] == list(range(total))
        assert len(slices) == min(count, total)
        lengths = [s.stop - s.start for s in slices]
        assert max(lengths) - min(lengths) <= 1


def test_little_work_is_not_split(monkeypatch):
    monkeypatch.setattr(MODULE, "SMALLEST", 100)
    with kernels.threads(4):
        for words, slices in ((0, 1), (99, 1), (199, 1), (200, 2), (399, 3), (400, 4), (10**9, 4), (None, 4)):
            assert len(split(8, words)) == slices
        assert len(split(2, 10**9)) == 2
    assert len(split(8, 10**9)) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_slice_is_run_once(count):
    seen: list[slice] = []
    names = set()
    barrier = threading.Barrier(count, timeout=30)

    def work(s: slice) -> None:
        barrier.wait()  # passes only when all slices run at once
        seen.append(s)
        names.add(threading.current_thread().name)

    with kernels.threads(count):
        run(work, 10)
        expected = split(10)
    assert sorted(seen, key=lambda s: s.start) == expected
    assert len(names) == count


def test_nothing_to_do():
    for count in (1, 3):
        with kernels.threads(count):
            run(lambda s: pytest.fail("called"), 0)


@pytest.mark.parametrize("culprit", [0, 1, 2])
def test_errors_are_raised_once_nobody_works_any_more(culprit):
    """No thread may still write into an array that the caller has given up; what was not begun is left."""
    begun, finished = [], []

    def work(s: slice) -> None:
        begun.append(s.start)
        if s.start == culprit:
            raise ZeroDivisionError
        threading.Event().wait(0.05)
        finished.append(s.start)

    with kernels.threads(3):
        with pytest.raises(ZeroDivisionError):
            run(work, 3)
        assert sorted(finished) == sorted(set(begun) - {culprit})


def test_an_interrupted_caller_waits_for_the_helpers():
    """Ctrl-C reaches the caller's own slice while a helper is at work on another."""
    inside, finished = threading.Event(), []

    def work(s: slice) -> None:
        if threading.current_thread() is caller:
            assert inside.wait(30)
            raise KeyboardInterrupt
        inside.set()
        threading.Event().wait(0.2)
        finished.append(s.start)

    caller = threading.current_thread()
    with kernels.threads(2):
        run(lambda s: None, 2)  # the helper is there
        with pytest.raises(KeyboardInterrupt):
            run(work, 2)
        assert len(finished) == 1


def test_a_helper_that_comes_late_is_not_taken_for_one_at_work():
    """It finds nothing and goes at once, while the caller waits for another that still writes."""
    at_work, finish, waiting = threading.Event(), threading.Event(), threading.Event()

    def work(s: slice) -> None:
        at_work.set()
        assert finish.wait(30)

    class Went(SimpleQueue):
        def get(self, *arguments, **named):
            waiting.set()
            return super().get(*arguments, **named)

    job = _Job(work, [slice(0, 1)])
    job.went = Went()
    helper, caller = threading.Thread(target=job.help), threading.Thread(target=job.end)
    helper.start()
    try:
        assert at_work.wait(30)
        caller.start()
        assert waiting.wait(30)
        job.help()  # late
        caller.join(0.2)
        assert caller.is_alive()
    finally:
        finish.set()
        helper.join()
        caller.join()


def test_a_caller_does_not_wait_for_helpers():
    """Those that are busy elsewhere leave their slices to whoever asked."""
    started, finish, seen = threading.Event(), threading.Event(), []

    def long(s: slice) -> None:
        started.set()
        assert finish.wait(30)

    with kernels.threads(2):
        run(lambda s: None, 2)  # the helper is there
        other = threading.Thread(target=run, args=(long, 2))
        other.start()
        try:
            assert started.wait(30)
            run(seen.append, 2)
        finally:
            finish.set()
            other.join()
    assert sorted(s.start for s in seen) == [0, 1]


def test_many_callers_share_the_helpers():
    def call(seed: int) -> bool:
        rights = []
        for total in range(1, 60):
            seen: list[int] = []
            run(lambda s, seen=seen: seen.extend(range(s.start, s.stop)), total)
            rights.append(sorted(seen) == list(range(total)))
        return all(rights)

    with kernels.threads(3), ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


def test_arrays_are_given_back_when_a_call_returns():
    """A helper that has yet to wake up holds none of them."""
    with kernels.threads(4):
        for _ in range(100):
            words = kernels.empty((4, 64))
            live = kernels.memory_report().live
            run(lambda s, words=words: words[s].fill(1), 4)
            del words
            assert kernels.memory_report().live == live - 4 * 64 * 8


def test_the_count_is_restored():
    kernels.set_num_threads(2)
    with kernels.threads(3):
        assert kernels.num_threads() == 3
        with pytest.raises(RuntimeError), kernels.threads(4):
            raise RuntimeError
        assert kernels.num_threads() == 3
    assert kernels.num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 257, 1.0, "2", None])
def test_counts_that_make_no_sense(count):
    with pytest.raises(ParameterError, match=r"needed an integer from 1 to 256"):
        kernels.set_num_threads(count)
    assert kernels.num_threads() == 1


def test_one_thread_unless_told_otherwise(tmp_path):
    code = "from ckks import kernels; print(kernels.num_threads())"
    assert process.output_of(code, tmp_path) == "1\n"
    assert process.output_of(code, tmp_path, CKKS_NUM_THREADS="5") == "5\n"


@pytest.mark.parametrize("text", ["many", "0", "1000"])
def test_a_bad_environment_variable_is_named(tmp_path, text):
    done = process.run_python("from ckks import kernels", tmp_path, CKKS_NUM_THREADS=text)
    assert done.returncode != 0
    assert "ckks.errors.ParameterError" in done.stderr and f"CKKS_NUM_THREADS={text!r}" in done.stderr


def test_importing_starts_no_thread(tmp_path):
    code = """
import threading
from ckks import kernels, ring, rlwe
import numpy as np
kernels.neg(kernels.make_plan(8, (17, 97)), np.ones((2, 8), dtype=np.uint64))
print(threading.active_count())
"""
    assert process.output_of(code, tmp_path) == "1\n"


def test_threads_after_a_fork(tmp_path):
    """Threads do not survive a fork; a child gets its own."""
    code = """
import importlib, os, warnings
import numpy as np
from ckks import kernels
importlib.import_module("ckks.kernels.threads").SMALLEST = 1
kernels.set_num_threads(3)
plan = kernels.make_plan(16, (97, 193, 257))
x = np.arange(48, dtype=np.uint64).reshape(3, 16)
before = kernels.ntt(plan, x)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads: that is what is tested
    pid = os.fork()
if pid == 0:
    os._exit(0 if np.array_equal(kernels.ntt(plan, x), before) else 1)
print(os.waitpid(pid, 0)[1])
"""
    assert process.output_of(code, tmp_path) == "0\n"
