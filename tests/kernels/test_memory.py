"""The pool: where words start, when a block comes back, what it holds then, and that nobody else has it meanwhile."""

from __future__ import annotations

import gc
import mmap
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import process
import pytest

from ckks import kernels
from ckks.kernels import memory
from ckks.kernels.memory import (
    MemoryReport,
    apart,
    empty,
    kept_bytes,
    memory_report,
    release,
    reset_peak,
    wiping,
    zeros,
)

ODD = 8 * 1234567  # bytes of a size that nothing else uses
SHAPE = (1234567,)


def address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


@pytest.fixture(scope="module", autouse=True)
def collected():
    """Earlier tests leave no cycles behind that would give blocks back during these."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def fresh_pool():
    """Start from an empty pool."""
    release()
    yield
    release()


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 5), (2, 3, 64), (2, 1, 7, 8), (1000001,)], ids=str)
def test_arrays_start_on_a_boundary(shape):
    several = [make(shape) for make in (empty, zeros) for _ in range(3)]
    for x in several:
        assert x.shape == shape and x.dtype == np.uint64
        assert address(x) % 64 == 0
        assert x.flags.c_contiguous and x.flags.writeable
    for i, x in enumerate(several):
        assert not any(np.shares_memory(x, y) for y in several[:i])


@pytest.mark.parametrize("shape", [(0,), (0, 3, 8), (2, 0, 8), (4, 3, 0)], ids=str)
def test_empty_arrays(shape):
    assert empty(shape).shape == zeros(shape).shape == shape
    assert kept_bytes() == 0


def test_a_scalar():
    x = zeros(())
    assert x.shape == () and x == 0


def test_zeros_after_garbage():
    x = empty(SHAPE)
    x.fill(2**64 - 1)
    where = address(x)
    del x
    y = zeros(SHAPE)
    assert address(y) == where and not y.any()


def test_a_block_comes_back_when_its_last_view_dies():
    x = empty((4, 8, 64))
    nbytes, where = x.nbytes, address(x)
    view = x[1:3, ::2].reshape(-1, 64)[..., ::-1].T
    buffer = memoryview(x)
    del x
    assert kept_bytes() == 0, "a view and a buffer are still alive"
    del view
    assert kept_bytes() == 0, "a buffer is still alive"
    del buffer
    assert kept_bytes() == nbytes
    again = empty((4, 8, 64))
    assert address(again) == where and kept_bytes() == 0


def test_blocks_are_for_sizes_not_for_shapes():
    x = empty((6, 64))
    where = address(x)
    del x
    assert address(empty((5, 64))) != where
    assert address(empty((2, 3, 64))) == where


def test_large_arrays_share_blocks_of_nearly_their_size():
    """Seven limbs fit into a block of eight, six do not: no more than a quarter is wasted."""
    limb = 1 << 13  # words, 64 KiB
    x = empty((8, limb))
    where = address(x)
    del x
    assert address(empty((6, limb))) != where
    release()
    eight = empty((8, limb))
    where = address(eight)
    del eight
    seven = empty((7, limb))
    assert address(seven) == where and kept_bytes() == 0
    assert memory_report().live >= 8 * 8 * limb
    seven.fill(1)
    del seven
    assert kept_bytes() == 8 * 8 * limb
    assert address(empty((8, limb))) == where


def test_the_smallest_block_that_fits_is_taken():
    limb = 1 << 13
    several = [empty((n, limb)) for n in (10, 9, 8)]
    places = [address(x) for x in several]
    del several
    found = [empty((8, limb)) for _ in range(3)]
    assert [address(x) for x in found] == [places[2], places[1], places[0]]


def test_the_report():
    start = memory_report()
    reset_peak()
    x, y = empty(SHAPE), empty((100,))
    now = memory_report()
    assert (now.live - start.live, now.kept, now.fresh - start.fresh) == (ODD + 800, 0, 2)
    assert now.peak == now.live
    del x
    after = memory_report()
    assert (after.live, after.kept, after.peak) == (start.live + 800, ODD, now.peak)
    reset_peak()
    assert memory_report().peak == memory_report().live
    x = empty(SHAPE)
    assert memory_report() == MemoryReport(now.live, now.live, 0, now.fresh, start.reused + 1)
    del x, y
    release()
    assert memory_report().live == start.live and memory_report().kept == 0


def test_apart_nobody_else_sees_what_is_taken():
    x = empty(SHAPE)
    del x
    reset_peak()
    before = memory_report()
    with apart():
        assert memory_report() == MemoryReport(0, 0, 0, 0, 0)
        a, b = empty(SHAPE), empty((100,))
        del b
        assert memory_report() == MemoryReport(ODD, ODD + 800, 800, 2, 0)
        empty((100,))
        assert memory_report().reused == 1 and kept_bytes() == 800
        release()
        assert kept_bytes() == 0
        reset_peak()
        assert memory_report().peak == ODD
        with apart():
            assert memory_report().live == 0
        other = []
        thread = threading.Thread(target=lambda: other.append(memory_report()))
        thread.start()
        thread.join()
        assert other == [before]
    assert memory_report() == before
    a.fill(3)
    view = a[1:]
    del a
    assert (view == 3).all()
    del view
    assert memory_report() == before, "what is left goes back to the system, not to the pool of all"
    with pytest.raises(RuntimeError), apart():
        raise RuntimeError
    assert memory_report() == before


BIG = """
import sys
import numpy as np
from pathlib import Path
from ckks import kernels
x = kernels.zeros((3 << 18,)); x.fill(1)  # 6 MiB
y = kernels.zeros((100,))
assert x.sum() == 3 << 18
where = x.__array_interface__["data"][0]
del x
assert kernels.kept_bytes() == 6 << 20
kernels.release()
print(where % (2 << 20) == 0, where % 64 == 0)
"""


@pytest.mark.parametrize("setting", [{}, {"CKKS_HUGE_PAGES": "1"}, {"CKKS_HUGE_PAGES": "0"}], ids=str)
def test_large_blocks_start_on_a_huge_page(tmp_path, setting):
    """Where the system has huge pages and nobody switched them off; elsewhere on a cache line, as all do."""
    huge, line = process.output_of(BIG, tmp_path, **setting).split()
    assert line == "True"
    if hasattr(mmap, "MADV_HUGEPAGE") and setting.get("CKKS_HUGE_PAGES") != "0":
        assert huge == "True"


def test_a_bad_switch_for_huge_pages_is_named(tmp_path):
    done = process.run_python("from ckks import kernels", tmp_path, CKKS_HUGE_PAGES="yes")
    assert "ckks.errors.ParameterError" in done.stderr and "CKKS_HUGE_PAGES='yes'" in done.stderr


def test_without_huge_pages_blocks_are_ordinary(monkeypatch):
    """What a system does that has none, or that refuses."""

    def refuses(*_: object, **__: object) -> None:
        raise OSError

    for change in (lambda: monkeypatch.setattr(memory, "_huge_pages", False),
                   lambda: monkeypatch.setattr(memory.mmap, "mmap", refuses)):  # fmt: skip
        change()
        x = zeros((3 << 18,))
        assert address(x) % 64 == 0 and not x.any()
        monkeypatch.undo()
        release()


def test_an_array_in_a_cycle_comes_back_when_collected():
    class Holder:
        pass

    holder = Holder()
    holder.myself, holder.words = holder, empty(SHAPE)
    del holder
    assert kept_bytes() == 0
    gc.collect()
    assert kept_bytes() == ODD


def test_weak_references_to_arrays_still_work():
    x = empty((8,))
    reference = weakref.ref(x)
    assert reference() is x
    del x
    assert reference() is None


def test_what_numpy_makes_of_an_array_keeps_it():
    x = zeros(SHAPE)
    y = np.frombuffer(x, dtype=np.uint8)
    z = np.asarray(x).view(np.int64)
    del x
    assert kept_bytes() == 0
    del y, z
    assert kept_bytes() == ODD


def test_release_gives_everything_back():
    several = [empty((n,)) for n in (100, 200, 300)]
    del several
    assert kept_bytes() == 8 * 600
    release()
    assert kept_bytes() == 0


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(memory._pool, "limit", 8 * 250)
    several = [empty((n,)) for n in (100, 100, 100, 40)]
    while several:
        del several[0]
        assert kept_bytes() <= 8 * 250
    assert kept_bytes() == 8 * 240  # the third 100 was too much, the 40 was not
    for n in (100, 100, 40):
        several.append(empty((n,)))
    assert kept_bytes() == 0


def test_the_limit_is_set_by_environment(tmp_path):
    code = """
from ckks import kernels
a, b = kernels.empty((100,)), kernels.empty((100,))
del a, b
print(kernels.kept_bytes())
"""
    assert process.output_of(code, tmp_path) == "1600\n"
    assert process.output_of(code, tmp_path, CKKS_POOL_BYTES="1000") == "800\n"
    assert process.output_of(code, tmp_path, CKKS_POOL_BYTES="0") == "0\n"


def test_a_bad_limit_is_named(tmp_path):
    done = process.run_python("from ckks import kernels", tmp_path, CKKS_POOL_BYTES="much")
    assert done.returncode != 0
    assert "ckks.errors.ParameterError" in done.stderr and "CKKS_POOL_BYTES" in done.stderr


# ---- secrets ---------------------------------------------------------------------------------------------------


def test_secrets_are_overwritten_when_they_die():
    with wiping():
        secret = empty(SHAPE)
    secret.fill(12345)
    where = address(secret)
    view = secret[::2]
    del secret
    assert (view == 12345).all()
    del view
    again = empty(SHAPE)
    assert address(again) == where
    assert not again.any()


def test_the_mark_is_not_inherited():
    """A block that held a secret is an ordinary one afterwards, and the reverse."""
    with wiping():
        x = empty(SHAPE)
    del x
    x = empty(SHAPE)  # the same block, not a secret any more
    x.fill(7)
    del x
    with wiping():
        x = empty(SHAPE)
    assert (x == 7).all()
    del x
    assert not empty(SHAPE).any()


def test_secrets_over_the_limit_are_overwritten_too(monkeypatch):
    """A block that the pool does not keep goes back to the system, and must not take its words along."""
    monkeypatch.setattr(memory._pool, "limit", 0)
    with wiping():
        secret = empty((64,))
    secret.fill(12345)
    block = secret.base.block
    assert block.view(np.uint8).any()
    del secret
    assert not block.any()


def test_wiping_nests_and_ends():
    def dies_as_zero() -> bool:
        x = empty(SHAPE)
        x.fill(1)
        del x
        return not empty(SHAPE).any()

    assert not dies_as_zero()
    with wiping():
        assert dies_as_zero()
        with pytest.raises(RuntimeError), wiping():
            assert dies_as_zero()
            raise RuntimeError
        assert dies_as_zero()
    assert not dies_as_zero()


def test_wiping_is_of_one_thread():
    """Another thread's ordinary arrays are not marked; results of a threaded kernel are, as the caller says."""
    found = []
    with wiping():
        thread = threading.Thread(target=lambda: found.append(memory._wiping.get()))
        thread.start()
        thread.join()
        assert memory._wiping.get()
        with kernels.threads(3):
            plan = kernels.make_plan(8, (17, 97, 113))
            result = kernels.neg(plan, np.ones((3, 8), dtype=np.uint64))
    assert found == [False]
    assert result.base.wipe


def leftovers(n: int) -> set[bytes]:
    """The rows of n words, other than zeros, that free blocks still hold."""
    rows = set()
    for nbytes, blocks in memory._pool.free.items():
        for block in blocks:
            start = -address(block) % 64
            words = block[start : start + nbytes].tobytes()
            rows |= {words[i : i + 8 * n] for i in range(0, nbytes, 8 * n)}
    return {row for row in rows if any(row)}


def rows_of(*arrays: np.ndarray) -> set[bytes]:
    return {row.tobytes() for x in arrays for row in x.reshape(-1, x.shape[-1])}


def test_nothing_secret_is_left_in_free_blocks(rng):
    """Secrets, errors, ephemeral keys, squares and images of the secret: what is left is public, word for word."""
    from params import insecure_small

    from ckks.rlwe import Plaintext, encrypt
    from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret

    params = insecure_small()
    n, top = params.ring_degree, params.top_level
    params.basis_qp, params.digits(top)
    keygen = KeyGenerator(params, rng)

    secret = keygen.secret_key()
    assert leftovers(n) == set()
    public = keygen.public_key(secret)
    assert leftovers(n) <= rows_of(public.words)
    shown = rows_of(public.words)
    for make in (keygen.relin_key, lambda s: keygen.galois_key(s, 5), lambda s: keygen.galois_key(s, -1, 1)):
        shown |= rows_of(make(secret).words)
        assert leftovers(n) <= shown
    plaintext = Plaintext.of(params, zeros((5, n)), top)
    ct = encrypt(plaintext, public, rng)
    assert leftovers(n) <= shown | rows_of(ct.words)
    fresh, _ = encrypt_secret(plaintext, secret, rng)
    shown |= rows_of(ct.words, fresh.words)
    assert leftovers(n) <= shown
    decrypt(ct, secret)
    assert leftovers(n) <= shown
    secret.close()
    del secret, plaintext
    assert leftovers(n) <= shown


def test_reading_a_foreign_key_leaves_nothing_in_free_blocks(rng):
    from params import insecure_small

    from ckks.rlwe.secret import KeyGenerator, SecretKey

    params = insecure_small()
    secret = KeyGenerator(params, rng).secret_key()
    again = SecretKey.from_ntt(params, secret.ntt(params.basis(params.top_level)))
    assert leftovers(params.ring_degree) == set()
    again.close()
    del again, secret
    assert leftovers(params.ring_degree) == set()


# ---- nobody else has it ----------------------------------------------------------------------------------------


def churn(seed: int, steps: int) -> None:
    """Arrays of random sizes and lifetimes, each filled with a mark of its own that has to stay."""
    rng = np.random.default_rng(seed)
    alive: list[tuple[np.ndarray, int]] = []
    for step in range(steps):
        mark = seed << 32 | step
        words = empty((int(rng.choice([1, 8, 64, 512])),))
        words.fill(mark)
        alive.append((words[:: int(rng.integers(1, 3))], mark))  # often a view only
        del words
        if rng.random() < 0.5:
            view, mark = alive.pop(int(rng.integers(len(alive))))
            assert (view == mark).all()
            del view
        if len(alive) > 60:
            for view, mark in alive:
                assert (view == mark).all()
            del alive[:: int(rng.integers(1, 4))]
    for view, mark in alive:
        assert (view == mark).all()


def test_arrays_alive_are_never_handed_out_again():
    churn(1, 3000)


def test_arrays_alive_are_never_handed_out_again_to_other_threads():
    """Eight threads that allocate, free in their own time, and free what others made."""
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(churn, seed, 800) for seed in range(8)]:
            future.result()


def test_arrays_that_die_in_another_thread():
    """Made here, freed there, while both allocate: what is kept in the end is what was made, at most."""
    made = [zeros((64,)) for _ in range(500)]
    for i, x in enumerate(made):
        x.fill(i)

    def consume(part: list[np.ndarray], first: int) -> None:
        while part:
            x = part.pop()
            assert (x == first + len(part)).all()
            empty((64,)).fill(99)

    parts = [made[i : i + 125] for i in range(0, 500, 125)]
    del made, x
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(consume, part, 125 * i) for i, part in enumerate(parts)]:
            future.result()
    gc.collect()
    blocks = memory._pool.free[512]
    assert len({id(block) for block in blocks}) == len(blocks)
    assert kept_bytes() == 512 * len(blocks)


def test_the_collector_may_run_at_any_time():
    """Arrays in cycles die inside the allocation of others: the pool holds no lock there."""

    class Holder:
        pass

    threshold = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for i in range(400):
            holder = Holder()
            holder.myself, holder.words = holder, zeros((8,))
            del holder
            x, y = empty((8,)), empty((8,))
            x.fill(i), y.fill(i + 1)
            assert (x == i).all() and (y == i + 1).all()
    finally:
        gc.set_threshold(*threshold)


def test_arrays_alive_at_exit_make_no_noise(tmp_path):
    code = """
import sys
from ckks import kernels
with kernels.wiping():
    kept = [kernels.zeros((64,)) for _ in range(10)]
cycle = [kernels.zeros((8,))]; cycle.append(cycle)
sys.modules["elsewhere"] = type("Holder", (), {"words": kernels.zeros((128,))})
del cycle
"""
    assert process.output_of(code, tmp_path) == ""


def test_a_forked_child_has_a_pool_of_its_own(tmp_path):
    code = """
import os
import numpy as np
from ckks import kernels
x = kernels.zeros((64,))
y = kernels.zeros((64,)); del y
pid = os.fork()
z = kernels.empty((64,)); z.fill(pid != 0)
x.fill(pid != 0)
if pid == 0:
    os._exit(0 if not x.any() and not z.any() else 1)
assert os.waitpid(pid, 0)[1] == 0
print(x.all() and z.all())
"""
    assert process.output_of(code, tmp_path) == "True\n"
